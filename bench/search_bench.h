/* What bench/search.c and its peers (search_peers.c) share: the queries, typed letter by letter,
 * and what is kept of each keystroke. */
#pragma once

#include "backend/index/index.h"
#include "search_model.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;

enum { TYPOS = 3, FIRST = 10 };

struct samples {
    float *ms;
    size_t count;
};

struct bench {
    struct model model;
    struct index *index;
    struct arena *arena;
};

/* Who is asked: finds tracks (their ids) by a text that is still being typed, and says what CPU
 * time that took. */
struct engine {
    const char *name;
    double (*ask)(struct bench *bench, void *peer, const char *text, struct index_hits *ret_tracks);
    void *peer;
    size_t letters_min; /* asked from so many on */
};

void need(bool holds, const char *what);
double spent_ms(void);
/* All queries typed at the engine; prints "name": {…}. */
void type_at(struct bench *bench, const struct engine *engine, unsigned queries);

/* All things of the catalogue into an index that is being built. */
void fill(struct bench *bench, struct index_build *build);
/* A keystroke at an index, as the route asks it; the CPU time of this process. */
double ask_index(struct bench *bench, struct index *index, const char *text,
                 struct index_hits *ret_tracks);

/* SQLite's FTS5 by rank and by rowid, of so many queries (by rank: a tenth). Prints. */
void peer_fts5(struct bench *bench, const char *folder, unsigned queries);
/* PostgreSQL's pg_trgm; url is a database of its own. Prints. */
void peer_trigrams(struct bench *bench, const char *url, unsigned queries);
/* OpenSearch behind our own interface; what its process (pid) spends counts. Prints. */
void peer_opensearch(struct bench *bench, const char *url, int pid, unsigned queries);
