/* The URL of Redis (redis_address.h). The text is copied once and cut in place. */
#include "backend/redis/redis_address.h"

#include "base/error.h"
#include "base/problem.h"
#include "base/text.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { URL_BYTES_MAX = 4096, PORT_REDIS = 6379, PORT_SENTINEL = 26379, DATABASES_MAX = 65536 };

static int unreadable(struct problem *problem, const char *why)
{
    return problem_set(problem, ERR_INVALID,
                       "the address of Redis %s; it must be "
                       "redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], or with Sentinels "
                       "redis://HOST:26379,HOST:26379?sentinel=NAME",
                       why);
}

static bool decode(const char *text, char *out, size_t size)
{
    return text_percent_decode(text, strlen(text), out, size);
}

static int read_login(char *login, struct redis_address *address, struct problem *problem)
{
    char *colon = strchr(login, ':');
    if (colon == NULL) {
        return unreadable(problem, "has a name before the @ without a colon and a password");
    }
    *colon = '\0';
    if (!decode(login, address->user, sizeof address->user) ||
        !decode(colon + 1, address->password, sizeof address->password) ||
        address->password[0] == '\0') {
        return unreadable(problem, "has a user or password that is empty, too long or badly "
                                   "percent-encoded");
    }
    return 0;
}

static int read_place(char *text, struct redis_place *place, struct problem *problem)
{
    char *host = text, *rest = text + strcspn(text, ":");
    if (text[0] == '[') {
        host = text + 1;
        rest = strchr(text, ']');
        if (rest == NULL) {
            return unreadable(problem, "has a [ without a ]");
        }
        *rest++ = '\0';
    }
    int64_t port = 0;
    if (*rest == ':') {
        *rest++ = '\0';
        if (!text_number(rest, 1, 65535, &port)) {
            return unreadable(problem, "has a port that is no number from 1 to 65535");
        }
    } else if (*rest != '\0') {
        return unreadable(problem, "has something else than a port behind its host");
    }
    place->port = (unsigned)port;
    if (host[0] == '\0' || strpbrk(host, " \t\"<>@/") != NULL ||
        !text_copy(place->host, sizeof place->host, host)) {
        return unreadable(problem, "has no host, or one with characters that none has");
    }
    return 0;
}

static int read_places(char *text, struct redis_address *address, struct problem *problem)
{
    for (char *place; (place = strsep(&text, ",")) != NULL;) {
        if (address->place_count == REDIS_PLACES_MAX) {
            return unreadable(problem, "has more than 8 hosts");
        }
        int error = read_place(place, &address->places[address->place_count++], problem);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static bool read_number(const char *value, int64_t min, int64_t max, unsigned *ret_number)
{
    int64_t number;
    if (!text_number(value, min, max, &number)) {
        return false;
    }
    *ret_number = (unsigned)number;
    return true;
}

static int read_options(char *text, struct redis_address *address, struct problem *problem)
{
    for (char *option; (option = strsep(&text, "&")) != NULL;) {
        char *value = option + strcspn(option, "=");
        if (*value == '=') {
            *value++ = '\0';
        }
        bool good = false;
        if (strcmp(option, "sentinel") == 0) {
            good = value[0] != '\0' && decode(value, address->sentinel, sizeof address->sentinel);
        } else if (strcmp(option, "timeout_ms") == 0) {
            good = read_number(value, 10, 60000, &address->timeout_ms);
        } else if (strcmp(option, "life_ms") == 0) {
            good = read_number(value, 100, 3600000, &address->life_ms);
        }
        if (!good) {
            return unreadable(problem, "has an option that is none of sentinel=NAME, timeout_ms=10 "
                                       "to 60000 and life_ms=100 to 3600000");
        }
    }
    return 0;
}

/* What follows the host: the database and the options. */
static int read_rest(char *text, struct redis_address *address, struct problem *problem)
{
    char *options = strchr(text, '?'), *database = strchr(text, '/');
    if (database != NULL && options != NULL && database > options) {
        database = NULL;
    }
    if (options != NULL) {
        *options++ = '\0';
    }
    int error = options != NULL ? read_options(options, address, problem) : 0;
    if (error == 0 && database != NULL) {
        *database++ = '\0';
        if (database[0] != '\0' &&
            !read_number(database, 0, DATABASES_MAX - 1, &address->database)) {
            error = unreadable(problem, "has a database that is no number");
        }
    }
    return error != 0 ? error : read_places(text, address, problem);
}

static int read_all(char *text, struct redis_address *address, struct problem *problem)
{
    char *at =
        strchr(text, '@'); /* a second one stands for itself: config_write masks to the first */
    int error = 0;
    if (at != NULL) {
        *at = '\0';
        error = read_login(text, address, problem);
        text = at + 1;
    }
    error = error != 0 ? error : read_rest(text, address, problem);
    bool sentinel = address->sentinel[0] != '\0';
    if (error == 0 && !sentinel && address->place_count > 1) {
        return unreadable(problem, "has several hosts but no ?sentinel=NAME");
    }
    for (unsigned i = 0; i < address->place_count; i++) {
        if (address->places[i].port == 0) {
            address->places[i].port = sentinel ? PORT_SENTINEL : PORT_REDIS;
        }
    }
    return error;
}

int redis_address_parse(const char *url, struct redis_address *ret_address, struct problem *problem)
{
    static const char scheme[] = "redis://", with_tls[] = "rediss://";
    char text[URL_BYTES_MAX + 1];
    if (strncmp(url, with_tls, sizeof with_tls - 1) == 0) {
        return unreadable(problem,
                          "asks for TLS, which tutti does not speak with Redis: keep it in "
                          "a private network or behind a tunnel on loopback");
    }
    if (strncmp(url, scheme, sizeof scheme - 1) != 0) {
        return unreadable(problem, "does not begin with redis://");
    }
    if (!text_copy(text, sizeof text, url + sizeof scheme - 1)) {
        return unreadable(problem, "is too long");
    }
    struct redis_address address = {.timeout_ms = 50, .life_ms = 5000};
    int error = read_all(text, &address, problem);
    if (error == 0) {
        *ret_address = address;
    }
    sodium_memzero(text, sizeof text);
    sodium_memzero(&address, sizeof address);
    return error;
}

void redis_place_text(const struct redis_place *place, char out[REDIS_TEXT_SIZE])
{
    bool v6 = strchr(place->host, ':') != NULL;
    (void)snprintf(out, REDIS_TEXT_SIZE, v6 ? "[%s]:%u" : "%s:%u", place->host, place->port);
}
