/* The bounded pool. */
#include "net/jobs.h"

#include "base/clock.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static _Atomic int ran, hold;

static void pause_briefly(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static void run(void *argument)
{
    (void)argument;
    while (hold) {
        pause_briefly();
    }
    ran++;
}

static void wait_for_depth(struct job_pool *pool, unsigned depth)
{
    for (int i = 0; i < 500 && job_pool_depth(pool) != depth; i++) {
        pause_briefly();
    }
    assert_int_equal(job_pool_depth(pool), depth);
}

static void a_full_queue_refuses(void **state)
{
    (void)state;
    struct job_pool *pool = NULL;
    assert_int_equal(job_pool_new("test", 2, 3, &pool), 0);
    ran = 0;
    hold = 1;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(job_pool_submit(pool, run, NULL), 0);
        wait_for_depth(pool, 0); /* it runs, and waits no more */
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(job_pool_submit(pool, run, NULL), 0);
    }
    assert_int_equal(job_pool_submit(pool, run, NULL), ERR_BUSY);
    assert_int_equal(job_pool_claim(pool, JOB_PLAY), ERR_BUSY);
    struct job more = {.run = run};
    job_pool_continue(pool, &more); /* what was let in goes on */
    hold = 0;
    job_pool_free(pool);
    assert_int_equal(ran, 6);
}

static void claims_take_places(void **state)
{
    (void)state;
    struct job_pool *pool = NULL;
    assert_int_equal(job_pool_new("test", 1, 2, &pool), 0);
    ran = 0;
    hold = 0;
    assert_int_equal(job_pool_claim(pool, JOB_PLAY), 0);
    assert_int_equal(job_pool_claim(pool, JOB_PLAY), 0);
    assert_int_equal(job_pool_submit(pool, run, NULL), ERR_BUSY);
    job_pool_unclaim(pool);
    assert_int_equal(job_pool_submit(pool, run, NULL), 0);
    struct job job = {.run = run};
    job_pool_push(pool, &job);
    wait_for_depth(pool, 0);
    job_pool_free(pool);
    assert_int_equal(ran, 2);
}

static struct job chain[50];
static struct job_pool *chain_pool;

static void run_chain(void *argument)
{
    struct job *job = argument;
    ran++;
    if (job + 1 < chain + 50) {
        job[1] = (struct job){.run = run_chain, .argument = job + 1};
        job_pool_continue(chain_pool, job + 1);
    }
}

/* Freeing runs what is queued, and what that queues, to its end. */
static void ending_finishes_chains(void **state)
{
    (void)state;
    assert_int_equal(job_pool_new("test", 4, 10, &chain_pool), 0);
    ran = 0;
    chain[0] = (struct job){.run = run_chain, .argument = chain};
    job_pool_continue(chain_pool, chain);
    job_pool_free(chain_pool);
    assert_int_equal(ran, 50);
}

static char order[8];
static _Atomic unsigned ordered;

static void note(void *argument)
{
    order[ordered++] = *(const char *)argument;
}

static struct job let_in(struct job_pool *pool, enum job_lane lane, void (*does)(void *),
                         char *name)
{
    assert_int_equal(job_pool_claim(pool, lane), 0);
    return (struct job){.run = does, .argument = name, .lane = lane};
}

static void earlier_lanes_go_first(void **state)
{
    (void)state;
    struct job_pool *pool = NULL;
    assert_int_equal(job_pool_new("test", 1, 16, &pool), 0);
    hold = 1;
    ordered = 0;
    assert_int_equal(job_pool_submit(pool, run, NULL), 0);
    wait_for_depth(pool, 0);
    static char names[] = "bBcCqQpP";
    static const enum job_lane lanes[] = {JOB_BULK,   JOB_BULK,   JOB_COMMON, JOB_COMMON,
                                          JOB_PROMPT, JOB_PROMPT, JOB_PLAY,   JOB_PLAY};
    struct job jobs[8];
    for (int i = 0; i < 8; i++) {
        jobs[i] = let_in(pool, lanes[i], note, &names[i]);
        job_pool_push(pool, &jobs[i]);
    }
    hold = 0;
    job_pool_free(pool);
    assert_memory_equal(order, "pPqQcCbB", 8);
}

static void push_blocked(struct job_pool *pool, struct job *job, enum job_lane lane)
{
    *job = let_in(pool, lane, run, NULL);
    job_pool_push(pool, job);
}

/* Of eight threads and places bulk fills five, what is common six, what is prompt seven. */
static void later_lanes_leave_room(void **state)
{
    (void)state;
    struct job_pool *pool = NULL;
    assert_int_equal(job_pool_new("test", 8, 8, &pool), 0);
    ran = 0;
    hold = 1;
    struct job running[8], waiting[8];
    static const enum job_lane runs[8] = {JOB_BULK, JOB_BULK,   JOB_BULK,   JOB_BULK,
                                          JOB_BULK, JOB_COMMON, JOB_PROMPT, JOB_PLAY};
    for (int i = 0; i < 8; i++) {
        push_blocked(pool, &running[i], runs[i]);
        wait_for_depth(pool, 0); /* it runs */
        if (i == 4) {
            push_blocked(pool, &waiting[0], JOB_BULK);
            pause_briefly();
            assert_int_equal(job_pool_depth(pool), 1); /* though three threads are free */
            hold = 0;
            wait_for_depth(pool, 0);
            for (int j = 0; j < 500 && ran < 6; j++) {
                pause_briefly();
            }
            hold = 1;
            for (int j = 0; j < 5; j++) {
                push_blocked(pool, &running[j], JOB_BULK);
                wait_for_depth(pool, 0);
            }
        }
    }
    for (int i = 0; i < 8; i++) {
        push_blocked(pool, &waiting[i], runs[i]);
        enum job_lane refused = i == 4 ? JOB_BULK : i == 5 ? JOB_COMMON : JOB_PROMPT;
        if (i >= 4 && i < 7) {
            assert_int_equal(job_pool_claim(pool, refused), ERR_BUSY);
        }
    }
    assert_int_equal(job_pool_claim(pool, JOB_PLAY), ERR_BUSY); /* eight wait */
    hold = 0;
    job_pool_free(pool);
    assert_int_equal(ran, 6 + 16);
}

static void take_ten_ms(void *argument)
{
    (void)argument;
    (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    ran++;
}

/* What those before it will take, though nobody has waited yet. */
static void a_burst_is_foreseen(void **state)
{
    (void)state;
    struct job_pool *pool = NULL;
    assert_int_equal(job_pool_new("test", 1, 64, &pool), 0);
    ran = 0;
    hold = 1;
    assert_int_equal(job_pool_wait_us(pool, JOB_COMMON, clock_monotonic_us()), 0);
    struct job jobs[40], blocker, later[10];
    for (int i = 0; i < 40; i++) {
        jobs[i] = let_in(pool, JOB_PLAY, take_ten_ms, NULL);
        job_pool_push(pool, &jobs[i]);
    }
    for (int i = 0; i < 2000 && ran < 40; i++) {
        pause_briefly();
    }
    push_blocked(pool, &blocker, JOB_BULK);
    wait_for_depth(pool, 0);
    for (int i = 0; i < 10; i++) {
        later[i] = let_in(pool, JOB_PLAY, take_ten_ms, NULL);
        job_pool_push(pool, &later[i]);
    }
    int64_t now_us = clock_monotonic_us();
    assert_in_range(job_pool_wait_us(pool, JOB_PLAY, now_us), 90 * 1000, INT64_MAX);
    assert_in_range(job_pool_wait_us(pool, JOB_COMMON, now_us), 90 * 1000, INT64_MAX);
    hold = 0;
    job_pool_free(pool);
}

static _Atomic int niceness;

static void note_niceness(void *argument)
{
    (void)argument;
    niceness = getpriority(PRIO_PROCESS, (id_t)gettid());
    ran++;
}

static void threads_may_give_way(void **state)
{
    (void)state;
    for (int yields = 0; yields < 2; yields++) {
        struct job_pool *pool = NULL;
        assert_int_equal(job_pool_new("test", 1, 1, &pool), 0);
        if (yields) {
            job_pool_yield(pool);
        }
        assert_int_equal(job_pool_submit(pool, note_niceness, NULL), 0);
        job_pool_free(pool);
        int own = getpriority(PRIO_PROCESS, 0);
        assert_int_equal(niceness, yields && own < 10 ? 10 : own);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_refuses),   cmocka_unit_test(claims_take_places),
        cmocka_unit_test(ending_finishes_chains), cmocka_unit_test(earlier_lanes_go_first),
        cmocka_unit_test(later_lanes_leave_room), cmocka_unit_test(threads_may_give_way),
        cmocka_unit_test(a_burst_is_foreseen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
