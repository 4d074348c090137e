/* A request's target: path and query. What is accepted is UTF-8 without NUL, has no "." or ".."
 * segment, and its segments lie in the path one behind the other; encoded again it is accepted and
 * decodes to the same. Where an absolute form is taken for one, a path begins behind it.
 *
 * Covers: src/net/target.c */
#include "base/buffer.h"
#include "base/text.h"
#include "fuzz.h"
#include "net/target.h"

enum { ARENA_BYTES = 1 << 20, TARGET_BYTES_MAX = 1 << 20 };

static void encode(struct buffer *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        (void)buffer_printf(out, "%%%02X", (unsigned char)text[i]);
    }
}

static void check_path(const struct target_path *path)
{
    FUZZ_CHECK(path->text[0] == '/' && strlen(path->text) == path->length);
    FUZZ_CHECK(path->count > 0 && path->count <= TARGET_SEGMENTS_MAX);
    FUZZ_CHECK(text_is_utf8(path->text, path->length));
    unsigned at = 0;
    for (unsigned i = 0; i < path->count; i++) {
        const struct target_segment *segment = &path->segments[i];
        const char *text = path->text + segment->offset;
        FUZZ_CHECK(path->text[at] == '/' && segment->offset == at + 1);
        FUZZ_CHECK(!(segment->length == 1 && text[0] == '.'));
        FUZZ_CHECK(!(segment->length == 2 && text[0] == '.' && text[1] == '.'));
        at = segment->offset + segment->length;
    }
    FUZZ_CHECK(at == path->length);
}

static void write_path(const struct target_path *path, struct buffer *out)
{
    for (unsigned i = 0; i < path->count; i++) {
        (void)buffer_add(out, "/");
        encode(out, path->text + path->segments[i].offset, path->segments[i].length);
    }
}

static void check_query(const struct target_query *query, struct buffer *out)
{
    FUZZ_CHECK(query->count <= TARGET_QUERY_MAX);
    for (unsigned i = 0; i < query->count; i++) {
        const struct target_pair *pair = &query->pairs[i];
        FUZZ_CHECK(text_is_utf8(pair->name, strlen(pair->name)));
        FUZZ_CHECK(text_is_utf8(pair->value, strlen(pair->value)));
        (void)buffer_add(out, i == 0 ? "?" : "&");
        encode(out, pair->name, strlen(pair->name));
        (void)buffer_add(out, "=");
        encode(out, pair->value, strlen(pair->value));
    }
}

static void same_again(struct arena *arena, const char *again, const struct target_path *path,
                       const struct target_query *query)
{
    struct target_path path_again;
    struct target_query query_again;
    FUZZ_CHECK(target_path_decode(arena, again, &path_again) == 0);
    FUZZ_CHECK(strcmp(path_again.text, path->text) == 0 && path_again.count == path->count);
    FUZZ_CHECK(target_query_decode(arena, again, &query_again) == 0);
    FUZZ_CHECK(query_again.count == query->count);
    for (unsigned i = 0; i < query->count; i++) {
        FUZZ_CHECK(strcmp(query_again.pairs[i].name, query->pairs[i].name) == 0);
        FUZZ_CHECK(strcmp(query_again.pairs[i].value, query->pairs[i].value) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *target = fuzz_text(data, size);
    struct arena *arena = arena_new(ARENA_BYTES);
    struct buffer again;
    buffer_init(&again, TARGET_BYTES_MAX);
    struct target_path path;
    struct target_query query;
    FUZZ_CHECK(arena != NULL);
    const char *start = target_path_start(target);
    FUZZ_CHECK(start == target || start[0] == '/');
    FUZZ_CHECK(target[0] != '/' || start == target);
    int path_error = target_path_decode(arena, start, &path);
    int query_error = target_query_decode(arena, target, &query);
    if (path_error == 0 && query_error == 0) {
        check_path(&path);
        write_path(&path, &again);
        check_query(&query, &again);
        same_again(arena, again.data, &path, &query);
    }
    buffer_done(&again);
    arena_free(arena);
    free(target);
    return 0;
}
