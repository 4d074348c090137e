/* The loop of the media process (job_server.h): one request at a time, on the main thread. */
#include "media/job_server.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "media/sealed.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROGRESS_MS_MIN = 250 };

static const struct {
    const char *name;
    int (*run)(struct job *job, json_t *answer);
    unsigned fds_min;
} handlers[] = {
    {"first", job_first, 2},
    {"ladder", job_ladder, 2},
    {"cover", job_cover, 3},
    {"art", job_art, 2},
    {"tags", job_tags, 1},
    {"tags-picture", job_tags_picture, 2},
    {"fingerprint", job_fingerprint, 1},
};

/* --- out --- */

/* Sends and releases the object. */
static int send_object(int socket, json_t *object)
{
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (text == NULL) {
        return ERR_NO_MEMORY;
    }
    ssize_t sent;
    do {
        sent = send(socket, text, strlen(text), MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    free(text);
    return sent >= 0 ? 0 : errno == EMSGSIZE ? ERR_TOO_LARGE : ERR_CANCELLED;
}

int job_tell_progress(struct job *job, int thousandths)
{
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms - job->told_ms < PROGRESS_MS_MIN) {
        return 0;
    }
    job->told_ms = now_ms;
    return send_object(job->socket, json_pack("{s:i}", "progress", thousandths));
}

int job_tell_done(struct job *job, unsigned output, json_t *rendition)
{
    int error = sealed_finish(job->fds[1 + output]);
    if (error != 0) {
        json_decref(rendition);
        return error;
    }
    return send_object(job->socket,
                       json_pack("{s:i,s:o}", "done", (int)output, "rendition", rendition));
}

static json_t *failure_object(const struct failure *failure)
{
    return json_pack("{s:b,s:s,s:s,s:b}", "ok", 0, "code", failure->code, "reason", failure->reason,
                     "final", failure->final);
}

/* --- in --- */

static void take_descriptors(struct msghdr *message, struct job *job)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL;
         part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
            if (job->fd_count < MEDIA_JOB_FDS_MAX) {
                job->fds[job->fd_count++] = fd;
            } else {
                (void)close(fd);
            }
        }
    }
}

/* Length of the packet, 0 at the end of file, or an error. */
static ssize_t receive(int socket, char *packet, struct job *job)
{
    union {
        char bytes[CMSG_SPACE(MEDIA_JOB_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec vector = {.iov_base = packet, .iov_len = MEDIA_JOB_PACKET_MAX};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t length;
    do {
        length = recvmsg(socket, &message, 0);
    } while (length < 0 && errno == EINTR);
    if (length > 0) {
        take_descriptors(&message, job);
    }
    return length < 0 ? ERR_IO : length;
}

/* The keys of sealed descriptors: a list in the descriptors' order, null for a plain one. */
static int take_keys(struct job *job)
{
    const json_t *list = json_object_get(job->request, "keys");
    int error = 0;
    for (size_t i = 0; error == 0 && i < json_array_size(list) && i < job->fd_count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        unsigned char key[SEAL_KEY_BYTES];
        size_t length = 0;
        if (text == NULL) {
            continue;
        }
        if (!text_base64_decode(text, strlen(text), TEXT_BASE64, key, sizeof key, &length) ||
            length != sizeof key) {
            return ERR_MALFORMED;
        }
        error = sealed_begin(job->fds[i], key, i == 0 ? job->bytes : 0);
        sodium_memzero(key, sizeof key);
    }
    return error;
}

static int finish_outputs(struct job *job)
{
    int error = 0;
    for (unsigned i = 1; error == 0 && i < job->fd_count; i++) {
        error = sealed_finish(job->fds[i]);
    }
    return error;
}

static int run_handler(struct job *job, json_t *answer)
{
    const char *name = json_string_value(json_object_get(job->request, "job"));
    job->bytes = json_integer_value(json_object_get(job->request, "bytes"));
    int error = take_keys(job);
    if (error != 0) {
        return error;
    }
    for (size_t i = 0; name != NULL && i < sizeof handlers / sizeof handlers[0]; i++) {
        if (strcmp(name, handlers[i].name) == 0 && job->fd_count >= handlers[i].fds_min) {
            error = handlers[i].run(job, answer);
            return error != 0 ? error : finish_outputs(job);
        }
    }
    return failure_passing(&job->failure, "internal", "The media process did not know the job.");
}

static int serve(struct job *job, const char *packet, size_t length)
{
    json_t *request CLEANUP_JSON = NULL;
    json_t *answer = json_pack("{s:b}", "ok", 1);
    int result = json_read(packet, length, NULL, &request);
    job->request = request;
    result = result == 0 && answer != NULL ? run_handler(job, answer) : ERR_MALFORMED;
    if (result == ERR_CANCELLED) {
        json_decref(answer);
        return result;
    }
    if (result != 0) {
        (void)failure_passing(&job->failure, "internal", "The media process failed (%s).",
                              error_name(result));
        json_decref(answer);
        answer = failure_object(&job->failure);
    }
    return send_object(job->socket, answer);
}

int job_server_run(int socket)
{
    char *packet = malloc(MEDIA_JOB_PACKET_MAX);
    int result = packet != NULL ? 0 : ERR_NO_MEMORY;
    while (result == 0) {
        struct job job = {.socket = socket};
        ssize_t length = receive(socket, packet, &job);
        if (length == 0) {
            break;
        }
        result = length < 0 ? (int)length : serve(&job, packet, (size_t)length);
        sealed_forget();
        for (unsigned i = 0; i < job.fd_count; i++) {
            (void)close(job.fds[i]);
        }
    }
    free(packet);
    return result == ERR_CANCELLED ? 0 : result;
}
