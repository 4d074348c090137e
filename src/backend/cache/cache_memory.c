/* The cache in process (cache.h): W-TinyLFU in shards.
 *
 * A shard is a hash table and three lists in order of use. New entries enter the window (1 % of the
 * bytes). What falls out of the window competes with the oldest of probation: the one asked for
 * more often lately, by the sketch, stays. So a scan of keys that are asked for once passes through
 * the window and never touches the main part. A hit in probation moves to protected (80 % of the
 * main part); what falls out of protected goes back to probation.
 *
 * Invariants, under the shard's lock:
 * 1. An entry in the table is in exactly one list, and holds one reference of the table.
 * 2. The sum of sizes over all lists is shard->bytes ≤ bytes_max.
 *
 * The table grows with its entries, so an unused cache costs a few hundred bytes a shard.
 */
#include "backend/cache/cache_engine.h"
#include "backend/cache/cache_sketch.h"
#include "base/error.h"
#include "base/mem.h"

#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 16, TABLE_MIN = 16, OVERHEAD = 64 };
enum segment { WINDOW, PROBATION, PROTECTED, SEGMENTS };

struct node {
    struct cache_entry entry; /* first: a cache_entry is a node */
    struct node *chain;
    struct node *newer, *older;
    uint64_t hash;
    int64_t expires_ms;
    size_t size; /* what it counts against the bound */
    enum segment segment;
    char key[]; /* with its NUL; the bytes follow */
};

struct list {
    struct node *newest, *oldest;
    size_t bytes;
};

struct shard {
    pthread_mutex_t lock;
    struct node **table;
    size_t table_size, count, bytes, bytes_max;
    struct list lists[SEGMENTS];
    struct cache_sketch sketch;
};

struct cache_memory {
    unsigned char hash_key[crypto_shorthash_KEYBYTES];
    struct shard shards[SHARDS];
};

static uint64_t hash_of(const struct cache_memory *cache, const char *key)
{
    unsigned char out[crypto_shorthash_BYTES];
    (void)crypto_shorthash(out, (const unsigned char *)key, strlen(key), cache->hash_key);
    uint64_t hash;
    memcpy(&hash, out, sizeof hash);
    return hash;
}

static struct shard *shard_of(struct cache_memory *cache, uint64_t hash)
{
    return &cache->shards[hash >> 60];
}

static void node_free(struct cache_entry *entry)
{
    free(entry);
}

static struct node *node_new(const char *key, uint64_t hash, const void *bytes, size_t length)
{
    size_t key_size = strlen(key) + 1;
    struct node *node = malloc(sizeof *node + key_size + length);
    if (node == NULL) {
        return NULL;
    }
    *node = (struct node){.hash = hash, .size = sizeof *node + key_size + length + OVERHEAD};
    memcpy(node->key, key, key_size);
    unsigned char *copy = (unsigned char *)node->key + key_size;
    if (length > 0) {
        memcpy(copy, bytes, length);
    }
    node->entry.length = length;
    node->entry.bytes = copy;
    node->entry.free = node_free;
    atomic_init(&node->entry.references, 1);
    return node;
}

static void list_remove(struct shard *shard, struct node *node)
{
    struct list *list = &shard->lists[node->segment];
    *(node->newer != NULL ? &node->newer->older : &list->newest) = node->older;
    *(node->older != NULL ? &node->older->newer : &list->oldest) = node->newer;
    node->newer = node->older = NULL;
    list->bytes -= node->size;
}

static void list_push(struct shard *shard, struct node *node, enum segment segment)
{
    struct list *list = &shard->lists[segment];
    node->segment = segment;
    node->older = list->newest;
    node->newer = NULL;
    *(list->newest != NULL ? &list->newest->newer : &list->oldest) = node;
    list->newest = node;
    list->bytes += node->size;
}

static struct node **slot_of(struct shard *shard, const char *key, uint64_t hash)
{
    if (shard->table_size == 0) {
        return NULL;
    }
    struct node **slot = &shard->table[hash & (shard->table_size - 1)];
    while (*slot != NULL && ((*slot)->hash != hash || strcmp((*slot)->key, key) != 0)) {
        slot = &(*slot)->chain;
    }
    return slot;
}

/* Takes a node out of table and list and lets go of the table's reference. */
static void evict(struct shard *shard, struct node *node)
{
    struct node **slot = slot_of(shard, node->key, node->hash);
    *slot = node->chain;
    list_remove(shard, node);
    shard->count--;
    shard->bytes -= node->size;
    cache_entry_unref(&node->entry);
}

static bool table_grow(struct shard *shard)
{
    if (shard->count < shard->table_size) {
        return true;
    }
    size_t size = shard->table_size > 0 ? shard->table_size * 2 : TABLE_MIN;
    struct node **table = calloc(size, sizeof(struct node *));
    if (table == NULL) {
        return shard->table_size > 0;
    }
    for (size_t i = 0; i < shard->table_size; i++) {
        for (struct node *node = shard->table[i], *next; node != NULL; node = next) {
            next = node->chain;
            node->chain = table[node->hash & (size - 1)];
            table[node->hash & (size - 1)] = node;
        }
    }
    free(shard->table);
    shard->table = table;
    shard->table_size = size;
    cache_sketch_grow(&shard->sketch, size);
    return true;
}

static size_t window_max(const struct shard *shard)
{
    return shard->bytes_max / 100;
}

/* What protected has too much goes back to probation. */
static void settle_protected(struct shard *shard)
{
    size_t bytes_max = (shard->bytes_max - window_max(shard)) / 5 * 4;
    while (shard->lists[PROTECTED].bytes > bytes_max) {
        struct node *node = shard->lists[PROTECTED].oldest;
        list_remove(shard, node);
        list_push(shard, node, PROBATION);
    }
}

/* Makes room: the window's overflow is a candidate for the main part, where it must be asked for
 * more often than the oldest of probation. */
static void settle(struct shard *shard)
{
    while (shard->bytes > shard->bytes_max || shard->lists[WINDOW].bytes > window_max(shard)) {
        struct node *candidate = shard->lists[WINDOW].oldest;
        if (candidate != NULL && shard->lists[WINDOW].bytes > window_max(shard)) {
            list_remove(shard, candidate);
            list_push(shard, candidate, PROBATION);
        } else {
            candidate = NULL;
        }
        while (shard->bytes > shard->bytes_max) {
            struct node *victim = shard->lists[PROBATION].oldest;
            victim = victim == candidate && candidate != NULL ? candidate->newer : victim;
            victim = victim != NULL ? victim : shard->lists[PROTECTED].oldest;
            if (victim == NULL ||
                (candidate != NULL && cache_sketch_estimate(&shard->sketch, candidate->hash) <=
                                          cache_sketch_estimate(&shard->sketch, victim->hash))) {
                victim = candidate != NULL ? candidate : shard->lists[WINDOW].oldest;
                candidate = NULL;
            }
            evict(shard, victim);
        }
    }
}

static void promote(struct shard *shard, struct node *node)
{
    enum segment to = node->segment == WINDOW ? WINDOW : PROTECTED;
    list_remove(shard, node);
    list_push(shard, node, to);
    settle_protected(shard);
}

static struct cache_entry *memory_get(void *engine, const char *key, int64_t now_ms)
{
    struct cache_memory *cache = engine;
    uint64_t hash = hash_of(cache, key);
    struct shard *shard = shard_of(cache, hash);
    struct cache_entry *found = NULL;
    (void)pthread_mutex_lock(&shard->lock);
    cache_sketch_add(&shard->sketch, hash);
    struct node **slot = slot_of(shard, key, hash);
    if (slot != NULL && *slot != NULL) {
        struct node *node = *slot;
        if (node->expires_ms != 0 && node->expires_ms <= now_ms) {
            evict(shard, node);
        } else {
            promote(shard, node);
            atomic_fetch_add_explicit(&node->entry.references, 1, memory_order_relaxed);
            found = &node->entry;
        }
    }
    (void)pthread_mutex_unlock(&shard->lock);
    return found;
}

static void keep(struct shard *shard, struct node *node)
{
    struct node **slot = slot_of(shard, node->key, node->hash);
    if (slot != NULL && *slot != NULL) {
        evict(shard, *slot);
    }
    if (!table_grow(shard)) {
        return;
    }
    atomic_fetch_add_explicit(&node->entry.references, 1, memory_order_relaxed);
    slot = &shard->table[node->hash & (shard->table_size - 1)];
    node->chain = *slot;
    *slot = node;
    list_push(shard, node, WINDOW);
    shard->count++;
    shard->bytes += node->size;
    settle(shard);
}

static struct cache_entry *memory_put(void *engine, const char *key, const void *bytes,
                                      size_t length, int64_t expires_ms, int64_t now_ms)
{
    (void)now_ms;
    struct cache_memory *cache = engine;
    uint64_t hash = hash_of(cache, key);
    struct node *node = node_new(key, hash, bytes, length);
    if (node == NULL) {
        return NULL;
    }
    node->expires_ms = expires_ms;
    struct shard *shard = shard_of(cache, hash);
    (void)pthread_mutex_lock(&shard->lock);
    cache_sketch_add(&shard->sketch, hash);
    if (node->size <= shard->bytes_max / 2) { /* a giant would empty the shard for itself */
        keep(shard, node);
    }
    (void)pthread_mutex_unlock(&shard->lock);
    return &node->entry;
}

static void memory_drop(void *engine, const char *key)
{
    struct cache_memory *cache = engine;
    uint64_t hash = hash_of(cache, key);
    struct shard *shard = shard_of(cache, hash);
    (void)pthread_mutex_lock(&shard->lock);
    struct node **slot = slot_of(shard, key, hash);
    if (slot != NULL && *slot != NULL) {
        evict(shard, *slot);
    }
    (void)pthread_mutex_unlock(&shard->lock);
}

static int64_t memory_bytes(void *engine)
{
    struct cache_memory *cache = engine;
    size_t bytes = 0;
    for (unsigned i = 0; i < SHARDS; i++) {
        (void)pthread_mutex_lock(&cache->shards[i].lock);
        bytes += cache->shards[i].bytes;
        (void)pthread_mutex_unlock(&cache->shards[i].lock);
    }
    return (int64_t)bytes;
}

static void memory_close(void *engine)
{
    struct cache_memory *cache = engine;
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];
        for (unsigned segment = 0; segment < SEGMENTS; segment++) {
            while (shard->lists[segment].oldest != NULL) {
                evict(shard, shard->lists[segment].oldest);
            }
        }
        free(shard->table);
        cache_sketch_done(&shard->sketch);
        (void)pthread_mutex_destroy(&shard->lock);
    }
    free(cache);
}

static const struct cache_engine_rows memory_rows = {
    .get = memory_get,
    .put = memory_put,
    .drop = memory_drop,
    .bytes = memory_bytes,
    .close = memory_close,
};

int cache_memory_open(size_t bytes_max, void **ret_engine,
                      const struct cache_engine_rows **ret_rows)
{
    struct cache_memory *cache = calloc(1, sizeof *cache);
    if (cache == NULL) {
        return ERR_NO_MEMORY;
    }
    randombytes_buf(cache->hash_key, sizeof cache->hash_key);
    for (unsigned i = 0; i < SHARDS; i++) {
        (void)pthread_mutex_init(&cache->shards[i].lock, NULL);
        cache->shards[i].bytes_max = bytes_max / SHARDS;
    }
    *ret_engine = cache;
    *ret_rows = &memory_rows;
    return 0;
}
