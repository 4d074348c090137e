/* What `tutti doctor` asks of the media pipeline (transcode.h): how the queue is, and whether
 * tutti-media works in its sandbox on this machine. Main thread of the command.
 */
#include "backend/db/db.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/problem.h"
#include "service/transcode/child.h"
#include "service/transcode/transcode.h"
#include "service/transcode/transcode_store.h"

#include <endian.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

enum { RATE = 44100, FRAMES = RATE / 2, WAV_HEAD_BYTES = 44 };
enum { JOB_MS_MAX = 20000, JOB_CPU_S = 10, JOB_BYTES_MAX = 1 << 20 };

struct look {
    struct transcode_queue queue;
    int64_t before_ms;
};

static int look(struct db_session *session, void *argument)
{
    struct look *look = argument;
    int error = job_count_open(session, "waiting", &look->queue.waiting);
    error = error != 0 ? error : job_count_open(session, "running", &look->queue.running);
    return error != 0 ? error : job_count_overdue(session, look->before_ms, &look->queue.overdue);
}

int transcode_queue_look(struct db *catalog, int64_t since_ms, struct transcode_queue *ret_queue)
{
    struct look looking = {.before_ms = clock_wall_ms() - since_ms};
    int error = db_read(catalog, look, &looking);
    if (error == 0) {
        *ret_queue = looking.queue;
    }
    return error;
}

/* Half a second of a tone: mono, 16 bit, in the simplest container there is (RIFF WAVE). */
static int write_sound(int fd)
{
    const uint32_t bytes = FRAMES * sizeof(int16_t);
    uint16_t head[WAV_HEAD_BYTES / 2] = {0};
    memcpy(head, "RIFF....WAVEfmt ", 16);
    const uint32_t words[] = {htole32(bytes + WAV_HEAD_BYTES - 8), htole32(16), htole32(RATE),
                              htole32(RATE * 2), htole32(bytes)};
    const uint16_t shorts[] = {htole16(1), htole16(1), htole16(2), htole16(16)};
    memcpy(head + 2, &words[0], 4);
    memcpy(head + 8, &words[1], 4);
    memcpy(head + 10, shorts, 4);
    memcpy(head + 12, &words[2], 4);
    memcpy(head + 14, &words[3], 4);
    memcpy(head + 16, shorts + 2, 4);
    memcpy(head + 18, "data", 4);
    memcpy(head + 20, &words[4], 4);
    int16_t *samples CLEANUP_FREE = malloc(bytes);
    for (int i = 0; samples != NULL && i < FRAMES; i++) {
        samples[i] = (int16_t)htole16((uint16_t)(int16_t)(8000 * sin(i * 440 * 2 * M_PI / RATE)));
    }
    return samples != NULL && write(fd, head, sizeof head) == sizeof head &&
                   write(fd, samples, bytes) == (ssize_t)bytes
               ? 0
               : ERR_NO_MEMORY;
}

static int go_on(void *context)
{
    (void)context;
    return 0;
}

static int no_sandbox(struct problem *problem)
{
    return problem_set(problem, ERR_UNAVAILABLE,
                       "tutti-media works, but the kernel does not filter its system calls");
}

static int encode(struct child *child, int source, int output, struct problem *problem)
{
    json_t *request CLEANUP_JSON =
        json_pack("{s:s, s:i, s:[{s:s, s:i}]}", "job", "first", "bytes",
                  WAV_HEAD_BYTES + FRAMES * 2, "outputs", "format", "aac", "bitrate", 160);
    const int fds[] = {source, output};
    const struct child_job job = {.request = request,
                                  .fds = fds,
                                  .fd_count = COUNT_OF(fds),
                                  .cpu_s_max = JOB_CPU_S,
                                  .silence_ms_max = JOB_MS_MAX,
                                  .wall_ms_max = JOB_MS_MAX,
                                  .file_bytes_max = JOB_BYTES_MAX,
                                  .tick = go_on};
    struct child_failure failure = {.code = ""};
    json_t *answer CLEANUP_JSON = NULL;
    int error = request != NULL ? child_run(child, &job, &answer, &failure) : ERR_NO_MEMORY;
    if (error != 0) {
        return problem_set(problem, ERR_UNAVAILABLE, "tutti-media can't encode a test sound: %s",
                           failure.reason[0] != '\0' ? failure.reason : error_title(error));
    }
    return child_is_filtered(child) == 0 ? no_sandbox(problem) : 0;
}

int transcode_media_check(const char *media_path, struct problem *problem)
{
    if (access(media_path, X_OK) != 0) {
        return problem_set(problem, ERR_UNAVAILABLE, "%s is no program that can be run",
                           media_path);
    }
    int source CLEANUP_CLOSE = memfd_create("sound", MFD_CLOEXEC);
    int output CLEANUP_CLOSE = memfd_create("rendition", MFD_CLOEXEC);
    struct child *child = child_new(media_path, 0);
    int error = child == NULL || source < 0 || output < 0 ? ERR_NO_MEMORY : write_sound(source);
    error = error != 0 ? error : encode(child, source, output, problem);
    child_free(child);
    return error;
}
