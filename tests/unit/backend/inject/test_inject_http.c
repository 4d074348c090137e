/* The clients of HTTP when memory fails (inject.h): the handles that the engines of S3 and
 * OpenSearch share, and the edges. A request is made or the caller is told, and the next one goes
 * out. Against a web server on loopback that says yes to everything. */
#include "backend/edge/edge.h"
#include "backend/http/http_client.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include "inject.h"
#include "inject_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <stdio.h>

static unsigned asked_before;

/* ---- Handles ---- */

static struct http_pool *pool;

static int run_pool(void)
{
    pool = NULL;
    return http_pool_new(2, &pool);
}

static void check_pool(int result)
{
    assert_int_equal(pool != NULL, result == 0);
    assert_int_equal(result < 0 ? run_pool() : 0, 0);
    http_pool_free(pool);
}

static size_t ignore(char *bytes, size_t size, size_t count, void *argument)
{
    (void)bytes;
    (void)argument;
    return size * count;
}

static int run_get(void)
{
    void *curl = NULL;
    bool wrong_setup = false;
    char url[64];
    (void)snprintf(url, sizeof url, "%s/pooled", inject_http_url());
    const struct http_line line = {.url = url, .ca = "", .timeout_ms = 5000};
    int error = http_pool_take(pool, &curl);
    if (error != 0) {
        return error;
    }
    http_set_line(curl, &line);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    CURLcode code = curl_easy_perform(curl);
    http_pool_give(pool, curl);
    return code == CURLE_OK ? 0 : http_judge(code, &wrong_setup);
}

static void count_gets(void)
{
    asked_before = inject_http_count("GET /pooled");
}

/* More requests than the pool has handles: none of them was lost. */
static void check_get(int result)
{
    unsigned asked = inject_http_count("GET /pooled") - asked_before;
    /* libcurl asks again itself, where its reset of the handle was cut short */
    assert_in_range(asked, result < 0 ? 0 : 1, result < 0 ? 2 : 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(run_get(), 0);
    }
}

/* From the first handle on, which is made by the request. */
static void count_gets_anew(void)
{
    http_pool_free(pool);
    assert_int_equal(run_pool(), 0);
    count_gets();
}

static void handles(void **state)
{
    (void)state;
    const unsigned hits = INJECT_BIT(INJECT_MEMORY);
    const struct inject_case opening = {
        .name = "http_pool_new", .hits = hits, .run = run_pool, .check = check_pool};
    inject_each(&opening, 1);
    assert_int_equal(run_pool(), 0);
    const struct inject_case cases[] = {
        {.name = "a request on a new handle",
         .hits = hits,
         .prepare = count_gets_anew,
         .run = run_get,
         .check = check_get},
        {.name = "a request on a kept one",
         .hits = hits,
         .prepare = count_gets,
         .run = run_get,
         .check = check_get},
    };
    inject_each(cases, COUNT_OF(cases));
    http_pool_free(pool);
}

/* ---- Edges ---- */

static struct edges *edges;

static int run_open(void)
{
    struct problem problem = {0};
    edges = NULL;
    return edges_open(inject_http_url(), &edges, &problem);
}

static void check_open(int result)
{
    assert_int_equal(edges != NULL, result == 0);
    assert_int_equal(result < 0 ? run_open() : 0, 0);
    edges_close(edges);
}

/* Anew: an edge that did not answer would be left alone for a while. */
static void open_edges(void)
{
    assert_int_equal(run_open(), 0);
    asked_before = inject_http_count("PURGE /m/1/") + inject_http_count("GET /m/1/x");
}

static int run_purge(void)
{
    return edges_purge(edges, "/m/1/");
}

static int run_warm(void)
{
    return edges_warm(edges, "/m/1/x", 1000);
}

static void check_told(int result)
{
    unsigned told =
        inject_http_count("PURGE /m/1/") + inject_http_count("GET /m/1/x") - asked_before;
    assert_true(result == 0 || result == ERR_UNAVAILABLE);
    assert_in_range(told, result < 0 ? 0 : 1, 1);
    assert_int_equal(run_purge(), 0);
    edges_close(edges);
}

static void telling_edges(void **state)
{
    (void)state;
    const unsigned hits = INJECT_BIT(INJECT_MEMORY);
    const struct inject_case cases[] = {
        {.name = "edges_open", .hits = hits, .run = run_open, .check = check_open},
        {.name = "edges_purge",
         .hits = hits,
         .prepare = open_edges,
         .run = run_purge,
         .check = check_told},
        {.name = "edges_warm",
         .hits = hits,
         .prepare = open_edges,
         .run = run_warm,
         .check = check_told},
    };
    inject_each(cases, COUNT_OF(cases));
}

#define with_server(test)                                                                          \
    cmocka_unit_test_setup_teardown(test, inject_http_setup, inject_http_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {with_server(handles), with_server(telling_edges)};
    return cmocka_run_group_tests(tests, inject_http_install, inject_http_end);
}
