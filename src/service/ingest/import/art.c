/* Covers of imported albums (import.h): the folder's picture, else that of the folder its discs are
 * in, else the one in a file. It becomes an object beside the track's and is told as media.art, as
 * transcode tells of a picture that it found while decoding; the catalogue makes it the cover of an
 * album that has none. Runs on the import's thread, after the folder is committed; an album whose
 * picture was not told because of a kill gets it when its track is first played. A picture that is
 * laid beside files later is seen by its change's time, against that of the run before. */
#include "service/ingest/import/import.h"

#include "backend/bus/bus.h"
#include "backend/rights.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PICTURE_BYTES_MAX = 20 << 20 };

struct art {
    struct import_run *run;
    struct import_folder *folder;
    const struct import_file *file; /* whose track it goes by */
    const char *key;
};

static int tell_work(struct db_session *session, void *argument)
{
    const struct art *art = argument;
    char digits[ID_TEXT_SIZE], key[ID_TEXT_SIZE + 8];
    (void)snprintf(key, sizeof key, "track:%s", id_format(art->file->track_id, digits));
    return bus_emit(session, "media.art", key,
                    json_pack("{s:s,s:i,s:s,s:s,s:s}", "trackId", digits, "version",
                              art->file->version, "bucket", BLOB_MEDIA, "key", art->key, "type",
                              "image/*"));
}

static int copy(struct blob_writer *writer, int fd)
{
    char bytes[64 * 1024];
    ssize_t got;
    off_t at = 0;
    int error = 0;
    while (error == 0 && (got = pread(fd, bytes, sizeof bytes, at)) > 0) {
        error = blob_put_write(writer, bytes, (size_t)got);
        at += got;
    }
    return error;
}

static int put(struct art *art, int fd)
{
    struct blob_store *blobs = art->run->ingest->config.blobs;
    struct blob_writer *writer = NULL;
    struct blob_stat stat;
    const struct blob_meta meta = {.content_type = "application/octet-stream"};
    art->key = arena_printf(art->folder->arena, "m/%" PRId64 "/%d/picture", art->file->track_id,
                            art->file->version);
    int error = art->key != NULL ? blob_put_open(blobs, BLOB_MEDIA, art->key, &meta, &writer)
                                 : ERR_NO_MEMORY;
    if (error != 0) {
        return error;
    }
    error = copy(writer, fd);
    if (error != 0) {
        blob_put_abort(writer);
        return error;
    }
    error = blob_put_commit(writer, false, &stat);
    return error != 0 ? error : db_write(art->run->ingest->config.db, tell_work, art);
}

static const char *cover_of(const struct import_folder *folder)
{
    return folder->cover != NULL        ? folder->cover
           : folder->picture_count == 1 ? folder->picture
                                        : NULL;
}

/* The folder whose picture is the album's: its own, else that which holds its discs; NULL: neither
 * has one. */
static const struct import_folder *find_cover(const struct import_folder *folder)
{
    int64_t disc = 0;
    const struct import_folder *above = folder->above;
    if (cover_of(folder) != NULL || above == NULL) {
        return cover_of(folder) != NULL ? folder : NULL;
    }
    const char *whole = path_album_folder(folder->arena, folder->path, &disc);
    bool inside = whole != NULL && strcmp(whole, above->path) == 0;
    return inside && cover_of(above) != NULL ? above : NULL;
}

static int put_folder_picture(struct art *art, bool *ret_put)
{
    struct stat status;
    const struct import_folder *from = find_cover(art->folder);
    int fd CLEANUP_CLOSE =
        from != NULL ? rights_open(from->fd, cover_of(from), O_RDONLY | O_NONBLOCK | O_CLOEXEC)
                     : -1;
    *ret_put = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
               status.st_size > 0 && status.st_size <= PICTURE_BYTES_MAX;
    return *ret_put ? put(art, fd) : 0;
}

static int put_own_picture(struct art *art)
{
    int64_t bytes = 0;
    int file CLEANUP_CLOSE =
        rights_open(art->folder->fd, art->file->name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    int memory CLEANUP_CLOSE = memfd_create("picture", MFD_CLOEXEC);
    if (file < 0 || memory < 0) {
        return 0;
    }
    int error = import_read_picture(art->run, file, memory, &bytes);
    return error == 0 && bytes > 0 ? put(art, memory) : error;
}

static const struct import_file *find_file(const struct import_folder *folder, int group, bool art)
{
    for (unsigned i = 0; i < folder->count; i++) {
        const struct import_file *file = &folder->files[i];
        if (file->group == group && file->action == IMPORT_ADD && (!art || file->has_art)) {
            return file;
        }
    }
    return NULL;
}

/* Only that is asked of an unchanged folder, by a stat. A minute for clocks that are not one. */
static bool came_since(const struct import_run *run, const struct import_folder *folder)
{
    enum { SLACK_MS = 60 * 1000 };
    struct stat status;
    const struct import_folder *from = find_cover(folder);
    return from != NULL && rights_stat(from->fd, cover_of(from), &status) == 0 &&
           (int64_t)status.st_ctim.tv_sec * 1000 > run->before_ms - SLACK_MS;
}

struct bare {
    const struct import_folder *folder;
    struct bare_file *rows;
    unsigned count;
};

static int bare_work(struct db_session *session, void *argument)
{
    struct bare *bare = argument;
    return file_bare(session, bare->folder->arena, bare->folder->id, &bare->rows, &bare->count);
}

/* Albums that were made now have been told their pictures, or have none. */
static bool has_fresh(const struct import_folder *folder)
{
    for (unsigned i = 0; i < folder->group_count; i++) {
        if (folder->groups[i].fresh) {
            return true;
        }
    }
    return false;
}

int import_art_late(struct import_run *run, struct import_folder *folder)
{
    struct bare bare = {.folder = folder};
    if (has_fresh(folder) || !came_since(run, folder)) {
        return 0;
    }
    int error = db_read(run->ingest->config.db, bare_work, &bare);
    for (unsigned i = 0; error == 0 && i < bare.count; i++) {
        bool done = false;
        const struct import_file file = {.track_id = bare.rows[i].track_id,
                                         .version = bare.rows[i].version};
        struct art art = {.run = run, .folder = folder, .file = &file};
        error = put_folder_picture(&art, &done);
    }
    return error;
}

int import_art(struct import_run *run, struct import_folder *folder)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < folder->group_count; i++) {
        struct art art = {.run = run, .folder = folder};
        bool done = false;
        if (!folder->groups[i].fresh) {
            continue;
        }
        art.file = find_file(folder, (int)i, false);
        if (art.file != NULL) {
            error = put_folder_picture(&art, &done);
        }
        art.file = find_file(folder, (int)i, true);
        if (error == 0 && !done && art.file != NULL) {
            error = put_own_picture(&art);
        }
    }
    return error;
}
