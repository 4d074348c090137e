/* Replies (http.h). A handler's words are kept in the request's arena; reply_make turns them into a
 * response of libmicrohttpd, which borrows the bytes until the request is completed. */
#include "net/server.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/id.h"
#include "base/xml.h"
#include "net/header.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { JSON_BYTES_FIRST = 2048 };

static bool is_value(const char *value)
{
    for (; *value != '\0'; value++) {
        if ((unsigned char)*value < ' ' && *value != '\t') {
            return false;
        }
    }
    return true;
}

int reply_header_add(struct request *request, const char *name, const char *value)
{
    struct reply *reply = &request_private(request)->reply;
    if (!is_value(value)) {
        return problem_set(&request->call.problem, ERR_INTERNAL, "The header %s can't be sent",
                           name);
    }
    struct reply_field *field = arena_new_of(request->call.arena, struct reply_field);
    char *copy = arena_strdup(request->call.arena, value);
    if (field == NULL || copy == NULL) {
        return ERR_NO_MEMORY;
    }
    *field = (struct reply_field){.name = name, .value = copy};
    if (reply->last != NULL) {
        reply->last->next = field;
    } else {
        reply->first = field;
    }
    reply->last = field;
    return 0;
}

static struct reply_field *find(const struct request_private *request, const char *name)
{
    for (struct reply_field *field = request->reply.first; field != NULL; field = field->next) {
        if (strcasecmp(field->name, name) == 0) {
            return field;
        }
    }
    return NULL;
}

const char *reply_header_get(const struct request_private *request, const char *name)
{
    const struct reply_field *field = find(request, name);
    return field != NULL ? field->value : NULL;
}

int reply_header(struct request *request, const char *name, const char *value)
{
    struct reply_field *field = find(request_private(request), name);
    if (field == NULL) {
        return reply_header_add(request, name, value);
    }
    char *copy = is_value(value) ? arena_strdup(request->call.arena, value) : NULL;
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    field->value = copy;
    return 0;
}

void reply_discard(struct request_private *request)
{
    struct reply *reply = &request->reply;
    if (reply->kind == REPLY_FILE) {
        (void)close(reply->fd);
    }
    if (reply->kind == REPLY_STREAM) {
        stream_discard(reply->stream);
    }
    reply->kind = REPLY_NONE;
    reply->stream = NULL;
    reply->cold = false;
}

int reply_bytes(struct request *request, int status, const char *content_type, const void *bytes,
                size_t length, bool borrowed)
{
    struct request_private *private_ = request_private(request);
    const void *kept = borrowed ? bytes : arena_strndup(request->call.arena, bytes, length);
    if (kept == NULL && length > 0) {
        return ERR_NO_MEMORY;
    }
    int error = content_type != NULL ? reply_header(request, "Content-Type", content_type) : 0;
    if (error != 0) {
        return error;
    }
    reply_discard(private_);
    private_->reply.kind = REPLY_BYTES;
    private_->reply.status = status;
    private_->reply.bytes = kept;
    private_->reply.length = length;
    return 0;
}

int reply_empty(struct request *request, int status)
{
    return reply_bytes(request, status, NULL, "", 0, true);
}

/* The JSON text, in the arena: mostly in one go. */
static int dump(struct arena *arena, const json_t *object, const char **ret_text,
                size_t *ret_length)
{
    size_t room = JSON_BYTES_FIRST;
    for (;;) {
        char *text = arena_alloc(arena, room);
        if (text == NULL) {
            return ERR_NO_MEMORY;
        }
        size_t length = json_dumpb(object, text, room, JSON_COMPACT | JSON_ENCODE_ANY);
        if (length == 0) {
            return ERR_INTERNAL;
        }
        if (length <= room) {
            *ret_text = text;
            *ret_length = length;
            return 0;
        }
        room = length;
    }
}

static int reply_json_as(struct request *request, int status, const char *content_type,
                         json_t *object)
{
    if (object == NULL) {
        return ERR_NO_MEMORY;
    }
    const char *text;
    size_t length;
    int error = dump(request->call.arena, object, &text, &length);
    json_decref(object);
    return error != 0 ? error : reply_bytes(request, status, content_type, text, length, true);
}

int reply_json(struct request *request, int status, json_t *object)
{
    return reply_json_as(request, status, "application/json", object);
}

static void format_revision(int64_t revision, char out[32])
{
    out[0] = '"';
    size_t digits = strlen(id_format(revision, out + 1));
    memcpy(out + 1 + digits, "\"", 2);
}

bool request_is_fresh(struct request *request, const char *etag)
{
    const char *if_none_match = request_private(request)->if_none_match;
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    return reads && if_none_match != NULL && header_etag_listed(if_none_match, etag, true);
}

bool request_may_block(struct request *request)
{
    return request_private(request)->on_pool;
}

int reply_resource(struct request *request, int status, json_t *object, int64_t revision)
{
    char etag[32];
    format_revision(revision, etag);
    int error = reply_header(request, "ETag", etag);
    if (error == 0 && request_is_fresh(request, etag)) {
        json_decref(object);
        return reply_empty(request, 304);
    }
    if (error != 0) {
        json_decref(object);
        return error;
    }
    return reply_json(request, status, object);
}

int request_if_match(struct request *request, int64_t revision)
{
    const char *if_match = request_header(request, "If-Match");
    char etag[32];
    format_revision(revision, etag);
    if (if_match != NULL && !header_etag_listed(if_match, etag, false)) {
        return problem_set(&request->call.problem, ERR_PRECONDITION,
                           "It is now at %s, not at what If-Match says; read it again", etag);
    }
    return 0;
}

/* Those of the row that has the request, or of the one beside it. */
static unsigned row_flags(const struct request_private *request)
{
    const struct route_entry *entry = request->entry != NULL ? request->entry : request->beside;
    return entry != NULL ? entry->row->flags : 0;
}

/* The words of S3's own errors (its API reference, "Error responses"). */
static const char *s3_code(int error)
{
    switch (error_http_status(error)) {
    case 400:
        return "InvalidRequest";
    case 401:
    case 403:
        return "AccessDenied";
    case 404:
        return "NoSuchKey";
    case 405:
        return "MethodNotAllowed";
    case 408:
        return "RequestTimeout";
    case 411:
        return "MissingContentLength";
    case 412:
        return "PreconditionFailed";
    case 413:
        return "EntityTooLarge";
    case 414:
        return "KeyTooLongError";
    case 416:
        return "InvalidRange";
    case 429:
    case 503:
        return "SlowDown";
    case 501:
        return "NotImplemented";
    default:
        return "InternalError";
    }
}

static const char *xml_text(struct arena *arena, const char *text)
{
    struct buffer out;
    buffer_init(&out, 6 * strlen(text) + 1);
    xml_escape(&out, text);
    const char *copy = buffer_error(&out) == 0 ? arena_strndup(arena, out.data, out.length) : NULL;
    buffer_done(&out);
    return copy != NULL ? copy : "";
}

/* How large the object is that the range lies outside of; "" for other errors. Clients that ask for
 * a first range before they know the size tell by it that the object is empty. */
static const char *actual_size(struct request_private *request, int error)
{
    static const char none[] = "bytes */";
    const char *range = reply_header_get(request, "Content-Range");
    bool told = error == ERR_RANGE && range != NULL && strncmp(range, none, sizeof none - 1) == 0;
    const char *text =
        told ? arena_printf(request->request.call.arena, "<ActualObjectSize>%s</ActualObjectSize>",
                            range + sizeof none - 1)
             : NULL;
    return text != NULL ? text : "";
}

static int problem_xml(struct request_private *request, int error, int status)
{
    struct call *call = &request->request.call;
    const char *detail =
        call->problem.detail[0] != '\0' ? call->problem.detail : error_title(error);
    const char *word = request->request.xml_code;
    char *text = arena_printf(
        call->arena,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message>"
        "%s<Resource>%s</Resource><RequestId>%s</RequestId></Error>",
        word != NULL ? word : s3_code(error), xml_text(call->arena, detail),
        actual_size(request, error),
        xml_text(call->arena, request->request.path != NULL ? request->request.path : "/"),
        call->request_id);
    return text != NULL
               ? reply_bytes(&request->request, status, "application/xml", text, strlen(text), true)
               : ERR_NO_MEMORY;
}

static json_t *problem_fields(const struct problem *problem)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < problem->field_count; i++) {
        (void)json_array_append_new(list, json_pack("{s:s,s:s}", "field", problem->fields[i].name,
                                                    "message", problem->fields[i].message));
    }
    return list;
}

static int problem_json(struct request_private *request, int error, int status)
{
    struct call *call = &request->request.call;
    char type[64], instance[64];
    (void)snprintf(type, sizeof type, "urn:tutti:error:%s", error_name(error));
    (void)snprintf(instance, sizeof instance, "urn:tutti:request:%s", call->request_id);
    json_t *object = json_pack("{s:s,s:s,s:i,s:s}", "type", type, "title", error_title(error),
                               "status", status, "instance", instance);
    if (call->problem.detail[0] != '\0' && object != NULL) {
        (void)json_object_set_new(object, "detail", json_string(call->problem.detail));
    }
    if (call->problem.field_count > 0 && object != NULL) {
        (void)json_object_set_new(object, "errors", problem_fields(&call->problem));
    }
    return reply_json_as(&request->request, status, "application/problem+json", object);
}

/* Headers that go with the status (RFC 9110 sections 10.2.3 and 11.6.1). */
static void problem_headers(struct request_private *request, int status)
{
    struct request *public_ = &request->request;
    int retry_after_s = public_->call.problem.retry_after_s;
    if (retry_after_s <= 0 && status == 503) {
        retry_after_s = 1;
    }
    if (retry_after_s > 0) {
        char text[16];
        (void)snprintf(text, sizeof text, "%d", retry_after_s);
        (void)reply_header(public_, "Retry-After", text);
    }
    bool s3 = (row_flags(request) & ROUTE_XML_ERRORS) != 0;
    if (status == 401 && !s3) {
        (void)reply_header(public_, "WWW-Authenticate",
                           request->authorization != NULL ? "Bearer error=\"invalid_token\""
                                                          : "Bearer");
    }
    (void)reply_header(public_, "Cache-Control", "no-store");
    if ((row_flags(request) & ROUTE_OWN_CORS) != 0) {
        (void)reply_header(public_, "Access-Control-Allow-Origin", "*");
    }
    if (s3) {
        (void)reply_header(public_, "x-amz-request-id", public_->call.request_id);
    }
}

void reply_problem(struct request_private *request, int error)
{
    static const char last_word[] = "{\"type\":\"urn:tutti:error:no-memory\",\"status\":503}";
    reply_discard(request);
    const char *content_range = reply_header_get(request, "Content-Range");
    if (request->entry != NULL) {
        request->reply.first = request->reply.last = NULL; /* the handler's, of another answer */
    }
    if (content_range != NULL && error == ERR_RANGE) {
        (void)reply_header(&request->request, "Content-Range", content_range);
    }
    int status = error_http_status(error);
    problem_headers(request, status);
    bool xml = (row_flags(request) & ROUTE_XML_ERRORS) != 0;
    int failed = xml ? problem_xml(request, error, status) : problem_json(request, error, status);
    if (failed != 0) {
        request->reply.kind = REPLY_BYTES;
        request->reply.status = 503;
        request->reply.bytes = last_word;
        request->reply.length = sizeof last_word - 1;
    }
}

static struct MHD_Response *make_body(struct request_private *request)
{
    struct reply *reply = &request->reply;
    enum reply_kind kind = reply->kind;
    reply->kind = REPLY_NONE; /* from here on the response owns what it sends */
    switch (kind) {
    case REPLY_FILE: {
        struct MHD_Response *response =
            MHD_create_response_from_fd_at_offset64(reply->length, reply->fd, reply->offset);
        if (response == NULL) {
            (void)close(reply->fd);
        }
        return response;
    }
    case REPLY_STREAM:
        return stream_response(request);
    case REPLY_BYTES:
        return MHD_create_response_from_buffer((size_t)reply->length, (void *)reply->bytes,
                                               MHD_RESPMEM_PERSISTENT);
    case REPLY_NONE:
        break;
    }
    return NULL;
}

struct MHD_Response *reply_make(struct request_private *request)
{
    cors_reply(request);
    if (request->request.call.actor.user_id != 0 && find(request, "Cache-Control") == NULL) {
        (void)reply_header(&request->request, "Cache-Control", "private");
    }
    struct MHD_Response *response = make_body(request);
    if (response == NULL) {
        return NULL;
    }
    if (reply_head(request, response) != 0) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}
