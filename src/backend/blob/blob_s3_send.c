/* One request to an S3 store by libcurl, once: its body goes from memory or a file, the answer's to
 * memory or a file, its headers into struct s3_answer (blob_s3.h). Signing and trying again are
 * blob_s3_call.c's. Any thread. */
#include "backend/blob/blob_s3_send.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/metrics.h"

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    ANSWER_TIMEOUT_MS = 15 * 1000, /* of what has no body worth the name */
    BODY_TIMEOUT_MS = 24 * 3600 * 1000,
    STALL_S = 20, /* a body that stands still for so long is given up */
    ERROR_BYTES_MAX = 64 * 1024,
    LARGE_BYTES = 1024 * 1024,
};

/* blob_on_wait */
static _Thread_local struct {
    int (*tick)(void *context);
    void *context;
} waiter;

struct transfer {
    CURL *curl;
    struct s3_store *store;
    const struct s3_call *call;
    struct s3_answer *answer;
    uint64_t sent; /* of the body */
    int given_up;  /* what the waiter said, 0: to go on */
    bool other;    /* it is other bytes than were asked for */
};

void blob_on_wait(int (*tick)(void *context), void *context)
{
    waiter.tick = tick;
    waiter.context = context;
}

/* curl calls it as bytes move, and each second where none do. */
static int tell_waiter(void *argument, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    (void)down_total, (void)down, (void)up_total, (void)up;
    struct transfer *transfer = argument;
    transfer->given_up = waiter.tick(waiter.context);
    return transfer->given_up;
}

static size_t give_body(char *out, size_t size, size_t count, void *argument)
{
    struct transfer *transfer = argument;
    const struct s3_call *call = transfer->call;
    uint64_t left = call->length - transfer->sent;
    size_t some = size * count < left ? size * count : (size_t)left;
    if (call->body != NULL) {
        memcpy(out, (const char *)call->body + transfer->sent, some);
    } else if (some > 0) {
        ssize_t got = pread(call->fd, out, some, (off_t)(call->offset + transfer->sent));
        if (got <= 0) {
            return CURL_READFUNC_ABORT;
        }
        some = (size_t)got;
    }
    transfer->sent += some;
    metric_add(transfer->store->sent, (int64_t)some);
    return some;
}

/* curl sends a body anew where a kept connection turns out to be closed. */
static int seek_body(void *argument, curl_off_t offset, int origin)
{
    struct transfer *transfer = argument;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > transfer->call->length) {
        return CURL_SEEKFUNC_FAIL;
    }
    transfer->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static bool write_file(int fd, const char *bytes, size_t length, uint64_t offset)
{
    for (size_t done = 0; done < length;) {
        ssize_t wrote = pwrite(fd, bytes + done, length - done, (off_t)(offset + done));
        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

/* RFC 9110, 14.2: a server may ignore Range and answer 200 with all of it, which is what was asked
 * for only where that is from the first byte on; what a 206 holds is what its Content-Range says.
 */
static bool is_what_was_asked(const struct s3_call *call, const struct s3_answer *answer,
                              long status)
{
    return !call->ranged || (status == 206   ? answer->ranged && answer->from == call->from
                             : status == 200 ? !answer->ranged && call->from == 0
                                             : status < 200 || status >= 300);
}

/* A store that sends more than was asked for, or bytes from elsewhere, is stopped. */
static bool place_bytes(struct transfer *transfer, const char *bytes, size_t length, long status)
{
    const struct s3_call *call = transfer->call;
    const struct s3_answer *answer = transfer->answer;
    transfer->other =
        !is_what_was_asked(call, answer, status) || length > call->into_size - answer->got;
    if (transfer->other) {
        return false;
    }
    if (call->into_file) {
        return write_file(call->into_fd, bytes, length, call->offset + answer->got);
    }
    memcpy((char *)call->into + answer->got, bytes, length);
    return true;
}

/* Whether the bytes found their place. */
static bool take_bytes(struct transfer *transfer, const char *bytes, size_t length)
{
    const struct s3_call *call = transfer->call;
    struct s3_answer *answer = transfer->answer;
    long status = 0;
    (void)curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    bool good = status >= 200 && status < 300;
    if (good && (call->into_file || call->into != NULL)) {
        return place_bytes(transfer, bytes, length, status);
    }
    return (good || answer->body.length + length <= ERROR_BYTES_MAX) &&
           buffer_append(&answer->body, bytes, length) == 0;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *argument)
{
    struct transfer *transfer = argument;
    if (!take_bytes(transfer, bytes, size * count)) {
        return CURL_WRITEFUNC_ERROR;
    }
    transfer->answer->got += size * count;
    metric_add(transfer->store->received, (int64_t)(size * count));
    return size * count;
}

/* Headers of the answer. */

static int64_t parse_date(const char *value)
{
    time_t seconds = curl_getdate(value, NULL);
    return seconds > 0 ? (int64_t)seconds * 1000 : 0;
}

/* "bytes 0-99/1234" */
static void take_range(struct s3_answer *answer, const char *value)
{
    const char *slash = strchr(value, '/');
    char first[24] = "";
    int64_t from = 0, bytes = 0;
    if (sscanf(value, "bytes %23[0-9]-", first) == 1 && text_number(first, 0, INT64_MAX, &from) &&
        slash != NULL && text_number(slash + 1, 0, INT64_MAX, &bytes)) {
        answer->ranged = true;
        answer->from = (uint64_t)from;
        answer->stat.bytes = (uint64_t)bytes;
    }
}

static void take_length(struct s3_answer *answer, const char *value)
{
    int64_t bytes = 0;
    if (!answer->ranged && text_number(value, 0, INT64_MAX, &bytes)) {
        answer->stat.bytes = (uint64_t)bytes;
    }
}

static void take_header_value(struct s3_answer *answer, const char *name, const char *value)
{
    struct blob_stat *stat = &answer->stat;
    if (strcasecmp(name, "etag") == 0) {
        blob_s3_copy_etag(value, stat->etag);
    } else if (strcasecmp(name, "content-length") == 0) {
        take_length(answer, value);
    } else if (strcasecmp(name, "content-range") == 0) {
        take_range(answer, value);
    } else if (strcasecmp(name, "content-type") == 0) {
        (void)text_copy(stat->content_type, sizeof stat->content_type, value);
    } else if (strcasecmp(name, "cache-control") == 0) {
        (void)text_copy(stat->cache_control, sizeof stat->cache_control, value);
    } else if (strcasecmp(name, "last-modified") == 0) {
        stat->modified_ms = parse_date(value);
    } else if (strcasecmp(name, "date") == 0) {
        answer->server_ms = parse_date(value);
    } else if (strcasecmp(name, S3_META_MARK) == 0) {
        (void)text_copy(answer->mark, sizeof answer->mark, value);
    } else if (strcasecmp(name, S3_META_KEPT) == 0) {
        (void)text_copy(answer->kept, sizeof answer->kept, value);
    } else if (strcasecmp(name, S3_SSE) == 0) {
        (void)text_copy(answer->sse, sizeof answer->sse, value);
        stat->opaque = strncasecmp(value, "aws:kms", strlen("aws:kms")) == 0; /* also ":dsse" */
    }
}

static void forget_headers(struct s3_answer *answer)
{
    answer->stat = (struct blob_stat){0};
    answer->mark[0] = answer->kept[0] = answer->sse[0] = '\0';
    answer->server_ms = 0;
    answer->ranged = false;
    answer->from = 0;
}

/* A line, or the status line of the next answer (100, 200). */
static size_t take_header(char *line, size_t size, size_t count, void *argument)
{
    struct transfer *transfer = argument;
    size_t length = size * count;
    char copy[S3_KEPT_SIZE + 128];
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r')) {
        length--;
    }
    if (length >= sizeof copy) {
        return size * count; /* none of those that we know */
    }
    memcpy(copy, line, length);
    copy[length] = '\0';
    char *colon = strchr(copy, ':');
    if (strncmp(copy, "HTTP/", 5) == 0) {
        forget_headers(transfer->answer);
    } else if (colon != NULL) {
        *colon = '\0';
        take_header_value(transfer->answer, copy, colon + 1 + strspn(colon + 1, " \t"));
    }
    return size * count;
}

/* The request. */

static bool is_large(const struct s3_call *call)
{
    return call->length >= LARGE_BYTES || call->into_file || call->into_size >= LARGE_BYTES;
}

static int64_t timeout_of(const struct s3_call *call)
{
    return call->timeout_ms > 0 ? call->timeout_ms
           : is_large(call)     ? BODY_TIMEOUT_MS
                                : ANSWER_TIMEOUT_MS;
}

static void set_line(struct transfer *transfer, const char *url)
{
    const struct s3_address *address = &transfer->store->address;
    http_set_line(transfer->curl, &(struct http_line){.url = url,
                                                      .tls = address->tls,
                                                      .ca = address->ca,
                                                      .timeout_ms = timeout_of(transfer->call)});
    (void)curl_easy_setopt(transfer->curl, CURLOPT_LOW_SPEED_LIMIT,
                           transfer->call->timeout_ms > 0 ? 0L : 1L);
    (void)curl_easy_setopt(transfer->curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_S);
}

/* 0 or a CURLcode. */
static int set_body(struct transfer *transfer)
{
    CURL *curl = transfer->curl;
    const struct s3_call *call = transfer->call;
    bool sends = strcmp(call->method, "PUT") == 0 || strcmp(call->method, "POST") == 0;
    if (strcmp(call->method, "HEAD") == 0) {
        (void)curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    } else if (sends) {
        (void)curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_READFUNCTION, give_body);
        (void)curl_easy_setopt(curl, CURLOPT_READDATA, transfer);
        (void)curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, seek_body);
        (void)curl_easy_setopt(curl, CURLOPT_SEEKDATA, transfer);
        (void)curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->length);
        (void)curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
    }
    return strcmp(call->method, "HEAD") != 0 ? http_set_method(curl, call->method) : 0;
}

static void set_answer(struct transfer *transfer)
{
    CURL *curl = transfer->curl;
    bool waits = waiter.tick != NULL && is_large(transfer->call);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, waits ? 0L : 1L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, tell_waiter);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
}

static int judge(const struct transfer *transfer, int code, const char *words)
{
    struct s3_answer *answer = transfer->answer;
    words = transfer->other    ? "it sent other bytes than it was asked for"
            : words[0] != '\0' ? words
                               : curl_easy_strerror((CURLcode)code);
    (void)snprintf(answer->words, sizeof answer->words, "%s", words);
    answer->status = 0;
    return transfer->given_up != 0 ? transfer->given_up : http_judge(code, &answer->wrong_setup);
}

int blob_s3_send(struct s3_store *store, void *curl, const struct s3_call *call, const char *url,
                 const struct curl_slist *headers, struct s3_answer *answer)
{
    struct transfer transfer = {.curl = curl, .store = store, .call = call, .answer = answer};
    char words[CURL_ERROR_SIZE] = "";
    long status = 0;
    answer->got = 0;
    buffer_reset(&answer->body);
    forget_headers(answer);
    set_line(&transfer, url);
    int code = set_body(&transfer);
    set_answer(&transfer);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    code = code == CURLE_OK ? (int)curl_easy_perform(curl) : code;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    metric_add(store->requests, 1);
    if (code == CURLE_OK && !is_what_was_asked(call, answer, status)) { /* and without bytes */
        transfer.other = true;
        code = CURLE_WRITE_ERROR;
    }
    if (code != CURLE_OK) {
        return judge(&transfer, code, words);
    }
    answer->status = (int)status;
    if (call->ranged && status == 200) {
        answer->stat.bytes = answer->got; /* it came whole, whether its length was said or not */
    }
    return 0;
}
