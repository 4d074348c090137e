/* identity/names: what people may call themselves, and what passwords are refused. */
#include "base/error.h"
#include "service/identity/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static struct call *call_new(void)
{
    static struct call call;
    memset(&call, 0, sizeof call);
    call.arena = arena_new(0);
    return &call;
}

static void usernames_accepted(void **state)
{
    (void)state;
    static const char *const good[] = {
        "al", "admin", "a.b_c-d", "Zo\xc3\xab", "\xe5\xae\x87\xe5\xa4\x9a\xe7\x94\xb0", "x2"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct call *call = call_new();
        struct login_name name;
        assert_int_equal(name_check_username(call, good[i], &name), 0);
        assert_string_equal(name.shown, good[i]);
        arena_free(call->arena);
    }
}

static void usernames_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "a",
                                      "a b",
                                      "a@b",
                                      "-ab",
                                      "ab.",
                                      "a..b",
                                      "a\x01",
                                      "a/b",
                                      "\xff",
                                      "<ab>",
                                      "z\xe2\x80\xaez", /* bidi override */
                                      "12345678901234567890123456789012345678901"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct call *call = call_new();
        struct login_name name = {0};
        assert_int_equal(name_check_username(call, bad[i], &name), ERR_INVALID);
        assert_string_equal(call->problem.fields[0].name, "username");
        assert_null(name.shown);
        arena_free(call->arena);
    }
}

static void one_name_in_all_its_forms(void **state)
{
    (void)state;
    struct call *call = call_new();
    struct login_name composed, decomposed, upper;
    assert_int_equal(name_check_username(call, "zo\xc3\xab", &composed), 0);
    assert_int_equal(name_check_username(call, "zoe\xcc\x88", &decomposed), 0);
    assert_int_equal(name_check_username(call, "ZO\xc3\x8b", &upper), 0);
    assert_string_equal(composed.shown, decomposed.shown);
    assert_string_equal(composed.folded, decomposed.folded);
    assert_string_equal(composed.folded, upper.folded);
    assert_string_equal(name_fold_login(call, " ZO\xc3\x8b "), composed.folded);
    arena_free(call->arena);
}

static void emails(void **state)
{
    (void)state;
    static const char *const bad[] = {"a",         "a@",
                                      "@b",        "a@b@c",
                                      "a b@c.org", "a@.org",
                                      "a@b..org",  "a@b\r\nBcc: c@d.org",
                                      "<a@b.org>", "a@b.org,c@d.org"};
    struct call *call = call_new();
    struct login_name name;
    assert_int_equal(name_check_email(call, "Ann@Example.ORG", &name), 0);
    assert_string_equal(name.shown, "Ann@Example.ORG");
    assert_string_equal(name.folded, "ann@example.org");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(name_check_email(call, bad[i], &name), ERR_INVALID);
    }
    arena_free(call->arena);
}

static void passwords(void **state)
{
    (void)state;
    struct call *call = call_new();
    assert_int_equal(name_check_password(call, "password", "demo-password", "ann", "ann@b.org"), 0);
    /* Eight characters, not bytes. */
    assert_int_equal(
        name_check_password(call, "password", "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", NULL, NULL),
        ERR_INVALID);
    assert_int_equal(name_check_password(call, "password", "1234567", NULL, NULL), ERR_INVALID);
    assert_int_equal(name_check_password(call, "password", "Ann-Of-Green", "ann-of-green", NULL),
                     ERR_INVALID);
    assert_int_equal(name_check_password(call, "password", "ANN@long.org", "ann", "ann@long.org"),
                     ERR_INVALID);
    char big[259];
    memset(big, 'x', sizeof big);
    big[257] = '\0';
    assert_int_equal(name_check_password(call, "newPassword", big, NULL, NULL), ERR_INVALID);
    big[256] = '\0';
    assert_int_equal(name_check_password(call, "newPassword", big, NULL, NULL), 0);
    arena_free(call->arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(usernames_accepted),
                                       cmocka_unit_test(usernames_refused),
                                       cmocka_unit_test(one_name_in_all_its_forms),
                                       cmocka_unit_test(emails), cmocka_unit_test(passwords)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
