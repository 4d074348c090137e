/* The job about covers (job.h). Called by job_server.c. */
#include "base/error.h"
#include "media/cover.h"
#include "media/job_server.h"

enum { SIDE_MAX = 4096 };

static int write_one(struct job *job, struct cover *cover, unsigned size, enum cover_format format,
                     int fd, json_t *outputs)
{
    int64_t bytes = 0;
    int result = cover_write(cover, size, format, fd, &job->failure, &bytes);
    if (result != 0) {
        return result;
    }
    const char *type = format == COVER_JPEG ? "image/jpeg" : "image/webp";
    json_t *output =
        json_pack("{s:i,s:s,s:I}", "size", (int)size, "type", type, "bytes", (json_int_t)bytes);
    return json_array_append_new(outputs, output) == 0 ? 0 : ERR_NO_MEMORY;
}

static int write_all(struct job *job, struct cover *cover, const json_t *sizes, json_t *outputs)
{
    for (size_t i = 0; i < json_array_size(sizes); i++) {
        json_int_t size = json_integer_value(json_array_get(sizes, i));
        if (size < 1 || size > SIDE_MAX) {
            return ERR_INVALID;
        }
        const int *fds = job->fds + 1 + 2 * i;
        int result = write_one(job, cover, (unsigned)size, COVER_JPEG, fds[0], outputs);
        if (result == 0) {
            result = write_one(job, cover, (unsigned)size, COVER_WEBP, fds[1], outputs);
        }
        if (result == 0) {
            result = job_tell_progress(job, (int)((i + 1) * 1000 / json_array_size(sizes)));
        }
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

int job_cover(struct job *job, json_t *answer)
{
    const json_t *sizes = json_object_get(job->request, "sizes");
    if (json_array_size(sizes) < 1 || job->fd_count != 1 + 2 * json_array_size(sizes)) {
        return ERR_INVALID;
    }
    struct cover *cover = NULL;
    int result = cover_open(job->fds[0], job->bytes, &job->failure, &cover);
    if (result != 0) {
        return result;
    }
    json_t *outputs = json_array();
    result = write_all(job, cover, sizes, outputs);
    int failed = json_object_set_new(answer, "width", json_integer(cover_width(cover))) |
                 json_object_set_new(answer, "height", json_integer(cover_height(cover))) |
                 json_object_set_new(answer, "outputs", outputs);
    cover_free(cover);
    return result == 0 && failed != 0 ? ERR_NO_MEMORY : result;
}
