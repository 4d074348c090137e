/* Smart playlists: rules in place of items.
 *
 *     {"match": "all", "rules": [
 *        {"field": "genre", "op": "is", "value": "Jazz"},
 *        {"match": "any", "rules": [{"field": "rating", "op": "above", "value": 3},
 *                                   {"field": "favourite", "op": "is", "value": true}]}],
 *      "order": "plays", "descending": true, "limit": 100}
 *
 * What is personal (rating, favourite, plays, last played) is the owner's; what is shown, the
 * reader's sight decides. They are evaluated when they are read, and always end: the maxima below
 * bound what is written, looked at and answered, and the request's deadline the time. */
#pragma once

#include "service/catalog/catalog.h"

#include <jansson.h>

struct library;

enum {
    SMART_DEPTH_MAX = 4,
    SMART_RULES_MAX = 64, /* all groups together */
    SMART_TEXT_MAX = 300, /* characters of a value */
    SMART_LIMIT_MAX = 10000,
    SMART_LIMIT_DEFAULT = 500,
    SMART_SCAN_MAX = 200000,     /* tracks that are looked at, the newest first */
    SMART_PERSONAL_MAX = 100000, /* of a person's marks and counters each, the latest first */
};

enum smart_field {
    SMART_TITLE,
    SMART_ARTIST,
    SMART_ALBUM,
    SMART_GENRE,
    SMART_YEAR,
    SMART_DURATION, /* s */
    SMART_RATING,
    SMART_PLAYS,
    SMART_FAVOURITE,
    SMART_ADDED, /* ms */
    SMART_LAST_PLAYED,
    SMART_FIELDS_,
};

enum smart_op {
    SMART_IS,
    SMART_IS_NOT,
    SMART_CONTAINS,
    SMART_STARTS_WITH,
    SMART_ABOVE,
    SMART_BELOW,
    SMART_BETWEEN,
    SMART_WITHIN_DAYS,
    SMART_NOT_WITHIN_DAYS,
    SMART_OPS_,
};

/* A condition, or a group of such. */
struct smart_rule {
    bool group, any; /* any: one of them is enough */
    struct smart_rule *rules;
    unsigned count;
    enum smart_field field;
    enum smart_op op;
    const char *text; /* folded */
    int64_t low, high;
};

struct smart {
    struct smart_rule root;
    enum smart_field order;
    bool random, descending;
    unsigned limit;
    unsigned fields; /* that it asks for, as bits */
};

/* Reads and checks rules, every bad member named by its path ("smart.rules[2].op"). ERR_INVALID. */
int smart_read(struct call *call, const json_t *object, struct smart *ret_smart);

/* What somebody has to do with a track. */
struct smart_personal {
    int64_t id, rating, plays, last_played_ms;
    bool favourite;
};

/* Whether a track is in. now_ms: for rules that count days. */
bool smart_matches(struct arena *arena, const struct smart *smart, const struct catalog_fact *fact,
                   const struct smart_personal *personal, int64_t now_ms);
/* By which the scan is narrower: something that each match has. The genre's key, NULL: none. */
const char *smart_needs_genre(const struct smart *smart);
/* Nothing matches but what the person has marked or heard. */
bool smart_needs_personal(const struct smart *smart);

struct smart_hit {
    int64_t id, added_ms, number; /* what it is sorted by, if that is one */
    const char *key;              /* if it is text */
};
/* The tracks of rules, in their order, at most their limit. rules: JSON as it was read once. Memory
 * from the arena. *ret_whole false: there were more tracks than are looked at. ERR_TIMEOUT: the
 * deadline came first. */
struct smart_hits {
    struct smart_hit *rows;
    unsigned count;
    bool whole;
};
int smart_find(struct library *library, struct call *call, struct arena *arena, int64_t owner_id,
               const char *rules, int64_t seed, struct smart_hits *ret_hits);
