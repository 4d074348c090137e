/* Where Redis is, as a URL says it:
 *
 *   redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE][?OPTIONS]
 *   redis://[[USER]:PASSWORD@]HOST[:PORT],HOST[:PORT],…[/DATABASE]?sentinel=NAME
 *
 * With sentinel the hosts are Sentinels (port 26379 unless said), which are asked for the primary
 * NAME; user and password are the primary's. User and password are percent-decoded; HOST may be an
 * IPv6 address in brackets. Options are joined by &:
 *
 *   timeout_ms  10 to 60,000   for an answer, and for a connection twice as long (50)
 *   life_ms     100 to 3600000 the longest life of what the cache shares (5,000)
 *   sentinel    a name
 *
 * Pure functions over text, any thread.
 */
#pragma once

#include <stddef.h>

struct problem;

enum { REDIS_PLACES_MAX = 8, REDIS_HOST_SIZE = 256, REDIS_TEXT_SIZE = 320 };

struct redis_place {
    char host[REDIS_HOST_SIZE];
    unsigned port;
};

struct redis_address {
    struct redis_place places[REDIS_PLACES_MAX];
    unsigned place_count;
    char user[128], password[512]; /* "" where there is none */
    char sentinel[128];            /* the primary's name; "": places[0] is Redis itself */
    unsigned database;
    unsigned timeout_ms, life_ms;
};

/* ERR_INVALID with one line of words, never with the password in them. */
int redis_address_parse(const char *url, struct redis_address *ret_address,
                        struct problem *problem);
/* "HOST:PORT" for people. */
void redis_place_text(const struct redis_place *place, char out[REDIS_TEXT_SIZE]);
