/* The cache's second level (cache_shared.h): keys tutti:cache:NAME:BUILD:KEY, values "L" and a
 * token, or "V", a MAC of key and bytes (BLAKE2b, RFC 7693), and the bytes.
 */
#include "backend/cache/cache_shared.h"

#include "backend/cache/cache.h"
#include "backend/redis/redis.h"
#include "base/clock.h"
#include "base/error.h"
#include "net/metrics.h"

#include <assert.h>
#include <elf.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <link.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PREFIX_SIZE = 96,
    KEY_SIZE = PREFIX_SIZE + 640,
    BUILD_BYTES = 8,
    MAC_BYTES = crypto_generichash_BYTES_MIN,
    HEAD_BYTES = 1 + MAC_BYTES,
    LEASE_MS = 2000, /* a load that takes longer is kept by its process alone */
    WAIT_MS = 2,     /* for another's load: 2, 4, 8, … */
    WAITS = 5,       /* 62 ms in all, then everybody loads for himself */
    KEYS_A_DROP = 500,
    DROPPED_SLOTS = 4096, /* keys that share one are both taken for dropped */
};

struct cache_shared {
    struct redis *redis;
    char prefix[PREFIX_SIZE];
    unsigned char mac_key[crypto_generichash_KEYBYTES]; /* invariant 4 */
    int64_t life_ms;
    _Atomic uint64_t epoch;
    _Atomic int64_t blind_until_ms;    /* invariant 2 */
    int64_t lag_ms;                    /* 0: the next are not used */
    _Atomic int64_t *dropped_until_ms; /* by slot: until then nothing is taken */
    struct {
        struct metric *hits, *misses, *waits, *blind;
    } metrics;
};

/* What is there with the life that is left, or nothing, and then the asker's lease. */
static const struct redis_script find = {
    "local value = redis.call('GET', KEYS[1])\n"
    "if value then return {value, redis.call('PTTL', KEYS[1])} end\n"
    "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
    "return false\n"};

/* With a value: in place of the lease; without: the lease goes. */
static const struct redis_script finish = {
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
    "if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end\n"
    "redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])\n"
    "return 1\n"};

/* ---- invariant 3: the linker's name of this build ---- */

static int take_build_id(struct dl_phdr_info *info, size_t size, void *argument)
{
    (void)size;
    unsigned char *out = argument;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *head = &info->dlpi_phdr[i];
        const char *at = (const char *)info->dlpi_addr + head->p_vaddr;
        const char *end = at + head->p_memsz;
        while (head->p_type == PT_NOTE && at + sizeof(ElfW(Nhdr)) <= end) {
            const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)at;
            const char *bytes = at + sizeof *note + ((note->n_namesz + 3) & ~3U);
            if (note->n_type == NT_GNU_BUILD_ID && note->n_descsz >= BUILD_BYTES) {
                memcpy(out, bytes, BUILD_BYTES);
                return 1;
            }
            at = bytes + ((note->n_descsz + 3) & ~3U);
        }
    }
    return 1; /* the program is the first; libraries do not count */
}

static void write_prefix(struct cache_shared *shared, const char *name)
{
    unsigned char build[BUILD_BYTES];
    char hex[2 * BUILD_BYTES + 1];
    randombytes_buf(build, sizeof build); /* one without a name shares with nobody */
    (void)dl_iterate_phdr(take_build_id, build);
    (void)snprintf(shared->prefix, sizeof shared->prefix, "tutti:cache:%.32s:%s:", name,
                   sodium_bin2hex(hex, sizeof hex, build, sizeof build));
}

/* ---- opening ---- */

static struct metric *counter(const char *metric, const char *help, const char *name)
{
    char labels[64];
    (void)snprintf(labels, sizeof labels, "cache=\"%s\"", name);
    return metric_get(METRIC_COUNTER, metric, help, labels);
}

static void register_metrics(struct cache_shared *shared, const char *name)
{
    shared->metrics.hits =
        counter("tutti_cache_shared_hits_total", "Found in Redis, loaded by another process", name);
    shared->metrics.misses =
        counter("tutti_cache_shared_misses_total", "Not found in Redis either", name);
    shared->metrics.waits =
        counter("tutti_cache_shared_waits_total", "Waits for another process's load", name);
    shared->metrics.blind =
        counter("tutti_cache_shared_blind_total",
                "Times Redis was not asked after it may have lost a drop", name);
}

int cache_shared_new(const struct cache_config *config, struct cache_shared **ret_shared)
{
    struct cache_shared *shared = calloc(1, sizeof *shared);
    _Atomic int64_t *dropped = config->lag_ms > 0 ? calloc(DROPPED_SLOTS, sizeof *dropped) : NULL;
    if (shared == NULL || (config->lag_ms > 0 && dropped == NULL)) {
        free(shared);
        free(dropped);
        return ERR_NO_MEMORY;
    }
    shared->redis = config->redis;
    shared->life_ms = redis_address(config->redis)->life_ms;
    shared->lag_ms = config->lag_ms;
    shared->dropped_until_ms = dropped;
    atomic_init(&shared->epoch, redis_epoch(config->redis));
    write_prefix(shared, config->name);
    (void)crypto_generichash(shared->mac_key, sizeof shared->mac_key,
                             (const unsigned char *)config->secret, strlen(config->secret), NULL,
                             0);
    register_metrics(shared, config->name);
    *ret_shared = shared;
    return 0;
}

void cache_shared_free(struct cache_shared *shared)
{
    if (shared != NULL) {
        free(shared->dropped_until_ms);
        sodium_memzero(shared->mac_key, sizeof shared->mac_key);
        free(shared);
    }
}

/* ---- invariant 2 ---- */

static int64_t entry_life_max(const struct cache_shared *shared)
{
    return shared->life_ms * 11 / 10 + 1; /* jitter */
}

static void be_blind(struct cache_shared *shared)
{
    atomic_store(&shared->blind_until_ms, clock_monotonic_ms() + entry_life_max(shared));
}

static bool is_blind(struct cache_shared *shared)
{
    uint64_t epoch = redis_epoch(shared->redis);
    if (atomic_exchange(&shared->epoch, epoch) != epoch) {
        be_blind(shared);
    }
    bool blind = clock_monotonic_ms() < atomic_load(&shared->blind_until_ms);
    metric_add(shared->metrics.blind, blind);
    return blind;
}

static _Atomic int64_t *dropped_slot(struct cache_shared *shared, const char *key)
{
    uint64_t hash;
    (void)crypto_shorthash((unsigned char *)&hash, (const unsigned char *)key, strlen(key),
                           shared->mac_key);
    return &shared->dropped_until_ms[hash % DROPPED_SLOTS];
}

static void note_dropped(struct cache_shared *shared, const char *key)
{
    if (shared->lag_ms > 0) {
        atomic_store(dropped_slot(shared, key),
                     clock_monotonic_ms() + shared->lag_ms + entry_life_max(shared));
    }
}

/* Whether what others have put may be from before a drop that was heard here. */
static bool was_dropped(struct cache_shared *shared, const char *key)
{
    return shared->lag_ms > 0 && clock_monotonic_ms() < atomic_load(dropped_slot(shared, key));
}

/* ---- keys and values ---- */

/* False: too long for this level. */
static bool full_key(const struct cache_shared *shared, const char *key, char out[KEY_SIZE])
{
    int length = snprintf(out, KEY_SIZE, "%s%s", shared->prefix, key);
    return length > 0 && length < KEY_SIZE;
}

static void make_mac(const struct cache_shared *shared, const char *key, const void *bytes,
                     size_t length, unsigned char out[MAC_BYTES])
{
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, shared->mac_key, sizeof shared->mac_key, MAC_BYTES);
    (void)crypto_generichash_update(&state, (const unsigned char *)key, strlen(key) + 1);
    (void)crypto_generichash_update(&state, bytes, length);
    (void)crypto_generichash_final(&state, out, MAC_BYTES);
}

static bool take_value(const struct cache_shared *shared, const char *key, const redisReply *value,
                       struct cache_finding *finding)
{
    unsigned char mac[MAC_BYTES];
    if (value->len < HEAD_BYTES || value->str[0] != 'V') {
        return false;
    }
    size_t length = value->len - HEAD_BYTES;
    make_mac(shared, key, value->str + HEAD_BYTES, length, mac);
    if (sodium_memcmp(mac, value->str + 1, sizeof mac) != 0) {
        return false;
    }
    finding->bytes = malloc(length > 0 ? length : 1);
    if (finding->bytes == NULL) {
        return false;
    }
    memcpy(finding->bytes, value->str + HEAD_BYTES, length);
    finding->length = length;
    return true;
}

/* ---- what cache.c calls ---- */

static int ask(struct cache_shared *shared, const char *key, const struct cache_lease *lease,
               struct redisReply **ret_reply)
{
    char life[16];
    (void)snprintf(life, sizeof life, "%d", LEASE_MS);
    const char *texts[] = {key, lease->token, life};
    const size_t lengths[] = {strlen(key), strlen(lease->token), strlen(life)};
    const struct redis_words words = {texts, lengths, 3};
    return redis_run(shared->redis, ret_reply, &find, 1, &words);
}

static bool is_lease(const redisReply *reply)
{
    return reply->element[0]->len > 0 && reply->element[0]->str[0] == 'L';
}

/* One look. -1: another has a lease. */
static int look(struct cache_shared *shared, const char *key, struct cache_finding *finding)
{
    REDIS_REPLY reply = NULL;
    if (ask(shared, key, &finding->lease, &reply) != 0) {
        return CACHE_NOTHING;
    }
    if (reply->type == REDIS_REPLY_NIL) {
        metric_add(shared->metrics.misses, 1);
        return CACHE_LEASE;
    }
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[0]->type != REDIS_REPLY_STRING) {
        return CACHE_NOTHING;
    }
    if (is_lease(reply)) {
        return -1;
    }
    if (was_dropped(shared, key)) {
        return CACHE_NOTHING;
    }
    finding->ttl_ms = reply->element[1]->integer;
    if (finding->ttl_ms <= 0 || !take_value(shared, key, reply->element[0], finding)) {
        return CACHE_NOTHING;
    }
    metric_add(shared->metrics.hits, 1);
    return CACHE_ENTRY;
}

static void make_lease(struct cache_lease *lease)
{
    unsigned char random[16];
    randombytes_buf(random, sizeof random);
    lease->token[0] = 'L';
    (void)sodium_bin2hex(lease->token + 1, sizeof lease->token - 1, random, sizeof random);
}

enum cache_found cache_shared_find(struct cache_shared *shared, const char *key,
                                   struct cache_finding *ret_finding)
{
    char full[KEY_SIZE];
    if (is_blind(shared) || !full_key(shared, key, full)) {
        return CACHE_NOTHING;
    }
    make_lease(&ret_finding->lease);
    int found = look(shared, full, ret_finding);
    for (unsigned i = 0; found < 0 && i < WAITS; i++) {
        metric_add(shared->metrics.waits, 1);
        (void)nanosleep(&(struct timespec){.tv_nsec = (long)(WAIT_MS << i) * 1000000}, NULL);
        found = look(shared, full, ret_finding);
    }
    return found < 0 ? CACHE_NOTHING : (enum cache_found)found;
}

static void finish_lease(struct cache_shared *shared, const char *key,
                         const struct cache_lease *lease, const char *value, size_t length,
                         int64_t ttl_ms)
{
    char full[KEY_SIZE], life[24];
    if (!full_key(shared, key, full)) {
        return;
    }
    (void)snprintf(life, sizeof life, "%" PRId64, ttl_ms);
    const char *texts[] = {full, lease->token, value, life};
    const size_t lengths[] = {strlen(full), strlen(lease->token), length, strlen(life)};
    const struct redis_words words = {texts, lengths, 4};
    (void)redis_run(shared->redis, NULL, &finish, 1, &words);
}

/* ±10 %, so that what was put together does not expire together. */
static int64_t jittered(int64_t life_ms)
{
    uint32_t tenth = (uint32_t)(life_ms / 10);
    return life_ms - tenth + (int64_t)randombytes_uniform(2 * tenth + 1);
}

void cache_shared_put(struct cache_shared *shared, const char *key, const struct cache_lease *lease,
                      const void *bytes, size_t length, int64_t ttl_ms)
{
    char full[KEY_SIZE];
    bool fits = length <= CACHE_SHARED_BYTES_MAX && full_key(shared, key, full);
    char *value = fits ? malloc(HEAD_BYTES + length) : NULL;
    if (value == NULL) {
        cache_shared_release(shared, key, lease);
        return;
    }
    value[0] = 'V';
    make_mac(shared, full, bytes, length, (unsigned char *)value + 1);
    memcpy(value + HEAD_BYTES, bytes, length);
    int64_t life_ms = ttl_ms > 0 && ttl_ms < shared->life_ms ? ttl_ms : shared->life_ms;
    finish_lease(shared, key, lease, value, HEAD_BYTES + length, jittered(life_ms));
    free(value);
}

void cache_shared_release(struct cache_shared *shared, const char *key,
                          const struct cache_lease *lease)
{
    finish_lease(shared, key, lease, "", 0, 0);
}

/* One command for up to KEYS_A_DROP keys. */
static int drop_some(struct cache_shared *shared, const char *const *keys, unsigned count)
{
    const char *words[KEYS_A_DROP + 1] = {"DEL"};
    size_t lengths[KEYS_A_DROP + 1] = {3};
    char(*full)[KEY_SIZE] = malloc(count * sizeof *full);
    if (full == NULL) {
        return ERR_NO_MEMORY;
    }
    unsigned used = 1;
    for (unsigned i = 0; i < count; i++) {
        if (full_key(shared, keys[i], full[i])) {
            note_dropped(shared, full[i]);
            words[used] = full[i];
            lengths[used++] = strlen(full[i]);
        }
    }
    const struct redis_words command = {words, lengths, used};
    int error = used > 1 ? redis_ask_words(shared->redis, NULL, &command) : 0;
    free(full);
    return error;
}

void cache_shared_drop(struct cache_shared *shared, const char *const *keys, unsigned count)
{
    for (unsigned done = 0; done < count; done += KEYS_A_DROP) {
        unsigned some = count - done < KEYS_A_DROP ? count - done : KEYS_A_DROP;
        if (drop_some(shared, keys + done, some) != 0) {
            be_blind(shared);
            return;
        }
    }
}
