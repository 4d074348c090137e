/* What is kept beside an object's bytes: its types, the headers that HTTP knows of a content, and
 * the client's own x-amz-meta-…. Read from a PUT, a copy or the begin of an upload in parts; told
 * by GET and HEAD. On the pool; memory is the request's arena. */
#include "service/objectstore/s3.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/mem.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { USER_BYTES_MAX = 2048 }; /* S3's: names and values of x-amz-meta- */

static const char user_prefix[] = "x-amz-meta-";
static const char type_name[] = "content-type", cache_name[] = "cache-control";

struct reading {
    struct blob_meta meta; /* Content-Type and Cache-Control that have room there */
    struct buffer text;
    size_t user_bytes;
    bool bad; /* a control character */
};

/* The two that a blob_meta has a place for are lines only where they are longer than that. */
static bool is_kept(struct reading *reading, const char *name, const char *value)
{
    bool is_type = strcasecmp(name, type_name) == 0;
    if (is_type || strcasecmp(name, cache_name) == 0) {
        const char **place = is_type ? &reading->meta.content_type : &reading->meta.cache_control;
        bool fits = strlen(value) < BLOB_TYPE_MAX;
        *place = fits ? value : NULL;
        return !fits;
    }

    static const char *const kept[] = {"content-encoding", "content-disposition",
                                       "content-language", "expires"};
    for (unsigned i = 0; i < COUNT_OF(kept); i++) {
        if (strcasecmp(name, kept[i]) == 0) {
            return true;
        }
    }
    return strncasecmp(name, user_prefix, sizeof user_prefix - 1) == 0;
}

static void add_line(struct reading *reading, const char *name, const char *value, size_t length)
{
    for (; *name != '\0'; name++) {
        char lower = (char)tolower((unsigned char)*name);
        (void)buffer_append(&reading->text, &lower, 1);
    }
    (void)buffer_add(&reading->text, ":");
    (void)buffer_append(&reading->text, value, length);
    (void)buffer_add(&reading->text, "\n");
}

/* "aws-chunked" says how the body travels, not what it is, and stands anywhere in the list. */
static void add_encoding(struct reading *reading, const char *name, const char *value)
{
    static const char word[] = "aws-chunked", between[] = ", \t";
    struct buffer list;
    buffer_init(&list, BLOB_HEADERS_MAX);
    for (const char *at = value + strspn(value, between); *at != '\0'; at += strspn(at, between)) {
        size_t length = strcspn(at, between);
        if (length != sizeof word - 1 || strncasecmp(at, word, length) != 0) {
            (void)buffer_add(&list, list.length > 0 ? "," : "");
            (void)buffer_append(&list, at, length);
        }
        at += length;
    }
    if (buffer_error(&list) != 0) {
        add_line(reading, name, value, strlen(value)); /* fails there, too */
    } else if (list.length > 0) {
        add_line(reading, name, list.data, list.length);
    }
    buffer_done(&list);
}

static bool holds_control(const char *text)
{
    while (*text != '\0' && iscntrl((unsigned char)*text) == 0) {
        text++;
    }
    return *text != '\0';
}

static void look_at(void *argument, const char *name, const char *value)
{
    struct reading *reading = argument;
    if (!is_kept(reading, name, value)) {
        return;
    }
    reading->bad |= holds_control(value);
    if (strncasecmp(name, user_prefix, sizeof user_prefix - 1) == 0) {
        reading->user_bytes += strlen(name) - (sizeof user_prefix - 1) + strlen(value);
    }
    if (strcasecmp(name, "content-encoding") == 0) {
        add_encoding(reading, name, value);
    } else {
        add_line(reading, name, value, strlen(value));
    }
}

static int finish(struct request *request, struct reading *reading, struct blob_meta *meta)
{
    if (reading->bad) {
        return s3_fail_with(request, S3_ARGUMENT, "A header holds a control character");
    }
    if (reading->user_bytes > USER_BYTES_MAX || buffer_error(&reading->text) == ERR_TOO_LARGE) {
        return s3_fail(request, S3_META_TOO_LARGE);
    }
    meta->headers = arena_strndup(request->call.arena, reading->text.data, reading->text.length);
    return meta->headers != NULL ? buffer_error(&reading->text) : ERR_NO_MEMORY;
}

int s3_meta_read(struct request *request, struct blob_meta *ret_meta)
{
    struct reading reading = {0};
    buffer_init(&reading.text, BLOB_HEADERS_MAX);
    request_header_each(request, look_at, &reading);
    int error = finish(request, &reading, &reading.meta);
    buffer_done(&reading.text);
    if (error == 0) {
        *ret_meta = reading.meta;
    }
    return error;
}

int s3_meta_reply(struct request *request, char *headers, struct reply_file *file)
{
    int error = 0;
    char *save = NULL;
    for (char *line = strtok_r(headers, "\n", &save); error == 0 && line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char *colon = strchr(line, ':');
        if (colon == NULL) {
            continue;
        }
        *colon = '\0';
        if (strcmp(line, type_name) == 0) {
            file->content_type = colon + 1;
        } else if (strcmp(line, cache_name) == 0) {
            file->cache_control = colon + 1;
        } else {
            error = reply_header(request, line, colon + 1);
        }
    }
    return error;
}
