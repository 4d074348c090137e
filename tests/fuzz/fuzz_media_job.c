/* A request to the media process: the first byte says how many descriptors come with it (a short
 * sound, then places to write to), the rest is the packet. Whatever it is, there is one answer that
 * is the last, {"ok":true} or a failure with a code of the list; outputs are announced within those
 * that came; and no descriptor stays open.
 *
 * Covers: src/media/job_server.c src/media/job_sound.c src/media/job_cover.c
 * src/media/job_tags.c src/media/job_fingerprint.c src/media/sealed.c */
#include "fuzz_media.h"
#include "media/job_server.h"

#include <jansson.h>
#include <sys/socket.h>

enum { SAMPLES = 400, PACKETS_MAX = 64 };

static uint8_t sound[44 + 2 * SAMPLES];

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    static const uint8_t head[44] = {'R', 'I', 'F',  'F',  0x44, 0x03, 0,    0,    'W',  'A', 'V',
                                     'E', 'f', 'm',  't',  ' ',  16,   0,    0,    0,    1,   0,
                                     1,   0,   0x40, 0x1f, 0,    0,    0x80, 0x3e, 0,    0,   2,
                                     0,   16,  0,    'd',  'a',  't',  'a',  0x20, 0x03, 0,   0};
    (void)argument_count;
    (void)arguments;
    fuzz_media_begin();
    memcpy(sound, head, sizeof head);
    for (size_t i = sizeof head; i < sizeof sound; i++) {
        sound[i] = (uint8_t)(i * 37);
    }
    return 0;
}

/* The server's side: the packet with its descriptors, then no more. */
static void ask(int socket, const uint8_t *packet, size_t size, unsigned fd_count)
{
    int fds[MEDIA_JOB_FDS_MAX + 1];
    union {
        char bytes[CMSG_SPACE(sizeof fds)];
        struct cmsghdr align;
    } control = {{0}};
    for (unsigned i = 0; i < fd_count; i++) {
        fds[i] = fuzz_file(sound, i == 0 ? sizeof sound : 0);
    }
    struct iovec vector = {.iov_base = (void *)packet, .iov_len = size};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (fd_count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(part), fds, fd_count * sizeof(int));
    }
    FUZZ_CHECK(sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)size);
    FUZZ_CHECK(shutdown(socket, SHUT_WR) == 0);
    for (unsigned i = 0; i < fd_count; i++) {
        FUZZ_CHECK(close(fds[i]) == 0);
    }
}

/* One packet of the answer; true for the last. */
static bool check_said(const json_t *said, unsigned fd_count)
{
    const json_t *ok = json_object_get(said, "ok"), *done = json_object_get(said, "done");
    if (json_is_false(ok)) {
        const char *code = json_string_value(json_object_get(said, "code"));
        const char *reason = json_string_value(json_object_get(said, "reason"));
        FUZZ_CHECK(code != NULL && fuzz_is_code(code));
        FUZZ_CHECK(reason != NULL && reason[0] != '\0');
        FUZZ_CHECK(json_is_boolean(json_object_get(said, "final")));
    } else if (done != NULL) {
        FUZZ_CHECK(json_integer_value(done) >= 0 && json_integer_value(done) + 1 < fd_count);
        FUZZ_CHECK(json_is_object(json_object_get(said, "rendition")));
    } else {
        FUZZ_CHECK(json_is_true(ok) || json_is_integer(json_object_get(said, "progress")));
    }
    return ok != NULL;
}

static void hear(int socket, unsigned fd_count)
{
    static char packet[MEDIA_JOB_PACKET_MAX];
    unsigned answers = 0;
    for (unsigned i = 0; i < PACKETS_MAX; i++) {
        ssize_t length = recv(socket, packet, sizeof packet, MSG_DONTWAIT);
        if (length <= 0) {
            break;
        }
        FUZZ_CHECK(answers == 0);
        json_t *said = json_loadb(packet, (size_t)length, 0, NULL);
        FUZZ_CHECK(json_is_object(said));
        answers += check_said(said, fd_count);
        json_decref(said);
    }
    FUZZ_CHECK(answers == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    if (size < 2) {
        return 0;
    }
    unsigned fd_count = data[0] % (MEDIA_JOB_FDS_MAX + 1);
    int before = dup(STDERR_FILENO);
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    ask(pair[0], data + 1, size - 1, fd_count);
    FUZZ_CHECK(job_server_run(pair[1]) == 0);
    hear(pair[0], fd_count);
    FUZZ_CHECK(close(pair[0]) == 0 && close(pair[1]) == 0 && close(before) == 0);
    int after = dup(STDERR_FILENO);
    FUZZ_CHECK(after == before); /* the lowest that is free is the one that was */
    FUZZ_CHECK(close(after) == 0);
    return 0;
}
