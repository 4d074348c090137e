/* SQL of sessions and their refresh tokens (session_store.h). */
#include "service/identity/session_store.h"

#include "base/error.h"
#include "net/address.h"

#include <string.h>

static int need_row(int changed)
{
    return changed > 0 ? 0 : changed == 0 ? ERR_NOT_FOUND : changed;
}

static int any_count(int changed)
{
    return changed < 0 ? changed : 0;
}

static struct db_value hash_of(const struct ticket *ticket)
{
    return db_blob(ticket->hash, TICKET_HASH_BYTES);
}

int session_store_insert(struct db_session *session, int64_t user_id, const struct session_row *row)
{
    return need_row(
        db_exec(session,
                "INSERT INTO sessions (user_id, session_id, address, user_agent, created_at,"
                " used_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                DB_BIND(db_int(user_id), db_int(row->session_id), db_text(row->address),
                        db_text(row->user_agent), db_int(row->created_at), db_int(row->used_at),
                        db_int(row->expires_at))));
}

int session_store_alive(struct db_session *session, int64_t user_id, int64_t session_id,
                        int64_t now_ms)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT session_id FROM sessions"
                         " WHERE user_id = $1 AND session_id = $2 AND expires_at > $3",
                         DB_BIND(db_int(user_id), db_int(session_id), db_int(now_ms)));
    if (error < 0 || (error = db_next(rows)) <= 0) {
        return error < 0 ? error : ERR_NOT_FOUND;
    }
    return 0;
}

int session_store_touch(struct db_session *session, int64_t user_id, int64_t session_id,
                        int64_t now_ms, int64_t expires_at)
{
    return need_row(
        db_exec(session,
                "UPDATE sessions SET used_at = $1, expires_at = $2"
                " WHERE user_id = $3 AND session_id = $4",
                DB_BIND(db_int(now_ms), db_int(expires_at), db_int(user_id), db_int(session_id))));
}

int session_store_knows_address(struct db_session *session, int64_t user_id, const char *address,
                                bool *ret_known)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows, "SELECT address FROM sessions WHERE user_id = $1",
                         DB_BIND(db_int(user_id)));
    const struct address owner = address_owner_of(address);
    bool known = false;
    while (error >= 0 && !known && (error = db_next(rows)) > 0) {
        const struct address other = address_owner_of(db_get_text(rows, 0));
        known = memcmp(&owner, &other, sizeof owner) == 0;
    }
    *ret_known = known;
    return error < 0 ? error : 0;
}

static int read_session(struct arena *arena, struct db_rows *rows, struct session_row *row)
{
    row->session_id = db_get_int(rows, 0);
    row->address = arena_strdup(arena, db_get_text(rows, 1));
    row->user_agent = arena_strdup(arena, db_get_text(rows, 2));
    row->created_at = db_get_int(rows, 3);
    row->used_at = db_get_int(rows, 4);
    row->expires_at = db_get_int(rows, 5);
    return row->address != NULL && row->user_agent != NULL ? 0 : ERR_NO_MEMORY;
}

int session_store_list(struct db_session *session, struct arena *arena, int64_t user_id,
                       int64_t now_ms, unsigned limit, struct session_row *rows_out)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT session_id, address, user_agent, created_at, used_at, expires_at"
                         " FROM sessions WHERE user_id = $1 AND expires_at > $2"
                         " ORDER BY session_id DESC LIMIT $3",
                         DB_BIND(db_int(user_id), db_int(now_ms), db_int(limit)));
    unsigned count = 0;
    while (error >= 0 && count < limit && (error = db_next(rows)) > 0) {
        error = read_session(arena, rows, &rows_out[count++]);
    }
    return error < 0 ? error : (int)count;
}

int session_store_delete(struct db_session *session, int64_t user_id, int64_t session_id)
{
    return need_row(db_exec(session, "DELETE FROM sessions WHERE user_id = $1 AND session_id = $2",
                            DB_BIND(db_int(user_id), db_int(session_id))));
}

int session_store_delete_others(struct db_session *session, int64_t user_id, int64_t keep_session,
                                session_ended *ended, void *argument)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "DELETE FROM sessions WHERE user_id = $1 AND session_id <> $2"
                         " RETURNING session_id",
                         DB_BIND(db_int(user_id), db_int(keep_session)));
    while (error >= 0 && (error = db_next(rows)) > 0) {
        ended(argument, db_get_int(rows, 0));
    }
    return error;
}

int session_store_delete_stale(struct db_session *session, int64_t user_id, int64_t now_ms,
                               unsigned keep)
{
    return any_count(
        db_exec(session,
                "DELETE FROM sessions WHERE user_id = $1 AND (expires_at <= $2 OR session_id NOT IN"
                " (SELECT session_id FROM sessions WHERE user_id = $1"
                " ORDER BY session_id DESC LIMIT $3))",
                DB_BIND(db_int(user_id), db_int(now_ms), db_int(keep))));
}

int refresh_store_insert(struct db_session *session, const struct ticket *ticket, int64_t now_ms)
{
    return need_row(
        db_exec(session,
                "INSERT INTO refresh_tokens (user_id, session_id, token_hash, created_at)"
                " VALUES ($1, $2, $3, $4)",
                DB_BIND(db_int(ticket->user_id), db_int(ticket->session_id), hash_of(ticket),
                        db_int(now_ms))));
}

int refresh_store_find(struct db_session *session, const struct ticket *ticket,
                       struct refresh_row *ret_row)
{
    DB_ROWS rows = NULL;
    int error =
        db_query(session, &rows,
                 "SELECT created_at, replaced_at FROM refresh_tokens"
                 " WHERE user_id = $1 AND session_id = $2 AND token_hash = $3",
                 DB_BIND(db_int(ticket->user_id), db_int(ticket->session_id), hash_of(ticket)));
    if (error < 0 || (error = db_next(rows)) <= 0) {
        return error < 0 ? error : ERR_NOT_FOUND;
    }
    ret_row->created_at = db_get_int(rows, 0);
    ret_row->replaced_at = db_get_int(rows, 1);
    return 0;
}

int refresh_store_replace(struct db_session *session, const struct ticket *ticket, int64_t now_ms)
{
    return need_row(db_exec(session,
                            "UPDATE refresh_tokens SET replaced_at = $1 WHERE user_id = $2"
                            " AND session_id = $3 AND token_hash = $4 AND replaced_at IS NULL",
                            DB_BIND(db_int(now_ms), db_int(ticket->user_id),
                                    db_int(ticket->session_id), hash_of(ticket))));
}

int refresh_store_forget(struct db_session *session, int64_t user_id, int64_t session_id,
                         int64_t replaced_before)
{
    return any_count(
        db_exec(session,
                "DELETE FROM refresh_tokens WHERE user_id = $1 AND session_id = $2"
                " AND replaced_at < $3",
                DB_BIND(db_int(user_id), db_int(session_id), db_int(replaced_before))));
}

int refresh_store_trim(struct db_session *session, int64_t user_id, int64_t session_id,
                       unsigned keep)
{
    return any_count(
        db_exec(session,
                "DELETE FROM refresh_tokens WHERE user_id = $1 AND session_id = $2"
                " AND replaced_at IS NULL AND token_hash NOT IN"
                " (SELECT token_hash FROM refresh_tokens WHERE user_id = $1 AND session_id = $2"
                " AND replaced_at IS NULL ORDER BY created_at DESC, token_hash LIMIT $3)",
                DB_BIND(db_int(user_id), db_int(session_id), db_int(keep))));
}

int refresh_store_delete(struct db_session *session, int64_t user_id, int64_t session_id)
{
    return any_count(db_exec(session,
                             "DELETE FROM refresh_tokens WHERE user_id = $1 AND session_id = $2",
                             DB_BIND(db_int(user_id), db_int(session_id))));
}

int refresh_store_delete_orphans(struct db_session *session, int64_t user_id)
{
    return any_count(db_exec(session,
                             "DELETE FROM refresh_tokens WHERE user_id = $1 AND session_id NOT IN"
                             " (SELECT session_id FROM sessions WHERE user_id = $1)",
                             DB_BIND(db_int(user_id))));
}
