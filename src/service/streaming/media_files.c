/* Open media files (media_files.h): 64 sets of 4, each with its lock; within a set the one used
 * least recently goes. An entry is believed for a time: immutable files a minute (they can only
 * vanish), manifests that grow and files outside of the store a second, and of the latter only as
 * much as is there: who cuts such a file in place would leave a reader waiting for the rest.
 */
#include "service/streaming/media_files.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "net/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SETS = 64,
    WAYS = 4,
    IMMUTABLE_MS = 60000,
    GROWING_MS = 1000,
};

struct entry {
    char key[MEDIA_KEY_SIZE]; /* "" while free */
    struct blob_source source;
    int64_t good_until_ms, used_ms;
    struct blob_stat stat;
};

struct set {
    pthread_mutex_t lock;
    struct entry entries[WAYS];
};

struct media_files {
    struct blob_store *blobs;
    struct metric *hits, *misses;
    struct set sets[SETS];
};

int media_files_new(struct blob_store *blobs, struct media_files **ret_files)
{
    struct media_files *files = calloc(1, sizeof *files);
    if (files == NULL) {
        return ERR_NO_MEMORY;
    }
    static const char labels[] = "cache=\"open_files\"";
    files->blobs = blobs;
    files->hits = metric_get(METRIC_COUNTER, "tutti_cache_hits_total", "Found", labels);
    files->misses = metric_get(METRIC_COUNTER, "tutti_cache_misses_total", "Not found", labels);
    for (unsigned i = 0; i < SETS; i++) {
        (void)pthread_mutex_init(&files->sets[i].lock, NULL);
    }
    *ret_files = files;
    return 0;
}

void media_files_free(struct media_files *files)
{
    if (files == NULL) {
        return;
    }
    for (unsigned i = 0; i < SETS; i++) {
        for (unsigned way = 0; way < WAYS; way++) {
            if (files->sets[i].entries[way].key[0] != '\0') {
                blob_source_close(&files->sets[i].entries[way].source);
            }
        }
        pthread_mutex_destroy(&files->sets[i].lock);
    }
    free(files);
}

/* FNV-1a: keys are ours, so nobody gains by collisions. */
static struct set *set_of(struct media_files *files, const char *key)
{
    uint32_t hash = 2166136261u;
    for (; *key != '\0'; key++) {
        hash = (hash ^ (unsigned char)*key) * 16777619u;
    }
    return &files->sets[(hash ^ hash >> 16) % SETS];
}

/* Under the set's lock. */
static struct entry *find(struct set *set, const char *key, int64_t now_ms)
{
    for (unsigned way = 0; way < WAYS; way++) {
        struct entry *entry = &set->entries[way];
        if (strcmp(entry->key, key) == 0 && entry->good_until_ms > now_ms) {
            return entry;
        }
    }
    return NULL;
}

static bool is_cut(const struct entry *entry)
{
    struct stat status;
    return strstr(entry->stat.cache_control, "immutable") == NULL && entry->source.fd >= 0 &&
           fstat(entry->source.fd, &status) == 0 && (uint64_t)status.st_size < entry->stat.bytes;
}

/* The entry of that key, else a free one, else the one used least recently. Under the lock. */
static struct entry *place(struct set *set, const char *key)
{
    struct entry *oldest = &set->entries[0];
    for (unsigned way = 0; way < WAYS; way++) {
        struct entry *entry = &set->entries[way];
        if (strcmp(entry->key, key) == 0) {
            return entry;
        }
        if (entry->key[0] == '\0' || (oldest->key[0] != '\0' && entry->used_ms < oldest->used_ms)) {
            oldest = entry;
        }
    }
    return oldest;
}

/* Keeps a second descriptor; without one to spare the file is just not cached. */
static void keep(struct set *set, const char *key, const struct blob_source *source,
                 const struct blob_stat *stat, int64_t now_ms)
{
    struct blob_source copy;
    if (blob_source_copy(source, &copy) != 0) {
        return;
    }
    bool immutable = strstr(stat->cache_control, "immutable") != NULL;
    pthread_mutex_lock(&set->lock);
    struct entry *entry = place(set, key);
    struct blob_source former = {.fd = -1};
    if (entry->key[0] != '\0') {
        former = entry->source;
    }
    *entry = (struct entry){.source = copy,
                            .good_until_ms = now_ms + (immutable ? IMMUTABLE_MS : GROWING_MS),
                            .used_ms = now_ms,
                            .stat = *stat};
    (void)snprintf(entry->key, sizeof entry->key, "%s", key);
    pthread_mutex_unlock(&set->lock);
    blob_source_close(&former);
}

int media_files_open(struct media_files *files, const char *key, bool may_block,
                     struct blob_source *ret_source, struct blob_stat *ret_stat)
{
    struct set *set = set_of(files, key);
    int64_t now_ms = clock_monotonic_ms();
    int error = ERR_BUSY;
    pthread_mutex_lock(&set->lock);
    struct entry *entry = find(set, key, now_ms);
    entry = entry != NULL && is_cut(entry) ? NULL : entry;
    if (entry != NULL) {
        entry->used_ms = now_ms;
        *ret_stat = entry->stat;
        error = blob_source_copy(&entry->source, ret_source);
    }
    pthread_mutex_unlock(&set->lock);
    if (entry != NULL || !may_block) {
        metric_add(entry != NULL ? files->hits : NULL, 1);
        return error;
    }
    metric_add(files->misses, 1);
    error = blob_open(files->blobs, BLOB_MEDIA, key, ret_source, ret_stat);
    if (error == 0) {
        keep(set, key, ret_source, ret_stat, now_ms);
    }
    return error;
}
