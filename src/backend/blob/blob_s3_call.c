/* A request to an S3 store: signed, sent, tried again where that may help, its answer judged
 * (blob_s3.h). Any thread; the caller waits.
 *
 * What is tried again: no answer at all, and answers that speak of a passing trouble (500, 502,
 * 503, 504, 429, and of 400 and 409 those the store itself calls so). All that we ask has the same
 * effect twice as once (invariant 2). Between tries lies a pause (http_client.h). Each try passes
 * the breaker, and none begins once the time of the request that it is made for is over.
 */
#include "backend/blob/blob_s3_send.h"
#include "base/breaker.h"
#include "base/call.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/metrics.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 5, URL_BYTES_MAX = 16 * 1024, LINE_BYTES_MAX = 8 * 1024 };

void blob_s3_call_query(struct s3_call *call, const char *name, const char *value)
{
    assert(call->query_count < S3_QUERY_MAX);
    call->query[call->query_count++] = (struct sigv4_pair){name, value};
}

void blob_s3_call_header(struct s3_call *call, const char *name, const char *value)
{
    assert(call->header_count < S3_HEADERS_MAX);
    call->headers[call->header_count++] = (struct sigv4_pair){name, value};
}

void blob_s3_answer_done(struct s3_answer *answer)
{
    buffer_done(&answer->body);
}

/* Signing: each try anew, since the date is signed. */

struct line {
    struct buffer path, url;
    struct curl_slist *headers;
};

static void line_init(struct line *line)
{
    buffer_init(&line->path, URL_BYTES_MAX);
    buffer_init(&line->url, URL_BYTES_MAX);
    line->headers = NULL;
}

static void line_done(struct line *line)
{
    buffer_done(&line->path);
    buffer_done(&line->url);
    curl_slist_free_all(line->headers);
}

static int write_url(const struct s3_store *store, const struct s3_call *call, struct line *line)
{
    const struct s3_address *address = &store->address;
    (void)buffer_add(&line->path, address->path);
    if (call->key != NULL) {
        (void)buffer_add(&line->path, "/");
        sigv4_encode(&line->path, call->key, strlen(call->key), true);
    } else if (address->path[0] == '\0') {
        (void)buffer_add(&line->path, "/");
    }
    (void)buffer_printf(&line->url, "%s://%s%s", address->tls ? "https" : "http", address->host,
                        line->path.data);
    (void)buffer_add(&line->url, call->query_count > 0 ? "?" : "");
    int error = sigv4_query(call->query, call->query_count, &line->url);
    return error != 0 ? error : buffer_error(&line->path);
}

static int add_line(struct line *line, const char *name, const char *value)
{
    char text[LINE_BYTES_MAX];
    /* An empty value is sent as such only with a semicolon. */
    int length = value[0] != '\0' ? snprintf(text, sizeof text, "%s: %s", name, value)
                                  : snprintf(text, sizeof text, "%s;", name);
    struct curl_slist *more =
        (size_t)length < sizeof text ? curl_slist_append(line->headers, text) : NULL;
    line->headers = more != NULL ? more : line->headers;
    return more != NULL ? 0 : ERR_NO_MEMORY;
}

/* What curl would add by itself and nobody asked for. */
static int silence(struct line *line)
{
    static const char *const names[] = {"Expect:", "Accept:", "Content-Type:"};
    for (unsigned i = 0; i < COUNT_OF(names); i++) {
        struct curl_slist *more = curl_slist_append(line->headers, names[i]);
        if (more == NULL) {
            return ERR_NO_MEMORY;
        }
        line->headers = more;
    }
    return 0;
}

static int sign(const struct s3_store *store, const struct s3_call *call, struct line *line)
{
    const struct s3_address *address = &store->address;
    struct sigv4_pair headers[S3_HEADERS_MAX + 3];
    char date[SIGV4_DATE_SIZE], authorization[SIGV4_AUTHORIZATION_SIZE];
    int64_t now_ms = clock_wall_ms();
    unsigned count = call->header_count;
    sigv4_date(now_ms, date);
    memcpy(headers, call->headers, count * sizeof *headers);
    headers[count++] = (struct sigv4_pair){"host", address->host};
    headers[count++] = (struct sigv4_pair){"x-amz-content-sha256", SIGV4_UNSIGNED};
    headers[count++] = (struct sigv4_pair){"x-amz-date", date};
    const struct sigv4_credentials credentials = blob_s3_credentials(address, call->upload);
    const struct sigv4_header what = {.method = call->method,
                                      .path = line->path.data,
                                      .query = call->query,
                                      .query_count = call->query_count,
                                      .headers = headers,
                                      .header_count = count,
                                      .payload = SIGV4_UNSIGNED,
                                      .date_ms = now_ms,
                                      .credentials = &credentials};
    int error = sigv4_authorize(&what, authorization);
    error = error != 0 ? error : silence(line);
    for (unsigned i = 0; error == 0 && i < count; i++) {
        error = add_line(line, headers[i].name, headers[i].value);
    }
    if (error == 0 && call->unsigned_header.name != NULL) {
        error = add_line(line, call->unsigned_header.name, call->unsigned_header.value);
    }
    return error != 0 ? error : add_line(line, "Authorization", authorization);
}

static int try_once(struct s3_store *store, const struct s3_call *call, struct s3_answer *answer)
{
    struct line line;
    void *curl = NULL;
    line_init(&line);
    int error = write_url(store, call, &line);
    error = error != 0 ? error : sign(store, call, &line);
    error = error != 0 ? error : http_pool_take(store->pool, &curl);
    if (error == 0) {
        error = blob_s3_send(store, curl, call, line.url.data, line.headers, answer);
        http_pool_give(store->pool, curl);
    }
    line_done(&line);
    return error;
}

/* Judging. */

static int take_code(void *argument, const char *parent, const char *name, const char *text)
{
    struct s3_answer *answer = argument;
    if (strcmp(parent, "Error") == 0 && strcmp(name, "Code") == 0) {
        (void)text_copy(answer->code, sizeof answer->code, text);
    } else if (strcmp(parent, "Error") == 0 && strcmp(name, "Message") == 0) {
        (void)snprintf(answer->words, sizeof answer->words, "%s", text);
    }
    return 0;
}

/* Joining and copying may answer 200 and then, after a while, an error. */
static void read_code(struct s3_answer *answer)
{
    answer->code[0] = answer->words[0] = '\0';
    bool bad = answer->status >= 300;
    bool maybe = answer->body.length > 0 && strstr(answer->body.data, "<Error>") != NULL;
    if ((bad || maybe) && blob_s3_xml_read(&answer->body, take_code, answer) != 0) {
        answer->code[0] = '\0';
    }
}

/* The store's own words come first, then the status. retry: a second try may help. */
static const struct {
    const char *code;
    int status; /* where there is no such word */
    int error;
    bool retry;
} rows[] = {
    {"NoSuchKey", 404, ERR_NOT_FOUND, false},
    {"NoSuchUpload", 404, ERR_NOT_FOUND, false},
    {"NoSuchBucket", 0, ERR_UNAVAILABLE, false},
    {"PreconditionFailed", 412, ERR_PRECONDITION, false},
    {"ConditionalRequestConflict", 0, ERR_PRECONDITION, true},
    {"OperationAborted", 0, ERR_UNAVAILABLE, true},
    {"RequestTimeout", 0, ERR_TIMEOUT, true},
    {"BadDigest", 0, ERR_UNAVAILABLE, true},
    {"SlowDown", 503, ERR_UNAVAILABLE, true},
    {"InternalError", 500, ERR_UNAVAILABLE, true},
    {"EntityTooLarge", 413, ERR_TOO_LARGE, false},
    {"KeyTooLongError", 0, ERR_INVALID, false},
    {"MetadataTooLarge", 0, ERR_TOO_LARGE, false},
    {"QuotaExceeded", 507, ERR_DISK_FULL, false},
    {"InvalidRange", 416, ERR_RANGE, false},
    {"NotImplemented", 501, ERR_UNSUPPORTED, false},
    {"TooManyRequests", 429, ERR_UNAVAILABLE, true},
    {"BadGateway", 502, ERR_UNAVAILABLE, true},
    {"GatewayTimeout", 504, ERR_TIMEOUT, true},
};

/* 0 or an error, and whether to try again. A refusal of our key, or of what we ask, is none of the
 * caller's making. */
static int judge(const struct s3_answer *answer, bool *ret_retry)
{
    *ret_retry = false;
    if (answer->status >= 200 && answer->status < 300 && answer->code[0] == '\0') {
        return 0;
    }
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < COUNT_OF(rows); i++) {
            bool same = pass == 0 ? strcmp(rows[i].code, answer->code) == 0
                                  : rows[i].status == answer->status;
            if (same) {
                *ret_retry = rows[i].retry;
                return rows[i].error;
            }
        }
    }
    return answer->status == 401 || answer->status == 403 || answer->status >= 500 ||
                   answer->status < 400
               ? ERR_UNAVAILABLE
               : ERR_IO;
}

/* A try and what it says, of the store and of a further one. */
static int try_and_judge(struct s3_store *store, const struct s3_call *call,
                         struct s3_answer *answer, bool *ret_retry)
{
    int error = try_once(store, call, answer);
    answer->tries++;
    if (error == 0) {
        read_code(answer);
        return judge(answer, ret_retry);
    }
    *ret_retry = (error == ERR_UNAVAILABLE || error == ERR_TIMEOUT) && !answer->wrong_setup;
    return error;
}

int blob_s3_call(struct s3_store *store, const struct s3_call *call, struct s3_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    buffer_init(&answer->body, S3_ANSWER_BYTES_MAX);
    struct breaker *breaker = call->looks ? NULL : store->breaker;
    for (unsigned tries = 1;; tries++) {
        struct breaker_pass pass;
        bool retry = true;
        int error = breaker_enter(breaker, &pass);
        if (error == 0) {
            error = try_and_judge(store, call, answer, &retry);
            breaker_leave(breaker, &pass, breaker_outcome(error));
        } else {
            (void)snprintf(answer->words, sizeof answer->words, "it failed a moment ago");
        }
        if (error == 0 || !retry || tries == (call->once ? 1 : TRIES) || call_is_late()) {
            return error;
        }
        metric_add(store->retries, 1);
        http_pause(tries);
    }
}

int blob_s3_call_only(struct s3_store *store, const struct s3_call *call)
{
    struct s3_answer answer;
    int error = blob_s3_call(store, call, &answer);
    blob_s3_answer_done(&answer);
    return error;
}
