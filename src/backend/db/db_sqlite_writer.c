/* SQLite's writer (db_sqlite.h): one thread a database makes all writes.
 *
 * Callers queue and wait. The writer begins a transaction, runs what is queued, each in a savepoint
 * of its own, also what is queued meanwhile (no more than GROUP_MAX), commits once, and wakes all.
 * While one commit waits for the disk the next group gathers by itself: no delay is added, and a
 * lone writer waits for nobody.
 *
 *   queued → ran (released or undone to its savepoint) → committed → told
 *                     ↑ again, when the engine ended the whole transaction (a full disk, an I/O
 *                       error): that is told to who caused it, the others go back into the queue
 *
 * 1. Nothing is told as done before COMMIT returned, and COMMIT returns after fsync of the log.
 * 2. A COMMIT or checkpoint that fails by an I/O error stops the writer for good: after a failed
 *    fsync the kernel may have dropped the pages, and a second fsync that succeeds proves nothing
 *    (Rebello et al. 2020, "Can Applications Recover from fsync Failures?").
 * 3. The position counts commits that changed something, in the same transaction, so that every
 *    process on the file counts alike.
 * 4. The checkpoint comes after the callers were told.
 */
#include "backend/db/db_sqlite.h"

#include "base/call.h"
#include "base/clock.h"
#include "base/error.h"
#include "net/metrics.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    GROUP_MAX = 256,
    QUEUE_MAX = 4096,
    CHECKPOINT_PAGES = 1000,       /* SQLite's own default */
    CHECKPOINT_HARD_PAGES = 16384, /* 64 MiB: then wait for readers and start the log over */
    CHECKPOINT_WAIT_MS = 50,       /* … who are that quick; all writes wait meanwhile */
};

/* The database whose writer this thread is: a write inside of a write would wait for itself. */
static _Thread_local const struct sqlite_db *writing;

struct group {
    struct sqlite_request *first, **last;
    unsigned count, kept; /* kept: results that are not errors */
};

static void group_add(struct group *group, struct sqlite_request *request)
{
    request->next = NULL;
    *group->last = request;
    group->last = &request->next;
    group->count++;
    group->kept += request->result >= 0 ? 1 : 0;
}

static int step(struct sqlite_writer *writer, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    (void)sqlite3_reset(statement);
    if (code == SQLITE_DONE || code == SQLITE_ROW) {
        return 0;
    }
    return sqlite_error(writer->connection.handle,
                        sqlite3_extended_errcode(writer->connection.handle));
}

static bool in_transaction(const struct sqlite_writer *writer)
{
    return sqlite3_get_autocommit(writer->connection.handle) == 0;
}

static void roll_back(struct sqlite_writer *writer)
{
    if (in_transaction(writer)) {
        (void)step(writer, writer->rollback);
    }
}

/* Runs one request in its savepoint; its result says what became of it. */
static void run_request(struct sqlite_db *db, struct sqlite_request *request, bool *scripted)
{
    struct sqlite_writer *writer = &db->writer;
    struct sqlite_session session = {.base = {.magic = DB_SESSION_MAGIC,
                                              .engine = &db_engine_sqlite,
                                              .db = &db->base,
                                              .writes = true},
                                     .connection = &writer->connection};
    db_words_set(NULL);
    int r = step(writer, writer->savepoint);
    if (r >= 0) {
        r = request->work(&session.base, request->argument);
        r = session.base.error != 0 ? session.base.error : r;
        sqlite_statements_reset(&writer->connection);
    }
    memcpy(request->words, db_words(), DB_WORDS_MAX);
    if (in_transaction(writer)) {
        int ended = r < 0 ? step(writer, writer->undo) : 0;
        if (ended >= 0) {
            ended = step(writer, writer->release);
        }
        if (ended < 0) {
            roll_back(writer);
            r = r < 0 ? r : ended;
        }
    }
    *scripted = *scripted || session.scripted;
    request->result = r;
}

/* Nobody waits for it any more. */
static bool is_late(const struct sqlite_request *request)
{
    return request->deadline_ms != 0 && clock_monotonic_ms() >= request->deadline_ms;
}

static void refuse_late(struct sqlite_request *request)
{
    request->result = ERR_BUSY;
    (void)snprintf(request->words, sizeof request->words,
                   "its caller's deadline passed before its turn");
}

static struct sqlite_request *take_first(struct sqlite_writer *writer)
{
    (void)pthread_mutex_lock(&writer->lock);
    struct sqlite_request *request = writer->first;
    if (request != NULL) {
        writer->first = request->next;
        if (writer->first == NULL) {
            writer->last = &writer->first;
        }
        writer->depth--;
    }
    (void)pthread_mutex_unlock(&writer->lock);
    return request;
}

static void put_back(struct sqlite_writer *writer, struct group *group)
{
    if (group->first == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&writer->lock);
    *group->last = writer->first;
    if (writer->first == NULL) {
        writer->last = group->last;
    }
    writer->first = group->first;
    writer->depth += group->count;
    (void)pthread_mutex_unlock(&writer->lock);
}

static void tell(struct sqlite_db *db, struct sqlite_request *request)
{
    metric_observe_us(db->base.write_seconds, clock_monotonic_us() - request->asked_us);
    (void)sem_post(&request->done); /* the request is its caller's again: not touched any more */
}

static void tell_all(struct sqlite_db *db, struct group *group, int failure)
{
    struct sqlite_request *request = group->first;
    while (request != NULL) {
        struct sqlite_request *next = request->next;
        if (failure < 0 && request->result >= 0) {
            request->result = failure;
            memcpy(request->words, db_words(), DB_WORDS_MAX);
        }
        tell(db, request);
        request = next;
    }
}

/* Raises the position inside of the transaction (3). */
static int bump(struct sqlite_writer *writer, int64_t *ret_position)
{
    int code = sqlite3_step(writer->bump);
    if (code == SQLITE_ROW) {
        *ret_position = sqlite3_column_int64(writer->bump, 0);
    }
    (void)sqlite3_reset(writer->bump);
    return code == SQLITE_ROW ? 0 : sqlite_error(writer->connection.handle, code);
}

static int commit(struct sqlite_db *db, bool changed)
{
    struct sqlite_writer *writer = &db->writer;
    int64_t position = 0;
    int r = changed ? bump(writer, &position) : 0;
    if (r < 0) {
        roll_back(writer);
        return r;
    }
    r = step(writer, writer->commit);
    if (r == ERR_IO) {
        atomic_store(&writer->stopped, true); /* (2) */
    }
    if (r < 0) {
        roll_back(writer);
        return r;
    }
    (void)db_position_raise(&db->base, position);
    return 0;
}

/* One transaction: what is queued, up to GROUP_MAX. */
static void write_group(struct sqlite_db *db)
{
    struct sqlite_writer *writer = &db->writer;
    struct group group = {.last = &group.first};
    int64_t changes_before = sqlite3_total_changes64(writer->connection.handle);
    int r = step(writer, writer->begin);
    bool scripted = false;
    struct sqlite_request *request;
    while (group.count < GROUP_MAX && (request = take_first(writer)) != NULL) {
        if (r < 0) {
            request->result = 0; /* did not run: it gets what BEGIN got */
        } else if (is_late(request)) {
            refuse_late(request);
        } else {
            run_request(db, request, &scripted);
        }
        if (r >= 0 && !in_transaction(writer)) {
            request->result = request->result < 0 ? request->result : ERR_IO;
            tell(db, request);
            put_back(writer, &group);
            return;
        }
        group_add(&group, request);
    }
    if (r >= 0) {
        bool changed =
            scripted || sqlite3_total_changes64(writer->connection.handle) != changes_before;
        r = commit(db, changed && group.kept > 0);
        if (r >= 0) {
            metric_add(db->base.commits, 1);
            metric_add(db->base.writes, group.kept);
        }
    }
    tell_all(db, &group, r);
    if (r >= 0) {
        db_wake_listeners(&db->base);
    }
}

/* SQLite's callback after a commit: how long the log is now. */
static int note_log(void *argument, sqlite3 *handle, const char *schema, int pages)
{
    (void)handle;
    (void)schema;
    ((struct sqlite_writer *)argument)->wal_pages = pages;
    return SQLITE_OK;
}

/* Moves the log's pages into the file, and starts the log over once the readers of older moments
 * are through. One that takes long, as a backup's does, is waited for once in CHECKPOINT_PAGES. */
static int start_log_over(struct sqlite_writer *writer, int pages)
{
    sqlite3 *handle = writer->connection.handle;
    (void)sqlite3_busy_timeout(handle, CHECKPOINT_WAIT_MS);
    int code = sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL);
    sqlite_wait_for_locks(handle);
    if ((code & 0xff) == SQLITE_BUSY) {
        writer->restart_pages = pages + CHECKPOINT_PAGES;
    }
    return code;
}

/* After the callers were told (4). Readers of old moments may leave a part for the next time. */
static void checkpoint_if_due(struct sqlite_writer *writer)
{
    int pages = writer->wal_pages;
    if (pages < CHECKPOINT_PAGES) {
        return;
    }
    writer->wal_pages = 0;
    if (pages < CHECKPOINT_HARD_PAGES) { /* it began anew */
        writer->restart_pages = CHECKPOINT_HARD_PAGES;
    }
    int code = pages < writer->restart_pages
                   ? sqlite3_wal_checkpoint_v2(writer->connection.handle, NULL,
                                               SQLITE_CHECKPOINT_PASSIVE, NULL, NULL)
                   : start_log_over(writer, pages);
    if ((code & 0xff) == SQLITE_IOERR) {
        atomic_store(&writer->stopped, true); /* (2) */
    }
}

static void refuse_all(struct sqlite_db *db)
{
    struct sqlite_request *request;
    while ((request = take_first(&db->writer)) != NULL) {
        request->result = ERR_UNAVAILABLE;
        (void)snprintf(request->words, sizeof request->words,
                       "the writer stopped: a commit did not reach the disk");
        tell(db, request);
    }
}

/* Waits for work; gives memory back when there is none for a while. False at the end. */
static bool wait_for_work(struct sqlite_writer *writer)
{
    bool trimmed = false;
    (void)pthread_mutex_lock(&writer->lock);
    while (writer->first == NULL && !writer->ending) {
        if (trimmed) {
            (void)pthread_cond_wait(&writer->asked, &writer->lock);
            continue;
        }
        const struct timespec until = clock_monotonic_after(SQLITE_IDLE_MS);
        if (pthread_cond_timedwait(&writer->asked, &writer->lock, &until) == ETIMEDOUT) {
            (void)pthread_mutex_unlock(&writer->lock);
            sqlite_connection_trim(&writer->connection);
            trimmed = true;
            (void)pthread_mutex_lock(&writer->lock);
        }
    }
    bool work = writer->first != NULL;
    (void)pthread_mutex_unlock(&writer->lock);
    return work;
}

static void *writer_main(void *argument)
{
    struct sqlite_db *db = argument;
    writing = db;
    while (wait_for_work(&db->writer)) {
        metric_set(db->base.queue_depth, db->writer.depth);
        if (atomic_load(&db->writer.stopped)) {
            refuse_all(db);
            continue;
        }
        write_group(db);
        checkpoint_if_due(&db->writer);
        metric_set(db->base.queue_depth, db->writer.depth);
    }
    return NULL;
}

int sqlite_write(struct db *base, db_work *work, void *argument)
{
    struct sqlite_db *db = (struct sqlite_db *)base;
    struct sqlite_writer *writer = &db->writer;
    assert(writing != db);
    if (writing == db) {
        db_words_set("db_write inside of db_write");
        return ERR_INTERNAL;
    }
    struct sqlite_request request = {
        .work = work,
        .argument = argument,
        .asked_us = clock_monotonic_us(),
        .deadline_ms = call_deadline_ms(),
    };
    (void)sem_init(&request.done, 0, 0);
    (void)pthread_mutex_lock(&writer->lock);
    int r = writer->ending ? ERR_CANCELLED : writer->depth >= QUEUE_MAX ? ERR_BUSY : 0;
    if (r == 0) {
        *writer->last = &request;
        writer->last = &request.next;
        writer->depth++;
        (void)pthread_cond_signal(&writer->asked);
    }
    (void)pthread_mutex_unlock(&writer->lock);
    if (r == 0) {
        while (sem_wait(&request.done) != 0) {
        } /* EINTR */
        db_words_set(request.words);
        r = request.result;
        if (r >= 0) {
            db_view_wrote(base, db_position(base));
        }
    }
    (void)sem_destroy(&request.done);
    return r;
}

static int prepare_steps(struct sqlite_writer *writer)
{
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } steps[] = {
        {&writer->begin, "BEGIN IMMEDIATE"},
        {&writer->savepoint, "SAVEPOINT request"},
        {&writer->release, "RELEASE request"},
        {&writer->undo, "ROLLBACK TO request"},
        {&writer->bump,
         "UPDATE db_position SET position = position + 1 WHERE id = 1 RETURNING position"},
        {&writer->commit, "COMMIT"},
        {&writer->rollback, "ROLLBACK"},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        int code = sqlite3_prepare_v3(writer->connection.handle, steps[i].sql, -1,
                                      SQLITE_PREPARE_PERSISTENT, steps[i].statement, NULL);
        if (code != SQLITE_OK) {
            return sqlite_error(writer->connection.handle, code);
        }
    }
    return 0;
}

int sqlite_writer_start(struct sqlite_db *db)
{
    struct sqlite_writer *writer = &db->writer;
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&writer->lock, NULL);
    (void)pthread_cond_init(&writer->asked, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    writer->last = &writer->first;
    int r = prepare_steps(writer);
    if (r < 0) {
        return r;
    }
    (void)sqlite3_wal_hook(writer->connection.handle, note_log, writer);
    int failed = pthread_create(&writer->thread, NULL, writer_main, db);
    writer->running = failed == 0;
    return failed == 0 ? 0 : ERR_UNAVAILABLE;
}

void sqlite_writer_end(struct sqlite_db *db)
{
    struct sqlite_writer *writer = &db->writer;
    if (writer->running) {
        (void)pthread_mutex_lock(&writer->lock);
        writer->ending = true;
        (void)pthread_cond_signal(&writer->asked);
        (void)pthread_mutex_unlock(&writer->lock);
        (void)pthread_join(writer->thread, NULL);
    }
    sqlite3_stmt *steps[] = {writer->begin, writer->savepoint, writer->release, writer->undo,
                             writer->bump,  writer->commit,    writer->rollback};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        (void)sqlite3_finalize(steps[i]);
    }
}
