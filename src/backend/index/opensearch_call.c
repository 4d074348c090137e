/* A request to OpenSearch: sent, tried again where that may help (on the next host), its answer
 * read and judged (opensearch.h). Any thread; the caller waits. All that we ask has the same effect
 * twice as once: documents carry versions, and what is compared and swapped says "conflict". */
#include "backend/index/opensearch.h"

#include "base/breaker.h"
#include "base/call.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "net/metrics.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

enum { URL_SIZE = 1024 };

static size_t take_body(char *bytes, size_t size, size_t count, void *argument)
{
    return buffer_append(argument, bytes, size * count) == 0 ? size * count : CURL_WRITEFUNC_ERROR;
}

static struct curl_slist *make_headers(const struct opensearch_call *call)
{
    struct curl_slist *headers =
        curl_slist_append(NULL, call->lines ? "Content-Type: application/x-ndjson"
                                            : "Content-Type: application/json");
    struct curl_slist *more = headers != NULL ? curl_slist_append(headers, "Expect:") : NULL;
    if (more == NULL) {
        curl_slist_free_all(headers);
    }
    return more;
}

/* 0 or a CURLcode. */
static int set_request(CURL *curl, const struct opensearch *engine,
                       const struct opensearch_call *call, struct buffer *body)
{
    if (call->body != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->length);
    }
    if (engine->address.password[0] != '\0') {
        (void)curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        (void)curl_easy_setopt(curl, CURLOPT_USERNAME, engine->address.user);
        (void)curl_easy_setopt(curl, CURLOPT_PASSWORD, engine->address.password);
    }
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    return http_set_method(curl, call->method);
}

/* 0: there was an answer, of whatever status, its body in the buffer. */
static int send_once(struct opensearch *engine, const struct opensearch_call *call,
                     const char *host, struct buffer *body, struct opensearch_answer *answer,
                     bool *ret_again)
{
    char url[URL_SIZE], words[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = make_headers(call);
    void *curl = NULL;
    bool wrong_setup = false;
    long status = 0;
    int error = headers == NULL ? ERR_NO_MEMORY : http_pool_take(engine->pool, &curl);
    if (error != 0) {
        curl_slist_free_all(headers);
        return error;
    }
    (void)snprintf(url, sizeof url, "%s://%s%s", engine->address.tls ? "https" : "http", host,
                   call->path);
    http_set_line(curl, &(struct http_line){.url = url,
                                            .ca = engine->address.ca,
                                            .tls = engine->address.tls,
                                            .timeout_ms = call->timeout_ms});
    int code = set_request(curl, engine, call, body);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
    code = code == CURLE_OK ? (int)curl_easy_perform(curl) : code;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    http_pool_give(engine->pool, curl);
    curl_slist_free_all(headers);
    answer->status = code == CURLE_OK ? (int)status : 0;
    if (code != CURLE_OK) {
        error = http_judge(code, &wrong_setup);
        (void)snprintf(answer->words, sizeof answer->words, "%.200s at %s",
                       words[0] != '\0' ? words : curl_easy_strerror((CURLcode)code), host);
    }
    *ret_again = error != ERR_NO_MEMORY && !wrong_setup;
    return error;
}

/* {"error": {"type": …, "reason": …}}; what is not so has no words. */
static void take_words(const json_t *body, const char *host, struct opensearch_answer *answer)
{
    const json_t *error = json_object_get(body, "error");
    const char *reason = json_string_value(json_object_get(error, "reason"));
    const char *type = json_string_value(json_object_get(error, "type"));
    (void)snprintf(answer->words, sizeof answer->words, "%s: %s answers %d",
                   reason != NULL ? reason
                   : type != NULL ? type
                                  : "no reason is said",
                   host, answer->status);
}

static int judge(const struct opensearch_call *call, const struct opensearch_answer *answer,
                 bool *ret_again)
{
    int status = answer->status;
    *ret_again = status == 429 || status >= 500 || (status == 404 && call->missing_passes);
    return status >= 200 && status < 300                  ? 0
           : status == 404                                ? ERR_NOT_FOUND
           : status == 409                                ? ERR_CONFLICT
           : status == 504                                ? ERR_TIMEOUT
           : *ret_again || status == 401 || status == 403 ? ERR_UNAVAILABLE
                                                          : ERR_INTERNAL;
}

static int try_once(struct opensearch *engine, const struct opensearch_call *call,
                    struct opensearch_answer *answer, bool *ret_again)
{
    unsigned number = atomic_load(&engine->host) % engine->address.host_count;
    const char *host = engine->address.hosts[number];
    struct buffer body;
    buffer_init(&body, OPENSEARCH_ANSWER_BYTES_MAX);
    opensearch_answer_done(answer);
    int error = send_once(engine, call, host, &body, answer, ret_again);
    if (error == 0 && body.length > 0 &&
        json_read(body.data, body.length, NULL, &answer->body) != 0) {
        answer->body = NULL; /* a proxy's words, say: the status tells */
    }
    if (error == 0) {
        error = judge(call, answer, ret_again);
        if (error != 0) {
            take_words(answer->body, host, answer);
        }
    }
    buffer_done(&body);
    if (error != 0 && *ret_again) { /* its next try, and everybody's, begin elsewhere */
        (void)atomic_compare_exchange_strong(&engine->host, &number, number + 1);
    }
    return error;
}

int opensearch_call(struct opensearch *engine, const struct opensearch_call *call,
                    struct opensearch_answer *answer)
{
    struct breaker *breaker = call->looks ? NULL : engine->breaker;
    *answer = (struct opensearch_answer){.status = 0};
    for (unsigned tries = 1;; tries++) {
        struct breaker_pass pass;
        bool again = true;
        int error = breaker_enter(breaker, &pass);
        if (error == 0) {
            error = try_once(engine, call, answer, &again);
            breaker_leave(breaker, &pass, breaker_outcome(error));
        } else {
            (void)snprintf(answer->words, sizeof answer->words, "it failed a moment ago");
        }
        if (error == 0 || !again || tries >= call->tries || call_is_late()) {
            return error;
        }
        http_pause(tries);
    }
}

void opensearch_answer_done(struct opensearch_answer *answer)
{
    json_decref(answer->body);
    *answer = (struct opensearch_answer){.status = 0};
}

int opensearch_tell(struct opensearch *engine, const char *method, const char *path, json_t *body,
                    struct problem *problem)
{
    enum { TIMEOUT_MS = 60 * 1000 }; /* making and replacing an index may take its time */
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    bool failed = body != NULL && text == NULL;
    struct opensearch_answer answer = {.status = 0};
    int error =
        failed
            ? ERR_NO_MEMORY
            : opensearch_call(engine,
                              &(struct opensearch_call){.method = method,
                                                        .path = path,
                                                        .body = text,
                                                        .length = text != NULL ? strlen(text) : 0,
                                                        .tries = OPENSEARCH_TRIES,
                                                        .timeout_ms = TIMEOUT_MS},
                              &answer);
    if (error != 0) {
        (void)problem_set(problem, error, "OpenSearch: %s", answer.words);
    }
    opensearch_answer_done(&answer);
    free(text);
    json_decref(body);
    return error;
}
