/* A sound file, from its first byte to its last sample. Whatever it is, it is decoded or refused
 * with one of the codes that the API promises; what is decoded has a rate, channels and samples
 * within the limits, and a file that was taken is long enough for what its header says.
 *
 * Covers: src/media/decode.c src/media/probe.c src/media/ogg.c src/media/mp4.c src/media/io.c
 * src/media/samples.c src/media/failure.c src/media/tags.c */
#include "fuzz_media.h"
#include "media/decode.h"
#include "media/samples.h"
#include "media/tags.h"

#include <math.h>

enum { FRAMES_MAX = 1 << 20 }; /* further it goes on as it went */

static void check_block(const struct sound *sound, const float *const *planes, unsigned frames)
{
    for (unsigned channel = 0; channel < sound->pcm.channels; channel++) {
        for (unsigned i = 0; i < frames; i++) {
            FUZZ_CHECK(fabsf(planes[channel][i]) <= (float)SAMPLES_PEAK_MAX);
        }
    }
}

/* 0 at the end, 1 when it was left before, or negative. */
static int decode_all(struct decoder *decoder, struct failure *failure)
{
    const float *const *planes;
    unsigned frames;
    int result = 1;
    while (result > 0 && decoder_frames(decoder) < FRAMES_MAX) {
        result = decoder_next(decoder, &planes, &frames, failure);
        if (result > 0) {
            FUZZ_CHECK(frames > 0);
            check_block(decoder_sound(decoder), planes, frames);
        }
    }
    return result;
}

static void check_tags(struct decoder *decoder)
{
    const uint8_t *picture = NULL;
    const char *type = NULL;
    int size = 0;
    if (tags_picture(decoder_container(decoder), &picture, &size, &type)) {
        FUZZ_CHECK(size > 0 && size <= TAGS_PICTURE_BYTES_MAX && strncmp(type, "image/", 6) == 0);
    }
    json_t *tags = tags_read(decoder_container(decoder));
    FUZZ_CHECK(json_is_object(tags));
    json_decref(tags);
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    fuzz_media_begin();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct failure failure = {0};
    struct decoder *decoder = NULL;
    int fd = fuzz_file(data, size);
    int result = decoder_open(fd, (int64_t)size, &failure, &decoder);
    FUZZ_CHECK((result == 0) == (decoder != NULL));
    if (result == 0) {
        const struct sound *sound = decoder_sound(decoder);
        FUZZ_CHECK(sound->pcm.rate >= MEDIA_RATE_MIN && sound->pcm.rate <= MEDIA_RATE_MAX);
        FUZZ_CHECK(sound->pcm.channels >= 1 && sound->pcm.channels <= MEDIA_CHANNELS_MAX);
        FUZZ_CHECK(sound->container[0] != '\0' && sound->codec[0] != '\0');
        result = decode_all(decoder, &failure);
        FUZZ_CHECK(result != 0 || decoder_frames(decoder) > 0);
        FUZZ_CHECK(decoder_progress(decoder) >= 0 && decoder_progress(decoder) <= 1000);
        check_tags(decoder);
    }
    fuzz_check_failure(result, &failure);
    decoder_free(decoder);
    FUZZ_CHECK(close(fd) == 0);
    return 0;
}
