/* What identity tells: user.created {userId, username, roles, plan}, user.changed {userId},
 * user.deleted {userId}, all with the key "user:ID". No address and no secret goes into an event;
 * who needs more asks. Written in the transaction of the change. */
#include "backend/bus/bus.h"
#include "base/id.h"
#include "base/json.h"
#include "service/identity/identity_private.h"
#include "service/identity/roles.h"

#include <stdio.h>

static int emit(struct db_session *session, const char *type, int64_t user_id, json_t *payload)
{
    char key[8 + ID_TEXT_SIZE], id[ID_TEXT_SIZE];
    (void)snprintf(key, sizeof key, "user:%s", id_format(user_id, id));
    return bus_emit(session, type, key, payload);
}

int identity_emit_created(struct db_session *session, const struct user *user)
{
    return emit(session, "user.created", user->user_id,
                json_pack("{s:o, s:s, s:o, s:s}", "userId", json_id(user->user_id), "username",
                          user->username, "roles", roles_to_json(user->roles), "plan", user->plan));
}

int identity_emit_changed(struct db_session *session, int64_t user_id)
{
    return emit(session, "user.changed", user_id, json_pack("{s:o}", "userId", json_id(user_id)));
}

int identity_emit_deleted(struct db_session *session, int64_t user_id)
{
    return emit(session, "user.deleted", user_id, json_pack("{s:o}", "userId", json_id(user_id)));
}
