/* The bounded pool of workers: work that may block. A full queue refuses at once. One thread is
 * there from the start, the others come when there is work for them, and stay.
 *
 * Work stands in lanes. An earlier lane goes first, and the later ones leave it threads and places
 * in the queue, so that a flood in one waits for itself and not in front of those before it:
 *
 *   lane        threads and queue it may fill, with what is there of others
 *   JOB_PLAY    all
 *   JOB_PROMPT  7/8   what is cheap, for who is signed in
 *   JOB_COMMON  3/4   the rest of what people wait for
 *   JOB_BULK    5/8
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct job_pool;

enum job_lane { JOB_PLAY, JOB_PROMPT, JOB_COMMON, JOB_BULK, JOB_LANES };

int job_pool_new(const char *name, unsigned threads, unsigned queue_max,
                 struct job_pool **ret_pool);
/* Its threads give way to others where they compete for a core: for work that burns one for long.
 * Before the first job. */
void job_pool_yield(struct job_pool *pool);
/* Queues run(argument) in the first lane, for pools without others. ERR_BUSY when the queue is
 * full, ERR_CANCELLED when it is ending. */
int job_pool_submit(struct job_pool *pool, void (*run)(void *argument), void *argument);
unsigned job_pool_depth(const struct job_pool *pool);
/* How long jobs of a lane wait for a thread (delay.h). now_us: the monotonic clock. */
int64_t job_pool_delay_us(const struct job_pool *pool, enum job_lane lane, int64_t now_us);
/* How long a job that comes now will wait: the delay, or what those before it will take by the
 * average of their lanes (Little's law), whichever is more. The delay alone tells of a burst when
 * it is over. */
int64_t job_pool_wait_us(const struct job_pool *pool, enum job_lane lane, int64_t now_us);
/* Runs what is queued to its end, then joins the threads. NULL is fine. */
void job_pool_free(struct job_pool *pool);

/* A job whose memory is the caller's: for work that was let in once and goes on in pieces (a body
 * that is written as it arrives), where a refusal half-way would lose what was done. Zero it, fill
 * run, argument and lane; it is the pool's from push until run is called. */
struct job {
    void (*run)(void *argument);
    void *argument;
    struct job *next;
    int64_t queued_us;
    enum job_lane lane;
    bool claimed;
};
/* Takes a place in the queue for a job that is pushed a moment later (after its connection was
 * suspended, say). Errors as job_pool_submit. */
int job_pool_claim(struct job_pool *pool, enum job_lane lane);
/* Gives an unused claim back. */
void job_pool_unclaim(struct job_pool *pool);
/* Queues on the claim taken before. Cannot fail. */
void job_pool_push(struct job_pool *pool, struct job *job);
/* Queues a further piece of work that was let in: past the bound, which only counts new work. There
 * are at most as many of them as requests let in. Cannot fail before job_pool_free. */
void job_pool_continue(struct job_pool *pool, struct job *job);
