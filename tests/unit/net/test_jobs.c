/* The bounded pool. */
#include "net/jobs.h"

#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

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
    assert_int_equal(job_pool_claim(pool), ERR_BUSY);
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
    assert_int_equal(job_pool_claim(pool), 0);
    assert_int_equal(job_pool_claim(pool), 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(claims_take_places),
        cmocka_unit_test(ending_finishes_chains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
