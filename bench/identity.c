/* What identity's hot paths cost: a token verified and found, a log-in beside its bare hash.
 *
 *   ninja -C build bench/bench_identity && build/bench/bench_identity
 *
 * One line a figure, in CPU time of the process, so that neighbours on the machine count little.
 * Threads: as many as hash at once (2). */
#include "backend/bus/bus.h"
#include "backend/db/db.h"
#include "base/clock.h"
#include "base/id.h"
#include "service/identity/identity_private.h"
#include "service/identity/keys.h"
#include "service/identity/passwords.h"
#include "service/identity/token.h"
#include "service/identity/token_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 2, ISSUED = 20000, VERIFIED = 20000, FOUND = 5000000, HASHES = 60, LOG_INS = 60 };

#define PASSWORD "correct horse battery"

static struct identity *identity;

static int64_t cpu_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static double seconds_since(int64_t begin_us)
{
    return (double)(cpu_us() - begin_us) / 1e6;
}

static void check(int error, const char *what)
{
    if (error != 0) {
        (void)fprintf(stderr, "%s failed: %d\n", what, error);
        exit(1);
    }
}

static void say(const char *what, int count, double seconds)
{
    (void)printf("%-44s %12.1f ns  %12.0f /CPU-s\n", what, seconds * 1e9 / count, count / seconds);
}

static const char *bench_issue(struct arena *arena)
{
    const char *text = NULL;
    int64_t begin_us = cpu_us();
    for (int i = 0; i < ISSUED; i++) {
        struct token_claims claims = {.user_id = id_next(),
                                      .session_id = id_next(),
                                      .roles = ROLE_LISTENER,
                                      .plan = "premium"};
        check(token_issue(identity->keys, identity->public_url, &claims, arena, &text), "issue");
    }
    say("access token issued", ISSUED, seconds_since(begin_us));
    return text;
}

static void bench_verify(const char *text)
{
    struct token_claims claims;
    const char *why;
    size_t length = strlen(text);
    int64_t begin_us = cpu_us();
    for (int i = 0; i < VERIFIED; i++) {
        check(token_verify(identity->keys, identity->public_url, text, length, clock_wall_ms(),
                           &claims, &why),
              "verify");
    }
    say("access token verified (miss)", VERIFIED, seconds_since(begin_us));
    (void)token_cache_keep(identity->tokens, token_cache_tag(identity->tokens, text, length),
                           &claims);
}

static void *find_many(void *argument)
{
    const char *text = argument;
    struct token_claims claims;
    size_t length = strlen(text);
    for (int i = 0; i < FOUND; i++) {
        struct token_tag tag = token_cache_tag(identity->tokens, text, length);
        check(!token_cache_find(identity->tokens, tag, clock_wall_ms(), &claims), "find");
    }
    return NULL;
}

static void bench_find(const char *text)
{
    int64_t begin_us = cpu_us();
    (void)find_many((void *)(uintptr_t)text);
    say("access token found (hit), one thread", FOUND, seconds_since(begin_us));
    pthread_t threads[THREADS];
    begin_us = cpu_us();
    for (int i = 0; i < THREADS; i++) {
        check(pthread_create(&threads[i], NULL, find_many, (void *)(uintptr_t)text), "thread");
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    say("the same token by two threads, both", THREADS * FOUND, seconds_since(begin_us));
    (void)printf("%-44s %12zu bytes\n", "its length", strlen(text));
}

static void *hash_many(void *argument)
{
    char hash[PASSWORD_HASH_SIZE];
    (void)argument;
    for (int i = 0; i < HASHES / THREADS; i++) {
        check(passwords_hash(PASSWORD, hash), "hash");
    }
    return NULL;
}

static void *log_in_many(void *argument)
{
    struct call call = {.arena = arena_new(0)};
    struct visitor visitor = {.address = "192.0.2.1", .user_agent = "bench"};
    for (int i = 0; i < LOG_INS / THREADS; i++) {
        struct signed_in in;
        check(session_log_in(identity, &call, argument, PASSWORD, &visitor, &in), "log in");
        arena_reset(call.arena);
    }
    arena_free(call.arena);
    return NULL;
}

static void bench_threads(const char *what, int count, void *(*run)(void *), void *argument)
{
    pthread_t threads[THREADS];
    int64_t begin_us = cpu_us();
    for (int i = 0; i < THREADS; i++) {
        check(pthread_create(&threads[i], NULL, run, argument), "thread");
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    say(what, count, seconds_since(begin_us));
}

int main(void)
{
    char directory[] = "/tmp/tutti-bench-identity-XXXXXX", url[128], keys[128], command[128];
    struct db *db = NULL;
    struct bus *bus = NULL;
    struct problem problem = {0};
    struct call call = {.arena = arena_new(256 << 20)};
    int64_t user_id = 0;
    if (mkdtemp(directory) == NULL) {
        return 1;
    }
    (void)snprintf(url, sizeof url, "sqlite:%s/users.db", directory);
    (void)snprintf(keys, sizeof keys, "%s/keys", directory);
    id_init(1, 0);
    check(db_open(url, "users", &db, &problem), "db");
    check(bus_open("local:", &bus, &problem), "bus");
    check(bus_attach(bus, db, &problem), "outbox");
    const struct identity_config config = {.users = db,
                                           .keys_path = keys,
                                           .data_path = directory,
                                           .public_url = "http://localhost:4040",
                                           .default_plan = "premium"};
    check(identity_open(&config, &identity, &problem), "identity");
    check(identity_user_add(identity, &call, "bench", NULL, ROLE_LISTENER, PASSWORD, &user_id),
          "user");
    const char *text = bench_issue(call.arena);
    bench_verify(text);
    bench_find(text);
    bench_threads("Argon2id alone, two threads", HASHES, hash_many, NULL);
    bench_threads("log-ins, two threads", LOG_INS, log_in_many, (void *)(uintptr_t) "bench");
    identity_close(identity);
    bus_close(bus);
    db_close(db);
    arena_free(call.arena);
    (void)snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}
