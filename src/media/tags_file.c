/* What an import wants to know of a file (tags_file.h). Called by job_tags.c, on the main thread.
 *
 * TagLib's property map has one name for most things; where taggers disagree, a table lists all
 * names in the order of trust. A name told first by the map wins over what comes later.
 */
#include "media/tags_file.h"

#include "base/arena.h"
#include "base/error.h"
#include "media/sound_hash.h"
#include "media/tagfile.h"
#include "media/tags.h"
#include "media/tags_libav.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LIST_MAX = 20, NAMES_MAX = 4, MEMORY_MAX = 8 << 20, GAIN_DB_MAX = 100 };

/* dB between ReplayGain's reference and R128's (RFC 7845, 5.2.1: -23 LUFS). */
#define R128_TO_REPLAYGAIN_DB 5.0

enum kind { TEXT, LYRICS, LIST, SPLIT, DATE, NUMBER, GAIN, R128, PEAK, FLAG };

static const struct row {
    const char *ours;
    enum kind kind;
    const char *names[NAMES_MAX];
    const char *total; /* of NUMBER: what stands behind the slash */
} rows[] = {
    {"title", TEXT, {"TITLE"}, NULL},
    {"titleSort", TEXT, {"TITLESORT"}, NULL},
    {"album", TEXT, {"ALBUM"}, NULL},
    {"albumSort", TEXT, {"ALBUMSORT"}, NULL},
    {"artist", TEXT, {"ARTIST"}, NULL},
    {"artistSort", TEXT, {"ARTISTSORT"}, NULL},
    {"albumArtist", TEXT, {"ALBUMARTIST", "ALBUM ARTIST", "ALBUM_ARTIST"}, NULL},
    {"albumArtistSort", TEXT, {"ALBUMARTISTSORT"}, NULL},
    {"composer", TEXT, {"COMPOSER"}, NULL},
    {"discSubtitle", TEXT, {"DISCSUBTITLE", "SETSUBTITLE"}, NULL},
    {"isrc", TEXT, {"ISRC"}, NULL},
    {"lyrics", LYRICS, {"LYRICS", "UNSYNCEDLYRICS", "UNSYNCED LYRICS"}, NULL},
    {"syncedLyrics", LYRICS, {"SYNCEDLYRICS"}, NULL},
    {"cueSheet", LYRICS, {"CUESHEET"}, NULL},
    {"musicbrainzTrackId", TEXT, {"MUSICBRAINZ_TRACKID"}, NULL},
    {"musicbrainzAlbumId", TEXT, {"MUSICBRAINZ_ALBUMID"}, NULL},
    {"musicbrainzReleaseGroupId", TEXT, {"MUSICBRAINZ_RELEASEGROUPID"}, NULL},
    {"musicbrainzArtistIds", LIST, {"MUSICBRAINZ_ARTISTID"}, NULL},
    {"musicbrainzAlbumArtistIds", LIST, {"MUSICBRAINZ_ALBUMARTISTID"}, NULL},
    {"artists", LIST, {"ARTISTS", "ARTIST"}, NULL},
    {"albumArtists", LIST, {"ALBUMARTISTS", "ALBUMARTIST", "ALBUM ARTIST", "ALBUM_ARTIST"}, NULL},
    {"genres", SPLIT, {"GENRE"}, NULL},
    {"date", DATE, {"DATE", "YEAR", "RELEASEDATE"}, NULL},
    {"originalDate", DATE, {"ORIGINALDATE", "ORIGINALYEAR"}, NULL},
    {"trackNumber", NUMBER, {"TRACKNUMBER", "TRACK"}, "trackTotal"},
    {"discNumber", NUMBER, {"DISCNUMBER", "DISC"}, "discTotal"},
    {"trackTotal", NUMBER, {"TRACKTOTAL", "TOTALTRACKS"}, NULL},
    {"discTotal", NUMBER, {"DISCTOTAL", "TOTALDISCS"}, NULL},
    {"compilation", FLAG, {"COMPILATION", "WM/ISCOMPILATION"}, NULL},
    {"trackGain", GAIN, {"REPLAYGAIN_TRACK_GAIN"}, NULL},
    {"albumGain", GAIN, {"REPLAYGAIN_ALBUM_GAIN"}, NULL},
    {"trackGain", R128, {"R128_TRACK_GAIN"}, NULL},
    {"albumGain", R128, {"R128_ALBUM_GAIN"}, NULL},
    {"trackPeak", PEAK, {"REPLAYGAIN_TRACK_PEAK"}, NULL},
    {"albumPeak", PEAK, {"REPLAYGAIN_ALBUM_PEAK"}, NULL},
};

enum { ROWS = sizeof rows / sizeof rows[0] };

struct reading {
    struct arena *arena;
    json_t *tags;
    unsigned rank[ROWS]; /* of the name that filled it, from 1; 0: not filled yet */
};

static void put(json_t *tags, const char *name, json_t *value)
{
    if (value != NULL && json_object_get(tags, name) == NULL) {
        (void)json_object_set_new(tags, name, value);
    } else {
        json_decref(value);
    }
}

/* --- lists --- */

static bool is_in(const json_t *list, const char *value)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strcasecmp(json_string_value(json_array_get(list, i)), value) == 0) {
            return true;
        }
    }
    return false;
}

static void add_to_list(struct reading *reading, const char *name, const char *value)
{
    json_t *list = json_object_get(reading->tags, name);
    const char *clean = tags_clean(reading->arena, value, TAGS_TEXT_MAX, false);
    if (list == NULL) {
        list = json_array();
        (void)json_object_set_new(reading->tags, name, list);
    }
    if (clean != NULL && json_array_size(list) < LIST_MAX && !is_in(list, clean)) {
        (void)json_array_append_new(list, json_string(clean));
    }
}

/* The first place of a mark that parts names, and its length. "AC/DC" and "Earth, Wind & Fire" are
 * one name: a slash parts only with spaces about it; commas and ampersands never do. */
static const char *find_mark(const char *text, bool genres, size_t *ret_length)
{
    static const char *const marks[] = {";",        " / ",         " feat. ", " feat ", " ft. ",
                                        " (feat. ", " featuring ", " (ft. ",  "/"};
    const char *best = NULL;
    unsigned count = genres ? 9 : 8;
    for (unsigned i = 0; i < count; i++) {
        bool only_people = i >= 2 && i <= 7;
        const char *found = genres && only_people ? NULL : strcasestr(text, marks[i]);
        if (found != NULL && (best == NULL || found < best)) {
            best = found;
            *ret_length = strlen(marks[i]);
        }
    }
    return best;
}

static void split_to_list(struct reading *reading, const char *name, char *value, bool genres)
{
    size_t length = 0;
    for (char *mark; (mark = (char *)find_mark(value, genres, &length)) != NULL;) {
        bool bracket = mark[1] == '(';
        *mark = '\0';
        add_to_list(reading, name, value);
        value = mark + length;
        char *end = strrchr(value, ')');
        if (bracket && end != NULL && end[1] == '\0') {
            *end = '\0';
        }
    }
    add_to_list(reading, name, value);
}

/* --- single values --- */

/* "03/04/1999", of which nobody knows the month: 1999; else 0. */
static int year_at_end(const char *value)
{
    size_t length = strlen(value);
    const char *last = value + (length > 4 ? length - 4 : 0);
    bool apart = last > value && strchr("/.-", last[-1]) != NULL;
    return apart && strspn(last, "0123456789") == 4 ? atoi(last) : 0;
}

/* YYYY, YYYY-MM, YYYY-MM-DD, or YYYYMMDD; what follows (a time) is cut. DD.MM.YYYY is its year. */
static json_t *date_json(const char *value)
{
    int year = 0, month = 0, day = 0;
    int parts = sscanf(value, "%4d-%2d-%2d", &year, &month, &day);
    if (parts == 1 && strlen(value) == 8 && strspn(value, "0123456789") == 8) {
        parts = sscanf(value, "%4d%2d%2d", &year, &month, &day);
    }
    if (parts < 1 || year < 1000) {
        year = year_at_end(value);
        parts = 1;
    }
    if (year < 1000 || year > 9999) {
        return NULL;
    }
    if (parts < 2 || month < 1 || month > 12) {
        return json_sprintf("%04d", year);
    }
    return parts < 3 || day < 1 || day > 31 ? json_sprintf("%04d-%02d", year, month)
                                            : json_sprintf("%04d-%02d-%02d", year, month, day);
}

static json_t *number_json(const char *value)
{
    long number = strtol(value, NULL, 10);
    return number >= 1 && number <= 9999 ? json_integer(number) : NULL;
}

static json_t *real_json(const char *value, double scale, double shift, double limit)
{
    char *end = NULL;
    double number = strtod(value, &end);
    number = number * scale + shift;
    return end != value && isfinite(number) && fabs(number) <= limit ? json_real(number) : NULL;
}

static void put_number(struct reading *reading, const struct row *row, const char *value)
{
    const char *slash = strchr(value, '/');
    put(reading->tags, row->ours, number_json(value));
    if (slash != NULL && row->total != NULL) {
        put(reading->tags, row->total, number_json(slash + 1));
    }
}

static json_t *clean_json(struct reading *reading, const char *value, bool lyrics)
{
    const char *clean =
        tags_clean(reading->arena, value, lyrics ? TAGS_LYRICS_MAX : TAGS_TEXT_MAX, lyrics);
    return clean != NULL ? json_string(clean) : NULL;
}

/* Words by which taggers say that they know nothing. */
static bool is_nothing(const char *value)
{
    static const char *const words[] = {"[Unknown Album]",
                                        "[Unknown Artist]",
                                        "Unknown Album",
                                        "Unknown Artist",
                                        "[unknown]",
                                        "Unknown",
                                        "none",
                                        "<unknown>",
                                        "Unknown Title",
                                        "[Unknown Title]",
                                        "N/A"};
    static const char dated[] = "Unknown Album ("; /* Windows Media Player: (1/2/2003 4:05:06 PM) */
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(words[i], value) == 0) {
            return true;
        }
    }
    size_t length = strlen(dated);
    return strncasecmp(value, dated, length) == 0 && value[length] >= '0' && value[length] <= '9';
}

/* Several values of a text are shown one behind the other. */
static void put_text(struct reading *reading, const struct row *row, const char *value)
{
    const char *former = json_string_value(json_object_get(reading->tags, row->ours));
    json_t *text = is_nothing(value) ? NULL : clean_json(reading, value, false);
    if (former != NULL && text != NULL && strstr(row->ours, "rtist") != NULL) {
        json_t *both = json_sprintf("%s; %s", former, json_string_value(text));
        json_decref(text);
        if (both != NULL && json_string_length(both) <= TAGS_TEXT_MAX) {
            (void)json_object_set_new(reading->tags, row->ours, both);
        } else {
            json_decref(both);
        }
        return;
    }
    put(reading->tags, row->ours, text);
}

static void take(struct reading *reading, const struct row *row, char *value)
{
    switch (row->kind) {
    case TEXT:
        put_text(reading, row, value);
        break;
    case LYRICS:
        put(reading->tags, row->ours, clean_json(reading, value, true));
        break;
    case LIST:
    case SPLIT:
        if (!is_nothing(value)) {
            split_to_list(reading, row->ours, value, row->kind == SPLIT);
        }
        break;
    case DATE:
        put(reading->tags, row->ours, date_json(value));
        break;
    case NUMBER:
        put_number(reading, row, value);
        break;
    case GAIN:
        put(reading->tags, row->ours, real_json(value, 1, 0, GAIN_DB_MAX));
        break;
    case R128:
        put(reading->tags, row->ours,
            real_json(value, 1.0 / 256, R128_TO_REPLAYGAIN_DB, GAIN_DB_MAX));
        break;
    case PEAK:
        put(reading->tags, row->ours, real_json(value, 1, 0, GAIN_DB_MAX));
        break;
    case FLAG:
        if (strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0) {
            put(reading->tags, row->ours, json_true());
        }
        break;
    }
}

static void told(void *context, const char *name, const char *value, size_t length)
{
    struct reading *reading = context;
    for (unsigned i = 0; i < ROWS; i++) {
        for (unsigned rank = 0; rank < NAMES_MAX && rows[i].names[rank] != NULL; rank++) {
            if (strcmp(rows[i].names[rank], name) != 0) {
                continue;
            }
            if (reading->rank[i] != 0 && reading->rank[i] < rank + 1) {
                break;
            }
            if (reading->rank[i] > rank + 1) { /* a better name than the one before */
                (void)json_object_del(reading->tags, rows[i].ours);
            }
            char *copy = arena_alloc(reading->arena, length + 1);
            if (copy != NULL) {
                memcpy(copy, value, length);
                copy[length] = '\0';
                reading->rank[i] = rank + 1;
                take(reading, &rows[i], copy);
            }
        }
    }
}

/* --- the whole --- */

static int fail(struct failure *failure, int error)
{
    switch (error) {
    case ERR_MEDIA_TYPE:
        return failure_final(failure, "not-audio",
                             "This is no sound file of a kind that is known.");
    case ERR_TOO_LARGE:
        return failure_final(failure, "too-large", "Its tags take more than %d MiB.",
                             TAGFILE_READ_BYTES_MAX >> 20);
    case ERR_IO:
        return failure_final(failure, "unreadable", "It can't be read to its end.");
    default:
        return failure_no_memory(failure);
    }
}

static json_t *sound_json(const struct tagfile_sound *sound)
{
    return json_pack("{s:s,s:s,s:i,s:i,s:i,s:b,s:I}", "container", sound->container, "codec",
                     sound->codec, "rate", sound->rate, "channels", sound->channels, "bits",
                     sound->bits, "lossless", sound->lossless, "durationMs",
                     (json_int_t)sound->duration_ms);
}

int tags_file_read(int fd, int64_t bytes, struct failure *failure, json_t **ret_object)
{
    struct reading reading = {.arena = arena_new(MEMORY_MAX), .tags = json_object()};
    struct tagfile_sound sound;
    char hash[SOUND_HASH_TEXT];
    int error = reading.arena != NULL && reading.tags != NULL ? 0 : ERR_NO_MEMORY;
    error = error != 0 ? error : tagfile_read(fd, bytes, told, &reading, &sound);
    error = error != ERR_MEDIA_TYPE ? error : tags_libav_read(fd, bytes, told, &reading, &sound);
    error = error != 0 ? error : sound_hash(fd, bytes, hash);
    arena_free(reading.arena);
    if (error == 0 && (sound.rate <= 0 || sound.channels <= 0 || sound.duration_ms <= 0)) {
        json_decref(reading.tags);
        return failure_final(failure, "no-samples", "It holds no sound.");
    }
    if (error != 0) {
        json_decref(reading.tags);
        return fail(failure, error);
    }
    *ret_object = json_pack("{s:o,s:s,s:b,s:o}", "sound", sound_json(&sound), "hash", hash,
                            "hasArt", sound.has_picture, "tags", reading.tags);
    return *ret_object != NULL ? 0 : failure_no_memory(failure);
}
