/* The rules of plays (plays.h). No I/O; any thread. */
#include "service/library/plays/plays.h"

#include "base/call.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "service/fields.h"

#include <string.h>

static const char *const sources[] = {"album",  "artist",     "playlist", "search", "queue",
                                      "radio",  "favourites", "history",  "home",   "shared",
                                      "upload", "other",      NULL};

bool play_counts(int64_t played_ms, int64_t duration_ms)
{
    return played_ms >= PLAY_COUNTS_MS || (duration_ms > 0 && played_ms * 2 >= duration_ms);
}

static int read_id(struct call *call, const json_t *event, struct play *play)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789-_.:";
    const char *id = json_string_value(json_object_get(event, "id"));
    size_t length = id != NULL ? strlen(id) : 0;
    if (length == 0 || length > PLAY_ID_MAX || strspn(id, alphabet) != length) {
        return problem_field(&call->problem, "id",
                             "must be the play's own, such as a UUID: 1 to %d letters, digits and "
                             "- _ . :",
                             PLAY_ID_MAX);
    }
    play->id = id;
    return 0;
}

static int read_start(struct call *call, const json_t *event, int64_t now_ms, struct play *play)
{
    const json_t *value = json_object_get(event, "startedAt");
    int64_t at = json_integer_value(value);
    if (!json_is_integer(value) || at < now_ms - PLAY_AGE_MAX_MS) {
        return problem_field(&call->problem, "startedAt",
                             "must be a time in milliseconds, at most 180 days ago");
    }
    play->started_at = at < now_ms ? at : now_ms;
    return 0;
}

int play_read(struct call *call, const json_t *event, int64_t now_ms, struct play *play)
{
    bool has_track = false, has_played = false, has_source = false;
    *play = (struct play){
        .user_id = call->actor.user_id, .id = "", .source = "", .received_at = now_ms};
    if (!json_is_object(event)) {
        return problem_field(&call->problem, "events", "must be objects");
    }
    int errors[] = {
        read_id(call, event, play),
        field_id(call, event, "trackId", &play->track_id, &has_track),
        read_start(call, event, now_ms, play),
        field_number(call, event, "playedMs", 0, PLAY_MS_MAX, &play->played_ms, &has_played),
        field_word(call, event, "source", sources, &play->source, &has_source),
        field_id(call, event, "sourceId", &play->source_id, &has_source),
        field_required(call, "trackId", json_object_get(event, "trackId") != NULL),
        field_required(call, "playedMs", has_played),
    };
    int error = 0;
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        error = errors[i] != 0 ? errors[i] : error;
    }
    return error;
}

json_t *play_to_event(const struct play *play)
{
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:I, s:I, s:I, s:b, s:s, s:o, s:I}", "userId",
                     json_id(play->user_id), "playId", play->id, "trackId", json_id(play->track_id),
                     "albumId", json_id(play->album_id), "artistId", json_id(play->artist_id),
                     "startedAt", (json_int_t)play->started_at, "playedMs",
                     (json_int_t)play->played_ms, "durationMs", (json_int_t)play->duration_ms,
                     "counted", play->counted, "source", play->source, "sourceId",
                     json_id(play->source_id), "receivedAt", (json_int_t)play->received_at);
}

bool play_of_event(const json_t *event, struct play *play)
{
    *play = (struct play){
        .id = json_string_value(json_object_get(event, "playId")),
        .source = json_string_value(json_object_get(event, "source")),
        .started_at = json_integer_value(json_object_get(event, "startedAt")),
        .played_ms = json_integer_value(json_object_get(event, "playedMs")),
        .duration_ms = json_integer_value(json_object_get(event, "durationMs")),
        .counted = json_is_true(json_object_get(event, "counted")),
        .received_at = json_integer_value(json_object_get(event, "receivedAt")),
    };
    (void)json_is_id(json_object_get(event, "sourceId"), &play->source_id);
    return play->id != NULL && play->source != NULL &&
           json_is_id(json_object_get(event, "userId"), &play->user_id) &&
           json_is_id(json_object_get(event, "trackId"), &play->track_id) &&
           json_is_id(json_object_get(event, "albumId"), &play->album_id) &&
           json_is_id(json_object_get(event, "artistId"), &play->artist_id);
}
