/* Answers as bytes in the cache (resource.h). */
#include "service/catalog/resource.h"

#include "backend/cache/cache.h"
#include "base/error.h"
#include "base/id.h"
#include "service/catalog/catalog_json.h"
#include "service/catalog/catalog_rows.h"
#include "service/catalog/watch.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_TTL_MS = 5000, KEY_MAX = 64, FORGET_AT_ONCE = 128 };

struct answer_head {
    struct sight sight;
    int64_t revision; /* 0: no ETag */
    bool settled;     /* no worker is at it, nothing is stale: its ETag tells all */
};

/* With the number of this form, since processes of two versions may share a cache. */
static const char *const words[] = {"artist2", "album2", "track2"};

static void resource_key(char key[KEY_MAX], enum catalog_kind kind, int64_t id)
{
    char *at = stpcpy(key, words[kind]);
    *at++ = ':';
    (void)id_format(id, at);
}

static void unref(void *entry)
{
    cache_entry_unref(entry);
}

/* While a worker is at it the answer is not to be stored, since the ETag (what clients wrote) stays
 * the same: a stored copy would be taken for fresh. */
static int answer_headers(struct request *request, const struct answer_head *head, bool *ret_fresh)
{
    *ret_fresh = false;
    int error =
        reply_header(request, "Cache-Control", head->settled ? "private, no-cache" : "no-store");
    if (error != 0 || head->revision == 0) {
        return error;
    }
    char etag[ID_TEXT_SIZE + 2] = "\"";
    size_t digits = strlen(id_format(head->revision, etag + 1));
    memcpy(etag + 1 + digits, "\"", 2);
    *ret_fresh = head->settled && request_is_fresh(request, etag);
    return reply_header(request, "ETag", etag);
}

/* Of bytes that stay until the request's end. */
static int answer_bytes(struct request *request, const char *bytes, size_t length)
{
    struct answer_head head;
    assert(length >= sizeof head);
    memcpy(&head, bytes, sizeof head);
    enum seen seen = catalog_sees(&request->call.actor, &head.sight);
    if (seen == SIGHT_ASK && !request_may_block(request)) {
        return REQUEST_TO_POOL;
    }
    int error = seen == SIGHT_YES ? 0
                : seen == SIGHT_ASK
                    ? catalog_enters(request->context, &request->call.actor, &head.sight)
                    : ERR_NOT_FOUND;
    bool fresh = false;
    error = error != 0 ? error : answer_headers(request, &head, &fresh);
    if (error != 0) {
        return error;
    }
    return fresh ? reply_empty(request, 304)
                 : reply_bytes(request, 200, "application/json", bytes + sizeof head,
                               length - sizeof head, true);
}

/* Takes the entry's reference. */
static int answer_entry(struct request *request, struct cache_entry *entry)
{
    int error = arena_at_end(request->call.arena, unref, entry);
    if (error != 0) {
        cache_entry_unref(entry);
        return error;
    }
    size_t length = 0;
    const char *bytes = cache_entry_bytes(entry, &length);
    return answer_bytes(request, bytes, length);
}

/* Head and text in one malloc'ed block. Takes the reference. */
static int answer_pack(const struct answer_head *head, json_t *object, void **ret_bytes,
                       size_t *ret_length)
{
    if (object == NULL) {
        return ERR_NO_MEMORY;
    }
    size_t length = json_dumpb(object, NULL, 0, JSON_COMPACT);
    char *bytes = length > 0 ? malloc(sizeof *head + length) : NULL;
    if (bytes != NULL) {
        memcpy(bytes, head, sizeof *head);
        (void)json_dumpb(object, bytes + sizeof *head, length, JSON_COMPACT);
    }
    json_decref(object);
    if (bytes == NULL) {
        return ERR_NO_MEMORY;
    }
    *ret_bytes = bytes;
    *ret_length = sizeof *head + length;
    return 0;
}

struct load {
    struct catalog *catalog;
    struct arena *arena;
    enum catalog_kind kind;
    int64_t id;
    struct answer_head head;
    json_t *object;
};

static int load_artist(struct db_session *session, struct load *load)
{
    struct artist_row row;
    int error = artist_get(session, load->arena, load->id, &row);
    if (error != 0) {
        return error;
    }
    load->head = (struct answer_head){{row.owner_user_id, true, row.shelved ? row.shelf_id : 0},
                                      row.revision,
                                      row.pending_art_id == 0};
    load->object = artist_json(&row);
    return 0;
}

static int load_album(struct db_session *session, struct load *load)
{
    struct album_row row;
    int error = album_get(session, load->arena, load->id, &row);
    if (error != 0) {
        return error;
    }
    load->head = (struct answer_head){
        {row.owner_user_id, strcmp(row.status, "published") == 0, row.shelved ? row.shelf_id : 0},
        row.revision,
        row.working == 0 && row.pending_art_id == 0 && !row.stale};
    load->object = album_json(&row);
    return 0;
}

static int load_track(struct db_session *session, struct load *load)
{
    struct track_row row;
    int error = track_get(session, load->arena, load->id, &row);
    if (error != 0) {
        return error;
    }
    load->head =
        (struct answer_head){{row.owner_user_id, row.published, row.shelved ? row.shelf_id : 0},
                             row.revision,
                             row.settled};
    load->object = track_json(&row);
    return 0;
}

static int load_work(struct db_session *session, void *argument)
{
    struct load *load = argument;
    json_decref(load->object);
    load->object = NULL;
    return load->kind == CATALOG_ARTIST  ? load_artist(session, load)
           : load->kind == CATALOG_ALBUM ? load_album(session, load)
                                         : load_track(session, load);
}

static int load_bytes(void *argument, void **ret_bytes, size_t *ret_length)
{
    struct load *load = argument;
    db_view_need(load->catalog->db, watch_position(load->catalog->watch));
    int error = db_read(load->catalog->db, load_work, load);
    if (error != 0) {
        json_decref(load->object);
        return error;
    }
    return answer_pack(&load->head, load->object, ret_bytes, ret_length);
}

/* For who has written what the caches have not heard of. */
static int answer_uncached(struct request *request, struct load *load)
{
    if (!request_may_block(request)) {
        return REQUEST_TO_POOL;
    }
    void *bytes = NULL;
    size_t length = 0;
    int error = load_bytes(load, &bytes, &length);
    error = error != 0 ? error : arena_at_end(request->call.arena, free, bytes);
    if (error != 0) {
        free(bytes);
        return error;
    }
    return answer_bytes(request, bytes, length);
}

int resource_get(struct request *request, enum catalog_kind kind)
{
    struct catalog *catalog = request->context;
    struct load load = {.catalog = catalog, .arena = request->call.arena, .kind = kind};
    int error = request_param_id(request, "id", &load.id);
    if (error != 0) {
        return error;
    }
    if (watch_is_behind(catalog->watch)) {
        return answer_uncached(request, &load);
    }
    char key[KEY_MAX];
    resource_key(key, kind, load.id);
    struct cache_entry *entry = cache_get(catalog->cache, key);
    if (entry == NULL && !request_may_block(request)) {
        return REQUEST_TO_POOL;
    }
    if (entry == NULL) {
        error = cache_load(catalog->cache, key, ANSWER_TTL_MS, load_bytes, &load, &entry);
    }
    return error != 0 ? error : answer_entry(request, entry);
}

/* A track is cached as an answer and as something to play. Returns the keys written. */
static unsigned forget_keys(const struct resource_name *name, char keys[2][KEY_MAX])
{
    resource_key(keys[0], name->kind, name->id);
    if (name->kind != CATALOG_TRACK) {
        return 1;
    }
    (void)snprintf(keys[1], KEY_MAX, PLAYABLE_KEY, name->id);
    return 2;
}

static void forget_some(struct catalog *catalog, const struct resource_name *names, unsigned count)
{
    char keys[2 * FORGET_AT_ONCE][KEY_MAX];
    const char *pointers[2 * FORGET_AT_ONCE];
    unsigned used = 0;
    for (unsigned i = 0; i < count; i++) {
        used += forget_keys(&names[i], keys + used);
    }
    for (unsigned i = 0; i < used; i++) {
        pointers[i] = keys[i];
    }
    cache_drop_all(catalog->cache, pointers, used);
    (void)atomic_fetch_add(&catalog->generation, 1);
}

void resource_forget_all(struct catalog *catalog, const struct resource_name *names, unsigned count)
{
    for (unsigned done = 0; done < count; done += FORGET_AT_ONCE) {
        unsigned some = count - done < FORGET_AT_ONCE ? count - done : FORGET_AT_ONCE;
        forget_some(catalog, names + done, some);
    }
}

void resource_forget(struct catalog *catalog, enum catalog_kind kind, int64_t id)
{
    resource_forget_all(catalog, &(struct resource_name){kind, id}, 1);
}

void list_key(struct request *request, struct list_answer *answer, const char *name, int64_t parent,
              const char *filter)
{
    struct catalog *catalog = request->context;
    answer->key[0] = '\0';
    bool own = shelves_of(request, &answer->shelves); /* also of lists that are not cached */
    if (own || watch_is_behind(catalog->watch)) {
        return; /* others see something else; or nothing that the caches know is new enough */
    }
    db_view_need(catalog->db, watch_position(catalog->watch));
    const char *limit = request_query(request, "limit");
    const char *cursor = request_query(request, "cursor");
    int length = snprintf(answer->key, sizeof answer->key, "%s:%" PRIu64 ":%" PRId64 ":%s:%s:%s",
                          name, atomic_load(&catalog->generation), parent, filter,
                          limit != NULL ? limit : "", cursor != NULL ? cursor : "");
    if (length < 0 || (size_t)length >= sizeof answer->key) {
        answer->key[0] = '\0';
    }
}

/* What is cached shows no drafts: who sees them sees another list. */
static bool is_for(const struct request *request, const struct list_answer *answer,
                   const struct cache_entry *entry)
{
    struct answer_head head;
    size_t length = 0;
    memcpy(&head, cache_entry_bytes(entry, &length), sizeof head);
    return !answer->drafts || !catalog_sees_drafts(&request->call.actor, &head.sight);
}

int list_cached(struct request *request, const struct list_answer *answer)
{
    struct catalog *catalog = request->context;
    struct cache_entry *entry =
        answer->key[0] != '\0' ? cache_get(catalog->cache, answer->key) : NULL;
    if (entry != NULL && !is_for(request, answer, entry)) {
        cache_entry_unref(entry);
        entry = NULL;
    }
    if (entry != NULL) {
        return answer_entry(request, entry);
    }
    return request_may_block(request) ? ERR_NOT_FOUND : REQUEST_TO_POOL;
}

int list_reply(struct request *request, const struct list_answer *answer, json_t *page)
{
    struct catalog *catalog = request->context;
    const struct answer_head head = {answer->sight, 0, true};
    void *bytes = NULL;
    size_t length = 0;
    int error = answer_pack(&head, page, &bytes, &length);
    if (error != 0) {
        return error;
    }
    bool drafts = answer->drafts && catalog_sees_drafts(&request->call.actor, &answer->sight);
    if (answer->key[0] != '\0' && answer->sight.shelf_id == 0 && !drafts) {
        cache_put(catalog->cache, answer->key, bytes, length, ANSWER_TTL_MS);
    }
    error = reply_header(request, "Cache-Control", "private, no-cache");
    if (error == 0) {
        error = reply_bytes(request, 200, "application/json", (char *)bytes + sizeof head,
                            length - sizeof head, false);
    }
    free(bytes);
    return error;
}
