/* The keys that seal objects at rest: KEYS/blob-keys (0600), a line each, "ID KEY" (16 hexadecimal
 * digits, 32 bytes in base64). The last line seals what is written, all of them open what is read,
 * so a line may be added at any time and none may be taken away while objects need it. Read once,
 * when the store is opened. Any thread. */
#pragma once

#include "base/seal.h"

#include <stdbool.h>

struct blob_keys;
struct problem;

enum { BLOB_KEY_ID_BYTES = 8 };

/* make: where there is no key yet, the first one is made, for good before it is used. Without make
 * and without a file there are no keys, which is no error. ERR_INVALID: a line is none. */
int blob_keys_open(const char *folder, bool make, struct blob_keys **ret_keys,
                   struct problem *problem);
void blob_keys_close(struct blob_keys *keys); /* NULL is fine */
bool blob_keys_are_there(const struct blob_keys *keys);
/* The key of an id. false: there is none. All take NULL for no keys. */
bool blob_keys_find(const struct blob_keys *keys, const unsigned char id[BLOB_KEY_ID_BYTES],
                    unsigned char out[SEAL_KEY_BYTES]);
/* The key that seals. false: there is none. */
bool blob_keys_newest(const struct blob_keys *keys, unsigned char ret_id[BLOB_KEY_ID_BYTES],
                      unsigned char out[SEAL_KEY_BYTES]);
