/* The request's target (target.h). */
#include "net/target.h"

#include "base/error.h"
#include "base/text.h"

#include <string.h>

/* Decodes [from, end) to out; returns the length, or -1 for a broken encoding or a NUL. */
static int decode(const char *from, const char *end, bool plus_is_space, char *out)
{
    char *at = out;
    while (from < end) {
        int byte = (unsigned char)*from;
        if (byte == '%') {
            byte = text_percent_byte(from, (size_t)(end - from));
            if (byte <= 0) {
                return -1;
            }
            from += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        from++;
        *at++ = (char)byte;
    }
    return (int)(at - out);
}

static bool is_dots(const char *segment, int length)
{
    return (length == 1 && segment[0] == '.') ||
           (length == 2 && segment[0] == '.' && segment[1] == '.');
}

/* Decodes the segments of [from, end), which begins with '/', one after the other into text. */
static int decode_segments(const char *from, const char *end, char *text, struct target_path *path)
{
    unsigned length = 0;
    for (; from < end; path->length = length) {
        if (path->count == TARGET_SEGMENTS_MAX) {
            return ERR_URI_TOO_LONG;
        }
        text[length++] = '/';
        from++;
        const char *stop = memchr(from, '/', (size_t)(end - from));
        stop = stop != NULL ? stop : end;
        int decoded = decode(from, stop, false, text + length);
        if (decoded < 0 || is_dots(text + length, decoded)) {
            return ERR_MALFORMED;
        }
        path->segments[path->count++] = (struct target_segment){length, (unsigned)decoded};
        length += (unsigned)decoded;
        from = stop;
    }
    return 0;
}

const char *target_path_start(const char *target)
{
    static const char scheme_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                         "0123456789+-.";
    size_t scheme = strspn(target, scheme_letters);
    if (scheme == 0 || strncmp(target + scheme, "://", 3) != 0) {
        return target;
    }
    const char *authority = target + scheme + 3;
    const char *path = authority + strcspn(authority, "/?");
    return *path == '/' ? path : "/";
}

int target_path_decode(struct arena *arena, const char *target, struct target_path *ret_path)
{
    size_t raw_length = strcspn(target, "?");
    ret_path->text = "";
    ret_path->count = ret_path->length = 0;
    if (raw_length == 0 || target[0] != '/') {
        return ERR_MALFORMED;
    }
    char *text = arena_alloc(arena, raw_length + 1);
    if (text == NULL) {
        return ERR_NO_MEMORY;
    }
    ret_path->text = text;
    int error = decode_segments(target, target + raw_length, text, ret_path);
    if (error == 0 && !text_is_utf8(text, ret_path->length)) {
        error = ERR_MALFORMED;
    }
    return error;
}

static unsigned count_pairs(const char *query)
{
    unsigned count = 1;
    for (; *query != '\0'; query++) {
        count += *query == '&';
    }
    return count;
}

/* Decodes [from, end) into text, which is NUL-terminated; moves *text behind it. */
static const char *decode_text(const char *from, const char *end, char **text)
{
    char *start = *text;
    int length = decode(from, end, true, start);
    if (length < 0 || !text_is_utf8(start, (size_t)length)) {
        return NULL;
    }
    start[length] = '\0';
    *text = start + length + 1;
    return start;
}

static int decode_pair(const char *from, const char *end, char **text, struct target_pair *pair)
{
    const char *equals = memchr(from, '=', (size_t)(end - from));
    pair->name = decode_text(from, equals != NULL ? equals : end, text);
    pair->value = decode_text(equals != NULL ? equals + 1 : end, end, text);
    return pair->name != NULL && pair->value != NULL ? 0 : ERR_MALFORMED;
}

int target_query_decode(struct arena *arena, const char *target, struct target_query *ret_query)
{
    *ret_query = (struct target_query){.count = 0};
    const char *query = strchr(target, '?');
    if (query == NULL || query[1] == '\0') {
        return 0;
    }
    query++;
    unsigned pairs_max = count_pairs(query);
    if (pairs_max > TARGET_QUERY_MAX) {
        return ERR_MALFORMED;
    }
    size_t length = strlen(query);
    char *text = arena_alloc(arena, length + 2 * pairs_max); /* a NUL more for each text */
    ret_query->pairs = arena_array(arena, pairs_max, sizeof *ret_query->pairs);
    if (text == NULL || ret_query->pairs == NULL) {
        return ERR_NO_MEMORY;
    }
    for (const char *from = query, *all = query + length; from <= all;) {
        const char *end = strchrnul(from, '&');
        if (end > from) {
            int error = decode_pair(from, end, &text, &ret_query->pairs[ret_query->count]);
            if (error != 0) {
                return error;
            }
            ret_query->count++;
        }
        from = end + 1;
    }
    return 0;
}
