/* Tickets: the secrets a person holds to come back. A refresh token, and the token of a mail that
 * resets a password. Text: base64url of
 *
 *   user id (8 bytes) | session id (8, 0 for a reset) | random (32) | seal (16)
 *
 * The user's id inside says which shard knows it. The seal, keyed BLAKE2b over the rest and the
 * kind, does two things: what we never made is refused without a look into the database; and a
 * sealed ticket that its session no longer lists must be one that was replaced long ago, so reuse
 * is known for sure although only a handful of rows a session is kept. The database keeps the hash
 * of the ticket alone. Any thread; secrets are the caller's to wipe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { TICKET_BYTES = 64, TICKET_TEXT_SIZE = 87, TICKET_HASH_BYTES = 32 };

enum ticket_kind { TICKET_REFRESH = 'R', TICKET_RESET = 'P' };

struct ticket {
    int64_t user_id, session_id;
    unsigned char hash[TICKET_HASH_BYTES];
    char text[TICKET_TEXT_SIZE];
};

/* key: SEAL_KEY_BYTES (keys.h). */
void ticket_make(const unsigned char *key, enum ticket_kind kind, int64_t user_id,
                 int64_t session_id, struct ticket *ret_ticket);
/* False unless we made it, with this key, for this kind. */
bool ticket_read(const unsigned char *key, enum ticket_kind kind, const char *text,
                 struct ticket *ret_ticket);
