/* The rules of an S3 store's bucket, from the configuration (store_rules.h). */
#include "boot/store_rules.h"

#include "backend/blob/blob.h"
#include "base/mem.h"
#include "boot/config.h"

#include <stdio.h>
#include <string.h>

enum { ORIGINS_MAX = 16, ORIGIN_SIZE = 256 };

struct origins {
    char texts[ORIGINS_MAX][ORIGIN_SIZE];
    const char *list[ORIGINS_MAX];
    unsigned count;
};

static void add(struct origins *origins, const char *text, size_t length)
{
    if (origins->count < ORIGINS_MAX && length > 0 && length < ORIGIN_SIZE) {
        (void)snprintf(origins->texts[origins->count], ORIGIN_SIZE, "%.*s", (int)length, text);
        origins->list[origins->count] = origins->texts[origins->count];
        origins->count++;
    }
}

/* "https://music.example.org" of "https://music.example.org/tutti". */
static void add_origin(struct origins *origins, const char *url)
{
    const char *host = strstr(url, "://");
    if (host != NULL) {
        add(origins, url, (size_t)(host - url) + 3 + strcspn(host + 3, "/?#"));
    }
}

static void add_list(struct origins *origins, const char *list)
{
    while (*list != '\0') {
        list += strspn(list, ", ");
        size_t length = strcspn(list, ", ");
        add(origins, list, length);
        list += length;
    }
}

int store_rules(const struct config *config, struct blob_store *store, bool may_write,
                struct problem *problem)
{
    struct origins origins = {.count = 0};
    add_origin(&origins, config_text(config, CONFIG_SERVER_URL));
    add_list(&origins, config_text(config, CONFIG_SERVER_CORS_ORIGINS));
    const struct blob_prepare what = {
        .origins = origins.list, .origin_count = origins.count, .may_write = may_write};
    return blob_prepare(store, &what, problem);
}
