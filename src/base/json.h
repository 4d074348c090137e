/* JSON from outside and to the database, on jansson: strict reading, ids as strings. Any thread. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct problem;

enum { JSON_DEPTH_MAX = 32 };

/* What reading a text would take, counted without reading it. A text of 1 MB may become 100 MB of
 * values, so who reads what strangers sent weighs it first. */
struct json_weight {
    unsigned depth; /* levels of arrays and objects */
    size_t bytes;   /* of jansson's values on glibc's heap: rather more than less */
};
struct json_weight json_weigh(const char *bytes, size_t length);
/* Reads one JSON value: UTF-8, no duplicate keys, depth ≤ JSON_DEPTH_MAX, nothing behind it. The
 * reference is the caller's. ERR_MALFORMED with line and column in problem. */
int json_read(const char *bytes, size_t length, struct problem *problem, json_t **ret_value);
/* An id as JSON: a string of digits; null for 0. */
json_t *json_id(int64_t id);
/* An id from JSON: a string of digits or a positive integer. */
bool json_is_id(const json_t *value, int64_t *ret_id);
/* Overwrites every text in a value, before its last reference goes. */
void json_wipe(json_t *value);
static inline void json_decref_p(json_t **value)
{
    json_decref(*value);
}
#define CLEANUP_JSON __attribute__((cleanup(json_decref_p)))
