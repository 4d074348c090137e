/* identity: opening and closing, verifying tokens on the loop, and what the command line does.
 * (identity.h) */
#include "service/identity/identity.h"

#include "backend/bus/bus.h"
#include "backend/redis/board.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "net/http.h"
#include "net/jobs.h"
#include "service/idempotency.h"
#include "service/identity/delays.h"
#include "service/identity/identity_private.h"
#include "service/identity/keys.h"
#include "service/identity/roles.h"
#include "service/identity/strangers.h"
#include "service/identity/token_cache.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct db_migration identity_migrations[];
extern const unsigned identity_migration_count;

enum { MAIL_THREADS = 1, MAIL_QUEUE_MAX = 64 };

/* The same key in all processes that share the key files. */
static int open_delays(struct identity *identity)
{
    static const unsigned char label[] = "tutti login delays";
    unsigned char secret[DELAYS_SECRET_BYTES];
    (void)crypto_generichash(secret, sizeof secret, label, sizeof label,
                             key_ring_seal_key(identity->keys), SEAL_KEY_BYTES);
    int error = delays_new(secret, &identity->delays);
    sodium_memzero(secret, sizeof secret);
    return error;
}

static int open_parts(struct identity *identity, const struct identity_config *config,
                      struct problem *problem)
{
    int error = db_migrate(identity->users, identity_migrations, identity_migration_count, problem);
    if (error == 0) {
        error = db_migrate(identity->users, idempotency_migrations, idempotency_migration_count,
                           problem);
    }
    if (error == 0) {
        error = key_ring_open(config->keys_path, &identity->keys, problem);
    }
    if (error == 0) {
        error = token_cache_new(&identity->tokens);
    }
    if (error == 0) {
        error = open_delays(identity);
    }
    if (error == 0) {
        error = strangers_new(&identity->strangers);
    }
    if (error == 0) {
        error = notices_open(identity, config->redis);
    }
    if (error == 0 && identity->mailer != NULL) {
        error = job_pool_new("mail", MAIL_THREADS, MAIL_QUEUE_MAX, &identity->mails);
    }
    return error;
}

int identity_open(const struct identity_config *config, struct identity **ret_identity,
                  struct problem *problem)
{
    if (sodium_init() < 0) {
        return problem_set(problem, ERR_INTERNAL, "libsodium can't be started");
    }
    struct identity *identity = calloc(1, sizeof *identity);
    if (identity == NULL) {
        return ERR_NO_MEMORY;
    }
    identity->users = config->users;
    identity->mailer = config->mailer;
    identity->public_url = strdup(config->public_url);
    identity->data_path = strdup(config->data_path);
    identity->default_plan = strdup(config->default_plan);
    int error = ERR_NO_MEMORY;
    if (identity->public_url != NULL && identity->data_path != NULL &&
        identity->default_plan != NULL) {
        error = plan_is_known(identity->default_plan)
                    ? open_parts(identity, config, problem)
                    : problem_set(problem, ERR_INVALID,
                                  "plan.default is \"%s\"; it should be free or premium",
                                  identity->default_plan);
    }
    if (error != 0) {
        identity_close(identity);
        return error;
    }
    *ret_identity = identity;
    return 0;
}

void identity_close(struct identity *identity)
{
    if (identity == NULL) {
        return;
    }
    job_pool_free(identity->mails);
    board_close(identity->board);
    strangers_free(identity->strangers);
    delays_free(identity->delays);
    token_cache_free(identity->tokens);
    key_ring_close(identity->keys);
    free(identity->public_url);
    free(identity->data_path);
    free(identity->default_plan);
    free(identity);
}

/* --- tokens --- */

static int verify_new(struct identity *identity, struct request *request, const char *bearer,
                      struct token_tag tag, int64_t now_ms, struct token_claims *claims)
{
    struct problem *problem = &request->call.problem;
    if (!strangers_may_try(identity->strangers, request->remote, now_ms)) {
        problem->retry_after_s = 1;
        return problem_set(problem, ERR_RATE_LIMITED,
                           "Too many access tokens from your address were not right");
    }
    const char *why = NULL;
    int error = token_verify(identity->keys, identity->public_url, bearer, strlen(bearer), now_ms,
                             claims, &why);
    if (error != 0) {
        strangers_failed(identity->strangers, request->remote, now_ms);
        return problem_set(problem, error, "%s", why);
    }
    if (!token_cache_keep(identity->tokens, tag, claims)) {
        return problem_set(problem, ERR_UNAUTHENTICATED,
                           "The session has ended or the account has changed; refresh the token");
    }
    return 0;
}

int identity_authenticate(void *context, struct request *request, const char *bearer)
{
    struct identity *identity = context;
    struct token_claims claims;
    int64_t now_ms = clock_wall_ms();
    struct token_tag tag = token_cache_tag(identity->tokens, bearer, strlen(bearer));
    if (!token_cache_find(identity->tokens, tag, now_ms, &claims)) {
        int error = verify_new(identity, request, bearer, tag, now_ms, &claims);
        if (error != 0) {
            return error;
        }
    }
    struct actor *actor = &request->call.actor;
    actor->user_id = claims.user_id;
    actor->session_id = claims.session_id;
    actor->roles = claims.roles;
    memcpy(actor->plan, claims.plan, sizeof actor->plan);
    return 0;
}

void identity_export_with(struct identity *identity, identity_export_reply *reply, void *context)
{
    identity->export_reply = reply;
    identity->export_context = context;
}

int identity_token_for(struct identity *identity, struct call *call, json_t *into)
{
    const char *token = NULL;
    int error = session_renew(identity, call, &token);
    if (error != 0) {
        return error;
    }
    bool failed = json_object_set_new(into, "accessToken", json_string(token)) != 0 ||
                  json_object_set_new(into, "expiresIn", json_integer(TOKEN_LIFE_S)) != 0;
    return failed ? ERR_NO_MEMORY : 0;
}

int identity_keys_rotate(struct identity *identity, struct call *call)
{
    return key_ring_rotate(identity->keys, &call->problem);
}

/* --- the command line --- */

struct addition {
    struct call *call;
    struct user user;
    struct login_name username, email;
};

static int write_addition(struct db_session *session, void *argument)
{
    struct addition *addition = argument;
    problem_reset(&addition->call->problem);
    int error = account_insert(session, addition->call, &addition->user, &addition->username,
                               &addition->email);
    if (error == 0 && (addition->user.roles & ROLE_ADMIN) != 0) {
        error = setup_store_delete(session);
    }
    return error;
}

int identity_user_add(struct identity *identity, struct call *call, const char *username,
                      const char *email, unsigned roles, const char *password, int64_t *ret_user_id)
{
    const struct new_user wanted = {
        .username = username, .email = email, .password = password, .roles = roles};
    struct addition addition = {.call = call};
    int error = account_prepare(identity, call, &wanted, &addition.user, &addition.username,
                                &addition.email);
    if (error == 0) {
        error = db_write(identity->users, write_addition, &addition);
    }
    if (error != 0) {
        return error;
    }
    if ((roles & ROLE_ADMIN) != 0) {
        setup_remove_file(identity);
    }
    *ret_user_id = addition.user.user_id;
    return 0;
}

struct finding {
    const char *login;
    int64_t user_id;
};

static int read_login(struct db_session *session, void *argument)
{
    struct finding *finding = argument;
    return user_store_find_login(session, finding->login, &finding->user_id);
}

int identity_user_set_password(struct identity *identity, struct call *call, const char *username,
                               const char *password)
{
    struct finding finding = {.login = name_fold_login(call, username)};
    int error =
        finding.login != NULL ? db_read(identity->users, read_login, &finding) : ERR_NOT_FOUND;
    if (error == ERR_NOT_FOUND) {
        return problem_set(&call->problem, error, "There is no user %s", username);
    }
    return error != 0 ? error
                      : account_set_password(identity, call, finding.user_id, NULL, password);
}

int identity_user_list(struct identity *identity, struct call *call, json_t **ret_users)
{
    json_t *list = json_array();
    int64_t before_id = INT64_MAX;
    unsigned count = USER_PAGE_MAX;
    while (list != NULL && count == USER_PAGE_MAX) {
        struct user *users = NULL;
        int error = account_list(identity, call, before_id, USER_PAGE_MAX, &users, &count);
        if (error != 0) {
            json_decref(list);
            return error;
        }
        for (unsigned i = 0; i < count; i++) {
            (void)json_array_append_new(list, user_to_admin_json(&users[i]));
        }
        before_id = count > 0 ? users[count - 1].user_id : 0;
    }
    *ret_users = list;
    return list != NULL ? 0 : ERR_NO_MEMORY;
}
