/* SQL of the tables sessions and refresh_tokens. A session is a family of refresh tokens; ending it
 * deletes its rows. Each function is one statement in the caller's session.
 */
#pragma once

#include "backend/db/db.h"
#include "base/arena.h"
#include "service/identity/ticket.h"

#include <stdbool.h>
#include <stdint.h>

struct session_row {
    int64_t session_id;
    const char *address, *user_agent;
    int64_t created_at, used_at, expires_at;
};

struct refresh_row {
    int64_t created_at;
    int64_t replaced_at; /* 0: it is the present one */
};

/* Called for each session that ended, inside the write. */
typedef void session_ended(void *argument, int64_t session_id);

int session_store_insert(struct db_session *session, int64_t user_id,
                         const struct session_row *row);
/* ERR_NOT_FOUND: ended or run out. */
int session_store_alive(struct db_session *session, int64_t user_id, int64_t session_id,
                        int64_t now_ms);
int session_store_touch(struct db_session *session, int64_t user_id, int64_t session_id,
                        int64_t now_ms, int64_t expires_at);
/* Whether a session was begun from an address of the same owner (net/address.h). */
int session_store_knows_address(struct db_session *session, int64_t user_id, const char *address,
                                bool *ret_known);
/* Newest first, at most limit. Returns the count. */
int session_store_list(struct db_session *session, struct arena *arena, int64_t user_id,
                       int64_t now_ms, unsigned limit, struct session_row *rows);
/* ERR_NOT_FOUND when there is no such session of the user. */
int session_store_delete(struct db_session *session, int64_t user_id, int64_t session_id);
/* All of the user's but one (0: all). */
int session_store_delete_others(struct db_session *session, int64_t user_id, int64_t keep_session,
                                session_ended *ended, void *argument);
/* Those that ran out, and all but the newest `keep`. */
int session_store_delete_stale(struct db_session *session, int64_t user_id, int64_t now_ms,
                               unsigned keep);

int refresh_store_insert(struct db_session *session, const struct ticket *ticket, int64_t now_ms);
int refresh_store_find(struct db_session *session, const struct ticket *ticket,
                       struct refresh_row *ret_row);
int refresh_store_replace(struct db_session *session, const struct ticket *ticket, int64_t now_ms);
/* Forgets tokens replaced before the time; their seal still tells that they were ours. */
int refresh_store_forget(struct db_session *session, int64_t user_id, int64_t session_id,
                         int64_t replaced_before);
/* Keeps the newest `keep` that are not replaced. */
int refresh_store_trim(struct db_session *session, int64_t user_id, int64_t session_id,
                       unsigned keep);
int refresh_store_delete(struct db_session *session, int64_t user_id, int64_t session_id);
/* Tokens whose session is gone. */
int refresh_store_delete_orphans(struct db_session *session, int64_t user_id);
