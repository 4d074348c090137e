/* Cue sheets of a folder (import.h): a sound file that a sheet parts into tracks is looked at once
 * for each of them, at the place "Album.flac/01", as if it were a folder. What the sheet says of a
 * track stands before what the file's tags say of the whole. A sheet names files as they were
 * called elsewhere: it is the folder's own file of that name, or of that name but for case or
 * ending, and never another. A sheet in the file's own tags is known once they were read, and does
 * the same (import_cue_unfold), whatever it calls the file; one beside it goes first. Runs on the
 * import's thread. */
#include "service/ingest/import/import.h"

#include "backend/rights.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- the folder's sheets --- */

static int read_sheet(struct import_folder *folder, struct import_sheet *sheet)
{
    struct stat status;
    int fd CLEANUP_CLOSE = rights_open(folder->fd, sheet->name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    char *bytes = arena_alloc(folder->arena, CUE_BYTES_MAX + 1);
    if (bytes == NULL) {
        return ERR_NO_MEMORY;
    }
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        sheet->reason = "It can't be read.";
        return 0;
    }
    ssize_t got = read(fd, bytes, CUE_BYTES_MAX + 1);
    sheet->mtime_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
    if (got < 0 || got > CUE_BYTES_MAX) {
        sheet->reason = got < 0 ? "It can't be read." : "It is larger than a cue sheet can be.";
        return 0;
    }
    int error = cue_read(folder->arena, bytes, (size_t)got, &sheet->cue, &sheet->reason);
    return error == ERR_INVALID ? 0 : error;
}

int import_cue_open(struct import_folder *folder)
{
    int error = 0;
    folder->sheets = arena_array(folder->arena, folder->cue_count + 1, sizeof *folder->sheets);
    if (folder->sheets == NULL) {
        return ERR_NO_MEMORY;
    }
    for (unsigned i = 0; error == 0 && i < folder->cue_count; i++) {
        folder->sheets[i].name = folder->cues[i];
        error = read_sheet(folder, &folder->sheets[i]);
    }
    return error;
}

/* How well a file is the one that is named; 0: it is another. */
static unsigned rank_of(const char *file, const char *named)
{
    const char *dot = strrchr(named, '.'), *file_dot = strrchr(file, '.');
    size_t stem = dot != NULL ? (size_t)(dot - named) : strlen(named);
    bool same_stem = file_dot != NULL && (size_t)(file_dot - file) == stem && stem > 0 &&
                     strncasecmp(file, named, stem) == 0;
    return strcmp(file, named) == 0 ? 3 : strcasecmp(file, named) == 0 ? 2 : same_stem ? 1 : 0;
}

static const char *find_named(const char *const *names, unsigned count, const char *named)
{
    const char *best = NULL;
    unsigned best_rank = 0;
    for (unsigned i = 0; i < count; i++) {
        unsigned rank = rank_of(names[i], named);
        if (rank > best_rank) {
            best = names[i];
            best_rank = rank;
        }
    }
    return best;
}

void import_cue_resolve(struct import_folder *folder, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < folder->cue_count; i++) {
        struct import_sheet *sheet = &folder->sheets[i];
        const char *named = NULL, *found = NULL;
        for (unsigned k = 0; sheet->reason == NULL && k < sheet->cue.count; k++) {
            struct cue_track *track = &sheet->cue.tracks[k];
            if (named == NULL || strcmp(named, track->file) != 0) {
                named = track->file;
                found = find_named(names, count, named);
            }
            if (found == NULL && sheet->absent == NULL) {
                sheet->absent = track->file;
            }
            track->file = found != NULL ? found : "";
        }
    }
}

void import_cue_tell(struct import_run *run, const struct import_folder *folder)
{
    for (unsigned i = 0; i < folder->cue_count; i++) {
        const struct import_sheet *sheet = &folder->sheets[i];
        const char *reason = sheet->reason;
        if (reason == NULL && sheet->absent != NULL) {
            reason = arena_printf(folder->arena, "It names \"%s\", which is not in its folder.",
                                  sheet->absent);
        }
        const char *name = path_escape(folder->arena, sheet->name);
        const char *path = arena_printf(folder->arena, "%s%s%s", folder->path,
                                        folder->path[0] != '\0' ? "/" : "", name);
        if (reason != NULL && name != NULL && path != NULL) {
            import_trouble(run, path, reason);
        }
    }
}

/* --- a file's tracks --- */

const struct import_sheet *import_cue_of(const struct import_folder *folder, const char *name,
                                         unsigned *ret_count)
{
    for (unsigned i = 0; i < folder->cue_count; i++) {
        const struct import_sheet *sheet = &folder->sheets[i];
        unsigned count = 0;
        for (unsigned k = 0; sheet->reason == NULL && k < sheet->cue.count; k++) {
            count += strcmp(sheet->cue.tracks[k].file, name) == 0;
        }
        if (count >= 2) { /* a sheet over files of one track each parts nothing */
            *ret_count = count;
            return sheet;
        }
    }
    *ret_count = 1;
    return NULL;
}

/* The sheet that says of the whole file that it is one track. */
static const struct import_sheet *naming_sheet(const struct import_folder *folder,
                                               const struct import_file *file,
                                               const struct cue_track **ret_track)
{
    for (unsigned i = 0; file->part == NULL && i < folder->cue_count; i++) {
        const struct import_sheet *sheet = &folder->sheets[i];
        for (unsigned k = 0; sheet->reason == NULL && k < sheet->cue.count; k++) {
            if (strcmp(sheet->cue.tracks[k].file, file->name) == 0) {
                *ret_track = &sheet->cue.tracks[k];
                return sheet;
            }
        }
    }
    return NULL;
}

void import_cue_name(const struct import_folder *folder, struct import_file *file)
{
    const struct cue_track *track = NULL;
    const struct import_sheet *sheet = naming_sheet(folder, file, &track);
    if (sheet == NULL) {
        return;
    }
    struct path_names *names = &file->names;
    const char *artist = track->performer[0] != '\0' ? track->performer : sheet->cue.performer;
    names->title = track->title[0] != '\0' ? track->title : names->title;
    names->artist = artist[0] != '\0' ? artist : names->artist;
    names->album_artist = sheet->cue.performer;
    names->album = sheet->cue.title[0] != '\0' ? sheet->cue.title : names->album;
    names->number = track->number;
    names->disc = sheet->cue.disc > 0 ? sheet->cue.disc : names->disc;
    if (strspn(sheet->cue.date, "0123456789") == 4 && sheet->cue.date[4] == '\0') {
        memcpy(names->year, sheet->cue.date, sizeof names->year);
    }
}

int64_t import_cue_time(const struct import_folder *folder, const struct import_file *file)
{
    const struct cue_track *track = NULL;
    const struct import_sheet *sheet = naming_sheet(folder, file, &track);
    return sheet != NULL ? sheet->mtime_ns : 0;
}

int import_cue_part(struct import_folder *folder, const struct import_sheet *sheet, unsigned index,
                    struct import_file *file)
{
    const struct cue *cue = &sheet->cue;
    unsigned seen = 0;
    for (unsigned k = 0; k < cue->count; k++) {
        if (strcmp(cue->tracks[k].file, file->name) == 0 && seen++ == index) {
            file->part = &cue->tracks[k];
        }
    }
    file->sheet = cue;
    file->beside_ns = sheet->mtime_ns;
    file->text = arena_printf(folder->arena, "%s/%02u", file->text, index + 1);
    return file->text != NULL ? 0 : ERR_NO_MEMORY;
}

/* --- what it says --- */

static void put(json_t *tags, const char *name, const char *text)
{
    if (text[0] != '\0') {
        (void)json_object_set_new(tags, name, json_string(text));
    }
}

static void put_artist(json_t *tags, const char *name, const char *list, const char *artist)
{
    if (artist[0] != '\0') {
        put(tags, name, artist);
        (void)json_object_set_new(tags, list, json_pack("[s]", artist));
    }
}

/* What tags say of the whole is not so of its parts. */
static json_t *part_tags(const struct import_file *file)
{
    static const char *const of_whole[] = {
        "title",        "titleSort",          "isrc",      "lyrics",
        "syncedLyrics", "trackTotal",         "trackGain", "trackPeak",
        "trackNumber",  "musicbrainzTrackId", "composer",  "cueSheet"};
    const struct cue_track *part = file->part;
    const struct cue *cue = file->sheet;
    json_t *tags = file->tags != NULL ? json_deep_copy(file->tags) : json_object();
    char title[24];
    for (unsigned i = 0; i < COUNT_OF(of_whole); i++) {
        (void)json_object_del(tags, of_whole[i]);
    }
    (void)snprintf(title, sizeof title, "Track %02u", part->number);
    put(tags, "title", part->title[0] != '\0' ? part->title : title);
    put(tags, "isrc", part->isrc);
    put(tags, "composer", part->songwriter[0] != '\0' ? part->songwriter : cue->songwriter);
    put(tags, "album", cue->title);
    put_artist(tags, "albumArtist", "albumArtists", cue->performer);
    put_artist(tags, "artist", "artists",
               part->performer[0] != '\0' ? part->performer : cue->performer);
    (void)json_object_set_new(tags, "trackNumber", json_integer((json_int_t)part->number));
    if (strspn(cue->date, "0123456789") == 4 && strlen(cue->date) == 4 &&
        json_object_get(tags, "date") == NULL) {
        put(tags, "date", cue->date);
    }
    if (cue->disc > 0 && json_object_get(tags, "discNumber") == NULL) {
        (void)json_object_set_new(tags, "discNumber", json_integer((json_int_t)cue->disc));
    }
    if (cue->genre[0] != '\0' && json_object_get(tags, "genres") == NULL) {
        (void)json_object_set_new(tags, "genres", json_pack("[s]", cue->genre));
    }
    return tags;
}

static void decref(void *value)
{
    json_decref(value);
}

static int keep(struct import_folder *folder, json_t *value)
{
    int error = value != NULL ? arena_at_end(folder->arena, decref, value) : ERR_NO_MEMORY;
    if (error != 0) {
        json_decref(value);
    }
    return error;
}

int import_cue_apply(struct import_folder *folder, struct import_file *file)
{
    const struct cue_track *part = file->part;
    int64_t whole_ms = json_integer_value(json_object_get(file->sound, "durationMs"));
    int64_t from_ms = part->from * 1000 / 75,
            to_ms = part->to > 0 ? part->to * 1000 / 75 : whole_ms;
    if (from_ms >= whole_ms || to_ms > whole_ms) {
        file->code = "cue";
        file->reason = "Its cue sheet goes on behind the end of the file.";
        return 0;
    }
    json_t *tags = part_tags(file), *sound = json_deep_copy(file->sound);
    int error = keep(folder, tags), other = keep(folder, sound);
    if (error != 0 || other != 0) {
        return ERR_NO_MEMORY;
    }
    (void)json_object_set_new(sound, "durationMs", json_integer((json_int_t)(to_ms - from_ms)));
    file->tags = tags;
    file->sound = sound;
    file->hash =
        arena_printf(folder->arena, "%s:%" PRId64 "-%" PRId64, file->hash, part->from, part->to);
    return file->hash != NULL ? 0 : ERR_NO_MEMORY;
}

/* --- sheets in tags --- */

/* The sheet of the file's own tags, if it parts it. *ret_sheet NULL: none does. */
static int read_own(struct import_run *run, struct import_folder *folder, struct import_file *file,
                    struct import_sheet **ret_sheet)
{
    const char *text = json_string_value(json_object_get(file->tags, "cueSheet"));
    *ret_sheet = NULL;
    if (text == NULL || file->part != NULL || file->code != NULL) {
        return 0;
    }
    struct import_sheet *sheet = arena_new_of(folder->arena, struct import_sheet);
    if (sheet == NULL) {
        return ERR_NO_MEMORY;
    }
    *sheet = (struct import_sheet){.name = file->name, .mtime_ns = file->beside_ns};
    int error = cue_read(folder->arena, text, strlen(text), &sheet->cue, &sheet->reason);
    bool one_file = error == 0 && sheet->cue.count >= 2;
    for (unsigned k = 1; one_file && k < sheet->cue.count; k++) {
        one_file = strcmp(sheet->cue.tracks[k].file, sheet->cue.tracks[0].file) == 0;
    }
    for (unsigned k = 0; one_file && k < sheet->cue.count; k++) {
        sheet->cue.tracks[k].file = file->name;
    }
    if (error == ERR_INVALID && file->differs) {
        const char *path = arena_printf(folder->arena, "%s%s%s", folder->path,
                                        folder->path[0] != '\0' ? "/" : "", file->text);
        if (path != NULL) {
            import_trouble(run, path, sheet->reason);
        }
    }
    *ret_sheet = one_file ? sheet : NULL;
    return error == ERR_INVALID ? 0 : error;
}

static int add_parts(struct import_run *run, struct import_folder *folder,
                     const struct import_file *whole, const struct import_sheet *sheet,
                     struct import_file *parts)
{
    int error = 0;
    for (unsigned k = 0; error == 0 && k < sheet->cue.count; k++) {
        struct import_file *part = &parts[k];
        *part = *whole;
        part->row_id = 0;
        part->lyrics = NULL;
        error = import_cue_part(folder, sheet, k, part);
        error = error != 0
                    ? error
                    : path_names(folder->arena, run->name, folder->path, part->text, &part->names);
        part->differs = import_know(run, folder, part);
        error = error != 0 ? error : import_cue_apply(folder, part);
    }
    return error;
}

int import_cue_unfold(struct import_run *run, struct import_folder *folder)
{
    struct import_sheet **sheets =
        arena_array(folder->arena, folder->count + 1, sizeof(struct import_sheet *));
    unsigned room = 0, at = 0;
    int error = sheets != NULL ? 0 : ERR_NO_MEMORY;
    for (unsigned i = 0; error == 0 && i < folder->count; i++) {
        error = read_own(run, folder, &folder->files[i], &sheets[i]);
        room += error == 0 && sheets[i] != NULL ? sheets[i]->cue.count : 1;
    }
    if (error != 0 || room == folder->count) {
        return error;
    }
    struct import_file *files = arena_array(folder->arena, room, sizeof *files);
    for (unsigned i = 0; files != NULL && error == 0 && i < folder->count; i++) {
        struct import_file *file = &folder->files[i];
        if (sheets[i] == NULL) {
            files[at++] = *file;
            continue;
        }
        error = add_parts(run, folder, file, sheets[i], files + at);
        at += sheets[i]->cue.count;
        run->progress.files += file->differs ? sheets[i]->cue.count - 1 : 0; /* else known */
        import_forget(run, folder, file);
    }
    if (files != NULL) {
        folder->files = files;
        folder->count = room;
    }
    return files != NULL ? error : ERR_NO_MEMORY;
}
