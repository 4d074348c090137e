/* Reading and writing PostgreSQL (db_postgres.h). On the calling thread.
 *
 * Writes are SERIALIZABLE: rules read, check and write as if they were alone, so of two that got
 * into each other's way one is undone and run again (Cahill, Röhm, Fekete 2008, "Serializable
 * Isolation for Snapshot Databases"; README-SSI in PostgreSQL's sources). Reads see one moment.
 *
 *   take a connection → BEGIN, along with the first statement → work → COMMIT
 *        ▲                                                  │          │
 *        └── pause ◄── undone: conflict, lost connection ◄──┴──────────┤
 *                                                                      └─ sent, no answer: OUTCOME
 *
 * 1. A write is run again only where it certainly was undone: the server said so, or the connection
 *    broke before COMMIT was sent.
 * 2. When COMMIT was sent and its answer lost, the transaction's number tells what became of it, if
 *    asked on a session that has lived all the time: after a crash numbers are given anew. Else
 *    nobody knows, and ERR_UNAVAILABLE says so.
 * 3. The number is asked for along with BEGIN. It is also the place of what the write tells others.
 */
#include "backend/db/db_postgres.h"

#include "base/call.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "net/metrics.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Set while this thread runs work: nested work could take the pool's last connection from itself.
 */
static _Thread_local const struct postgres_db *reading, *writing;

static const char begin_write[] = "BEGIN ISOLATION LEVEL SERIALIZABLE";
static const char begin_read[] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

void postgres_pause(unsigned tries)
{
    unsigned most_us = 1000U << (tries < 8 ? tries : 8);
    unsigned us = most_us / 4 + randombytes_uniform(most_us);
    struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L};
    (void)nanosleep(&pause, NULL);
}

uint64_t postgres_position_parse(const char *lsn)
{
    char *slash = NULL;
    uint64_t high = strtoull(lsn, &slash, 16);
    return *slash == '/' ? high << 32 | strtoull(slash + 1, NULL, 16) : 0;
}

/* Behind a pooler nothing can be set for a session: each transaction brings its own. */
static int send_limits(struct postgres_db *db, struct postgres_connection *connection)
{
    char text[64];
    (void)snprintf(text, sizeof text, "SET LOCAL statement_timeout = %u", db->statement_ms);
    int r = postgres_send(connection, text, STEP_NOTHING);
    (void)snprintf(text, sizeof text, "SET LOCAL lock_timeout = %u", db->lock_ms);
    return r < 0 ? r : postgres_send(connection, text, STEP_NOTHING);
}

int postgres_begin(struct postgres_db *db, struct postgres_connection *connection, bool writes)
{
    connection->transaction = 0;
    connection->read_only = !writes;
    int r = postgres_send(connection, writes ? begin_write : begin_read, STEP_NOTHING);
    if (r >= 0 && connection->pooled) {
        r = send_limits(db, connection);
    }
    return r >= 0 && writes
               ? postgres_send(connection, "SELECT pg_current_xact_id()", STEP_TRANSACTION)
               : r;
}

static void close_rows(struct postgres_connection *connection)
{
    while (connection->open != NULL) {
        postgres_rows_done(&connection->open->base);
    }
}

/* Ends a transaction whose end is nothing to wait for: the answer is read by who takes the
 * connection next. */
static void end_later(struct postgres_connection *connection, const char *sql)
{
    if (!connection->lost && postgres_send(connection, sql, STEP_NOTHING) == 0 &&
        PQpipelineSync(connection->handle) == 1) {
        connection->ending = true;
    } else {
        connection->lost = true;
    }
}

static int error_outside(int r)
{
    return r == POSTGRES_AGAIN ? ERR_BUSY : r == POSTGRES_LOST ? ERR_UNAVAILABLE : r;
}

/* ---- Reading ---- */

int postgres_read_once(struct postgres_db *db, struct postgres_connection *connection,
                       struct postgres_second *second, db_work *work, void *argument,
                       int *ret_failure)
{
    struct postgres_session session = {
        .base = {.magic = DB_SESSION_MAGIC, .engine = &db_engine_postgres, .db = &db->base},
        .connection = connection,
        .second = second};
    int r = postgres_begin(db, connection, false);
    if (r < 0) {
        *ret_failure = r;
        return error_outside(r);
    }
    reading = db;
    r = work(&session.base, argument);
    reading = NULL;
    close_rows(session.connection); /* the one that answered */
    end_later(session.connection, "COMMIT");
    *ret_failure = session.failure;
    return session.base.error != 0 ? session.base.error : r;
}

static int read_primary(struct postgres_db *db, db_work *work, void *argument)
{
    int64_t until_ms = clock_monotonic_ms() + call_remaining_ms(db->wait_ms);
    int r, failure;
    unsigned tries = 0;
    do {
        if (tries > 1) {
            postgres_pause(tries);
        }
        struct postgres_connection *connection = NULL;
        r = postgres_take(db, &db->primary, db->wait_ms, &connection);
        failure = r;
        if (r == 0) {
            r = postgres_read_once(db, connection, NULL, work, argument, &failure);
            postgres_give_back(&db->primary, connection);
        }
        if (failure == POSTGRES_LOST) {
            postgres_pool_drop(&db->primary);
        }
        tries++;
    } while ((failure == POSTGRES_LOST || failure == POSTGRES_AGAIN) &&
             clock_monotonic_ms() < until_ms);
    return error_outside(r);
}

int postgres_read(struct db *base, db_work *work, void *argument)
{
    struct postgres_db *db = (struct postgres_db *)base;
    assert(reading == NULL);
    if (reading != NULL) {
        db_words_set("db_read inside of db_read");
        return ERR_INTERNAL;
    }
    db_words_set(NULL);
    int r;
    if (postgres_read_replica(db, work, argument, &r)) {
        return r;
    }
    return read_primary(db, work, argument);
}

/* ---- Writing ---- */

struct attempt {
    struct postgres_db *db;
    db_work *work;
    void *argument;
    struct postgres_connection *connection;
    unsigned generation; /* of the session past the pooler, before it began */
    int result;
    int failure; /* POSTGRES_AGAIN, POSTGRES_LOST: it was undone. 0: the result stands */
    bool changed;
    bool quiet; /* nobody waits for it: db_quiet */
    uint64_t position;
    int64_t unsettled;
};

/* Sends COMMIT, and asks along with it how far the log is and which transactions still run: of one
 * that changed nothing, too, as what it saw must be there for the reads that follow it. */
static int send_commit(struct attempt *attempt, PGresult **ret_result)
{
    struct postgres_connection *connection = attempt->connection;
    int r = postgres_send(connection, "COMMIT", STEP_NOTHING);
    if (r >= 0) {
        r = postgres_send(connection,
                          "SELECT pg_current_wal_flush_lsn(),"
                          " pg_snapshot_xmin(pg_current_snapshot())",
                          STEP_RESULT);
    }
    return r < 0 ? r : postgres_flush(connection, ret_result);
}

/* (2) */
static void find_outcome(struct attempt *attempt)
{
    int outcome =
        postgres_direct_outcome(attempt->db, attempt->generation, attempt->connection->transaction);
    if (outcome == 1) {
        attempt->position = (uint64_t)db_position(&attempt->db->base);
        attempt->unsettled = attempt->connection->transaction;
        attempt->failure = 0;
    } else if (outcome == 0) {
        attempt->failure = POSTGRES_LOST;
    } else {
        db_words_set("the connection broke while a commit was under way");
        attempt->failure = 0;
        attempt->result = ERR_UNAVAILABLE;
        attempt->changed = false;
    }
}

static void commit(struct attempt *attempt)
{
    struct postgres_connection *connection = attempt->connection;
    PGresult *result = NULL;
    int r = send_commit(attempt, &result);
    if (r == POSTGRES_LOST && attempt->changed && connection->transaction != 0) {
        find_outcome(attempt);
        return;
    }
    attempt->failure = r == POSTGRES_LOST || r == POSTGRES_AGAIN ? r : 0;
    if (r < 0) {
        attempt->result = error_outside(r);
        attempt->changed = false;
    } else if (result != NULL) {
        attempt->position = postgres_position_parse(PQgetvalue(result, 0, 0));
        int64_t oldest = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
        attempt->unsettled = oldest > connection->transaction ? 0 : connection->transaction;
    }
    PQclear(result);
}

/* Begins, works, commits or rolls back. */
static void write_once(struct attempt *attempt, bool undo)
{
    struct postgres_db *db = attempt->db;
    struct postgres_session session = {.base = {.magic = DB_SESSION_MAGIC,
                                                .engine = &db_engine_postgres,
                                                .db = &db->base,
                                                .writes = true},
                                       .connection = attempt->connection};
    attempt->changed = false;
    attempt->position = 0;
    attempt->unsettled = 0;
    int r = postgres_begin(db, attempt->connection, true);
    if (r < 0) {
        attempt->failure = r;
        attempt->result = error_outside(r);
        return;
    }
    const struct postgres_db *before = writing;
    writing = db;
    r = attempt->work(&session.base, attempt->argument);
    writing = before;
    close_rows(attempt->connection);
    attempt->failure = session.failure;
    attempt->result = session.base.error != 0 ? session.base.error : r;
    attempt->changed = session.changed || session.scripted;
    attempt->quiet = session.base.quiet;
    if (attempt->result >= 0 && !undo) {
        commit(attempt);
        return;
    }
    attempt->changed = false;
    attempt->unsettled = attempt->connection->transaction; /* its end lets others settle */
    attempt->failure = undo && attempt->result >= 0 ? POSTGRES_AGAIN : attempt->failure;
    end_later(attempt->connection, "ROLLBACK");
}

/* Everybody who waits hears of it. That it ended, which may let others settle, is seen by those. */
static void told(struct attempt *attempt)
{
    struct postgres_db *db = attempt->db;
    if (attempt->position != 0) {
        (void)db_position_raise(&db->base, (int64_t)attempt->position);
        db_view_wrote(&db->base, (int64_t)attempt->position);
    }
    if (attempt->changed) {
        metric_add(db->base.commits, 1);
        metric_add(db->base.writes, 1);
    }
    if (attempt->quiet) {
        return;
    }
    if (attempt->changed) {
        db_wake_listeners(&db->base);
    }
    if (attempt->changed || attempt->unsettled != 0) {
        postgres_direct_committed(db, attempt->unsettled);
    }
}

static bool may_repeat(const struct attempt *attempt)
{
    return attempt->failure == POSTGRES_AGAIN || attempt->failure == POSTGRES_LOST;
}

static void write_pooled(struct attempt *attempt, bool undo)
{
    struct postgres_db *db = attempt->db;
    attempt->generation = postgres_direct_generation(db);
    int r = postgres_take(db, &db->primary, db->wait_ms, &attempt->connection);
    if (r < 0) {
        attempt->failure = r == POSTGRES_LOST || r == POSTGRES_AGAIN ? r : 0;
        attempt->result = error_outside(r);
        return;
    }
    char words[DB_WORDS_MAX];
    write_once(attempt, undo);
    (void)snprintf(words, sizeof words, "%s", db_words());
    postgres_give_back(&db->primary, attempt->connection);
    if (attempt->failure == POSTGRES_LOST) {
        postgres_pool_drop(&db->primary);
    }
    db_words_set(words);
}

int postgres_write(struct db *base, db_work *work, void *argument)
{
    struct postgres_db *db = (struct postgres_db *)base;
    assert(writing != db);
    if (writing == db) {
        db_words_set("db_write inside of db_write");
        return ERR_INTERNAL;
    }
    struct attempt attempt = {.db = db, .work = work, .argument = argument};
    int64_t began_us = clock_monotonic_us();
    int64_t until_ms = clock_monotonic_ms() + call_remaining_ms(db->wait_ms);
    unsigned tries = 0;
    db_words_set(NULL);
    do {
        if (tries > 0) {
            metric_add(db->repeats, 1);
            postgres_pause(tries);
        }
        write_pooled(&attempt, db->primary.address.twice && tries == 0);
        tries++;
    } while (may_repeat(&attempt) && clock_monotonic_ms() < until_ms);
    metric_observe_us(db->base.write_seconds, clock_monotonic_us() - began_us);
    told(&attempt);
    return attempt.result;
}

/* ---- One at a time: migrations ---- */

/* Keys of our advisory locks in PostgreSQL's form of two: "tutt" and what for. Marks of who lives
 * (db_postgres_direct.c) have the form of one. */
enum { LOCK_CLASS = 0x74757474, LOCK_MIGRATION = 1 };

/* The lock is the session's: released with it. Who waits for it waits as long as it takes. */
static int lock_session(PGconn *handle)
{
    char sql[160];
    (void)snprintf(sql, sizeof sql, "SELECT pg_advisory_lock(%d, %d)", LOCK_CLASS, LOCK_MIGRATION);
    int r = postgres_ask(handle, "SET statement_timeout = 0", NULL, 0, NULL, 0);
    r = r < 0 ? r : postgres_ask(handle, "SET lock_timeout = 0", NULL, 0, NULL, 0);
    r = r < 0 ? r : postgres_ask(handle, sql, NULL, 0, NULL, 0);
    /* A change of a table that is read for long must not stand in everybody's way meanwhile. */
    return r < 0 ? r : postgres_ask(handle, "SET lock_timeout = 2000", NULL, 0, NULL, 0);
}

static int open_alone(struct postgres_db *db, struct postgres_connection **ret_connection)
{
    struct postgres_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        return ERR_NO_MEMORY;
    }
    int r = postgres_connect(db, &db->direct.address, &connection->handle, &connection->pooled);
    if (r >= 0 && connection->pooled) {
        db_words_set("migrations need a session, and a pooler stands between; say an address past "
                     "it (database.…_direct)");
        r = ERR_INVALID;
    }
    r = r < 0 ? r : lock_session(connection->handle);
    if (r >= 0 && PQenterPipelineMode(connection->handle) != 1) {
        r = POSTGRES_LOST;
    }
    if (r < 0) {
        postgres_disconnect(connection);
        return r;
    }
    *ret_connection = connection;
    return 0;
}

int postgres_write_alone(struct db *base, db_work *work, void *argument)
{
    enum { TRIES_MAX = 20 };
    struct postgres_db *db = (struct postgres_db *)base;
    struct attempt attempt = {.db = db, .work = work, .argument = argument};
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        attempt.generation = postgres_direct_generation(db);
        int r = open_alone(db, &attempt.connection);
        if (r < 0) {
            return error_outside(r);
        }
        write_once(&attempt, false);
        postgres_disconnect(attempt.connection);
        if (!may_repeat(&attempt) && attempt.result != ERR_BUSY) {
            break;
        }
        postgres_pause(tries);
    }
    told(&attempt);
    return attempt.result;
}

/* ---- Places (3) ---- */

int postgres_place_next(struct db_session *base, int64_t *ret_place)
{
    struct postgres_session *session = (struct postgres_session *)base;
    struct postgres_connection *connection = session->connection;
    const struct postgres_db *db = (struct postgres_db *)base->db;
    if (connection->transaction == 0) {
        int r = postgres_flush(connection, NULL);
        if (r < 0) {
            session->failure = r == POSTGRES_AGAIN || r == POSTGRES_LOST ? r : 0;
            return error_outside(r);
        }
    }
    if (session->places >= 1U << POSTGRES_PLACE_BITS) {
        db_words_set("one write has too many places");
        return ERR_TOO_LARGE;
    }
    *ret_place =
        db->place_base + (connection->transaction << POSTGRES_PLACE_BITS) + session->places++;
    return 0;
}

int postgres_place_settled(struct db_session *base, int64_t *ret_place)
{
    const struct postgres_db *db = (struct postgres_db *)base->db;
    DB_ROWS rows = NULL;
    int r = postgres_query(base, &rows, "SELECT pg_snapshot_xmin(pg_current_snapshot())", NULL, 0);
    if (r < 0) {
        return r;
    }
    if (postgres_next(rows) != 1) {
        return ERR_INTERNAL;
    }
    *ret_place = db->place_base + (postgres_get_int(rows, 0) << POSTGRES_PLACE_BITS);
    return 0;
}

struct raise {
    const struct postgres_db *db;
    int64_t above;
    int64_t base; /* what places count from, by this transaction */
};

/* Row 2 of db_position is what places count from. Another process may have raised it since we read
 * it, and what two processes count must be comparable. */
static int read_base(struct db_session *session, struct raise *raise, int64_t *ret_settled)
{
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows,
                     "SELECT COALESCE((SELECT position FROM db_position WHERE id = 2), 0),"
                     " pg_snapshot_xmin(pg_current_snapshot())",
                     DB_NO_BIND);
    if (r < 0 || (r = db_next(rows)) != 1) {
        return r < 0 ? r : ERR_INTERNAL;
    }
    int64_t kept = db_get_int(rows, 0);
    raise->base = kept > raise->db->place_base ? kept : raise->db->place_base;
    *ret_settled = raise->base + (db_get_int(rows, 1) << POSTGRES_PLACE_BITS);
    return 0;
}

static int raise_base(struct db_session *base, void *argument)
{
    struct raise *raise = argument;
    int64_t settled;
    int r = read_base(base, raise, &settled);
    if (r < 0) {
        return r;
    }
    int64_t transaction = ((struct postgres_session *)base)->connection->transaction;
    int64_t place = raise->base + (transaction << POSTGRES_PLACE_BITS);
    if (place > raise->above) {
        return 0;
    }
    int64_t one = INT64_C(1) << POSTGRES_PLACE_BITS;
    raise->base += ((raise->above - place) / one + 1) * one;
    r = db_exec(base,
                "INSERT INTO db_position (id, position) VALUES (2, $1)"
                " ON CONFLICT (id) DO UPDATE SET position = excluded.position",
                DB_BIND(db_int(raise->base)));
    return r < 0 ? r : 0;
}

static int compare_place(struct db_session *base, void *argument)
{
    struct raise *raise = argument;
    int64_t settled;
    int r = read_base(base, raise, &settled);
    return r < 0 ? r : settled <= raise->above;
}

int postgres_place_raise(struct db *base, int64_t above)
{
    struct postgres_db *db = (struct postgres_db *)base;
    struct raise raise = {.db = db, .above = above};
    int r = db_read(base, compare_place, &raise);
    r = r <= 0 ? r : postgres_write_alone(base, raise_base, &raise);
    if (r >= 0) {
        db->place_base = raise.base; /* committed, by us or somebody before */
    }
    return r;
}
