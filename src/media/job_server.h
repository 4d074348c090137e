/* Serving jobs: requests in, handlers called, answers out (job.h has the words). Inside the media
 * process only. */
#pragma once

#include "media/failure.h"
#include "media/job.h"

#include <jansson.h>
#include <stdint.h>

struct job {
    int socket;
    const json_t *request;
    int64_t bytes;              /* of the source, fds[0] */
    int fds[MEDIA_JOB_FDS_MAX]; /* closed by the server after the job */
    unsigned fd_count;
    struct failure failure;
    int64_t told_ms; /* when progress was told last */
};

/* Runs until the peer closes the socket: 0; or an error of the socket. */
int job_server_run(int socket);

/* For handlers. Each is one packet; ERR_CANCELLED once nobody listens any more. */
int job_tell_progress(struct job *job, int thousandths); /* at most four a second are sent */
int job_tell_done(struct job *job, unsigned output, json_t *rendition); /* takes the reference */

struct decoder;
/* The source, open to be decoded, cut where the request says so. 0, or job->failure is filled. */
int job_decoder_open(struct job *job, struct decoder **ret_decoder);

/* The handlers: 0 with the answer's members set, or an error with job->failure filled. */
int job_first(struct job *job, json_t *answer);
int job_ladder(struct job *job, json_t *answer);
int job_cover(struct job *job, json_t *answer);
int job_art(struct job *job, json_t *answer);
int job_fingerprint(struct job *job, json_t *answer);
int job_tags(struct job *job, json_t *answer);
int job_tags_picture(struct job *job, json_t *answer);
