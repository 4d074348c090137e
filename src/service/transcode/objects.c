/* The objects that jobs write (transcode_internal.h). Called by the steps, on the worker's thread.
 *
 * An output is a blob writer whose descriptor the child fills; it becomes visible by its commit,
 * whole and durable. Its size is taken from the store, not from what the child says.
 */
#include "backend/blob/blob.h"
#include "base/buffer.h"
#include "base/error.h"
#include "service/catalog/catalog.h"
#include "service/streaming/manifest.h"
#include "service/transcode/transcode_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void object_key(const struct work *work, const char *file, char out[BLOB_KEY_MAX])
{
    if (work->job.kind == JOB_COVER) {
        (void)snprintf(out, BLOB_KEY_MAX, "art/%" PRId64 "/%s", work->job.subject_id, file);
    } else {
        (void)snprintf(out, BLOB_KEY_MAX, "m/%" PRId64 "/%" PRId64 "/%s", work->job.subject_id,
                       work->job.version, file);
    }
}

int output_open(struct work *work, const char *file, const char *mime)
{
    const struct blob_meta meta = {.content_type = mime, .cache_control = MANIFEST_CACHE_IMMUTABLE};
    char key[BLOB_KEY_MAX];
    if (work->output_count == OUTPUTS_MAX) {
        return ERR_TOO_LARGE;
    }
    struct output *output = &work->outputs[work->output_count];
    *output = (struct output){.file = file, .mime = mime};
    object_key(work, file, key);
    int result = blob_put_open(work->transcode->blobs, BLOB_MEDIA, key, &meta, &output->writer);
    if (result == 0) {
        work->output_count++; /* from here on outputs_abort sees it */
        result = blob_put_target(output->writer, &output->target);
    }
    return result;
}

int output_commit(struct work *work, struct output *output, int64_t *ret_bytes)
{
    struct blob_stat stat;
    (void)work;
    struct blob_writer *writer = output->writer;
    output->writer = NULL; /* commit frees it either way */
    int result = blob_put_commit(writer, false, &stat);
    if (result == 0) {
        *ret_bytes = (int64_t)stat.bytes;
    }
    return result;
}

void outputs_abort(struct work *work)
{
    for (unsigned i = 0; i < work->output_count; i++) {
        blob_put_abort(work->outputs[i].writer);
        work->outputs[i].writer = NULL;
    }
    work->output_count = 0;
}

int object_write(struct work *work, const char *file, const char *mime, const char *cache_control,
                 const void *bytes, size_t length)
{
    const struct blob_meta meta = {.content_type = mime, .cache_control = cache_control};
    struct blob_writer *writer = NULL;
    struct blob_stat stat;
    char key[BLOB_KEY_MAX];
    object_key(work, file, key);
    int result = blob_put_open(work->transcode->blobs, BLOB_MEDIA, key, &meta, &writer);
    if (result != 0) {
        return result;
    }
    result = blob_put_write(writer, bytes, length);
    if (result != 0) {
        blob_put_abort(writer);
        return result;
    }
    return blob_put_commit(writer, false, &stat);
}

/* --- manifests --- */

static int read_renditions(struct work *work, struct rendition **ret_list, unsigned *ret_count)
{
    size_t count = json_array_size(work->renditions);
    struct rendition *list = arena_array(work->arena, count > 0 ? count : 1, sizeof *list);
    if (list == NULL) {
        return ERR_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        int result =
            catalog_rendition_read(work->arena, json_array_get(work->renditions, i), &list[i]);
        if (result != 0) {
            return result;
        }
    }
    *ret_list = list;
    *ret_count = (unsigned)count;
    return 0;
}

static int write_manifest(struct work *work, const struct manifest *manifest,
                          const struct rendition *list, unsigned count)
{
    struct buffer text;
    buffer_init(&text, MANIFEST_BYTES_MAX);
    int result = manifest_build(manifest, list, count, &text);
    if (result == 0) {
        result = object_write(work, manifest->name, manifest->content_type, manifest->cache_control,
                              text.data, text.length);
    }
    buffer_done(&text);
    return result;
}

int manifests_write(struct work *work, const char *fresh, bool complete)
{
    struct rendition *list = NULL;
    unsigned count = 0;
    struct manifest manifests[MANIFESTS_MAX];
    int result = read_renditions(work, &list, &count);
    if (result != 0) {
        return result;
    }
    unsigned manifest_count = manifest_names(list, count, complete, manifests);
    for (unsigned i = 0; result == 0 && i < manifest_count; i++) {
        const struct manifest *manifest = &manifests[i];
        bool known = manifest->kind == MANIFEST_HLS_RUNG &&
                     (fresh == NULL || strcmp(list[manifest->rendition].file, fresh) != 0);
        result = known ? 0 : write_manifest(work, manifest, list, count);
    }
    return result;
}
