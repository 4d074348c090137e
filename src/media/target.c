/* What the file of a format will be (encode.h): names, rates, channels, lengths. Any thread. */
#include "media/encode.h"

#include <libavutil/channel_layout.h>
#include <string.h>

enum { FLAC_MASK_MAX = 0x3ffff }; /* the speakers of WAVEFORMATEXTENSIBLE */

static const char *const format_names[] = {
    [ENCODE_AAC] = "aac",       [ENCODE_MP3] = "mp3",   [ENCODE_OPUS] = "opus",
    [ENCODE_VORBIS] = "vorbis", [ENCODE_FLAC] = "flac",
};

const char *encode_format_name(enum encode_format format)
{
    return format_names[format];
}

bool encode_format_parse(const char *word, enum encode_format *ret_format)
{
    for (unsigned i = 0; i < sizeof format_names / sizeof format_names[0]; i++) {
        if (strcmp(word, format_names[i]) == 0) {
            *ret_format = (enum encode_format)i;
            return true;
        }
    }
    return false;
}

/* 44.1 kHz for its multiples and fractions, else 48 kHz: the ratio stays simple, and AAC and MP3
 * cannot hold 320 kbit/s at lower rates. */
static int lossy_rate(int source_rate)
{
    bool family = source_rate > 0 && (source_rate % 44100 == 0 || 44100 % source_rate == 0);
    return family ? 44100 : 48000;
}

struct pcm_format encode_target(enum encode_format format, const struct pcm_format *source)
{
    if (format == ENCODE_FLAC) {
        struct pcm_format same = *source;
        same.bits = source->bits <= 16 ? 16 : 24;
        return same;
    }
    return (struct pcm_format){
        .rate = format == ENCODE_OPUS ? 48000 : lossy_rate(source->rate),
        .channels = 2,
        .channel_mask = AV_CH_LAYOUT_STEREO,
        .bits = source->bits,
    };
}

int64_t encode_length(int64_t frames, int source_rate, int target_rate)
{
    __extension__ typedef __int128 wide;
    return (int64_t)(((wide)frames * target_rate * 2 + source_rate) / ((wide)source_rate * 2));
}

/* What FLAC means by a number of channels (RFC 9639, section 9.1.3), in the order of the bits. */
static const uint64_t flac_layouts[ENCODE_CHANNELS_MAX] = {
    AV_CH_LAYOUT_MONO,    AV_CH_LAYOUT_STEREO,       AV_CH_LAYOUT_SURROUND,
    AV_CH_LAYOUT_QUAD,    AV_CH_LAYOUT_5POINT0_BACK, AV_CH_LAYOUT_5POINT1_BACK,
    AV_CH_LAYOUT_6POINT1, AV_CH_LAYOUT_7POINT1,
};

uint64_t encode_speakers(const struct pcm_format *pcm)
{
    bool usual = pcm->channels >= 1 && pcm->channels <= ENCODE_CHANNELS_MAX;
    return pcm->channel_mask != 0 ? pcm->channel_mask : usual ? flac_layouts[pcm->channels - 1] : 0;
}

uint32_t encode_flac_mask(const struct pcm_format *pcm)
{
    uint64_t mask = encode_speakers(pcm);
    bool counted = pcm->channels >= 1 && pcm->channels <= ENCODE_CHANNELS_MAX;
    bool same = (counted && mask == flac_layouts[pcm->channels - 1]) ||
                mask == AV_CH_LAYOUT_5POINT0 ||
                mask == AV_CH_LAYOUT_5POINT1; /* FLAC's surrounds are at the back or the side */
    return same || mask > FLAC_MASK_MAX ? 0 : (uint32_t)mask;
}

/* FLAC's frames name a rate in Hz up to 16 bits, or in tens of Hz (RFC 9639, section 9.1.2). */
static bool flac_can_name(int rate)
{
    return rate < 65535 || rate % 10 == 0;
}

bool encode_can(enum encode_format format, const struct pcm_format *source)
{
    if (source->channels < 1 || source->channels > ENCODE_CHANNELS_MAX || source->rate < 1 ||
        source->rate > ENCODE_RATE_MAX) {
        return false;
    }
    return format != ENCODE_FLAC || flac_can_name(source->rate);
}
