/* A write asked for by a client (change.h). */
#include "service/catalog/change.h"

#include "backend/blob/blob.h"
#include "backend/bus/bus.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "service/catalog/gone.h"
#include "service/catalog/resource.h"

#include <stdio.h>
#include <string.h>

static int run_work(struct db_session *session, void *argument)
{
    struct change *change = argument;
    json_decref(change->answer);
    change->answer = NULL;
    change->touched_count = 0;
    problem_reset(&change->call->problem);
    int error = idempotency_begin(session, change->call, &change->once);
    if (error != 0 || change->once.replayed) {
        return error;
    }
    error = change->work(session, change);
    if (error != 0) {
        return error;
    }
    return idempotency_finish(session, &change->once, change->answer != NULL ? change->status : 204,
                              change->revision, change->answer);
}

/* The answer of the first time; a finish that adds to it (a token, never kept) runs again. */
static int change_replay(struct change *change)
{
    if (change->finish == NULL) {
        return idempotency_reply(change->request, &change->once);
    }
    change->answer = json_loads(change->once.body, 0, NULL);
    return change->answer != NULL ? 0 : ERR_CORRUPT;
}

static int change_reply(struct change *change)
{
    json_t *answer = change->answer;
    change->answer = NULL;
    if (answer == NULL) {
        return reply_empty(change->request, 204);
    }
    if (change->revision != 0) {
        char etag[ID_TEXT_SIZE + 2];
        (void)snprintf(etag, sizeof etag, "\"%lld\"", (long long)change->revision);
        int error = reply_header(change->request, "ETag", etag);
        if (error != 0) {
            json_decref(answer);
            return error;
        }
    }
    return reply_json(change->request, change->status, answer);
}

int change_run(struct change *change)
{
    change->call = &change->request->call;
    change->now_ms = clock_wall_ms();
    int error = idempotency_from_request(change->request, &change->once);
    if (error != 0) {
        return error;
    }
    if (change->digest != NULL) {
        idempotency_add(&change->once, change->digest, CHANGE_DIGEST_BYTES);
    }
    error = db_write(change->catalog->db, run_work, change);
    if (error != 0) {
        json_decref(change->answer);
        change->answer = NULL;
        return error;
    }
    if (change->once.replayed) {
        error = change_replay(change);
        if (error != 0 || change->finish == NULL) {
            return error;
        }
    }
    for (unsigned i = 0; i < change->touched_count; i++) {
        resource_forget(change->catalog, change->touched[i].kind, change->touched[i].id);
        if (change->touched[i].gone) {
            gone_add(change->catalog->gone, change->touched[i].id, change->now_ms);
        }
    }
    error = change->finish != NULL ? change->finish(change) : 0;
    if (error != 0) {
        json_decref(change->answer);
        change->answer = NULL;
        return error;
    }
    return change_reply(change);
}

int change_by_id(struct request *request, change_work *work, int status)
{
    struct change change = {
        .catalog = request->context, .request = request, .work = work, .status = status};
    int error = request_param_id(request, "id", &change.id);
    return error != 0 ? error : change_run(&change);
}

int change_create(struct request *request, const void *fields, change_work *work,
                  change_finish *finish)
{
    struct change change = {.catalog = request->context,
                            .request = request,
                            .id = id_next(),
                            .fields = fields,
                            .work = work,
                            .finish = finish,
                            .status = 201};
    return change_run(&change);
}

int change_patch(struct request *request, const void *fields, change_work *work,
                 change_finish *finish)
{
    struct change change = {.catalog = request->context,
                            .request = request,
                            .fields = fields,
                            .work = work,
                            .finish = finish,
                            .status = 200};
    int error = request_param_id(request, "id", &change.id);
    return error != 0 ? error : change_run(&change);
}

int change_answer(struct change *change, json_t *object, int64_t revision)
{
    change->answer = object;
    change->revision = revision;
    return object != NULL ? 0 : ERR_NO_MEMORY;
}

int change_touch(struct change *change, enum catalog_kind kind, int64_t id)
{
    if (change->touched_count == change->touched_capacity) {
        unsigned wider = change->touched_capacity == 0 ? 16 : change->touched_capacity * 2;
        struct touched *copy = arena_array(change->call->arena, wider, sizeof *copy);
        if (copy == NULL) {
            return ERR_NO_MEMORY;
        }
        if (change->touched_count > 0) {
            memcpy(copy, change->touched, change->touched_count * sizeof *copy);
        }
        change->touched = copy;
        change->touched_capacity = wider;
    }
    change->touched[change->touched_count++] = (struct touched){.kind = kind, .id = id};
    return 0;
}

int change_touch_gone(struct change *change, int64_t track_id)
{
    int error = change_touch(change, CATALOG_TRACK, track_id);
    if (error == 0) {
        change->touched[change->touched_count - 1].gone = true;
    }
    return error;
}

int change_touch_tracks(struct db_session *session, struct change *change, int64_t album_id)
{
    int64_t *ids = NULL;
    unsigned count = 0;
    int error = track_ids_of_album(session, change->call->arena, album_id, &ids, &count);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = change_touch(change, CATALOG_TRACK, ids[i]);
    }
    return error;
}

int change_touch_artist(struct db_session *session, struct change *change, int64_t artist_id)
{
    int64_t *ids = NULL;
    unsigned count = 0;
    int error = change_touch(change, CATALOG_ARTIST, artist_id);
    if (error == 0) {
        error = catalog_ids_elsewhere(session, change->call->arena, artist_id, &ids, &count);
    }
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = change_touch(change, CATALOG_TRACK, ids[i]);
    }
    if (error == 0) {
        error = album_ids_of_artist(session, change->call->arena, artist_id, &ids, &count);
    }
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = change_touch(change, CATALOG_ALBUM, ids[i]);
        if (error == 0) {
            error = change_touch_tracks(session, change, ids[i]);
        }
    }
    return error;
}

int change_emit(struct db_session *session, enum catalog_kind kind, int64_t id, const char *type)
{
    static const char *const words[] = {"artist", "album", "track"};
    char name[16], key[32], digits[ID_TEXT_SIZE];
    (void)snprintf(name, sizeof name, "%sId", words[kind]);
    (void)snprintf(key, sizeof key, "%s:%s", words[kind], id_format(id, digits));
    json_t *payload = json_pack("{s:s}", name, digits);
    return bus_emit(session, type, key, payload);
}

int change_emit_uploaded(struct db_session *session, const struct version_row *file)
{
    char digits[ID_TEXT_SIZE], key[32];
    (void)snprintf(key, sizeof key, "track:%s", id_format(file->track_id, digits));
    json_t *payload =
        json_pack("{s:s, s:I, s:s, s:s, s:s, s:I}", "trackId", digits, "version",
                  (json_int_t)file->version, "bucket", BLOB_MEDIA, "key", file->source_key,
                  "filename", file->filename, "bytes", (json_int_t)file->source_bytes);
    return bus_emit(session, "track.uploaded", key, payload);
}
