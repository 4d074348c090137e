/* service/catalog/index_key: under which letter artists stand, and in what order. */
#include "base/arena.h"
#include "base/mem.h"
#include "service/catalog/index_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *sort_name, *key;
} keys[] = {
    {"The Beatles", "", "B beatles"},
    {"The Beatles", "Beatles, The", "B beatles, the"},
    {"Prince", "Roger Nelson", "R roger nelson"},
    {"The The", "", "T the"},
    {"The", "", "T the"},
    {"Theatre of Tragedy", "", "T theatre of tragedy"},
    {"A", "", "A a"},
    {"A-ha", "", "A a-ha"},
    {"A Tribe Called Quest", "", "T tribe called quest"},
    {"Die Ärzte", "", "A arzte"},
    {"Los Lobos", "", "L lobos"},
    {"Anthrax", "", "A anthrax"},
    {"Björk", "", "B bjork"},
    {"Bjo\xCC\x88rk", "", "B bjork"},
    {"Øystein Sunde", "", "O oystein sunde"},
    {"Ævangelist", "", "A aevangelist"},
    {"Łona", "", "L lona"},
    {"ＡＢＢＡ", "", "A abba"},
    {"İlhan İrem", "", "I ilhan irem"},
    {"Weiß", "", "W weiss"},
    {"\"Weird Al\" Yankovic", "", "W weird al\" yankovic"},
    {"(hed) p.e.", "", "H hed) p.e."},
    {"…And You Will Know Us", "", "A and you will know us"},
    {"“The Monks”", "", "M monks”"},
    {"'N Sync", "", "N n sync"},
    {"P!nk", "", "P p!nk"},
    {"$uicideboy$", "", "# $uicideboy$"},
    {"+44", "", "# +44"},
    {"!!!", "", "# !!!"},
    {"2Pac", "", "# 2pac"},
    {"٣ إخوة", "", "# ٣ اخوة"},
    {"🎸", "", "# 🎸"},
    {"", "", "# "},
    {"   ", "", "#    "},
    {"Βαγγέλης", "", "Β βαγγελησ"},
    {"Άκης", "", "Α ακησ"},
    {"Чайковский", "", "Ч чайковский"},
    {"Йорш", "", "Й йорш"},
    {"Ёлка", "", "Е елка"},
    {"うただヒカル", "", "あ うたたひかる"},
    {"ガガガSP", "", "か かかかsp"},
    {"ｺｰﾋｰ", "", "か こーひー"},
    {"を", "", "わ を"},
    {"周杰倫", "", "漢 周杰倫"},
    {"宇多田ヒカル", "Utada, Hikaru", "U utada, hikaru"},
    {"עברית", "", "ע עברית"},
    {"bad \xFF byte", "", "# "},
};

static void artists_have_their_letter(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        assert_string_equal(index_key(arena, keys[i].name, keys[i].sort_name), keys[i].key);
    }
    arena_free(arena);
}

static void hangul_goes_by_its_first_consonant(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    static const struct {
        const char *name, *letter;
    } names[] = {{"방탄소년단", "ㅂ"}, {"빅뱅", "ㅂ"},   {"뽀로로", "ㅂ"}, {"가인", "ㄱ"},
                 {"싸이", "ㅅ"},       {"아이유", "ㅇ"}, {"ㅎㅎ", "ㅎ"}};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char letter[INDEX_LETTER_SIZE];
        assert_string_equal(index_letter(index_key(arena, names[i].name, ""), letter),
                            names[i].letter);
    }
    char none[INDEX_LETTER_SIZE];
    assert_string_equal(index_letter("", none), "");
    arena_free(arena);
}

/* The index as one walks down it: every script after the other, each in its own order. */
static void bytes_in_order_are_artists_in_order(void **state)
{
    (void)state;
    static const char *const names[] = {
        "+44",       "1999",   "2Pac",   "ABBA",     "The Animals", "Āzarbāyjān", "Björk",
        "The Byrds", "Zappa",  "Άκης",   "Βαγγέλης", "Аквариум",    "Илья",       "Йорш",
        "Кино",      "うただ", "ガガガ", "ヒカル",   "가인",        "방탄소년단", "周杰倫"};
    struct arena *arena = arena_new(0);
    for (size_t i = 0; i + 1 < COUNT_OF(names); i++) {
        const char *this = index_key(arena, names[i], ""),
                   *next = index_key(arena, names[i + 1], "");
        assert_true(strcmp(this, next) < 0);
    }
    arena_free(arena);
}

static void long_names_are_cut_between_characters(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    char name[4 * 400 + 1] = "";
    size_t length = 0;
    for (unsigned i = 0; i < 400; i++) {
        length +=
            (size_t)snprintf(name + length, sizeof name - length, "%s", i % 3 == 0 ? "x" : "周");
    }
    const char *key = index_key(arena, name, "");
    assert_true(strlen(key) <= INDEX_KEY_BYTES_MAX && strlen(key) > INDEX_KEY_BYTES_MAX - 16);
    assert_non_null(index_key(arena, key, "")); /* it is text still */
    assert_true(strncmp(key + 2, name, strlen(key) - 2) == 0);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(artists_have_their_letter),
        cmocka_unit_test(hangul_goes_by_its_first_consonant),
        cmocka_unit_test(bytes_in_order_are_artists_in_order),
        cmocka_unit_test(long_names_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
