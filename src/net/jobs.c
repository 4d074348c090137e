/* The bounded pool of workers (jobs.h).
 *
 * A list a lane under one mutex. The bound counts jobs that wait (claimed ones included), not those
 * that run. Continuations wait in the same lists but outside the bound: there can't be more of them
 * than work that was let in. Jobs of job_pool_submit take their node from an array of queue_max, so
 * that submitting allocates nothing.
 *
 * Waking is what costs. Idle workers sleep on a semaphore each, in a stack: the last one to sleep
 * is the first to wake, so few workers do the work while it is short. At most one worker is on its
 * way at a time (waking); when it takes a job and sees more, it wakes the next. So a burst of short
 * jobs is done by one or two workers, and jobs that block bring up one worker after the other. A
 * lane that has its threads waits for one of them: who ends a job looks for the next by itself.
 */
#include "net/jobs.h"

#include "base/clock.h"
#include "base/error.h"
#include "net/delay.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { STACK_BYTES = 1024 * 1024, THREADS_MAX = 1024, YIELDING_NICE = 10, RUN_SHIFT = 3 };

struct worker {
    struct job_pool *pool;
    struct worker *idle_next;
    sem_t wake;
    pthread_t thread;
    bool yields;
};

struct lane {
    struct job *first, *last; /* waiting */
    struct delay delay;
    _Atomic unsigned waiting;
    _Atomic int64_t run_us;          /* average; of each job an eighth enters */
    unsigned threads_max, queue_max; /* with what others have of them */
};

struct job_pool {
    pthread_mutex_t lock;
    struct lane lanes[JOB_LANES];
    struct job *nodes; /* queue_max of them */
    struct job *free_nodes;
    struct worker *workers;
    struct worker *idle; /* asleep, the last one first */
    unsigned threads_max, threads_started, running;
    unsigned queue_max;
    _Atomic unsigned depth; /* claimed places */
    bool waking, ending, yields;
    char name[12];
};

static bool is_node(const struct job_pool *pool, const struct job *job)
{
    return job >= pool->nodes && job < pool->nodes + pool->queue_max;
}

/* The first lane that has work and may take a thread more; NULL: none. Under the lock. */
static struct lane *next_lane(struct job_pool *pool)
{
    for (unsigned i = 0; i < JOB_LANES; i++) {
        struct lane *lane = &pool->lanes[i];
        if (lane->first != NULL && pool->running < lane->threads_max) {
            return lane;
        }
    }
    return NULL;
}

/* Takes the lane's first job. Under the lock. */
static struct job *take(struct lane *lane)
{
    struct job *job = lane->first;
    lane->first = job->next;
    if (lane->first == NULL) {
        lane->last = NULL;
    }
    atomic_fetch_sub_explicit(&lane->waiting, 1, memory_order_relaxed);
    delay_note(&lane->delay, job->queued_us, clock_monotonic_us());
    delay_wait(&lane->delay, lane->first != NULL ? lane->first->queued_us : 0);
    return job;
}

/* Gives back what the job held of the queue, under the lock; the job itself may be gone after its
 * run, so this comes before. */
static struct job start(struct job_pool *pool, struct job *job)
{
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

static int start_thread(struct job_pool *pool);

/* Brings one more worker to the list, if it needs one and none is on its way. Under the lock;
 * returns whom to post once it is released. */
static struct worker *call_worker(struct job_pool *pool)
{
    if (pool->waking || next_lane(pool) == NULL) {
        return NULL;
    }
    struct worker *worker = pool->idle;
    if (worker != NULL) {
        pool->idle = worker->idle_next;
        pool->waking = true;
    } else if (pool->threads_started < pool->threads_max && !pool->ending) {
        pool->waking = start_thread(pool) == 0; /* without it, those that are there go on */
    }
    return worker;
}

static void post(struct worker *worker)
{
    if (worker != NULL) {
        (void)sem_post(&worker->wake);
    }
}

/* Sleeps until woken; under the lock. */
static void sleep_idle(struct job_pool *pool, struct worker *worker)
{
    worker->idle_next = pool->idle;
    pool->idle = worker;
    pthread_mutex_unlock(&pool->lock);
    while (sem_wait(&worker->wake) != 0) {
        assert(errno == EINTR);
    }
    pthread_mutex_lock(&pool->lock);
    pool->waking = false;
}

/* Linux knows the niceness of a thread. That it can't be raised is no reason not to work. */
static void yield_to_others(struct worker *worker)
{
    id_t thread = (id_t)gettid();
    worker->yields = true;
    if (getpriority(PRIO_PROCESS, thread) < YIELDING_NICE) {
        (void)setpriority(PRIO_PROCESS, thread, YIELDING_NICE);
    }
}

/* Under the lock. */
static void note_run(struct lane *lane, int64_t took_us)
{
    int64_t run_us = atomic_load_explicit(&lane->run_us, memory_order_relaxed);
    run_us += (took_us - run_us) / (1 << RUN_SHIFT);
    atomic_store_explicit(&lane->run_us, run_us, memory_order_relaxed);
}

/* Takes the lane's first job and runs it; under the lock. */
static void run_first(struct worker *worker, struct lane *lane)
{
    struct job_pool *pool = worker->pool;
    if (pool->yields && !worker->yields) {
        yield_to_others(worker);
    }
    struct job started = start(pool, take(lane));
    pool->running++;
    struct worker *called = call_worker(pool);
    pthread_mutex_unlock(&pool->lock);
    post(called);
    int64_t began_us = clock_monotonic_us();
    started.run(started.argument);
    int64_t took_us = clock_monotonic_us() - began_us;
    pthread_mutex_lock(&pool->lock);
    note_run(lane, took_us);
    pool->running--;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct job_pool *pool = worker->pool;
    pthread_mutex_lock(&pool->lock);
    pool->waking = false;
    for (;;) {
        struct lane *lane = next_lane(pool);
        if (lane != NULL) {
            run_first(worker, lane);
        } else if (!pool->ending) {
            sleep_idle(pool, worker);
        } else {
            break; /* what is left, if anything, is for those that run */
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Starts one more thread, under the lock. */
static int start_thread(struct job_pool *pool)
{
    struct worker *worker = &pool->workers[pool->threads_started];
    worker->pool = pool;
    (void)sem_init(&worker->wake, 0, 0);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int failed = pthread_create(&worker->thread, &attributes, work, worker);
    pthread_attr_destroy(&attributes);
    if (failed != 0) {
        return ERR_NO_MEMORY;
    }
    (void)pthread_setname_np(worker->thread, pool->name);
    pool->threads_started++;
    return 0;
}

/* What a lane may fill, at least one. */
static unsigned share_of(unsigned whole, enum job_lane lane)
{
    static const unsigned eighths[JOB_LANES] = {
        [JOB_PLAY] = 8, [JOB_PROMPT] = 7, [JOB_COMMON] = 6, [JOB_BULK] = 5};
    unsigned share = (unsigned)((uint64_t)whole * eighths[lane] / 8);
    return share > 0 ? share : 1;
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
    pool->workers = calloc(threads, sizeof *pool->workers);
    if (pool->nodes == NULL || pool->workers == NULL) {
        free(pool->nodes);
        free(pool->workers);
        free(pool);
        return ERR_NO_MEMORY;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pool->threads_max = threads;
    pool->queue_max = queue_max;
    for (unsigned i = 0; i < queue_max; i++) {
        pool->nodes[i].next = pool->free_nodes;
        pool->free_nodes = &pool->nodes[i];
    }
    (void)snprintf(pool->name, sizeof pool->name, "%s", name);
    for (unsigned i = 0; i < JOB_LANES; i++) {
        pool->lanes[i].threads_max = share_of(threads, (enum job_lane)i);
        pool->lanes[i].queue_max = share_of(queue_max, (enum job_lane)i);
    }
    /* One thread from the start, so that a push never depends on pthread_create. */
    pthread_mutex_lock(&pool->lock);
    int error = start_thread(pool);
    pthread_mutex_unlock(&pool->lock);
    if (error != 0) {
        job_pool_free(pool);
        return error;
    }
    *ret_pool = pool;
    return 0;
}

void job_pool_yield(struct job_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->yields = true;
    pthread_mutex_unlock(&pool->lock);
}

/* Queues and releases the lock. */
static void append_and_unlock(struct job_pool *pool, struct job *job)
{
    struct lane *lane = &pool->lanes[job->lane];
    job->next = NULL;
    job->queued_us = clock_monotonic_us();
    if (lane->last != NULL) {
        lane->last->next = job;
    } else {
        lane->first = job;
        delay_wait(&lane->delay, job->queued_us);
    }
    lane->last = job;
    atomic_fetch_add_explicit(&lane->waiting, 1, memory_order_relaxed);
    struct worker *called = call_worker(pool);
    pthread_mutex_unlock(&pool->lock);
    post(called);
}

/* Under the lock. */
static int claim(struct job_pool *pool, enum job_lane lane)
{
    if (pool->ending) {
        return ERR_CANCELLED;
    }
    if (atomic_load(&pool->depth) >= pool->lanes[lane].queue_max) {
        return ERR_BUSY;
    }
    atomic_fetch_add(&pool->depth, 1);
    return 0;
}

int job_pool_claim(struct job_pool *pool, enum job_lane lane)
{
    pthread_mutex_lock(&pool->lock);
    int error = claim(pool, lane);
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
    append_and_unlock(pool, job);
}

void job_pool_continue(struct job_pool *pool, struct job *job)
{
    pthread_mutex_lock(&pool->lock);
    job->claimed = false;
    append_and_unlock(pool, job);
}

int job_pool_submit(struct job_pool *pool, void (*run)(void *argument), void *argument)
{
    pthread_mutex_lock(&pool->lock);
    int error = claim(pool, JOB_PLAY);
    if (error != 0) {
        pthread_mutex_unlock(&pool->lock);
        return error;
    }
    struct job *job = pool->free_nodes;
    assert(job != NULL); /* as many nodes as places */
    pool->free_nodes = job->next;
    *job = (struct job){.run = run, .argument = argument, .claimed = true};
    append_and_unlock(pool, job);
    return 0;
}

unsigned job_pool_depth(const struct job_pool *pool)
{
    return atomic_load_explicit(&pool->depth, memory_order_relaxed);
}

int64_t job_pool_delay_us(const struct job_pool *pool, enum job_lane lane, int64_t now_us)
{
    return delay_us(&pool->lanes[lane].delay, now_us);
}

int64_t job_pool_wait_us(const struct job_pool *pool, enum job_lane lane, int64_t now_us)
{
    int64_t delay_us = job_pool_delay_us(pool, lane, now_us), before_us = 0;
    for (unsigned i = 0; i <= lane; i++) {
        const struct lane *earlier = &pool->lanes[i];
        before_us += atomic_load_explicit(&earlier->waiting, memory_order_relaxed) *
                     atomic_load_explicit(&earlier->run_us, memory_order_relaxed);
    }
    before_us /= pool->lanes[lane].threads_max;
    return before_us > delay_us ? before_us : delay_us;
}

void job_pool_free(struct job_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->ending = true; /* from here on no thread is started */
    for (struct worker *worker = pool->idle; worker != NULL; worker = worker->idle_next) {
        post(worker);
    }
    pool->idle = NULL;
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads_started; i++) {
        pthread_join(pool->workers[i].thread, NULL);
        (void)sem_destroy(&pool->workers[i].wake);
    }
    for (unsigned i = 0; i < JOB_LANES; i++) {
        assert(pool->lanes[i].first == NULL);
    }
    pthread_mutex_destroy(&pool->lock);
    free(pool->nodes);
    free(pool->workers);
    free(pool);
}
