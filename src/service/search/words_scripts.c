/* Words of every script but Latin (words.h): a run in its own letters first, then as it is written
 * in Latin. */
#include "service/search/words_inside.h"

#include "base/mem.h"
#include "service/search/icu.h"

#include <string.h>
#include <utf8proc.h>

enum { LATIN_SIZE = 256, STARTS_MAX = 24, HAN_RUN_MAX = 24 };

/* Letters and digits of what ICU made: apostrophes, tildes and spaces are gone. */
static void add_latin(struct words *words, const struct run *run, const char *text)
{
    char plain[LATIN_SIZE];
    size_t length = 0;
    for (const char *at = text; *at != '\0' && length < sizeof plain - 1; at++) {
        char letter = (char)(*at >= 'A' && *at <= 'Z' ? *at + 'a' - 'A' : *at);
        if ((letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9')) {
            plain[length++] = letter;
        }
    }
    plain[length] = '\0';
    words_add(words, run->arena, plain);
}

static void add_mapped(struct words *words, const struct run *run, const char *text,
                       enum icu_map map)
{
    char latin[LATIN_SIZE];
    if (text != NULL && icu_map(map, text, latin, sizeof latin)) {
        add_latin(words, run, latin);
    }
}

static int32_t arabic_letter(int32_t point)
{
    switch (point) {
    case 0x622: /* alef with something above or below */
    case 0x623:
    case 0x625:
    case 0x671:
        return 0x627;
    case 0x629: /* teh marbuta: heh */
        return 0x647;
    case 0x649: /* alef maksura and the Persian yeh: yeh */
    case 0x6CC:
        return 0x64A;
    case 0x6A9: /* the Persian kaf */
        return 0x643;
    case 0x640: /* tatweel stretches a line and means nothing */
        return 0;
    default:
        return point;
    }
}

/* Greek, Cyrillic, Hebrew, Arabic: letters without marks and points. */
static char *bare_text(const struct run *run)
{
    int32_t *points = arena_array(run->arena, run->count + 1, sizeof *points);
    unsigned count = 0;
    for (unsigned i = 0; points != NULL && i < run->count; i++) {
        int32_t point = words_bare(arabic_letter(run->points[i]));
        utf8proc_category_t category = utf8proc_category(point);
        if (point != 0 && category != UTF8PROC_CATEGORY_MN) {
            points[count++] = point;
        }
    }
    return points != NULL ? words_utf8(run->arena, points, count) : NULL;
}

static void alphabet_run(struct words *words, const struct run *run)
{
    char *text = words_utf8(run->arena, run->points, run->count);
    char *bare = bare_text(run);
    words_add(words, run->arena, bare);
    switch (run->script) {
    case SCRIPT_CYRILLIC:
        add_mapped(words, run, text, ICU_CYRILLIC_ENGLISH);
        add_mapped(words, run, text, ICU_CYRILLIC_ISO);
        break;
    case SCRIPT_GREEK:
        add_mapped(words, run, text, ICU_GREEK_MODERN);
        add_mapped(words, run, text, ICU_GREEK_CLASSIC);
        break;
    default:
        add_mapped(words, run, bare, run->script == SCRIPT_ARABIC ? ICU_ARABIC : ICU_HEBREW);
        break;
    }
}

/* The run itself and, where it is stored, what is behind each beginning of a word in it. text has
 * each character in as many bytes as the run. */
static void spaceless_run(struct words *words, const struct run *run, const char *text,
                          void (*also)(struct words *words, const struct run *run,
                                       const char *text))
{
    unsigned starts[STARTS_MAX] = {0}, count = 1;
    if (text != NULL && run->use == WORDS_STORED) {
        const char *written = words_utf8(run->arena, run->points, run->count);
        count = written != NULL ? icu_word_starts(written, starts, STARTS_MAX) : 0;
        count = count > 0 ? count : 1;
    }
    for (unsigned i = 0; i < count; i++) {
        words_add(words, run->arena, text != NULL ? text + starts[i] : NULL);
        if (text != NULL) {
            also(words, run, text + starts[i]);
        }
        words_next(words);
    }
}

static void other_latin(struct words *words, const struct run *run, const char *text)
{
    add_mapped(words, run, text, ICU_ANY);
}

/* Long vowels as they are mostly typed: toukyou → tokyo. */
static void shorten(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        bool longer = to > text && ((to[-1] == 'o' && (*from == 'u' || *from == 'o')) ||
                                    (to[-1] == 'u' && *from == 'u'));
        if (!longer) {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static void kana_latin(struct words *words, const struct run *run, const char *text)
{
    char latin[LATIN_SIZE];
    if (icu_map(ICU_HIRAGANA, text, latin, sizeof latin)) {
        add_latin(words, run, latin);
        shorten(latin);
        add_latin(words, run, latin);
    }
}

/* Katakana as hiragana, of which it is a copy 0x60 further on. */
static void kana_run(struct words *words, const struct run *run)
{
    int32_t *points = arena_array(run->arena, run->count, sizeof *points);
    for (unsigned i = 0; points != NULL && i < run->count; i++) {
        bool katakana = run->points[i] >= 0x30A1 && run->points[i] <= 0x30F6;
        points[i] = katakana ? run->points[i] - 0x60 : run->points[i];
    }
    char *text = points != NULL ? words_utf8(run->arena, points, run->count) : NULL;
    spaceless_run(words, run, text, kana_latin);
}

/* ---- Hangul ---- */

/* Jamo as keys are pressed, each one of the 24: a final is the same key as an initial, double and
 * compound ones are two. So what is typed so far always begins what it will be. */
static const char *const initial_keys[] = {"ㄱ", "ㄱㄱ", "ㄴ", "ㄷ",   "ㄷㄷ", "ㄹ", "ㅁ",
                                           "ㅂ", "ㅂㅂ", "ㅅ", "ㅅㅅ", "ㅇ",   "ㅈ", "ㅈㅈ",
                                           "ㅊ", "ㅋ",   "ㅌ", "ㅍ",   "ㅎ"};
static const char *const vowel_keys[] = {"ㅏ",   "ㅐ",   "ㅑ",   "ㅒ",   "ㅓ",   "ㅔ",   "ㅕ",
                                         "ㅖ",   "ㅗ",   "ㅗㅏ", "ㅗㅐ", "ㅗㅣ", "ㅛ",   "ㅜ",
                                         "ㅜㅓ", "ㅜㅔ", "ㅜㅣ", "ㅠ",   "ㅡ",   "ㅡㅣ", "ㅣ"};
static const char *const final_keys[] = {"",     "ㄱ",   "ㄱㄱ", "ㄱㅅ", "ㄴ",   "ㄴㅈ", "ㄴㅎ",
                                         "ㄷ",   "ㄹ",   "ㄹㄱ", "ㄹㅁ", "ㄹㅂ", "ㄹㅅ", "ㄹㅌ",
                                         "ㄹㅍ", "ㄹㅎ", "ㅁ",   "ㅂ",   "ㅂㅅ", "ㅅ",   "ㅅㅅ",
                                         "ㅇ",   "ㅈ",   "ㅊ",   "ㅋ",   "ㅌ",   "ㅍ",   "ㅎ"};
/* Revised Romanization (2000), letter by letter. */
static const char *const initial_latin[] = {"g",  "kk", "n", "d",  "tt", "r", "m", "b", "pp", "s",
                                            "ss", "",   "j", "jj", "ch", "k", "t", "p", "h"};
static const char *const vowel_latin[] = {"a",  "ae", "ya", "yae", "eo", "e",  "yeo",
                                          "ye", "o",  "wa", "wae", "oe", "yo", "u",
                                          "wo", "we", "wi", "yu",  "eu", "ui", "i"};
static const char *const final_latin[] = {"",  "k",  "k", "k", "n", "n", "n", "t", "l", "k",
                                          "m", "l",  "l", "l", "p", "l", "m", "p", "p", "t",
                                          "t", "ng", "t", "t", "k", "t", "p", "t"};

enum {
    SYLLABLE_FIRST = 0xAC00,
    SYLLABLE_LAST = 0xD7A3,
    VOWELS = 21,
    FINALS = 28,
    INITIAL_FIRST = 0x1100,
    VOWEL_FIRST = 0x1161,
    FINAL_FIRST = 0x11A7,
};

struct hangul {
    char keys[LATIN_SIZE], latin[LATIN_SIZE];
};

static void hangul_add(struct hangul *hangul, const char *keys, const char *latin)
{
    (void)strncat(hangul->keys, keys, sizeof hangul->keys - strlen(hangul->keys) - 1);
    (void)strncat(hangul->latin, latin, sizeof hangul->latin - strlen(hangul->latin) - 1);
}

static void hangul_point(struct hangul *hangul, int32_t point)
{
    if (point >= SYLLABLE_FIRST && point <= SYLLABLE_LAST) {
        int32_t at = point - SYLLABLE_FIRST;
        int32_t initial = at / (VOWELS * FINALS), vowel = at / FINALS % VOWELS, last = at % FINALS;
        hangul_add(hangul, initial_keys[initial], initial_latin[initial]);
        hangul_add(hangul, vowel_keys[vowel], vowel_latin[vowel]);
        hangul_add(hangul, final_keys[last], final_latin[last]);
    } else if (point >= INITIAL_FIRST && point < INITIAL_FIRST + (int32_t)COUNT_OF(initial_keys)) {
        hangul_add(hangul, initial_keys[point - INITIAL_FIRST],
                   initial_latin[point - INITIAL_FIRST]);
    } else if (point >= VOWEL_FIRST && point < VOWEL_FIRST + VOWELS) {
        hangul_add(hangul, vowel_keys[point - VOWEL_FIRST], vowel_latin[point - VOWEL_FIRST]);
    } else if (point >= FINAL_FIRST && point < FINAL_FIRST + FINALS) {
        hangul_add(hangul, final_keys[point - FINAL_FIRST], final_latin[point - FINAL_FIRST]);
    }
}

static void hangul_run(struct words *words, const struct run *run)
{
    struct hangul hangul = {.keys = ""};
    for (unsigned i = 0; i < run->count; i++) {
        hangul_point(&hangul, run->points[i]);
    }
    words_add(words, run->arena, hangul.keys);
    words_add(words, run->arena, hangul.latin);
}

/* ---- Han ---- */

/* "zhou jie lun" → "zhoujielun", "jielun", "lun": behind the at-th syllable. */
static void add_pinyin(struct words *words, const struct run *run, const char *pinyin, unsigned at)
{
    for (; pinyin != NULL && at > 0; at--) {
        pinyin = strchr(pinyin, ' ');
        pinyin = pinyin != NULL ? pinyin + 1 : NULL;
    }
    if (pinyin != NULL) {
        add_latin(words, run, pinyin);
    }
}

static size_t character_bytes(const char *text)
{
    size_t bytes = text[0] != '\0' ? 1 : 0;
    while (bytes > 0 && ((unsigned char)text[bytes] & 0xC0) == 0x80) {
        bytes++;
    }
    return bytes;
}

/* Pairs of characters, so that any two that follow each other are found inside of a name. The last
 * alone ends what is stored; asked alone it begins a pair. */
static void han_pairs(struct words *words, const struct run *run, const char *text,
                      const char *pinyin)
{
    unsigned number = 0;
    for (const char *at = text; *at != '\0';) {
        size_t bytes = character_bytes(at), next = character_bytes(at + bytes);
        bool last = next == 0;
        if (!last || run->use == WORDS_STORED || number == 0) {
            words_add(words, run->arena, arena_strndup(run->arena, at, bytes + next));
            add_pinyin(words, run, pinyin, number);
            words_next(words);
        }
        number++;
        at += bytes;
    }
}

static void han_run(struct words *words, const struct run *run)
{
    unsigned count = run->count < HAN_RUN_MAX ? run->count : HAN_RUN_MAX;
    char *text = words_utf8(run->arena, run->points, count);
    char simple[LATIN_SIZE], pinyin[LATIN_SIZE];
    if (text == NULL) {
        words->failed = true;
        return;
    }
    bool simpler = icu_map(ICU_SIMPLIFIED, text, simple, sizeof simple);
    bool read = run->use == WORDS_STORED && icu_map(ICU_PINYIN, text, pinyin, sizeof pinyin);
    han_pairs(words, run, simpler ? simple : text, read ? pinyin : NULL);
}

void words_of_run(struct words *words, const struct run *run)
{
    switch (run->script) {
    case SCRIPT_KANA:
        kana_run(words, run);
        break;
    case SCRIPT_HAN:
        han_run(words, run);
        break;
    case SCRIPT_HANGUL:
        hangul_run(words, run);
        break;
    case SCRIPT_OTHER:
        spaceless_run(words, run, words_utf8(run->arena, run->points, run->count), other_latin);
        break;
    default:
        alphabet_run(words, run);
        break;
    }
}
