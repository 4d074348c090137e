/* The table of the catalog's routes, and what its handlers share. */
#include "service/catalog/catalog_http.h"

#include "base/error.h"
#include "base/mem.h"
#include "service/catalog/art_http.h"
#include "service/catalog/catalog_internal.h"

#include <string.h>

enum {
    SIGNED_IN = ROLE_LISTENER | ROLE_ARTIST | ROLE_ADMIN,
    CHANGES = ROLE_ARTIST,
    REMOVES = ROLE_ARTIST | ROLE_ADMIN,
};

#define READ(p, roles_, handler)                                                                   \
    {                                                                                              \
        "GET", p, roles_, ROUTE_POOL, 0, RATE_READ, handler, NULL, 0                               \
    }
#define CACHED(p, roles_, handler)                                                                 \
    {                                                                                              \
        "GET", p, roles_, ROUTE_LOOP, 0, RATE_READ, handler, NULL, 0                               \
    }
#define WRITE(m, p, roles_, handler)                                                               \
    {                                                                                              \
        m, p, roles_, ROUTE_POOL, JSON_BODY_MAX, RATE_WRITE, handler, NULL, 0                      \
    }
#define REMOVE(p, roles_, handler)                                                                 \
    {                                                                                              \
        "DELETE", p, roles_, ROUTE_POOL, 0, RATE_WRITE, handler, NULL, 0                           \
    }

static const struct route routes[] = {
    CACHED("/api/v1/artists", SIGNED_IN, artist_list_get),
    WRITE("POST", "/api/v1/artists", CHANGES, artist_post),
    CACHED("/api/v1/artists/index", SIGNED_IN, artist_index_get),
    WRITE("POST", "/api/v1/me/artist", SIGNED_IN, me_artist_post),
    CACHED("/api/v1/artists/{id}", SIGNED_IN, artist_get_one),
    WRITE("PATCH", "/api/v1/artists/{id}", CHANGES, artist_patch),
    REMOVE("/api/v1/artists/{id}", REMOVES, artist_delete),
    WRITE("PUT", "/api/v1/artists/{id}/owner", ROLE_ADMIN, artist_owner_put),
    CACHED("/api/v1/artists/{id}/albums", SIGNED_IN, album_list_of_artist_get),
    {"PUT", "/api/v1/artists/{id}/image", CHANGES, ROUTE_POOL, ART_BYTES_MAX, RATE_UPLOAD,
     image_put, &art_sink, 0},
    REMOVE("/api/v1/artists/{id}/image", CHANGES, image_delete),

    CACHED("/api/v1/albums", SIGNED_IN, album_list_get),
    WRITE("POST", "/api/v1/albums", CHANGES, album_post),
    CACHED("/api/v1/albums/{id}", SIGNED_IN, album_get_one),
    WRITE("PATCH", "/api/v1/albums/{id}", CHANGES, album_patch),
    REMOVE("/api/v1/albums/{id}", REMOVES, album_delete),
    CACHED("/api/v1/albums/{id}/tracks", SIGNED_IN, track_list_of_album_get),
    {"PUT", "/api/v1/albums/{id}/cover", CHANGES, ROUTE_POOL, ART_BYTES_MAX, RATE_UPLOAD, cover_put,
     &art_sink, 0},
    REMOVE("/api/v1/albums/{id}/cover", CHANGES, cover_delete),

    CACHED("/api/v1/tracks", SIGNED_IN, track_list_get),
    CACHED("/api/v1/tracks/{id}", SIGNED_IN, track_get_one),
    REMOVE("/api/v1/tracks/{id}", REMOVES, track_delete),
    READ("/api/v1/tracks/{id}/lyrics", SIGNED_IN, lyrics_get_one),
    {"PUT", "/api/v1/tracks/{id}/lyrics", CHANGES, ROUTE_POOL, LYRICS_LINES_BODY_MAX, RATE_WRITE,
     lyrics_put_one, NULL, 0},
    REMOVE("/api/v1/tracks/{id}/lyrics", CHANGES, lyrics_delete_one),
    READ("/api/v1/tracks/{id}/waveform", SIGNED_IN, waveform_get),

    CACHED("/api/v1/genres", SIGNED_IN, genre_list_get),

    READ("/api/v1/libraries", ROLE_ADMIN, shelf_list_get),
    WRITE("POST", "/api/v1/libraries", ROLE_ADMIN, shelf_post),
    WRITE("PATCH", "/api/v1/libraries/{id}", ROLE_ADMIN, shelf_patch),
    REMOVE("/api/v1/libraries/{id}", ROLE_ADMIN, shelf_delete),

    {"GET", "/api/v1/art/{id}", 0, ROUTE_POOL, 0, RATE_READ, art_get_one, NULL, ROUTE_ANY_ORIGIN},
};

const struct route *catalog_routes(unsigned *ret_count)
{
    *ret_count = COUNT_OF(routes);
    return routes;
}

int query_sort(struct request *request, const char *other, bool *ret_created)
{
    const char *sort = request_query(request, "sort");
    *ret_created = sort != NULL && strcmp(sort, "created") == 0;
    if (sort == NULL || *ret_created || strcmp(sort, other) == 0) {
        return 0;
    }
    return problem_set(&request->call.problem, ERR_MALFORMED, "sort must be created or %s", other);
}
