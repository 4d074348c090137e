/* base/xml: what is told of elements, and what is refused before it can do harm. */
#include "base/buffer.h"
#include "base/error.h"
#include "base/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static int note(struct buffer *out, char sign, const struct xml_element *element)
{
    return buffer_printf(out, "%c%u:%s/%s=%s;", sign, element->line, element->parent, element->name,
                         element->text);
}

static int note_begin(void *argument, const struct xml_element *element)
{
    return note(argument, '+', element);
}

static int note_end(void *argument, const struct xml_element *element)
{
    return note(argument, '-', element);
}

static const struct xml_form notes = {
    .depth_max = 4, .text_max = 16, .begin = note_begin, .end = note_end};

static int reads(const char *text, struct buffer *out, unsigned *ret_line)
{
    buffer_reset(out);
    return xml_read(text, strlen(text), &notes, out, ret_line);
}

static void elements_are_told(void **state)
{
    (void)state;
    struct buffer out;
    unsigned line = 0;
    buffer_init(&out, 4096);
    assert_int_equal(reads("<a>\n<b x='1'>t&amp;&#233;<![CDATA[<]]></b>\n<c/></a>", &out, &line),
                     0);
    assert_string_equal(out.data, "+1:/a=;+2:a/b=;-2:a/b=t&\xc3\xa9<;+3:a/c=;-3:a/c=;-3:/a=;");
    buffer_done(&out);
}

static void harm_is_refused(void **state)
{
    (void)state;
    struct buffer out;
    unsigned line = 0;
    buffer_init(&out, 4096);
    static const char *const bad[] = {
        "",
        "x",
        "<a>",
        "<a><b></a></b>",
        "<a>\xff</a>",
        "<a/><a/>",
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY b 'bb'><!ENTITY c '&b;&b;'>]><a>&c;</a>",
        "<!DOCTYPE a SYSTEM 'http://127.0.0.1/x'><a/>",
        "<a>&b;</a>",
        "<a><b><c><d><e/></d></c></b></a>",
        "<a>12345678901234567</a>",
        "<a0123456789012345678901234567890123456789012345678901234567890123456789/>",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(reads(bad[i], &out, &line), ERR_MALFORMED);
    }
    assert_int_equal(reads("<a>\n\n<b></a>", &out, &line), ERR_MALFORMED);
    assert_int_equal(line, 3);
    assert_int_equal(reads("<a>1234567890123456</a>", &out, NULL), 0);
    buffer_done(&out);
}

static int stop_at_b(void *argument, const struct xml_element *element)
{
    unsigned *told = argument;
    ++*told;
    return element->name[0] == 'b' ? ERR_CONFLICT : 0;
}

static void the_takers_error_ends_it(void **state)
{
    (void)state;
    static const struct xml_form form = {.depth_max = 4, .text_max = 16, .begin = stop_at_b};
    static const char text[] = "<a><b/><b/><b/></a>";
    unsigned told = 0;
    assert_int_equal(xml_read(text, strlen(text), &form, &told, NULL), ERR_CONFLICT);
    assert_int_equal(told, 2);
}

static void escaped_text_is_read_again(void **state)
{
    (void)state;
    struct buffer xml, out;
    buffer_init(&xml, 256);
    buffer_init(&out, 256);
    (void)buffer_add(&xml, "<a>");
    xml_escape(&xml, "<&>\"'\r\n");
    (void)buffer_add(&xml, "</a>");
    assert_int_equal(reads(xml.data, &out, NULL), 0);
    assert_string_equal(out.data, "+1:/a=;-2:/a=<&>\"'\r\n;");
    buffer_done(&xml);
    buffer_done(&out);
}

/* One of them in a listing would make all of it unreadable. */
static void what_xml_lacks_is_replaced(void **state)
{
    (void)state;
    struct buffer xml, out;
    buffer_init(&xml, 256);
    buffer_init(&out, 256);
    (void)buffer_add(&xml, "<a>");
    xml_escape(&xml, "\x01"
                     "a\xEF\xBF\xBE<\xEF\xBF\xBF\x7F\xEF\xBF\xBD\xEF\xBF");
    assert_string_equal(xml.data, "<a>\xEF\xBF\xBD"
                                  "a\xEF\xBF\xBD&#60;\xEF\xBF\xBD\x7F\xEF\xBF\xBD"
                                  "\xEF\xBF");
    buffer_done(&xml);
    buffer_init(&xml, 256);
    (void)buffer_add(&xml, "<a>");
    xml_escape(&xml, "\x1F\xEF\xBF\xBF.");
    (void)buffer_add(&xml, "</a>");
    assert_int_equal(reads(xml.data, &out, NULL), 0);
    assert_string_equal(out.data, "+1:/a=;-1:/a=\xEF\xBF\xBD\xEF\xBF\xBD.;");
    buffer_done(&xml);
    buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_are_told), cmocka_unit_test(harm_is_refused),
        cmocka_unit_test(the_takers_error_ends_it), cmocka_unit_test(escaped_text_is_read_again),
        cmocka_unit_test(what_xml_lacks_is_replaced)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
