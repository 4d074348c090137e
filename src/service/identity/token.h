/* Access tokens: JWT (RFC 7519, profile RFC 9068) signed with Ed25519 (RFC 8037), 15 minutes.
 *
 * Claims, all required: iss and aud (both the public URL), sub (user), sid (session), roles, plan,
 * iat, exp (seconds), jti (an id of ours, so it tells the millisecond it was made in). Any process
 * that can read the directory of keys verifies one, without a database.
 */
#pragma once

#include "base/arena.h"

#include <stddef.h>
#include <stdint.h>

struct key_ring;

enum { TOKEN_LIFE_S = 15 * 60, TOKEN_BYTES_MAX = 2048, TOKEN_CLOCK_SKEW_S = 60 };

struct token_claims {
    int64_t user_id, session_id;
    int64_t token_id; /* jti */
    int64_t issued_s, expires_s;
    unsigned roles;
    char plan[16];
};

/* Signs claims' user, session, roles and plan, and token_id if there is one; the rest is filled in.
 * ret_text from the arena. Any thread; some 30 µs. */
int token_issue(struct key_ring *ring, const char *issuer, struct token_claims *claims,
                struct arena *arena, const char **ret_text);
/* 0, or ERR_UNAUTHENTICATED for whatever is wrong, with *ret_why a fixed phrase. Any thread; some
 * 60 µs when the signature is looked at. */
int token_verify(struct key_ring *ring, const char *issuer, const char *text, size_t length,
                 int64_t now_ms, struct token_claims *ret_claims, const char **ret_why);
