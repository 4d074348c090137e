/* READ: what the request's head says, gathered in one pass over its fields. Runs on the loop
 * thread. Texts are borrowed from libmicrohttpd until the request completes; head_copy makes them
 * ours where work may outlive that (a sink's job when the client goes away). */
#include "net/server.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "net/header.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

enum { HEADERS_FIRST = 24 };

/* Unpredictable enough for ids that only name things: splitmix64 from a random start. */
static uint64_t random64(void)
{
    static _Thread_local uint64_t state;
    if (state == 0) {
        (void)!getrandom(&state, sizeof state, 0);
        state ^= (uint64_t)clock_monotonic_us();
    }
    state += 0x9e3779b97f4a7c15u;
    uint64_t mixed = state;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

static void write_hex(uint64_t value, char out[16])
{
    for (int i = 15; i >= 0; i--) {
        out[i] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
}

static int add_field(struct request_private *request, const char *name, const char *value)
{
    if (request->header_count == request->header_room) {
        unsigned room = request->header_room != 0 ? 2 * request->header_room : HEADERS_FIRST;
        struct header_field *fields =
            arena_array(request->request.call.arena, room, sizeof *fields);
        if (fields == NULL) {
            return ERR_NO_MEMORY;
        }
        if (request->header_count > 0) {
            memcpy(fields, request->headers, request->header_count * sizeof *fields);
        }
        request->headers = fields;
        request->header_room = room;
    }
    request->headers[request->header_count++] = (struct header_field){name, value};
    return 0;
}

static void note_content_length(struct request_private *request, const char *value)
{
    int64_t length;
    if (!text_number(value, 0, INT64_MAX, &length) ||
        (request->content_length_count > 0 && length != request->content_length)) {
        request->framing_bad = true;
        return;
    }
    request->content_length = length;
    request->content_length_count++;
}

/* Keeps what the steps themselves need. */
static void note_field(struct request_private *request, const char *name, const char *value)
{
    static const struct {
        const char *name;
        size_t offset;
    } rows[] = {
#define FIELD(text, member) {text, offsetof(struct request_private, member)}
        FIELD("Authorization", authorization),
        FIELD("Content-Type", content_type),
        FIELD("Expect", expect),
        FIELD("If-None-Match", if_none_match),
        FIELD("Origin", origin),
        FIELD("traceparent", trace_parent),
        FIELD("Tutti-Timeout-Ms", timeout),
#undef FIELD
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((rows[i].name[0] ^ name[0]) % 32 == 0 && strcasecmp(rows[i].name, name) == 0) {
            const char **slot = (const char **)((char *)request + rows[i].offset);
            *slot = *slot == NULL ? value : *slot;
            return;
        }
    }
}

static void note_framing(struct request_private *request, const char *name, const char *value)
{
    if (strcasecmp(name, "Content-Length") == 0) {
        note_content_length(request, value);
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        request->framing_bad |= request->chunked || strcasecmp(value, "chunked") != 0;
        request->chunked = true;
    } else if (strcasecmp(name, "X-Request-Id") == 0 && header_request_id(value)) {
        memcpy(request->request.call.request_id, value, strlen(value) + 1);
    }
}

static bool in_token(char byte)
{
    char lower = (char)(byte | 0x20);
    return (lower >= 'a' && lower <= 'z') || byte == '-' || (byte >= '0' && byte <= '9') ||
           (byte != '\0' && strchr("!#$%&'*+.^_`|~", byte) != NULL);
}

/* RFC 9110 section 5.1. libmicrohttpd lets other names pass, that of "Content-Length : 5" among
 * them, and who stands in front of us may have taken it for the length. */
static bool is_token(const char *name)
{
    const char *at = name;
    while (in_token(*at)) {
        at++;
    }
    return at != name && *at == '\0';
}

static enum MHD_Result collect(void *argument, enum MHD_ValueKind kind, const char *name,
                               const char *value)
{
    (void)kind;
    struct request_private *request = argument;
    value = value != NULL ? value : "";
    request->field_bad |= !is_token(name);
    if (add_field(request, name, value) != 0) {
        return MHD_NO;
    }
    switch (name[0] | 0x20) {
    case 'c': /* Content-Type or -Length */
    case 't': /* Transfer-Encoding, traceparent or Tutti-Timeout-Ms */
    case 'x':
        note_framing(request, name, value);
        note_field(request, name, value);
        break;
    case 'a':
    case 'e':
    case 'f':
    case 'i':
    case 'o':
        note_field(request, name, value);
        break;
    case 'h':
        request->host_count += strcasecmp(name, "Host") == 0;
        break;
    default:
        break;
    }
    return MHD_YES;
}

/* The id comes from outside (a proxy, a client) or is made; so does the trace. */
static void name_request(struct request_private *request)
{
    struct call *call = &request->request.call;
    if (call->request_id[0] == '\0') {
        write_hex(random64(), call->request_id);
        write_hex(random64(), call->request_id + 16);
        call->request_id[32] = '\0';
    }
    char *trace = call->trace_parent;
    if (request->trace_parent != NULL && header_traceparent(request->trace_parent)) {
        memcpy(trace, request->trace_parent, 56);
    } else {
        memcpy(trace, "00-00000000000000000000000000000000-0000000000000000-00", 56);
        write_hex(random64(), trace + 3);
        write_hex(random64(), trace + 19);
        request->trace_parent = NULL;
    }
    write_hex(random64(), trace + 36); /* this request is a span of its own */
    spans_begin(request);
}

/* What trusted proxies say, the last line of each header first. */
static void resolve_remote(struct request_private *request)
{
    struct connection *connection = request->connection;
    struct address client = connection->peer;
    bool walks = true, https_said = false;
    request->request.remote = connection->peer_text;
    for (unsigned i = connection->trusted ? request->header_count : 0; i-- > 0;) {
        const struct header_field *field = &request->headers[i];
        if (walks && strcasecmp(field->name, "X-Forwarded-For") == 0) {
            walks = forwarded_walk(&request->settings->trusted, field->value, &client);
            address_format(&client, request->remote_text);
            request->request.remote = request->remote_text;
        } else if (!https_said && strcasecmp(field->name, "X-Forwarded-Proto") == 0) {
            https_said = true;
            request->request.https = forwarded_https(field->value);
        }
    }
    request->remote_address = client;
}

static int check_framing(struct request_private *request)
{
    struct problem *problem = &request->request.call.problem;
    if (request->field_bad) {
        request->cut = true;
        return problem_set(
            problem, ERR_MALFORMED,
            "The name of a header is not right: it must be letters, digits and '-', and "
            "the colon right behind it");
    }
    if (request->framing_bad || (request->chunked && request->content_length_count > 0)) {
        request->cut = true; /* where the next request would begin is anybody's guess */
        return problem_set(problem, ERR_MALFORMED,
                           "The length of the body is not clear: one Content-Length, or "
                           "Transfer-Encoding: chunked, is needed");
    }
    if (request->host_count > 1) {
        return problem_set(problem, ERR_MALFORMED, "There is more than one Host header");
    }
    return 0;
}

static int check_size(struct request_private *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    size_t bytes_max = request->settings->config.header_bytes_max;
    if (info != NULL && info->header_size > bytes_max) {
        return problem_set(&request->request.call.problem, ERR_HEADERS_TOO_LARGE,
                           "The headers have %zu bytes; at most %zu are allowed", info->header_size,
                           bytes_max);
    }
    return 0;
}

int head_read(struct request_private *request)
{
    request->content_length = -1;
    request->head_only = strcmp(request->request.method, "HEAD") == 0;
    (void)MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, collect, request);
    name_request(request);
    resolve_remote(request);
    if (request->content_length_count == 0) {
        request->content_length = -1;
    }
    request->body_expected = request->chunked || request->content_length > 0;
    int error = check_framing(request);
    if (error == 0) {
        error = check_size(request);
    }
    if (error == 0) {
        error = due_read(request);
    }
    if (error != 0) {
        return error;
    }
    error =
        target_query_decode(request->request.call.arena, request->request.target, &request->query);
    if (error == ERR_MALFORMED) {
        return problem_set(&request->request.call.problem, error,
                           "The query is not valid: percent-encoded UTF-8, at most %d parts",
                           TARGET_QUERY_MAX);
    }
    return error;
}

int head_copy(struct request_private *request)
{
    struct arena *arena = request->request.call.arena;
    if (request->headers_copied) {
        return 0;
    }
    for (unsigned i = 0; i < request->header_count; i++) {
        struct header_field *field = &request->headers[i];
        const char *value = field->value;
        field->name = arena_strdup(arena, field->name);
        field->value = arena_strdup(arena, value);
        if (field->name == NULL || field->value == NULL) {
            return ERR_NO_MEMORY;
        }
        if (request->content_type == value) {
            request->content_type = field->value;
        }
    }
    request->authorization = request->timeout = NULL; /* read */
    request->expect = request_header(&request->request, "Expect");
    request->origin = request_header(&request->request, "Origin");
    request->if_none_match = request_header(&request->request, "If-None-Match");
    request->request.method = arena_strdup(arena, request->request.method);
    if (request->request.remote != request->remote_text) {
        memcpy(request->remote_text, request->connection->peer_text, sizeof request->remote_text);
        request->request.remote = request->remote_text;
    }
    request->headers_copied = request->request.method != NULL;
    return request->headers_copied ? 0 : ERR_NO_MEMORY;
}
