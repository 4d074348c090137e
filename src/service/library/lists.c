/* Lists and batches (lists.h). The request's thread. */
#include "service/library/lists.h"

#include "base/error.h"
#include "base/json.h"
#include "net/http.h"
#include "service/library/library_internal.h"

#include <string.h>

int lists_reply_private(struct request *request, json_t *answer)
{
    int error = reply_header(request, "Cache-Control", "private, no-cache");
    if (error != 0) {
        json_decref(answer);
        return error;
    }
    return reply_json(request, 200, answer);
}

int lists_items(struct request *request, const struct described_list *list, json_t **ret_items)
{
    const struct library *library = request->context;
    int64_t *ids = arena_array(request->call.arena, list->count + 1, sizeof *ids);
    if (ids == NULL) {
        return ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < list->count; i++) {
        memcpy(&ids[i], (const char *)list->rows + i * list->row_bytes + list->id_at, sizeof *ids);
    }
    CLEANUP_JSON json_t *objects = NULL;
    int error =
        catalog_describe(library->catalog, &request->call, list->kind, ids, list->count, &objects);
    json_t *items = error == 0 ? json_array() : NULL;
    for (unsigned i = 0; error == 0 && i < list->count; i++) {
        const char *row = (const char *)list->rows + i * list->row_bytes;
        error = json_array_append_new(
                    items, list->item(row, json_array_get(objects, i), list->argument)) == 0
                    ? 0
                    : ERR_NO_MEMORY;
    }
    if (error != 0) {
        json_decref(items);
        return error;
    }
    *ret_items = items;
    return 0;
}

int lists_reply(struct request *request, const struct described_list *list)
{
    json_t *items = NULL;
    int error = lists_items(request, list, &items);
    return error != 0 ? error
                      : lists_reply_private(request, page_answer(request->call.arena, items,
                                                                 list->letter, list->last));
}

int lists_refuse(struct call *call, json_t *refused, unsigned index, const json_t *member)
{
    json_t *errors = json_array();
    for (unsigned i = 0; i < call->problem.field_count; i++) {
        const struct problem_field *field = &call->problem.fields[i];
        (void)json_array_append_new(
            errors, json_pack("{s:s, s:s}", "field", field->name, "message", field->message));
    }
    problem_reset(&call->problem);
    const char *id = json_string_value(json_object_get(member, "id"));
    json_t *one = json_pack("{s:i, s:s?, s:o}", "index", (int)index, "id", id, "errors", errors);
    return one != NULL && json_array_append_new(refused, one) == 0 ? 0 : ERR_NO_MEMORY;
}
