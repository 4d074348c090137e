/* SQL of the tables users, user_logins, reset_tokens and setup_codes. Each function is one
 * statement; it runs in the caller's session and returns 0, a count, or an error. Text of rows is
 * copied into the arena.
 *
 * user_logins holds every folded name one may log in with: usernames and addresses in one table,
 * which can't be confused since only an address has an @. It is what makes both unique, and it
 * shards by name where users shards by id.
 */
#pragma once

#include "backend/db/db.h"
#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

struct user {
    int64_t user_id;
    const char *username;
    const char *email;        /* NULL: none */
    const char *display_name; /* NULL: none */
    const char *password_hash;
    const char *plan;
    unsigned roles;
    int64_t revision;
    int64_t disabled_at; /* 0: not */
    int64_t created_at, updated_at;
};

int user_store_insert(struct db_session *session, const struct user *user);
/* ERR_NOT_FOUND for erased people too. */
int user_store_find(struct db_session *session, struct arena *arena, int64_t user_id,
                    struct user *ret_user);
int user_store_find_login(struct db_session *session, const char *login, int64_t *ret_user_id);
/* ERR_EXISTS when it is somebody else's. */
int user_store_claim_login(struct db_session *session, const char *login, int64_t user_id);
int user_store_release_login(struct db_session *session, const char *login, int64_t user_id);
int user_store_release_logins(struct db_session *session, int64_t user_id);
/* Names and address; the revision grows. */
int user_store_update_profile(struct db_session *session, const struct user *user, int64_t now_ms);
int user_store_update_password(struct db_session *session, int64_t user_id, const char *hash,
                               int64_t now_ms);
/* ERR_NOT_FOUND too where the present hash is not old_hash. */
int user_store_replace_password(struct db_session *session, int64_t user_id, const char *old_hash,
                                const char *hash, int64_t now_ms);
/* Roles, plan, disabled_at; the revision grows. */
int user_store_update_rights(struct db_session *session, const struct user *user, int64_t now_ms);
/* Leaves a tombstone without text. */
int user_store_erase(struct db_session *session, int64_t user_id, int64_t now_ms);
/* Newest first, user ids below before_id, at most limit rows into users. Returns the count. */
int user_store_list(struct db_session *session, struct arena *arena, int64_t before_id,
                    unsigned limit, struct user *users);
/* An enabled admin other than except_user_id (0: any). */
int user_store_has_admin(struct db_session *session, int64_t except_user_id, bool *ret_has);
/* The enabled admin that was first; ERR_NOT_FOUND: there is none. */
int user_store_first_admin(struct db_session *session, int64_t *ret_user_id);

int reset_store_insert(struct db_session *session, int64_t user_id, const unsigned char *hash,
                       int64_t expires_at);
/* Takes the token away: ERR_NOT_FOUND when it is used, unknown or has run out. */
int reset_store_take(struct db_session *session, int64_t user_id, const unsigned char *hash,
                     int64_t now_ms);
int reset_store_delete_all(struct db_session *session, int64_t user_id);

int setup_store_put(struct db_session *session, const unsigned char *hash, int64_t now_ms);
/* ERR_NOT_FOUND when there is no code, or another. */
int setup_store_check(struct db_session *session, const unsigned char *hash);
int setup_store_delete(struct db_session *session);
