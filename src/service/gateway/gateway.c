/* The gateway's routes (gateway.h). The page and its policy are made once, when it is opened. */
#include "service/gateway/gateway.h"

#include "base/arena.h"
#include "base/embed.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "net/header.h"
#include "net/http.h"
#include "service/gateway/app.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct embed_file app_files[];
extern const unsigned app_file_count;
extern const struct embed_file description_files[]; /* openapi.yaml alone */

enum { PAGE_BYTES_MAX = 64 * 1024, ETAG_BYTES = 8 };

struct gateway {
    struct arena *arena; /* of the texts below */
    const char *page;
    size_t page_length;
    char page_etag[2 * ETAG_BYTES + 3]; /* with its quotes */
    const char *policy;
};

static int make_page(struct gateway *gateway, const struct gateway_config *config,
                     struct problem *problem)
{
    const struct embed_file *page = app_find(app_files, app_file_count, "index.html");
    if (page == NULL) {
        return problem_set(problem, ERR_INTERNAL, "The program holds no index.html");
    }
    gateway->page = app_page(gateway->arena, page, config->base_path);
    if (gateway->page == NULL) {
        return ERR_NO_MEMORY;
    }
    gateway->page_length = strlen(gateway->page);
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const unsigned char *)gateway->page, gateway->page_length);
    char hex[2 * ETAG_BYTES + 1];
    sodium_bin2hex(hex, sizeof hex, hash, ETAG_BYTES);
    (void)snprintf(gateway->page_etag, sizeof gateway->page_etag, "\"%s\"", hex);
    return 0;
}

int gateway_open(const struct gateway_config *config, struct gateway **ret_gateway,
                 struct problem *problem)
{
    struct gateway *gateway = calloc(1, sizeof *gateway);
    if (gateway == NULL) {
        return ERR_NO_MEMORY;
    }
    gateway->arena = arena_new(PAGE_BYTES_MAX);
    int error = gateway->arena != NULL ? make_page(gateway, config, problem) : ERR_NO_MEMORY;
    if (error == 0) {
        error = app_policy(gateway->arena, config->media_url, config->upload_url, problem,
                           &gateway->policy);
    }
    if (error != 0) {
        gateway_close(gateway);
        return error;
    }
    *ret_gateway = gateway;
    return 0;
}

void gateway_close(struct gateway *gateway)
{
    if (gateway != NULL) {
        arena_free(gateway->arena);
        free(gateway);
    }
}

/* One representation of a resource, as it is sent. */
struct representation {
    const char *content_type, *etag, *cache_control, *content_encoding, *policy;
    const char *bytes;
    size_t length;
};

/* The app asks for none of these; playing by itself is its trade. */
#define PERMISSIONS                                                                                \
    "camera=(), display-capture=(), geolocation=(), microphone=(), midi=(), payment=(), usb=()"

static int reply_representation(struct request *request, const struct representation *r)
{
    const struct {
        const char *name, *value;
    } headers[] = {
        {"ETag", r->etag},
        {"Cache-Control", r->cache_control},
        {"Vary", "Accept-Encoding"},
        {"Referrer-Policy", "same-origin"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Permissions-Policy", PERMISSIONS},
        {"Content-Encoding", r->content_encoding},
        {"Content-Security-Policy", r->policy},
    };
    const char *known = request_header(request, "If-None-Match");
    bool unchanged = known != NULL && header_etag_listed(known, r->etag, true);
    int error = 0;
    for (size_t i = 0; i < COUNT_OF(headers) && error == 0; i++) {
        error =
            headers[i].value != NULL ? reply_header(request, headers[i].name, headers[i].value) : 0;
    }
    if (error != 0) {
        return error;
    }
    return unchanged ? reply_empty(request, 304)
                     : reply_bytes(request, 200, r->content_type, r->bytes, r->length, true);
}

static int reply_page(struct request *request, const struct gateway *gateway)
{
    return reply_representation(request, &(struct representation){
                                             .content_type = "text/html; charset=utf-8",
                                             .etag = gateway->page_etag,
                                             .cache_control = "no-cache",
                                             .policy = gateway->policy,
                                             .bytes = gateway->page,
                                             .length = gateway->page_length,
                                         });
}

static int reply_embedded(struct request *request, const struct embed_file *file)
{
    bool packed =
        file->gzip_bytes != NULL && app_takes_gzip(request_header(request, "Accept-Encoding"));
    char *etag = arena_printf(request->call.arena, "\"%s%s\"", file->etag, packed ? "-gz" : "");
    if (etag == NULL) {
        return ERR_NO_MEMORY;
    }
    return reply_representation(request,
                                &(struct representation){
                                    .content_type = file->media_type,
                                    .etag = etag,
                                    .cache_control = app_name_hashed(file->path)
                                                         ? "public, max-age=31536000, immutable"
                                                         : "public, max-age=3600",
                                    .content_encoding = packed ? "gzip" : NULL,
                                    .bytes = packed ? file->gzip_bytes : file->bytes,
                                    .length = packed ? file->gzip_length : file->length,
                                });
}

static int get_app(struct request *request)
{
    const char *path = request->path + (request->path[0] == '/');
    const struct embed_file *file = app_find(app_files, app_file_count, path);
    if (file != NULL && strcmp(path, "index.html") != 0) {
        return reply_embedded(request, file);
    }
    bool names_file = strrchr(path, '.') != NULL && strcmp(path, "index.html") != 0;
    if (app_path_reserved(path) || names_file) {
        return ERR_NOT_FOUND;
    }
    return reply_page(request, request->context);
}

static int get_description(struct request *request)
{
    return reply_embedded(request, &description_files[0]);
}

static const struct route routes[] = {
    {.method = "GET",
     .pattern = "/api/v1/openapi.yaml",
     .run = ROUTE_LOOP,
     .rate = RATE_READ,
     .handle = get_description,
     .flags = ROUTE_NO_AUTH_HEADER},
    {.method = "GET", .pattern = "/", .run = ROUTE_LOOP, .rate = RATE_READ, .handle = get_app},
    {.method = "GET",
     .pattern = "/{page}",
     .run = ROUTE_LOOP,
     .rate = RATE_READ,
     .handle = get_app},
    {.method = "GET",
     .pattern = "/{page}/{id}",
     .run = ROUTE_LOOP,
     .rate = RATE_READ,
     .handle = get_app},
};

const struct route *gateway_routes(unsigned *ret_count)
{
    *ret_count = COUNT_OF(routes);
    return routes;
}
