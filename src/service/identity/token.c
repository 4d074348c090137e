/* Access tokens (token.h). A token is three base64url parts: header.claims.signature. The header
 * must be, byte for byte, one that our own keys write (keys.h); the signature is checked before the
 * claims are parsed. */
#include "service/identity/token.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/text.h"
#include "service/identity/keys.h"
#include "service/identity/roles.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BASE64URL = sodium_base64_VARIANT_URLSAFE_NO_PADDING };

static char *claims_text(const char *issuer, const struct token_claims *claims)
{
    char user[ID_TEXT_SIZE], session[ID_TEXT_SIZE], token[ID_TEXT_SIZE];
    json_t *object CLEANUP_JSON = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:I, s:I}", "iss", issuer, "aud", issuer, "sub",
        id_format(claims->user_id, user), "sid", id_format(claims->session_id, session), "jti",
        id_format(claims->token_id, token), "roles", roles_to_json(claims->roles), "plan",
        claims->plan, "iat", (json_int_t)claims->issued_s, "exp", (json_int_t)claims->expires_s);
    return object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
}

/* Appends ".BASE64URL" to text, which has room. */
static char *append_part(char *end, const void *bytes, size_t length)
{
    size_t size = sodium_base64_encoded_len(length, BASE64URL);
    *end++ = '.';
    (void)sodium_bin2base64(end, size, bytes, length, BASE64URL);
    return end + size - 1;
}

static char *sign(const struct signing_key *key, const char *claims, struct arena *arena)
{
    size_t header_length = strlen(key->header), claims_length = strlen(claims);
    size_t size = header_length + 1 + sodium_base64_encoded_len(claims_length, BASE64URL) + 1 +
                  sodium_base64_encoded_len(crypto_sign_BYTES, BASE64URL);
    char *text = arena_alloc(arena, size);
    if (text == NULL) {
        return NULL;
    }
    memcpy(text, key->header, header_length);
    char *end = append_part(text + header_length, claims, claims_length);
    unsigned char signature[crypto_sign_BYTES];
    (void)crypto_sign_detached(signature, NULL, (const unsigned char *)text,
                               (unsigned long long)(end - text), key->secret_key);
    (void)append_part(end, signature, sizeof signature);
    return text;
}

int token_issue(struct key_ring *ring, const char *issuer, struct token_claims *claims,
                struct arena *arena, const char **ret_text)
{
    struct signing_key key;
    int error = key_ring_current(ring, &key);
    if (error != 0) {
        return error;
    }
    claims->token_id = claims->token_id != 0 ? claims->token_id : id_next();
    claims->issued_s = clock_wall_ms() / 1000;
    claims->expires_s = claims->issued_s + TOKEN_LIFE_S;
    char *payload = claims_text(issuer, claims);
    char *text = payload != NULL ? sign(&key, payload, arena) : NULL;
    sodium_memzero(&key, sizeof key);
    free(payload);
    if (text == NULL) {
        return ERR_NO_MEMORY;
    }
    *ret_text = text;
    return 0;
}

/* Where the parts end: first dot, second dot; false unless there are exactly two. */
static bool split(const char *text, size_t length, const char **ret_first, const char **ret_second)
{
    const char *first = memchr(text, '.', length);
    if (first == NULL) {
        return false;
    }
    const char *second = memchr(first + 1, '.', length - (size_t)(first + 1 - text));
    if (second == NULL || memchr(second + 1, '.', length - (size_t)(second + 1 - text)) != NULL) {
        return false;
    }
    *ret_first = first;
    *ret_second = second;
    return true;
}

static bool decode(const char *from, const char *to, void *bytes, size_t size, size_t *ret_length)
{
    return text_base64_decode(from, (size_t)(to - from), TEXT_BASE64_URL, bytes, size, ret_length);
}

static bool claim_is(const json_t *object, const char *name, const char *expected)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value != NULL && strcmp(value, expected) == 0;
}

static bool claim_id(const json_t *object, const char *name, int64_t *ret_id)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL && id_parse(text, ret_id);
}

static bool read_claims(const json_t *object, const char *issuer, struct token_claims *claims)
{
    const char *plan = json_string_value(json_object_get(object, "plan"));
    const json_t *issued = json_object_get(object, "iat"),
                 *expires = json_object_get(object, "exp");
    if (!claim_is(object, "iss", issuer) || !claim_is(object, "aud", issuer) ||
        !claim_id(object, "sub", &claims->user_id) ||
        !claim_id(object, "sid", &claims->session_id) ||
        !claim_id(object, "jti", &claims->token_id) ||
        !roles_from_json(json_object_get(object, "roles"), &claims->roles) || plan == NULL ||
        strlen(plan) >= sizeof claims->plan || !json_is_integer(issued) ||
        !json_is_integer(expires)) {
        return false;
    }
    memcpy(claims->plan, plan, strlen(plan) + 1);
    claims->issued_s = json_integer_value(issued);
    claims->expires_s = json_integer_value(expires);
    return true;
}

static const char *check_time(const struct token_claims *claims, int64_t now_s)
{
    if (claims->issued_s > now_s + TOKEN_CLOCK_SKEW_S ||
        claims->expires_s - claims->issued_s != TOKEN_LIFE_S) {
        return "The access token's times are not right";
    }
    return claims->expires_s <= now_s ? "The access token has run out; refresh it" : NULL;
}

static const char *verify(struct key_ring *ring, const char *issuer, const char *text,
                          size_t length, int64_t now_s, struct token_claims *claims)
{
    static const char malformed[] = "The access token is malformed";
    const char *first, *second;
    if (length > TOKEN_BYTES_MAX || !split(text, length, &first, &second)) {
        return malformed;
    }
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES], signature[crypto_sign_BYTES];
    char payload[TOKEN_BYTES_MAX];
    size_t signature_length = 0, payload_length = 0;
    if (!decode(second + 1, text + length, signature, sizeof signature, &signature_length) ||
        signature_length != sizeof signature ||
        !decode(first + 1, second, payload, sizeof payload, &payload_length)) {
        return malformed;
    }
    if (!key_ring_find(ring, text, (size_t)(first - text), public_key)) {
        return "The access token was signed with a key that is not valid here";
    }
    if (crypto_sign_verify_detached(signature, (const unsigned char *)text,
                                    (unsigned long long)(second - text), public_key) != 0) {
        return "The access token's signature is not right";
    }
    json_t *object CLEANUP_JSON = NULL;
    if (json_read(payload, payload_length, NULL, &object) != 0 ||
        !read_claims(object, issuer, claims)) {
        return "The access token's claims are not those of this server";
    }
    return check_time(claims, now_s);
}

int token_verify(struct key_ring *ring, const char *issuer, const char *text, size_t length,
                 int64_t now_ms, struct token_claims *ret_claims, const char **ret_why)
{
    struct token_claims claims = {0};
    const char *why = verify(ring, issuer, text, length, now_ms / 1000, &claims);
    if (why != NULL) {
        *ret_why = why;
        return ERR_UNAUTHENTICATED;
    }
    *ret_claims = claims;
    return 0;
}
