/* GET /art/{id}?size=: one of the fixed sizes, as WebP where the client takes it, else as JPEG. The
 * server only sends files: both forms of each size were made once, by transcode. Runs on the pool.
 */
#include "service/catalog/catalog_http.h"

#include "backend/blob/blob.h"
#include "base/error.h"
#include "service/catalog/access_store.h"
#include "service/catalog/change.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const unsigned sizes[] = {64, 128, 300, 600, 1200};
enum { SIZE_DEFAULT = 300, RETRY_AFTER_S = 2 };

struct art_read {
    struct call *call;
    int64_t id;
    struct art_row row;
    bool open; /* to everybody, so that any cache may keep it */
};

/* Who may see the owner may see its picture. */
static int art_read_work(struct db_session *session, void *argument)
{
    struct art_read *read = argument;
    int error = art_get(session, read->call->arena, read->id, &read->row);
    if (error != 0) {
        return error;
    }
    struct sight sight;
    bool album = strcmp(read->row.owner_kind, "album") == 0;
    error =
        access_find(session, album ? CATALOG_ALBUM : CATALOG_ARTIST, read->row.owner_id, &sight);
    error = error != 0 ? error : catalog_sees_in(session, &read->call->actor, &sight);
    read->open = error == 0 && sight.published && sight.shelf_id == 0;
    return error;
}

/* The smallest size that holds as many pixels as asked for. */
static unsigned size_for(int64_t wanted)
{
    unsigned count = sizeof sizes / sizeof sizes[0];
    for (unsigned i = 0; i < count; i++) {
        if (sizes[i] >= wanted) {
            return sizes[i];
        }
    }
    return sizes[count - 1];
}

static void art_key(char key[64], int64_t id, unsigned size, bool webp)
{
    (void)snprintf(key, 64, "art/%" PRId64 "/%u.%s", id, size, webp ? "webp" : "jpg");
}

static bool takes_webp(struct request *request)
{
    const char *accept = request_header(request, "Accept");
    return accept != NULL && strstr(accept, "image/webp") != NULL;
}

static int not_ready(struct request *request, const struct art_row *row)
{
    if (strcmp(row->status, "failed") == 0) {
        return problem_set(&request->call.problem, ERR_NOT_FOUND, "The picture can't be used: %s",
                           row->reason);
    }
    request->call.problem.retry_after_s = RETRY_AFTER_S;
    return problem_set(&request->call.problem, ERR_NOT_FOUND,
                       "The picture's sizes are being made; ask again");
}

static int art_reply(struct request *request, const struct art_read *read, unsigned size, bool webp)
{
    struct catalog *catalog = request->context;
    char key[64], etag[BLOB_ETAG_MAX + 2];
    art_key(key, read->id, size, webp);
    struct blob_source source;
    struct blob_stat stat;
    int error = blob_open(catalog->blobs, BLOB_MEDIA, key, &source, &stat);
    if (error != 0) {
        return error;
    }
    (void)snprintf(etag, sizeof etag, "\"%s\"", stat.etag);
    const struct reply_file file = {
        .content_type = webp ? "image/webp" : "image/jpeg",
        .etag = etag,
        .modified_ms = stat.modified_ms,
        .cache_control = read->open ? "public, max-age=31536000, immutable" : "private, no-cache"};
    error = reply_header(request, "Vary", "Accept");
    if (error != 0) {
        blob_source_close(&source);
        return error;
    }
    return blob_reply(request, &source, &file);
}

int art_get_one(struct request *request)
{
    struct catalog *catalog = request->context;
    struct art_read read = {.call = &request->call};
    int64_t wanted = 0;
    int error = request_param_id(request, "id", &read.id);
    if (error == 0) {
        error = request_query_number(request, "size", 1, 10000, SIZE_DEFAULT, &wanted);
    }
    if (error == 0) {
        error = db_read(catalog->db, art_read_work, &read);
    }
    if (error != 0) {
        return error;
    }
    if (strcmp(read.row.status, "ready") != 0) {
        return not_ready(request, &read.row);
    }
    return art_reply(request, &read, size_for(wanted), takes_webp(request));
}

int catalog_art_bytes(struct catalog *catalog, struct arena *arena, int64_t art_id, unsigned wanted,
                      const void **ret_bytes, size_t *ret_length)
{
    char key[64];
    struct blob_source source;
    struct blob_stat stat;
    struct blob_reader *reader = NULL;
    art_key(key, art_id, size_for(wanted), false);
    int error = blob_open(catalog->blobs, BLOB_MEDIA, key, &source, &stat);
    error = error != 0 ? error : blob_reader_new(&source, &reader);
    char *bytes = error == 0 ? arena_alloc(arena, stat.bytes + 1) : NULL;
    size_t length = 0;
    ssize_t got = 1;
    while (bytes != NULL && length < stat.bytes && got > 0) {
        got = blob_reader_read(reader, bytes + length, stat.bytes - length, length);
        length += got > 0 ? (size_t)got : 0;
    }
    blob_reader_free(reader);
    if (error != 0 || bytes == NULL || got < 0) {
        return error != 0 ? error : bytes == NULL ? ERR_NO_MEMORY : (int)got;
    }
    *ret_bytes = bytes;
    *ret_length = length;
    return length == stat.bytes ? 0 : ERR_CORRUPT;
}
