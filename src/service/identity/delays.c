/* Growing delays (delays.h): a set-associative table of 16-way sets; a few locks share the sets, so
 * that a table nobody has written to costs no memory. Keys are SipHash of the name under a secret
 * key, so nobody can aim at another's row. */
#include "service/identity/delays.h"

#include "base/error.h"
#include "net/address.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SETS = 512, WAYS = 16, LOCKS = 16, FORGET_MS = 30 * 60 * 1000 };

struct row {
    uint64_t key; /* 0: free; no key that is counted */
    unsigned failures;
    int64_t until_ms; /* the end of the delay */
    int64_t last_ms;
};

struct set {
    struct row rows[WAYS];
};

struct delays {
    unsigned char secret[crypto_shorthash_KEYBYTES];
    pthread_mutex_t locks[LOCKS];
    struct set sets[SETS];
};

static const struct {
    unsigned free_failures;
    int64_t delay_ms_max;
} rules[DELAY_KINDS_] = {
    [DELAY_PAIR] = {3, 300 * 1000},
    [DELAY_ADDRESS] = {100, 60 * 1000},
    [DELAY_ACCOUNT] = {20, 30 * 1000},
};

int delays_new(const unsigned char secret[DELAYS_SECRET_BYTES], struct delays **ret_delays)
{
    _Static_assert(DELAYS_SECRET_BYTES == crypto_shorthash_KEYBYTES, "it is SipHash's key");
    struct delays *delays = calloc(1, sizeof *delays);
    if (delays == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy(delays->secret, secret, sizeof delays->secret);
    for (unsigned i = 0; i < LOCKS; i++) {
        (void)pthread_mutex_init(&delays->locks[i], NULL);
    }
    *ret_delays = delays;
    return 0;
}

void delays_free(struct delays *delays)
{
    if (delays == NULL) {
        return;
    }
    for (unsigned i = 0; i < LOCKS; i++) {
        (void)pthread_mutex_destroy(&delays->locks[i]);
    }
    free(delays);
}

static uint64_t key_of(const struct delays *delays, enum delay_kind kind, const char *account,
                       const char *address)
{
    unsigned char bytes[1 + sizeof(struct address) + 256];
    size_t length = 0;
    bytes[length++] = (unsigned char)kind;
    if (kind != DELAY_ACCOUNT) {
        struct address owner = address_owner_of(address);
        memcpy(bytes + length, owner.bytes, sizeof owner.bytes);
        length += sizeof owner.bytes;
    }
    if (kind != DELAY_ADDRESS) {
        for (const char *at = account; *at != '\0' && length < sizeof bytes; at++) {
            bytes[length++] = (unsigned char)*at;
        }
    }
    uint64_t key;
    (void)crypto_shorthash((unsigned char *)&key, bytes, length, delays->secret);
    return key | 1; /* never 0 */
}

struct delay_keys delays_keys(const struct delays *delays, const char *account, const char *address)
{
    struct delay_keys keys;
    for (unsigned kind = 0; kind < DELAY_KINDS_; kind++) {
        keys.keys[kind] = key_of(delays, (enum delay_kind)kind, account, address);
    }
    return keys;
}

struct delay_keys delays_keys_of_account(const struct delays *delays, const char *account)
{
    return (struct delay_keys){.keys[DELAY_PAIR] = key_of(delays, DELAY_PAIR, account, "")};
}

static struct set *set_lock(struct delays *delays, uint64_t key)
{
    (void)pthread_mutex_lock(&delays->locks[(key >> 1) % LOCKS]);
    return &delays->sets[(key >> 1) % SETS];
}

static void set_unlock(struct delays *delays, uint64_t key)
{
    (void)pthread_mutex_unlock(&delays->locks[(key >> 1) % LOCKS]);
}

static struct row *find(struct set *set, uint64_t key)
{
    for (unsigned i = 0; i < WAYS; i++) {
        if (set->rows[i].key == key) {
            return &set->rows[i];
        }
    }
    return NULL;
}

/* A free row, else the one whose delay ends first. */
static struct row *claim(struct set *set, uint64_t key, int64_t now_ms)
{
    struct row *victim = &set->rows[0];
    for (unsigned i = 0; i < WAYS; i++) {
        struct row *row = &set->rows[i];
        if (row->key == 0 || now_ms - row->last_ms > FORGET_MS) {
            victim = row;
            break;
        }
        if (row->until_ms < victim->until_ms) {
            victim = row;
        }
    }
    *victim = (struct row){.key = key};
    return victim;
}

int64_t delays_left_ms(struct delays *delays, const struct delay_keys *keys, bool known_address,
                       int64_t now_ms)
{
    int64_t left_ms = 0;
    for (unsigned kind = 0; kind < DELAY_KINDS_; kind++) {
        if (keys->keys[kind] == 0 || (kind == DELAY_ACCOUNT && known_address)) {
            continue;
        }
        struct set *set = set_lock(delays, keys->keys[kind]);
        const struct row *row = find(set, keys->keys[kind]);
        if (row != NULL && row->until_ms - now_ms > left_ms) {
            left_ms = row->until_ms - now_ms;
        }
        set_unlock(delays, keys->keys[kind]);
    }
    return left_ms;
}

static int64_t delay_ms(unsigned kind, unsigned failures)
{
    if (failures <= rules[kind].free_failures) {
        return 0;
    }
    unsigned doublings = failures - rules[kind].free_failures - 1;
    int64_t delay = doublings < 20 ? (int64_t)1000 << doublings : INT64_MAX;
    return delay < rules[kind].delay_ms_max ? delay : rules[kind].delay_ms_max;
}

void delays_failed(struct delays *delays, const struct delay_keys *keys, int64_t now_ms)
{
    for (unsigned kind = 0; kind < DELAY_KINDS_; kind++) {
        if (keys->keys[kind] == 0) {
            continue;
        }
        struct set *set = set_lock(delays, keys->keys[kind]);
        struct row *row = find(set, keys->keys[kind]);
        if (row == NULL || now_ms - row->last_ms > FORGET_MS) {
            row = row != NULL ? row : claim(set, keys->keys[kind], now_ms);
            row->failures = 0;
        }
        row->failures++;
        row->last_ms = now_ms;
        row->until_ms = now_ms + delay_ms(kind, row->failures);
        set_unlock(delays, keys->keys[kind]);
    }
}

void delays_succeeded(struct delays *delays, const struct delay_keys *keys)
{
    for (unsigned kind = 0; kind < DELAY_KINDS_; kind++) {
        if (keys->keys[kind] == 0 || kind == DELAY_ADDRESS) {
            continue;
        }
        struct set *set = set_lock(delays, keys->keys[kind]);
        struct row *row = find(set, keys->keys[kind]);
        if (row != NULL) {
            *row = (struct row){0};
        }
        set_unlock(delays, keys->keys[kind]);
    }
}

bool delays_once(struct delays *delays, uint64_t key, int64_t every_ms, int64_t now_ms)
{
    struct set *set = set_lock(delays, key);
    struct row *row = find(set, key);
    bool may = row == NULL || row->until_ms <= now_ms;
    if (may) {
        row = row != NULL ? row : claim(set, key, now_ms);
        row->last_ms = now_ms;
        row->until_ms = now_ms + every_ms;
    }
    set_unlock(delays, key);
    return may;
}
