/* Reading rules (smart.h). Pure functions, any thread. */
#include "service/library/smart/smart.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/fields.h"

#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 60 };

enum kind { TEXT, NUMBER, TIME, FLAG };

static const struct {
    const char *word;
    enum kind kind;
    int64_t max;
} fields[SMART_FIELDS_] = {
    [SMART_TITLE] = {"title", TEXT, 0},
    [SMART_ARTIST] = {"artist", TEXT, 0},
    [SMART_ALBUM] = {"album", TEXT, 0},
    [SMART_GENRE] = {"genre", TEXT, 0},
    [SMART_YEAR] = {"year", NUMBER, 9999},
    [SMART_DURATION] = {"duration", NUMBER, 86400},
    [SMART_RATING] = {"rating", NUMBER, 5},
    [SMART_PLAYS] = {"plays", NUMBER, 1000000000},
    [SMART_FAVOURITE] = {"favourite", FLAG, 1},
    [SMART_ADDED] = {"added", TIME, INT64_MAX},
    [SMART_LAST_PLAYED] = {"lastPlayed", TIME, INT64_MAX},
};

static const struct {
    const char *word;
    unsigned kinds; /* as bits */
} ops[SMART_OPS_] = {
    [SMART_IS] = {"is", 1 << TEXT | 1 << NUMBER | 1 << FLAG},
    [SMART_IS_NOT] = {"isNot", 1 << TEXT | 1 << NUMBER},
    [SMART_CONTAINS] = {"contains", 1 << TEXT},
    [SMART_STARTS_WITH] = {"startsWith", 1 << TEXT},
    [SMART_ABOVE] = {"above", 1 << NUMBER | 1 << TIME},
    [SMART_BELOW] = {"below", 1 << NUMBER | 1 << TIME},
    [SMART_BETWEEN] = {"between", 1 << NUMBER | 1 << TIME},
    [SMART_WITHIN_DAYS] = {"withinDays", 1 << TIME},
    [SMART_NOT_WITHIN_DAYS] = {"notWithinDays", 1 << TIME},
};

struct reading {
    struct call *call;
    struct smart *smart;
    unsigned count; /* rules so far */
};

static int wrong(struct reading *reading, const char *path, const char *member, const char *words)
{
    char name[PATH_SIZE + 16];
    (void)snprintf(name, sizeof name, "%s.%s", path, member);
    return problem_field(&reading->call->problem, name, "%s", words);
}

/* ---- a condition ---- */

/* "is, isNot, contains": the ops of a kind. */
static const char *op_words(struct arena *arena, enum kind kind)
{
    const char *words = "must be";
    for (int i = 0; words != NULL && i < SMART_OPS_; i++) {
        if ((ops[i].kinds & 1U << kind) != 0) {
            words = arena_printf(arena, "%s%s %s", words,
                                 words[strlen(words) - 1] == 'e' ? "" : ",", ops[i].word);
        }
    }
    return words != NULL ? words : "is none of this field";
}

static int read_field(struct reading *reading, const json_t *object, const char *path,
                      struct smart_rule *rule)
{
    const char *word = json_string_value(json_object_get(object, "field"));
    for (int i = 0; word != NULL && i < SMART_FIELDS_; i++) {
        if (strcmp(word, fields[i].word) == 0) {
            rule->field = (enum smart_field)i;
            reading->smart->fields |= 1U << i;
            return 0;
        }
    }
    return wrong(reading, path, "field",
                 "must be title, artist, album, genre, year, duration, rating, plays, favourite, "
                 "added or lastPlayed");
}

static int read_op(struct reading *reading, const json_t *object, const char *path,
                   struct smart_rule *rule)
{
    enum kind kind = fields[rule->field].kind;
    const char *word = json_string_value(json_object_get(object, "op"));
    for (int i = 0; word != NULL && i < SMART_OPS_; i++) {
        if (strcmp(word, ops[i].word) == 0 && (ops[i].kinds & 1U << kind) != 0) {
            rule->op = (enum smart_op)i;
            return 0;
        }
    }
    return wrong(reading, path, "op", op_words(reading->call->arena, kind));
}

static int read_text(struct reading *reading, const json_t *value, const char *path,
                     struct smart_rule *rule)
{
    static const struct text_rule any = {.field = "value", .characters_max = SMART_TEXT_MAX};
    struct problem unused;
    const char *clean = NULL;
    problem_reset(&unused);
    if (!json_is_string(value) ||
        text_clean(reading->call->arena, &any, json_string_value(value), &unused, &clean) != 0) {
        return wrong(reading, path, "value", "must be a text of 1 to 300 characters");
    }
    rule->text = text_fold(reading->call->arena, clean);
    return rule->text != NULL ? 0 : ERR_NO_MEMORY;
}

static bool is_number(const json_t *value, int64_t max, int64_t *ret_number)
{
    *ret_number = json_integer_value(value);
    return json_is_integer(value) && *ret_number >= 0 && *ret_number <= max;
}

static int read_numbers(struct reading *reading, const json_t *value, const char *path,
                        struct smart_rule *rule)
{
    bool days = rule->op == SMART_WITHIN_DAYS || rule->op == SMART_NOT_WITHIN_DAYS;
    int64_t max = days ? 36500 : fields[rule->field].max;
    bool good =
        rule->op == SMART_BETWEEN
            ? json_array_size(value) == 2 && is_number(json_array_get(value, 0), max, &rule->low) &&
                  is_number(json_array_get(value, 1), max, &rule->high) && rule->low <= rule->high
            : is_number(value, max, &rule->low);
    if (good) {
        return 0;
    }
    const char *words = arena_printf(
        reading->call->arena,
        rule->op == SMART_BETWEEN ? "must be a list of two whole numbers from 0 to %lld, in order"
                                  : "must be a whole number from 0 to %lld",
        (long long)max);
    return wrong(reading, path, "value", words != NULL ? words : "is none");
}

static int read_value(struct reading *reading, const json_t *object, const char *path,
                      struct smart_rule *rule)
{
    const json_t *value = json_object_get(object, "value");
    switch (fields[rule->field].kind) {
    case TEXT:
        return read_text(reading, value, path, rule);
    case FLAG:
        rule->low = json_is_true(value);
        return json_is_boolean(value) ? 0 : wrong(reading, path, "value", "must be true or false");
    default:
        return read_numbers(reading, value, path, rule);
    }
}

static int read_condition(struct reading *reading, const json_t *object, const char *path,
                          struct smart_rule *rule)
{
    int error = read_field(reading, object, path, rule);
    error = error != 0 ? error : read_op(reading, object, path, rule);
    return error != 0 ? error : read_value(reading, object, path, rule);
}

/* ---- groups ---- */

static int read_group(struct reading *reading, const json_t *object, const char *path,
                      unsigned depth, struct smart_rule *group);

static int read_rule(struct reading *reading, const json_t *object, const char *path,
                     unsigned depth, struct smart_rule *rule)
{
    *rule = (struct smart_rule){.text = ""};
    if (++reading->count > SMART_RULES_MAX) {
        return problem_field(&reading->call->problem, path, "is one too many: at most %d in all",
                             SMART_RULES_MAX);
    }
    if (!json_is_object(object)) {
        return problem_field(&reading->call->problem, path, "must be an object");
    }
    return json_object_get(object, "rules") != NULL
               ? read_group(reading, object, path, depth + 1, rule)
               : read_condition(reading, object, path, rule);
}

static int read_group(struct reading *reading, const json_t *object, const char *path,
                      unsigned depth, struct smart_rule *group)
{
    const json_t *list = json_object_get(object, "rules");
    const char *match = json_string_value(json_object_get(object, "match"));
    size_t count = json_array_size(list);
    char inner[PATH_SIZE];
    if (depth > SMART_DEPTH_MAX) {
        return problem_field(&reading->call->problem, path, "is too deep: at most %d groups",
                             SMART_DEPTH_MAX);
    }
    if (match == NULL || (strcmp(match, "all") != 0 && strcmp(match, "any") != 0)) {
        return wrong(reading, path, "match", "must be all or any");
    }
    if (count == 0) {
        return wrong(reading, path, "rules", "must be a list of at least one rule");
    }
    group->group = true;
    group->any = match[1] == 'n';
    group->count = count < SMART_RULES_MAX ? (unsigned)count : SMART_RULES_MAX + 1;
    group->rules = arena_array(reading->call->arena, group->count, sizeof *group->rules);
    int error = group->rules != NULL ? 0 : ERR_NO_MEMORY;
    for (unsigned i = 0; error == 0 && i < group->count; i++) {
        (void)snprintf(inner, sizeof inner, "%s.rules[%u]", path, i);
        error = read_rule(reading, json_array_get(list, i), inner, depth, &group->rules[i]);
    }
    return error;
}

/* ---- all ---- */

static int read_order(struct reading *reading, const json_t *object)
{
    const json_t *order = json_object_get(object, "order");
    const char *word = order != NULL ? json_string_value(order) : "added";
    struct smart *smart = reading->smart;
    smart->random = word != NULL && strcmp(word, "random") == 0;
    for (int i = 0; word != NULL && i < SMART_FIELDS_; i++) {
        if (strcmp(word, fields[i].word) == 0 && i != SMART_GENRE && i != SMART_FAVOURITE) {
            smart->order = (enum smart_field)i;
            smart->fields |= 1U << i;
            return 0;
        }
    }
    return smart->random ? 0
                         : wrong(reading, "smart", "order",
                                 "must be title, artist, album, year, duration, rating, plays, "
                                 "added, lastPlayed or random");
}

int smart_read(struct call *call, const json_t *object, struct smart *smart)
{
    struct reading reading = {.call = call, .smart = smart};
    const json_t *descending = json_object_get(object, "descending");
    const json_t *limit = json_object_get(object, "limit");
    int64_t number = SMART_LIMIT_DEFAULT;
    *smart = (struct smart){.descending = descending == NULL || json_is_true(descending)};
    if (!json_is_object(object)) {
        return problem_field(&call->problem, "smart", "must be an object with match and rules");
    }
    int error = read_group(&reading, object, "smart", 1, &smart->root);
    error = error != 0 ? error : read_order(&reading, object);
    if (error == 0 && descending != NULL && !json_is_boolean(descending)) {
        return wrong(&reading, "smart", "descending", "must be true or false");
    }
    if (error == 0 && limit != NULL &&
        (!is_number(limit, SMART_LIMIT_MAX, &number) || number < 1)) {
        return wrong(&reading, "smart", "limit", "must be a whole number from 1 to 10000");
    }
    smart->limit = (unsigned)number;
    return error;
}
