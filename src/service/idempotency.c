/* Idempotency-Key (idempotency.h). begin puts a row with status 0 in first: whoever comes second
 * finds it there, and a write that fails takes it away with itself. */
#include "service/idempotency.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const int64_t KEPT_MS = 24LL * 60 * 60 * 1000;

int idempotency_from_request(struct request *request, struct idempotency *ret_once)
{
    *ret_once = (struct idempotency){
        .user_id = request->call.actor.user_id, .now_ms = clock_wall_ms(), .body = ""};
    const char *key;
    int error = request_idempotency_key(request, &key);
    if (error != 0 || key == NULL || ret_once->user_id == 0) {
        return error;
    }
    size_t length;
    const void *body = request_body(request, &length);
    const char *query = strchrnul(request->target, '?');
    crypto_generichash_state hash;
    (void)crypto_generichash_init(&hash, NULL, 0, sizeof ret_once->hash);
    /* With NULs between, so that what stands in another part is another request. */
    (void)crypto_generichash_update(&hash, (const unsigned char *)request->method,
                                    strlen(request->method) + 1);
    (void)crypto_generichash_update(&hash, (const unsigned char *)request->path,
                                    strlen(request->path));
    (void)crypto_generichash_update(&hash, (const unsigned char *)query, strlen(query) + 1);
    (void)crypto_generichash_update(&hash, body, length);
    (void)crypto_generichash_final(&hash, ret_once->hash, sizeof ret_once->hash);
    ret_once->key = key;
    return 0;
}

void idempotency_add(struct idempotency *once, const void *bytes, size_t length)
{
    unsigned char before[sizeof once->hash];
    memcpy(before, once->hash, sizeof before);
    (void)crypto_generichash(once->hash, sizeof once->hash, bytes, length, before, sizeof before);
}

static int store_forget_old(struct db_session *session, const struct idempotency *once)
{
    return db_exec(
        session, "DELETE FROM idempotency WHERE user_id = $1 AND key = $2 AND created_at < $3",
        DB_BIND(db_int(once->user_id), db_text(once->key), db_int(once->now_ms - KEPT_MS)));
}

/* 1: the row is ours, 0: there was one. */
static int store_claim(struct db_session *session, const struct idempotency *once)
{
    return db_exec(session,
                   "INSERT INTO idempotency (user_id, key, request_hash, status, revision, body, "
                   "created_at) VALUES ($1, $2, $3, 0, 0, '', $4) ON CONFLICT (user_id, key) DO "
                   "NOTHING",
                   DB_BIND(db_int(once->user_id), db_text(once->key),
                           db_blob(once->hash, sizeof once->hash), db_int(once->now_ms)));
}

static int store_read(struct db_session *session, struct call *call, struct idempotency *once,
                      bool *ret_same)
{
    DB_ROWS rows = NULL;
    int error = db_query(session, &rows,
                         "SELECT request_hash, status, revision, body FROM idempotency WHERE "
                         "user_id = $1 AND key = $2",
                         DB_BIND(db_int(once->user_id), db_text(once->key)));
    if (error < 0) {
        return error;
    }
    int found = db_next(rows);
    if (found <= 0) {
        return found < 0 ? found : ERR_CONFLICT;
    }
    size_t length;
    const void *hash = db_get_blob(rows, 0, &length);
    *ret_same = length == sizeof once->hash && memcmp(hash, once->hash, length) == 0;
    once->status = (int)db_get_int(rows, 1);
    once->revision = db_get_int(rows, 2);
    once->body = arena_strdup(call->arena, db_get_text(rows, 3));
    return once->body != NULL ? 0 : ERR_NO_MEMORY;
}

int idempotency_begin(struct db_session *session, struct call *call, struct idempotency *once)
{
    once->replayed = false;
    if (once->key == NULL) {
        return 0;
    }
    int result = store_forget_old(session, once);
    if (result >= 0) {
        result = store_claim(session, once);
    }
    if (result != 0) {
        return result < 0 ? result : 0;
    }
    bool same;
    int error = store_read(session, call, once, &same);
    if (error != 0) {
        return error;
    }
    if (!same) {
        return problem_set(&call->problem, ERR_INVALID,
                           "This Idempotency-Key was sent with another request before; a new "
                           "request needs a new key");
    }
    once->replayed = true;
    return 0;
}

int idempotency_finish(struct db_session *session, const struct idempotency *once, int status,
                       int64_t revision, const json_t *answer)
{
    if (once->key == NULL) {
        return 0;
    }
    char *body CLEANUP_FREE =
        answer != NULL ? json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY) : strdup("");
    if (body == NULL) {
        return ERR_NO_MEMORY;
    }
    int changed = db_exec(session,
                          "UPDATE idempotency SET status = $3, revision = $4, body = $5 WHERE "
                          "user_id = $1 AND key = $2",
                          DB_BIND(db_int(once->user_id), db_text(once->key), db_int(status),
                                  db_int(revision), db_text(body)));
    return changed < 0 ? changed : 0;
}

int idempotency_reply(struct request *request, const struct idempotency *once)
{
    int error = reply_header(request, "Idempotency-Replayed", "true");
    if (error != 0) {
        return error;
    }
    if (once->body[0] == '\0') {
        return reply_empty(request, once->status);
    }
    json_t *answer = json_loads(once->body, JSON_DECODE_ANY, NULL);
    if (answer == NULL) {
        return ERR_CORRUPT;
    }
    return once->revision != 0 ? reply_resource(request, once->status, answer, once->revision)
                               : reply_json(request, once->status, answer);
}

int idempotency_sweep(struct db_session *session, int64_t now_ms)
{
    int deleted = db_exec(session, "DELETE FROM idempotency WHERE created_at < $1",
                          DB_BIND(db_int(now_ms - KEPT_MS)));
    return deleted < 0 ? deleted : 0;
}

int idempotency_forget(struct db_session *session, int64_t user_id)
{
    int deleted =
        db_exec(session, "DELETE FROM idempotency WHERE user_id = $1", DB_BIND(db_int(user_id)));
    return deleted < 0 ? deleted : 0;
}
