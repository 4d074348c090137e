/* What rules ask of tracks (catalog.h: struct catalog_fact), in portions: all that everybody may
 * find, the newest first, or those of a genre, or those of ids. Any thread that may block. */
#include "service/catalog/catalog_internal.h"

#include "base/error.h"
#include "base/text.h"
#include "service/catalog/catalog_rows.h"
#include "service/store_util.h"

#include <string.h>

enum { PORTION = 500 };

#define FACT_SELECT                                                                                \
    "SELECT t.id, t.title, r.name, a.title, a.genres, a.release_date, t.duration_ms, "             \
    "t.created_at, t.details FROM track t JOIN album a ON a.id = t.album_id "                      \
    "JOIN artist r ON r.id = t.artist_id WHERE t.deleted_at IS NULL AND t.published = 1 "

static int fact_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct catalog_fact *row = ret_row;
    char year[5] = "";
    int64_t number = 0;
    const char *date = db_get_text(rows, 5);
    if (date != NULL && strlen(date) >= 4) {
        memcpy(year, date, 4);
        (void)text_number(year, 0, 9999, &number);
    }
    *row = (struct catalog_fact){.id = db_get_int(rows, 0),
                                 .title = row_text(arena, rows, 1),
                                 .artist = row_text(arena, rows, 2),
                                 .album = row_text(arena, rows, 3),
                                 .genres = row_text(arena, rows, 4),
                                 .year = number,
                                 .duration_ms = db_get_int(rows, 6),
                                 .added_ms = db_get_int(rows, 7),
                                 .details = row_text(arena, rows, 8)};
    return row->title != NULL && row->artist != NULL && row->album != NULL && row->genres != NULL &&
                   row->details != NULL
               ? 0
               : ERR_NO_MEMORY;
}

/* ---- statements ---- */

static int facts_newest(struct db_session *session, struct db_rows **ret_rows, int64_t before_id)
{
    return db_query(session, ret_rows, FACT_SELECT "AND t.id < $1 ORDER BY t.id DESC LIMIT $2",
                    DB_BIND(db_int(before_id), db_int(PORTION)));
}

static int facts_of_ids(struct db_session *session, struct db_rows **ret_rows, const int64_t *ids)
{
    return db_query(session, ret_rows, FACT_SELECT "AND t.id IN" ROWS_IN_16, ROWS_BIND_16(ids));
}

static int facts_of_albums(struct db_session *session, struct db_rows **ret_rows,
                           const int64_t *ids)
{
    return db_query(session, ret_rows, FACT_SELECT "AND t.album_id IN" ROWS_IN_16,
                    ROWS_BIND_16(ids));
}

static int albums_of_genre(struct db_session *session, const char *genre_key, int64_t before_id,
                           int64_t *ids, unsigned *ret_count)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT album_id FROM album_genre WHERE name_key = $1 AND published = 1 "
                         "AND album_id < $2 ORDER BY album_id DESC LIMIT $3",
                         DB_BIND(db_text(genre_key), db_int(before_id), db_int(IDS_AT_ONCE)));
    int more = error != 0 ? error : db_next(rows);
    for (*ret_count = 0; more == 1 && *ret_count < IDS_AT_ONCE; more = db_next(rows)) {
        ids[(*ret_count)++] = db_get_int(rows, 0);
    }
    return more < 0 ? more : 0;
}

/* ---- portions ---- */

struct asking {
    struct arena *arena;
    const char *genre_key;
    int64_t before, next; /* the portion is of ids below; 0 then: it was the last */
    const int64_t *ids;
    unsigned id_count;
    struct catalog_facts *facts;
};

/* Behind those that are there. */
static int add_rows(struct asking *asking, struct db_rows *rows)
{
    struct catalog_facts *facts = asking->facts;
    int error = 0, more = db_next(rows);
    for (; error == 0 && more == 1; more = db_next(rows)) {
        if (facts->count == facts->capacity) {
            unsigned capacity = facts->capacity == 0 ? PORTION : 2 * facts->capacity;
            struct catalog_fact *list = arena_array(asking->arena, capacity, sizeof *list);
            if (list == NULL) {
                error = ERR_NO_MEMORY;
                break;
            }
            if (facts->count > 0) {
                memcpy(list, facts->rows, facts->count * sizeof *list);
            }
            facts->rows = list;
            facts->capacity = capacity;
        }
        error = fact_read(rows, asking->arena, &facts->rows[facts->count]);
        facts->count += error == 0;
    }
    db_rows_done(rows);
    return error != 0 ? error : more < 0 ? more : 0;
}

static int genre_work(struct db_session *session, struct asking *asking)
{
    int64_t albums[IDS_AT_ONCE] = {0};
    unsigned count = 0;
    struct db_rows *rows = NULL;
    int error = albums_of_genre(session, asking->genre_key, asking->before, albums, &count);
    asking->next = count == IDS_AT_ONCE ? albums[count - 1] : 0;
    error = error != 0 || count == 0 ? error : facts_of_albums(session, &rows, albums);
    return error != 0 || count == 0 ? error : add_rows(asking, rows);
}

static int before_work(struct db_session *session, void *argument)
{
    struct asking *asking = argument;
    struct db_rows *rows = NULL;
    asking->facts->count = 0;
    if (asking->genre_key != NULL) {
        return genre_work(session, asking);
    }
    int error = facts_newest(session, &rows, asking->before);
    error = error != 0 ? error : add_rows(asking, rows);
    asking->next =
        error == 0 && asking->facts->count == PORTION ? asking->facts->rows[PORTION - 1].id : 0;
    return error;
}

int catalog_facts_before(struct catalog *catalog, struct arena *arena, const char *genre_key,
                         int64_t *before, struct catalog_facts *ret_facts)
{
    struct asking asking = {
        .arena = arena, .genre_key = genre_key, .before = *before, .facts = ret_facts};
    *ret_facts = (struct catalog_facts){.rows = NULL};
    int error = db_read(catalog->db, before_work, &asking);
    *before = asking.next;
    return error;
}

static int ids_work(struct db_session *session, void *argument)
{
    struct asking *asking = argument;
    int error = 0;
    asking->facts->count = 0;
    for (unsigned from = 0; error == 0 && from < asking->id_count; from += IDS_AT_ONCE) {
        int64_t ids[IDS_AT_ONCE] = {0};
        unsigned left = asking->id_count - from;
        struct db_rows *rows = NULL;
        memcpy(ids, asking->ids + from, (left < IDS_AT_ONCE ? left : IDS_AT_ONCE) * sizeof *ids);
        error = facts_of_ids(session, &rows, ids);
        error = error != 0 ? error : add_rows(asking, rows);
    }
    return error;
}

int catalog_facts_of(struct catalog *catalog, struct arena *arena, const int64_t *ids,
                     unsigned count, struct catalog_facts *ret_facts)
{
    struct asking asking = {.arena = arena, .ids = ids, .id_count = count, .facts = ret_facts};
    *ret_facts = (struct catalog_facts){.rows = NULL};
    return db_read(catalog->db, ids_work, &asking);
}
