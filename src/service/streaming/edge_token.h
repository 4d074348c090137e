/* The edge token: what lets a player, or a CDN's edge, fetch a version's files without asking
 * anybody.
 *
 *   {exp}~{track}.{version}.{ceiling}~{hmac}
 *   1763712000~117834520193024000.1.160~64 hex digits
 *
 * exp is the second it ends; hmac is HMAC-SHA-256 of what stands before it ("exp~acl") with the
 * key, which is used as the ASCII text it is stored as, so that Varnish, HAProxy and nginx can
 * check it with what they have. It stands in the path, /m/{token}/{track}/{version}/{file}, and is
 * cut off before caching.
 *
 * Keys are lines of KEYS/edge-keys (0600): the time from which it signs (ms), and the key. The last
 * one signs once its time has come, until then the one before it; both are good, so tokens outlive
 * one rotation, and edges can be told of a key before anybody meets it. Another process's rotation
 * is noticed within a second. Signing and verifying never block (a stat of a small file at most);
 * any thread.
 */
#pragma once

#include "service/streaming/manifest.h"

#include <stdbool.h>
#include <stdint.h>

struct edge_keys;
struct problem;

enum { EDGE_TOKEN_SIZE = 128, EDGE_LIFE_S = 7 * 3600, EDGE_ROUND_S = 3600 };

struct edge_grant {
    int64_t track_id;
    int version;
    enum manifest_ceiling ceiling;
    int64_t expires_s; /* seconds since 1970, UTC */
};

/* Opens the keys in the directory, making the first one. */
int edge_keys_open(const char *keys_path, struct edge_keys **ret_keys, struct problem *problem);
void edge_keys_close(struct edge_keys *keys); /* NULL is fine */
/* A new key is good from now on and signs in delay_ms; the former stays good, the one before it no
 * longer is. */
int edge_keys_rotate(const char *keys_path, int64_t delay_ms, struct problem *problem);

/* When a token made now ends: 6 to 7 hours ahead, on the hour, so that users share URLs. */
int64_t edge_token_expiry(int64_t now_ms);
void edge_token_sign(struct edge_keys *keys, const struct edge_grant *grant,
                     char out[EDGE_TOKEN_SIZE]);
/* 0 with *ret_grant, or ERR_FORBIDDEN: malformed, of another key, or over. Constant time in the
 * signature. */
int edge_token_verify(struct edge_keys *keys, const char *token, int64_t now_ms,
                      struct edge_grant *ret_grant);
