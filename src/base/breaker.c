/* Circuit breakers (breaker.h).
 *
 * The window is a ring of SLICES counts, each a part of window_ms; a slice is emptied when the
 * clock comes round to it. turn counts the changes of state: what was let in before the last one
 * and comes back after it says nothing of now, and is forgotten.
 */
#include "base/breaker.h"

#include "base/call.h"
#include "base/clock.h"
#include "base/error.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { SLICES = 10, FAIR_MS = 2000 };

struct slice {
    int64_t number; /* which part of time it counts */
    unsigned calls, failed, slow;
};

struct breaker {
    struct breaker *next;
    pthread_mutex_t lock;
    char name[BREAKER_NAME_SIZE];
    struct breaker_config config;
    enum breaker_state state;
    unsigned turn;
    struct slice slices[SLICES];
    unsigned in_a_row; /* failures, while closed; good probes, while half open */
    int64_t wait_ms;   /* of the next opening, without jitter */
    int64_t until_ms;  /* open: when the first probe may go */
    int64_t probe_ms;  /* half open: when the one that is out began; 0: none is */
    uint64_t opened, refused;
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct breaker *list;
static void (*tell_change)(const struct breaker_view *view);

static unsigned given(unsigned value, unsigned fallback)
{
    return value != 0 ? value : fallback;
}

static void fill_config(struct breaker_config *to, const struct breaker_config *from)
{
    *to = (struct breaker_config){
        .failures_in_a_row = given(from->failures_in_a_row, 5),
        .calls_min = given(from->calls_min, 20),
        .bad_percent = given(from->bad_percent, 50),
        .window_ms = given(from->window_ms, 10 * 1000),
        .slow_ms = from->slow_ms,
        .wait_ms = given(from->wait_ms, 500),
        .wait_ms_max = given(from->wait_ms_max, 30 * 1000),
        .probes = given(from->probes, 2),
        .probe_ms_max = given(from->probe_ms_max, 30 * 1000),
        .now_ms = from->now_ms,
        .clock = from->clock,
    };
}

int breaker_new(const struct breaker_config *config, struct breaker **ret_breaker)
{
    struct breaker *breaker = calloc(1, sizeof *breaker);
    if (breaker == NULL) {
        return ERR_NO_MEMORY;
    }
    pthread_mutex_init(&breaker->lock, NULL);
    (void)snprintf(breaker->name, sizeof breaker->name, "%s", config->name);
    fill_config(&breaker->config, config);
    breaker->wait_ms = breaker->config.wait_ms;
    pthread_mutex_lock(&list_lock);
    struct breaker **at = &list;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = breaker;
    pthread_mutex_unlock(&list_lock);
    *ret_breaker = breaker;
    return 0;
}

void breaker_free(struct breaker *breaker)
{
    if (breaker == NULL) {
        return;
    }
    pthread_mutex_lock(&list_lock);
    struct breaker **at = &list;
    while (*at != breaker) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = breaker->next;
    pthread_mutex_unlock(&list_lock);
    pthread_mutex_destroy(&breaker->lock);
    free(breaker);
}

/* ---- under the breaker's lock ---- */

static int64_t now(const struct breaker *breaker)
{
    return breaker->config.now_ms != NULL ? breaker->config.now_ms(breaker->config.clock)
                                          : clock_monotonic_ms();
}

static int64_t slice_number(const struct breaker *breaker, int64_t now_ms)
{
    int64_t slice_ms = breaker->config.window_ms / SLICES;
    return now_ms / (slice_ms > 0 ? slice_ms : 1);
}

static void count(struct breaker *breaker, int64_t now_ms, bool failed, bool slow)
{
    int64_t number = slice_number(breaker, now_ms);
    struct slice *slice = &breaker->slices[(uint64_t)number % SLICES];
    if (slice->number != number) {
        *slice = (struct slice){.number = number};
    }
    slice->calls++;
    slice->failed += failed;
    slice->slow += slow && !failed;
}

static struct slice sum(const struct breaker *breaker, int64_t now_ms)
{
    int64_t number = slice_number(breaker, now_ms);
    struct slice all = {.number = number};
    for (unsigned i = 0; i < SLICES; i++) {
        const struct slice *slice = &breaker->slices[i];
        if (slice->number > number - SLICES) {
            all.calls += slice->calls;
            all.failed += slice->failed;
            all.slow += slice->slow;
        }
    }
    return all;
}

static void change(struct breaker *breaker, enum breaker_state state)
{
    breaker->state = state;
    breaker->turn++;
    breaker->in_a_row = 0;
    breaker->probe_ms = 0;
}

/* Opens for the wait that is due, ± a quarter, so that many processes do not probe in step. */
static void open_up(struct breaker *breaker, int64_t now_ms)
{
    int64_t wait_ms = breaker->wait_ms;
    int64_t half_ms = wait_ms / 2;
    int64_t jitter_ms = (int64_t)randombytes_uniform((uint32_t)half_ms + 1) - half_ms / 2;
    change(breaker, BREAKER_OPEN);
    breaker->opened++;
    breaker->until_ms = now_ms + wait_ms + jitter_ms;
    breaker->wait_ms =
        2 * wait_ms < breaker->config.wait_ms_max ? 2 * wait_ms : breaker->config.wait_ms_max;
}

static void close_down(struct breaker *breaker)
{
    change(breaker, BREAKER_CLOSED);
    breaker->wait_ms = breaker->config.wait_ms;
    for (unsigned i = 0; i < SLICES; i++) {
        breaker->slices[i] = (struct slice){0};
    }
}

static bool may_probe(const struct breaker *breaker, int64_t now_ms)
{
    if (breaker->state == BREAKER_OPEN) {
        return now_ms >= breaker->until_ms;
    }
    return breaker->probe_ms == 0 || now_ms - breaker->probe_ms >= breaker->config.probe_ms_max;
}

/* A probe that was given up belongs to an earlier turn. */
static void begin_probe(struct breaker *breaker, int64_t now_ms)
{
    if (breaker->state == BREAKER_OPEN) {
        change(breaker, BREAKER_HALF_OPEN);
    } else if (breaker->probe_ms != 0) {
        breaker->turn++;
    }
    breaker->probe_ms = now_ms != 0 ? now_ms : 1;
}

static void judge(struct breaker *breaker, int64_t now_ms, bool failed, bool slow)
{
    count(breaker, now_ms, failed, slow);
    breaker->in_a_row = failed ? breaker->in_a_row + 1 : 0;
    const struct slice all = sum(breaker, now_ms);
    bool many_bad = all.calls >= breaker->config.calls_min &&
                    (uint64_t)(all.failed + all.slow) * 100 >=
                        (uint64_t)all.calls * breaker->config.bad_percent;
    if ((failed || slow) && (many_bad || breaker->in_a_row >= breaker->config.failures_in_a_row)) {
        open_up(breaker, now_ms);
    }
}

static void judge_probe(struct breaker *breaker, int64_t now_ms, bool bad)
{
    breaker->probe_ms = 0;
    if (bad) {
        open_up(breaker, now_ms);
    } else if (++breaker->in_a_row >= breaker->config.probes) {
        close_down(breaker);
    }
}

static void look(const struct breaker *breaker, int64_t now_ms, struct breaker_view *ret_view)
{
    const struct slice all = sum(breaker, now_ms);
    bool waits = breaker->state == BREAKER_OPEN && breaker->until_ms > now_ms;
    *ret_view = (struct breaker_view){
        .name = breaker->name,
        .state = breaker->state,
        .calls = all.calls,
        .failed = all.failed,
        .slow = all.slow,
        .next_probe_ms = waits ? (unsigned)(breaker->until_ms - now_ms) : 0,
        .opened = breaker->opened,
        .refused = breaker->refused,
    };
}

/* Ends the lock; tells of a change from what it was. */
static void unlock(struct breaker *breaker, enum breaker_state before, int64_t now_ms)
{
    struct breaker_view view;
    bool changed = breaker->state != before;
    if (changed) {
        look(breaker, now_ms, &view);
    }
    pthread_mutex_unlock(&breaker->lock);
    if (changed && tell_change != NULL) {
        tell_change(&view);
    }
}

/* ---- what callers use ---- */

int breaker_enter(struct breaker *breaker, struct breaker_pass *ret_pass)
{
    *ret_pass = (struct breaker_pass){0};
    if (breaker == NULL) {
        return 0;
    }
    int64_t now_ms = now(breaker);
    pthread_mutex_lock(&breaker->lock);
    enum breaker_state before = breaker->state;
    bool probe = before != BREAKER_CLOSED;
    bool refused = probe && !may_probe(breaker, now_ms);
    breaker->refused += refused;
    if (probe && !refused) {
        begin_probe(breaker, now_ms);
    }
    *ret_pass = (struct breaker_pass){
        .began_ms = now_ms,
        .turn = breaker->turn,
        .probe = probe,
        .hurried = call_remaining_ms(FAIR_MS) < FAIR_MS,
    };
    unlock(breaker, before, now_ms);
    return refused ? ERR_UNAVAILABLE : 0;
}

void breaker_leave(struct breaker *breaker, const struct breaker_pass *pass,
                   enum breaker_outcome outcome)
{
    if (breaker == NULL) {
        return;
    }
    int64_t now_ms = now(breaker);
    unsigned slow_ms = breaker->config.slow_ms;
    bool slow = slow_ms != 0 && now_ms - pass->began_ms >= slow_ms;
    bool failed = outcome == BREAKER_FAILED;
    if (failed && pass->hurried && call_is_late()) {
        outcome = BREAKER_NEUTRAL;
    }
    pthread_mutex_lock(&breaker->lock);
    enum breaker_state before = breaker->state;
    if (pass->turn == breaker->turn) {
        assert(pass->probe == (before == BREAKER_HALF_OPEN));
        if (outcome == BREAKER_NEUTRAL) {
            breaker->probe_ms = 0;
        } else if (pass->probe) {
            judge_probe(breaker, now_ms, failed || slow);
        } else {
            judge(breaker, now_ms, failed, slow);
        }
    }
    unlock(breaker, before, now_ms);
}

enum breaker_outcome breaker_outcome(int error)
{
    switch (error) {
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
    case ERR_BUSY:
    case ERR_IO:
        return BREAKER_FAILED;
    case ERR_NO_MEMORY:
    case ERR_CANCELLED:
        return BREAKER_NEUTRAL;
    default:
        return BREAKER_OK;
    }
}

bool breaker_lets_in(struct breaker *breaker)
{
    if (breaker == NULL) {
        return true;
    }
    int64_t now_ms = now(breaker);
    pthread_mutex_lock(&breaker->lock);
    bool lets_in = breaker->state == BREAKER_CLOSED || may_probe(breaker, now_ms);
    pthread_mutex_unlock(&breaker->lock);
    return lets_in;
}

void breaker_look(struct breaker *breaker, struct breaker_view *ret_view)
{
    int64_t now_ms = now(breaker);
    pthread_mutex_lock(&breaker->lock);
    look(breaker, now_ms, ret_view);
    pthread_mutex_unlock(&breaker->lock);
}

const char *breaker_state_word(enum breaker_state state)
{
    static const char *const words[] = {"closed", "half-open", "open"};
    return words[state];
}

void breaker_each(void (*visit)(void *argument, struct breaker *breaker), void *argument)
{
    pthread_mutex_lock(&list_lock);
    for (struct breaker *at = list; at != NULL; at = at->next) {
        visit(argument, at);
    }
    pthread_mutex_unlock(&list_lock);
}

void breaker_on_change(void (*tell)(const struct breaker_view *view))
{
    tell_change = tell;
}
