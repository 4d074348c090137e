/* Routes of who else has a playlist: invitations, members, and links that strangers open. A token
 * is 128 random bits and told once; the database keeps its hash. Handlers run on the pool; memory
 * is the request's arena. */
#include "service/library/playlists/playlist_work.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "service/fields.h"
#include "service/library/lists.h"

#include <sodium.h>
#include <string.h>

enum { TOKEN_BYTES = 16, TOKEN_SIZE = 23 /* in base64url, with its NUL */ };
static const int64_t INVITE_MS = INT64_C(7) * 24 * 3600 * 1000;

static void hash_token(const char *token, unsigned char hash[LINK_HASH_BYTES])
{
    (void)crypto_generichash(hash, LINK_HASH_BYTES, (const unsigned char *)token, strlen(token),
                             NULL, 0);
}

struct new_link {
    char token[TOKEN_SIZE];
    const char *grants;
    bool is_share;
};

static void make_token(struct new_link *link)
{
    unsigned char bytes[TOKEN_BYTES];
    randombytes_buf(bytes, sizeof bytes);
    (void)sodium_bin2base64(link->token, sizeof link->token, bytes, sizeof bytes,
                            sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static json_t *link_json(const struct new_link *link, const struct link_row *row)
{
    return link->is_share
               ? json_pack("{s:s, s:s+}", "token", link->token, "path", "/shared/", link->token)
               : json_pack("{s:s, s:s, s:I}", "token", link->token, "access", row->grants,
                           "expiresAt", (json_int_t)row->expires_at);
}

/* Sharing is shown (and counted) in the playlist; an invitation is not. */
static int link_work(struct db_session *session, struct edit *edit)
{
    const struct new_link *link = edit->fields;
    struct playlist_row playlist;
    struct link_row row = {.playlist_id = edit->id,
                           .grants = link->grants,
                           .created_at = edit->now_ms,
                           .expires_at = link->is_share ? 0 : edit->now_ms + INVITE_MS};
    int64_t count = 0;
    hash_token(link->token, row.hash);
    int error = playlist_open(session, edit, ACCESS_OWNER, &playlist);
    error = error != 0 ? error : link_count(session, edit->id, &count);
    if (error == 0 && count >= PLAYLIST_LINKS_MAX) {
        return problem_set(&edit->call->problem, ERR_QUOTA,
                           "There are %d links to this playlist; revoke some", PLAYLIST_LINKS_MAX);
    }
    error = error != 0 ? error : link_insert(session, &row);
    if (error == 0 && link->is_share && !playlist.shared) {
        playlist.shared = true;
        error = playlist_close(session, edit, &playlist);
    }
    return error != 0 ? error : edit_answer(edit, link_json(link, &row), 0);
}

static int make_link(struct request *request, struct new_link *link)
{
    struct edit edit = {
        .request = request, .fields = link, .is_secret = true, .work = link_work, .status = 201};
    make_token(link);
    int error = request_param_id(request, "id", &edit.id);
    return error != 0 ? error : edit_run(&edit);
}

int share_post(struct request *request)
{
    struct new_link link = {.grants = "share", .is_share = true};
    return make_link(request, &link);
}

int invite_post(struct request *request)
{
    static const char *const words[] = {"edit", "view", NULL};
    struct new_link link = {.grants = "edit"};
    json_t *body = NULL;
    bool there = false;
    int error = request_json(request, &body);
    error = error != 0 ? error
                       : field_word(&request->call, body, "access", words, &link.grants, &there);
    return error != 0 ? error : make_link(request, &link);
}

static int unshare_work(struct db_session *session, struct edit *edit)
{
    struct playlist_row row;
    int error = playlist_open(session, edit, ACCESS_OWNER, &row);
    error = error != 0 ? error : link_delete_shares(session, row.id);
    if (error == 0 && row.shared) {
        row.shared = false;
        error = playlist_close(session, edit, &row);
    }
    return error;
}

int share_delete(struct request *request)
{
    return edit_by_id(request, unshare_work, 204);
}

static int uninvite_work(struct db_session *session, struct edit *edit)
{
    struct playlist_row row;
    int error = playlist_open(session, edit, ACCESS_OWNER, &row);
    return error != 0 ? error : link_delete_invites(session, row.id);
}

int invite_delete(struct request *request)
{
    return edit_by_id(request, uninvite_work, 204);
}

/* ---- joining and leaving ---- */

static int no_link(struct call *call)
{
    return problem_set(&call->problem, ERR_NOT_FOUND,
                       "The link was revoked, has run out, or never was one");
}

static int join_work(struct db_session *session, struct edit *edit)
{
    struct call *call = edit->call;
    struct link_row link;
    struct playlist_row row;
    int64_t members = 0;
    hash_token(edit->fields, link.hash);
    int error = link_find(session, call->arena, link.hash, edit->now_ms, &link);
    if (error == ERR_NOT_FOUND || (error == 0 && strcmp(link.grants, "share") == 0)) {
        return no_link(call);
    }
    edit->id = link.playlist_id;
    error = error != 0 ? error : playlist_lock(session, link.playlist_id);
    error = error != 0 ? error : member_count(session, link.playlist_id, &members);
    error = error != 0
                ? error
                : playlist_get(session, call->arena, call->actor.user_id, link.playlist_id, &row);
    bool is_member = error == 0;
    if ((error == ERR_NOT_FOUND || error == 0) && !is_member && members >= PLAYLIST_MEMBERS_MAX) {
        return problem_set(&call->problem, ERR_QUOTA, "This playlist has %d members, which is all",
                           PLAYLIST_MEMBERS_MAX);
    }
    error = error == ERR_NOT_FOUND ? 0 : error;
    if (error == 0 && !is_member) {
        error = playlist_room(session, call);
    }
    bool gains = error == 0 && (!is_member || row.access < access_of_word(link.grants));
    if (gains) {
        error = member_put(session, link.playlist_id, call->actor.user_id,
                           access_of_word(link.grants), edit->now_ms);
    }
    error = error != 0
                ? error
                : playlist_get(session, call->arena, call->actor.user_id, link.playlist_id, &row);
    if (error == 0 && gains) { /* its answers show what one may do */
        error = playlist_close(session, edit, &row);
    }
    return error != 0 ? error : edit_answer(edit, playlist_json(&row), row.revision);
}

int join_post(struct request *request)
{
    json_t *body = NULL;
    int error = request_json(request, &body);
    const char *token = json_string_value(json_object_get(body, "token"));
    if (error == 0 && token == NULL) {
        error = problem_field(&request->call.problem, "token", "is required");
    }
    struct edit edit = {.request = request, .fields = token, .work = join_work, .status = 200};
    return error != 0 ? error : edit_run(&edit);
}

static int remove_member_work(struct db_session *session, struct edit *edit)
{
    struct playlist_row row;
    int64_t user_id = *(const int64_t *)edit->fields;
    bool self = user_id == edit->call->actor.user_id;
    int error = playlist_open(session, edit, self ? ACCESS_VIEW : ACCESS_OWNER, &row);
    if (error == 0 && user_id == row.owner_user_id) {
        return problem_set(&edit->call->problem, ERR_CONFLICT,
                           "The owner can't leave; delete the playlist");
    }
    return error != 0 ? error : member_delete(session, row.id, user_id);
}

int member_delete_one(struct request *request)
{
    int64_t user_id = 0;
    struct edit edit = {
        .request = request, .fields = &user_id, .work = remove_member_work, .status = 204};
    int error = request_param_id(request, "id", &edit.id);
    error = error != 0 ? error : request_param_id(request, "userId", &user_id);
    return error != 0 ? error : edit_run(&edit);
}

struct members {
    struct arena *arena;
    int64_t playlist_id;
    struct member_list list;
};

static int members_work(struct db_session *session, void *argument)
{
    struct members *members = argument;
    return member_list(session, members->arena, members->playlist_id, &members->list);
}

int members_get(struct request *request)
{
    struct library *library = request->context;
    struct members members = {.arena = request->call.arena};
    struct playlist_row row;
    int error = request_param_id(request, "id", &members.playlist_id);
    error = error != 0 ? error : playlist_look(library, &request->call, members.playlist_id, &row);
    error = error != 0 ? error : db_read(library->users, members_work, &members);
    if (error != 0) {
        return error;
    }
    json_t *items = json_array();
    for (unsigned i = 0; i < members.list.count; i++) {
        const struct member_row *member = &members.list.rows[i];
        (void)json_array_append_new(
            items, json_pack("{s:o, s:s, s:I}", "userId", json_id(member->user_id), "access",
                             member->access, "joinedAt", (json_int_t)member->joined_at));
    }
    return lists_reply_private(request, json_pack("{s:o, s:n}", "items", items, "next"));
}

/* ---- strangers ---- */

struct opening {
    struct call *call;
    unsigned char hash[LINK_HASH_BYTES];
    struct playlist_row row;
};

static int open_work(struct db_session *session, void *argument)
{
    struct opening *opening = argument;
    struct link_row link;
    int error = link_find(session, opening->call->arena, opening->hash, clock_wall_ms(), &link);
    if (error == 0 && strcmp(link.grants, "share") != 0) {
        return ERR_NOT_FOUND;
    }
    return error != 0
               ? error
               : playlist_find(session, opening->call->arena, link.playlist_id, &opening->row);
}

/* From here on the request is nobody's: it sees what anybody would, whoever asks. */
static int open_shared(struct request *request, struct playlist_row *ret_row)
{
    struct library *library = request->context;
    struct opening opening = {.call = &request->call};
    hash_token(request_param(request, "token"), opening.hash);
    int error = db_read(library->users, open_work, &opening);
    if (error == ERR_NOT_FOUND) {
        return no_link(&request->call);
    }
    request->call.actor = (struct actor){.user_id = 0};
    *ret_row = opening.row;
    return error;
}

int shared_get(struct request *request)
{
    struct playlist_row row = {.rules = ""};
    json_t *page = NULL;
    int error = open_shared(request, &row);
    error = error != 0 ? error : playlist_items_page(request, &row, true, &page);
    if (error != 0) {
        return error;
    }
    bool smart = row.rules[0] != '\0';
    return lists_reply_private(
        request,
        json_pack("{s:s, s:s, s:o, s:b, s:I, s:o}", "title", row.title, "description",
                  row.description, "itemCount", smart ? json_null() : json_integer(row.item_count),
                  "smart", smart, "updatedAt", (json_int_t)row.updated_at, "tracks", page));
}

int shared_export_get(struct request *request)
{
    struct playlist_row row;
    int error = open_shared(request, &row);
    return error != 0 ? error : playlist_export(request, &row);
}

int shared_cover_get(struct request *request)
{
    struct playlist_row row;
    int error = open_shared(request, &row);
    return error != 0 ? error : playlist_cover(request, &row);
}
