/* Single resources and lists as bytes in the cache, so that a loop thread can answer them. */
#pragma once

#include "service/catalog/catalog_internal.h"

/* The answer to a resource just read: ETag, and 304 where it is settled; while a worker is at it
 * the answer is not to be stored, since its ETag (what clients wrote) stays. Takes the reference.
 */
int resource_reply(struct request *request, json_t *object, int64_t revision, bool settled);
/* Forgets what this process has cached of it, after the change was committed. */
void resource_forget(struct catalog *catalog, enum catalog_kind kind, int64_t id);
