/* Hashing passwords: Argon2id with OWASP's parameters (19 MiB, 2 passes, 1 lane), through
 * libsodium, which maps the memory for one hash and unmaps it after. A gate bounds how many run at
 * once: 2 × 19 MiB is what a flood of log-ins may cost, never more. The routes that hash run on
 * net's own hash pool (ROUTE_HASH), as wide as the gate, so nobody waits at it; where they would
 * (a command beside a server's thread), waiters_max bounds that too.
 */
#pragma once

#include <sodium.h>
#include <stdbool.h>

struct passwords;
struct problem;

enum {
    PASSWORD_PASSES = 2,
    PASSWORD_BYTES = 19 * 1024 * 1024,
    PASSWORD_HASH_SIZE = crypto_pwhash_STRBYTES,
};

int passwords_new(unsigned threads, unsigned waiters_max, struct passwords **ret_passwords);
void passwords_free(struct passwords *passwords); /* NULL is fine */

/* Any thread; burns a core for some 20 ms. The password is normalised to NFC first (two keyboards
 * write "é" in two ways). ERR_BUSY with Retry-After when waiters_max wait already. */
int passwords_hash(struct passwords *passwords, struct problem *problem, const char *password,
                   char ret_hash[PASSWORD_HASH_SIZE]);
/* *ret_matches. hash NULL: the person is unknown; the same work is done, so that the time taken
 * says nothing. *ret_outdated: it matches, but was made with other parameters: hash again. */
int passwords_verify(struct passwords *passwords, struct problem *problem, const char *password,
                     const char *hash, bool *ret_matches, bool *ret_outdated);
