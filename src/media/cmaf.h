/* The muxer: packets of one sound track into one fragmented MP4 (CMAF) with a segment index.
 *
 *   ftyp moov sidx (moof mdat)*
 *
 * libavformat can't write such a file exactly (it shortens the last sample, loses the edit list and
 * differs in its init bytes from rung to rung), so the boxes are written here, byte by byte. What
 * they must hold for players to join tracks without losing or adding a sample:
 *
 *   1. All times are in samples: every timescale is the rate R.
 *   2. The edit list has one entry: skip `priming`, play N. The sidx durations sum up to N.
 *   3. Every AAC sample lasts 1024, the last one too (trex); FLAC's last lasts what it does.
 *   4. ftyp + moov say nothing of the bitrate: the same bytes in all rungs of a track.
 *   5. AAC carries iTunSMPB, without which FFmpeg 5.1 plays the priming.
 *   6. A fragment is about 4 s; a tail of less than a quarter of one joins the fragment before it.
 *
 * N and the sizes are known last, so fragments are written from the start of the file and moved up
 * when the head is written. Sources: ISO/IEC 14496-12 (boxes), 14496-14 (esds), 23000-19 (CMAF),
 * xiph.org "Encapsulation of FLAC in ISO Base Media File Format".
 *
 * Called by encode.c; one thread at a time; all memory is its own.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum cmaf_codec { CMAF_AAC, CMAF_FLAC };

struct cmaf_config {
    enum cmaf_codec codec;
    int fd; /* the caller's; empty, seekable, read and write */
    int rate;
    unsigned channels;
    unsigned bits;          /* of a sample entry: 16 or 24 */
    unsigned frame_samples; /* of every packet but FLAC's last */
    unsigned priming;       /* samples before the track: 1024 for AAC, 0 for FLAC */
    uint32_t channel_mask;  /* FLAC: encode_flac_mask(), 0 for most */
};

/* What the file became; fragments as in rendition_info, owned by the muxer. */
struct cmaf_result {
    int64_t bytes, init_bytes, index_bytes, first_fragment_end;
    int64_t bandwidth_peak, bandwidth_average;
    const uint32_t *fragments;
    unsigned fragment_count;
};

struct cmaf;

int cmaf_new(const struct cmaf_config *config, struct cmaf **ret_cmaf);
void cmaf_free(struct cmaf *cmaf); /* NULL is fine */
/* The next packet. ERR_TOO_LARGE past 2^32 − 1 samples or bytes of a fragment; ERR_NO_MEMORY,
 * ERR_IO, ERR_DISK_FULL. */
int cmaf_packet(struct cmaf *cmaf, const uint8_t *bytes, size_t length, unsigned duration);
/* The end of a track of N samples. setup: AAC's AudioSpecificConfig (≤ 64 bytes) or FLAC's final
 * STREAMINFO (34 bytes). ERR_INVALID when the packets do not reach to N. */
int cmaf_finish(struct cmaf *cmaf, int64_t samples, const uint8_t *setup, size_t setup_length,
                struct cmaf_result *ret_result);
/* Packets in a whole fragment: what comes nearest to 4 s. */
unsigned cmaf_fragment_packets(int rate, unsigned frame_samples);
