/* Objects: bytes under a key in a bucket. One header, two engines: a folder (blob_file.h) and any
 * S3 store (blob_s3.h). Keys are UTF-8, 1 to 1024 bytes (in an S3 store less by the prefix of their
 * bucket), at most 64 parts between slashes, no part "..", no leading slash, no control characters
 * (ERR_INVALID). An object is written whole or not at all and never changed in place. A store that
 * is not there, or refuses us, is ERR_UNAVAILABLE or ERR_TIMEOUT. Any thread; all calls may block.
 *
 * Buckets: "media" (m/{track}/{version}/{file}, art/…) and "uploads" (what artists PUT); a
 * signature of an outside key never reaches "media".
 */
#pragma once

#include "base/seal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BLOB_MEDIA   "media"
#define BLOB_UPLOADS "uploads"

enum {
    BLOB_KEY_MAX = 1024,
    BLOB_KEY_DEPTH_MAX = 64,
    BLOB_BUCKET_MAX = 63,
    BLOB_ETAG_MAX = 72,
    BLOB_TYPE_MAX = 128,
    BLOB_UPLOAD_ID_MAX = 256,
    BLOB_PART_NUMBER_MAX = 10000,
    BLOB_PART_BYTES_MIN = 5 * 1024 * 1024,
    BLOB_PRESIGN_SECONDS_MAX = 604800,
    BLOB_HEADERS_MAX = 4096,
    BLOB_SUM_MAX = 128,
};

struct blob_reader;
struct blob_source;
struct blob_store;
struct blob_writer;
struct problem;
struct reply_file;
struct request;

struct blob_stat {
    uint64_t bytes;
    int64_t modified_ms;
    char etag[BLOB_ETAG_MAX]; /* without quotes: MD5 hex, or md5-of-md5s "-parts" for multipart, as
                                 S3 */
    char content_type[BLOB_TYPE_MAX];
    char cache_control[BLOB_TYPE_MAX]; /* "" if none was given */
    unsigned headers_bytes;            /* of blob_meta.headers; 0: none */
    bool sealed;                       /* encrypted at rest */
    bool opaque; /* the ETag is no hash of the bytes: an S3 store encrypted them
                    with a key of its key service. Listings don't tell it. */
    /* Of an ETag of parts: the bytes of each part but the last, where they were alike; 0: unknown,
     * and then nothing tells whether the bytes are still those that the ETag was made of. */
    uint64_t part_bytes;
};

/* What is kept beside the bytes. NULL members: application/octet-stream, none, none. headers: what
 * else comes back with the object, "name:value" lines, each ended by LF, at most BLOB_HEADERS_MAX
 * bytes in all (ERR_INVALID); the store only keeps them. */
struct blob_meta {
    const char *content_type, *cache_control, *headers;
};

/* url: "file:DIR" or "s3://KEY:SECRET@HOST/BUCKET?…" (blob_s3_address.h). public_url: where clients
 * reach the store ("http://localhost:4040/s3"); of an S3 store its endpoint, "" for the one in url.
 * key_id and secret sign what we pre-sign ourselves (SigV4); an S3 store's are in url. */
struct blob_config {
    const char *url, *public_url, *key_id, *secret, *region;
    /* A folder for what an S3 store's objects are spooled in, in unlinked files; NULL: /var/tmp. */
    const char *spool_path;
    /* Where the keys of sealed objects are (blob_keys.h); NULL: none are read. seal: what is
     * written from now on is encrypted at rest; what was written before stays as it is, and is
     * read either way. */
    const char *keys_path;
    bool seal;
};
/* Whether a store could be asked for by this URL; nothing is opened. ERR_INVALID with words that
 * hold no secret. */
int blob_url_check(const char *url, struct problem *problem);
int blob_store_open(const struct blob_config *config, struct blob_store **ret_store,
                    struct problem *problem);
void blob_store_close(struct blob_store *store);
/* Whether it answers, and else in words (problem may be NULL) what is wrong and what would be
 * right; of a remote store as it was found within the last second. ERR_INVALID: nothing but another
 * configuration helps (a key, a bucket, a certificate, a clock); else it may come back. */
int blob_ping(struct blob_store *store, struct problem *problem);
/* Clients reach the store themselves, by URLs that we sign: their bytes pass no process of ours. */
bool blob_is_remote(const struct blob_store *store);
/* Where clients find its buckets' objects, as URL/BUCKET/KEY, without a slash at the end; an S3
 * store's "media" are at URL/KEY. Borrowed. */
const char *blob_public_url(const struct blob_store *store);
/* What a remote store must be told once: that pages of these origins ("https://a.example.org", "*")
 * may PUT and GET by our URLs and see ETags, and that it forgets uploads in parts that nobody ends.
 * What is there already is left alone. may_write false: it is only looked at. ERR_CONFLICT: others
 * made rules that lack it; ERR_NOT_FOUND: it is missing. Both with words. */
struct blob_prepare {
    const char *const *origins;
    unsigned origin_count;
    bool may_write;
};
int blob_prepare(struct blob_store *store, const struct blob_prepare *what,
                 struct problem *problem);
/* Tries whether who has a URL to PUT can make a remote store copy other people's objects there.
 * ERR_INVALID: it can, or no URL of ours lets anybody PUT, or the store does not encrypt what it is
 * asked to; with words. */
int blob_guard(struct blob_store *store, struct problem *problem);

/* Buckets. "media" and "uploads" are there from the start; others are made by outside users of the
 * built-in store. Names as S3's: 3 to 63 of a-z 0-9 . -, starting and ending with a letter or digit
 * (ERR_INVALID). create: ERR_EXISTS. stat: ERR_NOT_FOUND. All calls below answer ERR_NOT_FOUND for
 * a bucket that is not there. */
int blob_bucket_create(struct blob_store *store, const char *bucket);
int blob_bucket_stat(struct blob_store *store, const char *bucket, int64_t *ret_created_ms);
int blob_bucket_list(struct blob_store *store,
                     int (*visit)(void *argument, const char *bucket, int64_t created_ms),
                     void *argument);
/* Removes an empty bucket. ERR_CONFLICT: it holds objects. Uploads in parts that were begun to it
 * can't be completed any more. */
int blob_bucket_remove(struct blob_store *store, const char *bucket);
bool blob_key_valid(const char *key);

/* Writing. Bytes go straight to disk; ERR_DISK_FULL, ERR_IO. commit makes it visible and durable,
 * and frees the writer; abort forgets it. if_none_match: commit fails with ERR_PRECONDITION where
 * the key is there already. */
int blob_put_open(struct blob_store *store, const char *bucket, const char *key,
                  const struct blob_meta *meta, struct blob_writer **ret_writer);
int blob_put_write(struct blob_writer *writer, const void *bytes, size_t length);
/* The descriptor behind the writer, for a child process to fill (tutti-media): size and ETag are
 * then taken from the file at commit. Where the store seals, the child writes the sealed form
 * (base/seal.h) with ret_target->key, and what it wrote is checked. The descriptor stays the
 * writer's. ERR_UNSUPPORTED on engines without one. */

int blob_put_target(struct blob_writer *writer, struct blob_source *ret_target);
/* As blob_put_target, ERR_UNSUPPORTED where the store seals. */
int blob_put_fd(struct blob_writer *writer, int *ret_fd);
int blob_put_commit(struct blob_writer *writer, bool if_none_match, struct blob_stat *ret_stat);
/* What must hold of the key at the moment an object becomes visible under it: of any number of
 * writers with the same condition one wins. */
struct blob_condition {
    bool if_none_match;   /* nothing is there, else ERR_PRECONDITION */
    const char *if_match; /* what is there has this ETag ("*": any), else ERR_PRECONDITION; nothing
                             there: ERR_NOT_FOUND. NULL: no such condition */
};
int blob_put_commit_if(struct blob_writer *writer, const struct blob_condition *condition,
                       struct blob_stat *ret_stat);
void blob_put_abort(struct blob_writer *writer); /* NULL is fine */

/* Reading. An opened object: a read-only descriptor and, where it is sealed, its key. What follows
 * the object in the file is the engine's own. Its open and stat are one snapshot: of an S3 store's
 * larger objects, which have no descriptor until blob_source_local, bytes of another one are never
 * read (ERR_GONE once it is replaced or deleted). ERR_CORRUPT: damaged, tampered with, put in
 * another's place, or sealed with a key that is not there. */
struct blob_source {
    int fd; /* -1: remote alone */
    bool sealed;
    uint64_t bytes;                    /* of the object, plain */
    unsigned char key[SEAL_KEY_BYTES]; /* of this object alone */
    struct blob_remote *remote;        /* NULL: none */
};
int blob_open(struct blob_store *store, const char *bucket, const char *key,
              struct blob_source *ret_source, struct blob_stat *ret_stat);
void blob_source_close(
    struct blob_source *source); /* with fd -1 it does nothing more than forget */
int blob_source_copy(const struct blob_source *source, struct blob_source *ret_copy);
/* Makes sure of a descriptor, for a child process: a remote object is fetched into an unlinked
 * file. */
int blob_source_local(struct blob_source *source);
/* While this thread waits for an object's bytes on their way to or from a remote store, tick is
 * called, at least each second: a lease may be renewed meanwhile. Negative gives the call up, with
 * that error. NULL: nobody is told (any more). */
void blob_on_wait(int (*tick)(void *context), void *context);
/* Reads an object's bytes, whether they are sealed or not. Takes the source, also when it fails. */
int blob_reader_new(struct blob_source *source, struct blob_reader **ret_reader);
void blob_reader_free(struct blob_reader *reader); /* NULL is fine */
/* Some bytes, at least one, at most length; 0 at the end; or an error. */
ssize_t blob_reader_read(struct blob_reader *reader, void *bytes, size_t length, uint64_t offset);
/* Answers a request with the object: a plain one by sendfile, a sealed one opened piece by piece on
 * the pool (192 KiB of memory while it is sent). how: all but the bytes. Takes the source, also
 * when it fails. */
int blob_reply(struct request *request, struct blob_source *source, const struct reply_file *how);
/* Objects that are files outside of the store: where "media" lacks a key, blob_open asks. find
 * gives a read-only descriptor, or ERR_NOT_FOUND; any other error says that the file can't be had
 * now. Such an object's ETag is made of the file's size, time and number, its Cache-Control is
 * "no-cache", since the file may change; it has no headers, and no call but blob_open sees it. Set
 * once, before the store is used by others; a remote store asks nobody. */
typedef int blob_outside(void *context, const char *key, int *ret_fd);
void blob_outside_set(struct blob_store *store, blob_outside *find, void *context);
/* Reads an opened object whole: whether its bytes are still those its ETag was made of, and, of a
 * sealed one, whether its chunks open. Takes the source, also when it fails. ERR_CORRUPT: they
 * aren't. ERR_UNSUPPORTED: nothing tells (see part_bytes), and nothing was read. */
int blob_check_source(struct blob_source *source, const struct blob_stat *stat);
/* The same of an object in a store, with its headers. ERR_CORRUPT also where its key is missing. */
int blob_check(struct blob_store *store, const char *bucket, const char *key,
               struct blob_stat *ret_stat);
/* The headers kept with an object that was opened: stat.headers_bytes of text and a NUL. */
int blob_read_headers(struct blob_store *store, const struct blob_source *source,
                      const struct blob_stat *stat, char out[BLOB_HEADERS_MAX + 1]);
int blob_stat(struct blob_store *store, const char *bucket, const char *key,
              struct blob_stat *ret_stat);
/* ERR_NOT_FOUND is not an error of delete: 0. */
int blob_delete(struct blob_store *store, const char *bucket, const char *key);
/* Only if if_match holds at the moment the object goes (struct blob_condition, whose errors these
 * are). ERR_UNSUPPORTED: the store can't look and delete at once; nothing was deleted. */
int blob_delete_if(struct blob_store *store, const char *bucket, const char *key,
                   const char *if_match);
/* Many, in any order; where it fails some may be gone and some not. */
int blob_delete_many(struct blob_store *store, const char *bucket, const char *const *keys,
                     unsigned count);
/* Copies inside the store (a hard link or reflink where it can), only if the source still has etag
 * (NULL: any), else ERR_PRECONDITION. */
int blob_copy(struct blob_store *store, const char *bucket, const char *key, const char *etag,
              const char *to_bucket, const char *to_key, struct blob_stat *ret_stat);
/* As blob_copy, with another description than the source's. */
int blob_copy_as(struct blob_store *store, const char *bucket, const char *key, const char *etag,
                 const char *to_bucket, const char *to_key, const struct blob_meta *meta,
                 struct blob_stat *ret_stat);
/* The same under a condition of what is at the new key (see blob_put_commit_if). ERR_UNSUPPORTED:
 * the store can't look and copy at once; nothing was copied. */
int blob_copy_if(struct blob_store *store, const char *bucket, const char *key, const char *etag,
                 const char *to_bucket, const char *to_key, const struct blob_meta *meta,
                 const struct blob_condition *condition, struct blob_stat *ret_stat);
/* Keys with prefix, in byte order, after `after` ("" for the first), at most `limit`. visit
 * returning non-zero ends it and is returned. A damaged object is listed without size and ETag. */
int blob_list(struct blob_store *store, const char *bucket, const char *prefix, const char *after,
              unsigned limit,
              int (*visit)(void *argument, const char *key, const struct blob_stat *stat),
              void *argument);

/* One of so many even shares of all objects, by their names alone, so that one share a day comes to
 * each object in `turns` days without a memory of the last. turns 0: none of them, 1: all. */
struct blob_share {
    unsigned turns, turn;
};
bool blob_share_has(const struct blob_share *share, const char *path);

/* What came of an object; those from BLOB_MIRRORED_DAMAGED on want a person. */
enum blob_mirrored {
    BLOB_MIRRORED_ALREADY, /* it is there */
    BLOB_MIRRORED_READ,    /* it is there and was read: its bytes are right */
    BLOB_MIRRORED_NOW,     /* it was copied */
    BLOB_MIRRORED_KEPT,    /* a newer one is there, and stays */
    BLOB_MIRRORED_MENDED,  /* the bytes there were wrong: it was copied again */
    BLOB_MIRRORED_DAMAGED, /* it is damaged in `from`, and was left out */
    BLOB_MIRRORED_LOST,    /* the bytes there are wrong, and in `from` it is damaged, too, older, or
                              gone */
    BLOB_MIRRORED_UNEQUAL, /* the two have other bytes, and nothing tells which are right */
};
struct blob_mirror {
    int (*visit)(void *argument, const char *path, uint64_t bytes, enum blob_mirrored outcome);
    void *argument;
    struct blob_share read; /* of what is there already: this is read */
    bool keep_newer;        /* `to` may be written to, and what is newer there is right */
};
/* Makes `to` hold what `from` holds: every object, or those of one bucket, and the uploads in
 * parts. What is missing in `to`, or is another there, is copied with ETag, types and time;
 * nothing is removed, and what vanishes from `from` meanwhile is passed over. With keep_newer
 * another object that is newer in `to`, and can be read, is kept, also one that comes there
 * meanwhile (of two folders alone); without it `to` follows `from`, even where that one's clock
 * was put back. A share of what is there already is read, also of what is in `to` alone, and what
 * has rotted there is copied again. Each object is told to visit (its path, the bucket first, is
 * the engine's own), but those in `to` alone only when they were read. visit returning non-zero
 * ends it and is returned; any other failure has words that name the object and the place. Where
 * an S3 store is one of them, an object gets a new time, and a new ETag where its old one was of
 * parts; uploads in parts are left behind. */
int blob_mirror(struct blob_store *from, struct blob_store *to, const char *bucket,
                const struct blob_mirror *mirror, struct problem *problem);

/* Multipart (S3's rules: numbers 1 … 10,000, parts ≥ 5 MiB but the last, any order, a part sent
 * again replaces the former, a multipart is resumable across restarts). */
struct blob_part {
    unsigned number;
    uint64_t bytes;
    int64_t modified_ms;
    char etag[BLOB_ETAG_MAX];
    char sum[BLOB_SUM_MAX]; /* as blob_put_sum kept it; "": none */
};
/* Keeps a checksum with the part that is being written, for those who list it: "name:value", under
 * BLOB_SUM_MAX bytes (ERR_INVALID). Before its commit. ERR_UNSUPPORTED: the store keeps none. */
int blob_put_sum(struct blob_writer *writer, const char *sum);
int blob_multipart_create(struct blob_store *store, const char *bucket, const char *key,
                          const struct blob_meta *meta, char ret_upload_id[BLOB_UPLOAD_ID_MAX]);
int blob_multipart_put_open(struct blob_store *store, const char *bucket, const char *key,
                            const char *upload_id, unsigned number,
                            struct blob_writer **ret_writer);
int blob_multipart_list(struct blob_store *store, const char *bucket, const char *key,
                        const char *upload_id, unsigned after_number, unsigned limit,
                        int (*visit)(void *argument, const struct blob_part *part), void *argument);
/* Makes the object of exactly these parts (number and etag are looked at), in this order.
 * ERR_NOT_FOUND: no such upload; ERR_CONFLICT: numbers do not rise; ERR_PRECONDITION: a part is
 * missing or has another etag; ERR_RANGE: a part but the last is under 5 MiB. Asked again after it
 * succeeded (a lost answer) it succeeds again. Parts may be given without quotes only. */
int blob_multipart_complete(struct blob_store *store, const char *bucket, const char *key,
                            const char *upload_id, const struct blob_part *parts, unsigned count,
                            struct blob_stat *ret_stat, struct problem *problem);
/* The same under a condition (see blob_put_commit_if); the upload stays where it does not hold,
 * and problem has no words then. */
int blob_multipart_complete_if(struct blob_store *store, const char *bucket, const char *key,
                               const char *upload_id, const struct blob_part *parts, unsigned count,
                               const struct blob_condition *condition, struct blob_stat *ret_stat,
                               struct problem *problem);
int blob_multipart_abort(struct blob_store *store, const char *bucket, const char *key,
                         const char *upload_id);
/* The uploads to a bucket that were begun and not ended, in no order. visit returning non-zero ends
 * it and is returned. */
int blob_multipart_uploads(struct blob_store *store, const char *bucket,
                           int (*visit)(void *argument, const char *key, const char *upload_id,
                                        int64_t begun_ms),
                           void *argument);
/* Forgets the uploads begun before that time, and what killed writers left. */
int blob_multipart_sweep(struct blob_store *store, int64_t before_ms);

/* A pre-signed URL (SigV4 in the query). method "PUT" or "GET"; for PUT content_length ≥ 0 is
 * signed. part_number > 0 with upload_id signs the PUT of a part. expires_s ≤ 604800. date_ms: the
 * time it is signed at (rounded by the caller where users shall share URLs). out: NUL-terminated.
 */
struct blob_presign {
    const char *method, *bucket, *key, *upload_id, *content_type;
    const char *response_type; /* of a GET: the type it is answered as; NULL: the object's */
    unsigned part_number;
    int64_t content_length; /* -1: not signed */
    unsigned expires_s;
    int64_t date_ms;
};
int blob_presign(struct blob_store *store, const struct blob_presign *what, char *out,
                 size_t out_size);
