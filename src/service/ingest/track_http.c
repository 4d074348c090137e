/* POST /tracks and PATCH /tracks/{id}: a track is made of what was uploaded, or gets a new file.
 *
 *   find our row of trackUrl → the object is there, of the announced size → copy it inside the
 *   store, on condition of its ETag, to m/{track}/{version}/original.EXT → one transaction: the
 *   upload is used, the track or version is there, track.uploaded is in the outbox → the uploaded
 *   object goes.
 *
 * A kill before the transaction leaves an orphan that the sweep removes; after it, nothing is lost.
 * Handlers run on the pool; memory is the request's arena.
 */
#include "service/ingest/ingest_internal.h"

#include "base/error.h"
#include "base/id.h"
#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct track_write {
    struct ingest *ingest;
    struct request *request;
    struct call *call;
    struct track_fields fields;
    int64_t track_id;
    int version;
    struct upload_row upload; /* id 0: metadata alone */
    struct blob_stat object;
    char key[96];
    struct idempotency once;
    json_t *answer;
    int64_t revision, album_id, old_album_id;
};

static int read_body(struct request *request, bool create, struct track_write *write)
{
    json_t *body = NULL;
    write->ingest = request->context;
    write->request = request;
    write->call = &request->call;
    int error = request_json(request, &body);
    return error != 0 ? error : catalog_track_fields(write->call, body, create, &write->fields);
}

/* An upload of somebody else's is one that never was. */
static int no_upload(struct call *call)
{
    return problem_field(&call->problem, "trackUrl",
                         "names no uploaded file; ask /api/v1/tracks/upload-url for one and PUT "
                         "the file first");
}

static int used_already(struct call *call)
{
    return problem_set(&call->problem, ERR_CONFLICT,
                       "trackUrl was used already; a file is uploaded for one track");
}

static int find_upload(struct db_session *session, struct track_write *write)
{
    struct call *call = write->call;
    int error = upload_find_url(session, call->arena, write->fields.track_url, call->actor.user_id,
                                &write->upload);
    if (error != 0) {
        return error == ERR_NOT_FOUND ? no_upload(call) : error;
    }
    if (strcmp(write->upload.state, "used") == 0) {
        return used_already(call);
    }
    if (strcmp(write->upload.state, "aborted") == 0) {
        return no_upload(call);
    }
    if (write->upload.multipart_id[0] != '\0' && strcmp(write->upload.state, "complete") != 0) {
        return problem_set(&call->problem, ERR_CONFLICT,
                           "The upload's parts are not joined yet; POST "
                           "/api/v1/uploads/%" PRId64 "/complete first",
                           write->upload.id);
    }
    return 0;
}

/* The object is there, and is what was announced. */
static int check_object(struct track_write *write)
{
    struct call *call = write->call;
    int error = blob_stat(write->ingest->config.blobs, BLOB_UPLOADS, write->upload.object_key,
                          &write->object);
    if (error != 0) {
        return error == ERR_NOT_FOUND ? no_upload(call) : error;
    }
    int64_t bytes = (int64_t)write->object.bytes;
    if (bytes == 0) {
        return problem_field(&call->problem, "trackUrl", "names an empty file");
    }
    if (write->upload.bytes > 0 && bytes != write->upload.bytes) {
        return problem_field(&call->problem, "trackUrl",
                             "names a file of %" PRId64 " bytes, but %" PRId64 " were announced",
                             bytes, write->upload.bytes);
    }
    if (bytes > write->ingest->config.upload_bytes_max) {
        return problem_field(&call->problem, "trackUrl",
                             "names a file of %" PRId64 " bytes; at most %" PRId64 " are allowed",
                             bytes, write->ingest->config.upload_bytes_max);
    }
    return 0;
}

static int copy_object(struct track_write *write)
{
    char extension[EXTENSION_MAX + 1];
    upload_extension(write->upload.filename, extension);
    (void)snprintf(write->key, sizeof write->key, "m/%" PRId64 "/%d/original.%s", write->track_id,
                   write->version, extension);
    struct blob_stat copy;
    int error = blob_copy(write->ingest->config.blobs, BLOB_UPLOADS, write->upload.object_key,
                          write->object.etag, BLOB_MEDIA, write->key, &copy);
    if (error == ERR_PRECONDITION || error == ERR_NOT_FOUND) {
        return problem_set(&write->call->problem, ERR_CONFLICT,
                           "The uploaded file changed while it was taken; try again");
    }
    return error;
}

static struct catalog_source source_of(const struct track_write *write)
{
    return (struct catalog_source){.key = write->key,
                                   .filename = write->upload.filename,
                                   .bytes = (int64_t)write->object.bytes};
}

/* The transaction's beginning and end, where an Idempotency-Key has its place. */
static int write_begins(struct db_session *session, struct track_write *write)
{
    problem_reset(&write->call->problem);
    return idempotency_begin(session, write->call, &write->once);
}

static int write_answer(struct db_session *session, struct track_write *write)
{
    json_decref(write->answer);
    write->answer = NULL;
    return catalog_track_answer(session, write->call, write->track_id, &write->answer,
                                &write->revision, &write->album_id);
}

static int write_ends(struct db_session *session, struct track_write *write, int status)
{
    int error = write_answer(session, write);
    return error != 0
               ? error
               : idempotency_finish(session, &write->once, status, write->revision, write->answer);
}

/* Inside the transaction: the upload is used from now on, and within the quota. */
static int use_upload(struct db_session *session, struct track_write *write)
{
    int64_t more_bytes =
        (int64_t)write->object.bytes - upload_counted(write->ingest, write->upload.bytes);
    int error = upload_quota_check(write->ingest, session, write->call, more_bytes);
    if (error == 0) {
        error = upload_set_state(session, write->upload.id, "used", write->track_id);
    }
    return error == ERR_CONFLICT ? used_already(write->call) : error;
}

/* After the commit, or instead of it: memory, objects, caches, the reply. */
static int write_end(struct track_write *write, int error, int status)
{
    struct ingest *ingest = write->ingest;
    if (error != 0) {
        json_decref(write->answer);
        if (write->key[0] != '\0' && error_is_refusal(error)) { /* else the sweep looks */
            (void)blob_delete(ingest->config.blobs, BLOB_MEDIA, write->key);
        }
        return error;
    }
    if (write->once.replayed) { /* the same request came twice at once; the other one did it */
        if (write->key[0] != '\0') {
            (void)blob_delete(ingest->config.blobs, BLOB_MEDIA, write->key);
        }
        return idempotency_reply(write->request, &write->once);
    }
    if (write->upload.id != 0) {
        (void)blob_delete(ingest->config.blobs, BLOB_UPLOADS, write->upload.object_key);
    }
    catalog_track_forget(ingest->config.catalog, write->track_id);
    catalog_album_forget(ingest->config.catalog, write->album_id);
    if (write->old_album_id != 0 && write->old_album_id != write->album_id) {
        catalog_album_forget(ingest->config.catalog, write->old_album_id);
    }
    char etag[ID_TEXT_SIZE + 2];
    (void)snprintf(etag, sizeof etag, "\"%" PRId64 "\"", write->revision);
    error = reply_header(write->request, "ETag", etag);
    if (error != 0) {
        json_decref(write->answer);
        return error;
    }
    return reply_json(write->request, status, write->answer);
}

static int prepare_create(struct db_session *session, void *argument)
{
    struct track_write *write = argument;
    problem_reset(&write->call->problem);
    int error =
        catalog_permit(session, write->call, CATALOG_ALBUM, write->fields.album_id, CATALOG_EDIT);
    if (error == ERR_NOT_FOUND) {
        return problem_field(&write->call->problem, "albumId", "names no album");
    }
    return error != 0 ? error : find_upload(session, write);
}

static int create_work(struct db_session *session, void *argument)
{
    struct track_write *write = argument;
    const struct catalog_source source = source_of(write);
    int error = write_begins(session, write);
    if (error != 0 || write->once.replayed) {
        return error;
    }
    error = use_upload(session, write);
    if (error == 0) {
        error =
            catalog_track_create(session, write->call, &write->fields, write->track_id, &source);
    }
    return error != 0 ? error : write_ends(session, write, 201);
}

int tracks_post(struct request *request)
{
    struct track_write write = {.version = 1};
    bool replayed = false;
    int error = read_body(request, true, &write);
    if (error == 0) {
        error = upload_replay(request, &write.once, &replayed);
    }
    if (replayed) {
        return idempotency_reply(request, &write.once);
    }
    if (error == 0) {
        error = db_read(write.ingest->config.db, prepare_create, &write);
    }
    if (error == 0) {
        error = check_object(&write);
    }
    if (error != 0) {
        return error;
    }
    write.track_id = id_next();
    error = copy_object(&write);
    if (error == 0) {
        error = db_write(write.ingest->config.db, create_work, &write);
    }
    return write_end(&write, error, 201);
}

/* Permission, If-Match and the album as it is, before anything is changed. */
static int check_edit(struct db_session *session, struct track_write *write)
{
    int error = catalog_permit(session, write->call, CATALOG_TRACK, write->track_id, CATALOG_EDIT);
    if (error == 0) {
        error = write_answer(session, write);
    }
    if (error == 0) {
        write->old_album_id = write->album_id;
        error = request_if_match(write->request, write->revision);
    }
    return error;
}

static int prepare_replace(struct db_session *session, void *argument)
{
    struct track_write *write = argument;
    problem_reset(&write->call->problem);
    int error = check_edit(session, write);
    return error != 0 ? error : find_upload(session, write);
}

static int reserve_work(struct db_session *session, void *argument)
{
    struct track_write *write = argument;
    problem_reset(&write->call->problem);
    return catalog_version_reserve(session, write->call, write->track_id, &write->version);
}

static int edit_work(struct db_session *session, void *argument)
{
    struct track_write *write = argument;
    int error = write_begins(session, write);
    if (error != 0 || write->once.replayed) {
        return error;
    }
    error = check_edit(session, write);
    if (error == 0) {
        error = catalog_track_edit(session, write->call, write->track_id, &write->fields);
    }
    if (error == 0 && write->upload.id != 0) {
        const struct catalog_source source = source_of(write);
        error = use_upload(session, write);
        if (error == 0) {
            error = catalog_track_replace(session, write->call, write->track_id, write->version,
                                          &source);
        }
    }
    return error != 0 ? error : write_ends(session, write, 200);
}

/* A new file: its number first, since the key of the copy holds it. */
static int take_file(struct track_write *write)
{
    struct db *db = write->ingest->config.db;
    int error = db_read(db, prepare_replace, write);
    if (error == 0) {
        error = check_object(write);
    }
    if (error == 0) {
        error = db_write(db, reserve_work, write);
    }
    return error != 0 ? error : copy_object(write);
}

int tracks_patch(struct request *request)
{
    struct track_write write = {0};
    bool replayed = false;
    int error = request_param_id(request, "id", &write.track_id);
    if (error == 0) {
        error = read_body(request, false, &write);
    }
    if (error == 0) {
        error = upload_replay(request, &write.once, &replayed);
    }
    if (error != 0 || replayed) {
        return replayed ? idempotency_reply(request, &write.once) : error;
    }
    if (write.fields.track_url != NULL) {
        error = take_file(&write);
    }
    if (error == 0) {
        error = db_write(write.ingest->config.db, edit_work, &write);
    }
    return write_end(&write, error, 200);
}
