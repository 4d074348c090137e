/* identity: users, sessions, tokens, roles. The contract for other roles, boot and the command
 * line. Tables live in the `users` database. All functions may block unless said otherwise; any
 * thread.
 */
#pragma once

#include "base/call.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct db;
struct bus;
struct mailer;
struct redis;
struct request;
struct route;
struct identity;

struct identity_config {
    struct db *users;
    struct mailer *mailer;    /* NULL: no mail, an admin sets passwords */
    struct redis *redis;      /* by which processes tell each other who may no more; NULL: none */
    const char *keys_path;    /* directory of signing keys, 0700, files 0600 */
    const char *data_path;    /* where setup-code is written */
    const char *public_url;   /* issuer, audience, links in mails, Origin of cookie requests */
    const char *default_plan; /* "premium" while there is no billing */
};

int identity_open(const struct identity_config *config, struct identity **ret_identity,
                  struct problem *problem);
void identity_close(struct identity *identity);
/* The role's rows for http_server_add_routes (context: the identity). */
const struct route *identity_routes(unsigned *ret_count);
/* The AUTH step's hook (http_hooks.authenticate): local, cached, never blocks. */
int identity_authenticate(void *identity, struct request *request, const char *bearer);
/* An access token with the session's present roles and plan, as JSON members accessToken and
 * expiresIn set on `into`. For POST /me/artist. */
int identity_token_for(struct identity *identity, struct call *call, json_t *into);
/* POST /me/export is answered by reply, which adds what other roles hold of the person to what
 * account says; without one, account is all. Before the server starts. */
typedef int identity_export_reply(void *context, struct request *request, const json_t *account);
void identity_export_with(struct identity *identity, identity_export_reply *reply, void *context);
/* Gives user a role (ROLE_ARTIST …) in addition; its next token says so. */
int identity_grant(struct identity *identity, struct call *call, int64_t user_id, unsigned role);
/* 0: the user is there and has the role. ERR_NOT_FOUND. */
int identity_has_role(struct identity *identity, struct call *call, int64_t user_id, unsigned role);

/* The command line. password is wiped by the caller. */
int identity_user_add(struct identity *identity, struct call *call, const char *username,
                      const char *email, unsigned roles, const char *password,
                      int64_t *ret_user_id);
int identity_user_set_password(struct identity *identity, struct call *call, const char *username,
                               const char *password);
int identity_user_list(struct identity *identity, struct call *call, json_t **ret_users);
/* The admin that was first, to whom what has no owner belongs. ERR_NOT_FOUND: there is none yet. */
int identity_first_admin(struct identity *identity, int64_t *ret_user_id);
int identity_keys_rotate(struct identity *identity, struct call *call);
/* True while no admin exists; the code is then in data_path/setup-code. print: to a terminal too.
 */
int identity_setup_begin(struct identity *identity, struct call *call, bool *ret_needed,
                         char ret_code[64]);
