/* Refresh and reset tokens (ticket.h). */
#include "service/identity/ticket.h"

#include "base/text.h"
#include "service/identity/keys.h"

#include <sodium.h>
#include <string.h>

enum {
    SEALED = 48,
    SEAL = TICKET_BYTES - SEALED,
    BASE64URL = sodium_base64_VARIANT_URLSAFE_NO_PADDING
};

static void seal(const unsigned char *key, enum ticket_kind kind, const unsigned char *bytes,
                 unsigned char out[SEAL])
{
    crypto_generichash_state state;
    unsigned char kind_byte = (unsigned char)kind;
    (void)crypto_generichash_init(&state, key, SEAL_KEY_BYTES, SEAL);
    (void)crypto_generichash_update(&state, &kind_byte, 1);
    (void)crypto_generichash_update(&state, bytes, SEALED);
    (void)crypto_generichash_final(&state, out, SEAL);
}

static void put_id(unsigned char *bytes, int64_t id)
{
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)((uint64_t)id >> (56 - 8 * i));
    }
}

static int64_t get_id(const unsigned char *bytes)
{
    uint64_t id = 0;
    for (unsigned i = 0; i < 8; i++) {
        id = id << 8 | bytes[i];
    }
    return (int64_t)id;
}

static void hash(const unsigned char bytes[TICKET_BYTES], unsigned char out[TICKET_HASH_BYTES])
{
    (void)crypto_generichash(out, TICKET_HASH_BYTES, bytes, TICKET_BYTES, NULL, 0);
}

void ticket_make(const unsigned char *key, enum ticket_kind kind, int64_t user_id,
                 int64_t session_id, struct ticket *ret_ticket)
{
    unsigned char bytes[TICKET_BYTES];
    put_id(bytes, user_id);
    put_id(bytes + 8, session_id);
    randombytes_buf(bytes + 16, SEALED - 16);
    seal(key, kind, bytes, bytes + SEALED);
    ret_ticket->user_id = user_id;
    ret_ticket->session_id = session_id;
    hash(bytes, ret_ticket->hash);
    (void)sodium_bin2base64(ret_ticket->text, sizeof ret_ticket->text, bytes, sizeof bytes,
                            BASE64URL);
    sodium_memzero(bytes, sizeof bytes);
}

bool ticket_read(const unsigned char *key, enum ticket_kind kind, const char *text,
                 struct ticket *ret_ticket)
{
    unsigned char bytes[TICKET_BYTES], expected[SEAL];
    size_t length = 0;
    if (strlen(text) != TICKET_TEXT_SIZE - 1 ||
        !text_base64_decode(text, TICKET_TEXT_SIZE - 1, TEXT_BASE64_URL, bytes, sizeof bytes,
                            &length) ||
        length != sizeof bytes) {
        return false;
    }
    seal(key, kind, bytes, expected);
    bool ours = sodium_memcmp(expected, bytes + SEALED, SEAL) == 0;
    if (ours) {
        ret_ticket->user_id = get_id(bytes);
        ret_ticket->session_id = get_id(bytes + 8);
        hash(bytes, ret_ticket->hash);
        memcpy(ret_ticket->text, text, TICKET_TEXT_SIZE);
    }
    sodium_memzero(bytes, sizeof bytes);
    return ours;
}
