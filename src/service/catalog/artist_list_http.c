/* Lists of artists and their index. Handlers run on the pool; memory is the request's arena. */
#include "service/catalog/catalog_http.h"

#include "base/error.h"
#include "base/id.h"
#include "service/catalog/catalog_json.h"
#include "service/catalog/change.h"
#include "service/catalog/resource.h"
#include "service/page.h"

#include <string.h>

/* In the order of the index, newest first, or those of one owner (newest first). */
struct artist_page {
    struct call *call;
    int64_t owner_user_id;
    char order; /* 'M' the index's, 'C' created, 'O' one owner's; also the cursor's letter */
    struct list_place place;
    struct artist_list list;
    struct list_answer answer;
    bool all; /* of the owner's, also what only some see */
};

static int artist_list_shelf(struct db_session *session, void *context, int64_t shelf_id,
                             void **ret_rows, unsigned *ret_count)
{
    struct artist_page *page = context;
    struct artist_list list = {0};
    int error = (page->order == 'C' ? artist_list_newest : artist_list_by_index)(
        session, page->call->arena, shelf_id, &page->place, &list);
    *ret_rows = list.rows;
    *ret_count = list.count;
    return error;
}

static int compare_artists(const void *context, const void *a, const void *b)
{
    const struct artist_page *page = context;
    const struct artist_row *left = a, *right = b;
    int by_id = left->id < right->id ? -1 : left->id > right->id;
    int order = page->order == 'C' ? -by_id : strcmp(left->index_key, right->index_key);
    return order != 0 ? order : by_id;
}

static int artist_list_work(struct db_session *session, void *argument)
{
    struct artist_page *page = argument;
    if (page->order == 'O') {
        return artist_list_owned(session, page->call->arena, page->owner_user_id, page->all,
                                 &page->place, &page->list);
    }
    void *rows = NULL;
    const struct shelf_merge merge = {
        .arena = page->call->arena,
        .shelves = &page->answer.shelves,
        .limit = page->place.limit,
        .row_bytes = sizeof *page->list.rows,
        .list = artist_list_shelf,
        .compare = compare_artists,
        .context = page,
    };
    int error = shelves_merge(session, &merge, &rows, &page->list.count);
    page->list.rows = rows;
    return error;
}

static json_t *artist_page_json(const struct artist_page *page)
{
    unsigned shown = page_shown(page->list.count, &page->place);
    json_t *items = json_array();
    for (unsigned i = 0; i < shown; i++) {
        page_add(&items, artist_json(&page->list.rows[i]));
    }
    const struct artist_row *row = page->list.count > shown ? &page->list.rows[shown - 1] : NULL;
    struct list_place last = {0};
    if (row != NULL) {
        last.id = row->id;
        last.key = page->order == 'M' ? row->index_key : "";
    }
    return page_answer(page->call->arena, items, page->order, row != NULL ? &last : NULL);
}

int artist_list_get(struct request *request)
{
    struct catalog *catalog = request->context;
    struct artist_page page = {.call = &request->call, .order = 'M', .place = {.key = ""}};
    const char *owner = request_query(request, "ownerId");
    bool created = false;
    int error = query_sort(request, "name", &created);
    if (error != 0) {
        return error;
    }
    if (owner != NULL && !id_parse(owner, &page.owner_user_id)) {
        return problem_set(&request->call.problem, ERR_MALFORMED, "ownerId must be an id");
    }
    page.order = owner != NULL ? 'O' : created ? 'C' : 'M';
    page.place.id = page.order == 'M' ? 0 : INT64_MAX;
    error = page_begin(request, page.order, &page.place);
    if (error != 0) {
        return error;
    }
    page.answer.sight.published = true;
    page.all = call_is(&request->call, ROLE_ADMIN) ||
               (page.owner_user_id != 0 && page.owner_user_id == request->call.actor.user_id);
    const char filter[] = {page.order, page.all ? 'a' : '\0', '\0'};
    list_key(request, &page.answer, "artists", page.owner_user_id, filter);
    error = list_cached(request, &page.answer);
    if (error != ERR_NOT_FOUND) {
        return error;
    }
    error = db_read(catalog->db, artist_list_work, &page);
    return error != 0 ? error : list_reply(request, &page.answer, artist_page_json(&page));
}

/* --- GET /artists/index --- */

struct letters {
    struct arena *arena;
    struct letter_row *rows;
    unsigned count;
    struct list_answer answer;
};

static int letters_of_shelf(struct db_session *session, void *context, int64_t shelf_id,
                            void **ret_rows, unsigned *ret_count)
{
    const struct letters *letters = context;
    struct letter_row *rows = NULL;
    int error = artist_letters(session, letters->arena, shelf_id, &rows, ret_count);
    *ret_rows = rows;
    return error;
}

static int compare_letters(const void *context, const void *a, const void *b)
{
    (void)context;
    return strcmp(((const struct letter_row *)a)->letter, ((const struct letter_row *)b)->letter);
}

/* Those of several shelves stand beside each other, and become one. */
static int letters_work(struct db_session *session, void *argument)
{
    struct letters *letters = argument;
    void *rows = NULL;
    unsigned count = 0;
    const struct shelf_merge merge = {
        .arena = letters->arena,
        .shelves = &letters->answer.shelves,
        .limit = LETTERS_MAX,
        .row_bytes = sizeof *letters->rows,
        .list = letters_of_shelf,
        .compare = compare_letters,
        .context = letters,
    };
    int error = shelves_merge(session, &merge, &rows, &count);
    letters->rows = rows;
    letters->count = 0;
    for (unsigned i = 0; error == 0 && i < count; i++) {
        struct letter_row *last = letters->count > 0 ? &letters->rows[letters->count - 1] : NULL;
        if (last != NULL && strcmp(last->letter, letters->rows[i].letter) == 0) {
            last->artists += letters->rows[i].artists;
        } else {
            letters->rows[letters->count++] = letters->rows[i];
        }
    }
    return error;
}

/* A letter's cursor stands before its first artist, whose key is longer than the letter. */
static json_t *letters_json(const struct letters *letters)
{
    json_t *items = json_array();
    for (unsigned i = 0; i < letters->count; i++) {
        const struct letter_row *row = &letters->rows[i];
        const struct list_place first = {.key = row->letter};
        const char *cursor = cursor_write(letters->arena, 'M', &first);
        (void)json_array_append_new(items,
                                    json_pack("{s:s, s:I, s:s}", "letter", row->letter, "artists",
                                              (json_int_t)row->artists, "cursor", cursor));
    }
    if (json_array_size(items) != letters->count) {
        json_decref(items);
        return NULL;
    }
    return json_pack("{s:o}", "letters", items);
}

int artist_index_get(struct request *request)
{
    struct catalog *catalog = request->context;
    struct letters letters = {.arena = request->call.arena};
    letters.answer.sight.published = true;
    list_key(request, &letters.answer, "letters", 0, "");
    int error = list_cached(request, &letters.answer);
    if (error != ERR_NOT_FOUND) {
        return error;
    }
    error = db_read(catalog->db, letters_work, &letters);
    return error != 0 ? error : list_reply(request, &letters.answer, letters_json(&letters));
}
