/* The app's files and the headers they go out with: what gateway.c needs that is no HTTP. Pure
 * functions; any thread.
 */
#pragma once

#include "base/embed.h"

#include <stdbool.h>

struct arena;
struct problem;

/* By path without its first slash, "assets/app-1.js". Files are sorted by path. NULL: none. */
const struct embed_file *app_find(const struct embed_file *files, unsigned count, const char *path);

/* True for paths that other roles own ("/api", "/m/…"): what they don't know is 404. */
bool app_path_reserved(const char *path);

/* The name carries the content's hash: it may be kept for ever. */
bool app_name_hashed(const char *path);

/* Accept-Encoding (RFC 9110 section 12.5.3) allows gzip. NULL: no. */
bool app_takes_gzip(const char *accept_encoding);

/* The Content-Security-Policy of the app's page: itself, and the origins of two URLs ("" for none),
 * in the arena. ERR_INVALID for a URL without an origin; ERR_NO_MEMORY. */
int app_policy(struct arena *arena, const char *media_url, const char *upload_url,
               struct problem *problem, const char **ret_policy);

/* The page with each {{base}} replaced by base_path and a slash. NULL: out of memory. */
const char *app_page(struct arena *arena, const struct embed_file *page, const char *base_path);
