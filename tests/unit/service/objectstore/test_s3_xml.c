/* service/objectstore/s3_xml: the list of parts, as clients write it and as attackers do. */
#include "base/error.h"
#include "service/objectstore/s3_xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum { MAX = 3 };
static struct blob_part parts[MAX];

static int read_text(const char *text)
{
    return s3_xml_parts(text, strlen(text), parts, MAX);
}

static void parts_are_read_in_their_order(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("<?xml version=\"1.0\"?>\n"
                  "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n"
                  "  <Part><ETag>\"0123456789abcdef0123456789abcdef\"</ETag>\n"
                  "    <ChecksumCRC32>AAAAAA==</ChecksumCRC32><PartNumber>2</PartNumber></Part>\n"
                  "  <Part><PartNumber>10000</PartNumber><ETag>&quot;aa&quot;</ETag></Part>\n"
                  "  <Part><PartNumber>1</PartNumber><ETag>bb</ETag></Part>\n"
                  "</CompleteMultipartUpload>"),
        3);
    assert_int_equal(parts[0].number, 2);
    assert_string_equal(parts[0].etag, "0123456789abcdef0123456789abcdef");
    assert_int_equal(parts[1].number, 10000);
    assert_string_equal(parts[1].etag, "aa");
    assert_int_equal(parts[2].number, 1);
    assert_string_equal(parts[2].etag, "bb");
}

#define WRAP(text) "<CompleteMultipartUpload>" text "</CompleteMultipartUpload>"
#define PART(n, e) "<Part><PartNumber>" n "</PartNumber><ETag>" e "</ETag></Part>"

static void anything_else_is_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "not xml",
        "<Other/>",
        WRAP(PART("0", "a")),
        WRAP(PART("10001", "a")),
        WRAP(PART("-1", "a")),
        WRAP(PART("1", "")),
        WRAP("<Part><PartNumber>1</PartNumber></Part>"),
        WRAP("<Part><ETag>a</ETag></Part>"),
        WRAP(PART("1", "a")) "<More/>",
        "<CompleteMultipartUpload>" PART("1", "a"),
        WRAP(PART("1", "a") PART("2", "a") PART("3", "a") PART("4", "a")),
        WRAP("<a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a>"),
        "<!DOCTYPE x [<!ENTITY e \"eeee\">]>" WRAP(PART("1", "&e;")),
        WRAP(PART("1", "0123456789012345678901234567890123456789012345678901234567890123456789"
                       "0123456789")),
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(read_text(bad[i]), ERR_MALFORMED);
    }
    assert_int_equal(read_text(WRAP("")), 0);
}

static void text_is_escaped(void **state)
{
    (void)state;
    struct buffer out;
    buffer_init(&out, 1000);
    s3_xml_text(&out, "Key", "a<b>&\"c", false);
    s3_xml_text(&out, "Key", "a b/<é>", true);
    s3_xml_time(&out, "Time", 1369353600042);
    assert_string_equal(out.data, "<Key>a&#60;b&#62;&#38;&#34;c</Key><Key>a%20b/%3C%C3%A9%3E</Key>"
                                  "<Time>2013-05-24T00:00:00.042Z</Time>");
    buffer_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_read_in_their_order),
        cmocka_unit_test(anything_else_is_malformed),
        cmocka_unit_test(text_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
