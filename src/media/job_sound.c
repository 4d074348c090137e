/* The jobs about sound (job.h): first, ladder and art. Called by job_server.c, on the main thread,
 * which decodes; encoders and analyses have threads of their own.
 *
 * The ladder goes through the file in passes of as many renditions as keep the cores busy: a decode
 * costs a hundredth of the ladder, and each pass leaves whole files behind, which a kill then does
 * not undo.
 */
#include "base/error.h"
#include "base/problem.h"
#include "media/analysis.h"
#include "media/decode.h"
#include "media/io.h"
#include "media/job_server.h"
#include "media/ladder.h"
#include "media/tags.h"

#include <libavutil/base64.h>
#include <stdlib.h>
#include <string.h>

enum { BITRATE_KBPS_MAX = 512, CUT_MAX = 75 * 3600 * 24 };

/* One pass: some of the job's outputs. */
struct pass {
    struct job *job;
    struct encode_spec specs[MEDIA_JOB_OUTPUTS_MAX];
    unsigned first, count; /* outputs of the job */
    unsigned done, total;  /* outputs before this pass and in all, for progress */
    struct problem problem;
};

/* --- what is asked --- */

static int read_outputs(struct job *job, struct encode_spec specs[MEDIA_JOB_OUTPUTS_MAX],
                        unsigned *ret_count)
{
    const json_t *outputs = json_object_get(job->request, "outputs");
    size_t count = json_array_size(outputs);
    bool valid = count >= 1 && count <= MEDIA_JOB_OUTPUTS_MAX && job->fd_count == count + 1;
    for (size_t i = 0; valid && i < count; i++) {
        const json_t *output = json_array_get(outputs, i);
        const char *word = json_string_value(json_object_get(output, "format"));
        json_int_t bitrate = json_integer_value(json_object_get(output, "bitrate"));
        specs[i].bitrate_kbps = (unsigned)bitrate;
        specs[i].fd = job->fds[i + 1];
        valid = word != NULL && encode_format_parse(word, &specs[i].format) &&
                bitrate >= (specs[i].format == ENCODE_FLAC ? 0 : 1) && bitrate <= BITRATE_KBPS_MAX;
    }
    if (!valid) {
        return failure_passing(&job->failure, "internal", "The job's outputs made no sense.");
    }
    *ret_count = (unsigned)count;
    return 0;
}

int job_decoder_open(struct job *job, struct decoder **ret_decoder)
{
    const json_t *cut = json_object_get(job->request, "cut");
    json_int_t from = json_integer_value(json_array_get(cut, 0));
    json_int_t to = json_integer_value(json_array_get(cut, 1));
    if (cut != NULL && (from < 0 || from > CUT_MAX || to > CUT_MAX || (to != 0 && to <= from))) {
        return failure_passing(&job->failure, "internal", "The job's cut made no sense.");
    }
    int result = decoder_open(job->fds[0], job->bytes, &job->failure, ret_decoder);
    if (result == 0 && cut != NULL) {
        decoder_cut(*ret_decoder, from, to);
    }
    return result;
}

/* --- what is answered --- */

static json_t *fragments_json(const struct rendition_info *info)
{
    json_t *fragments = json_array();
    for (unsigned i = 0; i < info->fragment_count; i++) {
        (void)json_array_append_new(fragments,
                                    json_pack("[I,I]", (json_int_t)info->fragments[2 * i],
                                              (json_int_t)info->fragments[2 * i + 1]));
    }
    return fragments;
}

static json_t *rendition_json(const struct rendition_info *info)
{
    return json_pack("{s:s,s:i,s:s,s:s,s:s,s:I,s:I,s:I,s:i,s:I,s:I,s:I,s:I,s:I,s:o}", "format",
                     info->format, "bitrate", (int)info->bitrate, "file", info->file, "mime",
                     info->mime, "codecs", info->codecs, "bytes", (json_int_t)info->bytes,
                     "samples", (json_int_t)info->samples, "timescale", (json_int_t)info->timescale,
                     "channels", (int)info->channels, "initBytes", (json_int_t)info->init_bytes,
                     "indexBytes", (json_int_t)info->index_bytes, "firstFragmentEnd",
                     (json_int_t)info->first_fragment_end, "bandwidthPeak",
                     (json_int_t)info->bandwidth_peak, "bandwidthAverage",
                     (json_int_t)info->bandwidth_average, "fragments", fragments_json(info));
}

static json_t *base64_json(const void *bytes, size_t length)
{
    size_t size = AV_BASE64_SIZE(length);
    char *text = malloc(size);
    bool encoded = text != NULL && av_base64_encode(text, (int)size, bytes, (int)length) != NULL;
    json_t *string = encoded ? json_string(text) : NULL;
    free(text);
    return string;
}

static json_t *histogram_json(const uint32_t histogram[LOUDNESS_BINS])
{
    uint8_t bytes[LOUDNESS_BINS * 4];
    for (unsigned i = 0; i < LOUDNESS_BINS * 4; i++) {
        bytes[i] = (uint8_t)(histogram[i / 4] >> (8 * (i % 4)));
    }
    return base64_json(bytes, sizeof bytes);
}

static json_t *probe_json(const struct decoder *decoder)
{
    const struct sound *sound = decoder_sound(decoder);
    int64_t frames = decoder_frames(decoder);
    return json_pack("{s:s,s:s,s:i,s:i,s:i,s:b,s:I,s:I,s:b}", "container", sound->container,
                     "codec", sound->codec, "rate", sound->pcm.rate, "channels",
                     (int)sound->pcm.channels, "bits", (int)sound->pcm.bits, "lossless",
                     sound->lossless, "samples", (json_int_t)frames, "durationMs",
                     (json_int_t)((frames * 1000 + sound->pcm.rate / 2) / sound->pcm.rate), "flac",
                     encode_can(ENCODE_FLAC, &sound->pcm));
}

static int add_facts(json_t *answer, struct decoder *decoder, const struct analysis_result *result)
{
    const uint8_t *picture;
    const char *type;
    int size;
    json_t *loudness = json_pack("{s:f,s:f,s:o}", "lufs", result->loudness.lufs, "truePeakDb",
                                 result->loudness.true_peak_db, "histogram",
                                 histogram_json(result->loudness.histogram));
    int failed = json_object_set_new(answer, "probe", probe_json(decoder)) |
                 json_object_set_new(answer, "loudness", loudness) |
                 json_object_set_new(answer, "waveform",
                                     base64_json(result->waveform, result->waveform_bytes)) |
                 json_object_set_new(answer, "fingerprint", json_string(result->fingerprint)) |
                 json_object_set_new(answer, "tags", tags_read(decoder_container(decoder))) |
                 json_object_set_new(answer, "hasArt",
                                     json_boolean(tags_picture(decoder_container(decoder), &picture,
                                                               &size, &type)));
    return failed != 0 ? ERR_NO_MEMORY : 0;
}

/* --- passes --- */

static int finished(void *context, unsigned index, const struct rendition_info *info)
{
    struct pass *pass = context;
    return job_tell_done(pass->job, pass->first + index, rendition_json(info));
}

/* An encoder's error in our words. */
static int encoding_failed(struct pass *pass, int result)
{
    if (result == ERR_NO_MEMORY) {
        return failure_no_memory(&pass->job->failure);
    }
    if (result == ERR_CANCELLED) {
        return result;
    }
    bool disk = result == ERR_DISK_FULL || result == ERR_IO;
    return failure_passing(&pass->job->failure, disk ? error_name(result) : "internal",
                           "Encoding failed: %s", pass->problem.detail);
}

static int pass_blocks(struct pass *pass, struct decoder *decoder, struct analysis *analysis,
                       struct ladder *ladder)
{
    const float *const *planes;
    unsigned frames;
    int result;
    while ((result = decoder_next(decoder, &planes, &frames, &pass->job->failure)) > 0) {
        if (analysis != NULL && frames > 0) {
            analysis_write(analysis, planes, frames);
        }
        result = frames > 0 ? ladder_write(ladder, planes, frames, &pass->problem) : 0;
        if (result != 0) {
            return encoding_failed(pass, result);
        }
        unsigned total = pass->total, done = pass->done;
        int progress = decoder_progress(decoder) * (int)pass->count + (int)done * 1000;
        result = job_tell_progress(pass->job, progress / (int)total);
        if (result != 0) {
            return result;
        }
    }
    if (result < 0) {
        return result;
    }
    result = ladder_finish(ladder, &pass->problem);
    return result != 0 ? encoding_failed(pass, result) : 0;
}

static int pass_run(struct pass *pass, struct decoder *decoder, struct analysis *analysis)
{
    struct ladder *ladder = NULL;
    struct ladder_config config = {
        .source = decoder_sound(decoder)->pcm,
        .specs = pass->specs,
        .spec_count = pass->count,
        .finished = finished,
        .context = pass,
    };
    int result = ladder_new(&config, &pass->problem, &ladder);
    if (result != 0) {
        return encoding_failed(pass, result);
    }
    result = pass_blocks(pass, decoder, analysis, ladder);
    ladder_free(ladder);
    return result;
}

/* --- handlers --- */

static int first_decoded(struct pass *pass, struct decoder *decoder, json_t *answer)
{
    struct failure *failure = &pass->job->failure;
    struct analysis *analysis = NULL;
    const struct analysis_result *found = NULL;
    int result = analysis_new(&decoder_sound(decoder)->pcm, failure, &analysis);
    if (result != 0) {
        return result;
    }
    result = pass_run(pass, decoder, analysis);
    if (result == 0) {
        result = analysis_finish(analysis, failure, &found);
    }
    if (result == 0) {
        result = add_facts(answer, decoder, found);
    }
    analysis_free(analysis);
    return result;
}

int job_first(struct job *job, json_t *answer)
{
    struct pass pass = {.job = job};
    int result = read_outputs(job, pass.specs, &pass.count);
    if (result != 0) {
        return result;
    }
    pass.total = pass.count;
    struct decoder *decoder = NULL;
    result = job_decoder_open(job, &decoder);
    if (result != 0) {
        return result;
    }
    result = first_decoded(&pass, decoder, answer);
    decoder_free(decoder);
    return result;
}

int job_ladder(struct job *job, json_t *answer)
{
    struct encode_spec specs[MEDIA_JOB_OUTPUTS_MAX];
    unsigned total = 0;
    int result = read_outputs(job, specs, &total);
    (void)answer;
    for (unsigned done = 0; result == 0 && done < total;) {
        struct pass pass = {.job = job, .first = done, .done = done, .total = total};
        unsigned wide = ladder_pass();
        pass.count = total - done < wide ? total - done : wide;
        memcpy(pass.specs, specs + done, pass.count * sizeof specs[0]);
        struct decoder *decoder = NULL;
        result = job_decoder_open(job, &decoder);
        result = result == 0 ? pass_run(&pass, decoder, NULL) : result;
        decoder_free(decoder);
        done += pass.count;
    }
    return result;
}

int job_art(struct job *job, json_t *answer)
{
    struct decoder *decoder = NULL;
    int result = decoder_open(job->fds[0], job->bytes, &job->failure, &decoder);
    if (result != 0) {
        return result;
    }
    const uint8_t *picture = NULL;
    const char *type = "";
    int size = 0;
    if (tags_picture(decoder_container(decoder), &picture, &size, &type)) {
        result = io_write_all(job->fds[1], picture, size);
    }
    decoder_free(decoder);
    if (result == 0 && (json_object_set_new(answer, "bytes", json_integer(size)) |
                        json_object_set_new(answer, "type", json_string(type))) != 0) {
        result = ERR_NO_MEMORY;
    }
    return result;
}
