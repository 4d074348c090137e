/* Where an entry of a playlist leads, whatever it says: nowhere, with the reason, or to a path
 * within the library that is clean text and has no way out; and of a library's files only those are
 * found that are there, each entry or why not.
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

/* A library that is known already, in the order of its folded names. */
static struct listed_file files[] = {
    {"A.mp3", "present", "", 1, "a.mp3"},
    {"a.mp3", "present", "", 2, "a.mp3"},
    {"b.flac", "broken", "It is cut.", 0, "b.flac"},
    {"c.flac", "parted", "", 0, "c.flac"},
    {"c.flac/01", "present", "", 3, "c.flac/01"},
    {"c.flac/02", "present", "", 4, "c.flac/02"},
    {"d.ogg", "dropped", "", 5, "d.ogg"},
};
static struct listed_folder folders[] = {
    {"", "", 1, true, files, 7},
    {"a", "a", 2, true, files, 7},
    {"a/b", "a/B", 3, true, files, 7},
    {"a/b", "a/b", 4, true, files, 7},
};

/* The input's lines as the entries of a playlist that lies in a/b. */
static void find(const char *text, enum list_format format)
{
    enum { ENTRIES_MAX = 100 };
    struct arena *arena = arena_new(0);
    struct list_entry entries[ENTRIES_MAX];
    struct list_file file = {.entries = entries};
    struct listed_library library = {.arena = arena,
                                     .scratch = arena,
                                     .root = "/srv/music",
                                     .folders = folders,
                                     .folder_count = sizeof folders / sizeof folders[0]};
    struct listed_tracks tracks = {.unfound = json_array()};
    FUZZ_CHECK(arena != NULL && tracks.unfound != NULL);
    for (const char *at = text; *at != '\0' && file.count < ENTRIES_MAX;) {
        size_t length = strcspn(at, "\n");
        const char *line = arena_strndup(arena, at, length);
        FUZZ_CHECK(line != NULL);
        entries[file.count] = (struct list_entry){.line = file.count + 1, .location = line};
        file.count++;
        at += length + (at[length] == '\n');
    }
    FUZZ_CHECK(listed_find(&library, "a/b/list.m3u", format, &file, &tracks) == 0);
    FUZZ_CHECK(tracks.found <= file.count &&
               (tracks.first == NULL) == (tracks.found == file.count));
    FUZZ_CHECK(json_array_size(tracks.unfound) <= LIST_UNFOUND_MAX);
    FUZZ_CHECK(tracks.count >= tracks.found && tracks.count <= 2 * tracks.found);
    for (unsigned i = 0; i < tracks.count; i++) {
        FUZZ_CHECK(tracks.ids[i] >= 1 && tracks.ids[i] <= 4);
    }
    json_decref(tracks.unfound);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *location = fuzz_text(data, size);
    if (text_is_utf8(location, strlen(location))) { /* as the readers of playlists give it */
        find(location, LIST_M3U8);
        find(location, LIST_XSPF);
    }
    check("/srv/music", LIST_M3U8, location);
    check("/srv/music", LIST_XSPF, location);
    check("", LIST_M3U, location);
    free(location);
    return 0;
}
