/* Who holds a lease: this process, named so that another of the same machine can tell whether it
 * still lives. After a kill its jobs then go on at once, not when the lease runs out. */
#pragma once

#include <stdbool.h>

enum { OWNER_SIZE = 160 };

/* "BOOT/NAMESPACE/PID/START": the boot's id, the PID namespace, process and its start time. */
void owner_self(char out[OWNER_SIZE]);
/* True only when it is certain: same boot, same PID namespace, and no such process any more. */
bool owner_is_dead(const char *owner);
