/* Text from outside (text.h). Normalization is utf8proc's (Unicode 15). */
#include "base/text.h"

#include "base/error.h"
#include "base/problem.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

size_t text_utf8_step(const char *bytes, size_t length)
{
    if (length > 0 && (unsigned char)*bytes < 0x80) {
        return 1;
    }
    utf8proc_int32_t point;
    utf8proc_ssize_t step =
        utf8proc_iterate((const utf8proc_uint8_t *)bytes, (utf8proc_ssize_t)length, &point);
    return step > 0 ? (size_t)step : 0;
}

bool text_is_utf8(const char *bytes, size_t length)
{
    size_t step;
    for (; length > 0; bytes += step, length -= step) {
        step = text_utf8_step(bytes, length);
        if (step == 0) {
            return false;
        }
    }
    return true;
}

static bool is_space(utf8proc_int32_t point)
{
    utf8proc_category_t category = utf8proc_category(point);
    return category == UTF8PROC_CATEGORY_ZS || (point >= '\t' && point <= '\r');
}

/* Cuts white space at both ends, in place, of valid UTF-8. */
static char *trim(char *text)
{
    utf8proc_int32_t point;
    while (*text != '\0') {
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &point);
        if (step <= 0 || !is_space(point)) {
            break;
        }
        text += step;
    }
    char *end = text;
    for (char *at = text; *at != '\0';) {
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)at, -1, &point);
        if (step <= 0) {
            break;
        }
        at += step;
        if (!is_space(point)) {
            end = at;
        }
    }
    *end = '\0';
    return text;
}

static int check_points(const struct text_rule *rule, const char *text, struct problem *problem)
{
    size_t count = 0;
    utf8proc_int32_t point;
    for (const char *at = text; *at != '\0'; count++) {
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)at, -1, &point);
        at += step > 0 ? step : 1;
        bool line_character = point == '\n' || point == '\t' || point == '\r';
        if (utf8proc_category(point) == UTF8PROC_CATEGORY_CC && !(rule->lines && line_character)) {
            return problem_field(problem, rule->field,
                                 "holds the control character U+%04X, which is not allowed",
                                 (unsigned)point);
        }
    }
    if (count == 0 && !rule->empty_ok) {
        return problem_field(problem, rule->field, "must not be empty");
    }
    if (count > rule->characters_max) {
        return problem_field(problem, rule->field, "has %zu characters; at most %u are allowed",
                             count, rule->characters_max);
    }
    return 0;
}

int text_clean(struct arena *arena, const struct text_rule *rule, const char *text,
               struct problem *problem, const char **ret_text)
{
    if (!text_is_utf8(text, strlen(text))) {
        return problem_field(problem, rule->field, "is not valid UTF-8");
    }
    utf8proc_uint8_t *composed = utf8proc_NFC((const utf8proc_uint8_t *)text);
    if (composed == NULL) {
        return ERR_NO_MEMORY;
    }
    char *copy = arena_strdup(arena, (const char *)composed);
    free(composed);
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    copy = trim(copy);
    int error = check_points(rule, copy, problem);
    if (error != 0) {
        return error;
    }
    *ret_text = copy;
    return 0;
}

const char *text_fold(struct arena *arena, const char *text)
{
    utf8proc_uint8_t *folded = utf8proc_NFKC_Casefold((const utf8proc_uint8_t *)text);
    if (folded == NULL) {
        return NULL;
    }
    char *copy = arena_strdup(arena, (const char *)folded);
    free(folded);
    return copy;
}

bool text_copy(char *out, size_t size, const char *text)
{
    size_t length = strlen(text);
    if (length >= size) {
        out[0] = '\0';
        return false;
    }
    memcpy(out, text, length + 1);
    return true;
}

bool text_number(const char *text, int64_t min, int64_t max, int64_t *ret_number)
{
    if (text == NULL || *text == '\0') {
        return false;
    }
    int64_t value = 0;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *text - '0', &value)) {
            return false;
        }
    }
    if (value < min || value > max) {
        return false;
    }
    *ret_number = value;
    return true;
}

bool text_ratio(const char *text, double *ret_ratio)
{
    size_t length = strspn(text, "0123456789.");
    if (length == 0 || length > 20 || text[length] != '\0') {
        return false;
    }
    char *end = NULL;
    double ratio = strtod(text, &end);
    if (*end != '\0' || ratio > 1) {
        return false;
    }
    *ret_ratio = ratio;
    return true;
}

bool text_base64_decode(const char *text, size_t length, enum text_base64 form, void *out,
                        size_t size, size_t *ret_length)
{
    unsigned char all = 0;
    for (size_t i = 0; i < length; i++) {
        all |= (unsigned char)text[i];
    }
    int variant = form == TEXT_BASE64_URL ? sodium_base64_VARIANT_URLSAFE_NO_PADDING
                                          : sodium_base64_VARIANT_ORIGINAL;
    return all < 0x80 &&
           sodium_base642bin(out, size, text, length, NULL, ret_length, NULL, variant) == 0;
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    char lower = (char)(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

int text_percent_byte(const char *text, size_t left)
{
    int high = left >= 3 && text[0] == '%' ? hex_digit(text[1]) : -1;
    int low = high >= 0 ? hex_digit(text[2]) : -1;
    return low >= 0 ? high << 4 | low : -1;
}

bool text_percent_decode(const char *text, size_t length, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        int byte = (unsigned char)text[i];
        if (byte == '%') {
            byte = text_percent_byte(text + i, length - i);
            i += 2;
        }
        if (byte < ' ' || byte == 0x7f || used + 1 >= size) {
            out[0] = '\0';
            return false;
        }
        out[used++] = (char)byte;
    }
    out[used] = '\0';
    return true;
}

bool text_equal_secret(const char *left, const char *right)
{
    size_t length = strlen(left);
    return length == strlen(right) && sodium_memcmp(left, right, length) == 0;
}
