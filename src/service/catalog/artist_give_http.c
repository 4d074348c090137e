/* PUT /artists/{id}/owner: an admin gives an imported artist, with all of its music, to an artist's
 * account. Runs on the pool; memory is the request's arena. */
#include "service/catalog/catalog_http.h"

#include "base/error.h"
#include "base/json.h"
#include "service/catalog/catalog_json.h"
#include "service/catalog/change.h"
#include "service/catalog/import_store.h"
#include "service/fields.h"
#include "service/identity/identity.h"

/* Imports find the page by its name, not by whose it is, and go on with it. */
static int give_work(struct db_session *session, struct change *change)
{
    const int64_t *user_id = change->fields;
    struct arena *arena = change->call->arena;
    struct artist_row row;
    int error = catalog_permit(session, change->call, CATALOG_ARTIST, change->id, CATALOG_SEE);
    error = error != 0 ? error : artist_get(session, arena, change->id, &row);
    error = error != 0 ? error : request_if_match(change->request, row.revision);
    if (error == 0 && !row.imported) {
        error = problem_set(&change->call->problem, ERR_FORBIDDEN,
                            "Who made this page keeps it; only what was imported is given");
    }
    if (error == 0) {
        error = import_artist_owner_set(session, row.id, *user_id, change->now_ms);
    }
    error = error != 0 ? error : import_files_owner_set(session, row.id, *user_id);
    error = error != 0 ? error : change_emit(session, CATALOG_ARTIST, row.id, "artist.changed");
    error = error != 0 ? error : change_touch_artist(session, change, row.id);
    error = error != 0 ? error : artist_get(session, arena, row.id, &row);
    return error != 0 ? error : change_answer(change, artist_json(&row), row.revision);
}

int artist_owner_put(struct request *request)
{
    struct catalog *catalog = request->context;
    struct call *call = &request->call;
    json_t *body = NULL;
    int64_t user_id = 0;
    bool there = false;
    struct change change = {.catalog = catalog,
                            .request = request,
                            .fields = &user_id,
                            .work = give_work,
                            .status = 200};
    int error = request_param_id(request, "id", &change.id);
    error = error != 0 ? error : request_json(request, &body);
    error = error != 0 ? error : field_id(call, body, "userId", &user_id, &there);
    error = error != 0 ? error : field_required(call, "userId", there && user_id != 0);
    if (error == 0) {
        error = identity_has_role(catalog->identity, call, user_id, ROLE_ARTIST);
        error = error == ERR_NOT_FOUND
                    ? problem_field(&call->problem, "userId", "names no artist's account")
                    : error;
    }
    return error != 0 ? error : change_run(&change);
}
