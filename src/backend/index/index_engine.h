/* What an engine of index.h implements. index.c picks the engine by the scheme of the URL and
 * passes the calls on. An index and a build of an engine start with the heads below. */
#pragma once

#include "backend/index/index.h"

struct index_engine {
    const char *scheme; /* "local:" */
    /* The engine frees what it opened. url begins with the scheme. */
    int (*open)(const char *url, struct index **ret_index, struct problem *problem);
    /* NULL: any will do. */
    int (*check_url)(const char *url, struct problem *problem);
    void (*close)(struct index *index);

    int64_t (*place)(struct index *index);
    int64_t (*built_ms)(struct index *index);
    bool (*is_worn)(struct index *index);
    void (*size)(struct index *index, struct index_size *ret_size);
    bool (*look)(struct index *index);
    int (*change)(struct index *index, const struct index_doc *docs, unsigned count, int64_t place);
    int (*search)(struct index *index, enum index_kind kind, const struct index_query *query,
                  struct index_hits *ret_hits);

    int (*build_begin)(struct index *index, int64_t place, struct index_build **ret_build);
    int (*build_add)(struct index_build *build, const struct index_doc *doc);
    /* The build is freed after it, well or not. */
    int (*build_end)(struct index_build *build, struct problem *problem);
    void (*build_free)(struct index_build *build);

    /* Of an engine that processes share; NULL: each has its own. */
    int64_t pulse_ms; /* see index_pulse_ms */
    bool (*leads)(struct index *index);
    void (*reached)(struct index *index, int64_t place);
    int (*ping)(struct index *index, struct problem *problem);
};

/* Heads, filled by index.c. */
struct index {
    const struct index_engine *engine;
};
struct index_build {
    struct index *index;
};

extern const struct index_engine index_local_engine, index_opensearch_engine;
