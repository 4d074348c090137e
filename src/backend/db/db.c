/* Relational data (db.h): the engine's table is picked by the URL's scheme, calls are forwarded.
 * What all engines share is here: names, listeners, the position, the last words. Any thread. */
#include "backend/db/db.h"

#include "backend/db/db_engine.h"
#include "base/call.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "base/trace.h"
#include "net/metrics.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct db_engine *const engines[] = {&db_engine_sqlite, &db_engine_postgres,
                                                  &db_engine_postgres_short};

static _Thread_local char last_words[DB_WORDS_MAX];

struct db_value db_text(const char *text)
{
    if (text == NULL) {
        return db_null();
    }
    return (struct db_value){.kind = DB_TEXT_, .bytes = text, .length = strlen(text)};
}

/* The engine of a URL; NULL for none. */
static const struct db_engine *find_engine(const char *url)
{
    const char *colon = strchr(url, ':');
    size_t length = colon != NULL ? (size_t)(colon - url) : 0;
    for (size_t i = 0; i < COUNT_OF(engines); i++) {
        const char *scheme = engines[i]->scheme;
        if (length == strlen(scheme) && memcmp(scheme, url, length) == 0) {
            return engines[i];
        }
    }
    return NULL;
}

static int no_engine(const char *name, struct problem *problem)
{
    return problem_set(problem, ERR_INVALID,
                       "The database %s has a URL of an unknown kind; use sqlite:PATH or "
                       "postgresql://USER[:PASSWORD]@HOST[:PORT]/DATABASE",
                       name);
}

int db_open_with(const struct db_config *config, const char *name, struct db **ret_db,
                 struct problem *problem)
{
    assert(strlen(name) < DB_NAME_MAX);
    const struct db_engine *engine = find_engine(config->url);
    return engine != NULL ? engine->open(config, name, ret_db, problem) : no_engine(name, problem);
}

int db_url_check(const char *url, const char *name, struct problem *problem)
{
    const struct db_engine *engine = find_engine(url);
    if (engine == NULL) {
        return no_engine(name, problem);
    }
    return engine->check_url != NULL ? engine->check_url(url, name, problem) : 0;
}

int db_open(const char *url, const char *name, struct db **ret_db, struct problem *problem)
{
    return db_open_with(&(const struct db_config){.url = url}, name, ret_db, problem);
}

bool db_in_use(const char *url)
{
    const struct db_engine *engine = find_engine(url);
    return engine != NULL && engine->in_use(url);
}

void db_base_init(struct db *db, const struct db_engine *engine, const char *name)
{
    char labels[DB_NAME_MAX + 16];
    (void)snprintf(labels, sizeof labels, "database=\"%s\"", name);
    db->magic = DB_MAGIC;
    db->engine = engine;
    (void)snprintf(db->name, sizeof db->name, "%s", name);
    (void)pthread_mutex_init(&db->listeners_lock, NULL);
    db->commits = metric_get(METRIC_COUNTER, "tutti_db_commits_total",
                             "Commits, each of one or more writes", labels);
    db->writes =
        metric_get(METRIC_COUNTER, "tutti_db_writes_total",
                   "Writes that were committed; by commits it is the size of a group", labels);
    db->write_seconds = metric_get(METRIC_HISTOGRAM, "tutti_db_write_seconds",
                                   "From asking for a write to its durable commit", labels);
    db->queue_depth = metric_get(METRIC_GAUGE, "tutti_db_write_queue_depth",
                                 "Writes waiting for the writer", labels);
}

void db_base_done(struct db *db)
{
    db->magic = 0;
    (void)pthread_mutex_destroy(&db->listeners_lock);
}

void db_close(struct db *db)
{
    if (db == NULL) {
        return;
    }
    assert(db->magic == DB_MAGIC);
    db->engine->close(db);
}

const char *db_name(const struct db *db)
{
    return db->name;
}

const char *db_where(const struct db *db)
{
    return db->engine->where(db);
}

static int refuse_late(void)
{
    db_words_set("its caller's deadline had passed");
    return ERR_BUSY;
}

int db_read(struct db *db, db_work *work, void *argument)
{
    assert(db->magic == DB_MAGIC);
    if (call_is_late()) {
        return refuse_late();
    }
    return db->engine->read(db, work, argument);
}

/* Work that the writer's thread does as a part of its caller's span: what it emits names it. */
struct traced {
    db_work *work;
    void *argument;
    const char *trace;
};

static int work_traced(struct db_session *session, void *argument)
{
    const struct traced *traced = argument;
    const char *before = trace_enter(traced->trace);
    int result = traced->work(session, traced->argument);
    (void)trace_enter(before);
    return result;
}

static int write_traced(struct db *db, db_work *work, void *argument)
{
    struct traced traced = {.work = work, .argument = argument, .trace = trace_current()};
    struct span span;
    span_begin(&span, traced.trace, SPAN_CLIENT, "write");
    span_text(&span, "db.system.name", db->engine->scheme);
    span_text(&span, "db.namespace", db->name);
    int result = db->engine->write(db, work_traced, &traced);
    if (result < 0) {
        span_text(&span, "error.type", error_name(result));
    }
    span_end(&span, result < 0);
    return result;
}

int db_write(struct db *db, db_work *work, void *argument)
{
    assert(db->magic == DB_MAGIC);
    if (call_is_late()) {
        return refuse_late();
    }
    return trace_current() != NULL ? write_traced(db, work, argument)
                                   : db->engine->write(db, work, argument);
}

/* Notes a statement's failure in its session, which is spent from then on. */
static int note(struct db_session *session, int result)
{
    if (result < 0 && session->error == 0) {
        session->error = result;
    }
    return result;
}

int db_exec(struct db_session *session, const char *sql, const struct db_value *binds,
            unsigned count)
{
    assert(session->magic == DB_SESSION_MAGIC);
    if (session->error != 0) {
        return session->error;
    }
    return note(session, session->engine->exec(session, sql, binds, count));
}

int db_query(struct db_session *session, struct db_rows **ret_rows, const char *sql,
             const struct db_value *binds, unsigned count)
{
    assert(session->magic == DB_SESSION_MAGIC);
    assert(*ret_rows == NULL);
    if (session->error < 0) {
        return session->error;
    }
    return note(session, session->engine->query(session, ret_rows, sql, binds, count));
}

int db_next(struct db_rows *rows)
{
    assert(rows->magic == DB_ROWS_MAGIC);
    return rows->engine->next(rows);
}

void db_rows_done(struct db_rows *rows)
{
    if (rows != NULL) {
        assert(rows->magic == DB_ROWS_MAGIC);
        rows->engine->rows_done(rows);
    }
}

bool db_is_null(struct db_rows *rows, unsigned column)
{
    return rows->engine->is_null(rows, column);
}

int64_t db_get_int(struct db_rows *rows, unsigned column)
{
    return rows->engine->get_int(rows, column);
}

double db_get_real(struct db_rows *rows, unsigned column)
{
    return rows->engine->get_real(rows, column);
}

const char *db_get_text(struct db_rows *rows, unsigned column)
{
    return rows->engine->get_text(rows, column);
}

const void *db_get_blob(struct db_rows *rows, unsigned column, size_t *ret_length)
{
    return rows->engine->get_blob(rows, column, ret_length);
}

bool db_session_writes(const struct db_session *session)
{
    return session->writes;
}

void db_quiet(struct db_session *session)
{
    session->quiet = true;
}

int64_t db_position(struct db *db)
{
    return atomic_load(&db->position);
}

bool db_position_raise(struct db *db, int64_t position)
{
    int64_t known = atomic_load(&db->position);
    while (known < position) {
        if (atomic_compare_exchange_weak(&db->position, &known, position)) {
            return true;
        }
    }
    return false;
}

void db_on_commit(struct db *db, void (*wake)(void *argument), void *argument)
{
    (void)pthread_mutex_lock(&db->listeners_lock);
    assert(db->listener_count < DB_LISTENERS_MAX);
    db->listeners[db->listener_count++] = (struct db_listener){wake, argument};
    (void)pthread_mutex_unlock(&db->listeners_lock);
}

void db_off_commit(struct db *db, void (*wake)(void *argument), void *argument)
{
    (void)pthread_mutex_lock(&db->listeners_lock);
    for (unsigned i = 0; i < db->listener_count; i++) {
        if (db->listeners[i].wake == wake && db->listeners[i].argument == argument) {
            db->listeners[i] = db->listeners[--db->listener_count];
            break;
        }
    }
    (void)pthread_mutex_unlock(&db->listeners_lock);
}

void db_wake_listeners(struct db *db)
{
    (void)pthread_mutex_lock(&db->listeners_lock);
    for (unsigned i = 0; i < db->listener_count; i++) {
        db->listeners[i].wake(db->listeners[i].argument);
    }
    (void)pthread_mutex_unlock(&db->listeners_lock);
}

int db_place_next(struct db_session *session, int64_t *ret_place)
{
    assert(session->writes);
    *ret_place = 0;
    if (session->error != 0 || session->engine->place_next == NULL) {
        return session->error;
    }
    return note(session, session->engine->place_next(session, ret_place));
}

int db_place_settled(struct db_session *session, int64_t *ret_place)
{
    *ret_place = INT64_MAX;
    if (session->error != 0 || session->engine->place_settled == NULL) {
        return session->error;
    }
    return note(session, session->engine->place_settled(session, ret_place));
}

int db_place_raise(struct db *db, int64_t above)
{
    return db->engine->place_raise != NULL ? db->engine->place_raise(db, above) : 0;
}

int db_alive_mark(struct db *db, int64_t mark)
{
    return db->engine->alive_mark(db, mark);
}

bool db_is_alive(struct db *db, int64_t mark)
{
    return db->engine->is_alive(db, mark);
}

int db_snapshot_take(struct db *db, struct db_snapshot **ret_snapshot, struct problem *problem)
{
    assert(db->magic == DB_MAGIC);
    return db->engine->snapshot_take(db, ret_snapshot, problem);
}

int db_snapshot_copy(struct db_snapshot *snapshot, const char *path,
                     const struct db_progress *progress, struct problem *problem)
{
    return snapshot->engine->snapshot_copy(snapshot, path, progress, problem);
}

int db_snapshot_transfer(struct db_snapshot *snapshot, struct db *to,
                         const struct db_progress *progress, struct problem *problem)
{
    return snapshot->engine->snapshot_transfer(snapshot, to, progress, problem);
}

int db_hold(struct db_session *session)
{
    return session->engine->hold != NULL ? note(session, session->engine->hold(session)) : 0;
}

/* Only the tables of the layer itself: nothing was ever migrated. */
static int count_migrations(struct db_session *session, void *argument)
{
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows, "SELECT COUNT(*) FROM db_migration", DB_NO_BIND);
    r = r < 0 ? r : db_next(rows);
    *(bool *)argument = r > 0 && db_get_int(rows, 0) == 0;
    return r < 0 ? r : 0;
}

int db_is_empty(struct db *db, bool *ret_empty)
{
    return db_read(db, count_migrations, ret_empty);
}

int db_put_aside(struct db *db, const char *name, struct problem *problem)
{
    int r = db->engine->put_aside != NULL ? db->engine->put_aside(db, name) : ERR_UNSUPPORTED;
    return r < 0 ? problem_set(problem, r, "What is in the database %s can't be put aside: %s",
                               db->name, db_words())
                 : 0;
}

void db_snapshot_free(struct db_snapshot *snapshot)
{
    if (snapshot != NULL) {
        snapshot->engine->snapshot_free(snapshot);
    }
}

int db_backup(struct db *db, const char *path, struct problem *problem)
{
    struct db_snapshot *snapshot = NULL;
    int r = db_snapshot_take(db, &snapshot, problem);
    r = r < 0 ? r : db_snapshot_copy(snapshot, path, NULL, problem);
    db_snapshot_free(snapshot);
    return r;
}

int db_check(struct db *db, struct problem *problem)
{
    return db->engine->check(db, problem);
}

int db_ping(struct db *db)
{
    return db->engine->ping(db);
}

bool db_is_degraded(struct db *db, struct problem *problem)
{
    return db->engine->is_degraded != NULL && db->engine->is_degraded(db, problem);
}

bool db_clock_is_off(struct db *db, struct problem *problem)
{
    return db->engine->clock_is_off != NULL && db->engine->clock_is_off(db, problem);
}

void db_words_set(const char *words)
{
    (void)snprintf(last_words, sizeof last_words, "%s", words != NULL ? words : "");
}

const char *db_words(void)
{
    return last_words;
}
