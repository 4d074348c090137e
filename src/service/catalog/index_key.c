/* Keys of the index of artists (index_key.h). */
#include "service/catalog/index_key.h"

#include "base/arena.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static const char *const articles[] = {"the", "a",  "an",  "der", "die", "das",
                                       "el",  "la", "los", "las", "le",  "les"};

/* Letters that no decomposition takes apart. */
static const struct {
    int32_t point;
    char plain[3];
} letters[] = {
    {0xE6, "ae"}, {0xF0, "d"},  {0xF8, "o"},  {0xFE, "th"},  {0x111, "d"}, {0x127, "h"},
    {0x131, "i"}, {0x142, "l"}, {0x14B, "n"}, {0x153, "oe"}, {0x167, "t"}, {0x180, "b"},
    {0x192, "f"}, {0x19A, "l"}, {0x1DD, "e"}, {0x253, "b"},  {0x257, "d"}, {0x259, "e"},
    {0x268, "i"}, {0x272, "n"}, {0x289, "u"},
};

/* Marks that don't count: on letters, voiced kana, points of Hebrew and Arabic. */
static const int32_t marks[][2] = {
    {0x0300, 0x036F}, {0x0591, 0x05C7}, {0x064B, 0x065F}, {0x0670, 0x0670}, {0x3099, 0x309A}};

static const int32_t han[][2] = {
    {0x3005, 0x3007}, {0x3400, 0x9FFF}, {0xF900, 0xFAFF}, {0x20000, 0x3FFFF}};

/* The last hiragana of each row, and the row's letter. */
static const struct {
    int32_t last;
    const char *letter;
} kana_rows[] = {{0x304A, "あ"}, {0x3054, "か"}, {0x305E, "さ"}, {0x3069, "た"}, {0x306E, "な"},
                 {0x307D, "は"}, {0x3082, "ま"}, {0x3088, "や"}, {0x308D, "ら"}, {0x3096, "わ"}};

/* The first consonants of Hangul, U+1100 on. */
static const char *const hangul[] = {"ㄱ", "ㄱ", "ㄴ", "ㄷ", "ㄷ", "ㄹ", "ㅁ", "ㅂ", "ㅂ", "ㅅ",
                                     "ㅅ", "ㅇ", "ㅈ", "ㅈ", "ㅊ", "ㅋ", "ㅌ", "ㅍ", "ㅎ"};

static bool is_in(int32_t point, const int32_t (*ranges)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (point >= ranges[i][0] && point <= ranges[i][1]) {
            return true;
        }
    }
    return false;
}

static bool is_letter(int32_t point)
{
    utf8proc_category_t category = utf8proc_category(point);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

static bool is_passed_over(int32_t point)
{
    utf8proc_category_t category = utf8proc_category(point);
    return (category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO) ||
           category == UTF8PROC_CATEGORY_ZS;
}

/* One decomposed, case-folded character, as it counts. */
static size_t put(char *out, int32_t point)
{
    for (size_t i = 0; i < COUNT_OF(letters); i++) {
        if (letters[i].point == point) {
            size_t length = strlen(letters[i].plain);
            memcpy(out, letters[i].plain, length);
            return length;
        }
    }
    if (is_in(point, marks, COUNT_OF(marks))) {
        return 0;
    }
    bool katakana = point >= 0x30A1 && point <= 0x30F6;
    return (size_t)utf8proc_encode_char(katakana ? point - 0x60 : point, (utf8proc_uint8_t *)out);
}

/* The whole name as it counts; cut, since a character may become many. */
static bool fold(const char *name, char out[INDEX_KEY_BYTES_MAX])
{
    enum { SHORT_I = 0x439, I = 0x438, BREVE = 0x306 }; /* й is и with a breve, once taken apart */
    utf8proc_uint8_t *plain CLEANUP_FREE = NULL;
    const utf8proc_option_t options = UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPAT |
                                      UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;
    utf8proc_ssize_t bytes = utf8proc_map((const utf8proc_uint8_t *)name, 0, &plain, options);
    size_t length = 0;
    int32_t before = 0;
    for (utf8proc_ssize_t at = 0; at < bytes && length + 4 < INDEX_KEY_BYTES_MAX;) {
        utf8proc_int32_t point = 0;
        utf8proc_ssize_t step = utf8proc_iterate(plain + at, bytes - at, &point);
        if (step <= 0) {
            break;
        }
        bool joined = point == BREVE && before == I;
        length -= joined ? 2 : 0;
        length += put(out + length, joined ? SHORT_I : point);
        before = point;
        at += step;
    }
    out[length] = '\0';
    return bytes >= 0 || bytes != UTF8PROC_ERROR_NOMEM;
}

/* Behind a leading article, where something follows. */
static const char *without_article(const char *folded)
{
    for (size_t i = 0; i < COUNT_OF(articles); i++) {
        size_t length = strlen(articles[i]);
        if (strncmp(folded, articles[i], length) == 0 && folded[length] == ' ') {
            const char *rest = folded + length + strspn(folded + length, " ");
            return *rest != '\0' ? rest : folded;
        }
    }
    return folded;
}

/* At the first letter or digit, where nothing but punctuation is before it. */
static const char *without_signs(const char *folded)
{
    const char *at = folded;
    utf8proc_int32_t point = 0;
    utf8proc_ssize_t step;
    while ((step = utf8proc_iterate((const utf8proc_uint8_t *)at, -1, &point)) > 0 && point != 0) {
        if (!is_passed_over(point)) {
            return at;
        }
        at += step;
    }
    return folded;
}

static void letter_of(const char *folded, char out[INDEX_LETTER_SIZE])
{
    utf8proc_int32_t point = 0;
    (void)utf8proc_iterate((const utf8proc_uint8_t *)folded, -1, &point);
    const char *letter = NULL;
    if (is_in(point, han, COUNT_OF(han))) {
        letter = "漢";
    } else if (point >= 0x1100 && point < 0x1100 + (int32_t)COUNT_OF(hangul)) {
        letter = hangul[point - 0x1100];
    } else if (!is_letter(point)) {
        letter = "#";
    }
    for (size_t i = 0; letter == NULL && point >= 0x3041 && i < COUNT_OF(kana_rows); i++) {
        letter = point <= kana_rows[i].last ? kana_rows[i].letter : NULL;
    }
    if (letter != NULL) {
        memcpy(out, letter, strlen(letter) + 1);
        return;
    }
    size_t length = (size_t)utf8proc_encode_char(utf8proc_totitle(point), (utf8proc_uint8_t *)out);
    out[length] = '\0';
}

const char *index_key(struct arena *arena, const char *name, const char *sort_name)
{
    char folded[INDEX_KEY_BYTES_MAX] = "", letter[INDEX_LETTER_SIZE];
    bool sorted = sort_name != NULL && sort_name[0] != '\0';
    if (!fold(sorted ? sort_name : name, folded)) {
        return NULL;
    }
    const char *start = without_signs(folded);
    start = sorted ? start : without_signs(without_article(start));
    letter_of(start, letter);
    size_t length = strlen(start), room = INDEX_KEY_BYTES_MAX - strlen(letter) - 1;
    while (length > room || (start[length] & 0xC0) == 0x80) { /* never within a character */
        length--;
    }
    return arena_printf(arena, "%s %.*s", letter, (int)length, start);
}

const char *index_letter(const char *key, char out[INDEX_LETTER_SIZE])
{
    const char *space = strchr(key, ' ');
    size_t length = space != NULL ? (size_t)(space - key) : 0;
    if (length >= INDEX_LETTER_SIZE) {
        length = 0;
    }
    memcpy(out, key, length);
    out[length] = '\0';
    return out;
}
