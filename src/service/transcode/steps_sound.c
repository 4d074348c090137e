/* The steps of the jobs first and ladder (work.c has the picture). Called by work_run, on a
 * worker's thread; done-callbacks come on the same thread, from within child_run. */
#include "backend/blob/blob.h"
#include "backend/db/db.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "net/metrics.h"
#include "service/catalog/catalog.h"
#include "service/streaming/manifest.h"
#include "service/transcode/plan.h"
#include "service/transcode/transcode_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    WAVEFORM_BYTES_MAX = 4096,
    PICTURE_BYTES_MAX = 32 << 20, /* longer ones are left in their files */
    SOUND_S_MAX = 6 * 3600,       /* longer ones are not taken */
};

static const char step_facts[] = "facts"; /* the step that keeps what the first pass found */

/* --- both --- */

static json_t *outputs_request(const struct work *work, const char *job,
                               const struct rung *const *rungs, unsigned count)
{
    json_t *outputs = json_array();
    for (unsigned i = 0; i < count; i++) {
        (void)json_array_append_new(outputs, json_pack("{s:s,s:i}", "format", rungs[i]->format,
                                                       "bitrate", (int)rungs[i]->bitrate));
    }
    json_t *request = json_pack("{s:s,s:I,s:o}", "job", job, "bytes",
                                (json_int_t)work->source_bytes, "outputs", outputs);
    int64_t from = 0, to = 0;
    if (request != NULL && catalog_cut_read(work->job.key, &from, &to)) {
        (void)json_object_set_new(request, "cut",
                                  json_pack("[I,I]", (json_int_t)from, (json_int_t)to));
    }
    return request;
}

/* Twice what the largest bitrate makes of the longest sound: rates vary, and files have heads. Of
 * FLAC nobody can say; it has the sandbox's limit. */
static int64_t file_bytes_max(const struct rung *const *rungs, unsigned count)
{
    int64_t bytes_max = 0;
    for (unsigned i = 0; i < count; i++) {
        int64_t bytes = (int64_t)rungs[i]->bitrate * (1000 / 8) * SOUND_S_MAX * 2;
        bytes = rungs[i]->bitrate == 0 ? INT64_MAX : bytes;
        bytes_max = bytes > bytes_max ? bytes : bytes_max;
    }
    return bytes_max;
}

/* Opens the outputs and runs the child on them. */
static int run_rungs(struct work *work, const char *name, const struct rung *const *rungs,
                     unsigned count,
                     int (*done)(void *context, unsigned output, const json_t *rendition),
                     json_t **ret_answer)
{
    const struct blob_source *files[OUTPUTS_MAX + 1] = {&work->source};
    for (unsigned i = 0; i < count; i++) {
        int result = output_open(work, rungs[i]->file, rungs[i]->mime);
        if (result != 0) {
            return result;
        }
        files[i + 1] = &work->outputs[i].target;
    }
    CLEANUP_JSON json_t *request = outputs_request(work, name, rungs, count);
    struct child_job job = {.request = request,
                            .fd_count = count + 1,
                            .file_bytes_max = file_bytes_max(rungs, count),
                            .done = done};
    return request != NULL ? work_child(work, &job, files, ret_answer) : ERR_NO_MEMORY;
}

/* What the child says of a file must be true of it, since players will be told so. */
static bool fits(struct arena *arena, const struct output *output, const json_t *told,
                 int64_t bytes)
{
    struct rendition rendition;
    return catalog_rendition_read(arena, told, &rendition) == 0 &&
           strcmp(rendition.file, output->file) == 0 && strcmp(rendition.mime, output->mime) == 0 &&
           rendition.bytes == bytes && bytes > 0;
}

/* STORE of one rendition: the object, then the manifests that name it. */
static int store_rendition(struct work *work, unsigned index, const json_t *rendition)
{
    struct output *output = &work->outputs[index];
    int64_t bytes = 0;
    int result = work_hold(work); /* nothing is overwritten by who has lost the lease */
    result = result == 0 ? output_commit(work, output, &bytes) : result;
    if (result != 0) {
        return result;
    }
    if (!fits(work->arena, output, rendition, bytes)) {
        return work_fail(work, false, "crashed", "The media process spoke nonsense.");
    }
    if (json_array_append(work->renditions, (json_t *)rendition) != 0) {
        return ERR_NO_MEMORY;
    }
    bool fragmented = json_integer_value(json_object_get(rendition, "initBytes")) > 0;
    return fragmented ? manifests_write(work, output->file, false) : 0;
}

static int record(struct db_session *session, struct work *work, const char *name,
                  const json_t *detail)
{
    char *text CLEANUP_FREE = json_dumps(detail, JSON_COMPACT);
    return text != NULL ? step_put(session, work->job.subject_id, work->job.version, name, text,
                                   clock_wall_ms())
                        : ERR_NO_MEMORY;
}

static int record_rendition(struct db_session *session, struct work *work, const json_t *rendition)
{
    int result =
        record(session, work, json_string_value(json_object_get(rendition, "file")), rendition);
    return result != 0 ? result : announce_rendition(session, work, rendition);
}

static const json_t *last_rendition(const struct work *work)
{
    return json_array_get(work->renditions, json_array_size(work->renditions) - 1);
}

/* --- first --- */

/* Kept until the answer is there: what it was probed as is announced before it. */
static int first_done(void *context, unsigned output, const json_t *rendition)
{
    struct work *work = context;
    if (output != 0 || json_array_size(work->renditions) != 0) {
        return ERR_MALFORMED;
    }
    return json_array_append(work->renditions, (json_t *)rendition) == 0 ? 0 : ERR_NO_MEMORY;
}

static int first_decode(struct work *work)
{
    const struct rung *const rungs[] = {&plan_first};
    int result = work_write(work, announce_started); /* the artist sees that it goes on */
    result = result != 0 ? result : run_rungs(work, "first", rungs, 1, first_done, &work->facts);
    if (result == 0 && json_array_size(work->renditions) != 1) {
        return work_fail(work, false, "crashed", "The media process spoke nonsense.");
    }
    return result;
}

static char *picture_key(const struct work *work)
{
    return arena_printf(work->arena, "m/%" PRId64 "/%" PRId64 "/picture", work->job.subject_id,
                        work->job.version);
}

/* The embedded picture becomes an object; a picture that can't be had is no failure of the track.
 */
static int first_art(struct work *work)
{
    if (!json_is_true(json_object_get(work->facts, "hasArt"))) {
        return 0;
    }
    CLEANUP_JSON json_t *request =
        json_pack("{s:s,s:I}", "job", "art", "bytes", (json_int_t)work->source_bytes);
    CLEANUP_JSON json_t *answer = NULL;
    int result = output_open(work, "picture", "application/octet-stream");
    if (result != 0) {
        return result;
    }
    struct output *output = &work->outputs[work->output_count - 1];
    const struct blob_source *files[] = {&work->source, &output->target};
    struct child_job job = {.request = request, .fd_count = 2, .file_bytes_max = PICTURE_BYTES_MAX};
    result = work_child(work, &job, files, &answer);
    const char *type = json_string_value(json_object_get(answer, "type"));
    int64_t bytes = json_integer_value(json_object_get(answer, "bytes"));
    if (result == 0 && bytes > 0 && type != NULL) {
        result = output_commit(work, output, &bytes);
        return result == 0 ? json_object_set_new(work->facts, "artType", json_string(type))
                           : result;
    }
    if (result == ERR_INVALID) {
        work->failure = (struct child_failure){0};
        result = 0;
    }
    return result;
}

static int store_waveform(struct work *work)
{
    const char *text = json_string_value(json_object_get(work->facts, "waveform"));
    unsigned char bytes[WAVEFORM_BYTES_MAX];
    size_t length = 0;
    if (text == NULL ||
        !text_base64_decode(text, strlen(text), TEXT_BASE64, bytes, sizeof bytes, &length)) {
        return work_fail(work, false, "crashed", "The media process spoke nonsense.");
    }
    return object_write(work, "waveform.bin", "application/octet-stream", MANIFEST_CACHE_IMMUTABLE,
                        bytes, length);
}

static int first_store(struct work *work)
{
    CLEANUP_JSON json_t *rendition = json_incref(json_array_get(work->renditions, 0));
    int result = json_array_clear(work->renditions) == 0 ? store_waveform(work) : ERR_NO_MEMORY;
    return result != 0 ? result : store_rendition(work, 0, rendition);
}

/* The ladder goes on where this job ends; a version that this one replaces needs none any more. */
static int queue_ladder(struct db_session *session, const struct work *work)
{
    int64_t now_ms = clock_wall_ms();
    struct job_row ladder = work->job;
    ladder.id = id_next();
    ladder.kind = JOB_LADDER;
    int result = job_insert(session, &ladder, now_ms);
    return result != 0
               ? result
               : job_cancel(session, work->job.subject_id, work->job.version, JOB_LADDER, now_ms);
}

static int write_first(struct db_session *session, struct work *work)
{
    CLEANUP_JSON json_t *original = original_rendition(work);
    const char *art_type = json_string_value(json_object_get(work->facts, "artType"));
    int result = original != NULL ? announce_probed(session, work) : ERR_NO_MEMORY;
    if (result == 0) {
        result = record(session, work, step_facts, json_object_get(work->facts, "probe"));
    }
    if (result == 0 && !work_is_cut(work)) {
        result = record_rendition(session, work, original);
    }
    if (result == 0) {
        result = record_rendition(session, work, last_rendition(work));
    }
    if (result == 0 && art_type != NULL) {
        char *key = picture_key(work);
        result = key != NULL ? announce_art_found(session, work, key, art_type) : ERR_NO_MEMORY;
    }
    if (result == 0) {
        result = queue_ladder(session, work);
    }
    return result != 0 ? result : job_finish(session, &work->job, "done", "", "", clock_wall_ms());
}

static int first_announce(struct work *work)
{
    int result = work_write(work, write_first);
    if (result == 0) {
        const json_t *probe = json_object_get(work->facts, "probe");
        metric_observe_us(metric_get(METRIC_HISTOGRAM, "tutti_transcode_sound_seconds",
                                     "Length of the sounds whose first rung was made.", ""),
                          json_integer_value(json_object_get(probe, "durationMs")) * 1000);
    }
    return result;
}

const struct step first_steps[] = {{"FETCH", work_fetch},        {"DECODE", first_decode},
                                   {"ART", first_art},           {"STORE", first_store},
                                   {"ANNOUNCE", first_announce}, {NULL, NULL}};

/* --- ladder --- */

static int note_step(void *argument, const char *name, const char *detail)
{
    struct work *work = argument;
    json_t *object = json_loads(detail, 0, NULL);
    if (object == NULL) {
        return ERR_CORRUPT;
    }
    if (strcmp(name, step_facts) == 0) {
        json_decref(work->facts);
        work->facts = object;
        return 0;
    }
    return json_array_append_new(work->renditions, object) == 0 ? 0 : ERR_NO_MEMORY;
}

static int read_steps(struct db_session *session, void *argument)
{
    struct work *work = argument;
    (void)json_array_clear(work->renditions);
    return step_list(session, work->job.subject_id, work->job.version, note_step, work);
}

/* What is stored already need not be made again. */
static int ladder_resume(struct work *work)
{
    int result = db_read(work->transcode->db, read_steps, work);
    if (result == 0 && work->facts == NULL) {
        return work_fail(work, true, "internal", "The first rung of the track is not recorded.");
    }
    return result;
}

static bool is_stored(const struct work *work, const struct rung *rung)
{
    for (size_t i = 0; i < json_array_size(work->renditions); i++) {
        const json_t *rendition = json_array_get(work->renditions, i);
        const char *file = json_string_value(json_object_get(rendition, "file"));
        if (file != NULL && strcmp(file, rung->file) == 0) {
            return true;
        }
    }
    return false;
}

static int write_rung(struct db_session *session, struct work *work)
{
    return record_rendition(session, work, last_rendition(work));
}

/* A rung is whole: STORE and ANNOUNCE at once, while the child makes the next. */
static int ladder_done(void *context, unsigned output, const json_t *rendition)
{
    struct work *work = context;
    if (output >= work->output_count || work->outputs[output].writer == NULL) {
        return ERR_MALFORMED;
    }
    int result = store_rendition(work, output, rendition);
    return result != 0 ? result : work_write(work, write_rung);
}

static unsigned missing_rungs(const struct work *work, const struct rung *missing[PLAN_RUNGS_MAX])
{
    const struct rung *all[PLAN_RUNGS_MAX];
    bool flac = json_is_true(json_object_get(work->facts, "lossless")) &&
                json_is_true(json_object_get(work->facts, "flac"));
    unsigned count = plan_ladder(flac, all), left = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!is_stored(work, all[i])) {
            missing[left++] = all[i];
        }
    }
    return left;
}

static int ladder_encode(struct work *work)
{
    const struct rung *missing[PLAN_RUNGS_MAX];
    CLEANUP_JSON json_t *answer = NULL;
    unsigned count = missing_rungs(work, missing);
    if (count == 0) {
        return 0;
    }
    int result = run_rungs(work, "ladder", missing, count, ladder_done, &answer);
    if (result == 0 && missing_rungs(work, missing) > 0) {
        return work_fail(work, false, "crashed", "The media process left renditions out.");
    }
    return result;
}

static int write_ladder(struct db_session *session, struct work *work)
{
    int result = announce_complete(session, work);
    if (result == 0) {
        result = step_delete(session, work->job.subject_id, work->job.version);
    }
    return result != 0 ? result : job_finish(session, &work->job, "done", "", "", clock_wall_ms());
}

/* The manifests never change from now on. */
static int ladder_announce(struct work *work)
{
    int result = work_hold(work);
    result = result == 0 ? manifests_write(work, NULL, true) : result;
    return result == 0 ? work_write(work, write_ladder) : result;
}

const struct step ladder_steps[] = {{"FETCH", work_fetch},
                                    {"RESUME", ladder_resume},
                                    {"ENCODE", ladder_encode},
                                    {"ANNOUNCE", ladder_announce},
                                    {NULL, NULL}};
