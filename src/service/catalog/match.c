/* Tracks that somebody else's words name (catalog.h: catalog_match): by our own id, MusicBrainz's
 * id of the recording, the ISRC, or artist and title. Of several that fit, one of the album that
 * was named stands first, then the one closest in length, then the oldest. Whether the actor may
 * see it is asked of the one rule (catalog_permit). Any thread that may block. */
#include "service/catalog/catalog_internal.h"

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/catalog/match_store.h"
#include "service/fields.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const int64_t LENGTH_SLACK_MS = 3000;

struct match {
    struct call *call;
    struct arena *arena; /* of one that is wanted; the call's would fill up */
    struct catalog_wanted *wanted;
    unsigned count;
};

/* How well a candidate fits, the less the better; negative: it doesn't. */
struct fit {
    int64_t id, cost;
};

static bool same_name(struct arena *arena, const char *key, const char *name)
{
    const char *other = name != NULL && key != NULL ? text_fold(arena, name) : NULL;
    return other != NULL && strcmp(key, other) == 0;
}

/* Its artist, its whole credit, or one of those credited. */
static bool is_by(struct arena *arena, const char *artist_key, const struct match_candidate *row)
{
    CLEANUP_JSON json_t *details = json_loads(row->details, 0, NULL);
    bool found =
        same_name(arena, artist_key, row->artist) ||
        same_name(arena, artist_key, json_string_value(json_object_get(details, "credit")));
    size_t index;
    json_t *artist;
    json_array_foreach(json_object_get(details, "artists"), index, artist)
    {
        found = found ||
                same_name(arena, artist_key, json_string_value(json_object_get(artist, "name")));
    }
    return found;
}

/* Milliseconds apart; 0 where a length is not known. */
static int64_t apart(const struct catalog_wanted *wanted, const struct match_candidate *row)
{
    return wanted->duration_ms > 0 && row->duration_ms > 0
               ? llabs(wanted->duration_ms - row->duration_ms)
               : 0;
}

/* by_name: words alone, so that artist and length must agree. */
static int64_t cost(struct arena *arena, const struct catalog_wanted *wanted,
                    const struct match_candidate *row, bool by_name)
{
    static const int64_t other_album = INT64_C(1) << 40;
    const char *album_key = wanted->album[0] != '\0' ? text_fold(arena, wanted->album) : NULL;
    if (by_name && (apart(wanted, row) > LENGTH_SLACK_MS ||
                    !is_by(arena, text_fold(arena, wanted->artist), row))) {
        return -1;
    }
    return apart(wanted, row) + (same_name(arena, album_key, row->album) ? 0 : other_album);
}

static int by_cost(const void *left, const void *right)
{
    const struct fit *a = left, *b = right;
    return a->cost != b->cost ? (a->cost > b->cost) - (a->cost < b->cost)
                              : (a->id > b->id) - (a->id < b->id);
}

/* The first of them that the actor may see becomes the answer. */
static int take_best(struct db_session *session, struct match *match, struct catalog_wanted *wanted,
                     const struct match_list *list, const char *by)
{
    struct fit fits[MATCH_CANDIDATES_MAX] = {{0}};
    unsigned count = 0;
    for (unsigned i = 0; i < list->count; i++) {
        int64_t one = cost(match->arena, wanted, &list->rows[i], by[0] == 'n');
        if (one >= 0) {
            fits[count++] = (struct fit){.id = list->rows[i].id, .cost = one};
        }
    }
    qsort(fits, count, sizeof *fits, by_cost);
    for (unsigned i = 0; i < count; i++) {
        int error = catalog_permit(session, match->call, CATALOG_TRACK, fits[i].id, CATALOG_SEE);
        if (error != ERR_NOT_FOUND) {
            wanted->track_id = error == 0 ? fits[i].id : 0;
            wanted->by = error == 0 ? by : "";
            return error;
        }
    }
    return 0;
}

static int by_id(struct db_session *session, struct match *match, struct catalog_wanted *wanted)
{
    struct match_candidate row = {.id = wanted->id, .artist = "", .album = "", .details = "{}"};
    const struct match_list list = {&row, 1};
    return wanted->id != 0 ? take_best(session, match, wanted, &list, "id") : 0;
}

static int by_recording(struct db_session *session, struct match *match,
                        struct catalog_wanted *wanted)
{
    struct arena *arena = match->arena;
    struct match_list list = {NULL, 0};
    const char *mbid = wanted->mbid[0] != '\0' ? text_fold(arena, wanted->mbid) : NULL;
    int error = mbid != NULL ? match_by_recording(session, arena, mbid, &list) : 0;
    return error != 0 ? error : take_best(session, match, wanted, &list, "recording");
}

static int by_isrc(struct db_session *session, struct match *match, struct catalog_wanted *wanted)
{
    struct match_list list = {NULL, 0};
    int error =
        wanted->isrc[0] != '\0' ? match_by_isrc(session, match->arena, wanted->isrc, &list) : 0;
    return error != 0 ? error : take_best(session, match, wanted, &list, "isrc");
}

static int by_name(struct db_session *session, struct match *match, struct catalog_wanted *wanted)
{
    struct arena *arena = match->arena;
    struct match_list list = {NULL, 0};
    if (wanted->title[0] == '\0' || wanted->artist[0] == '\0') {
        return 0;
    }
    const char *title_key = field_sort_key(arena, wanted->title);
    const char *artist_key = field_sort_key(arena, wanted->artist);
    int error = title_key != NULL && artist_key != NULL
                    ? match_by_title(session, arena, title_key, wanted->artist, artist_key, &list)
                    : ERR_NO_MEMORY;
    return error != 0 ? error : take_best(session, match, wanted, &list, "name");
}

static int match_work(struct db_session *session, void *argument)
{
    static int (*const ways[])(struct db_session * session, struct match * match,
                               struct catalog_wanted * wanted) = {by_id, by_recording, by_isrc,
                                                                  by_name};
    struct match *match = argument;
    int error = 0;
    for (unsigned i = 0; error == 0 && i < match->count; i++) {
        struct catalog_wanted *wanted = &match->wanted[i];
        arena_reset(match->arena);
        wanted->track_id = 0;
        wanted->by = "";
        for (size_t way = 0; error == 0 && wanted->track_id == 0 && way < COUNT_OF(ways); way++) {
            error = ways[way](session, match, wanted);
        }
    }
    return error;
}

int catalog_match(struct catalog *catalog, struct call *call, struct catalog_wanted *wanted,
                  unsigned count)
{
    assert(count <= CATALOG_MATCH_MAX);
    struct match match = {.call = call, .arena = arena_new(0), .wanted = wanted, .count = count};
    int error = match.arena != NULL ? db_read(catalog->db, match_work, &match) : ERR_NO_MEMORY;
    arena_free(match.arena);
    return error;
}
