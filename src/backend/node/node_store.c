/* The rows of node leases (node_store.h). */
#include "backend/node/node_store.h"

int node_store_free(struct db_session *session, int64_t now_ms, struct node_row *ret_row)
{
    DB_ROWS rows = NULL;
    int r = db_query(session, &rows,
                     "SELECT node, lease_until, floor_id FROM node_lease WHERE lease_until < $1"
                     " ORDER BY node LIMIT 1",
                     DB_BIND(db_int(now_ms)));
    if (r < 0 || (r = db_next(rows)) <= 0) {
        return r;
    }
    *ret_row = (struct node_row){.node = db_get_int(rows, 0),
                                 .lease_until = db_get_int(rows, 1),
                                 .floor_id = db_get_int(rows, 2)};
    return 1;
}

int node_store_unused(struct db_session *session, int64_t *ret_node)
{
    DB_ROWS rows = NULL;
    int r =
        db_query(session, &rows, "SELECT COALESCE(MAX(node) + 1, 0) FROM node_lease", DB_NO_BIND);
    if (r < 0 || (r = db_next(rows)) < 0) {
        return r;
    }
    *ret_node = db_get_int(rows, 0);
    return 0;
}

int node_store_take(struct db_session *session, const struct node_row *row, int64_t owner,
                    int64_t until_ms)
{
    return db_exec(
        session,
        "UPDATE node_lease SET owner = $3, lease_until = $4"
        " WHERE node = $1 AND lease_until = $2",
        DB_BIND(db_int(row->node), db_int(row->lease_until), db_int(owner), db_int(until_ms)));
}

int node_store_add(struct db_session *session, int64_t node, int64_t owner, int64_t until_ms)
{
    return db_exec(session,
                   "INSERT INTO node_lease (node, owner, lease_until, floor_id)"
                   " VALUES ($1, $2, $3, 0) ON CONFLICT (node) DO NOTHING",
                   DB_BIND(db_int(node), db_int(owner), db_int(until_ms)));
}

int node_store_hold(struct db_session *session, int64_t node, int64_t owner, int64_t until_ms,
                    int64_t floor_id)
{
    return db_exec(session,
                   "UPDATE node_lease SET lease_until = $3, floor_id ="
                   " CASE WHEN floor_id < $4 THEN $4 ELSE floor_id END"
                   " WHERE node = $1 AND owner = $2",
                   DB_BIND(db_int(node), db_int(owner), db_int(until_ms), db_int(floor_id)));
}
