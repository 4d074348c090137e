/* Where an S3 store is and how it is spoken to, as one line of the configuration:
 *
 *   s3://KEY:SECRET@HOST[:PORT][/PATH]/BUCKET[?OPTION=VALUE&…]     each part percent-encoded
 *
 *   region=us-east-1         what signatures name
 *   tls=yes                  no: plain HTTP
 *   path_style=yes           HOST/BUCKET/KEY; no: BUCKET.HOST/KEY
 *   ca=FILE                  certificates that the store's must come from; without it the system's
 *   sse=AES256 or aws:kms    encryption at rest, asked for with every object that we write
 *   sse_key=ID               the key of aws:kms
 *   connections=32           at most so many at the same time
 *   upload_key=ID            a key that may write and nothing else, which signs what clients PUT
 *   upload_secret=SECRET     (blob_s3_guard.c says why); both or neither
 *
 * Pure functions but for memory, any thread.
 */
#pragma once

#include "backend/blob/sigv4.h"

#include <stdbool.h>

struct problem;

struct s3_address {
    char *where; /* for people: the address without key and secret */
    char *host;  /* as Host and the signature say it: no port where it is the scheme's own */
    char *base;  /* the bucket's URL, without a slash at the end: "https://s3.example.org/music" */
    char *path;  /* the path of base: "/music", or "" */
    char *endpoint; /* scheme, host, port and path, without the bucket */
    char *bucket, *key_id, *secret, *region;
    char *ca, *sse, *sse_key, *upload_key, *upload_secret; /* "" for none */
    bool tls, path_style;
    unsigned connections;
};

/* ERR_INVALID with words that hold no secret. blob_s3_address_done in any case. */
int blob_s3_address_parse(const char *url, struct s3_address *ret_address, struct problem *problem);
void blob_s3_address_done(struct s3_address *address);
/* Of the key for what clients PUT, or of the other; they live as long as the address. */
struct sigv4_credentials blob_s3_credentials(const struct s3_address *address, bool upload);
/* The bucket's URL below another endpoint ("https://media.example.org"), to be freed. NULL: out of
 * memory, or it is no http address. */
char *blob_s3_address_base(const struct s3_address *address, const char *endpoint);
