/* Bodies that hold a password leave nothing behind, whatever becomes of their request. free is
 * replaced here, and looks at what net gives back; the parsed body is kept and looked at later. */
#include "client.h"

#include "base/error.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PASSWORD "correct-horse-battery"
#define JSON     "{\"user\":\"u\",\"in\":[{\"password\":\"" PASSWORD "\"}]}"

static _Atomic int leaked, answered_error;
static json_t *kept;

void __real_free(void *memory);
void __wrap_free(void *memory);
void __wrap_free(void *memory)
{
    size_t bytes = memory != NULL ? malloc_usable_size(memory) : 0;
    if (bytes > 0 && memmem(memory, bytes, PASSWORD, strlen(PASSWORD)) != NULL) {
        leaked++;
    }
    __real_free(memory);
}

void *__real_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
/* Always to another place. */
void *__wrap_realloc(void *memory, size_t bytes)
{
    size_t before = memory != NULL ? malloc_usable_size(memory) : 0;
    void *place = malloc(bytes);
    if (place != NULL && before > 0) {
        memcpy(place, memory, before < bytes ? before : bytes);
        __wrap_free(memory);
    }
    return place;
}

static int handle(struct request *request)
{
    json_t *body = NULL;
    int error = request_json(request, &body);
    if (error == 0) {
        kept = json_incref(body);
    }
    return error != 0 ? error : answered_error != 0 ? answered_error : reply_empty(request, 204);
}

static const struct route rows[] = {
    {.method = "POST",
     .pattern = "/secret",
     .run = ROUTE_POOL,
     .body_bytes_max = 2048,
     .handle = handle,
     .flags = ROUTE_SECRET_BODY},
    {.method = "POST",
     .pattern = "/plain",
     .run = ROUTE_POOL,
     .body_bytes_max = 2048,
     .handle = handle},
};

#define HEAD(path, length)                                                                         \
    "POST " path " HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n" length "\r\n\r\n"
#define CHUNKED "Transfer-Encoding: chunked"
#define CHUNK   "38\r\n" JSON "\r\n"
#define WHOLE   CHUNK "0\r\n\r\n"
#define EIGHT   "        "
#define MANY    EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT
#define SPACES  MANY MANY MANY MANY MANY MANY MANY MANY MANY MANY MANY MANY MANY MANY MANY MANY

static const char *password_of(const json_t *body)
{
    const json_t *member = json_array_get(json_object_get(body, "in"), 0);
    return json_string_value(json_object_get(member, "password"));
}

static struct http_server *start(void)
{
    leaked = answered_error = 0;
    kept = NULL;
    return serve(rows, sizeof rows / sizeof rows[0], NULL, NULL, NULL);
}

/* The answer's status; 0 where the client says no more than the text and leaves. */
static int say(struct http_server *server, const char *text, bool stays)
{
    struct answer answer = {0};
    int fd = client_connect(server);
    client_say(fd, text);
    if (stays) {
        answer = client_read(fd, false);
    } else {
        (void)shutdown(fd, SHUT_WR);
        assert_true(client_is_closed_within(fd, 10000));
    }
    int status = answer.status;
    answer_done(&answer);
    (void)close(fd);
    return status;
}

/* That one sees it where it is left. */
static void others_are_not_overwritten(void **state)
{
    (void)state;
    struct http_server *server = start();
    assert_int_equal(say(server, HEAD("/plain", CHUNKED) WHOLE, true), 204);
    http_server_free(server);
    assert_int_not_equal(leaked, 0);
    assert_string_equal(password_of(kept), PASSWORD);
    json_decref(kept);
}

static void handled_or_refused_it_is_overwritten(void **state)
{
    (void)state;
    static const int errors[] = {0, ERR_INVALID};
    for (unsigned i = 0; i < 2; i++) {
        struct http_server *server = start();
        answered_error = errors[i];
        assert_int_equal(say(server, HEAD("/secret", CHUNKED) WHOLE, true),
                         errors[i] == 0 ? 204 : 422);
        http_server_free(server);
        assert_int_equal(leaked, 0);
        assert_int_equal(password_of(kept)[0], '\0');
        json_decref(kept);
    }
}

static void what_no_handler_saw_is_overwritten(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool stays;
        int status;
    } cases[] = {
        {HEAD("/secret", "Content-Length: 57") JSON "x", true, 400}, /* no JSON */
        {HEAD("/secret", "Content-Length: 99") JSON, false, 0},
        {HEAD("/secret", CHUNKED) CHUNK "ffff\r\n" SPACES SPACES, true, 413},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_server *server = start();
        assert_int_equal(say(server, cases[i].text, cases[i].stays), cases[i].status);
        http_server_free(server);
        assert_int_equal(leaked, 0);
    }
}

/* Its memory moves while it grows. */
static void what_grows_leaves_nothing(void **state)
{
    (void)state;
    struct http_server *server = start();
    assert_int_equal(
        say(server, HEAD("/secret", CHUNKED) CHUNK "400\r\n" SPACES "\r\n0\r\n\r\n", true), 204);
    http_server_free(server);
    assert_int_equal(leaked, 0);
    json_decref(kept);
}

int main(void)
{
    _Static_assert(sizeof JSON - 1 == 0x38, "as the chunks say");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_are_not_overwritten),
        cmocka_unit_test(handled_or_refused_it_is_overwritten),
        cmocka_unit_test(what_no_handler_saw_is_overwritten),
        cmocka_unit_test(what_grows_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
