/* SQLite behind db.h: what its files share. Included by db_sqlite*.c alone.
 *
 *   db_sqlite.c            opening, closing, the watcher of other processes' commits
 *   db_sqlite_alive.c      which processes live
 *   db_sqlite_readers.c    reading: a bounded pool of connections, one snapshot a read
 *   db_sqlite_writer.c     writing: one thread, group commit
 *   db_sqlite_snapshot.c   one moment held and copied; checking
 *   db_sqlite_statement.c  kept statements, binding, rows, errors
 */
#pragma once

#include "backend/db/db_engine.h"

#include <semaphore.h>
#include <sqlite3.h>

enum {
    SQLITE_STATEMENTS_MAX = 96, /* kept per connection */
    SQLITE_BUCKETS = 64,
    SQLITE_READERS_MAX = 16,
    SQLITE_WAIT_MS_MAX = 10000, /* for another process's lock, or for a free reader */
    SQLITE_IDLE_MS = 10000,     /* after which memory is given back */
    SQLITE_WATCH_MS = 40,       /* how often other processes' commits are looked for */
    SQLITE_CACHE_KIB = 2048,    /* one connection's page cache at most */
};

struct sqlite_statement;

/* A connection is used by one thread at a time; who has it owns its statements too. */
struct sqlite_connection {
    sqlite3 *handle;
    struct sqlite_statement *buckets[SQLITE_BUCKETS];
    struct sqlite_statement *busy; /* with open rows */
    unsigned statement_count;
    uint64_t clock;                 /* counts uses, for the least recently used statement */
    struct sqlite_connection *next; /* in the pool of readers */
    int64_t used_ms;                /* clock_monotonic_ms */
};

struct sqlite_session {
    struct db_session base;
    struct sqlite_connection *connection;
    bool scripted; /* definitions changed: total_changes does not tell */
};

struct sqlite_readers {
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct sqlite_connection *idle; /* last used first */
    unsigned count, count_max;      /* open, idle or not */
};

/* One db_write that waits for its commit; on its caller's stack. */
struct sqlite_request {
    struct sqlite_request *next;
    db_work *work;
    void *argument;
    int result;
    int64_t asked_us, deadline_ms; /* its caller's, 0: none */
    char words[DB_WORDS_MAX];
    sem_t done;
};

struct sqlite_writer {
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t asked;
    struct sqlite_request *first, **last; /* the queue */
    _Atomic unsigned depth;
    bool ending;
    atomic_bool stopped; /* a commit did not reach the disk */
    struct sqlite_connection connection;
    sqlite3_stmt *begin, *savepoint, *release, *undo, *bump, *commit, *rollback;
    int wal_pages;     /* in the log after the last commit */
    int restart_pages; /* as many, and it is to start over */
};

struct sqlite_db {
    struct db base;
    char *path;
    char *folder; /* of a database in memory: removed at the end; else NULL */
    struct sqlite_readers readers;
    struct sqlite_writer writer;
    int peers_fd; /* -1: none yet; under readers.lock */
    struct sqlite_db *next_watched;
};

/* db_sqlite.c */
int sqlite_connect(struct sqlite_db *db, bool for_writing, struct sqlite_connection *connection);
void sqlite_disconnect(struct sqlite_connection *connection);
/* What this connection finds locked it waits for, up to SQLITE_WAIT_MS_MAX. */
void sqlite_wait_for_locks(sqlite3 *handle);
/* Makes the file, if it is not there, for its owner alone; SQLite gives its log the same mode. */
int sqlite_create_file(const char *path);

/* db_sqlite_alive.c */
int sqlite_alive_mark(struct db *db, int64_t mark);
bool sqlite_is_alive(struct db *db, int64_t mark);

bool sqlite_in_use(const char *url);

/* db_sqlite_snapshot.c */
int sqlite_snapshot_take(struct db *db, struct db_snapshot **ret_snapshot, struct problem *problem);
int sqlite_snapshot_copy(struct db_snapshot *snapshot, const char *path,
                         const struct db_progress *progress, struct problem *problem);
void sqlite_snapshot_free(struct db_snapshot *snapshot);
int sqlite_check(struct db *db, struct problem *problem);

/* db_sqlite_statement.c */
int sqlite_error(sqlite3 *handle, int code); /* our code; keeps the words */
int sqlite_exec(struct db_session *session, const char *sql, const struct db_value *binds,
                unsigned count);
int sqlite_query(struct db_session *session, struct db_rows **ret_rows, const char *sql,
                 const struct db_value *binds, unsigned count);
int sqlite_script(struct db_session *session, const char *sql);
int sqlite_next(struct db_rows *rows);
void sqlite_rows_done(struct db_rows *rows);
bool sqlite_is_null(struct db_rows *rows, unsigned column);
int64_t sqlite_get_int(struct db_rows *rows, unsigned column);
double sqlite_get_real(struct db_rows *rows, unsigned column);
const char *sqlite_get_text(struct db_rows *rows, unsigned column);
const void *sqlite_get_blob(struct db_rows *rows, unsigned column, size_t *ret_length);
/* Ends rows that work left open, so that the transaction can end. */
void sqlite_statements_reset(struct sqlite_connection *connection);
/* Forgets the kept statements and gives the connection's spare memory back. */
void sqlite_connection_trim(struct sqlite_connection *connection);

/* db_sqlite_readers.c */
void sqlite_readers_init(struct sqlite_readers *readers);
void sqlite_readers_done(struct sqlite_readers *readers);
int sqlite_read(struct db *db, db_work *work, void *argument);
/* The watcher's turn: reads the position (a new one wakes the listeners) and lets idle readers go.
 */
void sqlite_readers_watch(struct sqlite_db *db);

/* db_sqlite_writer.c */
int sqlite_writer_start(struct sqlite_db *db);
void sqlite_writer_end(struct sqlite_db *db);
int sqlite_write(struct db *db, db_work *work, void *argument);
