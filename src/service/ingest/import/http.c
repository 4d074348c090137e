/* Routes of imports, for admins: what was gone through and how it went, what is broken or missing,
 * and the wish to look again. Handlers run on the pool; memory is the request's arena. */
#include "service/ingest/import/import.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "service/page.h"

#include <string.h>

enum { LOST_MS = 60000 }; /* a run that did not tell for so long was killed */

/* A page of rows of one kind, which `item` says as JSON; ret_id: where the page behind one goes on.
 */
struct rows_page {
    struct arena *arena;
    struct list_place place;
    void *rows;
    unsigned count;
};
typedef json_t *row_item(const struct rows_page *page, unsigned index, int64_t *ret_id);

/* letter: the cursor's. from: the id that the first page begins behind. */
static int read_page(struct request *request, char letter, int64_t from, db_work *work,
                     row_item *item, json_t **ret_answer)
{
    struct ingest *ingest = request->context;
    struct rows_page page = {.arena = request->call.arena, .place = {.key = "", .id = from}};
    int error = page_begin(request, letter, &page.place);
    error = error != 0 ? error : db_read(ingest->config.db, work, &page);
    if (error != 0) {
        return error;
    }
    unsigned shown = page_shown(page.count, &page.place);
    struct list_place last = {.key = ""};
    json_t *items = json_array();
    for (unsigned i = 0; i < shown; i++) {
        page_add(&items, item(&page, i, &last.id));
    }
    *ret_answer = page_answer(page.arena, items, letter, page.count > shown ? &last : NULL);
    return 0;
}

static int answer_page(struct request *request, char letter, db_work *work, row_item *item)
{
    json_t *answer = NULL;
    int error = read_page(request, letter, 0, work, item, &answer);
    return error != 0 ? error : reply_json(request, 200, answer);
}

/* --- what was gone through --- */

static int runs_work(struct db_session *session, void *argument)
{
    struct rows_page *page = argument;
    struct run_row *rows = NULL;
    int error =
        run_list(session, page->arena, page->place.id, page->place.limit, &rows, &page->count);
    page->rows = rows;
    return error;
}

static json_t *time_or_null(int64_t time_ms)
{
    return time_ms != 0 ? json_integer(time_ms) : json_null();
}

static json_t *run_json(const struct rows_page *page, unsigned index, int64_t *ret_id)
{
    const struct run_row *row = &((const struct run_row *)page->rows)[index];
    *ret_id = row->id;
    json_t *counts = json_loads(row->counts, 0, NULL);
    bool lost = strcmp(row->state, "running") == 0 && clock_wall_ms() - row->updated_at > LOST_MS;
    return json_pack("{s:o, s:s, s:s, s:s, s:o, s:I, s:I, s:o}", "id", json_id(row->id), "folder",
                     row->library_path, "state", lost ? "stopped" : row->state, "reason",
                     row->reason, "counts", counts != NULL ? counts : json_object(), "startedAt",
                     (json_int_t)row->started_at, "updatedAt", (json_int_t)row->updated_at,
                     "endedAt", time_or_null(row->ended_at));
}

static json_t *followed_json(struct ingest *ingest)
{
    json_t *list = json_array();
    struct import_followed one;
    for (unsigned i = 0; import_follow_get(ingest, i, &one); i++) {
        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "folder", one.path, "by",
                                                    one.by, "reason", one.reason));
    }
    return list;
}

int imports_get(struct request *request)
{
    json_t *answer = NULL;
    int error = read_page(request, 'I', INT64_MAX, runs_work, run_json, &answer);
    if (error != 0) {
        return error;
    }
    (void)json_object_set_new(answer, "followed", followed_json(request->context));
    return reply_json(request, 200, answer);
}

int imports_post(struct request *request)
{
    json_t *body = NULL;
    size_t length = 0;
    (void)request_body(request, &length);
    int error = length > 0 ? request_json(request, &body) : 0;
    const json_t *accept = json_object_get(body, "acceptMissing");
    if (error == 0 && accept != NULL && !json_is_boolean(accept)) {
        error = problem_set(&request->call.problem, ERR_INVALID, "acceptMissing is true or false");
    }
    if (error != 0) {
        return error;
    }
    if (!import_follow_now(request->context, json_is_true(accept))) {
        return problem_set(&request->call.problem, ERR_CONFLICT,
                           "No folder is followed here: set import.folders, or run tutti import");
    }
    return reply_empty(request, 202);
}

/* --- files that are not as they should be --- */

static int files_work(struct db_session *session, void *argument)
{
    struct rows_page *page = argument;
    struct file_row *rows = NULL;
    int error =
        file_troubled(session, page->arena, page->place.id, page->place.limit, &rows, &page->count);
    page->rows = rows;
    return error;
}

static json_t *file_json(const struct rows_page *page, unsigned index, int64_t *ret_id)
{
    const struct file_row *row = &((const struct file_row *)page->rows)[index];
    *ret_id = row->id;
    return json_pack("{s:s, s:s++, s:s, s:s, s:s, s:o}", "folder", row->library_path, "path",
                     row->folder_path, row->folder_path[0] != '\0' ? "/" : "", row->name, "state",
                     row->state, "code", row->code, "reason", row->reason, "trackId",
                     json_id(row->track_id));
}

int import_files_get(struct request *request)
{
    return answer_page(request, 'F', files_work, file_json);
}

/* --- playlists among the music --- */

static int lists_work(struct db_session *session, void *argument)
{
    struct rows_page *page = argument;
    struct list_row *rows = NULL;
    int error =
        list_page(session, page->arena, page->place.id, page->place.limit, &rows, &page->count);
    page->rows = rows;
    return error;
}

static json_t *list_json(const struct rows_page *page, unsigned index, int64_t *ret_id)
{
    const struct list_row *row = &((const struct list_row *)page->rows)[index];
    *ret_id = row->id;
    json_t *unfound = json_loads(row->unfound, 0, NULL);
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o}", "folder", row->library_path,
                     "path", row->path, "state", row->state, "reason", row->reason, "entries",
                     (json_int_t)row->entries, "found", (json_int_t)row->found, "unfound",
                     unfound != NULL ? unfound : json_array(), "playlistId",
                     row->playlist_id != 0 ? json_id(row->playlist_id) : json_null());
}

int import_lists_get(struct request *request)
{
    return answer_page(request, 'l', lists_work, list_json);
}
