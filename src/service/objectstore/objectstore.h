/* objectstore: the built-in store, spoken to as a subset of Amazon S3's API under
 * /s3/{bucket}/{key}. The contract for boot and the command line. It is the front of backend/blob's
 * file engine: what signs our own URLs and what verifies them meet here. All functions may block;
 * any thread.
 *
 * Who may do what:
 *   the internal key    signs the URLs that we hand out (blob_presign); reaches all buckets, and
 *                       an URL reaches exactly its method, key and signed headers
 *   outside keys        made by `tutti s3 key add NAME`; the buckets they make, any key all of
 *                       them; never "media" and "uploads", which are Tutti's own
 *   nobody              nothing
 */
#pragma once

#include <stdint.h>

struct blob_store;
struct objectstore;
struct problem;
struct route;

enum { OBJECTSTORE_KEY_ID_SIZE = 32, OBJECTSTORE_SECRET_SIZE = 48, OBJECTSTORE_NAME_MAX = 63 };

struct objectstore_key {
    char id[OBJECTSTORE_KEY_ID_SIZE];
    char secret[OBJECTSTORE_SECRET_SIZE];
};

/* The key that signs our own URLs, kept in keys_path/s3-internal (0600), made when missing. For
 * blob_config, before the store is opened. Processes that share the directory share the key. */
int objectstore_internal_key(const char *keys_path, struct objectstore_key *ret_key,
                             struct problem *problem);
/* A new outside key, appended to keys_path/s3-keys (0600); a running server knows it at once.
 * ERR_EXISTS: the name is taken. ERR_INVALID: a name has 1 to 63 of A-Z a-z 0-9 . _ -. */
int objectstore_key_add(const char *keys_path, const char *name, struct objectstore_key *ret_key,
                        struct problem *problem);

struct objectstore_config {
    struct blob_store *blobs;
    const char *keys_path;
    const char *public_url;   /* blob_config.public_url: its host may be the signed one too */
    int64_t upload_bytes_max; /* of an object or part that comes into "uploads"; 0: as elsewhere */
};
int objectstore_open(const struct objectstore_config *config, struct objectstore **ret_store,
                     struct problem *problem);
void objectstore_close(struct objectstore *store); /* NULL is fine */
/* The rows for http_server_add_routes (context: the objectstore). */
const struct route *objectstore_routes(unsigned *ret_count);
