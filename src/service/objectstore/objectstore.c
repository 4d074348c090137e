/* Opening the role (objectstore.h). */
#include "service/objectstore/objectstore.h"

#include "base/error.h"
#include "base/problem.h"
#include "service/objectstore/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "http://host:port/s3" → "host:port", "/s3" */
static void keep_public_url(struct objectstore *store, const char *public_url)
{
    const char *host = public_url != NULL ? strstr(public_url, "://") : NULL;
    if (host != NULL) {
        host += 3;
        size_t length = strcspn(host, "/");
        (void)snprintf(store->public_host, sizeof store->public_host, "%.*s", (int)length, host);
        (void)snprintf(store->public_path, sizeof store->public_path, "%s", host + length);
    }
}

int objectstore_open(const struct objectstore_config *config, struct objectstore **ret_store,
                     struct problem *problem)
{
    struct objectstore *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return ERR_NO_MEMORY;
    }
    store->blobs = config->blobs;
    store->upload_bytes_max = (uint64_t)config->upload_bytes_max;
    keep_public_url(store, config->public_url);
    int error = s3_keys_open(config->keys_path, &store->keys, problem);
    if (error != 0) {
        objectstore_close(store);
        return error;
    }
    *ret_store = store;
    return 0;
}

void objectstore_close(struct objectstore *store)
{
    if (store != NULL) {
        s3_keys_close(store->keys);
        free(store);
    }
}
