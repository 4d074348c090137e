/* service/search/words: what names become, and what is typed to find them. */
#include "base/mem.h"
#include "service/search/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* Forms of a position with '|' between, positions with spaces. */
static const char *shown(const struct words *words)
{
    static char text[4096];
    size_t length = 0;
    for (unsigned i = 0; i < words->count; i++) {
        const char *between = i == 0                                                   ? ""
                              : words->list[i].position == words->list[i - 1].position ? "|"
                                                                                       : " ";
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", between,
                                   words->list[i].text);
    }
    text[length] = '\0';
    return text;
}

static const struct {
    const char *name, *words;
} stored[] = {
    {"Bohemian Rhapsody", "bohemian rhapsody"},
    {"Mötley Crüe", "motley|moetley crue|cruee"},
    {"Die Ärzte", "die arzte|aerzte"},
    {"Weiß", "weiss"},
    {"Sigur Rós", "sigur ros"},
    {"Bjo\xCC\x88rk", "bjork|bjoerk"}, /* decomposed */
    {"MØ", "mo|moe"},
    {"Łona", "lona"},
    {"Ævangelist", "aevangelist|avangelist"},
    {"Dvořák", "dvorak"},
    {"ＡＢＢＡ", "abba"},
    {"AC/DC", "ac|acdc dc"},
    {"R.E.M.", "r|rem e m"},
    {"Jay-Z", "jay|jayz z"},
    {"P!nk", "pink|pnk"},
    {"Ke$ha", "kesha|keha"},
    {"$uicideboy$", "suicideboys|uicideboy"},
    {"Panic! at the Disco", "panic at the disco"},
    {"Sunn O)))", "sunn o"},
    {"Guns N’ Roses", "guns n roses"},
    {"Don't Stop", "dont stop"},
    {"Rock’n’Roll", "rock|rocknroll n roll"},
    {"R'n'B", "rnb"},
    {"'n'", "n"},
    {"Airbag (feat. Nobody) [Live]", "airbag feat nobody live"},
    {"1999", "1999"},
    {"…", "..."},
    {"!!!", "!!!"},
    {"+", "+"},
    {"", ""},
    {"   ", ""},
    {"Чайковский", "чаиковскии|chaykovskiy|cajkovskij"},
    {"Кино", "кино|kino"},
    {"Βαγγέλης", "βαγγελησ|vangelis|bangeles"},
    {"ヒカル", "ひかる|hikaru"},
    {"コーヒー", "こーひー|kohi"},
    {"ｺｰﾋｰ", "こーひー|kohi"},
    {"とうきょう", "とうきょう|toukyou|tokyo きょう|kyou|kyo"},
    {"周杰倫", "周杰|zhoujielun 杰伦|jielun 伦|lun"},
    {"한국", "ㅎㅏㄴㄱㅜㄱ|hanguk"},
    {"عَرَبِيّ", "عربي|rby"},
    {"שָׁלוֹם", "שלום|slwm"},
    {"bad \xFF byte", "bad byte"},
};

static void names_become_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(stored); i++) {
        struct arena *arena = arena_new(0);
        struct words words;
        assert_int_equal(words_of(arena, stored[i].name, WORDS_STORED, &words), 0);
        assert_string_equal(shown(&words), stored[i].words);
        arena_free(arena);
    }
}

/* As the index does it: each word that is asked begins a form of some position. */
static bool finds(const struct words *asked, const struct words *kept)
{
    for (unsigned position = 0; position < asked->positions; position++) {
        bool found = false, filler = false;
        for (unsigned i = 0; i < asked->count; i++) {
            const struct word *word = &asked->list[i];
            if (word->position != position) {
                continue;
            }
            filler = filler || word->filler;
            for (unsigned j = 0; j < kept->count && !found; j++) {
                found = strncmp(kept->list[j].text, word->text, strlen(word->text)) == 0;
            }
        }
        if (!found && !filler) {
            return false;
        }
    }
    return asked->positions > 0;
}

static const struct {
    const char *asked, *name;
    bool found;
} pairs[] = {
    {"motley", "Mötley Crüe", true},
    {"moetley cr", "Mötley Crüe", true},
    {"Mötley", "Motley Crue", true},
    {"bjoerk", "Björk", true},
    {"gross", "Groß", true},
    {"groß", "Gross", true},
    {"the beatles", "Beatles", true},
    {"beatles", "The Beatles", true},
    {"the the", "The The", true},
    {"airbag featuring nobody", "Airbag (feat. Nobody)", true},
    {"simon and garfunkel", "Simon & Garfunkel", true},
    {"acdc", "AC/DC", true},
    {"ac/dc", "AC/DC", true},
    {"ac dc", "AC/DC", true},
    {"rem", "R.E.M.", true},
    {"r.e.m", "R.E.M.", true},
    {"pink", "P!nk", true},
    {"p!nk", "P!nk", true},
    {"p!nk", "Pink", true},
    {"sunn o)))", "Sunn O)))", true},
    {"rock n roll", "Rock'n'Roll", true},
    {"rock'n'roll", "Rock & Roll", true},
    {"rock and roll", "Rock'n'Roll", true},
    {"rocknroll", "Rock'n'Roll", true},
    {"guns'n'roses", "Guns N' Roses", true},
    {"1999", "1999", true},
    {"…", "…", true},
    {"...", "…", true},
    {"kino", "Кино", true},
    {"Кино", "Kino", true},
    {"кин", "Кино", true},
    {"chaykov", "Чайковский", true},
    {"ёлка", "елка", true},
    {"vangelis", "Βαγγέλης", true},
    {"βαγγελης", "Βαγγέλης", true},
    {"utada hikaru", "うただ ヒカル", true},
    {"ひかる", "宇多田ヒカル", true},
    {"うただ", "Utada", true},
    {"ヒカ", "宇多田ヒカル", true},
    {"tokyo", "とうきょう", true},
    {"周杰伦", "周杰倫", true},
    {"杰倫", "周杰伦", true},
    {"周", "周杰伦", true},
    {"zhou jie", "周杰伦", true},
    {"zhoujielun", "周杰倫", true},
    {"伦周", "周杰伦", false},
    {"하", "한국", true},
    {"ㅎ", "한국", true},
    {"한", "하나", true},
    {"hanguk", "한국", true},
    {"bangtan", "방탄소년단", true},
    {"עפרה", "עָפְרָה חָזָה", true},
    {"احمد", "أحمد", true},
    {"beatles", "Radiohead", false},
    {"queen", "Que", false},
};

static void what_is_typed_meets_what_is_stored(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pairs); i++) {
        struct arena *arena = arena_new(0);
        struct words asked, kept;
        assert_int_equal(words_of(arena, pairs[i].asked, WORDS_ASKED, &asked), 0);
        assert_int_equal(words_of(arena, pairs[i].name, WORDS_STORED, &kept), 0);
        if (finds(&asked, &kept) != pairs[i].found) {
            fail_msg("\"%s\" and \"%s\"", pairs[i].asked, pairs[i].name);
        }
        arena_free(arena);
    }
}

static void names_that_are_the_same_have_one_key(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"The Beatles", "beatles"},
        {"Mötley Crüe", "MOTLEY  CRUE"},
        {"The The", "the the"},
        {"P!nk", "pink"},
        {"Simon & Garfunkel", "simon and garfunkel"},
        {"周杰倫", "周杰伦"},
    };
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        struct arena *arena = arena_new(0);
        struct words words;
        assert_int_equal(words_of(arena, same[i][0], WORDS_STORED, &words), 0);
        const char *left = words_key(arena, &words);
        assert_int_equal(words_of(arena, same[i][1], WORDS_STORED, &words), 0);
        assert_string_equal(left, words_key(arena, &words));
        arena_free(arena);
    }
}

static void long_names_are_cut(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    char *text = arena_alloc(arena, 100001);
    memset(text, 'a', 100000);
    struct words words;
    assert_int_equal(words_of(arena, text, WORDS_STORED, &words), 0);
    assert_int_equal(words.count, 1);
    assert_int_equal(strlen(words.list[0].text), WORD_BYTES_MAX);
    for (unsigned i = 1; i < 100000; i += 2) {
        text[i] = ' ';
        text[i - 1] = (char)('a' + i / 2 % 26);
    }
    assert_int_equal(words_of(arena, text, WORDS_STORED, &words), 0);
    assert_int_equal(words.count, WORDS_MAX);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_words),
        cmocka_unit_test(what_is_typed_meets_what_is_stored),
        cmocka_unit_test(names_that_are_the_same_have_one_key),
        cmocka_unit_test(long_names_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
