/* A write asked for by a client (edit.h). The request's thread; work on the writer's. */
#include "service/library/edit.h"

#include "base/clock.h"
#include "base/error.h"

static int run_work(struct db_session *session, void *argument)
{
    struct edit *edit = argument;
    json_decref(edit->answer);
    edit->answer = NULL;
    problem_reset(&edit->call->problem);
    int error = library_alive(session, edit->call);
    error = error != 0 ? error : idempotency_begin(session, edit->call, &edit->once);
    if (error != 0 || edit->once.replayed) {
        return error;
    }
    error = edit->work(session, edit);
    return error != 0
               ? error
               : idempotency_finish(session, &edit->once, edit->answer != NULL ? edit->status : 204,
                                    edit->revision, edit->answer);
}

int edit_run(struct edit *edit)
{
    struct library *library = edit->request->context;
    edit->call = &edit->request->call;
    edit->now_ms = clock_wall_ms();
    int error = idempotency_from_request(edit->request, &edit->once);
    if (edit->is_secret) {
        edit->once.key = NULL;
    }
    error = error != 0 ? error : db_write(library->users, run_work, edit);
    json_t *answer = edit->answer;
    edit->answer = NULL;
    error = error != 0 ? error : reply_header(edit->request, "Cache-Control", "private, no-cache");
    if (error != 0 || edit->once.replayed || answer == NULL) {
        json_decref(answer);
        return error != 0            ? error
               : edit->once.replayed ? idempotency_reply(edit->request, &edit->once)
                                     : reply_empty(edit->request, 204);
    }
    return edit->revision != 0 ? reply_resource(edit->request, edit->status, answer, edit->revision)
                               : reply_json(edit->request, edit->status, answer);
}

int edit_by_id(struct request *request, edit_work *work, int status)
{
    struct edit edit = {.request = request, .work = work, .status = status};
    int error = request_param_id(request, "id", &edit.id);
    return error != 0 ? error : edit_run(&edit);
}

int edit_answer(struct edit *edit, json_t *object, int64_t revision)
{
    edit->answer = object;
    edit->revision = revision;
    return object != NULL ? 0 : ERR_NO_MEMORY;
}
