/* From a key to the path of its file, below the bucket's folder, and back.
 *
 * Each part between slashes is a folder "NAME.dir", the last one the file "NAME.obj": so "a" and
 * "a/b" can both be keys, and "", "." are names like any other. Two things keep folders small
 * and names short without losing the keys' byte order, which listing needs:
 *   - the first two parts of a key (an id, a random name) shed up to two chunks of 3 bytes:
 *     m/117834520193024000/1/aac-160.mp4 →
 * m.dir/117.top/834.top/520193024000.dir/1.dir/aac-160.mp4.obj Ids are ordered by time: the first
 * chunk changes every 2.8 days, the second every 4 minutes.
 *   - any part sheds chunks of 200 bytes (a file name holds 255).
 * A chunk's folder is "CHUNK.low" where the next byte sorts before the slash and "CHUNK.top" where
 * after. Since a chunk at a given place always has the same length, only entries with equal names
 * compete, and their order is .obj .low .dir .top; otherwise a folder compares as its name and "/".
 */
#pragma once

#include <stddef.h>

enum { BLOB_PATH_MAX = 2560, BLOB_SUFFIX_BYTES = 4 };

/* Kinds of entries, in the order in which equal names sort. */
enum blob_entry_kind { BLOB_ENTRY_OBJECT, BLOB_ENTRY_LOW, BLOB_ENTRY_FOLDER, BLOB_ENTRY_TOP };

/* key must be valid (blob_key_valid). */
void blob_path_from_key(const char *key, char out[BLOB_PATH_MAX]);
/* The kind of an entry by its suffix; -1 for a name that is none of ours. */
int blob_path_kind(const char *entry_name);
