/* Playlists out: GET …/export, as M3U8, XSPF or JSPF. On the pool; the answer's memory is the
 * request's. */
#include "service/library/playlists/playlist_work.h"

#include "base/error.h"
#include "base/json.h"
#include "net/http.h"
#include "service/library/formats/list_file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 64 << 20 };

/* ?format=, else the first of Accept that we have, else M3U8, which everything reads. */
static int read_format(struct request *request, enum list_format *ret_format)
{
    const char *word = request_query(request, "format");
    const char *accept = request_header(request, "Accept");
    *ret_format = LIST_M3U8;
    if (word != NULL) {
        return list_format_of_word(word, ret_format) && *ret_format != LIST_M3U
                   ? 0
                   : problem_set(&request->call.problem, ERR_MALFORMED,
                                 "format must be m3u8, xspf or jspf");
    }
    for (const char *at = accept; at != NULL; at = strchr(at, ',')) {
        at += strspn(at, ", \t");
        char type[64];
        size_t length = strcspn(at, ",; \t");
        length = length < sizeof type ? length : sizeof type - 1;
        memcpy(type, at, length);
        type[length] = '\0';
        if (list_format_of_type(type, ret_format)) {
            *ret_format = *ret_format == LIST_M3U ? LIST_M3U8 : *ret_format;
            return 0;
        }
    }
    return 0;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

int playlist_write_track(struct list_writer *writer, const char *here, const json_t *track)
{
    int64_t id = 0;
    char location[LIST_LOCATION_SIZE];
    (void)json_is_id(json_object_get(track, "id"), &id);
    const struct list_entry entry = {
        .location = list_location(location, here, id),
        .title = text_of(track, "title"),
        .artist = text_of(track, "credit"),
        .album = text_of(track, "albumTitle"),
        .mbid = text_of(track, "musicbrainzTrackId"),
        .isrc = text_of(track, "isrc"),
        .duration_ms = json_integer_value(json_object_get(track, "durationMs")),
        .track_number = json_integer_value(json_object_get(track, "trackNumber")),
    };
    list_write_entry(writer, &entry);
    return buffer_error(writer->out);
}

struct writing {
    struct list_writer writer;
    const char *here;
};

static int write_track(void *argument, const json_t *track)
{
    struct writing *writing = argument;
    return playlist_write_track(&writing->writer, writing->here, track);
}

/* The title as the file's name, in RFC 8187's form. */
static const char *disposition(struct arena *arena, const char *title, enum list_format format)
{
    static const char head[] = "attachment; filename*=UTF-8''";
    char *text = arena_alloc(arena, sizeof head + 3 * strlen(title) + 8), *out = text;
    if (text == NULL) {
        return NULL;
    }
    out += snprintf(out, sizeof head, "%s", head);
    for (; *title != '\0'; title++) {
        unsigned char byte = (unsigned char)*title;
        bool plain = byte < 0x80 && (isalnum(byte) || byte == '-' || byte == '_');
        out += plain ? snprintf(out, 2, "%c", byte) : snprintf(out, 4, "%%%02X", byte);
    }
    (void)snprintf(out, 8, ".%s", list_format_word(format));
    return text;
}

static int write_file(struct request *request, const struct playlist_row *row,
                      enum list_format format, struct buffer *out)
{
    const struct library *library = request->context;
    struct writing writing = {.writer = {.out = out, .format = format},
                              .here = library->public_url};
    const struct list_file head = {.title = row->title, .description = row->description};
    list_write_begin(&writing.writer, &head);
    int error = playlist_walk(request->context, &request->call, row, write_track, &writing);
    list_write_end(&writing.writer);
    return error != 0 ? error : buffer_error(out);
}

static int reply_file_text(struct request *request, const char *type, struct buffer *out)
{
    size_t length = 0;
    char *text = buffer_take(out, &length);
    int error = arena_at_end(request->call.arena, free, text);
    if (error != 0) {
        free(text);
        return error;
    }
    return reply_bytes(request, 200, type, text, length, true);
}

int playlist_export(struct request *request, const struct playlist_row *row)
{
    enum list_format format;
    struct buffer out;
    int error = read_format(request, &format);
    const char *name = disposition(request->call.arena, row->title, format);
    error = error != 0 ? error : name == NULL ? ERR_NO_MEMORY : 0;
    error = error != 0 ? error : reply_header(request, "Content-Disposition", name);
    error = error != 0 ? error : reply_header(request, "Cache-Control", "private, no-cache");
    error = error != 0 ? error : reply_header(request, "Vary", "Accept");
    if (error != 0) {
        return error;
    }
    buffer_init(&out, FILE_BYTES_MAX);
    error = write_file(request, row, format, &out);
    error = error != 0 ? error : reply_file_text(request, list_format_type(format), &out);
    buffer_done(&out);
    return error;
}

int playlist_export_get(struct request *request)
{
    int64_t id = 0;
    struct playlist_row row;
    int error = request_param_id(request, "id", &id);
    error = error != 0 ? error : playlist_look(request->context, &request->call, id, &row);
    return error != 0 ? error : playlist_export(request, &row);
}
