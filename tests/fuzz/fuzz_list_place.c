/* Where an entry of a playlist leads, whatever it says: nowhere, with the reason, or to a path
 * within the library that is clean text and has no way out.
 *
 * Covers: src/service/ingest/import/lists_find.c */
#include "base/text.h"
#include "fuzz.h"
#include "service/ingest/import/lists.h"

static void check(const char *root, enum list_format format, const char *location)
{
    struct arena *arena = arena_new(0);
    const struct listed_library library = {.root = root, .scratch = arena};
    const char *reason = NULL;
    FUZZ_CHECK(arena != NULL);
    const char *place = listed_place(&library, format, "a/b", location, &reason);
    FUZZ_CHECK(place != NULL || reason != NULL);
    if (place != NULL) {
        char *around = arena_printf(arena, "/%s/", place);
        FUZZ_CHECK(around != NULL && text_is_utf8(place, strlen(place)));
        FUZZ_CHECK(place[0] != '/' && strstr(around, "/../") == NULL);
        FUZZ_CHECK(strstr(around, "/./") == NULL);
        for (const char *at = place; *at != '\0'; at++) {
            FUZZ_CHECK((unsigned char)*at >= 0x20 && *at != 0x7f && *at != '\\');
        }
    }
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *location = fuzz_text(data, size);
    check("/srv/music", LIST_M3U8, location);
    check("/srv/music", LIST_XSPF, location);
    check("", LIST_M3U, location);
    free(location);
    return 0;
}
