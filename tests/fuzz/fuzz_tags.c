/* The tags of a container, a line each: NAME=VALUE. What is kept is clean: of the names that we
 * have, texts in UTF-8 without control characters and of their length, numbers from 1 to 9999.
 *
 * Covers: src/media/tags.c */
#include "base/text.h"
#include "fuzz_media.h"
#include "media/tags.h"

#include <libavformat/avformat.h>

static void check_text(const char *name, const char *value)
{
    bool lyrics = strcmp(name, "lyrics") == 0;
    size_t characters = 0;
    FUZZ_CHECK(value[0] != '\0' && text_is_utf8(value, strlen(value)));
    for (const char *at = value; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        FUZZ_CHECK(byte >= 0x20 || (lyrics && (byte == '\n' || byte == '\t')));
        FUZZ_CHECK(byte != 0x7f);
        characters += (byte & 0xc0) != 0x80;
    }
    FUZZ_CHECK(characters <= (lyrics ? TAGS_LYRICS_MAX : TAGS_TEXT_MAX));
}

static void check_tags(json_t *tags)
{
    const char *name;
    json_t *value;
    json_object_foreach(tags, name, value)
    {
        FUZZ_CHECK(json_is_string(value) || json_is_integer(value));
        if (json_is_string(value)) {
            check_text(name, json_string_value(value));
        } else {
            FUZZ_CHECK(json_integer_value(value) >= 1 && json_integer_value(value) <= 9999);
        }
    }
    char *text = json_dumps(tags, JSON_COMPACT);
    FUZZ_CHECK(text != NULL);
    free(text);
}

/* Every second line is a tag of the stream, as Ogg has them. */
static void take_line(AVFormatContext *container, unsigned number, const uint8_t *line, size_t size)
{
    char *name = fuzz_text(line, size), *equals = strchr(name, '=');
    if (equals != NULL) {
        *equals = '\0';
        AVDictionary **tags =
            number % 2 == 0 ? &container->metadata : &container->streams[0]->metadata;
        FUZZ_CHECK(av_dict_set(tags, name, equals + 1, 0) >= 0);
    }
    free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AVFormatContext *container = avformat_alloc_context();
    AVStream *stream = container != NULL ? avformat_new_stream(container, NULL) : NULL;
    FUZZ_CHECK(stream != NULL);
    stream->codecpar->codec_type = AVMEDIA_TYPE_AUDIO;
    for (unsigned number = 0; size > 0; number++) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t length = end != NULL ? (size_t)(end - data) : size;
        take_line(container, number, data, length);
        size -= length + (end != NULL);
        data += length + (end != NULL);
    }
    json_t *tags = tags_read(container);
    FUZZ_CHECK(json_is_object(tags));
    check_tags(tags);
    json_decref(tags);
    avformat_free_context(container);
    return 0;
}
