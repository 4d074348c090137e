/* What a Redis or a Sentinel says, in RESP as it comes: "c" a look at a primary, "s" one by its
 * Sentinels, a line "====" between connections; "a" what is asked of it for positions, rates and
 * the cache, answer by answer; "b" notices. Whatever it is, a link is good or refused in words
 * without the password; a Sentinel's primary is a host and a port; the cache takes nothing that was
 * not put with our secret; a notice is of its length and another's.
 *
 * Covers: src/backend/redis/redis_link.c src/backend/redis/redis_check.c src/backend/redis/seen.c
 * src/backend/redis/redis_rates.c src/backend/redis/board.c src/backend/cache/cache_shared.c */
#include "backend/redis/redis.h"
#include "backend/redis/redis_check.h"
#include "backend/redis/redis_rates.h"
#include "backend/redis/seen.h"
#include "base/mem.h"
#include "base/problem.h"
#include "fuzz.h"

#include <hiredis/hiredis.h>
#include <sys/socket.h>

static struct {
    const char *at, *end; /* of what was not said yet */
    redisReader *reader;  /* of answers */
    struct redis_place primary;
    int peer; /* 0: no connection is open */
} said;

/* A connection to nobody, whose other end has said what the input holds for it and closed. */
static redisContext *fuzz_connect(const char *host, int port, struct timeval timeout)
{
    static const char line[] = "\n====\n";
    int pair[2];
    (void)timeout;
    said.primary.port = (unsigned)port;
    (void)snprintf(said.primary.host, sizeof said.primary.host, "%s", host);
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    size_t left = (size_t)(said.end - said.at);
    const char *found = memmem(said.at, left, line, sizeof line - 1);
    size_t length = found != NULL ? (size_t)(found - said.at) : left;
    FUZZ_CHECK(send(pair[1], said.at, length, MSG_NOSIGNAL) == (ssize_t)length);
    FUZZ_CHECK(shutdown(pair[1], SHUT_WR) == 0);
    /* Kept open for what we say: it is read by nobody. */
    said.at += length + (found != NULL ? sizeof line - 1 : 0);
    redisContext *context = redisConnectFd(pair[0]);
    FUZZ_CHECK(context != NULL && said.peer == 0); /* one at a time */
    said.peer = pair[1];
    return context;
}

static void fuzz_disconnect(redisContext *context)
{
    FUZZ_CHECK(close(said.peer) == 0);
    said.peer = 0;
    redisFree(context);
}

/* The next answer. Errors as redis_ask's. */
static int fuzz_ask(redisReply **ret_reply);
#define redisConnectWithTimeout fuzz_connect
#define redisFree               fuzz_disconnect
#include "backend/redis/redis_link.c" /* NOLINT(bugprone-suspicious-include) */
#undef redisFree
#define redis_ask(redis, ret_reply, ...) ((void)(redis), fuzz_ask(ret_reply))
#define redis_run(redis, ret_reply, script, n, all)                                                \
    ((void)(redis), (void)(all), (void)(script), fuzz_ask(ret_reply))
#define redis_ask_words(redis, ret_reply, all) ((void)(redis), (void)(all), fuzz_ask(ret_reply))
#define redis_epoch_age_ms(redis)              ((void)(redis), (int64_t)SEEN_MS)
#define redis_epoch(redis)                     ((void)(redis), (uint64_t)1)
#include "backend/redis/seen.c" /* NOLINT(bugprone-suspicious-include) */
#define KEY_SIZE    RATES_KEY_SIZE
#define NUMBER_SIZE RATES_NUMBER_SIZE
#include "backend/redis/redis_rates.c" /* NOLINT(bugprone-suspicious-include) */
#undef KEY_SIZE
#define KEY_SIZE BOARD_KEY_SIZE
#include "backend/redis/board.c" /* NOLINT(bugprone-suspicious-include) */
#undef KEY_SIZE
#define KEY_SIZE CACHE_KEY_SIZE
#define find     cache_find
#define ask      cache_ask
#define look     cache_look
#include "backend/cache/cache_shared.c" /* NOLINT(bugprone-suspicious-include) */
#undef find
#undef ask
#undef look

static int fuzz_ask(redisReply **ret_reply)
{
    redisReply *reply = NULL;
    if (redisReaderGetReply(said.reader, (void **)&reply) != REDIS_OK || reply == NULL) {
        return ERR_UNAVAILABLE;
    }
    int error = redis_answer_error(reply);
    if (error != 0 || ret_reply == NULL) {
        freeReplyObject(reply);
    } else {
        *ret_reply = reply;
    }
    return error;
}

static void look(const char *url)
{
    struct redis_report report = {.answer_us = 0};
    struct problem problem = {0};
    int error = redis_check(url, &report, &problem);
    FUZZ_CHECK(error == 0 || (error < 0 && problem.detail[0] != '\0'));
    FUZZ_CHECK(strstr(problem.detail, "S3CRET") == NULL);
    if (error == 0) {
        FUZZ_CHECK(said.primary.host[0] != '\0');
        FUZZ_CHECK(said.primary.port >= 1 && said.primary.port <= 65535);
        FUZZ_CHECK(memchr(report.version, '\0', sizeof report.version) != NULL);
    }
}

static void answers(void)
{
    enum { SPENT = 3 };
    struct redis *redis = (struct redis *)&said; /* only asked whether there is one */
    int64_t position = 0;
    struct rates_spent spent[SPENT] = {{.key = 1}, {.key = 2}, {.key = 3}};
    struct cache_finding finding = {.bytes = NULL};
    struct cache_shared shared = {.redis = redis, .prefix = "tutti:cache:", .epoch = 1};
    for (unsigned i = 0; i < 3; i++) {
        if (seen_ask(redis, "catalog", 7, &position) == 0) {
            FUZZ_CHECK(position >= 0);
        }
        (void)redis_rates_exchange(redis, spent, SPENT);
        enum cache_found found = cache_shared_find(&shared, "k", &finding);
        FUZZ_CHECK(found != CACHE_ENTRY && finding.bytes == NULL);
        if (found == CACHE_LEASE) {
            cache_shared_put(&shared, "k", &finding.lease, "v", 1, 1000);
        }
    }
}

static void hear_notice(void *context, const char *notice)
{
    (void)context;
    FUZZ_CHECK(strlen(notice) <= BOARD_NOTICE_MAX);
}

static void notices(void)
{
    struct board board = {.config = {.redis = (struct redis *)&said, .heard = hear_notice},
                          .key = "tutti:x",
                          .origin = "0123456789abcdef"};
    (void)read_set(&board);
    redisReply *reply = NULL;
    while (redisReaderGetReply(said.reader, (void **)&reply) == REDIS_OK && reply != NULL) {
        take_message(&board, reply);
        freeReplyObject(reply);
        reply = NULL;
    }
}

/* hiredis takes memory for a list by its head, before any of it came, and has no limit to set, so
 * that is not looked for here. */
static bool has_large_list(const char *text, size_t size)
{
    enum { DIGITS_MAX = 6 };
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '*' && strspn(text + i + 1, "0123456789") > DIGITS_MAX) {
            return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    char *text = fuzz_text(data + 1, size - 1);
    if (has_large_list(text, size - 1)) {
        free(text);
        return 0;
    }
    said.at = text;
    said.end = text + size - 1;
    if (data[0] == 'c') {
        look("redis://tutti:S3CRET@127.0.0.1:6379/3");
    } else if (data[0] == 's') {
        look("redis://:S3CRET@127.0.0.1,127.0.0.2/0?sentinel=main");
    } else {
        said.reader = redisReaderCreate();
        FUZZ_CHECK(said.reader != NULL);
        FUZZ_CHECK(redisReaderFeed(said.reader, text, size - 1) == REDIS_OK);
        data[0] == 'a' ? answers() : notices();
        redisReaderFree(said.reader);
    }
    free(text);
    return 0;
}
