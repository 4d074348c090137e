/* PostgreSQL's connections (db_postgres.h): a bounded pool for each server. Who reads or writes
 * takes the one that was used last (its statements are prepared, its caches warm) and gives it
 * back; more are opened only while all others are taken, and what nobody used for POSTGRES_IDLE_MS
 * is closed by the watcher. When a server is gone its whole pool is dropped at once, so that nobody
 * runs into one dead connection after another. Any thread.
 */
#include "backend/db/db_postgres.h"

#include "base/call.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

int postgres_pool_init(struct postgres_pool *pool, const char *url, const char *name,
                       unsigned count_max, bool for_writing, struct problem *problem)
{
    int r = postgres_address_parse(url, name, for_writing, &pool->address, problem);
    if (r < 0) {
        return r;
    }
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->returned, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    pool->count_max = count_max;
    return 0;
}

void postgres_pool_done(struct postgres_pool *pool)
{
    if (pool->address.shown == NULL) {
        return; /* never was one */
    }
    while (pool->idle != NULL) {
        struct postgres_connection *connection = pool->idle;
        pool->idle = connection->next;
        postgres_disconnect(connection);
        pool->count--;
    }
    assert(pool->count == 0); /* nobody works any more when the database is closed */
    (void)pthread_cond_destroy(&pool->returned);
    (void)pthread_mutex_destroy(&pool->lock);
    postgres_address_done(&pool->address);
}

static struct postgres_connection *pop(struct postgres_pool *pool)
{
    struct postgres_connection *connection = pool->idle;
    if (connection != NULL) {
        pool->idle = connection->next;
        connection->next = NULL;
    }
    return connection;
}

/* An idle one, or a place to open one (NULL with 0), or ERR_BUSY after waiting. */
static int take_or_reserve(struct postgres_pool *pool, unsigned wait_ms,
                           struct postgres_connection **ret_connection)
{
    const struct timespec until =
        clock_monotonic_after(wait_ms > 0 ? call_remaining_ms(wait_ms) : 0);
    int r = 0;
    (void)pthread_mutex_lock(&pool->lock);
    while (pool->idle == NULL && pool->count == pool->count_max && r == 0) {
        r = pthread_cond_timedwait(&pool->returned, &pool->lock, &until) == ETIMEDOUT ? ERR_BUSY
                                                                                      : 0;
    }
    *ret_connection = pop(pool);
    if (*ret_connection != NULL) {
        r = 0;
    } else if (r == 0) {
        pool->count++;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return r;
}

static void leave_place(struct postgres_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    pool->count--;
    (void)pthread_cond_signal(&pool->returned);
    (void)pthread_mutex_unlock(&pool->lock);
}

/* Into pipeline mode for its life; only scripts leave it for a while. */
static int open_one(struct postgres_db *db, struct postgres_pool *pool,
                    struct postgres_connection **ret_connection)
{
    struct postgres_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)pthread_mutex_lock(&pool->lock);
    connection->generation = pool->generation;
    (void)pthread_mutex_unlock(&pool->lock);
    int r = postgres_connect(db, &pool->address, &connection->handle, &connection->pooled);
    if (r == 0 && PQenterPipelineMode(connection->handle) != 1) {
        r = ERR_INTERNAL;
    }
    if (r < 0) {
        postgres_disconnect(connection);
        return r;
    }
    *ret_connection = connection;
    return 0;
}

int postgres_take(struct postgres_db *db, struct postgres_pool *pool, unsigned wait_ms,
                  struct postgres_connection **ret_connection)
{
    struct postgres_connection *connection = NULL;
    int r = take_or_reserve(pool, wait_ms, &connection);
    if (r < 0) {
        db_words_set("all connections are taken");
        return r;
    }
    if (connection != NULL && postgres_settle(connection) < 0) {
        postgres_give_back(pool, connection); /* it has died meanwhile */
        return POSTGRES_LOST;
    }
    if (connection == NULL && (r = open_one(db, pool, &connection)) < 0) {
        leave_place(pool);
        return r;
    }
    *ret_connection = connection;
    return 0;
}

struct postgres_connection *postgres_take_idle(struct postgres_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    struct postgres_connection *connection = pop(pool);
    (void)pthread_mutex_unlock(&pool->lock);
    if (connection != NULL && postgres_settle(connection) < 0) {
        postgres_give_back(pool, connection); /* it has died meanwhile */
        return NULL;
    }
    return connection;
}

void postgres_give_back(struct postgres_pool *pool, struct postgres_connection *connection)
{
    connection->used_ms = clock_monotonic_ms();
    (void)pthread_mutex_lock(&pool->lock);
    bool kept = !connection->lost && connection->generation == pool->generation;
    if (kept) {
        connection->next = pool->idle;
        pool->idle = connection;
    } else {
        pool->count--;
    }
    (void)pthread_cond_signal(&pool->returned);
    (void)pthread_mutex_unlock(&pool->lock);
    if (!kept) {
        postgres_disconnect(connection);
    }
}

static void disconnect_all(struct postgres_connection *connection)
{
    while (connection != NULL) {
        struct postgres_connection *next = connection->next;
        postgres_disconnect(connection);
        connection = next;
    }
}

void postgres_pool_drop(struct postgres_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    struct postgres_connection *dropped = TAKE_PTR(pool->idle);
    pool->generation++;
    for (const struct postgres_connection *c = dropped; c != NULL; c = c->next) {
        pool->count--;
    }
    (void)pthread_cond_broadcast(&pool->returned);
    (void)pthread_mutex_unlock(&pool->lock);
    disconnect_all(dropped);
}

void postgres_pool_trim(struct postgres_pool *pool)
{
    int64_t before_ms = clock_monotonic_ms() - POSTGRES_IDLE_MS;
    (void)pthread_mutex_lock(&pool->lock);
    struct postgres_connection **link = &pool->idle; /* last used first */
    while (*link != NULL && (*link)->used_ms >= before_ms) {
        link = &(*link)->next;
    }
    struct postgres_connection *stale = TAKE_PTR(*link);
    for (const struct postgres_connection *c = stale; c != NULL; c = c->next) {
        pool->count--;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    disconnect_all(stale);
}
