/* What the media pipeline reports (media.h).
 *
 *   uploaded ──started──▶ processing ──first AAC 160──▶ ready ──complete──▶ ready, not working
 *       └───────────failed──────┴──▶ failed     (a failure after ready leaves what plays)
 *
 * A pending version goes the same way beside the one that plays, and takes over where the diagram
 * says ready. The invariants are track.c's.
 */
#include "service/catalog/media.h"

#include "backend/bus/bus.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "service/catalog/change.h"
#include "service/catalog/removal.h"

#include <stdio.h>
#include <string.h>

static const char ready[] = "ready";

/* The track, if this version is one it plays or waits for. *ret_row.id 0: the event is late. */
static int find(struct db_session *session, struct arena *arena, int64_t track_id, int64_t version,
                struct track_row *ret_row)
{
    *ret_row = (struct track_row){0};
    struct track_row row;
    int error = track_get(session, arena, track_id, &row);
    if (error == ERR_NOT_FOUND) {
        return 0;
    }
    if (error == 0 && version != 0 && (row.version == version || row.pending_version == version)) {
        *ret_row = row;
    }
    return error;
}

/* What is shown of the track is another. */
static int tell(struct db_session *session, struct media_effect *effect,
                const struct track_row *row)
{
    effect->track_id = row->id;
    effect->album_id = row->album_id;
    return change_emit(session, CATALOG_TRACK, row->id, "track.changed");
}

/* The track's state is another, and so may be what its album sums up. */
static int finish(struct db_session *session, struct media_effect *effect,
                  const struct track_row *row)
{
    int error = track_update_state(session, row);
    if (error == 0) {
        error = album_refresh(session, row->album_id);
    }
    return error != 0 ? error : tell(session, effect, row);
}

static void set_processing(struct track_row *row)
{
    if (strcmp(row->status, track_status_name(TRACK_UPLOADED)) == 0) {
        row->status = track_status_name(TRACK_PROCESSING);
    }
}

int media_started(struct db_session *session, struct media_effect *effect, int64_t track_id,
                  int64_t version)
{
    struct track_row row;
    int error = find(session, effect->arena, track_id, version, &row);
    if (error != 0 || row.id == 0 || row.version != version ||
        strcmp(row.status, track_status_name(TRACK_UPLOADED)) != 0) {
        return error;
    }
    set_processing(&row);
    return finish(session, effect, &row);
}

int media_probed(struct db_session *session, struct media_effect *effect,
                 const struct version_row *probe)
{
    struct track_row row;
    int error = find(session, effect->arena, probe->track_id, probe->version, &row);
    if (error != 0 || row.id == 0) {
        return error;
    }
    error = version_set_probe(session, probe);
    if (error != 0) {
        return error;
    }
    if (row.version == probe->version) {
        row.duration_ms = probe->duration_ms;
        set_processing(&row);
    }
    return finish(session, effect, &row);
}

/* The list of renditions that answers show, and whether AAC 160 is among them. */
static int summarize(const struct rendition *list, unsigned count, json_t **ret_summary,
                     bool *ret_playable)
{
    json_t *summary = json_array();
    bool playable = false;
    for (unsigned i = 0; summary != NULL && i < count; i++) {
        bool aac_160 = strcmp(list[i].format, "aac") == 0 && list[i].bitrate == 160;
        playable = playable || aac_160;
        json_t *item = json_pack("{s:s, s:I, s:I, s:s}", "format", list[i].format, "bitrate",
                                 (json_int_t)list[i].bitrate, "bytes", (json_int_t)list[i].bytes,
                                 "mime", list[i].mime);
        if (json_array_append_new(summary, item) != 0) {
            json_decref(summary);
            summary = NULL;
        }
    }
    *ret_summary = summary;
    *ret_playable = playable;
    return summary != NULL ? 0 : ERR_NO_MEMORY;
}

int media_count(struct db_session *session, struct arena *arena, int64_t track_id, int64_t version,
                bool *ret_playable)
{
    struct rendition *list = NULL;
    unsigned count = 0;
    json_t *summary = NULL;
    int error = rendition_list(session, arena, track_id, version, &list, &count);
    if (error == 0) {
        error = summarize(list, count, &summary, ret_playable);
    }
    if (error != 0) {
        return error;
    }
    char *text CLEANUP_FREE = json_dumps(summary, JSON_COMPACT);
    json_decref(summary);
    return text != NULL
               ? version_set_progress(session, track_id, version, count, text, *ret_playable)
               : ERR_NO_MEMORY;
}

static int emit_ready(struct db_session *session, int64_t track_id, int64_t version)
{
    char digits[ID_TEXT_SIZE], key[32];
    (void)snprintf(key, sizeof key, "track:%s", id_format(track_id, digits));
    json_t *payload = json_pack("{s:s, s:I}", "trackId", digits, "version", (json_int_t)version);
    return bus_emit(session, "track.ready", key, payload);
}

/* The version's first rendition is there: it plays from now on. */
static int take_over(struct db_session *session, struct media_effect *effect, struct track_row *row,
                     int64_t version)
{
    struct version_row file;
    int error = version_get(session, effect->arena, row->id, version, &file);
    if (error == 0 && row->pending_version == version) {
        error = remove_version_objects(session, row->id, row->version, effect->now_ms);
        row->version = version;
        row->pending_version = 0;
    }
    if (error != 0) {
        return error;
    }
    row->status = ready;
    row->failure_code = row->failure_reason = "";
    row->duration_ms = file.duration_ms;
    return emit_ready(session, row->id, version);
}

int media_rendition(struct db_session *session, struct media_effect *effect, int64_t track_id,
                    int64_t version, const struct rendition *rendition)
{
    struct track_row row;
    bool playable = false;
    int error = find(session, effect->arena, track_id, version, &row);
    if (error != 0 || row.id == 0) {
        return error;
    }
    error = rendition_insert(session, track_id, version, rendition);
    if (error == 0) {
        error = media_count(session, effect->arena, track_id, version, &playable);
    }
    bool begins = row.pending_version == version || strcmp(row.status, ready) != 0;
    if (error != 0 || !playable || !begins) {
        return error != 0 ? error : tell(session, effect, &row);
    }
    error = take_over(session, effect, &row, version);
    return error != 0 ? error : finish(session, effect, &row);
}

int media_complete(struct db_session *session, struct media_effect *effect, int64_t track_id,
                   int64_t version)
{
    struct track_row row;
    int error = find(session, effect->arena, track_id, version, &row);
    if (error != 0 || row.id == 0) {
        return error;
    }
    error = version_set_complete(session, track_id, version, effect->now_ms);
    row.working = row.pending_version != 0;
    return error != 0 ? error : finish(session, effect, &row);
}

int media_failed(struct db_session *session, struct media_effect *effect, int64_t track_id,
                 int64_t version, const char *code, const char *reason)
{
    struct track_row row;
    int error = find(session, effect->arena, track_id, version, &row);
    if (error != 0 || row.id == 0) {
        return error;
    }
    if (row.pending_version == version) {
        error = remove_version_objects(session, track_id, version, effect->now_ms);
        row.pending_version = 0;
    } else if (strcmp(row.status, ready) != 0) {
        row.status = track_status_name(TRACK_FAILED);
    }
    if (error != 0) {
        return error;
    }
    row.failure_code = code;
    row.failure_reason = reason;
    row.working = row.pending_version != 0;
    return finish(session, effect, &row);
}

/* The picture its owner waits for becomes the one it shows; the former goes after the grace. */
static int art_to_album(struct db_session *session, struct media_effect *effect,
                        const struct art_row *art, bool good)
{
    struct album_row row;
    int error = album_get(session, effect->arena, art->owner_id, &row);
    if (error != 0 || row.pending_art_id != art->id) {
        return error == ERR_NOT_FOUND ? 0 : error;
    }
    int64_t former = good ? row.cover_art_id : 0;
    row.cover_art_id = good ? art->id : row.cover_art_id;
    row.pending_art_id = 0;
    error = album_update(session, &row);
    if (error == 0) {
        error = remove_art(session, former, effect->now_ms);
    }
    effect->album_id = row.id;
    return error != 0 ? error : change_emit(session, CATALOG_ALBUM, row.id, "album.changed");
}

static int art_to_artist(struct db_session *session, struct media_effect *effect,
                         const struct art_row *art, bool good)
{
    struct artist_row row;
    int error = artist_get(session, effect->arena, art->owner_id, &row);
    if (error != 0 || row.pending_art_id != art->id) {
        return error == ERR_NOT_FOUND ? 0 : error;
    }
    int64_t former = good ? row.image_art_id : 0;
    row.image_art_id = good ? art->id : row.image_art_id;
    row.pending_art_id = 0;
    error = artist_update(session, &row);
    if (error == 0) {
        error = remove_art(session, former, effect->now_ms);
    }
    effect->artist_id = row.id;
    return error != 0 ? error : change_emit(session, CATALOG_ARTIST, row.id, "artist.changed");
}

static int art_settle(struct db_session *session, struct media_effect *effect, int64_t art_id,
                      int64_t width, int64_t height, const char *reason)
{
    struct art_row art;
    bool good = reason == NULL;
    int error = art_get(session, effect->arena, art_id, &art);
    if (error != 0) {
        return error == ERR_NOT_FOUND ? 0 : error;
    }
    if (strcmp(art.status, "uploaded") != 0) {
        return 0;
    }
    error = art_set_state(session, art_id, good ? ready : "failed", good ? width : art.width,
                          good ? height : art.height, good ? "" : reason);
    if (error != 0) {
        return error;
    }
    return strcmp(art.owner_kind, "album") == 0 ? art_to_album(session, effect, &art, good)
                                                : art_to_artist(session, effect, &art, good);
}

int media_art_ready(struct db_session *session, struct media_effect *effect, int64_t art_id,
                    int64_t width, int64_t height)
{
    return art_settle(session, effect, art_id, width, height, NULL);
}

int media_art_failed(struct db_session *session, struct media_effect *effect, int64_t art_id,
                     const char *reason)
{
    return art_settle(session, effect, art_id, 0, 0, reason);
}
