/* identity's routes: the table, and the public keys. */
#include "service/identity/identity_http.h"
#include "base/error.h"
#include "base/mem.h"
#include "net/http.h"
#include "service/identity/identity_private.h"
#include "service/identity/keys.h"

enum { BODY_MAX = 16 * 1024, ANYBODY = ROLE_LISTENER | ROLE_ARTIST | ROLE_ADMIN };

/* An access token that has run out must not stand in the way of getting a new one. */
#define PUBLIC ROUTE_NO_AUTH_HEADER
#define SECRET ROUTE_SECRET_BODY

static int handle_jwks(struct request *request)
{
    const struct identity *identity = request->context;
    int error = reply_header(request, "Cache-Control", "public, max-age=300");
    return error != 0 ? error : reply_json(request, 200, key_ring_jwks(identity->keys));
}

static const struct route routes[] = {
    {"GET", "/.well-known/jwks.json", 0, ROUTE_LOOP, 0, RATE_READ, handle_jwks, NULL, PUBLIC},

    {"GET", "/api/v1/setup", 0, ROUTE_POOL, 0, RATE_READ, handle_setup_state, NULL, PUBLIC},
    {"POST", "/api/v1/setup", 0, ROUTE_HASH, BODY_MAX, RATE_LOGIN, handle_setup, NULL,
     PUBLIC | SECRET},
    {"POST", "/api/v1/auth/register", 0, ROUTE_HASH, BODY_MAX, RATE_LOGIN, handle_register, NULL,
     PUBLIC | SECRET},
    {"POST", "/api/v1/auth/login", 0, ROUTE_HASH, BODY_MAX, RATE_LOGIN, handle_log_in, NULL,
     PUBLIC | SECRET},
    {"POST", "/api/v1/auth/refresh", 0, ROUTE_POOL, BODY_MAX, RATE_LOGIN, handle_refresh, NULL,
     PUBLIC | SECRET},
    {"POST", "/api/v1/auth/logout", 0, ROUTE_POOL, BODY_MAX, RATE_LOGIN, handle_log_out, NULL,
     PUBLIC | SECRET},
    {"POST", "/api/v1/auth/forgot", 0, ROUTE_POOL, BODY_MAX, RATE_LOGIN, handle_forgot, NULL,
     PUBLIC},
    {"POST", "/api/v1/auth/reset", 0, ROUTE_HASH, BODY_MAX, RATE_LOGIN, handle_reset, NULL,
     PUBLIC | SECRET},

    {"GET", "/api/v1/me", ANYBODY, ROUTE_POOL, 0, RATE_READ, handle_me, NULL, 0},
    /* As a log-in: it waits for the same threads, and may bring a password for them. */
    {"PATCH", "/api/v1/me", ANYBODY, ROUTE_HASH, BODY_MAX, RATE_LOGIN, handle_me_change, NULL,
     SECRET},
    {"DELETE", "/api/v1/me", ANYBODY, ROUTE_POOL, 0, RATE_WRITE, handle_me_erase, NULL, 0},
    {"POST", "/api/v1/me/password", ANYBODY, ROUTE_HASH, BODY_MAX, RATE_LOGIN, handle_me_password,
     NULL, SECRET},
    {"POST", "/api/v1/me/export", ANYBODY, ROUTE_POOL, BODY_MAX, RATE_WRITE, handle_me_export, NULL,
     0},
    {"GET", "/api/v1/me/sessions", ANYBODY, ROUTE_POOL, 0, RATE_READ, handle_sessions, NULL, 0},
    {"DELETE", "/api/v1/me/sessions/{id}", ANYBODY, ROUTE_POOL, 0, RATE_WRITE, handle_session_end,
     NULL, 0},

    {"GET", "/api/v1/admin/users", ROLE_ADMIN, ROUTE_POOL, 0, RATE_READ, handle_users, NULL, 0},
    {"GET", "/api/v1/admin/users/{id}", ROLE_ADMIN, ROUTE_POOL, 0, RATE_READ, handle_user, NULL, 0},
    {"PATCH", "/api/v1/admin/users/{id}", ROLE_ADMIN, ROUTE_HASH, BODY_MAX, RATE_WRITE,
     handle_user_change, NULL, SECRET},
};

const struct route *identity_routes(unsigned *ret_count)
{
    *ret_count = COUNT_OF(routes);
    return routes;
}
