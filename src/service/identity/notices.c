/* What processes tell each other at once (backend/redis/board.h), beside what all read in the
 * database anyway:
 *
 *   bar ID BEFORE UNTIL  tokens of this session or user made before that are refused; kept until
 *                     the last of them has run out, so who comes later knows it too
 *   failed KEY KEY…   a log-in went wrong (delays.h); told to those who are there, and forgotten
 *   passed KEY KEY…   one went well
 *
 * Each process acts on its own copy, so a request costs nothing. Without Redis a bar of another
 * process is known when the token runs out, and failures are counted by each. What Redis lost, or
 * could not be told, is posted again by those who know it (remind). Heard on the board's thread;
 * told on pool threads, for a round trip at most.
 */
#include "backend/redis/board.h"
#include "base/clock.h"
#include "base/text.h"
#include "service/identity/delays.h"
#include "service/identity/identity_private.h"
#include "service/identity/token_cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void post_bar(void *argument, int64_t id, int64_t before, int64_t until_ms)
{
    struct identity *identity = argument;
    char notice[BOARD_NOTICE_MAX];
    (void)snprintf(notice, sizeof notice, "bar %" PRId64 " %" PRId64 " %" PRId64, id, before,
                   until_ms);
    board_post(identity->board, notice, until_ms);
}

static void remind(void *context)
{
    struct identity *identity = context;
    token_cache_each_bar(identity->tokens, clock_wall_ms(), post_bar, identity);
}

static bool next_number(char **rest, int64_t *ret_number)
{
    const char *word = strsep(rest, " ");
    return word != NULL && text_number(word, 0, INT64_MAX, ret_number);
}

static void hear_bar(struct identity *identity, char *rest)
{
    int64_t id, before, until_ms;
    if (next_number(&rest, &id) && next_number(&rest, &before) && next_number(&rest, &until_ms) &&
        id > 0) {
        token_cache_bar_until(identity->tokens, id, before, until_ms);
    }
}

static bool hear_keys(char *rest, struct delay_keys *keys)
{
    for (unsigned kind = 0; kind < DELAY_KINDS_; kind++) {
        const char *word = strsep(&rest, " ");
        if (word == NULL || sscanf(word, "%16" SCNx64, &keys->keys[kind]) != 1) {
            return false;
        }
    }
    return true;
}

static void hear(void *context, const char *notice)
{
    struct identity *identity = context;
    char text[BOARD_NOTICE_MAX + 1], *rest = text;
    struct delay_keys keys;
    if (!text_copy(text, sizeof text, notice)) {
        return;
    }
    const char *word = strsep(&rest, " ");
    if (strcmp(word, "bar") == 0) {
        hear_bar(identity, rest);
    } else if (strcmp(word, "failed") == 0 && hear_keys(rest, &keys)) {
        delays_failed(identity->delays, &keys, clock_monotonic_ms());
    } else if (strcmp(word, "passed") == 0 && hear_keys(rest, &keys)) {
        delays_succeeded(identity->delays, &keys);
    }
}

int notices_open(struct identity *identity, struct redis *redis)
{
    const struct board_config config = {
        .redis = redis, .name = "identity", .context = identity, .heard = hear, .remind = remind};
    return redis != NULL ? board_open(&config, &identity->board) : 0;
}

void notices_bar(struct identity *identity, int64_t id, int64_t before)
{
    int64_t until_ms = token_cache_bar(identity->tokens, id, before, clock_wall_ms());
    post_bar(identity, id, before, until_ms);
}

static void post_keys(struct identity *identity, const char *word, const struct delay_keys *keys)
{
    char notice[BOARD_NOTICE_MAX];
    int length = snprintf(notice, sizeof notice, "%s", word);
    for (unsigned kind = 0; kind < DELAY_KINDS_; kind++) {
        length += snprintf(notice + length, sizeof notice - (size_t)length, " %" PRIx64,
                           keys->keys[kind]);
    }
    board_post(identity->board, notice, 0);
}

void notices_failed(struct identity *identity, const struct delay_keys *keys)
{
    delays_failed(identity->delays, keys, clock_monotonic_ms());
    post_keys(identity, "failed", keys);
}

void notices_succeeded(struct identity *identity, const struct delay_keys *keys)
{
    delays_succeeded(identity->delays, keys);
    post_keys(identity, "passed", keys);
}
