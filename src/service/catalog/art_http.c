/* Routes of pictures: covers of albums, images of artists, and the pictures themselves.
 *
 * PUT: the sink asks for permission before the first byte, streams into a writer of the store, and
 * the handler probes the file's header, makes the object visible as art/{id}/original, and writes
 * the row with the event art.uploaded. The owner goes on showing its former picture until the
 * fixed sizes of the new one are ready (media.c). Handlers and sink run on the pool.
 */
#include "service/catalog/art_http.h"

#include "backend/blob/blob.h"
#include "backend/bus/bus.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "service/catalog/art_probe.h"
#include "service/catalog/catalog_http.h"
#include "service/catalog/change.h"
#include "service/catalog/removal.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct art_upload {
    struct catalog *catalog;
    enum catalog_kind owner_kind;
    int64_t owner_id, art_id;
    char key[48];
    struct blob_writer *writer; /* NULL once committed or aborted */
    uint64_t bytes;
    crypto_hash_sha256_state digest;
    struct art_info info;
};

static void upload_done(void *argument)
{
    struct art_upload *upload = argument;
    blob_put_abort(upload->writer);
    upload->writer = NULL;
}

static int art_sink_open(struct request *request, void **ret_state)
{
    struct catalog *catalog = request->context;
    struct art_upload *upload = arena_alloc(request->call.arena, sizeof *upload);
    if (upload == NULL) {
        return ERR_NO_MEMORY;
    }
    upload->catalog = catalog;
    upload->art_id = id_next();
    (void)crypto_hash_sha256_init(&upload->digest);
    upload->owner_kind =
        strstr(request->route->pattern, "/albums/") != NULL ? CATALOG_ALBUM : CATALOG_ARTIST;
    (void)snprintf(upload->key, sizeof upload->key, "art/%" PRId64 "/original", upload->art_id);
    int error = request_param_id(request, "id", &upload->owner_id);
    if (error == 0) {
        error = catalog_may_edit(catalog, &request->call, upload->owner_kind, upload->owner_id);
    }
    const struct blob_meta meta = {.content_type = "application/octet-stream"};
    if (error == 0) {
        error = blob_put_open(catalog->blobs, BLOB_MEDIA, upload->key, &meta, &upload->writer);
    }
    if (error != 0) {
        return error;
    }
    error = arena_at_end(request->call.arena, upload_done, upload);
    if (error != 0) {
        upload_done(upload);
        return error;
    }
    *ret_state = upload;
    return 0;
}

static int art_sink_write(struct request *request, void *state, const void *bytes, size_t length)
{
    (void)request;
    struct art_upload *upload = state;
    upload->bytes += length;
    (void)crypto_hash_sha256_update(&upload->digest, bytes, length);
    return blob_put_write(upload->writer, bytes, length);
}

static void art_sink_close(struct request *request, void *state, bool complete)
{
    (void)request;
    if (!complete) {
        upload_done(state);
    }
}

const struct body_sink art_sink = {art_sink_open, art_sink_write, art_sink_close};

static int emit_art(struct db_session *session, int64_t art_id, const char *object_key)
{
    char digits[ID_TEXT_SIZE], key[32];
    (void)snprintf(key, sizeof key, "art:%s", id_format(art_id, digits));
    json_t *payload =
        json_pack("{s:s, s:s, s:s}", "artId", digits, "bucket", BLOB_MEDIA, "key", object_key);
    return bus_emit(session, "art.uploaded", key, payload);
}

int art_create(struct db_session *session, const struct art_row *row)
{
    int error = art_insert(session, row);
    return error != 0 ? error : emit_art(session, row->id, row->object_key);
}

/* Where an album or artist keeps what it shows, what it waits for, and its state. */
struct art_owner {
    int64_t *shown, *pending, *revision, *updated_at;
};

/* The owner waits for art_id from now on, or (0) shows none; what it waited for before goes. */
static int expect_art(struct db_session *session, struct change *change, int64_t art_id,
                      const struct art_owner *owner)
{
    int error = request_if_match(change->request, *owner->revision);
    if (error == 0) {
        error = remove_art(session, *owner->pending, change->now_ms);
    }
    if (error == 0 && art_id == 0) {
        error = remove_art(session, *owner->shown, change->now_ms);
        *owner->shown = 0;
    }
    *owner->pending = art_id;
    *owner->updated_at = change->now_ms;
    change->revision = ++*owner->revision;
    return error;
}

static int album_expect(struct db_session *session, struct change *change, int64_t art_id)
{
    struct album_row row;
    const struct art_owner owner = {&row.cover_art_id, &row.pending_art_id, &row.revision,
                                    &row.updated_at};
    int error = album_get(session, change->call->arena, change->id, &row);
    if (error == 0) {
        error = expect_art(session, change, art_id, &owner);
    }
    if (error == 0) {
        error = track_stale_of_album(session, change->id);
    }
    if (error == 0) {
        error = album_update(session, &row);
    }
    if (error == 0) {
        error = change_touch_tracks(session, change, change->id);
    }
    return error;
}

static int artist_expect(struct db_session *session, struct change *change, int64_t art_id)
{
    struct artist_row row;
    const struct art_owner owner = {&row.image_art_id, &row.pending_art_id, &row.revision,
                                    &row.updated_at};
    int error = artist_get(session, change->call->arena, change->id, &row);
    if (error == 0) {
        error = expect_art(session, change, art_id, &owner);
    }
    return error != 0 ? error : artist_update(session, &row);
}

static int owner_expect(struct db_session *session, struct change *change, enum catalog_kind kind,
                        int64_t art_id)
{
    bool album = kind == CATALOG_ALBUM;
    int error = catalog_permit(session, change->call, kind, change->id, CATALOG_EDIT);
    if (error == 0) {
        error =
            album ? album_expect(session, change, art_id) : artist_expect(session, change, art_id);
    }
    if (error == 0) {
        error = change_emit(session, kind, change->id, album ? "album.changed" : "artist.changed");
    }
    return error != 0 ? error : change_touch(change, kind, change->id);
}

static int art_put_work(struct db_session *session, struct change *change)
{
    const struct art_upload *upload = change->fields;
    bool album = upload->owner_kind == CATALOG_ALBUM;
    int error = owner_expect(session, change, upload->owner_kind, upload->art_id);
    const struct art_row row = {.id = upload->art_id,
                                .owner_kind = album ? "album" : "artist",
                                .owner_id = change->id,
                                .mime = upload->info.mime,
                                .object_key = upload->key,
                                .bytes = (int64_t)upload->bytes,
                                .width = upload->info.width,
                                .height = upload->info.height,
                                .created_at = change->now_ms};
    if (error == 0) {
        error = art_create(session, &row);
    }
    return error != 0
               ? error
               : change_answer(change,
                               json_pack("{s:o, s:s, s:I, s:I}", "id", json_id(row.id), "status",
                                         "uploaded", "width", (json_int_t)row.width, "height",
                                         (json_int_t)row.height),
                               change->revision);
}

/* The whole picture becomes an object, and goes again if it is none. */
static int store_picture(struct art_upload *upload, struct problem *problem)
{
    struct blob_store *blobs = upload->catalog->blobs;
    struct blob_source source;
    struct blob_stat stat;
    int error = blob_put_commit(TAKE_PTR(upload->writer), false, &stat);
    if (error != 0) {
        return error;
    }
    error = blob_open(blobs, BLOB_MEDIA, upload->key, &source, &stat);
    error = error != 0 ? error : art_probe_object(&source, &upload->info, problem);
    if (error != 0) {
        (void)blob_delete(blobs, BLOB_MEDIA, upload->key);
    }
    return error;
}

static int art_put(struct request *request)
{
    struct art_upload *upload = request_sink_state(request);
    if (upload == NULL) {
        return problem_set(&request->call.problem, ERR_MALFORMED,
                           "The body must be the bytes of a picture");
    }
    int error = store_picture(upload, &request->call.problem);
    if (error != 0) {
        return error;
    }
    unsigned char digest[CHANGE_DIGEST_BYTES];
    (void)crypto_hash_sha256_final(&upload->digest, digest);
    struct change change = {.catalog = upload->catalog,
                            .request = request,
                            .id = upload->owner_id,
                            .fields = upload,
                            .digest = digest,
                            .work = art_put_work,
                            .status = 202};
    error = change_run(&change);
    if (error_is_refusal(error) || change.once.replayed) { /* no row names these bytes */
        (void)blob_delete(upload->catalog->blobs, BLOB_MEDIA, upload->key);
    }
    return error;
}

int cover_put(struct request *request)
{
    return art_put(request);
}

int image_put(struct request *request)
{
    return art_put(request);
}

static int cover_delete_work(struct db_session *session, struct change *change)
{
    return owner_expect(session, change, CATALOG_ALBUM, 0);
}

int cover_delete(struct request *request)
{
    return change_by_id(request, cover_delete_work, 204);
}

static int image_delete_work(struct db_session *session, struct change *change)
{
    return owner_expect(session, change, CATALOG_ARTIST, 0);
}

int image_delete(struct request *request)
{
    return change_by_id(request, image_delete_work, 204);
}
