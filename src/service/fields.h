/* Members of a request's JSON object, checked. Each reader answers: 0 with *ret_there telling
 * whether the member was there (null counts as there, with the value's empty form), or ERR_INVALID
 * with the field named in the call's problem, so that a caller may go on and collect all that is
 * wrong. */
#pragma once

#include "base/call.h"
#include "base/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

int field_text(struct call *call, const json_t *object, const struct text_rule *rule,
               const char **ret_text, bool *ret_there);
int field_number(struct call *call, const json_t *object, const char *name, int64_t min,
                 int64_t max, int64_t *ret_number, bool *ret_there);
int field_bool(struct call *call, const json_t *object, const char *name, bool *ret_value,
               bool *ret_there);
int field_id(struct call *call, const json_t *object, const char *name, int64_t *ret_id,
             bool *ret_there);
/* One of a NULL-terminated list of words. */
int field_word(struct call *call, const json_t *object, const char *name, const char *const *words,
               const char **ret_word, bool *ret_there);
/* "2026-03-31", "" for null. A day that exists, years 1000 to 9999. */
int field_date(struct call *call, const json_t *object, const char *name, const char **ret_date,
               bool *ret_there);
/* ISO 3901: two letters, three letters or digits, seven digits; hyphens and case are forgiven. ""
 * for null. */
int field_isrc(struct call *call, const json_t *object, const char *name, const char **ret_isrc,
               bool *ret_there);
/* What a name or title is sorted by: case-folded, and cut, since folding may make 33 bytes of one
 * character and a cursor holds it. NULL: out of memory. */
enum { SORT_KEY_BYTES_MAX = 512 };
const char *field_sort_key(struct arena *arena, const char *text);
/* Adds "is required" where it was not there. */
int field_required(struct call *call, const char *name, bool there);
