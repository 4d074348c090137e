/* SQLite's readers (db_sqlite.h): a bounded pool of connections. db_read takes the one that was
 * used last (its cache is warm), runs the work in one snapshot on the calling thread, and gives it
 * back.
 *
 * A pool and not a connection for each thread: every connection holds the parsed schema, its
 * statements and a page cache, so threads × databases of them would cost more memory than the rest
 * of an idle server, while no more than a few can run at once on its cores. What is not used for
 * SQLITE_IDLE_MS is closed by the watcher; the last one stays, its memory given back.
 */
#include "backend/db/db_sqlite.h"

#include "base/call.h"
#include "base/clock.h"
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Set while this thread runs work of db_read: nested reads could take the pool's last connection
 * from each other, so they are refused. */
static _Thread_local bool reading;

void sqlite_readers_init(struct sqlite_readers *readers)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&readers->lock, NULL);
    (void)pthread_cond_init(&readers->returned, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    readers->count_max = cores > 0 ? (unsigned)cores * 2 : 4;
    if (readers->count_max < 4) {
        readers->count_max = 4;
    }
    if (readers->count_max > SQLITE_READERS_MAX) {
        readers->count_max = SQLITE_READERS_MAX;
    }
}

static void connection_free(struct sqlite_connection *connection)
{
    sqlite_disconnect(connection);
    free(connection);
}

void sqlite_readers_done(struct sqlite_readers *readers)
{
    while (readers->idle != NULL) {
        struct sqlite_connection *connection = readers->idle;
        readers->idle = connection->next;
        connection_free(connection);
        readers->count--;
    }
    assert(readers->count == 0); /* nobody reads any more when the database is closed */
    (void)pthread_cond_destroy(&readers->returned);
    (void)pthread_mutex_destroy(&readers->lock);
}

static int open_reader(struct sqlite_db *db, struct sqlite_connection **ret_connection)
{
    struct sqlite_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        return ERR_NO_MEMORY;
    }
    int r = sqlite_connect(db, false, connection);
    if (r < 0) {
        free(connection);
        return r;
    }
    *ret_connection = connection;
    return 0;
}

/* An idle reader, or a place to open one (NULL with 0), or ERR_BUSY after waiting. */
static int take_or_reserve(struct sqlite_readers *readers,
                           struct sqlite_connection **ret_connection)
{
    const struct timespec deadline = clock_monotonic_after(call_remaining_ms(SQLITE_WAIT_MS_MAX));
    int r = 0;
    (void)pthread_mutex_lock(&readers->lock);
    while (readers->idle == NULL && readers->count == readers->count_max && r == 0) {
        if (pthread_cond_timedwait(&readers->returned, &readers->lock, &deadline) == ETIMEDOUT) {
            r = ERR_BUSY;
        }
    }
    if (readers->idle != NULL) {
        *ret_connection = readers->idle;
        readers->idle = readers->idle->next;
        r = 0;
    } else if (r == 0) {
        readers->count++;
        *ret_connection = NULL;
    }
    (void)pthread_mutex_unlock(&readers->lock);
    return r;
}

static void give_back(struct sqlite_readers *readers, struct sqlite_connection *connection)
{
    (void)pthread_mutex_lock(&readers->lock);
    if (connection != NULL) {
        connection->next = readers->idle;
        readers->idle = connection;
    } else {
        readers->count--;
    }
    (void)pthread_cond_signal(&readers->returned);
    (void)pthread_mutex_unlock(&readers->lock);
}

static int take(struct sqlite_db *db, struct sqlite_connection **ret_connection)
{
    int r = take_or_reserve(&db->readers, ret_connection);
    if (r < 0) {
        db_words_set("all readers are taken");
        return r;
    }
    if (*ret_connection == NULL && (r = open_reader(db, ret_connection)) < 0) {
        give_back(&db->readers, NULL);
    }
    return r;
}

/* Runs work between BEGIN and COMMIT, so that all it reads is of one moment, and lets that moment
 * go in any case: a reader that kept it would stop the log from being reused. */
static int run_in_snapshot(struct sqlite_db *db, struct sqlite_connection *connection,
                           db_work *work, void *argument)
{
    struct sqlite_session session = {
        .base = {.magic = DB_SESSION_MAGIC, .engine = &db_engine_sqlite, .db = &db->base},
        .connection = connection};
    int r = sqlite_exec(&session.base, "BEGIN", NULL, 0);
    if (r < 0) {
        return r;
    }
    r = work(&session.base, argument);
    sqlite_statements_reset(connection);
    if (sqlite3_get_autocommit(connection->handle) == 0) {
        struct db_session ending = session.base;
        session.base.error = 0;
        (void)sqlite_exec(&session.base, "ROLLBACK", NULL, 0);
        session.base.error = ending.error;
    }
    return session.base.error != 0 ? session.base.error : r;
}

int sqlite_read(struct db *base, db_work *work, void *argument)
{
    struct sqlite_db *db = (struct sqlite_db *)base;
    assert(!reading);
    if (reading) {
        db_words_set("db_read inside of db_read");
        return ERR_INTERNAL;
    }
    struct sqlite_connection *connection = NULL;
    db_words_set(NULL);
    int r = take(db, &connection);
    if (r < 0) {
        return r;
    }
    reading = true;
    r = run_in_snapshot(db, connection, work, argument);
    reading = false;
    connection->used_ms = clock_monotonic_ms();
    give_back(&db->readers, connection);
    return r;
}

/* The reader that is idle the longest, if that is long enough, but never the last one. */
static struct sqlite_connection *take_stale(struct sqlite_readers *readers, int64_t now_ms)
{
    struct sqlite_connection *stale = NULL;
    (void)pthread_mutex_lock(&readers->lock);
    struct sqlite_connection **link = &readers->idle;
    while (*link != NULL && (*link)->next != NULL) {
        link = &(*link)->next;
    }
    if (readers->count > 1 && *link != NULL && now_ms - (*link)->used_ms > SQLITE_IDLE_MS) {
        stale = *link;
        *link = NULL;
        readers->count--;
    }
    (void)pthread_mutex_unlock(&readers->lock);
    return stale;
}

static int read_position(struct db_session *session, void *argument)
{
    DB_ROWS rows = NULL;
    int r = sqlite_query(session, &rows, "SELECT position FROM db_position WHERE id = 1", NULL, 0);
    if (r < 0 || (r = sqlite_next(rows)) <= 0) {
        return r;
    }
    *(int64_t *)argument = sqlite_get_int(rows, 0);
    return 0;
}

void sqlite_readers_watch(struct sqlite_db *db)
{
    struct sqlite_connection *connection = NULL;
    if (take(db, &connection) < 0) {
        return;
    }
    int64_t now_ms = clock_monotonic_ms();
    if (connection->used_ms != 0 && now_ms - connection->used_ms > SQLITE_IDLE_MS) {
        sqlite_connection_trim(connection);
        connection->used_ms = 0; /* trimmed; the watcher's own use does not count */
    }
    int64_t position = 0;
    int r = run_in_snapshot(db, connection, read_position, &position);
    give_back(&db->readers, connection);
    if (r >= 0 && db_position_raise(&db->base, position)) {
        db_wake_listeners(&db->base);
    }
    struct sqlite_connection *stale = take_stale(&db->readers, now_ms);
    if (stale != NULL) {
        connection_free(stale);
    }
}
