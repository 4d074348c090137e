/* Signing requests in their header (sigv4_header.h). Any thread. */
#include "backend/blob/sigv4_header.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

enum { CANONICAL_BYTES_MAX = 64 * 1024 };

/* By name; a request has a handful, and no name twice. */
static void sort(const struct sigv4_pair *pairs, unsigned count,
                 const struct sigv4_pair *sorted[SIGV4_PAIRS_MAX])
{
    for (unsigned i = 0; i < count; i++) {
        unsigned at = i;
        for (; at > 0 && strcmp(sorted[at - 1]->name, pairs[i].name) > 0; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = &pairs[i];
    }
}

int sigv4_query(const struct sigv4_pair *query, unsigned count, struct buffer *out)
{
    const struct sigv4_pair *sorted[SIGV4_PAIRS_MAX];
    if (count > SIGV4_PAIRS_MAX) {
        return ERR_TOO_LARGE;
    }
    sort(query, count, sorted);
    for (unsigned i = 0; i < count; i++) {
        (void)buffer_add(out, i > 0 ? "&" : "");
        sigv4_encode(out, sorted[i]->name, strlen(sorted[i]->name), false);
        (void)buffer_add(out, "=");
        sigv4_encode(out, sorted[i]->value, strlen(sorted[i]->value), false);
    }
    return buffer_error(out);
}

static void add_names(const struct sigv4_pair *const *sorted, unsigned count, struct buffer *out)
{
    for (unsigned i = 0; i < count; i++) {
        (void)buffer_printf(out, "%s%s", i > 0 ? ";" : "", sorted[i]->name);
    }
}

static int write_canonical(const struct sigv4_header *what, const struct sigv4_pair *const *headers,
                           struct buffer *out)
{
    (void)buffer_printf(out, "%s\n%s\n", what->method, what->path);
    int error = sigv4_query(what->query, what->query_count, out);
    (void)buffer_add(out, "\n");
    for (unsigned i = 0; i < what->header_count; i++) {
        (void)buffer_printf(out, "%s:%s\n", headers[i]->name, headers[i]->value);
    }
    (void)buffer_add(out, "\n");
    add_names(headers, what->header_count, out);
    (void)buffer_printf(out, "\n%s", what->payload);
    return error != 0 ? error : buffer_error(out);
}

static int write_authorization(const struct sigv4_header *what,
                               const struct sigv4_pair *const *headers, const char *scope,
                               const char *signature, char out[SIGV4_AUTHORIZATION_SIZE])
{
    struct buffer text;
    buffer_init(&text, SIGV4_AUTHORIZATION_SIZE - 1);
    (void)buffer_printf(&text, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=",
                        what->credentials->key_id, scope);
    add_names(headers, what->header_count, &text);
    (void)buffer_printf(&text, ", Signature=%s", signature);
    int error = buffer_error(&text);
    if (error == 0) {
        memcpy(out, text.data, text.length + 1);
    }
    buffer_done(&text);
    return error;
}

int sigv4_authorize(const struct sigv4_header *what, char out[SIGV4_AUTHORIZATION_SIZE])
{
    const struct sigv4_pair *headers[SIGV4_PAIRS_MAX];
    char date[SIGV4_DATE_SIZE], scope[SIGV4_SCOPE_SIZE], signature[SIGV4_HEX_SIZE];
    if (what->header_count > SIGV4_PAIRS_MAX) {
        return ERR_TOO_LARGE;
    }
    sort(what->headers, what->header_count, headers);
    sigv4_date(what->date_ms, date);
    sigv4_scope(date, what->credentials->region, scope);
    struct buffer canonical;
    buffer_init(&canonical, CANONICAL_BYTES_MAX);
    int error = write_canonical(what, headers, &canonical);
    if (error == 0) {
        sigv4_sign(&canonical, date, scope, what->credentials, signature);
        error = write_authorization(what, headers, scope, signature, out);
    }
    buffer_done(&canonical);
    return error;
}
