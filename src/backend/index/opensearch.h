/* What the files of the OpenSearch engine share; nobody else includes it.
 *
 * All processes use one index. With NAME of the address and the version of our layout:
 *
 *   NAME-v1              an alias: searches and changes go here
 *   NAME-v1-MS-RANDOM    the index behind it; each build makes one, and the alias moves at its end
 *   NAME-v1-control      one document: who leads, and up to which place all was brought, of which
 *                        build
 *
 * An index holds our words, not names: OpenSearch folds nothing and cuts nothing but beginnings of
 * words, so that both engines forgive the same. A field is a text of positions, each with its
 * forms, separated by two control characters that no word has.
 *
 * Invariants:
 *   1. A document's version is the outbox's place behind which it was read (+ 1), and OpenSearch
 *      takes no older one: whoever writes, in whatever order, twice or late, the last state stays.
 *   2. One process leads: it wrote its name into the control document last, by compare-and-swap,
 * and writes it again each second. Who saw it unchanged for LEASE_MS by its own clock takes it
 *      over. This only saves work; 1. keeps what is written right where two lead for a moment.
 *   3. The build that the alias points to says itself which it is and from which place on changes
 *      are missing; the control document's place counts only where it names the same build.
 *   4. Changes are refreshed before they return; nothing else refreshes.
 *   5. Words for people name hosts, never user or password. */
#pragma once

#include "backend/http/http_client.h"
#include "backend/index/index_engine.h"
#include "backend/index/opensearch_address.h"
#include "base/buffer.h"
#include "base/problem.h"

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

/* Of fields, analyzers and control document; a change of theirs is another one, so that processes
 * of two versions run side by side. */
#define OPENSEARCH_LAYOUT "v1"

enum {
    OPENSEARCH_INDEX_SIZE = OPENSEARCH_NAME_SIZE + 48,
    OPENSEARCH_WRITER_SIZE = 17,
    OPENSEARCH_ANSWER_BYTES_MAX = 16 * 1024 * 1024,
    OPENSEARCH_BODY_BYTES_MAX = 16 * 1024 * 1024,
    OPENSEARCH_PREFIX_MAX = 20, /* characters of a word's beginnings; what is longer is cut */
    OPENSEARCH_TRIES = 3,       /* of what makes and replaces an index; a search has two */
};

/* Between positions, and between the forms of one. */
#define OPENSEARCH_POSITION "\x1e"
#define OPENSEARCH_FORM     "\x1f"

struct breaker;

struct opensearch {
    struct index head;
    struct opensearch_address address;
    struct http_pool *pool;
    struct breaker *breaker;
    atomic_uint host; /* asked first: the one that answered last */
    char alias[OPENSEARCH_NAME_SIZE + 8], control[OPENSEARCH_NAME_SIZE + 16];
    char writer[OPENSEARCH_WRITER_SIZE]; /* this process */

    pthread_mutex_t lock;              /* what follows */
    char build[OPENSEARCH_INDEX_SIZE]; /* "": there is none */
    int64_t place, built_ms;
    int away; /* why it was not to be asked when last looked; 0: it was */
    char away_words[256];
    /* The thread of index_change alone. */
    bool leads;
    int64_t looked_ms, renewed_ms, reached;
    int64_t control_version, control_term, control_seen_ms; /* monotonic */
    char replaced[OPENSEARCH_INDEX_SIZE]; /* to be deleted when nobody searches it; "": none */
    int64_t replaced_ms;
};

static inline struct opensearch *opensearch_of(struct index *index)
{
    return (struct opensearch *)(void *)index;
}

/* ---- opensearch_call.c: a request, and its answer as JSON ---- */

struct opensearch_call {
    const char *method, *path; /* path with its query */
    const char *body;
    size_t length;
    bool lines;          /* the body is a JSON a line */
    bool looks;          /* asks how the engine is, so the breaker does not keep it back */
    bool missing_passes; /* 404 may be a passing trouble: an index was just replaced */
    unsigned tries;
    int64_t timeout_ms;
};
struct opensearch_answer {
    int status;      /* 0: there was none */
    json_t *body;    /* owned; NULL: none */
    char words[256]; /* why it went wrong, for people */
};
/* 0: 2xx. ERR_NOT_FOUND and ERR_CONFLICT as they are called; else ERR_UNAVAILABLE, ERR_TIMEOUT (of
 * the engine) or ERR_INTERNAL (it refuses what we ask). opensearch_answer_done in any case. */
int opensearch_call(struct opensearch *engine, const struct opensearch_call *call,
                    struct opensearch_answer *ret_answer);
void opensearch_answer_done(struct opensearch_answer *answer);
/* As above, with a JSON body (taken; NULL: none), where of the answer only its success counts. */
int opensearch_tell(struct opensearch *engine, const char *method, const char *path, json_t *body,
                    struct problem *problem);

/* ---- opensearch_lead.c: what is there, and who leads ---- */

/* Reads the control document and the build's; claims nothing. */
int opensearch_read_state(struct opensearch *engine);
bool opensearch_look(struct index *index);
bool opensearch_leads(struct index *index);
void opensearch_reached(struct index *index, int64_t place);
/* Lets another take over at once. */
void opensearch_resign(struct opensearch *engine);
/* In the middle of long work of the leader. */
void opensearch_keep_leading(struct opensearch *engine);

/* ---- opensearch_bulk.c: documents, many at once ---- */

/* Adds the lines that bring, or remove, a document. */
void opensearch_bulk_add(struct buffer *lines, const char *index, const struct index_doc *doc,
                         int64_t place);
/* Sends lines, and resets them. change: to the alias, and soon, or not at all; else to a build,
 * patiently. refresh: what was sent is found afterwards. */
int opensearch_bulk_send(struct opensearch *engine, struct buffer *lines, bool change, bool refresh,
                         struct problem *problem);
bool opensearch_bulk_is_full(const struct buffer *lines);
int opensearch_change(struct index *index, const struct index_doc *docs, unsigned count,
                      int64_t place);

/* ---- opensearch_build.c ---- */

int opensearch_build_begin(struct index *index, int64_t place, struct index_build **ret_build);
int opensearch_build_add(struct index_build *build, const struct index_doc *doc);
int opensearch_build_end(struct index_build *build, struct problem *problem);
void opensearch_build_free(struct index_build *build);
/* Deletes the build that another has replaced: once who searched it has his answer, or, where it
 * waits, then. */
void opensearch_delete_replaced(struct opensearch *engine, bool wait);

/* ---- opensearch_search.c, opensearch_query.c ---- */

int opensearch_search(struct index *index, enum index_kind kind, const struct index_query *query,
                      struct index_hits *ret_hits);

/* One search may take three requests, each where those before found too little. */
enum opensearch_stage { STAGE_RIGHT, STAGE_ONE_TYPO, STAGE_TYPOS, STAGES_ };
/* The body of a stage's request; NULL: there is nothing to ask, or out of memory (*ret_failed). */
json_t *opensearch_query(enum index_kind kind, const struct index_query *query,
                         enum opensearch_stage stage, unsigned limit, bool *ret_failed);
/* What a score of a stage says. */
void opensearch_judge(const struct index_query *query, enum opensearch_stage stage, int score,
                      struct index_hit *hit);
