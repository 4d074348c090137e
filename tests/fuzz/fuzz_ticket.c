/* Tickets: refresh and reset tokens. Any text is none; one that we made is read again the same, for
 * its kind alone, and is none after a change of one character.
 *
 * Covers: src/service/identity/ticket.c */
#include "fuzz.h"
#include "service/identity/keys.h"
#include "service/identity/ticket.h"

static unsigned char key[SEAL_KEY_BYTES];

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    FUZZ_CHECK(sodium_init() >= 0);
    randombytes_buf(key, sizeof key);
    return 0;
}

static void try_made(const uint8_t bytes[16], uint8_t at, uint8_t other)
{
    struct ticket made, again;
    int64_t ids[2];
    memcpy(ids, bytes, sizeof ids);
    ticket_make(key, TICKET_REFRESH, ids[0], ids[1], &made);
    FUZZ_CHECK(ticket_read(key, TICKET_REFRESH, made.text, &again));
    FUZZ_CHECK(again.user_id == ids[0] && again.session_id == ids[1]);
    FUZZ_CHECK(memcmp(again.hash, made.hash, sizeof made.hash) == 0);
    FUZZ_CHECK(strcmp(again.text, made.text) == 0);
    FUZZ_CHECK(!ticket_read(key, TICKET_RESET, made.text, &again));
    char *changed = &made.text[at % strlen(made.text)];
    if (*changed != (char)other) {
        *changed = (char)other;
        FUZZ_CHECK(!ticket_read(key, TICKET_REFRESH, made.text, &again));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct ticket ticket;
    FUZZ_CHECK(!ticket_read(key, TICKET_REFRESH, text, &ticket));
    FUZZ_CHECK(!ticket_read(key, TICKET_RESET, text, &ticket));
    free(text);
    if (size >= 18) {
        try_made(data, data[16], data[17]);
    }
    return 0;
}
