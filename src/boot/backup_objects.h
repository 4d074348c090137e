/* Copying objects from one store into another, with a word about it: what backup and restore share.
 * Main thread. */
#pragma once

#include <stdint.h>

struct blob_store;
struct problem;

enum { BACKUP_DAMAGED_SHOWN = 20 };

struct backup_objects {
    uint64_t seen, copied, copied_bytes, damaged;
};

/* A store by its URL ("file:DIR"), for copying alone. keys: where the keys of encrypted objects
 * are, so that these can be checked; they may be missing. */
int backup_store_open(const char *url, const char *keys, struct blob_store **ret_store,
                      struct problem *problem);
/* The store in a folder that must be one already, or (make) may be made. */
int backup_store_open_folder(const char *folder, int make, const char *keys,
                             struct blob_store **ret_store, struct problem *problem);
/* All buckets, or one. Adds to *sums; damaged objects are named on standard error. */
int backup_objects_copy(struct blob_store *from, struct blob_store *to, const char *bucket,
                        const char *label, struct backup_objects *sums, struct problem *problem);
