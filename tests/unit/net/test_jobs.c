/* The bounded pool. */
#include "net/jobs.h"

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
    assert_int_equal(job_pool_new("test", 1, 8, &pool), 0);
    hold = 1;
    ordered = 0;
    assert_int_equal(job_pool_submit(pool, run, NULL), 0);
    wait_for_depth(pool, 0);
    static char names[] = "bBcCpP";
    static const enum job_lane lanes[] = {JOB_BULK,   JOB_BULK, JOB_COMMON,
                                          JOB_COMMON, JOB_PLAY, JOB_PLAY};
    struct job jobs[6];
    for (int i = 0; i < 6; i++) {
        jobs[i] = let_in(pool, lanes[i], note, &names[i]);
        job_pool_push(pool, &jobs[i]);
    }
    hold = 0;
    job_pool_free(pool);
    assert_memory_equal(order, "pPcCbB", 6);
}

/* Of eight threads and places bulk has six, what is common seven. */
static void later_lanes_leave_room(void **state)
{
    (void)state;
    struct job_pool *pool = NULL;
    assert_int_equal(job_pool_new("test", 8, 8, &pool), 0);
    ran = 0;
    hold = 1;
    struct job bulk[12], common[2], play[2];
    for (int i = 0; i < 6; i++) {
        bulk[i] = let_in(pool, JOB_BULK, run, NULL);
        job_pool_push(pool, &bulk[i]);
        wait_for_depth(pool, 0); /* it runs */
    }
    for (int i = 6; i < 12; i++) {
        bulk[i] = let_in(pool, JOB_BULK, run, NULL);
        job_pool_push(pool, &bulk[i]);
    }
    pause_briefly();
    assert_int_equal(job_pool_depth(pool), 6); /* they wait, though two threads are free */
    assert_int_equal(job_pool_claim(pool, JOB_BULK), ERR_BUSY);
    assert_int_equal(job_pool_claim(pool, JOB_COMMON), 0);
    assert_int_equal(job_pool_claim(pool, JOB_COMMON), ERR_BUSY);
    job_pool_unclaim(pool);
    common[0] = let_in(pool, JOB_COMMON, run, NULL);
    job_pool_push(pool, &common[0]);
    wait_for_depth(pool, 6);
    play[0] = let_in(pool, JOB_PLAY, run, NULL);
    job_pool_push(pool, &play[0]);
    wait_for_depth(pool, 6);
    common[1] = let_in(pool, JOB_COMMON, run, NULL);
    job_pool_push(pool, &common[1]);
    play[1] = let_in(pool, JOB_PLAY, run, NULL);
    job_pool_push(pool, &play[1]);
    assert_int_equal(job_pool_claim(pool, JOB_PLAY), ERR_BUSY); /* eight wait */
    hold = 0;
    job_pool_free(pool);
    assert_int_equal(ran, 16);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
