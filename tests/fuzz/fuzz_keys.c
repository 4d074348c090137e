/* Key files, as somebody may have edited them. First line: which one ("jwk", "seal", "edge", "s3");
 * the rest is the file. A signing key that is read belongs together: what its secret part signs,
 * its public part verifies. A key that is found has the id that was asked for and an ending.
 *
 * Covers: src/service/identity/key_file.c src/service/streaming/edge_token.c
 * src/service/objectstore/s3_keys.c */
#include "base/error.h"
#include "base/problem.h"
#include "fuzz_folder.h"
#include "service/identity/key_file.h"
#include "service/objectstore/s3_keys.h"
#include "service/streaming/edge_token.h"

#include <fcntl.h>

static struct objectstore_key own_key; /* the internal one of the folder */

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    struct problem problem = {0};
    FUZZ_CHECK(sodium_init() >= 0);
    fuzz_folder_make();
    FUZZ_CHECK(objectstore_internal_key(fuzz_folder, &own_key, &problem) == 0);
    return 0;
}

static void put_file(const char *name, const char *text, size_t length)
{
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", fuzz_folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    FUZZ_CHECK(fd >= 0 && write(fd, text, length) == (ssize_t)length && close(fd) == 0);
}

static void try_jwk(void)
{
    struct signing_key keys[KEY_RING_MAX];
    struct problem problem = {0};
    unsigned count = 0;
    unsigned char signature[crypto_sign_BYTES];
    int error = key_files_read(fuzz_folder, keys, &count, &problem);
    FUZZ_CHECK(error == 0 ? count == 1 : error == ERR_CORRUPT && problem.detail[0] != '\0');
    if (error == 0) {
        FUZZ_CHECK(strlen(keys[0].id) == KEY_ID_SIZE - 1 && keys[0].created_ms > 0);
        (void)crypto_sign_detached(signature, NULL, keys[0].public_key, 32, keys[0].secret_key);
        FUZZ_CHECK(crypto_sign_verify_detached(signature, keys[0].public_key, 32,
                                               keys[0].public_key) == 0);
    }
}

static void try_seal(size_t length)
{
    unsigned char key[SEAL_KEY_BYTES];
    struct problem problem = {0};
    int error = seal_key_file_read(fuzz_folder, key, &problem);
    FUZZ_CHECK((error == 0) == (length == SEAL_KEY_BYTES));
}

static void try_edge(void)
{
    struct edge_keys *keys = NULL;
    struct edge_grant again, grant = {.track_id = 1, .version = 1, .expires_s = 1000};
    struct problem problem = {0};
    char token[EDGE_TOKEN_SIZE];
    int error = edge_keys_open(fuzz_folder, &keys, &problem);
    FUZZ_CHECK(error == 0 || error == ERR_CORRUPT);
    if (error == 0) {
        edge_token_sign(keys, &grant, token);
        FUZZ_CHECK(edge_token_verify(keys, token, 0, &again) == 0);
    }
    edge_keys_close(keys);
}

static void try_s3(const char *text)
{
    struct s3_keys *keys = NULL;
    struct problem problem = {0};
    char secret[SIGV4_SECRET_SIZE], id[32] = "";
    bool internal = true;
    FUZZ_CHECK(s3_keys_open(fuzz_folder, &keys, &problem) == 0);
    (void)sscanf(text, "%*s %31s", id);
    /* The internal key may be found too: libFuzzer learns its random id from the comparison. */
    if (s3_keys_find(keys, id, secret, &internal)) {
        FUZZ_CHECK(strlen(secret) > 0 && strlen(secret) < SIGV4_SECRET_SIZE);
        FUZZ_CHECK(internal == (strcmp(id, own_key.id) == 0));
    }
    s3_keys_close(keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_FIELDS fields = fuzz_split(data, size, 2);
    const char *text = fuzz_or_empty(fields.text[1]);
    size_t length = fields.length[1];
    if (strcmp(fields.text[0], "jwk") == 0) {
        put_file("ed25519-fuzz.jwk", text, length);
        try_jwk();
    } else if (strcmp(fields.text[0], "seal") == 0) {
        put_file("seal.key", text, length);
        try_seal(length);
    } else if (strcmp(fields.text[0], "edge") == 0 && length > 0) { /* an empty one is made anew */
        put_file("edge-keys", text, length);
        try_edge();
    } else if (strcmp(fields.text[0], "s3") == 0) {
        put_file("s3-keys", text, length);
        try_s3(text);
    }
    return 0;
}
