/* Answers as bytes in the cache (resource.h). */
#include "service/catalog/resource.h"

#include "backend/cache/cache.h"
#include "base/error.h"
#include "base/id.h"
#include "service/catalog/catalog_json.h"
#include "service/catalog/catalog_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_TTL_MS = 5000, KEY_MAX = 64 };

struct answer_head {
    int64_t owner_user_id;
    int64_t revision; /* 0: no ETag */
    int32_t published;
    int32_t settled; /* no worker is at it, nothing is stale: its ETag tells all */
};

static const char *const words[] = {"artist", "album", "track"};

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
    struct answer_head head;
    memcpy(&head, bytes, sizeof head);
    if (!catalog_sees(&request->call.actor, head.owner_user_id, head.published != 0)) {
        return ERR_NOT_FOUND;
    }
    bool fresh = false;
    error = answer_headers(request, &head, &fresh);
    if (error != 0) {
        return error;
    }
    return fresh ? reply_empty(request, 304)
                 : reply_bytes(request, 200, "application/json", bytes + sizeof head,
                               length - sizeof head, true);
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
    load->head =
        (struct answer_head){row.owner_user_id, row.revision, true, row.pending_art_id == 0};
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
    load->head =
        (struct answer_head){row.owner_user_id, row.revision, strcmp(row.status, "published") == 0,
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
    load->head = (struct answer_head){row.owner_user_id, row.revision, row.published, row.settled};
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
    int error = db_read(load->catalog->db, load_work, load);
    if (error != 0) {
        json_decref(load->object);
        return error;
    }
    return answer_pack(&load->head, load->object, ret_bytes, ret_length);
}

int resource_get(struct request *request, enum catalog_kind kind)
{
    struct catalog *catalog = request->context;
    struct load load = {.catalog = catalog, .arena = request->call.arena, .kind = kind};
    int error = request_param_id(request, "id", &load.id);
    if (error != 0) {
        return error;
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

void resource_forget(struct catalog *catalog, enum catalog_kind kind, int64_t id)
{
    char key[KEY_MAX];
    resource_key(key, kind, id);
    cache_drop(catalog->cache, key);
    if (kind == CATALOG_TRACK) {
        (void)snprintf(key, sizeof key, "play:%" PRId64, id);
        cache_drop(catalog->cache, key);
    }
    atomic_fetch_add(&catalog->generation, 1);
}

void list_key(struct request *request, struct list_answer *answer, const char *name, int64_t parent,
              const char *filter)
{
    struct catalog *catalog = request->context;
    const char *limit = request_query(request, "limit");
    const char *cursor = request_query(request, "cursor");
    int length = snprintf(answer->key, sizeof answer->key, "%s:%" PRIu64 ":%" PRId64 ":%s:%s:%s",
                          name, atomic_load(&catalog->generation), parent, filter,
                          limit != NULL ? limit : "", cursor != NULL ? cursor : "");
    if (length < 0 || (size_t)length >= sizeof answer->key) {
        answer->key[0] = '\0';
    }
}

int list_cached(struct request *request, const struct list_answer *answer)
{
    struct catalog *catalog = request->context;
    struct cache_entry *entry =
        answer->key[0] != '\0' ? cache_get(catalog->cache, answer->key) : NULL;
    if (entry != NULL) {
        return answer_entry(request, entry);
    }
    return request_may_block(request) ? ERR_NOT_FOUND : REQUEST_TO_POOL;
}

int list_reply(struct request *request, const struct list_answer *answer, json_t *page)
{
    struct catalog *catalog = request->context;
    const struct answer_head head = {answer->owner_user_id, 0, answer->published, true};
    void *bytes = NULL;
    size_t length = 0;
    int error = answer_pack(&head, page, &bytes, &length);
    if (error != 0) {
        return error;
    }
    if (answer->key[0] != '\0') {
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
