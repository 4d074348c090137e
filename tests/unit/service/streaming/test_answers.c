/* service/streaming/answers: what is counted is written once, and the most asked for come first. */
#include "backend/db/db.h"
#include "base/error.h"
#include "base/problem.h"
#include "service/streaming/answers.h"
#include "service/streaming/streaming_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const int64_t day_ms = 24 * 3600 * 1000;
extern const struct db_migration streaming_migrations[];
extern const unsigned streaming_migration_count;

static struct db *open_db(void)
{
    struct problem problem = {0};
    struct db *db = NULL;
    assert_int_equal(db_open("sqlite::memory:", "catalog", &db, &problem), 0);
    assert_int_equal(db_migrate(db, streaming_migrations, streaming_migration_count, &problem), 0);
    return db;
}

struct top {
    int64_t since_day;
    int64_t ids[4];
    unsigned count;
};

static int ask_top(struct db_session *session, void *argument)
{
    struct top *top = argument;
    return answers_top(session, top->since_day, 4, top->ids, &top->count);
}

static struct top top_of(struct db *db, int64_t since_day)
{
    struct top top = {.since_day = since_day};
    assert_int_equal(db_read(db, ask_top, &top), 0);
    return top;
}

static void the_most_asked_for_come_first(void **state)
{
    (void)state;
    struct db *db = open_db();
    struct answers *answers = NULL;
    assert_int_equal(answers_new(&answers), 0);
    for (int64_t track = 1; track <= 5; track++) {
        for (int64_t i = 0; i < track; i++) {
            answers_count(answers, track << 20);
        }
    }
    assert_int_equal(answers_write(answers, db, 100 * day_ms), 0);
    struct top top = top_of(db, 100);
    assert_int_equal(top.count, 4);
    assert_int_equal(top.ids[0], 5 << 20);
    assert_int_equal(top.ids[3], 2 << 20);

    assert_int_equal(answers_write(answers, db, 100 * day_ms), 0); /* nothing is counted twice */
    for (int i = 0; i < 5; i++) {
        answers_count(answers, 1 << 20);
    }
    assert_int_equal(answers_write(answers, db, 101 * day_ms), 0);
    assert_int_equal(top_of(db, 100).ids[0], 1 << 20); /* 1 and 5 on two days */
    assert_int_equal(top_of(db, 101).count, 1);
    assert_int_equal(top_of(db, 102).count, 0);
    answers_count(NULL, 1);
    answers_free(answers);
    db_close(db);
}

static void more_tracks_than_fit_harm_nobody(void **state)
{
    (void)state;
    struct db *db = open_db();
    struct answers *answers = NULL;
    assert_int_equal(answers_new(&answers), 0);
    for (int64_t track = 1; track <= 20000; track++) {
        answers_count(answers, track);
    }
    answers_count(answers, 1);
    assert_int_equal(answers_write(answers, db, 0), 0);
    assert_int_equal(top_of(db, 0).ids[0], 1);
    answers_free(answers);
    db_close(db);
}

struct turn {
    int64_t now_ms;
    bool taken;
};

static int take(struct db_session *session, void *argument)
{
    struct turn *turn = argument;
    return turn_take(session, "test", turn->now_ms, 1000, &turn->taken);
}

static bool takes(struct db *db, int64_t now_ms)
{
    struct turn turn = {.now_ms = now_ms};
    assert_int_equal(db_write(db, take, &turn), 0);
    return turn.taken;
}

static void a_turn_is_taken_by_one(void **state)
{
    (void)state;
    struct db *db = open_db();
    assert_true(takes(db, 5000));
    assert_false(takes(db, 5000));
    assert_false(takes(db, 5999));
    assert_true(takes(db, 6000));
    assert_true(takes(db, 4000)); /* the clock was put back */
    assert_false(takes(db, 4999));
    db_close(db);
}

static int forget(struct db_session *session, void *argument)
{
    return answers_forget(session, *(const int64_t *)argument);
}

static void old_days_are_forgotten(void **state)
{
    (void)state;
    struct db *db = open_db();
    struct answers *answers = NULL;
    int64_t before = 11;
    assert_int_equal(answers_new(&answers), 0);
    answers_count(answers, 1);
    assert_int_equal(answers_write(answers, db, 10 * day_ms), 0);
    answers_count(answers, 2);
    assert_int_equal(answers_write(answers, db, 11 * day_ms), 0);
    assert_int_equal(db_write(db, forget, &before), 0);
    assert_int_equal(top_of(db, 0).count, 1);
    assert_int_equal(top_of(db, 0).ids[0], 2);
    answers_free(answers);
    db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_most_asked_for_come_first),
        cmocka_unit_test(more_tracks_than_fit_harm_nobody),
        cmocka_unit_test(a_turn_is_taken_by_one),
        cmocka_unit_test(old_days_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
