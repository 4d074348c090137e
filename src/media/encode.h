/* Encoding: PCM in, one finished file of a rendition out.
 *
 * An encoder makes one file of one format at one bitrate. It is fed PCM that already has the rate
 * and the channels of the file (encode_target() tells which); who has PCM of a source uses
 * ladder.h, which converts once for all and runs many encoders on all cores.
 *
 * One thread at a time per encoder; different encoders are independent. All memory belongs to the
 * encoder. Files are written to a descriptor of the caller's, which must be seekable (a regular
 * file or a memfd, opened for reading and writing, empty) and is never closed here. Nothing here
 * opens a file or a socket, so it works in the sandbox.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct problem;

enum encode_format { ENCODE_AAC, ENCODE_MP3, ENCODE_OPUS, ENCODE_VORBIS, ENCODE_FLAC };

enum { ENCODE_CHANNELS_MAX = 8, ENCODE_RATE_MAX = 655350 };

/* What PCM is. The samples themselves are planar float, one plane a channel, nominal −1 … 1. */
struct pcm_format {
    int rate; /* Hz, 1 … ENCODE_RATE_MAX */
    unsigned channels;
    uint64_t channel_mask; /* speakers as in WAVEFORMATEXTENSIBLE and AV_CH_*, planes in order of
                              bits; 0: encode_speakers() */
    unsigned bits; /* of the source's samples, for FLAC: ≤ 16 → 16, else 24. Integers of up
                      to 24 bits are exact in float: n / 2^23 (n / 2^15 for 16 bits) */
};

struct encode_spec {
    enum encode_format format;
    unsigned bitrate_kbps; /* 96, 160, 320 …; ignored for FLAC */
    int fd;                /* where the file goes; stays the caller's */
};

/* A finished file; the members of catalog.h's struct rendition. Text is static or in here,
 * fragments belong to the encoder (or ladder) and live as long as it does. */
struct rendition_info {
    const char *format; /* "aac" "mp3" "opus" "vorbis" "flac" */
    unsigned bitrate;   /* nominal kbit/s, 0 for flac */
    char file[32];      /* "aac-160.mp4" "mp3-320.mp3" "opus-96.opus" "vorbis-96.ogg" "flac.mp4" */
    const char *mime;   /* "audio/mp4" "audio/mpeg" "audio/ogg" */
    const char *codecs; /* RFC 6381: "mp4a.40.2" "fLaC"; "" where no manifest names it */
    int64_t bytes;
    int64_t samples;   /* N: what plays, in samples of timescale, exact */
    int64_t timescale; /* R, Hz */
    unsigned channels;
    int64_t init_bytes;                        /* ftyp + moov; 0: not fragmented, as all below */
    int64_t index_bytes;                       /* the sidx, directly behind init */
    int64_t first_fragment_end;                /* offset behind fragment 0 */
    int64_t bandwidth_peak, bandwidth_average; /* bit/s: over whole fragments; both the average
                                                  where not fragmented */
    const uint32_t *fragments; /* pairs: bytes (moof + mdat), duration on the presentation as in
                                  sidx (sum N; AAC: the first is 1024 short of its frames) */
    unsigned fragment_count;
};

/* The format of a word ("aac" …); false for none of them. And back. */
bool encode_format_parse(const char *word, enum encode_format *ret_format);
const char *encode_format_name(enum encode_format format);

/* What the file of a format will be for PCM of source: AAC, MP3 and Vorbis are stereo at 44.1 kHz
 * for its multiples and fractions, else 48 kHz; Opus is stereo at 48 kHz; FLAC is the source. */
struct pcm_format encode_target(enum encode_format format, const struct pcm_format *source);

/* Samples that frames of the source become at a target rate: frames × target / source, rounded. */
int64_t encode_length(int64_t frames, int source_rate, int target_rate);

/* The speakers of PCM: its mask, or what FLAC means by so many channels (RFC 9639, 9.1.3: mono,
 * stereo, 3.0, quad, 5.0, 5.1, 6.1, 7.1). 0: nothing is usual for so many. */
uint64_t encode_speakers(const struct pcm_format *pcm);
/* The mask that a FLAC file must carry beside its sound (WAVEFORMATEXTENSIBLE_CHANNEL_MASK, RFC
 * 9639, 8.6.2), 0: none, its speakers are those that FLAC means by so many channels. pcm has 1 to
 * ENCODE_CHANNELS_MAX of them. */
uint32_t encode_flac_mask(const struct pcm_format *pcm);

/* Whether this format can hold such PCM at all. FLAC: rates above 65534 Hz only in tens, which its
 * frames can name; samples of more than 24 bits are rounded to 24, floats beyond full scale
 * clipped. Lossy formats hold all, since they are resampled and mixed down. */
bool encode_can(enum encode_format format, const struct pcm_format *source);

struct encoder;

/* pcm is what will be fed: encode_target(…). ERR_INVALID, ERR_UNSUPPORTED, ERR_NO_MEMORY, ERR_IO
 * with words in problem. */
int encoder_new(const struct encode_spec *spec, const struct pcm_format *pcm,
                struct problem *problem, struct encoder **ret_encoder);
/* planes[channel][frame], any number of frames; every sample finite (the ladder sees to it). */
int encoder_write(struct encoder *encoder, const float *const *planes, unsigned frames,
                  struct problem *problem);
/* Ends the file; afterwards only encoder_free. ERR_INVALID when nothing was ever written. The info
 * lives as long as the encoder. */
int encoder_finish(struct encoder *encoder, struct problem *problem,
                   const struct rendition_info **ret_info);
void encoder_free(struct encoder *encoder); /* NULL is fine; leaves the descriptor alone */
