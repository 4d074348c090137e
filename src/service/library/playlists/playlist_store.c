/* SQL of playlists, their members and links (playlists.h): the users database. */
#include "service/library/playlists/playlists.h"

#include "service/page.h"
#include "service/store_util.h"

#include <string.h>

#define PLAYLIST_SELECT                                                                            \
    "SELECT p.id, p.owner_user_id, p.title, p.description, p.item_count, p.shared, p.revision, "   \
    "p.created_at, p.updated_at, m.access, p.rules FROM playlist_member m JOIN playlist p "        \
    "ON p.id = m.playlist_id WHERE m.user_id = $1 AND p.deleted_at IS NULL "

static int playlist_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct playlist_row *row = ret_row;
    *row = (struct playlist_row){.id = db_get_int(rows, 0),
                                 .owner_user_id = db_get_int(rows, 1),
                                 .title = row_text(arena, rows, 2),
                                 .description = row_text(arena, rows, 3),
                                 .item_count = db_get_int(rows, 4),
                                 .shared = db_get_int(rows, 5) != 0,
                                 .revision = db_get_int(rows, 6),
                                 .created_at = db_get_int(rows, 7),
                                 .updated_at = db_get_int(rows, 8),
                                 .access = access_of_word(db_get_text(rows, 9)),
                                 .rules = row_text(arena, rows, 10)};
    return row->title != NULL && row->description != NULL && row->rules != NULL ? 0 : ERR_NO_MEMORY;
}

int playlist_insert(struct db_session *session, const struct playlist_row *row)
{
    return changed_one(db_exec(
        session,
        "INSERT INTO playlist (id, owner_user_id, title, description, item_count, shared, "
        "revision, created_at, updated_at, rules) VALUES ($1, $2, $3, $4, $5, 0, 1, $6, $6, $7)",
        DB_BIND(db_int(row->id), db_int(row->owner_user_id), db_text(row->title),
                db_text(row->description), db_int(row->item_count), db_int(row->created_at),
                db_text(row->rules))));
}

int playlist_get(struct db_session *session, struct arena *arena, int64_t user_id, int64_t id,
                 struct playlist_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, PLAYLIST_SELECT "AND m.playlist_id = $2",
                         DB_BIND(db_int(user_id), db_int(id)));
    return error != 0 ? error : rows_first(rows, arena, playlist_read, ret_row);
}

int playlist_find(struct db_session *session, struct arena *arena, int64_t id,
                  struct playlist_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT id, owner_user_id, title, description, item_count, shared, "
                         "revision, created_at, updated_at, 'none', rules FROM playlist "
                         "WHERE id = $1 AND deleted_at IS NULL",
                         DB_BIND(db_int(id)));
    return error != 0 ? error : rows_first(rows, arena, playlist_read, ret_row);
}

int playlist_lock(struct db_session *session, int64_t id)
{
    return changed_one(db_exec(
        session, "UPDATE playlist SET revision = revision WHERE id = $1 AND deleted_at IS NULL",
        DB_BIND(db_int(id))));
}

int playlist_update(struct db_session *session, const struct playlist_row *row)
{
    return changed_one(
        db_exec(session,
                "UPDATE playlist SET title = $2, description = $3, item_count = $4, shared = $5, "
                "revision = $6, updated_at = $7, rules = $8 WHERE id = $1 AND deleted_at IS NULL",
                DB_BIND(db_int(row->id), db_text(row->title), db_text(row->description),
                        db_int(row->item_count), db_int(row->shared), db_int(row->revision),
                        db_int(row->updated_at), db_text(row->rules))));
}

int playlist_bury(struct db_session *session, int64_t id, int64_t now_ms)
{
    int error = changed_one(
        db_exec(session,
                "UPDATE playlist SET title = '', description = '', rules = '', item_count = 0, "
                "shared = 0, deleted_at = $2 WHERE id = $1 AND deleted_at IS NULL",
                DB_BIND(db_int(id), db_int(now_ms))));
    if (error == 0) {
        error = changed_any(db_exec(session, "DELETE FROM playlist_item WHERE playlist_id = $1",
                                    DB_BIND(db_int(id))));
    }
    if (error == 0) {
        error = changed_any(db_exec(session, "DELETE FROM playlist_member WHERE playlist_id = $1",
                                    DB_BIND(db_int(id))));
    }
    return error != 0
               ? error
               : changed_any(db_exec(session, "DELETE FROM playlist_link WHERE playlist_id = $1",
                                     DB_BIND(db_int(id))));
}

int playlist_list(struct db_session *session, struct arena *arena, int64_t user_id,
                  const struct list_place *place, struct playlist_list *ret_list)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error =
        db_query(session, &rows,
                 PLAYLIST_SELECT "AND m.playlist_id < $2 ORDER BY m.playlist_id DESC LIMIT $3",
                 DB_BIND(db_int(user_id), db_int(place->id), db_int(place->limit)));
    error = error != 0 ? error
                       : rows_collect(rows, arena, place->limit, sizeof *ret_list->rows,
                                      playlist_read, &list, &ret_list->count);
    ret_list->rows = list;
    return error;
}

int playlist_count(struct db_session *session, int64_t user_id, int64_t *ret_count)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows, "SELECT COUNT(*) FROM playlist_member WHERE user_id = $1",
                         DB_BIND(db_int(user_id)));
    return error != 0 ? error : rows_number(rows, ret_count);
}

int member_put(struct db_session *session, int64_t playlist_id, int64_t user_id, enum access access,
               int64_t now_ms)
{
    return changed_any(
        db_exec(session,
                "INSERT INTO playlist_member (user_id, playlist_id, access, joined_at) "
                "VALUES ($1, $2, $3, $4) ON CONFLICT (user_id, playlist_id) DO UPDATE SET "
                "access = excluded.access",
                DB_BIND(db_int(user_id), db_int(playlist_id), db_text(access_word(access)),
                        db_int(now_ms))));
}

int member_delete(struct db_session *session, int64_t playlist_id, int64_t user_id)
{
    return changed_one(
        db_exec(session, "DELETE FROM playlist_member WHERE user_id = $1 AND playlist_id = $2",
                DB_BIND(db_int(user_id), db_int(playlist_id))));
}

int member_count(struct db_session *session, int64_t playlist_id, int64_t *ret_count)
{
    struct db_rows *rows = NULL;
    int error =
        db_query(session, &rows, "SELECT COUNT(*) FROM playlist_member WHERE playlist_id = $1",
                 DB_BIND(db_int(playlist_id)));
    return error != 0 ? error : rows_number(rows, ret_count);
}

static int member_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct member_row *row = ret_row;
    *row = (struct member_row){.user_id = db_get_int(rows, 0),
                               .access = row_text(arena, rows, 1),
                               .joined_at = db_get_int(rows, 2)};
    return row->access != NULL ? 0 : ERR_NO_MEMORY;
}

int member_list(struct db_session *session, struct arena *arena, int64_t playlist_id,
                struct member_list *ret_list)
{
    struct db_rows *rows = NULL;
    void *list = NULL;
    int error = db_query(session, &rows,
                         "SELECT user_id, access, joined_at FROM playlist_member "
                         "WHERE playlist_id = $1 ORDER BY joined_at, user_id LIMIT $2",
                         DB_BIND(db_int(playlist_id), db_int(PLAYLIST_MEMBERS_MAX)));
    error = error != 0 ? error
                       : rows_collect(rows, arena, PLAYLIST_MEMBERS_MAX, sizeof *ret_list->rows,
                                      member_read, &list, &ret_list->count);
    ret_list->rows = list;
    return error;
}

int link_insert(struct db_session *session, const struct link_row *row)
{
    return changed_one(db_exec(
        session,
        "INSERT INTO playlist_link (token_hash, playlist_id, grants, created_at, "
        "expires_at) VALUES ($1, $2, $3, $4, $5)",
        DB_BIND(db_blob(row->hash, sizeof row->hash), db_int(row->playlist_id),
                db_text(row->grants), db_int(row->created_at), db_int_or_null(row->expires_at))));
}

static int link_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct link_row *row = ret_row;
    row->playlist_id = db_get_int(rows, 0);
    row->grants = row_text(arena, rows, 1);
    return row->grants != NULL ? 0 : ERR_NO_MEMORY;
}

int link_find(struct db_session *session, struct arena *arena,
              const unsigned char hash[LINK_HASH_BYTES], int64_t now_ms, struct link_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT playlist_id, grants FROM playlist_link WHERE token_hash = $1 "
                         "AND (expires_at IS NULL OR expires_at > $2)",
                         DB_BIND(db_blob(hash, LINK_HASH_BYTES), db_int(now_ms)));
    return error != 0 ? error : rows_first(rows, arena, link_read, ret_row);
}

int link_delete_shares(struct db_session *session, int64_t playlist_id)
{
    return changed_any(
        db_exec(session, "DELETE FROM playlist_link WHERE playlist_id = $1 AND grants = 'share'",
                DB_BIND(db_int(playlist_id))));
}

int link_delete_invites(struct db_session *session, int64_t playlist_id)
{
    return changed_any(
        db_exec(session, "DELETE FROM playlist_link WHERE playlist_id = $1 AND grants <> 'share'",
                DB_BIND(db_int(playlist_id))));
}

int link_count(struct db_session *session, int64_t playlist_id, int64_t *ret_count)
{
    struct db_rows *rows = NULL;
    int error =
        db_query(session, &rows, "SELECT COUNT(*) FROM playlist_link WHERE playlist_id = $1",
                 DB_BIND(db_int(playlist_id)));
    return error != 0 ? error : rows_number(rows, ret_count);
}

static int owned_ids(struct db_session *session, struct arena *arena, int64_t user_id,
                     int64_t **ret_ids, unsigned *ret_count)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT id FROM playlist WHERE owner_user_id = $1 AND deleted_at IS NULL",
                         DB_BIND(db_int(user_id)));
    return error != 0 ? error : rows_ids(rows, arena, ret_ids, ret_count);
}

static int source_read(struct db_rows *rows, struct arena *arena, void *ret_row)
{
    struct source_row *row = ret_row;
    *row = (struct source_row){.id = db_get_int(rows, 0),
                               .playlist_id = db_get_int(rows, 1),
                               .owner_user_id = db_get_int(rows, 2),
                               .title = row_text(arena, rows, 3),
                               .items_hash = row_text(arena, rows, 4)};
    return row->title != NULL && row->items_hash != NULL ? 0 : ERR_NO_MEMORY;
}

int source_get(struct db_session *session, struct arena *arena, int64_t id,
               struct source_row *ret_row)
{
    struct db_rows *rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT source_id, playlist_id, owner_user_id, title, items_hash "
                         "FROM playlist_source WHERE source_id = $1",
                         DB_BIND(db_int(id)));
    return error != 0 ? error : rows_first(rows, arena, source_read, ret_row);
}

int source_put(struct db_session *session, const struct source_row *row)
{
    return changed_one(
        db_exec(session,
                "INSERT INTO playlist_source (source_id, playlist_id, owner_user_id, title, "
                "items_hash) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (source_id) DO UPDATE SET "
                "title = excluded.title, items_hash = excluded.items_hash",
                DB_BIND(db_int(row->id), db_int(row->playlist_id), db_int(row->owner_user_id),
                        db_text(row->title), db_text(row->items_hash))));
}

int playlist_erase_person(struct db_session *session, int64_t user_id, int64_t now_ms)
{
    int64_t *ids = NULL;
    unsigned count = 0;
    struct arena *arena = arena_new(0);
    int error = arena != NULL ? owned_ids(session, arena, user_id, &ids, &count) : ERR_NO_MEMORY;
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = playlist_bury(session, ids[i], now_ms);
    }
    arena_free(arena);
    if (error == 0) {
        error = changed_any(db_exec(session, "DELETE FROM playlist_source WHERE owner_user_id = $1",
                                    DB_BIND(db_int(user_id))));
    }
    if (error == 0) {
        error = changed_any(db_exec(session, "DELETE FROM playlist_member WHERE user_id = $1",
                                    DB_BIND(db_int(user_id))));
    }
    return error;
}
