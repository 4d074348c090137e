/* A write asked for by a client: run in one transaction, answered with what it made, and then
 * forgotten by the caches. The handler checks the request's body, fills a struct change and calls
 * change_run; `work` holds the rule and the statements.
 */
#pragma once

#include "service/catalog/catalog_internal.h"
#include "service/catalog/catalog_rows.h"
#include "service/idempotency.h"

struct change;
typedef int change_work(struct db_session *session, struct change *change);
typedef int change_finish(struct change *change);

enum { CHANGE_DIGEST_BYTES = 32 };

struct change {
    struct catalog *catalog;
    struct request *request;
    struct call *call;
    int64_t id;                  /* of the path, or of what is made */
    const void *fields;          /* the body, checked */
    const unsigned char *digest; /* CHANGE_DIGEST_BYTES of a body that a sink took, or NULL */
    int64_t now_ms;
    struct idempotency once;
    /* Runs on the writer's thread, perhaps more than once. Sets answer (NULL: 204) and revision. */
    change_work *work;
    /* After the commit, before the reply; may add to the answer. NULL: nothing to do. */
    change_finish *finish;
    int status;       /* of a success with an answer */
    json_t *answer;   /* owned by the change */
    int64_t revision; /* 0: no ETag */
    /* What the transaction changed; the caches forget it. */
    struct touched {
        enum catalog_kind kind;
        int64_t id;
        bool gone; /* a track that was deleted: its media stops */
    } * touched;
    unsigned touched_count, touched_capacity;
};

int change_run(struct change *change);
/* A whole handler: the change of what the path's id names, asked for without a body. */
int change_by_id(struct request *request, change_work *work, int status);
/* The rest of a handler that has read the body into fields: something new is made of them (201), or
 * what the path's id names is changed by them (200). finish: may be NULL. */
int change_create(struct request *request, const void *fields, change_work *work,
                  change_finish *finish);
int change_patch(struct request *request, const void *fields, change_work *work,
                 change_finish *finish);
/* Ends a change with the object it answers. NULL object: ERR_NO_MEMORY. */
int change_answer(struct change *change, json_t *object, int64_t revision);
int change_touch(struct change *change, enum catalog_kind kind, int64_t id);
int change_touch_gone(struct change *change, int64_t track_id);
/* All tracks of an album. */
int change_touch_tracks(struct db_session *session, struct change *change, int64_t album_id);
/* An artist, all its albums and their tracks (its name is in their answers). */
int change_touch_artist(struct db_session *session, struct change *change, int64_t artist_id);
/* bus_emit of {"<kind>Id": id} with the key "<kind>:id". */
int change_emit(struct db_session *session, enum catalog_kind kind, int64_t id, const char *type);
/* track.uploaded of a version whose original is in place. */
int change_emit_uploaded(struct db_session *session, const struct version_row *file);
