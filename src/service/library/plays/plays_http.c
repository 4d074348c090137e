/* Routes of plays: told, looked back at, and what is playing now. Handlers run on the pool; memory
 * is the request's arena. */
#include "service/library/library_internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "service/fields.h"
#include "service/library/lists.h"
#include "service/library/plays/plays.h"
#include "service/page.h"

#include <stdio.h>
#include <string.h>

enum { PAUSE_MS = 30 * 60 * 1000, SLACK_MS = 60 * 1000 };

/* ---- POST /plays ---- */

struct telling {
    struct play plays[PLAYS_MAX];
    unsigned count, fresh;
    json_t *refused;
};

/* What the catalogue knows of it. ERR_INVALID: there is no such track for this person. */
static int complete(struct library *library, struct call *call, struct play *play)
{
    struct playable *playable = NULL;
    int error = catalog_playable(library->catalog, call, play->track_id, false, &playable);
    if (error == ERR_NOT_FOUND) {
        problem_reset(&call->problem);
        return problem_field(&call->problem, "trackId", "names no track");
    }
    if (error == 0) {
        play->album_id = playable->album_id;
        play->artist_id = playable->artist_id;
        play->duration_ms = playable->duration_ms;
        play->counted = play_counts(play->played_ms, play->duration_ms);
    }
    return error;
}

static int read_events(struct request *request, const json_t *events, struct telling *telling)
{
    struct call *call = &request->call;
    int64_t now_ms = clock_wall_ms();
    size_t index;
    json_t *event;
    json_array_foreach((json_t *)events, index, event)
    {
        struct play *play = &telling->plays[telling->count];
        int error = play_read(call, event, now_ms, play);
        error = error != 0 ? error : complete(request->context, call, play);
        if (error == 0) {
            telling->count++;
        }
        error = error == ERR_INVALID ? lists_refuse(call, telling->refused, (unsigned)index, event)
                                     : error;
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static int emit(struct db_session *session, const struct play *play)
{
    char key[8 + ID_TEXT_SIZE], id[ID_TEXT_SIZE];
    (void)snprintf(key, sizeof key, "user:%s", id_format(play->user_id, id));
    return bus_emit(session, "play.recorded", key, play_to_event(play));
}

static int tell_work(struct db_session *session, void *argument)
{
    struct telling *telling = argument;
    telling->fresh = 0;
    for (unsigned i = 0; i < telling->count; i++) {
        int added = play_seen_add(session, &telling->plays[i]);
        int error = added > 0 ? emit(session, &telling->plays[i]) : added;
        if (error != 0) {
            return error;
        }
        telling->fresh += added > 0;
    }
    return 0;
}

static int tell(struct request *request, const json_t *events, struct telling *telling)
{
    struct library *library = request->context;
    int error = telling->refused != NULL ? read_events(request, events, telling) : ERR_NO_MEMORY;
    if (error == 0 && telling->count > 0) {
        error = db_write(library->activity, tell_work, telling);
    }
    if (error != 0) {
        json_decref(telling->refused);
        return error;
    }
    return reply_json(request, 202,
                      json_pack("{s:i, s:i, s:o}", "accepted", (int)telling->fresh, "known",
                                (int)(telling->count - telling->fresh), "refused",
                                telling->refused));
}

int plays_post(struct request *request)
{
    json_t *body = NULL;
    int error = request_json(request, &body);
    if (error != 0) {
        return error;
    }
    const json_t *events = json_object_get(body, "events");
    if (!json_is_array(events) || json_array_size(events) == 0 ||
        json_array_size(events) > PLAYS_MAX) {
        return problem_field(&request->call.problem, "events", "must be a list of 1 to %d plays",
                             PLAYS_MAX);
    }
    struct telling *telling = arena_new_of(request->call.arena, struct telling);
    if (telling == NULL) {
        return ERR_NO_MEMORY;
    }
    telling->refused = json_array();
    return tell(request, events, telling);
}

/* ---- GET /me/history ---- */

struct history_page {
    int64_t user_id;
    struct arena *arena;
    struct list_place place;
    struct play_list list;
};

static int history_work(struct db_session *session, void *argument)
{
    struct history_page *page = argument;
    return play_history(session, page->arena, page->user_id, &page->place, &page->list);
}

static json_t *history_item(const void *row, json_t *track, void *argument)
{
    const struct play *play = row;
    (void)argument;
    return json_pack("{s:s, s:o, s:I, s:I, s:b, s:s?, s:o, s:O}", "id", play->id, "trackId",
                     json_id(play->track_id), "startedAt", (json_int_t)play->started_at, "playedMs",
                     (json_int_t)play->played_ms, "counted", play->counted, "source",
                     play->source[0] != '\0' ? play->source : NULL, "sourceId",
                     json_id(play->source_id), "track", track);
}

static int history_reply(struct request *request, const struct history_page *page)
{
    unsigned shown = page_shown(page->list.count, &page->place);
    struct list_place last = {.key = ""};
    if (shown > 0) {
        last.id = page->list.rows[shown - 1].started_at;
        last.key = page->list.rows[shown - 1].id;
    }
    const struct described_list list = {.kind = CATALOG_TRACK,
                                        .rows = page->list.rows,
                                        .row_bytes = sizeof *page->list.rows,
                                        .id_at = offsetof(struct play, track_id),
                                        .count = shown,
                                        .item = history_item,
                                        .letter = 'p',
                                        .last = page->list.count > shown ? &last : NULL};
    return lists_reply(request, &list);
}

int history_get(struct request *request)
{
    struct library *library = request->context;
    struct history_page page = {.user_id = request->call.actor.user_id,
                                .arena = request->call.arena,
                                .place = {.id = INT64_MAX, .key = ""}};
    int error = page_begin(request, 'p', &page.place);
    error = error != 0 ? error : db_read(library->activity, history_work, &page);
    return error != 0 ? error : history_reply(request, &page);
}

/* ---- GET /me/played/{kind} ---- */

struct played_page {
    int64_t user_id;
    struct arena *arena;
    enum catalog_kind kind;
    const char *word;
    bool by_time;
    struct list_place place;
    struct tally_list list;
};

static int played_work(struct db_session *session, void *argument)
{
    struct played_page *page = argument;
    return play_tallies(session, page->arena, page->user_id, page->word, page->by_time,
                        &page->place, &page->list);
}

static json_t *played_item(const void *item, json_t *object, void *argument)
{
    const struct tally_row *row = item;
    const struct played_page *page = argument;
    return json_pack("{s:o, s:I, s:I, s:I, s:I, s:O}", "id", json_id(row->id), "plays",
                     (json_int_t)row->plays, "playedMs", (json_int_t)row->played_ms, "firstAt",
                     (json_int_t)row->first_at, "lastAt", (json_int_t)row->last_at, page->word,
                     object);
}

static int played_reply(struct request *request, struct played_page *page, char letter)
{
    unsigned shown = page_shown(page->list.count, &page->place);
    struct list_place last = {.key = ""};
    if (shown > 0) {
        const struct tally_row *row = &page->list.rows[shown - 1];
        last.id = row->id;
        last.number = page->by_time ? row->last_at : row->plays;
    }
    const struct described_list list = {.kind = page->kind,
                                        .rows = page->list.rows,
                                        .row_bytes = sizeof *page->list.rows,
                                        .id_at = offsetof(struct tally_row, id),
                                        .count = shown,
                                        .item = played_item,
                                        .argument = page,
                                        .letter = letter,
                                        .last = page->list.count > shown ? &last : NULL};
    return lists_reply(request, &list);
}

int played_get(struct request *request)
{
    struct library *library = request->context;
    struct played_page page = {.user_id = request->call.actor.user_id,
                               .arena = request->call.arena,
                               .place = {.id = INT64_MAX, .number = INT64_MAX, .key = ""}};
    const char *sort = request_query(request, "sort");
    page.by_time = sort != NULL && strcmp(sort, "recent") == 0;
    if (sort != NULL && !page.by_time && strcmp(sort, "frequent") != 0) {
        return problem_set(&request->call.problem, ERR_MALFORMED,
                           "sort must be frequent or recent");
    }
    /* A cursor is of one kind and order. */
    static const char letters[][3] = {
        [CATALOG_ARTIST] = "iI", [CATALOG_ALBUM] = "lL", [CATALOG_TRACK] = "kK"};
    int error = library_kind(request, &page.kind, &page.word);
    if (error != 0) {
        return error;
    }
    char letter = letters[page.kind][page.by_time];
    error = page_begin(request, letter, &page.place);
    error = error != 0 ? error : db_read(library->activity, played_work, &page);
    return error != 0 ? error : played_reply(request, &page, letter);
}

/* ---- GET /plays/{kind}/{id} ---- */

struct total {
    const char *word;
    int64_t id;
    struct total_row row;
};

static int total_work(struct db_session *session, void *argument)
{
    struct total *total = argument;
    return play_total(session, total->word, total->id, &total->row);
}

int totals_get(struct request *request)
{
    struct library *library = request->context;
    struct total total = {.id = 0};
    enum catalog_kind kind;
    int error = library_kind(request, &kind, &total.word);
    error = error != 0 ? error : request_param_id(request, "id", &total.id);
    error = error != 0 ? error : catalog_may_see(library->catalog, &request->call, kind, total.id);
    error = error != 0 ? error : db_read(library->activity, total_work, &total);
    return error != 0 ? error
                      : lists_reply_private(
                            request, json_pack("{s:I, s:I}", "plays", (json_int_t)total.row.plays,
                                               "listeners", (json_int_t)total.row.listeners));
}

/* ---- /me/playing ---- */

struct playing {
    int64_t user_id;
    struct playing_row row;
};

static int playing_find_work(struct db_session *session, void *argument)
{
    struct playing *playing = argument;
    return playing_find(session, playing->user_id, &playing->row);
}

static int playing_set_work(struct db_session *session, void *argument)
{
    struct playing *playing = argument;
    return playing_set(session, playing->user_id, &playing->row);
}

static int playing_clear_work(struct db_session *session, void *argument)
{
    return playing_clear(session, *(const int64_t *)argument);
}

static int playing_reply(struct request *request, const struct playing_row *row)
{
    struct library *library = request->context;
    CLEANUP_JSON json_t *tracks = NULL;
    int error = catalog_describe(library->catalog, &request->call, CATALOG_TRACK, &row->track_id, 1,
                                 &tracks);
    if (error != 0) {
        return error;
    }
    return lists_reply_private(
        request,
        json_pack("{s:{s:o, s:I, s:b, s:I, s:O}}", "playing", "trackId", json_id(row->track_id),
                  "positionMs", (json_int_t)row->position_ms, "paused", row->paused, "updatedAt",
                  (json_int_t)row->updated_at, "track", json_array_get(tracks, 0)));
}

int playing_get(struct request *request)
{
    struct library *library = request->context;
    struct playing playing = {.user_id = request->call.actor.user_id};
    int error = db_read(library->activity, playing_find_work, &playing);
    if (error == ERR_NOT_FOUND || (error == 0 && playing.row.ends_at < clock_wall_ms())) {
        return lists_reply_private(request, json_pack("{s:n}", "playing"));
    }
    return error != 0 ? error : playing_reply(request, &playing.row);
}

static int playing_read(struct request *request, struct playing_row *row)
{
    json_t *body = NULL;
    int error = request_json(request, &body);
    if (error != 0) {
        return error;
    }
    struct call *call = &request->call;
    bool has_track = false, there = false;
    int errors = field_id(call, body, "trackId", &row->track_id, &has_track) |
                 field_required(call, "trackId", has_track) |
                 field_number(call, body, "positionMs", 0, PLAY_MS_MAX, &row->position_ms, &there) |
                 field_bool(call, body, "paused", &row->paused, &there);
    return errors != 0 ? ERR_INVALID : 0;
}

int playing_put(struct request *request)
{
    struct library *library = request->context;
    struct playing playing = {.user_id = request->call.actor.user_id};
    struct playing_row *row = &playing.row;
    struct playable *playable = NULL;
    int error = playing_read(request, row);
    error = error != 0 ? error
                       : catalog_playable(library->catalog, &request->call, row->track_id, false,
                                          &playable);
    if (error == ERR_NOT_FOUND) {
        return problem_field(&request->call.problem, "trackId", "names no track");
    }
    if (error != 0) {
        return error;
    }
    int64_t left_ms = playable->duration_ms - row->position_ms;
    row->updated_at = clock_wall_ms();
    row->ends_at =
        row->updated_at + (row->paused ? PAUSE_MS : (left_ms > 0 ? left_ms : 0) + SLACK_MS);
    error = db_write(library->activity, playing_set_work, &playing);
    return error != 0 ? error : playing_reply(request, row);
}

int playing_delete(struct request *request)
{
    struct library *library = request->context;
    int error = db_write(library->activity, playing_clear_work, &request->call.actor.user_id);
    return error != 0 ? error : reply_empty(request, 204);
}
