/* Following the catalogue: a thread that brings the index what has changed, as the catalogue's own
 * caches do it (service/catalog/watch.c): by the outbox, without a position, since every process
 * wants every event.
 *
 *   the database says "committed" ─▶ events since the last look ─▶ things they name, and what is
 *   under those ─▶ their names, read anew ─▶ index_change
 *
 * It also builds the index: where there is none, where it is older than the outbox goes back, when
 * it is worn, and once a day if anything changed (popularity is taken anew only then). Searches go
 * on meanwhile. What fails is tried again at the next commit or search, from the same place. Where
 * processes share an index, the one that leads does all this, and the others look whether it still
 * does. */
#include "service/search/search_internal.h"

#include "backend/db/db.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/problem.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct thing {
    enum catalog_kind kind;
    int64_t id;
};

struct look {
    struct search *search;
    struct arena *arena;
    int64_t from, place;
    unsigned news_count;
    struct thing *things;
    unsigned thing_count, thing_room;
    /* reading names */
    unsigned at;
    struct index_doc *docs;
    struct catalog_name *names;
    bool *there;
    unsigned doc_count;
};

static int note(struct look *look, enum catalog_kind kind, int64_t id)
{
    for (unsigned i = look->thing_count; i > 0 && look->thing_count - i < 64; i--) {
        if (look->things[i - 1].id == id && look->things[i - 1].kind == kind) {
            return 0; /* the same again, shortly after */
        }
    }
    if (look->thing_count == look->thing_room) {
        unsigned room = look->thing_room > 0 ? 2 * look->thing_room : 64;
        struct thing *things = arena_array(look->arena, room, sizeof *things);
        if (things == NULL) {
            return ERR_NO_MEMORY;
        }
        if (look->thing_count > 0) {
            memcpy(things, look->things, look->thing_count * sizeof *things);
        }
        look->things = things;
        look->thing_room = room;
    }
    look->things[look->thing_count++] = (struct thing){.kind = kind, .id = id};
    return 0;
}

static int note_elsewhere(struct db_session *session, struct look *look, int64_t artist_id)
{
    int64_t *ids = NULL;
    unsigned count = 0;
    int error = catalog_ids_elsewhere(session, look->arena, artist_id, &ids, &count);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = note(look, CATALOG_TRACK, ids[i]);
    }
    return error;
}

/* A thing and what shows its name. */
static int note_all(struct db_session *session, struct look *look, enum catalog_kind kind,
                    int64_t id)
{
    int64_t *ids = NULL;
    unsigned count = 0;
    int error = note(look, kind, id);
    if (error == 0 && kind == CATALOG_ARTIST) {
        error = note_elsewhere(session, look, id);
    }
    error = error != 0 ? error : catalog_ids_under(session, look->arena, kind, id, &ids, &count);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = kind == CATALOG_ARTIST ? note_all(session, look, CATALOG_ALBUM, ids[i])
                                       : note(look, CATALOG_TRACK, ids[i]);
    }
    return error;
}

static int note_news(struct db_session *session, struct look *look, const struct bus_news *news)
{
    static const struct {
        const char *type, *key;
        enum catalog_kind kind;
    } kinds[] = {{"track.", "track:", CATALOG_TRACK},
                 {"album.", "album:", CATALOG_ALBUM},
                 {"artist.", "artist:", CATALOG_ARTIST}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        int64_t id = 0;
        size_t length = strlen(kinds[i].key);
        if (strncmp(news->type, kinds[i].type, strlen(kinds[i].type)) == 0 &&
            strncmp(news->key, kinds[i].key, length) == 0 && id_parse(news->key + length, &id)) {
            return note_all(session, look, kinds[i].kind, id);
        }
    }
    return 0;
}

static int look_work(struct db_session *session, void *argument)
{
    struct look *look = argument;
    struct bus_news *news = NULL;
    look->thing_count = 0;
    look->place = look->from; /* also when it is run again */
    int error = bus_news(session, look->arena, &look->place, &news, &look->news_count);
    for (unsigned i = 0; error == 0 && i < look->news_count; i++) {
        error = note_news(session, look, &news[i]);
    }
    return error;
}

static int names_work(struct db_session *session, void *argument)
{
    struct look *look = argument;
    int error = 0;
    for (look->doc_count = 0; error == 0 && look->doc_count < PORTION; look->doc_count++) {
        unsigned at = look->at + look->doc_count;
        if (at == look->thing_count) {
            break;
        }
        const struct thing *thing = &look->things[at];
        error = catalog_name_find(session, look->arena, thing->kind, thing->id,
                                  &look->names[look->doc_count]);
        look->there[look->doc_count] = error == 0;
        error = error == ERR_NOT_FOUND ? 0 : error;
    }
    return error;
}

/* What is not to be found any more becomes a document without words. */
static int make_docs(struct look *look)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < look->doc_count; i++) {
        const struct thing *thing = &look->things[look->at + i];
        enum index_kind kind = document_kind(thing->kind);
        look->docs[i] = (struct index_doc){.kind = kind, .id = thing->id, .key = ""};
        if (look->there[i]) {
            uint32_t plays = 0;
            error = popularity_of(look->search, thing->kind, thing->id, &plays);
            error = error != 0
                        ? error
                        : document_make(look->arena, kind, &look->names[i], plays, &look->docs[i]);
        }
    }
    return error;
}

static int bring(struct look *look)
{
    look->docs = arena_array(look->arena, PORTION, sizeof *look->docs);
    look->names = arena_array(look->arena, PORTION, sizeof *look->names);
    look->there = arena_array(look->arena, PORTION, sizeof *look->there);
    int error =
        look->docs == NULL || look->names == NULL || look->there == NULL ? ERR_NO_MEMORY : 0;
    for (look->at = 0; error == 0 && look->at < look->thing_count; look->at += look->doc_count) {
        error = db_read(look->search->db, names_work, look);
        error = error != 0 ? error : make_docs(look);
        error = error != 0
                    ? error
                    : index_change(look->search->index, look->docs, look->doc_count, look->place);
    }
    return error;
}

/* The next events. *ret_more: there may be others behind them. */
static int look_once(struct search *search, bool *ret_more)
{
    struct look look = {.search = search, .arena = arena_new(0), .from = search->place};
    int error = look.arena == NULL ? ERR_NO_MEMORY : db_read(search->db, look_work, &look);
    if (error == 0 && look.thing_count > 0) {
        error = bring(&look);
        search->changed = true;
    }
    if (error == 0) {
        search->place = look.place;
        index_reached(search->index, look.place);
    }
    *ret_more = look.news_count == BUS_NEWS_MAX;
    arena_free(look.arena);
    return error;
}

static int catch_up(struct search *search)
{
    bool more = true;
    int error = 0;
    while (error == 0 && more) {
        error = look_once(search, &more);
        (void)pthread_mutex_lock(&search->lock);
        more = more && !search->ending;
        (void)pthread_mutex_unlock(&search->lock);
    }
    return error;
}

static int rebuild(struct search *search, const char *why)
{
    struct problem problem = {0};
    int64_t begun_ms = clock_monotonic_ms();
    int error = build_index(search, search->index, &search->place, &problem);
    if (error != 0) {
        log_event(LOG_WARNING, "search.build", log_text("error", error_name(error)),
                  log_text("reason", problem.detail));
        return error;
    }
    search->changed = false;
    struct index_size size;
    index_size(search->index, &size);
    log_event(LOG_INFO, "search.built", log_text("why", why), log_number("docs", size.docs),
              log_number("bytes", size.bytes), log_number("ms", clock_monotonic_ms() - begun_ms));
    return 0;
}

struct newest {
    struct arena *arena;
    int64_t place;
};

static int newest_work(struct db_session *session, void *argument)
{
    struct newest *newest = argument;
    struct bus_news *news = NULL;
    unsigned count = 0;
    newest->place = -1;
    return bus_news(session, newest->arena, &newest->place, &news, &count);
}

/* An index is behind the outbox that it was made of. Where processes share it, another may have
 * read from the primary what this one's replica does not have yet. */
static bool is_anothers(struct search *search, int64_t newest)
{
    int64_t now_ms = clock_monotonic_ms();
    if (index_place(search->index) <= newest) {
        search->ahead_ms = 0;
        return false;
    }
    search->ahead_ms = search->ahead_ms != 0 ? search->ahead_ms : now_ms;
    return !index_is_shared(search->index) || now_ms - search->ahead_ms > AHEAD_MAX_MS;
}

/* NULL: the index can be followed from its place; else why it can't. */
static const char *why_rebuild(struct search *search)
{
    int64_t age_ms = clock_wall_ms() - index_built_ms(search->index);
    struct newest newest = {.arena = arena_new(0)};
    int error = newest.arena != NULL ? db_read(search->db, newest_work, &newest) : ERR_NO_MEMORY;
    arena_free(newest.arena);
    if (index_place(search->index) < 0) {
        return "there was none";
    }
    if (age_ms < 0 || age_ms > FOLLOW_MAX_MS) {
        return "it was too old";
    }
    if (error == 0 && is_anothers(search, newest.place)) {
        return "it was another database's";
    }
    if (index_is_worn(search->index)) {
        return "much has changed, or it is damaged";
    }
    return search->changed && age_ms > AGE_MAX_MS ? "it is a day old" : NULL;
}

static int bring_all(struct search *search)
{
    const char *why = why_rebuild(search);
    int error = why != NULL ? rebuild(search, why) : 0;
    return error != 0 ? error : catch_up(search);
}

static void look_round(struct search *search)
{
    if (index_look(search->index)) {
        search->place = index_place(search->index);
        search->changed = false;
    }
    int error = index_leads(search->index) ? bring_all(search) : 0;
    if (error == 0) {
        atomic_store(&search->ready, index_place(search->index) >= 0);
    } else {
        log_event(LOG_WARNING, "search.behind", log_text("error", error_name(error)));
    }
}

static void committed(void *argument)
{
    struct search *search = argument;
    (void)pthread_mutex_lock(&search->lock);
    search->news = true;
    (void)pthread_cond_signal(&search->wake);
    (void)pthread_mutex_unlock(&search->lock);
}

void follow_poke(struct search *search)
{
    int64_t now_ms = clock_monotonic_ms(), looked_ms = atomic_load(&search->looked_ms);
    if (now_ms - looked_ms >= LOOK_EVERY_MS &&
        atomic_compare_exchange_strong(&search->looked_ms, &looked_ms, now_ms)) {
        committed(search);
    }
}

/* For news or so long. False: the end. */
static bool wait_for_news(struct search *search)
{
    int64_t pulse_ms = index_pulse_ms(search->index);
    const struct timespec until = clock_monotonic_after(pulse_ms > 0 ? pulse_ms : WAIT_MS);
    int waited = 0;
    (void)pthread_mutex_lock(&search->lock);
    while (!search->news && !search->ending && waited == 0) {
        waited = pthread_cond_clockwait(&search->wake, &search->lock, CLOCK_MONOTONIC, &until);
    }
    search->news = false;
    bool goes_on = !search->ending;
    (void)pthread_mutex_unlock(&search->lock);
    return goes_on;
}

static void *follow_main(void *argument)
{
    static const struct timespec pause = {.tv_nsec = LOOK_PAUSE_MS * 1000000L};
    struct search *search = argument;
    do {
        look_round(search);
        (void)nanosleep(&pause, NULL);
    } while (wait_for_news(search));
    return NULL;
}

int follow_start(struct search *search)
{
    search->place = index_place(search->index);
    atomic_store(&search->ready,
                 search->place >= 0); /* what there is answers while it catches up */
    int failure = pthread_create(&search->thread, NULL, follow_main, search);
    if (failure != 0) {
        return error_from_errno(failure);
    }
    search->started = true;
    db_on_commit(search->db, committed, search);
    return 0;
}

void follow_stop(struct search *search)
{
    if (!search->started) {
        return;
    }
    db_off_commit(search->db, committed, search);
    (void)pthread_mutex_lock(&search->lock);
    search->ending = true;
    (void)pthread_cond_signal(&search->wake);
    (void)pthread_mutex_unlock(&search->lock);
    (void)pthread_join(search->thread, NULL);
    search->started = false;
}
