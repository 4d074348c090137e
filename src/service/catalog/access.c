/* Who may see and change what: the only place of that rule (catalog.h). Everything else asks here,
 * either inside its own transaction (catalog_permit) or on its own (catalog_may_…). */
#include "service/catalog/catalog_internal.h"

#include "base/error.h"
#include "service/catalog/access_store.h"
#include "service/catalog/shelves.h"

enum seen catalog_sees(const struct actor *actor, const struct sight *sight)
{
    if ((actor->roles & (unsigned)(ROLE_ADMIN | ROLE_SYSTEM)) != 0 ||
        (actor->user_id != 0 && actor->user_id == sight->owner_user_id)) {
        return SIGHT_YES;
    }
    if (!sight->published) {
        return SIGHT_NO;
    }
    return sight->shelf_id == 0 ? SIGHT_YES : actor->user_id != 0 ? SIGHT_ASK : SIGHT_NO;
}

int catalog_sees_in(struct db_session *session, const struct actor *actor,
                    const struct sight *sight)
{
    bool open = false;
    enum seen seen = catalog_sees(actor, sight);
    int error = seen == SIGHT_ASK ? shelf_is_open(session, sight->shelf_id, actor, &open) : 0;
    return error != 0 ? error : seen == SIGHT_YES || open ? 0 : ERR_NOT_FOUND;
}

struct entering {
    const struct actor *actor;
    const struct sight *sight;
};

static int enter_work(struct db_session *session, void *argument)
{
    const struct entering *entering = argument;
    return catalog_sees_in(session, entering->actor, entering->sight);
}

int catalog_enters(struct catalog *catalog, const struct actor *actor, const struct sight *sight)
{
    struct entering entering = {actor, sight};
    return db_read(catalog->db, enter_work, &entering);
}

/* For something that may be seen. */
static int permit_change(struct call *call, int64_t owner_user_id, enum catalog_want want)
{
    if (call_is(call, ROLE_SYSTEM)) {
        return 0;
    }
    bool own = call->actor.user_id != 0 && call->actor.user_id == owner_user_id;
    if (own && call_is(call, ROLE_ARTIST)) {
        return 0;
    }
    if (want == CATALOG_DELETE && call_is(call, ROLE_ADMIN)) {
        return 0;
    }
    return problem_set(&call->problem, ERR_FORBIDDEN,
                       own ? "Only an artist changes music; POST /api/v1/me/artist makes you one"
                           : "It belongs to another artist");
}

int catalog_permit(struct db_session *session, struct call *call, enum catalog_kind kind,
                   int64_t id, enum catalog_want want)
{
    struct sight sight;
    int error = access_find(session, kind, id, &sight);
    error = error != 0 ? error : catalog_sees_in(session, &call->actor, &sight);
    if (error != 0) {
        return error;
    }
    return want == CATALOG_SEE ? 0 : permit_change(call, sight.owner_user_id, want);
}

bool catalog_sees_drafts(const struct actor *actor, const struct sight *sight)
{
    const struct sight draft = {.owner_user_id = sight->owner_user_id};
    return catalog_sees(actor, &draft) == SIGHT_YES;
}

int catalog_permit_drafts(struct db_session *session, struct call *call, int64_t artist_id,
                          bool *ret_drafts)
{
    struct sight sight;
    int error = access_find(session, CATALOG_ARTIST, artist_id, &sight);
    error = error != 0 ? error : catalog_sees_in(session, &call->actor, &sight);
    if (error != 0) {
        return error;
    }
    *ret_drafts = catalog_sees_drafts(&call->actor, &sight);
    return 0;
}

struct permit {
    struct call *call;
    enum catalog_kind kind;
    int64_t id;
    enum catalog_want want;
};

static int permit_work(struct db_session *session, void *argument)
{
    struct permit *permit = argument;
    return catalog_permit(session, permit->call, permit->kind, permit->id, permit->want);
}

int catalog_may_see(struct catalog *catalog, struct call *call, enum catalog_kind kind, int64_t id)
{
    struct permit permit = {.call = call, .kind = kind, .id = id, .want = CATALOG_SEE};
    return db_read(catalog->db, permit_work, &permit);
}

int catalog_may_edit(struct catalog *catalog, struct call *call, enum catalog_kind kind, int64_t id)
{
    struct permit permit = {.call = call, .kind = kind, .id = id, .want = CATALOG_EDIT};
    return db_read(catalog->db, permit_work, &permit);
}
