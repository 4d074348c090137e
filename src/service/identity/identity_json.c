/* People and sessions as JSON. Neither hashes nor tokens are ever among the members. */
#include "base/json.h"
#include "service/identity/identity_private.h"
#include "service/identity/roles.h"

static json_t *time_or_null(int64_t time_ms)
{
    return time_ms != 0 ? json_integer(time_ms) : json_null();
}

json_t *user_to_json(const struct user *user)
{
    return json_pack("{s:o, s:s, s:s?, s:s?, s:o, s:s, s:I, s:I}", "id", json_id(user->user_id),
                     "username", user->username, "email", user->email, "displayName",
                     user->display_name, "roles", roles_to_json(user->roles), "plan", user->plan,
                     "createdAt", (json_int_t)user->created_at, "updatedAt",
                     (json_int_t)user->updated_at);
}

json_t *user_to_admin_json(const struct user *user)
{
    json_t *object = user_to_json(user);
    if (object != NULL &&
        json_object_set_new(object, "disabledAt", time_or_null(user->disabled_at)) != 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *session_to_json(const struct session_row *row, int64_t current_session)
{
    return json_pack("{s:o, s:s, s:s, s:I, s:I, s:I, s:b}", "id", json_id(row->session_id),
                     "address", row->address, "userAgent", row->user_agent, "createdAt",
                     (json_int_t)row->created_at, "usedAt", (json_int_t)row->used_at, "expiresAt",
                     (json_int_t)row->expires_at, "current", row->session_id == current_session);
}
