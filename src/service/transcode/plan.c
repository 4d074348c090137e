/* The ladder as a table (plan.h). */
#include "service/transcode/plan.h"

const struct rung plan_first = {"aac", 160, "aac-160.mp4", "audio/mp4"};

static const struct rung lossless = {"flac", 0, "flac.mp4", "audio/mp4"};

static const struct rung lossy[] = {
    {"aac", 320, "aac-320.mp4", "audio/mp4"},    {"aac", 96, "aac-96.mp4", "audio/mp4"},
    {"opus", 160, "opus-160.opus", "audio/ogg"}, {"opus", 320, "opus-320.opus", "audio/ogg"},
    {"opus", 96, "opus-96.opus", "audio/ogg"},   {"mp3", 320, "mp3-320.mp3", "audio/mpeg"},
    {"mp3", 160, "mp3-160.mp3", "audio/mpeg"},   {"mp3", 96, "mp3-96.mp3", "audio/mpeg"},
};

enum { LOSSY = sizeof lossy / sizeof lossy[0] };

unsigned plan_ladder(bool flac, const struct rung *out[PLAN_RUNGS_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < LOSSY; i++) {
        if (flac && i == 2) { /* behind the AAC rungs */
            out[count++] = &lossless;
        }
        out[count++] = &lossy[i];
    }
    return count;
}

unsigned plan_expected(bool flac)
{
    return 1 + LOSSY + (flac ? 1 : 0) + 1;
}
