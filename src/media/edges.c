/* Lead-in and lead-out by linear prediction (edges.h). */
#include "media/edges.h"

#include "media/encode.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct edges {
    unsigned channels;
    bool started;   /* the lead-in has been fed */
    unsigned known; /* frames in plane[]: the first ones before the start, the last ones after */
    float *plane[ENCODE_CHANNELS_MAX]; /* EDGES_KNOWN frames each */
    float *out[ENCODE_CHANNELS_MAX];   /* EDGES_LEAD frames each */
};

struct edges *edges_new(unsigned channels)
{
    struct edges *edges = calloc(1, sizeof *edges);
    if (edges == NULL) {
        return NULL;
    }
    edges->channels = channels;
    for (unsigned i = 0; i < channels; i++) {
        edges->plane[i] = calloc(EDGES_KNOWN, sizeof(float));
        edges->out[i] = calloc(EDGES_LEAD, sizeof(float));
        if (edges->plane[i] == NULL || edges->out[i] == NULL) {
            edges_free(edges);
            return NULL;
        }
    }
    return edges;
}

void edges_free(struct edges *edges)
{
    if (edges == NULL) {
        return;
    }
    for (unsigned i = 0; i < edges->channels; i++) {
        free(edges->plane[i]);
        free(edges->out[i]);
    }
    free(edges);
}

/* One step of Burg's recursion: the reflection coefficient that makes forward error f and backward
 * error b, both of count − 1 − order samples overlap, smallest in sum; and the errors after it. */
static double reflect(double *forward, double *backward, unsigned order, unsigned count)
{
    double both = 0, energy = 0;
    for (unsigned i = order + 1; i < count; i++) {
        both += forward[i] * backward[i - 1];
        energy += forward[i] * forward[i] + backward[i - 1] * backward[i - 1];
    }
    double k = energy > 0 ? -2 * both / energy : 0;
    for (unsigned i = count - 1; i > order; i--) {
        double ahead = forward[i], behind = backward[i - 1];
        forward[i] = ahead + k * behind;
        backward[i] = behind + k * ahead;
    }
    return k;
}

/* Burg's method: coefficients a with x[n] ≈ −Σ a[j]·x[n−1−j]. Stable, since every |k| ≤ 1. */
static void burg(const float *known, unsigned count, double a[EDGES_ORDER])
{
    double forward[EDGES_KNOWN], backward[EDGES_KNOWN], before[EDGES_ORDER];
    for (unsigned i = 0; i < count; i++) {
        forward[i] = backward[i] = known[i];
    }
    for (unsigned order = 0; order < EDGES_ORDER; order++) {
        double k = reflect(forward, backward, order, count);
        memcpy(before, a, order * sizeof *a);
        for (unsigned j = 0; j < order; j++) {
            a[j] = before[j] + k * before[order - 1 - j];
        }
        a[order] = k;
    }
}

void edges_predict(const float *known, unsigned count, float ret_next[EDGES_FADE])
{
    memset(ret_next, 0, EDGES_FADE * sizeof *ret_next);
    if (count < EDGES_KNOWN_MIN) {
        return;
    }
    if (count > EDGES_KNOWN) {
        known += count - EDGES_KNOWN;
        count = EDGES_KNOWN;
    }
    double a[EDGES_ORDER] = {0}, x[EDGES_ORDER + EDGES_FADE];
    burg(known, count, a);
    for (unsigned i = 0; i < EDGES_ORDER; i++) {
        x[i] = known[count - EDGES_ORDER + i];
    }
    for (unsigned i = 0; i < EDGES_FADE; i++) {
        double next = 0;
        for (unsigned j = 0; j < EDGES_ORDER; j++) {
            next -= a[j] * x[EDGES_ORDER + i - 1 - j];
        }
        x[EDGES_ORDER + i] = next;
        ret_next[i] = (float)(next * (0.5 + 0.5 * cos(M_PI * (i + 0.5) / EDGES_FADE)));
    }
}

static void reverse(float *samples, unsigned count)
{
    for (unsigned i = 0; i < count / 2; i++) {
        float sample = samples[i];
        samples[i] = samples[count - 1 - i];
        samples[count - 1 - i] = sample;
    }
}

/* Zeros and the backward prediction, then the frames that it came from. */
static int start(struct edges *edges, const struct pcm_sink *sink)
{
    edges->started = true;
    for (unsigned i = 0; i < edges->channels; i++) {
        reverse(edges->plane[i], edges->known);
        edges_predict(edges->plane[i], edges->known, edges->out[i] + EDGES_LEAD - EDGES_FADE);
        reverse(edges->out[i] + EDGES_LEAD - EDGES_FADE, EDGES_FADE);
        reverse(edges->plane[i], edges->known);
    }
    int error = pcm_sink_write(sink, (const float *const *)edges->out, EDGES_LEAD);
    return error != 0 ? error
                      : pcm_sink_write(sink, (const float *const *)edges->plane, edges->known);
}

/* Keeps the last EDGES_KNOWN frames for the prediction at the end. */
static void remember(struct edges *edges, const float *const *planes, unsigned frames)
{
    unsigned fresh = frames < EDGES_KNOWN ? frames : EDGES_KNOWN;
    unsigned kept = edges->known + fresh > EDGES_KNOWN ? EDGES_KNOWN - fresh : edges->known;
    for (unsigned i = 0; i < edges->channels; i++) {
        float *plane = edges->plane[i];
        memmove(plane, plane + edges->known - kept, kept * sizeof *plane);
        memcpy(plane + kept, planes[i] + frames - fresh, fresh * sizeof *plane);
    }
    edges->known = kept + fresh;
}

int edges_write(struct edges *edges, const float *const *planes, unsigned frames,
                const struct pcm_sink *sink)
{
    const float *at[ENCODE_CHANNELS_MAX];
    unsigned taken = 0;
    if (!edges->started) {
        unsigned room = EDGES_KNOWN - edges->known;
        taken = frames < room ? frames : room;
        remember(edges, planes, taken);
        int error = edges->known == EDGES_KNOWN ? start(edges, sink) : 0;
        if (error != 0 || taken == frames) {
            return error;
        }
    }
    for (unsigned i = 0; i < edges->channels; i++) {
        at[i] = planes[i] + taken;
    }
    remember(edges, at, frames - taken);
    return pcm_sink_write(sink, at, frames - taken);
}

int edges_finish(struct edges *edges, const struct pcm_sink *sink)
{
    int error = edges->started ? 0 : start(edges, sink);
    if (error != 0) {
        return error;
    }
    for (unsigned i = 0; i < edges->channels; i++) {
        memset(edges->out[i], 0, EDGES_LEAD * sizeof(float));
        edges_predict(edges->plane[i], edges->known, edges->out[i]);
    }
    return pcm_sink_write(sink, (const float *const *)edges->out, EDGES_LEAD);
}
