/* Cursors. Any text that is read as one is what we would have written; a place that is written is
 * read again the same, by its own list alone.
 *
 * Covers: src/service/page.c */
#include "base/text.h"
#include "fuzz.h"
#include "service/page.h"

enum { ARENA_BYTES = 1 << 20 };

static void try_text(struct arena *arena, const char *text)
{
    struct list_place place = {.limit = 7};
    if (cursor_read(arena, 'A', text, &place)) {
        FUZZ_CHECK(strcmp(cursor_write(arena, 'A', &place), text) == 0);
        FUZZ_CHECK(place.id >= 0 && place.disc >= 0 && place.number >= 0);
        FUZZ_CHECK(!cursor_read(arena, 'B', text, &place));
    }
    FUZZ_CHECK(place.limit == 7);
}

static void try_place(struct arena *arena, const struct fuzz_fields *fields)
{
    struct list_place again = {0},
                      place = {
                          .id = strtoll(fuzz_or_empty(fields->text[0]), NULL, 10) & INT64_MAX,
                          .disc = strtoll(fuzz_or_empty(fields->text[1]), NULL, 10) & INT64_MAX,
                          .number = strtoll(fuzz_or_empty(fields->text[2]), NULL, 10) & INT64_MAX,
                          .key = fuzz_or_empty(fields->text[3])};
    const char *text = cursor_write(arena, 'A', &place);
    FUZZ_CHECK(text != NULL);
    if (strlen(text) <= CURSOR_TEXT_MAX && text_is_utf8(place.key, strlen(place.key))) {
        FUZZ_CHECK(cursor_read(arena, 'A', text, &again));
        FUZZ_CHECK(again.id == place.id && again.disc == place.disc);
        FUZZ_CHECK(again.number == place.number && strcmp(again.key, place.key) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(ARENA_BYTES);
    char *text = fuzz_text(data, size);
    FUZZ_FIELDS fields = fuzz_split(data, size, 4);
    FUZZ_CHECK(arena != NULL);
    try_text(arena, text);
    try_place(arena, &fields);
    free(text);
    arena_free(arena);
    return 0;
}
