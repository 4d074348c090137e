/* Routes of uploads: pre-signed single PUTs, and resumable uploads in parts. The bytes never pass
 * through here; what has arrived is asked of the store, so nothing has to be reported and a resumed
 * upload knows what is missing. Handlers run on the pool; memory is the request's arena.
 */
#include "service/ingest/ingest_internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

static const struct text_rule filename_rule = {.field = "filename",
                                               .characters_max = FILENAME_MAX_CHARACTERS};

static int query_wish(struct request *request, struct upload_wish *wish)
{
    struct call *call = &request->call;
    const char *filename = request_query(request, "filename");
    *wish = (struct upload_wish){.filename = "upload"};
    int error = 0;
    if (filename != NULL) {
        error = text_clean(call->arena, &filename_rule, filename, &call->problem, &wish->filename);
    }
    return error != 0 ? error
                      : request_query_number(request, "size", 1, INT64_MAX, 0, &wish->bytes);
}

static json_t *url_json(const char *upload_url, const char *track_url, int64_t expires_at)
{
    return json_pack("{s:s, s:s, s:I}", "uploadUrl", upload_url, "trackUrl", track_url, "expiresAt",
                     (json_int_t)expires_at);
}

/* Opens a single-PUT upload and answers its URLs. */
static int reply_urls(struct request *request, const struct upload_wish *wish)
{
    struct ingest *ingest = request->context;
    struct upload_row row;
    int error = upload_begin(ingest, &request->call, wish, &row);
    char *url = error == 0 ? arena_alloc(request->call.arena, URL_SIZE_MAX) : NULL;
    if (url == NULL) {
        return error != 0 ? error : ERR_NO_MEMORY;
    }
    const struct blob_presign what = {.method = "PUT",
                                      .bucket = BLOB_UPLOADS,
                                      .key = row.object_key,
                                      .content_length = row.bytes > 0 ? row.bytes : -1,
                                      .expires_s = URL_LIFE_S,
                                      .date_ms = row.created_at};
    error = blob_presign(ingest->config.blobs, &what, url, URL_SIZE_MAX);
    if (error == 0) {
        error = reply_header(request, "Cache-Control", "no-store");
    }
    return error != 0 ? error
                      : reply_json(request, 200,
                                   url_json(url, row.track_url,
                                            row.created_at + (int64_t)URL_LIFE_S * 1000));
}

int upload_url_get(struct request *request)
{
    struct upload_wish wish;
    int error = query_wish(request, &wish);
    return error != 0 ? error : reply_urls(request, &wish);
}

int update_url_get(struct request *request)
{
    struct ingest *ingest = request->context;
    struct upload_wish wish;
    int64_t track_id = 0;
    int error = request_param_id(request, "id", &track_id);
    if (error == 0) {
        error = catalog_may_edit(ingest->config.catalog, &request->call, CATALOG_TRACK, track_id);
    }
    if (error == 0) {
        error = query_wish(request, &wish);
    }
    wish.track_id = track_id;
    return error != 0 ? error : reply_urls(request, &wish);
}

/* The parts that are in the store, by number: etags[number - 1], "" where one is missing. */
struct parts {
    struct arena *arena;
    const char **etags;
    unsigned count;
};

static unsigned part_count(const struct upload_row *row)
{
    return row->part_bytes > 0 ? (unsigned)((row->bytes + row->part_bytes - 1) / row->part_bytes)
                               : 0;
}

static int64_t part_length(const struct upload_row *row, unsigned number)
{
    int64_t start = (int64_t)(number - 1) * row->part_bytes;
    int64_t rest = row->bytes - start;
    return rest < row->part_bytes ? rest : row->part_bytes;
}

static int keep_part(void *argument, const struct blob_part *part)
{
    struct parts *parts = argument;
    if (part->number >= 1 && part->number <= parts->count) {
        const char *etag = arena_strdup(parts->arena, part->etag);
        if (etag == NULL) {
            return ERR_NO_MEMORY;
        }
        parts->etags[part->number - 1] = etag;
    }
    return 0;
}

static int list_parts(struct ingest *ingest, struct arena *arena, const struct upload_row *row,
                      struct parts *parts)
{
    *parts = (struct parts){.arena = arena, .count = part_count(row)};
    parts->etags = arena_array(arena, parts->count + 1, sizeof *parts->etags);
    if (parts->etags == NULL) {
        return ERR_NO_MEMORY;
    }
    return blob_multipart_list(ingest->config.blobs, BLOB_UPLOADS, row->object_key,
                               row->multipart_id, 0, PARTS_MAX, keep_part, parts);
}

static json_t *part_json(struct ingest *ingest, const struct upload_row *row, unsigned number,
                         const char *etag, int64_t now_ms, char *url)
{
    const struct blob_presign what = {.method = "PUT",
                                      .bucket = BLOB_UPLOADS,
                                      .key = row->object_key,
                                      .upload_id = row->multipart_id,
                                      .part_number = number,
                                      .content_length = part_length(row, number),
                                      .expires_s = URL_LIFE_S,
                                      .date_ms = now_ms};
    if (blob_presign(ingest->config.blobs, &what, url, URL_SIZE_MAX) != 0) {
        return NULL;
    }
    return json_pack("{s:i, s:I, s:s, s:s, s:s?}", "number", (int)number, "bytes",
                     (json_int_t)what.content_length, "url", url, "state",
                     etag != NULL ? "uploaded" : "missing", "etag", etag);
}

static json_t *parts_json(struct ingest *ingest, struct arena *arena, const struct upload_row *row,
                          const struct parts *parts, int64_t now_ms)
{
    char *url = arena_alloc(arena, URL_SIZE_MAX);
    json_t *list = url != NULL ? json_array() : NULL;
    for (unsigned i = 0; list != NULL && i < parts->count; i++) {
        if (json_array_append_new(
                list, part_json(ingest, row, i + 1, parts->etags[i], now_ms, url)) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static int reply_upload(struct request *request, int status, const struct upload_row *row)
{
    struct ingest *ingest = request->context;
    struct parts parts = {0};
    bool open = strcmp(row->state, "open") == 0 && row->multipart_id[0] != '\0';
    int64_t now_ms = clock_wall_ms();
    int error = open ? list_parts(ingest, request->call.arena, row, &parts) : 0;
    if (error == 0) {
        error = reply_header(request, "Cache-Control", "no-store");
    }
    if (error != 0) {
        return error;
    }
    json_t *list = parts_json(ingest, request->call.arena, row, &parts, now_ms);
    return reply_json(request, status,
                      json_pack("{s:o, s:s, s:I, s:s, s:s, s:o, s:I, s:o, s:I, s:I}", "id",
                                json_id(row->id), "filename", row->filename, "size",
                                (json_int_t)row->bytes, "state", row->state, "trackUrl",
                                row->track_url, "trackId", json_id(row->track_id), "partSize",
                                (json_int_t)row->part_bytes, "parts", list, "urlsExpireAt",
                                now_ms + (json_int_t)URL_LIFE_S * 1000, "expiresAt",
                                (json_int_t)row->expires_at));
}

static int body_wish(struct request *request, struct upload_wish *wish)
{
    json_t *body = NULL;
    struct call *call = &request->call;
    int error = request_json(request, &body);
    if (error != 0) {
        return error;
    }
    *wish = (struct upload_wish){.filename = "upload", .parts = true};
    const json_t *filename = json_object_get(body, "filename");
    const json_t *size = json_object_get(body, "size");
    if (!json_is_string(filename)) {
        error = problem_field(&call->problem, "filename", "is required, and a string");
    } else {
        error = text_clean(call->arena, &filename_rule, json_string_value(filename), &call->problem,
                           &wish->filename);
    }
    if (!json_is_integer(size) || json_integer_value(size) < 1) {
        error = problem_field(&call->problem, "size", "is required: the file's bytes, at least 1");
    }
    wish->bytes = json_integer_value(size);
    return error;
}

struct find {
    struct call *call;
    int64_t id;
    struct upload_row row;
};

static int find_work(struct db_session *session, void *argument)
{
    struct find *find = argument;
    return upload_get(session, find->call->arena, find->id, find->call->actor.user_id, &find->row);
}

/* The same request again gets the same upload, as it is now and with fresh URLs. */
static int reply_again(struct request *request, const struct idempotency *once)
{
    struct ingest *ingest = request->context;
    struct find find = {.call = &request->call};
    CLEANUP_JSON json_t *kept = json_loads(once->body, 0, NULL);
    if (!json_is_id(json_object_get(kept, "id"), &find.id)) {
        return ERR_CORRUPT;
    }
    int error = db_read(ingest->config.db, find_work, &find);
    if (error == 0) {
        error = reply_header(request, "Idempotency-Replayed", "true");
    }
    return error != 0 ? error : reply_upload(request, 201, &find.row);
}

int uploads_post(struct request *request)
{
    struct ingest *ingest = request->context;
    struct upload_wish wish;
    struct upload_row row;
    struct idempotency once = {0};
    bool replayed = false;
    int error = body_wish(request, &wish);
    if (error == 0) {
        error = upload_replay(request, &once, &replayed);
    }
    if (error != 0 || replayed) {
        return replayed ? reply_again(request, &once) : error;
    }
    wish.once = &once;
    error = upload_begin(ingest, &request->call, &wish, &row);
    if (once.replayed) { /* its twin was done between the two looks */
        return reply_again(request, &once);
    }
    return error != 0 ? error : reply_upload(request, 201, &row);
}

/* The caller's own upload of the path. */
static int find_upload(struct request *request, struct upload_row *ret_row)
{
    struct ingest *ingest = request->context;
    struct find find = {.call = &request->call};
    int error = request_param_id(request, "id", &find.id);
    if (error == 0) {
        error = db_read(ingest->config.db, find_work, &find);
    }
    if (error == 0) {
        *ret_row = find.row;
    }
    return error;
}

int uploads_get(struct request *request)
{
    struct upload_row row;
    int error = find_upload(request, &row);
    return error != 0 ? error : reply_upload(request, 200, &row);
}

int uploads_delete(struct request *request)
{
    struct ingest *ingest = request->context;
    struct upload_row row;
    int error = find_upload(request, &row);
    if (error != 0) {
        return error;
    }
    if (strcmp(row.state, "used") == 0) {
        return problem_set(&request->call.problem, ERR_CONFLICT,
                           "A track has this file already; delete the track");
    }
    error = upload_abort(ingest, &row);
    if (error == 0 || error == ERR_CONFLICT) {
        return reply_empty(request, 204);
    }
    return error;
}

/* The parts to join: those the body names, or without any those in the store. All must be there. */
static int wanted_parts(struct request *request, const struct upload_row *row,
                        const struct parts *stored, struct blob_part *ret_parts)
{
    struct problem *problem = &request->call.problem;
    json_t *body = NULL;
    size_t length = 0;
    (void)request_body(request, &length);
    int error = length > 0 ? request_json(request, &body) : 0;
    if (error != 0) {
        return error;
    }
    const json_t *list = json_object_get(body, "parts");
    for (unsigned i = 0; i < stored->count; i++) {
        if (stored->etags[i] == NULL) {
            return problem_set(problem, ERR_CONFLICT,
                               "Part %u of %u has not arrived; PUT it and complete again", i + 1,
                               stored->count);
        }
        ret_parts[i].number = i + 1;
        ret_parts[i].bytes = (uint64_t)part_length(row, i + 1);
        strncpy(ret_parts[i].etag, stored->etags[i], sizeof ret_parts[i].etag - 1);
    }
    size_t index;
    const json_t *item;
    json_array_foreach((json_t *)list, index, item)
    {
        int64_t number = json_integer_value(json_object_get(item, "number"));
        const char *etag = json_string_value(json_object_get(item, "etag"));
        if (number < 1 || number > stored->count || etag == NULL) {
            return problem_field(problem, "parts",
                                 "must list {number, etag} with numbers from 1 to %u",
                                 stored->count);
        }
        size_t quoted = etag[0] == '"' ? 1 : 0;
        size_t bare = strlen(etag + quoted);
        bare -= bare > 0 && etag[quoted + bare - 1] == '"' ? 1 : 0;
        const char *have = stored->etags[number - 1];
        if (strlen(have) != bare || strncmp(have, etag + quoted, bare) != 0) {
            return problem_set(problem, ERR_CONFLICT,
                               "Part %" PRId64 " in the store has another ETag (%s)", number, have);
        }
    }
    return 0;
}

/* The object as it lies in the store must be what was announced. */
static int check_object(struct ingest *ingest, struct call *call, const struct upload_row *row)
{
    struct blob_stat stat;
    int error = blob_stat(ingest->config.blobs, BLOB_UPLOADS, row->object_key, &stat);
    if (error != 0) {
        return error;
    }
    if ((int64_t)stat.bytes != row->bytes) {
        return problem_set(&call->problem, ERR_CONFLICT,
                           "%" PRIu64 " bytes arrived, %" PRId64 " were announced", stat.bytes,
                           row->bytes);
    }
    return 0;
}

static int join_parts(struct request *request, const struct upload_row *row)
{
    struct ingest *ingest = request->context;
    struct parts stored;
    int error = list_parts(ingest, request->call.arena, row, &stored);
    if (error == ERR_NOT_FOUND) { /* joined before, by a call whose end was lost */
        return check_object(ingest, &request->call, row);
    }
    struct blob_part *parts =
        error == 0 ? arena_array(request->call.arena, stored.count, sizeof *parts) : NULL;
    if (parts == NULL) {
        return error != 0 ? error : ERR_NO_MEMORY;
    }
    error = wanted_parts(request, row, &stored, parts);
    if (error != 0) {
        return error;
    }
    struct blob_stat stat;
    error = blob_multipart_complete(ingest->config.blobs, BLOB_UPLOADS, row->object_key,
                                    row->multipart_id, parts, stored.count, &stat,
                                    &request->call.problem);
    return error != 0 ? error : check_object(ingest, &request->call, row);
}

static int complete_work(struct db_session *session, void *argument)
{
    const struct upload_row *row = argument;
    return upload_set_state(session, row->id, "complete", 0);
}

int uploads_complete(struct request *request)
{
    struct ingest *ingest = request->context;
    struct upload_row row;
    int error = find_upload(request, &row);
    if (error != 0) {
        return error;
    }
    if (strcmp(row.state, "aborted") == 0 || row.multipart_id[0] == '\0') {
        return problem_set(&request->call.problem, ERR_CONFLICT,
                           row.multipart_id[0] == '\0' ? "This upload has no parts"
                                                       : "This upload was given up");
    }
    if (strcmp(row.state, "open") == 0) {
        error = join_parts(request, &row);
        if (error == 0) {
            error = db_write(ingest->config.db, complete_work, &row);
        }
        row.state = "complete";
    }
    return error != 0 ? error : reply_upload(request, 200, &row);
}
