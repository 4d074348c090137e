/* streaming: where a track's sound is, who may have how much of it, and the files themselves. The
 * contract for boot and the command line. It asks catalog which renditions there are, signs URLs
 * with edge tokens (edge_token.h), and serves /m/ from the loops. transcode uses manifest.h. Any
 * thread. */
#pragma once

struct blob_store;
struct catalog;
struct problem;
struct route;
struct streaming;

struct streaming_config {
    struct catalog *catalog;
    struct blob_store *blobs;
    const char *keys_path;
    const char *media_url; /* what clients see before /m/, without a slash at the end */
};
int streaming_open(const struct streaming_config *config, struct streaming **ret_streaming,
                   struct problem *problem);
void streaming_close(struct streaming *streaming); /* NULL is fine */
/* The rows for http_server_add_routes (context: the streaming). */
const struct route *streaming_routes(unsigned *ret_count);
/* For `tutti keys rotate`: new URLs are signed by a new key; those given out stay good. */
int streaming_keys_rotate(const char *keys_path, struct problem *problem);
