/* Addresses with bad tokens (strangers.h). A row is one word: the second, and failures in it. */
#include "service/identity/strangers.h"

#include "base/error.h"
#include "net/address.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { ROWS = 4096, COUNT_BITS = 16 };

struct strangers {
    unsigned char secret[crypto_shorthash_KEYBYTES];
    atomic_uint_least64_t rows[ROWS];
};

int strangers_new(struct strangers **ret_strangers)
{
    struct strangers *strangers = calloc(1, sizeof *strangers);
    if (strangers == NULL) {
        return ERR_NO_MEMORY;
    }
    randombytes_buf(strangers->secret, sizeof strangers->secret);
    *ret_strangers = strangers;
    return 0;
}

void strangers_free(struct strangers *strangers)
{
    free(strangers);
}

static atomic_uint_least64_t *row_of(struct strangers *strangers, const char *address)
{
    uint64_t hash;
    struct address owner = address_owner_of(address);
    (void)crypto_shorthash((unsigned char *)&hash, owner.bytes, sizeof owner.bytes,
                           strangers->secret);
    return &strangers->rows[hash % ROWS];
}

bool strangers_may_try(struct strangers *strangers, const char *address, int64_t now_ms)
{
    uint64_t row = atomic_load_explicit(row_of(strangers, address), memory_order_relaxed);
    return row >> COUNT_BITS != (uint64_t)now_ms / 1000 ||
           (row & ((1U << COUNT_BITS) - 1)) < STRANGER_CHECKS_PER_SECOND;
}

void strangers_failed(struct strangers *strangers, const char *address, int64_t now_ms)
{
    atomic_uint_least64_t *place = row_of(strangers, address);
    uint64_t first = (uint64_t)now_ms / 1000 << COUNT_BITS | 1;
    uint64_t row = atomic_load_explicit(place, memory_order_relaxed), next;
    do {
        next = row >> COUNT_BITS == first >> COUNT_BITS ? row + 1 : first;
    } while (!atomic_compare_exchange_weak_explicit(place, &row, next, memory_order_relaxed,
                                                    memory_order_relaxed));
}
