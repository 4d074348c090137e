/* What doctor asks of a Redis (redis_check.h). Everything that the program says there is tried
 * once, on a key of its own, since only administrators may ask what an ACL allows. */
#include "backend/redis/redis_check.h"

#include "backend/redis/redis_link.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <stdio.h>
#include <string.h>

#define KEY "tutti:doctor"
enum { PATIENCE_MS = 1000 }; /* of a person, who is told how long it took */

/* In the order in which they make sense; names are what an ACL calls them. */
static const struct probe {
    const char *name, *command;
} probes[] = {
    {"ping", "PING"},
    {"time", "TIME"},
    {"set", "SET " KEY " x PX 1000"},
    {"get", "GET " KEY},
    {"pttl", "PTTL " KEY},
    {"del", "DEL " KEY},
    {"zadd", "ZADD " KEY " 1 x"},
    {"zrange", "ZRANGE " KEY " -1 -1 WITHSCORES"},
    {"zrangebyscore", "ZRANGEBYSCORE " KEY " 0 +inf"},
    {"zremrangebyscore", "ZREMRANGEBYSCORE " KEY " -inf 1"},
    {"pexpireat", "PEXPIREAT " KEY " 1"},
    {"eval", "EVAL return 0"},
    {"evalsha", "EVALSHA 0000000000000000000000000000000000000000 0"},
    {"publish", "PUBLISH " KEY " x"},
    {"subscribe", "SUBSCRIBE " KEY},
};

static void add_word(char *list, size_t size, const char *sign, const char *word)
{
    size_t at = strlen(list);
    if (strstr(list, word) == NULL) {
        (void)snprintf(list + at, size - at, "%s%s%s", at > 0 ? " " : "", sign, word);
    }
}

static redisReply *say(struct redis_link *link, const struct probe *probe)
{
    /* A script has spaces of its own. */
    return strcmp(probe->name, "eval") == 0 ? redisCommand(link->context, "EVAL %s 0", "return 0")
                                            : redisCommand(link->context, probe->command);
}

/* "NOPERM … to run the 'x' command", "… to access a key", "… a channel" (other words in 7.2, but
 * the last ones stay). */
static void note_missing(struct redis_report *report, const struct probe *probe, const char *answer)
{
    if (strncmp(answer, "NOPERM", 6) != 0) {
        return;
    }
    if (strstr(answer, "channel") != NULL) {
        add_word(report->missing, sizeof report->missing, "", "&tutti:*");
    } else if (strstr(answer, "key") != NULL) {
        add_word(report->missing, sizeof report->missing, "", "~tutti:*");
    } else {
        add_word(report->missing, sizeof report->missing, "+", probe->name);
    }
}

static int try_all(struct redis_link *link, const struct redis_place *place,
                   struct redis_report *report, struct problem *problem)
{
    for (size_t i = 0; i < COUNT_OF(probes); i++) {
        int64_t began_us = clock_monotonic_us();
        redisReply *reply = say(link, &probes[i]);
        if (reply == NULL) {
            return redis_link_broken(link, place, problem);
        }
        if (i == 0) {
            report->answer_us = clock_monotonic_us() - began_us;
        }
        if (reply->type == REDIS_REPLY_ERROR) {
            note_missing(report, &probes[i], reply->str);
        }
        freeReplyObject(reply);
    }
    return 0;
}

/* "name:value\r\n" in an INFO. False: it isn't there, or INFO is not allowed. */
static bool info(struct redis_link *link, const char *section, const char *name, char *out,
                 size_t size)
{
    redisReply *reply = redisCommand(link->context, "INFO %s", section);
    const char *at =
        reply != NULL && reply->type == REDIS_REPLY_STRING ? strstr(reply->str, name) : NULL;
    if (at != NULL) {
        at += strlen(name);
        at += *at == ':';
        (void)snprintf(out, size, "%.*s", (int)strcspn(at, "\r\n"), at);
    }
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    return at != NULL;
}

static void look_inside(struct redis_link *link, struct redis_report *report)
{
    char most[32], policy[32];
    (void)info(link, "server", "redis_version", report->version, sizeof report->version);
    report->refuses_when_full = info(link, "memory", "maxmemory", most, sizeof most) &&
                                strcmp(most, "0") != 0 &&
                                info(link, "memory", "maxmemory_policy", policy, sizeof policy) &&
                                strcmp(policy, "noeviction") == 0;
}

/* Each Sentinel is asked alone. The last that knows names the primary. */
static int ask_sentinels(const struct redis_address *address, struct redis_place *ret_primary,
                         struct redis_report *report, struct problem *problem)
{
    int error = ERR_UNAVAILABLE;
    for (unsigned i = 0; i < address->place_count; i++) {
        struct redis_address one = *address;
        one.places[0] = address->places[i];
        one.place_count = 1;
        unsigned hint = 0;
        char text[REDIS_TEXT_SIZE];
        redis_place_text(&one.places[0], text);
        if (redis_sentinel_ask(&one, &hint, ret_primary, problem) == 0) {
            error = 0;
        } else {
            add_word(report->silent, sizeof report->silent, "", text);
        }
        explicit_bzero(&one, sizeof one);
    }
    return error;
}

static int check(const struct redis_address *address, struct redis_report *report,
                 struct problem *problem)
{
    struct redis_place primary = address->places[0];
    struct redis_link *link = NULL;
    int error =
        address->sentinel[0] != '\0' ? ask_sentinels(address, &primary, report, problem) : 0;
    error = error != 0 ? error : redis_link_open(address, &primary, &link, problem);
    if (error == 0) {
        redis_place_text(&primary, report->primary);
        look_inside(link, report);
        error = try_all(link, &primary, report, problem);
    }
    redis_link_close(link);
    return error;
}

int redis_check(const char *url, struct redis_report *ret_report, struct problem *problem)
{
    struct redis_address address = {.place_count = 0};
    struct redis_report report = {.answer_us = 0};
    int error = redis_address_parse(url, &address, problem);
    address.timeout_ms = address.timeout_ms > PATIENCE_MS ? address.timeout_ms : PATIENCE_MS;
    error = error != 0 ? error : check(&address, &report, problem);
    explicit_bzero(&address, sizeof address);
    if (error == 0) {
        *ret_report = report;
    }
    return error;
}
