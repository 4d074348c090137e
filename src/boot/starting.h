/* A start that takes long because databases are brought to this version. */
#pragma once

/* From now on, while migrations are applied, the service manager is told what goes on and that the
 * start takes longer (EXTEND_TIMEOUT_USEC and STATUS of sd_notify(3)): else it would kill a long
 * migration after its TimeoutStartSec, which undoes it, and begin the same again. The log has a
 * line for each that takes more than a moment. Main thread; signals are blocked. */
void starting_begin(void);
/* Once the databases are open, or could not be opened. */
void starting_end(void);
