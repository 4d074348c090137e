/* PostgreSQL behind db.h: what its files share. Included by db_postgres*.c alone.
 *
 *   db_postgres.c             opening, closing, the engine's table
 *   db_postgres_address.c     URLs: what libpq gets, what people are shown
 *   db_postgres_connection.c  one connection: set up, statements in flight, errors
 *   db_postgres_pool.c        a bounded pool of them for each server
 *   db_postgres_statement.c   kept statements, values, rows
 *   db_postgres_work.c        reading and writing: transactions, retries, unknown outcomes
 *   db_postgres_direct.c      the session past any pooler: who lives, whose commits, one at a time
 *   db_postgres_replica.c     which replica may be read
 *   db_postgres_hedge.c       a read that is slow there is asked at another one too
 *   db_postgres_snapshot.c    one moment held; checking
 */
#pragma once

#include "backend/db/db_engine.h"
#include "base/hedge.h"

#include <libpq-fe.h>

enum {
    POSTGRES_STATEMENTS_MAX = 512, /* kept per connection */
    POSTGRES_BUCKETS = 1024,       /* of them, a power of two */
    POSTGRES_PARAMETERS_MAX = 128,
    POSTGRES_IN_FLIGHT_MAX = 8,
    POSTGRES_REPLICAS_MAX = 8,
    POSTGRES_MARKS_MAX = 16,
    POSTGRES_VERSION_MIN = 150000,
    POSTGRES_IDLE_MS = 60000, /* after which a pooled connection is closed */
    POSTGRES_PLACE_BITS = 16, /* of a place: which one of its transaction */
};

/* Own words for what no enum error says; never leave these files. */
enum {
    POSTGRES_AGAIN = -1, /* the transaction was undone for no fault of its own: run it again */
    POSTGRES_LOST = -2,  /* the connection broke, or leads to no primary any more */
};

/* Where a server is. */
struct postgres_address {
    char *shown;                           /* as a URL, without secrets */
    const char *keywords[64], *values[64]; /* for PQconnectdbParams; values are owned */
    bool pooled;                           /* ?pool=transaction: nothing outlives a transaction */
    bool twice;                            /* ?again=yes, for tests: every write is run twice */
};

struct postgres_kept {
    const char *sql; /* the key, by address; NULL: free */
    uint64_t hash;   /* of the text: an address that holds another text is another statement */
    unsigned number; /* its name is tNUMBER */
};

/* A connection is used by one thread at a time. */
struct postgres_connection {
    PGconn *handle;
    bool pooled;
    bool lost;           /* not to be used again */
    bool cancelled;      /* at a deadline */
    bool read_only;      /* its transaction is */
    bool ending;         /* the end of the last transaction is sent, its answer not read */
    int64_t used_ms;     /* clock_monotonic_ms */
    uint64_t replayed;   /* of a replica: at least so far, a position */
    unsigned generation; /* of its pool */
    struct postgres_kept *kept, *preparing; /* preparing: not answered yet */
    unsigned kept_count, numbers;
    struct postgres_rows *open; /* rows not done yet */
    enum postgres_step {
        STEP_NOTHING, /* its result is of no interest */
        STEP_PREPARE,
        STEP_TRANSACTION, /* the write's number */
        STEP_RESULT,
    } in_flight[POSTGRES_IN_FLIGHT_MAX];
    unsigned in_flight_count;
    int64_t transaction;              /* the number of its write; 0: not known yet */
    struct postgres_connection *next; /* in the pool */
};

struct postgres_pool {
    struct postgres_address address;
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct postgres_connection *idle; /* last used first */
    unsigned count, count_max;
    unsigned generation; /* raised when the server is gone: older ones are not kept */
};

/* A replica's read, until the first statement is answered (db_postgres_hedge.c). */
struct postgres_second {
    struct postgres_replica *first;
    struct postgres_replica *replica;       /* asked too; NULL: none */
    struct postgres_connection *connection; /* to that one: its reader's to give back */
    bool settled;
};

struct postgres_session {
    struct db_session base;
    struct postgres_connection *connection;
    struct postgres_second *second; /* NULL: the primary's, or the only replica's */
    int failure;     /* POSTGRES_AGAIN or POSTGRES_LOST; 0: the session's error is the work's */
    bool changed;    /* rows were */
    bool scripted;   /* definitions may have been */
    unsigned places; /* given so far */
};

struct postgres_rows {
    struct db_rows base;
    struct postgres_connection *connection;
    PGresult *result;
    int row, count;
    struct postgres_bytes *decoded; /* what get_blob made */
    struct postgres_rows *next, **link;
};

/* The session past any pooler; under its lock but for the watcher's sleep. */
struct postgres_direct {
    struct postgres_address address;
    pthread_mutex_t lock;
    PGconn *handle;
    _Atomic unsigned generation; /* raised with every new session */
    int64_t connected_ms, tried_ms;
    struct postgres_mark {
        int64_t number;
        bool held; /* by this session */
    } marks[POSTGRES_MARKS_MAX];
    unsigned mark_count;
    char seen[64]; /* the server's transactions at the last look */
    int64_t looked_ms, told_ms;
    pthread_t thread;
    bool running;
    int wake_fd;
    /* From writers to the watcher. */
    _Atomic int64_t unsettled; /* the highest transaction that may not be settled; 0: none */
    atomic_bool committed, ending;
};

struct postgres_replica {
    struct postgres_pool pool;
    atomic_bool up, asked; /* asked: the minder waits for its answer */
    struct metric *up_metric, *reads;
    char words[DB_WORDS_MAX]; /* why it is not read, under the minder's lock; "": it is */
};

struct postgres_db {
    struct db base;
    struct postgres_pool primary;
    struct postgres_direct direct;
    struct postgres_replica *replicas;
    unsigned replica_count;
    _Atomic unsigned turn; /* of the replicas */
    struct hedge hedge;    /* of their answers */
    struct metric *hedged, *hedges_won;
    struct postgres_minder *minder; /* of the replicas; NULL: there are none */
    int64_t place_base;
    _Atomic int64_t clock_off_ms; /* ours ahead of the server's, by the last ping */
    unsigned statement_ms, lock_ms, wait_ms, lag_ms;
    struct metric *repeats;
};

/* db_postgres.c */
extern const struct db_engine db_engine_postgres;

/* db_postgres_address.c */
/* for_writing: of several hosts, the one that is the primary. */
int postgres_address_parse(const char *url, const char *name, bool for_writing,
                           struct postgres_address *ret_address, struct problem *problem);
void postgres_address_done(struct postgres_address *address);
int postgres_address_check(const char *url, const char *name, struct problem *problem);

/* db_postgres_connection.c */
/* Opens and sets up; words by db_words. ret_pooled: a pooler stands between. */
int postgres_connect(struct postgres_db *db, const struct postgres_address *address,
                     PGconn **ret_handle, bool *ret_pooled);
void postgres_disconnect(struct postgres_connection *connection);
/* One statement of no parameters outside of work, its first value as text; "" for none. */
int postgres_ask(PGconn *handle, const char *sql, const char *const *values, unsigned count,
                 char *out, size_t size);
/* Sends a statement along with what is in flight already; flush waits for the answers. The result
 * of the last STEP_RESULT is the caller's. An error is an enum error, POSTGRES_AGAIN or _LOST. */
int postgres_send(struct postgres_connection *connection, const char *sql, enum postgres_step step);
/* The same for what was sent already: what libpq's PQsend… answered. */
int postgres_sent(struct postgres_connection *connection, int sent, enum postgres_step step);
int postgres_flush(struct postgres_connection *connection, PGresult **ret_result);
/* The same in two: what was sent goes out with a sync; the answers are read. */
int postgres_sync(struct postgres_connection *connection);
int postgres_answers(struct postgres_connection *connection, PGresult **ret_result);
/* The error of a result (NULL: the connection broke); keeps the words. Where it is a bug of ours it
 * is logged with sql, unless that is NULL. */
int postgres_error(struct postgres_connection *connection, const PGresult *result, const char *sql);
/* Reads the answer to a transaction's end that nobody waited for. */
int postgres_settle(struct postgres_connection *connection);

/* db_postgres_pool.c */
int postgres_pool_init(struct postgres_pool *pool, const char *url, const char *name,
                       unsigned count_max, bool for_writing, struct problem *problem);
void postgres_pool_done(struct postgres_pool *pool);
/* ERR_BUSY: all are taken for wait_ms; POSTGRES_LOST: the server can't be reached. */
int postgres_take(struct postgres_db *db, struct postgres_pool *pool, unsigned wait_ms,
                  struct postgres_connection **ret_connection);
/* One that is idle, NULL for none: opens none and waits for none. */
struct postgres_connection *postgres_take_idle(struct postgres_pool *pool);
void postgres_give_back(struct postgres_pool *pool, struct postgres_connection *connection);
/* The server is gone: no connection made before is used again. */
void postgres_pool_drop(struct postgres_pool *pool);
/* Closes what is idle for long. */
void postgres_pool_trim(struct postgres_pool *pool);

/* db_postgres_statement.c */
int postgres_send_statement(struct postgres_connection *connection, const char *sql,
                            const struct db_value *binds, unsigned count);
int postgres_exec(struct db_session *session, const char *sql, const struct db_value *binds,
                  unsigned count);
int postgres_query(struct db_session *session, struct db_rows **ret_rows, const char *sql,
                   const struct db_value *binds, unsigned count);
int postgres_script(struct db_session *session, const char *sql);
int postgres_next(struct db_rows *rows);
void postgres_rows_done(struct db_rows *rows);
bool postgres_is_null(struct db_rows *rows, unsigned column);
int64_t postgres_get_int(struct db_rows *rows, unsigned column);
double postgres_get_real(struct db_rows *rows, unsigned column);
const char *postgres_get_text(struct db_rows *rows, unsigned column);
const void *postgres_get_blob(struct db_rows *rows, unsigned column, size_t *ret_length);

/* db_postgres_work.c */
int postgres_read(struct db *db, db_work *work, void *argument);
int postgres_write(struct db *db, db_work *work, void *argument);
int postgres_write_alone(struct db *db, db_work *work, void *argument);
int postgres_place_next(struct db_session *session, int64_t *ret_place);
int postgres_place_settled(struct db_session *session, int64_t *ret_place);
int postgres_place_raise(struct db *db, int64_t above);
/* One attempt to read. ret_failure: POSTGRES_LOST or _AGAIN where another may succeed, else 0. */
int postgres_read_once(struct postgres_db *db, struct postgres_connection *connection,
                       struct postgres_second *second, db_work *work, void *argument,
                       int *ret_failure);
int postgres_begin(struct postgres_db *db, struct postgres_connection *connection, bool writes);
/* A jittered pause that grows with tries. */
void postgres_pause(unsigned tries);
uint64_t postgres_position_parse(const char *lsn); /* "16/B374D848" */

/* db_postgres_direct.c */
int postgres_direct_start(struct postgres_db *db);
/* Which database it is that the session past the pooler leads to. */
#define POSTGRES_IDENTITY_SQL                                                                      \
    "SELECT CAST(oid AS TEXT) || ' ' || datname FROM pg_database"                                  \
    " WHERE datname = current_database()"
int postgres_direct_identity(struct postgres_db *db, char *out, size_t size);
void postgres_direct_end(struct postgres_db *db);
/* After a commit: others are told, and listeners once more when the transaction has settled.
 * unsettled: its number, 0 where all before it have ended already. */
void postgres_direct_committed(struct postgres_db *db, int64_t unsettled);
/* What became of a transaction whose commit was sent and not answered, if the session has lived
 * since generation. 1: committed, 0: undone, ERR_UNAVAILABLE: nobody knows. */
int postgres_direct_outcome(struct postgres_db *db, unsigned generation, int64_t transaction);
unsigned postgres_direct_generation(struct postgres_db *db);
int postgres_alive_mark(struct db *db, int64_t mark);
bool postgres_is_alive(struct db *db, int64_t mark);
bool postgres_in_use(const char *url);

/* db_postgres_replica.c */
int postgres_replicas_open(struct postgres_db *db, const char *urls, unsigned connections_max,
                           struct problem *problem);
void postgres_replicas_close(struct postgres_db *db);
/* Reads at a replica that has what this thread must see. False: none could; nothing was done. */
bool postgres_read_replica(struct postgres_db *db, db_work *work, void *argument, int *ret_result);
bool postgres_is_degraded(struct db *db, struct problem *problem);

/* The next one that is up, but not this; NULL: there is none. */
struct postgres_replica *postgres_other_replica(struct postgres_db *db,
                                                const struct postgres_replica *replica);

/* db_postgres_hedge.c */
/* Answers what was sent, asking a second replica where the first is slow. The session goes on at
 * the one that answered first; the other's connection is lost. */
int postgres_hedged(struct postgres_session *session, const char *sql, const struct db_value *binds,
                    unsigned count, PGresult **ret_result);

/* db_postgres_snapshot.c */
int postgres_snapshot_take(struct db *db, struct db_snapshot **ret_snapshot,
                           struct problem *problem);
int postgres_snapshot_copy(struct db_snapshot *snapshot, const char *path,
                           const struct db_progress *progress, struct problem *problem);
void postgres_snapshot_free(struct db_snapshot *snapshot);
int postgres_snapshot_transfer(struct db_snapshot *snapshot, struct db *to,
                               const struct db_progress *progress, struct problem *problem);
int postgres_check(struct db *db, struct problem *problem);
int postgres_hold(struct db_session *session);
int postgres_put_aside(struct db *db, const char *name);
