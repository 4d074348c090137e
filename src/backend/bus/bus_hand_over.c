/* Handing an event over to its consumer (bus_engine.h): the handler, as a part of the trace that
 * the event came from. On the consumer's thread, or where its writes run.
 */
#include "backend/bus/bus_engine.h"
#include "base/clock.h"
#include "base/trace.h"
#include "net/header.h"

#include <stdio.h>
#include <string.h>

static int hand_over(const struct bus_consumer *consumer, struct db_session *session,
                     const struct event *event)
{
    return consumer->handle_in != NULL ? consumer->handle_in(session, consumer->context, event)
                                       : consumer->handle(consumer->context, event);
}

/* The traceparent that bus_emit put into the payload; false where there is none, or none that is
 * recorded. The quotes of a text inside the payload are escaped, so it can't be mistaken. */
static bool trace_of(const struct event *event, char ret_trace[TRACE_PARENT_SIZE])
{
    static const char name[] = "\"trace\":\"";
    const char *found = trace_is_on() ? strstr(event->payload, name) : NULL;
    if (found == NULL) {
        return false;
    }
    (void)snprintf(ret_trace, TRACE_PARENT_SIZE, "%.55s", found + sizeof name - 1);
    return header_traceparent(ret_trace) && trace_is_sampled(ret_trace);
}

/* The handling as a part of the trace that the event came from. */
static int hand_over_traced(const struct bus_consumer *consumer, struct db_session *session,
                            const struct event *event, const char *trace)
{
    struct span span;
    char name[SPAN_NAME_SIZE];
    (void)snprintf(name, sizeof name, "process %s", event->type);
    span_begin(&span, trace, SPAN_CONSUMER, name);
    span_text(&span, "messaging.system", "tutti");
    span_text(&span, "messaging.operation.type", "process");
    span_text(&span, "messaging.destination.name", event->type);
    span_text(&span, "messaging.consumer.group.name", consumer->name);
    span_number(&span, "tutti.event.age_ms", clock_wall_ms() - event->created_ms);
    const char *before = trace_enter(span.self);
    int r = hand_over(consumer, session, event);
    (void)trace_enter(before);
    span_end(&span, r < 0);
    return r;
}

int bus_hand_over(struct bus_worker *worker, struct db_session *session, const struct event *event)
{
    char trace[TRACE_PARENT_SIZE];
    atomic_store(&worker->handed_ms, clock_monotonic_ms());
    int r = trace_of(event, trace) ? hand_over_traced(&worker->consumer, session, event, trace)
                                   : hand_over(&worker->consumer, session, event);
    atomic_store(&worker->handed_ms, 0);
    return r < 0 ? r : 0;
}

void bus_run_begins(const struct bus_worker *worker)
{
    if (worker->consumer.before != NULL) {
        worker->consumer.before(worker->consumer.context);
    }
}

void bus_run_ended(const struct bus_worker *worker)
{
    if (worker->consumer.after != NULL) {
        worker->consumer.after(worker->consumer.context);
    }
}
