/* Relational data: one header, an engine a group of files (db_sqlite*.c, db_postgres*.c).
 *
 * All work is given as a function that gets a session. Reads run on the calling thread (a
 * connection a thread); writes run in order on the writer, many in one commit, each in a savepoint
 * of its own, so that one's failure does not undo its neighbours. db_write returns once the commit
 * is durable. Work may be run again (a lost connection, a serialization failure): it must do
 * nothing but use the session and fill its argument, and must not call db_read or db_write itself.
 * After a statement failed the session is spent, as it would be in PostgreSQL: later statements
 * fail too and the work is rolled back, whatever it returns. To go on after a double, use ON
 * CONFLICT.
 *
 * SQL is one text for SQLite and PostgreSQL: parameters are $1 … $n, no dialect, RETURNING and ON
 * CONFLICT allowed, BIGINT for integers, TEXT, BYTEA/BLOB written as BYTEA, DOUBLE PRECISION, no
 * AUTOINCREMENT (ids come from base/id.h), booleans as BIGINT 0/1. The text must be a literal
 * (static storage): its address is the key of the kept prepared statement.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;
struct db_session;
struct db_rows;
struct problem;

struct db_value {
    enum { DB_NULL_, DB_INT_, DB_REAL_, DB_TEXT_, DB_BLOB_ } kind;
    int64_t integer;
    double real;
    const void *bytes; /* borrowed for the call */
    size_t length;
};

static inline struct db_value db_null(void)
{
    return (struct db_value){.kind = DB_NULL_};
}
static inline struct db_value db_int(int64_t integer)
{
    return (struct db_value){.kind = DB_INT_, .integer = integer};
}
static inline struct db_value db_real(double real)
{
    return (struct db_value){.kind = DB_REAL_, .real = real};
}
struct db_value db_text(const char *text); /* NULL becomes SQL NULL */
static inline struct db_value db_blob(const void *bytes, size_t length)
{
    return (struct db_value){.kind = DB_BLOB_, .bytes = bytes, .length = length};
}
/* An integer that is NULL when 0 (an optional id). */
static inline struct db_value db_int_or_null(int64_t integer)
{
    return integer != 0 ? db_int(integer) : db_null();
}

#define DB_BIND(...)                                                                               \
    (const struct db_value[]){__VA_ARGS__},                                                        \
        (unsigned)(sizeof((const struct db_value[]){__VA_ARGS__}) / sizeof(struct db_value))
#define DB_NO_BIND NULL, 0 /* db_query(session, &rows, "SELECT …", DB_NO_BIND) */

/* Where a database is and how it is used. What is 0 or NULL has its default; SQLite takes the URL
 * alone. Texts are borrowed for the call. */
struct db_config {
    const char *url;      /* "sqlite:PATH", "sqlite::memory:" (tests), "postgresql://…" */
    const char *replicas; /* URLs of read replicas, separated by spaces */
    const char *direct;   /* past a pooler: for sessions, locks and migrations; else url */
    unsigned connections_max;
    unsigned statement_ms, lock_ms; /* how long a statement may run, and wait for a lock */
    unsigned wait_ms; /* for a free connection; for a primary that is being replaced */
    unsigned lag_ms;  /* a replica that is further behind is not asked */
};
/* name: "catalog", "users", "activity", … also names its metrics. ERR_VERSION: made by a newer
 * version, or the server is too old; ERR_UNAVAILABLE; ERR_INVALID: bad url. Words never hold the
 * password. */
int db_open_with(const struct db_config *config, const char *name, struct db **ret_db,
                 struct problem *problem);
int db_open(const char *url, const char *name, struct db **ret_db, struct problem *problem);
/* Ends the writer after what is queued. NULL is fine. */
void db_close(struct db *db);
const char *db_name(const struct db *db);
/* Where it is, for people: a path, or a URL without secrets. */
const char *db_where(const struct db *db);

/* A numbered migration; its SHA-256 is kept, and a changed text of an applied one stops the start.
 */
struct db_migration {
    unsigned number;       /* 1, 2, … within component */
    const char *component; /* the role whose tables these are: "catalog", "identity", "bus" */
    const char *sql;       /* statements separated by ";\n" */
};
/* Applies what is missing, each in a transaction. ERR_VERSION: the database knows a higher number
 * than we do; ERR_CORRUPT: a checksum differs. Words in problem. */
int db_migrate(struct db *db, const struct db_migration *migrations, unsigned count,
               struct problem *problem);

/* From now on tell is called before each migration that this process applies, and with NULL once it
 * is done, on the thread that migrates; it may take long. Before there are threads; NULL: nobody.
 */
typedef void db_migrating(const char *database, const struct db_migration *migration);
void db_tell_migrations(db_migrating *tell);

/* How many of them are not applied yet; changes nothing. Errors as above. */
int db_migrate_pending(struct db *db, const struct db_migration *migrations, unsigned count,
                       unsigned *ret_pending, struct problem *problem);

/* When the database was made: its first migration's time by our clock, which a copy into another
 * database brings along. In a session; INT64_MAX of one that was never migrated. */
int db_born(struct db_session *session, int64_t *ret_born_ms);
/* What was made at born_ms goes on in db: from now on db is at least as old. 0 or an error. */
int db_born_at(struct db *db, int64_t born_ms);

/* Work: 0 commits, negative rolls back and is returned. Both keep the deadline of the calling
 * thread (base/call.h): what has not begun by then is not begun (ERR_BUSY: nothing was done), a
 * read that goes on beyond it is ended (ERR_TIMEOUT). A write that has begun is not. */
typedef int db_work(struct db_session *session, void *argument);
int db_read(struct db *db, db_work *work, void *argument);
int db_write(struct db *db, db_work *work, void *argument);

/* In a session. binds may be NULL with 0. */
/* Rows changed (≥ 0) or an error; a broken unique or foreign key is ERR_EXISTS or ERR_CONFLICT. */
int db_exec(struct db_session *session, const char *sql, const struct db_value *binds,
            unsigned count);
/* Opens a cursor; db_rows_done must follow (NULL is fine). Scope-bound: DB_ROWS rows = NULL; */
int db_query(struct db_session *session, struct db_rows **ret_rows, const char *sql,
             const struct db_value *binds, unsigned count);
int db_next(struct db_rows *rows); /* 1: a row, 0: the end, negative: an error */
void db_rows_done(struct db_rows *rows);
bool db_is_null(struct db_rows *rows, unsigned column); /* columns count from 0 */
int64_t db_get_int(struct db_rows *rows, unsigned column);
double db_get_real(struct db_rows *rows, unsigned column);
const char *db_get_text(struct db_rows *rows,
                        unsigned column); /* NULL for NULL; valid to db_next */
const void *db_get_blob(struct db_rows *rows, unsigned column, size_t *ret_length);
static inline void db_rows_done_p(struct db_rows **rows)
{
    db_rows_done(*rows);
}
#define DB_ROWS struct db_rows __attribute__((cleanup(db_rows_done_p))) *

/* True when this is a session of a write. */
bool db_session_writes(const struct db_session *session);
/* A hint, in a write: nobody waits for what it changes, so that its commit need not wake listeners
 * (db_on_commit), here or in other processes. Who looks finds it all the same. SQLite wakes them.
 */
void db_quiet(struct db_session *session);
/* The newest commit known to this process, as a number that grows with commits: after db_write
 * returned it is at least that write's. */
int64_t db_position(struct db *db);

/* Places order what writes tell others (the outbox). Two writes of which the later saw the earlier
 * have places in that order; of writes at the same time none knows. A read that goes through places
 * in order must stop before db_place_settled: a write below it may not have committed yet, and what
 * it tells would be passed over. After it moved on the listeners of db_on_commit are woken.
 *   db_place_next     a fresh place, in a write. 0: this engine has one writer, count yourself.
 *   db_place_settled  all writes with places below it have ended, as this session sees it.
 *   db_place_raise    from now on fresh places are above this one, once at start, before any place
 *                     is asked for: a database that was restored elsewhere counts anew. Processes
 *                     that start together count from the same one after it. */
int db_place_next(struct db_session *session, int64_t *ret_place);
int db_place_settled(struct db_session *session, int64_t *ret_place);
int db_place_raise(struct db *db, int64_t above);

/* What a thread works for: which reads may go to replicas, what they must have seen, and what was
 * written meanwhile. Without one, reads go where writes go. */
enum { DB_VIEW_MAX = 4 };
struct db_mark {
    const struct db *db;
    int64_t position; /* 0: none */
};
struct db_view {
    bool replicas;                     /* reads may go to a replica that has the marks */
    struct db_mark seen[DB_VIEW_MAX];  /* reads see these; writes raise them */
    struct db_mark wrote[DB_VIEW_MAX]; /* the newest write of each database */
};
/* Sets this thread's view (NULL: none) and returns the one before, for the end. */
struct db_view *db_view_enter(struct db_view *view);
/* What this thread's reads of db must have seen, 0: nothing. */
int64_t db_view_seen(const struct db *db);
void db_view_see(struct db_view *view, const struct db *db, int64_t position);
/* This thread's reads of db must have seen a position, too. */
void db_view_need(const struct db *db, int64_t position);
/* Whether there are replicas that reads may go to. */
bool db_is_replicated(const struct db *db);
/* Calls wake(argument) after every commit that wrote, of this process or (within 100 ms) of another
 * on the same database. From the writer's or a watcher's thread; must be quick. */
void db_on_commit(struct db *db, void (*wake)(void *argument), void *argument);
/* Takes it back; when this returns, wake is not running and won't be called again. */
void db_off_commit(struct db *db, void (*wake)(void *argument), void *argument);
/* Marks a number (random, positive) as alive for all processes on the database, until db_close or
 * this process's end, however it comes. ERR_EXISTS: another has that mark. */
int db_alive_mark(struct db *db, int64_t mark);
/* Whether a process that lives has that mark; true also where that can't be found out. */
bool db_is_alive(struct db *db, int64_t mark);
/* Whether a process that marked itself alive has this database open. */
bool db_in_use(const char *url);

/* One moment of a database, held while others go on writing. Taking one inside of another
 * database's write (the one exception to what work may do) gives the same moment of both: the
 * write's lock keeps that one still. Any thread; ends with free, NULL is fine. */
struct db_snapshot;
int db_snapshot_take(struct db *db, struct db_snapshot **ret_snapshot, struct problem *problem);
/* Copies it into a new file, which appears whole and durable or not at all. progress: NULL for
 * none; else called now and then with the bytes so far and in all, of the copy. It is one file,
 * without a log beside it. */
struct db_progress {
    void (*show)(void *argument, int64_t done_bytes, int64_t all_bytes);
    void *argument;
};
int db_snapshot_copy(struct db_snapshot *snapshot, const char *path,
                     const struct db_progress *progress, struct problem *problem);
/* Copies its rows into a database that has the same tables and nothing in them, for an engine whose
 * databases are no files (db_is_file). What tells of the database itself (migrations, positions) is
 * left out, but that it is as old (db_born). progress: bytes of values so far, of 0. */
int db_snapshot_transfer(struct db_snapshot *snapshot, struct db *to,
                         const struct db_progress *progress, struct problem *problem);
void db_snapshot_free(struct db_snapshot *snapshot);
/* Nothing else of this database is committed until this write ends. */
int db_hold(struct db_session *session);
/* False: there are tables of people's data. */
int db_is_empty(struct db *db, bool *ret_empty);
/* Puts what is there aside under a name, so that the database is empty. ERR_UNSUPPORTED for files.
 */
int db_put_aside(struct db *db, const char *name, struct problem *problem);
/* Both at once. */
int db_backup(struct db *db, const char *path, struct problem *problem);
/* Goes through the whole database: ERR_CORRUPT with the first damage in problem. */
int db_check(struct db *db, struct problem *problem);
/* Whether a URL parses, by words that call the database name; nothing is opened. */
int db_url_check(const char *url, const char *name, struct problem *problem);
/* A small probe for readiness. ERR_UNAVAILABLE once a commit failed to reach the disk: nothing is
 * written any more, since nobody knows what is there, until the process starts anew. */
int db_ping(struct db *db);
/* Whether our clock was more than a minute off the server's own at the last ping, so that what one
 * machine signs is not yet or no longer good at another: by how much, in problem. A file has no
 * other clock than ours. */
bool db_clock_is_off(struct db *db, struct problem *problem);
/* All work is done, but a replica that should be asked is away or too far behind: which, and why,
 * in problem. */
bool db_is_degraded(struct db *db, struct problem *problem);
/* What the engine said when the last call of this thread failed, for logs ("UNIQUE constraint
 * failed: …"); "" if it said nothing. Never for people outside. */
const char *db_words(void);
