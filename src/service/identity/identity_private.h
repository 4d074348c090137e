/* What identity's files share. accounts.c has the rules of people, sessions.c of log-ins, setup.c
 * of the first admin, recovery.c of forgotten passwords; *_http.c the routes.
 */
#pragma once

#include "service/identity/identity.h"
#include "service/identity/names.h"
#include "service/identity/passwords.h"
#include "service/identity/session_store.h"
#include "service/identity/user_store.h"

#include <stdatomic.h>
#include <stdbool.h>

enum {
    SESSION_LIFE_DAYS = 30,
    SESSIONS_PER_USER_MAX = 100,
    SIBLINGS_MAX = 16,         /* living refresh tokens of one session */
    REFRESH_GRACE_MS = 30000,  /* how long a replaced token still yields a sibling */
    RESET_LIFE_MS = 3600000,   /* of the token in a mail */
    MAIL_EVERY_MS = 60000,     /* at most one mail a minute to an address */
    FRESH_SESSION_MS = 900000, /* a session this young may change the address without a password */
    USER_PAGE_MAX = 500,
};
#define SESSION_LIFE_MS ((int64_t)SESSION_LIFE_DAYS * 86400000)

struct board;
struct job_pool;

struct identity {
    struct db *users;
    struct mailer *mailer;  /* NULL: no mail */
    struct job_pool *mails; /* sends them; NULL without a mailer */
    char *public_url, *data_path, *default_plan;
    struct key_ring *keys;
    struct token_cache *tokens;
    struct delays *delays;
    struct strangers *strangers;
    struct board *board;          /* NULL: no other process is told (notices.c) */
    _Atomic int64_t sweep_due_ms; /* monotonic */
    identity_export_reply *export_reply;
    void *export_context;
    atomic_bool has_admin; /* once true, true: the last admin can't be taken away */
};

/* Where a person comes from; address is honoured from trusted proxies by net. */
struct visitor {
    const char *address;
    const char *user_agent; /* NULL: none */
};

/* What a successful log-in, registration or refresh hands out. Text lives in the arena. */
struct signed_in {
    struct user user;
    int64_t session_id;
    int64_t token_id; /* made before user was read, so that the bar after a change covers it; 0: the
                         user is new */
    const char *access_token;
    struct ticket refresh; /* wiped by the caller after it is sent */
};

/* What is kept of an answer, for a write that is sent again (service/idempotency.h). Routes whose
 * body holds a password keep nothing: a fast hash of it would lie in the database. */
struct idempotency;

/* accounts.c */
struct new_user {
    const char *username, *email; /* email NULL: none */
    const char *password;
    unsigned roles;
};
/* Checks all fields and hashes; the row is ready to insert. *ret_email.folded NULL: none. */
int account_prepare(struct identity *identity, struct call *call, const struct new_user *wanted,
                    struct user *ret_user, struct login_name *ret_username,
                    struct login_name *ret_email);
/* Inside a write: the row, its log-ins, the event. ERR_EXISTS with the field in problem. */
int account_insert(struct db_session *session, struct call *call, const struct user *user,
                   const struct login_name *username, const struct login_name *email);
int account_register(struct identity *identity, struct call *call, const struct new_user *wanted,
                     const struct visitor *visitor, struct signed_in *ret_signed_in);
/* Somebody's row: ERR_NOT_FOUND, for the actor's own ERR_UNAUTHENTICATED (erased since its token
 * was made), with words. */
int account_find(struct identity *identity, struct call *call, int64_t user_id,
                 struct user *ret_user);
/* NULL member: unchanged; an empty email or display name takes it away. */
struct profile_changes {
    const char *username, *email, *display_name, *current_password;
};
/* revision_seen: what the client saw, REVISION_OTHER when that is known to be outdated. Nothing is
 * in ret_user where once->replayed. */
enum { REVISION_ANY = 0, REVISION_OTHER = -1 };
int account_change_profile(struct identity *identity, struct call *call,
                           const struct profile_changes *changes, int64_t revision_seen,
                           struct idempotency *once, struct user *ret_user);
int account_change_password(struct identity *identity, struct call *call, const char *current,
                            const char *wanted);
/* Checks and hashes; ret_hash is the caller's to wipe. */
int account_hash_password(struct call *call, const struct user *user, const char *field,
                          const char *password, char ret_hash[PASSWORD_HASH_SIZE]);
/* Sets a password without the old one and ends all sessions. reset: a ticket that is used up by it
 * in the same transaction (ERR_NOT_FOUND when it is no longer good); NULL: an admin's. */
int account_set_password(struct identity *identity, struct call *call, int64_t user_id,
                         const struct ticket *reset, const char *password);
int account_erase(struct identity *identity, struct call *call);
int account_export(struct identity *identity, struct call *call, json_t **ret_export);
/* An admin's changes. roles 0, plan NULL, disabled < 0, password NULL: unchanged. */
struct rights_changes {
    unsigned roles;
    const char *plan, *password;
    int disabled;
};
int account_change_rights(struct identity *identity, struct call *call, int64_t user_id,
                          const struct rights_changes *changes, int64_t revision_seen,
                          struct idempotency *once, struct user *ret_user);
int account_list(struct identity *identity, struct call *call, int64_t before_id, unsigned limit,
                 struct user **ret_users, unsigned *ret_count);
bool plan_is_known(const char *plan);

/* sessions.c */
/* Inside a write: a new session with its first refresh token. */
int session_begin(struct identity *identity, struct db_session *session, const struct user *user,
                  const struct visitor *visitor, struct signed_in *ret_signed_in);
/* After the write: the access token. */
int session_sign(struct identity *identity, struct call *call, struct signed_in *signed_in);
int session_log_in(struct identity *identity, struct call *call, const char *username,
                   const char *password, const struct visitor *visitor,
                   struct signed_in *ret_signed_in);
int session_refresh(struct identity *identity, struct call *call, const char *refresh_token,
                    struct signed_in *ret_signed_in);
/* An access token of the actor's own session, with the roles and the plan of now. */
int session_renew(struct identity *identity, struct call *call, const char **ret_access_token);
/* Ends the session of a refresh token; one that is not ours ends nothing and is no error. */
int session_log_out(struct identity *identity, const char *refresh_token);
int session_end(struct identity *identity, struct call *call, int64_t session_id,
                struct idempotency *once);
int session_list(struct identity *identity, struct call *call, struct session_row **ret_rows,
                 unsigned *ret_count);
/* In a write, all but one of a user; the bars follow by sessions_bar after the commit. */
struct ended_sessions {
    int64_t ids[SESSIONS_PER_USER_MAX];
    unsigned count;
};
int sessions_end_others(struct db_session *session, int64_t user_id, int64_t keep_session,
                        struct ended_sessions *ended);
void sessions_bar(struct identity *identity, const struct ended_sessions *ended);
/* Tokens of the user made until now are refused at once. */
void user_bar(struct identity *identity, int64_t user_id, bool for_ever);

/* notices.c: what is known here at once, and a moment later in every process. */
struct delay_keys;
int notices_open(struct identity *identity, struct redis *redis); /* NULL: nobody is told */
/* Refuses tokens of the session or user `id` made before the token id `before`. */
void notices_bar(struct identity *identity, int64_t id, int64_t before);
void notices_failed(struct identity *identity, const struct delay_keys *keys);
void notices_succeeded(struct identity *identity, const struct delay_keys *keys);

/* setup.c */
int setup_is_done(struct identity *identity, bool *ret_done);
int setup_finish(struct identity *identity, struct call *call, const char *code,
                 const struct new_user *wanted, const struct visitor *visitor,
                 struct signed_in *ret_signed_in);
/* The file goes once an admin exists. */
void setup_remove_file(struct identity *identity);

/* recovery.c */
/* Never says whether the address is known. *ret_mail: this server sends mail at all. */
int recovery_begin(struct identity *identity, struct call *call, const char *email, bool *ret_mail);
int recovery_finish(struct identity *identity, struct call *call, const char *token,
                    const char *password);
/* A note to the person, sent in the background; nothing happens without mail. */
void recovery_notify(struct identity *identity, const char *email, const char *subject,
                     const char *text);

/* delays.c's refusal in words. */
int delay_refusal(struct problem *problem, int64_t left_ms);

/* identity_events.c, inside a write */
int identity_emit_created(struct db_session *session, const struct user *user);
int identity_emit_changed(struct db_session *session, int64_t user_id);
int identity_emit_deleted(struct db_session *session, int64_t user_id);

/* identity_json.c */
json_t *user_to_json(const struct user *user);
json_t *user_to_admin_json(const struct user *user);
json_t *session_to_json(const struct session_row *row, int64_t current_session);
