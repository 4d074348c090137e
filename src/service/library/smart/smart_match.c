/* Whether a track fits rules (smart.h). Pure functions, any thread. */
#include "service/library/smart/smart.h"

#include "base/json.h"
#include "base/text.h"

#include <string.h>

static const int64_t DAY_MS = INT64_C(24) * 3600 * 1000;

enum {
    PERSONAL = 1 << SMART_RATING | 1 << SMART_PLAYS | 1 << SMART_FAVOURITE | 1 << SMART_LAST_PLAYED
};

struct looking {
    struct arena *arena;
    const struct catalog_fact *fact;
    const struct smart_personal *personal;
    int64_t now_ms;
};

/* ---- text ---- */

static bool fits(struct arena *arena, const struct smart_rule *rule, const char *text)
{
    const char *folded = text != NULL ? text_fold(arena, text) : NULL;
    if (folded == NULL) {
        return false;
    }
    switch (rule->op) {
    case SMART_CONTAINS:
        return strstr(folded, rule->text) != NULL;
    case SMART_STARTS_WITH:
        return strncmp(folded, rule->text, strlen(rule->text)) == 0;
    default:
        return strcmp(folded, rule->text) == 0;
    }
}

static bool any_fits(const struct looking *looking, const struct smart_rule *rule,
                     const json_t *list, const char *member)
{
    size_t index;
    json_t *one;
    json_array_foreach((json_t *)list, index, one)
    {
        const json_t *text = member != NULL ? json_object_get(one, member) : one;
        if (fits(looking->arena, rule, json_string_value(text))) {
            return true;
        }
    }
    return false;
}

/* Its artist, or one of those credited. */
static bool artist_fits(const struct looking *looking, const struct smart_rule *rule)
{
    CLEANUP_JSON json_t *details = json_loads(looking->fact->details, 0, NULL);
    return fits(looking->arena, rule, looking->fact->artist) ||
           any_fits(looking, rule, json_object_get(details, "artists"), "name");
}

static bool genre_fits(const struct looking *looking, const struct smart_rule *rule)
{
    CLEANUP_JSON json_t *genres = json_loads(looking->fact->genres, 0, NULL);
    return any_fits(looking, rule, genres, NULL);
}

static bool text_fits(const struct looking *looking, const struct smart_rule *rule)
{
    bool found = rule->field == SMART_ARTIST  ? artist_fits(looking, rule)
                 : rule->field == SMART_GENRE ? genre_fits(looking, rule)
                 : rule->field == SMART_ALBUM ? fits(looking->arena, rule, looking->fact->album)
                                              : fits(looking->arena, rule, looking->fact->title);
    return found != (rule->op == SMART_IS_NOT);
}

/* ---- numbers ---- */

static int64_t number_of(const struct looking *looking, enum smart_field field)
{
    switch (field) {
    case SMART_YEAR:
        return looking->fact->year;
    case SMART_DURATION:
        return looking->fact->duration_ms / 1000;
    case SMART_RATING:
        return looking->personal->rating;
    case SMART_PLAYS:
        return looking->personal->plays;
    case SMART_FAVOURITE:
        return looking->personal->favourite;
    case SMART_LAST_PLAYED:
        return looking->personal->last_played_ms;
    default:
        return looking->fact->added_ms;
    }
}

/* What never was is within no days, however many. */
static bool is_within(const struct looking *looking, int64_t time_ms, int64_t days)
{
    return time_ms > 0 && time_ms > looking->now_ms - days * DAY_MS;
}

static bool number_fits(const struct looking *looking, const struct smart_rule *rule)
{
    int64_t number = number_of(looking, rule->field);
    switch (rule->op) {
    case SMART_IS_NOT:
        return number != rule->low;
    case SMART_ABOVE:
        return number > rule->low;
    case SMART_BELOW:
        return number < rule->low;
    case SMART_BETWEEN:
        return number >= rule->low && number <= rule->high;
    case SMART_WITHIN_DAYS:
        return is_within(looking, number, rule->low);
    case SMART_NOT_WITHIN_DAYS:
        return !is_within(looking, number, rule->low);
    default:
        return number == rule->low;
    }
}

/* No deeper than SMART_DEPTH_MAX. */
static bool rule_fits(const struct looking *looking, const struct smart_rule *rule)
{
    if (!rule->group) {
        return rule->field <= SMART_GENRE ? text_fits(looking, rule) : number_fits(looking, rule);
    }
    for (unsigned i = 0; i < rule->count; i++) {
        if (rule_fits(looking, &rule->rules[i]) == rule->any) {
            return rule->any;
        }
    }
    return !rule->any;
}

bool smart_matches(struct arena *arena, const struct smart *smart, const struct catalog_fact *fact,
                   const struct smart_personal *personal, int64_t now_ms)
{
    const struct looking looking = {arena, fact, personal, now_ms};
    return rule_fits(&looking, &smart->root);
}

/* ---- what every match has ---- */

const char *smart_needs_genre(const struct smart *smart)
{
    const struct smart_rule *root = &smart->root;
    for (unsigned i = 0; (!root->any || root->count == 1) && i < root->count; i++) {
        const struct smart_rule *rule = &root->rules[i];
        if (!rule->group && rule->field == SMART_GENRE && rule->op == SMART_IS) {
            return rule->text;
        }
    }
    return NULL;
}

/* Who has nothing to do with a track has zeroes: what zero does not fit needs more. */
static bool needs_personal(const struct smart_rule *rule)
{
    static const struct catalog_fact nothing = {
        .title = "", .artist = "", .album = "", .genres = "[]", .details = "{}"};
    static const struct smart_personal nobody = {.id = 0};
    const struct looking looking = {.fact = &nothing, .personal = &nobody, .now_ms = INT64_MAX};
    if (!rule->group) {
        return (PERSONAL & 1U << rule->field) != 0 && !number_fits(&looking, rule);
    }
    unsigned needing = 0;
    for (unsigned i = 0; i < rule->count; i++) {
        needing += needs_personal(&rule->rules[i]);
    }
    return rule->any ? needing == rule->count : needing > 0;
}

bool smart_needs_personal(const struct smart *smart)
{
    return needs_personal(&smart->root);
}
