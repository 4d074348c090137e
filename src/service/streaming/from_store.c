/* Playing without an edge from an S3 store (streaming_internal.h): what is heard comes from the
 * store itself, by URLs that are signed as of the full hour, so that users share them. Manifests
 * hold relative names, which no signature covers: they come from /m/. In a playlist the names of
 * media files are replaced by such URLs; playlists that it names stay relative, and come the same
 * way. Whoever asks /m/ for a media file is sent on to the store: so does who plays an MPD, which
 * stays as it is, for ffmpeg loses a BaseURL that holds '&'. On the pool, since the store is asked.
 */
#include "service/streaming/streaming_internal.h"

#include "backend/blob/blob.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/id.h"
#include "net/http.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SIGNED_BYTES_MAX = 64 * 1024 * 1024, NAME_SIZE = 128 };

/* A manifest lives shorter than the URLs in it. */
#define MANIFEST_CACHE_SIGNED "public, max-age=300"

int from_store_url(struct streaming *streaming, const struct edge_grant *grant, const char *method,
                   const char *file, char out[FROM_STORE_URL_SIZE])
{
    char key[MEDIA_KEY_SIZE];
    bool original = strncmp(file, "original", strlen("original")) == 0;
    int length =
        snprintf(key, sizeof key, "m/%" PRId64 "/%d/%s", grant->track_id, grant->version, file);
    if (length >= (int)sizeof key) {
        return ERR_NOT_FOUND;
    }
    const struct blob_presign what = {
        .method = method,
        .bucket = BLOB_MEDIA,
        .key = key,
        .response_type = original ? streaming_media_type(file, "") : NULL,
        .content_length = -1,
        .expires_s = EDGE_LIFE_S,
        .date_ms = (grant->expires_s - EDGE_LIFE_S) * 1000,
    };
    return blob_presign(streaming->blobs, &what, out, FROM_STORE_URL_SIZE);
}

static bool ends_with(const char *text, size_t length, const char *end)
{
    size_t end_length = strlen(end);
    return length >= end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

bool from_store_is_manifest(const char *file)
{
    size_t length = strlen(file);
    return ends_with(file, length, ".m3u8") || ends_with(file, length, ".mpd");
}

/* Rewriting. */

struct rewriting {
    struct streaming *streaming;
    const struct edge_grant *grant;
    struct buffer *out;
    char name[NAME_SIZE]; /* signed last: a playlist names the same file again and again */
    char url[FROM_STORE_URL_SIZE];
};

/* A relative name: signed, or as it is. */
static int add_name(struct rewriting *rewriting, const char *name, size_t length)
{
    bool plain = length == 0 || length >= NAME_SIZE || memchr(name, ':', length) != NULL ||
                 ends_with(name, length, ".m3u8");
    if (plain) {
        return buffer_append(rewriting->out, name, length);
    }
    if (strncmp(rewriting->name, name, length) != 0 || rewriting->name[length] != '\0') {
        (void)snprintf(rewriting->name, NAME_SIZE, "%.*s", (int)length, name);
        int error = from_store_url(rewriting->streaming, rewriting->grant, "GET", rewriting->name,
                                   rewriting->url);
        if (error != 0) {
            rewriting->name[0] = '\0';
            return error;
        }
    }
    return buffer_add(rewriting->out, rewriting->url);
}

/* The URIs of a tag are names; all else is copied. */
static int rewrite_tag(struct rewriting *rewriting, const char *tag, size_t length)
{
    static const char mark[] = "URI=\"";
    const char *end = tag + length;
    int error = 0;
    while (error == 0) {
        const char *found = memmem(tag, (size_t)(end - tag), mark, sizeof mark - 1);
        const char *name = found != NULL ? found + sizeof mark - 1 : end;
        const char *behind = found != NULL ? memchr(name, '"', (size_t)(end - name)) : NULL;
        if (behind == NULL) {
            return buffer_append(rewriting->out, tag, (size_t)(end - tag));
        }
        (void)buffer_append(rewriting->out, tag, (size_t)(name - tag));
        error = add_name(rewriting, name, (size_t)(behind - name));
        tag = behind;
    }
    return error;
}

/* A line of a playlist (RFC 8216, section 4.1): a tag, which may hold a URI, or a name. */
static int rewrite_line(struct rewriting *rewriting, const char *line, size_t length)
{
    return line[0] == '#' ? rewrite_tag(rewriting, line, length)
                          : add_name(rewriting, line, length);
}

static int rewrite_playlist(struct rewriting *rewriting, const char *text, size_t length)
{
    int error = 0;
    for (const char *end = text + length; error == 0 && text < end;) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t line = newline != NULL ? (size_t)(newline - text) : (size_t)(end - text);
        error = rewrite_line(rewriting, text, line);
        (void)buffer_add(rewriting->out, newline != NULL ? "\n" : "");
        text += line + (newline != NULL);
    }
    return error;
}

int from_store_manifest(struct streaming *streaming, const struct edge_grant *grant,
                        const char *file, const char *text, size_t length, struct buffer *out)
{
    struct rewriting rewriting = {.streaming = streaming, .grant = grant, .out = out};
    bool playlist = ends_with(file, strlen(file), ".m3u8");
    int error =
        playlist ? rewrite_playlist(&rewriting, text, length) : buffer_append(out, text, length);
    return error != 0 ? error : buffer_error(out);
}

/* Answers to /m/. */

/* Takes the source. */
static int read_text(struct blob_source *source, struct buffer *out)
{
    struct blob_reader *reader = NULL;
    char bytes[16 * 1024];
    ssize_t got = 0;
    int error = blob_reader_new(source, &reader);
    while (error == 0) {
        got = blob_reader_read(reader, bytes, sizeof bytes, out->length);
        if (got <= 0) {
            error = (int)got;
            break;
        }
        error = buffer_append(out, bytes, (size_t)got);
    }
    blob_reader_free(reader);
    return error;
}

static int reply_manifest(struct request *request, const struct edge_grant *grant, const char *key,
                          const char *file)
{
    struct streaming *streaming = request->context;
    struct blob_source source;
    struct blob_stat stat;
    struct buffer text, out;
    int error = media_files_open(streaming->files, key, true, &source, &stat);
    if (error != 0) {
        return error;
    }
    buffer_init(&text, MANIFEST_BYTES_MAX);
    buffer_init(&out, SIGNED_BYTES_MAX);
    error = read_text(&source, &text);
    error = error != 0 ? error
                       : from_store_manifest(streaming, grant, file, text.data, text.length, &out);
    bool grows = strcmp(stat.cache_control, MANIFEST_CACHE_GROWING) == 0;
    error = error != 0 ? error
                       : reply_header(request, "Cache-Control",
                                      grows ? MANIFEST_CACHE_GROWING : MANIFEST_CACHE_SIGNED);
    error = error != 0 ? error
                       : reply_bytes(request, 200, stat.content_type, out.data, out.length, false);
    buffer_done(&text);
    buffer_done(&out);
    return error;
}

/* The store's own answer to HEAD needs a signature of its own. */
static int send_on(struct request *request, const struct edge_grant *grant, const char *file)
{
    char url[FROM_STORE_URL_SIZE];
    const char *method = strcmp(request->method, "HEAD") == 0 ? "HEAD" : "GET";
    int error = from_store_url(request->context, grant, method, file, url);
    error = error != 0 ? error : reply_header(request, "Location", url);
    error = error != 0 ? error : reply_header(request, "Cache-Control", "private, max-age=300");
    return error != 0 ? error : reply_empty(request, 307);
}

int from_store_reply(struct request *request, const struct edge_grant *grant, const char *key,
                     const char *file)
{
    return from_store_is_manifest(file) ? reply_manifest(request, grant, key, file)
                                        : send_on(request, grant, file);
}
