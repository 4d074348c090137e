/* Whose write was last (seen.h): a key tutti:seen:DATABASE:USER each.
 *
 * What was noted before Redis lost something (an epoch ended) may be missing, and a missing key
 * would pass for "has not written". So for SEEN_MS after the beginning of an epoch nothing is
 * known, but what is found.
 */
#include "backend/redis/seen.h"

#include "backend/redis/redis.h"
#include "base/error.h"
#include "base/text.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { KEY_SIZE = 96, NUMBER_SIZE = 24 };

static const struct redis_script raise_to = {
    "local old = redis.call('GET', KEYS[1])\n"
    "if not old or #old < #ARGV[1] or (#old == #ARGV[1] and old < ARGV[1]) then\n"
    "  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
    "end\n"};

static void key_of(char key[KEY_SIZE], const char *database, int64_t user_id)
{
    (void)snprintf(key, KEY_SIZE, "tutti:seen:%s:%" PRId64, database, user_id);
}

int seen_note(struct redis *redis, const char *database, int64_t user_id, int64_t position)
{
    char key[KEY_SIZE], number[NUMBER_SIZE], life[NUMBER_SIZE];
    if (redis == NULL) {
        return ERR_UNAVAILABLE;
    }
    key_of(key, database, user_id);
    (void)snprintf(number, sizeof number, "%" PRId64, position);
    (void)snprintf(life, sizeof life, "%d", SEEN_MS);
    const char *texts[] = {key, number, life};
    const size_t lengths[] = {strlen(key), strlen(number), strlen(life)};
    const struct redis_words words = {texts, lengths, 3};
    return redis_run(redis, NULL, &raise_to, 1, &words);
}

int seen_ask(struct redis *redis, const char *database, int64_t user_id, int64_t *ret_position)
{
    char key[KEY_SIZE];
    if (redis == NULL) {
        return ERR_UNAVAILABLE;
    }
    key_of(key, database, user_id);
    REDIS_REPLY reply = NULL;
    int error = redis_ask(redis, &reply, "GET %s", key);
    if (error != 0) {
        return error;
    }
    if (reply->type == REDIS_REPLY_STRING && text_number(reply->str, 0, INT64_MAX, ret_position)) {
        return 0;
    }
    if (redis_epoch_age_ms(redis) < SEEN_MS) {
        return ERR_UNAVAILABLE;
    }
    *ret_position = 0;
    return 0;
}
