/* Argon2id (passwords.h). */
#include "service/identity/passwords.h"

#include "base/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char dummy[PASSWORD_HASH_SIZE]; /* of a random password nobody has */

static int hash_now(const char *password, char ret_hash[PASSWORD_HASH_SIZE])
{
    int failed = crypto_pwhash_str_alg(ret_hash, password, strlen(password), PASSWORD_PASSES,
                                       PASSWORD_BYTES, crypto_pwhash_ALG_ARGON2ID13);
    return failed ? ERR_NO_MEMORY : 0;
}

/* A hash with our parameters of nothing anybody knows: its digest is random, no password fits. */
static void make_dummy(void)
{
    unsigned char salt[16], digest[32];
    char salt_text[32], digest_text[64];
    randombytes_buf(salt, sizeof salt);
    randombytes_buf(digest, sizeof digest);
    (void)sodium_bin2base64(salt_text, sizeof salt_text, salt, sizeof salt,
                            sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    (void)sodium_bin2base64(digest_text, sizeof digest_text, digest, sizeof digest,
                            sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    (void)snprintf(dummy, sizeof dummy, "$argon2id$v=19$m=%d,t=%d,p=1$%s$%s", PASSWORD_BYTES / 1024,
                   PASSWORD_PASSES, salt_text, digest_text);
}

static char *compose(const char *password)
{
    return (char *)utf8proc_NFC((const utf8proc_uint8_t *)password);
}

static void wipe(char *composed)
{
    sodium_memzero(composed, strlen(composed));
    free(composed);
}

int passwords_hash(const char *password, char ret_hash[PASSWORD_HASH_SIZE])
{
    char *composed = compose(password);
    if (composed == NULL) {
        return ERR_NO_MEMORY;
    }
    int error = hash_now(composed, ret_hash);
    wipe(composed);
    return error;
}

int passwords_verify(const char *password, const char *hash, bool *ret_matches, bool *ret_outdated)
{
    (void)pthread_once(&once, make_dummy);
    char *composed = compose(password);
    if (composed == NULL) {
        return ERR_NO_MEMORY;
    }
    errno = 0;
    int differs = crypto_pwhash_str_verify(hash != NULL ? hash : dummy, composed, strlen(composed));
    int cause = errno;
    wipe(composed);
    if (differs != 0 && cause == ENOMEM) {
        return ERR_NO_MEMORY;
    }
    *ret_matches = differs == 0 && hash != NULL;
    *ret_outdated =
        *ret_matches && crypto_pwhash_str_needs_rehash(hash, PASSWORD_PASSES, PASSWORD_BYTES) != 0;
    return 0;
}
