/* Fingerprints compared (print.h): near and far ones, shifted ones, what says too little. */
#include "service/ingest/prints/print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

enum { SILENCE = 627964279 };

static uint32_t seed;

static uint32_t draw(void)
{
    seed = seed * UINT32_C(1664525) + UINT32_C(1013904223);
    return seed ^ seed >> 15;
}

static struct print made(uint32_t piece, unsigned count)
{
    struct print print = {.count = count};
    seed = piece;
    for (unsigned i = 0; i < count; i++) {
        print.words[i] = draw();
    }
    return print;
}

/* Its like, begun so many words later, with about a share of 1/of of the bits turned. */
static struct print like(const struct print *print, unsigned shift, unsigned of)
{
    struct print other = {.count = print->count - shift};
    for (unsigned i = 0; i < other.count; i++) {
        other.words[i] = print->words[i + shift];
        for (unsigned bit = 0; of > 0 && bit < 32; bit++) {
            other.words[i] ^= (draw() >> 8) % of == 0 ? UINT32_C(1) << bit : 0;
        }
    }
    return other;
}

static unsigned shared(const struct print *a, const struct print *b)
{
    uint32_t left[PRINT_SKETCH], right[PRINT_SKETCH];
    unsigned count = print_sketch(a, left), other = print_sketch(b, right), both = 0;
    for (unsigned i = 0; i < count; i++) {
        for (unsigned k = 0; k < other; k++) {
            both += left[i] == right[k];
        }
    }
    return both;
}

static bool is_same(const struct print *a, const struct print *b)
{
    uint32_t kept[PRINT_KEPT_MAX];
    unsigned count = print_keep(b, kept);
    return print_is_same(a, kept, count);
}

static void its_like_is_found(void **state)
{
    (void)state;
    struct print print = made(1, 900);
    for (unsigned shift = 0; shift <= PRINT_SHIFT_MAX; shift += 7) {
        struct print other = like(&print, shift, 60);
        assert_true(is_same(&print, &other) && is_same(&other, &print));
        assert_true(shared(&print, &other) >= PRINT_SHARED_MIN);
    }
}

static void others_are_not(void **state)
{
    (void)state;
    struct print print = made(1, 900);
    for (uint32_t piece = 2; piece < 30; piece++) {
        struct print other = made(piece * 7919, 900);
        assert_false(is_same(&print, &other));
        assert_int_equal(shared(&print, &other), 0);
    }
    struct print far = like(&print, 0, 4); /* a quarter of the bits */
    assert_false(is_same(&print, &far));
    struct print begun = like(&print, 400, 0); /* half of it */
    begun.count = 200;
    assert_false(is_same(&print, &begun));
}

static void silence_says_nothing(void **state)
{
    (void)state;
    struct print silence = {.count = 900}, almost = made(1, 30), short_one = made(2, 20);
    uint32_t sketch[PRINT_SKETCH], kept[PRINT_KEPT_MAX];
    for (unsigned i = 0; i < silence.count; i++) {
        silence.words[i] = SILENCE;
    }
    for (; almost.count < 900; almost.count++) {
        almost.words[almost.count] = SILENCE;
    }
    assert_int_equal(print_sketch(&silence, sketch), 0);
    assert_int_equal(print_sketch(&almost, sketch), 0);
    assert_int_equal(print_sketch(&short_one, sketch), 0);
    assert_false(is_same(&silence, &silence));
    assert_false(is_same(&almost, &silence));
    struct print none = {.count = 0};
    assert_int_equal(print_sketch(&none, sketch), 0);
    assert_int_equal(print_keep(&none, kept), 0);
    assert_false(is_same(&none, &none));
    assert_false(is_same(&silence, &none));
}

static void the_sketch_is_in_order_and_each_word_once(void **state)
{
    (void)state;
    struct print print = made(3, PRINT_WORDS_MAX);
    uint32_t sketch[PRINT_SKETCH];
    memcpy(print.words + PRINT_WORDS_MAX / 2, print.words, sizeof print.words / 2);
    assert_int_equal(print_sketch(&print, sketch), PRINT_SKETCH);
    for (unsigned i = 1; i < PRINT_SKETCH; i++) {
        assert_true(sketch[i] > sketch[i - 1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_like_is_found),
        cmocka_unit_test(others_are_not),
        cmocka_unit_test(silence_says_nothing),
        cmocka_unit_test(the_sketch_is_in_order_and_each_word_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
