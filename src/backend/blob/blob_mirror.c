/* One store made to hold what another holds (blob.h: blob_mirror), for two engines, or for stores
 * that have no shorter way: objects are listed in portions, and those that are missing or other
 * there are read and written. Bytes are hashed on the way, so that damaged ones are left out. Any
 * thread.
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

enum { KEYS_AT_ONCE = 500, PIECE_BYTES = 1024 * 1024, PLAIN_ETAG_LENGTH = 32 };

struct mirroring {
    struct blob_store *from, *to;
    const struct blob_mirror *mirror;
    struct problem *problem;
    const char *bucket;
    struct arena *arena; /* of a portion */
    unsigned count;
    struct entry {
        const char *key;
        struct blob_stat stat;
    } entries[KEYS_AT_ONCE];
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

static bool is_plain(const char *etag)
{
    return strlen(etag) == PLAIN_ETAG_LENGTH;
}

/* An ETag of parts is another in each store; then length and time must do. */
static bool is_same(const struct blob_stat *here, const struct blob_stat *there)
{
    bool plain = is_plain(here->etag) && is_plain(there->etag);
    return here->bytes == there->bytes &&
           (plain ? strcmp(here->etag, there->etag) == 0 : there->modified_ms >= here->modified_ms);
}

/* The bytes, into the writer; their hash must be the ETag that a plain object has. */
static int pour(struct blob_reader *reader, const struct blob_stat *stat,
                struct blob_writer *writer)
{
    char *piece CLEANUP_FREE = malloc(PIECE_BYTES);
    unsigned char digest[MD5_DIGEST_SIZE];
    char text[2 * MD5_DIGEST_SIZE + 1];
    struct md5_ctx md5;
    if (piece == NULL) {
        return ERR_NO_MEMORY;
    }
    md5_init(&md5);
    for (uint64_t at = 0; at < stat->bytes;) {
        ssize_t got = blob_reader_read(reader, piece, PIECE_BYTES, at);
        if (got <= 0) {
            return got < 0 ? (int)got : ERR_CORRUPT;
        }
        md5_update(&md5, (size_t)got, (unsigned char *)piece);
        int error = blob_put_write(writer, piece, (size_t)got);
        if (error != 0) {
            return error;
        }
        at += (uint64_t)got;
    }
    md5_digest(&md5, sizeof digest, digest);
    (void)sodium_bin2hex(text, sizeof text, digest, sizeof digest);
    return !is_plain(stat->etag) || strcmp(text, stat->etag) == 0 ? 0 : ERR_CORRUPT;
}

/* Takes the source. */
static int write_copy(struct mirroring *mirroring, const char *key, struct blob_source *source,
                      const struct blob_stat *stat)
{
    char headers[BLOB_HEADERS_MAX + 1];
    struct blob_reader *reader = NULL;
    struct blob_writer *writer = NULL;
    const struct blob_meta meta = {.content_type = stat->content_type,
                                   .cache_control =
                                       stat->cache_control[0] != '\0' ? stat->cache_control : NULL,
                                   .headers = stat->headers_bytes > 0 ? headers : NULL};
    int error = blob_read_headers(mirroring->from, source, stat, headers);
    if (error != 0) {
        blob_source_close(source);
        return error;
    }
    error = blob_reader_new(source, &reader);
    error =
        error != 0 ? error : blob_put_open(mirroring->to, mirroring->bucket, key, &meta, &writer);
    error = error != 0 ? error : pour(reader, stat, writer);
    blob_reader_free(reader);
    if (error != 0) {
        blob_put_abort(writer);
        return error;
    }
    return blob_put_commit(writer, false, NULL);
}

static int copy_object(struct mirroring *mirroring, const struct entry *entry)
{
    struct blob_source source;
    struct blob_stat stat;
    int error = blob_open(mirroring->from, mirroring->bucket, entry->key, &source, &stat);
    return error != 0 ? error : write_copy(mirroring, entry->key, &source, &stat);
}

static int mirror_object(struct mirroring *mirroring, const struct entry *entry)
{
    char path[BLOB_BUCKET_MAX + BLOB_KEY_MAX + 2];
    struct blob_stat there;
    enum blob_mirrored outcome = BLOB_MIRRORED_ALREADY;
    int error = blob_stat(mirroring->to, mirroring->bucket, entry->key, &there);
    if (error == ERR_NOT_FOUND || (error == 0 && !is_same(&entry->stat, &there))) {
        outcome = BLOB_MIRRORED_NOW;
        error = entry->stat.etag[0] != '\0' ? copy_object(mirroring, entry) : ERR_CORRUPT;
    }
    if (error == ERR_NOT_FOUND || error == ERR_GONE) {
        return 0; /* deleted meanwhile */
    }
    if (error == ERR_CORRUPT) {
        outcome = BLOB_MIRRORED_DAMAGED;
        error = 0;
    }
    (void)snprintf(path, sizeof path, "%s/%s", mirroring->bucket, entry->key);
    return error != 0 ? problem_set(mirroring->problem, error, "%s can't be copied: %s", path,
                                    error_title(error))
                      : mirroring->mirror->visit(mirroring->mirror->argument, path,
                                                 entry->stat.bytes, outcome);
}

/* A portion after a key, which moves on. */
static int mirror_portion(struct mirroring *mirroring, char after[BLOB_KEY_MAX + 1])
{
    mirroring->count = 0;
    mirroring->arena = arena_new(0);
    int result = mirroring->arena != NULL ? blob_list(mirroring->from, mirroring->bucket, "", after,
                                                      KEYS_AT_ONCE, keep, mirroring)
                                          : ERR_NO_MEMORY;
    for (unsigned i = 0; result == 0 && i < mirroring->count; i++) {
        result = mirror_object(mirroring, &mirroring->entries[i]);
    }
    if (mirroring->count > 0) {
        (void)snprintf(after, BLOB_KEY_MAX + 1, "%s", mirroring->entries[mirroring->count - 1].key);
    }
    arena_free(mirroring->arena);
    return result;
}

static int mirror_bucket(void *argument, const char *bucket, int64_t created_ms)
{
    struct mirroring *mirroring = argument;
    char after[BLOB_KEY_MAX + 1] = "";
    (void)created_ms;
    mirroring->bucket = bucket;
    int result = blob_bucket_create(mirroring->to, bucket);
    result = result == ERR_EXISTS ? 0 : result;
    do {
        result = result != 0 ? result : mirror_portion(mirroring, after);
    } while (result == 0 && mirroring->count == KEYS_AT_ONCE);
    return result;
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
    *mirroring = (struct mirroring){.from = from, .to = to, .mirror = mirror, .problem = problem};
    int result = bucket != NULL ? mirror_bucket(mirroring, bucket, 0)
                                : blob_bucket_list(from, mirror_bucket, mirroring);
    free(mirroring);
    return result;
}
