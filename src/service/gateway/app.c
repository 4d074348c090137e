/* The app's files and their headers (app.h). */
#include "service/gateway/app.h"

#include "base/arena.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BASE_MARK "{{base}}"

static int compare_path(const void *path, const void *file)
{
    return strcmp(path, ((const struct embed_file *)file)->path);
}

const struct embed_file *app_find(const struct embed_file *files, unsigned count, const char *path)
{
    return bsearch(path, files, count, sizeof *files, compare_path);
}

bool app_path_reserved(const char *path)
{
    static const char *const firsts[] = {"api",     "m",      "s3",      "rest",        "ws",
                                         "healthz", "readyz", "metrics", ".well-known", "assets"};
    path += path[0] == '/';
    size_t length = strcspn(path, "/");
    for (size_t i = 0; i < COUNT_OF(firsts); i++) {
        if (strlen(firsts[i]) == length && strncmp(firsts[i], path, length) == 0) {
            return true;
        }
    }
    return false;
}

bool app_name_hashed(const char *path)
{
    return strncmp(path, "assets/", 7) == 0 && strchr(path, '-') != NULL;
}

/* "gzip;q=0" says no; any other weight is a yes. */
static bool weight_is_zero(const char *parameters, size_t length)
{
    const char *at = memchr(parameters, '=', length);
    if (at == NULL) {
        return false;
    }
    size_t left = length - (size_t)(at + 1 - parameters);
    return strspn(at + 1, "0. \t") >= left;
}

bool app_takes_gzip(const char *accept_encoding)
{
    const char *at = accept_encoding != NULL ? accept_encoding : "";
    while (*at != '\0') {
        at += strspn(at, " \t,");
        size_t length = strcspn(at, ",");
        size_t name = strcspn(at, " \t;,");
        bool named = (name == 4 && strncasecmp(at, "gzip", 4) == 0) || (name == 1 && *at == '*');
        if (named) {
            return !weight_is_zero(at + name, length - name);
        }
        at += length;
    }
    return false;
}

/* " https://host:port" of a URL, or "" for "". NULL: it has no origin, or one that would end the
 * directive. */
static const char *origin_of(struct arena *arena, const char *url)
{
    if (url[0] == '\0') {
        return "";
    }
    const char *host = strstr(url, "://");
    bool web = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    if (!web || host == NULL) {
        return NULL;
    }
    host += 3;
    size_t length = strcspn(host, "/?#");
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789.-_:[]";
    if (length == 0 || strspn(host, plain) < length) {
        return NULL;
    }
    return arena_printf(arena, " %.*s", (int)((size_t)(host - url) + length), url);
}

int app_policy(struct arena *arena, const char *media_url, const char *upload_url,
               struct problem *problem, const char **ret_policy)
{
    const char *media = origin_of(arena, media_url);
    const char *upload = origin_of(arena, upload_url);
    if (media == NULL || upload == NULL) {
        return problem_set(problem, ERR_INVALID, "\"%s\" must be an address like %s",
                           media == NULL ? media_url : upload_url, "https://media.example.org");
    }
    const char *policy = arena_printf(
        arena,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:%s; "
        "media-src 'self' blob:%s; connect-src 'self'%s%s; manifest-src 'self'; base-uri 'self'; "
        "form-action 'self'; frame-ancestors 'none'",
        media, media, media, upload);
    if (policy == NULL) {
        return ERR_NO_MEMORY;
    }
    *ret_policy = policy;
    return 0;
}

const char *app_page(struct arena *arena, const struct embed_file *page, const char *base_path)
{
    const char *text = arena_strdup(arena, "");
    const char *from = page->bytes;
    const char *mark;
    while (text != NULL && (mark = strstr(from, BASE_MARK)) != NULL) {
        text = arena_printf(arena, "%s%.*s%s/", text, (int)(mark - from), from, base_path);
        from = mark + strlen(BASE_MARK);
    }
    return text != NULL ? arena_printf(arena, "%s%s", text, from) : NULL;
}
