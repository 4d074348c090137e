/* The route of duplicates, for admins: groups of files that are one recording. On the pool; memory
 * is the request's arena. */
#include "service/ingest/prints/store.h"

#include "base/error.h"
#include "base/json.h"
#include "service/ingest/ingest_internal.h"
#include "service/page.h"

enum { GROUPS_MAX = 100, FILES_MAX = 100 };

struct duplicates {
    struct arena *arena;
    struct list_place place;
    int64_t *ids;
    unsigned count, shown;
    json_t *items;
};

static json_t *file_json(const struct print_file *file)
{
    int64_t kbps = file->duration_ms > 0 ? file->bytes * 8 / file->duration_ms : 0;
    return json_pack("{s:o, s:s, s:s, s:s++, s:s, s:b, s:I, s:I, s:I, s:I, s:I}", "trackId",
                     json_id(file->track_id), "title", file->title, "folder", file->library_path,
                     "path", file->folder_path, file->folder_path[0] != '\0' ? "/" : "", file->name,
                     "codec", file->codec, "lossless", (int)file->lossless, "bitrate",
                     (json_int_t)kbps, "rate", (json_int_t)file->rate, "channels",
                     (json_int_t)file->channels, "bytes", (json_int_t)file->bytes, "durationMs",
                     (json_int_t)file->duration_ms);
}

static int group_json(struct db_session *session, struct duplicates *page, int64_t id)
{
    struct print_file *files = NULL;
    unsigned count = 0;
    json_t *list = json_array();
    int error = print_group_files(session, page->arena, id, FILES_MAX, &files, &count);
    for (unsigned i = 0; i < count; i++) {
        (void)json_array_append_new(list, file_json(&files[i]));
    }
    (void)json_array_append_new(page->items,
                                json_pack("{s:o, s:o}", "id", json_id(id), "files", list));
    return error;
}

static int duplicates_work(struct db_session *session, void *argument)
{
    struct duplicates *page = argument;
    unsigned limit = page->place.limit <= GROUPS_MAX ? page->place.limit : GROUPS_MAX + 1;
    int error =
        print_group_list(session, page->arena, page->place.id, limit, &page->ids, &page->count);
    (void)json_array_clear(page->items);
    page->shown = page->count < limit ? page->count : limit - 1;
    for (unsigned i = 0; error == 0 && i < page->shown; i++) {
        error = group_json(session, page, page->ids[i]);
    }
    return error;
}

int import_duplicates_get(struct request *request)
{
    struct ingest *ingest = request->context;
    struct duplicates page = {.arena = request->call.arena, .place = {.key = ""}};
    int error = page_begin(request, 'W', &page.place);
    if (error != 0) {
        return error;
    }
    page.items = json_array();
    error = db_read(ingest->config.db, duplicates_work, &page);
    if (error != 0) {
        json_decref(page.items);
        return error;
    }
    bool more = page.count > page.shown;
    const struct list_place last = {.key = "", .id = more ? page.ids[page.shown - 1] : 0};
    return reply_json(request, 200, page_answer(page.arena, page.items, 'W', more ? &last : NULL));
}
