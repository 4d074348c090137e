/* Routes of a track's lyrics. They are part of what clients write on a track, so its revision
 * counts them. What is written in the form of an LRC file is kept so, and answered as lines with
 * their times and the words apart. Handlers run on the pool. */
#include "service/catalog/catalog_http.h"

#include "base/error.h"
#include "base/json.h"
#include "service/catalog/change.h"
#include "service/catalog/lrc.h"
#include "service/fields.h"

struct lyrics_read {
    struct call *call;
    int64_t track_id;
    int64_t revision, updated_at;
    const char *text;
};

static json_t *lines_json(const struct lrc *lrc)
{
    json_t *lines = lrc->count > 0 ? json_array() : json_null();
    for (unsigned i = 0; i < lrc->count; i++) {
        (void)json_array_append_new(lines,
                                    json_pack("{s:I, s:s}", "atMs", (json_int_t)lrc->lines[i].at_ms,
                                              "text", lrc->lines[i].text));
    }
    return lines;
}

/* NULL: out of memory. */
static json_t *lyrics_json(struct arena *arena, int64_t track_id, const char *text,
                           int64_t updated_at)
{
    struct lrc lrc;
    if (lrc_read(arena, text, &lrc) != 0) {
        return NULL;
    }
    return json_pack("{s:o, s:s, s:o, s:I}", "trackId", json_id(track_id), "text", lrc.text,
                     "lines", lines_json(&lrc), "updatedAt", (json_int_t)updated_at);
}

static int lyrics_get_work(struct db_session *session, void *argument)
{
    struct lyrics_read *read = argument;
    struct arena *arena = read->call->arena;
    struct track_row row;
    int error = catalog_permit(session, read->call, CATALOG_TRACK, read->track_id, CATALOG_SEE);
    if (error == 0) {
        error = track_get(session, arena, read->track_id, &row);
    }
    if (error != 0) {
        return error;
    }
    read->revision = row.revision;
    error = lyrics_get(session, arena, read->track_id, &read->text, &read->updated_at);
    return error != ERR_NOT_FOUND
               ? error
               : problem_set(&read->call->problem, error, "The track has no lyrics");
}

int lyrics_get_one(struct request *request)
{
    struct catalog *catalog = request->context;
    struct lyrics_read read = {.call = &request->call};
    int error = request_param_id(request, "id", &read.track_id);
    if (error == 0) {
        error = db_read(catalog->db, lyrics_get_work, &read);
    }
    if (error == 0) {
        error = reply_header(request, "Cache-Control", "private, no-cache");
    }
    return error != 0 ? error
                      : reply_resource(request, 200,
                                       lyrics_json(request->call.arena, read.track_id, read.text,
                                                   read.updated_at),
                                       read.revision);
}

/* fields: the new text, NULL to delete. */
static int lyrics_write_work(struct db_session *session, struct change *change)
{
    const char *text = change->fields;
    struct track_row row;
    int error = catalog_permit(session, change->call, CATALOG_TRACK, change->id, CATALOG_EDIT);
    if (error == 0) {
        error = track_get(session, change->call->arena, change->id, &row);
    }
    if (error == 0) {
        error = request_if_match(change->request, row.revision);
    }
    if (error == 0) {
        error = text != NULL ? lyrics_put(session, row.id, text, change->now_ms)
                             : lyrics_delete(session, row.id);
    }
    if (error != 0) {
        return error;
    }
    row.has_lyrics = text != NULL;
    row.updated_at = change->now_ms;
    error = track_update(session, &row);
    if (error == 0) {
        error = change_emit(session, CATALOG_TRACK, row.id, "track.changed");
    }
    if (error == 0) {
        error = change_touch(change, CATALOG_TRACK, row.id);
    }
    if (error != 0 || text == NULL) {
        return error;
    }
    return change_answer(change, lyrics_json(change->call->arena, row.id, text, change->now_ms),
                         row.revision + 1);
}

int lyrics_put_one(struct request *request)
{
    static const struct text_rule rule = {
        .field = "text", .characters_max = LYRICS_MAX, .lines = true};
    struct change change = {
        .catalog = request->context, .request = request, .work = lyrics_write_work, .status = 200};
    json_t *body = NULL;
    const char *text = NULL;
    bool there = false;
    int error = request_param_id(request, "id", &change.id);
    if (error == 0) {
        error = request_json(request, &body);
    }
    if (error == 0) {
        error = field_text(&request->call, body, &rule, &text, &there);
    }
    if (error == 0) {
        error = field_required(&request->call, "text", there);
    }
    change.fields = text;
    return error != 0 ? error : change_run(&change);
}

int lyrics_delete_one(struct request *request)
{
    return change_by_id(request, lyrics_write_work, 204);
}
