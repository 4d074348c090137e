/* Read your own writes: a write's answer says how far the databases were (the header Tutti-Seen,
 * and a cookie), and whoever sends that back sees at least that much, from replicas and caches.
 *
 *   Tutti-Seen: c16b374d848.u1a3     for each database its letter and the position, hexadecimal
 *
 * A signed-in person who sends nothing may have written elsewhere: Redis knows of whom, and where
 * it does not, the primary is read. What is no such value counts as nothing. Runs around each
 * request's handler, on its thread. */
#pragma once

#include "backend/db/db.h"

struct redis;
struct request;

enum { SEEN_DATABASES = 3 };

struct seen {
    struct db *databases[SEEN_DATABASES]; /* NULL: none */
    const char *cookie_path;              /* borrowed */
    struct redis *redis;                  /* NULL: nobody knows who wrote */
};

void seen_begin(const struct seen *seen, struct request *request);
void seen_end(const struct seen *seen, struct request *request);
