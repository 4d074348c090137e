/* What the suites of objects share: which store is under test. TUTTI_TEST_S3 names a bucket of an
 * S3 store, as blob.store takes it, which is emptied first; without it a folder is the store.
 */
#pragma once

#include "backend/blob/blob.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline const char *objects_url(const char *folder, char out[1024])
{
    const char *remote = getenv("TUTTI_TEST_S3");
    (void)snprintf(out, 1024, remote != NULL ? "%s" : "file:%s", remote != NULL ? remote : folder);
    return out;
}

struct objects_page {
    struct blob_store *store;
    const char *bucket;
    char keys[100][BLOB_KEY_MAX + 1];
    unsigned count;
};

static inline int objects_keep(void *argument, const char *key, const struct blob_stat *stat)
{
    struct objects_page *page = argument;
    (void)stat;
    (void)snprintf(page->keys[page->count++], BLOB_KEY_MAX + 1, "%s", key);
    return 0;
}

static inline int objects_clear_bucket(void *argument, const char *bucket, int64_t created_ms)
{
    struct blob_store *store = argument;
    struct objects_page *page = malloc(sizeof *page);
    const char *keys[COUNT_OF(page->keys)];
    (void)created_ms;
    int error = 0;
    do {
        page->count = 0;
        error = blob_list(store, bucket, "", "", COUNT_OF(keys), objects_keep, page);
        for (unsigned i = 0; i < page->count; i++) {
            keys[i] = page->keys[i];
        }
        error = error != 0 ? error : blob_delete_many(store, bucket, keys, page->count);
    } while (error == 0 && page->count > 0);
    free(page);
    if (error == 0 && strcmp(bucket, BLOB_MEDIA) != 0 && strcmp(bucket, BLOB_UPLOADS) != 0) {
        error = blob_bucket_remove(store, bucket);
    }
    return error;
}

/* 0 or an error: a remote store as it is at first. */
static inline int objects_clear(struct blob_store *store)
{
    int error = blob_is_remote(store) ? blob_multipart_sweep(store, INT64_MAX) : 0;
    return error != 0 || !blob_is_remote(store)
               ? error
               : blob_bucket_list(store, objects_clear_bucket, store);
}
