/* ftyp and moov, box by box in the order of the file (cmaf_init.h). */
#include "media/cmaf_init.h"

#include "media/box.h"

#include <inttypes.h>
#include <stdio.h>

enum { TRACK = 1, UNITY = 0x00010000, LANGUAGE_UND = 0x55c4, FLAG_DEPENDS_ON_NONE = 0x02000000 };

/* The head of a FLAC metadata block (RFC 9639, section 8.1). */
static const uint32_t FLAC_LAST = 0x80000000, FLAC_COMMENT = 4U << 24;

static void matrix(struct buffer *out)
{
    static const uint32_t identity[9] = {UNITY, 0, 0, 0, UNITY, 0, 0, 0, 0x40000000};
    for (unsigned i = 0; i < 9; i++) {
        box_u32(out, identity[i]);
    }
}

static void write_ftyp(struct buffer *out)
{
    size_t ftyp = box_begin(out, "ftyp");
    box_text(out, "iso6");
    box_u32(out, 0);
    box_text(out, "iso6cmfcisommp41dash");
    box_end(out, ftyp);
}

static void write_mvhd(struct buffer *out, const struct cmaf_init *init)
{
    size_t mvhd = box_begin_full(out, "mvhd", 0, 0);
    box_zeros(out, 8); /* creation and modification: the same file whenever it is made */
    box_u32(out, (uint64_t)init->config->rate);
    box_u32(out, init->samples);
    box_u32(out, UNITY); /* rate */
    box_u16(out, 0x0100);
    box_zeros(out, 10);
    matrix(out);
    box_zeros(out, 24);
    box_u32(out, TRACK + 1);
    box_end(out, mvhd);
}

static void write_mvex(struct buffer *out, const struct cmaf_init *init)
{
    size_t mvex = box_begin(out, "mvex");
    size_t mehd = box_begin_full(out, "mehd", 0, 0);
    box_u32(out, init->samples);
    box_end(out, mehd);
    size_t trex = box_begin_full(out, "trex", 0, 0);
    box_u32(out, TRACK);
    box_u32(out, 1); /* sample description */
    box_u32(out, init->config->frame_samples);
    box_u32(out, 0); /* size: in every trun */
    box_u32(out, FLAG_DEPENDS_ON_NONE);
    box_end(out, trex);
    box_end(out, mvex);
}

static void write_tkhd(struct buffer *out, const struct cmaf_init *init)
{
    size_t tkhd = box_begin_full(out, "tkhd", 0, 3); /* enabled, in the movie */
    box_zeros(out, 8);
    box_u32(out, TRACK);
    box_u32(out, 0);
    box_u32(out, init->samples);
    box_zeros(out, 12);
    box_u16(out, 0x0100); /* volume */
    box_u16(out, 0);
    matrix(out);
    box_zeros(out, 8);
    box_end(out, tkhd);
}

static void write_edts(struct buffer *out, const struct cmaf_init *init)
{
    size_t edts = box_begin(out, "edts");
    size_t elst = box_begin_full(out, "elst", 0, 0);
    box_u32(out, 1);
    box_u32(out, init->samples);
    box_u32(out, init->config->priming);
    box_u32(out, UNITY);
    box_end(out, elst);
    box_end(out, edts);
}

/* MPEG-4 descriptors (14496-1, 7.2.6): tag, length, content. Bitrates stay 0 (rule 4). */
static void write_esds(struct buffer *out, const struct cmaf_init *init)
{
    size_t esds = box_begin_full(out, "esds", 0, 0);
    box_u8(out, 0x03); /* ES_Descriptor */
    box_u8(out, 3 + 2 + 13 + 2 + init->setup_length + 3);
    box_u16(out, 0); /* ES_ID: 0 in files */
    box_u8(out, 0);
    box_u8(out, 0x04); /* DecoderConfigDescriptor */
    box_u8(out, 13 + 2 + init->setup_length);
    box_u8(out, 0x40); /* MPEG-4 audio */
    box_u8(out, 0x15); /* audio stream */
    box_zeros(out, 3 + 4 + 4);
    box_u8(out, 0x05); /* DecoderSpecificInfo */
    box_u8(out, init->setup_length);
    (void)buffer_append(out, init->setup, init->setup_length);
    box_u8(out, 0x06); /* SLConfigDescriptor: predefined for MP4 */
    box_u8(out, 1);
    box_u8(out, 2);
    box_end(out, esds);
}

/* Lengths in a Vorbis comment are little-endian. */
static void comment_length(struct buffer *out, size_t length)
{
    for (unsigned i = 0; i < 4; i++) {
        box_u8(out, length >> (8 * i) & 0xff);
    }
}

/* A VORBIS_COMMENT block, the last, that names the speakers where FLAC's own order does not (RFC
 * 9639, section 8.6.2). */
static void write_speakers(struct buffer *out, uint32_t mask)
{
    char text[64];
    int length = snprintf(text, sizeof text, "WAVEFORMATEXTENSIBLE_CHANNEL_MASK=0x%" PRIX32, mask);
    box_u32(out, FLAC_LAST | FLAC_COMMENT | (4 + 4 + 4 + (unsigned)length));
    comment_length(out, 0); /* no vendor */
    comment_length(out, 1);
    comment_length(out, (size_t)length);
    box_text(out, text);
}

static void write_dfla(struct buffer *out, const struct cmaf_init *init)
{
    uint32_t mask = init->config->channel_mask;
    size_t dfla = box_begin_full(out, "dfLa", 0, 0);
    box_u32(out, (mask == 0 ? FLAC_LAST : 0) | init->setup_length); /* STREAMINFO */
    (void)buffer_append(out, init->setup, init->setup_length);
    if (mask != 0) {
        write_speakers(out, mask);
    }
    box_end(out, dfla);
}

/* 16.16 holds no more than 65535 Hz; FLAC's encapsulation then asks for the greatest regular
 * division of the rate. */
static unsigned entry_rate(int rate)
{
    while (rate > 65535) {
        rate /= 2;
    }
    return (unsigned)rate;
}

static void write_stsd(struct buffer *out, const struct cmaf_init *init)
{
    bool aac = init->config->codec == CMAF_AAC;
    size_t stsd = box_begin_full(out, "stsd", 0, 0);
    box_u32(out, 1);
    size_t entry = box_begin(out, aac ? "mp4a" : "fLaC");
    box_zeros(out, 6);
    box_u16(out, 1); /* data reference */
    box_zeros(out, 8);
    box_u16(out, init->config->channels);
    box_u16(out, init->config->bits);
    box_zeros(out, 4);
    box_u32(out, (uint64_t)entry_rate(init->config->rate) << 16);
    if (aac) {
        write_esds(out, init);
    } else {
        write_dfla(out, init);
    }
    box_end(out, entry);
    box_end(out, stsd);
}

static void write_empty_table(struct buffer *out, const char type[4], unsigned words)
{
    size_t table = box_begin_full(out, type, 0, 0);
    box_zeros(out, 4 * words);
    box_end(out, table);
}

static void write_stbl(struct buffer *out, const struct cmaf_init *init)
{
    size_t stbl = box_begin(out, "stbl");
    write_stsd(out, init);
    write_empty_table(out, "stts", 1);
    write_empty_table(out, "stsc", 1);
    write_empty_table(out, "stsz", 2);
    write_empty_table(out, "stco", 1);
    if (init->config->codec == CMAF_AAC) {
        size_t sgpd = box_begin_full(out, "sgpd", 1, 0);
        box_text(out, "roll");
        box_u32(out, 2); /* bytes an entry */
        box_u32(out, 1);
        box_u16(out, 0xffff); /* −1: decoding one sample before gives a right one */
        box_end(out, sgpd);
    }
    box_end(out, stbl);
}

static void write_handler(struct buffer *out)
{
    size_t hdlr = box_begin_full(out, "hdlr", 0, 0);
    box_u32(out, 0);
    box_text(out, "soun");
    box_zeros(out, 12);
    box_text(out, "SoundHandler");
    box_u8(out, 0);
    box_end(out, hdlr);
}

static void write_dinf(struct buffer *out)
{
    size_t dinf = box_begin(out, "dinf");
    size_t dref = box_begin_full(out, "dref", 0, 0);
    box_u32(out, 1);
    size_t url = box_begin_full(out, "url ", 0, 1); /* in this file */
    box_end(out, url);
    box_end(out, dref);
    box_end(out, dinf);
}

static void write_mdia(struct buffer *out, const struct cmaf_init *init)
{
    size_t mdia = box_begin(out, "mdia");
    size_t mdhd = box_begin_full(out, "mdhd", 0, 0);
    box_zeros(out, 8);
    box_u32(out, (uint64_t)init->config->rate);
    box_u32(out, 0); /* nothing in moov itself */
    box_u16(out, LANGUAGE_UND);
    box_u16(out, 0);
    box_end(out, mdhd);
    write_handler(out);
    size_t minf = box_begin(out, "minf");
    size_t smhd = box_begin_full(out, "smhd", 0, 0);
    box_zeros(out, 4);
    box_end(out, smhd);
    write_dinf(out);
    write_stbl(out, init);
    box_end(out, minf);
    box_end(out, mdia);
}

/* iTunes' way to say priming, padding and length; twelve hexadecimal words in a text. */
static void write_itunsmpb(struct buffer *out, const struct cmaf_init *init)
{
    size_t tag = box_begin(out, "----");
    size_t mean = box_begin_full(out, "mean", 0, 0);
    box_text(out, "com.apple.iTunes");
    box_end(out, mean);
    size_t name = box_begin_full(out, "name", 0, 0);
    box_text(out, "iTunSMPB");
    box_end(out, name);
    size_t data = box_begin_full(out, "data", 0, 1); /* UTF-8 */
    box_u32(out, 0);
    (void)buffer_printf(out, " 00000000 %08X %08" PRIX32 " %016" PRIX64, init->config->priming,
                        init->padding, (uint64_t)init->samples);
    for (unsigned i = 0; i < 8; i++) {
        box_text(out, " 00000000");
    }
    box_end(out, data);
    box_end(out, tag);
}

static void write_udta(struct buffer *out, const struct cmaf_init *init)
{
    size_t udta = box_begin(out, "udta");
    size_t meta = box_begin_full(out, "meta", 0, 0);
    size_t hdlr = box_begin_full(out, "hdlr", 0, 0);
    box_u32(out, 0);
    box_text(out, "mdirappl");
    box_zeros(out, 9);
    box_end(out, hdlr);
    size_t ilst = box_begin(out, "ilst");
    write_itunsmpb(out, init);
    box_end(out, ilst);
    box_end(out, meta);
    box_end(out, udta);
}

void cmaf_write_init(struct buffer *out, const struct cmaf_init *init)
{
    write_ftyp(out);
    size_t moov = box_begin(out, "moov");
    write_mvhd(out, init);
    size_t trak = box_begin(out, "trak");
    write_tkhd(out, init);
    write_edts(out, init);
    write_mdia(out, init);
    box_end(out, trak);
    write_mvex(out, init);
    if (init->config->codec == CMAF_AAC) {
        write_udta(out, init);
    }
    box_end(out, moov);
}
