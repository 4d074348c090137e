/* JSON from outside (json.h). jansson limits the depth at 2048 by its own recursion; ours is
 * checked before it parses, over the bytes, outside of strings. */
#include "base/json.h"

#include "base/error.h"
#include "base/id.h"
#include "base/problem.h"

#include <string.h>

static bool depth_within_limit(const char *bytes, size_t length)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        char byte = bytes[i];
        if (in_string) {
            if (byte == '\\') {
                i++;
            } else if (byte == '"') {
                in_string = false;
            }
        } else if (byte == '"') {
            in_string = true;
        } else if (byte == '{' || byte == '[') {
            if (++depth > JSON_DEPTH_MAX) {
                return false;
            }
        } else if ((byte == '}' || byte == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

int json_read(const char *bytes, size_t length, struct problem *problem, json_t **ret_value)
{
    if (!depth_within_limit(bytes, length)) {
        return problem_set(problem, ERR_MALFORMED, "The JSON is nested deeper than %d levels",
                           JSON_DEPTH_MAX);
    }
    json_error_t error;
    json_t *value = json_loadb(bytes, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value == NULL) {
        bool nul = json_error_code(&error) == json_error_null_character;
        return problem_set(problem, ERR_MALFORMED,
                           "The JSON is malformed at line %d, column %d: %s", error.line,
                           error.column, nul ? "\\u0000 is not allowed" : error.text);
    }
    *ret_value = value;
    return 0;
}

json_t *json_id(int64_t id)
{
    char text[ID_TEXT_SIZE];
    return id != 0 ? json_string(id_format(id, text)) : json_null();
}

bool json_is_id(const json_t *value, int64_t *ret_id)
{
    if (json_is_string(value)) {
        return id_parse(json_string_value(value), ret_id);
    }
    if (json_is_integer(value) && json_integer_value(value) > 0) {
        *ret_id = json_integer_value(value);
        return true;
    }
    return false;
}

void json_wipe(json_t *value)
{
    const char *name;
    json_t *member;
    size_t index;
    if (json_is_string(value)) {
        explicit_bzero((char *)(uintptr_t)json_string_value(value), json_string_length(value));
    }
    json_object_foreach(value, name, member)
    {
        json_wipe(member);
    }
    json_array_foreach(value, index, member)
    {
        json_wipe(member);
    }
}
