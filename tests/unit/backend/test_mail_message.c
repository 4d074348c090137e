/* backend/mail_message: what is written can be read by RFC 5322 and 2047, and nothing breaks out.
 */
#include "backend/mail/mail_message.h"
#include "base/buffer.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static int write_mail(struct buffer *out, const char *from, const char *to, const char *subject,
                      const char *body)
{
    struct mail_sender sender;
    buffer_init(out, 65536);
    int error = mail_sender_parse(from, &sender);
    return error != 0 ? error
                      : mail_message_write(out, &sender, to, subject, body, 784111777, "x1");
}

static void plain(void **state)
{
    (void)state;
    struct buffer out;
    assert_int_equal(write_mail(&out, "a@b.org", "c@d.org", "Hello", "Hi\n"), 0);
    assert_string_equal(out.data, "Date: Sun, 6 Nov 1994 08:49:37 +0000\r\n"
                                  "From: a@b.org\r\n"
                                  "To: c@d.org\r\n"
                                  "Subject: Hello\r\n"
                                  "Message-ID: <x1@b.org>\r\n"
                                  "Auto-Submitted: auto-generated\r\n"
                                  "MIME-Version: 1.0\r\n"
                                  "Content-Type: text/plain; charset=utf-8\r\n"
                                  "Content-Transfer-Encoding: base64\r\n\r\nSGkK\r\n");
    buffer_done(&out);
}

static void unicode_subject_and_sender(void **state)
{
    (void)state;
    struct buffer out;
    assert_int_equal(write_mail(&out, "Caf\xc3\xa9 <a@b.org>", "c@d.org",
                                "\xc3\x9c"
                                "ber uns",
                                ""),
                     0);
    assert_non_null(strstr(out.data, "Subject: =?UTF-8?B?w5xiZXIgdW5z?=\r\n"));
    assert_non_null(strstr(out.data, "From: =?UTF-8?B?Q2Fmw6k=?= <a@b.org>\r\n"));
    buffer_done(&out);
}

/* 60 times the three bytes of a CJK character: words are cut between characters, lines stay short.
 */
static void long_subject_is_folded(void **state)
{
    (void)state;
    char subject[181] = "";
    for (unsigned i = 0; i < 60; i++) {
        memcpy(subject + 3 * i, "\xe9\x9f\xb3", 4);
    }
    struct buffer out;
    assert_int_equal(write_mail(&out, "a@b.org", "c@d.org", subject, ""), 0);
    const char *at = strstr(out.data, "Subject: ");
    unsigned words = 0;
    for (const char *line = at; words < 4; words++) {
        const char *end = strstr(line, "\r\n");
        assert_true(end - line <= 76 + 9);
        assert_memory_equal(end - 2, "?=", 2);
        line = end + 2;
    }
    assert_int_equal(words, 4);
    buffer_done(&out);
}

static void injection_is_impossible(void **state)
{
    (void)state;
    static const char *const bad_to[] = {"c@d.org\r\nBcc: e@f.org",
                                         "c@d.org, e@f.org",
                                         "<c@d.org>",
                                         "c@d.org e@f.org",
                                         "c@d.org\n",
                                         "cd.org",
                                         "@d.org",
                                         "c@",
                                         "c@d@e.org"};
    static const char *const bad_from[] = {"a@b.org\nX: y", "N\r\n <a@b.org>", "N <a@b.org> x",
                                           "N <a@b.org",    "\"N <a@b.org>",   ""};
    struct buffer out;
    for (size_t i = 0; i < sizeof bad_to / sizeof bad_to[0]; i++) {
        assert_int_equal(write_mail(&out, "a@b.org", bad_to[i], "s", "b"), ERR_INVALID);
        assert_int_equal(out.length, 0);
        buffer_done(&out);
    }
    for (size_t i = 0; i < sizeof bad_from / sizeof bad_from[0]; i++) {
        assert_int_equal(write_mail(&out, bad_from[i], "c@d.org", "s", "b"), ERR_INVALID);
        buffer_done(&out);
    }
    assert_int_equal(write_mail(&out, "a@b.org", "c@d.org", "s\r\nBcc: e@f.org", "b"), ERR_INVALID);
    buffer_done(&out);
    assert_int_equal(write_mail(&out, "a@b.org", "c@d.org", "s\xff", "b"), ERR_INVALID);
    buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain), cmocka_unit_test(unicode_subject_and_sender),
        cmocka_unit_test(long_subject_is_folded), cmocka_unit_test(injection_is_impossible)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
