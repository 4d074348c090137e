/* JSPF (list_file.h): XSPF as JSON, https://www.xspf.org/jspf. Lists of one may be left out, as
 * many programs do. */
#include "service/library/formats/list_file.h"

#include "base/error.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

static int keep(struct list_reading *reading, const json_t *object, const char *name,
                size_t bytes_max, const char **ret_kept)
{
    const json_t *value = json_object_get(object, name);
    if (json_is_string(value)) {
        *ret_kept = list_text(reading->arena, json_string_value(value), json_string_length(value),
                              bytes_max);
    }
    return *ret_kept != NULL ? 0 : ERR_NO_MEMORY;
}

static int64_t number(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    double real = json_number_value(value);
    return real > 0 && real < 1e12 ? (int64_t)real : 0;
}

/* The first of a list, or the one that stands in its place; "" for none. */
static const char *first(const json_t *value)
{
    const char *text = json_string_value(json_is_array(value) ? json_array_get(value, 0) : value);
    return text != NULL ? text : "";
}

static int identify(struct list_reading *reading, struct list_entry *entry, const json_t *value)
{
    int error = list_identify(reading, entry, first(value));
    for (size_t i = 1; error == 0 && i < json_array_size(value); i++) {
        const char *text = json_string_value(json_array_get(value, i));
        error = text != NULL ? list_identify(reading, entry, text) : 0;
    }
    return error;
}

static int read_track(struct list_reading *reading, const json_t *track, unsigned at)
{
    int error = 0;
    if (!json_is_object(track)) {
        return problem_set(reading->problem, ERR_MALFORMED, "playlist.track[%u] must be an object",
                           at);
    }
    struct list_entry *entry = list_entry_add(reading, at + 1, &error);
    if (entry == NULL) {
        return error;
    }
    entry->duration_ms = number(track, "duration");
    entry->track_number = number(track, "trackNum");
    error = keep(reading, track, "title", LIST_TEXT_BYTES_MAX, &entry->title);
    error =
        error != 0 ? error : keep(reading, track, "creator", LIST_TEXT_BYTES_MAX, &entry->artist);
    error = error != 0 ? error : keep(reading, track, "album", LIST_TEXT_BYTES_MAX, &entry->album);
    error = error != 0 ? error : identify(reading, entry, json_object_get(track, "identifier"));
    return error != 0 ? error
                      : list_locate(reading, entry, first(json_object_get(track, "location")));
}

int list_read_jspf(struct list_reading *reading, const char *bytes, size_t length)
{
    CLEANUP_JSON json_t *root = NULL;
    struct list_file *file = reading->file;
    int error = json_read(bytes, length, reading->problem, &root);
    const json_t *playlist = json_object_get(root, "playlist");
    const json_t *tracks = json_object_get(playlist, "track");
    if (error == 0 && (!json_is_object(playlist) || (tracks != NULL && !json_is_array(tracks)))) {
        return problem_set(reading->problem, ERR_MALFORMED,
                           "A JSPF is {\"playlist\":{\"title\":…,\"track\":[…]}}");
    }
    error =
        error != 0 ? error : keep(reading, playlist, "title", LIST_TEXT_BYTES_MAX, &file->title);
    error = error != 0 ? error
                       : keep(reading, playlist, "annotation", LIST_DESCRIPTION_BYTES_MAX,
                              &file->description);
    for (size_t i = 0; error == 0 && i < json_array_size(tracks); i++) {
        error = read_track(reading, json_array_get(tracks, i), (unsigned)i);
    }
    return error;
}

/* ---- writing ---- */

/* Takes the reference. */
static void add_json(struct buffer *out, json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (text != NULL) {
        (void)buffer_add(out, text);
    } else if (out->error == 0) {
        out->error = ERR_NO_MEMORY;
    }
    free(text);
    json_decref(value);
}

void list_write_jspf_begin(struct list_writer *writer, const struct list_file *head)
{
    struct buffer *out = writer->out;
    (void)buffer_add(out, "{\"playlist\":{\"title\":");
    add_json(out, json_string(head->title));
    (void)buffer_add(out, ",\"annotation\":");
    add_json(out, json_string(head->description));
    (void)buffer_add(out, ",\"track\":[");
}

static json_t *identifiers(const struct list_entry *entry)
{
    json_t *list = json_array();
    if (entry->mbid[0] != '\0') {
        (void)json_array_append_new(
            list, json_sprintf("https://musicbrainz.org/recording/%s", entry->mbid));
    }
    if (entry->isrc[0] != '\0') {
        (void)json_array_append_new(list, json_sprintf("urn:isrc:%s", entry->isrc));
    }
    return list;
}

void list_write_jspf_entry(struct list_writer *writer, const struct list_entry *entry)
{
    json_t *track = json_pack("{s:[s], s:o, s:s, s:s, s:s}", "location", entry->location,
                              "identifier", identifiers(entry), "title", entry->title, "creator",
                              entry->artist, "album", entry->album);
    if (track != NULL && entry->track_number > 0) {
        (void)json_object_set_new(track, "trackNum", json_integer(entry->track_number));
    }
    if (track != NULL && entry->duration_ms > 0) {
        (void)json_object_set_new(track, "duration", json_integer(entry->duration_ms));
    }
    (void)buffer_add(writer->out, writer->begun ? ",\n" : "\n");
    add_json(writer->out, track);
}

void list_write_jspf_end(struct list_writer *writer)
{
    (void)buffer_add(writer->out, "]}}\n");
}
