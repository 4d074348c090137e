/* The ladder: PCM of a source in, many renditions out, encoded on as many threads as cores.
 *
 * The caller decodes and pushes blocks; the ladder converts them once per target rate and hands
 * them to every encoder through bounded queues, so ladder_write() blocks while the encoders are
 * behind. All encoders go through the track together and end together, hence no PCM is kept but
 * the blocks under way (a few MB). Who wants renditions finished one after another runs several
 * ladders of fewer renditions, each with a decode of its own (a decode is a hundredth of the work):
 * ladder_pass() says how many at a time still fill the cores.
 *
 * ladder_new, _write, _finish and _free belong to one thread; the callback runs on it too, inside
 * ladder_finish. Descriptors stay the caller's (see encode.h).
 */
#pragma once

#include "media/encode.h"

enum { LADDER_RENDITIONS_MAX = 16 };

struct ladder_config {
    struct pcm_format source;
    const struct encode_spec *specs; /* copied */
    unsigned spec_count;             /* 1 … LADDER_RENDITIONS_MAX */
    unsigned threads;                /* 0: as many as this process may use cores */
    /* Called as each file is finished: index into specs. NULL: not wanted. Not 0: stop with that
     * error. */
    int (*finished)(void *context, unsigned index, const struct rendition_info *info);
    void *context;
};

struct ladder;

int ladder_new(const struct ladder_config *config, struct problem *problem,
               struct ladder **ret_ladder);
/* planes[channel][frame] as config.source says, any number of frames; samples that are not finite
 * are taken as 0. Fails with the first error of any encoder. */
int ladder_write(struct ladder *ladder, const float *const *planes, unsigned frames,
                 struct problem *problem);
/* No more PCM: waits until every file is finished. */
int ladder_finish(struct ladder *ladder, struct problem *problem);
/* A finished rendition's info, NULL before; lives as long as the ladder. */
const struct rendition_info *ladder_info(const struct ladder *ladder, unsigned index);
/* NULL is fine; before ladder_finish it abandons the work (files are then incomplete). */
void ladder_free(struct ladder *ladder);

/* How many renditions in one ladder keep all cores busy to the end. */
unsigned ladder_pass(void);
/* Hands of the crew (crew.h) that a ladder can use: one a core. */
unsigned ladder_workers_max(void);
