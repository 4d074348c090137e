/* Fragments, their index, and the file around them (cmaf.h). */
#include "media/cmaf.h"

#include "base/error.h"
#include "base/mem.h"
#include "media/box.h"
#include "media/cmaf_init.h"
#include "media/output.h"

#include <stdlib.h>
#include <string.h>

enum {
    FRAGMENT_SECONDS = 4,
    TAIL_PARTS = 4,           /* a tail of less than 1/4 fragment is none of its own */
    MDAT_BYTES_MAX = 1 << 30, /* of packets not yet written */
    HEAD_BYTES_MAX = 1 << 20, /* init and sidx */
    FRAGMENTS_MAX = 65535,    /* sidx counts in 16 bits */
    TFHD_DEFAULT_BASE_IS_MOOF = 0x020000,
    TRUN_OFFSET_SIZES = 0x201,
    TRUN_DURATIONS = 0x100,
};

static const uint32_t SAP_TYPE_1 = 0x90000000; /* starts with a stream access point, delta 0 */

struct packet {
    uint32_t bytes, duration;
};

struct cmaf {
    struct cmaf_config config;
    unsigned whole, tail;   /* packets in a whole fragment; the fewest in the last */
    struct packet *waiting; /* whole + tail of them at most: known, not yet written */
    unsigned waiting_count;
    struct buffer mdat; /* their bytes */
    struct buffer moof;
    int64_t written;     /* bytes of the file, without the head */
    int64_t decoded;     /* samples in written fragments: the next one's tfdt */
    uint32_t *fragments; /* pairs: bytes, samples; in cmaf_finish the latter become durations on
                            the presentation */
    unsigned fragment_count, fragment_room;
};

unsigned cmaf_fragment_packets(int rate, unsigned frame_samples)
{
    return ((unsigned)(FRAGMENT_SECONDS * rate) * 2 / frame_samples + 1) / 2;
}

int cmaf_new(const struct cmaf_config *config, struct cmaf **ret_cmaf)
{
    struct cmaf *cmaf = calloc(1, sizeof *cmaf);
    if (cmaf == NULL) {
        return ERR_NO_MEMORY;
    }
    cmaf->config = *config;
    unsigned whole = cmaf_fragment_packets(config->rate, config->frame_samples);
    cmaf->whole = whole > 0 ? whole : 1;
    cmaf->tail = cmaf->whole >= TAIL_PARTS ? cmaf->whole / TAIL_PARTS : 1;
    buffer_init(&cmaf->mdat, MDAT_BYTES_MAX);
    buffer_init(&cmaf->moof, HEAD_BYTES_MAX);
    cmaf->waiting = calloc(cmaf->whole + cmaf->tail, sizeof *cmaf->waiting);
    if (cmaf->waiting == NULL) {
        cmaf_free(cmaf);
        return ERR_NO_MEMORY;
    }
    *ret_cmaf = cmaf;
    return 0;
}

void cmaf_free(struct cmaf *cmaf)
{
    if (cmaf == NULL) {
        return;
    }
    buffer_done(&cmaf->mdat);
    buffer_done(&cmaf->moof);
    free(cmaf->waiting);
    free(cmaf->fragments);
    free(cmaf);
}

/* Durations are written only where trex's default does not hold: FLAC's last packet. */
static void write_trun(struct cmaf *cmaf, unsigned count, size_t *ret_offset_at)
{
    struct buffer *out = &cmaf->moof;
    bool durations = cmaf->waiting[count - 1].duration != cmaf->config.frame_samples;
    size_t trun =
        box_begin_full(out, "trun", 0, TRUN_OFFSET_SIZES | (durations ? TRUN_DURATIONS : 0));
    box_u32(out, count);
    *ret_offset_at = out->length;
    box_u32(out, 0);
    for (unsigned i = 0; i < count; i++) {
        if (durations) {
            box_u32(out, cmaf->waiting[i].duration);
        }
        box_u32(out, cmaf->waiting[i].bytes);
    }
    box_end(out, trun);
}

static void write_roll(struct buffer *out, unsigned count)
{
    size_t sbgp = box_begin_full(out, "sbgp", 0, 0);
    box_text(out, "roll");
    box_u32(out, 1);
    box_u32(out, count);
    box_u32(out, 1); /* the one entry of sgpd in moov */
    box_end(out, sbgp);
}

/* moof and the head of mdat for the first count packets. */
static void write_moof(struct cmaf *cmaf, unsigned count, size_t mdat_bytes)
{
    struct buffer *out = &cmaf->moof;
    size_t offset_at;
    buffer_reset(out);
    size_t moof = box_begin(out, "moof");
    size_t mfhd = box_begin_full(out, "mfhd", 0, 0);
    box_u32(out, cmaf->fragment_count + 1);
    box_end(out, mfhd);
    size_t traf = box_begin(out, "traf");
    size_t tfhd = box_begin_full(out, "tfhd", 0, TFHD_DEFAULT_BASE_IS_MOOF);
    box_u32(out, 1);
    box_end(out, tfhd);
    size_t tfdt = box_begin_full(out, "tfdt", 1, 0);
    box_u64(out, (uint64_t)cmaf->decoded);
    box_end(out, tfdt);
    write_trun(cmaf, count, &offset_at);
    if (cmaf->config.codec == CMAF_AAC) {
        write_roll(out, count);
    }
    box_end(out, traf);
    box_end(out, moof);
    box_u32(out, mdat_bytes + 8);
    box_text(out, "mdat");
    box_patch_u32(out, offset_at, out->length);
}

static int remember_fragment(struct cmaf *cmaf, size_t bytes, uint32_t samples)
{
    if (cmaf->fragment_count == FRAGMENTS_MAX || bytes > INT32_MAX) {
        return ERR_TOO_LARGE;
    }
    if (cmaf->fragment_count == cmaf->fragment_room) {
        unsigned room = cmaf->fragment_room * 2 + 64;
        uint32_t *fragments = realloc(cmaf->fragments, room * 2 * sizeof *fragments);
        if (fragments == NULL) {
            return ERR_NO_MEMORY;
        }
        cmaf->fragments = fragments;
        cmaf->fragment_room = room;
    }
    cmaf->fragments[2 * cmaf->fragment_count] = (uint32_t)bytes;
    cmaf->fragments[2 * cmaf->fragment_count + 1] = samples;
    cmaf->fragment_count++;
    return 0;
}

/* The first count waiting packets go to the file; the others move up. */
static int write_fragment(struct cmaf *cmaf, unsigned count)
{
    size_t bytes = 0;
    uint32_t samples = 0;
    for (unsigned i = 0; i < count; i++) {
        bytes += cmaf->waiting[i].bytes;
        samples += cmaf->waiting[i].duration;
    }
    write_moof(cmaf, count, bytes);
    int error = buffer_error(&cmaf->moof);
    size_t head = cmaf->moof.length;
    if (error == 0) {
        error = output_write(cmaf->config.fd, cmaf->written, cmaf->moof.data, head);
    }
    if (error == 0) {
        error =
            output_write(cmaf->config.fd, cmaf->written + (int64_t)head, cmaf->mdat.data, bytes);
    }
    if (error == 0) {
        error = remember_fragment(cmaf, head + bytes, samples);
    }
    if (error != 0) {
        return error;
    }
    cmaf->written += (int64_t)(head + bytes);
    cmaf->decoded += samples;
    cmaf->waiting_count -= count;
    memmove(cmaf->waiting, cmaf->waiting + count, cmaf->waiting_count * sizeof *cmaf->waiting);
    memmove(cmaf->mdat.data, cmaf->mdat.data + bytes, cmaf->mdat.length - bytes);
    cmaf->mdat.length -= bytes;
    return 0;
}

int cmaf_packet(struct cmaf *cmaf, const uint8_t *bytes, size_t length, unsigned duration)
{
    int error = buffer_append(&cmaf->mdat, bytes, length);
    if (error != 0) {
        return error;
    }
    cmaf->waiting[cmaf->waiting_count++] =
        (struct packet){.bytes = (uint32_t)length, .duration = duration};
    return cmaf->waiting_count == cmaf->whole + cmaf->tail ? write_fragment(cmaf, cmaf->whole) : 0;
}

/* A fragment's samples become its time on the presentation: the first loses the priming, the last
 * ends at N (rule 2). The peak is taken over fragments long enough to mean something. */
static void measure(struct cmaf *cmaf, int64_t samples, struct cmaf_result *result)
{
    int64_t rate = cmaf->config.rate, start = 0, bytes = 0;
    uint32_t half = cmaf->whole * cmaf->config.frame_samples / 2;
    for (unsigned i = 0; i < cmaf->fragment_count; i++) {
        uint32_t *fragment = cmaf->fragments + 2 * (size_t)i;
        int64_t bandwidth = (int64_t)fragment[0] * 8 * rate / fragment[1];
        if (bandwidth > result->bandwidth_peak && (fragment[1] >= half || i == 0)) {
            result->bandwidth_peak = bandwidth;
        }
        bytes += fragment[0];
        int64_t end = start + fragment[1] - (i == 0 ? cmaf->config.priming : 0);
        end = i + 1 == cmaf->fragment_count ? samples : end;
        fragment[1] = (uint32_t)(end - start);
        start = end;
    }
    result->bandwidth_average = bytes * 8 * rate / cmaf->decoded;
}

static void write_sidx(struct buffer *out, const struct cmaf *cmaf)
{
    size_t sidx = box_begin_full(out, "sidx", 0, 0);
    box_u32(out, 1); /* the track */
    box_u32(out, (uint64_t)cmaf->config.rate);
    box_u32(out, 0); /* earliest presentation time */
    box_u32(out, 0); /* the first fragment follows at once */
    box_u16(out, 0);
    box_u16(out, cmaf->fragment_count);
    for (unsigned i = 0; i < cmaf->fragment_count; i++) {
        box_u32(out, cmaf->fragments[2 * i]);
        box_u32(out, cmaf->fragments[2 * i + 1]);
        box_u32(out, SAP_TYPE_1);
    }
    box_end(out, sidx);
}

static int write_head(struct cmaf *cmaf, const struct cmaf_init *init, struct cmaf_result *result)
{
    struct buffer head CLEANUP(buffer_done);
    buffer_init(&head, HEAD_BYTES_MAX);
    cmaf_write_init(&head, init);
    result->init_bytes = (int64_t)head.length;
    write_sidx(&head, cmaf);
    result->index_bytes = (int64_t)head.length - result->init_bytes;
    int error = buffer_error(&head);
    if (error == 0) {
        error = output_shift(cmaf->config.fd, cmaf->written, (int64_t)head.length);
    }
    if (error == 0) {
        error = output_write(cmaf->config.fd, 0, head.data, head.length);
    }
    result->bytes = (int64_t)head.length + cmaf->written;
    result->first_fragment_end = (int64_t)head.length + cmaf->fragments[0];
    return error;
}

int cmaf_finish(struct cmaf *cmaf, int64_t samples, const uint8_t *setup, size_t setup_length,
                struct cmaf_result *ret_result)
{
    int error = cmaf->waiting_count > 0 ? write_fragment(cmaf, cmaf->waiting_count) : 0;
    if (error != 0) {
        return error;
    }
    int64_t padding = cmaf->decoded - cmaf->config.priming - samples;
    if (samples < 1 || padding < 0 || padding > cmaf->config.frame_samples || setup_length > 64) {
        return ERR_INVALID;
    }
    if (cmaf->decoded > UINT32_MAX) {
        return ERR_TOO_LARGE;
    }
    struct cmaf_result result = {0};
    measure(cmaf, samples, &result);
    struct cmaf_init init = {
        .config = &cmaf->config,
        .samples = (uint32_t)samples,
        .padding = (uint32_t)padding,
        .setup = setup,
        .setup_length = (unsigned)setup_length,
    };
    error = write_head(cmaf, &init, &result);
    if (error != 0) {
        return error;
    }
    result.fragments = cmaf->fragments;
    result.fragment_count = cmaf->fragment_count;
    *ret_result = result;
    return 0;
}
