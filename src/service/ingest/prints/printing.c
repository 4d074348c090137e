/* The print of one file (printing.h). The row is taken, the file's first two minutes are decoded in
 * a child that stands back for all others, prints that share words of its sketch are compared with
 * it, and one transaction keeps the print and joins the groups. A row that a dead process took is
 * taken anew.
 */
#include "service/ingest/prints/printing.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "service/ingest/prints/print.h"
#include "service/transcode/child.h"

#include <stdlib.h>
#include <string.h>

enum {
    NICENESS = 19,
    CPU_S_MAX = 120,
    SILENCE_MS_MAX = 60000,
    WALL_MS_MAX = 10 * 60 * 1000,
    OF_WORD_MAX = 256, /* tracks of one word; more have it in common with everybody */
    COMPARED_MAX = 20,
};

struct printing {
    struct ingest *ingest;
    struct child *child;
    struct arena *arena;
    const struct print_wanted *wanted;
    const char *state; /* it ends in */
    struct print print;
    uint32_t sketch[PRINT_SKETCH];
    unsigned sketch_count;
    int64_t shared[PRINT_SKETCH * OF_WORD_MAX]; /* tracks, one for each word shared */
    struct print_row same[COMPARED_MAX];
    unsigned same_count;
};

struct printing *printing_new(struct ingest *ingest)
{
    struct printing *printing = calloc(1, sizeof *printing);
    if (printing == NULL) {
        return NULL;
    }
    printing->ingest = ingest;
    printing->arena = arena_new(0);
    printing->child = child_new(ingest->media_path, NICENESS);
    if (printing->arena == NULL || printing->child == NULL) {
        printing_free(printing);
        return NULL;
    }
    return printing;
}

void printing_free(struct printing *printing)
{
    if (printing != NULL) {
        child_free(printing->child);
        arena_free(printing->arena);
    }
    free(printing);
}

/* --- the print of a file --- */

static int tick(void *context)
{
    struct printing *printing = context;
    return ingest_is_ending(printing->ingest) ? ERR_CANCELLED : 0;
}

static bool read_words(struct print *print, const char *text)
{
    unsigned char bytes[PRINT_WORDS_MAX * 4];
    size_t length = 0;
    if (text == NULL ||
        !text_base64_decode(text, strlen(text), TEXT_BASE64, bytes, sizeof bytes, &length) ||
        length % 4 != 0) {
        return false;
    }
    print->count = (unsigned)(length / 4);
    for (unsigned i = 0; i < print->count; i++) {
        const unsigned char *word = bytes + (size_t)4 * i;
        print->words[i] = (uint32_t)word[0] | (uint32_t)word[1] << 8 | (uint32_t)word[2] << 16 |
                          (uint32_t)word[3] << 24;
    }
    return true;
}

static int run_child(struct printing *printing, const struct blob_source *source)
{
    const struct blob_source *const files[] = {source};
    CLEANUP_JSON json_t *answer = NULL;
    CLEANUP_JSON json_t *request =
        json_pack("{s:s,s:I}", "job", "fingerprint", "bytes", (json_int_t)source->bytes);
    int64_t from = 0, to = 0;
    if (request != NULL && catalog_cut_read(printing->wanted->key, &from, &to)) {
        (void)json_object_set_new(request, "cut",
                                  json_pack("[I,I]", (json_int_t)from, (json_int_t)to));
    }
    struct child_failure failure = {.code = ""};
    struct child_job job = {.request = request,
                            .fds = &source->fd,
                            .fd_count = 1,
                            .cpu_s_max = CPU_S_MAX,
                            .silence_ms_max = SILENCE_MS_MAX,
                            .wall_ms_max = WALL_MS_MAX,
                            .tick = tick,
                            .context = printing};
    if (request == NULL || (source->sealed && child_add_keys(request, files, 1) != 0)) {
        return ERR_NO_MEMORY;
    }
    int error = child_run(printing->child, &job, &answer, &failure);
    bool read = error == 0 &&
                read_words(&printing->print, json_string_value(json_object_get(answer, "words")));
    printing->state = read ? "done" : "failed";
    return error == ERR_INVALID ? 0 : error;
}

/* A file that can't be had now is tried again by a later pass. */
static int make_print(struct printing *printing)
{
    struct blob_source source;
    struct blob_stat stat;
    int error = blob_open(printing->ingest->config.blobs, BLOB_MEDIA, printing->wanted->key,
                          &source, &stat);
    if (error != 0) {
        return error;
    }
    error = blob_source_local(&source);
    error = error != 0 ? error : run_child(printing, &source);
    blob_source_close(&source);
    return error;
}

/* --- its like --- */

static int compare_ids(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static int compare_one(struct db_session *session, struct printing *printing, int64_t track_id)
{
    struct print_row row;
    uint32_t kept[PRINT_KEPT_MAX];
    int error = print_get(session, printing->arena, track_id, &row);
    if (error != 0) {
        return error == ERR_NOT_FOUND ? 0 : error;
    }
    unsigned count = (unsigned)(row.words_bytes / sizeof *kept);
    if (count > PRINT_KEPT_MAX ||
        llabs(row.duration_ms - printing->wanted->duration_ms) > PRINT_DURATION_APART_MS) {
        return 0;
    }
    memcpy(kept, row.words, count * sizeof *kept);
    if (print_is_same(&printing->print, kept, count)) {
        printing->same[printing->same_count++] = row;
    }
    return 0;
}

/* Tracks that share at least PRINT_SHARED_MIN words of the sketch, some of them. */
static int compare_shared(struct db_session *session, struct printing *printing, unsigned count)
{
    int error = 0;
    unsigned compared = 0;
    qsort(printing->shared, count, sizeof *printing->shared, compare_ids);
    for (unsigned from = 0, to; error == 0 && from < count && compared < COMPARED_MAX; from = to) {
        int64_t id = printing->shared[from];
        for (to = from; to < count && printing->shared[to] == id;) {
            to++;
        }
        if (to - from >= PRINT_SHARED_MIN && id != printing->wanted->track_id) {
            error = compare_one(session, printing, id);
            compared++;
        }
    }
    return error;
}

static int find_work(struct db_session *session, void *argument)
{
    struct printing *printing = argument;
    unsigned count = 0;
    int error = 0;
    printing->same_count = 0;
    for (unsigned i = 0; error == 0 && i < printing->sketch_count; i++) {
        unsigned found = 0;
        error = print_sketch_find(session, printing->sketch[i], printing->shared + count,
                                  OF_WORD_MAX, &found);
        count += found;
    }
    return error != 0 || count == 0 ? error : compare_shared(session, printing, count);
}

/* --- keeping it --- */

static int take_work(struct db_session *session, void *argument)
{
    const struct printing *printing = argument;
    int64_t now_ms = clock_wall_ms();
    int error = print_take(session, printing->wanted, now_ms - PRINT_STALE_MS, now_ms);
    return error != 0 ? error : print_sketch_delete(session, printing->wanted->track_id);
}

/* The group of all that are one recording: the smallest there is. */
static int64_t group_of(const struct printing *printing)
{
    int64_t group = printing->same_count > 0 ? printing->wanted->track_id : 0;
    for (unsigned i = 0; i < printing->same_count; i++) {
        const struct print_row *row = &printing->same[i];
        int64_t other = row->group_id != 0 ? row->group_id : row->track_id;
        group = other < group ? other : group;
    }
    return group;
}

static int join_groups(struct db_session *session, const struct printing *printing, int64_t group)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < printing->same_count; i++) {
        const struct print_row *row = &printing->same[i];
        error = row->group_id == 0       ? print_group_set(session, row->track_id, group)
                : row->group_id != group ? print_group_merge(session, row->group_id, group)
                                         : 0;
    }
    return error;
}

static int keep_work(struct db_session *session, void *argument)
{
    const struct printing *printing = argument;
    const struct print_wanted *wanted = printing->wanted;
    uint32_t kept[PRINT_KEPT_MAX];
    struct print_row row = {.track_id = wanted->track_id,
                            .version = wanted->version,
                            .group_id = group_of(printing),
                            .words = kept};
    bool says_enough = printing->sketch_count > 0;
    row.words_bytes = says_enough ? print_keep(&printing->print, kept) * sizeof *kept : 0;
    int error = print_put(session, &row, printing->state, clock_wall_ms());
    for (unsigned i = 0; error == 0 && i < printing->sketch_count; i++) {
        error = print_sketch_put(session, printing->sketch[i], wanted->track_id);
    }
    error = error != 0 ? error : join_groups(session, printing, row.group_id);
    return error == ERR_NOT_FOUND ? 0 : error;
}

static int find_like(struct printing *printing)
{
    int error = make_print(printing);
    if (error != 0) {
        return error;
    }
    printing->sketch_count = print_sketch(&printing->print, printing->sketch);
    return db_read(printing->ingest->config.db, find_work, printing);
}

static void begin(struct printing *printing, const struct print_wanted *wanted)
{
    arena_reset(printing->arena);
    printing->wanted = wanted;
    printing->state = "failed";
    printing->print.count = 0;
    printing->same_count = 0;
}

int printing_keep(struct printing *printing, const struct print_wanted *wanted)
{
    struct db *db = printing->ingest->config.db;
    begin(printing, wanted);
    int error = db_write(db, take_work, printing);
    error = error != 0 ? error : find_like(printing);
    return error != 0 ? error : db_write(db, keep_work, printing);
}

int printing_look(struct printing *printing, const struct print_wanted *wanted)
{
    begin(printing, wanted);
    return find_like(printing);
}

const struct print_row *printing_same(const struct printing *printing, unsigned *ret_count)
{
    *ret_count = printing->same_count;
    return printing->same;
}
