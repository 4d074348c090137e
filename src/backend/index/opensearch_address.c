/* Reads search.store (opensearch_address.h). Strict: what is not understood stops the start, for an
 * option that is silently left out may be the one that encrypts. */
#include "backend/index/opensearch_address.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { PORT_DEFAULT = 9200, PORT_MAX = 65535 };

static const char scheme[] = "opensearch://";

static int wrong_form(struct problem *problem)
{
    return problem_set(problem, ERR_INVALID,
                       "search.store should read local:PATH or "
                       "opensearch://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT][/NAME]"
                       "[?OPTION=VALUE&OPTION=VALUE]");
}

static bool read_user(const char *text, size_t length, struct opensearch_address *address)
{
    const char *colon = memchr(text, ':', length);
    return colon != NULL && colon > text &&
           text_percent_decode(text, (size_t)(colon - text), address->user, sizeof address->user) &&
           text_percent_decode(colon + 1, length - (size_t)(colon - text) - 1, address->password,
                               sizeof address->password) &&
           address->password[0] != '\0';
}

/* HOST or HOST:PORT; an IPv6 address stands in brackets. */
static bool read_host(const char *text, size_t length, char out[OPENSEARCH_HOST_SIZE])
{
    static const char legal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]";
    char host[OPENSEARCH_HOST_SIZE - 8];
    if (length == 0 || length >= sizeof host) {
        return false;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    char *bracket = strrchr(host, ']'), *colon = strrchr(host, ':');
    bool has_port = colon != NULL && (bracket == NULL || colon > bracket);
    int64_t port = PORT_DEFAULT;
    if (strspn(host, legal) != length || (host[0] == '[') != (bracket != NULL) ||
        (has_port && !text_number(colon + 1, 1, PORT_MAX, &port))) {
        return false;
    }
    if (has_port) {
        *colon = '\0';
    }
    bool plain = host[0] == '[' || strchr(host, ':') == NULL;
    (void)snprintf(out, OPENSEARCH_HOST_SIZE, "%s:%d", host, (int)port);
    return plain && host[0] != '\0';
}

static bool read_hosts(const char *text, size_t length, struct opensearch_address *address)
{
    for (size_t at = 0; at <= length;) {
        size_t end = at;
        while (end < length && text[end] != ',') {
            end++;
        }
        if (address->host_count == OPENSEARCH_HOSTS_MAX ||
            !read_host(text + at, end - at, address->hosts[address->host_count])) {
            return false;
        }
        address->host_count++;
        at = end + 1;
    }
    return true;
}

/* What OpenSearch takes as the beginning of an index's name. */
static bool read_name(const char *text, size_t length, struct opensearch_address *address)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    if (length == 0) {
        return text_copy(address->name, sizeof address->name, "tutti");
    }
    if (length >= sizeof address->name) {
        return false;
    }
    memcpy(address->name, text, length);
    address->name[length] = '\0';
    return strspn(address->name, legal) == length && address->name[0] != '_' &&
           address->name[0] != '-';
}

static int wrong_option(struct problem *problem)
{
    return problem_set(problem, ERR_INVALID,
                       "search.store: an option or its value is unknown; there are tls=yes|no, "
                       "ca=FILE, shards=1…64, timeout_ms=100…60000 and connections=1…1024");
}

static bool set_option(struct opensearch_address *address, const char *name, const char *value)
{
    if (strcmp(name, "tls") == 0) {
        address->tls = strcmp(value, "yes") == 0;
        return address->tls || strcmp(value, "no") == 0;
    }
    if (strcmp(name, "ca") == 0) {
        return text_copy(address->ca, sizeof address->ca, value);
    }
    if (strcmp(name, "shards") == 0) {
        return text_number(value, 1, 64, &address->shards);
    }
    if (strcmp(name, "timeout_ms") == 0) {
        return text_number(value, 100, 60000, &address->timeout_ms);
    }
    return strcmp(name, "connections") == 0 && text_number(value, 1, 1024, &address->connections);
}

static bool read_options(const char *text, struct opensearch_address *address)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "&"), name_length = strcspn(text, "=&");
        char name[32], value[sizeof address->ca];
        if (name_length >= length || !text_percent_decode(text, name_length, name, sizeof name) ||
            !text_percent_decode(text + name_length + 1, length - name_length - 1, value,
                                 sizeof value) ||
            !set_option(address, name, value)) {
            return false;
        }
        text += length + (text[length] == '&');
    }
    return true;
}

static bool is_on_loopback(const struct opensearch_address *address)
{
    for (unsigned i = 0; i < address->host_count; i++) {
        const char *host = address->hosts[i];
        if (strncmp(host, "127.", 4) != 0 && strncmp(host, "localhost:", 10) != 0 &&
            strncmp(host, "[::1]:", 6) != 0) {
            return false;
        }
    }
    return true;
}

static int check(const struct opensearch_address *address, struct problem *problem)
{
    if (address->password[0] != '\0' && !address->tls && !is_on_loopback(address)) {
        return problem_set(problem, ERR_INVALID,
                           "search.store would send its password in the clear; add tls=yes");
    }
    return address->ca[0] == '\0' || address->tls
               ? 0
               : problem_set(problem, ERR_INVALID, "search.store has ca, but not tls=yes");
}

int opensearch_address_parse(const char *url, struct opensearch_address *ret_address,
                             struct problem *problem)
{
    struct opensearch_address address = {.shards = 1, .timeout_ms = 2000, .connections = 32};
    const char *rest = url + strlen(scheme), *at = NULL;
    if (strncmp(url, scheme, strlen(scheme)) != 0) {
        return wrong_form(problem);
    }
    const char *options = rest + strcspn(rest, "?");
    for (const char *sign = rest; sign < options; sign++) {
        at = *sign == '@' ? sign : at; /* the last: a password may hold one */
    }
    const char *hosts = at != NULL ? at + 1 : rest;
    size_t length = strcspn(hosts, "/?");
    const char *name = hosts + length + (hosts[length] == '/');
    bool read = (at == NULL || read_user(rest, (size_t)(at - rest), &address)) &&
                read_hosts(hosts, length, &address) &&
                read_name(name, (size_t)(options > name ? options - name : 0), &address);
    int error = !read                                                     ? wrong_form(problem)
                : *options == '?' && !read_options(options + 1, &address) ? wrong_option(problem)
                                                                          : 0;
    error = error != 0 ? error : check(&address, problem);
    if (error == 0) {
        *ret_address = address;
    }
    sodium_memzero(&address, sizeof address);
    return error;
}
