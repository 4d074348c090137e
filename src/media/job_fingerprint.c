/* The job "fingerprint" (job.h): the beginning of a sound, by which it is found again. Called by
 * job_server.c, on the main thread; nothing is encoded. */
#include "base/error.h"
#include "media/decode.h"
#include "media/fingerprint.h"
#include "media/job_server.h"

#include <sodium.h>

static int decode_beginning(struct job *job, struct decoder *decoder,
                            struct fingerprint *fingerprint)
{
    const float *const *planes;
    unsigned frames;
    int result = 1;
    while (result > 0 && !fingerprint_is_full(fingerprint)) {
        result = decoder_next(decoder, &planes, &frames, &job->failure);
        if (result > 0 && frames > 0 && fingerprint_write(fingerprint, planes, frames) != 0) {
            return failure_no_memory(&job->failure);
        }
        int told = job_tell_progress(job, decoder_progress(decoder));
        if (told != 0) {
            return told;
        }
    }
    return result < 0 ? result : 0;
}

static json_t *words_json(const uint32_t *words, unsigned count)
{
    static uint8_t bytes[FINGERPRINT_WORDS_MAX * 4];
    static char text[sodium_base64_ENCODED_LEN(sizeof bytes, sodium_base64_VARIANT_ORIGINAL)];
    for (unsigned i = 0; i < count * 4; i++) {
        bytes[i] = (uint8_t)(words[i / 4] >> (8 * (i % 4)));
    }
    (void)sodium_bin2base64(text, sizeof text, bytes, (size_t)count * 4,
                            sodium_base64_VARIANT_ORIGINAL);
    return json_string(text);
}

static int fingerprint_of(struct job *job, struct decoder *decoder, json_t *answer)
{
    static uint32_t words[FINGERPRINT_WORDS_MAX];
    unsigned count = 0;
    struct fingerprint *fingerprint = fingerprint_new(&decoder_sound(decoder)->pcm);
    int result = fingerprint != NULL ? decode_beginning(job, decoder, fingerprint)
                                     : failure_no_memory(&job->failure);
    if (result == 0 && fingerprint_words(fingerprint, words, &count) != 0) {
        result = failure_no_memory(&job->failure);
    }
    fingerprint_free(fingerprint);
    if (result != 0) {
        return result;
    }
    return json_object_set_new(answer, "words", words_json(words, count)) == 0 ? 0 : ERR_NO_MEMORY;
}

int job_fingerprint(struct job *job, json_t *answer)
{
    struct decoder *decoder = NULL;
    int result = job_decoder_open(job, &decoder);
    result = result != 0 ? result : fingerprint_of(job, decoder, answer);
    decoder_free(decoder);
    return result;
}
