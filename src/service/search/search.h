/* search: what the catalogue holds, found as it is typed. The contract for boot.
 *
 * Each process with the role keeps an index of its own (backend/index), or all share one in
 * OpenSearch, which one of them keeps: made of the catalogue and kept up by its events: track.*,
 * album.*, artist.*. Nothing is emitted. What may be seen of what was found is asked of the
 * catalogue each time, so an index that is behind shows nothing it must not. Popularity is the
 * plays of all people, as the library counts them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct catalog;
struct db;
struct library;
struct problem;
struct route;
struct search;

struct search_config {
    const char *store; /* "local:PATH" or "opensearch://…" */
    struct db *catalog_db;
    struct catalog *catalog;
    struct library *library;
};

/* Opens nothing but what it was given; the index is opened by search_start. */
int search_open(const struct search_config *config, struct search **ret_search,
                struct problem *problem);
void search_close(struct search *search);               /* NULL is fine */
const struct route *search_routes(unsigned *ret_count); /* context: the search */
/* Opens the index and follows the catalogue from now on. Where there is no index it is built first,
 * and searches are answered 503 until it is there, as they are while a shared one is away. */
int search_start(struct search *search, struct problem *problem);
/* An engine that is shared stands behind it, which may be away. Between start and close. */
bool search_is_shared(const struct search *search);
/* 0, or why that engine did not answer when last asked. Any thread. */
int search_ping(struct search *search, struct problem *problem);

/* `tutti search rebuild`: builds the index anew, beside one that may be in use by other processes
 * on this machine, or elsewhere where they share it, which take it over by themselves. */
struct search_built {
    int64_t docs, words, bytes;
};
int search_rebuild(struct search *search, struct search_built *ret_built, struct problem *problem);
