/* Traces: what a request, and the work that follows from it, spent its time on, as spans in the
 * sense of OpenTelemetry. Names of others are W3C traceparents ("00-TRACE-SPAN-FLAGS", Trace
 * Context section 3.2), since that is what a request brings and an event and a job carry on.
 *
 * Off until trace_begin. Who makes a span pays for a copy into a bounded queue and never waits; a
 * full queue drops and counts. backend/trace takes the spans out and sends them away. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRACE_PARENT_SIZE = 56, TRACE_SPAN_ID_SIZE = 17 };
enum { SPAN_NAME_SIZE = 96, SPAN_TEXT_SIZE = 96, SPAN_ATTRIBUTES_MAX = 12 };

/* The numbers are those of the protocol. */
enum span_kind { SPAN_INTERNAL = 1, SPAN_SERVER, SPAN_CLIENT, SPAN_PRODUCER, SPAN_CONSUMER };

struct span_attribute {
    const char *name; /* static; those of OpenTelemetry's semantic conventions where there is one */
    bool is_number;
    int64_t number;
    char text[SPAN_TEXT_SIZE];
};

struct span {
    char self[TRACE_PARENT_SIZE];
    char parent[TRACE_SPAN_ID_SIZE]; /* "" for a root */
    enum span_kind kind;
    bool failed;
    int64_t began_us, ended_us; /* monotonic */
    char name[SPAN_NAME_SIZE];
    unsigned attribute_count;
    struct span_attribute attributes[SPAN_ATTRIBUTES_MAX];
};

/* ratio: of traces that begin here, 0 … 1. */
int trace_begin(double ratio, unsigned queue_max);
void trace_end(void);
bool trace_is_on(void);
/* For a trace that begins here: by its id (16 hex digits of it suffice) and the ratio, so that all
 * processes decide alike. */
bool trace_chooses(const char *trace_id);
/* A traceparent that says: recorded. False for NULL and "". */
bool trace_is_sampled(const char *trace_parent);

/* The span whose work this thread does, NULL for none (or none that is recorded). The text is
 * borrowed; trace_enter returns what was there, for the end. */
const char *trace_current(void);
const char *trace_enter(const char *trace_parent);

/* A span below parent, from now on; its self is then the parent of others. */
void span_begin(struct span *span, const char *parent, enum span_kind kind, const char *name);
void span_text(struct span *span, const char *name, const char *text); /* cut at its size */
void span_number(struct span *span, const char *name, int64_t number);
/* Until now. */
void span_end(struct span *span, bool failed);
/* As it is, its times set. */
void span_put(const struct span *span);

/* For who sends them away: waits for spans, or wait_ms; takes at most max. */
unsigned trace_take(struct span *ret_spans, unsigned max, unsigned wait_ms);
/* Ends a wait. */
void trace_wake(void);
int64_t trace_dropped(void);
