/* Routes of the queue (queue.h). Handlers run on the pool; memory is the request's arena. */
#include "service/library/library_internal.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "service/fields.h"
#include "service/library/lists.h"
#include "service/library/marks.h"
#include "service/library/plays/plays.h"
#include "service/library/queue.h"

#include <string.h>

/* How many tracks an answer describes, and how many of them stand before the place. */
enum { SHOWN_MAX = 100, SHOWN_BEFORE = 20 };

struct queue_change {
    struct request *request;
    struct call *call;
    bool has_items, has_place, has_position, has_items_at;
    const char *items;
    int64_t count, place, position_ms, items_at, at;
    const char *device;
    struct queue queue; /* what holds then */
};

/* Ids as they are kept, all strings. */
static int read_items(struct call *call, const json_t *list, struct queue_change *change)
{
    if (list == NULL) {
        return 0;
    }
    change->has_items = true;
    if (!json_is_array(list) || json_array_size(list) > QUEUE_MAX) {
        return problem_field(&call->problem, "trackIds", "must be a list of at most %d ids",
                             QUEUE_MAX);
    }
    CLEANUP_JSON json_t *kept = json_array();
    size_t index;
    json_t *item;
    json_array_foreach((json_t *)list, index, item)
    {
        int64_t id = 0;
        if (!json_is_id(item, &id)) {
            return problem_field(&call->problem, "trackIds", "must be a list of ids");
        }
        (void)json_array_append_new(kept, json_id(id));
    }
    char *text CLEANUP_FREE = json_dumps(kept, JSON_COMPACT);
    change->items = text != NULL ? arena_strdup(call->arena, text) : NULL;
    change->count = (int64_t)json_array_size(kept);
    return change->items != NULL ? 0 : ERR_NO_MEMORY;
}

static int read_change(struct request *request, struct queue_change *change)
{
    struct call *call = &request->call;
    json_t *body = NULL;
    int error = request_json(request, &body);
    if (error != 0) {
        return error;
    }
    int errors =
        read_items(call, json_object_get(body, "trackIds"), change) |
        field_number(call, body, "index", 0, QUEUE_MAX, &change->place, &change->has_place) |
        field_number(call, body, "positionMs", 0, PLAY_MS_MAX, &change->position_ms,
                     &change->has_position) |
        field_number(call, body, "itemsAt", 0, INT64_MAX, &change->items_at,
                     &change->has_items_at) |
        mark_stamp(call, body, clock_wall_ms(), &change->at, &change->device);
    if (!change->has_items) {
        errors |= field_required(call, "index", change->has_place) |
                  field_required(call, "itemsAt", change->has_items_at);
    }
    return errors != 0 ? ERR_INVALID : 0;
}

static bool is_later(const struct queue_change *change, int64_t at, const char *device)
{
    return change->at > at || (change->at == at && strcmp(change->device, device) > 0);
}

static void take_place(const struct queue_change *change, struct queue *queue)
{
    queue->place = change->place;
    queue->position_ms = change->position_ms;
    queue->place_at = change->at;
    queue->place_device = change->device;
}

/* True where something changed. */
static bool merge(const struct queue_change *change, struct queue *queue)
{
    bool first = queue->revision == 0;
    if (change->has_items) {
        if (!first && !is_later(change, queue->items_at, queue->items_device)) {
            return false;
        }
        queue->items = change->items;
        queue->items_at = change->at;
        queue->items_device = change->device;
        take_place(change, queue); /* a new list, and where it begins */
        return true;
    }
    if (first || change->items_at != queue->items_at ||
        !is_later(change, queue->place_at, queue->place_device)) {
        return false;
    }
    take_place(change, queue);
    return true;
}

/* A place alone must be one of the list that it names; of another list it does nothing anyway. */
static int check_place(const struct queue_change *change, const struct queue *queue)
{
    if (change->has_items || change->place == 0 || change->items_at != queue->items_at) {
        return 0;
    }
    CLEANUP_JSON json_t *items = json_loads(queue->items, 0, NULL);
    return change->place < (int64_t)json_array_size(items)
               ? 0
               : problem_field(&change->call->problem, "index", "must be that of one of trackIds");
}

static int put_work(struct db_session *session, void *argument)
{
    struct queue_change *change = argument;
    struct queue *queue = &change->queue;
    int error = library_alive(session, change->call);
    error = error != 0
                ? error
                : queue_find(session, change->call->arena, change->call->actor.user_id, queue);
    error = error != 0 ? error : request_if_match(change->request, queue->revision);
    error = error != 0 ? error : check_place(change, queue);
    if (error != 0 || !merge(change, queue)) {
        return error;
    }
    queue->revision++;
    return queue_save(session, queue);
}

static json_t *shown_item(const void *row, json_t *object, void *argument)
{
    (void)row;
    (void)argument;
    return json_incref(object);
}

/* Around the place. */
static int64_t shown_from(const struct queue *queue)
{
    return queue->place > SHOWN_BEFORE ? queue->place - SHOWN_BEFORE : 0;
}

/* begin: the first track that is described. */
static int reply_queue(struct request *request, const struct queue *queue, int64_t begin)
{
    CLEANUP_JSON json_t *ids = json_loads(queue->items, 0, NULL);
    unsigned count = (unsigned)json_array_size(ids);
    unsigned from = begin < count ? (unsigned)begin : count;
    unsigned shown = count - from < SHOWN_MAX ? count - from : SHOWN_MAX;
    int64_t window[SHOWN_MAX];
    for (unsigned i = 0; i < shown; i++) {
        (void)json_is_id(json_array_get(ids, from + i), &window[i]);
    }
    const struct described_list list = {.kind = CATALOG_TRACK,
                                        .rows = window,
                                        .row_bytes = sizeof *window,
                                        .count = shown,
                                        .item = shown_item};
    json_t *tracks = NULL;
    int error = ids != NULL ? lists_items(request, &list, &tracks) : ERR_CORRUPT;
    error = error != 0 ? error : reply_header(request, "Cache-Control", "private, no-store");
    if (error != 0) {
        json_decref(tracks);
        return error;
    }
    return reply_resource(request, 200,
                          json_pack("{s:O, s:I, s:s, s:I, s:I, s:I, s:s, s:i, s:o}", "trackIds",
                                    ids, "itemsAt", (json_int_t)queue->items_at, "itemsDevice",
                                    queue->items_device, "index", (json_int_t)queue->place,
                                    "positionMs", (json_int_t)queue->position_ms, "placeAt",
                                    (json_int_t)queue->place_at, "placeDevice", queue->place_device,
                                    "tracksFrom", (int)from, "tracks", tracks),
                          queue->revision);
}

int queue_put(struct request *request)
{
    struct library *library = request->context;
    struct queue_change change = {.request = request, .call = &request->call};
    int error = read_change(request, &change);
    if (error == 0 && change.has_items && change.place > 0 && change.place >= change.count) {
        return problem_field(&request->call.problem, "index", "must be that of one of trackIds");
    }
    error = error != 0 ? error : db_write(library->users, put_work, &change);
    return error != 0 ? error : reply_queue(request, &change.queue, shown_from(&change.queue));
}

struct finding {
    struct call *call;
    struct queue queue;
};

static int get_work(struct db_session *session, void *argument)
{
    struct finding *finding = argument;
    return queue_find(session, finding->call->arena, finding->call->actor.user_id, &finding->queue);
}

int queue_get(struct request *request)
{
    struct library *library = request->context;
    struct finding finding = {.call = &request->call};
    int64_t from = 0;
    int error = db_read(library->users, get_work, &finding);
    error = error != 0 ? error
                       : request_query_number(request, "from", 0, QUEUE_MAX,
                                              shown_from(&finding.queue), &from);
    return error != 0 ? error : reply_queue(request, &finding.queue, from);
}
