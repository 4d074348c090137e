/* The pipeline end to end below HTTP: events in, the real tutti-media, objects and events out; and
 * what holds when workers are killed in the middle. Takes the path of tutti-media as its argument;
 * run as `test_transcode worker FOLDER URL MEDIA` it is a process of workers that can be killed. */
#include "contract.h"
#include "objects.h"

#include "backend/bus/bus.h"
#include "backend/db/db.h"
#include "base/id.h"
#include "service/transcode/transcode.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { EVENTS_MAX = 256, WAIT_MS = 300000 };

static const char *self_path, *media_path;
static const char quick[] = "local:?retry_ms=20&retry_max_ms=100&lease_ms=2000";

struct rig {
    struct db *db;
    struct bus *bus;
    struct blob_store *blobs;
    struct transcode *transcode;
};

static struct rig rig_open(const char *folder, const char *url, bool works)
{
    struct rig rig = {0};
    struct problem problem = {0};
    char path[128], store[1024];
    (void)snprintf(path, sizeof path, "%s/objects", folder);
    const struct blob_config blobs = {.url = objects_url(path, store),
                                      .public_url = "http://localhost/s3",
                                      .key_id = "id",
                                      .secret = "secret",
                                      .region = "us-east-1"};
    if (db_open(url, "catalog", &rig.db, &problem) < 0 || bus_open(quick, &rig.bus, &problem) < 0 ||
        bus_attach(rig.bus, rig.db, &problem) < 0 ||
        blob_store_open(&blobs, &rig.blobs, &problem) < 0) {
        fail_msg("%s", problem.detail);
    }
    const struct transcode_config config = {
        .db = rig.db, .bus = rig.bus, .blobs = rig.blobs, .media_path = media_path, .workers = 2};
    if (transcode_open(&config, &rig.transcode, &problem) < 0 ||
        (works && (transcode_subscribe(rig.transcode) < 0 ||
                   transcode_start(rig.transcode, &problem) < 0))) {
        fail_msg("%s", problem.detail);
    }
    return rig;
}

static void rig_close(struct rig *rig)
{
    transcode_close(rig->transcode);
    bus_close(rig->bus);
    blob_store_close(rig->blobs);
    db_close(rig->db);
}

/* --- what was told --- */

struct told {
    pthread_mutex_t lock;
    unsigned count;
    struct {
        char type[32];
        json_t *payload;
    } events[EVENTS_MAX];
};

static int hear(void *context, const struct event *event)
{
    struct told *told = context;
    pthread_mutex_lock(&told->lock);
    if (told->count < EVENTS_MAX) {
        (void)snprintf(told->events[told->count].type, sizeof told->events[0].type, "%s",
                       event->type);
        told->events[told->count++].payload = json_loads(event->payload, 0, NULL);
    }
    pthread_mutex_unlock(&told->lock);
    return 0;
}

static struct told *listen(struct rig *rig)
{
    static const char *const types[] = {
        "media.probed", "media.rendition", "media.complete", "media.failed",
        "media.art",    "art.ready",       "art.failed",     NULL};
    struct told *told = calloc(1, sizeof *told);
    pthread_mutex_init(&told->lock, NULL);
    const struct bus_consumer consumer = {
        .name = "test.media", .types = types, .from_start = 1, .handle = hear, .context = told};
    assert_int_equal(bus_subscribe(rig->bus, rig->db, &consumer), 0);
    assert_int_equal(bus_start(rig->bus), 0);
    return told;
}

static unsigned count_told(struct told *told, const char *type, const char *file)
{
    unsigned count = 0;
    pthread_mutex_lock(&told->lock);
    for (unsigned i = 0; i < told->count; i++) {
        const json_t *rendition = json_object_get(told->events[i].payload, "rendition");
        const char *name = json_string_value(json_object_get(rendition, "file"));
        bool same = strcmp(told->events[i].type, type) == 0 &&
                    (file == NULL || (name != NULL && strcmp(name, file) == 0));
        count += same ? 1 : 0;
    }
    pthread_mutex_unlock(&told->lock);
    return count;
}

static json_t *payload_of(struct told *told, const char *type)
{
    json_t *payload = NULL;
    pthread_mutex_lock(&told->lock);
    for (unsigned i = 0; i < told->count && payload == NULL; i++) {
        payload = strcmp(told->events[i].type, type) == 0 ? told->events[i].payload : NULL;
    }
    pthread_mutex_unlock(&told->lock);
    return payload;
}

static void wait_for(struct told *told, const char *type, unsigned count)
{
    for (int64_t end_ms = clock_monotonic_ms() + WAIT_MS; count_told(told, type, NULL) < count;) {
        if (clock_monotonic_ms() > end_ms) {
            json_t *failed = payload_of(told, "media.failed");
            char *words = failed != NULL ? json_dumps(failed, 0) : NULL;
            fail_msg("no %s: %s", type, words != NULL ? words : "and no failure");
        }
        pause_ms(10);
    }
}

static void forget(struct told *told)
{
    for (unsigned i = 0; i < told->count; i++) {
        json_decref(told->events[i].payload);
    }
    pthread_mutex_destroy(&told->lock);
    free(told);
}

/* --- what is asked --- */

__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...)
{
    char command[1024];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(command, sizeof command, format, list);
    va_end(list);
    assert_int_equal(system(command), 0);
}

/* A file of the disk becomes an object of the bucket media. */
static void put_file(struct rig *rig, const char *path, const char *key)
{
    struct blob_writer *writer = NULL;
    char bytes[65536];
    const struct blob_meta meta = {0};
    assert_int_equal(blob_put_open(rig->blobs, BLOB_MEDIA, key, &meta, &writer), 0);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, file)) > 0;) {
        assert_int_equal(blob_put_write(writer, bytes, got), 0);
    }
    (void)fclose(file);
    assert_int_equal(blob_put_commit(writer, false, NULL), 0);
}

struct tell {
    const char *type, *key;
    json_t *payload;
};

static int emit(struct db_session *session, void *argument)
{
    const struct tell *tell = argument;
    return bus_emit(session, tell->type, tell->key, json_incref(tell->payload));
}

static void tell(struct rig *rig, const char *type, const char *key, json_t *payload)
{
    struct tell what = {type, key, payload};
    assert_int_equal(db_write(rig->db, emit, &what), 0);
    json_decref(payload);
}

static void upload(struct rig *rig, int track, int version, const char *extension)
{
    char key[64], id[16], event_key[32];
    (void)snprintf(key, sizeof key, "m/%d/%d/original.%s", track, version, extension);
    (void)snprintf(id, sizeof id, "%d", track);
    (void)snprintf(event_key, sizeof event_key, "track:%d", track);
    tell(rig, "track.uploaded", event_key,
         json_pack("{s:s,s:i,s:s,s:s,s:s}", "trackId", id, "version", version, "bucket", BLOB_MEDIA,
                   "key", key, "filename", "x"));
}

static int64_t object_bytes(struct rig *rig, const char *key)
{
    struct blob_stat stat;
    return blob_stat(rig->blobs, BLOB_MEDIA, key, &stat) == 0 ? (int64_t)stat.bytes : -1;
}

static const char *const all_files[] = {
    "aac-96.mp4",   "aac-160.mp4",   "aac-320.mp4",   "mp3-96.mp3", "mp3-160.mp3",  "mp3-320.mp3",
    "opus-96.opus", "opus-160.opus", "opus-320.opus", "flac.mp4",   "original.flac"};

static void assert_each_once(struct rig *rig, struct told *told, int track)
{
    for (size_t i = 0; i < COUNT_OF(all_files); i++) {
        char key[96];
        (void)snprintf(key, sizeof key, "m/%d/1/%s", track, all_files[i]);
        if (count_told(told, "media.rendition", all_files[i]) != 1) {
            fail_msg("%s was told %u times", all_files[i],
                     count_told(told, "media.rendition", all_files[i]));
        }
        assert_true(object_bytes(rig, key) > 0);
    }
    assert_int_equal(count_told(told, "media.rendition", NULL), COUNT_OF(all_files));
    assert_int_equal(count_told(told, "media.probed", NULL), 1);
    assert_int_equal(count_told(told, "media.complete", NULL), 1);
    assert_int_equal(count_told(told, "media.failed", NULL), 0);
}

static void make_sound(const char *folder, const char *name, int seconds, const char *options)
{
    shell("ffmpeg -v error -y -f lavfi -i 'aevalsrc=0.3*sin(2*PI*440*t)|0.3*sin(2*PI*554*t)"
          ":s=44100:d=%d' %s %s/%s",
          seconds, options, folder, name);
}

/* --- the tests --- */

static void test_a_track_is_made(void **state)
{
    const struct place *place = *state;
    char path[96];
    struct rig rig = rig_open(place->folder, place->url, true);
    struct told *told = listen(&rig);
    make_sound(place->folder, "a.flac", 7, "-metadata title=Seven");
    (void)snprintf(path, sizeof path, "%s/a.flac", place->folder);
    put_file(&rig, path, "m/5/1/original.flac");
    upload(&rig, 5, 1, "flac");
    wait_for(told, "media.complete", 1);
    assert_each_once(&rig, told, 5);
    assert_string_equal(told->events[0].type, "media.probed"); /* before any rendition */
    json_t *probed = payload_of(told, "media.probed");
    assert_int_equal(json_integer_value(json_object_get(probed, "samples")), 7 * 44100);
    assert_int_equal(json_integer_value(json_object_get(probed, "durationMs")), 7000);
    assert_int_equal(json_integer_value(json_object_get(probed, "expected")), COUNT_OF(all_files));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(probed, "tags"), "title")), "Seven");
    assert_true(json_number_value(json_object_get(probed, "trackLufs")) < -5);
    assert_true(object_bytes(&rig, "m/5/1/waveform.bin") > 1000);
    static const char *const manifests[] = {
        "hls-96.m3u8",  "hls-160.m3u8", "hls-320.m3u8",      "hls-lossless.m3u8", "dash-96.mpd",
        "dash-160.mpd", "dash-320.mpd", "dash-lossless.mpd", "aac-160.m3u8"};
    for (size_t i = 0; i < COUNT_OF(manifests); i++) {
        char key[96];
        struct blob_stat stat;
        (void)snprintf(key, sizeof key, "m/5/1/%s", manifests[i]);
        assert_int_equal(blob_stat(rig.blobs, BLOB_MEDIA, key, &stat), 0);
        assert_non_null(strstr(stat.cache_control, "immutable")); /* the ladder is whole */
    }
    upload(&rig, 5, 1, "flac"); /* told again: nothing more happens */
    assert_int_equal(bus_settle(rig.bus, 5000), 0);
    pause_ms(300);
    assert_each_once(&rig, told, 5);
    rig_close(&rig);
    forget(told);
}

static void test_bad_files_fail_at_once(void **state)
{
    const struct place *place = *state;
    char path[96];
    struct rig rig = rig_open(place->folder, place->url, true);
    struct told *told = listen(&rig);
    shell("yes words | head -c 100000 > %s/text.mp3", place->folder);
    (void)snprintf(path, sizeof path, "%s/text.mp3", place->folder);
    put_file(&rig, path, "m/6/1/original.mp3");
    upload(&rig, 6, 1, "mp3");
    upload(&rig, 7, 1, "wav"); /* whose object is not there */
    wait_for(told, "media.failed", 2);
    bool not_audio = false, missing = false;
    for (unsigned i = 0; i < told->count; i++) {
        const char *code = json_string_value(json_object_get(told->events[i].payload, "code"));
        not_audio |= strcmp(code, "not-audio") == 0;
        missing |= strcmp(code, "missing") == 0;
    }
    assert_true(not_audio && missing);
    rig_close(&rig);
    forget(told);
}

static void test_a_picture_is_scaled(void **state)
{
    const struct place *place = *state;
    char path[96];
    struct rig rig = rig_open(place->folder, place->url, true);
    struct told *told = listen(&rig);
    shell("ffmpeg -v error -f lavfi -i testsrc=s=1500x1000 -frames:v 1 %s/p.png", place->folder);
    (void)snprintf(path, sizeof path, "%s/p.png", place->folder);
    put_file(&rig, path, "art/9/original");
    tell(&rig, "art.uploaded", "art:9",
         json_pack("{s:s,s:s,s:s}", "artId", "9", "bucket", BLOB_MEDIA, "key", "art/9/original"));
    wait_for(told, "art.ready", 1);
    json_t *ready = payload_of(told, "art.ready");
    assert_int_equal(json_integer_value(json_object_get(ready, "width")), 1500);
    assert_true(object_bytes(&rig, "art/9/1200.jpg") > object_bytes(&rig, "art/9/64.jpg"));
    assert_true(object_bytes(&rig, "art/9/1200.webp") > 0);
    /* A sound with that picture in it, and one that is no picture. */
    make_sound(place->folder, "b.flac", 2, "");
    shell("cd %s && ffmpeg -v error -i b.flac -i p.png -map 0:a -map 1:v -c:a copy -c:v mjpeg "
          "-disposition:v attached_pic c.flac",
          place->folder);
    (void)snprintf(path, sizeof path, "%s/c.flac", place->folder);
    put_file(&rig, path, "m/8/1/original.flac");
    put_file(&rig, path, "art/10/original");
    upload(&rig, 8, 1, "flac");
    tell(&rig, "art.uploaded", "art:10",
         json_pack("{s:s,s:s,s:s}", "artId", "10", "bucket", BLOB_MEDIA, "key", "art/10/original"));
    wait_for(told, "media.art", 1);
    wait_for(told, "art.failed", 1);
    json_t *art = payload_of(told, "media.art");
    assert_string_equal(json_string_value(json_object_get(art, "type")), "image/jpeg");
    assert_true(object_bytes(&rig, json_string_value(json_object_get(art, "key"))) > 1000);
    rig_close(&rig);
    forget(told);
}

/* Many wait: each gets its first rung before any gets another. */
static void test_first_rungs_go_first(void **state)
{
    enum { TRACKS = 6, WORKERS = 2 };
    const struct place *place = *state;
    struct rig rig = rig_open(place->folder, place->url, false);
    struct told *told = listen(&rig);
    make_sound(place->folder, "a.flac", 6, "");
    for (int track = 20; track < 20 + TRACKS; track++) {
        char path[96], key[64];
        (void)snprintf(path, sizeof path, "%s/a.flac", place->folder);
        (void)snprintf(key, sizeof key, "m/%d/1/original.flac", track);
        put_file(&rig, path, key);
        upload(&rig, track, 1, "flac");
    }
    struct problem problem = {0};
    assert_int_equal(transcode_subscribe(rig.transcode), 0);
    assert_int_equal(bus_settle(rig.bus, 5000), 0);
    assert_int_equal(transcode_start(rig.transcode, &problem), 0);
    wait_for(told, "media.complete", TRACKS);
    unsigned firsts = 0, before = 0;
    for (unsigned i = 0; i < told->count && before == 0; i++) {
        const json_t *rendition = json_object_get(told->events[i].payload, "rendition");
        const char *file = json_string_value(json_object_get(rendition, "file"));
        firsts += file != NULL && strcmp(file, "aac-160.mp4") == 0 ? 1 : 0;
        before = file != NULL && strcmp(file, "aac-320.mp4") == 0 ? firsts : 0;
    }
    assert_in_range(before, TRACKS - WORKERS, TRACKS); /* the last ones may run beside a ladder */
    rig_close(&rig);
    forget(told);
}

static void test_a_deleted_track_is_left_alone(void **state)
{
    const struct place *place = *state;
    char path[96];
    struct rig rig = rig_open(place->folder, place->url, true);
    struct told *told = listen(&rig);
    make_sound(place->folder, "long.flac", 120, "");
    (void)snprintf(path, sizeof path, "%s/long.flac", place->folder);
    put_file(&rig, path, "m/11/1/original.flac");
    upload(&rig, 11, 1, "flac");
    wait_for(told, "media.probed", 1); /* the ladder has begun */
    tell(&rig, "track.deleted", "track:11", json_pack("{s:s}", "trackId", "11"));
    assert_int_equal(bus_settle(rig.bus, 5000), 0);
    pause_ms(1500);
    unsigned then = told->count;
    pause_ms(1500);
    assert_int_equal(told->count, then);
    assert_int_equal(count_told(told, "media.complete", NULL), 0);
    rig_close(&rig);
    forget(told);
}

static pid_t start_worker(const struct place *place)
{
    pid_t pid;
    char *arguments[] = {(char *)self_path,  (char *)"worker",   (char *)place->folder,
                         (char *)place->url, (char *)media_path, NULL};
    assert_int_equal(posix_spawn(&pid, self_path, NULL, NULL, arguments, environ), 0);
    return pid;
}

/* kill -9 of the whole worker process, again and again, at any point: each rendition is told once,
 * and all are made. */
static void test_killed_workers_are_resumed(void **state)
{
    const struct place *place = *state;
    char path[96];
    struct rig rig = rig_open(place->folder, place->url, false);
    struct told *told = listen(&rig);
    make_sound(place->folder, "long.flac", 20, "");
    (void)snprintf(path, sizeof path, "%s/long.flac", place->folder);
    put_file(&rig, path, "m/12/1/original.flac");
    upload(&rig, 12, 1, "flac");
    /* Each worker is killed a little after it told of a rendition, wherever it is then. */
    unsigned kills = 0;
    for (; kills < 5 && count_told(told, "media.complete", NULL) == 0; kills++) {
        unsigned before = count_told(told, "media.rendition", NULL);
        pid_t pid = start_worker(place);
        for (unsigned polls = 0;
             polls < 2000 && count_told(told, "media.rendition", NULL) == before; polls++) {
            pause_ms(10);
        }
        pause_ms(17 * (long)kills);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
    assert_true(kills >= 2); /* else nothing was tested */
    pid_t one = start_worker(place), other = start_worker(place);
    wait_for(told, "media.complete", 1);
    pause_ms(300);
    assert_each_once(&rig, told, 12);
    assert_int_equal(kill(one, SIGTERM), 0);
    assert_int_equal(kill(other, SIGTERM), 0);
    (void)waitpid(one, NULL, 0);
    (void)waitpid(other, NULL, 0);
    rig_close(&rig);
    forget(told);
}

/* Our children by the name tutti-media. */
static pid_t media_process(void)
{
    pid_t found = 0;
    DIR *directory = opendir("/proc");
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[300], line[256] = "", name[64];
        int pid, parent;
        (void)snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "re") : NULL;
        if (file != NULL) {
            if (fgets(line, sizeof line, file) != NULL &&
                sscanf(line, "%d (%63[^)]) %*c %d", &pid, name, &parent) == 3 &&
                parent == getpid() && strcmp(name, "tutti-media") == 0) {
                found = pid;
            }
            (void)fclose(file);
        }
    }
    (void)closedir(directory);
    return found;
}

static void test_a_killed_child_is_a_try(void **state)
{
    const struct place *place = *state;
    char path[96];
    struct rig rig = rig_open(place->folder, place->url, true);
    struct told *told = listen(&rig);
    make_sound(place->folder, "mid.flac", 20, "");
    (void)snprintf(path, sizeof path, "%s/mid.flac", place->folder);
    put_file(&rig, path, "m/13/1/original.flac");
    upload(&rig, 13, 1, "flac");
    unsigned kills = 0;
    for (unsigned i = 0; i < 500 && kills < 2; i++) {
        pid_t pid = media_process();
        if (pid != 0) {
            pause_ms(150);
            kills += kill(pid, SIGKILL) == 0 ? 1 : 0;
        }
        pause_ms(10);
    }
    assert_int_equal(kills, 2);
    wait_for(told, "media.rendition", COUNT_OF(all_files));
    wait_for(told, "media.complete", 1);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(count_told(told, "media.rendition", all_files[i]), 1);
    }
    for (unsigned i = 0; i < 700 && media_process() != 0; i++) { /* gone after the job */
        pause_ms(10);
    }
    assert_int_equal(media_process(), 0);
    rig_close(&rig);
    forget(told);
}

/* In the place of tutti-media: PLACE/starts gets a line from each process, PLACE/jobs one for each
 * job; each fails with the code. */
static struct rig rig_failing(const struct place *place, const char *code, bool final)
{
    const char *real = media_path;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/%s", place->folder, code);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fprintf(
        file,
        "#!/usr/bin/python3\n"
        "import socket\n"
        "open('%s/starts', 'a').write('one more\\n')\n"
        "peer = socket.socket(fileno=3)\n"
        "while peer.recv(65536):\n"
        "    open('%s/jobs', 'a').write('one more\\n')\n"
        "    peer.send(b'{\"ok\":false,\"code\":\"%s\",\"reason\":\"No.\",\"final\":%s}')\n",
        place->folder, place->folder, code, final ? "true" : "false");
    (void)fclose(file);
    assert_int_equal(chmod(path, 0700), 0);
    media_path = path;
    struct rig rig = rig_open(place->folder, place->url, true);
    media_path = real;
    put_file(&rig, path, "m/14/1/original.wav");
    put_file(&rig, path, "m/15/1/original.wav");
    put_file(&rig, path, "m/16/1/original.wav");
    return rig;
}

static unsigned lines_of(const struct place *place, const char *name)
{
    char path[96], line[64];
    unsigned lines = 0;
    (void)snprintf(path, sizeof path, "%s/%s", place->folder, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    for (; fgets(line, sizeof line, file) != NULL; lines++) {
    }
    (void)fclose(file);
    return lines;
}

static void test_what_runs_past_the_limits_is_tried_twice(void **state)
{
    const struct place *place = *state;
    struct rig rig = rig_failing(place, "out-of-limits", false);
    struct told *told = listen(&rig);
    upload(&rig, 14, 1, "wav");
    wait_for(told, "media.failed", 1);
    assert_string_equal(
        json_string_value(json_object_get(payload_of(told, "media.failed"), "code")),
        "out-of-limits");
    assert_int_equal(lines_of(place, "jobs"), 2);
    rig_close(&rig);
    forget(told);
}

/* What a file did to the process that decoded it must not reach the next one's. */
static void test_each_job_has_a_process_of_its_own(void **state)
{
    const struct place *place = *state;
    struct rig rig = rig_failing(place, "not-audio", true);
    struct told *told = listen(&rig);
    for (unsigned i = 0; i < 3; i++) { /* one behind the other, within a second or so */
        upload(&rig, 14 + i, 1, "wav");
        wait_for(told, "media.failed", i + 1);
    }
    assert_int_equal(lines_of(place, "jobs"), 3);
    assert_int_equal(lines_of(place, "starts"), 3);
    rig_close(&rig);
    forget(told);
}

static volatile sig_atomic_t ended;

static void end(int signal_number)
{
    (void)signal_number;
    ended = 1;
}

static int work(const char *folder, const char *url)
{
    (void)signal(SIGTERM, end);
    struct rig rig = rig_open(folder, url, true);
    if (bus_start(rig.bus) != 0) {
        return 1;
    }
    while (!ended) {
        pause_ms(50);
    }
    rig_close(&rig);
    return 0;
}

int main(int argc, char **argv)
{
    self_path = argv[0];
    media_path = argv[argc - 1];
    id_init((unsigned)getpid() % ID_NODES, 0);
    if (argc == 5 && strcmp(argv[1], "worker") == 0) {
        return work(argv[2], argv[3]);
    }
    const struct CMUnitTest tests[] = {
        in_place(test_a_track_is_made),
        in_place(test_bad_files_fail_at_once),
        in_place(test_a_picture_is_scaled),
        in_place(test_first_rungs_go_first),
        in_place(test_a_deleted_track_is_left_alone),
        in_place(test_killed_workers_are_resumed),
        in_place(test_a_killed_child_is_a_try),
        in_place(test_what_runs_past_the_limits_is_tried_twice),
        in_place(test_each_job_has_a_process_of_its_own),
    };
    return argc == 2 ? cmocka_run_group_tests(tests, NULL, NULL) : 2;
}
