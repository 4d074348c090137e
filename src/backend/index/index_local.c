/* The local engine (index.h): a file that is mapped, and in memory what has changed since.
 *
 *   shard (of a kind)   the file's segment, then deltas: small segments in memory, the last of
 * which is made anew from its documents with each change until it has DELTA_DOCS_MAX
 *
 * Of an id only the newest document lives; older segments have its number in their set of the dead.
 *
 * Invariants:
 *   1. Segments never change; a set of the dead only grows, under the lock.
 *   2. What a search sees of a shard stays until it gives the lock back.
 *   3. Deltas are not on disk: after a restart the source's changes since `place` are brought
 * again.
 */
#include "backend/index/index_local.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "base/text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A segment and who of it is dead. */
struct living {
    struct segment segment;
    roaring_bitmap_t *dead; /* NULL: none */
    void *memory;           /* of a delta; NULL: it is in the file */
};

/* A document of the last delta, kept to make it anew. */
struct kept {
    struct index_doc doc;
    void *memory;
};

struct shard {
    struct living *parts; /* [0] is the file's, if there is one */
    unsigned part_count;
    bool open; /* the last part is made of `kept` */
    struct kept kept[DELTA_DOCS_MAX];
    unsigned kept_count;
    uint64_t changes; /* since the file was made */
};

/* ---- the file ---- */

static int base_check(const struct base *base)
{
    const struct index_head *head = base->head;
    if (base->bytes < sizeof *head || head->magic != INDEX_MAGIC) {
        return ERR_VERSION;
    }
    for (unsigned kind = 0; kind < INDEX_KINDS_; kind++) {
        uint64_t at = head->segment_at[kind], bytes = head->segment_bytes[kind];
        struct segment segment;
        if (at % SEGMENT_ALIGN != 0 || at > base->bytes || bytes > base->bytes - at ||
            segment_open((const char *)head + at, bytes, &segment) != 0) {
            return ERR_CORRUPT;
        }
    }
    return 0;
}

int base_open(const char *path, struct base *ret_base)
{
    int fd CLEANUP_CLOSE = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        return error_from_errno(errno);
    }
    if (status.st_size == 0) {
        return ERR_CORRUPT;
    }
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) {
        return error_from_errno(errno);
    }
    struct base base = {.head = bytes,
                        .bytes = (uint64_t)status.st_size,
                        .device = status.st_dev,
                        .inode = status.st_ino};
    int error = base_check(&base);
    if (error != 0) {
        base_close(&base);
        return error;
    }
    *ret_base = base;
    return 0;
}

void base_close(struct base *base)
{
    if (base->head != NULL) {
        (void)munmap((void *)base->head, base->bytes);
    }
    *base = (struct base){.head = NULL};
}

/* ---- shards ---- */

static void living_done(struct living *living)
{
    segment_set_free(living->dead);
    free(living->memory);
}

static void forget_kept(struct shard *shard)
{
    for (unsigned i = 0; i < shard->kept_count; i++) {
        free(shard->kept[i].memory);
    }
    shard->kept_count = 0;
}

static void shard_free(struct shard *shard)
{
    if (shard == NULL) {
        return;
    }
    for (unsigned i = 0; i < shard->part_count; i++) {
        living_done(&shard->parts[i]);
    }
    forget_kept(shard);
    free(shard->parts);
    free(shard);
}

static struct shard *shard_new(const struct base *base, enum index_kind kind, atomic_bool *damaged)
{
    struct shard *shard = calloc(1, sizeof *shard);
    struct living *parts = calloc(1, sizeof *parts);
    if (shard == NULL || parts == NULL) {
        free(shard);
        free(parts);
        return NULL;
    }
    shard->parts = parts;
    if (base->head != NULL) {
        int error = segment_open((const char *)base->head + base->head->segment_at[kind],
                                 base->head->segment_bytes[kind], &parts[0].segment);
        assert(error == 0); /* base_check */
        (void)error;
        parts[0].segment.damaged = damaged;
        shard->part_count = 1;
    }
    return shard;
}

static int shards_new(const struct base *base, atomic_bool *damaged,
                      struct shard *shards[INDEX_KINDS_])
{
    for (unsigned kind = 0; kind < INDEX_KINDS_; kind++) {
        shards[kind] = shard_new(base, kind, damaged);
        if (shards[kind] == NULL) {
            while (kind-- > 0) {
                shard_free(shards[kind]);
            }
            return ERR_NO_MEMORY;
        }
    }
    return 0;
}

int local_swap(struct local *local, struct base *base)
{
    struct shard *shards[INDEX_KINDS_];
    if (shards_new(base, &local->damaged, shards) != 0) {
        base_close(base);
        return ERR_NO_MEMORY;
    }
    (void)pthread_rwlock_wrlock(&local->lock);
    struct base old = local->base;
    local->base = *base;
    atomic_store(&local->damaged, false);
    for (unsigned kind = 0; kind < INDEX_KINDS_; kind++) {
        struct shard *before = local->shards[kind];
        local->shards[kind] = shards[kind];
        shards[kind] = before;
    }
    (void)pthread_rwlock_unlock(&local->lock);
    for (unsigned kind = 0; kind < INDEX_KINDS_; kind++) {
        shard_free(shards[kind]);
    }
    base_close(&old);
    return 0;
}

static void local_close(struct index *index)
{
    struct local *local = local_of(index);
    for (unsigned kind = 0; kind < INDEX_KINDS_; kind++) {
        shard_free(local->shards[kind]);
    }
    base_close(&local->base);
    (void)pthread_rwlock_destroy(&local->lock);
    free(local);
}

static int local_open(const char *url, struct index **ret_index, struct problem *problem)
{
    struct local *local = calloc(1, sizeof *local);
    if (local == NULL) {
        return ERR_NO_MEMORY;
    }
    if (!text_copy(local->path, sizeof local->path, url + strlen(index_local_engine.scheme)) ||
        local->path[0] == '\0') {
        free(local);
        return problem_set(problem, ERR_INVALID, "\"%s\" is no index: local:PATH", url);
    }
    pthread_rwlockattr_t attributes; /* searches that never pause must not keep a change waiting */
    (void)pthread_rwlockattr_init(&attributes);
    (void)pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    (void)pthread_rwlock_init(&local->lock, &attributes);
    (void)pthread_rwlockattr_destroy(&attributes);
    struct base base = {.head = NULL};
    (void)base_open(local->path, &base); /* what can't be opened is made anew */
    int error = local_swap(local, &base);
    if (error != 0) {
        local_close(&local->head);
        return error;
    }
    *ret_index = &local->head;
    return 0;
}

static bool local_look(struct index *index)
{
    struct local *local = local_of(index);
    struct stat status;
    if (stat(local->path, &status) != 0 ||
        (local->base.head != NULL && status.st_ino == local->base.inode &&
         status.st_dev == local->base.device)) {
        return false;
    }
    struct base base = {.head = NULL};
    return base_open(local->path, &base) == 0 && local_swap(local, &base) == 0;
}

static int64_t local_place(struct index *index)
{
    struct local *local = local_of(index);
    (void)pthread_rwlock_rdlock(&local->lock);
    int64_t place = local->base.head != NULL ? local->base.head->place : -1;
    (void)pthread_rwlock_unlock(&local->lock);
    return place;
}

static int64_t local_built_ms(struct index *index)
{
    struct local *local = local_of(index);
    (void)pthread_rwlock_rdlock(&local->lock);
    int64_t built_ms = local->base.head != NULL ? local->base.head->built_ms : 0;
    (void)pthread_rwlock_unlock(&local->lock);
    return built_ms;
}

/* Deltas cost a search each; the dead and what is behind them cost memory. */
static bool local_is_worn(struct index *index)
{
    struct local *local = local_of(index);
    bool worn = atomic_load(&local->damaged);
    (void)pthread_rwlock_rdlock(&local->lock);
    for (unsigned kind = 0; kind < INDEX_KINDS_; kind++) {
        worn = worn || local->shards[kind]->part_count > DELTAS_MAX;
    }
    (void)pthread_rwlock_unlock(&local->lock);
    return worn;
}

static void local_size(struct index *index, struct index_size *ret_size)
{
    struct local *local = local_of(index);
    *ret_size = (struct index_size){.bytes = 0};
    (void)pthread_rwlock_rdlock(&local->lock);
    for (unsigned kind = 0; kind < INDEX_KINDS_; kind++) {
        const struct shard *shard = local->shards[kind];
        for (unsigned i = 0; i < shard->part_count; i++) {
            const struct living *part = &shard->parts[i];
            int64_t dead =
                part->dead != NULL ? (int64_t)roaring_bitmap_get_cardinality(part->dead) : 0;
            ret_size->docs += part->segment.head->document_count - dead;
            ret_size->words += part->segment.head->term_count;
            ret_size->bytes += (int64_t)part->segment.head->bytes;
        }
    }
    (void)pthread_rwlock_unlock(&local->lock);
}

/* ---- changes ---- */

/* A copy of the document in one block of memory. */
static int keep_document(const struct index_doc *doc, struct kept *ret_kept)
{
    size_t bytes = doc->word_count * sizeof doc->words[0] + strlen(doc->key) + 1;
    for (unsigned i = 0; i < doc->word_count; i++) {
        bytes += strlen(doc->words[i].text) + 1;
    }
    void *memory = malloc(bytes);
    if (memory == NULL) {
        return ERR_NO_MEMORY;
    }
    struct index_word *words = memory;
    char *text = (char *)(words + doc->word_count);
    for (unsigned i = 0; i < doc->word_count; i++) {
        words[i] = doc->words[i];
        words[i].text = text;
        text = stpcpy(text, doc->words[i].text) + 1;
    }
    memcpy(text, doc->key, strlen(doc->key) + 1);
    *ret_kept = (struct kept){.doc = *doc, .memory = memory};
    ret_kept->doc.words = words;
    ret_kept->doc.key = text;
    return 0;
}

static void unkeep(struct shard *shard, int64_t id)
{
    for (unsigned i = 0; i < shard->kept_count; i++) {
        if (shard->kept[i].doc.id == id) {
            free(shard->kept[i].memory);
            shard->kept[i] = shard->kept[--shard->kept_count];
            return;
        }
    }
}

/* A segment in memory of the documents that are kept. */
static int make_delta(const struct shard *shard, struct living *ret_living)
{
    struct segment_build *build = segment_build_new();
    char *bytes = NULL;
    size_t length = 0;
    FILE *out = build != NULL ? open_memstream(&bytes, &length) : NULL;
    int error = out == NULL ? ERR_NO_MEMORY : 0;
    for (unsigned i = 0; error == 0 && i < shard->kept_count; i++) {
        error = segment_build_add(build, &shard->kept[i].doc);
    }
    error = error != 0 ? error : segment_build_write(build, out);
    if (out != NULL && fclose(out) != 0 && error == 0) {
        error = ERR_NO_MEMORY;
    }
    segment_build_free(build);
    struct living living = {.dead = NULL};
    if (error == 0) {
        living.memory = aligned_alloc(SEGMENT_ALIGN, (length + SEGMENT_ALIGN - 1) & ~(size_t)31);
        error = living.memory == NULL ? ERR_NO_MEMORY : 0;
    }
    if (error == 0) {
        memcpy(living.memory, bytes, length);
        error = segment_open(living.memory, length, &living.segment);
    }
    free(bytes);
    *ret_living = living;
    return error;
}

/* Under the lock: the id is dead in all parts before the open one. */
static int bury(struct shard *shard, int64_t id)
{
    unsigned closed = shard->part_count - (shard->open ? 1 : 0);
    for (unsigned i = 0; i < closed; i++) {
        struct living *part = &shard->parts[i];
        uint32_t document = 0;
        if (!segment_find(&part->segment, id, &document)) {
            continue;
        }
        if (part->dead == NULL && (part->dead = roaring_bitmap_create()) == NULL) {
            return ERR_NO_MEMORY;
        }
        roaring_bitmap_add(part->dead, document);
    }
    return 0;
}

/* Under the lock: the open part is replaced, or there is one from now on. */
static int put_delta(struct shard *shard, struct living *delta)
{
    if (shard->open) {
        living_done(&shard->parts[shard->part_count - 1]);
    } else {
        struct living *parts = reallocarray(shard->parts, shard->part_count + 2, sizeof *parts);
        if (parts == NULL) {
            return ERR_NO_MEMORY;
        }
        shard->parts = parts;
        shard->part_count++;
        shard->open = true;
    }
    shard->parts[shard->part_count - 1] = *delta;
    return 0;
}

static int keep_all(struct shard *shard, const struct index_doc *const *docs, unsigned count)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < count; i++) {
        unkeep(shard, docs[i]->id);
        if (docs[i]->word_count > 0) {
            error = keep_document(docs[i], &shard->kept[shard->kept_count]);
            shard->kept_count += error == 0 ? 1 : 0;
        }
    }
    return error;
}

/* The next change opens another part. */
static void close_part(struct shard *shard)
{
    shard->open = false;
    forget_kept(shard);
}

/* Changes of one kind, as many as the open part takes. After a failure what is kept is not what the
 * part has: it stays as it was, and the change comes again into another. */
static int change_shard(struct local *local, struct shard *shard,
                        const struct index_doc *const *docs, unsigned count)
{
    struct living delta = {.memory = NULL};
    int error = keep_all(shard, docs, count);
    error = error != 0 ? error : make_delta(shard, &delta);
    if (error != 0) {
        free(delta.memory);
        close_part(shard);
        return error;
    }
    (void)pthread_rwlock_wrlock(&local->lock);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = bury(shard, docs[i]->id);
    }
    error = error != 0 ? error : put_delta(shard, &delta);
    (void)pthread_rwlock_unlock(&local->lock);
    if (error != 0) {
        living_done(&delta);
    }
    if (error != 0 || shard->kept_count == DELTA_DOCS_MAX) {
        close_part(shard);
    }
    return error;
}

static int local_change(struct index *index, const struct index_doc *docs, unsigned count,
                        int64_t place)
{
    struct local *local = local_of(index);
    (void)place; /* one writer, who comes in order */
    const struct index_doc *batch[DELTA_DOCS_MAX];
    for (unsigned kind = 0; kind < INDEX_KINDS_; kind++) {
        struct shard *shard = local->shards[kind];
        unsigned taken = 0;
        int error = 0;
        for (unsigned i = 0; error == 0 && i < count; i++) {
            if (docs[i].kind == kind) {
                batch[taken++] = &docs[i];
            }
            if (taken > 0 && taken + shard->kept_count == DELTA_DOCS_MAX) {
                error = change_shard(local, shard, batch, taken);
                taken = 0;
            }
        }
        if (error == 0 && taken > 0) {
            error = change_shard(local, shard, batch, taken);
        }
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

/* ---- searching ---- */

/* Both in order; the best of both, in order. */
static void merge(struct index_hits *into, const struct index_hits *more, unsigned limit)
{
    struct index_hits both = {.count = 0};
    unsigned left = 0, right = 0;
    while (both.count < limit && (left < into->count || right < more->count)) {
        bool takes_left =
            right == more->count ||
            (left < into->count && index_hit_before(&into->list[left], &more->list[right]));
        both.list[both.count++] = takes_left ? into->list[left++] : more->list[right++];
    }
    *into = both;
}

static int local_search(struct index *index, enum index_kind kind, const struct index_query *query,
                        struct index_hits *ret_hits)
{
    struct local *local = local_of(index);
    int error = 0;
    ret_hits->count = 0;
    (void)pthread_rwlock_rdlock(&local->lock);
    const struct shard *shard = local->shards[kind];
    for (unsigned i = 0; error == 0 && i < shard->part_count; i++) {
        struct index_hits hits;
        error = segment_ask(&shard->parts[i].segment, shard->parts[i].dead, query, &hits);
        if (error == 0) {
            merge(ret_hits, &hits, query->limit);
        }
    }
    (void)pthread_rwlock_unlock(&local->lock);
    return error;
}

const struct index_engine index_local_engine = {
    .scheme = "local:",
    .open = local_open,
    .close = local_close,
    .place = local_place,
    .built_ms = local_built_ms,
    .is_worn = local_is_worn,
    .size = local_size,
    .look = local_look,
    .change = local_change,
    .search = local_search,
    .build_begin = local_build_begin,
    .build_add = local_build_add,
    .build_end = local_build_end,
    .build_free = local_build_free,
};
