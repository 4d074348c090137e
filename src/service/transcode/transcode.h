/* transcode: the media pipeline's workers. The contract for boot.
 *
 * Uploaded originals become renditions: a job is a row, leased by a worker, run in the sandboxed
 * child process tutti-media (media/job.h), resumable at each stored rendition, retried, and ended
 * as done or failed. Tables live in the `catalog` database, beside the catalog's own.
 *
 * Events it consumes: track.uploaded, track.deleted, art.uploaded (catalog.h).
 * Events it emits, each in the transaction that records the step it tells of: media.started,
 * media.probed, media.rendition, media.complete, media.failed, art.ready, art.failed (catalog.h),
 * and media.art  {trackId, version, bucket, key, type}   the track's file had a picture in it,
 * which is an object now (key "track:ID")
 *
 * Objects it writes, in the bucket "media": m/{track}/{version}/{file} for the renditions,
 * waveform.bin and the manifests; art/{id}/{size}.jpg and .webp.
 */
#pragma once

#include "backend/bus/bus.h"

#include <stdint.h>

struct db;
struct bus;
struct blob_store;
struct problem;
struct transcode;

/* What its consumer takes, ending with a NULL consumer. */
extern const struct bus_interest transcode_interests[];
/* How the queue is, for `tutti doctor`. */
struct transcode_queue {
    int64_t waiting, running; /* jobs that have not ended */
    int64_t overdue;          /* of them: nobody took or held them for since_ms */
};
int transcode_queue_look(struct db *catalog, int64_t since_ms, struct transcode_queue *ret_queue);
/* Has the program at media_path decode and encode a short sound in its sandbox. ERR_UNAVAILABLE
 * with words where it can't. Blocks for a second or so. */
int transcode_media_check(const char *media_path, struct problem *problem);

struct transcode_config {
    struct db *db; /* catalog */
    struct bus *bus;
    struct blob_store *blobs;
    const char *media_path; /* the program tutti-media */
    unsigned workers;       /* first rungs and covers at the same time; 0: as many as cores */
};

/* Applies the role's migrations. Nothing runs before transcode_start. */
int transcode_open(const struct transcode_config *config, struct transcode **ret_transcode,
                   struct problem *problem);
/* Ends the workers: what they were at goes back to the queue at once. NULL is fine. */
void transcode_close(struct transcode *transcode);
/* Subscribes the consumer that makes jobs of events; before bus_start. */
int transcode_subscribe(struct transcode *transcode);
/* Starts the workers. ERR_UNAVAILABLE with words when media_path is no program. */
int transcode_start(struct transcode *transcode, struct problem *problem);
