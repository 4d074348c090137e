/* Starting, feeding and ending tutti-media (child.h). Called by the workers (worker.c).
 *
 * The child gets an empty environment, /dev/null for its standard streams and one socket; all other
 * descriptors are closed. It dies with us: its socket then reads end of file, or its next word of
 * progress fails.
 */
#include "service/transcode/child.h"

#include "backend/blob/blob.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "media/job.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 400, END_MS = 1000, EXIT_SANDBOX = 3 };

struct child {
    char *path;
    int niceness;
    pid_t pid; /* 0: none */
    int socket;
    char *packet;       /* MEDIA_JOB_PACKET_MAX bytes while the process runs */
    int64_t cpu_ms_max; /* of the process in all: the job at hand may bring it so far */
};

struct child *child_new(const char *path, int niceness)
{
    struct child *child = calloc(1, sizeof *child);
    if (child != NULL) {
        child->socket = -1;
        child->niceness = niceness;
        child->path = strdup(path);
    }
    if (child == NULL || child->path == NULL) {
        free(child);
        return NULL;
    }
    return child;
}

void child_free(struct child *child)
{
    if (child != NULL) {
        child_end(child);
        free(child->path);
        free(child);
    }
}

bool child_runs(const struct child *child)
{
    return child->pid != 0;
}

int child_is_filtered(const struct child *child)
{
    char path[64], line[128];
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)child->pid);
    FILE *status = child->pid != 0 ? fopen(path, "re") : NULL;
    int mode = -1;
    while (status != NULL && mode < 0 && fgets(line, sizeof line, status) != NULL) {
        (void)sscanf(line, "Seccomp: %d", &mode);
    }
    if (status != NULL) {
        (void)fclose(status);
    }
    return mode < 0 ? -1 : mode == 2;
}

/* --- start and end --- */

static int set_actions(posix_spawn_file_actions_t *actions, int socket)
{
    int failed = 0;
    for (int fd = 0; fd <= 2; fd++) {
        failed |= posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0);
    }
    failed |= posix_spawn_file_actions_adddup2(actions, socket, MEDIA_JOB_FD);
    failed |= posix_spawn_file_actions_addclosefrom_np(actions, MEDIA_JOB_FD + 1);
    return failed;
}

static int set_signals(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    return posix_spawnattr_setsigmask(attributes, &none) |
           posix_spawnattr_setsigdefault(attributes, &all) |
           posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static int spawn(const char *path, int socket, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char name[] = "tutti-media";
    char *arguments[] = {name, NULL}, *environment[] = {NULL};
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return ERR_NO_MEMORY;
    }
    if (posix_spawnattr_init(&attributes) != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return ERR_NO_MEMORY;
    }
    int failed = set_actions(&actions, socket) | set_signals(&attributes);
    if (failed == 0) {
        failed = posix_spawn(ret_pid, path, &actions, &attributes, arguments, environment);
    }
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return failed == 0 ? 0 : ERR_UNAVAILABLE;
}

static int start(struct child *child)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return error_from_errno(errno);
    }
    child->packet = malloc(MEDIA_JOB_PACKET_MAX);
    int result = child->packet != NULL ? spawn(child->path, pair[1], &child->pid) : ERR_NO_MEMORY;
    (void)close(pair[1]);
    if (result != 0) {
        free(TAKE_PTR(child->packet));
        (void)close(pair[0]);
        child->pid = 0;
        return result;
    }
    child->socket = pair[0];
    (void)setpriority(PRIO_PROCESS, (id_t)child->pid, child->niceness);
    return 0;
}

/* Waits for the process that is about to end; kills it when it takes too long. */
static int reap(struct child *child, int64_t wait_ms)
{
    int status = 0;
    int64_t deadline_ms = clock_monotonic_ms() + wait_ms;
    while (waitpid(child->pid, &status, WNOHANG) == 0) {
        if (clock_monotonic_ms() >= deadline_ms) {
            (void)kill(child->pid, SIGKILL);
            (void)waitpid(child->pid, &status, 0);
            break;
        }
        (void)poll(NULL, 0, 5);
    }
    child->pid = 0;
    return status;
}

static int stop(struct child *child, int64_t wait_ms)
{
    if (child->pid == 0) {
        return 0;
    }
    (void)close(child->socket);
    child->socket = -1;
    free(TAKE_PTR(child->packet));
    return reap(child, wait_ms);
}

void child_end(struct child *child)
{
    (void)stop(child, END_MS); /* end of file asks it to leave */
}

/* --- a job --- */

static int fail(struct child_failure *failure, bool final, const char *code, const char *reason)
{
    (void)snprintf(failure->code, sizeof failure->code, "%s", code);
    (void)snprintf(failure->reason, sizeof failure->reason, "%s", reason);
    failure->final = final;
    return ERR_INVALID;
}

static int fail_computing(struct child_failure *failure)
{
    return fail(failure, false, "out-of-limits",
                "The file took more computing time than one job may have.");
}

/* Computing time of all its threads since it began. */
static int64_t cpu_ms(const struct child *child)
{
    clockid_t clock;
    struct timespec used = {0};
    if (clock_getcpuclockid(child->pid, &clock) == 0) {
        (void)clock_gettime(clock, &used);
    }
    return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

/* The kernel's own limit ends an honest decoder on the spot, whatever we do meanwhile. It is a
 * signal, which the process can ignore, and a hard one could not be raised for the next job: so
 * computes_too_long looks, too. */
static void limit_cpu(struct child *child, int64_t cpu_s_max)
{
    struct rlimit limits;
    child->cpu_ms_max = cpu_ms(child) + cpu_s_max * 1000;
    if (prlimit(child->pid, RLIMIT_CPU, NULL, &limits) == 0) {
        limits.rlim_cur = (rlim_t)(child->cpu_ms_max / 1000);
        (void)prlimit(child->pid, RLIMIT_CPU, &limits, NULL);
    }
}

/* Soft: the next job may write more. Who ignores its signal fails to write all the same. */
static void limit_files(const struct child *child, int64_t file_bytes_max)
{
    struct rlimit limits;
    if (prlimit(child->pid, RLIMIT_FSIZE, NULL, &limits) == 0) {
        limits.rlim_cur =
            (rlim_t)file_bytes_max < limits.rlim_max ? (rlim_t)file_bytes_max : limits.rlim_max;
        (void)prlimit(child->pid, RLIMIT_FSIZE, &limits, NULL);
    }
}

/* Seen from outside: what runs in the child can't undo it. */
static bool computes_too_long(const struct child *child)
{
    return cpu_ms(child) > child->cpu_ms_max;
}

static int send_request(struct child *child, const struct child_job *job)
{
    union {
        char bytes[CMSG_SPACE(MEDIA_JOB_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    if (job->fd_count < 1 || job->fd_count > MEDIA_JOB_FDS_MAX) {
        return ERR_INVALID;
    }
    char *text = json_dumps(job->request, JSON_COMPACT);
    if (text == NULL) {
        return ERR_NO_MEMORY;
    }
    memset(&control, 0, sizeof control);
    struct iovec vector = {.iov_base = text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_SPACE(job->fd_count * sizeof(int))};
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(job->fd_count * sizeof(int));
    memcpy(CMSG_DATA(part), job->fds, job->fd_count * sizeof(int));
    ssize_t sent;
    do {
        sent = sendmsg(child->socket, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    free(text);
    return sent >= 0 ? 0 : ERR_UNAVAILABLE;
}

/* 1: a packet, 0: end of file, ERR_TIMEOUT: nothing within a tick. */
static int receive(struct child *child, json_t **ret_object)
{
    struct pollfd waiting = {.fd = child->socket, .events = POLLIN};
    int ready = poll(&waiting, 1, TICK_MS);
    if (ready == 0 || (ready < 0 && errno == EINTR)) {
        return ERR_TIMEOUT;
    }
    ssize_t length = recv(child->socket, child->packet, MEDIA_JOB_PACKET_MAX, 0);
    if (length <= 0) {
        return 0;
    }
    int result = json_read(child->packet, (size_t)length, NULL, ret_object);
    return result != 0 ? result : json_is_object(*ret_object) ? 1 : ERR_MALFORMED;
}

/* It is gone, or we end it: what shall the artist read? */
static int died(struct child *child, struct child_failure *failure)
{
    char reason[160];
    int status = stop(child, 100);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU) {
        return fail_computing(failure);
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ) {
        return fail(failure, false, "out-of-limits",
                    "What is made of the file became longer than one job may write.");
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SANDBOX) {
        return fail(failure, false, "internal",
                    "The media process can't be started safely on this system.");
    }
    (void)snprintf(reason, sizeof reason,
                   "The media process ended in the middle of the work (%s %d).",
                   WIFSIGNALED(status) ? "signal" : "status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return fail(failure, false, "crashed", reason);
}

static int take_answer(const json_t *answer, struct child_failure *failure)
{
    if (json_is_true(json_object_get(answer, "ok"))) {
        return 0;
    }
    const char *code = json_string_value(json_object_get(answer, "code"));
    const char *reason = json_string_value(json_object_get(answer, "reason"));
    return fail(failure, json_is_true(json_object_get(answer, "final")),
                code != NULL && code[0] != '\0' ? code : "internal",
                reason != NULL && reason[0] != '\0' ? reason : "The media process gave no reason.");
}

/* One packet: 1 when it was the answer (then *ret_answer), 0 when there is more to come. */
static int take(const struct child_job *job, json_t *object, json_t **ret_answer)
{
    const json_t *output = json_object_get(object, "done");
    if (json_object_get(object, "ok") != NULL) {
        *ret_answer = json_incref(object);
        return 1;
    }
    if (output == NULL || job->done == NULL) {
        return 0;
    }
    json_int_t index = json_integer_value(output);
    if (index < 0 || index >= MEDIA_JOB_OUTPUTS_MAX) {
        return ERR_MALFORMED;
    }
    return job->done(job->context, (unsigned)index, json_object_get(object, "rendition"));
}

static int converse(struct child *child, const struct child_job *job, json_t **ret_answer,
                    struct child_failure *failure)
{
    int64_t begin_ms = clock_monotonic_ms(), heard_ms = begin_ms;
    for (;;) {
        CLEANUP_JSON json_t *object = NULL;
        int result = receive(child, &object);
        if (result == 0) {
            return died(child, failure);
        }
        if (result > 0) {
            result = take(job, object, ret_answer);
            heard_ms = clock_monotonic_ms();
            if (result > 0) {
                return take_answer(*ret_answer, failure);
            }
        }
        if (computes_too_long(child)) {
            return fail_computing(failure);
        }
        int64_t now_ms = clock_monotonic_ms();
        if (now_ms - heard_ms > job->silence_ms_max || now_ms - begin_ms > job->wall_ms_max) {
            return fail(failure, false, "out-of-limits", "The work on the file came to a halt.");
        }
        if (result == 0 || result == ERR_TIMEOUT) {
            result = job->tick(job->context);
        }
        if (result == ERR_MALFORMED) {
            return fail(failure, false, "crashed", "The media process spoke nonsense.");
        }
        if (result != 0) {
            return result;
        }
    }
}

int child_run(struct child *child, const struct child_job *job, json_t **ret_answer,
              struct child_failure *failure)
{
    json_t *answer = NULL;
    int result = child->pid != 0 ? 0 : start(child);
    if (result != 0) {
        return fail(failure, false, "internal", "The media process can't be started.");
    }
    limit_cpu(child, job->cpu_s_max);
    limit_files(child, job->file_bytes_max);
    result = send_request(child, job);
    result = result == ERR_UNAVAILABLE ? died(child, failure) : result;
    if (result == 0) {
        result = converse(child, job, &answer, failure);
    }
    if (result != 0 && answer == NULL) { /* in the middle of it: it can't be spoken to any more */
        if (child->pid != 0) {
            (void)kill(child->pid, SIGKILL);
        }
        (void)stop(child, END_MS);
    }
    if (result != 0) {
        json_decref(answer);
        return result;
    }
    *ret_answer = answer;
    return 0;
}

int child_add_keys(json_t *request, const struct blob_source *const *files, unsigned count)
{
    json_t *keys = json_array();
    int failed = 0;
    for (unsigned i = 0; i < count; i++) {
        char text[sodium_base64_ENCODED_LEN(SEAL_KEY_BYTES, sodium_base64_VARIANT_ORIGINAL)];
        (void)sodium_bin2base64(text, sizeof text, files[i]->key, sizeof files[i]->key,
                                sodium_base64_VARIANT_ORIGINAL);
        failed |= json_array_append_new(keys, files[i]->sealed ? json_string(text) : json_null());
        sodium_memzero(text, sizeof text);
    }
    failed |= json_object_set_new(request, "keys", keys);
    return failed == 0 ? 0 : ERR_NO_MEMORY;
}
