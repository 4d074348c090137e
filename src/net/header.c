/* Small parsers of header values (header.h). */
#include "net/header.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static bool is_alphanumeric(char byte)
{
    char lower = (char)(byte | 0x20);
    return (byte >= '0' && byte <= '9') || (lower >= 'a' && lower <= 'z');
}

/* b64token's characters (RFC 6750 section 2.1); tokens are long and come with every request. */
static bool is_token_byte(unsigned char byte)
{
#define RANGE_BIT(c, low) (1ull << ((c) - (low)))
    /* One bit a character: 0x20 to 0x5f, and 0x60 to 0x7f. */
    static const uint64_t upper_half =
        0x07fffffeull /* A-Z */ << 32 | 0x3ffull << 16 /* 0-9 */ | RANGE_BIT('-', 0x20) |
        RANGE_BIT('.', 0x20) | RANGE_BIT('+', 0x20) | RANGE_BIT('/', 0x20) | RANGE_BIT('_', 0x20);
    static const uint64_t lower_half = 0x07fffffeull /* a-z */ | RANGE_BIT('~', 0x60);
#undef RANGE_BIT
    if (byte < 0x20 || byte >= 0x80) {
        return false;
    }
    return ((byte < 0x60 ? upper_half >> (byte - 0x20) : lower_half >> (byte - 0x60)) & 1) != 0;
}

const char *header_bearer(const char *value)
{
    if (strncasecmp(value, "Bearer ", 7) != 0) {
        return NULL;
    }
    const char *token = value + 7;
    while (*token == ' ') {
        token++;
    }
    const char *at = token;
    while (is_token_byte((unsigned char)*at)) {
        at++;
    }
    if (at == token) {
        return NULL;
    }
    while (*at == '=') {
        at++;
    }
    return *at == '\0' ? token : NULL;
}

/* count lower-case hex digits, not all zero. */
static bool is_hex(const char *text, unsigned count, bool zero_ok)
{
    bool zero = true;
    for (unsigned i = 0; i < count; i++) {
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f'))) {
            return false;
        }
        zero = zero && text[i] == '0';
    }
    return zero_ok || !zero;
}

bool header_traceparent(const char *value)
{
    return strnlen(value, 56) == 55 && strncmp(value, "00-", 3) == 0 && value[35] == '-' &&
           value[52] == '-' && is_hex(value + 3, 32, false) && is_hex(value + 36, 16, false) &&
           is_hex(value + 53, 2, true);
}

bool header_request_id(const char *value)
{
    size_t length = strnlen(value, 40);
    if (length == 0 || length > 39) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (!is_alphanumeric(value[i]) && strchr("._-", value[i]) == NULL) {
            return false;
        }
    }
    return true;
}

bool header_idempotency_key(const char *value)
{
    size_t length = strnlen(value, 256);
    for (size_t i = 0; i < length; i++) {
        if (value[i] <= ' ' || value[i] > '~') {
            return false;
        }
    }
    return length > 0 && length < 256;
}

static const char *skip_separators(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == ',') {
        at++;
    }
    return at;
}

bool header_etag_listed(const char *list, const char *etag, bool weak)
{
    bool etag_weak = strncmp(etag, "W/", 2) == 0;
    const char *opaque = etag_weak ? etag + 2 : etag;
    size_t length = strlen(opaque);
    const char *at = skip_separators(list);
    if (*at == '*') {
        return true;
    }
    while (*at != '\0') {
        bool listed_weak = strncmp(at, "W/", 2) == 0;
        at += listed_weak ? 2 : 0;
        const char *end = *at == '"' ? strchr(at + 1, '"') : NULL;
        if (end == NULL) {
            return false;
        }
        size_t listed_length = (size_t)(end + 1 - at);
        if (listed_length == length && memcmp(at, opaque, length) == 0 &&
            (weak || (!listed_weak && !etag_weak))) {
            return true;
        }
        at = skip_separators(end + 1);
    }
    return false;
}

bool header_date_parse(const char *value, int64_t *ret_ms)
{
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%a, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};
    for (unsigned i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm date = {.tm_isdst = 0};
        const char *end = strptime(value, forms[i], &date);
        if (end != NULL && *end == '\0') {
            *ret_ms = (int64_t)timegm(&date) * 1000;
            return true;
        }
    }
    return false;
}

void header_date_format(int64_t ms, char out[HEADER_DATE_SIZE])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(ms / 1000);
    struct tm date;
    (void)gmtime_r(&seconds, &date);
    char text[80];
    (void)snprintf(text, sizeof text, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                   days + 3 * date.tm_wday, date.tm_mday, months + 3 * date.tm_mon,
                   1900 + date.tm_year, date.tm_hour, date.tm_min, date.tm_sec);
    (void)snprintf(out, HEADER_DATE_SIZE, "%.29s", text);
}

const char *header_cookie(const char *header, const char *name, size_t *ret_length)
{
    size_t name_length = strlen(name);
    for (const char *at = header; *at != '\0';) {
        while (*at == ' ' || *at == ';') {
            at++;
        }
        const char *end = strchrnul(at, ';');
        if ((size_t)(end - at) > name_length && memcmp(at, name, name_length) == 0 &&
            at[name_length] == '=') {
            const char *value = at + name_length + 1;
            size_t length = (size_t)(end - value);
            if (length >= 2 && value[0] == '"' && value[length - 1] == '"') {
                value++;
                length -= 2;
            }
            *ret_length = length;
            return value;
        }
        at = end;
    }
    return NULL;
}

bool header_list_holds(const char *list, const char *token)
{
    size_t length = strlen(token);
    for (const char *at = skip_separators(list); *at != '\0'; at = skip_separators(at)) {
        size_t item = strcspn(at, ",");
        const char *next = at + item;
        while (item > 0 && (at[item - 1] == ' ' || at[item - 1] == '\t')) {
            item--;
        }
        if (item == length && strncasecmp(at, token, length) == 0) {
            return true;
        }
        at = next;
    }
    return false;
}
