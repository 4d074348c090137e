/* Text that people typed: titles, names, lyrics, log-ins. A text that is taken is UTF-8, within its
 * limit, without control characters, and is taken again unchanged. A username or address that is
 * taken is found again by whoever types it as it is shown, folding it twice changes nothing, and an
 * address can be written to. The key that lists are sorted by fits a cursor. Numbers, base64 and
 * percent-encoding are taken in one form alone.
 *
 * Covers: src/base/text.c src/service/identity/names.c */
#include "backend/mail/mail_message.h"
#include "base/text.h"
#include "fuzz.h"
#include "service/fields.h"
#include "service/identity/names.h"

#include <sodium.h>

enum { ARENA_BYTES = 8 << 20, TITLE_MAX = 200, LYRICS_CHARACTERS_MAX = 100000 };

static const struct text_rule rules[] = {
    {.field = "title", .characters_max = TITLE_MAX},
    {.field = "bio", .characters_max = TITLE_MAX, .empty_ok = true},
    {.field = "text", .characters_max = LYRICS_CHARACTERS_MAX, .lines = true},
};

static void check_rule(struct arena *arena, const struct text_rule *rule, const char *text)
{
    const char *clean = NULL, *again = NULL;
    struct problem problem = {0};
    if (text_clean(arena, rule, text, &problem, &clean) != 0) {
        FUZZ_CHECK(problem.field_count == 1);
        return;
    }
    FUZZ_CHECK(text_is_utf8(clean, strlen(clean)));
    FUZZ_CHECK(rule->empty_ok || clean[0] != '\0');
    FUZZ_CHECK(strlen(clean) <= (size_t)4 * rule->characters_max);
    for (const char *at = clean; *at != '\0'; at++) {
        FUZZ_CHECK((unsigned char)*at >= 0x20 || (rule->lines && strchr("\n\r\t", *at) != NULL));
    }
    FUZZ_CHECK(text_clean(arena, rule, clean, &problem, &again) == 0 && strcmp(again, clean) == 0);
}

static void check_folded(struct arena *arena, const char *text)
{
    if (!text_is_utf8(text, strlen(text))) {
        return;
    }
    const char *folded = text_fold(arena, text);
    FUZZ_CHECK(folded != NULL && text_is_utf8(folded, strlen(folded)));
    const char *key = field_sort_key(arena, text);
    FUZZ_CHECK(key != NULL && strlen(key) <= SORT_KEY_BYTES_MAX && text_is_utf8(key, strlen(key)));
}

static void check_login(struct call *call, const struct login_name *name)
{
    const char *typed = name_fold_login(call, name->shown);
    FUZZ_CHECK(typed != NULL && strcmp(typed, name->folded) == 0);
    const char *folded = text_fold(call->arena, name->folded);
    FUZZ_CHECK(folded != NULL && strcmp(folded, name->folded) == 0);
}

static void check_names(struct arena *arena, const char *text)
{
    struct call call = {.arena = arena};
    struct login_name name;
    const char *shown = NULL;
    if (name_check_username(&call, text, &name) == 0) {
        FUZZ_CHECK(strchr(name.shown, '@') == NULL && strchr(name.folded, '@') == NULL);
        check_login(&call, &name);
    }
    if (name_check_email(&call, text, &name) == 0) {
        FUZZ_CHECK(mail_address_check(name.shown) == 0);
        check_login(&call, &name);
    }
    (void)name_check_display(&call, text, &shown);
    (void)name_check_password(&call, "password", text, "somebody", NULL);
}

/* Numbers: taken with the bounds, and written again the same but for zeros before. */
static void check_number(const char *text)
{
    int64_t number = 0;
    double ratio = -1;
    char again[32];
    if (text_number(text, -5, INT64_MAX, &number)) {
        FUZZ_CHECK(number >= 0 && text[strspn(text, "0123456789")] == '\0');
        (void)snprintf(again, sizeof again, "%lld", (long long)number);
        const char *digits = text + strspn(text, "0");
        FUZZ_CHECK(strcmp(again, *digits != '\0' ? digits : "0") == 0);
        FUZZ_CHECK(text_number(text, number, number, &number));
        FUZZ_CHECK(!text_number(text, 0, number - 1, &number) || number == INT64_MIN);
    }
    if (text_ratio(text, &ratio)) {
        FUZZ_CHECK(ratio >= 0 && ratio <= 1 && text[strspn(text, "0123456789.")] == '\0');
    }
}

/* Base64: what is taken is the one text of its value. */
static void check_base64(const char *text, size_t length)
{
    static const int variants[] = {[TEXT_BASE64] = sodium_base64_VARIANT_ORIGINAL,
                                   [TEXT_BASE64_URL] = sodium_base64_VARIANT_URLSAFE_NO_PADDING};
    unsigned char *bytes = malloc(length + 1);
    char *again = malloc(2 * length + 8);
    FUZZ_CHECK(bytes != NULL && again != NULL);
    for (enum text_base64 form = TEXT_BASE64; form <= TEXT_BASE64_URL; form++) {
        size_t count = 0;
        if (text_base64_decode(text, length, form, bytes, length, &count)) {
            FUZZ_CHECK(count <= length);
            (void)sodium_bin2base64(again, 2 * length + 8, bytes, count, variants[form]);
            FUZZ_CHECK(strlen(again) == length && memcmp(again, text, length) == 0);
            FUZZ_CHECK(count == 0 ||
                       !text_base64_decode(text, length, form, bytes, count - 1, &count));
        }
        (void)sodium_bin2base64(again, 2 * length + 8, (const unsigned char *)text, length,
                                variants[form]);
        FUZZ_CHECK(text_base64_decode(again, strlen(again), form, bytes, length, &count));
        FUZZ_CHECK(count == length && memcmp(bytes, text, length) == 0);
    }
    free(bytes);
    free(again);
}

/* Percent-encoding: what is decoded has no control character and is not longer; and copies. */
static void check_percent(const char *text)
{
    size_t length = strlen(text);
    char *out = malloc(length + 1), small[8];
    FUZZ_CHECK(out != NULL);
    if (text_percent_decode(text, length, out, length + 1)) {
        FUZZ_CHECK(strlen(out) <= length && (strchr(text, '%') != NULL || strcmp(out, text) == 0));
        for (const char *at = out; *at != '\0'; at++) {
            FUZZ_CHECK((unsigned char)*at >= 0x20 && *at != 0x7f);
        }
    } else {
        FUZZ_CHECK(out[0] == '\0');
    }
    for (size_t i = 0; i < length; i++) {
        int byte = text_percent_byte(text + i, length - i);
        FUZZ_CHECK(byte >= -1 && byte <= 255 && (byte < 0 || text[i] == '%'));
    }
    bool fits = text_copy(small, sizeof small, text);
    FUZZ_CHECK(fits == (length < sizeof small) && strcmp(small, fits ? text : "") == 0);
    FUZZ_CHECK(text_equal_secret(text, text) && !text_equal_secret(text, small) == !fits);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct arena *arena = arena_new(ARENA_BYTES);
    FUZZ_CHECK(arena != NULL);
    for (unsigned i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        check_rule(arena, &rules[i], text);
    }
    check_folded(arena, text);
    check_names(arena, text);
    check_number(text);
    check_base64(text, size);
    check_percent(text);
    arena_free(arena);
    free(text);
    return 0;
}
