/* The rules for usernames, addresses and passwords (names.h). Unicode by utf8proc: names are kept
 * in NFC and compared by NFKC_Casefold, so that "Zoë", "ZOË" and its decomposed form are one name.
 */
#include "service/identity/names.h"

#include "base/error.h"
#include "base/text.h"

#include <sodium.h>
#include <string.h>
#include <utf8proc.h>

static bool is_name_letter(utf8proc_int32_t point)
{
    switch (utf8proc_category(point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ND:
        return true;
    default:
        return false;
    }
}

static bool is_name_joint(utf8proc_int32_t point)
{
    return point == '.' || point == '_' || point == '-';
}

/* Counts code points; joints only between letters. */
static int check_username_points(struct problem *problem, const char *text)
{
    unsigned count = 0;
    bool joint = true;
    for (const char *at = text; *at != '\0'; count++) {
        utf8proc_int32_t point;
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)at, -1, &point);
        at += step > 0 ? step : 1;
        bool was_joint = joint;
        joint = is_name_joint(point);
        if (!joint && !is_name_letter(point)) {
            return problem_field(problem, "username",
                                 "holds U+%04X; letters, digits and . _ - are allowed",
                                 (unsigned)point);
        }
        if (joint && was_joint) {
            return problem_field(
                problem, "username",
                "must begin with a letter or digit, without two of . _ - in a row");
        }
    }
    if (joint) {
        return problem_field(problem, "username", "must end with a letter or digit");
    }
    if (count < USERNAME_CHARACTERS_MIN) {
        return problem_field(problem, "username", "needs at least %d characters",
                             USERNAME_CHARACTERS_MIN);
    }
    return 0;
}

int name_check_username(struct call *call, const char *text, struct login_name *ret_name)
{
    static const struct text_rule rule = {.field = "username",
                                          .characters_max = USERNAME_CHARACTERS_MAX};
    const char *shown = NULL;
    int error = text_clean(call->arena, &rule, text, &call->problem, &shown);
    if (error == 0) {
        error = check_username_points(&call->problem, shown);
    }
    if (error != 0) {
        return error;
    }
    const char *folded = text_fold(call->arena, shown);
    if (folded == NULL) {
        return ERR_NO_MEMORY;
    }
    *ret_name = (struct login_name){.shown = shown, .folded = folded};
    return 0;
}

static bool is_email(const char *text)
{
    const char *at = strchr(text, '@');
    if (at == NULL || at == text || at - text > 64 || strchr(at + 1, '@') != NULL ||
        strpbrk(text, " \t\r\n\"(),:;<>[\\]") != NULL) {
        return false;
    }
    const char *domain = at + 1;
    size_t length = strlen(domain);
    return length > 0 && domain[0] != '.' && domain[0] != '-' && domain[length - 1] != '.' &&
           domain[length - 1] != '-' && strstr(domain, "..") == NULL;
}

int name_check_email(struct call *call, const char *text, struct login_name *ret_name)
{
    static const struct text_rule rule = {.field = "email", .characters_max = EMAIL_BYTES_MAX};
    const char *shown = NULL;
    int error = text_clean(call->arena, &rule, text, &call->problem, &shown);
    if (error != 0) {
        return error;
    }
    if (strlen(shown) > EMAIL_BYTES_MAX || !is_email(shown)) {
        return problem_field(&call->problem, "email",
                             "is no e-mail address; it should read like name@example.org");
    }
    const char *folded = text_fold(call->arena, shown);
    if (folded == NULL) {
        return ERR_NO_MEMORY;
    }
    *ret_name = (struct login_name){.shown = shown, .folded = folded};
    return 0;
}

int name_check_display(struct call *call, const char *text, const char **ret_text)
{
    static const struct text_rule rule = {
        .field = "displayName", .characters_max = DISPLAY_NAME_CHARACTERS_MAX, .empty_ok = true};
    return text_clean(call->arena, &rule, text, &call->problem, ret_text);
}

static size_t count_points(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        count += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return count;
}

/* The folded copy of the password is wiped again at once; the arena keeps only zeros. */
static int check_not_a_name(struct call *call, const char *field, const char *password,
                            const char *folded_username, const char *folded_email)
{
    char *folded = (char *)(uintptr_t)text_fold(call->arena, password);
    if (folded == NULL) {
        return ERR_NO_MEMORY;
    }
    bool same = (folded_username != NULL && strcmp(folded, folded_username) == 0) ||
                (folded_email != NULL && strcmp(folded, folded_email) == 0);
    sodium_memzero(folded, strlen(folded));
    return same ? problem_field(&call->problem, field, "must not be the name of the account") : 0;
}

int name_check_password(struct call *call, const char *field, const char *password,
                        const char *folded_username, const char *folded_email)
{
    if (!text_is_utf8(password, strlen(password))) {
        return problem_field(&call->problem, field, "is not valid UTF-8");
    }
    size_t count = count_points(password);
    if (count < PASSWORD_CHARACTERS_MIN || count > PASSWORD_CHARACTERS_MAX) {
        return problem_field(&call->problem, field, "needs %d to %d characters, not %zu",
                             PASSWORD_CHARACTERS_MIN, PASSWORD_CHARACTERS_MAX, count);
    }
    return check_not_a_name(call, field, password, folded_username, folded_email);
}

const char *name_fold_login(struct call *call, const char *text)
{
    static const struct text_rule rule = {.field = "username", .characters_max = EMAIL_BYTES_MAX};
    struct problem ignored = {0};
    const char *clean = NULL;
    if (text_clean(call->arena, &rule, text, &ignored, &clean) != 0) {
        return NULL;
    }
    return text_fold(call->arena, clean);
}
