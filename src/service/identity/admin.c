/* What an admin changes in others: roles, plan, disabling, a password where there is no mail; and
 * what other roles may grant. A change of rights makes the person's tokens of before invalid in
 * this process at once; other processes know within a token's 15 minutes.
 */
#include "base/clock.h"
#include "base/error.h"
#include "service/identity/identity_private.h"
#include "service/identity/roles.h"

#include <string.h>

bool plan_is_known(const char *plan)
{
    return strcmp(plan, "free") == 0 || strcmp(plan, "premium") == 0;
}

struct rights_change {
    struct call *call;
    int64_t user_id;
    int64_t revision_seen; /* 0: any */
    const struct rights_changes *changes;
    struct user user; /* as it became */
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

static int write_rights(struct db_session *session, void *argument)
{
    struct rights_change *change = argument;
    struct user *user = &change->user;
    change->ended.count = 0;
    problem_reset(&change->call->problem);
    int error = user_store_find(session, change->call->arena, change->user_id, user);
    if (error == ERR_NOT_FOUND) {
        return problem_set(&change->call->problem, error, "There is no such user");
    }
    if (error == 0 && change->revision_seen != 0 && change->revision_seen != user->revision) {
        return problem_set(&change->call->problem, ERR_PRECONDITION,
                           "The user has been changed since you read it");
    }
    bool was_admin = is_active_admin(user);
    apply(change->changes, user);
    error = error != 0 ? error : keep_an_admin(session, change, was_admin);
    if (error == 0) {
        error = user_store_update_rights(session, user, clock_wall_ms());
    }
    if (error == 0 && user->disabled_at != 0) {
        error = sessions_end_others(session, user->user_id, 0, &change->ended);
    }
    return error != 0 ? error : identity_emit_changed(session, user->user_id);
}

int account_change_rights(struct identity *identity, struct call *call, int64_t user_id,
                          const struct rights_changes *changes, int64_t revision_seen,
                          struct user *ret_user)
{
    struct rights_change change = {
        .call = call, .user_id = user_id, .revision_seen = revision_seen, .changes = changes};
    int error = db_write(identity->users, write_rights, &change);
    if (error != 0) {
        return error;
    }
    sessions_bar(identity, &change.ended);
    user_bar(identity, user_id, change.user.disabled_at != 0);
    if (changes->password != NULL) {
        error = account_set_password(identity, call, user_id, NULL, changes->password);
    }
    return error != 0 ? error : account_find(identity, call, user_id, ret_user);
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
