/* The header fields of an answer: what the handler set, what every answer says, and what tells a
 * browser what it must not do with it (security headers). Runs on the loop threads.
 *
 * Adding a field to a response of libmicrohttpd costs three allocations, and an answer has a dozen.
 * So all but those that libmicrohttpd itself reads go in as one: the value of X-Request-Id is
 * followed by the other fields, each after the end of a line. Since a value with an end of a line
 * is refused (rightly: it is how answers are split), it is given with two control characters in
 * place of them, and mended where it was copied to. No value can hold those characters or an end of
 * a line by itself: reply_header_add refuses all below a space but the tab, and what is put here
 * otherwise is ours.
 */
#include "net/server.h"

#include "base/clock.h"
#include "base/error.h"
#include "net/header.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { OWN_BYTES_MAX = 1024, RETURN_MARK = 1, FEED_MARK = 2 };

static const char own_name[] = "X-Request-Id";

/* Opened as a page, an answer may load and run nothing and stands in no frame (CSP level 3). */
static const char closed_policy[] = "default-src 'none'; frame-ancestors 'none'; sandbox";

void security_settings(struct settings *settings)
{
    const struct http_config *config = &settings->config;
    if (config->hsts_s > 0 && strncasecmp(config->public_url, "https://", 8) == 0) {
        (void)snprintf(settings->hsts, sizeof settings->hsts, "max-age=%u", config->hsts_s);
    }
}

struct head {
    char *at;
    bool policy, resource_policy, sound; /* the handler's own policies; the answer is sound */
};

static void put_text(struct head *head, const char *text)
{
    size_t length = strlen(text);
    memcpy(head->at, text, length);
    head->at += length;
}

static void put(struct head *head, const char *name, const char *value)
{
    *head->at++ = RETURN_MARK;
    *head->at++ = FEED_MARK;
    put_text(head, name);
    *head->at++ = ':';
    *head->at++ = ' ';
    char *began = head->at;
    put_text(head, value);
    for (char *tab = began; (tab = memchr(tab, '\t', (size_t)(head->at - tab))) != NULL; tab++) {
        *tab = ' '; /* tabs are refused as well, and mean the same */
    }
}

static void put_number(struct head *head, const char *name, unsigned number)
{
    char digits[12], *at = digits + sizeof digits - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(head, name, at);
}

static void note(struct head *head, const struct reply_field *field)
{
    if ((field->name[0] | 0x20) != 'c') {
        return;
    }
    if (strcasecmp(field->name, "Content-Type") == 0) {
        head->sound = strncmp(field->value, "audio/", 6) == 0;
    } else {
        head->policy |= strcasecmp(field->name, "Content-Security-Policy") == 0;
        head->resource_policy |= strcasecmp(field->name, "Cross-Origin-Resource-Policy") == 0;
    }
}

static void put_fields(struct head *head, const struct request_private *request)
{
    for (const struct reply_field *field = request->reply.first; field != NULL;
         field = field->next) {
        put(head, field->name, field->value);
        note(head, field);
    }
}

static void put_rates(struct head *head, const struct rate_verdict *rate)
{
    if (rate->limited) {
        put_number(head, "RateLimit-Limit", rate->limit);
        put_number(head, "RateLimit-Remaining", rate->remaining);
        put_number(head, "RateLimit-Reset", rate->reset_s);
    }
}

/* The type is what we say (WHATWG Fetch, section 3.6); who may embed it (section 3.7): our own
 * origin, but media, pictures and objects any; and https alone, where clients see that (RFC 6797).
 * Sound has no policy: browsers open it as a page of their own making, and players embed it. */
static void put_security(struct head *head, const struct request_private *request)
{
    const struct route *row = request->entry != NULL ? request->entry->row : NULL;
    bool any_origin = row != NULL && (row->flags & ROUTE_ANY_ORIGIN) != 0;
    put(head, "X-Content-Type-Options", "nosniff");
    if (!head->policy && !head->sound) {
        put(head, "Content-Security-Policy", closed_policy);
    }
    if (!head->resource_policy) {
        put(head, "Cross-Origin-Resource-Policy", any_origin ? "cross-origin" : "same-origin");
    }
    if (request->settings->hsts[0] != '\0') {
        put(head, "Strict-Transport-Security", request->settings->hsts);
    }
}

static size_t bytes_max(const struct request_private *request)
{
    size_t bytes = OWN_BYTES_MAX;
    for (const struct reply_field *field = request->reply.first; field != NULL;
         field = field->next) {
        bytes += strlen(field->name) + strlen(field->value) + 4;
    }
    return bytes;
}

static void mend_ends_of_lines(char *text)
{
    while ((text = strchr(text, RETURN_MARK)) != NULL) {
        *text++ = '\r';
        *text++ = '\n';
    }
}

/* All fields, from the value of own_name on, with marks for the ends of lines. NULL: out of memory.
 */
static char *write_fields(struct request_private *request)
{
    const struct call *call = &request->request.call;
    char *text = arena_alloc(call->arena, bytes_max(request));
    if (text == NULL) {
        return NULL;
    }
    struct head head = {.at = text};
    put_text(&head, call->request_id);
    put_fields(&head, request);
    if (request->trace_parent != NULL) {
        put(&head, "traceparent", call->trace_parent);
    }
    put_rates(&head, &request->rate);
    put_security(&head, request);
    *head.at = '\0';
    return text;
}

int reply_head(struct request_private *request, struct MHD_Response *response)
{
    const char *text = write_fields(request);
    if (text == NULL || MHD_add_response_header(response, own_name, text) != MHD_YES) {
        return ERR_NO_MEMORY;
    }
    mend_ends_of_lines((char *)MHD_get_response_header(response, own_name));
    bool leaving = atomic_load_explicit(&request->server->leaving, memory_order_relaxed) != NULL;
    if (leaving || request->cut) {
        (void)MHD_add_response_header(response, "Connection", "close");
    }
    return 0;
}

const char *reply_head_text(struct request_private *request)
{
    const struct reply *reply = &request->reply;
    char *fields = write_fields(request), date[HEADER_DATE_SIZE];
    if (fields == NULL) {
        return NULL;
    }
    mend_ends_of_lines(fields);
    header_date_format(clock_wall_ms(), date);
    return arena_printf(request->request.call.arena,
                        "HTTP/1.1 %d %s\r\nDate: %s\r\nConnection: close\r\n"
                        "Content-Length: %llu\r\n%s: %s\r\n\r\n",
                        reply->status, MHD_get_reason_phrase_for((unsigned)reply->status), date,
                        (unsigned long long)reply->length, own_name, fields);
}
