/* Access tokens. "T": any text: it is never good. "H": the same behind a header of ours. "C":
 * claims signed by our own key: they are good only if they are for this server, whole, and of the
 * length of time and the roles that we hand out; with any other signature they are not.
 *
 * Covers: src/service/identity/token.c src/service/identity/roles.c */
#include "base/buffer.h"
#include "base/call.h"
#include "base/clock.h"
#include "base/error.h"
#include "fuzz_folder.h"
#include "service/identity/keys.h"
#include "service/identity/token.h"

enum { BASE64URL = sodium_base64_VARIANT_URLSAFE_NO_PADDING, TEXT_BYTES_MAX = 64 * 1024 };

static const char issuer[] = "https://music.example";
static const int64_t now_ms = 1790000000000;
static struct key_ring *ring;
static struct signing_key key;

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    fuzz_folder_make();
    FUZZ_CHECK(key_ring_open(fuzz_folder, &ring, NULL) == 0);
    FUZZ_CHECK(key_ring_current(ring, &key) == 0);
    return 0;
}

static void add_part(struct buffer *out, const void *bytes, size_t length)
{
    size_t size = sodium_base64_encoded_len(length, BASE64URL);
    char *text = malloc(size);
    FUZZ_CHECK(text != NULL);
    (void)buffer_add(out, ".");
    (void)buffer_add(out, sodium_bin2base64(text, size, bytes, length, BASE64URL));
    free(text);
}

static int verify(const struct buffer *text, struct token_claims *claims)
{
    const char *why = NULL;
    char *exact = fuzz_text(text->data, text->length);
    int error = token_verify(ring, issuer, exact, text->length, now_ms, claims, &why);
    FUZZ_CHECK(error == 0 || (error == ERR_UNAUTHENTICATED && why != NULL));
    free(exact);
    return error;
}

static void check_claims(const struct token_claims *claims)
{
    FUZZ_CHECK(claims->user_id > 0 && claims->session_id > 0 && claims->token_id > 0);
    FUZZ_CHECK((claims->roles & ~(unsigned)(ROLE_LISTENER | ROLE_ARTIST | ROLE_ADMIN)) == 0);
    FUZZ_CHECK(memchr(claims->plan, '\0', sizeof claims->plan) != NULL);
    FUZZ_CHECK(claims->expires_s - claims->issued_s == TOKEN_LIFE_S);
    FUZZ_CHECK(claims->expires_s * 1000 > now_ms);
    FUZZ_CHECK(claims->issued_s <= now_ms / 1000 + TOKEN_CLOCK_SKEW_S);
}

static void try_claims(const uint8_t *data, size_t size, struct buffer *text)
{
    unsigned char signature[crypto_sign_BYTES];
    struct token_claims claims;
    (void)buffer_add(text, key.header);
    add_part(text, data, size);
    (void)crypto_sign_detached(signature, NULL, (const unsigned char *)text->data, text->length,
                               key.secret_key);
    size_t signed_length = text->length;
    add_part(text, signature, sizeof signature);
    if (verify(text, &claims) == 0) {
        check_claims(&claims);
    }
    text->length = signed_length;
    signature[size % sizeof signature] ^= 1;
    add_part(text, signature, sizeof signature);
    FUZZ_CHECK(verify(text, &claims) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct buffer text;
    struct token_claims claims;
    buffer_init(&text, TEXT_BYTES_MAX);
    if (data[0] == 'C') {
        try_claims(data + 1, size - 1, &text);
    } else {
        (void)buffer_add(&text, data[0] == 'H' ? key.header : "");
        (void)buffer_append(&text, data + 1, size - 1);
        FUZZ_CHECK(verify(&text, &claims) != 0);
    }
    buffer_done(&text);
    return 0;
}
