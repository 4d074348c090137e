/* Routes of tracks that read or delete (ingest has those that bring a file). Handlers run on the
 * pool; memory is the request's arena. */
#include "service/catalog/catalog_http.h"

#include "backend/blob/blob.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/text.h"
#include "service/catalog/access_store.h"
#include "service/catalog/catalog_json.h"
#include "service/catalog/change.h"
#include "service/catalog/removal.h"
#include "service/catalog/resource.h"
#include "service/page.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct track_read {
    struct call *call;
    int64_t id;
    struct track_row row;
};

static int track_get_work(struct db_session *session, void *argument)
{
    struct track_read *read = argument;
    int error = catalog_permit(session, read->call, CATALOG_TRACK, read->id, CATALOG_SEE);
    return error != 0 ? error : track_get(session, read->call->arena, read->id, &read->row);
}

static int track_read_one(struct request *request, struct track_read *read)
{
    struct catalog *catalog = request->context;
    *read = (struct track_read){.call = &request->call};
    int error = request_param_id(request, "id", &read->id);
    return error != 0 ? error : db_read(catalog->db, track_get_work, read);
}

int track_get_one(struct request *request)
{
    return resource_get(request, CATALOG_TRACK);
}

static int track_delete_work(struct db_session *session, struct change *change)
{
    struct track_row row;
    int error = catalog_permit(session, change->call, CATALOG_TRACK, change->id, CATALOG_DELETE);
    if (error == 0) {
        error = track_get(session, change->call->arena, change->id, &row);
    }
    if (error == 0) {
        error = request_if_match(change->request, row.revision);
    }
    if (error == 0) {
        error = remove_track(session, change, change->id);
    }
    return error != 0 ? error
                      : change_answer(change, json_pack("{s:o}", "id", json_id(change->id)), 0);
}

int track_delete(struct request *request)
{
    return change_by_id(request, track_delete_work, 200);
}

/* Lists: of an album in its order, of an artist or of all newest first, of all by title. */
struct track_page {
    struct call *call;
    char order; /* 'd' of an album, 'r' of an artist, 'n' newest, 'y' by title */
    int64_t parent_id;
    struct list_place place;
    struct track_list list;
    struct list_answer answer;
};

static int list_of_artist(struct db_session *session, struct track_page *page)
{
    bool drafts = false;
    int error = catalog_permit_drafts(session, page->call, page->parent_id, &drafts);
    return error != 0 ? error
                      : track_list_of_artist(session, page->call->arena, page->parent_id, drafts,
                                             &page->place, &page->list);
}

static int list_of_album(struct db_session *session, struct track_page *page)
{
    int error = access_find(session, CATALOG_ALBUM, page->parent_id, &page->answer.sight);
    if (error == 0) {
        error = catalog_permit(session, page->call, CATALOG_ALBUM, page->parent_id, CATALOG_SEE);
    }
    return error != 0 ? error
                      : track_list_of_album(session, page->call->arena, page->parent_id,
                                            &page->place, &page->list);
}

static int list_of_shelf(struct db_session *session, void *context, int64_t shelf_id,
                         void **ret_rows, unsigned *ret_count)
{
    struct track_page *page = context;
    struct track_list list = {0};
    int error = (page->order == 'n' ? track_list_newest : track_list_by_title)(
        session, page->call->arena, shelf_id, &page->place, &list);
    *ret_rows = list.rows;
    *ret_count = list.count;
    return error;
}

static int compare_titles(const void *context, const void *a, const void *b)
{
    (void)context;
    const struct track_row *left = a, *right = b;
    int order = strcmp(left->title_key, right->title_key);
    return order != 0 ? order : left->id < right->id ? -1 : left->id > right->id;
}

static int compare_newest(const void *context, const void *a, const void *b)
{
    (void)context;
    const struct track_row *left = a, *right = b;
    return left->id > right->id ? -1 : left->id < right->id;
}

static int list_of_all(struct db_session *session, struct track_page *page)
{
    void *rows = NULL;
    const struct shelf_merge merge = {
        .arena = page->call->arena,
        .shelves = &page->answer.shelves,
        .limit = page->place.limit,
        .row_bytes = sizeof *page->list.rows,
        .list = list_of_shelf,
        .compare = page->order == 'n' ? compare_newest : compare_titles,
        .context = page,
    };
    int error = shelves_merge(session, &merge, &rows, &page->list.count);
    page->list.rows = rows;
    return error;
}

static int track_list_work(struct db_session *session, void *argument)
{
    struct track_page *page = argument;
    switch (page->order) {
    case 'd':
        return list_of_album(session, page);
    case 'r':
        return list_of_artist(session, page);
    default:
        return list_of_all(session, page);
    }
}

static json_t *track_page_json(const struct track_page *page)
{
    unsigned shown = page_shown(page->list.count, &page->place);
    json_t *items = json_array();
    for (unsigned i = 0; i < shown; i++) {
        page_add(&items, track_json(&page->list.rows[i]));
    }
    const struct track_row *row = page->list.count > shown ? &page->list.rows[shown - 1] : NULL;
    struct list_place last = {.key = ""};
    if (row != NULL) {
        last = (struct list_place){.key = page->order == 'y' ? row->title_key : "",
                                   .id = row->id,
                                   .disc = page->order == 'd' ? row->disc_number : 0,
                                   .number = page->order == 'd' ? row->track_number : 0};
    }
    return page_answer(page->call->arena, items, page->order, row != NULL ? &last : NULL);
}

static int track_list_reply(struct request *request, struct track_page *page)
{
    struct catalog *catalog = request->context;
    bool downward = page->order == 'r' || page->order == 'n';
    page->call = &request->call;
    page->place = (struct list_place){.key = "", .id = downward ? INT64_MAX : 0};
    int error = page_begin(request, page->order, &page->place);
    if (error != 0) {
        return error;
    }
    page->answer.sight.published = true;
    if (page->order != 'r') { /* an artist's may hold drafts that only some see */
        const char filter[] = {page->order, '\0'};
        list_key(request, &page->answer, "tracks", page->parent_id, filter);
    }
    error = list_cached(request, &page->answer);
    if (error != ERR_NOT_FOUND) {
        return error;
    }
    error = db_read(catalog->db, track_list_work, page);
    return error != 0 ? error : list_reply(request, &page->answer, track_page_json(page));
}

int track_list_get(struct request *request)
{
    struct track_page page = {.order = 'n'};
    const char *artist = request_query(request, "artistId");
    const char *album = request_query(request, "albumId");
    bool created = false;
    int error = query_sort(request, "title", &created);
    if (error != 0) {
        return error;
    }
    const char *parent = album != NULL ? album : artist;
    if (parent != NULL && !id_parse(parent, &page.parent_id)) {
        return problem_set(&request->call.problem, ERR_MALFORMED,
                           "artistId and albumId must be ids");
    }
    if (album != NULL) {
        page.order = 'd';
    } else if (artist != NULL) {
        page.order = 'r';
    } else if (!created && request_query(request, "sort") != NULL) {
        page.order = 'y';
    }
    return track_list_reply(request, &page);
}

int track_list_of_album_get(struct request *request)
{
    struct track_page page = {.order = 'd'};
    int error = request_param_id(request, "id", &page.parent_id);
    return error != 0 ? error : track_list_reply(request, &page);
}

/* The player's small picture of the sound: an object that the first pass made. */
int waveform_get(struct request *request)
{
    struct catalog *catalog = request->context;
    struct track_read read;
    int error = track_read_one(request, &read);
    if (error != 0) {
        return error;
    }
    char key[96], etag[BLOB_ETAG_MAX + 2];
    (void)snprintf(key, sizeof key, "m/%" PRId64 "/%" PRId64 "/waveform.bin", read.id,
                   read.row.version);
    struct blob_source source;
    struct blob_stat stat;
    error = blob_open(catalog->blobs, BLOB_MEDIA, key, &source, &stat);
    if (error == ERR_NOT_FOUND) {
        return problem_set(&request->call.problem, ERR_NOT_FOUND,
                           "The track has no waveform yet; its status is %s", read.row.status);
    }
    if (error != 0) {
        return error;
    }
    (void)snprintf(etag, sizeof etag, "\"%s\"", stat.etag);
    const struct reply_file file = {.content_type = "application/octet-stream",
                                    .etag = etag,
                                    .modified_ms = stat.modified_ms,
                                    .cache_control = "private, no-cache"};
    return blob_reply(request, &source, &file);
}
