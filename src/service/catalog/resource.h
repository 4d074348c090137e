/* Answers as bytes in the cache, so that a loop thread gives them without touching the database.
 *
 * An entry is a head, which says who may see it, and the JSON behind it. A change in this process
 * forgets what it touched (resource_forget, after the commit); one in another process is seen when
 * the entry's short life ends. Lists are not forgotten one by one: their keys hold the catalog's
 * generation, which every change moves.
 */
#pragma once

#include "service/catalog/catalog_internal.h"
#include "service/catalog/shelves.h"

/* GET of one artist, album or track, by the path's {id}; for ROUTE_LOOP rows. */
int resource_get(struct request *request, enum catalog_kind kind);
/* Forgets what is cached of it, here and in what processes share, after the change was committed.
 * May block. */
void resource_forget(struct catalog *catalog, enum catalog_kind kind, int64_t id);
struct resource_name {
    enum catalog_kind kind;
    int64_t id;
};
void resource_forget_all(struct catalog *catalog, const struct resource_name *names,
                         unsigned count);

/* A list that looks the same to all who may see it, or to all of them but those who see drafts. key
 * names the list, its filters and its page. */
struct list_answer {
    char key[512];          /* list_key; "" where it is not to be cached */
    struct sight sight;     /* of what it hangs on, where that may be a draft, or has drafts */
    bool drafts;            /* it shows drafts to who sees them: such a list is not cached */
    struct shelves shelves; /* that the list shows beside what everybody sees; by list_key */
};
/* Joins what sets a page apart, the generation in front; "" when it is too long, and for people who
 * see shelves that others don't. */
void list_key(struct request *request, struct list_answer *answer, const char *name, int64_t parent,
              const char *filter);
/* From the cache: 0 with the reply set, REQUEST_TO_POOL (loop) or ERR_NOT_FOUND (pool: load it). */
int list_cached(struct request *request, const struct list_answer *answer);
/* Replies, and keeps it for the next. Takes the reference; NULL is ERR_NO_MEMORY. */
int list_reply(struct request *request, const struct list_answer *answer, json_t *page);
