/* service/search/query: what was typed, taken apart. */
#include "base/mem.h"
#include "service/search/search_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* "-" excluded, "=" whole, "+" joined, "?" filler, "N:" a field, "~N" typos; then #genre @years. */
static const char *shown(const struct index_query *query)
{
    static const char *const fields[] = {"", "name:", "by:", "on:"};
    static char text[2048];
    size_t length = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < query->asked_count; i++) {
        const struct index_asked *asked = &query->asked[i];
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s%s%s%s%s",
                                   i > 0 ? " " : "", fields[asked->field + 1],
                                   asked->excluded ? "-" : "", asked->whole ? "=" : "",
                                   asked->joined ? "+" : "", asked->filler ? "?" : "");
        for (unsigned form = 0; form < asked->form_count; form++) {
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s",
                                       form > 0 ? "|" : "", asked->forms[form]);
        }
        if (asked->typos_max > 0) {
            length +=
                (size_t)snprintf(text + length, sizeof text - length, "~%u", asked->typos_max);
        }
    }
    if (query->genre != NULL) {
        length += (size_t)snprintf(text + length, sizeof text - length, " #%s", query->genre);
    }
    if (query->without_genre != NULL) {
        length +=
            (size_t)snprintf(text + length, sizeof text - length, " -#%s", query->without_genre);
    }
    if (query->without_first != 0) {
        length += (size_t)snprintf(text + length, sizeof text - length, " -@%d-%d",
                                   query->without_first, query->without_last);
    }
    if (query->year_first != 0) {
        (void)snprintf(text + length, sizeof text - length, " @%d-%d", query->year_first,
                       query->year_last);
    }
    return text;
}

static const struct {
    const char *typed, *asked;
    bool asks;
} rows[] = {
    {"", "", false},
    {" \t ", "", false},
    {"love", "love~1", true},
    {"Mötley", "motley|moetley~1", true},
    {"bohemian rhapsody", "bohemian~2 rhapsody~2", true},
    {"the beatles", "?the beatles~1", true},
    {"the the", "the~1 the~1", true},
    {"1999 b4", "1999 b4", true},
    {"\"the wall\"", "=the =+wall", true},
    {"\"open", "=open", true},
    {"\"\"", "", false},
    {"-live", "-live~1", false},
    {"queen -live", "queen~1 -live~1", true},
    {"live - remastered", "live~1 remastered~2", true},
    {"the *", "the", true},
    {"\"* +\"", "=*+", true},
    {"- -", "--", true}, /* signs, as names have them: joined */
    {"artist:queen boh", "by:queen~1 boh~1", true},
    {"boh", "boh", true},
    {"love - live", "love~1 live~1", true},
    {"ARTIST:\"the who\" album:tommy title:go", "by:=the by:=+who on:tommy~1 name:go", true},
    {"artist:", "", false},
    {"genre:Hip-Hop", " #hip hop", true},
    {"genre:", "", false},
    {"love year:1990", "love~1 @1990-1990", true},
    {"year:1990-1999", " @1990-1999", true},
    {"year:19", "", false},
    {"year:1990-", "", false},
    {"year:1999-1990", "", false},
    {"love -genre:Rock -year:1990-1999", "love~1 -#rock -@1990-1999", true},
    {"-genre:rock", " -#rock", false},
    {"-year:19 genre:jazz", " #jazz", true},
    {"“the wall”", "=the =+wall", true},
    {"„the wall“", "=the =+wall", true},
    {"artist:«the who»", "by:=the by:=+who", true},
    {"“", "", false},
    {"year:0001-9999", " @1-201", true},
};

static void queries_are_taken_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *arena = arena_new(0);
        struct index_query query;
        assert_int_equal(query_read(arena, rows[i].typed, &query), 0);
        assert_string_equal(shown(&query), rows[i].asked);
        assert_int_equal(query_asks(&query), rows[i].asks);
        arena_free(arena);
    }
}

static void too_many_words_are_cut(void **state)
{
    (void)state;
    char text[200] = "";
    for (unsigned i = 0; i < 60; i++) {
        (void)strcat(text, "ab ");
    }
    struct arena *arena = arena_new(0);
    struct index_query query;
    assert_int_equal(query_read(arena, text, &query), 0);
    assert_int_equal(query.asked_count, INDEX_ASKED_MAX);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_are_taken_apart),
        cmocka_unit_test(too_many_words_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
