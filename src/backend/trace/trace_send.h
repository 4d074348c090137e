/* Sends spans (base/trace.h) to a collector by OTLP over HTTP, as JSON
 * (opentelemetry.io/docs/specs/otlp, "OTLP/HTTP"), on a thread of its own: batches of up to
 * TRACE_BATCH_MAX, a second apart at most. A collector that answers 429, 502, 503 or 504, or not at
 * all, is tried once more; then the batch is given up and counted. */
#pragma once

#include "base/trace.h"

#include <jansson.h>

struct problem;
struct trace_sender;

enum { TRACE_BATCH_MAX = 256, TRACE_QUEUE_MAX = 2048 };

struct trace_config {
    const char *url; /* of the collector, such as http://127.0.0.1:4318; "": traces are off */
    double ratio;
    const char *version;
};

/* *ret_sender is NULL where traces are off. */
int trace_sender_open(const struct trace_config *config, struct trace_sender **ret_sender,
                      struct problem *problem);
/* Sends what is there, for a few seconds at most. NULL is fine. */
void trace_sender_close(struct trace_sender *sender);

/* An ExportTraceServiceRequest; wall_us is the wall clock when the monotonic one says monotonic_us.
 * For the sender, and for tests. NULL: out of memory. */
json_t *trace_request(const struct span *spans, unsigned count, const char *version,
                      int64_t wall_us, int64_t monotonic_us);
