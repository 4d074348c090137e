/* Access tokens. "T": any text: it is never good. "H": the same behind a header of ours. "C":
 * claims signed by our own key: they are good only if they are for this server, whole, and of the
 * length of time and the roles that we hand out; with any other signature they are not. "I": what
 * we issue is good and says the same, for one issuer alone and until it ends.
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

static void try_issued(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(0);
    struct token_claims claims = {.roles = ROLE_LISTENER, .plan = "free"}, again;
    const char *text = NULL, *why = NULL;
    int64_t ids[2] = {1, 1};
    memcpy(ids, data, size < sizeof ids ? size : sizeof ids);
    claims.user_id = (ids[0] & INT64_MAX) | 1;
    claims.session_id = (ids[1] & INT64_MAX) | 1;
    claims.roles |= size > 16 && data[16] % 2 != 0 ? ROLE_ARTIST : 0u;
    FUZZ_CHECK(arena != NULL && token_issue(ring, issuer, &claims, arena, &text) == 0);
    size_t length = strlen(text);
    int64_t at_ms = claims.issued_s * 1000;
    FUZZ_CHECK(length <= TOKEN_BYTES_MAX);
    FUZZ_CHECK(token_verify(ring, issuer, text, length, at_ms, &again, &why) == 0);
    FUZZ_CHECK(again.user_id == claims.user_id && again.session_id == claims.session_id);
    FUZZ_CHECK(again.roles == claims.roles && strcmp(again.plan, claims.plan) == 0);
    FUZZ_CHECK(token_verify(ring, "https://other", text, length, at_ms, &again, &why) != 0);
    at_ms += (int64_t)TOKEN_LIFE_S * 1000;
    FUZZ_CHECK(token_verify(ring, issuer, text, length, at_ms, &again, &why) != 0);
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 'I') {
        try_issued(data + 1, size - 1);
        return 0;
    }
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
