/* SQL of people, their log-ins, reset tokens and the set-up code (user_store.h). */
#include "service/identity/user_store.h"

#include "base/error.h"
#include "service/identity/ticket.h"

enum { SETUP_CODE_ID = 1 };

/* The order of read_user. */
#define USER_COLUMNS                                                                               \
    "user_id, username, email, display_name, password_hash, roles, plan, revision, disabled_at, "  \
    "created_at, updated_at"

static int copy_text(struct arena *arena, struct db_rows *rows, unsigned column, const char **ret)
{
    const char *text = db_get_text(rows, column);
    *ret = text != NULL ? arena_strdup(arena, text) : NULL;
    return text != NULL && *ret == NULL ? ERR_NO_MEMORY : 0;
}

static int read_user(struct arena *arena, struct db_rows *rows, struct user *user)
{
    const struct {
        unsigned column;
        const char **text;
    } texts[] = {{1, &user->username},
                 {2, &user->email},
                 {3, &user->display_name},
                 {4, &user->password_hash},
                 {6, &user->plan}};
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int error = copy_text(arena, rows, texts[i].column, texts[i].text);
        if (error != 0) {
            return error;
        }
    }
    user->user_id = db_get_int(rows, 0);
    user->roles = (unsigned)db_get_int(rows, 5);
    user->revision = db_get_int(rows, 7);
    user->disabled_at = db_get_int(rows, 8);
    user->created_at = db_get_int(rows, 9);
    user->updated_at = db_get_int(rows, 10);
    return 0;
}

/* 0 where at least one row changed. */
static int need_row(int changed)
{
    return changed > 0 ? 0 : changed == 0 ? ERR_NOT_FOUND : changed;
}

static int any_count(int changed)
{
    return changed < 0 ? changed : 0;
}

int user_store_insert(struct db_session *session, const struct user *user)
{
    return need_row(db_exec(
        session,
        "INSERT INTO users (user_id, username, email, display_name, password_hash, roles, plan,"
        " revision, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9)",
        DB_BIND(db_int(user->user_id), db_text(user->username), db_text(user->email),
                db_text(user->display_name), db_text(user->password_hash), db_int(user->roles),
                db_text(user->plan), db_int(user->created_at), db_int(user->updated_at))));
}

int user_store_find(struct db_session *session, struct arena *arena, int64_t user_id,
                    struct user *ret_user)
{
    DB_ROWS rows = NULL;
    int error =
        db_query(session, &rows,
                 "SELECT " USER_COLUMNS " FROM users WHERE user_id = $1 AND deleted_at IS NULL",
                 DB_BIND(db_int(user_id)));
    if (error < 0 || (error = db_next(rows)) <= 0) {
        return error < 0 ? error : ERR_NOT_FOUND;
    }
    return read_user(arena, rows, ret_user);
}

int user_store_find_login(struct db_session *session, const char *login, int64_t *ret_user_id)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows, "SELECT user_id FROM user_logins WHERE login = $1",
                         DB_BIND(db_text(login)));
    if (error < 0 || (error = db_next(rows)) <= 0) {
        return error < 0 ? error : ERR_NOT_FOUND;
    }
    *ret_user_id = db_get_int(rows, 0);
    return 0;
}

int user_store_claim_login(struct db_session *session, const char *login, int64_t user_id)
{
    int changed = db_exec(session,
                          "INSERT INTO user_logins (login, user_id) VALUES ($1, $2)"
                          " ON CONFLICT (login) DO NOTHING",
                          DB_BIND(db_text(login), db_int(user_id)));
    return changed == 0 ? ERR_EXISTS : any_count(changed);
}

int user_store_release_login(struct db_session *session, const char *login, int64_t user_id)
{
    return any_count(db_exec(session, "DELETE FROM user_logins WHERE login = $1 AND user_id = $2",
                             DB_BIND(db_text(login), db_int(user_id))));
}

int user_store_release_logins(struct db_session *session, int64_t user_id)
{
    return any_count(
        db_exec(session, "DELETE FROM user_logins WHERE user_id = $1", DB_BIND(db_int(user_id))));
}

int user_store_update_profile(struct db_session *session, const struct user *user, int64_t now_ms)
{
    return need_row(
        db_exec(session,
                "UPDATE users SET username = $1, email = $2, display_name = $3,"
                " revision = revision + 1, updated_at = $4"
                " WHERE user_id = $5 AND deleted_at IS NULL",
                DB_BIND(db_text(user->username), db_text(user->email), db_text(user->display_name),
                        db_int(now_ms), db_int(user->user_id))));
}

int user_store_update_password(struct db_session *session, int64_t user_id, const char *hash,
                               int64_t now_ms)
{
    return need_row(db_exec(session,
                            "UPDATE users SET password_hash = $1, updated_at = $2"
                            " WHERE user_id = $3 AND deleted_at IS NULL",
                            DB_BIND(db_text(hash), db_int(now_ms), db_int(user_id))));
}

int user_store_replace_password(struct db_session *session, int64_t user_id, const char *old_hash,
                                const char *hash, int64_t now_ms)
{
    return need_row(
        db_exec(session,
                "UPDATE users SET password_hash = $1, updated_at = $2"
                " WHERE user_id = $3 AND password_hash = $4 AND deleted_at IS NULL",
                DB_BIND(db_text(hash), db_int(now_ms), db_int(user_id), db_text(old_hash))));
}

int user_store_update_rights(struct db_session *session, const struct user *user, int64_t now_ms)
{
    return need_row(
        db_exec(session,
                "UPDATE users SET roles = $1, plan = $2, disabled_at = $3,"
                " revision = revision + 1, updated_at = $4"
                " WHERE user_id = $5 AND deleted_at IS NULL",
                DB_BIND(db_int(user->roles), db_text(user->plan), db_int_or_null(user->disabled_at),
                        db_int(now_ms), db_int(user->user_id))));
}

int user_store_erase(struct db_session *session, int64_t user_id, int64_t now_ms)
{
    return need_row(db_exec(session,
                            "UPDATE users SET username = NULL, email = NULL, display_name = NULL,"
                            " password_hash = NULL, revision = revision + 1, updated_at = $1,"
                            " deleted_at = $2 WHERE user_id = $3 AND deleted_at IS NULL",
                            DB_BIND(db_int(now_ms), db_int(now_ms), db_int(user_id))));
}

int user_store_list(struct db_session *session, struct arena *arena, int64_t before_id,
                    unsigned limit, struct user *users)
{
    DB_ROWS rows = NULL;
    int error =
        db_query(session, &rows,
                 "SELECT " USER_COLUMNS " FROM users WHERE user_id < $1 AND deleted_at IS NULL"
                 " ORDER BY user_id DESC LIMIT $2",
                 DB_BIND(db_int(before_id), db_int(limit)));
    unsigned count = 0;
    while (error >= 0 && count < limit && (error = db_next(rows)) > 0) {
        error = read_user(arena, rows, &users[count++]);
    }
    return error < 0 ? error : (int)count;
}

int user_store_has_admin(struct db_session *session, int64_t except_user_id, bool *ret_has)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT user_id FROM users WHERE (roles & 4) <> 0 AND deleted_at IS NULL"
                         " AND disabled_at IS NULL AND user_id <> $1 LIMIT 1",
                         DB_BIND(db_int(except_user_id)));
    if (error < 0 || (error = db_next(rows)) < 0) {
        return error;
    }
    *ret_has = error == 1;
    return 0;
}

int user_store_first_admin(struct db_session *session, int64_t *ret_user_id)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT user_id FROM users WHERE (roles & 4) <> 0 AND deleted_at IS NULL"
                         " AND disabled_at IS NULL ORDER BY user_id LIMIT 1",
                         DB_NO_BIND);
    int more = error != 0 ? error : db_next(rows);
    *ret_user_id = more > 0 ? db_get_int(rows, 0) : 0;
    return more < 0 ? more : more == 0 ? ERR_NOT_FOUND : 0;
}

int reset_store_insert(struct db_session *session, int64_t user_id, const unsigned char *hash,
                       int64_t expires_at)
{
    return need_row(db_exec(
        session, "INSERT INTO reset_tokens (user_id, token_hash, expires_at) VALUES ($1, $2, $3)",
        DB_BIND(db_int(user_id), db_blob(hash, TICKET_HASH_BYTES), db_int(expires_at))));
}

int reset_store_take(struct db_session *session, int64_t user_id, const unsigned char *hash,
                     int64_t now_ms)
{
    return need_row(db_exec(
        session,
        "DELETE FROM reset_tokens WHERE user_id = $1 AND token_hash = $2 AND expires_at > $3",
        DB_BIND(db_int(user_id), db_blob(hash, TICKET_HASH_BYTES), db_int(now_ms))));
}

int reset_store_delete_all(struct db_session *session, int64_t user_id)
{
    return any_count(
        db_exec(session, "DELETE FROM reset_tokens WHERE user_id = $1", DB_BIND(db_int(user_id))));
}

int setup_store_put(struct db_session *session, const unsigned char *hash, int64_t now_ms)
{
    return need_row(
        db_exec(session,
                "INSERT INTO setup_codes (setup_code_id, code_hash, created_at) VALUES ($1, $2, $3)"
                " ON CONFLICT (setup_code_id) DO UPDATE SET code_hash = excluded.code_hash,"
                " created_at = excluded.created_at",
                DB_BIND(db_int(SETUP_CODE_ID), db_blob(hash, TICKET_HASH_BYTES), db_int(now_ms))));
}

int setup_store_check(struct db_session *session, const unsigned char *hash)
{
    DB_ROWS rows = NULL;
    int error = db_query(
        session, &rows,
        "SELECT setup_code_id FROM setup_codes WHERE setup_code_id = $1 AND code_hash = $2",
        DB_BIND(db_int(SETUP_CODE_ID), db_blob(hash, TICKET_HASH_BYTES)));
    if (error < 0 || (error = db_next(rows)) <= 0) {
        return error < 0 ? error : ERR_NOT_FOUND;
    }
    return 0;
}

int setup_store_delete(struct db_session *session)
{
    return any_count(db_exec(session, "DELETE FROM setup_codes WHERE setup_code_id = $1",
                             DB_BIND(db_int(SETUP_CODE_ID))));
}
