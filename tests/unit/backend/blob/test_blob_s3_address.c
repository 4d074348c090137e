/* backend/blob/blob_s3_address: what a line of the configuration means, and what is said of one
 * that means nothing, which never holds the secret. */
#include "backend/blob/blob_s3_address.h"
#include "base/error.h"
#include "base/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static void read_address(const char *url, struct s3_address *ret_address)
{
    struct problem problem = {0};
    if (blob_s3_address_parse(url, ret_address, &problem) != 0) {
        fail_msg("%s: %s", url, problem.detail);
    }
}

static void parts_are_decoded(void **state)
{
    (void)state;
    struct s3_address address;
    read_address("s3://AK%2FIA:se%2Fc%2Bret%40@s3.example.org/music", &address);
    assert_string_equal(address.key_id, "AK/IA");
    assert_string_equal(address.secret, "se/c+ret@");
    assert_string_equal(address.bucket, "music");
    assert_string_equal(address.host, "s3.example.org");
    assert_string_equal(address.base, "https://s3.example.org/music");
    assert_string_equal(address.path, "/music");
    assert_string_equal(address.endpoint, "https://s3.example.org");
    assert_string_equal(address.region, "us-east-1");
    assert_true(address.tls && address.path_style);
    assert_null(strstr(address.where, "ret"));
    blob_s3_address_done(&address);
}

static void options_are_taken(void **state)
{
    (void)state;
    struct s3_address address;
    read_address("s3://K:S@h.example.org:9000/in/here/music/?region=eu-1&tls=no&path_style=no&"
                 "ca=%2Fetc%2Fca.pem&sse=aws:kms&sse_key=id&connections=3",
                 &address);
    assert_string_equal(address.host, "music.h.example.org:9000");
    assert_string_equal(address.base, "http://music.h.example.org:9000/in/here");
    assert_string_equal(address.path, "/in/here");
    assert_string_equal(address.region, "eu-1");
    assert_string_equal(address.ca, "/etc/ca.pem");
    assert_string_equal(address.sse, "aws:kms");
    assert_string_equal(address.sse_key, "id");
    assert_int_equal(address.connections, 3);
    blob_s3_address_done(&address);
}

static void what_clients_put_is_signed_with_a_key_of_its_own(void **state)
{
    (void)state;
    struct s3_address address;
    read_address("s3://K:S@host/music", &address);
    assert_string_equal(blob_s3_credentials(&address, true).key_id, "K");
    blob_s3_address_done(&address);
    read_address("s3://K:S@host/music?upload_key=U&upload_secret=V%2F&region=here", &address);
    assert_string_equal(blob_s3_credentials(&address, true).key_id, "U");
    assert_string_equal(blob_s3_credentials(&address, true).secret, "V/");
    assert_string_equal(blob_s3_credentials(&address, true).region, "here");
    assert_string_equal(blob_s3_credentials(&address, false).key_id, "K");
    assert_string_equal(blob_s3_credentials(&address, false).secret, "S");
    blob_s3_address_done(&address);
}

/* Clients leave it out of Host, which is signed. */
static void the_schemes_own_port_is_left_out(void **state)
{
    (void)state;
    struct s3_address address;
    read_address("s3://K:S@host:443/music", &address);
    assert_string_equal(address.host, "host");
    blob_s3_address_done(&address);
    read_address("s3://K:S@host:80/music?tls=no", &address);
    assert_string_equal(address.host, "host");
    blob_s3_address_done(&address);
    read_address("s3://K:S@host:443/music?tls=no", &address);
    assert_string_equal(address.host, "host:443");
    blob_s3_address_done(&address);
    read_address("s3://K:S@[::1]:9000/music?tls=no", &address);
    assert_string_equal(address.base, "http://[::1]:9000/music");
    blob_s3_address_done(&address);
}

static void what_is_wrong_is_said_without_the_secret(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "s3://",
        "s3://host/bucket",
        "s3://K@host/bucket",
        "s3://:hidden@host/bucket",
        "s3://K:@host/bucket",
        "s3://K:hid/den@host/bucket",
        "s3://K:hidden%2@host/bucket",
        "s3://K:hidden%00@host/bucket",
        "s3://K:hidden@/bucket",
        "s3://K:hidden@host",
        "s3://K:hidden@host/",
        "s3://K:hidden@host/b",
        "s3://K:hidden@ho st/bucket",
        "s3://K:hidden@host/buc%20ket",
        "s3://K:hidden@host/bucket?tls",
        "s3://K:hidden@host/bucket?tls=1",
        "s3://K:hidden@host/bucket?what=1",
        "s3://K:hidden@host/bucket?connections=0",
        "s3://K:hidden@host/bucket?sse=none",
        "s3://K:hidden@host/bucket?upload_key=U",
        "s3://K:hidden@host/bucket?upload_secret=hidden",
        "http://K:hidden@host/bucket",
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct s3_address address;
        struct problem problem = {0};
        assert_int_equal(blob_s3_address_parse(bad[i], &address, &problem), ERR_INVALID);
        assert_null(strstr(problem.detail, "hid"));
        assert_non_null(strstr(problem.detail, "blob.store"));
        blob_s3_address_done(&address);
    }
}

static void another_endpoint_has_the_bucket_too(void **state)
{
    (void)state;
    struct s3_address address;
    read_address("s3://K:S@host/music", &address);
    char *base = blob_s3_address_base(&address, "https://media.example.org/x");
    assert_string_equal(base, "https://media.example.org/x/music");
    free(base);
    assert_null(blob_s3_address_base(&address, "media.example.org"));
    assert_null(blob_s3_address_base(&address, "ftp://media.example.org"));
    blob_s3_address_done(&address);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_decoded),
        cmocka_unit_test(options_are_taken),
        cmocka_unit_test(what_clients_put_is_signed_with_a_key_of_its_own),
        cmocka_unit_test(the_schemes_own_port_is_left_out),
        cmocka_unit_test(what_is_wrong_is_said_without_the_secret),
        cmocka_unit_test(another_endpoint_has_the_bucket_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
