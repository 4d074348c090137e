/* What tutti-media says, as the server reads it: one packet a line, then its end. Whatever it is,
 * the conversation ends, with an answer that is an object or with a reason of the length that is
 * kept; no output is announced that was not asked for, and nothing is taken after the answer.
 *
 * Covers: src/service/transcode/child.c */
#include "fuzz.h"

/* The conversation is a part of this file, and has no header of its own. */
#include "service/transcode/child.c" /* NOLINT(bugprone-suspicious-include) */

enum { PACKETS_MAX = 64 };

struct heard {
    unsigned ticks, done;
};

static int count_tick(void *context)
{
    struct heard *heard = context;
    heard->ticks++;
    return 0;
}

static int count_done(void *context, unsigned output, const json_t *rendition)
{
    struct heard *heard = context;
    (void)rendition;
    FUZZ_CHECK(output < MEDIA_JOB_OUTPUTS_MAX);
    heard->done++;
    return 0;
}

/* The child's side: sent before it is read, since the socket holds them all. */
static void speak(int socket, const uint8_t *data, size_t size)
{
    for (unsigned i = 0; i < PACKETS_MAX && size > 0; i++) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t length = end != NULL ? (size_t)(end - data) : size;
        if (length > 0 && send(socket, data, length, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
            break;
        }
        size -= length + (end != NULL);
        data += length + (end != NULL);
    }
    FUZZ_CHECK(close(socket) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    struct heard heard = {0};
    struct child child = {.packet = malloc(MEDIA_JOB_PACKET_MAX)};
    struct child_failure failure = {0};
    json_t *answer = NULL;
    const struct child_job job = {.silence_ms_max = 10000,
                                  .wall_ms_max = 10000,
                                  .tick = count_tick,
                                  .done = count_done,
                                  .context = &heard};
    FUZZ_CHECK(child.packet != NULL && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    speak(pair[1], data, size);
    child.socket = pair[0];
    int error = converse(&child, &job, &answer, &failure);
    FUZZ_CHECK(error == 0 || error == ERR_INVALID);
    FUZZ_CHECK(error != 0 || json_is_object(answer));
    FUZZ_CHECK((error == 0) == (failure.code[0] == '\0'));
    FUZZ_CHECK(strlen(failure.reason) < sizeof failure.reason);
    json_decref(answer);
    free(child.packet);
    FUZZ_CHECK(close(pair[0]) == 0);
    return 0;
}
