/* Members of a JSON body, with words for the field that is wrong. Any thread. */
#include "base/error.h"
#include "net/http.h"
#include "service/idempotency.h"
#include "service/identity/identity_http.h"
#include "service/identity/identity_private.h"

int body_text(struct request *request, const json_t *body, const char *name, const char **ret_text)
{
    const json_t *value = json_object_get(body, name);
    if (!json_is_string(value)) {
        return problem_field(&request->call.problem, name,
                             value == NULL ? "is missing" : "should be a text");
    }
    *ret_text = json_string_value(value);
    return 0;
}

int body_text_or_null(struct request *request, const json_t *body, const char *name,
                      const char **ret_text)
{
    const json_t *value = json_object_get(body, name);
    if (value == NULL || json_is_null(value)) {
        *ret_text = NULL;
        return 0;
    }
    return body_text(request, body, name, ret_text);
}

int body_text_or_empty(struct request *request, const json_t *body, const char *name,
                       const char **ret_text)
{
    if (json_is_null(json_object_get(body, name))) {
        *ret_text = "";
        return 0;
    }
    return body_text_or_null(request, body, name, ret_text);
}

int body_bool(struct request *request, const json_t *body, const char *name, int fallback,
              int *ret_value)
{
    const json_t *value = json_object_get(body, name);
    if (value != NULL && !json_is_boolean(value)) {
        return problem_field(&request->call.problem, name, "should be true or false");
    }
    *ret_value = value == NULL ? fallback : json_is_true(value);
    return 0;
}

int revision_seen(struct request *request, const struct idempotency *once, int64_t present,
                  int64_t *ret_seen)
{
    int error = request_if_match(request, present);
    if (error == ERR_PRECONDITION && once->key != NULL) {
        *ret_seen = REVISION_OTHER;
        return 0;
    }
    *ret_seen = present;
    return error;
}
