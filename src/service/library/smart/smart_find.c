/* Finding what fits rules (smart.h): the owner's part from the users and activity databases, then
 * tracks from the catalogue's, portion by portion, joined here. Any thread that may block. */
#include "service/library/smart/smart.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "service/library/library_internal.h"
#include "service/library/marks.h"
#include "service/library/plays/plays.h"
#include "service/page.h"

#include <stdlib.h>
#include <string.h>

enum { IDS_AT_ONCE = 480, FIRST_HITS = 512 };

struct finding {
    struct library *library;
    struct arena *arena;   /* of the answer */
    struct arena *portion; /* emptied for each */
    int64_t owner_id, seed, now_ms;
    struct smart smart;
    struct smart_personal *personal; /* by id */
    unsigned personal_count;
    struct smart_hits *hits;
    unsigned capacity, looked_at;
};

/* ---- the owner's part ---- */

static int by_id(const void *left, const void *right)
{
    const struct smart_personal *a = left, *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

/* One a track, from up to three rows. */
static void merge_personal(struct finding *finding)
{
    struct smart_personal *list = finding->personal;
    unsigned kept = 0;
    qsort(list, finding->personal_count, sizeof *list, by_id);
    for (unsigned i = 0; i < finding->personal_count; i++) {
        if (kept == 0 || list[kept - 1].id != list[i].id) {
            list[kept++] = list[i];
            continue;
        }
        struct smart_personal *one = &list[kept - 1];
        one->rating += list[i].rating;
        one->plays += list[i].plays;
        one->last_played_ms += list[i].last_played_ms;
        one->favourite = one->favourite || list[i].favourite;
    }
    finding->personal_count = kept;
}

static int marks_work(struct db_session *session, void *argument)
{
    struct finding *finding = argument;
    struct mark_value *rows = arena_array(finding->arena, SMART_PERSONAL_MAX, sizeof *rows);
    unsigned count = 0, from = finding->personal_count;
    int error = rows == NULL ? ERR_NO_MEMORY : 0;
    if (error == 0 && (finding->smart.fields & 1U << SMART_FAVOURITE) != 0) {
        error =
            mark_values(session, finding->owner_id, "favourite", rows, SMART_PERSONAL_MAX, &count);
        for (unsigned i = 0; error == 0 && i < count; i++) {
            finding->personal[from++] =
                (struct smart_personal){.id = rows[i].id, .favourite = true};
        }
    }
    if (error == 0 && (finding->smart.fields & 1U << SMART_RATING) != 0) {
        error = mark_values(session, finding->owner_id, "rating", rows, SMART_PERSONAL_MAX, &count);
        for (unsigned i = 0; error == 0 && i < count; i++) {
            finding->personal[from++] =
                (struct smart_personal){.id = rows[i].id, .rating = rows[i].value};
        }
    }
    finding->personal_count = error == 0 ? from : finding->personal_count;
    return error;
}

static int plays_work(struct db_session *session, void *argument)
{
    struct finding *finding = argument;
    const struct list_place place = {
        .number = INT64_MAX, .id = INT64_MAX, .limit = SMART_PERSONAL_MAX};
    struct tally_list list;
    int error =
        play_tallies(session, finding->arena, finding->owner_id, "track", true, &place, &list);
    unsigned from = finding->personal_count;
    for (unsigned i = 0; error == 0 && i < list.count; i++) {
        finding->personal[from++] = (struct smart_personal){.id = list.rows[i].id,
                                                            .plays = list.rows[i].plays,
                                                            .last_played_ms = list.rows[i].last_at};
    }
    finding->personal_count = from;
    return error;
}

static int load_personal(struct finding *finding)
{
    const unsigned marks = 1 << SMART_FAVOURITE | 1 << SMART_RATING;
    const unsigned plays = 1 << SMART_PLAYS | 1 << SMART_LAST_PLAYED;
    unsigned fields = finding->smart.fields;
    int error = 0;
    if ((fields & (marks | plays)) == 0) {
        return 0;
    }
    finding->personal =
        arena_array(finding->arena, 3 * SMART_PERSONAL_MAX, sizeof *finding->personal);
    if (finding->personal == NULL) {
        return ERR_NO_MEMORY;
    }
    if ((fields & marks) != 0) {
        error = db_read(finding->library->users, marks_work, finding);
    }
    if (error == 0 && (fields & plays) != 0) {
        error = db_read(finding->library->activity, plays_work, finding);
    }
    merge_personal(finding);
    return error;
}

/* ---- looking ---- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9); /* Stafford's 13th */
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static bool is_text(enum smart_field field)
{
    return field <= SMART_ALBUM;
}

static struct smart_hit hit_of(const struct finding *finding, const struct catalog_fact *fact,
                               const struct smart_personal *personal)
{
    struct smart_hit hit = {.id = fact->id, .added_ms = fact->added_ms, .key = ""};
    const struct smart *smart = &finding->smart;
    if (smart->random) {
        hit.number = (int64_t)(mix((uint64_t)fact->id ^ mix((uint64_t)finding->seed)) >> 1);
        return hit;
    }
    switch (smart->order) {
    case SMART_TITLE:
        hit.key = text_fold(finding->arena, fact->title);
        break;
    case SMART_ARTIST:
        hit.key = text_fold(finding->arena, fact->artist);
        break;
    case SMART_ALBUM:
        hit.key = text_fold(finding->arena, fact->album);
        break;
    case SMART_YEAR:
        hit.number = fact->year;
        break;
    case SMART_DURATION:
        hit.number = fact->duration_ms;
        break;
    case SMART_RATING:
        hit.number = personal->rating;
        break;
    case SMART_PLAYS:
        hit.number = personal->plays;
        break;
    case SMART_LAST_PLAYED:
        hit.number = personal->last_played_ms;
        break;
    default:
        hit.number = fact->id; /* ids follow time */
    }
    return hit;
}

static int add_hit(struct finding *finding, const struct smart_hit *hit)
{
    struct smart_hits *hits = finding->hits;
    if (hits->count == finding->capacity) {
        unsigned capacity = finding->capacity == 0 ? FIRST_HITS : 2 * finding->capacity;
        struct smart_hit *rows = arena_array(finding->arena, capacity, sizeof *rows);
        if (rows == NULL) {
            return ERR_NO_MEMORY;
        }
        if (hits->count > 0) {
            memcpy(rows, hits->rows, hits->count * sizeof *rows);
        }
        hits->rows = rows;
        finding->capacity = capacity;
    }
    hits->rows[hits->count++] = *hit;
    return hit->key != NULL ? 0 : ERR_NO_MEMORY;
}

static int look_at(struct finding *finding, const struct catalog_facts *facts)
{
    static const struct smart_personal nobody = {.id = 0};
    int error = call_is_late() ? ERR_TIMEOUT : 0;
    for (unsigned i = 0; error == 0 && i < facts->count; i++) {
        const struct catalog_fact *fact = &facts->rows[i];
        const struct smart_personal key = {.id = fact->id}, *found = NULL;
        if (finding->personal_count > 0) {
            found = bsearch(&key, finding->personal, finding->personal_count, sizeof key, by_id);
        }
        const struct smart_personal *personal = found != NULL ? found : &nobody;
        if (smart_matches(finding->portion, &finding->smart, fact, personal, finding->now_ms)) {
            const struct smart_hit hit = hit_of(finding, fact, personal);
            error = add_hit(finding, &hit);
        }
    }
    finding->looked_at += facts->count;
    arena_reset(finding->portion);
    return error;
}

static int look_at_personal(struct finding *finding)
{
    int error = 0;
    for (unsigned from = 0; error == 0 && from < finding->personal_count; from += IDS_AT_ONCE) {
        int64_t ids[IDS_AT_ONCE];
        unsigned count = 0;
        struct catalog_facts facts;
        for (; count < IDS_AT_ONCE && from + count < finding->personal_count; count++) {
            ids[count] = finding->personal[from + count].id;
        }
        error = catalog_facts_of(finding->library->catalog, finding->portion, ids, count, &facts);
        error = error != 0 ? error : look_at(finding, &facts);
    }
    return error;
}

/* Newest first is the order in which all of them come: then the first are enough. */
static bool has_enough(const struct finding *finding, const char *genre)
{
    const struct smart *smart = &finding->smart;
    return genre == NULL && !smart->random && smart->order == SMART_ADDED && smart->descending &&
           finding->hits->count >= smart->limit;
}

static int look_at_all(struct finding *finding)
{
    const char *genre = smart_needs_genre(&finding->smart);
    int64_t before = INT64_MAX;
    int error = 0;
    while (error == 0 && before != 0 && !has_enough(finding, genre)) {
        struct catalog_facts facts;
        if (finding->looked_at >= SMART_SCAN_MAX) {
            finding->hits->whole = false;
            break;
        }
        error = catalog_facts_before(finding->library->catalog, finding->portion, genre, &before,
                                     &facts);
        error = error != 0 ? error : look_at(finding, &facts);
    }
    return error;
}

/* ---- the order ---- */

static int compare(const void *left, const void *right, void *argument)
{
    const struct smart_hit *a = left, *b = right;
    const struct smart *smart = argument;
    int order = !smart->random && is_text(smart->order)
                    ? strcmp(a->key, b->key)
                    : (a->number > b->number) - (a->number < b->number);
    order = order != 0 ? order : (a->id > b->id) - (a->id < b->id);
    return smart->descending ? -order : order;
}

static int find(struct finding *finding, struct call *call, const char *rules)
{
    CLEANUP_JSON json_t *object = json_loads(rules, 0, NULL);
    int error = smart_read(call, object, &finding->smart);
    if (error == ERR_INVALID) {
        problem_reset(&call->problem);
        return ERR_CORRUPT; /* it was checked when it was written */
    }
    error = error != 0 ? error : load_personal(finding);
    error = error != 0                              ? error
            : smart_needs_personal(&finding->smart) ? look_at_personal(finding)
                                                    : look_at_all(finding);
    if (error == ERR_TIMEOUT) {
        return problem_set(&call->problem, ERR_TIMEOUT,
                           "The rules took too long over %u tracks; a genre, a rating or a "
                           "favourite among what all must have makes them quicker",
                           finding->looked_at);
    }
    struct smart_hits *hits = finding->hits;
    if (error == 0 && hits->count > 0) {
        qsort_r(hits->rows, hits->count, sizeof *hits->rows, compare, &finding->smart);
    }
    hits->count = hits->count < finding->smart.limit ? hits->count : finding->smart.limit;
    return error;
}

int smart_find(struct library *library, struct call *call, struct arena *arena, int64_t owner_id,
               const char *rules, int64_t seed, struct smart_hits *ret_hits)
{
    struct finding finding = {.library = library,
                              .arena = arena,
                              .portion = arena_new(0),
                              .owner_id = owner_id,
                              .seed = seed,
                              .now_ms = clock_wall_ms(),
                              .hits = ret_hits};
    *ret_hits = (struct smart_hits){.whole = true};
    int error = finding.portion != NULL ? find(&finding, call, rules) : ERR_NO_MEMORY;
    arena_free(finding.portion);
    return error;
}
