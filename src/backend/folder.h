/* Folders on disk that last: a name is durable once the folder that holds it was synced, which the
 * sync of a file does not do (fsync(2)). Used by whoever makes files by path; the object store
 * works below descriptors and has its own (blob_file.h). Any thread; no memory is kept.
 */
#pragma once

/* Makes the folder, for its owner alone, and its name durable. 0, also where it is there, or an
 * error with errno. */
int folder_make(const char *path);
/* Makes the names in a folder durable. 0 or an error with errno. */
int folder_sync(const char *path);
/* The same for the folder that holds path. */
int folder_sync_of(const char *path);
