/* Writing S3's XML (s3_xml.h). Any thread; a buffer's memory is its owner's. */
#include "service/objectstore/s3_xml.h"

#include "backend/blob/sigv4.h"
#include "base/error.h"
#include "base/xml.h"
#include "net/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void s3_xml_text(struct buffer *out, const char *name, const char *text, bool url)
{
    (void)buffer_printf(out, "<%s>", name);
    if (url) {
        sigv4_encode(out, text, strlen(text), true);
    } else {
        xml_escape(out, text);
    }
    (void)buffer_printf(out, "</%s>", name);
}

void s3_xml_number(struct buffer *out, const char *name, int64_t number)
{
    (void)buffer_printf(out, "<%s>%lld</%s>", name, (long long)number, name);
}

void s3_xml_time(struct buffer *out, const char *name, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts;
    char text[32];
    (void)gmtime_r(&seconds, &parts);
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)buffer_printf(out, "<%s>%s.%03dZ</%s>", name, text, (int)(wall_ms % 1000), name);
}

void s3_xml_etag(struct buffer *out, const char *etag)
{
    (void)buffer_printf(out, "<ETag>&#34;%s&#34;</ETag>", etag);
}

int s3_xml_reply(struct request *request, int status, struct buffer *out)
{
    int error = buffer_error(out);
    if (error != 0) {
        buffer_done(out);
        return error;
    }
    size_t length = 0;
    char *text = buffer_take(out, &length);
    error = arena_at_end(request->call.arena, free, text);
    if (error != 0) {
        free(text);
        return error;
    }
    return reply_bytes(request, status, "application/xml", text, length, true);
}
