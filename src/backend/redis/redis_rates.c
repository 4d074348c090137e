/* Shared buckets (redis_rates.h). */
#include "backend/redis/redis_rates.h"

#include "backend/redis/redis.h"
#include "base/error.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Each key's debt grows by what was spent since the last time, and shrinks with the clock. */
static const struct redis_script add_up = {
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000000 + time[2]\n"
    "local debts = {}\n"
    "for i, key in ipairs(KEYS) do\n"
    "  local full = math.max(tonumber(redis.call('GET', key) or 0), now) + tonumber(ARGV[i])\n"
    "  debts[i] = full - now\n"
    "  if full > now then\n"
    "    redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil(debts[i] / 1000))\n"
    "  end\n"
    "end\n"
    "return debts\n"};

enum { KEY_SIZE = 32, NUMBER_SIZE = 24 };

int redis_rates_exchange(void *redis, struct rates_spent *spent, unsigned count)
{
    assert(count <= RATES_EXCHANGE_MAX);
    char keys[RATES_EXCHANGE_MAX][KEY_SIZE], numbers[RATES_EXCHANGE_MAX][NUMBER_SIZE];
    const char *texts[2 * RATES_EXCHANGE_MAX];
    size_t lengths[2 * RATES_EXCHANGE_MAX];
    for (unsigned i = 0; i < count; i++) {
        int length = snprintf(keys[i], KEY_SIZE, "tutti:rate:%016" PRIx64, spent[i].key);
        texts[i] = keys[i];
        lengths[i] = (size_t)length;
        length = snprintf(numbers[i], NUMBER_SIZE, "%" PRId64, spent[i].spent_us);
        texts[count + i] = numbers[i];
        lengths[count + i] = (size_t)length;
    }
    REDIS_REPLY reply = NULL;
    const struct redis_words words = {texts, lengths, 2 * count};
    int error = redis_run(redis, &reply, &add_up, count, &words);
    if (error != 0) {
        return error;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != count) {
        return ERR_INTERNAL;
    }
    for (unsigned i = 0; i < count; i++) {
        spent[i].debt_us = reply->element[i]->integer;
    }
    return 0;
}
