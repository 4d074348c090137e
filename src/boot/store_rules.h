/* What an S3 store must be told of this installation (blob.h: blob_prepare): the origins of its web
 * app and of the pages that may use its API. Main thread. */
#pragma once

#include <stdbool.h>

struct blob_store;
struct config;
struct problem;

/* As blob_prepare; may_write false: it is only looked at. */
int store_rules(const struct config *config, struct blob_store *store, bool may_write,
                struct problem *problem);
