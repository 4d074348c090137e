/* What a database engine fills in, and the parts that all engines share. Included by db*.c alone.
 */
#pragma once

#include "backend/db/db.h"

#include <pthread.h>
#include <stdatomic.h>

enum { DB_LISTENERS_MAX = 16, DB_NAME_MAX = 32, DB_WORDS_MAX = 256 };
enum { DB_MAGIC = 0x64620001, DB_SESSION_MAGIC = 0x64620002, DB_ROWS_MAGIC = 0x64620003 };

struct metric;

struct db_engine {
    const char *scheme; /* "sqlite", what stands before the colon of the URL */
    int (*open)(const struct db_config *config, const char *name, struct db **ret_db,
                struct problem *problem);
    void (*close)(struct db *db);
    int (*read)(struct db *db, db_work *work, void *argument);
    int (*write)(struct db *db, db_work *work, void *argument);
    /* As write, and no other process is in one meanwhile. NULL: write is so. */
    int (*write_alone)(struct db *db, db_work *work, void *argument);
    int (*exec)(struct db_session *session, const char *sql, const struct db_value *binds,
                unsigned count);
    int (*query)(struct db_session *session, struct db_rows **ret_rows, const char *sql,
                 const struct db_value *binds, unsigned count);
    int (*script)(struct db_session *session, const char *sql); /* many statements, none kept */
    int (*next)(struct db_rows *rows);
    void (*rows_done)(struct db_rows *rows);
    bool (*is_null)(struct db_rows *rows, unsigned column);
    int64_t (*get_int)(struct db_rows *rows, unsigned column);
    double (*get_real)(struct db_rows *rows, unsigned column);
    const char *(*get_text)(struct db_rows *rows, unsigned column);
    const void *(*get_blob)(struct db_rows *rows, unsigned column, size_t *ret_length);
    int (*place_next)(struct db_session *session, int64_t *ret_place); /* NULL: one writer */
    int (*place_settled)(struct db_session *session, int64_t *ret_place);
    int (*place_raise)(struct db *db, int64_t above);
    int (*alive_mark)(struct db *db, int64_t mark);
    bool (*is_alive)(struct db *db, int64_t mark);
    bool (*in_use)(const char *url);
    int (*snapshot_take)(struct db *db, struct db_snapshot **ret_snapshot, struct problem *problem);
    int (*snapshot_copy)(struct db_snapshot *snapshot, const char *path,
                         const struct db_progress *progress, struct problem *problem);
    /* NULL where databases are files: */
    int (*snapshot_transfer)(struct db_snapshot *snapshot, struct db *to,
                             const struct db_progress *progress, struct problem *problem);
    int (*hold)(struct db_session *session);
    int (*put_aside)(struct db *db, const char *name);
    void (*snapshot_free)(struct db_snapshot *snapshot);
    int (*check)(struct db *db, struct problem *problem);
    /* NULL: any will do. */
    int (*check_url)(const char *url, const char *name, struct problem *problem);
    int (*ping)(struct db *db);
    const char *(*where)(const struct db *db);
    bool (*is_degraded)(struct db *db, struct problem *problem);  /* NULL: never */
    bool (*clock_is_off)(struct db *db, struct problem *problem); /* NULL: never */
};

extern const struct db_engine db_engine_sqlite, db_engine_postgres, db_engine_postgres_short;

/* The tables of the layer itself (schema/001-own-tables.sql): an engine runs this text when it
 * opens a database that lacks them. It can be run twice. */
extern const struct db_migration db_migrations[];

struct db_listener {
    void (*wake)(void *argument);
    void *argument;
};

/* First member of each engine's own snapshot. */
struct db_snapshot {
    const struct db_engine *engine;
};

/* First member of each engine's own struct. */
struct db {
    unsigned magic;
    const struct db_engine *engine;
    char name[DB_NAME_MAX];
    bool replicated;          /* there are replicas */
    _Atomic int64_t position; /* of the newest commit known to this process; only grows */
    pthread_mutex_t listeners_lock;
    struct db_listener listeners[DB_LISTENERS_MAX]; /* under listeners_lock */
    unsigned listener_count;
    struct metric *commits, *writes, *write_seconds, *queue_depth;
};

struct db_session {
    unsigned magic;
    const struct db_engine *engine;
    struct db *db;
    bool writes;
    bool quiet; /* db_quiet was called */
    int error;  /* of the first statement that failed: the session is spent */
};

struct db_rows {
    unsigned magic;
    const struct db_engine *engine;
};

void db_base_init(struct db *db, const struct db_engine *engine, const char *name);
void db_base_done(struct db *db);
/* Raises the position (never lowers it); true when that was news. */
bool db_position_raise(struct db *db, int64_t position);
void db_wake_listeners(struct db *db);
/* Notes a write in this thread's view. */
void db_view_wrote(const struct db *db, int64_t position);
/* This thread's view; NULL: none. */
const struct db_view *db_view_current(void);
/* Keeps what the engine said for db_words; NULL clears. */
void db_words_set(const char *words);
