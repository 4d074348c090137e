/* GET /playlists/{id}/cover: what a playlist looks like, by the covers of its first four different
 * albums, of those that the caller sees. They are put together as an SVG that holds the JPEGs that
 * are there already, so that nothing is decoded, made or kept; of fewer than four albums it is the
 * first one's JPEG, of none nothing. The ETag names the pictures, which never change. On the pool;
 * memory is an arena's beside the request's. */
#include "service/library/playlists/playlist_work.h"

#include "base/error.h"
#include "base/json.h"
#include "net/http.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TILES = 4, LOOKED_AT_MAX = 500, SIZE_DEFAULT = 300, PIXELS_MAX = 1200, ETAG_SIZE = 128 };
enum { ARENA_BYTES_MAX = 32 << 20, MAX_AGE_SMART_S = 300 };

struct mosaic {
    struct arena *arena;
    int64_t albums[TILES], arts[TILES];
    unsigned count, looked_at;
    int64_t size; /* pixels of a side */
};

/* 1 once it knows enough. */
static int take_track(void *argument, const json_t *track)
{
    struct mosaic *mosaic = argument;
    int64_t album = 0, art = 0;
    bool has = json_is_id(json_object_get(track, "albumId"), &album) &&
               json_is_id(json_object_get(track, "coverArtId"), &art);
    for (unsigned i = 0; has && i < mosaic->count; i++) {
        has = mosaic->albums[i] != album;
    }
    if (has) {
        mosaic->albums[mosaic->count] = album;
        mosaic->arts[mosaic->count++] = art;
    }
    return mosaic->count == TILES || ++mosaic->looked_at == LOOKED_AT_MAX;
}

static int put_tile(struct library *library, struct mosaic *mosaic, unsigned at, char **svg)
{
    const void *bytes = NULL;
    size_t length = 0;
    int error = catalog_art_bytes(library->catalog, mosaic->arena, mosaic->arts[at],
                                  (unsigned)(mosaic->size + 1) / 2, &bytes, &length);
    size_t room = sodium_base64_encoded_len(length, sodium_base64_VARIANT_ORIGINAL);
    char *text = error == 0 ? arena_alloc(mosaic->arena, room) : NULL;
    if (text == NULL) {
        return error != 0 ? error : ERR_NO_MEMORY;
    }
    (void)sodium_bin2base64(text, room, bytes, length, sodium_base64_VARIANT_ORIGINAL);
    *svg = arena_printf(mosaic->arena,
                        "%s<image x=\"%u\" y=\"%u\" width=\"1\" height=\"1\" "
                        "preserveAspectRatio=\"xMidYMid slice\" "
                        "href=\"data:image/jpeg;base64,%s\"/>",
                        *svg, at % 2, at / 2, text);
    return *svg != NULL ? 0 : ERR_NO_MEMORY;
}

static int reply_mosaic(struct request *request, struct mosaic *mosaic)
{
    char *svg = arena_printf(mosaic->arena,
                             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%" PRId64
                             "\" height=\"%" PRId64 "\" viewBox=\"0 0 2 2\">",
                             mosaic->size, mosaic->size);
    int error = svg != NULL ? 0 : ERR_NO_MEMORY;
    for (unsigned i = 0; error == 0 && i < TILES; i++) {
        error = put_tile(request->context, mosaic, i, &svg);
    }
    svg = error == 0 ? arena_printf(mosaic->arena, "%s</svg>", svg) : NULL;
    if (svg == NULL) {
        return error != 0 ? error : ERR_NO_MEMORY;
    }
    /* Opened by itself it is a page of ours, which shows pictures and does nothing. */
    error = reply_header(request, "Content-Security-Policy",
                         "default-src 'none'; img-src data:; sandbox");
    return error != 0 ? error : reply_bytes(request, 200, "image/svg+xml", svg, strlen(svg), false);
}

static int reply_one(struct request *request, struct mosaic *mosaic)
{
    const struct library *library = request->context;
    const void *bytes = NULL;
    size_t length = 0;
    int error = catalog_art_bytes(library->catalog, mosaic->arena, mosaic->arts[0],
                                  (unsigned)mosaic->size, &bytes, &length);
    return error != 0 ? error : reply_bytes(request, 200, "image/jpeg", bytes, length, false);
}

static void write_etag(const struct mosaic *mosaic, char out[ETAG_SIZE])
{
    unsigned count = mosaic->count == TILES ? TILES : 1;
    int length = snprintf(out, ETAG_SIZE, "\"%" PRId64, mosaic->size);
    for (unsigned i = 0; i < count; i++) {
        length += snprintf(out + length, ETAG_SIZE - (size_t)length, "-%" PRIx64, mosaic->arts[i]);
    }
    (void)snprintf(out + length, ETAG_SIZE - (size_t)length, "\"");
}

static int answer(struct request *request, const struct playlist_row *row, struct mosaic *mosaic)
{
    char etag[ETAG_SIZE], cache[64];
    int error = playlist_walk(request->context, &request->call, row, take_track, mosaic);
    if (error < 0) {
        return error;
    }
    if (mosaic->count == 0) {
        error = reply_header(request, "Cache-Control", "private, no-cache");
        return error != 0 ? error : reply_empty(request, 204);
    }
    write_etag(mosaic, etag);
    /* Rules are not evaluated anew for each look at their picture. */
    (void)snprintf(cache, sizeof cache, "private, max-age=%d",
                   row->rules[0] != '\0' ? MAX_AGE_SMART_S : 0);
    error = reply_header(request, "ETag", etag);
    error = error != 0 ? error : reply_header(request, "Cache-Control", cache);
    if (error != 0 || request_is_fresh(request, etag)) {
        return error != 0 ? error : reply_empty(request, 304);
    }
    return mosaic->count == TILES ? reply_mosaic(request, mosaic) : reply_one(request, mosaic);
}

int playlist_cover(struct request *request, const struct playlist_row *row)
{
    struct mosaic mosaic = {.count = 0};
    int error = request_query_number(request, "size", 1, PIXELS_MAX, SIZE_DEFAULT, &mosaic.size);
    if (error != 0) {
        return error;
    }
    mosaic.arena = arena_new(ARENA_BYTES_MAX);
    error = mosaic.arena != NULL ? answer(request, row, &mosaic) : ERR_NO_MEMORY;
    arena_free(mosaic.arena);
    return error;
}

int playlist_cover_get(struct request *request)
{
    int64_t id = 0;
    struct playlist_row row;
    int error = request_param_id(request, "id", &id);
    error = error != 0 ? error : playlist_look(request->context, &request->call, id, &row);
    return error != 0 ? error : playlist_cover(request, &row);
}
