/* Routes of one's own account. */
#include "base/error.h"
#include "net/http.h"
#include "service/idempotency.h"
#include "service/identity/identity_http.h"
#include "service/identity/identity_private.h"

/* Not to be stored: who signs in next in the same browser asks the same address, and another
 * account's revision may be the same number, which says only whether a change may go on. */
static int reply_user(struct request *request, const struct user *user)
{
    int error = reply_header(request, "Cache-Control", "private, no-store");
    return error != 0 ? error : reply_resource(request, 200, user_to_json(user), user->revision);
}

static int find_me(struct request *request, struct user *user)
{
    struct call *call = &request->call;
    return account_find(request->context, call, call->actor.user_id, user);
}

int handle_me(struct request *request)
{
    struct user user = {0};
    int error = find_me(request, &user);
    return error != 0 ? error : reply_user(request, &user);
}

static int read_changes(struct request *request, const json_t *body,
                        struct profile_changes *changes)
{
    int bad = body_text_or_null(request, body, "username", &changes->username) |
              body_text_or_empty(request, body, "email", &changes->email) |
              body_text_or_empty(request, body, "displayName", &changes->display_name) |
              body_text_or_null(request, body, "currentPassword", &changes->current_password);
    return bad != 0 ? ERR_INVALID : 0;
}

int handle_me_change(struct request *request)
{
    json_t *body = NULL;
    struct profile_changes changes = {0};
    struct user user = {0};
    struct idempotency once = {0};
    int error = request_json(request, &body);
    if (error == 0) {
        error = read_changes(request, body, &changes);
    }
    if (error == 0) {
        error = find_me(request, &user);
    }
    if (error == 0 && changes.current_password == NULL) {
        error = idempotency_from_request(request, &once);
    }
    int64_t revision = 0;
    if (error == 0) {
        error = revision_seen(request, &once, user.revision, &revision);
    }
    if (error == 0) {
        error = account_change_profile(request->context, &request->call, &changes, revision, &once,
                                       &user);
    }
    if (error == 0 && once.replayed) {
        return idempotency_reply(request, &once);
    }
    return error != 0 ? error : reply_user(request, &user);
}

int handle_me_erase(struct request *request)
{
    struct user user = {0};
    int error = find_me(request, &user);
    if (error == 0) {
        error = request_if_match(request, user.revision);
    }
    if (error == 0) {
        error = account_erase(request->context, &request->call);
    }
    return error != 0 ? error : reply_empty(request, 204);
}

int handle_me_password(struct request *request)
{
    json_t *body = NULL;
    const char *current = NULL, *wanted = NULL;
    int error = request_json(request, &body);
    if (error != 0) {
        return error;
    }
    if ((body_text(request, body, "currentPassword", &current) |
         body_text(request, body, "newPassword", &wanted)) != 0) {
        return ERR_INVALID;
    }
    error = account_change_password(request->context, &request->call, current, wanted);
    return error != 0 ? error : reply_empty(request, 204);
}

int handle_me_export(struct request *request)
{
    json_t *export = NULL;
    int error = account_export(request->context, &request->call, &export);
    if (error == 0) {
        error = reply_header(request, "Cache-Control", "no-store, private");
    }
    if (error == 0) {
        error =
            reply_header(request, "Content-Disposition", "attachment; filename=\"export.json\"");
    }
    const struct identity *identity = request->context;
    if (error == 0 && identity->export_reply == NULL) {
        return reply_json(request, 200, export);
    }
    error = error != 0 ? error : identity->export_reply(identity->export_context, request, export);
    json_decref(export);
    return error;
}

int handle_sessions(struct request *request)
{
    struct session_row *rows = NULL;
    unsigned count = 0;
    int error = session_list(request->context, &request->call, &rows, &count);
    if (error == 0) {
        error = reply_header(request, "Cache-Control", "private, no-cache");
    }
    if (error != 0) {
        return error;
    }
    json_t *items = json_array();
    for (unsigned i = 0; i < count; i++) {
        (void)json_array_append_new(items,
                                    session_to_json(&rows[i], request->call.actor.session_id));
    }
    return reply_json(request, 200, json_pack("{s:o, s:n}", "items", items, "next"));
}

int handle_session_end(struct request *request)
{
    int64_t session_id = 0;
    struct idempotency once = {0};
    int error = request_param_id(request, "id", &session_id);
    if (error == 0) {
        error = idempotency_from_request(request, &once);
    }
    if (error == 0) {
        error = session_end(request->context, &request->call, session_id, &once);
    }
    if (error == 0 && once.replayed) {
        return idempotency_reply(request, &once);
    }
    return error != 0 ? error : reply_empty(request, 204);
}
