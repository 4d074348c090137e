/* The small parsers of header values: a value, and a name or tag to look for in it. What is found
 * is a part of the value; what is accepted is what its grammar allows; a date that is written is
 * read again the same.
 *
 * Covers: src/net/header.c */
#include "fuzz.h"
#include "net/header.h"

static void check_words(const char *value)
{
    const char *token = header_bearer(value);
    if (token != NULL) {
        FUZZ_CHECK(token >= value + 7 && *token != '\0' && *token != ' ');
        FUZZ_CHECK(strpbrk(token, " ,;\"\t") == NULL);
    }
    if (header_traceparent(value)) {
        FUZZ_CHECK(strlen(value) == 55 && strspn(value, "0123456789abcdef-") == 55);
    }
    if (header_request_id(value)) {
        FUZZ_CHECK(strlen(value) >= 1 && strlen(value) <= 39 && strpbrk(value, " \"\\{") == NULL);
    }
    if (header_idempotency_key(value)) {
        FUZZ_CHECK(strlen(value) >= 1 && strlen(value) <= 255);
    }
}

static void check_date(const char *value)
{
    int64_t ms, again;
    char text[HEADER_DATE_SIZE];
    if (header_date_parse(value, &ms)) {
        header_date_format(ms, text);
        FUZZ_CHECK(header_date_parse(text, &again) && again == ms);
    }
}

static void check_lists(const char *value, const char *wanted)
{
    size_t length = 0;
    const char *found = header_cookie(value, wanted, &length);
    if (found != NULL) {
        FUZZ_CHECK(found >= value && length <= strlen(found));
        FUZZ_CHECK(memchr(found, ';', length) == NULL);
    }
    bool strong = header_etag_listed(value, wanted, false);
    FUZZ_CHECK(!strong || header_etag_listed(value, wanted, true));
    (void)header_list_holds(value, wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_FIELDS fields = fuzz_split(data, size, 2);
    const char *value = fuzz_or_empty(fields.text[0]);
    check_words(value);
    check_date(value);
    check_lists(value, fuzz_or_empty(fields.text[1]));
    return 0;
}
