/* Addresses of clients, networks (CIDR), and what trusted proxies say about them. Pure functions;
 * any thread. IPv4 is kept as IPv4-mapped IPv6, so that one form serves both. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr;

enum { ADDRESS_TEXT_SIZE = 46, NETWORKS_MAX = 64 };

struct address {
    uint8_t bytes[16];
};

struct network {
    struct address address;
    unsigned bits; /* of 128 */
};

struct networks {
    unsigned count;
    struct network list[NETWORKS_MAX];
};

/* From a socket's address; what is neither IPv4 nor IPv6 (a Unix socket) becomes ::. */
struct address address_of(const struct sockaddr *socket_address);
bool address_parse(const char *text, struct address *ret_address);
void address_format(const struct address *address, char out[ADDRESS_TEXT_SIZE]);
/* Whose limits it counts towards: an IPv4 address itself, of IPv6 the /64. */
struct address address_owner(const struct address *address);
/* The owner of an address as text; what is no address is its own, by its first bytes. */
struct address address_owner_of(const char *text);
uint64_t address_hash(const struct address *address);

/* "127.0.0.1, ::1, 10.0.0.0/8". False for what is none, or more than NETWORKS_MAX. */
bool networks_parse(const char *list, struct networks *ret_networks);
bool networks_hold(const struct networks *networks, const struct address *address);

/* ---- what proxies say ----
 *
 * X-Forwarded-For and X-Forwarded-Proto, of a connection whose peer is a trusted proxy. Forwarded
 * (RFC 7239) is never read: a proxy that does not write it passes on what a stranger wrote
 * (docs/decisions/0323-one-header-names-the-client.md). */

/* Walks one line of X-Forwarded-For from the right: as long as *client is a trusted proxy it
 * becomes whom that one spoke for. Several lines are one list (RFC 9110, 5.3), so the last goes
 * first; true: the line before it counts too. A malformed entry ends the walk: what stands left of
 * it can't be believed. */
bool forwarded_walk(const struct networks *trusted, const char *list, struct address *client);
/* Whether the nearest proxy, which stands last in X-Forwarded-Proto, was spoken to by TLS. */
bool forwarded_https(const char *list);
