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
    assert_string_equal(parts[0].sum, "x-amz-checksum-crc32:AAAAAA==");
    assert_string_equal(parts[1].sum, "");
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
        WRAP("<Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumCRC32>a</ChecksumCRC32>"
             "<ChecksumSHA1>a</ChecksumSHA1></Part>"),
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

static int read_delete(struct arena *arena, const char *text, struct s3_xml_delete *list)
{
    return s3_xml_delete(arena, text, strlen(text), list);
}

static void keys_to_delete_are_read_as_they_are(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    struct s3_xml_delete *list = arena_new_of(arena, struct s3_xml_delete);
    assert_int_equal(read_delete(arena,
                                 "<?xml version=\"1.0\"?><Delete xmlns=\"http://s3.amazonaws.com/"
                                 "doc/2006-03-01/\">\n <Quiet>true</Quiet>\n"
                                 " <Object><Key> a &lt;b&gt; &amp;\xc3\xbc\n</Key></Object>\n"
                                 " <Object><Key>v</Key><VersionId>1</VersionId></Object></Delete>",
                                 list),
                     0);
    assert_true(list->quiet);
    assert_int_equal(list->count, 2);
    assert_string_equal(list->objects[0].key, " a <b> &\xc3\xbc\n");
    assert_false(list->objects[0].conditional);
    assert_string_equal(list->objects[1].key, "v");
    assert_true(list->objects[1].conditional);
    assert_null(list->objects[1].if_match);
    assert_int_equal(read_delete(arena,
                                 "<Delete><Object><Key>a</Key><ETag>\"e\"</ETag></Object></Delete>",
                                 list),
                     0);
    assert_false(list->quiet || list->objects[0].conditional);
    assert_string_equal(list->objects[0].if_match, "e");
    static const char *const bad[] = {
        "<Delete/>",
        "<Delete><Object/></Delete>",
        "<Delete><Object><VersionId>1</VersionId></Object></Delete>",
        "<Delete><Key>a</Key></Delete>",
        "<Delete><Object><Key>a</Key></Object>",
        WRAP(PART("1", "a")),
        "<!DOCTYPE x [<!ENTITY e \"eeee\">]><Delete><Object><Key>&e;</Key></Object></Delete>",
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(read_delete(arena, bad[i], list), ERR_MALFORMED);
    }
    arena_free(arena);
}

/* A thousand keys are taken, one more is not; nor is a key longer than any. */
static void deletes_are_bounded(void **state)
{
    (void)state;
    struct arena *arena = arena_new(0);
    struct s3_xml_delete *list = arena_new_of(arena, struct s3_xml_delete);
    for (unsigned count = S3_XML_DELETE_MAX; count <= S3_XML_DELETE_MAX + 1; count++) {
        struct buffer text;
        buffer_init(&text, 1 << 20);
        (void)buffer_add(&text, "<Delete>");
        for (unsigned i = 0; i < count; i++) {
            (void)buffer_printf(&text, "<Object><Key>%u</Key></Object>", i);
        }
        (void)buffer_add(&text, "</Delete>");
        assert_int_equal(read_delete(arena, text.data, list),
                         count > S3_XML_DELETE_MAX ? ERR_MALFORMED : 0);
        buffer_done(&text);
    }
    char key[BLOB_KEY_MAX + 2];
    for (size_t length = BLOB_KEY_MAX; length <= BLOB_KEY_MAX + 1; length++) {
        memset(key, 'k', length);
        key[length] = '\0';
        const char *text =
            arena_printf(arena, "<Delete><Object><Key>%s</Key></Object></Delete>", key);
        assert_int_equal(read_delete(arena, text, list), length > BLOB_KEY_MAX ? ERR_MALFORMED : 0);
    }
    arena_free(arena);
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
        cmocka_unit_test(keys_to_delete_are_read_as_they_are),
        cmocka_unit_test(deletes_are_bounded),
        cmocka_unit_test(text_is_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
