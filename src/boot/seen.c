/* Read your own writes (seen.h). */
#include "boot/seen.h"

#include "backend/redis/seen.h"
#include "base/arena.h"
#include "net/http.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_MAX = 128, COOKIE_S = 300 };

static const char cookie_name[] = "tutti_seen";

static _Thread_local struct db_view view;

/* The database whose name begins so; NULL: none. */
static struct db *database_of(const struct seen *seen, char letter)
{
    for (unsigned i = 0; i < SEEN_DATABASES; i++) {
        if (seen->databases[i] != NULL && db_name(seen->databases[i])[0] == letter) {
            return seen->databases[i];
        }
    }
    return NULL;
}

/* "c16b374d848.u1a3" */
static void read_value(const struct seen *seen, const char *value)
{
    if (strlen(value) > VALUE_MAX) {
        return;
    }
    while (*value != '\0') {
        const struct db *db = database_of(seen, *value);
        char *end = NULL;
        uint64_t position = strtoull(value + 1, &end, 16);
        if (end == value + 1 || position > INT64_MAX) {
            return;
        }
        if (db != NULL) {
            db_view_see(&view, db, (int64_t)position);
        }
        value = *end == '.' ? end + 1 : end;
    }
}

static bool is_replicated(const struct seen *seen)
{
    for (unsigned i = 0; i < SEEN_DATABASES; i++) {
        if (seen->databases[i] != NULL && db_is_replicated(seen->databases[i])) {
            return true;
        }
    }
    return false;
}

/* What Redis knows of the user's writes. False: it doesn't. */
static bool ask_redis(const struct seen *seen, int64_t user_id)
{
    for (unsigned i = 0; i < SEEN_DATABASES; i++) {
        struct db *db = seen->databases[i];
        int64_t position = 0;
        if (db == NULL || !db_is_replicated(db)) {
            continue;
        }
        if (seen_ask(seen->redis, db_name(db), user_id, &position) != 0) {
            return false;
        }
        db_view_see(&view, db, position);
    }
    return true;
}

static bool is_reading(const struct request *request)
{
    return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

/* What people read; readiness and metrics are about the primary. */
static bool may_be_behind(const struct request *request)
{
    return is_reading(request) && strncmp(request->path, "/api/", strlen("/api/")) == 0;
}

void seen_begin(const struct seen *seen, struct request *request)
{
    view = (struct db_view){.replicas = false};
    const char *value = request_header(request, "Tutti-Seen");
    value = value != NULL ? value : request_cookie(request, cookie_name);
    if (value != NULL) {
        read_value(seen, value);
    }
    if (may_be_behind(request) && request_may_block(request) && is_replicated(seen)) {
        view.replicas = value != NULL || request->call.actor.user_id == 0 ||
                        ask_redis(seen, request->call.actor.user_id);
    }
    (void)db_view_enter(&view);
}

static void note_in_redis(const struct seen *seen, int64_t user_id, const struct db_mark *mark)
{
    if (seen->redis != NULL && user_id != 0 && db_is_replicated(mark->db)) {
        (void)seen_note(seen->redis, db_name(mark->db), user_id, mark->position);
    }
}

/* All that was seen, not only what was written: the value replaces the one before. */
static const char *value_of(struct request *request)
{
    char value[VALUE_MAX] = "";
    size_t at = 0;
    for (unsigned i = 0; i < DB_VIEW_MAX && view.seen[i].db != NULL; i++) {
        at += (size_t)snprintf(value + at, sizeof value - at, "%s%c%" PRIx64, at > 0 ? "." : "",
                               db_name(view.seen[i].db)[0], (uint64_t)view.seen[i].position);
    }
    return arena_strdup(request->call.arena, value);
}

/* Best effort: who gets no mark reads from the primary, or a little later. */
static void answer(const struct seen *seen, struct request *request)
{
    const char *value = value_of(request);
    const char *cookie =
        value != NULL
            ? arena_printf(request->call.arena,
                           "%s=%s; Path=%s; Max-Age=%d; HttpOnly; SameSite=Lax%s", cookie_name,
                           value, seen->cookie_path, COOKIE_S, request->https ? "; Secure" : "")
            : NULL;
    if (cookie != NULL && reply_header(request, "Tutti-Seen", value) == 0) {
        (void)reply_header_add(request, "Set-Cookie", cookie);
    }
}

void seen_end(const struct seen *seen, struct request *request)
{
    (void)db_view_enter(NULL);
    if (view.wrote[0].db == NULL || is_reading(request)) {
        return;
    }
    for (unsigned i = 0; i < DB_VIEW_MAX && view.wrote[i].db != NULL; i++) {
        note_in_redis(seen, request->call.actor.user_id, &view.wrote[i]);
    }
    answer(seen, request);
}
