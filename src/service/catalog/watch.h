/* Changes that other processes on the same database make: their events make this process's caches
 * forget too, and deleted tracks' media stop here as well, within a tenth of a second or two. A
 * thread of its own that sleeps until the database tells of a commit. */
#pragma once

struct catalog;
struct watch;

int watch_start(struct catalog *catalog, struct watch **ret_watch);
/* Before the catalog goes. NULL is fine. */
void watch_stop(struct watch *watch);
