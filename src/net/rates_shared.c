/* Buckets shared by processes (rates.h): each decides by its own table, at once, and one thread
 * tells the others.
 *
 *   loop threads: rates_take ─► place.full_us += cost, tally.spent_us += cost, onto the chain
 *   the thread:   chain ─► exchange(what was spent) ─► debts ─► place.full_us = now + debt
 *
 * A request never waits. What the others took is known here one exchange later, so that together
 * processes may let in too much by what comes in that time (ROUND_MS and a round trip); it is in
 * the shared debt and is paid back, since a bucket's debt may exceed what it holds. Over time the
 * sum is the limit: docs/decisions/0156.
 *
 * Where exchange fails nothing changes here: the tables go on as limits of each process, and what
 * is told afterwards is at most what the bucket still lacks. A key that lost its place in between
 * is forgotten, as rates.c does.
 *
 * The chain is a stack of places (Treiber), taken off as a whole, so no ABA; tally.next is 0 for
 * who is not on it, else the next one's number plus 1, LAST at its end.
 */
#include "net/rates_places.h"

#include "base/clock.h"
#include "base/error.h"
#include "net/metrics.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

enum { ROUND_MS = 2, FAILED_MS = 100 };
#define LAST UINT32_MAX

struct tally {
    _Atomic int64_t spent_us;
    _Atomic uint32_t next;
};

struct rates_shared {
    struct rates *rates;
    rates_exchange *exchange;
    void *context;
    pthread_t thread;
    sem_t wake;
    _Atomic bool asleep, ending;
    _Atomic uint32_t chain;
    uint32_t taken; /* what the thread has of the chain */
    struct metric *exchanged, *failed;
    struct tally tallies[];
};

static void push(struct rates_shared *shared, uint32_t place)
{
    struct tally *tally = &shared->tallies[place];
    uint32_t none = 0;
    if (!atomic_compare_exchange_strong(&tally->next, &none, LAST)) {
        return; /* it is on the chain */
    }
    uint32_t head = atomic_load(&shared->chain);
    do {
        atomic_store(&tally->next, head);
    } while (!atomic_compare_exchange_weak(&shared->chain, &head, place + 1));
}

void rates_shared_note(struct rates_shared *shared, uint32_t place, int64_t cost_us)
{
    struct tally *tally = &shared->tallies[place];
    (void)atomic_fetch_add(&tally->spent_us, cost_us);
    if (atomic_load(&tally->next) != 0) {
        return;
    }
    push(shared, place);
    if (atomic_load(&shared->asleep) && atomic_exchange(&shared->asleep, false)) {
        (void)sem_post(&shared->wake);
    }
}

void rates_shared_forget(struct rates_shared *shared, uint32_t place)
{
    atomic_store(&shared->tallies[place].spent_us, 0);
}

/* ---- the thread ---- */

struct batch {
    struct rates_spent spent[RATES_EXCHANGE_MAX];
    uint32_t places[RATES_EXCHANGE_MAX];
    unsigned count;
};

/* What was spent and is not refilled yet. */
static void collect(struct rates_shared *shared, struct batch *batch, uint32_t number,
                    int64_t now_us)
{
    struct rates_place *place = &shared->rates->places[number];
    int64_t spent_us = atomic_exchange(&shared->tallies[number].spent_us, 0);
    int64_t lacking_us = atomic_load(&place->full_us) - now_us;
    spent_us = spent_us < lacking_us ? spent_us : lacking_us;
    if (spent_us > 0) {
        batch->places[batch->count] = number;
        batch->spent[batch->count++] =
            (struct rates_spent){.key = atomic_load(&place->key), .spent_us = spent_us};
    }
}

static void collect_all(struct rates_shared *shared, struct batch *batch)
{
    int64_t now_us = clock_monotonic_us();
    batch->count = 0;
    while (shared->taken != LAST && batch->count < RATES_EXCHANGE_MAX) {
        uint32_t number = shared->taken - 1;
        shared->taken = atomic_load(&shared->tallies[number].next);
        /* Off the chain before its sum is taken: what is spent from here on puts it back. */
        atomic_store(&shared->tallies[number].next, 0);
        collect(shared, batch, number, now_us);
    }
}

/* The shared debt, and what was taken here since it was asked for. */
static void merge(struct rates_shared *shared, uint32_t number, const struct rates_spent *spent,
                  int64_t now_us)
{
    struct rates_place *place = &shared->rates->places[number];
    int64_t full_us = atomic_load(&place->full_us), merged_us;
    do {
        if (atomic_load(&place->key) != spent->key) {
            return;
        }
        merged_us = now_us + spent->debt_us + atomic_load(&shared->tallies[number].spent_us);
    } while (!atomic_compare_exchange_weak(&place->full_us, &full_us, merged_us));
}

static bool tell(struct rates_shared *shared, struct batch *batch)
{
    int error = shared->exchange(shared->context, batch->spent, batch->count);
    int64_t now_us = clock_monotonic_us();
    metric_add(error == 0 ? shared->exchanged : shared->failed, 1);
    for (unsigned i = 0; i < batch->count; i++) {
        if (error == 0) {
            merge(shared, batch->places[i], &batch->spent[i], now_us);
        } else {
            (void)atomic_fetch_add(&shared->tallies[batch->places[i]].spent_us,
                                   batch->spent[i].spent_us);
            push(shared, batch->places[i]);
        }
    }
    return error == 0;
}

static void sleep_ms(long ms)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* Until there is something on the chain, or the end. asleep is said before the last look, and who
 * pushes looks at it after, so one of the two sees the other. */
static void wait_for_chain(struct rates_shared *shared)
{
    while (atomic_load(&shared->chain) == LAST && !atomic_load(&shared->ending)) {
        atomic_store(&shared->asleep, true);
        if (atomic_load(&shared->chain) == LAST && !atomic_load(&shared->ending)) {
            while (sem_wait(&shared->wake) != 0 && errno == EINTR) {
            }
        }
        atomic_store(&shared->asleep, false);
    }
}

static void *share(void *argument)
{
    struct rates_shared *shared = argument;
    struct batch batch;
    while (!atomic_load(&shared->ending)) {
        if (shared->taken == LAST) {
            wait_for_chain(shared);
            shared->taken = atomic_exchange(&shared->chain, LAST);
        }
        collect_all(shared, &batch);
        bool told = batch.count == 0 || tell(shared, &batch);
        if (!told) {
            sleep_ms(FAILED_MS);
        } else if (shared->taken == LAST) {
            sleep_ms(ROUND_MS);
        }
    }
    return NULL;
}

int rates_join(struct rates *rates, rates_exchange *exchange, void *context)
{
    struct rates_shared *shared =
        calloc(1, sizeof *shared + rates->place_count * sizeof(struct tally));
    if (shared == NULL) {
        return ERR_NO_MEMORY;
    }
    shared->rates = rates;
    shared->exchange = exchange;
    shared->context = context;
    shared->taken = LAST;
    atomic_init(&shared->chain, LAST);
    (void)sem_init(&shared->wake, 0, 0);
    shared->exchanged = metric_get(METRIC_COUNTER, "tutti_rate_exchanges_total",
                                   "Exchanges of rate limits with other processes.", "");
    shared->failed = metric_get(METRIC_COUNTER, "tutti_rate_exchanges_failed_total",
                                "Those that failed: limits are each process's own.", "");
    int failure = pthread_create(&shared->thread, NULL, share, shared);
    if (failure != 0) {
        (void)sem_destroy(&shared->wake);
        free(shared);
        return error_from_errno(failure);
    }
    rates->shared = shared;
    return 0;
}

void rates_part(struct rates *rates)
{
    struct rates_shared *shared = rates->shared;
    if (shared == NULL) {
        return;
    }
    atomic_store(&shared->ending, true);
    (void)sem_post(&shared->wake);
    (void)pthread_join(shared->thread, NULL);
    (void)sem_destroy(&shared->wake);
    rates->shared = NULL;
    free(shared);
}
