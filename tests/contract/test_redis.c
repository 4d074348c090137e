/* The client of Redis (backend/redis/redis.h) and what stands on it: shared rate limits, boards,
 * whose write was last. The Redis is one of tests/engines/redis.py.
 */
#include "contract.h"

#include "backend/redis/board.h"
#include "backend/redis/redis.h"
#include "backend/redis/redis_rates.h"
#include "backend/redis/seen.h"
#include "net/metrics.h"

#include <hiredis/hiredis.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

static const char *url(void)
{
    return getenv("TUTTI_TEST_REDIS_URL");
}

static struct redis *open_it(void)
{
    struct redis *redis = NULL;
    struct problem problem = {0};
    if (redis_open(url(), &redis, &problem) != 0) {
        fail_msg("%s", problem.detail);
    }
    assert_true(redis_is_up(redis, &problem));
    return redis;
}

/* The URL with something of it replaced. */
static const char *url_with(const char *what, const char *by)
{
    static char changed[512];
    const char *at = strstr(url(), what);
    assert_non_null(at);
    (void)snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - url()), url(), by,
                   at + strlen(what));
    return changed;
}

static void assert_refused(const char *address, int error, const char *words)
{
    struct redis *redis = NULL;
    struct problem problem = {0};
    assert_int_equal(redis_open(address, &redis, &problem), error);
    assert_null(redis);
    assert_non_null(strstr(problem.detail, words));
    assert_null(strchr(problem.detail, '\n'));
    assert_null(strstr(problem.detail, "for-tests"));
    assert_null(strstr(problem.detail, "secret"));
}

static void mistakes_stop_the_start(void **state)
{
    (void)state;
    assert_refused("redis://:secret@127.0.0.1:port", ERR_INVALID, "port");
    assert_refused(url_with("for-tests%3Aonly%401", "secret"), ERR_FORBIDDEN, "password is wrong");
    assert_refused(url_with(":for-tests%3Aonly%401@", ""), ERR_FORBIDDEN, "wants a password");
    assert_refused(url_with(":for-tests", "somebody:for-tests"), ERR_FORBIDDEN, "user");
    assert_refused(url_with("/1?", "/4711?"), ERR_INVALID, "database 4711");
    assert_refused(url_with("timeout_ms", "sentinel=main&timeout_ms"), ERR_INVALID, "Sentinel");
}

static void commands_and_scripts(void **state)
{
    (void)state;
    static const struct redis_script twice = {"return ARGV[1] .. ARGV[1]"};
    struct redis *redis = open_it();
    REDIS_REPLY answer = NULL;
    assert_int_equal(redis_ask(redis, NULL, "SET test:a %b", "x\0y", (size_t)3), 0);
    assert_int_equal(redis_ask(redis, &answer, "GET test:a"), 0);
    assert_int_equal(answer->len, 3);
    assert_memory_equal(answer->str, "x\0y", 3);
    const char *word = "ab";
    const size_t length = 2;
    const struct redis_words words = {&word, &length, 1};
    for (int i = 0; i < 3; i++) {
        REDIS_REPLY said = NULL;
        assert_int_equal(redis_run(redis, &said, &twice, 0, &words), 0);
        assert_string_equal(said->str, "abab");
        if (i == 1) { /* forgotten: it is sent again */
            assert_int_equal(redis_ask(redis, NULL, "SCRIPT FLUSH"), 0);
        }
    }
    assert_int_equal(redis_ask(redis, NULL, "NOSUCHCOMMAND"), ERR_INTERNAL);
    assert_true(redis_is_up(redis, NULL));
    redis_close(redis);
    redis_close(NULL);
}

/* A name may have addresses where nobody listens (localhost: ::1 and 127.0.0.1); Redis listens on
 * one. */
static void names_are_resolved(void **state)
{
    (void)state;
    struct redis *redis = NULL;
    struct problem problem = {0};
    assert_int_equal(redis_open(url_with("127.0.0.1", "localhost"), &redis, &problem), 0);
    assert_true(redis_is_up(redis, &problem));
    assert_int_equal(redis_ask(redis, NULL, "PING"), 0);
    redis_close(redis);
    assert_int_equal(redis_open("redis://no..name", &redis, &problem), 0);
    assert_false(redis_is_up(redis, &problem));
    assert_non_null(strstr(problem.detail, "no..name"));
    redis_close(redis);
}

static void an_acl_that_lacks_something_says_so(void **state)
{
    (void)state;
    struct redis *redis = open_it(), *weak = NULL;
    struct problem problem = {0};
    assert_int_equal(
        redis_ask(redis, NULL, "ACL SETUSER weak on >for-tests ~tutti:* +hello +select +get"), 0);
    assert_int_equal(
        redis_open(url_with(":for-tests%3Aonly%401", "weak:for-tests"), &weak, &problem), 0);
    assert_int_equal(redis_ask(weak, NULL, "GET tutti:x"), 0);
    assert_int_equal(redis_ask(weak, NULL, "SET tutti:x y"), ERR_FORBIDDEN);
    assert_int_equal(redis_ask(weak, NULL, "GET elsewhere"), ERR_FORBIDDEN);
    redis_close(weak);
    redis_close(redis);
}

/* ---- rates ---- */

static void buckets_are_added_up(void **state)
{
    (void)state;
    struct redis *one = open_it(), *other = open_it();
    struct rates_spent mine[] = {{.key = 1, .spent_us = 60000000}, {.key = 2, .spent_us = 1}};
    struct rates_spent theirs[] = {{.key = 1, .spent_us = 60000000}};
    assert_int_equal(redis_rates_exchange(one, mine, 2), 0);
    assert_int_equal(redis_rates_exchange(other, theirs, 1), 0);
    assert_int_equal(mine[0].debt_us, 60000000);
    assert_in_range(theirs[0].debt_us, 60000001, 120000000);
    REDIS_REPLY life = NULL;
    assert_int_equal(redis_ask(one, &life, "PTTL tutti:rate:0000000000000001"), 0);
    assert_in_range(life->integer, 60000, 120001);
    redis_close(other);
    redis_close(one);
}

static int64_t exchanges(void)
{
    return metric_value(metric_get(METRIC_COUNTER, "tutti_rate_exchanges_total", "", ""));
}

/* Two processes' tables over one Redis. What each lets in, turn by turn, each told before the next,
 * is together one bucket and what was let in before the other heard of it. */
static void tables_limit_together(void **state)
{
    (void)state;
    enum { BURST = 100, KEY = 4711 };
    const struct rate rate = {.per_minute = 1, .burst = BURST};
    struct redis *redis[2] = {open_it(), open_it()};
    struct rates *tables[2];
    int allowed = 0;
    for (int i = 0; i < 2; i++) {
        tables[i] = rates_new(1024);
        assert_int_equal(rates_join(tables[i], redis_rates_exchange, redis[i]), 0);
    }
    for (int i = 0; i < 400; i++) {
        int64_t before = exchanges();
        struct rate_verdict verdict =
            rates_take(tables[i % 2], KEY, &rate, RATES_WHOLE, clock_monotonic_us());
        allowed += verdict.allowed;
        for (int wait = 0; wait < 5000 && verdict.allowed && exchanges() == before; wait++) {
            pause_ms(1);
        }
    }
    /* Alone, each would let in BURST. */
    assert_in_range(allowed, BURST, BURST + BURST / 2);
    struct rate_verdict last = rates_take(tables[0], KEY, &rate, RATES_WHOLE, clock_monotonic_us());
    assert_false(last.allowed);
    assert_int_equal(last.remaining, 0);
    assert_true(last.reset_s > 60 * (BURST - 1));
    for (int i = 0; i < 2; i++) {
        rates_free(tables[i]);
        redis_close(redis[i]);
    }
}

/* ---- seen ---- */

static void the_last_write_is_known(void **state)
{
    (void)state;
    struct redis *redis = open_it();
    int64_t position = -1;
    assert_int_equal(seen_ask(NULL, "catalog", 5, &position), ERR_UNAVAILABLE);
    assert_int_equal(seen_note(redis, "catalog", 5, 99), 0);
    assert_int_equal(seen_note(redis, "catalog", 5, 1000), 0);
    assert_int_equal(seen_note(redis, "catalog", 5, 999), 0);
    assert_int_equal(seen_ask(redis, "catalog", 5, &position), 0);
    assert_int_equal(position, 1000);
    /* Of the others nothing is known as long as a note may have been lost. */
    assert_int_equal(seen_ask(redis, "users", 5, &position), ERR_UNAVAILABLE);
    assert_int_equal(seen_ask(redis, "catalog", 6, &position), ERR_UNAVAILABLE);
    redis_close(redis);
}

/* ---- boards ---- */

struct listener {
    struct board *board;
    pthread_mutex_t lock;
    char heard[8][BOARD_NOTICE_MAX];
    int count, reminded;
    int64_t until_ms;
    const char *knows; /* reminded of it */
};

static void hear(void *context, const char *notice)
{
    struct listener *listener = context;
    (void)pthread_mutex_lock(&listener->lock);
    if (listener->count < 8) {
        (void)snprintf(listener->heard[listener->count++], BOARD_NOTICE_MAX, "%s", notice);
    }
    (void)pthread_mutex_unlock(&listener->lock);
}

static void remind(void *context)
{
    struct listener *listener = context;
    if (listener->knows != NULL) {
        board_post(listener->board, listener->knows, listener->until_ms);
    }
    (void)pthread_mutex_lock(&listener->lock);
    listener->reminded++;
    (void)pthread_mutex_unlock(&listener->lock);
}

static bool has(struct listener *listener, const char *notice)
{
    bool found = false;
    (void)pthread_mutex_lock(&listener->lock);
    for (int i = 0; i < listener->count; i++) {
        found = found || strcmp(listener->heard[i], notice) == 0;
    }
    (void)pthread_mutex_unlock(&listener->lock);
    return found;
}

static void wait_for(struct listener *listener, const char *notice)
{
    for (int i = 0; i < 2000 && !has(listener, notice); i++) {
        pause_ms(5);
    }
    assert_true(has(listener, notice));
}

static int reminders(struct listener *listener)
{
    (void)pthread_mutex_lock(&listener->lock);
    int count = listener->reminded;
    (void)pthread_mutex_unlock(&listener->lock);
    return count;
}

/* Attached: from here on it hears what is posted. */
static void listen_to(struct listener *listener, struct redis *redis, const char *name)
{
    const struct board_config config = {
        .redis = redis, .name = name, .context = listener, .heard = hear, .remind = remind};
    (void)pthread_mutex_init(&listener->lock, NULL);
    listener->until_ms = clock_wall_ms() + 60000;
    assert_int_equal(board_open(&config, &listener->board), 0);
    for (int i = 0; i < 2000 && reminders(listener) == 0; i++) {
        pause_ms(5);
    }
    assert_int_equal(reminders(listener), 1);
}

static void notices_are_heard_by_all_and_kept(void **state)
{
    (void)state;
    struct redis *redis = open_it();
    struct listener one = {.count = 0}, other = {.count = 0}, late = {.count = 0};
    listen_to(&one, redis, "test-all");
    listen_to(&other, redis, "test-all");
    board_post(one.board, "kept 1", clock_wall_ms() + 60000);
    board_post(one.board, "passing", 0);
    board_post(NULL, "nowhere", 0);
    wait_for(&other, "kept 1");
    wait_for(&other, "passing");
    assert_false(has(&one, "passing")); /* its own */
    listen_to(&late, redis, "test-all");
    assert_true(has(&late, "kept 1"));
    assert_false(has(&late, "passing"));
    board_post(late.board, "over", clock_wall_ms() + 1);
    pause_ms(5);
    struct listener later = {.count = 0};
    listen_to(&later, redis, "test-all");
    assert_true(has(&later, "kept 1"));
    assert_false(has(&later, "over"));
    board_close(later.board);
    board_close(late.board);
    board_close(other.board);
    board_close(one.board);
    board_close(NULL);
    redis_close(redis);
}

/* A Redis that lost everything is told again by those who know. */
static void what_redis_lost_is_posted_again(void **state)
{
    (void)state;
    struct redis *redis = open_it();
    struct listener one = {.knows = "known"}, late = {.count = 0};
    listen_to(&one, redis, "test-lost");
    assert_int_equal(redis_ask(redis, NULL, "DEL tutti:test-lost"), 0);
    assert_int_equal(redis_ask(redis, NULL, "CLIENT KILL TYPE pubsub"), 0);
    for (int i = 0; i < 2000 && reminders(&one) < 2; i++) {
        pause_ms(5);
    }
    listen_to(&late, redis, "test-lost");
    assert_true(has(&late, "known"));
    board_close(late.board);
    board_close(one.board);
    redis_close(redis);
}

/* ---- away ---- */

static void signal_redis(int number)
{
    assert_int_equal(kill((pid_t)atoi(getenv("TUTTI_TEST_REDIS_PID")), number), 0);
}

static void wait_until(struct redis *redis, bool up)
{
    for (int i = 0; i < 3000 && redis_is_up(redis, NULL) != up; i++) {
        pause_ms(10);
    }
    assert_int_equal(redis_is_up(redis, NULL), up);
}

/* One that hangs: a few calls wait for it, then none does, until it is back. */
static void one_that_hangs_costs_nothing_after_a_while(void **state)
{
    (void)state;
    struct redis *redis = NULL;
    struct problem problem = {0};
    assert_int_equal(redis_open(url_with("timeout_ms=2000", "timeout_ms=200"), &redis, &problem),
                     0);
    uint64_t epoch = redis_epoch(redis);
    signal_redis(SIGSTOP);
    int slow = 0;
    for (int i = 0; i < 1000; i++) {
        int64_t began_ms = clock_monotonic_ms();
        assert_int_equal(redis_ask(redis, NULL, "PING"), ERR_UNAVAILABLE);
        slow += clock_monotonic_ms() - began_ms >= 150;
    }
    assert_in_range(slow, 1, 20);
    signal_redis(SIGCONT);
    wait_until(redis, true);
    assert_int_equal(redis_ask(redis, NULL, "PING"), 0);
    assert_true(redis_epoch(redis) > epoch);
    redis_close(redis);
}

static void one_that_is_gone_is_no_error(void **state)
{
    (void)state;
    struct redis *redis = open_it(), *later = NULL;
    struct listener listener = {.count = 0};
    struct problem problem = {0};
    listen_to(&listener, redis, "test-gone");
    signal_redis(SIGKILL);
    int64_t position = 0;
    for (int i = 0; i < 100; i++) {
        struct rates_spent spent = {.key = 1, .spent_us = 1};
        assert_int_not_equal(redis_rates_exchange(redis, &spent, 1), 0);
        assert_int_not_equal(seen_ask(redis, "catalog", 5, &position), 0);
    }
    wait_until(redis, false);
    assert_int_equal(redis_open(url(), &later, &problem), 0);
    assert_false(redis_is_up(later, &problem));
    assert_non_null(strstr(problem.detail, "127.0.0.1"));
    board_close(listener.board);
    redis_close(later);
    redis_close(redis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_stop_the_start),
        cmocka_unit_test(commands_and_scripts),
        cmocka_unit_test(names_are_resolved),
        cmocka_unit_test(an_acl_that_lacks_something_says_so),
        cmocka_unit_test(buckets_are_added_up),
        cmocka_unit_test(tables_limit_together),
        cmocka_unit_test(the_last_write_is_known),
        cmocka_unit_test(notices_are_heard_by_all_and_kept),
        cmocka_unit_test(what_redis_lost_is_posted_again),
        cmocka_unit_test(one_that_hangs_costs_nothing_after_a_while),
        cmocka_unit_test(one_that_is_gone_is_no_error), /* the last: it kills it */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
