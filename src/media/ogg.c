/* The end of an Ogg file (ogg.h). Called by probe.c, on the job's thread, inside the sandbox.
 *
 * Only the tail is read: a page has at most 65307 bytes, so the head of the last page is in the
 * last 128 KiB, even with tags of other kinds behind it. Heads are looked for from the end. Bytes
 * that look like one inside a packet (a chance of 2^-40) lead at worst to one wrong answer; the
 * checksum is not computed for that.
 */
#include "media/ogg.h"

#include "base/mem.h"

#include <libavformat/avio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { TAIL_BYTES_MAX = 128 * 1024, HEAD_BYTES = 27, FLAG_LAST = 0x04 };

/* A page's head: "OggS", version 0, one of the eight combinations of flags. */
static bool is_head(const uint8_t *at)
{
    return memcmp(at, "OggS", 5) == 0 && (at[5] & ~7) == 0;
}

/* Bytes of the page with its head at `at`, as far as its table of segments is there; SIZE_MAX: the
 * table itself is torn. */
static size_t page_bytes(const uint8_t *at, size_t left)
{
    size_t segments = left >= HEAD_BYTES ? at[HEAD_BYTES - 1] : 0;
    if (left < HEAD_BYTES + segments) {
        return SIZE_MAX;
    }
    size_t bytes = HEAD_BYTES + segments;
    for (size_t i = 0; i < segments; i++) {
        bytes += at[HEAD_BYTES + i];
    }
    return bytes;
}

static bool tail_is_cut(const uint8_t *tail, size_t length)
{
    for (size_t at = length >= 6 ? length - 6 : 0; at > 0; at--) {
        if (is_head(tail + at)) {
            bool torn = page_bytes(tail + at, length - at) > length - at;
            return torn || (tail[at + 5] & FLAG_LAST) == 0;
        }
    }
    return false;
}

bool ogg_is_cut(AVIOContext *io)
{
    int64_t position = avio_tell(io), bytes = avio_size(io);
    int64_t from = bytes > TAIL_BYTES_MAX ? bytes - TAIL_BYTES_MAX : 0;
    uint8_t *tail CLEANUP_FREE = malloc(TAIL_BYTES_MAX);
    if (tail == NULL || bytes <= 0 || avio_seek(io, from, SEEK_SET) < 0) {
        return false;
    }
    int length = avio_read(io, tail, (int)(bytes - from));
    (void)avio_seek(io, position, SEEK_SET);
    return length > 0 && tail_is_cut(tail, (size_t)length);
}
