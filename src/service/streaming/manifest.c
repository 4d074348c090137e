/* HLS and DASH manifests (manifest.h). Pure functions, any thread; all text goes into the caller's
 * buffer.
 *
 * Times. A fragment's duration in struct rendition (and in sidx) is of the presentation: the first
 * one lacks the priming, the sum is N. HLS players place segments by their tfdt, which counts the
 * priming: EXTINF must follow tfdt, or they shift all later segments. So the first segment is
 * longer by the priming and the last one shorter, and the sum is N again. DASH players read sidx by
 * themselves.
 */
#include "service/streaming/manifest.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/mem.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static const char *const ceiling_names[] = {"96", "160", "320", "lossless"};
static const unsigned ceiling_bitrates[] = {96, 160, 320};

/* The rung a player should begin with: good on any line, and there first. */
enum { START_BITRATE = 160 };

const char *manifest_ceiling_name(enum manifest_ceiling ceiling)
{
    return ceiling_names[ceiling];
}

bool manifest_ceiling_parse(const char *word, size_t length, enum manifest_ceiling *ret_ceiling)
{
    for (unsigned i = 0; i < COUNT_OF(ceiling_names); i++) {
        if (strlen(ceiling_names[i]) == length && memcmp(ceiling_names[i], word, length) == 0) {
            *ret_ceiling = (enum manifest_ceiling)i;
            return true;
        }
    }
    return false;
}

static enum manifest_ceiling ceiling_of_bitrate(unsigned bitrate)
{
    for (unsigned i = 0; i < COUNT_OF(ceiling_bitrates); i++) {
        if (bitrate > 0 && bitrate <= ceiling_bitrates[i]) {
            return (enum manifest_ceiling)i;
        }
    }
    return MANIFEST_CEILING_LOSSLESS;
}

bool manifest_allows(enum manifest_ceiling ceiling, const struct rendition *rendition)
{
    return ceiling_of_bitrate(rendition->bitrate) <= ceiling;
}

/* "{format}-{bitrate}.{extension}" with a format whose number is a bit rate or a ceiling. */
enum manifest_ceiling manifest_file_ceiling(const char *file)
{
    static const char *const formats[] = {"aac-", "mp3-", "opus-", "vorbis-", "hls-", "dash-"};
    for (unsigned i = 0; i < COUNT_OF(formats); i++) {
        size_t length = strlen(formats[i]);
        if (strncmp(file, formats[i], length) == 0) {
            enum manifest_ceiling ceiling;
            const char *number = file + length;
            bool known = manifest_ceiling_parse(number, strcspn(number, "."), &ceiling);
            return known ? ceiling : MANIFEST_CEILING_LOSSLESS;
        }
    }
    return MANIFEST_CEILING_LOSSLESS;
}

static bool in_manifests(const struct rendition *rendition)
{
    return rendition->init_bytes > 0 && rendition->fragment_count > 0 && rendition->timescale > 0;
}

/* Bit rates, with lossless above all; every rung has another. */
static unsigned rate_of(const struct rendition *rendition)
{
    return rendition->bitrate > 0 ? rendition->bitrate : UINT_MAX;
}

static size_t stem_length(const char *file)
{
    const char *dot = strrchr(file, '.');
    return dot != NULL ? (size_t)(dot - file) : strlen(file);
}

unsigned manifest_names(const struct rendition *renditions, unsigned count, bool complete,
                        struct manifest out[MANIFESTS_MAX])
{
    unsigned made = 0;
    enum manifest_ceiling lowest = MANIFEST_CEILINGS_;
    for (unsigned i = 0; i < count && made < MANIFESTS_MAX - 2 * MANIFEST_CEILINGS_; i++) {
        if (!in_manifests(&renditions[i])) {
            continue;
        }
        struct manifest *rung = &out[made++];
        *rung = (struct manifest){.kind = MANIFEST_HLS_RUNG,
                                  .rendition = i,
                                  .content_type = "application/vnd.apple.mpegurl",
                                  .cache_control = MANIFEST_CACHE_IMMUTABLE};
        (void)snprintf(rung->name, sizeof rung->name, "%.*s.m3u8",
                       (int)stem_length(renditions[i].file), renditions[i].file);
        enum manifest_ceiling ceiling = ceiling_of_bitrate(renditions[i].bitrate);
        lowest = ceiling < lowest ? ceiling : lowest;
    }
    const char *cache = complete ? MANIFEST_CACHE_IMMUTABLE : MANIFEST_CACHE_GROWING;
    for (enum manifest_ceiling ceiling = lowest; ceiling < MANIFEST_CEILINGS_; ceiling++) {
        struct manifest *hls = &out[made++];
        struct manifest *dash = &out[made++];
        *hls = (struct manifest){.kind = MANIFEST_HLS,
                                 .ceiling = ceiling,
                                 .content_type = "application/vnd.apple.mpegurl",
                                 .cache_control = cache};
        *dash = (struct manifest){.kind = MANIFEST_DASH,
                                  .ceiling = ceiling,
                                  .content_type = "application/dash+xml",
                                  .cache_control = cache};
        (void)snprintf(hls->name, sizeof hls->name, "hls-%s.m3u8", ceiling_names[ceiling]);
        (void)snprintf(dash->name, sizeof dash->name, "dash-%s.mpd", ceiling_names[ceiling]);
    }
    return made;
}

/* Sums must agree with the file, or a player would read beside the fragments. */
static bool is_sound(const struct rendition *rendition)
{
    int64_t bytes = rendition->init_bytes + rendition->index_bytes;
    int64_t samples = 0;
    for (unsigned i = 0; i < rendition->fragment_count; i++) {
        bytes += rendition->fragments[2 * i];
        samples += rendition->fragments[2 * i + 1];
    }
    return bytes == rendition->bytes && samples == rendition->samples;
}

static int64_t priming_of(const struct rendition *rendition)
{
    return strcmp(rendition->format, "aac") == 0 ? MANIFEST_PRIMING_AAC : 0;
}

/* The duration of segment i by tfdt, in timescale units. */
static int64_t segment_duration(const struct rendition *rendition, unsigned i)
{
    int64_t duration = rendition->fragments[2 * i + 1];
    if (i == 0) {
        duration += priming_of(rendition);
    }
    if (i + 1 == rendition->fragment_count) {
        duration -= priming_of(rendition);
    }
    return duration;
}

static double seconds(int64_t units, const struct rendition *rendition)
{
    return (double)units / (double)rendition->timescale;
}

/* EXT-X-TARGETDURATION: no EXTINF, rounded to the nearest second, may be above it. */
static int64_t target_duration(const struct rendition *rendition)
{
    int64_t longest = 1;
    for (unsigned i = 0; i < rendition->fragment_count; i++) {
        int64_t units = segment_duration(rendition, i);
        int64_t whole = (units + rendition->timescale - 1) / rendition->timescale;
        longest = whole > longest ? whole : longest;
    }
    return longest;
}

static int build_rung(const struct rendition *rendition, struct buffer *out)
{
    if (!is_sound(rendition)) {
        return ERR_INVALID;
    }
    (void)buffer_printf(out,
                        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%lld\n"
                        "#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"
                        "#EXT-X-INDEPENDENT-SEGMENTS\n"
                        "#EXT-X-MAP:URI=\"%s\",BYTERANGE=\"%lld@0\"\n",
                        (long long)target_duration(rendition), rendition->file,
                        (long long)rendition->init_bytes);
    int64_t offset = rendition->init_bytes + rendition->index_bytes;
    for (unsigned i = 0; i < rendition->fragment_count; i++) {
        uint32_t bytes = rendition->fragments[2 * i];
        (void)buffer_printf(out, "#EXTINF:%.6f,\n#EXT-X-BYTERANGE:%u@%lld\n%s\n",
                            seconds(segment_duration(rendition, i), rendition), bytes,
                            (long long)offset, rendition->file);
        offset += bytes;
    }
    (void)buffer_add(out, "#EXT-X-ENDLIST\n");
    return buffer_error(out);
}

static void add_variant(const struct rendition *rendition, struct buffer *out)
{
    (void)buffer_printf(out,
                        "#EXT-X-STREAM-INF:BANDWIDTH=%lld,AVERAGE-BANDWIDTH=%lld,CODECS=\"%s\"\n",
                        (long long)rendition->bandwidth_peak,
                        (long long)rendition->bandwidth_average, rendition->codecs);
    (void)buffer_printf(out, "%.*s.m3u8\n", (int)stem_length(rendition->file), rendition->file);
}

static bool stands_in(const struct manifest *manifest, const struct rendition *rendition)
{
    return in_manifests(rendition) && manifest_allows(manifest->ceiling, rendition);
}

/* The rendition that comes after `last` in rising order of bit rate, lossless at the end; NULL:
 * none. last NULL: the lowest. */
static const struct rendition *next_higher(const struct rendition *renditions, unsigned count,
                                           const struct rendition *last)
{
    const struct rendition *next = NULL;
    for (unsigned i = 0; i < count; i++) {
        const struct rendition *one = &renditions[i];
        bool above = last == NULL || rate_of(one) > rate_of(last);
        if (in_manifests(one) && above && (next == NULL || rate_of(one) < rate_of(next))) {
            next = one;
        }
    }
    return next;
}

/* The first variant is the one that players start with who don't choose by themselves. */
static int build_hls(const struct manifest *manifest, const struct rendition *renditions,
                     unsigned count, struct buffer *out)
{
    (void)buffer_add(out, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n");
    for (unsigned turn = 0; turn < 2; turn++) {
        const struct rendition *one = NULL;
        while ((one = next_higher(renditions, count, one)) != NULL) {
            bool first = one->bitrate == START_BITRATE;
            if (manifest_allows(manifest->ceiling, one) && first == (turn == 0)) {
                add_variant(one, out);
            }
        }
    }
    return buffer_error(out);
}

static void add_representation(const struct rendition *rendition, struct buffer *out)
{
    long long init = rendition->init_bytes;
    (void)buffer_printf(
        out,
        "      <Representation id=\"%.*s\" codecs=\"%s\" bandwidth=\"%lld\" "
        "audioSamplingRate=\"%lld\">\n"
        "        <AudioChannelConfiguration "
        "schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"%u\"/>\n"
        "        <BaseURL>%s</BaseURL>\n"
        "        <SegmentBase indexRange=\"%lld-%lld\" timescale=\"%lld\">\n"
        "          <Initialization range=\"0-%lld\"/>\n"
        "        </SegmentBase>\n"
        "      </Representation>\n",
        (int)stem_length(rendition->file), rendition->file, rendition->codecs,
        (long long)rendition->bandwidth_peak, (long long)rendition->timescale, rendition->channels,
        rendition->file, init, init + (long long)rendition->index_bytes - 1,
        (long long)rendition->timescale, init - 1);
}

/* One adaptation set a format: players switch inside a set, and AAC rungs share their borders. */
static void add_set(const struct manifest *manifest, const struct rendition *renditions,
                    unsigned count, const char *format, struct buffer *out)
{
    bool open = false;
    const struct rendition *one = NULL;
    while ((one = next_higher(renditions, count, one)) != NULL) {
        if (!manifest_allows(manifest->ceiling, one) || strcmp(one->format, format) != 0) {
            continue;
        }
        if (!open) {
            (void)buffer_add(out, "    <AdaptationSet contentType=\"audio\" mimeType=\"audio/mp4\" "
                                  "subsegmentAlignment=\"true\" subsegmentStartsWithSAP=\"1\">\n");
            open = true;
        }
        add_representation(one, out);
    }
    if (open) {
        (void)buffer_add(out, "    </AdaptationSet>\n");
    }
}

static int build_dash(const struct manifest *manifest, const struct rendition *renditions,
                      unsigned count, struct buffer *out)
{
    double duration = 0;
    for (unsigned i = 0; i < count && duration == 0; i++) {
        if (stands_in(manifest, &renditions[i])) {
            duration = seconds(renditions[i].samples, &renditions[i]);
        }
    }
    (void)buffer_printf(out,
                        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "
                        "profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\" type=\"static\" "
                        "mediaPresentationDuration=\"PT%.6fS\" minBufferTime=\"PT4S\">\n"
                        "  <Period>\n",
                        duration);
    add_set(manifest, renditions, count, "aac", out);
    add_set(manifest, renditions, count, "flac", out);
    (void)buffer_add(out, "  </Period>\n</MPD>\n");
    return buffer_error(out);
}

int manifest_build(const struct manifest *manifest, const struct rendition *renditions,
                   unsigned count, struct buffer *out)
{
    switch (manifest->kind) {
    case MANIFEST_HLS:
        return build_hls(manifest, renditions, count, out);
    case MANIFEST_DASH:
        return build_dash(manifest, renditions, count, out);
    case MANIFEST_HLS_RUNG:
        return manifest->rendition < count ? build_rung(&renditions[manifest->rendition], out)
                                           : ERR_INVALID;
    }
    return ERR_INVALID;
}
