/* boot/config: the order of sources, and what is refused with words that say where. */
#include "base/error.h"
#include "base/problem.h"
#include "boot/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/tutti-config-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    static const char text[] = "# a comment\n[server]\nlisten = 127.0.0.1:1111\n"
                               "url = https://music.example\n[limits]\nheader_bytes = 8K\n";
    return fd < 0 || write(fd, text, sizeof text - 1) < 0 || close(fd) != 0;
}

static int drop_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void later_sources_win(void **state)
{
    (void)state;
    char *environment[] = {"TUTTI_SERVER_LISTEN=127.0.0.1:2222", "TUTTI_LOG_LEVEL=debug", NULL};
    struct config_sources sources = {
        .file = path,
        .environment = environment,
        .data = "/tmp/x",
        .flags = {{CONFIG_LOG_LEVEL, "error"}},
        .flag_count = 1,
    };
    struct config *config = NULL;
    struct problem problem = {0};
    assert_int_equal(config_load(&sources, &config, &problem), 0);
    assert_string_equal(config_text(config, CONFIG_SERVER_LISTEN), "127.0.0.1:2222");
    assert_string_equal(config_text(config, CONFIG_LOG_LEVEL), "error");
    assert_string_equal(config_text(config, CONFIG_SERVER_URL), "https://music.example");
    assert_string_equal(config_text(config, CONFIG_SERVER_MEDIA_URL), "https://music.example");
    assert_string_equal(config_text(config, CONFIG_BLOB_PUBLIC_URL), "https://music.example/s3");
    assert_string_equal(config_text(config, CONFIG_DATABASE_USERS), "sqlite:/tmp/x/users.db");
    assert_int_equal(config_number(config, CONFIG_LIMIT_HEADER), 8192);
    config_free(config);
}

static void the_url_follows_the_port(void **state)
{
    (void)state;
    struct config_sources sources = {
        .data = "/tmp/x", .flags = {{CONFIG_SERVER_LISTEN, "127.0.0.1:4711"}}, .flag_count = 1};
    struct config *config = NULL;
    assert_int_equal(config_load(&sources, &config, NULL), 0);
    assert_string_equal(config_text(config, CONFIG_SERVER_URL), "http://localhost:4711");
    assert_string_equal(config_text(config, CONFIG_BLOB_PUBLIC_URL), "http://localhost:4711/s3");
    config_free(config);
}

static void wrong_text_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } wrong[] = {
        {"[servre]\n", "f:1: there is no section [servre]"},
        {"[server]\nport = 1\n", "f:2: section [server] has no setting \"port\""},
        {"[server]\nlisten\n", "f:2: a setting is written key = value"},
        {"[server\n", "f:1: a section is written [name]"},
        {"[limits]\n\nconnections = many\n", "f:3: limits.connections is \"many\""},
        {"[limits]\nconnections = 99999999\n", "from 1 to 1000000"},
        {"[log]\naccess = maybe\n", "must be yes or no"},
        {"listen = x\n", "section [] has no setting"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct config *config = NULL;
        struct problem problem = {0};
        assert_int_equal(config_new(&config), 0);
        assert_int_equal(config_read_text(config, "f", wrong[i].text, &problem), ERR_INVALID);
        assert_non_null(strstr(problem.detail, wrong[i].words));
        config_free(config);
    }
}

static void wrong_values_are_refused(void **state)
{
    (void)state;
    static const struct config_flag wrong[] = {
        {CONFIG_SERVER_LISTEN, "4040"},
        {CONFIG_SERVER_LISTEN, "127.0.0.1:0"},
        {CONFIG_SERVER_LISTEN, "localhost:99999"},
        {CONFIG_SERVER_URL, "music.example"},
        {CONFIG_SERVER_URL, "http://music.example/"},
        {CONFIG_LOG_LEVEL, "loud"},
        {CONFIG_SERVER_BASE_PATH, "tutti"},
        {CONFIG_PLAN_DEFAULT, "gold"},
        {CONFIG_BLOB_S3_HOST, "http://s3.example"},
        {CONFIG_BLOB_S3_HOST, "s3.example/s3"},
        {CONFIG_CACHE_STORE, "redis:"},
        {CONFIG_CACHE_STORE, "redis://a:port"},
        {CONFIG_CACHE_STORE, "memory:here"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct config_sources sources = {.data = "/tmp/x", .flags = {wrong[i]}, .flag_count = 1};
        struct config *config = NULL;
        struct problem problem = {0};
        assert_int_equal(config_load(&sources, &config, &problem), ERR_INVALID);
        assert_non_null(strstr(problem.detail, "command line: "));
        assert_non_null(strstr(problem.detail, "must"));
    }
}

/* Every number has its bounds: the default is inside, and what is just outside is refused. */
static void files_of_one_machine_are_not_for_many(void **state)
{
    (void)state;
    static const char store[] = "s3://u:p@127.0.0.1:1/bucket";
    struct config_sources sources = {
        .data = "/tmp/x",
        .flags = {{CONFIG_BLOB_STORE, store}, {CONFIG_IMPORT_MODE, "reference"}},
        .flag_count = 2};
    struct config *config = NULL;
    struct problem problem = {0};
    assert_int_equal(config_load(&sources, &config, &problem), ERR_INVALID);
    assert_non_null(strstr(problem.detail, "import.mode = copy"));
    sources.flags[1].value = "copy";
    assert_int_equal(config_load(&sources, &config, &problem), 0);
    config_free(config);
    sources.flag_count = 1; /* the default copies there */
    assert_int_equal(config_load(&sources, &config, &problem), 0);
    config_free(config);
}

static void numbers_have_bounds(void **state)
{
    (void)state;
    for (int i = 0; i < CONFIG_SETTINGS_; i++) {
        const struct config_row *row = config_row((enum config_setting)i);
        if (row->kind != CONFIG_NUMBER) {
            continue;
        }
        struct config *config = NULL;
        assert_int_equal(config_new(&config), 0);
        assert_in_range(config_number(config, (enum config_setting)i), row->min, row->max);
        const int64_t values[] = {row->min, row->max, row->min - 1, row->max + 1};
        for (int j = 0; j < 4; j++) {
            char text[128];
            (void)snprintf(text, sizeof text, "[%s]\n%s = %lld\n", row->section, row->key,
                           (long long)values[j]);
            assert_int_equal(config_read_text(config, "f", text, NULL), j < 2 ? 0 : ERR_INVALID);
        }
        config_free(config);
    }
}

static void shown_without_secrets(void **state)
{
    (void)state;
    struct config *config = NULL;
    assert_int_equal(config_new(&config), 0);
    assert_int_equal(
        config_read_text(config, "f", "[mail]\nurl = smtp://me:hunter2@mail.example:25\n", NULL),
        0);
    assert_int_equal(
        config_read_text(config, "f",
                         "[database]\ncatalog_replicas = postgresql://me:hunter2@a:5432/x"
                         "  postgresql://me@b/x?password=hunter2&sslmode=require"
                         " postgresql://me@b/y?sslkey=k&sslpassword=hunter2\n"
                         "users = postgresql://me:hun@ter2@c/x\n"
                         "activity = postgresql://me:hun/t#er2@d/x\n",
                         NULL),
        0);
    assert_int_equal(
        config_read_text(
            config, "f",
            "[blob]\nstore = s3://K:hunter2@h/music?upload_key=U&upload_secret=hunter2&tls=no\n",
            NULL),
        0);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    config_write(config, NULL, out);
    (void)fclose(out);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "s3://K:***@h/music?upload_key=U&upload_secret=***&tls=no\n"));
    assert_null(strstr(text, "ter2"));
    assert_non_null(strstr(text, "postgresql://me:***@a:5432/x"
                                 "  postgresql://me@b/x?password=***&sslmode=require"
                                 " postgresql://me@b/y?sslkey=k&sslpassword=***"));
    assert_non_null(strstr(text, "postgresql://me:***@c/x"));
    assert_non_null(strstr(text, "postgresql://me:***@d/x"));
    assert_non_null(strstr(text, "smtp://me:***@mail.example:25"));
    struct config *again = NULL;
    assert_int_equal(config_new(&again), 0);
    assert_int_equal(config_read_text(again, "shown", text, NULL), 0);
    free(text);
    config_free(again);
    config_free(config);
}

/* Whatever HOME is: there are words. */
static void odd_data_directories_are_refused(void **state)
{
    (void)state;
    char far[5000] = "/";
    memset(far + 1, 'x', sizeof far - 2);
    far[sizeof far - 1] = '\0';
    const char *const wrong[] = {"/home/\x99", far};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct config_sources sources = {.data = wrong[i]};
        struct config *config = NULL;
        struct problem problem = {0};
        assert_int_equal(config_load(&sources, &config, &problem), ERR_INVALID);
        assert_non_null(strstr(problem.detail, "data directory"));
    }
}

/* What follows from a value may be too long, where the value is not. */
static void what_follows_is_refused_in_words(void **state)
{
    (void)state;
    char url[4097] = "https://";
    memset(url + 8, 'x', sizeof url - 9);
    url[sizeof url - 1] = '\0';
    struct config_sources sources = {
        .data = "/tmp/x", .flags = {{CONFIG_SERVER_URL, url}}, .flag_count = 1};
    struct config *config = NULL;
    struct problem problem = {0};
    assert_int_equal(config_load(&sources, &config, &problem), ERR_INVALID);
    assert_non_null(strstr(problem.detail, "blob.public_url must be"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(later_sources_win, make_file, drop_file),
        cmocka_unit_test(the_url_follows_the_port),
        cmocka_unit_test(wrong_text_is_refused),
        cmocka_unit_test(wrong_values_are_refused),
        cmocka_unit_test(files_of_one_machine_are_not_for_many),
        cmocka_unit_test(numbers_have_bounds),
        cmocka_unit_test(shown_without_secrets),
        cmocka_unit_test(odd_data_directories_are_refused),
        cmocka_unit_test(what_follows_is_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
