/* The keys of the built-in store: one internal, any number of outside ones, each a line of a file
 * (0600) in the directory of keys: "NAME ID SECRET". Any thread. */
#pragma once

#include "backend/blob/sigv4.h"
#include "service/objectstore/objectstore.h"

#include <stdbool.h>

struct s3_keys;

int s3_keys_open(const char *keys_path, struct s3_keys **ret_keys, struct problem *problem);
void s3_keys_close(struct s3_keys *keys); /* NULL is fine */
/* The secret of a key id, and whether it is the internal one. Outside keys are read again when
 * their file has changed, so that one added or taken away counts at once. */
bool s3_keys_find(struct s3_keys *keys, const char *key_id, char out[SIGV4_SECRET_SIZE],
                  bool *ret_internal);
