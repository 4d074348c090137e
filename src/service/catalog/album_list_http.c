/* Lists of albums and of genres. Handlers run on the pool; memory is the request's arena. */
#include "service/catalog/catalog_http.h"

#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/catalog/access_store.h"
#include "service/catalog/catalog_json.h"
#include "service/catalog/change.h"
#include "service/catalog/resource.h"
#include "service/page.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct album_page {
    struct call *call;
    struct album_filter filter;
    char order; /* the cursor's letter: 'a' newest, 't' by title, 'b' 'B' by year, 's' random */
    struct list_place place;
    struct album_list list;
    struct list_answer answer;
};

static int album_list_shelf(struct db_session *session, void *context, int64_t shelf_id,
                            void **ret_rows, unsigned *ret_count)
{
    struct album_page *page = context;
    struct album_filter filter = page->filter;
    struct album_list list = {0};
    filter.shelf_id = shelf_id;
    int error = album_list(session, page->call->arena, &filter, &page->place, &list);
    *ret_rows = list.rows;
    *ret_count = list.count;
    return error;
}

/* Where on the way around the ring from where the list starts. */
static int64_t ring_way(const struct album_page *page, int64_t id)
{
    int64_t start = strtoll(page->place.key, NULL, 10), place = album_ring_place(id);
    return place >= start ? place - start : place - start + ((int64_t)1 << ALBUM_RING_BITS);
}

/* As the statements of each order have it. */
static int compare_albums(const void *context, const void *a, const void *b)
{
    const struct album_page *page = context;
    const struct album_row *left = a, *right = b;
    int by_id = left->id < right->id ? -1 : left->id > right->id, order = 0;
    switch (page->filter.sort) {
    case ALBUM_NEWEST:
        return -by_id;
    case ALBUM_BY_TITLE:
        order = strcmp(left->title_key, right->title_key);
        break;
    case ALBUM_BY_YEAR:
        order = strcmp(album_date(left), album_date(right));
        order = order != 0 ? order : by_id;
        return page->filter.descending ? -order : order;
    case ALBUM_RANDOM: {
        int64_t one = ring_way(page, left->id), other = ring_way(page, right->id);
        order = one < other ? -1 : one > other;
        break;
    }
    }
    return order != 0 ? order : by_id;
}

static int album_list_merged(struct db_session *session, struct album_page *page)
{
    void *rows = NULL;
    const struct shelf_merge merge = {
        .arena = page->call->arena,
        .shelves = &page->answer.shelves,
        .limit = page->place.limit,
        .row_bytes = sizeof *page->list.rows,
        .list = album_list_shelf,
        .compare = compare_albums,
        .context = page,
    };
    int error = shelves_merge(session, &merge, &rows, &page->list.count);
    page->list.rows = rows;
    return error;
}

static int album_list_work(struct db_session *session, void *argument)
{
    struct album_page *page = argument;
    if (page->filter.artist_id != 0) {
        int error = catalog_permit(session, page->call, CATALOG_ARTIST, page->filter.artist_id,
                                   CATALOG_SEE);
        if (error != 0) {
            return error;
        }
        error = access_find(session, CATALOG_ARTIST, page->filter.artist_id, &page->answer.sight);
        if (error != 0) {
            return error;
        }
        error = catalog_permit_drafts(session, page->call, page->filter.artist_id,
                                      &page->filter.drafts);
        return error != 0 ? error
                          : album_list(session, page->call->arena, &page->filter, &page->place,
                                       &page->list);
    }
    return album_list_merged(session, page);
}

/* Where the page behind the row goes on. */
static struct list_place album_place(const struct album_page *page, const struct album_row *row)
{
    struct list_place last = {.key = "", .id = row->id};
    switch (page->filter.sort) {
    case ALBUM_NEWEST:
        break;
    case ALBUM_BY_TITLE:
        last.key = row->title_key;
        break;
    case ALBUM_BY_YEAR:
        last.key = album_date(row);
        break;
    case ALBUM_RANDOM:
        last.key = page->place.key;
        last.number = album_ring_place(row->id);
        last.disc = page->place.disc != 0 || last.number < strtoll(last.key, NULL, 10);
        break;
    }
    return last;
}

/* What stands together on the ring always does; so a page is shuffled, by its own place. */
static void album_shuffle(struct album_row *rows, unsigned count, const struct list_place *place)
{
    uint64_t state = (uint64_t)(place->number ^ place->id) | 1;
    for (unsigned i = count; i > 1; i--) {
        state = state * 6364136223846793005U + 1442695040888963407U; /* Knuth, TAOCP 3.3.4 */
        unsigned other = (unsigned)((state >> 33) % i);
        struct album_row row = rows[i - 1];
        rows[i - 1] = rows[other];
        rows[other] = row;
    }
}

static json_t *album_page_json(const struct album_page *page)
{
    unsigned shown = page_shown(page->list.count, &page->place);
    bool more = page->list.count > shown;
    struct list_place last = {.key = ""};
    if (more) {
        last = album_place(page, &page->list.rows[shown - 1]);
    }
    if (page->filter.sort == ALBUM_RANDOM) {
        album_shuffle(page->list.rows, shown, &page->place);
    }
    json_t *items = json_array();
    for (unsigned i = 0; i < shown; i++) {
        page_add(&items, album_json(&page->list.rows[i]));
    }
    return page_answer(page->call->arena, items, page->order, more ? &last : NULL);
}

static int album_sort_read(struct request *request, enum album_sort *ret_sort)
{
    static const char *const sorts[] = {[ALBUM_NEWEST] = "created",
                                        [ALBUM_BY_TITLE] = "title",
                                        [ALBUM_BY_YEAR] = "year",
                                        [ALBUM_RANDOM] = "random"};
    const char *sort = request_query(request, "sort");
    *ret_sort = ALBUM_NEWEST;
    for (unsigned i = 0; sort != NULL && i < COUNT_OF(sorts); i++) {
        if (strcmp(sort, sorts[i]) == 0) {
            *ret_sort = (enum album_sort)i;
            return 0;
        }
    }
    return sort == NULL ? 0
                        : problem_set(&request->call.problem, ERR_MALFORMED,
                                      "sort must be one of created, title, year, random");
}

/* order, fromYear and toYear, which sort=year alone takes. Digits are below ':'. */
static int album_years_read(struct request *request, struct album_filter *filter)
{
    enum { YEAR_MIN = 1000, YEAR_MAX = 9999 };
    struct arena *arena = request->call.arena;
    const char *order = request_query(request, "order");
    int64_t from = 0, to = 0;
    int error = request_query_number(request, "fromYear", YEAR_MIN, YEAR_MAX, 0, &from);
    error = error != 0 ? error
                       : request_query_number(request, "toYear", YEAR_MIN, YEAR_MAX, YEAR_MAX, &to);
    if (error != 0) {
        return error;
    }
    filter->descending = order != NULL && strcmp(order, "desc") == 0;
    if (order != NULL && !filter->descending && strcmp(order, "asc") != 0) {
        return problem_set(&request->call.problem, ERR_MALFORMED, "order must be asc or desc");
    }
    filter->since = from > 0 ? arena_printf(arena, "%" PRId64, from) : "0";
    filter->until = to < YEAR_MAX ? arena_printf(arena, "%" PRId64, to + 1) : ":";
    return filter->since != NULL && filter->until != NULL ? 0 : ERR_NO_MEMORY;
}

/* What can't be walked along an index is refused, rather than be slow where there is much. */
static int album_combination(struct request *request, const struct album_filter *filter)
{
    bool years = filter->sort == ALBUM_BY_YEAR;
    bool alone = filter->sort == ALBUM_RANDOM || (years && filter->artist_id == 0);
    if (filter->sort == ALBUM_RANDOM && filter->artist_id != 0) {
        return problem_set(&request->call.problem, ERR_MALFORMED,
                           "sort=random is of all albums, not of one artist's");
    }
    if (alone && filter->genre_key[0] != '\0') {
        return problem_set(&request->call.problem, ERR_MALFORMED,
                           "genre goes with sort=created and sort=title");
    }
    bool asked = request_query(request, "fromYear") != NULL ||
                 request_query(request, "toYear") != NULL ||
                 request_query(request, "order") != NULL;
    if (!years && asked) {
        return problem_set(&request->call.problem, ERR_MALFORMED,
                           "order, fromYear and toYear go with sort=year");
    }
    return 0;
}

static int album_filter_read(struct request *request, struct album_filter *filter)
{
    static const char *const types[] = {"album", "single", "ep", "compilation", NULL};
    int error = album_sort_read(request, &filter->sort);
    error = error != 0 ? error : album_years_read(request, filter);
    if (error != 0) {
        return error;
    }
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
    return album_combination(request, filter);
}

/* What sets the list apart in the cache; NULL where each is another. */
static const char *album_list_filter(const struct album_page *page)
{
    const struct album_filter *filter = &page->filter;
    if (filter->sort == ALBUM_RANDOM) {
        return NULL;
    }
    return arena_printf(page->call->arena, "%c:%s:%s:%s:%s", page->order, filter->type,
                        filter->since, filter->until, filter->genre_key);
}

/* The first place of the list, and its letter. Without a seed each random list is another. */
static int album_begin(struct request *request, struct album_page *page)
{
    const struct album_filter *filter = &page->filter;
    int64_t seed = 0;
    int64_t any = filter->sort == ALBUM_RANDOM ? randombytes_uniform(UINT32_MAX) : 0;
    int error = request_query_number(request, "seed", 0, INT64_MAX, any, &seed);
    if (error != 0) {
        return error;
    }
    switch (filter->sort) {
    case ALBUM_NEWEST:
        page->order = filter->guest ? 'v' : 'a';
        page->place = (struct list_place){.key = "", .id = INT64_MAX};
        break;
    case ALBUM_BY_TITLE:
        page->order = 't';
        page->place = (struct list_place){.key = ""};
        break;
    case ALBUM_BY_YEAR:
        page->order = filter->descending ? 'B' : 'b';
        page->place =
            (struct list_place){.key = filter->descending ? filter->until : filter->since};
        break;
    case ALBUM_RANDOM:
        page->order = 's';
        page->place.number = album_ring_place(seed);
        page->place.key = arena_printf(page->call->arena, "%" PRId64, page->place.number);
        break;
    }
    return page->place.key != NULL ? page_begin(request, page->order, &page->place) : ERR_NO_MEMORY;
}

static int album_list_reply(struct request *request, struct album_page *page)
{
    struct catalog *catalog = request->context;
    page->call = &request->call;
    int error = album_filter_read(request, &page->filter);
    if (error != 0) {
        return error;
    }
    error = album_begin(request, page);
    if (error != 0) {
        return error;
    }
    page->answer.sight.published = true;
    page->answer.drafts = page->filter.artist_id != 0;
    const char *filter = album_list_filter(page);
    if (filter != NULL) {
        list_key(request, &page->answer, "albums", page->filter.artist_id, filter);
    } else {
        (void)shelves_of(request, &page->answer.shelves);
    }
    error = list_cached(request, &page->answer);
    if (error != ERR_NOT_FOUND) {
        return error;
    }
    error = db_read(catalog->db, album_list_work, page);
    return error != 0 ? error : list_reply(request, &page->answer, album_page_json(page));
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

/* as=guest: the newest first, and no other order. */
static int guest_read(struct request *request, bool *ret_guest)
{
    const char *as = request_query(request, "as");
    *ret_guest = as != NULL && strcmp(as, "guest") == 0;
    if (as != NULL && !*ret_guest) {
        return problem_set(&request->call.problem, ERR_MALFORMED, "as must be guest");
    }
    static const char *const others[] = {"sort", "genre", "type"};
    for (unsigned i = 0; *ret_guest && i < COUNT_OF(others); i++) {
        if (request_query(request, others[i]) != NULL) {
            return problem_set(&request->call.problem, ERR_MALFORMED, "%s does not go with as",
                               others[i]);
        }
    }
    return 0;
}

int album_list_of_artist_get(struct request *request)
{
    struct album_page page = {0};
    int error = request_param_id(request, "id", &page.filter.artist_id);
    error = error != 0 ? error : guest_read(request, &page.filter.guest);
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
    unsigned shown = page_shown(page->count, &page->place);
    bool more = page->count > shown;
    json_t *items = json_array();
    for (unsigned i = 0; i < shown; i++) {
        page_add(&items, genre_json(&page->rows[i]));
    }
    struct list_place last = {.key = more ? page->rows[shown - 1].name_key : ""};
    return page_answer(page->call->arena, items, 'g', more ? &last : NULL);
}

int genre_list_get(struct request *request)
{
    struct catalog *catalog = request->context;
    struct genre_page page = {.call = &request->call, .place = {.key = ""}};
    int error = page_begin(request, 'g', &page.place);
    if (error != 0) {
        return error;
    }
    struct list_answer answer = {.sight.published = true};
    list_key(request, &answer, "genres", 0, "");
    error = list_cached(request, &answer);
    if (error != ERR_NOT_FOUND) {
        return error;
    }
    error = db_read(catalog->db, genre_list_work, &page);
    return error != 0 ? error : list_reply(request, &answer, genre_page_json(&page));
}
