/* The bounded pool of workers (jobs.h).
 *
 * One list, one mutex, one condition. The bound counts jobs that wait (claimed ones included), not
 * those that run. Continuations wait in the same list but outside the bound: there can't be more of
 * them than work that was let in. Jobs of job_pool_submit take their node from an array of
 * queue_max, so that submitting allocates nothing.
 */
#include "net/jobs.h"

#include "base/clock.h"
#include "base/error.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { STACK_BYTES = 1024 * 1024, DELAY_SHIFT = 3, THREADS_MAX = 1024 };

struct job_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct job *first, *last; /* waiting */
    struct job *nodes;        /* queue_max of them */
    struct job *free_nodes;
    pthread_t *threads;
    unsigned threads_max, threads_started, threads_idle;
    unsigned waiting; /* in the list, continuations too */
    unsigned queue_max;
    _Atomic unsigned depth; /* claimed places */
    _Atomic int64_t delay_us;
    bool ending;
    char name[12];
};

static struct job *take(struct job_pool *pool)
{
    while (pool->first == NULL && !pool->ending) {
        pool->threads_idle++;
        pthread_cond_wait(&pool->work, &pool->lock);
        pool->threads_idle--;
    }
    struct job *job = pool->first;
    if (job != NULL) {
        pool->first = job->next;
        pool->last = pool->first != NULL ? pool->last : NULL;
        pool->waiting--;
    }
    return job;
}

static bool is_node(const struct job_pool *pool, const struct job *job)
{
    return job >= pool->nodes && job < pool->nodes + pool->queue_max;
}

/* Gives back what the job held of the queue, under the lock; the job itself may be gone after its
 * run, so this comes before. */
static struct job start(struct job_pool *pool, struct job *job)
{
    int64_t delay_us = clock_monotonic_us() - job->queued_us;
    int64_t average_us = atomic_load_explicit(&pool->delay_us, memory_order_relaxed);
    average_us += (delay_us - average_us) / (1 << DELAY_SHIFT);
    atomic_store_explicit(&pool->delay_us, average_us, memory_order_relaxed);
    struct job started = *job;
    if (job->claimed) {
        job->claimed = false;
        atomic_fetch_sub(&pool->depth, 1);
    }
    if (is_node(pool, job)) {
        job->next = pool->free_nodes;
        pool->free_nodes = job;
    }
    return started;
}

static void *worker(void *argument)
{
    struct job_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct job *job = take(pool);
        if (job == NULL) {
            break;
        }
        struct job started = start(pool, job);
        pthread_mutex_unlock(&pool->lock);
        started.run(started.argument);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Starts one more thread, under the lock. */
static int start_thread(struct job_pool *pool)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_t *thread = &pool->threads[pool->threads_started];
    int failed = pthread_create(thread, &attributes, worker, pool);
    pthread_attr_destroy(&attributes);
    if (failed != 0) {
        return ERR_NO_MEMORY;
    }
    (void)pthread_setname_np(*thread, pool->name);
    pool->threads_started++;
    return 0;
}

int job_pool_new(const char *name, unsigned threads, unsigned queue_max, struct job_pool **ret_pool)
{
    assert(threads > 0 && queue_max > 0);
    threads = threads < THREADS_MAX ? threads : THREADS_MAX;
    struct job_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL) {
        return ERR_NO_MEMORY;
    }
    pool->nodes = calloc(queue_max, sizeof *pool->nodes);
    pool->threads = calloc(threads, sizeof *pool->threads);
    if (pool->nodes == NULL || pool->threads == NULL) {
        free(pool->nodes);
        free(pool->threads);
        free(pool);
        return ERR_NO_MEMORY;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pool->threads_max = threads;
    pool->queue_max = queue_max;
    for (unsigned i = 0; i < queue_max; i++) {
        pool->nodes[i].next = pool->free_nodes;
        pool->free_nodes = &pool->nodes[i];
    }
    (void)snprintf(pool->name, sizeof pool->name, "%s", name);
    /* One thread from the start, so that a push never depends on pthread_create. */
    int error = start_thread(pool);
    if (error != 0) {
        job_pool_free(pool);
        return error;
    }
    *ret_pool = pool;
    return 0;
}

/* Under the lock. */
static void append(struct job_pool *pool, struct job *job)
{
    job->next = NULL;
    job->queued_us = clock_monotonic_us();
    if (pool->last != NULL) {
        pool->last->next = job;
    } else {
        pool->first = job;
    }
    pool->last = job;
    pool->waiting++;
    if (pool->waiting > pool->threads_idle && pool->threads_started < pool->threads_max &&
        !pool->ending) {
        (void)start_thread(pool); /* without it, those that are there take the job */
    }
    pthread_cond_signal(&pool->work);
}

/* Under the lock. */
static int claim(struct job_pool *pool)
{
    if (pool->ending) {
        return ERR_CANCELLED;
    }
    if (atomic_load(&pool->depth) >= pool->queue_max) {
        return ERR_BUSY;
    }
    atomic_fetch_add(&pool->depth, 1);
    return 0;
}

int job_pool_claim(struct job_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    int error = claim(pool);
    pthread_mutex_unlock(&pool->lock);
    return error;
}

void job_pool_unclaim(struct job_pool *pool)
{
    atomic_fetch_sub(&pool->depth, 1);
}

void job_pool_push(struct job_pool *pool, struct job *job)
{
    pthread_mutex_lock(&pool->lock);
    job->claimed = true;
    append(pool, job);
    pthread_mutex_unlock(&pool->lock);
}

void job_pool_continue(struct job_pool *pool, struct job *job)
{
    pthread_mutex_lock(&pool->lock);
    job->claimed = false;
    append(pool, job);
    pthread_mutex_unlock(&pool->lock);
}

int job_pool_submit(struct job_pool *pool, void (*run)(void *argument), void *argument)
{
    pthread_mutex_lock(&pool->lock);
    int error = claim(pool);
    if (error == 0) {
        struct job *job = pool->free_nodes;
        assert(job != NULL); /* as many nodes as places */
        pool->free_nodes = job->next;
        *job = (struct job){.run = run, .argument = argument, .claimed = true};
        append(pool, job);
    }
    pthread_mutex_unlock(&pool->lock);
    return error;
}

unsigned job_pool_depth(const struct job_pool *pool)
{
    return atomic_load_explicit(&pool->depth, memory_order_relaxed);
}

int64_t job_pool_delay_us(const struct job_pool *pool)
{
    return atomic_load_explicit(&pool->delay_us, memory_order_relaxed);
}

void job_pool_free(struct job_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->ending = true; /* from here on no thread is started */
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads_started; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    assert(pool->first == NULL);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool->nodes);
    free(pool->threads);
    free(pool);
}
