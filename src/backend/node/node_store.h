/* The rows of node leases: one function a statement. Times are wall ms. Included by node*.c alone.
 */
#pragma once

#include "backend/db/db.h"

struct node_row {
    int64_t node, lease_until, floor_id;
};

/* 1: the lowest number whose lease ran out before now; 0: there is none. */
int node_store_free(struct db_session *session, int64_t now_ms, struct node_row *ret_row);
/* The lowest number never used. */
int node_store_unused(struct db_session *session, int64_t *ret_node);
/* 1: taken; 0: somebody was faster. */
int node_store_take(struct db_session *session, const struct node_row *row, int64_t owner,
                    int64_t until_ms);
int node_store_add(struct db_session *session, int64_t node, int64_t owner, int64_t until_ms);
/* 1: held until then; 0: it is not the owner's any more. floor_id only rises. */
int node_store_hold(struct db_session *session, int64_t node, int64_t owner, int64_t until_ms,
                    int64_t floor_id);
