/* streaming: where a track's sound is, who may have how much of it, and the files themselves. The
 * contract for boot and the command line. It asks catalog which renditions there are, signs URLs
 * with edge tokens (edge_token.h), and serves /m/ from the loops. transcode uses manifest.h. Any
 * thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct blob_store;
struct bus;
struct bus_interest;
struct catalog;
struct db;
struct problem;
struct route;
struct streaming;

/* What its consumers take, ending with a NULL consumer. */
extern const struct bus_interest streaming_interests[];

struct streaming_config {
    struct catalog *catalog;
    struct blob_store *blobs;
    const char *keys_path;
    const char *media_url; /* what clients see before /m/, without a slash at the end */
    struct db *db;         /* the catalog's */
    struct bus *bus;
    const char *edge_urls; /* of edges to purge and warm; "": none, and nothing is counted */
    unsigned warm_tracks;
    int64_t warm_interval_ms;
    bool from_store; /* there is no edge: media files come from the (remote) store itself */
};
/* Applies the role's migrations. Texts are copied. */
int streaming_open(const struct streaming_config *config, struct streaming **ret_streaming,
                   struct problem *problem);
/* After the bus. NULL is fine. */
void streaming_close(struct streaming *streaming);
/* The rows for http_server_add_routes (context: the streaming). */
const struct route *streaming_routes(unsigned *ret_count);
/* Subscribes its consumer, and starts what keeps edges warm; called by boot where the role runs. */
int streaming_subscribe(struct streaming *streaming);
int streaming_start(struct streaming *streaming);
/* For `tutti keys rotate`: after delay_ms, in which edges are told, new URLs are signed by a new
 * key; those given out stay good. */
int streaming_keys_rotate(const char *keys_path, int64_t delay_ms, struct problem *problem);
