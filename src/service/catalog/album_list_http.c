/* Lists of albums and of genres. Handlers run on the pool; memory is the request's arena. */
#include "service/catalog/catalog_http.h"

#include "base/error.h"
#include "base/id.h"
#include "base/text.h"
#include "service/catalog/catalog_json.h"
#include "service/catalog/change.h"
#include "service/catalog/page.h"
#include "service/catalog/resource.h"

#include <string.h>

struct album_page {
    struct call *call;
    struct album_filter filter;
    char order; /* 'a' newest, 't' by title: also the cursor's letter */
    struct list_place place;
    struct album_list list;
};

static int album_list_work(struct db_session *session, void *argument)
{
    struct album_page *page = argument;
    if (page->filter.artist_id != 0) {
        int error = catalog_permit(session, page->call, CATALOG_ARTIST, page->filter.artist_id,
                                   CATALOG_SEE);
        if (error != 0) {
            return error;
        }
        error = catalog_permit_drafts(session, page->call, page->filter.artist_id,
                                      &page->filter.drafts);
        if (error != 0) {
            return error;
        }
    }
    return album_list(session, page->call->arena, &page->filter, &page->place, &page->list);
}

static json_t *album_page_json(const struct album_page *page)
{
    unsigned shown = page->place.limit - 1;
    bool more = page->list.count > shown;
    unsigned count = more ? shown : page->list.count;
    json_t *items = json_array();
    for (unsigned i = 0; items != NULL && i < count; i++) {
        if (json_array_append_new(items, album_json(&page->list.rows[i])) != 0) {
            json_decref(items);
            items = NULL;
        }
    }
    if (items == NULL) {
        return NULL;
    }
    const struct album_row *row = more ? &page->list.rows[count - 1] : NULL;
    struct list_place last = {.key = ""};
    if (row != NULL) {
        last.id = row->id;
        last.key = page->filter.by_title ? row->title_key : "";
    }
    return page_answer(page->call->arena, items, page->order, row != NULL ? &last : NULL);
}

static int album_filter_read(struct request *request, struct album_filter *filter)
{
    static const char *const types[] = {"album", "single", "ep", "compilation", NULL};
    bool created = false;
    int error = query_sort(request, "title", &created);
    if (error != 0) {
        return error;
    }
    filter->by_title = !created && request_query(request, "sort") != NULL;
    const char *genre = request_query(request, "genre");
    filter->genre_key = genre != NULL ? text_fold(request->call.arena, genre) : "";
    if (filter->genre_key == NULL) {
        return ERR_NO_MEMORY;
    }
    const char *type = request_query(request, "type");
    filter->type = type != NULL ? NULL : "";
    for (unsigned i = 0; type != NULL && types[i] != NULL; i++) {
        filter->type = strcmp(type, types[i]) == 0 ? types[i] : filter->type;
    }
    if (filter->type == NULL) {
        return problem_set(&request->call.problem, ERR_MALFORMED,
                           "type must be one of album, single, ep, compilation");
    }
    return 0;
}

/* What sets the list apart in the cache; NULL where it may hold drafts that only some see. */
static const char *album_list_filter(const struct album_page *page)
{
    const struct album_filter *filter = &page->filter;
    bool plain = page->call->actor.roles == ROLE_LISTENER;
    if (filter->artist_id != 0 && !plain) {
        return NULL;
    }
    return arena_printf(page->call->arena, "%c:%s:%s", page->order, filter->type,
                        filter->genre_key);
}

static int album_list_reply(struct request *request, struct album_page *page)
{
    struct catalog *catalog = request->context;
    page->call = &request->call;
    int error = album_filter_read(request, &page->filter);
    if (error != 0) {
        return error;
    }
    page->order = page->filter.by_title ? 't' : 'a';
    page->place = (struct list_place){.key = "", .id = page->filter.by_title ? 0 : INT64_MAX};
    error = page_begin(request, page->order, &page->place);
    if (error != 0) {
        return error;
    }
    struct list_answer answer = {.published = true};
    const char *filter = album_list_filter(page);
    if (filter != NULL) {
        list_key(request, &answer, "albums", page->filter.artist_id, filter);
    }
    error = list_cached(request, &answer);
    if (error != ERR_NOT_FOUND) {
        return error;
    }
    error = db_read(catalog->db, album_list_work, page);
    return error != 0 ? error : list_reply(request, &answer, album_page_json(page));
}

int album_list_get(struct request *request)
{
    struct album_page page = {0};
    const char *artist = request_query(request, "artistId");
    if (artist != NULL && !id_parse(artist, &page.filter.artist_id)) {
        return problem_set(&request->call.problem, ERR_MALFORMED, "artistId must be an id");
    }
    return album_list_reply(request, &page);
}

int album_list_of_artist_get(struct request *request)
{
    struct album_page page = {0};
    int error = request_param_id(request, "id", &page.filter.artist_id);
    return error != 0 ? error : album_list_reply(request, &page);
}

struct genre_page {
    struct call *call;
    struct list_place place;
    struct genre_row *rows;
    unsigned count;
};

static int genre_list_work(struct db_session *session, void *argument)
{
    struct genre_page *page = argument;
    return genre_list(session, page->call->arena, &page->place, &page->rows, &page->count);
}

static json_t *genre_page_json(const struct genre_page *page)
{
    unsigned shown = page->place.limit - 1;
    bool more = page->count > shown;
    unsigned count = more ? shown : page->count;
    json_t *items = json_array();
    for (unsigned i = 0; items != NULL && i < count; i++) {
        if (json_array_append_new(items, genre_json(&page->rows[i])) != 0) {
            json_decref(items);
            items = NULL;
        }
    }
    struct list_place last = {.key = more ? page->rows[count - 1].name_key : ""};
    return items != NULL ? page_answer(page->call->arena, items, 'g', more ? &last : NULL) : NULL;
}

int genre_list_get(struct request *request)
{
    struct catalog *catalog = request->context;
    struct genre_page page = {.call = &request->call, .place = {.key = ""}};
    int error = page_begin(request, 'g', &page.place);
    if (error != 0) {
        return error;
    }
    struct list_answer answer = {.published = true};
    list_key(request, &answer, "genres", 0, "");
    error = list_cached(request, &answer);
    if (error != ERR_NOT_FOUND) {
        return error;
    }
    error = db_read(catalog->db, genre_list_work, &page);
    return error != 0 ? error : list_reply(request, &answer, genre_page_json(&page));
}
