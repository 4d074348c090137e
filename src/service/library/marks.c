/* The rules of marks (marks.h). No I/O; any thread. */
#include "service/library/marks.h"

#include "base/call.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "service/fields.h"

#include <string.h>

static const char *const whats[] = {"favourite", "rating", "follow", NULL};
static const char *const kinds[] = {"track", "album", "artist", NULL};
static const struct text_rule device_rule = {
    .field = "device", .characters_max = DEVICE_MAX, .empty_ok = true};

int mark_stamp(struct call *call, const json_t *body, int64_t now_ms, int64_t *ret_at,
               const char **ret_device)
{
    bool has_at = false, has_device = false;
    int64_t at = now_ms;
    *ret_device = "";
    int errors = field_number(call, body, "at", 0, INT64_MAX, &at, &has_at) |
                 field_text(call, body, &device_rule, ret_device, &has_device);
    *ret_at = at < now_ms ? at : now_ms;
    return errors != 0 ? ERR_INVALID : 0;
}

int mark_read(struct call *call, const json_t *change, int64_t now_ms, struct mark *mark)
{
    bool has_what = false, has_kind = false, has_id = false, has_value = false;
    *mark = (struct mark){.user_id = call->actor.user_id, .what = "", .kind = "", .device = ""};
    if (!json_is_object(change)) {
        return problem_field(&call->problem, "changes", "must be objects");
    }
    int errors = field_word(call, change, "what", whats, &mark->what, &has_what) |
                 field_word(call, change, "kind", kinds, &mark->kind, &has_kind) |
                 field_id(call, change, "id", &mark->id, &has_id) |
                 field_number(call, change, "value", 0, RATING_MAX, &mark->value, &has_value) |
                 mark_stamp(call, change, now_ms, &mark->changed_at, &mark->device) |
                 field_required(call, "what", has_what) | field_required(call, "kind", has_kind) |
                 field_required(call, "id", has_id) | field_required(call, "value", has_value);
    if (errors == 0 && strcmp(mark->what, "rating") != 0 && mark->value > 1) {
        return problem_field(&call->problem, "value", "must be 0 or 1");
    }
    if (errors == 0 && strcmp(mark->what, "follow") == 0 && strcmp(mark->kind, "artist") != 0) {
        return problem_field(&call->problem, "kind", "must be artist, for a follow");
    }
    return errors != 0 ? ERR_INVALID : 0;
}

json_t *mark_json(const struct mark *mark)
{
    return json_pack("{s:s, s:s, s:o, s:I, s:I, s:s, s:I}", "what", mark->what, "kind", mark->kind,
                     "id", json_id(mark->id), "value", (json_int_t)mark->value, "at",
                     (json_int_t)mark->changed_at, "device", mark->device, "revision",
                     (json_int_t)mark->revision);
}

enum catalog_kind mark_kind(const struct mark *mark)
{
    return strcmp(mark->kind, "artist") == 0  ? CATALOG_ARTIST
           : strcmp(mark->kind, "album") == 0 ? CATALOG_ALBUM
                                              : CATALOG_TRACK;
}
