/* The handlers of identity's routes, named in the table of identity_http.c. */
#pragma once

#include <stdint.h>

struct request;
struct idempotency;

/* auth_http.c: nobody is signed in yet */
int handle_setup_state(struct request *request);
int handle_setup(struct request *request);
int handle_register(struct request *request);
int handle_log_in(struct request *request);
int handle_refresh(struct request *request);
int handle_log_out(struct request *request);
int handle_forgot(struct request *request);
int handle_reset(struct request *request);

/* me_http.c: one's own account */
int handle_me(struct request *request);
int handle_me_change(struct request *request);
int handle_me_erase(struct request *request);
int handle_me_password(struct request *request);
int handle_me_export(struct request *request);
int handle_sessions(struct request *request);
int handle_session_end(struct request *request);

/* admin_http.c */
int handle_users(struct request *request);
int handle_user(struct request *request);
int handle_user_change(struct request *request);

/* body.c: members of a JSON body */
#include <jansson.h>
#include <stdbool.h>

/* A text that must be there. ERR_INVALID with the field otherwise; all fields may be asked before
 * the first error is returned. */
int body_text(struct request *request, const json_t *body, const char *name, const char **ret_text);
/* NULL where it is missing or null. */
int body_text_or_null(struct request *request, const json_t *body, const char *name,
                      const char **ret_text);
/* As body_text_or_null, but null is the empty text: "take it away". */
int body_text_or_empty(struct request *request, const json_t *body, const char *name,
                       const char **ret_text);
/* fallback where it is missing. */
int body_bool(struct request *request, const json_t *body, const char *name, int fallback,
              int *ret_value);
/* What If-Match says, for a write that may be a replay: an outdated revision is refused only after
 * the key has been looked up (REVISION_OTHER). ERR_PRECONDITION where there is no key. */
int revision_seen(struct request *request, const struct idempotency *once, int64_t present,
                  int64_t *ret_seen);
