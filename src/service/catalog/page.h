/* Cursors: where a list goes on. Opaque to clients (base64url of a few fields), strictly checked
 * when they come back: anything we would not have written ourselves is refused, and a cursor of one
 * list is none for another. It only names a place in an order, never what may be seen, so a made-up
 * one shows nothing more.
 */
#pragma once

#include "base/arena.h"
#include "service/catalog/catalog_rows.h"

struct request;

enum { CURSOR_TEXT_MAX = 4096 };

/* list: the letter of the list and its order ('A' …). NULL: out of memory. */
const char *cursor_write(struct arena *arena, char list, const struct list_place *place);
/* False for what is none. Keeps place->limit. */
bool cursor_read(struct arena *arena, char list, const char *text, struct list_place *place);

/* limit and cursor of the request's query into *place, which holds the list's first place. Adds one
 * to the limit, so that a store's answer tells whether there is more. */
int page_begin(struct request *request, char list, struct list_place *place);
/* {"items": items, "next": …}: takes the reference to items; last is the place of the last item
 * shown, NULL where the list ended. */
json_t *page_answer(struct arena *arena, json_t *items, char list, const struct list_place *last);
