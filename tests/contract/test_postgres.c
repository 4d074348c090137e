/* What processes on one PostgreSQL must agree on: what their places count from, and who lives. */
#include "contract.h"

#include "backend/db/db.h"

enum { WAIT_MS = 60000 }; /* a bound, which an engine that works never comes near */

static struct db *open_db(const struct place *place)
{
    struct db *db = NULL;
    struct problem problem = {0};
    if (open_place(place->url, "test", &db, &problem) < 0) {
        fail_msg("%s", problem.detail);
    }
    return db;
}

static const char *database_of(const struct place *place)
{
    return strrchr(place->url, '/') + 1;
}

/* ---- Places ---- */

/* Above all that a young server counts, as events are that were made on an old one. */
static const int64_t restored = INT64_C(5000000) << 16;

static int take_place(struct db_session *session, void *argument)
{
    return db_place_next(session, argument);
}

static int64_t next_place(struct db *db)
{
    int64_t place = 0;
    assert_int_equal(db_write(db, take_place, &place), 0);
    return place;
}

static int read_settled(struct db_session *session, void *argument)
{
    return db_place_settled(session, argument);
}

static int64_t settled_place(struct db *db)
{
    int64_t place = 0;
    assert_int_equal(db_read(db, read_settled, &place), 0);
    return place;
}

/* Others' transactions, between two starts. */
static void burn_transactions(const struct place *place)
{
    for (int i = 0; i < 20; i++) {
        postgres_do(database_of(place), "SELECT pg_current_xact_id()");
    }
}

/* Each write later than the one before, now here, now there. */
static void assert_one_order(struct db *one, struct db *other, int64_t above)
{
    int64_t last = above;
    for (int i = 0; i < 6; i++) {
        int64_t place = next_place(i % 2 == 0 ? one : other);
        if (place <= last) {
            fail_msg("place %d is %lld, and %lld came before", i, (long long)place,
                     (long long)last);
        }
        last = place;
    }
    assert_true(settled_place(one) > last && settled_place(other) > last);
}

static void who_starts_at_the_same_time_counts_alike(void **state)
{
    struct db *one = open_db(*state), *other = open_db(*state);
    assert_int_equal(db_place_raise(one, restored), 0);
    burn_transactions(*state);
    assert_int_equal(db_place_raise(other, restored), 0);
    assert_one_order(one, other, restored);
    db_close(one);
    db_close(other);
}

static void who_need_not_raise_counts_as_who_did(void **state)
{
    struct db *one = open_db(*state), *other = open_db(*state);
    assert_int_equal(db_place_raise(one, restored), 0);
    burn_transactions(*state);
    assert_int_equal(db_place_raise(other, 0), 0);
    assert_one_order(one, other, restored);
    db_close(one);
    db_close(other);
}

/* The server undoes the first of them at its COMMIT, as it does with what is in others' way. */
static void a_raise_that_is_run_again_is_kept(void **state)
{
    struct db *one = open_db(*state);
    postgres_do(database_of(*state),
                "CREATE SEQUENCE raises;"
                "CREATE FUNCTION undo_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " IF nextval('raises') = 1 THEN RAISE 'again' USING ERRCODE = '40001'; END IF;"
                " RETURN NULL; END $$;"
                "CREATE CONSTRAINT TRIGGER undo_first AFTER INSERT OR UPDATE ON db_position"
                " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION undo_first()");
    assert_int_equal(db_place_raise(one, restored), 0);
    struct db *other = open_db(*state);
    assert_one_order(one, other, restored);
    db_close(one);
    db_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(who_starts_at_the_same_time_counts_alike),
        in_place(who_need_not_raise_counts_as_who_did),
        in_place(a_raise_that_is_run_again_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
