/* Changes that other processes on the same database make: their events make this process's caches
 * forget too, and deleted tracks' media stop here as well, within a tenth of a second or two. A
 * thread of its own that sleeps until the database tells of a commit. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct catalog;
struct watch;

int watch_start(struct catalog *catalog, struct watch **ret_watch);
/* What this process's caches have heard of: all commits up to here, a position of the database
 * (db.h). What goes into a cache is read at this position or later, so that nothing is kept that
 * was forgotten already. */
int64_t watch_position(const struct watch *watch);
/* True where this thread's request must see more than that (db_view_seen): it goes past the caches.
 */
bool watch_is_behind(const struct watch *watch);
/* Before the catalog goes. NULL is fine. */
void watch_stop(struct watch *watch);
