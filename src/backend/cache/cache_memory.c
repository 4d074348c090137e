/* The cache in process (cache.h): shards, each a hash table under a mutex, bounded in bytes, with
 * W-TinyLFU admission (Einziger, Friedman, Manes 2017) for entries of unequal size (their AV
 * policy: Einziger, Eytan, Friedman, Manes: "Lightweight Robust Size Aware Cache Management", ACM
 * TOS 2022).
 *
 *                   window (1 %)                  main (99 %)
 *   new entry ─► [ LRU ──────── ] ─candidate─► [ probation LRU ][ protected LRU, at most 80 % ]
 *                                     │              │ asked again ─►┘      │
 *                                     │              └◄──────── overflow ───┘
 *                                     └─ is let in only if it was asked for more often than all the
 *                                        victims together that must go for it (cache_sketch.h)
 *
 * So a scan passes through the window and leaves the main part alone, while something new and
 * popular gets in by its second or third question. Memory is taken as entries come: tables and
 * sketches start small and double. Called by cache.c, from any thread; locks are held for a few
 * steps of a list.
 */
#include "backend/cache/cache_engine.h"
#include "backend/cache/cache_sketch.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/problem.h"
#include "net/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHARDS_MAX = 16,
    SHARD_BYTES_MIN = 1 << 20, /* fewer shards rather than smaller ones */
    BUCKETS_MIN = 64,
};

enum part { WINDOW, PROBATION, PROTECTED, PARTS };

struct node {
    struct node *newer, *older; /* in its part's list */
    struct node *next;          /* in its bucket */
    struct cache_entry *entry;
    uint64_t hash;
    int64_t expires_ms; /* monotonic; 0: never */
    size_t charge;      /* bytes it stands for */
    enum part part;
    char key[];
};

struct lru {
    struct node *newest, *oldest;
    size_t charge;
};

struct shard {
    pthread_mutex_t lock;
    struct node **buckets;
    size_t bucket_count, node_count;
    struct lru parts[PARTS];
    struct cache_sketch sketch;
    size_t bytes_max;
};

struct cache_store {
    const struct cache_metrics *metrics;
    unsigned char hash_key[crypto_shorthash_KEYBYTES]; /* nobody outside can make keys collide */
    unsigned shard_count;
    struct shard shards[];
};

static uint64_t hash_of(const struct cache_store *store, const char *key)
{
    uint64_t hash;
    (void)crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key, strlen(key),
                           store->hash_key);
    return hash;
}

static struct shard *shard_of(struct cache_store *store, uint64_t hash)
{
    return &store->shards[(hash >> 56) % store->shard_count];
}

/* ---- Lists and the table ---- */

static void lru_add(struct shard *shard, struct node *node, enum part part)
{
    struct lru *lru = &shard->parts[part];
    node->part = part;
    node->newer = NULL;
    node->older = lru->newest;
    if (lru->newest != NULL) {
        lru->newest->newer = node;
    } else {
        lru->oldest = node;
    }
    lru->newest = node;
    lru->charge += node->charge;
}

static void lru_remove(struct shard *shard, struct node *node)
{
    struct lru *lru = &shard->parts[node->part];
    *(node->newer != NULL ? &node->newer->older : &lru->newest) = node->older;
    *(node->older != NULL ? &node->older->newer : &lru->oldest) = node->newer;
    lru->charge -= node->charge;
}

static void move(struct shard *shard, struct node *node, enum part part)
{
    lru_remove(shard, node);
    lru_add(shard, node, part);
}

static struct node **bucket_of(const struct shard *shard, uint64_t hash)
{
    return &shard->buckets[hash & (shard->bucket_count - 1)];
}

static struct node *find(const struct shard *shard, uint64_t hash, const char *key)
{
    struct node *node = *bucket_of(shard, hash);
    while (node != NULL && (node->hash != hash || strcmp(node->key, key) != 0)) {
        node = node->next;
    }
    return node;
}

static void grow_table(struct shard *shard)
{
    size_t count = shard->bucket_count * 2;
    struct node **buckets = calloc(count, sizeof *buckets); /* NOLINT(bugprone-sizeof-expression) */
    if (buckets == NULL) {
        return; /* longer chains, nothing worse */
    }
    for (size_t i = 0; i < shard->bucket_count; i++) {
        struct node *node = shard->buckets[i];
        while (node != NULL) {
            struct node *next = node->next;
            struct node **bucket = &buckets[node->hash & (count - 1)];
            node->next = *bucket;
            *bucket = node;
            node = next;
        }
    }
    free(shard->buckets);
    shard->buckets = buckets;
    shard->bucket_count = count;
}

static void remove_node(struct cache_store *store, struct shard *shard, struct node *node)
{
    struct node **link = bucket_of(shard, node->hash);
    while (*link != node) {
        link = &(*link)->next;
    }
    *link = node->next;
    lru_remove(shard, node);
    shard->node_count--;
    metric_add(store->metrics->bytes, -(int64_t)node->charge);
    metric_add(store->metrics->entries, -1);
    cache_entry_unref(node->entry);
    free(node);
}

/* ---- Admission ---- */

static size_t window_max(const struct shard *shard)
{
    return shard->bytes_max / 100;
}

static size_t main_max(const struct shard *shard)
{
    return shard->bytes_max - window_max(shard);
}

static size_t main_charge(const struct shard *shard)
{
    return shard->parts[PROBATION].charge + shard->parts[PROTECTED].charge;
}

/* The next to go after a node of the main part: probation's oldest first, then protected's. */
static struct node *next_victim(const struct shard *shard, const struct node *after)
{
    if (after == NULL) {
        return shard->parts[PROBATION].oldest != NULL ? shard->parts[PROBATION].oldest
                                                      : shard->parts[PROTECTED].oldest;
    }
    if (after->newer == NULL && after->part == PROBATION) {
        return shard->parts[PROTECTED].oldest;
    }
    return after->newer;
}

/* Whether the candidate was asked for more often than all together that must go for it. */
static bool is_worth_it(const struct shard *shard, const struct node *candidate, int64_t now_ms)
{
    unsigned worth = cache_sketch_estimate(&shard->sketch, candidate->hash), cost = 0;
    size_t room = main_max(shard) - main_charge(shard);
    const struct node *victim = NULL;
    while (room < candidate->charge) {
        victim = next_victim(shard, victim);
        if (victim == NULL) {
            return false;
        }
        bool expired = victim->expires_ms != 0 && victim->expires_ms <= now_ms;
        cost += expired ? 0 : cache_sketch_estimate(&shard->sketch, victim->hash);
        if (cost >= worth) {
            return false;
        }
        room += victim->charge;
    }
    return true;
}

static void admit_or_drop(struct cache_store *store, struct shard *shard, struct node *candidate)
{
    if (!is_worth_it(shard, candidate, clock_monotonic_ms())) {
        metric_add(store->metrics->refused, 1);
        remove_node(store, shard, candidate);
        return;
    }
    while (main_max(shard) - main_charge(shard) < candidate->charge) {
        metric_add(store->metrics->evicted, 1);
        remove_node(store, shard, next_victim(shard, NULL));
    }
    move(shard, candidate, PROBATION);
}

/* What the window can't hold becomes a candidate, the oldest first. */
static void settle_window(struct cache_store *store, struct shard *shard)
{
    while (shard->parts[WINDOW].charge > window_max(shard)) {
        admit_or_drop(store, shard, shard->parts[WINDOW].oldest);
    }
}

static void touch(struct shard *shard, struct node *node)
{
    move(shard, node, node->part == WINDOW ? WINDOW : PROTECTED);
    struct lru *protected = &shard->parts[PROTECTED];
    while (protected->charge > main_max(shard) / 5 * 4 && protected->oldest != node) {
        move(shard, protected->oldest, PROBATION);
    }
}

/* ---- The engine's functions ---- */

static struct cache_entry *memory_get(struct cache_store *store, const char *key, bool asked)
{
    uint64_t hash = hash_of(store, key);
    struct shard *shard = shard_of(store, hash);
    struct cache_entry *entry = NULL;
    (void)pthread_mutex_lock(&shard->lock);
    if (asked) {
        cache_sketch_add(&shard->sketch, hash);
    }
    struct node *node = find(shard, hash, key);
    if (node != NULL && node->expires_ms != 0 && node->expires_ms <= clock_monotonic_ms()) {
        remove_node(store, shard, node);
    } else if (node != NULL) {
        touch(shard, node);
        entry = node->entry;
        (void)atomic_fetch_add(&entry->references, 1);
    }
    (void)pthread_mutex_unlock(&shard->lock);
    return entry;
}

/* ±10 %, so that what was put together does not expire together. */
static int64_t expiry(int64_t ttl_ms)
{
    if (ttl_ms <= 0) {
        return 0;
    }
    int64_t tenth = ttl_ms / 10 < INT32_MAX ? ttl_ms / 10 : INT32_MAX;
    return clock_monotonic_ms() + ttl_ms - tenth +
           (int64_t)randombytes_uniform((uint32_t)(2 * tenth + 1));
}

static void memory_drop(struct cache_store *store, const char *key)
{
    uint64_t hash = hash_of(store, key);
    struct shard *shard = shard_of(store, hash);
    (void)pthread_mutex_lock(&shard->lock);
    struct node *node = find(shard, hash, key);
    if (node != NULL) {
        remove_node(store, shard, node);
    }
    (void)pthread_mutex_unlock(&shard->lock);
}

static void memory_put(struct cache_store *store, const char *key, struct cache_entry *entry,
                       int64_t ttl_ms)
{
    uint64_t hash = hash_of(store, key);
    struct shard *shard = shard_of(store, hash);
    size_t key_size = strlen(key) + 1;
    struct node *node = malloc(sizeof *node + key_size);
    if (node == NULL) {
        memory_drop(store, key); /* a loss is never an error; what it was before would be one */
        return;
    }
    (void)atomic_fetch_add(&entry->references, 1);
    *node = (struct node){.entry = entry, .hash = hash, .expires_ms = expiry(ttl_ms)};
    node->charge = sizeof *node + key_size + sizeof *entry + entry->length;
    memcpy(node->key, key, key_size);

    (void)pthread_mutex_lock(&shard->lock);
    struct node *old = find(shard, hash, key);
    enum part part = old != NULL ? old->part : WINDOW;
    if (old != NULL) {
        remove_node(store, shard, old);
    }
    if (shard->node_count >= shard->bucket_count) {
        grow_table(shard);
    }
    cache_sketch_grow(&shard->sketch, shard->node_count + 1);
    struct node **bucket = bucket_of(shard, hash);
    node->next = *bucket;
    *bucket = node;
    shard->node_count++;
    metric_add(store->metrics->bytes, (int64_t)node->charge);
    metric_add(store->metrics->entries, 1);
    /* What replaces an entry of the main part stays there if it fits, else asks to be let in. */
    bool fits = part != WINDOW && main_charge(shard) + node->charge <= main_max(shard);
    lru_add(shard, node, fits ? part : WINDOW);
    settle_window(store, shard);
    (void)pthread_mutex_unlock(&shard->lock);
}

static void shard_done(struct cache_store *store, struct shard *shard)
{
    for (unsigned part = 0; part < PARTS; part++) {
        while (shard->parts[part].oldest != NULL) {
            remove_node(store, shard, shard->parts[part].oldest);
        }
    }
    cache_sketch_done(&shard->sketch);
    free(shard->buckets);
    (void)pthread_mutex_destroy(&shard->lock);
}

static void memory_close(struct cache_store *store)
{
    for (unsigned i = 0; i < store->shard_count; i++) {
        shard_done(store, &store->shards[i]);
    }
    free(store);
}

static int shard_init(struct shard *shard, size_t bytes_max)
{
    (void)pthread_mutex_init(&shard->lock, NULL);
    shard->bytes_max = bytes_max;
    shard->bucket_count = BUCKETS_MIN;
    shard->buckets = calloc(BUCKETS_MIN, sizeof(struct node *));
    return shard->buckets == NULL ? ERR_NO_MEMORY : cache_sketch_init(&shard->sketch);
}

static int memory_open(size_t bytes_max, const struct cache_metrics *metrics,
                       struct cache_store **ret_store, struct problem *problem)
{
    unsigned count = SHARDS_MAX;
    while (count > 1 && bytes_max / count < SHARD_BYTES_MIN) {
        count /= 2;
    }
    struct cache_store *store = calloc(1, sizeof *store + count * sizeof store->shards[0]);
    if (store == NULL) {
        return problem_set(problem, ERR_NO_MEMORY, "Can't open a cache: out of memory");
    }
    store->metrics = metrics;
    store->shard_count = count;
    crypto_shorthash_keygen(store->hash_key);
    int r = 0;
    for (unsigned i = 0; i < count; i++) {
        int failed = shard_init(&store->shards[i], bytes_max / count);
        r = r < 0 ? r : failed;
    }
    if (r < 0) {
        memory_close(store);
        return problem_set(problem, r, "Can't open a cache: out of memory");
    }
    *ret_store = store;
    return 0;
}

const struct cache_engine cache_engine_memory = {
    .open = memory_open,
    .close = memory_close,
    .get = memory_get,
    .put = memory_put,
    .drop = memory_drop,
};
