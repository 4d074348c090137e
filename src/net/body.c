/* Bodies collected in memory, up to the route's limit. Runs on the loop thread. */
#include "net/server.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_FIRST = 1024 };

bool body_is_secret(const struct request_private *request)
{
    return request->entry != NULL && (request->entry->row->flags & ROUTE_SECRET_BODY) != 0;
}

void body_free(struct request_private *request)
{
    if (request->body != NULL && body_is_secret(request)) {
        explicit_bzero(request->body, request->body_length);
    }
    free(request->body);
    request->body = NULL;
}

/* As realloc, which may leave a copy behind. */
static int move(struct request_private *request, size_t room)
{
    char *body = malloc(room + 1);
    if (body == NULL) {
        return ERR_NO_MEMORY;
    }
    if (request->body_length > 0) {
        memcpy(body, request->body, request->body_length);
    }
    body_free(request);
    request->body = body;
    return 0;
}

static int enlarge(struct request_private *request, size_t room)
{
    if (body_is_secret(request)) {
        return move(request, room);
    }
    char *body = realloc(request->body, room + 1);
    if (body == NULL) {
        return ERR_NO_MEMORY;
    }
    request->body = body;
    return 0;
}

static int grow(struct request_private *request, size_t needed)
{
    size_t room = request->body_room != 0 ? request->body_room : BODY_FIRST;
    if (request->content_length >= 0 && room < (size_t)request->content_length) {
        /* Trust the announcement only so far: memory follows what really comes. */
        size_t announced = (size_t)request->content_length;
        size_t most = 4 * (needed > room ? needed : room);
        room = announced < most ? announced : most;
    }
    while (room < needed) {
        room *= 2;
    }
    int error = memory_take(request, room - request->body_room);
    if (error == 0) {
        error = enlarge(request, room);
    }
    if (error == 0) {
        request->body_room = room;
    }
    return error;
}

static enum body_take refuse(struct request_private *request, int error)
{
    request->body_refused = true;
    request->job_result = error;
    return BODY_REFUSED;
}

enum body_take body_take(struct request_private *request, const char *bytes, size_t *length)
{
    atomic_fetch_add_explicit(&request->connection->body_bytes, *length, memory_order_relaxed);
    if (request->sink != NULL) {
        return sink_take(request, bytes, length);
    }
    size_t taken = *length;
    *length = 0;
    if (request->body_refused) {
        return BODY_TAKEN; /* the answer is known, the rest is let pass */
    }
    size_t bytes_max = request->entry->row->body_bytes_max;
    if (taken > bytes_max - request->body_length) {
        return refuse(request,
                      problem_set(&request->request.call.problem, ERR_TOO_LARGE,
                                  "The body has more than the %zu bytes allowed here", bytes_max));
    }
    if (request->body_length + taken > request->body_room) {
        int error = grow(request, request->body_length + taken);
        if (error != 0) {
            return refuse(request, error);
        }
    }
    memcpy(request->body + request->body_length, bytes, taken);
    request->body_length += taken;
    request->body[request->body_length] = '\0';
    return BODY_TAKEN;
}
