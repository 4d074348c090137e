/* What the upload routes share: names, limits, the beginning and the end of an upload. */
#include "service/ingest/ingest_internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

void upload_extension(const char *filename, char out[EXTENSION_MAX + 1])
{
    const char *dot = strrchr(filename, '.');
    size_t length = 0;
    for (const char *at = dot != NULL ? dot + 1 : ""; *at != '\0'; at++) {
        if (length == EXTENSION_MAX || !isalnum((unsigned char)*at)) {
            length = 0;
            break;
        }
        out[length++] = (char)tolower((unsigned char)*at);
    }
    out[length] = '\0';
    if (length == 0) {
        (void)memcpy(out, "bin", sizeof "bin");
    }
}

int64_t upload_part_bytes(int64_t bytes)
{
    const int64_t mebibyte = 1 << 20;
    int64_t least = (bytes + PARTS_MAX - 1) / PARTS_MAX;
    int64_t rounded = (least + mebibyte - 1) / mebibyte * mebibyte;
    return rounded > PART_BYTES_DEFAULT ? rounded : PART_BYTES_DEFAULT;
}

int upload_size_check(struct ingest *ingest, struct call *call, int64_t bytes)
{
    if (bytes > ingest->config.upload_bytes_max) {
        return problem_field(&call->problem, "size",
                             "is %" PRId64 " bytes; at most %" PRId64 " are allowed", bytes,
                             ingest->config.upload_bytes_max);
    }
    return 0;
}

int64_t upload_counted(const struct ingest *ingest, int64_t bytes)
{
    return bytes > 0 ? bytes : ingest->config.upload_bytes_max;
}

int upload_quota_check(struct ingest *ingest, struct db_session *session, struct call *call,
                       int64_t more_bytes)
{
    int64_t used = 0, open_count = 0, open_bytes = 0;
    int error = catalog_original_bytes(session, call->actor.user_id, &used);
    if (error == 0) {
        error = upload_open_sums(session, call->actor.user_id, upload_counted(ingest, 0),
                                 &open_count, &open_bytes);
    }
    if (error != 0) {
        return error;
    }
    if (used + open_bytes + more_bytes > ingest->config.quota_bytes) {
        return problem_set(&call->problem, ERR_QUOTA,
                           "Your files hold %" PRId64 " bytes and %" PRId64
                           " more are on their way; %" PRId64 " are allowed. An upload whose size "
                           "is not said counts for %" PRId64,
                           used, open_bytes + more_bytes, ingest->config.quota_bytes,
                           upload_counted(ingest, 0));
    }
    return 0;
}

struct begin {
    struct ingest *ingest;
    struct call *call;
    const struct upload_wish *wish;
    struct upload_row *row;
};

/* Only the id is kept: URLs are signed anew when the answer is given again. */
static int keep_answer(struct db_session *session, const struct begin *begin)
{
    CLEANUP_JSON json_t *answer = json_pack("{s:o}", "id", json_id(begin->row->id));
    return answer != NULL ? idempotency_finish(session, begin->wish->once, 201, 0, answer)
                          : ERR_NO_MEMORY;
}

static int begin_work(struct db_session *session, void *argument)
{
    struct begin *begin = argument;
    problem_reset(&begin->call->problem);
    if (begin->wish->once != NULL) {
        int error = idempotency_begin(session, begin->call, begin->wish->once);
        if (error != 0 || begin->wish->once->replayed) {
            return error != 0 ? error : ERR_CONFLICT; /* its twin was faster */
        }
    }
    if (begin->wish->track_id != 0) {
        int error = catalog_permit(session, begin->call, CATALOG_TRACK, begin->wish->track_id,
                                   CATALOG_EDIT);
        if (error != 0) {
            return error;
        }
    }
    int64_t open_count = 0, open_bytes = 0;
    int error = upload_open_sums(session, begin->call->actor.user_id, 0, &open_count, &open_bytes);
    if (error == 0 && open_count >= begin->ingest->config.uploads_open_max) {
        error = problem_set(&begin->call->problem, ERR_QUOTA,
                            "%" PRId64 " uploads are open, and no more than %u may be: finish "
                            "or delete some",
                            open_count, begin->ingest->config.uploads_open_max);
    }
    if (error == 0) {
        error = upload_quota_check(begin->ingest, session, begin->call,
                                   upload_counted(begin->ingest, begin->wish->bytes));
    }
    if (error == 0) {
        error = upload_insert(session, begin->row);
    }
    return error != 0 || begin->wish->once == NULL ? error : keep_answer(session, begin);
}

static int fill_row(struct ingest *ingest, struct call *call, const struct upload_wish *wish,
                    struct upload_row *row)
{
    char extension[EXTENSION_MAX + 1];
    upload_extension(wish->filename, extension);
    int64_t now_ms = clock_wall_ms();
    *row = (struct upload_row){.id = id_next(),
                               .user_id = call->actor.user_id,
                               .filename = wish->filename,
                               .bytes = wish->bytes,
                               .part_bytes = wish->parts ? upload_part_bytes(wish->bytes) : 0,
                               .multipart_id = "",
                               .state = "open",
                               .track_id = wish->track_id,
                               .created_at = now_ms,
                               .expires_at = now_ms + ingest->config.upload_life_ms};
    row->object_key =
        arena_printf(call->arena, "%" PRId64 "/%" PRId64 ".%s", row->user_id, row->id, extension);
    if (row->object_key == NULL) {
        return ERR_NO_MEMORY;
    }
    row->track_url =
        arena_printf(call->arena, "%s/" BLOB_UPLOADS "/%s", ingest->objects_url, row->object_key);
    return row->track_url != NULL ? 0 : ERR_NO_MEMORY;
}

int upload_begin(struct ingest *ingest, struct call *call, const struct upload_wish *wish,
                 struct upload_row *ret_row)
{
    struct upload_row row;
    int error = upload_size_check(ingest, call, wish->bytes);
    if (error == 0) {
        error = fill_row(ingest, call, wish, &row);
    }
    const struct blob_meta meta = {0};
    if (error == 0 && wish->parts) {
        char *multipart_id = arena_alloc(call->arena, BLOB_UPLOAD_ID_MAX);
        error = multipart_id != NULL ? blob_multipart_create(ingest->config.blobs, BLOB_UPLOADS,
                                                             row.object_key, &meta, multipart_id)
                                     : ERR_NO_MEMORY;
        row.multipart_id = multipart_id;
    }
    if (error != 0) {
        return error;
    }
    struct begin begin = {.ingest = ingest, .call = call, .wish = wish, .row = &row};
    error = db_write(ingest->config.db, begin_work, &begin);
    if (wish->parts &&
        error_is_refusal(error)) { /* else the row may name it, and the sweep looks */
        (void)blob_multipart_abort(ingest->config.blobs, BLOB_UPLOADS, row.object_key,
                                   row.multipart_id);
    }
    if (error == 0) {
        *ret_row = row;
    }
    return error;
}

static int abort_work(struct db_session *session, void *argument)
{
    const struct upload_row *row = argument;
    return upload_set_state(session, row->id, "aborted", 0);
}

int upload_abort(struct ingest *ingest, const struct upload_row *row)
{
    int error = db_write(ingest->config.db, abort_work, (void *)row);
    if (error == 0 && row->multipart_id[0] != '\0') {
        error = blob_multipart_abort(ingest->config.blobs, BLOB_UPLOADS, row->object_key,
                                     row->multipart_id);
        error = error == ERR_NOT_FOUND ? 0 : error;
    }
    return error != 0 ? error : blob_delete(ingest->config.blobs, BLOB_UPLOADS, row->object_key);
}

struct replay {
    struct call *call;
    struct idempotency *once;
};

/* Leaves no trace where the key is new: the write that follows claims it. */
static int replay_work(struct db_session *session, void *argument)
{
    struct replay *replay = argument;
    int error = idempotency_begin(session, replay->call, replay->once);
    return error != 0 ? error : replay->once->replayed ? 0 : ERR_CANCELLED;
}

int upload_replay(struct request *request, struct idempotency *once, bool *ret_replayed)
{
    struct ingest *ingest = request->context;
    struct replay replay = {.call = &request->call, .once = once};
    *ret_replayed = false;
    int error = idempotency_from_request(request, once);
    if (error != 0 || once->key == NULL) {
        return error;
    }
    error = db_write(ingest->config.db, replay_work, &replay);
    if (error == ERR_CANCELLED) {
        return 0;
    }
    *ret_replayed = error == 0;
    return error;
}
