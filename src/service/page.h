/* Cursors: where a list goes on. Opaque to clients (base64url of a few fields), strictly checked
 * when they come back: anything we would not have written ourselves is refused, and a cursor of one
 * list is none for another. It only names a place in an order, never what may be seen, so a made-up
 * one shows nothing more.
 */
#pragma once

#include "base/arena.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct request;

enum { CURSOR_TEXT_MAX = 4096, PAGE_LIMIT_DEFAULT = 50, PAGE_LIMIT_MAX = 500 };

/* Where a keyset list goes on: rows behind (key, id), or below id for lists newest first. */
struct list_place {
    const char *key;
    int64_t id;
    int64_t disc, number; /* what else its order is made of */
    unsigned limit;
};

/* list: the letter of the list and its order ('A' …). NULL: out of memory. */
const char *cursor_write(struct arena *arena, char list, const struct list_place *place);
/* False for what is none. Keeps place->limit. */
bool cursor_read(struct arena *arena, char list, const char *text, struct list_place *place);

/* limit and cursor of the request's query into *place, which holds the list's first place. Adds one
 * to the limit, so that a store's answer tells whether there is more. */
int page_begin(struct request *request, char list, struct list_place *place);
/* How many of count rows a page shows: the place's limit is one more, to tell whether there are
 * more. */
unsigned page_shown(unsigned count, const struct list_place *place);
/* Appends and takes item. Without memory (or without an item) *items is released and NULL from then
 * on, which page_answer passes on. */
void page_add(json_t **items, json_t *item);
/* {"items": items, "next": …}: takes the reference to items; last is the place of the last item
 * shown, NULL where the list ended. */
json_t *page_answer(struct arena *arena, json_t *items, char list, const struct list_place *last);
