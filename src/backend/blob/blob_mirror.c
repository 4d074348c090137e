/* One store made to hold what another holds (blob.h: blob_mirror), for two engines, or for stores
 * that have no shorter way: objects are listed in portions, and those that are missing or other
 * there are read and written. Bytes are hashed on the way, so that damaged ones are left out; those
 * of the share to be read are hashed where they are. Any thread.
 */
#include "backend/blob/blob_engine.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <nettle/md5.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_AT_ONCE = 500, COPIES_AGAIN_MAX = 3 };

struct entry {
    const char *key;
    struct blob_stat stat;
};

struct mirroring {
    struct blob_store *from, *to;
    struct blob_store *listed; /* one of the two */
    int (*each)(struct mirroring *mirroring, const struct entry *entry, const char *path);
    const struct blob_mirror *mirror;
    struct problem *problem;
    const char *bucket;
    struct arena *arena; /* of a portion */
    unsigned count;
    struct entry entries[KEYS_AT_ONCE];
};

static int keep(void *argument, const char *key, const struct blob_stat *stat)
{
    struct mirroring *mirroring = argument;
    struct entry *entry = &mirroring->entries[mirroring->count];
    entry->key = arena_strdup(mirroring->arena, key);
    entry->stat = *stat;
    mirroring->count += entry->key != NULL;
    return entry->key != NULL ? 0 : ERR_NO_MEMORY;
}

/* An ETag of parts, and one that is no hash, is another in each store; then length and time must
 * do. */
static bool is_same(const struct blob_stat *here, const struct blob_stat *there)
{
    bool plain = blob_etag_is_hash(here) && blob_etag_is_hash(there);
    return here->bytes == there->bytes &&
           (plain ? strcmp(here->etag, there->etag) == 0 : there->modified_ms >= here->modified_ms);
}

/* The same of a listed object: if only the ETag differs, a store is asked whether it is a hash. */
static bool is_same_listed(const struct mirroring *mirroring, const struct entry *entry,
                           const struct blob_stat *there)
{
    struct blob_stat here = entry->stat;
    if (is_same(&here, there)) {
        return true;
    }
    return blob_is_remote(mirroring->from) && here.bytes == there->bytes &&
           blob_stat(mirroring->from, mirroring->bucket, entry->key, &here) == 0 && here.opaque &&
           is_same(&here, there);
}

/* Another one is kept where it is newer, and that was asked for. */
static bool is_kept(const struct mirroring *mirroring, const struct blob_stat *here,
                    const struct blob_stat *there)
{
    return mirroring->mirror->keep_newer && there->modified_ms > here->modified_ms;
}

struct copying {
    struct blob_writer *writer;
    struct md5_ctx md5;
    uint64_t bytes;
    int error; /* of writing */
};

static int copy_bytes(void *argument, const void *bytes, size_t length)
{
    struct copying *copying = argument;
    md5_update(&copying->md5, length, bytes);
    copying->bytes += length;
    copying->error = blob_put_write(copying->writer, bytes, length);
    return copying->error;
}

/* Whether the bytes are as many as they should be, and their hash the ETag that a plain object has.
 */
static int check_copied(struct copying *copying, const struct blob_stat *stat)
{
    unsigned char digest[MD5_DIGEST_SIZE];
    char text[2 * MD5_DIGEST_SIZE + 1];
    md5_digest(&copying->md5, sizeof digest, digest);
    (void)sodium_bin2hex(text, sizeof text, digest, sizeof digest);
    bool whole = copying->bytes == stat->bytes;
    return whole && (!blob_etag_is_hash(stat) || strcmp(text, stat->etag) == 0) ? 0 : ERR_CORRUPT;
}

/* What the disk of a folder can't read is as good as damaged there. */
static int of_disk(const struct blob_store *store, int error)
{
    return error == ERR_IO && !blob_is_remote(store) ? ERR_CORRUPT : error;
}

/* Takes the source. ERR_CORRUPT: it is damaged. */
static int write_copy(struct mirroring *mirroring, const char *key, struct blob_source *source,
                      const struct blob_stat *stat)
{
    char headers[BLOB_HEADERS_MAX + 1];
    struct copying copying = {0};
    const struct blob_meta meta = {.content_type = stat->content_type,
                                   .cache_control =
                                       stat->cache_control[0] != '\0' ? stat->cache_control : NULL,
                                   .headers = stat->headers_bytes > 0 ? headers : NULL};
    int error = of_disk(mirroring->from, blob_read_headers(mirroring->from, source, stat, headers));
    error = error != 0
                ? error
                : blob_put_open(mirroring->to, mirroring->bucket, key, &meta, &copying.writer);
    if (error != 0) {
        blob_source_close(source);
        return error;
    }
    md5_init(&copying.md5);
    error = blob_source_pour(source, copy_bytes, &copying);
    error = copying.error == 0 ? of_disk(mirroring->from, error) : error;
    error = error != 0 ? error : check_copied(&copying, stat);
    if (error != 0) {
        blob_put_abort(copying.writer);
        return error;
    }
    return blob_put_commit(copying.writer, false, NULL);
}

static int copy_once(struct mirroring *mirroring, const struct entry *entry,
                     struct blob_stat *ret_stat)
{
    struct blob_source source;
    int error = blob_open(mirroring->from, mirroring->bucket, entry->key, &source, ret_stat);
    if (error != 0) {
        return blob_disk_failed(errno) ? of_disk(mirroring->from, error) : error;
    }
    return write_copy(mirroring, entry->key, &source, ret_stat);
}

/* A copy gets a new time. One that was replaced in `from` while it was copied would look newer than
 * what replaced it, and be kept by a later run: so it is copied once more. */
static int copy_object(struct mirroring *mirroring, const struct entry *entry)
{
    struct blob_stat copied, now;
    int error = copy_once(mirroring, entry, &copied);
    for (unsigned again = 0; error == 0 && again < COPIES_AGAIN_MAX; again++) {
        if (blob_stat(mirroring->from, mirroring->bucket, entry->key, &now) != 0 ||
            strcmp(now.etag, copied.etag) == 0) {
            break;
        }
        error = copy_once(mirroring, entry, &copied);
    }
    return error;
}

/* Reads the newer object that is kept in `to`: an older one is another, not its mending. */
static int read_newer(struct mirroring *mirroring, const struct entry *entry,
                      enum blob_mirrored *ret_outcome)
{
    struct blob_stat stat;
    int error = blob_check(mirroring->to, mirroring->bucket, entry->key, &stat);
    bool wrong = error == ERR_CORRUPT || error == ERR_IO;
    *ret_outcome = wrong ? BLOB_MIRRORED_LOST : BLOB_MIRRORED_KEPT;
    return wrong || error == ERR_UNSUPPORTED ? 0 : error;
}

/* Reads the object that is there in `to`. */
static int read_object(struct mirroring *mirroring, const struct entry *entry,
                       enum blob_mirrored *ret_outcome)
{
    struct blob_stat stat;
    int error = blob_check(mirroring->to, mirroring->bucket, entry->key, &stat);
    *ret_outcome = error == 0 ? BLOB_MIRRORED_READ : BLOB_MIRRORED_ALREADY;
    if (error == ERR_CORRUPT || error == ERR_IO) {
        error = copy_object(mirroring, entry);
        *ret_outcome = error == ERR_CORRUPT ? BLOB_MIRRORED_LOST : BLOB_MIRRORED_MENDED;
    }
    return error == ERR_CORRUPT || error == ERR_UNSUPPORTED ? 0 : error;
}

static int mirror_entry(struct mirroring *mirroring, const struct entry *entry, bool read,
                        enum blob_mirrored *ret_outcome)
{
    struct blob_stat there;
    int error = blob_stat(mirroring->to, mirroring->bucket, entry->key, &there);
    error = error == ERR_IO && blob_disk_failed(errno) ? of_disk(mirroring->to, error) : error;
    bool same = error == 0 && is_same_listed(mirroring, entry, &there);
    if (error == 0 && !same && entry->stat.etag[0] != '\0' &&
        is_kept(mirroring, &entry->stat, &there)) {
        *ret_outcome = BLOB_MIRRORED_KEPT;
        return read ? read_newer(mirroring, entry, ret_outcome) : 0;
    }
    if (error == ERR_NOT_FOUND || error == ERR_CORRUPT || (error == 0 && !same)) {
        *ret_outcome = BLOB_MIRRORED_NOW;
        return entry->stat.etag[0] != '\0' ? copy_object(mirroring, entry) : ERR_CORRUPT;
    }
    return error == 0 && read ? read_object(mirroring, entry, ret_outcome) : error;
}

static int mirror_object(struct mirroring *mirroring, const struct entry *entry, const char *path)
{
    enum blob_mirrored outcome = BLOB_MIRRORED_ALREADY;
    bool read = blob_share_has(&mirroring->mirror->read, path);
    int error = mirror_entry(mirroring, entry, read, &outcome);
    if (error == ERR_NOT_FOUND || error == ERR_GONE) {
        return 0; /* deleted meanwhile */
    }
    if (error == ERR_CORRUPT) {
        outcome = BLOB_MIRRORED_DAMAGED;
        error = 0;
    }
    return error != 0 ? problem_set(mirroring->problem, error, "%s can't be copied: %s", path,
                                    error_title(error))
                      : mirroring->mirror->visit(mirroring->mirror->argument, path,
                                                 entry->stat.bytes, outcome);
}

/* One of `to`, read if `from` has it no more. */
static int read_left(struct mirroring *mirroring, const struct entry *entry, const char *path)
{
    struct blob_stat stat;
    if (!blob_share_has(&mirroring->mirror->read, path) ||
        blob_stat(mirroring->from, mirroring->bucket, entry->key, &stat) != ERR_NOT_FOUND) {
        return 0;
    }
    int error = blob_check(mirroring->to, mirroring->bucket, entry->key, &stat);
    if (error != 0 && error != ERR_CORRUPT && error != ERR_IO && error != ERR_UNSUPPORTED) {
        return problem_set(mirroring->problem, error, "%s can't be read: %s", path,
                           error_title(error));
    }
    return mirroring->mirror->visit(mirroring->mirror->argument, path, entry->stat.bytes,
                                    error == 0                 ? BLOB_MIRRORED_READ
                                    : error == ERR_UNSUPPORTED ? BLOB_MIRRORED_ALREADY
                                                               : BLOB_MIRRORED_LOST);
}

static int walk_object(struct mirroring *mirroring, const struct entry *entry)
{
    char path[BLOB_BUCKET_MAX + BLOB_KEY_MAX + 2];
    (void)snprintf(path, sizeof path, "%s/%s", mirroring->bucket, entry->key);
    return mirroring->each(mirroring, entry, path);
}

/* A portion after a key, which moves on. */
static int walk_portion(struct mirroring *mirroring, char after[BLOB_KEY_MAX + 1])
{
    mirroring->count = 0;
    mirroring->arena = arena_new(0);
    int result = mirroring->arena != NULL ? blob_list(mirroring->listed, mirroring->bucket, "",
                                                      after, KEYS_AT_ONCE, keep, mirroring)
                                          : ERR_NO_MEMORY;
    for (unsigned i = 0; result == 0 && i < mirroring->count; i++) {
        result = walk_object(mirroring, &mirroring->entries[i]);
    }
    if (mirroring->count > 0) {
        (void)snprintf(after, BLOB_KEY_MAX + 1, "%s", mirroring->entries[mirroring->count - 1].key);
    }
    arena_free(mirroring->arena);
    return result;
}

static int walk_bucket(void *argument, const char *bucket, int64_t created_ms)
{
    struct mirroring *mirroring = argument;
    char after[BLOB_KEY_MAX + 1] = "";
    (void)created_ms;
    mirroring->bucket = bucket;
    int result =
        mirroring->listed == mirroring->from ? blob_bucket_create(mirroring->to, bucket) : 0;
    result = result == ERR_EXISTS ? 0 : result;
    do {
        result = result != 0 ? result : walk_portion(mirroring, after);
    } while (result == 0 && mirroring->count == KEYS_AT_ONCE);
    return result;
}

static int walk(struct mirroring *mirroring, const char *bucket)
{
    return bucket != NULL ? walk_bucket(mirroring, bucket, 0)
                          : blob_bucket_list(mirroring->listed, walk_bucket, mirroring);
}

int blob_mirror(struct blob_store *from, struct blob_store *to, const char *bucket,
                const struct blob_mirror *mirror, struct problem *problem)
{
    if (from->engine == to->engine && from->engine->mirror != NULL) {
        return from->engine->mirror(from, to, bucket, mirror, problem);
    }
    struct mirroring *mirroring = malloc(sizeof *mirroring);
    if (mirroring == NULL) {
        return ERR_NO_MEMORY;
    }
    *mirroring = (struct mirroring){.from = from,
                                    .to = to,
                                    .listed = from,
                                    .each = mirror_object,
                                    .mirror = mirror,
                                    .problem = problem};
    int result = walk(mirroring, bucket);
    if (result == 0 && mirror->read.turns > 0) {
        mirroring->listed = to;
        mirroring->each = read_left;
        result = walk(mirroring, bucket);
    }
    free(mirroring);
    return result;
}
