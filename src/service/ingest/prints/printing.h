/* The print of an imported file, and which others are the same recording. Among the files of
 * ingest; nobody else includes it. One thread uses one. */
#pragma once

#include "service/ingest/ingest_internal.h"
#include "service/ingest/prints/store.h"

enum { PRINT_STALE_MS = 15 * 60 * 1000 }; /* who took a file for longer has died */

struct printing;
/* NULL: out of memory. Owned by the caller; ingest outlives it. */
struct printing *printing_new(struct ingest *ingest);
void printing_free(struct printing *printing); /* NULL is fine */

/* Makes the file's print and keeps it, in the group of its like. ERR_CONFLICT: it has one, or
 * another process is at it. ERR_CANCELLED: the role ends. A file whose sound can't be decoded has
 * none, which is kept too. */
int printing_keep(struct printing *printing, const struct print_wanted *wanted);
/* Makes it only to see what is like it. */
int printing_look(struct printing *printing, const struct print_wanted *wanted);
/* The tracks that the last file is the same recording as; good until the next one. */
const struct print_row *printing_same(const struct printing *printing, unsigned *ret_count);
