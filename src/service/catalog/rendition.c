/* Reading a rendition as the media process told it (catalog.h). It has had files of strangers in
 * its hands, and what it says goes into manifests and databases: every word is checked for its
 * alphabet, every number for its limits, and the fragments must fill the file. Pure; called by
 * transcode's workers before they store anything, and by the consumer of their events.
 */
#include "service/catalog/catalog.h"

#include "base/error.h"
#include "base/text.h"

#include <stdbool.h>
#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static const int64_t bytes_max = (int64_t)1 << 50; /* sums of such numbers don't overflow */
enum { TIMESCALE_MAX = 10000000, CHANNELS_MAX = 255, BITRATE_MAX = 100000 };

struct word {
    const char *name, *alphabet;
    char *out;
    size_t size;
    bool empty_ok;
};

static bool read_word(const json_t *object, const struct word *word)
{
    const json_t *value = json_object_get(object, word->name);
    const char *text = value == NULL ? "" : json_string_value(value);
    return text != NULL && (word->empty_ok || text[0] != '\0') && text[0] != '.' &&
           strspn(text, word->alphabet) == strlen(text) && text_copy(word->out, word->size, text);
}

/* Missing is 0. */
static bool read_number(const json_t *value, int64_t max, int64_t *ret_number)
{
    int64_t number = json_integer_value(value);
    *ret_number = number;
    return (value == NULL || json_is_integer(value)) && number >= 0 && number <= max;
}

static bool read_words(const json_t *object, struct rendition *rendition)
{
    const struct word words[] = {
        {"format", LETTERS, rendition->format, sizeof rendition->format, false},
        {"file", LETTERS "._-", rendition->file, sizeof rendition->file, false},
        {"mime", LETTERS "/.+-", rendition->mime, sizeof rendition->mime, true},
        {"codecs", LETTERS ".", rendition->codecs, sizeof rendition->codecs, true},
    };
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!read_word(object, &words[i])) {
            return false;
        }
    }
    return true;
}

static bool read_numbers(const json_t *object, struct rendition *rendition)
{
    int64_t bitrate = 0, channels = 0;
    const struct {
        const char *name;
        int64_t max, *out;
    } numbers[] = {
        {"bitrate", BITRATE_MAX, &bitrate},
        {"channels", CHANNELS_MAX, &channels},
        {"bytes", bytes_max, &rendition->bytes},
        {"samples", bytes_max, &rendition->samples},
        {"timescale", TIMESCALE_MAX, &rendition->timescale},
        {"initBytes", bytes_max, &rendition->init_bytes},
        {"indexBytes", bytes_max, &rendition->index_bytes},
        {"firstFragmentEnd", bytes_max, &rendition->first_fragment_end},
        {"bandwidthPeak", INT64_MAX, &rendition->bandwidth_peak},
        {"bandwidthAverage", INT64_MAX, &rendition->bandwidth_average},
    };
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (!read_number(json_object_get(object, numbers[i].name), numbers[i].max,
                         numbers[i].out)) {
            return false;
        }
    }
    rendition->bitrate = (unsigned)bitrate;
    rendition->channels = (unsigned)channels;
    return true;
}

static int read_fragments(struct arena *arena, const json_t *list, struct rendition *rendition)
{
    size_t count = json_array_size(list);
    uint32_t *pairs = count > 0 ? arena_array(arena, count, 2 * sizeof *pairs) : NULL;
    if (count > 0 && pairs == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < 2 * count; i++) {
        int64_t number = 0;
        if (!read_number(json_array_get(json_array_get(list, i / 2), i % 2), UINT32_MAX, &number)) {
            return ERR_CORRUPT;
        }
        pairs[i] = (uint32_t)number;
    }
    rendition->fragments = pairs;
    rendition->fragment_count = (unsigned)count;
    return 0;
}

/* Sums must agree with the file, or a player would read beside the fragments. */
static bool is_whole(const struct rendition *rendition)
{
    int64_t bytes = rendition->init_bytes + rendition->index_bytes, samples = 0;
    for (unsigned i = 0; i < rendition->fragment_count; i++) {
        bytes += rendition->fragments[2 * i];
        samples += rendition->fragments[2 * i + 1];
    }
    return rendition->first_fragment_end <= rendition->bytes &&
           (rendition->fragment_count == 0 ||
            (bytes == rendition->bytes && samples == rendition->samples));
}

int catalog_rendition_read(struct arena *arena, const json_t *object, struct rendition *rendition)
{
    *rendition = (struct rendition){.bitrate = 0};
    if (!read_words(object, rendition) || !read_numbers(object, rendition)) {
        return ERR_CORRUPT;
    }
    int error = read_fragments(arena, json_object_get(object, "fragments"), rendition);
    return error == 0 && !is_whole(rendition) ? ERR_CORRUPT : error;
}
