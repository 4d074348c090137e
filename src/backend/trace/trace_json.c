/* Spans as OTLP's JSON (trace_send.h): the protobuf's names in lowerCamelCase, ids in hex, 64-bit
 * numbers as strings. */
#include "backend/trace/trace_send.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STATUS_ERROR = 2, TRACE_ID_AT = 3, TRACE_ID_LENGTH = 32, SPAN_ID_AT = 36, ID_LENGTH = 16 };

/* A text that was cut inside a character is none of UTF-8's: the character goes. */
static json_t *text_json(const char *text)
{
    json_t *value = json_string(text);
    for (size_t length = strlen(text); value == NULL && length > 0; length--) {
        value = json_stringn(text, length - 1);
    }
    return value;
}

static json_t *text_attribute(const char *name, const char *text)
{
    return json_pack("{s:s, s:{s:o}}", "key", name, "value", "stringValue", text_json(text));
}

static json_t *number_text(int64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, number);
    return json_string(text);
}

static json_t *attribute_json(const struct span_attribute *attribute)
{
    return attribute->is_number ? json_pack("{s:s, s:{s:o}}", "key", attribute->name, "value",
                                            "intValue", number_text(attribute->number))
                                : text_attribute(attribute->name, attribute->text);
}

static json_t *span_json(const struct span *span, int64_t wall_less_monotonic_us)
{
    json_t *attributes = json_array();
    for (unsigned i = 0; i < span->attribute_count; i++) {
        if (json_array_append_new(attributes, attribute_json(&span->attributes[i])) != 0) {
            json_decref(attributes);
            return NULL;
        }
    }
    json_t *json = json_pack(
        "{s:s%, s:s%, s:o, s:i, s:o, s:o, s:o}", "traceId", span->self + TRACE_ID_AT,
        (size_t)TRACE_ID_LENGTH, "spanId", span->self + SPAN_ID_AT, (size_t)ID_LENGTH, "name",
        text_json(span->name), "kind", (int)span->kind, "startTimeUnixNano",
        number_text((span->began_us + wall_less_monotonic_us) * 1000), "endTimeUnixNano",
        number_text((span->ended_us + wall_less_monotonic_us) * 1000), "attributes", attributes);
    bool whole = json != NULL;
    if (whole && span->parent[0] != '\0') {
        whole = json_object_set_new(json, "parentSpanId", json_string(span->parent)) == 0;
    }
    if (whole && span->failed) {
        whole = json_object_set_new(json, "status", json_pack("{s:i}", "code", STATUS_ERROR)) == 0;
    }
    if (!whole) {
        json_decref(json);
    }
    return whole ? json : NULL;
}

static json_t *resource_json(const char *version)
{
    char host[256] = "", instance[300];
    (void)gethostname(host, sizeof host - 1);
    (void)snprintf(instance, sizeof instance, "%s:%ld", host, (long)getpid());
    return json_pack("{s:[o,o,o,o]}", "attributes", text_attribute("service.name", "tutti"),
                     text_attribute("service.version", version),
                     text_attribute("service.instance.id", instance),
                     text_attribute("host.name", host));
}

json_t *trace_request(const struct span *spans, unsigned count, const char *version,
                      int64_t wall_us, int64_t monotonic_us)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < count; i++) {
        if (json_array_append_new(list, span_json(&spans[i], wall_us - monotonic_us)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return json_pack("{s:[{s:o, s:[{s:{s:s, s:s}, s:o}]}]}", "resourceSpans", "resource",
                     resource_json(version), "scopeSpans", "scope", "name", "tutti", "version",
                     version, "spans", list);
}
