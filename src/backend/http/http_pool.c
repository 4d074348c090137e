/* The handles of curl that an engine is spoken to with (http_client.h). Each keeps its connection;
 * the one used last is taken first, so that few stay warm and the others' connections run out. Any
 * thread. */
#include "backend/http/http_client.h"

#include "base/clock.h"
#include "base/error.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { WAIT_MS = 5000, IDLE_MAX = 8 };

struct http_pool {
    pthread_mutex_t lock;
    pthread_cond_t given;
    unsigned used, used_max, idle_count;
    CURL *idle[IDLE_MAX];
};

int http_pool_new(unsigned handles_max, struct http_pool **ret_pool)
{
    struct http_pool *pool = calloc(1, sizeof *pool);
    pthread_condattr_t monotonic;
    if (pool == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(pool);
        return ERR_NO_MEMORY;
    }
    pool->used_max = handles_max;
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&pool->given, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    *ret_pool = pool;
    return 0;
}

void http_pool_free(struct http_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    for (unsigned i = 0; i < pool->idle_count; i++) {
        curl_easy_cleanup(pool->idle[i]);
    }
    pthread_cond_destroy(&pool->given);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
    curl_global_cleanup();
}

/* Under the lock: until one is free. */
static bool wait_for_one(struct http_pool *pool)
{
    const struct timespec end = clock_monotonic_after(WAIT_MS);
    int error = 0;
    while (pool->used == pool->used_max && error == 0) {
        error = pthread_cond_timedwait(&pool->given, &pool->lock, &end);
    }
    return pool->used < pool->used_max;
}

int http_pool_take(struct http_pool *pool, void **ret_curl)
{
    CURL *curl = NULL;
    pthread_mutex_lock(&pool->lock);
    bool free_one = wait_for_one(pool);
    if (free_one) {
        pool->used++;
        curl = pool->idle_count > 0 ? pool->idle[--pool->idle_count] : NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    if (!free_one) {
        return ERR_BUSY;
    }
    if (curl == NULL && (curl = curl_easy_init()) == NULL) {
        http_pool_give(pool, NULL);
        return ERR_NO_MEMORY;
    }
    curl_easy_reset(curl);
    *ret_curl = curl;
    return 0;
}

void http_pool_give(struct http_pool *pool, void *curl)
{
    pthread_mutex_lock(&pool->lock);
    pool->used--;
    if (curl != NULL && pool->idle_count < IDLE_MAX) {
        pool->idle[pool->idle_count++] = curl;
        curl = NULL;
    }
    (void)pthread_cond_signal(&pool->given);
    pthread_mutex_unlock(&pool->lock);
    curl_easy_cleanup(curl);
}
