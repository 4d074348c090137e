/* What an admin changes in others: roles, plan, disabling, a password where there is no mail; and
 * what other roles may grant. A change of rights makes the person's tokens of before invalid, in
 * this process at once and in others as soon as Redis tells them; without it, when they run out.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "service/idempotency.h"
#include "service/identity/identity_private.h"
#include "service/identity/roles.h"

#include <sodium.h>
#include <string.h>

bool plan_is_known(const char *plan)
{
    return strcmp(plan, "free") == 0 || strcmp(plan, "premium") == 0;
}

struct rights_change {
    struct call *call;
    int64_t user_id;
    int64_t revision_seen;
    const struct rights_changes *changes;
    struct idempotency *once;
    char hash[PASSWORD_HASH_SIZE]; /* of changes->password */
    struct user user;              /* as it became */
    struct ended_sessions ended;
};

static bool is_active_admin(const struct user *user)
{
    return (user->roles & ROLE_ADMIN) != 0 && user->disabled_at == 0;
}

static void apply(const struct rights_changes *changes, struct user *user)
{
    if (changes->roles != 0) {
        user->roles = changes->roles | ROLE_LISTENER;
    }
    if (changes->plan != NULL) {
        user->plan = changes->plan;
    }
    if (changes->disabled == 0) {
        user->disabled_at = 0;
    } else if (changes->disabled > 0 && user->disabled_at == 0) {
        user->disabled_at = clock_wall_ms();
    }
}

static int keep_an_admin(struct db_session *session, struct rights_change *change, bool was_admin)
{
    bool other = true;
    int error = 0;
    if (was_admin && !is_active_admin(&change->user)) {
        error = user_store_has_admin(session, change->user_id, &other);
    }
    return error == 0 && !other
               ? problem_set(&change->call->problem, ERR_CONFLICT,
                             "This is the only admin; make somebody else one first")
               : error;
}

/* Disabling and a new password end all sessions. */
static int end_sessions(struct db_session *session, struct rights_change *change)
{
    int64_t user_id = change->user_id;
    int error = 0;
    if (change->changes->password != NULL) {
        error = user_store_update_password(session, user_id, change->hash, clock_wall_ms());
    }
    if (error == 0 && (change->changes->password != NULL || change->user.disabled_at != 0)) {
        error = sessions_end_others(session, user_id, 0, &change->ended);
    }
    return error;
}

static int change_row(struct db_session *session, struct rights_change *change)
{
    struct user *user = &change->user;
    bool was_admin = is_active_admin(user);
    apply(change->changes, user);
    int error = keep_an_admin(session, change, was_admin);
    if (error == 0) {
        error = user_store_update_rights(session, user, clock_wall_ms());
    }
    if (error == 0) {
        error = end_sessions(session, change);
    }
    if (error == 0) {
        error = identity_emit_changed(session, user->user_id);
    }
    return error != 0 ? error : user_store_find(session, change->call->arena, user->user_id, user);
}

static int write_rights(struct db_session *session, void *argument)
{
    struct rights_change *change = argument;
    struct call *call = change->call;
    change->ended.count = 0;
    problem_reset(&call->problem);
    int error = idempotency_begin(session, call, change->once);
    if (error != 0 || change->once->replayed) {
        return error;
    }
    error = user_store_find(session, call->arena, change->user_id, &change->user);
    if (error == ERR_NOT_FOUND) {
        return problem_set(&call->problem, error, "There is no such user");
    }
    if (error == 0 && change->revision_seen != REVISION_ANY &&
        change->revision_seen != change->user.revision) {
        return problem_set(&call->problem, ERR_PRECONDITION,
                           "The user has been changed since you read it");
    }
    if (error == 0) {
        error = change_row(session, change);
    }
    if (error != 0) {
        return error;
    }
    json_t *answer CLEANUP_JSON = user_to_admin_json(&change->user);
    return idempotency_finish(session, change->once, 200, change->user.revision, answer);
}

static bool changes_rights(const struct rights_changes *changes)
{
    return changes->roles != 0 || changes->plan != NULL || changes->disabled >= 0;
}

int account_change_rights(struct identity *identity, struct call *call, int64_t user_id,
                          const struct rights_changes *changes, int64_t revision_seen,
                          struct idempotency *once, struct user *ret_user)
{
    struct rights_change change = {.call = call,
                                   .user_id = user_id,
                                   .revision_seen = revision_seen,
                                   .changes = changes,
                                   .once = once};
    int error = 0;
    if (changes->password != NULL) {
        error = account_find(identity, call, user_id, &change.user);
        if (error == 0) {
            error = account_hash_password(call, &change.user, "password", changes->password,
                                          change.hash);
        }
    }
    if (error == 0) {
        error = db_write(identity->users, write_rights, &change);
    }
    sodium_memzero(change.hash, sizeof change.hash);
    if (error != 0) {
        return error;
    }
    sessions_bar(identity, &change.ended);
    if (!once->replayed && changes_rights(changes)) {
        user_bar(identity, user_id, change.user.disabled_at != 0);
    }
    *ret_user = change.user;
    return 0;
}

struct page {
    struct call *call;
    int64_t before_id;
    unsigned limit;
    struct user *users;
    int count;
};

static int read_page(struct db_session *session, void *argument)
{
    struct page *page = argument;
    page->count =
        user_store_list(session, page->call->arena, page->before_id, page->limit, page->users);
    return page->count < 0 ? page->count : 0;
}

int account_list(struct identity *identity, struct call *call, int64_t before_id, unsigned limit,
                 struct user **ret_users, unsigned *ret_count)
{
    struct page page = {.call = call,
                        .before_id = before_id,
                        .limit = limit,
                        .users = arena_array(call->arena, limit, sizeof(struct user))};
    if (page.users == NULL) {
        return ERR_NO_MEMORY;
    }
    int error = db_read(identity->users, read_page, &page);
    if (error == 0) {
        *ret_users = page.users;
        *ret_count = (unsigned)page.count;
    }
    return error;
}

struct grant {
    struct call *call;
    int64_t user_id;
    unsigned role;
};

static int write_grant(struct db_session *session, void *argument)
{
    const struct grant *grant = argument;
    struct user user = {0};
    int error = user_store_find(session, grant->call->arena, grant->user_id, &user);
    if (error != 0 || (user.roles & grant->role) == grant->role) {
        return error;
    }
    user.roles |= grant->role;
    error = user_store_update_rights(session, &user, clock_wall_ms());
    return error != 0 ? error : identity_emit_changed(session, user.user_id);
}

int identity_grant(struct identity *identity, struct call *call, int64_t user_id, unsigned role)
{
    struct grant grant = {.call = call, .user_id = user_id, .role = role};
    if ((role & ~(unsigned)ROLES_OF_PEOPLE) != 0) {
        return ERR_INVALID;
    }
    return db_write(identity->users, write_grant, &grant);
}

static int read_grant(struct db_session *session, void *argument)
{
    const struct grant *grant = argument;
    struct user user = {0};
    int error = user_store_find(session, grant->call->arena, grant->user_id, &user);
    return error != 0 || (user.roles & grant->role) == grant->role ? error : ERR_NOT_FOUND;
}

int identity_has_role(struct identity *identity, struct call *call, int64_t user_id, unsigned role)
{
    struct grant grant = {.call = call, .user_id = user_id, .role = role};
    return db_read(identity->users, read_grant, &grant);
}

struct first_admin {
    int64_t user_id;
};

static int first_admin_work(struct db_session *session, void *argument)
{
    struct first_admin *first = argument;
    return user_store_first_admin(session, &first->user_id);
}

int identity_first_admin(struct identity *identity, int64_t *ret_user_id)
{
    struct first_admin first = {0};
    int error = db_read(identity->users, first_admin_work, &first);
    *ret_user_id = first.user_id;
    return error;
}
