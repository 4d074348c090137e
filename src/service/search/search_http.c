/* GET /api/v1/search and /api/v1/search/suggestions. Handlers run on the pool: an index may have to
 * be fetched from the disk. Memory is the request's arena. */
#include "service/search/search_internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "net/http.h"
#include "service/library/library.h"
#include "service/search/words.h"

#include <math.h>
#include <string.h>

enum {
    SIGNED_IN = ROLE_LISTENER | ROLE_ARTIST | ROLE_ADMIN,
    SPARE_HITS = 8, /* for those that may not be seen after all */
    SUGGESTIONS_DEFAULT = 8,
    SUGGESTIONS_MAX = 20,
};

/* What is answered, in its order. */
static const struct part {
    const char *name;
    enum index_kind index;
    int catalog; /* of enum catalog_kind; negative: the catalogue has none */
} parts[] = {
    {"tracks", INDEX_TRACK, CATALOG_TRACK},
    {"albums", INDEX_ALBUM, CATALOG_ALBUM},
    {"artists", INDEX_ARTIST, CATALOG_ARTIST},
    {"playlists", INDEX_PLAYLIST, -1},
};

static const char *const tiers[INDEX_TIERS_] = {
    [INDEX_EXACT] = "exact",       [INDEX_PHRASE] = "phrase",      [INDEX_WHOLE] = "words",
    [INDEX_BEGUN] = "begun",       [INDEX_PREFIX] = "prefix",      [INDEX_IN_LYRICS] = "lyrics",
    [INDEX_ONE_TYPO] = "one-typo", [INDEX_TWO_TYPOS] = "two-typos"};

static unsigned characters(const char *text)
{
    unsigned count = 0;
    for (; *text != '\0'; text++) {
        count += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return count;
}

_Static_assert((int)INDEX_SHELVES_MAX == (int)CATALOG_SHELVES_MAX, "a shelf is a library");

/* q as the index is asked, by who asks. ERR_MALFORMED without it, or too long. */
static int read_query(struct search *search, struct request *request, struct index_query *ret_query)
{
    struct problem *problem = &request->call.problem;
    const char *text = request_query(request, "q");
    if (text == NULL) {
        return problem_set(problem, ERR_MALFORMED, "q must say what to look for");
    }
    if (characters(text) > QUERY_CHARACTERS_MAX) {
        return problem_set(problem, ERR_MALFORMED, "q may have %d characters",
                           (int)QUERY_CHARACTERS_MAX);
    }
    int error = query_read(request->call.arena, text, ret_query);
    return error != 0
               ? error
               : catalog_shelves_seen(search->catalog, &request->call.actor, ret_query->shelves,
                                      &ret_query->shelf_count, &ret_query->every_shelf);
}

/* Which parts are wanted, as bits. */
static int read_types(struct request *request, unsigned *ret_parts)
{
    const char *types = request_query(request, "types");
    *ret_parts = 0;
    for (const char *at = types != NULL ? types : "tracks,albums,artists,playlists";;) {
        size_t length = strcspn(at, ",");
        unsigned bit = 0;
        for (unsigned i = 0; i < COUNT_OF(parts); i++) {
            bool same = strlen(parts[i].name) == length && strncmp(parts[i].name, at, length) == 0;
            bit |= same ? 1U << i : 0;
        }
        if (bit == 0) {
            return problem_set(&request->call.problem, ERR_MALFORMED,
                               "types must be of tracks, albums, artists, playlists, with commas "
                               "between");
        }
        *ret_parts |= bit;
        if (at[length] == '\0') {
            return 0;
        }
        at += length + 1;
    }
}

static const char away[] = "The search engine does not answer; try again in a moment";

static int find(struct search *search, struct request *request, enum index_kind kind,
                const struct index_query *query, struct index_hits *ret_hits)
{
    struct problem *problem = &request->call.problem;
    ret_hits->count = 0;
    if (search_ping(search, NULL) != 0) {
        return problem_set(problem, ERR_UNAVAILABLE, away);
    }
    if (!atomic_load(&search->ready)) {
        return problem_set(problem, ERR_UNAVAILABLE,
                           "The index is being built; try again in a moment");
    }
    follow_poke(search);
    int error = query_asks(query) ? index_search(search->index, kind, query, ret_hits) : 0;
    bool is_away = error == ERR_UNAVAILABLE || error == ERR_TIMEOUT || error == ERR_BUSY;
    return is_away ? problem_set(problem, ERR_UNAVAILABLE, away) : error;
}

/* ---- what somebody hears ---- */

/* Plays in doublings: two things that are as popular as each other, nearly. */
static int bucket(uint32_t popularity)
{
    return popularity == 0 ? 0 : ilogb(popularity) + 1;
}

static bool alike(const struct index_hit *left, const struct index_hit *right)
{
    return left->tier == right->tier && left->typos == right->typos &&
           left->beside == right->beside && bucket(left->popularity) == bucket(right->popularity);
}

/* What was found, and how often who asks has played each. */
struct heard {
    struct index_hits hits;
    int64_t plays[INDEX_HITS_MAX];
};

/* Among hits alike, what the person hears more stands before. */
static int put_own_first(struct search *search, struct request *request, const struct part *part,
                         struct heard *heard)
{
    struct index_hits *hits = &heard->hits;
    int64_t ids[INDEX_HITS_MAX], *plays = heard->plays;
    memset(plays, 0, sizeof heard->plays);
    for (unsigned i = 0; i < hits->count; i++) {
        ids[i] = hits->list[i].id;
    }
    int error = library_own_plays(search->library, request->call.actor.user_id,
                                  (enum catalog_kind)part->catalog, ids, hits->count, plays);
    for (unsigned i = 1; error == 0 && i < hits->count; i++) {
        struct index_hit hit = hits->list[i];
        int64_t own = plays[i];
        unsigned at = i;
        for (; at > 0 && plays[at - 1] < own && alike(&hits->list[at - 1], &hit); at--) {
            hits->list[at] = hits->list[at - 1];
            plays[at] = plays[at - 1];
        }
        hits->list[at] = hit;
        plays[at] = own;
    }
    return error;
}

/* ---- answers ---- */

static json_t *explanation(const struct index_hit *hit, int64_t own_plays)
{
    return json_pack("{s:o, s:s, s:i, s:I, s:I}", "id", json_id(hit->id), "match", tiers[hit->tier],
                     "typos", (int)hit->typos, "plays", (json_int_t)hit->popularity, "ownPlays",
                     (json_int_t)own_plays);
}

/* The objects of hits that may be seen, at most limit. *ret_why: an explanation each. */
static int show_hits(struct search *search, struct request *request, const struct part *part,
                     const struct heard *heard, unsigned limit, json_t *items, json_t *why)
{
    const struct index_hits *hits = &heard->hits;
    int64_t ids[INDEX_HITS_MAX];
    json_t *objects CLEANUP_JSON = NULL;
    for (unsigned i = 0; i < hits->count; i++) {
        ids[i] = hits->list[i].id;
    }
    int error = hits->count == 0 ? 0
                                 : catalog_describe(search->catalog, &request->call,
                                                    (enum catalog_kind)part->catalog, ids,
                                                    hits->count, &objects);
    for (unsigned i = 0; error == 0 && i < hits->count && json_array_size(items) < limit; i++) {
        json_t *object = json_array_get(objects, i);
        if (json_is_null(object)) {
            continue;
        }
        bool kept = json_array_append(items, object) == 0 &&
                    json_array_append_new(why, explanation(&hits->list[i], heard->plays[i])) == 0;
        error = kept ? 0 : ERR_NO_MEMORY;
    }
    return error;
}

struct answer {
    struct index_query query;
    unsigned parts;
    unsigned limit;
    json_t *object, *why; /* owned */
};

static void answer_done(struct answer *answer)
{
    json_decref(answer->object);
    json_decref(answer->why);
}

static int answer_part(struct search *search, struct request *request, struct answer *answer,
                       unsigned number)
{
    const struct part *part = &parts[number];
    json_t *items = json_array(), *why = json_array();
    bool kept = json_object_set_new(answer->object, part->name, items) == 0;
    kept = json_object_set_new(answer->why, part->name, why) == 0 && kept;
    if (!kept) {
        return ERR_NO_MEMORY;
    }
    if ((answer->parts & 1U << number) == 0) {
        return 0;
    }
    if (part->catalog < 0) {
        return own_playlists_find(search, request, &answer->query, answer->limit, items, why);
    }
    struct heard heard;
    int error = find(search, request, part->index, &answer->query, &heard.hits);
    error = error != 0 ? error : put_own_first(search, request, part, &heard);
    return error != 0 ? error : show_hits(search, request, part, &heard, answer->limit, items, why);
}

static int read_limit(struct request *request, int64_t max, int64_t fallback,
                      struct index_query *query, unsigned *ret_limit)
{
    int64_t limit = 0;
    int error = request_query_number(request, "limit", 1, max, fallback, &limit);
    *ret_limit = (unsigned)limit;
    query->limit = (unsigned)limit + SPARE_HITS;
    return error;
}

static int make_answer(struct search *search, struct request *request, struct answer *answer)
{
    int64_t begun_us = clock_monotonic_us();
    int error = read_query(search, request, &answer->query);
    error = error != 0
                ? error
                : read_limit(request, HITS_MAX, HITS_DEFAULT, &answer->query, &answer->limit);
    error = error != 0 ? error : read_types(request, &answer->parts);
    for (unsigned i = 0; error == 0 && i < COUNT_OF(parts); i++) {
        error = answer_part(search, request, answer, i);
    }
    if (error != 0) {
        return error;
    }
    double took_ms = (double)(clock_monotonic_us() - begun_us) / 1000;
    const char *explain = request_query(request, "explain");
    bool kept = json_object_set_new(answer->object, "tookMs", json_real(took_ms)) == 0;
    if (explain != NULL && strcmp(explain, "1") == 0) {
        kept = json_object_set(answer->object, "explain", answer->why) == 0 && kept;
    }
    return kept ? 0 : ERR_NO_MEMORY;
}

static int search_get(struct request *request)
{
    struct answer answer = {.object = json_object(), .why = json_object()};
    int error = answer.object == NULL || answer.why == NULL
                    ? ERR_NO_MEMORY
                    : make_answer(request->context, request, &answer);
    /* A person's own, and what was typed a moment ago is typed again. */
    error = error != 0 ? error : reply_header(request, "Cache-Control", "private, max-age=2");
    error = error != 0 ? error : reply_json(request, 200, json_incref(answer.object));
    answer_done(&answer);
    return error;
}

/* ---- suggestions ---- */

static int has_name(struct arena *arena, json_t *items, const char *name, bool *ret_has)
{
    struct words words;
    *ret_has = false;
    int error = words_of(arena, name, WORDS_STORED, &words);
    const char *key = error == 0 ? words_key(arena, &words) : NULL;
    size_t index;
    json_t *item;
    json_array_foreach(items, index, item)
    {
        error = error != 0 ? error : words_of(arena, json_string_value(item), WORDS_STORED, &words);
        const char *other = error == 0 ? words_key(arena, &words) : NULL;
        *ret_has = *ret_has || (key != NULL && other != NULL && strcmp(key, other) == 0);
    }
    return error;
}

/* The names of what would be found, each once. */
static int suggest(struct request *request, const json_t *found, unsigned limit, json_t *items)
{
    size_t index;
    json_t *object;
    json_array_foreach(found, index, object)
    {
        const json_t *name = json_object_get(object, "name");
        name = name != NULL ? name : json_object_get(object, "title");
        bool has = json_array_size(items) >= limit || !json_is_string(name);
        int error = has ? 0 : has_name(request->call.arena, items, json_string_value(name), &has);
        if (error == 0 && !has && json_array_append_new(items, json_copy((json_t *)name)) != 0) {
            error = ERR_NO_MEMORY;
        }
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static int make_suggestions(struct search *search, struct request *request, struct answer *answer,
                            json_t *items)
{
    static const unsigned order[] = {2, 1, 0}; /* artists, albums, tracks */
    int error = read_query(search, request, &answer->query);
    error = error != 0 ? error
                       : read_limit(request, SUGGESTIONS_MAX, SUGGESTIONS_DEFAULT, &answer->query,
                                    &answer->limit);
    answer->parts = ~0U;
    for (unsigned i = 0; error == 0 && i < COUNT_OF(order); i++) {
        error = answer_part(search, request, answer, order[i]);
        const json_t *found = json_object_get(answer->object, parts[order[i]].name);
        /* a third of the room each, the rest for who comes last */
        unsigned room = answer->limit * (i + 1) / (unsigned)COUNT_OF(order);
        error = error != 0 ? error : suggest(request, found, room > 0 ? room : 1, items);
    }
    return error;
}

static int suggestions_get(struct request *request)
{
    struct answer answer = {.object = json_object(), .why = json_object()};
    json_t *items = json_array();
    int error = answer.object == NULL || answer.why == NULL || items == NULL
                    ? ERR_NO_MEMORY
                    : make_suggestions(request->context, request, &answer, items);
    error = error != 0 ? error : reply_header(request, "Cache-Control", "private, max-age=2");
    error = error != 0 ? error : reply_json(request, 200, json_pack("{s:O}", "items", items));
    json_decref(items);
    answer_done(&answer);
    return error;
}

static const struct route routes[] = {
    {"GET", "/api/v1/search", SIGNED_IN, ROUTE_POOL, 0, RATE_READ, search_get, NULL, 0},
    {"GET", "/api/v1/search/suggestions", SIGNED_IN, ROUTE_POOL, 0, RATE_READ, suggestions_get,
     NULL, 0},
};

const struct route *search_routes(unsigned *ret_count)
{
    *ret_count = COUNT_OF(routes);
    return routes;
}
