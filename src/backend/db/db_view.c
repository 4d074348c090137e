/* What a thread works for (db.h): where its reads may go, what they must have seen, what it wrote.
 * Whoever leads a request sets it, the engines read it. Nothing is shared between threads. */
#include "backend/db/db.h"

#include "backend/db/db_engine.h"

#include <stddef.h>

static _Thread_local struct db_view *current;

struct db_view *db_view_enter(struct db_view *view)
{
    struct db_view *before = current;
    current = view;
    return before;
}

const struct db_view *db_view_current(void)
{
    return current;
}

/* The mark of a database; NULL: there is none, and no room for one. */
static struct db_mark *mark_of(struct db_mark marks[DB_VIEW_MAX], const struct db *db)
{
    for (unsigned i = 0; i < DB_VIEW_MAX; i++) {
        if (marks[i].db == db || marks[i].db == NULL) {
            return &marks[i];
        }
    }
    return NULL;
}

static void raise_mark(struct db_mark marks[DB_VIEW_MAX], const struct db *db, int64_t position)
{
    struct db_mark *mark = mark_of(marks, db);
    if (mark != NULL && mark->position < position) {
        *mark = (struct db_mark){.db = db, .position = position};
    }
}

int64_t db_view_seen(const struct db *db)
{
    struct db_mark *mark = current != NULL ? mark_of(current->seen, db) : NULL;
    return mark != NULL && mark->db == db ? mark->position : 0;
}

void db_view_see(struct db_view *view, const struct db *db, int64_t position)
{
    raise_mark(view->seen, db, position);
}

void db_view_need(const struct db *db, int64_t position)
{
    if (current != NULL) {
        raise_mark(current->seen, db, position);
    }
}

bool db_is_replicated(const struct db *db)
{
    return db->replicated;
}

void db_view_wrote(const struct db *db, int64_t position)
{
    if (current != NULL) {
        raise_mark(current->seen, db, position);
        raise_mark(current->wrote, db, position);
    }
}
