/* What paths tell of music, and paths as text. Whatever bytes a path has: as text it is UTF-8
 * without control characters and comes back as it was; its album and title are never empty, its
 * numbers never negative; a disc's mark lies within its title, a sound is no cover; and lyrics
 * beside it are clean text.
 *
 * Covers: src/service/ingest/import/names.c */
#include "base/text.h"
#include "fuzz.h"
#include "service/ingest/import/names.h"

static void check_text(const char *text)
{
    FUZZ_CHECK(text != NULL && text_is_utf8(text, strlen(text)));
    for (const char *at = text; *at != '\0'; at++) {
        FUZZ_CHECK((unsigned char)*at >= 0x20 && *at != 0x7f);
    }
}

static void check_names(struct arena *arena, const char *folder, const char *file)
{
    struct path_names names;
    FUZZ_CHECK(path_names(arena, "Music", folder, file, &names) == 0);
    check_text(names.artist);
    check_text(names.album);
    check_text(names.title);
    FUZZ_CHECK(names.album[0] != '\0' && names.title[0] != '\0');
    FUZZ_CHECK(names.disc >= 0 && names.number >= 0);
    FUZZ_CHECK(strlen(names.year) == 0 || strlen(names.year) == 4);
}

/* What a name says of a file beside the sound, and what a title says of its disc. */
static void check_marks(struct arena *arena, const char *folder, const char *file)
{
    struct path_disc disc = {.number = -1};
    int64_t number = -1;
    const char *type = path_sound_type(file), *album = path_album_folder(arena, folder, &number);
    FUZZ_CHECK(type == NULL || strncmp(type, "audio/", 6) == 0 || strncmp(type, "video/", 6) == 0);
    FUZZ_CHECK(type == NULL || (path_cover_rank(file) == 0 && !path_may_be_cover(file)));
    FUZZ_CHECK(path_cover_rank(file) == 0 || path_may_be_cover(file));
    FUZZ_CHECK(album != NULL && strlen(album) <= strlen(folder) && number >= 0);
    FUZZ_CHECK(strncmp(album, folder, strlen(album)) == 0);
    size_t length = path_disc_mark(file, &disc);
    FUZZ_CHECK(length < strlen(file) || (length == 0 && file[0] == '\0'));
    if (length > 0) {
        FUZZ_CHECK(disc.number > 0 && disc.subtitle != NULL);
        FUZZ_CHECK(disc.subtitle_length == 0 ||
                   (disc.subtitle >= file + length &&
                    disc.subtitle + disc.subtitle_length <= file + strlen(file)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = fuzz_text(data, size);
    struct arena *arena = arena_new(0);
    FUZZ_CHECK(arena != NULL);
    const char *text = path_escape(arena, bytes);
    check_text(text);
    FUZZ_CHECK(strcmp(path_unescape(arena, text), bytes) == 0);
    char *copy = arena_strdup(arena, text);
    char *slash = strrchr(copy, '/');
    const char *file = slash != NULL ? slash + 1 : copy;
    if (slash != NULL) {
        *slash = '\0';
    }
    if (file[0] != '\0') {
        check_names(arena, slash != NULL ? copy : "", file);
    }
    check_marks(arena, slash != NULL ? copy : "", file);
    const char *words = lrc_text(arena, bytes, strlen(bytes));
    FUZZ_CHECK(words == NULL || (words[0] != '\0' && text_is_utf8(words, strlen(words))));
    arena_free(arena);
    free(bytes);
    return 0;
}
