/* A name for the sound of a file (sound_hash.h). Called by tags_file.c. Lengths in a file are taken
 * as what they are, numbers from outside: a span is always cut to the file. */
#include "media/sound_hash.h"

#include "base/error.h"
#include "media/sealed.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

enum {
    HEAD_BYTES = 10,
    ID3V1_BYTES = 128,
    FOOTER_BYTES = 32,
    BLOCKS_MAX = 4096, /* of metadata, boxes or chunks before the sound */
    OGG_PAGE_HEAD = 27,
    OGG_WINDOW = 128 * 1024, /* the longest page is 65,307 bytes */
};

/* Where the sound is. */
struct span {
    int64_t from, to;
};

static ssize_t read_at(int fd, void *bytes, size_t length, int64_t offset)
{
    ssize_t got;
    do {
        got = sealed_pread(fd, bytes, length, offset);
    } while (got < 0 && errno == EINTR);
    return got;
}

static bool read_whole(int fd, void *bytes, size_t length, int64_t offset)
{
    return offset >= 0 && read_at(fd, bytes, length, offset) == (ssize_t)length;
}

static uint64_t big(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static uint64_t little(const uint8_t *bytes, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = count; i-- > 0;) {
        value = value << 8 | bytes[i];
    }
    return value;
}

/* --- tags at both ends, of any file --- */

/* ID3v2, one behind the other: the size is in four times seven bits (ID3v2.4 structure, 3.1). */
static void skip_id3v2(int fd, struct span *span)
{
    uint8_t head[HEAD_BYTES];
    for (unsigned i = 0;
         i < 4 && read_whole(fd, head, sizeof head, span->from) && memcmp(head, "ID3", 3) == 0;
         i++) {
        int64_t size = (int64_t)(head[6] & 0x7f) << 21 | (int64_t)(head[7] & 0x7f) << 14 |
                       (int64_t)(head[8] & 0x7f) << 7 | (head[9] & 0x7f);
        span->from += size + HEAD_BYTES + ((head[5] & 0x10) != 0 ? HEAD_BYTES : 0);
    }
}

static bool cut_id3v1(int fd, struct span *span)
{
    uint8_t head[3];
    bool found =
        read_whole(fd, head, sizeof head, span->to - ID3V1_BYTES) && memcmp(head, "TAG", 3) == 0;
    span->to -= found ? ID3V1_BYTES : 0;
    return found;
}

static bool cut_ape(int fd, struct span *span)
{
    uint8_t foot[FOOTER_BYTES];
    if (!read_whole(fd, foot, sizeof foot, span->to - FOOTER_BYTES) ||
        memcmp(foot, "APETAGEX", 8) != 0) {
        return false;
    }
    bool has_head = (foot[23] & 0x80) != 0;
    span->to -= (int64_t)little(foot + 12, 4) + (has_head ? FOOTER_BYTES : 0);
    return true;
}

/* Lyrics3 v2 ends with six digits of its size and "LYRICS200". */
static bool cut_lyrics3(int fd, struct span *span)
{
    uint8_t foot[15];
    if (!read_whole(fd, foot, sizeof foot, span->to - (int64_t)sizeof foot) ||
        memcmp(foot + 6, "LYRICS200", 9) != 0) {
        return false;
    }
    int64_t size = 0;
    for (unsigned i = 0; i < 6; i++) {
        size = size * 10 + (foot[i] >= '0' && foot[i] <= '9' ? foot[i] - '0' : 0);
    }
    span->to -= size + (int64_t)sizeof foot;
    return true;
}

static void cut_end(int fd, struct span *span)
{
    for (unsigned i = 0; i < 4; i++) {
        if (!cut_id3v1(fd, span) && !cut_ape(fd, span) && !cut_lyrics3(fd, span)) {
            return;
        }
    }
}

/* --- containers that say where their sound is --- */

/* FLAC: behind the last metadata block (RFC 9639, 8.1). */
static bool find_flac(int fd, struct span *span)
{
    uint8_t head[4];
    if (!read_whole(fd, head, sizeof head, span->from) || memcmp(head, "fLaC", 4) != 0) {
        return false;
    }
    int64_t at = span->from + 4;
    for (unsigned i = 0; i < BLOCKS_MAX && read_whole(fd, head, sizeof head, at); i++) {
        at += 4 + (int64_t)big(head + 1, 3);
        if ((head[0] & 0x80) != 0) {
            break;
        }
    }
    span->from = at;
    return true;
}

/* MP4: the largest mdat (ISO/IEC 14496-12, 8.1.1). */
static bool find_mp4(int fd, struct span *span)
{
    uint8_t head[16];
    int64_t at = span->from;
    struct span best = {0, 0};
    for (unsigned i = 0; i < BLOCKS_MAX && read_whole(fd, head, 8, at); i++) {
        int64_t size = (int64_t)big(head, 4), skip = 8;
        if (i == 0 && memcmp(head + 4, "ftyp", 4) != 0) {
            return false;
        }
        if (size == 1 && read_whole(fd, head, sizeof head, at)) {
            size = (int64_t)(big(head + 8, 8) & INT64_MAX);
            skip = 16;
        }
        size = size == 0 || size > span->to - at ? span->to - at : size;
        if (size < skip) {
            break;
        }
        if (memcmp(head + 4, "mdat", 4) == 0 && size - skip > best.to - best.from) {
            best = (struct span){at + skip, at + size};
        }
        at += size;
    }
    *span = best.to > best.from ? best : *span;
    return best.to > best.from;
}

/* WAV and AIFF: the chunk of samples. */
static bool find_riff(int fd, struct span *span)
{
    uint8_t head[12];
    if (!read_whole(fd, head, sizeof head, span->from)) {
        return false;
    }
    bool wav = memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "WAVE", 4) == 0;
    bool aiff = memcmp(head, "FORM", 4) == 0 && memcmp(head + 8, "AIF", 3) == 0;
    int64_t at = span->from + 12;
    for (unsigned i = 0; (wav || aiff) && i < BLOCKS_MAX && read_whole(fd, head, 8, at); i++) {
        int64_t size = (int64_t)(wav ? little(head + 4, 4) : big(head + 4, 4));
        if (memcmp(head, wav ? "data" : "SSND", 4) == 0) {
            *span = (struct span){at + 8, at + 8 + size};
            return true;
        }
        at += 8 + size + (size & 1);
    }
    return false;
}

/* ASF: the data object behind the header (Advanced Systems Format, 3 and 5.1). */
static bool find_asf(int fd, struct span *span)
{
    static const uint8_t header[16] = {0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11,
                                       0xa6, 0xd9, 0x00, 0xaa, 0x00, 0x62, 0xce, 0x6c};
    static const uint8_t data[16] = {0x36, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11,
                                     0xa6, 0xd9, 0x00, 0xaa, 0x00, 0x62, 0xce, 0x6c};
    enum { OBJECT_HEAD = 24, DATA_HEAD = 50 };
    uint8_t head[OBJECT_HEAD];
    int64_t at = span->from;
    for (unsigned i = 0; i < BLOCKS_MAX && read_whole(fd, head, sizeof head, at); i++) {
        int64_t size = (int64_t)(little(head + 16, 8) & INT64_MAX);
        if (i == 0 && memcmp(head, header, sizeof header) != 0) {
            return false;
        }
        size = size > span->to - at ? span->to - at : size;
        if (memcmp(head, data, sizeof data) == 0 && size > DATA_HEAD) {
            *span = (struct span){at + DATA_HEAD, at + size};
            return true;
        }
        if (size < OBJECT_HEAD) {
            break;
        }
        at += size;
    }
    return false;
}

/* --- hashing --- */

static int hash_piece(crypto_generichash_state *state, int fd, int64_t from, int64_t to)
{
    unsigned char bytes[SOUND_HASH_END_BYTES];
    size_t length = (size_t)(to - from);
    if (length == 0) {
        return 0;
    }
    ssize_t got = read_at(fd, bytes, length, from);
    if (got < 0) {
        return ERR_IO;
    }
    (void)crypto_generichash_update(state, bytes, (size_t)got);
    return 0;
}

static int hash_span(crypto_generichash_state *state, int fd, const struct span *span)
{
    int64_t length = span->to - span->from, half = SOUND_HASH_END_BYTES;
    unsigned char size[8];
    for (unsigned i = 0; i < sizeof size; i++) {
        size[i] = (unsigned char)(length >> (8 * i));
    }
    (void)crypto_generichash_update(state, size, sizeof size);
    int64_t first = length < half ? length : half;
    int64_t last = length - first < half ? length - first : half;
    int error = hash_piece(state, fd, span->from, span->from + first);
    return error != 0 ? error : hash_piece(state, fd, span->to - last, span->to);
}

/* Ogg: new tags move every page and number it anew, so that only what is inside pages counts: the
 * payload of whole pages among the last bytes, with their granule positions (RFC 3533, 6), which
 * for all but the shortest sounds lie far behind the comments. */
static int hash_ogg(crypto_generichash_state *state, int fd, const struct span *span)
{
    static unsigned char window[OGG_WINDOW]; /* one thread: tutti-media's main one */
    int64_t from = span->to - OGG_WINDOW > span->from ? span->to - OGG_WINDOW : span->from;
    ssize_t got = read_at(fd, window, (size_t)(span->to - from), from);
    if (got < 0) {
        return ERR_IO;
    }
    /* The last two pages: pages are found from the front, since "OggS" may stand in a payload. */
    size_t pages[2] = {0, 0}, found = 0, end = (size_t)got;
    for (size_t at = 0; at + OGG_PAGE_HEAD <= end;) {
        const unsigned char *page = window + at;
        size_t segments = page[26], size = OGG_PAGE_HEAD + segments;
        if (memcmp(page, "OggS", 4) != 0 || page[4] != 0 || at + size > end) {
            at++;
            continue;
        }
        for (size_t i = 0; i < segments; i++) {
            size += page[OGG_PAGE_HEAD + i];
        }
        if (at + size > end) {
            at++;
            continue;
        }
        pages[0] = pages[1];
        pages[1] = at;
        found++;
        at += size;
    }
    for (size_t i = found >= 2 ? 0 : 1; found > 0 && i < 2; i++) {
        const unsigned char *page = window + pages[i];
        size_t segments = page[26], size = 0;
        for (size_t k = 0; k < segments; k++) {
            size += page[OGG_PAGE_HEAD + k];
        }
        (void)crypto_generichash_update(state, page + 6, 8);
        (void)crypto_generichash_update(state, page + OGG_PAGE_HEAD, segments + size);
    }
    return found > 0 ? 0 : hash_span(state, fd, span);
}

int sound_hash(int fd, int64_t bytes, char out[SOUND_HASH_TEXT])
{
    struct span span = {0, bytes};
    crypto_generichash_state state;
    unsigned char digest[SOUND_HASH_BYTES];
    uint8_t magic[4];
    (void)crypto_generichash_init(&state, NULL, 0, sizeof digest);
    skip_id3v2(fd, &span);
    bool ogg = read_whole(fd, magic, sizeof magic, span.from) && memcmp(magic, "OggS", 4) == 0;
    if (!ogg && !find_mp4(fd, &span) && !find_riff(fd, &span) && !find_asf(fd, &span)) {
        (void)find_flac(fd, &span);
        cut_end(fd, &span);
    }
    span.to = span.to > bytes ? bytes : span.to;
    if (span.from >= span.to) { /* lengths that contradict each other: the whole file is its name */
        span = (struct span){0, bytes};
    }
    int error = ogg ? hash_ogg(&state, fd, &span) : hash_span(&state, fd, &span);
    (void)crypto_generichash_final(&state, digest, sizeof digest);
    (void)sodium_bin2hex(out, SOUND_HASH_TEXT, digest, sizeof digest);
    return error;
}
