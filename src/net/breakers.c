/* What /readyz and /metrics say of the circuit breakers (base/breaker.h) in front of engines. Runs
 * on the pool. */
#include "net/server.h"

#include "base/breaker.h"
#include "net/metrics.h"

#include <stdio.h>

struct breakers_told {
    json_t *words;
    bool all_closed;
};

static void tell(void *argument, struct breaker *breaker)
{
    struct breakers_told *told = argument;
    struct breaker_view view;
    breaker_look(breaker, &view);
    told->all_closed = told->all_closed && view.state == BREAKER_CLOSED;
    (void)json_object_set_new(told->words, view.name, json_string(breaker_state_word(view.state)));
}

json_t *breakers_state(bool *ret_all_closed)
{
    struct breakers_told told = {.words = json_object(), .all_closed = true};
    breaker_each(tell, &told);
    *ret_all_closed = told.all_closed;
    return told.words;
}

static void set(enum metric_kind kind, const char *name, const char *help, const char *labels,
                int64_t value)
{
    metric_set(metric_get(kind, name, help, labels), value);
}

static void measure(void *argument, struct breaker *breaker)
{
    (void)argument;
    struct breaker_view view;
    breaker_look(breaker, &view);
    char labels[BREAKER_NAME_SIZE + 16];
    (void)snprintf(labels, sizeof labels, "engine=\"%s\"", view.name);
    set(METRIC_GAUGE, "tutti_breaker_state",
        "The circuit breaker before an engine: 0 closed, 1 half open, 2 open.", labels,
        (int64_t)view.state);
    set(METRIC_COUNTER, "tutti_breaker_opened_total", "Times a breaker opened.", labels,
        (int64_t)view.opened);
    set(METRIC_COUNTER, "tutti_breaker_refused_total", "Calls refused by an open breaker.", labels,
        (int64_t)view.refused);
}

void breakers_measure(void)
{
    breaker_each(measure, NULL);
}
