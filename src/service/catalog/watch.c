/* Following the changes of other processes (watch.h).
 *
 * The database wakes us after every commit that wrote, of whichever process. The events since the
 * last look name what changed; our own changes come by as well and are forgotten a second time,
 * which costs a load. Looks are WATCH_PAUSE_MS apart, so that a busy writer costs twenty small
 * reads a second and no more. A look that fails is made again after the next commit; the short life
 * of cached answers covers the time between.
 */
#include "service/catalog/watch.h"

#include "backend/bus/bus.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "service/catalog/catalog_internal.h"
#include "service/catalog/catalog_rows.h"
#include "service/catalog/gone.h"
#include "service/catalog/resource.h"
#include "service/catalog/shelves.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WATCH_PAUSE_MS = 50 };

struct watch {
    struct catalog *catalog;
    int64_t place;            /* in the outbox */
    _Atomic int64_t position; /* all events up to here were heard */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool news, ending; /* under lock */
};

struct look {
    struct catalog *catalog;
    struct arena *arena;
    int64_t from, place; /* in the outbox */
    struct bus_news *news;
    unsigned count;
    int64_t left;                /* events that can't be read yet */
    struct resource_name *names; /* to be forgotten, once the read is over */
    unsigned name_count, name_room;
    bool shelves; /* who sees what is another */
};

static int note(struct look *look, enum catalog_kind kind, int64_t id)
{
    if (look->name_count == look->name_room) {
        unsigned wider = look->name_room > 0 ? 2 * look->name_room : 32;
        struct resource_name *copy = arena_array(look->arena, wider, sizeof *copy);
        if (copy == NULL) {
            return ERR_NO_MEMORY;
        }
        if (look->name_count > 0) {
            memcpy(copy, look->names, look->name_count * sizeof *copy);
        }
        look->names = copy;
        look->name_room = wider;
    }
    look->names[look->name_count++] = (struct resource_name){kind, id};
    return 0;
}

/* "track:5" → 5 where the key is of that kind. */
static bool key_is(const char *key, const char *kind, int64_t *ret_id)
{
    size_t length = strlen(kind);
    return strncmp(key, kind, length) == 0 && key[length] == ':' &&
           id_parse(key + length + 1, ret_id);
}

/* The album's title and cover are in the answers of its tracks. */
static int forget_album(struct db_session *session, struct look *look, int64_t album_id)
{
    int64_t *ids = NULL;
    unsigned count = 0;
    int error = track_ids_of_album(session, look->arena, album_id, &ids, &count);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = note(look, CATALOG_TRACK, ids[i]);
    }
    return error != 0 ? error : note(look, CATALOG_ALBUM, album_id);
}

static int forget_artist(struct db_session *session, struct look *look, int64_t artist_id)
{
    int64_t *ids = NULL;
    unsigned count = 0;
    int error = catalog_ids_elsewhere(session, look->arena, artist_id, &ids, &count);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = note(look, CATALOG_TRACK, ids[i]);
    }
    error = error != 0 ? error : album_ids_of_artist(session, look->arena, artist_id, &ids, &count);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = forget_album(session, look, ids[i]);
    }
    return error != 0 ? error : note(look, CATALOG_ARTIST, artist_id);
}

static int forget_one(struct db_session *session, struct look *look, const struct bus_news *news)
{
    int64_t id = 0;
    if (strncmp(news->type, "media.", 6) == 0 || strcmp(news->type, "track.uploaded") == 0) {
        return 0; /* nothing has changed yet: track.changed follows */
    }
    if (key_is(news->key, "track", &id)) {
        if (strcmp(news->type, "track.deleted") == 0) {
            gone_add(look->catalog->gone, id, clock_wall_ms());
        }
        return note(look, CATALOG_TRACK, id);
    }
    if (key_is(news->key, "album", &id)) {
        return forget_album(session, look, id);
    }
    look->shelves = look->shelves || key_is(news->key, "library", &id);
    return key_is(news->key, "artist", &id) ? forget_artist(session, look, id) : 0;
}

static int look_work(struct db_session *session, void *argument)
{
    struct look *look = argument;
    look->name_count = 0;
    look->place = look->from; /* also when it is run again */
    int error = bus_news(session, look->arena, &look->place, &look->news, &look->count);
    for (unsigned i = 0; error == 0 && i < look->count; i++) {
        error = forget_one(session, look, &look->news[i]);
    }
    return error != 0 ? error : bus_news_left(session, look->place, &look->left);
}

/* All that came since the last look. */
static void look_round(struct watch *watch)
{
    unsigned count = BUS_NEWS_MAX;
    while (count == BUS_NEWS_MAX) {
        struct look look = {.catalog = watch->catalog, .arena = arena_new(0), .from = watch->place};
        int64_t position = db_position(watch->catalog->db); /* what is committed by then is read */
        int error =
            look.arena != NULL ? db_read(watch->catalog->db, look_work, &look) : ERR_NO_MEMORY;
        if (error == 0 && look.shelves) {
            error = shelves_look(watch->catalog);
        }
        if (error == 0) {
            resource_forget_all(watch->catalog, look.names, look.name_count);
        }
        arena_free(look.arena);
        if (error != 0) {
            return;
        }
        watch->place = look.place;
        count = look.count;
        if (look.left == 0) {
            atomic_store(&watch->position, position);
        }
    }
}

int64_t watch_position(const struct watch *watch)
{
    return atomic_load(&watch->position);
}

bool watch_is_behind(const struct watch *watch)
{
    return db_view_seen(watch->catalog->db) > atomic_load(&watch->position);
}

static void committed(void *argument)
{
    struct watch *watch = argument;
    (void)pthread_mutex_lock(&watch->lock);
    watch->news = true;
    (void)pthread_cond_signal(&watch->wake);
    (void)pthread_mutex_unlock(&watch->lock);
}

/* True: there is something to look for; false: the end. */
static bool wait_for_news(struct watch *watch)
{
    (void)pthread_mutex_lock(&watch->lock);
    while (!watch->news && !watch->ending) {
        (void)pthread_cond_wait(&watch->wake, &watch->lock);
    }
    watch->news = false;
    bool goes_on = !watch->ending;
    (void)pthread_mutex_unlock(&watch->lock);
    return goes_on;
}

static void *watch_main(void *argument)
{
    static const struct timespec pause = {.tv_nsec = WATCH_PAUSE_MS * 1000000L};
    struct watch *watch = argument;
    while (wait_for_news(watch)) {
        look_round(watch);
        (void)nanosleep(&pause, NULL);
    }
    return NULL;
}

int watch_start(struct catalog *catalog, struct watch **ret_watch)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return ERR_NO_MEMORY;
    }
    watch->catalog = catalog;
    watch->place = -1;
    (void)pthread_mutex_init(&watch->lock, NULL);
    (void)pthread_cond_init(&watch->wake, NULL);
    look_round(watch);
    int failure = pthread_create(&watch->thread, NULL, watch_main, watch);
    if (failure != 0) {
        (void)pthread_cond_destroy(&watch->wake);
        (void)pthread_mutex_destroy(&watch->lock);
        free(watch);
        return error_from_errno(failure);
    }
    db_on_commit(catalog->db, committed, watch);
    *ret_watch = watch;
    return 0;
}

void watch_stop(struct watch *watch)
{
    if (watch == NULL) {
        return;
    }
    db_off_commit(watch->catalog->db, committed, watch);
    (void)pthread_mutex_lock(&watch->lock);
    watch->ending = true;
    (void)pthread_cond_signal(&watch->wake);
    (void)pthread_mutex_unlock(&watch->lock);
    (void)pthread_join(watch->thread, NULL);
    (void)pthread_cond_destroy(&watch->wake);
    (void)pthread_mutex_destroy(&watch->lock);
    free(watch);
}
