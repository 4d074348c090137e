/* libcurl without a network, for engines that are spoken to over HTTP. Included before the engine's
 * own file that sends, and with it the pauses before a next try: what curl would do is done by the
 * target, which defines fuzz_option and fuzz_perform and says the answer's status. */
#pragma once

#include "fuzz.h"

#include <curl/curl.h>
#include <time.h>

static CURLcode fuzz_option(CURLoption option, const void *value);
static CURLcode fuzz_perform(CURL *curl);

static long fuzz_status; /* of the answer; 0: none */

static inline CURLcode fuzz_info(CURL *curl, CURLINFO info, long *ret_status)
{
    (void)curl;
    FUZZ_CHECK(info == CURLINFO_RESPONSE_CODE);
    *ret_status = fuzz_status;
    return CURLE_OK;
}

#undef curl_easy_setopt
#undef curl_easy_getinfo
#define curl_easy_setopt(curl, option, value)                                                      \
    ((void)(curl), fuzz_option(option, (const void *)(uintptr_t)(value)))
#define curl_easy_perform      fuzz_perform
#define curl_easy_getinfo      fuzz_info
#define nanosleep(pause, rest) ((void)(pause), (void)(rest), 0)

#include "backend/http/http_line.c" /* NOLINT(bugprone-suspicious-include) */
