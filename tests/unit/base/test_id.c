/* base/id: strictly rising over threads and clock jumps; parsing refuses what is no id. */
#include "base/clock.h"
#include "base/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

enum { THREADS = 4, PER_THREAD = 50000 };

static int64_t made[THREADS][PER_THREAD];

static void *make(void *argument)
{
    int64_t *row = argument;
    for (int i = 0; i < PER_THREAD; i++) {
        row[i] = id_next();
    }
    return NULL;
}

static int compare(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void threads_never_share_one(void **state)
{
    (void)state;
    id_init(7, 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, make, made[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    int64_t *all = &made[0][0];
    qsort(all, THREADS * PER_THREAD, sizeof *all, compare);
    for (int i = 1; i < THREADS * PER_THREAD; i++) {
        assert_true(all[i] > all[i - 1]);
        assert_int_equal((all[i] >> 12) & 1023, 7);
    }
}

static void they_rise_when_the_clock_goes_back(void **state)
{
    (void)state;
    int64_t before = id_next();
    clock_wall_skew_ms(-3600 * 1000);
    int64_t after = id_next();
    clock_wall_skew_ms(3600 * 1000);
    assert_true(after > before);
    id_init(7, after + ((int64_t)1 << 40));
    assert_true(id_next() > after + ((int64_t)1 << 40));
}

static void parsing(void **state)
{
    (void)state;
    int64_t id = 0;
    assert_true(id_parse("9223372036854775807", &id));
    assert_int_equal(id, INT64_MAX);
    static const char *const bad[] = {
        "", "0", "-1", "+1", " 1", "1x", "01", "9223372036854775808", "00000000000000000000001"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(id_parse(bad[i], &id));
    }
    assert_false(id_parse(NULL, &id));
}

static void formatting(void **state)
{
    (void)state;
    static const struct {
        int64_t id;
        const char *text;
    } rows[] = {{0, "0"},
                {7, "7"},
                {-1, "-1"},
                {1000, "1000"},
                {INT64_MAX, "9223372036854775807"},
                {INT64_MIN, "-9223372036854775808"}};
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[ID_TEXT_SIZE];
        assert_string_equal(id_format(rows[i].id, text), rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_never_share_one),
        cmocka_unit_test(they_rise_when_the_clock_goes_back),
        cmocka_unit_test(parsing),
        cmocka_unit_test(formatting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
