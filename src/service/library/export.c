/* Everything of a person's as one JSON document (POST /me/export, whose beginning is identity's):
 * marks, the queue, playlists as JSPF, plays as ListenBrainz has them. It is made piece by piece
 * while it is sent, so that a hundred thousand plays need no more memory than a page of them. Runs
 * on the pool; the stream owns its memory, since it lives longer than its request. */
#include "service/library/library_internal.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "service/library/formats/list_file.h"
#include "service/library/marks.h"
#include "service/library/playlists/playlist_work.h"
#include "service/library/plays/plays.h"
#include "service/library/queue.h"
#include "service/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 250, PIECE_BYTES_MAX = 64 << 20 };

struct parcel {
    struct library *library;
    struct call call; /* its arena is emptied for each piece */
    struct buffer piece;
    size_t sent;      /* of the piece */
    unsigned section; /* of sections */
    bool begun;       /* the section has an element */
    int64_t after;    /* where the section goes on: a revision, a playlist's id, a time */
    char after_key[PLAY_ID_MAX + 1];
    union {
        struct mark_list marks;
        struct queue queue;
        struct playlist_list playlists;
        struct play_list plays;
    } read;
};

/* Takes the reference. open: its last brace is left off. */
static int add_element(struct parcel *parcel, json_t *value, bool open)
{
    char *text CLEANUP_FREE = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    if (text == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)buffer_add(&parcel->piece, parcel->begun ? ",\n" : "\n");
    (void)buffer_append(&parcel->piece, text, strlen(text) - open);
    parcel->begun = true;
    return buffer_error(&parcel->piece);
}

/* ---- marks ---- */

static int read_marks(struct db_session *session, void *argument)
{
    struct parcel *parcel = argument;
    return mark_changes(session, parcel->call.arena, parcel->call.actor.user_id, parcel->after,
                        AT_ONCE, &parcel->read.marks);
}

/* Of one kind: the names of what is marked, as other programs know it. */
static int describe_kind(struct parcel *parcel, enum catalog_kind kind, json_t **named)
{
    CLEANUP_JSON json_t *objects = NULL;
    const struct mark_list *marks = &parcel->read.marks;
    int64_t ids[AT_ONCE];
    unsigned places[AT_ONCE], count = 0;
    for (unsigned i = 0; i < marks->count; i++) {
        if (mark_kind(&marks->rows[i]) == kind) {
            places[count] = i;
            ids[count++] = marks->rows[i].id;
        }
    }
    int error = count == 0 ? 0
                           : catalog_describe(parcel->library->catalog, &parcel->call, kind, ids,
                                              count, &objects);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        named[places[i]] = json_incref(json_array_get(objects, i));
    }
    return error;
}

static void copy_name(json_t *to, const char *as, const json_t *from, const char *name)
{
    json_t *value = json_object_get(from, name);
    if (json_is_string(value)) {
        (void)json_object_set(to, as, value);
    }
}

static json_t *named_mark(const struct mark *mark, const json_t *object)
{
    json_t *json = mark_json(mark);
    copy_name(json, "name", object, "name");
    copy_name(json, "title", object, "title");
    copy_name(json, "artist", object, "artistName");
    copy_name(json, "album", object, "albumTitle");
    copy_name(json, "isrc", object, "isrc");
    copy_name(json, "musicbrainzTrackId", object, "musicbrainzTrackId");
    return json;
}

/* 1: there are more. */
static int export_marks(struct parcel *parcel)
{
    json_t *named[AT_ONCE] = {NULL};
    int error = db_read(parcel->library->users, read_marks, parcel);
    error = error != 0 ? error : describe_kind(parcel, CATALOG_TRACK, named);
    error = error != 0 ? error : describe_kind(parcel, CATALOG_ALBUM, named);
    error = error != 0 ? error : describe_kind(parcel, CATALOG_ARTIST, named);
    for (unsigned i = 0; error == 0 && i < parcel->read.marks.count; i++) {
        const struct mark *mark = &parcel->read.marks.rows[i];
        parcel->after = mark->revision;
        error = mark->value != 0 ? add_element(parcel, named_mark(mark, named[i]), false) : 0;
    }
    for (unsigned i = 0; i < AT_ONCE; i++) {
        json_decref(named[i]);
    }
    return error != 0 ? error : parcel->read.marks.count == AT_ONCE;
}

/* ---- the queue ---- */

static int read_queue(struct db_session *session, void *argument)
{
    struct parcel *parcel = argument;
    return queue_find(session, parcel->call.arena, parcel->call.actor.user_id, &parcel->read.queue);
}

static int export_queue(struct parcel *parcel)
{
    int error = db_read(parcel->library->users, read_queue, parcel);
    const struct queue *queue = &parcel->read.queue;
    json_t *ids = error == 0 ? json_loads(queue->items, 0, NULL) : NULL;
    return error != 0 ? error
                      : add_element(parcel,
                                    json_pack("{s:o, s:I, s:I}", "trackIds", ids, "index",
                                              (json_int_t)queue->place, "positionMs",
                                              (json_int_t)queue->position_ms),
                                    false);
}

/* ---- playlists ---- */

static int read_playlists(struct db_session *session, void *argument)
{
    struct parcel *parcel = argument;
    const struct list_place place = {.id = parcel->after, .limit = 1};
    return playlist_list(session, parcel->call.arena, parcel->call.actor.user_id, &place,
                         &parcel->read.playlists);
}

struct listing {
    struct list_writer writer;
    struct parcel *parcel;
};

static int list_track(void *argument, const json_t *track)
{
    struct listing *listing = argument;
    return playlist_write_track(&listing->writer, listing->parcel->library->public_url, track);
}

static int export_playlists(struct parcel *parcel)
{
    int error = db_read(parcel->library->users, read_playlists, parcel);
    if (error != 0 || parcel->read.playlists.count == 0) {
        return error;
    }
    const struct playlist_row *row = &parcel->read.playlists.rows[0];
    const struct list_file head = {.title = row->title, .description = row->description};
    struct listing listing = {.writer = {.out = &parcel->piece, .format = LIST_JSPF},
                              .parcel = parcel};
    parcel->after = row->id;
    error = add_element(parcel, playlist_json(row), true);
    if (error != 0) {
        return error;
    }
    (void)buffer_add(&parcel->piece, ",\"jspf\":");
    list_write_begin(&listing.writer, &head);
    error = playlist_walk(parcel->library, &parcel->call, row, list_track, &listing);
    list_write_end(&listing.writer);
    (void)buffer_add(&parcel->piece, "}");
    return error != 0 ? error : 1;
}

/* ---- plays ---- */

static int read_plays(struct db_session *session, void *argument)
{
    struct parcel *parcel = argument;
    const struct list_place place = {
        .id = parcel->after, .key = parcel->after_key, .limit = AT_ONCE};
    return play_history(session, parcel->call.arena, parcel->call.actor.user_id, &place,
                        &parcel->read.plays);
}

static json_t *listen_json(const struct play *play, const json_t *track)
{
    json_t *info = json_pack("{s:s, s:o, s:s, s:I, s:I, s:b}", "submission_client", "Tutti",
                             "track_id", json_id(play->track_id), "play_id", play->id,
                             "started_at_ms", (json_int_t)play->started_at, "played_ms",
                             (json_int_t)play->played_ms, "counted", play->counted);
    json_t *metadata = json_pack("{s:o}", "additional_info", info);
    if (play->duration_ms > 0) {
        (void)json_object_set_new(info, "duration_ms", json_integer(play->duration_ms));
    }
    copy_name(info, "isrc", track, "isrc");
    copy_name(info, "recording_mbid", track, "musicbrainzTrackId");
    copy_name(metadata, "artist_name", track, "credit");
    copy_name(metadata, "track_name", track, "title");
    copy_name(metadata, "release_name", track, "albumTitle");
    return json_pack("{s:I, s:o}", "listened_at", (json_int_t)(play->started_at / 1000),
                     "track_metadata", metadata);
}

static int export_plays(struct parcel *parcel)
{
    CLEANUP_JSON json_t *tracks = NULL;
    int64_t ids[AT_ONCE];
    int error = db_read(parcel->library->activity, read_plays, parcel);
    const struct play_list *plays = &parcel->read.plays;
    for (unsigned i = 0; error == 0 && i < plays->count; i++) {
        ids[i] = plays->rows[i].track_id;
    }
    error = error != 0 || plays->count == 0
                ? error
                : catalog_describe(parcel->library->catalog, &parcel->call, CATALOG_TRACK, ids,
                                   plays->count, &tracks);
    for (unsigned i = 0; error == 0 && i < plays->count; i++) {
        const struct play *play = &plays->rows[i];
        parcel->after = play->started_at;
        (void)snprintf(parcel->after_key, sizeof parcel->after_key, "%s", play->id);
        error = add_element(parcel, listen_json(play, json_array_get(tracks, i)), false);
    }
    return error != 0 ? error : plays->count == AT_ONCE;
}

/* ---- the document ---- */

static const struct {
    const char *head, *tail;
    int64_t first; /* of after */
    int (*next)(struct parcel *parcel);
} sections[] = {
    {",\"marks\":[", "]", 0, export_marks},
    {",\"queue\":", "", 0, export_queue},
    {",\"playlists\":[", "]", INT64_MAX, export_playlists},
    {",\"listens\":[", "]}", INT64_MAX, export_plays},
};

static int next_piece(struct parcel *parcel)
{
    int more = 0;
    buffer_reset(&parcel->piece);
    arena_reset(parcel->call.arena);
    parcel->sent = 0;
    more = sections[parcel->section].next(parcel);
    if (more == 0) {
        (void)buffer_add(&parcel->piece, sections[parcel->section].tail);
        if (++parcel->section < COUNT_OF(sections)) {
            (void)buffer_add(&parcel->piece, sections[parcel->section].head);
            parcel->after = sections[parcel->section].first;
            parcel->after_key[0] = '\0';
            parcel->begun = false;
        }
    }
    return more < 0 ? more : buffer_error(&parcel->piece);
}

static ssize_t export_read(void *argument, void *bytes, size_t length)
{
    struct parcel *parcel = argument;
    while (parcel->sent == parcel->piece.length && parcel->section < COUNT_OF(sections)) {
        int error = next_piece(parcel);
        if (error != 0) {
            return error;
        }
    }
    size_t left = parcel->piece.length - parcel->sent;
    length = length < left ? length : left;
    memcpy(bytes, parcel->piece.data + parcel->sent, length);
    parcel->sent += length;
    return (ssize_t)length;
}

static void export_done(void *argument)
{
    struct parcel *parcel = argument;
    buffer_done(&parcel->piece);
    arena_free(parcel->call.arena);
    free(parcel);
}

/* What identity said of the person, but its last brace, and the head of the first section. */
static int begin(struct parcel *parcel, const json_t *account)
{
    char *text CLEANUP_FREE = json_dumps(account, JSON_COMPACT);
    if (text == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)buffer_append(&parcel->piece, text, strlen(text) - 1);
    (void)buffer_add(&parcel->piece, sections[0].head);
    parcel->after = sections[0].first;
    return buffer_error(&parcel->piece);
}

int library_export(void *context, struct request *request, const json_t *account)
{
    struct parcel *parcel = calloc(1, sizeof *parcel);
    if (parcel == NULL) {
        return ERR_NO_MEMORY;
    }
    parcel->library = context;
    parcel->call = (struct call){.actor = request->call.actor, .arena = arena_new(0)};
    buffer_init(&parcel->piece, PIECE_BYTES_MAX);
    int error = parcel->call.arena != NULL ? begin(parcel, account) : ERR_NO_MEMORY;
    if (error != 0) {
        export_done(parcel);
        return error;
    }
    return reply_stream(request, 200, "application/json", -1, export_read, export_done, parcel);
}
