/* Verified access tokens, so that Ed25519 is checked once a token and not once a request; and the
 * bars: sessions that have ended and people whose rights have changed, known here at once although
 * their tokens have minutes to live.
 *
 * Entries are keyed by a 128-bit SipHash under a random key of this process (a pseudo-random
 * function: who does not hold a token can't make another text with its hash), so no token is kept.
 *
 * Invariants:
 *   1. an entry is never answered after its token's expiry;
 *   2. after token_cache_bar has returned, no token it covers is answered or taken in: the bar is
 *      written first, the table swept after, and taking in looks at the bars under the same lock
 *      the sweep takes.
 * Both tables are bounded; a bar pushed out by 4,096 younger ones in 15 minutes leaves the token's
 * own expiry. Any thread, never blocks long (a lock of some 20 ns; the sweep is a bar's alone).
 */
#pragma once

#include "service/identity/token.h"

#include <stdbool.h>
#include <stdint.h>

struct token_cache;

struct token_tag {
    uint64_t high, low;
};

int token_cache_new(struct token_cache **ret_cache);
void token_cache_free(struct token_cache *cache); /* NULL is fine */

struct token_tag token_cache_tag(const struct token_cache *cache, const char *text, size_t length);
bool token_cache_find(struct token_cache *cache, struct token_tag tag, int64_t now_ms,
                      struct token_claims *ret_claims);
/* Takes a verified token in. False: a bar covers it, it must be refused. */
bool token_cache_keep(struct token_cache *cache, struct token_tag tag,
                      const struct token_claims *claims);
/* The bars that hold, oldest or not; visit is called with nothing locked. */
void token_cache_each_bar(struct token_cache *cache, int64_t now_ms,
                          void (*visit)(void *argument, int64_t id, int64_t before,
                                        int64_t until_ms),
                          void *argument);
/* Refuses tokens of the session or user `id` made before the token id `before` (INT64_MAX: all).
 * Returns when the last of them will have run out: the bar holds until then. */
int64_t token_cache_bar(struct token_cache *cache, int64_t id, int64_t before, int64_t now_ms);
/* A bar that was made elsewhere. */
void token_cache_bar_until(struct token_cache *cache, int64_t id, int64_t before, int64_t until_ms);
