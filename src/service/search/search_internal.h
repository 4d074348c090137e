/* What the files of search share among themselves; nobody else includes it. */
#pragma once

#include "service/search/search.h"

#include "backend/index/index.h"
#include "service/catalog/catalog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum {
    QUERY_CHARACTERS_MAX = 500,
    HITS_DEFAULT = 10,
    HITS_MAX = 50,
    LOOK_PAUSE_MS = 200,           /* between two looks for what changed */
    LOOK_EVERY_MS = 1000,          /* searches have the file looked at no more often */
    WAIT_MS = 3600 * 1000,         /* for news, before the index's age is looked at */
    AGE_MAX_MS = 24 * 3600 * 1000, /* an index with changes is built anew */
    AHEAD_MAX_MS = 60 * 1000, /* that an index which others bring on may be ahead of a replica */
    PORTION = 128,            /* things read at once */
};
/* The outbox keeps seven days. */
#define FOLLOW_MAX_MS (INT64_C(6) * 24 * 3600 * 1000)

struct request;

struct search {
    char *store;
    struct db *db;
    struct catalog *catalog;
    struct library *library;
    struct index *index; /* NULL until search_start */
    /* the follower (follow.c) */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool started, news, ending; /* news, ending: under lock */
    bool changed;               /* since the index was built; the follower's own */
    int64_t place;              /* in the outbox; the follower's own */
    int64_t ahead_ms;           /* since when the index is ahead of the outbox, monotonic; 0: not */
    atomic_bool ready;          /* there is an index to be asked */
    _Atomic int64_t looked_ms;  /* when a search last had the file looked at, monotonic */
};

/* ---- document.c ---- */

struct arena;
/* A thing as the index takes it; all memory is the arena's. */
int document_make(struct arena *arena, enum index_kind kind, const struct catalog_name *name,
                  uint32_t popularity, struct index_doc *ret_doc);
/* A genre as the index has it, without its mark. NULL: out of memory. */
const char *document_genre(struct arena *arena, const char *genre);
enum index_kind document_kind(enum catalog_kind kind);

/* ---- query.c ---- */

/* What was typed, as the index is asked. Nothing in it is an error: what is no filter is a word. */
int query_read(struct arena *arena, const char *text, struct index_query *ret_query);
/* There is something to look for. */
bool query_asks(const struct index_query *query);

/* ---- build.c ---- */

/* The whole catalogue into the index; *ret_place is the outbox's place before it was read. */
int build_index(struct search *search, struct index *index, int64_t *ret_place,
                struct problem *problem);
/* Plays of one thing. */
int popularity_of(struct search *search, enum catalog_kind kind, int64_t id,
                  uint32_t *ret_popularity);

/* ---- follow.c ---- */

int follow_start(struct search *search);
void follow_stop(struct search *search);
/* Somebody searches: now and then the file is looked at. Any thread; never blocks for long. */
void follow_poke(struct search *search);

/* Of the caller's playlists those that are asked for, the whole name before others, then the
 * newest: at most limit, and an explanation each (own_playlists.c). */
int own_playlists_find(struct search *search, struct request *request,
                       const struct index_query *query, unsigned limit, json_t *items, json_t *why);
