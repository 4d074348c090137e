/* Idempotency-Key: a write that is sent again is not done again. The key, what it was sent with and
 * the answer are kept per user in the write's own transaction and database, for a day. Each
 * database that takes such writes has the table (idempotency_migrations).
 *
 *   struct idempotency once;
 *   error = idempotency_from_request(request, &once);              before db_write, any thread
 *   in the work:  error = idempotency_begin(session, call, &once);
 *                 if (error != 0 || once.replayed) return error;
 *                 … the write …
 *                 return idempotency_finish(session, &once, 201, revision, answer);
 *   after it:     if (once.replayed) return idempotency_reply(request, &once);
 */
#pragma once

#include "backend/db/db.h"
#include "net/http.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct idempotency {
    const char *key; /* NULL: the client sent none (or nobody is signed in): nothing is kept */
    int64_t user_id, now_ms;
    unsigned char hash[32]; /* of method, path, query, body and what was added */
    bool replayed;          /* set by begin: the write is done already, this is its answer */
    int status;
    int64_t revision;
    const char *body; /* JSON, "" for none; in the call's arena */
};

extern const struct db_migration idempotency_migrations[];
extern const unsigned idempotency_migration_count;

/* 0, or ERR_MALFORMED for a key that is none. Borrows from the request. */
int idempotency_from_request(struct request *request, struct idempotency *ret_once);
/* What a sink took of the body, or its digest, so that another body is another request. Before
 * begin. */
void idempotency_add(struct idempotency *once, const void *bytes, size_t length);
/* In a write. 0 (see once->replayed), or ERR_INVALID with words for a key that was used for
 * something else. Waits, in PostgreSQL, for another transaction with the same key. */
int idempotency_begin(struct db_session *session, struct call *call, struct idempotency *once);
/* Keeps the answer. revision 0: none. NULL answer: an empty body. */
int idempotency_finish(struct db_session *session, const struct idempotency *once, int status,
                       int64_t revision, const json_t *answer);
/* Sends the kept answer, marked `Idempotency-Replayed: true`. */
int idempotency_reply(struct request *request, const struct idempotency *once);
/* Forgets what is older than a day: the owner of a database calls it now and then, in a write. */
int idempotency_sweep(struct db_session *session, int64_t now_ms);
/* Forgets what was kept for an erased user: answers hold what they wrote. */
int idempotency_forget(struct db_session *session, int64_t user_id);
