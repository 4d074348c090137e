/* Verified tokens and bars (token_cache.h): two set-associative tables. Sets of the first share a
 * few locks; pages nobody has written to cost no memory. */
#include "service/identity/token_cache.h"

#include "base/error.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { WAYS = 4, SETS = 4096, LOCKS = 64, BAR_WAYS = 16, BAR_SETS = 256, CACHE_LINE = 64 };

struct entry {
    struct token_tag tag;
    struct token_claims claims; /* expires_s 0: free */
};

struct bar {
    int64_t id; /* of a session or a user; 0: free */
    int64_t before;
    int64_t until_ms; /* when every token it covers has run out */
};

struct token_cache {
    unsigned char secret[crypto_shorthash_siphashx24_KEYBYTES];
    union {
        pthread_mutex_t lock;
        char line[CACHE_LINE];
    } shards[LOCKS];
    pthread_mutex_t bar_lock;            /* taken inside a shard's lock, never around one */
    struct bar bars[BAR_SETS][BAR_WAYS]; /* BAR_SETS: as bar_set's top 8 bits */
    struct entry entries[SETS][WAYS];
};

int token_cache_new(struct token_cache **ret_cache)
{
    struct token_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL) {
        return ERR_NO_MEMORY;
    }
    randombytes_buf(cache->secret, sizeof cache->secret);
    for (unsigned i = 0; i < LOCKS; i++) {
        (void)pthread_mutex_init(&cache->shards[i].lock, NULL);
    }
    (void)pthread_mutex_init(&cache->bar_lock, NULL);
    *ret_cache = cache;
    return 0;
}

void token_cache_free(struct token_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    for (unsigned i = 0; i < LOCKS; i++) {
        (void)pthread_mutex_destroy(&cache->shards[i].lock);
    }
    (void)pthread_mutex_destroy(&cache->bar_lock);
    free(cache);
}

struct token_tag token_cache_tag(const struct token_cache *cache, const char *text, size_t length)
{
    struct token_tag tag;
    _Static_assert(sizeof tag == crypto_shorthash_siphashx24_BYTES, "a tag is one SipHash-128");
    (void)crypto_shorthash_siphashx24((unsigned char *)&tag, (const unsigned char *)text, length,
                                      cache->secret);
    return tag;
}

static struct entry *set_lock(struct token_cache *cache, struct token_tag tag)
{
    (void)pthread_mutex_lock(&cache->shards[tag.low % LOCKS].lock);
    return cache->entries[tag.low % SETS];
}

static void set_unlock(struct token_cache *cache, struct token_tag tag)
{
    (void)pthread_mutex_unlock(&cache->shards[tag.low % LOCKS].lock);
}

bool token_cache_find(struct token_cache *cache, struct token_tag tag, int64_t now_ms,
                      struct token_claims *ret_claims)
{
    bool found = false;
    const struct entry *set = set_lock(cache, tag);
    for (unsigned i = 0; i < WAYS && !found; i++) {
        const struct entry *entry = &set[i];
        found = entry->tag.high == tag.high && entry->tag.low == tag.low &&
                entry->claims.expires_s * 1000 > now_ms;
        if (found) {
            *ret_claims = entry->claims;
        }
    }
    set_unlock(cache, tag);
    return found;
}

/* The low bits of an id are a sequence that is mostly 0: spread by Fibonacci hashing. */
static struct bar *bar_set(struct token_cache *cache, int64_t id)
{
    return cache->bars[((uint64_t)id * 0x9E3779B97F4A7C15U) >> 56];
}

static bool covers(const struct bar *bar, int64_t id, int64_t token_id)
{
    return bar->id == id && token_id < bar->before;
}

static bool is_barred(struct token_cache *cache, const struct token_claims *claims)
{
    bool barred = false;
    int64_t ids[] = {claims->session_id, claims->user_id};
    (void)pthread_mutex_lock(&cache->bar_lock);
    for (unsigned i = 0; i < 2 && !barred; i++) {
        const struct bar *set = bar_set(cache, ids[i]);
        for (unsigned way = 0; way < BAR_WAYS && !barred; way++) {
            barred = covers(&set[way], ids[i], claims->token_id);
        }
    }
    (void)pthread_mutex_unlock(&cache->bar_lock);
    return barred;
}

/* The free one, else the one that runs out first. */
static struct entry *victim_of(struct entry *set)
{
    struct entry *victim = set;
    for (unsigned i = 1; i < WAYS; i++) {
        if (set[i].claims.expires_s < victim->claims.expires_s) {
            victim = &set[i];
        }
    }
    return victim;
}

bool token_cache_keep(struct token_cache *cache, struct token_tag tag,
                      const struct token_claims *claims)
{
    struct entry *set = set_lock(cache, tag);
    bool allowed = !is_barred(cache, claims);
    if (allowed) {
        *victim_of(set) = (struct entry){.tag = tag, .claims = *claims};
    }
    set_unlock(cache, tag);
    return allowed;
}

static void write_bar(struct token_cache *cache, const struct bar *bar)
{
    (void)pthread_mutex_lock(&cache->bar_lock);
    struct bar *set = bar_set(cache, bar->id);
    struct bar *place = set;
    for (unsigned i = 0; i < BAR_WAYS; i++) {
        if (set[i].id == bar->id) {
            place = &set[i];
            break;
        }
        if (set[i].until_ms < place->until_ms) {
            place = &set[i];
        }
    }
    int64_t before =
        place->id == bar->id && place->before > bar->before ? place->before : bar->before;
    *place = *bar;
    place->before = before;
    (void)pthread_mutex_unlock(&cache->bar_lock);
}

static void sweep(struct token_cache *cache, const struct bar *bar)
{
    for (unsigned i = 0; i < SETS; i++) {
        struct token_tag tag = {.low = i};
        struct entry *set = set_lock(cache, tag);
        for (unsigned way = 0; way < WAYS; way++) {
            const struct token_claims *claims = &set[way].claims;
            if (claims->expires_s != 0 && (covers(bar, claims->session_id, claims->token_id) ||
                                           covers(bar, claims->user_id, claims->token_id))) {
                set[way] = (struct entry){0};
            }
        }
        set_unlock(cache, tag);
    }
}

int64_t token_cache_bar(struct token_cache *cache, int64_t id, int64_t before, int64_t now_ms)
{
    int64_t until_ms = now_ms + (TOKEN_LIFE_S + TOKEN_CLOCK_SKEW_S) * 1000;
    token_cache_bar_until(cache, id, before, until_ms);
    return until_ms;
}

void token_cache_bar_until(struct token_cache *cache, int64_t id, int64_t before, int64_t until_ms)
{
    const struct bar bar = {.id = id, .before = before, .until_ms = until_ms};
    write_bar(cache, &bar);
    sweep(cache, &bar);
}

void token_cache_each_bar(struct token_cache *cache, int64_t now_ms,
                          void (*visit)(void *argument, int64_t id, int64_t before,
                                        int64_t until_ms),
                          void *argument)
{
    for (unsigned set = 0; set < BAR_SETS; set++) {
        struct bar bars[BAR_WAYS];
        (void)pthread_mutex_lock(&cache->bar_lock);
        memcpy(bars, cache->bars[set], sizeof bars);
        (void)pthread_mutex_unlock(&cache->bar_lock);
        for (unsigned way = 0; way < BAR_WAYS; way++) {
            if (bars[way].id != 0 && bars[way].until_ms > now_ms) {
                visit(argument, bars[way].id, bars[way].before, bars[way].until_ms);
            }
        }
    }
}
