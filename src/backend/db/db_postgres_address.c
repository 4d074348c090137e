/* PostgreSQL's URLs (db_postgres.h): libpq's own form (its manual, "Connection URIs"), with options
 * of ours that libpq never sees:
 *
 *   pool=transaction   a pooler stands between that gives each transaction another server session
 *
 * What libpq says of a URL that it can't parse may quote it whole, password and all; so it is not
 * passed on. At start, on the main thread.
 */
#include "backend/db/db_postgres.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a connection has unless the URL says otherwise; later ones win. A dead server is noticed
 * within seconds, also by who only waits for an answer. */
static const char *const defaults[][2] = {
    {"connect_timeout", "3"},  {"keepalives_idle", "5"},     {"keepalives_interval", "2"},
    {"keepalives_count", "3"}, {"tcp_user_timeout", "8000"}, {"application_name", "tutti"},
};

struct own {
    const char *name, *value;
    size_t offset; /* of a bool in struct postgres_address */
};
static const struct own own_options[] = {
    {"pool", "transaction", offsetof(struct postgres_address, pooled)},
    {"again", "yes", offsetof(struct postgres_address, twice)},
};

/* Takes an option of ours; false: it is libpq's. */
static bool take_own(struct postgres_address *address, const char *option, size_t length)
{
    for (size_t i = 0; i < COUNT_OF(own_options); i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "%s=%s", own_options[i].name, own_options[i].value);
        if (strlen(text) == length && strncmp(text, option, length) == 0) {
            *(bool *)((char *)address + own_options[i].offset) = true;
            return true;
        }
    }
    return false;
}

/* The URL without our options. The caller frees; NULL: out of memory. */
static char *without_own(struct postgres_address *address, const char *url)
{
    char *copy = strdup(url);
    const char *query = strchr(url, '?');
    if (copy == NULL || query == NULL) {
        return copy;
    }
    size_t kept = (size_t)(query - url);
    char separator = '?';
    for (const char *option = query + 1; *option != '\0';) {
        size_t length = strcspn(option, "&");
        if (!take_own(address, option, length)) {
            copy[kept++] = separator;
            memcpy(copy + kept, option, length);
            kept += length;
            separator = '&';
        }
        option += length + (option[length] == '&' ? 1 : 0);
    }
    copy[kept] = '\0';
    return copy;
}

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword != NULL; options++) {
        if (strcmp(options->keyword, keyword) == 0) {
            return options->val;
        }
    }
    return NULL;
}

/* "postgresql://USER@HOST:PORT,HOST:PORT/DATABASE" */
static char *show(const PQconninfoOption *options)
{
    const char *user = value_of(options, "user"), *database = value_of(options, "dbname");
    const char *host = value_of(options, "host"), *port = value_of(options, "port");
    host = host != NULL ? host : value_of(options, "hostaddr");
    host = host != NULL ? host : "";
    port = port != NULL ? port : "";
    char servers[512] = "";
    for (size_t at = 0; *host != '\0' && at < sizeof servers - 1;) {
        size_t length = strcspn(host, ","), digits = strcspn(port, ",");
        bool folder = *host == '/';
        at += (size_t)snprintf(servers + at, sizeof servers - at, "%s%.*s%s%.*s", at > 0 ? "," : "",
                               (int)length, host, digits > 0 ? (folder ? "/.s.PGSQL." : ":") : "",
                               (int)digits, port);
        host += length + (host[length] == ',' ? 1 : 0);
        port += port[digits] == ',' ? digits + 1 : 0; /* one port may stand for all hosts */
    }
    char *shown = NULL;
    int made = asprintf(&shown, "postgresql://%s%s%s/%s", user != NULL ? user : "",
                        user != NULL ? "@" : "", servers, database != NULL ? database : "");
    return made >= 0 ? shown : NULL;
}

static bool add(struct postgres_address *address, unsigned *count, const char *keyword,
                const char *value)
{
    char *copy = *count + 1 < COUNT_OF(address->values) ? strdup(value) : NULL;
    if (copy != NULL) {
        address->keywords[*count] = keyword;
        address->values[(*count)++] = copy;
    }
    return copy != NULL;
}

/* Keywords are libpq's static text. */
static int fill(struct postgres_address *address, const PQconninfoOption *options, bool for_writing)
{
    unsigned count = 0;
    bool good = true;
    for (size_t i = 0; i < COUNT_OF(defaults); i++) {
        good = good && add(address, &count, defaults[i][0], defaults[i][1]);
    }
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
        good = good && (o->val == NULL || add(address, &count, o->keyword, o->val));
    }
    if (for_writing && value_of(options, "target_session_attrs") == NULL) {
        good = good && add(address, &count, "target_session_attrs", "read-write");
    }
    good = good && add(address, &count, "client_encoding", "UTF8");
    address->shown = good ? show(options) : NULL;
    return address->shown != NULL ? 0 : ERR_NO_MEMORY;
}

/* libpq finds a wrong port only when it connects, and then quotes it; where an @ of a password was
 * not encoded, that is the rest of the password. */
static bool is_whole(const PQconninfoOption *options)
{
    const char *port = value_of(options, "port"), *host = value_of(options, "host");
    return (port == NULL || port[strspn(port, "0123456789,")] == '\0') &&
           (host == NULL || strchr(host, '@') == NULL);
}

int postgres_address_parse(const char *url, const char *name, bool for_writing,
                           struct postgres_address *ret_address, struct problem *problem)
{
    struct postgres_address address = {.shown = NULL};
    char *plain CLEANUP_FREE = without_own(&address, url);
    PQconninfoOption *options = plain != NULL ? PQconninfoParse(plain, NULL) : NULL;
    if (options == NULL || !is_whole(options)) {
        PQconninfoFree(options);
        return problem_set(
            problem, ERR_INVALID,
            "The URL of the database %s does not parse; it must be "
            "postgresql://USER[:PASSWORD]@HOST[:PORT]/DATABASE, with what is special "
            "in a password percent-encoded",
            name);
    }
    int r = fill(&address, options, for_writing);
    PQconninfoFree(options);
    if (r < 0) {
        postgres_address_done(&address);
        return problem_set(problem, r, "Can't open the database %s: out of memory", name);
    }
    *ret_address = address;
    return 0;
}

void postgres_address_done(struct postgres_address *address)
{
    for (size_t i = 0; i < COUNT_OF(address->values) && address->values[i] != NULL; i++) {
        free((char *)(uintptr_t)address->values[i]);
        address->values[i] = NULL;
    }
    free(address->shown);
    address->shown = NULL;
}

int postgres_address_check(const char *url, const char *name, struct problem *problem)
{
    struct postgres_address address = {.shown = NULL};
    int r = postgres_address_parse(url, name, false, &address, problem);
    postgres_address_done(&address);
    return r;
}
