/* Members of a request's JSON object (fields.h). */
#include "service/fields.h"

#include "base/error.h"
#include "base/id.h"
#include "base/json.h"

#include <ctype.h>
#include <string.h>

int field_text(struct call *call, const json_t *object, const struct text_rule *rule,
               const char **ret_text, bool *ret_there)
{
    const json_t *value = json_object_get(object, rule->field);
    if (value == NULL) {
        return 0;
    }
    *ret_there = true;
    if (json_is_null(value) && rule->empty_ok) {
        *ret_text = "";
        return 0;
    }
    if (!json_is_string(value)) {
        return problem_field(&call->problem, rule->field, "must be a string");
    }
    return text_clean(call->arena, rule, json_string_value(value), &call->problem, ret_text);
}

int field_number(struct call *call, const json_t *object, const char *name, int64_t min,
                 int64_t max, int64_t *ret_number, bool *ret_there)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL || json_is_null(value)) {
        return 0;
    }
    *ret_there = true;
    int64_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < min || number > max) {
        return problem_field(&call->problem, name, "must be a whole number from %lld to %lld",
                             (long long)min, (long long)max);
    }
    *ret_number = number;
    return 0;
}

int field_bool(struct call *call, const json_t *object, const char *name, bool *ret_value,
               bool *ret_there)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL) {
        return 0;
    }
    *ret_there = true;
    if (!json_is_boolean(value)) {
        return problem_field(&call->problem, name, "must be true or false");
    }
    *ret_value = json_is_true(value);
    return 0;
}

int field_id(struct call *call, const json_t *object, const char *name, int64_t *ret_id,
             bool *ret_there)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL) {
        return 0;
    }
    *ret_there = true;
    if (!json_is_id(value, ret_id)) {
        return problem_field(&call->problem, name, "must be an id: a string of digits");
    }
    return 0;
}

int field_word(struct call *call, const json_t *object, const char *name, const char *const *words,
               const char **ret_word, bool *ret_there)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL) {
        return 0;
    }
    *ret_there = true;
    for (const char *const *word = words; json_is_string(value) && *word != NULL; word++) {
        if (strcmp(*word, json_string_value(value)) == 0) {
            *ret_word = *word;
            return 0;
        }
    }
    char list[160] = "";
    for (const char *const *word = words; *word != NULL; word++) {
        strncat(list, list[0] != '\0' ? ", " : "", sizeof list - strlen(list) - 1);
        strncat(list, *word, sizeof list - strlen(list) - 1);
    }
    return problem_field(&call->problem, name, "must be one of: %s", list);
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

static bool is_date(const char *text)
{
    static const char shape[] = "dddd-dd-dd";
    if (strlen(text) != sizeof shape - 1) {
        return false;
    }
    for (size_t i = 0; i < sizeof shape - 1; i++) {
        if (shape[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != '-') {
            return false;
        }
    }
    int year =
        (text[0] - '0') * 1000 + (text[1] - '0') * 100 + (text[2] - '0') * 10 + text[3] - '0';
    int month = (text[5] - '0') * 10 + text[6] - '0';
    int day = (text[8] - '0') * 10 + text[9] - '0';
    return year >= 1000 && month >= 1 && month <= 12 && day >= 1 &&
           day <= days_of_month(year, month);
}

int field_date(struct call *call, const json_t *object, const char *name, const char **ret_date,
               bool *ret_there)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL) {
        return 0;
    }
    *ret_there = true;
    if (json_is_null(value)) {
        *ret_date = "";
        return 0;
    }
    if (!json_is_string(value) || !is_date(json_string_value(value))) {
        return problem_field(&call->problem, name, "must be a day like \"2026-03-31\"");
    }
    *ret_date = json_string_value(value);
    return 0;
}

/* Letters upper-cased and hyphens cut into out[13]; false for anything that is no ISRC. */
static bool isrc_normal(const char *text, char out[13])
{
    size_t length = 0;
    for (; *text != '\0'; text++) {
        if (*text == '-') {
            continue;
        }
        if (length == 12 || !isalnum((unsigned char)*text)) {
            return false;
        }
        out[length++] = (char)toupper((unsigned char)*text);
    }
    out[length] = '\0';
    if (length != 12 || !isalpha((unsigned char)out[0]) || !isalpha((unsigned char)out[1])) {
        return false;
    }
    for (size_t i = 5; i < 12; i++) {
        if (!isdigit((unsigned char)out[i])) {
            return false;
        }
    }
    return true;
}

int field_isrc(struct call *call, const json_t *object, const char *name, const char **ret_isrc,
               bool *ret_there)
{
    const json_t *value = json_object_get(object, name);
    if (value == NULL) {
        return 0;
    }
    *ret_there = true;
    if (json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0)) {
        *ret_isrc = "";
        return 0;
    }
    char isrc[13];
    if (!json_is_string(value) || !isrc_normal(json_string_value(value), isrc)) {
        return problem_field(&call->problem, name, "must be an ISRC like \"DEA123456789\"");
    }
    *ret_isrc = arena_strdup(call->arena, isrc);
    return *ret_isrc != NULL ? 0 : ERR_NO_MEMORY;
}

const char *field_sort_key(struct arena *arena, const char *text)
{
    const char *folded = text_fold(arena, text);
    if (folded == NULL || strlen(folded) <= SORT_KEY_BYTES_MAX) {
        return folded;
    }
    size_t length = SORT_KEY_BYTES_MAX;
    while ((folded[length] & 0xc0) == 0x80) { /* never within a character */
        length--;
    }
    return arena_strndup(arena, folded, length);
}

int field_required(struct call *call, const char *name, bool there)
{
    return there ? 0 : problem_field(&call->problem, name, "is required");
}
