/* SQLite behind db.h: opening and closing, and the watcher.
 *
 * A database is a file in WAL mode with synchronous=FULL. One writer thread a database and a pool
 * of readers (db_sqlite_writer.c, db_sqlite_readers.c); one watcher thread for all databases of the
 * process looks for commits of other processes and lets idle memory go.
 *
 * Memory: each connection's page cache may grow to SQLITE_CACHE_KIB, and all of SQLite's memory has
 * one soft bound, HEAP_BYTES_SOFT; past it the page caches recycle their pages instead of growing.
 */
#include "backend/db/db_sqlite.h"

#include "backend/folder.h"
#include "base/call.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const int64_t HEAP_BYTES_SOFT = 16 << 20;

enum { STEPS_BETWEEN_LOOKS = 10 * 1000 }; /* of SQLite's machine: a millisecond or less */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_result;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* by the monotonic clock */
    struct sqlite_db *first;
    pthread_t thread;
    bool running;
} watcher = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void configure(void)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&watcher.changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    once_result = sqlite3_initialize();
    (void)sqlite3_soft_heap_limit64(HEAP_BYTES_SOFT);
}

/* Another process has a lock: sleep, a little longer each time, up to SQLITE_WAIT_MS_MAX in all.
 * The jitter keeps two writers from meeting again and again. */
static int wait_for_lock(void *argument, int tries)
{
    (void)argument;
    static _Thread_local int64_t began_ms;
    if (tries == 0) {
        began_ms = clock_monotonic_ms();
    } else if (clock_monotonic_ms() - began_ms > SQLITE_WAIT_MS_MAX) {
        return 0;
    }
    int steps = tries < 10 ? tries + 1 : 10;
    struct timespec pause = {.tv_nsec = steps * (200000 + clock_monotonic_us() % 1000 * 300)};
    (void)nanosleep(&pause, NULL);
    return 1;
}

void sqlite_wait_for_locks(sqlite3 *handle)
{
    (void)sqlite3_busy_handler(handle, wait_for_lock, NULL);
}

/* SQLite asks every so often while a reader's statement runs: not 0 ends it (SQLITE_INTERRUPT). */
static int is_late(void *argument)
{
    (void)argument;
    return call_is_late();
}

static int run(sqlite3 *handle, const char *sql)
{
    int code = sqlite3_exec(handle, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : sqlite_error(handle, code);
}

int sqlite_connect(struct sqlite_db *db, bool for_writing, struct sqlite_connection *connection)
{
    sqlite3 *handle = NULL;
    int code =
        sqlite3_open_v2(db->path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        int r = sqlite_error(handle, code);
        (void)sqlite3_close(handle);
        return r;
    }
    char cache[64];
    (void)snprintf(cache, sizeof cache, "PRAGMA cache_size=-%d", SQLITE_CACHE_KIB);
    (void)sqlite3_extended_result_codes(handle, 1);
    sqlite_wait_for_locks(handle);
    if (!for_writing) {
        sqlite3_progress_handler(handle, STEPS_BETWEEN_LOOKS, is_late, NULL);
    }
    (void)sqlite3_wal_autocheckpoint(handle, 0); /* the writer does it after its answers */
    int r = run(handle, cache);
    if (r >= 0) {
        r = run(handle, "PRAGMA foreign_keys=ON; PRAGMA secure_delete=0; PRAGMA temp_store=MEMORY;"
                        "PRAGMA mmap_size=0; PRAGMA trusted_schema=0; PRAGMA recursive_triggers=0");
    }
    if (r >= 0) {
        r = run(handle, for_writing ? "PRAGMA journal_size_limit=16777216" : "PRAGMA query_only=1");
    }
    if (r >= 0 && for_writing) {
        r = run(handle, db->folder != NULL ? "PRAGMA synchronous=OFF" : "PRAGMA synchronous=FULL");
    }
    if (r < 0) {
        (void)sqlite3_close(handle);
        return r;
    }
    connection->handle = handle;
    connection->used_ms = clock_monotonic_ms();
    return 0;
}

void sqlite_disconnect(struct sqlite_connection *connection)
{
    if (connection->handle != NULL) {
        sqlite_statements_reset(connection);
        sqlite_connection_trim(connection);
        int code = sqlite3_close(connection->handle);
        assert(code == SQLITE_OK);
        (void)code;
        connection->handle = NULL;
    }
}

/* The file's own set-up, by whoever comes first. Turning WAL on needs the file alone, and SQLite
 * does not ask the busy handler there, so that is tried again for a while. */
static int prepare_file(sqlite3 *handle)
{
    int64_t deadline_ms = clock_monotonic_ms() + SQLITE_WAIT_MS_MAX;
    int r;
    while ((r = run(handle, "PRAGMA auto_vacuum=NONE; PRAGMA journal_mode=WAL")) == ERR_BUSY &&
           clock_monotonic_ms() < deadline_ms) {
        (void)wait_for_lock(NULL, 0);
    }
    if (r < 0) {
        return r;
    }
    r = run(handle, "SELECT position FROM db_position");
    if (r != ERR_INTERNAL) {
        return r;
    }
    if ((r = run(handle, "BEGIN IMMEDIATE")) < 0 || (r = run(handle, db_migrations[0].sql)) < 0) {
        return r; /* closing rolls back */
    }
    return run(handle, "COMMIT");
}

int sqlite_create_file(const char *path)
{
    int fd CLEANUP_CLOSE = open(path, O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0) {
        int saved = errno;
        db_words_set(strerror(saved));
        return saved == ENOSPC ? ERR_DISK_FULL : ERR_UNAVAILABLE;
    }
    return 0;
}

/* "sqlite:PATH", or "sqlite::memory:": a file in a fresh folder, as tests want the same engine. */
static int set_path(struct sqlite_db *db, const char *url)
{
    const char *path = url + strlen("sqlite:");
    if (strcmp(path, ":memory:") != 0) {
        db->path = strdup(path);
        return db->path == NULL ? ERR_NO_MEMORY : path[0] == '\0' ? ERR_INVALID : 0;
    }
    char folder[] = "/tmp/tutti-db-XXXXXX";
    if (mkdtemp(folder) == NULL) {
        return error_from_errno(errno);
    }
    db->folder = strdup(folder);
    if (db->folder == NULL || asprintf(&db->path, "%s/%s.db", folder, db->base.name) < 0) {
        db->path = NULL;
        return ERR_NO_MEMORY;
    }
    return 0;
}

static void remove_folder(struct sqlite_db *db)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-peers"};
    for (size_t i = 0; i < COUNT_OF(suffixes) && db->path != NULL; i++) {
        char path[256];
        (void)snprintf(path, sizeof path, "%s%s", db->path, suffixes[i]);
        (void)unlink(path);
    }
    (void)rmdir(db->folder);
}

static void watch_all(void)
{
    for (struct sqlite_db *db = watcher.first; db != NULL; db = db->next_watched) {
        sqlite_readers_watch(db);
    }
}

/* Runs with the list locked, but for its sleep: a database that is being closed waits for the turn
 * to end. */
static void *watcher_main(void *argument)
{
    (void)argument;
    (void)pthread_mutex_lock(&watcher.lock);
    while (watcher.first != NULL) {
        const struct timespec until = clock_monotonic_after(SQLITE_WATCH_MS);
        (void)pthread_cond_timedwait(&watcher.changed, &watcher.lock, &until);
        watch_all();
    }
    (void)pthread_mutex_unlock(&watcher.lock);
    return NULL;
}

static int watch(struct sqlite_db *db)
{
    int r = 0;
    (void)pthread_mutex_lock(&watcher.lock);
    if (!watcher.running) {
        watcher.running = pthread_create(&watcher.thread, NULL, watcher_main, NULL) == 0;
        r = watcher.running ? 0 : ERR_UNAVAILABLE;
    }
    if (r == 0) {
        db->next_watched = watcher.first;
        watcher.first = db;
    }
    (void)pthread_mutex_unlock(&watcher.lock);
    return r;
}

static void unwatch(struct sqlite_db *db)
{
    pthread_t ended = 0;
    (void)pthread_mutex_lock(&watcher.lock);
    struct sqlite_db **link = &watcher.first;
    while (*link != NULL && *link != db) {
        link = &(*link)->next_watched;
    }
    if (*link == db) {
        *link = db->next_watched;
        if (watcher.first == NULL) {
            ended = watcher.thread;
            watcher.running = false;
            (void)pthread_cond_signal(&watcher.changed);
        }
    }
    (void)pthread_mutex_unlock(&watcher.lock);
    if (ended != 0) {
        (void)pthread_join(ended, NULL);
    }
}

static void sqlite_close(struct db *base)
{
    struct sqlite_db *db = (struct sqlite_db *)base;
    unwatch(db);
    sqlite_writer_end(db);
    sqlite_readers_done(&db->readers);
    sqlite_disconnect(&db->writer.connection);
    mem_close_p(&db->peers_fd);
    if (db->folder != NULL) {
        remove_folder(db);
    }
    db_base_done(base);
    free(db->folder);
    free(db->path);
    free(db);
}

/* SQLite syncs the folder of a log that it makes, not of one that it finds: it may have been made
 * by a process that was killed before that. */
static int start(struct sqlite_db *db, const char *url)
{
    int r = set_path(db, url);
    if (r < 0 || (r = sqlite_create_file(db->path)) < 0 ||
        (r = sqlite_connect(db, true, &db->writer.connection)) < 0 ||
        (r = prepare_file(db->writer.connection.handle)) < 0 ||
        (r = folder_sync_of(db->path)) < 0 || (r = sqlite_writer_start(db)) < 0) {
        return r;
    }
    return watch(db);
}

static int sqlite_open(const struct db_config *config, const char *name, struct db **ret_db,
                       struct problem *problem)
{
    const char *url = config->url;
    (void)pthread_once(&once, configure);
    struct sqlite_db *db = once_result == SQLITE_OK ? calloc(1, sizeof *db) : NULL;
    if (db == NULL) {
        return problem_set(problem, ERR_NO_MEMORY, "Can't start SQLite: out of memory");
    }
    db_words_set(NULL);
    db->peers_fd = -1;
    db_base_init(&db->base, &db_engine_sqlite, name);
    sqlite_readers_init(&db->readers);
    int r = start(db, url);
    if (r < 0) {
        (void)problem_set(problem, r, "Can't open the database %s at %s: %s", name,
                          db->path != NULL ? db->path : url,
                          db_words()[0] != '\0' ? db_words() : error_title(r));
        sqlite_close(&db->base);
        return r;
    }
    sqlite_readers_watch(db); /* the position, before anybody asks */
    *ret_db = &db->base;
    return 0;
}

static int probe(struct db_session *session, void *argument)
{
    (void)argument;
    DB_ROWS rows = NULL;
    int r = sqlite_query(session, &rows, "SELECT position FROM db_position WHERE id = 1", NULL, 0);
    return r < 0 ? r : sqlite_next(rows);
}

static int sqlite_ping(struct db *base)
{
    struct sqlite_db *db = (struct sqlite_db *)base;
    if (atomic_load(&db->writer.stopped)) {
        db_words_set("the writer stopped: a commit did not reach the disk");
        return ERR_UNAVAILABLE;
    }
    int r = sqlite_read(base, probe, NULL);
    return r < 0 ? r : 0;
}

static const char *sqlite_where(const struct db *base)
{
    return ((const struct sqlite_db *)base)->path;
}

const struct db_engine db_engine_sqlite = {
    .scheme = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .read = sqlite_read,
    .write = sqlite_write,
    .exec = sqlite_exec,
    .query = sqlite_query,
    .script = sqlite_script,
    .next = sqlite_next,
    .rows_done = sqlite_rows_done,
    .is_null = sqlite_is_null,
    .get_int = sqlite_get_int,
    .get_real = sqlite_get_real,
    .get_text = sqlite_get_text,
    .get_blob = sqlite_get_blob,
    .alive_mark = sqlite_alive_mark,
    .is_alive = sqlite_is_alive,
    .in_use = sqlite_in_use,
    .snapshot_take = sqlite_snapshot_take,
    .snapshot_copy = sqlite_snapshot_copy,
    .snapshot_free = sqlite_snapshot_free,
    .check = sqlite_check,
    .ping = sqlite_ping,
    .where = sqlite_where,
};
