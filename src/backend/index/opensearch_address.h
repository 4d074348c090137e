/* Where OpenSearch is, as a URL says it:
 *
 *   opensearch://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT],…[/NAME][?OPTIONS]
 *
 * NAME (tutti) begins the names of all that is made there. User and password are percent-decoded;
 * HOST may be an IPv6 address in brackets. Options are joined by &:
 *
 *   tls=yes|no   https, with its certificate checked (no)
 *   ca           a PEM file that certificates are checked by, in place of the system's
 *   shards       1 to 64: of an index that is built (1)
 *   timeout_ms   100 to 60,000: for the answer to a search (2,000)
 *   connections  1 to 1,024 at a time (32)
 *
 * Pure functions over text, any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct problem;

enum { OPENSEARCH_HOSTS_MAX = 8, OPENSEARCH_HOST_SIZE = 272, OPENSEARCH_NAME_SIZE = 64 };

struct opensearch_address {
    char hosts[OPENSEARCH_HOSTS_MAX][OPENSEARCH_HOST_SIZE]; /* HOST:PORT */
    unsigned host_count;
    char user[128], password[256]; /* "" where there is none */
    char name[OPENSEARCH_NAME_SIZE];
    char ca[256];
    bool tls;
    int64_t shards, timeout_ms, connections;
};

/* ERR_INVALID with words that never repeat a password. The caller wipes it when it is done. */
int opensearch_address_parse(const char *url, struct opensearch_address *ret_address,
                             struct problem *problem);
