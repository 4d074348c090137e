/* Playlists in: POST /playlists/import, a file of another program (formats/list_file.h) as a new
 * playlist. Its entries are matched to tracks that the person may see; what is not is told, line by
 * line. On the pool; the file's memory is an arena beside the request's, which is smaller. */
#include "service/library/playlists/playlist_work.h"

#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/http.h"
#include "service/library/formats/list_file.h"

#include <string.h>

enum {
    IMPORT_ARENA_BYTES = 64 << 20,
    JSPF_WEIGHT_MAX = 56 << 20, /* beside the file itself within an address's share of memory */
    TEXT_WEIGHT = 4,            /* of what is read and matched, for each byte of the file */
};

struct importing {
    struct arena *arena;
    struct list_file file;
    struct catalog_wanted *wanted; /* one an entry */
    const char *title, *description;
};

/* ?format=, else by Content-Type. */
static int read_format(struct request *request, enum list_format *ret_format)
{
    struct problem *problem = &request->call.problem;
    const char *word = request_query(request, "format");
    const char *type = request_header(request, "Content-Type");
    if (word != NULL) {
        return list_format_of_word(word, ret_format)
                   ? 0
                   : problem_set(problem, ERR_MALFORMED, "format must be m3u8, m3u, xspf or jspf");
    }
    return type != NULL && list_format_of_type(type, ret_format)
               ? 0
               : problem_set(problem, ERR_MEDIA_TYPE,
                             "The body must be a playlist, sent as Content-Type: "
                             "application/vnd.apple.mpegurl (M3U8), audio/x-mpegurl (M3U), "
                             "application/xspf+xml or application/jspf+json; or say ?format=");
}

/* Counts what reading will take, which is many times the file. */
static int weigh(struct request *request, enum list_format format, const char *body, size_t length)
{
    size_t bytes = TEXT_WEIGHT * length;
    if (format == LIST_JSPF) {
        bytes = json_weigh(body, length).bytes;
    }
    if (bytes > JSPF_WEIGHT_MAX) {
        return problem_set(&request->call.problem, ERR_TOO_LARGE,
                           "The file holds too many values: they would take %zu bytes of memory, "
                           "at most %d are allowed",
                           bytes, JSPF_WEIGHT_MAX);
    }
    return request_memory(request, bytes);
}

static int read_file(struct request *request, struct importing *importing)
{
    const struct library *library = request->context;
    enum list_format format = LIST_M3U8;
    size_t length = 0;
    const char *body = request_body(request, &length);
    int error = read_format(request, &format);
    if (error == 0 && length == 0) {
        return problem_set(&request->call.problem, ERR_MALFORMED, "The body is empty");
    }
    error = error != 0 ? error : weigh(request, format, body, length);
    return error != 0 ? error
                      : list_file_read(importing->arena, &request->call.problem, format, body,
                                       length, library->public_url, &importing->file);
}

/* ?title=, else the file's, as far as a title goes. */
static int choose_title(struct request *request, struct importing *importing)
{
    static const struct text_rule rule = {.field = "title", .characters_max = PLAYLIST_TITLE_MAX};
    const char *asked = request_query(request, "title"), *own = importing->file.title;
    if (asked != NULL) {
        return text_clean(importing->arena, &rule, asked, &request->call.problem,
                          &importing->title);
    }
    importing->title = own != NULL && own[0] != '\0' ? playlist_title_fit(importing->arena, own)
                                                     : "Imported playlist";
    importing->description = importing->file.description;
    return importing->title != NULL ? 0 : ERR_NO_MEMORY;
}

/* ---- matching ---- */

static int match_all(struct request *request, struct catalog_wanted *wanted, unsigned count)
{
    const struct library *library = request->context;
    int error = 0;
    for (unsigned from = 0; error == 0 && from < count; from += CATALOG_MATCH_MAX) {
        unsigned left = count - from;
        error = catalog_match(library->catalog, &request->call, wanted + from,
                              left < CATALOG_MATCH_MAX ? left : CATALOG_MATCH_MAX);
    }
    return error;
}

static struct catalog_wanted wanted_of(const struct list_entry *entry)
{
    return (struct catalog_wanted){.id = entry->track_id,
                                   .mbid = entry->mbid,
                                   .isrc = entry->isrc,
                                   .artist = entry->artist,
                                   .title = entry->title,
                                   .album = entry->album,
                                   .duration_ms = entry->duration_ms};
}

/* "A - B - C" may be B - C by A, or C by A - B. */
static bool read_otherwise(struct arena *arena, struct catalog_wanted *wanted)
{
    const char *dash = strstr(wanted->title, " - ");
    if (wanted->track_id != 0 || dash == NULL) {
        return false;
    }
    wanted->artist = arena_printf(arena, "%s - %.*s", wanted->artist, (int)(dash - wanted->title),
                                  wanted->title);
    wanted->title = dash + strlen(" - ");
    return wanted->artist != NULL;
}

static int match_otherwise(struct request *request, struct importing *importing)
{
    unsigned count = importing->file.count, left = 0;
    struct catalog_wanted *again = arena_array(importing->arena, count + 1, sizeof *again);
    unsigned *places = arena_array(importing->arena, count + 1, sizeof *places);
    if (again == NULL || places == NULL) {
        return ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < count; i++) {
        again[left] = importing->wanted[i];
        if (read_otherwise(importing->arena, &again[left])) {
            places[left++] = i;
        }
    }
    int error = match_all(request, again, left);
    for (unsigned i = 0; error == 0 && i < left; i++) {
        importing->wanted[places[i]].track_id = again[i].track_id;
        importing->wanted[places[i]].by = again[i].by;
    }
    return error;
}

static int match_file(struct request *request, struct importing *importing)
{
    const struct list_file *file = &importing->file;
    importing->wanted = arena_array(importing->arena, file->count + 1, sizeof *importing->wanted);
    if (importing->wanted == NULL) {
        return ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < file->count; i++) {
        importing->wanted[i] = wanted_of(&file->entries[i]);
    }
    int error = match_all(request, importing->wanted, file->count);
    return error != 0 ? error : match_otherwise(request, importing);
}

/* ---- the answer ---- */

static json_t *said(const char *text)
{
    return text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *unmatched_json(const struct list_entry *entry)
{
    bool named = entry->artist[0] != '\0' && entry->title[0] != '\0';
    return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:s}", "line", (int)entry->line, "location",
                     said(entry->location), "artist", said(entry->artist), "title",
                     said(entry->title), "album", said(entry->album), "durationMs",
                     entry->duration_ms > 0 ? json_integer(entry->duration_ms) : json_null(),
                     "reason",
                     named ? "There is no such track here" : "Nothing says which track it is");
}

static json_t *answer_json(const struct importing *importing, const struct playlist_row *row)
{
    static const char *const ways[] = {"id", "recording", "isrc", "name"};
    json_t *unmatched = json_array();
    int counts[COUNT_OF(ways)] = {0};
    for (unsigned i = 0; i < importing->file.count; i++) {
        const struct catalog_wanted *wanted = &importing->wanted[i];
        for (size_t way = 0; way < COUNT_OF(ways); way++) {
            counts[way] += strcmp(wanted->by, ways[way]) == 0;
        }
        if (wanted->track_id == 0) {
            (void)json_array_append_new(unmatched, unmatched_json(&importing->file.entries[i]));
        }
    }
    return json_pack("{s:o, s:i, s:i, s:{s:i, s:i, s:i, s:i}, s:o}", "playlist", playlist_json(row),
                     "entries", (int)importing->file.count, "matched", (int)row->item_count,
                     "matchedBy", ways[0], counts[0], ways[1], counts[1], ways[2], counts[2],
                     ways[3], counts[3], "unmatched", unmatched);
}

/* ---- writing ---- */

static int insert_items(struct db_session *session, const struct edit *edit,
                        const struct importing *importing, unsigned count)
{
    struct place_key nowhere = {.length = 0};
    struct place_key *places = arena_array(importing->arena, count + 1, sizeof *places);
    int64_t *tracks = arena_array(importing->arena, count + 1, sizeof *tracks);
    const struct item_row like = {.added_by = edit->call->actor.user_id, .added_at = edit->now_ms};
    unsigned at = 0;
    if (places == NULL || tracks == NULL) {
        return ERR_NO_MEMORY;
    }
    for (unsigned i = 0; i < importing->file.count; i++) {
        if (importing->wanted[i].track_id != 0) {
            tracks[at++] = importing->wanted[i].track_id;
        }
    }
    return place_spread(&nowhere, &nowhere, count, places)
               ? item_insert_all(session, edit->id, &like, tracks, count, places)
               : ERR_INTERNAL;
}

static int import_work(struct db_session *session, struct edit *edit)
{
    const struct importing *importing = edit->fields;
    struct playlist_row row = {
        .title = importing->title, .description = importing->description, .rules = ""};
    for (unsigned i = 0; i < importing->file.count; i++) {
        row.item_count += importing->wanted[i].track_id != 0;
    }
    int error = playlist_make(session, edit, &row);
    error = error != 0 ? error : insert_items(session, edit, importing, (unsigned)row.item_count);
    return error != 0 ? error : edit_answer(edit, answer_json(importing, &row), row.revision);
}

static void free_arena(void *arena)
{
    arena_free(arena);
}

int playlist_import_post(struct request *request)
{
    struct importing importing = {.arena = arena_new(IMPORT_ARENA_BYTES), .description = ""};
    int error = importing.arena != NULL
                    ? arena_at_end(request->call.arena, free_arena, importing.arena)
                    : ERR_NO_MEMORY;
    if (error != 0) {
        arena_free(importing.arena);
        return error;
    }
    error = read_file(request, &importing);
    error = error != 0 ? error : choose_title(request, &importing);
    error = error != 0 ? error : match_file(request, &importing);
    struct edit edit = {.request = request,
                        .id = id_next(),
                        .fields = &importing,
                        .work = import_work,
                        .status = 201};
    return error != 0 ? error : edit_run(&edit);
}
