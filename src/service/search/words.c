/* Names into words (words.h): folding, cutting, and all of Latin. Other scripts are
 * words_scripts.c's.
 *
 * A name is folded (NFKC with case folding), cut at spaces into chunks and each chunk into runs of
 * one script. Signs inside a chunk separate, except an apostrophe, which is nothing, and !, $, @
 * and € between letters, which may be letters. A chunk of several Latin runs (AC/DC, Jay-Z, R.E.M.)
 * is also one word.
 */
#include "service/search/words_inside.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>
#include <utf8proc.h>

/* Letters that no decomposition takes apart, and those that are written in two ways. */
static const struct letter {
    int32_t point;
    const char *plain, *other;
} letters[] = {
    {0xDF, "ss", NULL}, {0xE4, "a", "ae"},  {0xE5, "a", "aa"},  {0xE6, "ae", "a"},
    {0xF0, "d", NULL},  {0xF6, "o", "oe"},  {0xF8, "o", "oe"},  {0xFC, "u", "ue"},
    {0xFE, "th", NULL}, {0x111, "d", "dj"}, {0x127, "h", NULL}, {0x131, "i", NULL},
    {0x138, "k", NULL}, {0x142, "l", NULL}, {0x14B, "n", NULL}, {0x153, "oe", "o"},
    {0x167, "t", NULL}, {0x180, "b", NULL}, {0x188, "c", NULL}, {0x192, "f", NULL},
    {0x19A, "l", NULL}, {0x1DD, "e", NULL}, {0x253, "b", NULL}, {0x256, "d", NULL},
    {0x257, "d", NULL}, {0x259, "e", NULL}, {0x268, "i", NULL}, {0x272, "n", NULL},
    {0x289, "u", NULL},
};

static const struct sign {
    int32_t point;
    char letter;
} signs[] = {{'!', 'i'}, {'$', 's'}, {'@', 'a'}, {0x20AC, 'e'}};

static const char *const fillers[] = {"the",  "a",         "an", "and", "und", "et",
                                      "feat", "featuring", "ft", "n",   "with"};

static const struct range {
    int32_t first, last;
    enum script script;
} ranges[] = {
    {0x0041, 0x024F, SCRIPT_LATIN},    {0x0250, 0x02AF, SCRIPT_LATIN},
    {0x0370, 0x03FF, SCRIPT_GREEK},    {0x0400, 0x052F, SCRIPT_CYRILLIC},
    {0x0590, 0x05FF, SCRIPT_HEBREW},   {0x0600, 0x06FF, SCRIPT_ARABIC},
    {0x0750, 0x077F, SCRIPT_ARABIC},   {0x1100, 0x11FF, SCRIPT_HANGUL},
    {0x1C80, 0x1C8F, SCRIPT_CYRILLIC}, {0x1E00, 0x1EFF, SCRIPT_LATIN},
    {0x1F00, 0x1FFF, SCRIPT_GREEK},    {0x3005, 0x3007, SCRIPT_HAN},
    {0x3041, 0x30FF, SCRIPT_KANA},     {0x31F0, 0x31FF, SCRIPT_KANA},
    {0x3400, 0x9FFF, SCRIPT_HAN},      {0xA720, 0xA7FF, SCRIPT_LATIN},
    {0xAC00, 0xD7FF, SCRIPT_HANGUL},   {0xF900, 0xFAFF, SCRIPT_HAN},
    {0x20000, 0x3FFFF, SCRIPT_HAN},
};

static bool is_mark(int32_t point)
{
    utf8proc_category_t category = utf8proc_category(point);
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME;
}

static enum script script_of(int32_t point)
{
    if (point < 0x80) {
        bool word = (point >= '0' && point <= '9') || (point >= 'a' && point <= 'z');
        return word ? SCRIPT_LATIN : SCRIPT_NONE;
    }
    if (point == 0x30FB) { /* the dot between katakana words */
        return SCRIPT_NONE;
    }
    utf8proc_category_t category = utf8proc_category(point);
    if (category > UTF8PROC_CATEGORY_NO) {
        return SCRIPT_NONE;
    }
    for (size_t i = 0; i < COUNT_OF(ranges); i++) {
        if (point >= ranges[i].first && point <= ranges[i].last) {
            return ranges[i].script;
        }
    }
    return SCRIPT_OTHER;
}

int32_t words_bare(int32_t point)
{
    utf8proc_int32_t parts[8];
    int boundary = 0;
    utf8proc_ssize_t count = utf8proc_decompose_char(
        point, parts, (utf8proc_ssize_t)COUNT_OF(parts), UTF8PROC_DECOMPOSE, &boundary);
    return count > 1 && count <= (utf8proc_ssize_t)COUNT_OF(parts) ? parts[0] : point;
}

char *words_utf8(struct arena *arena, const int32_t *points, unsigned count)
{
    char *text = arena_alloc(arena, (size_t)count * 4 + 1);
    size_t length = 0;
    for (unsigned i = 0; text != NULL && i < count; i++) {
        length += (size_t)utf8proc_encode_char(points[i], (utf8proc_uint8_t *)text + length);
    }
    return text;
}

/* How much of it is kept: whole characters. */
static size_t cut_length(const char *text)
{
    size_t length = strnlen(text, WORD_BYTES_MAX + 1);
    if (length <= WORD_BYTES_MAX) {
        return length;
    }
    length = WORD_BYTES_MAX;
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) {
        length--;
    }
    return length;
}

static bool is_filler(const char *text)
{
    for (size_t i = 0; i < COUNT_OF(fillers); i++) {
        if (strcmp(text, fillers[i]) == 0) {
            return true;
        }
    }
    return false;
}

void words_add(struct words *words, struct arena *arena, const char *text)
{
    size_t length = text != NULL ? cut_length(text) : 0;
    if (length == 0 || words->count == WORDS_MAX) {
        words->failed = words->failed || text == NULL;
        return;
    }
    for (unsigned i = words->count; i > 0 && words->list[i - 1].position == words->positions; i--) {
        const char *other = words->list[i - 1].text;
        if (strncmp(other, text, length) == 0 && other[length] == '\0') {
            return;
        }
    }
    const char *kept = arena_strndup(arena, text, length);
    if (kept == NULL) {
        words->failed = true;
        return;
    }
    words->list[words->count++] =
        (struct word){.text = kept, .position = words->positions, .filler = is_filler(kept)};
}

void words_next(struct words *words)
{
    if (words->count > 0 && words->list[words->count - 1].position == words->positions) {
        words->positions++;
    }
}

/* ---- Latin ---- */

/* The two spellings of a Latin run as they grow. */
struct spelling {
    char plain[WORD_BYTES_MAX + 8], other[WORD_BYTES_MAX + 8];
    size_t plain_length, other_length;
};

static void spell(char *out, size_t *length, const char *text)
{
    for (; *text != '\0' && *length < WORD_BYTES_MAX + 7; text++) {
        out[(*length)++] = *text;
    }
    out[*length] = '\0';
}

static void spell_both(struct spelling *spelling, const char *plain, const char *other)
{
    spell(spelling->plain, &spelling->plain_length, plain);
    spell(spelling->other, &spelling->other_length, other);
}

static void spell_point(struct spelling *spelling, int32_t point)
{
    for (size_t i = 0; i < COUNT_OF(letters); i++) {
        if (letters[i].point == point) {
            spell_both(spelling, letters[i].plain,
                       letters[i].other != NULL ? letters[i].other : letters[i].plain);
            return;
        }
    }
    char text[8] = "";
    int32_t bare = words_bare(point);
    if (!is_mark(bare)) {
        (void)utf8proc_encode_char(bare, (utf8proc_uint8_t *)text);
    }
    spell_both(spelling, text, text);
}

/* ---- chunks ---- */

struct chunk {
    struct arena *arena;
    enum words_use use;
    const int32_t *points;
    unsigned count;
};

static bool is_letter_at(const struct chunk *chunk, unsigned at)
{
    return at < chunk->count && script_of(chunk->points[at]) == SCRIPT_LATIN;
}

/* What a sign stands for where it is: P!nk, Ke$ha, $uicideboy$; 0: nothing. */
static char sign_letter(const struct chunk *chunk, unsigned at)
{
    bool before = at > 0 && is_letter_at(chunk, at - 1), after = is_letter_at(chunk, at + 1);
    int32_t point = chunk->points[at];
    for (size_t i = 0; i < COUNT_OF(signs); i++) {
        if (signs[i].point == point) {
            return (before && after) || (point == '$' && (before || after)) ? signs[i].letter : 0;
        }
    }
    return 0;
}

static bool is_apostrophe(int32_t point)
{
    return point == '\'' || point == 0x2019 || point == 0x2018 || point == 0x2BC || point == '`' ||
           point == 0xB4;
}

/* A Latin run from *at on; moves it behind. Signs that are letters are left out of the other
 * spelling. */
static void spell_run(const struct chunk *chunk, unsigned *at, struct spelling *spelling)
{
    for (; *at < chunk->count; (*at)++) {
        int32_t point = chunk->points[*at];
        char letter[2] = {sign_letter(chunk, *at), '\0'};
        if (letter[0] != '\0') {
            spell_both(spelling, letter, "");
        } else if (script_of(point) == SCRIPT_LATIN) {
            spell_point(spelling, point);
        } else if (!is_mark(point) && !is_apostrophe(point)) {
            return;
        }
    }
}

/* All runs of a chunk in one: AC/DC is acdc, too. "" where there is but one. */
static void spell_joined(const struct chunk *chunk, struct spelling *joined, bool *ret_letters)
{
    unsigned runs = 0;
    *ret_letters = true;
    for (unsigned at = 0; at < chunk->count;) {
        if (!is_letter_at(chunk, at) && sign_letter(chunk, at) == '\0') {
            if (script_of(chunk->points[at]) != SCRIPT_NONE) {
                runs = 0;
                break; /* not Latin alone */
            }
            at++;
            continue;
        }
        unsigned begun = at;
        spell_run(chunk, &at, joined);
        runs++;
        *ret_letters = *ret_letters && at - begun == 1;
    }
    if (runs < 2) {
        joined->plain[0] = '\0';
        *ret_letters = false;
    }
}

/* Every other script's run, with the marks in it. */
static void other_run(struct words *words, const struct chunk *chunk, unsigned *at)
{
    enum script script = script_of(chunk->points[*at]);
    unsigned begun = *at;
    while (*at < chunk->count &&
           (script_of(chunk->points[*at]) == script || is_mark(chunk->points[*at]))) {
        (*at)++;
    }
    words_of_run(words, &(struct run){.arena = chunk->arena,
                                      .use = chunk->use,
                                      .script = script,
                                      .points = chunk->points + begun,
                                      .count = *at - begun});
}

static void chunk_words(struct words *words, const struct chunk *chunk)
{
    struct spelling joined = {.plain_length = 0};
    bool single_letters = false;
    spell_joined(chunk, &joined, &single_letters);
    if (single_letters && chunk->use == WORDS_ASKED) { /* r.e.m. */
        words_add(words, chunk->arena, joined.plain);
        words_next(words);
        return;
    }
    bool first = true;
    for (unsigned at = 0; at < chunk->count;) {
        if (is_letter_at(chunk, at) || sign_letter(chunk, at) != '\0') {
            struct spelling spelling = {.plain_length = 0};
            spell_run(chunk, &at, &spelling);
            words_add(words, chunk->arena, spelling.plain);
            words_add(words, chunk->arena, spelling.other);
            if (first && chunk->use == WORDS_STORED) {
                words_add(words, chunk->arena, joined.plain);
            }
            first = false;
        } else if (script_of(chunk->points[at]) != SCRIPT_NONE && !is_mark(chunk->points[at])) {
            other_run(words, chunk, &at);
        } else {
            at++;
        }
        words_next(words);
    }
}

/* ---- names ---- */

static bool is_space(int32_t point)
{
    utf8proc_category_t category = utf8proc_category(point);
    return point < 0x20 || category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
           category == UTF8PROC_CATEGORY_ZP || category == UTF8PROC_CATEGORY_CC;
}

static bool is_ascii(const char *text)
{
    while (*text != '\0' && (unsigned char)*text < 0x80) {
        text++;
    }
    return *text == '\0';
}

/* Most names, without asking utf8proc. */
static unsigned points_of_ascii(const char *text, int32_t *points)
{
    unsigned count = 0;
    for (; count < WORDS_TEXT_MAX && text[count] != '\0'; count++) {
        char letter = text[count];
        points[count] = letter >= 'A' && letter <= 'Z' ? letter + 'a' - 'A' : letter;
    }
    return count;
}

static unsigned points_of_folded(const char *text, int32_t *points)
{
    unsigned count = 0;
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
    while (*at != '\0' && count < WORDS_TEXT_MAX) {
        utf8proc_int32_t point = ' ';
        utf8proc_ssize_t length = utf8proc_iterate(at, -1, &point);
        points[count++] = length > 0 ? point : ' ';
        at += length > 0 ? length : 1;
    }
    return count;
}

/* Folded, as code points; what is not UTF-8 becomes a space. */
static int points_of(struct arena *arena, const char *text, int32_t **ret_points,
                     unsigned *ret_count)
{
    bool ascii = is_ascii(text);
    const char *folded = text;
    if (!ascii && text_is_utf8(text, strlen(text))) {
        folded = text_fold(arena, text);
    }
    size_t room = folded != NULL ? strnlen(folded, WORDS_TEXT_MAX) + 1 : 1;
    int32_t *points = arena_array(arena, room, sizeof *points);
    if (points == NULL || folded == NULL) {
        return ERR_NO_MEMORY;
    }
    *ret_count = ascii ? points_of_ascii(folded, points) : points_of_folded(folded, points);
    *ret_points = points;
    return 0;
}

/* Rock'n'Roll is three words, and one; R'n'B is one. */
static void part_and(int32_t *points, unsigned count)
{
    for (unsigned i = 2; i + 3 < count; i++) {
        bool word =
            script_of(points[i - 1]) == SCRIPT_LATIN && script_of(points[i - 2]) == SCRIPT_LATIN;
        if (word && is_apostrophe(points[i]) && points[i + 1] == 'n' &&
            is_apostrophe(points[i + 2]) && script_of(points[i + 3]) == SCRIPT_LATIN) {
            points[i] = points[i + 2] = '/';
        }
    }
}

/* "…", "!!!", "+": the signs themselves. */
static void signs_alone(struct words *words, struct arena *arena, const int32_t *points,
                        unsigned count)
{
    int32_t kept[WORD_BYTES_MAX];
    unsigned kept_count = 0;
    for (unsigned i = 0; i < count && kept_count < WORD_BYTES_MAX; i++) {
        if (!is_space(points[i])) {
            kept[kept_count++] = points[i];
        }
    }
    if (kept_count > 0) {
        words_add(words, arena, words_utf8(arena, kept, kept_count));
        words_next(words);
    }
}

int words_of(struct arena *arena, const char *text, enum words_use use, struct words *words)
{
    words->count = words->positions = 0;
    words->failed = words->signs = false;
    int32_t *points = NULL;
    unsigned count = 0;
    int error = points_of(arena, text, &points, &count);
    if (error != 0) {
        return error;
    }
    part_and(points, count);
    for (unsigned at = 0; at < count;) {
        unsigned end = at;
        while (end < count && !is_space(points[end])) {
            end++;
        }
        struct chunk chunk = {.arena = arena, .use = use, .points = points + at, .count = end - at};
        chunk_words(words, &chunk);
        at = end + 1;
    }
    if (words->count == 0) {
        words->signs = true;
        signs_alone(words, arena, points, count);
    }
    return words->failed ? ERR_NO_MEMORY : 0;
}

static bool only_fillers(const struct words *words)
{
    for (unsigned i = 0; i < words->count; i++) {
        if (!words->list[i].filler) {
            return false;
        }
    }
    return true;
}

const char *words_key(struct arena *arena, const struct words *words)
{
    bool all = only_fillers(words);
    size_t room = (size_t)words->count * (WORD_BYTES_MAX + 1) + 1, length = 0;
    char *key = arena_alloc(arena, room);
    for (unsigned i = 0; key != NULL && i < words->count; i++) {
        const struct word *word = &words->list[i];
        bool first = i == 0 || words->list[i - 1].position != word->position;
        if (!first || (word->filler && !all)) {
            continue;
        }
        if (length > 0) {
            key[length++] = ' ';
        }
        size_t bytes = strlen(word->text);
        memcpy(key + length, word->text, bytes);
        length += bytes;
    }
    return key;
}
