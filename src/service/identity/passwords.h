/* Hashing passwords: Argon2id with OWASP's parameters (19 MiB, 2 passes, 1 lane), through
 * libsodium, which maps the memory for one hash and unmaps it after. The routes that hash run on
 * net's own pool (ROUTE_HASH): its threads bound how many run at once, so 2 × 19 MiB is what a
 * flood of log-ins may cost, never more, and its queue how many wait. Any thread; each call burns a
 * core for some 20 ms.
 */
#pragma once

#include <sodium.h>
#include <stdbool.h>

enum {
    PASSWORD_PASSES = 2,
    PASSWORD_BYTES = 19 * 1024 * 1024,
    PASSWORD_HASH_SIZE = crypto_pwhash_STRBYTES,
};

/* The password is normalised to NFC first (two keyboards write "é" in two ways). */
int passwords_hash(const char *password, char ret_hash[PASSWORD_HASH_SIZE]);
/* *ret_matches. hash NULL: the person is unknown; the same work is done, so that the time taken
 * says nothing. *ret_outdated: it matches, but was made with other parameters: hash again. */
int passwords_verify(const char *password, const char *hash, bool *ret_matches, bool *ret_outdated);
