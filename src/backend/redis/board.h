/* A board of notices that every process reads: a notice posted in one is heard in all, in
 * milliseconds, and by who comes later until it runs out. For what must be known everywhere
 * without a question per request (revocations): each process keeps what it heard.
 *
 *   post ─► sorted set tutti:NAME (score: when it runs out) + PUBLISH tutti:NAME ─► heard
 *
 * On each (re)connection the board's thread subscribes first, then reads the set, then has its own
 * process post again what it knows (remind), so a Redis that came back empty is filled by whoever
 * lived through it. A notice may be heard more than once, in any order. While Redis is away
 * nothing is heard; what was posted meanwhile is made up for by remind.
 */
#pragma once

#include <stdint.h>

struct board;
struct redis;

enum { BOARD_NOTICE_MAX = 256 };

struct board_config {
    struct redis *redis; /* outlives the board */
    const char *name;    /* a literal */
    void *context;
    /* On the board's thread. Ours are not told to ourselves, but for those read from the set. */
    void (*heard)(void *context, const char *notice);
    /* On the board's thread: board_post all that still holds. NULL: nothing. */
    void (*remind)(void *context);
};

int board_open(const struct board_config *config, struct board **ret_board);
void board_close(struct board *board); /* NULL is fine */
/* Printable text without line breaks. until_ms: wall clock, 0: told to those who are there and not
 * kept. Blocks for a round trip at most; a failure is made up for by remind. NULL board: nothing.
 */
void board_post(struct board *board, const char *notice, int64_t until_ms);
