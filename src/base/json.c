/* JSON from outside (json.h). jansson limits the depth at 2048 by its own recursion; ours is
 * checked before it parses, over the bytes, outside of strings. */
#include "base/json.h"

#include "base/error.h"
#include "base/id.h"
#include "base/problem.h"

#include <pthread.h>
#include <string.h>

enum { HEAVY_BYTES = 1 << 20 };

/* What a text holds, outside of its strings. */
struct marks {
    size_t strings, commas, colons, arrays, objects, empty;
    unsigned depth, deepest;
    bool just_opened; /* an array or object, of which nothing came yet */
};

static void note(struct marks *marks, char byte)
{
    switch (byte) {
    case '{':
    case '[':
        *(byte == '{' ? &marks->objects : &marks->arrays) += 1;
        marks->depth++;
        marks->deepest = marks->depth > marks->deepest ? marks->depth : marks->deepest;
        marks->just_opened = true;
        return;
    case '}':
    case ']':
        marks->depth -= marks->depth > 0;
        marks->empty += marks->just_opened;
        break;
    case ',':
        marks->commas++;
        break;
    case ':':
        marks->colons++;
        break;
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        return;
    default:
        break;
    }
    marks->just_opened = false;
}

static struct marks count_marks(const char *bytes, size_t length)
{
    struct marks marks = {.depth = 0};
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '"') {
            marks.strings += !in_string;
            marks.just_opened = false;
            in_string = !in_string;
        } else if (!in_string) {
            note(&marks, bytes[i]);
        } else if (bytes[i] == '\\') {
            i++;
        }
    }
    return marks;
}

/* By jansson 2.14's structs and glibc's blocks: a value with its slot in what holds it, a text
 * beside its letters, an object's pair, the eight slots that an array and an object begin with. */
struct json_weight json_weigh(const char *bytes, size_t length)
{
    enum { VALUE = 48, STRING = 48, PAIR = 56, ARRAY = 96, OBJECT = 192 };
    struct marks marks = count_marks(bytes, length);
    size_t values = marks.commas + marks.arrays + marks.objects - marks.empty + 1;
    return (struct json_weight){.depth = marks.deepest,
                                .bytes = values * VALUE + marks.strings * STRING +
                                         marks.colons * PAIR + marks.arrays * ARRAY +
                                         marks.objects * OBJECT + length};
}

/* Some megabytes of values take a core for tens of milliseconds. Of those one is read at a time, so
 * that many of them at once leave the other cores to who waits for less. */
static json_t *load(const char *bytes, size_t length, bool heavy, json_error_t *error)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    if (heavy) {
        (void)pthread_mutex_lock(&one_at_a_time);
    }
    json_t *value = json_loadb(bytes, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, error);
    if (heavy) {
        (void)pthread_mutex_unlock(&one_at_a_time);
    }
    return value;
}

int json_read(const char *bytes, size_t length, struct problem *problem, json_t **ret_value)
{
    struct json_weight weight = json_weigh(bytes, length);
    if (weight.depth > JSON_DEPTH_MAX) {
        return problem_set(problem, ERR_MALFORMED, "The JSON is nested deeper than %d levels",
                           JSON_DEPTH_MAX);
    }
    json_error_t error;
    json_t *value = load(bytes, length, weight.bytes > HEAVY_BYTES, &error);
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
