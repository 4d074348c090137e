/* Who may see and change what: the only place of that rule (catalog.h). Everything else asks here,
 * either inside its own transaction (catalog_permit) or on its own (catalog_may_…). */
#include "service/catalog/catalog_internal.h"

#include "base/error.h"
#include "service/catalog/access_store.h"

bool catalog_sees(const struct actor *actor, int64_t owner_user_id, bool published)
{
    if (published || (actor->roles & (unsigned)(ROLE_ADMIN | ROLE_SYSTEM)) != 0) {
        return true;
    }
    return actor->user_id != 0 && actor->user_id == owner_user_id;
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
    int64_t owner_user_id = 0;
    bool published = false;
    int error = access_find(session, kind, id, &owner_user_id, &published);
    if (error != 0) {
        return error;
    }
    if (!catalog_sees(&call->actor, owner_user_id, published)) {
        return ERR_NOT_FOUND;
    }
    return want == CATALOG_SEE ? 0 : permit_change(call, owner_user_id, want);
}

int catalog_permit_drafts(struct db_session *session, struct call *call, int64_t artist_id,
                          bool *ret_drafts)
{
    int64_t owner_user_id = 0;
    bool published = false;
    int error = access_find(session, CATALOG_ARTIST, artist_id, &owner_user_id, &published);
    if (error != 0) {
        return error;
    }
    *ret_drafts = catalog_sees(&call->actor, owner_user_id, false);
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
