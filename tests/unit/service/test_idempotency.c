/* Writes that are sent again: over a real server and a database in memory. */
#include "service/idempotency.h"

#include "../net/client.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct db *db;
static int made; /* writes that were really done */

struct write {
    struct request *request;
    struct idempotency once;
    json_t *answer;
    bool fail;
};

static int do_write(struct db_session *session, void *argument)
{
    struct write *write = argument;
    int error = idempotency_begin(session, &write->request->call, &write->once);
    if (error != 0 || write->once.replayed) {
        return error;
    }
    made++;
    if (write->fail) {
        return problem_set(&write->request->call.problem, ERR_CONFLICT, "Not now");
    }
    write->answer = json_pack("{s:i}", "made", made);
    return idempotency_finish(session, &write->once, 201, 5, write->answer);
}

static int handle(struct request *request)
{
    struct write write = {.request = request, .fail = request_query(request, "fail") != NULL};
    int error = idempotency_from_request(request, &write.once);
    if (error == 0) {
        error = db_write(db, do_write, &write);
    }
    if (error != 0) {
        json_decref(write.answer);
        return error;
    }
    return write.once.replayed ? idempotency_reply(request, &write.once)
                               : reply_resource(request, 201, write.answer, 5);
}

/* Takes the body, and keeps nothing of it. */
static int sink_open(struct request *request, void **ret_state)
{
    *ret_state = request;
    return 0;
}

static int sink_write(struct request *request, void *state, const void *bytes, size_t length)
{
    (void)request, (void)state, (void)bytes, (void)length;
    return 0;
}

static void sink_close(struct request *request, void *state, bool complete)
{
    (void)request, (void)state, (void)complete;
}

static const struct body_sink sink = {sink_open, sink_write, sink_close};

static int handle_sunk(struct request *request)
{
    struct write write = {.request = request};
    size_t length;
    (void)request_body(request, &length);
    assert_int_equal(length, 0);
    int error = idempotency_from_request(request, &write.once);
    const char *content = request_header(request, "X-Content");
    idempotency_add(&write.once, content, strlen(content));
    error = error != 0 ? error : db_write(db, do_write, &write);
    if (error != 0) {
        return error;
    }
    return write.once.replayed ? idempotency_reply(request, &write.once)
                               : reply_resource(request, 201, write.answer, 5);
}

static int authenticate(void *context, struct request *request, const char *bearer)
{
    (void)context;
    request->call.actor.user_id = bearer[0] - '0';
    request->call.actor.roles = ROLE_LISTENER;
    return 0;
}

static const struct route rows[] = {
    {.method = "POST",
     .pattern = "/things/{name}",
     .run = ROUTE_POOL,
     .body_bytes_max = 100,
     .handle = handle},
    {.method = "POST",
     .pattern = "/sunk/{name}",
     .run = ROUTE_POOL,
     .body_bytes_max = 100,
     .sink = &sink,
     .handle = handle_sunk},
};

static struct http_server *server;

static int set_up(void **state)
{
    (void)state;
    struct problem problem = {0};
    made = 0;
    assert_int_equal(db_open("sqlite::memory:", "test", &db, &problem), 0);
    assert_int_equal(db_migrate(db, idempotency_migrations, idempotency_migration_count, &problem),
                     0);
    static const struct http_hooks hooks = {.authenticate = authenticate};
    server = serve(rows, COUNT_OF(rows), NULL, NULL, &hooks);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    http_server_free(server);
    db_close(db);
    return 0;
}

static void post(const char *user, const char *path, const char *key, const char *body, int status,
                 const char *wanted, bool replayed)
{
    char request[800];
    (void)snprintf(request, sizeof request,
                   "POST %s HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer %s\r\n"
                   "Idempotency-Key: %s\r\nContent-Length: %zu\r\n\r\n%s",
                   path, user, key, strlen(body), body);
    struct answer answer = client_ask(server, request);
    if (answer.status != status || strstr(answer.body, wanted) == NULL) {
        fail_msg("%s %s: %d %s", path, key, answer.status, answer.body);
    }
    assert_int_equal(answer_header(&answer, "Idempotency-Replayed") != NULL, replayed);
    if (status == 201) {
        assert_string_equal(answer_header(&answer, "ETag"), "\"5\"");
    }
    answer_done(&answer);
}

static void a_repeated_write_is_done_once(void **state)
{
    (void)state;
    post("1", "/things/a", "k1", "x", 201, "{\"made\":1}", false);
    post("1", "/things/a", "k1", "x", 201, "{\"made\":1}", true);
    post("1", "/things/a", "k2", "x", 201, "{\"made\":2}", false);
    post("2", "/things/a", "k1", "x", 201, "{\"made\":3}", false); /* another's key */
    assert_int_equal(made, 3);
}

static void a_key_is_for_one_request(void **state)
{
    (void)state;
    post("1", "/things/a", "k1", "x", 201, "{\"made\":1}", false);
    post("1", "/things/a", "k1", "y", 422, "another request", false);
    post("1", "/things/b", "k1", "x", 422, "another request", false);
    post("1", "/things/a?title=b", "k1", "x", 422, "another request", false);
    assert_int_equal(made, 1);
}

/* What a sink took is told by what was added in its place: here a header. */
static void a_body_that_a_sink_took_counts_too(void **state)
{
    (void)state;
    post("1\r\nX-Content: x", "/sunk/a", "k1", "123456789", 201, "{\"made\":1}", false);
    post("1\r\nX-Content: x", "/sunk/a", "k1", "123456789", 201, "{\"made\":1}", true);
    post("1\r\nX-Content: y", "/sunk/a", "k1", "123456789", 422, "another request", false);
    assert_int_equal(made, 1);
}

static void a_failed_write_may_be_tried_again(void **state)
{
    (void)state;
    post("1", "/things/a?fail=1", "k1", "x", 409, "Not now", false);
    post("1", "/things/a", "k1", "x", 201, "{\"made\":2}", false);
    post("1", "/things/a", "k1", "x", 201, "{\"made\":2}", true);
}

static int sweep(struct db_session *session, void *argument)
{
    (void)argument;
    return idempotency_sweep(session, clock_wall_ms());
}

static int count(struct db_session *session, void *argument)
{
    DB_ROWS found = NULL;
    int error = db_query(session, &found, "SELECT COUNT(*) FROM idempotency", DB_NO_BIND);
    if (error == 0 && db_next(found) == 1) {
        *(int64_t *)argument = db_get_int(found, 0);
    }
    return error;
}

static void keys_are_kept_for_a_day(void **state)
{
    (void)state;
    static const int64_t hour_ms = 60 * 60 * 1000;
    int64_t kept = -1;
    post("1", "/things/a", "k1", "x", 201, "{\"made\":1}", false);
    post("1", "/things/a", "k2", "x", 201, "{\"made\":2}", false);
    clock_wall_skew_ms(23 * hour_ms);
    post("1", "/things/a", "k1", "x", 201, "{\"made\":1}", true);
    clock_wall_skew_ms(2 * hour_ms);
    post("1", "/things/a", "k1", "z", 201, "{\"made\":3}", false);
    assert_int_equal(db_write(db, sweep, NULL), 0);
    assert_int_equal(db_read(db, count, &kept), 0);
    assert_int_equal(kept, 1);
    clock_wall_skew_ms(-25 * hour_ms);
}

static void bad_keys_are_refused(void **state)
{
    (void)state;
    char long_key[300];
    memset(long_key, 'k', sizeof long_key);
    long_key[256] = '\0';
    post("1", "/things/a", long_key, "x", 400, "255", false);
    post("1", "/things/a", "a b", "x", 400, "visible", false);
    assert_int_equal(made, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_repeated_write_is_done_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_is_for_one_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_body_that_a_sink_took_counts_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_write_may_be_tried_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_are_kept_for_a_day, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_keys_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
