/* Routes by which an admin sees and changes people. */
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "net/http.h"
#include "service/idempotency.h"
#include "service/identity/identity_http.h"
#include "service/identity/identity_private.h"
#include "service/identity/roles.h"

static int reply_user(struct request *request, const struct user *user)
{
    int error = reply_header(request, "Cache-Control", "private, no-cache");
    return error != 0 ? error
                      : reply_resource(request, 200, user_to_admin_json(user), user->revision);
}

/* The cursor is the last id of the page before. */
static int read_cursor(struct request *request, int64_t *ret_before_id)
{
    const char *cursor = request_query(request, "cursor");
    *ret_before_id = INT64_MAX;
    return cursor == NULL || id_parse(cursor, ret_before_id)
               ? 0
               : problem_set(&request->call.problem, ERR_MALFORMED,
                             "The cursor is none that this list gave out");
}

int handle_users(struct request *request)
{
    int64_t before_id = 0, limit = 0;
    struct user *users = NULL;
    unsigned count = 0;
    int error = read_cursor(request, &before_id);
    if (error == 0) {
        error = request_query_number(request, "limit", 1, USER_PAGE_MAX, 50, &limit);
    }
    if (error == 0) { /* one more tells whether there is a next page */
        error = account_list(request->context, &request->call, before_id, (unsigned)limit + 1,
                             &users, &count);
    }
    if (error == 0) {
        error = reply_header(request, "Cache-Control", "private, no-cache");
    }
    if (error != 0) {
        return error;
    }
    bool more = count > (unsigned)limit;
    json_t *items = json_array();
    for (unsigned i = 0; i < count - more; i++) {
        (void)json_array_append_new(items, user_to_admin_json(&users[i]));
    }
    json_t *next = more ? json_id(users[limit - 1].user_id) : json_null();
    return reply_json(request, 200, json_pack("{s:o, s:o}", "items", items, "next", next));
}

int handle_user(struct request *request)
{
    int64_t user_id = 0;
    struct user user = {0};
    int error = request_param_id(request, "id", &user_id);
    if (error == 0) {
        error = account_find(request->context, &request->call, user_id, &user);
    }
    return error != 0 ? error : reply_user(request, &user);
}

static int read_changes(struct request *request, const json_t *body, struct rights_changes *changes)
{
    struct problem *problem = &request->call.problem;
    const json_t *roles = json_object_get(body, "roles");
    int bad = body_text_or_null(request, body, "plan", &changes->plan) |
              body_text_or_null(request, body, "password", &changes->password) |
              body_bool(request, body, "disabled", -1, &changes->disabled);
    if (roles != NULL && (!roles_from_json(roles, &changes->roles) || changes->roles == 0)) {
        bad |= problem_field(problem, "roles",
                             "should be a list of \"listener\", \"artist\" and \"admin\"");
    }
    if (changes->plan != NULL && !plan_is_known(changes->plan)) {
        bad |= problem_field(problem, "plan", "should be \"free\" or \"premium\"");
    }
    return bad != 0 ? ERR_INVALID : 0;
}

int handle_user_change(struct request *request)
{
    int64_t user_id = 0, revision = 0;
    json_t *body = NULL;
    struct rights_changes changes = {0};
    struct user user = {0};
    struct idempotency once = {0};
    int error = request_param_id(request, "id", &user_id);
    if (error == 0) {
        error = request_json(request, &body);
    }
    if (error == 0) {
        error = read_changes(request, body, &changes);
    }
    if (error == 0) {
        error = account_find(request->context, &request->call, user_id, &user);
    }
    if (error == 0 && changes.password == NULL) {
        error = idempotency_from_request(request, &once);
    }
    if (error == 0) {
        error = revision_seen(request, &once, user.revision, &revision);
    }
    if (error == 0) {
        bool any = request_header(request, "If-Match") == NULL;
        error = account_change_rights(request->context, &request->call, user_id, &changes,
                                      any ? REVISION_ANY : revision, &once, &user);
    }
    if (error == 0 && once.replayed) {
        return idempotency_reply(request, &once);
    }
    return error != 0 ? error : reply_user(request, &user);
}
