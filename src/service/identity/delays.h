/* Growing delays after failed log-ins. Nobody is locked out: an attempt inside the delay is refused
 * at once with the seconds left (429, Retry-After), no thread sleeps, and it doesn't lengthen the
 * delay. Three rows count a failure:
 *
 *   account and address   3 free, then 1 s doubling to 300 s   one guesser at one account
 *   address             100 free, then 1 s doubling to  60 s   one guesser at many accounts
 *   account              20 free, then 1 s doubling to  30 s   many guessers at one account
 *
 * The last one could be used to keep the owner out, so it does not count for an address from which
 * the account has a session (the caller says so). A quiet half hour forgets. Accounts are counted
 * by what was typed, existing or not. The table is bounded; where it is full, the row with the
 * shortest delay left goes. In memory of this process, which hears of failures elsewhere
 * (notices.c). Any thread, never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct delays;

enum delay_kind { DELAY_PAIR, DELAY_ADDRESS, DELAY_ACCOUNT, DELAY_KINDS_ };

struct delay_keys {
    uint64_t keys[DELAY_KINDS_]; /* 0: none, its rule does not count */
};

enum { DELAYS_SECRET_BYTES = 16 };
/* secret: where processes tell each other of failures, the same in all; keys are made under it. */
int delays_new(const unsigned char secret[DELAYS_SECRET_BYTES], struct delays **ret_delays);
void delays_free(struct delays *delays); /* NULL is fine */
/* address: as text; of an IPv6 address its /64 counts. account: folded. */
struct delay_keys delays_keys(const struct delays *delays, const char *account,
                              const char *address);
/* Of what is guessed at from no address of its own: the pair's rule alone, wherever they come from.
 */
struct delay_keys delays_keys_of_account(const struct delays *delays, const char *account);
/* Milliseconds until the next attempt may be made, 0: now. */
int64_t delays_left_ms(struct delays *delays, const struct delay_keys *keys, bool known_address,
                       int64_t now_ms);
void delays_failed(struct delays *delays, const struct delay_keys *keys, int64_t now_ms);
/* The right password: forgets the pair's and the account's failures, not the address's. */
void delays_succeeded(struct delays *delays, const struct delay_keys *keys);
/* True once in every_ms for a key, whatever came of it. */
bool delays_once(struct delays *delays, uint64_t key, int64_t every_ms, int64_t now_ms);
