/* People: registration, profile, password, export and erasure. Handlers call these on the hash pool
 * where a password is checked or made, else on the common pool. An admin's changes are admin.c's.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/text.h"
#include "service/idempotency.h"
#include "service/identity/delays.h"
#include "service/identity/identity_private.h"
#include "service/identity/passwords.h"
#include "service/identity/token.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const struct login_name no_name;

/* --- making one --- */

/* All fields are looked at, so that a form shows every mistake at once. */
static int check_fields(struct call *call, const struct new_user *wanted,
                        struct login_name *username, struct login_name *email)
{
    int bad_username = name_check_username(call, wanted->username, username);
    int bad_email = wanted->email != NULL ? name_check_email(call, wanted->email, email) : 0;
    int bad_password =
        name_check_password(call, "password", wanted->password, username->folded, email->folded);
    return bad_username != 0 ? bad_username : bad_email != 0 ? bad_email : bad_password;
}

int account_prepare(struct identity *identity, struct call *call, const struct new_user *wanted,
                    struct user *ret_user, struct login_name *ret_username,
                    struct login_name *ret_email)
{
    struct login_name username = no_name, email = no_name;
    int error = check_fields(call, wanted, &username, &email);
    char hash[PASSWORD_HASH_SIZE];
    if (error == 0) {
        error = passwords_hash(wanted->password, hash);
    }
    const char *kept_hash = error == 0 ? arena_strdup(call->arena, hash) : NULL;
    if (error != 0 || kept_hash == NULL) {
        return error != 0 ? error : ERR_NO_MEMORY;
    }
    int64_t now_ms = clock_wall_ms();
    *ret_user = (struct user){.user_id = id_next(),
                              .username = username.shown,
                              .email = email.shown,
                              .password_hash = kept_hash,
                              .plan = identity->default_plan,
                              .roles = wanted->roles | ROLE_LISTENER,
                              .revision = 1,
                              .created_at = now_ms,
                              .updated_at = now_ms};
    *ret_username = username;
    *ret_email = email;
    return 0;
}

static int claim(struct db_session *session, struct call *call, const char *field,
                 const struct login_name *name, int64_t user_id)
{
    int error = user_store_claim_login(session, name->folded, user_id);
    if (error == ERR_EXISTS) {
        (void)problem_field(&call->problem, field, "is taken");
        return problem_set(&call->problem, ERR_EXISTS, "This %s is taken", field);
    }
    return error;
}

int account_insert(struct db_session *session, struct call *call, const struct user *user,
                   const struct login_name *username, const struct login_name *email)
{
    int error = claim(session, call, "username", username, user->user_id);
    if (error == 0 && email->folded != NULL) {
        error = claim(session, call, "email", email, user->user_id);
    }
    if (error == 0) {
        error = user_store_insert(session, user);
    }
    return error != 0 ? error : identity_emit_created(session, user);
}

struct registration {
    struct identity *identity;
    struct call *call;
    struct user user;
    struct login_name username, email;
    const struct visitor *visitor;
    struct signed_in *signed_in;
};

static int write_registration(struct db_session *session, void *argument)
{
    struct registration *registration = argument;
    problem_reset(&registration->call->problem);
    int error = account_insert(session, registration->call, &registration->user,
                               &registration->username, &registration->email);
    return error != 0 ? error
                      : session_begin(registration->identity, session, &registration->user,
                                      registration->visitor, registration->signed_in);
}

int account_register(struct identity *identity, struct call *call, const struct new_user *wanted,
                     const struct visitor *visitor, struct signed_in *ret_signed_in)
{
    bool open = false;
    int error = setup_is_done(identity, &open);
    ret_signed_in->token_id = 0;
    if (error == 0 && !open) {
        return problem_set(&call->problem, ERR_FORBIDDEN,
                           "Registration opens once the first admin has been set up; the code for"
                           " that is in the file setup-code of the server's data directory");
    }
    struct registration registration = {
        .identity = identity, .call = call, .visitor = visitor, .signed_in = ret_signed_in};
    if (error == 0) {
        error = account_prepare(identity, call, wanted, &registration.user, &registration.username,
                                &registration.email);
    }
    if (error == 0) {
        error = db_write(identity->users, write_registration, &registration);
    }
    return error != 0 ? error : session_sign(identity, call, ret_signed_in);
}

/* --- looking one up --- */

struct lookup {
    struct call *call;
    int64_t user_id;
    struct user *user;
};

static int read_account(struct db_session *session, void *argument)
{
    struct lookup *lookup = argument;
    return user_store_find(session, lookup->call->arena, lookup->user_id, lookup->user);
}

int account_find(struct identity *identity, struct call *call, int64_t user_id,
                 struct user *ret_user)
{
    struct lookup lookup = {.call = call, .user_id = user_id, .user = ret_user};
    int error = db_read(identity->users, read_account, &lookup);
    if (error != ERR_NOT_FOUND) {
        return error;
    }
    return user_id == call->actor.user_id
               ? problem_set(&call->problem, ERR_UNAUTHENTICATED, "The account is gone")
               : problem_set(&call->problem, ERR_NOT_FOUND, "There is no such user");
}

/* --- profile --- */

struct profile_change {
    struct call *call;
    struct user user; /* as it will be, then as it is */
    int64_t revision_seen;
    struct idempotency *once;
    struct login_name new_username, old_username, new_email, old_email;
};

/* A folded name that changes: the new one is claimed, the old one set free. */
static int move_login(struct db_session *session, struct call *call, const char *field,
                      const struct login_name *from, const struct login_name *to, int64_t user_id)
{
    if (from->folded != NULL && to->folded != NULL && strcmp(from->folded, to->folded) == 0) {
        return 0;
    }
    int error = to->folded != NULL ? claim(session, call, field, to, user_id) : 0;
    if (error == 0 && from->folded != NULL) {
        error = user_store_release_login(session, from->folded, user_id);
    }
    return error;
}

static int check_revision(struct profile_change *change, const struct user *now)
{
    if (change->revision_seen == REVISION_OTHER) {
        return problem_set(&change->call->problem, ERR_PRECONDITION,
                           "The profile has been changed since you read it");
    }
    /* A password that let the change pass must not have been changed since. */
    return now->revision == change->revision_seen &&
                   strcmp(now->password_hash, change->user.password_hash) == 0
               ? 0
               : problem_set(&change->call->problem, ERR_CONFLICT,
                             "The profile was changed at the same moment; try again");
}

static int move_logins(struct db_session *session, struct profile_change *change)
{
    int error = move_login(session, change->call, "username", &change->old_username,
                           &change->new_username, change->user.user_id);
    return error != 0 ? error
                      : move_login(session, change->call, "email", &change->old_email,
                                   &change->new_email, change->user.user_id);
}

static int write_profile(struct db_session *session, void *argument)
{
    struct profile_change *change = argument;
    struct call *call = change->call;
    struct user now = {0};
    problem_reset(&call->problem);
    int error = idempotency_begin(session, call, change->once);
    if (error != 0 || change->once->replayed) {
        return error;
    }
    error = user_store_find(session, call->arena, change->user.user_id, &now);
    if (error == 0) {
        error = check_revision(change, &now);
    }
    if (error == 0) {
        error = move_logins(session, change);
    }
    if (error == 0) {
        error = user_store_update_profile(session, &change->user, clock_wall_ms());
    }
    if (error == 0) { /* a link in the old mailbox must not outlive its address */
        error = reset_store_delete_all(session, change->user.user_id);
    }
    if (error == 0) {
        error = identity_emit_changed(session, change->user.user_id);
    }
    if (error == 0) {
        error = user_store_find(session, call->arena, change->user.user_id, &now);
    }
    if (error != 0) {
        return error;
    }
    change->user = now;
    json_t *answer CLEANUP_JSON = user_to_json(&now);
    return idempotency_finish(session, change->once, 200, now.revision, answer);
}

static int fold_present(struct call *call, struct profile_change *change)
{
    change->old_username.folded = text_fold(call->arena, change->user.username);
    change->old_email.folded =
        change->user.email != NULL ? text_fold(call->arena, change->user.email) : NULL;
    change->new_username = change->old_username;
    change->new_email = change->old_email;
    bool failed = change->old_username.folded == NULL ||
                  (change->user.email != NULL && change->old_email.folded == NULL);
    return failed ? ERR_NO_MEMORY : 0;
}

static int apply_changes(struct call *call, const struct profile_changes *changes,
                         struct profile_change *change)
{
    int error = 0;
    if (changes->username != NULL) {
        error = name_check_username(call, changes->username, &change->new_username);
        change->user.username = change->new_username.shown;
    }
    if (changes->email != NULL && changes->email[0] == '\0') {
        change->new_email = no_name;
        change->user.email = NULL;
    } else if (changes->email != NULL) {
        int bad = name_check_email(call, changes->email, &change->new_email);
        change->user.email = change->new_email.shown;
        error = error != 0 ? error : bad;
    }
    if (changes->display_name != NULL) {
        const char *name = NULL;
        int bad = name_check_display(call, changes->display_name, &name);
        change->user.display_name = name != NULL && name[0] != '\0' ? name : NULL;
        error = error != 0 ? error : bad;
    }
    return error;
}

static int not_present(struct call *call, const char *field)
{
    return problem_field(&call->problem, field, "is not your present password");
}

/* The present password, with the delays of a log-in. */
static int check_current(struct identity *identity, struct call *call, const struct user *user,
                         const char *password, const char *field)
{
    char account[32];
    bool matches = false, outdated = false;
    (void)snprintf(account, sizeof account, "user:%lld", (long long)user->user_id);
    struct delay_keys keys = delays_keys_of_account(identity->delays, account);
    int64_t left_ms = delays_left_ms(identity->delays, &keys, false, clock_monotonic_ms());
    if (left_ms > 0) {
        return delay_refusal(&call->problem, left_ms);
    }
    int error = passwords_verify(password, user->password_hash, &matches, &outdated);
    if (error == 0 && !matches) {
        notices_failed(identity, &keys);
        return not_present(call, field);
    }
    if (error == 0) {
        notices_succeeded(identity, &keys);
    }
    return error;
}

/* Who holds a mailbox can reset the password, so its address is as good as one: a session that is
 * not fresh needs the password to change it. */
static int may_change_email(struct identity *identity, struct call *call, const struct user *user,
                            const char *current_password)
{
    int64_t age_ms = clock_wall_ms() - id_time_ms(call->actor.session_id);
    if (current_password != NULL) {
        return check_current(identity, call, user, current_password, "currentPassword");
    }
    return age_ms >= -TOKEN_CLOCK_SKEW_S * 1000 && age_ms <= FRESH_SESSION_MS
               ? 0
               : problem_field(&call->problem, "currentPassword",
                               "is needed to change the address, since you logged in a while ago");
}

int account_change_profile(struct identity *identity, struct call *call,
                           const struct profile_changes *changes, int64_t revision_seen,
                           struct idempotency *once, struct user *ret_user)
{
    struct profile_change change = {.call = call, .revision_seen = revision_seen, .once = once};
    int error = account_find(identity, call, call->actor.user_id, &change.user);
    if (error == 0) {
        error = fold_present(call, &change);
    }
    const struct user before = change.user;
    if (error == 0) {
        error = apply_changes(call, changes, &change);
    }
    if (error == 0 && changes->email != NULL) {
        error = may_change_email(identity, call, &before, changes->current_password);
    }
    if (error == 0) {
        error = db_write(identity->users, write_profile, &change);
    }
    if (error != 0) {
        return error;
    }
    if (changes->email != NULL && before.email != NULL && !once->replayed) {
        recovery_notify(identity, before.email, "Your address was changed",
                        "The e-mail address of your account was changed. If that was not you, "
                        "tell an admin of the server.\n");
    }
    *ret_user = change.user;
    return 0;
}

/* --- password --- */

struct password_change {
    int64_t user_id, keep_session;
    const char *checked_hash;   /* the present one was checked by this; NULL: none was asked for */
    const struct ticket *reset; /* NULL: none to use up */
    char hash[PASSWORD_HASH_SIZE];
    struct ended_sessions ended;
};

static int write_password(struct db_session *session, void *argument)
{
    struct password_change *change = argument;
    int64_t now_ms = clock_wall_ms();
    int error = change->reset != NULL
                    ? reset_store_take(session, change->user_id, change->reset->hash, now_ms)
                    : 0;
    if (error == 0 && change->checked_hash != NULL) {
        error = user_store_replace_password(session, change->user_id, change->checked_hash,
                                            change->hash, now_ms);
    } else if (error == 0) {
        error = user_store_update_password(session, change->user_id, change->hash, now_ms);
    }
    if (error == 0) {
        error = reset_store_delete_all(session, change->user_id);
    }
    if (error == 0) {
        error = sessions_end_others(session, change->user_id, change->keep_session, &change->ended);
    }
    return error != 0 ? error : identity_emit_changed(session, change->user_id);
}

int account_hash_password(struct call *call, const struct user *user, const char *field,
                          const char *password, char ret_hash[PASSWORD_HASH_SIZE])
{
    const char *folded_email = user->email != NULL ? text_fold(call->arena, user->email) : NULL;
    int error = name_check_password(call, field, password, text_fold(call->arena, user->username),
                                    folded_email);
    return error != 0 ? error : passwords_hash(password, ret_hash);
}

/* change says whose, which session stays and which ticket is used up. */
static int replace_password(struct identity *identity, struct call *call, const struct user *user,
                            const char *field, const char *wanted, struct password_change *change)
{
    int error = account_hash_password(call, user, field, wanted, change->hash);
    if (error == 0) {
        error = db_write(identity->users, write_password, change);
    }
    sodium_memzero(change->hash, sizeof change->hash);
    if (error == 0) {
        sessions_bar(identity, &change->ended);
    }
    return error;
}

int account_change_password(struct identity *identity, struct call *call, const char *current,
                            const char *wanted)
{
    struct user user = {0};
    int error = account_find(identity, call, call->actor.user_id, &user);
    if (error == 0) {
        error = check_current(identity, call, &user, current, "currentPassword");
    }
    if (error == 0) {
        struct password_change change = {.user_id = user.user_id,
                                         .keep_session = call->actor.session_id,
                                         .checked_hash = user.password_hash};
        error = replace_password(identity, call, &user, "newPassword", wanted, &change);
    }
    return error == ERR_NOT_FOUND ? not_present(call, "currentPassword") : error;
}

int account_set_password(struct identity *identity, struct call *call, int64_t user_id,
                         const struct ticket *reset, const char *password)
{
    struct user user = {0};
    struct password_change change = {.user_id = user_id, .reset = reset};
    int error = account_find(identity, call, user_id, &user);
    return error != 0 ? error
                      : replace_password(identity, call, &user, "password", password, &change);
}

/* --- erasure and export (R3) --- */

struct erasure {
    struct call *call;
    struct ended_sessions ended;
};

static int write_erasure(struct db_session *session, void *argument)
{
    struct erasure *erasure = argument;
    int64_t user_id = erasure->call->actor.user_id;
    bool other_admin = true;
    int error = 0;
    if (call_is(erasure->call, ROLE_ADMIN)) {
        error = user_store_has_admin(session, user_id, &other_admin);
    }
    if (error == 0 && !other_admin) {
        return problem_set(&erasure->call->problem, ERR_CONFLICT,
                           "You are the only admin; make somebody else one first");
    }
    if (error == 0) {
        error = user_store_erase(session, user_id, clock_wall_ms());
    }
    if (error == 0) {
        error = user_store_release_logins(session, user_id);
    }
    if (error == 0) {
        error = reset_store_delete_all(session, user_id);
    }
    if (error == 0) {
        error = idempotency_forget(session, user_id);
    }
    if (error == 0) {
        error = sessions_end_others(session, user_id, 0, &erasure->ended);
    }
    return error != 0 ? error : identity_emit_deleted(session, user_id);
}

int account_erase(struct identity *identity, struct call *call)
{
    struct erasure erasure = {.call = call};
    int error = db_write(identity->users, write_erasure, &erasure);
    if (error == 0) {
        sessions_bar(identity, &erasure.ended);
        user_bar(identity, call->actor.user_id, true);
    }
    return error;
}

int account_export(struct identity *identity, struct call *call, json_t **ret_export)
{
    struct user user = {0};
    struct session_row *rows = NULL;
    unsigned count = 0;
    int error = account_find(identity, call, call->actor.user_id, &user);
    if (error == 0) {
        error = session_list(identity, call, &rows, &count);
    }
    if (error != 0) {
        return error;
    }
    json_t *sessions = json_array();
    for (unsigned i = 0; i < count; i++) {
        (void)json_array_append_new(sessions, session_to_json(&rows[i], call->actor.session_id));
    }
    *ret_export = json_pack("{s:I, s:o, s:o}", "exportedAt", (json_int_t)clock_wall_ms(), "user",
                            user_to_json(&user), "sessions", sessions);
    return *ret_export != NULL ? 0 : ERR_NO_MEMORY;
}
