/* Routes of people who are not signed in yet: set-up, register, log in, refresh, log out, forgot,
 * reset. Those that hash run on net's hash pool.
 *
 * Browsers may keep the refresh token in a cookie (`cookie: true`): HttpOnly, so no script reads
 * it; SameSite=Strict and sent to /api/v1/auth alone. A request that sets or uses it must come from
 * our own pages: its Origin is the public URL's, or that of the very host it was sent to (a browser
 * sets both headers itself, so a foreign page can't make them agree), and its body is JSON, which
 * a foreign form can't send.
 */
#include "base/error.h"
#include "base/mem.h"
#include "net/http.h"
#include "service/idempotency.h"
#include "service/identity/identity_http.h"
#include "service/identity/identity_private.h"
#include "service/identity/token.h"

#include <sodium.h>
#include <string.h>
#include <strings.h>

#define COOKIE_NAME "tutti_refresh"
#define COOKIE_PATH "/api/v1/auth"

static struct visitor visitor_of(struct request *request)
{
    return (struct visitor){.address = request->remote,
                            .user_agent = request_header(request, "User-Agent")};
}

/* --- cookies --- */

/* The end of "scheme://authority". */
static size_t origin_length(const char *url)
{
    const char *authority = strstr(url, "://");
    return authority != NULL ? (size_t)(authority + 3 - url) + strcspn(authority + 3, "/") : 0;
}

static bool is_own_origin(struct request *request, const char *origin)
{
    const struct identity *identity = request->context;
    size_t length = origin_length(identity->public_url);
    if (strlen(origin) == length && strncasecmp(origin, identity->public_url, length) == 0) {
        return true;
    }
    const char *host = request_header(request, "Host");
    const char *scheme = request->https ? "https://" : "http://";
    return host != NULL && strncmp(origin, scheme, strlen(scheme)) == 0 &&
           strcasecmp(origin + strlen(scheme), host) == 0;
}

static int check_origin(struct request *request)
{
    const char *origin = request_header(request, "Origin");
    if (origin == NULL || !is_own_origin(request, origin)) {
        return problem_set(&request->call.problem, ERR_FORBIDDEN,
                           "Cookies are for this server's own pages; other programs use the refresh"
                           " token in the body");
    }
    return 0;
}

/* value "": takes the cookie away. */
static int set_cookie(struct request *request, const char *value)
{
    const struct identity *identity = request->context;
    const char *base_path = identity->public_url + origin_length(identity->public_url);
    const char *secure =
        request->https || strncmp(identity->public_url, "https:", 6) == 0 ? "; Secure" : "";
    const char *cookie = arena_printf(
        request->call.arena,
        COOKIE_NAME "=%s; Path=%s" COOKIE_PATH "; HttpOnly; SameSite=Strict;"
                    " Max-Age=%lld%s",
        value, base_path, value[0] != '\0' ? (long long)(SESSION_LIFE_MS / 1000) : 0LL, secure);
    return cookie != NULL ? reply_header_add(request, "Set-Cookie", cookie) : ERR_NO_MEMORY;
}

/* --- answers --- */

static int reply_private(struct request *request)
{
    return reply_header(request, "Cache-Control", "no-store, private");
}

static json_t *signed_in_json(const struct signed_in *signed_in, bool cookie)
{
    json_t *object = json_pack("{s:o, s:s, s:i}", "user", user_to_json(&signed_in->user),
                               "accessToken", signed_in->access_token, "expiresIn", TOKEN_LIFE_S);
    if (object != NULL && !cookie) {
        (void)json_object_set_new(object, "refreshToken", json_string(signed_in->refresh.text));
    }
    return object;
}

static int reply_signed_in(struct request *request, int status, struct signed_in *signed_in,
                           bool cookie)
{
    int error = reply_private(request);
    if (error == 0 && cookie) {
        error = set_cookie(request, signed_in->refresh.text);
    }
    if (error == 0) {
        error = reply_json(request, status, signed_in_json(signed_in, cookie));
    }
    sodium_memzero(&signed_in->refresh, sizeof signed_in->refresh);
    return error;
}

/* The body, and whether its writer wants a cookie. */
static int read_body(struct request *request, json_t **ret_body, bool *ret_cookie)
{
    int cookie = 0;
    int error = request_json(request, ret_body);
    if (error == 0) {
        error = body_bool(request, *ret_body, "cookie", 0, &cookie);
    }
    if (error == 0 && cookie) {
        error = check_origin(request);
    }
    *ret_cookie = cookie != 0;
    return error;
}

/* --- handlers --- */

/* What a sign-in page must know: whether to ask for the set-up code, and to offer signing up. */
int handle_setup_state(struct request *request)
{
    bool done = false;
    int error = setup_is_done(request->context, &done);
    if (error == 0) {
        error = reply_header(request, "Cache-Control", "no-store");
    }
    return error != 0 ? error
                      : reply_json(request, 200,
                                   json_pack("{s:b, s:s}", "needed", !done, "registration",
                                             done ? "open" : "closed"));
}

int handle_setup(struct request *request)
{
    json_t *body = NULL;
    bool cookie = false;
    const char *code = NULL;
    struct new_user wanted = {.roles = ROLE_ADMIN};
    int error = read_body(request, &body, &cookie);
    if (error != 0) {
        return error;
    }
    int missing = body_text(request, body, "code", &code) |
                  body_text(request, body, "username", &wanted.username) |
                  body_text_or_null(request, body, "email", &wanted.email) |
                  body_text(request, body, "password", &wanted.password);
    if (missing != 0) {
        return ERR_INVALID;
    }
    struct visitor visitor = visitor_of(request);
    struct signed_in signed_in = {0};
    error = setup_finish(request->context, &request->call, code, &wanted, &visitor, &signed_in);
    return error != 0 ? error : reply_signed_in(request, 201, &signed_in, cookie);
}

int handle_register(struct request *request)
{
    json_t *body = NULL;
    bool cookie = false;
    struct new_user wanted = {.roles = ROLE_LISTENER};
    int error = read_body(request, &body, &cookie);
    if (error != 0) {
        return error;
    }
    int missing = body_text(request, body, "username", &wanted.username) |
                  body_text(request, body, "email", &wanted.email) |
                  body_text(request, body, "password", &wanted.password);
    if (missing != 0) {
        return ERR_INVALID;
    }
    struct visitor visitor = visitor_of(request);
    struct signed_in signed_in = {0};
    error = account_register(request->context, &request->call, &wanted, &visitor, &signed_in);
    return error != 0 ? error : reply_signed_in(request, 201, &signed_in, cookie);
}

int handle_log_in(struct request *request)
{
    json_t *body = NULL;
    bool cookie = false;
    const char *username = NULL, *password = NULL;
    int error = read_body(request, &body, &cookie);
    if (error != 0) {
        return error;
    }
    if ((body_text(request, body, "username", &username) |
         body_text(request, body, "password", &password)) != 0) {
        return ERR_INVALID;
    }
    struct visitor visitor = visitor_of(request);
    struct signed_in signed_in = {0};
    error =
        session_log_in(request->context, &request->call, username, password, &visitor, &signed_in);
    return error != 0 ? error : reply_signed_in(request, 200, &signed_in, cookie);
}

/* The refresh token of the body, else of the cookie (then the Origin counts). NULL: neither. */
static int find_refresh_token(struct request *request, const json_t *body, const char **ret_token,
                              bool *ret_cookie)
{
    const char *token = NULL;
    int error = body_text_or_null(request, body, "refreshToken", &token);
    if (error == 0 && token == NULL) {
        token = request_cookie(request, COOKIE_NAME);
        *ret_cookie = *ret_cookie || token != NULL;
        error = token != NULL ? check_origin(request) : 0;
    }
    *ret_token = token;
    return error;
}

int handle_refresh(struct request *request)
{
    json_t *body = NULL;
    bool cookie = false;
    const char *token = NULL;
    int error = read_body(request, &body, &cookie);
    if (error == 0) {
        error = find_refresh_token(request, body, &token, &cookie);
    }
    if (error == 0 && token == NULL) {
        return cookie ? problem_set(&request->call.problem, ERR_UNAUTHENTICATED,
                                    "There is no session in this browser; log in")
                      : problem_field(&request->call.problem, "refreshToken", "is missing");
    }
    struct signed_in signed_in = {0};
    if (error == 0) {
        error = session_refresh(request->context, &request->call, token, &signed_in);
    }
    return error != 0 ? error : reply_signed_in(request, 200, &signed_in, cookie);
}

/* Ends the session of the access token, if there is a good one. */
static int log_out_bearer(struct request *request)
{
    static const char scheme[] = "Bearer ";
    const char *header = request_header(request, "Authorization");
    struct identity *identity = request->context;
    if (header == NULL || strncasecmp(header, scheme, strlen(scheme)) != 0 ||
        identity_authenticate(identity, request, header + strlen(scheme)) != 0) {
        problem_reset(&request->call.problem);
        return 0;
    }
    struct idempotency none = {0};
    int error = session_end(identity, &request->call, request->call.actor.session_id, &none);
    return error == ERR_NOT_FOUND ? 0 : error;
}

/* Ends what the token or cookie names, else the session of the bearer token. */
int handle_log_out(struct request *request)
{
    json_t *body = NULL;
    bool cookie = false;
    const char *token = NULL;
    int error = read_body(request, &body, &cookie);
    if (error == 0) {
        error = find_refresh_token(request, body, &token, &cookie);
    }
    if (error == 0 && token != NULL) {
        error = session_log_out(request->context, token);
    } else if (error == 0) {
        error = log_out_bearer(request);
    }
    if (error == 0 && cookie) {
        error = set_cookie(request, "");
    }
    return error != 0 ? error : reply_empty(request, 204);
}

int handle_forgot(struct request *request)
{
    json_t *body = NULL;
    const char *email = NULL;
    bool mail = false;
    int error = request_json(request, &body);
    if (error == 0) {
        error = body_text(request, body, "email", &email);
    }
    if (error == 0) {
        error = recovery_begin(request->context, &request->call, email, &mail);
    }
    return error != 0 ? error : reply_json(request, 202, json_pack("{s:b}", "mail", mail));
}

int handle_reset(struct request *request)
{
    json_t *body = NULL;
    const char *token = NULL, *password = NULL;
    int error = request_json(request, &body);
    if (error != 0) {
        return error;
    }
    if ((body_text(request, body, "token", &token) |
         body_text(request, body, "password", &password)) != 0) {
        return ERR_INVALID;
    }
    error = recovery_finish(request->context, &request->call, token, password);
    return error != 0 ? error : reply_empty(request, 204);
}
