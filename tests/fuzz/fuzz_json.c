/* JSON from outside. What is read is not nested deeper than allowed, and written and read again it
 * is the same; what is refused is refused with words. An id is positive and is written as it was
 * read.
 *
 * Covers: src/base/json.c src/base/id.c */
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/problem.h"
#include "fuzz.h"

static unsigned depth_of(json_t *value)
{
    unsigned deepest = 0;
    size_t index;
    const char *name;
    json_t *member;
    json_array_foreach(value, index, member)
    {
        unsigned depth = depth_of(member);
        deepest = depth > deepest ? depth : deepest;
    }
    json_object_foreach(value, name, member)
    {
        unsigned depth = depth_of(member);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + (json_is_array(value) || json_is_object(value) ? 1 : 0);
}

static void check_id(const json_t *value)
{
    int64_t id, again;
    if (json_is_id(value, &id)) {
        CLEANUP_JSON json_t *written = json_id(id);
        FUZZ_CHECK(id > 0 && json_is_id(written, &again) && again == id);
    }
}

static void check_again(json_t *value)
{
    CLEANUP_JSON json_t *again = NULL;
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
    FUZZ_CHECK(text != NULL);
    FUZZ_CHECK(json_read(text, strlen(text), NULL, &again) == 0);
    FUZZ_CHECK(json_equal(value, again) == 1);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problem problem = {0};
    CLEANUP_JSON json_t *value = NULL;
    char *bytes = malloc(size > 0 ? size : 1); /* no NUL behind it */
    FUZZ_CHECK(bytes != NULL);
    if (size > 0) {
        memcpy(bytes, data, size);
    }
    int error = json_read(bytes, size, &problem, &value);
    free(bytes);
    if (error != 0) {
        FUZZ_CHECK(error == ERR_MALFORMED && problem.detail[0] != '\0' && value == NULL);
        return 0;
    }
    FUZZ_CHECK(depth_of(value) <= JSON_DEPTH_MAX);
    check_id(value);
    check_again(value);
    return 0;
}
