/* SQL of the streaming role: one function a statement. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct db_session;

struct answer_count {
    int64_t track_id;
    int64_t answers;
};

int answers_add(struct db_session *session, int64_t day, const struct answer_count *count);
/* The tracks with the most answers since a day, the most first; ids[limit]. */
int answers_top(struct db_session *session, int64_t since_day, unsigned limit, int64_t *ids,
                unsigned *ret_count);
/* Forgets the days before one. */
int answers_forget(struct db_session *session, int64_t before_day);
/* Takes the turn of that name if nobody took it in the last interval_ms. */
int turn_take(struct db_session *session, const char *name, int64_t now_ms, int64_t interval_ms,
              bool *ret_taken);
