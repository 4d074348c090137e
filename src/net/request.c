/* What came in, for handlers (http.h). */
#include "net/server.h"

#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/text.h"
#include "net/header.h"

#include <string.h>
#include <strings.h>

const char *request_header(struct request *request, const char *name)
{
    struct request_private *private_ = request_private(request);
    for (unsigned i = 0; i < private_->header_count; i++) {
        if (strcasecmp(private_->headers[i].name, name) == 0) {
            return private_->headers[i].value;
        }
    }
    return NULL;
}

void request_header_each(struct request *request,
                         void (*visit)(void *argument, const char *name, const char *value),
                         void *argument)
{
    struct request_private *private_ = request_private(request);
    for (unsigned i = 0; i < private_->header_count; i++) {
        visit(argument, private_->headers[i].name, private_->headers[i].value);
    }
}

const char *request_query(struct request *request, const char *name)
{
    const struct target_query *query = &request_private(request)->query;
    for (unsigned i = 0; i < query->count; i++) {
        if (strcmp(query->pairs[i].name, name) == 0) {
            return query->pairs[i].value;
        }
    }
    return NULL;
}

void request_query_each(struct request *request,
                        void (*visit)(void *argument, const char *name, const char *value),
                        void *argument)
{
    const struct target_query *query = &request_private(request)->query;
    for (unsigned i = 0; i < query->count; i++) {
        visit(argument, query->pairs[i].name, query->pairs[i].value);
    }
}

const char *request_param(struct request *request, const char *name)
{
    struct request_private *private_ = request_private(request);
    const struct route_entry *entry = private_->entry;
    for (unsigned i = 0; entry != NULL && i < entry->param_count; i++) {
        if (strcmp(entry->param_names[i], name) == 0) {
            return private_->param_values[i];
        }
    }
    return NULL;
}

const char *request_cookie(struct request *request, const char *name)
{
    const char *header = request_header(request, "Cookie");
    size_t length;
    const char *value = header != NULL ? header_cookie(header, name, &length) : NULL;
    return value != NULL ? arena_strndup(request->call.arena, value, length) : NULL;
}

int request_param_id(struct request *request, const char *name, int64_t *ret_id)
{
    const char *text = request_param(request, name);
    if (text == NULL || !id_parse(text, ret_id)) {
        return problem_set(&request->call.problem, ERR_NOT_FOUND, "There is no such %s", name);
    }
    return 0;
}

int request_query_number(struct request *request, const char *name, int64_t min, int64_t max,
                         int64_t fallback, int64_t *ret_number)
{
    const char *text = request_query(request, name);
    if (text == NULL) {
        *ret_number = fallback;
        return 0;
    }
    if (!text_number(text, min, max, ret_number)) {
        return problem_set(&request->call.problem, ERR_MALFORMED,
                           "The query's %s must be a number from %lld to %lld", name,
                           (long long)min, (long long)max);
    }
    return 0;
}

const void *request_body(struct request *request, size_t *ret_length)
{
    struct request_private *private_ = request_private(request);
    *ret_length = private_->body != NULL ? private_->body_length : 0;
    return private_->body != NULL ? private_->body : "";
}

int64_t request_content_length(struct request *request)
{
    return request_private(request)->content_length;
}

static bool is_json_type(const char *type)
{
    if (strncasecmp(type, "application/", 12) != 0) {
        return false;
    }
    size_t length = strcspn(type, "; \t");
    return (length == 16 && strncasecmp(type + 12, "json", 4) == 0) ||
           (length > 17 && strncasecmp(type + length - 5, "+json", 5) == 0);
}

int request_memory(struct request *request, size_t bytes)
{
    return memory_take(request_private(request), bytes);
}

static int read_json(struct request *request)
{
    struct request_private *private_ = request_private(request);
    struct problem *problem = &request->call.problem;
    if (private_->content_type == NULL || !is_json_type(private_->content_type)) {
        return problem_set(problem, ERR_MEDIA_TYPE,
                           "The body must be JSON, sent as Content-Type: application/json");
    }
    size_t length;
    const char *body = request_body(request, &length);
    size_t bytes = json_weigh(body, length).bytes;
    if (bytes > JSON_WEIGHT_MAX) {
        return problem_set(problem, ERR_TOO_LARGE,
                           "The JSON holds too many values: they would take %zu bytes of memory, "
                           "at most %d are allowed",
                           bytes, JSON_WEIGHT_MAX);
    }
    int error = request_memory(request, bytes);
    return error != 0 ? error : json_read(body, length, problem, &private_->json);
}

int request_json(struct request *request, json_t **ret_object)
{
    struct request_private *private_ = request_private(request);
    int error = private_->json == NULL ? read_json(request) : 0;
    if (error != 0) {
        return error;
    }
    if (!json_is_object(private_->json)) {
        return problem_set(&request->call.problem, ERR_MALFORMED, "The body must be a JSON object");
    }
    *ret_object = private_->json;
    return 0;
}

int request_idempotency_key(struct request *request, const char **ret_key)
{
    const char *key = request_header(request, "Idempotency-Key");
    if (key != NULL && !header_idempotency_key(key)) {
        return problem_set(&request->call.problem, ERR_MALFORMED,
                           "Idempotency-Key must have 1 to 255 visible ASCII characters");
    }
    *ret_key = key;
    return 0;
}
