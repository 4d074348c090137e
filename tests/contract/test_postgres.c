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

/* ---- Who lives ---- */

/* The first value of a statement's first row, -1 for none. */
static int64_t ask(PGconn *server, const char *sql)
{
    PGresult *result = PQexec(server, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        fail_msg("%s: %s", sql, PQerrorMessage(server));
    }
    int64_t value = PQntuples(result) > 0 ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : -1;
    PQclear(result);
    return value;
}

/* The session that has a mark of this database. */
#define HOLDER                                                                                     \
    "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"            \
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"             \
    " AND pid <> pg_backend_pid()"

/* The watcher's session, when it has looked at the transactions since it came; not that one: */
#define NEW_SESSION                                                                                \
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"                          \
    " AND strpos(query, 'SELECT pg_snapshot_xmin') = 1 AND pid <> "

static int64_t wait_for(PGconn *server, const char *sql)
{
    int64_t deadline_ms = clock_monotonic_ms() + WAIT_MS, found;
    while ((found = ask(server, sql)) < 0) {
        if (clock_monotonic_ms() > deadline_ms) {
            fail_msg("nothing came of: %s", sql);
        }
        pause_ms(5);
    }
    return found;
}

/* After a cut in the network a server keeps the session it can't reach, and its locks, for a while.
 * Here another session stands for that one: it waits for the lock before the first one ends. */
static void who_was_cut_off_lives_again(void **state)
{
    enum { MARK = 4711 };
    const struct place *place = *state;
    struct db *db = open_db(place);
    assert_int_equal(db_alive_mark(db, MARK), 0);
    PGconn *server = PQconnectdb(place->url), *dead = PQconnectdb(place->url);
    int64_t first = wait_for(server, HOLDER);
    char sql[512];
    assert_int_equal(PQsendQuery(dead, "SELECT pg_advisory_lock(4711)"), 1);
    (void)wait_for(server, "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
    (void)snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%lld)", (long long)first);
    (void)ask(server, sql);
    (void)snprintf(sql, sizeof sql, NEW_SESSION "%lld", (long long)first);
    int64_t second = wait_for(server, sql);
    assert_int_equal(ask(server, HOLDER), PQbackendPID(dead)); /* the new one was refused */
    PQfinish(dead);
    (void)snprintf(sql, sizeof sql, HOLDER " AND pid = %lld", (long long)second);
    (void)wait_for(server, sql);
    struct db *other = open_db(place);
    assert_true(db_is_alive(other, MARK));
    assert_true(db_in_use(place->url));
    PQfinish(server);
    db_close(other);
    db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_place(who_starts_at_the_same_time_counts_alike),
        in_place(who_need_not_raise_counts_as_who_did),
        in_place(a_raise_that_is_run_again_is_kept),
        in_place(who_was_cut_off_lives_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
