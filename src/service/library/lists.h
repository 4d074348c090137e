/* What the library's lists and batches share: rows of ours, shown with the catalogue's objects. */
#pragma once

#include "service/catalog/catalog.h"
#include "service/page.h"

struct request;

struct described_list {
    enum catalog_kind kind;
    const void *rows; /* of row_bytes each, with the object's id (int64_t) at id_at */
    size_t row_bytes, id_at;
    unsigned count;
    /* One item; object is the catalogue's, or null; borrowed. NULL: out of memory. */
    json_t *(*item)(const void *row, json_t *object, void *argument);
    void *argument;
    char letter;                   /* of its cursors */
    const struct list_place *last; /* NULL: nothing follows */
};
int lists_reply(struct request *request, const struct described_list *list);
/* Items alone. */
int lists_items(struct request *request, const struct described_list *list, json_t **ret_items);
/* 200, for the person alone. Takes the reference. */
int lists_reply_private(struct request *request, json_t *answer);

/* Of a batch: {index, id, errors}, what is wrong with one member taken out of the call's problem.
 */
int lists_refuse(struct call *call, json_t *refused, unsigned index, const json_t *member);
