/* One connection (redis_link.h).
 *
 * What Redis answers to AUTH is never quoted beyond its first word: a server that does not know the
 * command repeats its arguments.
 */
#include "backend/redis/redis_link.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "base/text.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION_MIN = 7 };

static void free_reply(redisReply **reply)
{
    if (*reply != NULL) {
        freeReplyObject(*reply);
    }
}
#define CLEANUP_REPLY CLEANUP(free_reply)

static struct timeval timeval_of(unsigned ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

int redis_answer_error(const redisReply *reply)
{
    static const struct {
        const char *word;
        int error;
    } rows[] = {
        {"READONLY", ERR_UNAVAILABLE},   {"LOADING", ERR_UNAVAILABLE},
        {"MASTERDOWN", ERR_UNAVAILABLE}, {"OOM", ERR_UNAVAILABLE},
        {"MISCONF", ERR_UNAVAILABLE},    {"NOREPLICAS", ERR_UNAVAILABLE},
        {"BUSY", ERR_UNAVAILABLE},       {"UNKILLABLE", ERR_UNAVAILABLE},
        {"NOPERM", ERR_FORBIDDEN},       {"NOAUTH", ERR_FORBIDDEN},
        {"WRONGPASS", ERR_FORBIDDEN},    {"NOSCRIPT", ERR_NOT_FOUND},
    };
    if (reply->type != REDIS_REPLY_ERROR) {
        return 0;
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t length = strlen(rows[i].word);
        if (strncmp(reply->str, rows[i].word, length) == 0) {
            return rows[i].error;
        }
    }
    return ERR_INTERNAL;
}

/* Where something is, for people. */
static int trouble(struct problem *problem, int error, const struct redis_place *place,
                   const char *what)
{
    char text[REDIS_TEXT_SIZE];
    redis_place_text(place, text);
    return problem_set(problem, error, "Redis at %s %s", text, what);
}

/* The connection itself failed. */
static int broken(const redisContext *context, const struct redis_place *place,
                  struct problem *problem)
{
    if (context->err == REDIS_ERR_PROTOCOL) {
        return trouble(problem, ERR_INVALID, place, "is something else: it does not speak RESP");
    }
    bool late = context->err == REDIS_ERR_IO && (errno == EAGAIN || errno == ETIMEDOUT);
    char what[192];
    (void)snprintf(what, sizeof what, "does not answer: %s", late ? "timeout" : context->errstr);
    return trouble(problem, ERR_UNAVAILABLE, place, what);
}

int redis_link_broken(const struct redis_link *link, const struct redis_place *place,
                      struct problem *problem)
{
    return broken(link->context, place, problem);
}

static int log_in(struct redis_link *link, const struct redis_address *address,
                  const struct redis_place *place, struct problem *problem)
{
    if (address->password[0] == '\0') {
        return 0;
    }
    redisReply *reply CLEANUP_REPLY =
        address->user[0] != '\0'
            ? redisCommand(link->context, "AUTH %s %s", address->user, address->password)
            : redisCommand(link->context, "AUTH %s", address->password);
    if (reply == NULL) {
        return broken(link->context, place, problem);
    }
    int error = redis_answer_error(reply);
    if (error == ERR_FORBIDDEN) {
        return trouble(problem, error, place, "says that the user or the password is wrong");
    }
    return error == 0 ? 0
                      : trouble(problem, ERR_FORBIDDEN, place,
                                "takes no password (none is set there), but its address has one");
}

/* The value of a name in HELLO's flat list. */
static const char *hello_text(const redisReply *reply, const char *name)
{
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements; i += 2) {
        const redisReply *value = reply->element[i + 1];
        if (reply->element[i]->str != NULL && strcmp(reply->element[i]->str, name) == 0) {
            return value->str;
        }
    }
    return NULL;
}

int redis_link_check(struct redis_link *link, const struct redis_place *place,
                     struct problem *problem)
{
    redisReply *reply CLEANUP_REPLY = redisCommand(link->context, "HELLO 2");
    if (reply == NULL) {
        return broken(link->context, place, problem);
    }
    int error = redis_answer_error(reply);
    if (error == ERR_FORBIDDEN) {
        return trouble(problem, error, place,
                       strncmp(reply->str, "NOPERM", 6) == 0
                           ? "does not let this user say HELLO (ACL: +hello)"
                           : "wants a password; put it into the address before the host");
    }
    if (error == ERR_UNAVAILABLE) {
        return trouble(problem, error, place, "is not ready yet");
    }
    const char *version = hello_text(reply, "version"), *role = hello_text(reply, "role");
    if (error != 0 || version == NULL || role == NULL || atoi(version) < VERSION_MIN) {
        return trouble(problem, ERR_INVALID, place, "is not Redis 7 or newer");
    }
    return strcmp(role, "master") == 0
               ? 0
               : trouble(problem, ERR_UNAVAILABLE, place, "is a replica, not the primary");
}

static int choose_database(struct redis_link *link, const struct redis_address *address,
                           const struct redis_place *place, struct problem *problem)
{
    if (address->database == 0) {
        return 0;
    }
    redisReply *reply CLEANUP_REPLY = redisCommand(link->context, "SELECT %u", address->database);
    if (reply == NULL) {
        return broken(link->context, place, problem);
    }
    int error = redis_answer_error(reply);
    char what[64];
    (void)snprintf(what, sizeof what, "has no database %u, or none for this user",
                   address->database);
    return error == 0 ? 0 : trouble(problem, ERR_INVALID, place, what);
}

static int connect_to(const struct redis_address *address, const struct redis_place *place,
                      struct redis_link **ret_link, struct problem *problem)
{
    struct redis_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        return ERR_NO_MEMORY;
    }
    link->context =
        redisConnectWithTimeout(place->host, (int)place->port, timeval_of(2 * address->timeout_ms));
    int error = link->context == NULL     ? ERR_NO_MEMORY
                : link->context->err != 0 ? broken(link->context, place, problem)
                : redisSetTimeout(link->context, timeval_of(address->timeout_ms)) != REDIS_OK
                    ? ERR_INTERNAL
                    : 0;
    if (error != 0) {
        redis_link_close(link);
        return error;
    }
    *ret_link = link;
    return 0;
}

int redis_link_open(const struct redis_address *address, const struct redis_place *place,
                    struct redis_link **ret_link, struct problem *problem)
{
    struct redis_link *link = NULL;
    int error = connect_to(address, place, &link, problem);
    error = error != 0 ? error : log_in(link, address, place, problem);
    error = error != 0 ? error : redis_link_check(link, place, problem);
    error = error != 0 ? error : choose_database(link, address, place, problem);
    if (error != 0) {
        redis_link_close(link);
        return error;
    }
    *ret_link = link;
    return 0;
}

void redis_link_close(struct redis_link *link)
{
    if (link != NULL) {
        if (link->context != NULL) {
            redisFree(link->context);
        }
        free(link);
    }
}

bool redis_link_is_quiet(const struct redis_link *link)
{
    struct pollfd look = {.fd = link->context->fd, .events = POLLIN};
    return poll(&look, 1, 0) == 0;
}

/* [host, port]. False: it is none; nil, say, where a name is not known. */
static bool read_place(const redisReply *reply, struct redis_place *ret_place)
{
    int64_t port = 0;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING || reply->element[0]->len == 0 ||
        reply->element[1]->type != REDIS_REPLY_STRING ||
        !text_number(reply->element[1]->str, 1, 65535, &port) ||
        !text_copy(ret_place->host, sizeof ret_place->host, reply->element[0]->str)) {
        return false;
    }
    ret_place->port = (unsigned)port;
    return true;
}

static int ask_one(const struct redis_address *address, const struct redis_place *place,
                   struct redis_place *ret_primary, struct problem *problem)
{
    struct redis_link *link = NULL;
    int error = connect_to(address, place, &link, problem);
    if (error != 0) {
        return error;
    }
    redisReply *reply CLEANUP_REPLY =
        redisCommand(link->context, "SENTINEL get-master-addr-by-name %s", address->sentinel);
    if (reply == NULL) {
        error = broken(link->context, place, problem);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        error = trouble(problem, ERR_INVALID, place, "is no Sentinel, or wants a password as one");
    } else if (!read_place(reply, ret_primary)) {
        char what[192];
        (void)snprintf(what, sizeof what, "is a Sentinel that knows no primary \"%s\"",
                       address->sentinel);
        error = trouble(problem, ERR_INVALID, place, what);
    }
    redis_link_close(link);
    return error;
}

int redis_sentinel_ask(const struct redis_address *address, unsigned *hint,
                       struct redis_place *ret_primary, struct problem *problem)
{
    int error = ERR_UNAVAILABLE;
    for (unsigned i = 0; i < address->place_count; i++) {
        unsigned at = (*hint + i) % address->place_count;
        int one = ask_one(address, &address->places[at], ret_primary, problem);
        if (one == 0) {
            *hint = at;
            return 0;
        }
        error = one; /* what the last one says */
    }
    return error;
}
