/* What an engine of blob.h implements. blob.c picks the engine by the scheme of the URL, checks
 * what came from outside (buckets, keys, part numbers) and passes the call on, so engines may
 * assert it. A store and a writer of an engine start with the heads below.
 */
#pragma once

#include "backend/blob/blob.h"
#include "backend/blob/sigv4.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

struct blob_engine {
    const char *scheme; /* "file:" */
    bool remote;        /* see blob_is_remote; what follows below as "may be NULL" else */
    int (*open)(const struct blob_config *config, struct blob_store **ret_store,
                struct problem *problem);
    /* May be NULL: any will do. */
    int (*check_url)(const char *url, struct problem *problem);
    void (*close)(struct blob_store *store);
    int (*ping)(struct blob_store *store, struct problem *problem);
    /* May be NULL: there is nothing to set up. */
    int (*prepare)(struct blob_store *store, const struct blob_prepare *what,
                   struct problem *problem);
    /* May be NULL: there is nothing that a client could add to a URL of ours. */
    int (*guard)(struct blob_store *store, struct problem *problem);
    /* May be NULL: signed by blob.c for public_url, which is then the built-in store's. */
    int (*presign)(struct blob_store *store, const struct blob_presign *what, char *out,
                   size_t out_size);

    int (*bucket_create)(struct blob_store *store, const char *bucket);
    int (*bucket_stat)(struct blob_store *store, const char *bucket, int64_t *ret_created_ms);
    int (*bucket_remove)(struct blob_store *store, const char *bucket);
    int (*bucket_list)(struct blob_store *store,
                       int (*visit)(void *argument, const char *bucket, int64_t created_ms),
                       void *argument);

    int (*put_open)(struct blob_store *store, const char *bucket, const char *key,
                    const struct blob_meta *meta, struct blob_writer **ret_writer);
    int (*put_write)(struct blob_writer *writer, const void *bytes, size_t length);
    int (*put_target)(struct blob_writer *writer, struct blob_source *ret_target);
    int (*put_sum)(struct blob_writer *writer, const char *sum); /* may be NULL: none is kept */
    int (*put_commit)(struct blob_writer *writer, const struct blob_condition *condition,
                      struct blob_stat *ret_stat);
    void (*put_abort)(struct blob_writer *writer);

    int (*open_object)(struct blob_store *store, const char *bucket, const char *key,
                       struct blob_source *ret_source, struct blob_stat *ret_stat);
    int (*read_headers)(const struct blob_source *source, const struct blob_stat *stat,
                        char out[BLOB_HEADERS_MAX + 1]);
    int (*stat)(struct blob_store *store, const char *bucket, const char *key,
                struct blob_stat *ret_stat);
    int (*remove)(struct blob_store *store, const char *bucket, const char *key,
                  const char *if_match); /* NULL: whatever is there */
    /* May be NULL: one after the other. */
    int (*remove_many)(struct blob_store *store, const char *bucket, const char *const *keys,
                       unsigned count);
    int (*copy)(struct blob_store *store, const char *bucket, const char *key, const char *etag,
                const char *to_bucket, const char *to_key, const struct blob_meta *meta,
                const struct blob_condition *condition, struct blob_stat *ret_stat);
    int (*list)(struct blob_store *store, const char *bucket, const char *prefix, const char *after,
                unsigned limit,
                int (*visit)(void *argument, const char *key, const struct blob_stat *stat),
                void *argument);

    int (*mirror)(struct blob_store *from, struct blob_store *to, const char *bucket,
                  const struct blob_mirror *mirror,
                  struct problem *problem); /* both of this engine; may be NULL */

    bool (*upload_id_valid)(const char *upload_id); /* may it be one that we gave out? */
    int (*multipart_create)(struct blob_store *store, const char *bucket, const char *key,
                            const struct blob_meta *meta, char ret_upload_id[BLOB_UPLOAD_ID_MAX]);
    int (*multipart_put_open)(struct blob_store *store, const char *bucket, const char *key,
                              const char *upload_id, unsigned number,
                              struct blob_writer **ret_writer);
    int (*multipart_list)(struct blob_store *store, const char *bucket, const char *key,
                          const char *upload_id, unsigned after_number, unsigned limit,
                          int (*visit)(void *argument, const struct blob_part *part),
                          void *argument);
    int (*multipart_complete)(struct blob_store *store, const char *bucket, const char *key,
                              const char *upload_id, const struct blob_part *parts, unsigned count,
                              const struct blob_condition *condition, struct blob_stat *ret_stat,
                              struct problem *problem);
    int (*multipart_abort)(struct blob_store *store, const char *bucket, const char *key,
                           const char *upload_id);
    int (*multipart_uploads)(struct blob_store *store, const char *bucket,
                             int (*visit)(void *argument, const char *key, const char *upload_id,
                                          int64_t begun_ms),
                             void *argument);
    int (*multipart_sweep)(struct blob_store *store, int64_t before_ms);
};

/* Heads: filled by blob.c (store) and by the engine (writer). */
struct blob_store {
    const struct blob_engine *engine;
    char *public_url, *key_id, *secret, *region; /* owned by blob.c */
    blob_outside *outside;                       /* NULL: there is nothing outside */
    void *outside_context;
};
struct blob_writer {
    const struct blob_engine *engine;
};

/* Whether a call failed at the disk's own words: a bad sector, or a file system that finds itself
 * damaged there. The next file may be read. */
static inline bool blob_disk_failed(int cause)
{
    return cause == EIO || cause == EUCLEAN || cause == EBADMSG;
}

/* The digits of an MD5. One of parts has more behind them. */
enum { BLOB_PLAIN_ETAG_LENGTH = 32 };

/* Whether the ETag is the hash of the bytes. */
static inline bool blob_etag_is_hash(const struct blob_stat *stat)
{
    return !stat->opaque && strlen(stat->etag) == BLOB_PLAIN_ETAG_LENGTH;
}

/* Signs a URL below the public address; bucket NULL: the address has it. */
int blob_sign(const struct blob_store *store, const struct sigv4_credentials *credentials,
              const struct blob_presign *what, const char *bucket, const char *key, char *out,
              size_t out_size);

/* The head of what an opened object of a remote store has beside, or instead of, a descriptor.
 * Counted: copies of a source share it. It keeps no longer than its store. */
struct blob_remote {
    atomic_uint references;
    /* Some bytes from offset on, which is before the end: as blob_reader_read. */
    ssize_t (*read)(struct blob_remote *remote, void *bytes, size_t length, uint64_t offset);
    /* All of it in an unlinked file. */
    int (*fetch)(struct blob_remote *remote, int *ret_fd);
    void (*free)(struct blob_remote *remote);
};

/* Gives take all of an object's bytes from the first on, some at a time (256 KiB of memory), until
 * it returns an error. Takes the source. */
int blob_source_pour(struct blob_source *source,
                     int (*take)(void *argument, const void *bytes, size_t length), void *argument);

extern const struct blob_engine blob_file_engine;
extern const struct blob_engine blob_s3_engine;
