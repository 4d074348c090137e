/* The picture in a track's own file becomes its album's cover, where the artist gave none: the
 * consumer of media.art. It copies the picture to a key of its own (the track's version may go, the
 * cover stays), and from there on it is a cover like an uploaded one. Runs on the bus's threads.
 *
 * Told again it finds a cover that is there or on its way, and does nothing; a copy that a crash
 * left behind is named by no row and collected.
 */
#include "service/catalog/art_found.h"

#include "backend/blob/blob.h"
#include "backend/bus/bus.h"
#include "backend/db/db.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/problem.h"
#include "service/catalog/art_http.h"
#include "service/catalog/art_probe.h"
#include "service/catalog/catalog_internal.h"
#include "service/catalog/catalog_rows.h"

#include <inttypes.h>
#include <stdio.h>

struct found {
    struct arena *arena;
    int64_t track_id;
    const char *bucket, *key; /* of the picture */
    int64_t album_id;         /* 0: it needs none */
    struct art_row art;
    char art_key[64];
};

/* The album of the track, if it shows no picture and waits for none. */
static int find_album(struct db_session *session, void *argument)
{
    struct found *found = argument;
    struct track_row track;
    struct album_row album;
    found->album_id = 0;
    int error = track_get(session, found->arena, found->track_id, &track);
    if (error == 0) {
        error = album_get(session, found->arena, track.album_id, &album);
    }
    if (error == 0 && album.cover_art_id == 0 && album.pending_art_id == 0) {
        found->album_id = album.id;
    }
    return error == ERR_NOT_FOUND ? 0 : error;
}

static int give_cover(struct db_session *session, void *argument)
{
    struct found *found = argument;
    struct album_row album;
    int error = find_album(session, found); /* again: it may have got one meanwhile */
    if (error != 0 || found->album_id == 0) {
        return error;
    }
    error = album_get(session, found->arena, found->album_id, &album);
    if (error != 0) {
        return error;
    }
    found->art.owner_id = album.id;
    album.pending_art_id = found->art.id;
    error = album_stale(session, album.id);
    error = error != 0 ? error : track_stale_of_album(session, album.id);
    error = error != 0 ? error : album_update(session, &album);
    return error != 0 ? error : art_create(session, &found->art);
}

/* What the picture is, by its head; ERR_INVALID or ERR_MEDIA_TYPE: nothing that can be a cover. */
static int probe_picture(struct catalog *catalog, struct found *found)
{
    struct blob_source source;
    struct blob_stat stat;
    struct art_info info;
    int error = blob_open(catalog->blobs, found->bucket, found->key, &source, &stat);
    if (error == 0) {
        error = art_probe_object(&source, &info, NULL);
    }
    if (error != 0) {
        return error;
    }
    found->art = (struct art_row){.id = id_next(),
                                  .owner_kind = "album",
                                  .mime = info.mime,
                                  .object_key = found->art_key,
                                  .bytes = (int64_t)stat.bytes,
                                  .width = info.width,
                                  .height = info.height,
                                  .created_at = clock_wall_ms()};
    (void)snprintf(found->art_key, sizeof found->art_key, "art/%" PRId64 "/original",
                   found->art.id);
    return 0;
}

static int take_picture(struct catalog *catalog, struct found *found)
{
    int error = db_read(catalog->db, find_album, found);
    if (error != 0 || found->album_id == 0) {
        return error;
    }
    error = probe_picture(catalog, found);
    if (error == ERR_NOT_FOUND || error == ERR_INVALID || error == ERR_MEDIA_TYPE) {
        return 0;
    }
    if (error == 0) {
        error = blob_copy(catalog->blobs, found->bucket, found->key, NULL, BLOB_MEDIA,
                          found->art_key, NULL);
    }
    return error != 0 ? error : db_write(catalog->db, give_cover, found);
}

static int handle(void *context, const struct event *event)
{
    CLEANUP_JSON json_t *payload = json_loads(event->payload, 0, NULL);
    struct found found = {
        .bucket = json_string_value(json_object_get(payload, "bucket")),
        .key = json_string_value(json_object_get(payload, "key")),
    };
    if (found.bucket == NULL || found.key == NULL ||
        !json_is_id(json_object_get(payload, "trackId"), &found.track_id)) {
        return ERR_CORRUPT;
    }
    found.arena = arena_new(0);
    int error = found.arena != NULL ? take_picture(context, &found) : ERR_NO_MEMORY;
    arena_free(found.arena);
    return error;
}

const char *const art_found_types[] = {"media.art", NULL};

int art_found_subscribe(struct catalog *catalog)
{
    const struct bus_consumer consumer = {.name = ART_FOUND_CONSUMER,
                                          .types = art_found_types,
                                          .from_start = 1,
                                          .handle = handle,
                                          .context = catalog};
    return bus_subscribe(catalog->bus, catalog->db, &consumer);
}
