/* The board of notices (board.h). One thread, one connection of its own. */
#include "backend/redis/board.h"

#include "backend/redis/redis.h"
#include "backend/redis/redis_link.h"
#include "base/clock.h"
#include "base/error.h"
#include "net/metrics.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LOOK_MS = 200, PING_MS = 1000, SILENCE_MS = 3000, KEY_SIZE = 64, ORIGIN_SIZE = 17 };

struct board {
    struct board_config config;
    char key[KEY_SIZE];
    char origin[ORIGIN_SIZE]; /* of this board, so that it does not hear itself */
    pthread_t thread;
    int end_fd; /* readable: the end */
    _Atomic bool unheard;
    struct metric *heard;
};

static const struct redis_script post = {
    "if ARGV[1] ~= '0' then\n"
    "  local time = redis.call('TIME')\n"
    "  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time[1] * 1000)\n"
    "  redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])\n"
    "  local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')\n"
    "  redis.call('PEXPIREAT', KEYS[1], last[2])\n"
    "end\n"
    "redis.call('PUBLISH', KEYS[1], ARGV[3] .. ' ' .. ARGV[2])\n"};

void board_post(struct board *board, const char *notice, int64_t until_ms)
{
    if (board == NULL) {
        return;
    }
    assert(strlen(notice) <= BOARD_NOTICE_MAX);
    char until[24];
    (void)snprintf(until, sizeof until, "%" PRId64, until_ms);
    const char *texts[] = {board->key, until, notice, board->origin};
    const size_t lengths[] = {strlen(board->key), strlen(until), strlen(notice),
                              strlen(board->origin)};
    const struct redis_words words = {texts, lengths, 4};
    if (redis_run(board->config.redis, NULL, &post, 1, &words) != 0 && until_ms != 0) {
        atomic_store(&board->unheard, true);
    }
}

/* ---- the thread ---- */

/* True: the end. */
static bool wait_ms(struct board *board, int ms)
{
    struct pollfd end = {.fd = board->end_fd, .events = POLLIN};
    return poll(&end, 1, ms) != 0;
}

static void hear(struct board *board, const char *notice)
{
    metric_add(board->heard, 1);
    board->config.heard(board->config.context, notice);
}

/* What is posted and holds. */
static int read_set(struct board *board)
{
    REDIS_REPLY reply = NULL;
    int error = redis_ask(board->config.redis, &reply, "ZRANGEBYSCORE %s %lld +inf", board->key,
                          (long long)clock_wall_ms());
    for (size_t i = 0; error == 0 && i < reply->elements; i++) {
        const redisReply *notice = reply->element[i];
        if (notice->type == REDIS_REPLY_STRING && notice->len <= BOARD_NOTICE_MAX) {
            hear(board, notice->str);
        }
    }
    return error;
}

static void remind(struct board *board)
{
    atomic_store(&board->unheard, false);
    if (board->config.remind != NULL) {
        board->config.remind(board->config.context);
    }
}

/* "message", channel, "ORIGIN NOTICE"; anything else (the subscription's own answers, pongs) only
 * shows that the link lives. */
static void take_message(struct board *board, const redisReply *reply)
{
    size_t origin = strlen(board->origin);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        reply->element[0]->type != REDIS_REPLY_STRING ||
        strcmp(reply->element[0]->str, "message") != 0) {
        return;
    }
    const redisReply *text = reply->element[2];
    if (text->type == REDIS_REPLY_STRING && text->len > origin + 1 &&
        text->len <= origin + 1 + BOARD_NOTICE_MAX && text->str[origin] == ' ' &&
        memcmp(text->str, board->origin, origin) != 0) {
        hear(board, text->str + origin + 1);
    }
}

/* Takes all that has come. */
static int take_all(struct board *board, struct redis_link *link, bool *ret_any)
{
    for (;;) {
        redisReply *reply = NULL;
        if (redisGetReplyFromReader(link->context, (void **)&reply) != REDIS_OK) {
            return ERR_UNAVAILABLE;
        }
        if (reply == NULL) {
            return 0;
        }
        *ret_any = true;
        int error = redis_answer_error(reply);
        take_message(board, reply);
        freeReplyObject(reply);
        if (error != 0) {
            return error;
        }
    }
}

static int say(struct redis_link *link, const char *word, const char *argument)
{
    int done = 0;
    if (redisAppendCommand(link->context, argument != NULL ? "%s %s" : "%s", word, argument) !=
        REDIS_OK) {
        return ERR_NO_MEMORY;
    }
    while (done == 0) {
        if (redisBufferWrite(link->context, &done) != REDIS_OK) {
            return ERR_UNAVAILABLE;
        }
    }
    return 0;
}

/* Waits for what comes. 1: something did, 0: nothing, negative: the link is gone or it is the end.
 */
static int wait_for_words(struct board *board, struct redis_link *link)
{
    struct pollfd fds[] = {{.fd = link->context->fd, .events = POLLIN},
                           {.fd = board->end_fd, .events = POLLIN}};
    int ready = poll(fds, 2, LOOK_MS);
    if (ready < 0 || fds[1].revents != 0) {
        return ERR_CANCELLED;
    }
    if (fds[0].revents == 0) {
        return 0;
    }
    return redisBufferRead(link->context) == REDIS_OK ? 1 : ERR_UNAVAILABLE;
}

static int listen_on(struct board *board, struct redis_link *link)
{
    int64_t heard_ms = clock_monotonic_ms(), pinged_ms = heard_ms;
    for (;;) {
        bool any = false;
        int error = wait_for_words(board, link);
        error = error < 0 ? error : take_all(board, link, &any);
        int64_t now_ms = clock_monotonic_ms();
        heard_ms = any ? now_ms : heard_ms;
        if (error == 0 && now_ms - pinged_ms >= PING_MS) {
            error = say(link, "PING", NULL);
            pinged_ms = now_ms;
        }
        if (error != 0 || now_ms - heard_ms > SILENCE_MS ||
            !redis_link_is_current(board->config.redis, link)) {
            return error;
        }
        if (atomic_load(&board->unheard) && redis_is_up(board->config.redis, NULL)) {
            remind(board);
        }
    }
}

/* Until its connection is lost. Subscribed before the set is read, so nothing falls between. */
static void attend(struct board *board)
{
    struct redis_link *link = NULL;
    int error = redis_dial(board->config.redis, &link);
    if (error != 0) {
        return;
    }
    error = say(link, "SUBSCRIBE", board->key);
    bool subscribed = false;
    for (int waited_ms = 0; error == 0 && !subscribed; waited_ms += LOOK_MS) {
        error = waited_ms < SILENCE_MS ? wait_for_words(board, link) : ERR_UNAVAILABLE;
        error = error < 0 ? error : take_all(board, link, &subscribed);
    }
    error = error != 0 ? error : read_set(board);
    if (error == 0) {
        remind(board);
        (void)listen_on(board, link);
    }
    redis_link_close(link);
}

static void *board_main(void *argument)
{
    struct board *board = argument;
    do {
        attend(board);
    } while (!wait_ms(board, LOOK_MS));
    return NULL;
}

int board_open(const struct board_config *config, struct board **ret_board)
{
    struct board *board = calloc(1, sizeof *board);
    if (board == NULL) {
        return ERR_NO_MEMORY;
    }
    board->config = *config;
    unsigned char random[(ORIGIN_SIZE - 1) / 2];
    randombytes_buf(random, sizeof random);
    (void)sodium_bin2hex(board->origin, sizeof board->origin, random, sizeof random);
    (void)snprintf(board->key, sizeof board->key, "tutti:%s", config->name);
    char labels[64];
    (void)snprintf(labels, sizeof labels, "board=\"%s\"", config->name);
    board->heard = metric_get(METRIC_COUNTER, "tutti_notices_heard_total",
                              "Notices of other processes that came by Redis.", labels);
    board->end_fd = eventfd(0, EFD_CLOEXEC);
    *ret_board = board; /* before its thread calls who opens it */
    int failure =
        board->end_fd < 0 ? errno : pthread_create(&board->thread, NULL, board_main, board);
    if (failure != 0) {
        *ret_board = NULL;
        if (board->end_fd >= 0) {
            (void)close(board->end_fd);
        }
        free(board);
        return error_from_errno(failure);
    }
    return 0;
}

void board_close(struct board *board)
{
    if (board == NULL) {
        return;
    }
    const uint64_t one = 1;
    ssize_t written = write(board->end_fd, &one, sizeof one);
    assert(written == sizeof one);
    (void)pthread_join(board->thread, NULL);
    (void)close(board->end_fd);
    free(board);
}
