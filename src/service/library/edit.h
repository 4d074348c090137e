/* A write of the library that a client asks for: one transaction of the users database with its
 * Idempotency-Key, and the answer. The handler checks the request, fills a struct edit and calls
 * edit_run; work holds the rule and the statements. */
#pragma once

#include "service/idempotency.h"
#include "service/library/library_internal.h"

struct edit;
typedef int edit_work(struct db_session *session, struct edit *edit);

struct edit {
    struct request *request;
    struct call *call;
    int64_t id;         /* of the path, or of what is made */
    const void *fields; /* of the body, checked */
    int64_t now_ms;
    struct idempotency once;
    bool is_secret;   /* its answer is told once and not kept for its Idempotency-Key */
    edit_work *work;  /* perhaps run more than once; sets answer (none: 204) and revision */
    int status;       /* of a success with an answer */
    json_t *answer;   /* owned by the edit */
    int64_t revision; /* 0: no ETag */
};

int edit_run(struct edit *edit);
/* A whole handler: of what the path's id names, asked for without a body. */
int edit_by_id(struct request *request, edit_work *work, int status);
/* Ends the work. NULL object: ERR_NO_MEMORY. */
int edit_answer(struct edit *edit, json_t *object, int64_t revision);
