/* A request's options, the meaning of its failure, and the pause behind it (http_client.h). */
#include "backend/http/http_client.h"

#include "base/call.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#include <curl/curl.h>
#include <errno.h>
#include <sodium.h>
#include <time.h>

enum { CONNECT_TIMEOUT_MS = 3000, PAUSE_MS = 100 };

void http_set_line(void *curl, const struct http_line *line)
{
    (void)curl_easy_setopt(curl, CURLOPT_URL, line->url);
    (void)curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, line->tls ? "https" : "http");
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)call_remaining_ms(line->timeout_ms));
    if (line->ca[0] != '\0') {
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, line->ca);
    }
}

int http_set_method(void *curl, const char *method)
{
    return (int)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
}

/* Errors that no second try mends. */
static bool is_setup(CURLcode code)
{
    static const CURLcode codes[] = {CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE,
                                     CURLE_SSL_CONNECT_ERROR, CURLE_URL_MALFORMAT,
                                     CURLE_UNSUPPORTED_PROTOCOL};
    for (unsigned i = 0; i < COUNT_OF(codes); i++) {
        if (codes[i] == code) {
            return true;
        }
    }
    return false;
}

int http_judge(int code, bool *ret_wrong_setup)
{
    *ret_wrong_setup = is_setup((CURLcode)code);
    return code == CURLE_OUT_OF_MEMORY         ? ERR_NO_MEMORY
           : code == CURLE_OPERATION_TIMEDOUT  ? ERR_TIMEOUT
           : code == CURLE_WRITE_ERROR         ? ERR_IO
           : code == CURLE_ABORTED_BY_CALLBACK ? ERR_IO
                                               : ERR_UNAVAILABLE;
}

void http_pause(unsigned tries)
{
    uint32_t most_ms = (uint32_t)PAUSE_MS << (tries - 1);
    uint32_t wait_ms = most_ms / 2 + randombytes_uniform(most_ms / 2 + 1);
    struct timespec pause = clock_timespec(wait_ms);
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR) {
    }
}
