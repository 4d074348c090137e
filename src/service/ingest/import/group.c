/* Which files of a folder are an album, and whose (import.h). People see an album where files of a
 * folder bear its title; a missing album artist, or a guest on a track, does not part it. Files are
 * parted only where they say so themselves, all of them: by two album artists ("Greatest Hits" of
 * both in one folder) or by two ids of MusicBrainz. */
#include "service/ingest/import/import.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>
#include <strings.h>

static const char VARIOUS[] = "Various Artists";
static const char NOBODY[] = "Unknown Artist";

const char *import_first_artist(const struct import_file *file)
{
    const char *first =
        json_string_value(json_array_get(json_object_get(file->tags, "artists"), 0));
    return first != NULL ? first : file->names.artist;
}

/* Taggers abbreviate it. */
static const char *artist_in_full(const char *name)
{
    static const char *const words[] = {"Various", "VA", "V.A.", "V. A.", "V/A", VARIOUS};
    for (unsigned i = 0; i < COUNT_OF(words); i++) {
        if (strcasecmp(name, words[i]) == 0) {
            return VARIOUS;
        }
    }
    return name;
}

/* The album artist without guests. */
static const char *album_artist_alone(const struct import_file *file)
{
    const char *first =
        json_string_value(json_array_get(json_object_get(file->tags, "albumArtists"), 0));
    return artist_in_full(first != NULL ? first : import_tag(file, "albumArtist"));
}

static bool takes_part(const struct import_file *file)
{
    return file->answer != NULL;
}

/* What a file would be grouped by. Memory of the folder's arena. */
struct view {
    const char *title_key, *artist_key, *mbid;
};

static int make_views(struct import_folder *folder, struct view *views)
{
    for (unsigned i = 0; i < folder->count; i++) {
        const struct import_file *file = &folder->files[i];
        if (takes_part(file)) {
            views[i].title_key = text_fold(folder->arena, import_tag(file, "album"));
            views[i].artist_key = text_fold(folder->arena, album_artist_alone(file));
            views[i].mbid = import_tag(file, "musicbrainzAlbumId");
            if (views[i].title_key == NULL || views[i].artist_key == NULL) {
                return ERR_NO_MEMORY;
            }
        }
    }
    return 0;
}

/* Files without an album's title: of the one album that the others of the folder have, else of the
 * one that the path names. */
static int name_untitled(struct import_folder *folder, struct view *views)
{
    const char *only = NULL;
    bool several = false;
    for (unsigned i = 0; i < folder->count; i++) {
        const char *key = takes_part(&folder->files[i]) ? views[i].title_key : "";
        several = several || (key[0] != '\0' && only != NULL && strcmp(only, key) != 0);
        only = key[0] != '\0' ? key : only;
    }
    for (unsigned i = 0; i < folder->count; i++) {
        if (takes_part(&folder->files[i]) && views[i].title_key[0] == '\0') {
            views[i].title_key = only != NULL && !several
                                     ? only
                                     : text_fold(folder->arena, folder->files[i].names.album);
            if (views[i].title_key == NULL) {
                return ERR_NO_MEMORY;
            }
        }
    }
    return 0;
}

static const char *member(const struct view *view, bool by_mbid)
{
    return by_mbid ? view->mbid : view->artist_key;
}

/* Whether files of the title bear two different values, none of them "". */
static bool parts(const struct import_folder *folder, const struct view *views, const char *key,
                  bool by_mbid)
{
    const char *one = NULL;
    for (unsigned i = 0; i < folder->count; i++) {
        if (!takes_part(&folder->files[i]) || strcmp(views[i].title_key, key) != 0) {
            continue;
        }
        const char *value = member(&views[i], by_mbid);
        if (value[0] != '\0' && one != NULL && strcmp(one, value) != 0) {
            return true;
        }
        one = value[0] != '\0' ? value : one;
    }
    return false;
}

/* The value by which a file is parted from others of its title; one that bears none goes with its
 * own artist's files, else with the first ones. */
static const char *split_of(const struct import_folder *folder, const struct view *views,
                            unsigned index, const char *first_artist_key)
{
    const char *key = views[index].title_key;
    bool by_mbid = parts(folder, views, key, true);
    if (!by_mbid && !parts(folder, views, key, false)) {
        return "";
    }
    if (member(&views[index], by_mbid)[0] != '\0') {
        return member(&views[index], by_mbid);
    }
    const char *first = "";
    for (unsigned i = 0; i < folder->count; i++) {
        if (!takes_part(&folder->files[i]) || strcmp(views[i].title_key, key) != 0) {
            continue;
        }
        const char *value = member(&views[i], by_mbid);
        if (value[0] != '\0' && strcmp(views[i].artist_key, first_artist_key) == 0) {
            return value;
        }
        first = first[0] == '\0' ? value : first;
    }
    return first;
}

static int find_group(struct import_folder *folder, const char *title_key, const char *split,
                      unsigned file)
{
    for (unsigned i = 0; i < folder->group_count; i++) {
        if (strcmp(folder->groups[i].title_key, title_key) == 0 &&
            strcmp(folder->groups[i].split, split) == 0) {
            return (int)i;
        }
    }
    folder->groups[folder->group_count] =
        (struct import_group){.title_key = title_key, .split = split, .first = file};
    return (int)folder->group_count++;
}

/* --- what a group is called --- */

/* The value that most of the group's files have, and of how many; "" does not count. */
static const char *most(const struct import_folder *folder, int group,
                        const char *(*value)(const struct import_file *file), unsigned *ret_count)
{
    const char *best = "";
    *ret_count = 0;
    for (unsigned i = 0; i < folder->count; i++) {
        const char *one = folder->files[i].group == group ? value(&folder->files[i]) : "";
        unsigned count = 0;
        for (unsigned k = 0; one[0] != '\0' && k < folder->count; k++) {
            count +=
                folder->files[k].group == group && strcasecmp(value(&folder->files[k]), one) == 0;
        }
        if (count > *ret_count) {
            best = one;
            *ret_count = count;
        }
    }
    return best;
}

static const char *album_artist(const struct import_file *file)
{
    const char *tag = import_tag(file, "albumArtist");
    return artist_in_full(tag[0] != '\0' ? tag : file->names.album_artist);
}

static const char *album_title(const struct import_file *file)
{
    return import_tag(file, "album");
}

static const char *album_mbid(const struct import_file *file)
{
    return import_tag(file, "musicbrainzAlbumId");
}

static const char *album_artist_sort(const struct import_file *file)
{
    return import_tag(file, "albumArtistSort");
}

static const char *album_artist_mbid(const struct import_file *file)
{
    const char *id = json_string_value(
        json_array_get(json_object_get(file->tags, "musicbrainzAlbumArtistIds"), 0));
    return id != NULL ? id : "";
}

static unsigned members(const struct import_folder *folder, int group)
{
    unsigned count = 0;
    for (unsigned i = 0; i < folder->count; i++) {
        count += folder->files[i].group == group;
    }
    return count;
}

/* "Kim", "Kim & Lee", "Kim (with Lee)": whether it is artist, alone or before others. */
static bool is_led_by(const char *credit, const char *artist)
{
    static const char *const marks[] = {", ",    "; ",    " & ",    " + ",    " / ",   " x ",
                                        " vs",   " and ", " und ",  " et ",   " y ",   " with ",
                                        " con ", " mit ", " (with", " (con ", " (mit "};
    size_t length = strlen(artist);
    bool led = strcasecmp(credit, artist) == 0;
    for (unsigned i = 0; !led && i < COUNT_OF(marks); i++) {
        led = strncasecmp(credit, artist, length) == 0 &&
              strncasecmp(credit + length, marks[i], strlen(marks[i])) == 0;
    }
    return led;
}

static unsigned led_by(const struct import_folder *folder, int group, const char *artist)
{
    unsigned count = 0;
    for (unsigned i = 0; i < folder->count; i++) {
        const struct import_file *file = &folder->files[i];
        count += file->group == group && is_led_by(import_first_artist(file), artist);
    }
    return count;
}

static const char *whose(const struct import_folder *folder, int index)
{
    unsigned count = 0;
    const char *artist = most(folder, index, album_artist, &count);
    if (artist[0] != '\0') {
        return artist;
    }
    artist = most(folder, index, import_first_artist, &count);
    bool various = folder->groups[index].compilation;
    if (artist[0] == '\0') {
        return various ? VARIOUS : NOBODY;
    }
    bool one = 2 * led_by(folder, index, artist) > members(folder, index);
    return one && !various ? artist : VARIOUS;
}

/* By its tag, or where its artist is known by its path alone, by that. */
static bool is_of_compilation(const struct import_file *file)
{
    bool untold = import_tag(file, "albumArtist")[0] == '\0' &&
                  json_array_size(json_object_get(file->tags, "artists")) == 0;
    return json_is_true(json_object_get(file->tags, "compilation")) ||
           (untold && file->names.various);
}

static int describe(struct import_folder *folder, int index)
{
    struct import_group *group = &folder->groups[index];
    unsigned count = 0;
    for (unsigned i = 0; i < folder->count; i++) {
        const struct import_file *file = &folder->files[i];
        group->compilation =
            group->compilation || (file->group == index && is_of_compilation(file));
    }
    group->title = most(folder, index, album_title, &count);
    if (group->title[0] == '\0') {
        group->title = folder->files[group->first].names.album;
    }
    group->artist = whose(folder, index);
    group->artist_key = text_fold(folder->arena, group->artist);
    group->artist_sort = most(folder, index, album_artist_sort, &count);
    group->artist_mbid = most(folder, index, album_artist_mbid, &count);
    group->mbid = most(folder, index, album_mbid, &count);
    group->compilation = group->compilation || strcmp(group->artist, VARIOUS) == 0;
    for (unsigned i = 0; i < folder->group_count; i++) {
        group->shares_title =
            group->shares_title ||
            ((int)i != index && strcmp(folder->groups[i].title_key, group->title_key) == 0);
    }
    return group->artist_key != NULL ? 0 : ERR_NO_MEMORY;
}

/* "Album (Disc 2: Night)" is the second disc of Album. */
static int read_disc_mark(struct import_folder *folder, const struct import_file *file)
{
    struct path_disc disc;
    const char *title = import_tag(file, "album");
    size_t length = path_disc_mark(title, &disc);
    if (length == 0) {
        return 0;
    }
    const char *kept = arena_strndup(folder->arena, title, length);
    const char *subtitle = arena_strndup(folder->arena, disc.subtitle, disc.subtitle_length);
    if (kept == NULL || subtitle == NULL) {
        return ERR_NO_MEMORY;
    }
    if (subtitle[0] != '\0' && import_tag(file, "discSubtitle")[0] == '\0') {
        (void)json_object_set_new(file->tags, "discSubtitle", json_string(subtitle));
    }
    if (json_object_get(file->tags, "discNumber") == NULL) {
        (void)json_object_set_new(file->tags, "discNumber", json_integer(disc.number));
    }
    (void)json_object_set_new(file->tags, "album", json_string(kept));
    return 0;
}

int import_group(struct import_run *run, struct import_folder *folder)
{
    struct view *views = arena_array(folder->arena, folder->count, sizeof *views);
    folder->groups = arena_array(folder->arena, folder->count, sizeof *folder->groups);
    int error = views != NULL && folder->groups != NULL ? 0 : ERR_NO_MEMORY;
    (void)run;
    for (unsigned i = 0; error == 0 && i < folder->count; i++) {
        error = read_disc_mark(folder, &folder->files[i]);
    }
    error = error != 0 ? error : make_views(folder, views);
    error = error != 0 ? error : name_untitled(folder, views);
    for (unsigned i = 0; error == 0 && i < folder->count; i++) {
        struct import_file *file = &folder->files[i];
        file->group = -1;
        if (!takes_part(file)) {
            continue;
        }
        const char *artist_key = text_fold(folder->arena, import_first_artist(file));
        error = artist_key != NULL ? 0 : ERR_NO_MEMORY;
        if (error == 0) {
            file->group =
                find_group(folder, views[i].title_key, split_of(folder, views, i, artist_key), i);
        }
    }
    for (unsigned i = 0; error == 0 && i < folder->group_count; i++) {
        error = describe(folder, (int)i);
    }
    return error;
}
