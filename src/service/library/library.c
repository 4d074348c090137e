/* Opening, and the table of routes (library.h). Main thread. */
#include "service/library/library_internal.h"

#include "base/error.h"
#include "base/mem.h"
#include "service/library/formats/list_file.h"

#include <stdlib.h>
#include <string.h>

enum {
    SIGNED_IN = ROLE_LISTENER | ROLE_ARTIST | ROLE_ADMIN,
    BODY_MAX = 1 << 12,
    TEXT_BODY_MAX = 1 << 15,
    BATCH_BODY_MAX = 1 << 17,
};

#define READ(p, handler)                                                                           \
    {                                                                                              \
        "GET", p, SIGNED_IN, ROUTE_POOL, 0, RATE_READ, handler, NULL, 0                            \
    }
#define WRITE(m, p, bytes, rate, handler)                                                          \
    {                                                                                              \
        m, p, SIGNED_IN, ROUTE_POOL, bytes, rate, handler, NULL, 0                                 \
    }
#define SHARED(p, handler) /* the same for whoever asks */                                         \
    {                                                                                              \
        "GET", p, 0, ROUTE_POOL, 0, RATE_READ, handler, NULL, ROUTE_NO_AUTH_HEADER                 \
    }

static const struct route routes[] = {
    WRITE("POST", "/api/v1/plays", BATCH_BODY_MAX, RATE_PLAY, plays_post),
    READ("/api/v1/plays/{kind}/{id}", totals_get),
    READ("/api/v1/me/history", history_get),
    READ("/api/v1/me/played/{kind}", played_get),
    READ("/api/v1/me/playing", playing_get),
    WRITE("PUT", "/api/v1/me/playing", BODY_MAX, RATE_PLAY, playing_put),
    WRITE("DELETE", "/api/v1/me/playing", 0, RATE_PLAY, playing_delete),

    READ("/api/v1/me/favourites/{kind}", favourites_get),
    WRITE("PUT", "/api/v1/me/favourites/{kind}/{id}", BODY_MAX, RATE_WRITE, favourite_put),
    WRITE("DELETE", "/api/v1/me/favourites/{kind}/{id}", 0, RATE_WRITE, favourite_delete),
    READ("/api/v1/me/ratings/{kind}", ratings_get),
    WRITE("PUT", "/api/v1/me/ratings/{kind}/{id}", BODY_MAX, RATE_WRITE, rating_put),
    READ("/api/v1/me/follows", follows_get),
    WRITE("PUT", "/api/v1/me/follows/{artistId}", BODY_MAX, RATE_WRITE, follow_put),
    WRITE("DELETE", "/api/v1/me/follows/{artistId}", 0, RATE_WRITE, follow_delete),
    READ("/api/v1/me/changes", changes_get),
    WRITE("POST", "/api/v1/me/changes", BATCH_BODY_MAX, RATE_WRITE, changes_post),

    READ("/api/v1/me/queue", queue_get),
    WRITE("PUT", "/api/v1/me/queue", BATCH_BODY_MAX, RATE_WRITE, queue_put),

    READ("/api/v1/playlists", playlist_list_get),
    WRITE("POST", "/api/v1/playlists/import", LIST_FILE_BYTES_MAX, RATE_UPLOAD,
          playlist_import_post),
    WRITE("POST", "/api/v1/playlists", TEXT_BODY_MAX, RATE_WRITE, playlist_post),
    READ("/api/v1/playlists/{id}", playlist_get_one),
    WRITE("PATCH", "/api/v1/playlists/{id}", TEXT_BODY_MAX, RATE_WRITE, playlist_patch),
    WRITE("DELETE", "/api/v1/playlists/{id}", 0, RATE_WRITE, playlist_delete),
    READ("/api/v1/playlists/{id}/export", playlist_export_get),
    READ("/api/v1/playlists/{id}/cover", playlist_cover_get),
    READ("/api/v1/playlists/{id}/items", items_get),
    WRITE("POST", "/api/v1/playlists/{id}/items", TEXT_BODY_MAX, RATE_WRITE, items_post),
    WRITE("PATCH", "/api/v1/playlists/{id}/items", BATCH_BODY_MAX, RATE_WRITE, items_patch),
    WRITE("POST", "/api/v1/playlists/{id}/share", BODY_MAX, RATE_WRITE, share_post),
    WRITE("DELETE", "/api/v1/playlists/{id}/share", 0, RATE_WRITE, share_delete),
    WRITE("POST", "/api/v1/playlists/{id}/invite", BODY_MAX, RATE_WRITE, invite_post),
    WRITE("DELETE", "/api/v1/playlists/{id}/invite", 0, RATE_WRITE, invite_delete),
    READ("/api/v1/playlists/{id}/members", members_get),
    WRITE("DELETE", "/api/v1/playlists/{id}/members/{userId}", 0, RATE_WRITE, member_delete_one),
    WRITE("POST", "/api/v1/me/invites", BODY_MAX, RATE_WRITE, join_post),
    SHARED("/api/v1/shared/{token}", shared_get),
    SHARED("/api/v1/shared/{token}/cover", shared_cover_get),
    SHARED("/api/v1/shared/{token}/export", shared_export_get),
};

const struct route *library_routes(unsigned *ret_count)
{
    *ret_count = COUNT_OF(routes);
    return routes;
}

int library_open(const struct library_config *config, struct library **ret_library,
                 struct problem *problem)
{
    int error = db_migrate(config->users, library_migrations, library_migration_count, problem);
    error = error != 0
                ? error
                : db_migrate(config->activity, plays_migrations, plays_migration_count, problem);
    if (error != 0) {
        return error;
    }
    struct library *library = calloc(1, sizeof *library);
    if (library == NULL) {
        return ERR_NO_MEMORY;
    }
    *library = (struct library){.users = config->users,
                                .activity = config->activity,
                                .bus = config->bus,
                                .catalog = config->catalog,
                                .public_url = config->public_url};
    *ret_library = library;
    return 0;
}

void library_close(struct library *library)
{
    free(library);
}

int library_subscribe(struct library *library)
{
    int error = erase_subscribe(library);
    return error != 0 ? error : plays_subscribe(library);
}

int library_kind(struct request *request, enum catalog_kind *ret_kind, const char **ret_word)
{
    static const struct {
        const char *word;
        enum catalog_kind kind;
    } kinds[] = {{"track", CATALOG_TRACK}, {"album", CATALOG_ALBUM}, {"artist", CATALOG_ARTIST}};
    const char *word = request_param(request, "kind");
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (strcmp(word, kinds[i].word) == 0) {
            *ret_kind = kinds[i].kind;
            *ret_word = kinds[i].word;
            return 0;
        }
    }
    return problem_set(&request->call.problem, ERR_NOT_FOUND,
                       "There are the kinds track, album and artist");
}
