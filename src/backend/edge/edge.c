/* Telling edges (edge.h). An edge has its own curl handle, and so its own kept connection. Bodies
 * are thrown away. */
#include "backend/edge/edge.h"

#include "backend/http/http_client.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "net/metrics.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    URL_SIZE = 1024,
    BASE_SIZE = 512,
    CONNECT_TIMEOUT_MS = 2000,
    TIMEOUT_MS = 20000, /* a warmed slice comes from the origin meanwhile */
    REST_MS = 30000,    /* an edge that did not answer is warmed no more for so long */
};

struct edge {
    char base[BASE_SIZE];
    CURL *curl;
    int64_t rests_until_ms; /* monotonic */
};

struct edges {
    unsigned count;
    struct metric *told[2][2]; /* purge, warm; failed, ok */
    struct edge list[EDGES_MAX];
};

enum { PURGE, WARM };

static void register_metrics(struct edges *edges)
{
    static const char *const labels[2][2] = {
        {"what=\"purge\",result=\"failed\"", "what=\"purge\",result=\"ok\""},
        {"what=\"warm\",result=\"failed\"", "what=\"warm\",result=\"ok\""},
    };
    for (unsigned what = PURGE; what <= WARM; what++) {
        for (unsigned result = 0; result < 2; result++) {
            edges->told[what][result] =
                metric_get(METRIC_COUNTER, "tutti_edge_requests_total",
                           "Requests to edges, by what was wanted and whether it was done.",
                           labels[what][result]);
        }
    }
}

/* What curl makes of it is what is used; an edge stands at the root of its host. */
static bool is_base(const char *text)
{
    CURLU *parsed = curl_url();
    char *path = NULL, *scheme = NULL, *query = NULL;
    bool sound = parsed != NULL && curl_url_set(parsed, CURLUPART_URL, text, 0) == CURLUE_OK &&
                 curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                 curl_url_get(parsed, CURLUPART_PATH, &path, 0) == CURLUE_OK &&
                 curl_url_get(parsed, CURLUPART_QUERY, &query, 0) == CURLUE_NO_QUERY &&
                 (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
                 strcmp(path, "/") == 0 && text[strlen(text) - 1] != '/';
    curl_free(query);
    curl_free(path);
    curl_free(scheme);
    curl_url_cleanup(parsed);
    return sound;
}

static size_t ignore(char *bytes, size_t size, size_t count, void *argument)
{
    (void)bytes;
    (void)argument;
    return size * count;
}

static int add(struct edges *edges, const char *word, size_t length, struct problem *problem)
{
    struct edge *edge = edges->count < EDGES_MAX ? &edges->list[edges->count] : NULL;
    bool fits = edge != NULL && length < sizeof edge->base;
    if (fits) {
        memcpy(edge->base, word, length);
    }
    if (!fits || !is_base(edge->base)) {
        return problem_set(problem, ERR_INVALID,
                           "edge.urls has \"%.*s\"; it must be at most %d of http://HOST[:PORT], "
                           "with commas between",
                           (int)length, word, EDGES_MAX);
    }
    edge->curl = curl_easy_init();
    edges->count += edge->curl != NULL ? 1 : 0;
    return edge->curl != NULL ? 0 : ERR_NO_MEMORY;
}

static int add_all(struct edges *edges, const char *urls, struct problem *problem)
{
    int error = 0;
    for (const char *at = urls; error == 0 && *at != '\0';) {
        at += strspn(at, " ,");
        size_t length = strcspn(at, " ,");
        error = length > 0 ? add(edges, at, length, problem) : 0;
        at += length;
    }
    return error;
}

int edges_open(const char *urls, struct edges **ret_edges, struct problem *problem)
{
    if (urls[0] == '\0') {
        *ret_edges = NULL;
        return 0;
    }
    struct edges *edges = calloc(1, sizeof *edges);
    if (edges == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(edges);
        return ERR_NO_MEMORY;
    }
    register_metrics(edges);
    int error = add_all(edges, urls, problem);
    if (error != 0) {
        edges_close(edges);
        return error;
    }
    *ret_edges = edges;
    return 0;
}

void edges_close(struct edges *edges)
{
    if (edges == NULL) {
        return;
    }
    for (unsigned i = 0; i < edges->count; i++) {
        curl_easy_cleanup(edges->list[i].curl);
    }
    curl_global_cleanup();
    free(edges);
}

/* HTTP's status; 0: no answer. range: NULL for none. */
static long ask(struct edge *edge, const char *method, const char *path, const char *range)
{
    char url[URL_SIZE];
    long status = 0;
    if (snprintf(url, sizeof url, "%s%s", edge->base, path) >= (int)sizeof url) {
        return 0;
    }
    curl_easy_reset(edge->curl); /* keeps the connection */
    (void)curl_easy_setopt(edge->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(edge->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(edge->curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(edge->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(edge->curl, CURLOPT_RANGE, range);
    (void)curl_easy_setopt(edge->curl, CURLOPT_WRITEFUNCTION, ignore);
    (void)curl_easy_setopt(edge->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(edge->curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    if (http_set_method(edge->curl, method) == CURLE_OK &&
        curl_easy_perform(edge->curl) == CURLE_OK) {
        (void)curl_easy_getinfo(edge->curl, CURLINFO_RESPONSE_CODE, &status);
    }
    return status;
}

int edges_purge(struct edges *edges, const char *path)
{
    unsigned done = 0;
    for (unsigned i = 0; i < edges->count; i++) {
        bool told = ask(&edges->list[i], "PURGE", path, NULL) == 200;
        metric_add(edges->told[PURGE][told], 1);
        done += told ? 1 : 0;
    }
    return done == edges->count ? 0 : ERR_UNAVAILABLE;
}

static bool warm_one(struct edge *edge, const char *path, int64_t bytes)
{
    char range[64];
    int64_t at = 0;
    do {
        (void)snprintf(range, sizeof range, "%lld-%lld", (long long)at, (long long)at);
        long status = ask(edge, "GET", path, range);
        if (status == 0) {
            edge->rests_until_ms = clock_monotonic_ms() + REST_MS;
        }
        if (status != 200 && status != 206) {
            return false;
        }
        at += EDGE_SLICE_BYTES;
    } while (at < bytes);
    return true;
}

int edges_warm(struct edges *edges, const char *path, int64_t bytes)
{
    unsigned done = 0;
    for (unsigned i = 0; i < edges->count; i++) {
        struct edge *edge = &edges->list[i];
        bool warm = edge->rests_until_ms <= clock_monotonic_ms() && warm_one(edge, path, bytes);
        metric_add(edges->told[WARM][warm], 1);
        done += warm ? 1 : 0;
    }
    return done == edges->count ? 0 : ERR_UNAVAILABLE;
}

int edges_look(struct edges *edges, struct problem *problem)
{
    for (unsigned i = 0; i < edges->count; i++) {
        long status = ask(&edges->list[i], "GET", "/healthz", NULL);
        if (status != 200) {
            return problem_set(problem, ERR_UNAVAILABLE, "the edge %s %s", edges->list[i].base,
                               status == 0 ? "does not answer" : "answers with an error");
        }
    }
    return 0;
}
