/* A sound file whose tags are read without decoding it. Whatever it is, it is read or refused with
 * a code of the list; what is read has clean texts of their length, numbers from 1 to 9999, finite
 * gains; and its picture comes whole or not at all.
 *
 * Covers: src/media/tags_file.c src/media/tagfile.cc src/media/sound_hash.c */
#include "base/error.h"
#include "base/text.h"
#include "fuzz_media.h"
#include "media/sound_hash.h"
#include "media/tagfile.h"
#include "media/tags.h"
#include "media/tags_file.h"

#include <math.h>

static void check_text(const char *name, const json_t *value)
{
    const char *text = json_string_value(value);
    bool lyrics = strstr(name, "yrics") != NULL;
    size_t most = 4 * (size_t)(lyrics ? TAGS_LYRICS_MAX : TAGS_TEXT_MAX);
    FUZZ_CHECK(text[0] != '\0' && strlen(text) <= most && text_is_utf8(text, strlen(text)));
}

static void check_value(const char *name, const json_t *value)
{
    size_t i;
    json_t *one;
    if (json_is_string(value)) {
        check_text(name, value);
    } else if (json_is_integer(value)) {
        FUZZ_CHECK(json_integer_value(value) >= 1 && json_integer_value(value) <= 9999);
    } else if (json_is_real(value)) {
        FUZZ_CHECK(isfinite(json_real_value(value)));
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, one)
        {
            check_text(name, one);
        }
    } else {
        FUZZ_CHECK(json_is_true(value));
    }
}

static void check_object(const json_t *object)
{
    const char *name;
    json_t *value, *tags = json_object_get(object, "tags");
    const char *hash = json_string_value(json_object_get(object, "hash"));
    const json_t *sound = json_object_get(object, "sound");
    FUZZ_CHECK(hash != NULL && strlen(hash) == SOUND_HASH_TEXT - 1);
    FUZZ_CHECK(json_integer_value(json_object_get(sound, "rate")) > 0);
    FUZZ_CHECK(json_integer_value(json_object_get(sound, "durationMs")) > 0);
    json_object_foreach(tags, name, value)
    {
        check_value(name, value);
    }
}

static int count_bytes(void *context, const void *bytes, size_t length)
{
    FUZZ_CHECK(bytes != NULL && length > 0);
    *(size_t *)context += length;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct failure failure = {0};
    json_t *object = NULL;
    size_t picture = 0;
    int fd = fuzz_file(data, size);
    int result = tags_file_read(fd, (int64_t)size, &failure, &object);
    fuzz_check_failure(result, &failure);
    if (result == 0) {
        check_object(object);
    }
    bool has_art = json_is_true(json_object_get(object, "hasArt"));
    result = tagfile_picture(fd, (int64_t)size, count_bytes, &picture);
    FUZZ_CHECK((result == 0) == (picture > 0));
    FUZZ_CHECK(!has_art || result == 0);
    json_decref(object);
    FUZZ_CHECK(close(fd) == 0);
    return 0;
}
