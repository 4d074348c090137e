/* PCM on its way: where a stage (convert, edges) hands its output. Used inside media/ only.
 *
 * planes[channel][frame], planar float; the planes are borrowed for the call. Not 0 stops the stage
 * and comes back from it.
 */
#pragma once

struct pcm_sink {
    int (*write)(void *context, const float *const *planes, unsigned frames);
    void *context;
};

static inline int pcm_sink_write(const struct pcm_sink *sink, const float *const *planes,
                                 unsigned frames)
{
    return frames > 0 ? sink->write(sink->context, planes, frames) : 0;
}
