/* What the readers of playlist files share (list_file.h): clean text, and what a location or an
 * identifier says of a track. */
#include "service/library/formats/list_file.h"

#include "base/error.h"
#include "base/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { GROWS_BY = 256, MBID_LENGTH = 36, ISRC_LENGTH = 12 };

/* Arenas don't grow what they gave, so it is copied, twice as large each time. */
struct list_entry *list_entry_add(struct list_reading *reading, unsigned line, int *ret_error)
{
    struct list_file *file = reading->file;
    if (file->count == LIST_ENTRIES_MAX) {
        *ret_error = problem_set(reading->problem, ERR_INVALID,
                                 "The file has more than %d entries (line %u); a playlist holds no "
                                 "more",
                                 LIST_ENTRIES_MAX, line);
        return NULL;
    }
    if (file->count == reading->capacity) {
        unsigned capacity = reading->capacity == 0 ? GROWS_BY : 2 * reading->capacity;
        struct list_entry *entries = arena_array(reading->arena, capacity, sizeof *entries);
        if (entries == NULL) {
            *ret_error = ERR_NO_MEMORY;
            return NULL;
        }
        if (file->count > 0) {
            memcpy(entries, file->entries, file->count * sizeof *entries);
        }
        file->entries = entries;
        reading->capacity = capacity;
    }
    struct list_entry *entry = &file->entries[file->count++];
    *entry = (struct list_entry){.line = line,
                                 .location = "",
                                 .artist = "",
                                 .title = "",
                                 .album = "",
                                 .mbid = "",
                                 .isrc = ""};
    return entry;
}

/* At most bytes_max of it, never within a character. */
static size_t cut(const char *text, size_t length, size_t bytes_max)
{
    if (length <= bytes_max) {
        return length;
    }
    while (bytes_max > 0 && ((unsigned char)text[bytes_max] & 0xc0) == 0x80) {
        bytes_max--;
    }
    return bytes_max;
}

const char *list_text(struct arena *arena, const char *text, size_t length, size_t bytes_max)
{
    static const struct text_rule any = {
        .field = "text", .characters_max = LIST_FILE_BYTES_MAX, .empty_ok = true};
    struct problem unused;
    char *copy = arena_strndup(arena, text, cut(text, length, bytes_max));
    const char *clean = NULL;
    for (unsigned char *at = (unsigned char *)copy; at != NULL && *at != '\0'; at++) {
        bool c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0;
        if (c1) {
            at[1] = ' ';
        }
        if (c1 || *at < ' ' || *at == 0x7f) {
            *at = ' ';
        }
    }
    problem_reset(&unused);
    if (copy == NULL || text_clean(arena, &any, copy, &unused, &clean) != 0) {
        return NULL;
    }
    length = strlen(clean); /* a normal form may be longer */
    return length <= bytes_max ? clean : arena_strndup(arena, clean, cut(clean, length, bytes_max));
}

/* ---- identifiers ---- */

static bool begins(const char *text, const char *with)
{
    return strncasecmp(text, with, strlen(with)) == 0;
}

/* "https://musicbrainz.org/recording/…": 0 where there is none. */
static const char *musicbrainz_id(const char *text)
{
    const char *at = strstr(text, "musicbrainz.org/recording/");
    const char *id = at != NULL ? at + strlen("musicbrainz.org/recording/") : NULL;
    return id != NULL && strspn(id, "0123456789abcdefABCDEF-") == MBID_LENGTH ? id : NULL;
}

static bool is_isrc(const char *text)
{
    for (size_t i = 0; i < ISRC_LENGTH; i++) {
        unsigned char c = (unsigned char)text[i];
        if (i < 2 ? !isalpha(c) : i < 5 ? !isalnum(c) : !isdigit(c)) {
            return false;
        }
    }
    return text[ISRC_LENGTH] == '\0';
}

static int take_isrc(struct list_reading *reading, struct list_entry *entry, const char *text)
{
    char isrc[ISRC_LENGTH + 1];
    size_t length = 0;
    for (; *text != '\0' && length <= ISRC_LENGTH; text++) {
        if (*text != '-' && length < ISRC_LENGTH) {
            isrc[length] = (char)toupper((unsigned char)*text);
        }
        length += *text != '-';
    }
    isrc[length < ISRC_LENGTH ? length : ISRC_LENGTH] = '\0';
    if (length != ISRC_LENGTH || !is_isrc(isrc)) {
        return 0;
    }
    entry->isrc = arena_strdup(reading->arena, isrc);
    return entry->isrc != NULL ? 0 : ERR_NO_MEMORY;
}

int list_identify(struct list_reading *reading, struct list_entry *entry, const char *identifier)
{
    const char *mbid = musicbrainz_id(identifier);
    size_t here = strlen(reading->here);
    if (mbid != NULL) {
        entry->mbid = arena_strndup(reading->arena, mbid, MBID_LENGTH);
        return entry->mbid != NULL ? 0 : ERR_NO_MEMORY;
    }
    if (begins(identifier, "urn:isrc:")) {
        return take_isrc(reading, entry, identifier + strlen("urn:isrc:"));
    }
    if (begins(identifier, "isrc:")) {
        return take_isrc(reading, entry, identifier + strlen("isrc:"));
    }
    if (here > 0 && strncmp(identifier, reading->here, here) == 0 &&
        begins(identifier + here, "/api/v1/tracks/")) {
        int64_t id = 0;
        if (text_number(identifier + here + strlen("/api/v1/tracks/"), 1, INT64_MAX, &id)) {
            entry->track_id = id;
        }
    }
    return 0;
}

const char *list_location(char out[LIST_LOCATION_SIZE], const char *here, int64_t track_id)
{
    (void)snprintf(out, LIST_LOCATION_SIZE, "%.2000s/api/v1/tracks/%" PRId64, here, track_id);
    return out;
}

/* ---- names in a path ---- */

static int hex(char digit)
{
    return digit >= '0' && digit <= '9'
               ? digit - '0'
               : (int)(strchr("abcdef", tolower((unsigned char)digit)) - "abcdef" + 10);
}

/* "%20" and its like, of an address; a backslash is a slash. In place. */
static void plain_path(char *path)
{
    bool address = strstr(path, "://") != NULL;
    char *out = path;
    for (const char *at = path; *at != '\0'; at++, out++) {
        *out = *at == '\\' ? '/' : *at;
        if (address && *at == '%' && isxdigit((unsigned char)at[1]) &&
            isxdigit((unsigned char)at[2])) {
            *out = (char)(16 * hex(at[1]) + hex(at[2]));
            at += 2;
        }
    }
    *out = '\0';
}

/* "07 - ", "1-07. " in front of a title. */
static char *past_number(char *name)
{
    size_t digits = strspn(name, "0123456789-");
    size_t gap = strspn(name + digits, " ._-");
    bool numbered = digits > 0 && digits <= 6 && gap > 0 && name[digits + gap] != '\0';
    return numbered ? name + digits + gap : name;
}

/* Cut off from *rest, which is NULL once nothing is left. */
static char *last_part(char **rest)
{
    char *slash = *rest != NULL ? strrchr(*rest, '/') : NULL;
    char *part = slash != NULL ? slash + 1 : *rest;
    if (slash != NULL) {
        *slash = '\0';
    } else {
        *rest = NULL;
    }
    return part;
}

/* Where it is not known yet. */
static int fill(struct arena *arena, const char *text, const char **field)
{
    if (text != NULL && (*field)[0] == '\0') {
        *field = list_text(arena, text, strlen(text), LIST_TEXT_BYTES_MAX);
    }
    return *field != NULL ? 0 : ERR_NO_MEMORY;
}

/* …/Artist/Album/07 - Title.flac, or …/Artist - Title.mp3. */
static int name_by_path(struct list_reading *reading, struct list_entry *entry, char *path)
{
    struct arena *arena = reading->arena;
    char *rest = path, *name = last_part(&rest);
    char *album = last_part(&rest), *artist = last_part(&rest);
    char *dot = strrchr(name, '.');
    if (dot != NULL && dot != name) {
        *dot = '\0';
    }
    char *title = past_number(name), *dash = strstr(title, " - ");
    if (dash != NULL) {
        *dash = '\0';
        artist = title;
        title = dash + strlen(" - ");
        album = NULL;
    }
    int error = fill(arena, title, &entry->title);
    error = error != 0 ? error : fill(arena, artist, &entry->artist);
    return error != 0 ? error : fill(arena, album, &entry->album);
}

int list_locate(struct list_reading *reading, struct list_entry *entry, const char *location)
{
    struct arena *arena = reading->arena;
    char *path = arena_strdup(arena, location);
    entry->location = list_text(arena, location, strlen(location), LIST_TEXT_BYTES_MAX);
    int error = path != NULL && entry->location != NULL ? list_identify(reading, entry, location)
                                                        : ERR_NO_MEMORY;
    bool named = entry->title[0] != '\0' && entry->artist[0] != '\0';
    if (error != 0 || named || entry->track_id != 0) {
        return error;
    }
    plain_path(path);
    return text_is_utf8(path, strlen(path)) ? name_by_path(reading, entry, path) : 0;
}
