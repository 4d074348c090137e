/* What the files of the local engine share; nobody else includes it. */
#pragma once

#include "backend/index/index_engine.h"
#include "backend/index/segment.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

enum {
    DELTA_DOCS_MAX = 4096, /* of the segment that is made anew with each change */
    DELTAS_MAX = 32,       /* of a kind, before the index is worn */
};

#define INDEX_MAGIC UINT64_C(0x3278646974747574) /* "tuttidx2" */

/* In front of the file. */
struct index_head {
    uint64_t magic;
    int64_t place, built_ms;
    uint64_t segment_at[INDEX_KINDS_], segment_bytes[INDEX_KINDS_];
};

/* The file, mapped. */
struct base {
    const struct index_head *head;
    uint64_t bytes;
    dev_t device;
    ino_t inode;
};

struct local {
    struct index head;
    char path[PATH_MAX];
    pthread_rwlock_t lock; /* who searches reads; who changes writes, for a moment */
    struct base base;
    atomic_bool damaged; /* something in the file that cannot be was come upon */
    struct shard *shards[INDEX_KINDS_];
};

/* ERR_NOT_FOUND, ERR_CORRUPT or ERR_VERSION where there is nothing to be opened. */
int base_open(const char *path, struct base *ret_base);
void base_close(struct base *base);
/* Puts what is in the file in place of all there is; its deltas are gone. Takes the base. */
int local_swap(struct local *local, struct base *base);

static inline struct local *local_of(struct index *index)
{
    return (struct local *)(void *)index;
}

/* index_local_build.c */
int local_build_begin(struct index *index, int64_t place, struct index_build **ret_build);
int local_build_add(struct index_build *build, const struct index_doc *doc);
int local_build_end(struct index_build *build, struct problem *problem);
void local_build_free(struct index_build *build);
