/* Doctor's checks of the machine and of the files' rights (doctor_checks.h). */
#include "boot/doctor_checks.h"

#include "backend/bus/bus.h"
#include "backend/db/db.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "boot/command.h"
#include "boot/config.h"
#include "boot/progress.h"
#include "boot/restoring.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>

/* configuration */

static bool is_loopback(const char *listen)
{
    return strncmp(listen, "127.", 4) == 0 || strncmp(listen, "[::1]", 5) == 0 ||
           strncmp(listen, "localhost:", 10) == 0;
}

static void check_file_rights(const struct doctor *doctor, struct finding *finding)
{
    const char *file = command_config_file(doctor->line);
    struct stat status;
    const struct config_row *secret = config_secret_of_file(doctor->config);
    if (file != NULL && secret != NULL && stat(file, &status) == 0 && (status.st_mode & 007) != 0) {
        finding_warn(finding, "chmod 640 it and give it the group that Tutti runs as",
                     "%s holds a password (%s.%s), and everybody may read it", file,
                     secret->section, secret->key);
    }
}

void doctor_check_configuration(struct doctor *doctor, struct finding *finding)
{
    if (doctor->config == NULL) {
        finding_fail(finding, "mend it; tutti.conf(5) lists the settings", "%s",
                     finding_words(doctor->line->configuration_problem, ERR_INVALID));
        return;
    }
    const char *file = command_config_file(doctor->line);
    const char *listen = config_text(doctor->config, CONFIG_SERVER_LISTEN);
    const char *url = config_text(doctor->config, CONFIG_SERVER_URL);
    finding_ok(finding, "%s; %s at %s", file != NULL ? file : "no file, defaults", url, listen);
    if (!is_loopback(listen) && strncmp(url, "https://", 8) != 0) {
        finding_warn(finding,
                     "put TLS in front (docs/operations.md) and set server.url to https://…",
                     "%s can be reached from elsewhere, but server.url is %s: passwords would "
                     "travel in the clear",
                     listen, url);
    }
    check_file_rights(doctor, finding);
}

/* data, keys */

/* Rights that a file must not have, and its owner. */
static void check_private(struct finding *finding, const char *path, uid_t owner)
{
    char advice[320];
    struct stat status;
    if (lstat(path, &status) != 0) {
        return;
    }
    bool is_folder = S_ISDIR(status.st_mode);
    if ((status.st_mode & 077) != 0) {
        (void)snprintf(advice, sizeof advice, "chmod %s %s", is_folder ? "700" : "600", path);
        finding_fail(finding, advice, "others may use %s (mode %03o)", path, status.st_mode & 0777);
    }
    if (status.st_uid != owner) {
        (void)snprintf(advice, sizeof advice,
                       "chown it to the user that owns the data directory (uid %u)", owner);
        finding_fail(finding, advice, "%s belongs to another user (uid %u)", path, status.st_uid);
    }
}

void doctor_check_data(struct doctor *doctor, struct finding *finding)
{
    const char *data = doctor->place.data;
    assert(data != NULL); /* the configuration always has one */
    struct stat status;
    if (stat(data, &status) != 0) {
        finding_warn(finding, "start the server once, or check --data", "%s: %s", data,
                     strerror(errno));
        return;
    }
    struct problem problem = {0};
    if (restoring_keep_off(data, &problem) != 0) {
        doctor->shut = true;
        finding_fail(finding, "see docs/operations.md, Restore", "%s", problem.detail);
        return;
    }
    finding_ok(finding, "%s is private and ours", data);
    if (access(data, R_OK | W_OK | X_OK) != 0) {
        finding_fail(finding,
                     errno == EROFS
                         ? "look at the disk (dmesg), then mount it so that it is written"
                         : "run as the user that owns it",
                     "%s can't be used: %s", data, strerror(errno));
    }
    check_private(finding, data, status.st_uid);
    static const char *const suffixes[] = {"", "-wal", "-shm", "-peers"};
    for (unsigned i = 0; i < PLACE_DATABASES_ * COUNT_OF(suffixes); i++) {
        const char *path = doctor->place.databases[i / COUNT_OF(suffixes)].path;
        char file[PATH_MAX];
        if (path != NULL) {
            (void)snprintf(file, sizeof file, "%s%s", path, suffixes[i % COUNT_OF(suffixes)]);
            check_private(finding, file, status.st_uid);
        }
    }
}

/* No keys, by errno, or an empty folder of them (0). An installation had some: its folder of
 * objects was made in the same start. */
static void tell_no_keys(const struct doctor *doctor, int cause, struct finding *finding)
{
    const struct place *place = &doctor->place;
    const char *words = cause != 0 ? strerror(cause) : "there is nothing in it";
    struct stat status;
    if (cause != 0 && cause != ENOENT) {
        finding_fail(finding, "run as the user that owns the data directory", "%s: %s", place->keys,
                     words);
    } else if (place->databases[PLACE_USERS].path == NULL) {
        finding_warn(finding,
                     "copy those of the processes that are there already; the first start makes "
                     "new ones, which the others refuse",
                     "%s: %s", place->keys, words);
    } else if (place->objects != NULL && stat(place->objects, &status) == 0) {
        finding_fail(finding,
                     "restore the last backup (docs/operations.md); a start would make others, "
                     "which open nothing that these sealed",
                     "%s: %s, but %s is there", place->keys, words, place->objects);
    } else {
        finding_warn(finding, "the first start makes them", "%s: %s", place->keys, words);
    }
}

void doctor_check_keys(struct doctor *doctor, struct finding *finding)
{
    const char *keys = doctor->place.keys;
    struct stat status;
    DIR *folder = opendir(keys);
    if (folder == NULL || fstat(dirfd(folder), &status) != 0) {
        tell_no_keys(doctor, errno, finding);
        return;
    }
    unsigned count = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[PATH_MAX];
        if (entry->d_name[0] != '.' &&
            (size_t)snprintf(path, sizeof path, "%s/%s", keys, entry->d_name) < sizeof path) {
            check_private(finding, path, status.st_uid);
            count++;
        }
    }
    (void)closedir(folder);
    check_private(finding, keys, status.st_uid);
    if (count == 0) {
        tell_no_keys(doctor, 0, finding);
    }
    finding_ok(finding, "%u files in %s, for their owner alone", count, keys);
}

/* disk */

static void check_room(struct finding *finding, const char *path)
{
    static const uint64_t scarce_bytes = 100000000, low_bytes = 1000000000;
    struct statvfs about;
    if (path == NULL || statvfs(path, &about) != 0 || about.f_blocks == 0) {
        return;
    }
    uint64_t free_bytes = (uint64_t)about.f_bavail * about.f_frsize;
    uint64_t size_bytes = (uint64_t)about.f_blocks * about.f_frsize;
    char text[PROGRESS_BYTES_SIZE];
    (void)progress_bytes(free_bytes, text);
    unsigned percent = (unsigned)((double)free_bytes / (double)size_bytes * 100);
    finding_ok(finding, "%s (%u %%) free for %s", text, percent, path);
    if (free_bytes < scarce_bytes || percent < 2) {
        finding_fail(finding, "make room, or move the objects (docs/operations.md)",
                     "only %s (%u %%) free for %s", text, percent, path);
    } else if (free_bytes < low_bytes || percent < 10) {
        finding_warn(finding, "make room soon", "only %s (%u %%) free for %s", text, percent, path);
    }
    if (about.f_files > 0 && about.f_favail < 1000) {
        finding_fail(finding, "remove small files, or use a file system with more inodes",
                     "room for only %llu more files in %s", (unsigned long long)about.f_favail,
                     path);
    }
}

void doctor_check_disk(struct doctor *doctor, struct finding *finding)
{
    finding_ok(finding, "nothing is stored yet");
    check_room(finding, doctor->place.data);
    check_room(finding, doctor->place.objects);
}

/* clock */

enum { CLOCK_SLACK_MS = 60 * 1000 };

static void check_server_clock(struct db *db, struct finding *finding)
{
    struct problem problem = {0};
    if (db != NULL && db_ping(db) == 0 && db_clock_is_off(db, &problem)) {
        finding_fail(finding, "run chrony or systemd-timesyncd there and here", "%s",
                     problem.detail);
    }
}

void doctor_check_clock(struct doctor *doctor, struct finding *finding)
{
    struct timex about = {.modes = 0};
    finding_ok(finding, "it is synchronised, and behind nothing that is stored");
    if (adjtimex(&about) == TIME_ERROR) {
        finding_warn(finding, "run chrony or systemd-timesyncd",
                     "nobody keeps this machine's clock (the kernel says it is unsynchronised)");
    }
    int64_t now_ms = clock_wall_ms();
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        check_server_clock(doctor->databases[i], finding);
        int64_t newest_ms = 0;
        if (doctor->databases[i] != NULL &&
            bus_newest_time(doctor->databases[i], &newest_ms) == 0 &&
            newest_ms > now_ms + CLOCK_SLACK_MS) {
            finding_fail(finding, "set the clock right: ids and expiries follow it",
                         "the clock is %lld s behind what the database %s holds",
                         (long long)((newest_ms - now_ms) / 1000), doctor->place.databases[i].name);
        }
    }
}

/* limits */

void doctor_check_limits(struct doctor *doctor, struct finding *finding)
{
    static const rlim_t others = 512; /* databases, objects, the log */
    rlim_t wanted = (rlim_t)config_number(doctor->config, CONFIG_LIMIT_CONNECTIONS) + others;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    if (limit.rlim_max < wanted) {
        finding_warn(finding, "raise LimitNOFILE (ulimit -Hn), or lower limits.connections",
                     "%llu descriptors are allowed here, limits.connections wants %llu",
                     (unsigned long long)limit.rlim_max, (unsigned long long)wanted);
        return;
    }
    finding_ok(finding, "%llu descriptors for %lld connections", (unsigned long long)limit.rlim_max,
               (long long)config_number(doctor->config, CONFIG_LIMIT_CONNECTIONS));
}
