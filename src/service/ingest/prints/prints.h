/* Fingerprints of imported files, made in the background, and the groups of files that are one
 * recording. Among the files of ingest; nobody else includes it. */
#pragma once

#include "service/ingest/ingest_internal.h"

enum { PRINTS_TICK_MS = 3000 };

/* Where the timer's thread is with them. */
struct prints {
    int64_t told; /* the mark of runs that the last look saw */
    int64_t done; /* … that the last pass was made for; 0: none */
};

/* Called by the timer's thread every PRINTS_TICK_MS or more often: once no import has told anything
 * new for a tick, goes through the files that have no print, for about a minute at most, and goes
 * on the next time. Returns early where the role ends. */
void prints_tick(struct ingest *ingest, struct prints *prints);
