/* The steps of the job cover (work.c has the picture): a picture becomes JPEG and WebP in fixed
 * sizes. Called by work_run, on a worker's thread. */
#include "backend/db/db.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "service/transcode/transcode_internal.h"

static const struct {
    int size;
    const char *jpeg, *webp;
} sizes[] = {
    {64, "64.jpg", "64.webp"},    {128, "128.jpg", "128.webp"},    {300, "300.jpg", "300.webp"},
    {600, "600.jpg", "600.webp"}, {1200, "1200.jpg", "1200.webp"},
};

enum {
    SIZES = sizeof sizes / sizeof sizes[0],
    COVER_BYTES_MAX = 16 << 20 /* 1200 × 1200 plain: 4 */
};

static json_t *cover_request(const struct work *work)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < SIZES; i++) {
        (void)json_array_append_new(list, json_integer(sizes[i].size));
    }
    return json_pack("{s:s,s:I,s:o}", "job", "cover", "bytes", (json_int_t)work->source_bytes,
                     "sizes", list);
}

static int cover_scale(struct work *work)
{
    const struct blob_source *files[1 + 2 * SIZES] = {&work->source};
    for (unsigned i = 0; i < SIZES; i++) {
        int result = output_open(work, sizes[i].jpeg, "image/jpeg");
        result = result == 0 ? output_open(work, sizes[i].webp, "image/webp") : result;
        if (result != 0) {
            return result;
        }
        files[1 + 2 * i] = &work->outputs[2 * i].target;
        files[2 + 2 * i] = &work->outputs[2 * i + 1].target;
    }
    CLEANUP_JSON json_t *request = cover_request(work);
    struct child_job job = {
        .request = request, .fd_count = 1 + 2 * SIZES, .file_bytes_max = COVER_BYTES_MAX};
    return request != NULL ? work_child(work, &job, files, &work->facts) : ERR_NO_MEMORY;
}

static int cover_store(struct work *work)
{
    int result = work_hold(work);
    for (unsigned i = 0; result == 0 && i < work->output_count; i++) {
        int64_t bytes;
        result = output_commit(work, &work->outputs[i], &bytes);
    }
    return result;
}

static int write_cover(struct db_session *session, struct work *work)
{
    int result = announce_art_ready(session, work);
    return result != 0 ? result : job_finish(session, &work->job, "done", "", "", clock_wall_ms());
}

static int cover_announce(struct work *work)
{
    return work_write(work, write_cover);
}

const struct step cover_steps[] = {{"FETCH", work_fetch},
                                   {"SCALE", cover_scale},
                                   {"STORE", cover_store},
                                   {"ANNOUNCE", cover_announce},
                                   {NULL, NULL}};
