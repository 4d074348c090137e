/* `tutti backup` and `tutti restore` (docs/operations.md tells people how). Each returns an exit
 * status and prints its own errors. Main thread.
 *
 * A backup is a sealed file (archive.h) with these entries, and with --blobs a folder of objects
 * beside it that later backups share:
 *
 *   about.json    version, time, host
 *   tutti.conf    the configuration file in use, if there is one
 *   environment   the settings that came from the environment, a line each
 *   users.db      the databases, each as of the same moment
 *   catalog.db
 *   keys/NAME     the files of keys.store
 */
#pragma once

struct command_line;

/* With the server running or not. */
int command_backup(const struct command_line *line);
/* Only while no server and no other command works on the data directory (restoring.h). */
int command_restore(const struct command_line *line);
