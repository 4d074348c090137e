/* Argon2id behind a gate (passwords.h). */
#include "service/identity/passwords.h"

#include "base/error.h"
#include "base/problem.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

struct passwords {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    unsigned free_places;
    unsigned waiting, waiters_max;
    char dummy[PASSWORD_HASH_SIZE]; /* of a random password nobody has */
};

static int hash_now(const char *password, char ret_hash[PASSWORD_HASH_SIZE])
{
    int failed = crypto_pwhash_str_alg(ret_hash, password, strlen(password), PASSWORD_PASSES,
                                       PASSWORD_BYTES, crypto_pwhash_ALG_ARGON2ID13);
    return failed ? ERR_NO_MEMORY : 0;
}

/* A hash with our parameters of nothing anybody knows: its digest is random, no password fits. */
static void make_dummy(char dummy[PASSWORD_HASH_SIZE])
{
    unsigned char salt[16], digest[32];
    char salt_text[32], digest_text[64];
    randombytes_buf(salt, sizeof salt);
    randombytes_buf(digest, sizeof digest);
    (void)sodium_bin2base64(salt_text, sizeof salt_text, salt, sizeof salt,
                            sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    (void)sodium_bin2base64(digest_text, sizeof digest_text, digest, sizeof digest,
                            sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    (void)snprintf(dummy, PASSWORD_HASH_SIZE, "$argon2id$v=19$m=%d,t=%d,p=1$%s$%s",
                   PASSWORD_BYTES / 1024, PASSWORD_PASSES, salt_text, digest_text);
}

int passwords_new(unsigned threads, unsigned waiters_max, struct passwords **ret_passwords)
{
    struct passwords *passwords = calloc(1, sizeof *passwords);
    if (passwords == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)pthread_mutex_init(&passwords->lock, NULL);
    (void)pthread_cond_init(&passwords->opened, NULL);
    passwords->free_places = threads > 0 ? threads : 1;
    passwords->waiters_max = waiters_max;
    make_dummy(passwords->dummy);
    *ret_passwords = passwords;
    return 0;
}

void passwords_free(struct passwords *passwords)
{
    if (passwords == NULL) {
        return;
    }
    (void)pthread_cond_destroy(&passwords->opened);
    (void)pthread_mutex_destroy(&passwords->lock);
    free(passwords);
}

static int gate_enter(struct passwords *passwords, struct problem *problem)
{
    (void)pthread_mutex_lock(&passwords->lock);
    bool full = passwords->free_places == 0 && passwords->waiting >= passwords->waiters_max;
    if (!full) {
        passwords->waiting++;
        while (passwords->free_places == 0) {
            (void)pthread_cond_wait(&passwords->opened, &passwords->lock);
        }
        passwords->waiting--;
        passwords->free_places--;
    }
    (void)pthread_mutex_unlock(&passwords->lock);
    if (full) {
        if (problem != NULL) {
            problem->retry_after_s = 1;
        }
        return problem_set(problem, ERR_BUSY, "Too many people are logging in at this moment");
    }
    return 0;
}

static void gate_leave(struct passwords *passwords)
{
    (void)pthread_mutex_lock(&passwords->lock);
    passwords->free_places++;
    (void)pthread_cond_signal(&passwords->opened);
    (void)pthread_mutex_unlock(&passwords->lock);
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

int passwords_hash(struct passwords *passwords, struct problem *problem, const char *password,
                   char ret_hash[PASSWORD_HASH_SIZE])
{
    char *composed = compose(password);
    if (composed == NULL) {
        return ERR_NO_MEMORY;
    }
    int error = gate_enter(passwords, problem);
    if (error == 0) {
        error = hash_now(composed, ret_hash);
        gate_leave(passwords);
    }
    wipe(composed);
    return error;
}

int passwords_verify(struct passwords *passwords, struct problem *problem, const char *password,
                     const char *hash, bool *ret_matches, bool *ret_outdated)
{
    char *composed = compose(password);
    if (composed == NULL) {
        return ERR_NO_MEMORY;
    }
    int error = gate_enter(passwords, problem);
    if (error == 0) {
        const char *against = hash != NULL ? hash : passwords->dummy;
        errno = 0;
        int differs = crypto_pwhash_str_verify(against, composed, strlen(composed));
        gate_leave(passwords);
        if (differs != 0 && errno == ENOMEM) {
            error = ERR_NO_MEMORY;
        } else {
            *ret_matches = differs == 0 && hash != NULL;
            *ret_outdated = *ret_matches &&
                            crypto_pwhash_str_needs_rehash(hash, PASSWORD_PASSES, PASSWORD_BYTES);
        }
    }
    wipe(composed);
    return error;
}
