/* Plays: what is told, when it counts, and the rows that are made of it. The statements
 * (plays_store.c) belong inside a session of the activity database. */
#pragma once

#include "base/arena.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct call;
struct db_session;
struct list_place;

enum {
    PLAYS_MAX = 200, /* of a request */
    PLAY_ID_MAX = 64,
    PLAY_COUNTS_MS = 30 * 1000,
    PLAY_MS_MAX = 24 * 3600 * 1000,
};
/* How old a play may be when it is told: a phone that was offline for a summer. */
#define PLAY_AGE_MAX_MS (INT64_C(180) * 24 * 3600 * 1000)

struct play {
    int64_t user_id;
    const char *id; /* the client's own */
    int64_t track_id, album_id, artist_id;
    int64_t started_at, played_ms, duration_ms; /* duration 0: not known */
    bool counted;
    const char *source; /* where it was begun, "" not said */
    int64_t source_id;  /* 0: none */
    int64_t received_at;
};

/* A play counts once 30 s or half of it was heard. */
bool play_counts(int64_t played_ms, int64_t duration_ms);
/* One event as a client tells it, all but what the catalogue knows. ERR_INVALID with the fields in
 * the call's problem. A start in the future (a clock that is ahead) is taken for now. */
int play_read(struct call *call, const json_t *event, int64_t now_ms, struct play *ret_play);
/* The event play.recorded, there and back. NULL: out of memory. False: it is none. */
json_t *play_to_event(const struct play *play);
bool play_of_event(const json_t *event, struct play *ret_play);

/* 1: told for the first time, 0: known already. */
int play_seen_add(struct db_session *session, const struct play *play);
/* Into the history and all counters; a play that is there changes nothing. */
int play_apply(struct db_session *session, const struct play *play);
int play_erase_person(struct db_session *session, int64_t user_id, int64_t now_ms);

struct play_list {
    struct play *rows;
    unsigned count;
};
/* Newest first, before (place->id, place->key): start and id. */
int play_history(struct db_session *session, struct arena *arena, int64_t user_id,
                 const struct list_place *place, struct play_list *ret_list);

struct tally_row {
    int64_t id, plays, played_ms, first_at, last_at;
};
struct tally_list {
    struct tally_row *rows;
    unsigned count;
};
/* The most played, or the last played first, before (place->number, place->id). */
int play_tallies(struct db_session *session, struct arena *arena, int64_t user_id, const char *kind,
                 bool by_time, const struct list_place *place, struct tally_list *ret_list);
struct total_row {
    int64_t plays, listeners;
};
/* Zeroes where nobody played it. */
int play_total(struct db_session *session, const char *kind, int64_t id, struct total_row *ret_row);

struct playing_row {
    int64_t track_id, position_ms, updated_at, ends_at;
    bool paused;
};
int playing_set(struct db_session *session, int64_t user_id, const struct playing_row *row);
int playing_find(struct db_session *session, int64_t user_id, struct playing_row *ret_row);
int playing_clear(struct db_session *session, int64_t user_id);
