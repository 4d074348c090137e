/* The bounded pool of workers: work that may block. A full queue refuses at once. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct job_pool;

int job_pool_new(const char *name, unsigned threads, unsigned queue_max,
                 struct job_pool **ret_pool);
/* Queues run(argument). ERR_BUSY when the queue is full, ERR_CANCELLED when it is ending. */
int job_pool_submit(struct job_pool *pool, void (*run)(void *argument), void *argument);
unsigned job_pool_depth(const struct job_pool *pool);
/* The delay between submit and start, exponentially averaged, µs: the sign of load. */
int64_t job_pool_delay_us(const struct job_pool *pool);
/* Runs what is queued to its end, then joins the threads. NULL is fine. */
void job_pool_free(struct job_pool *pool);
