/* The edges in front of the media, as those see them who tell them something (deploy/varnish,
 * deploy/nginx): what to forget, and what to have before anybody asks. HTTP by libcurl, one
 * connection an edge is kept. One thread at a time uses a struct edges; who has two, opens two. */
#pragma once

#include <stdint.h>

struct edges;
struct problem;

enum { EDGES_MAX = 64, EDGE_SLICE_BYTES = 1024 * 1024 /* nginx/edge.conf: slice */ };

/* urls: "http://10.0.0.21:6081, http://…", each edge itself and not what stands before several.
 * "": *ret_edges is NULL. ERR_INVALID with words. */
int edges_open(const char *urls, struct edges **ret_edges, struct problem *problem);
void edges_close(struct edges *edges); /* NULL is fine */

/* Makes every edge forget what is below path ("/m/{track}/"). All are told, also where one fails;
 * 0 once each has said so, else ERR_UNAVAILABLE. Blocks, for seconds where an edge is away. */
int edges_purge(struct edges *edges, const char *path);
/* Makes every edge have a file of that many bytes, by asking for a byte of each slice: an edge that
 * keeps whole objects fetches it at the first. An edge that does not answer is left alone for a
 * while, so that a file of a long list costs its timeout once. 0 or ERR_UNAVAILABLE, as above. */
int edges_warm(struct edges *edges, const char *path, int64_t bytes);
/* Whether each answers: ERR_UNAVAILABLE with words that name the first that does not. */
int edges_look(struct edges *edges, struct problem *problem);
