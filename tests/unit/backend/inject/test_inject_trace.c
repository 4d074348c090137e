/* Traces when memory fails or no thread starts (inject.h): spans are sent or counted as not sent,
 * a start that fails leaves nothing behind, and the next one sends. The collector is a web server
 * on loopback. */
#include "backend/trace/trace_send.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "base/trace.h"

#include "inject.h"
#include "inject_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned batches_before;

static unsigned batches(void)
{
    return inject_http_count("POST /v1/traces");
}

static void make_span(struct span *span)
{
    static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    span_begin(span, parent, SPAN_SERVER, "GET /api/v1/tracks");
    span_text(span, "http.request.method", "GET");
    span_number(span, "http.response.status_code", 200);
    span_end(span, true); /* puts it */
}

/* ---- The request's JSON ---- */

/* What is there of it is all of it. */
static bool is_whole(json_t *request)
{
    json_t *resource = json_array_get(json_object_get(request, "resourceSpans"), 0);
    json_t *scope = json_array_get(json_object_get(resource, "scopeSpans"), 0);
    json_t *span = json_array_get(json_object_get(scope, "spans"), 0);
    json_t *of = json_object_get(json_object_get(resource, "resource"), "attributes");
    return json_array_size(json_object_get(span, "attributes")) == 2 && json_array_size(of) == 4 &&
           json_object_get(span, "parentSpanId") != NULL && json_object_get(span, "status") != NULL;
}

static int run_request(void)
{
    struct span span;
    make_span(&span);
    json_t *request = trace_request(&span, 1, "1", 1000000, 2000000);
    int result = request == NULL ? ERR_NO_MEMORY : is_whole(request) ? 0 : ERR_CORRUPT;
    json_decref(request);
    return result;
}

static void check_request(int result)
{
    assert_true(result == 0 || result == ERR_NO_MEMORY);
    assert_int_equal(run_request(), 0);
}

/* One span's text is not the others': what is no UTF-8 is left out. */
static void texts_of_any_bytes(void **state)
{
    (void)state;
    struct span spans[2];
    make_span(&spans[0]);
    make_span(&spans[1]);
    (void)snprintf(spans[0].name, sizeof spans[0].name, "cut \xc3");
    (void)snprintf(spans[0].attributes[0].text, SPAN_TEXT_SIZE, "\xff\xfe");
    json_t *request = trace_request(spans, COUNT_OF(spans), "1", 1000000, 2000000);
    assert_non_null(request);
    char *text CLEANUP_FREE = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    assert_non_null(text);
    assert_non_null(strstr(text, "\"name\":\"cut \""));
    assert_non_null(strstr(text, "\"name\":\"GET /api/v1/tracks\""));
}

/* ---- The sender, from its start to its end ---- */

static void count_batches(void)
{
    batches_before = batches();
}

/* The spans wait until the end: what follows it is one batch, tried twice without a pause. */
static int run_sender(void)
{
    const struct trace_config config = {.url = inject_http_url(), .ratio = 1, .version = "1"};
    struct trace_sender *sender = NULL;
    struct problem problem = {0};
    int error = trace_sender_open(&config, &sender, &problem);
    if (error != 0) {
        return error;
    }
    struct span span;
    make_span(&span);
    trace_sender_close(sender);
    return 0;
}

static void check_sender(int result)
{
    assert_in_range(batches() - batches_before, 0, result < 0 ? 0 : 2);
    assert_false(trace_is_on());
    count_batches();
    assert_int_equal(run_sender(), 0);
    assert_int_equal(batches() - batches_before, 1);
}

static void sending(void **state)
{
    (void)state;
    const struct inject_case cases[] = {
        {.name = "trace_request",
         .hits = INJECT_BIT(INJECT_MEMORY),
         .run = run_request,
         .check = check_request},
        {.name = "trace_sender",
         .hits = INJECT_BIT(INJECT_MEMORY) | INJECT_BIT(INJECT_THREAD),
         .prepare = count_batches,
         .run = run_sender,
         .check = check_sender},
    };
    inject_each(cases, COUNT_OF(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_any_bytes),
        cmocka_unit_test_setup_teardown(sending, inject_http_setup, inject_http_teardown)};
    return cmocka_run_group_tests(tests, inject_http_install, inject_http_end);
}
