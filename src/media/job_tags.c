/* The jobs of an import (job.h): the tags of many files at once, and the picture in one. Called by
 * job_server.c. */
#include "base/error.h"
#include "media/io.h"
#include "media/job_server.h"
#include "media/tagfile.h"
#include "media/tags.h"
#include "media/tags_file.h"

#include <stdlib.h>

enum { ROOM_BYTES = 2048 }; /* of a packet: what stands around the files */

static json_t *failed_json(const struct failure *failure)
{
    return json_pack("{s:s,s:s,s:b}", "code", failure->code, "reason", failure->reason, "final",
                     failure->final);
}

static json_t *file_json(struct job *job, unsigned index, int64_t bytes)
{
    struct failure failure = {0};
    json_t *object = NULL;
    int result = tags_file_read(job->fds[index], bytes, &failure, &object);
    return result == 0 ? object : failed_json(&failure);
}

/* How long the object will be in a packet. One that is too long by itself loses its long texts. */
static size_t measure(json_t *object, size_t most)
{
    size_t length = json_dumpb(object, NULL, 0, JSON_COMPACT);
    if (length > most) {
        json_t *tags = json_object_get(object, "tags");
        (void)json_object_del(tags, "lyrics");
        (void)json_object_del(tags, "syncedLyrics");
        (void)json_object_del(tags, "cueSheet");
        length = json_dumpb(object, NULL, 0, JSON_COMPACT);
    }
    return length;
}

/* As many files as one answer holds; the server asks for the others again. */
int job_tags(struct job *job, json_t *answer)
{
    const json_t *sizes = json_object_get(job->request, "files");
    json_t *files = json_array();
    size_t room = MEDIA_JOB_PACKET_MAX - ROOM_BYTES;
    if (json_array_size(sizes) != job->fd_count) {
        json_decref(files);
        return failure_passing(&job->failure, "internal", "The job's files made no sense.");
    }
    for (unsigned i = 0; i < job->fd_count; i++) {
        json_int_t bytes = json_integer_value(json_array_get(sizes, i));
        json_t *object = file_json(job, i, bytes);
        size_t length = object != NULL ? measure(object, MEDIA_JOB_PACKET_MAX - ROOM_BYTES) : 0;
        if (object == NULL || length + 1 > room) {
            json_decref(object);
            break;
        }
        room -= length + 1;
        (void)json_array_append_new(files, object);
    }
    return json_object_set_new(answer, "files", files) == 0 ? 0 : ERR_NO_MEMORY;
}

struct picture {
    int fd;
    size_t bytes;
};

static int write_picture(void *context, const void *bytes, size_t length)
{
    struct picture *picture = context;
    if (length > TAGS_PICTURE_BYTES_MAX) {
        return ERR_NOT_FOUND;
    }
    picture->bytes = length;
    return io_write_all(picture->fd, bytes, (int64_t)length);
}

int job_tags_picture(struct job *job, json_t *answer)
{
    struct picture picture = {.fd = job->fds[1]};
    int result = tagfile_picture(job->fds[0], job->bytes, write_picture, &picture);
    if (result != 0 && result != ERR_NOT_FOUND) {
        return failure_final(&job->failure, "unreadable", "The picture can't be read.");
    }
    return json_object_set_new(answer, "bytes", json_integer((json_int_t)picture.bytes)) == 0
               ? 0
               : ERR_NO_MEMORY;
}
