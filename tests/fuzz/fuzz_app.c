/* What browsers and the configuration say to the web app's files: an Accept-Encoding, a path, two
 * addresses, the base path, a line each. A list that begins with gzip, or refuses it, is known
 * whatever follows; no address adds a directive to the policy; a page names its base and keeps the
 * rest.
 *
 * Covers: src/service/gateway/app.c */
#include "base/arena.h"
#include "base/embed.h"
#include "base/problem.h"
#include "fuzz.h"
#include "service/gateway/app.h"

static void check_encoding(struct arena *arena, const char *value)
{
    const char *first = arena_printf(arena, "gzip, %s", value);
    const char *refused = arena_printf(arena, "gzip;q=0, %s", value);
    FUZZ_CHECK(first != NULL && refused != NULL);
    FUZZ_CHECK(app_takes_gzip(first) && !app_takes_gzip(refused));
    FUZZ_CHECK(!app_takes_gzip(value) || strcasestr(value, "gzip") != NULL ||
               strchr(value, '*') != NULL);
}

static unsigned count_of(const char *text, char character)
{
    unsigned count = 0;
    for (; *text != '\0'; text++) {
        count += *text == character;
    }
    return count;
}

static void check_policy(struct arena *arena, const char *media_url, const char *upload_url)
{
    const char *plain = NULL, *policy = NULL;
    struct problem problem = {0};
    FUZZ_CHECK(app_policy(arena, "", "", &problem, &plain) == 0);
    if (app_policy(arena, media_url, upload_url, &problem, &policy) != 0) {
        FUZZ_CHECK(problem.detail[0] != '\0');
        return;
    }
    static const char signs[] = ";'\"*,";
    for (const char *sign = signs; *sign != '\0'; sign++) {
        FUZZ_CHECK(count_of(policy, *sign) == count_of(plain, *sign));
    }
    unsigned words = (media_url[0] != '\0' ? 3 : 0) + (upload_url[0] != '\0' ? 1 : 0);
    FUZZ_CHECK(count_of(policy, ' ') == count_of(plain, ' ') + words);
    for (const char *at = policy; *at != '\0'; at++) {
        FUZZ_CHECK((unsigned char)*at >= 0x20 && *at != 0x7f);
    }
}

static void check_page(struct arena *arena, const char *base)
{
    static const char text[] = "<base href=\"{{base}}\"><script src=\"{{base}}a.js\">";
    const struct embed_file page = {.path = "index.html", .bytes = text, .length = sizeof text - 1};
    const char *made = app_page(arena, &page, base);
    FUZZ_CHECK(made != NULL);
    FUZZ_CHECK(strlen(made) == sizeof text - 1 - 2 * strlen("{{base}}") + 2 * (strlen(base) + 1));
}

static void check_path(const char *path)
{
    static const struct embed_file files[] = {{.path = "assets/a-1.js"}, {.path = "index.html"}};
    const struct embed_file *found = app_find(files, 2, path);
    FUZZ_CHECK(found == NULL || strcmp(found->path, path) == 0);
    FUZZ_CHECK(!app_name_hashed(path) || app_path_reserved(path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_FIELDS fields = fuzz_split(data, size, 5);
    struct arena *arena = arena_new(0);
    FUZZ_CHECK(arena != NULL);
    check_encoding(arena, fuzz_or_empty(fields.text[0]));
    check_path(fuzz_or_empty(fields.text[1]));
    check_policy(arena, fuzz_or_empty(fields.text[2]), fuzz_or_empty(fields.text[3]));
    check_page(arena, fuzz_or_empty(fields.text[4]));
    arena_free(arena);
    return 0;
}
