/* The boxes of an MP4 file's own level (mp4.h; ISO/IEC 14496-12, 4.2). Called by probe.c when
 * libavformat found no sound in one, on the job's thread, inside the sandbox. */
#include "media/mp4.h"

#include <libavformat/avio.h>
#include <libavutil/macros.h>
#include <stdint.h>

enum { BOXES_MAX = 4096, HEAD_BYTES = 8, LONG_HEAD_BYTES = 16 };

/* The offset behind the box at `at`, INT64_MAX when that is beyond all files; its type. */
static int64_t box_end(AVIOContext *io, int64_t at, int64_t bytes, uint32_t *ret_type)
{
    (void)avio_seek(io, at, SEEK_SET);
    uint64_t size = avio_rb32(io);
    uint64_t head = size == 1 ? LONG_HEAD_BYTES : HEAD_BYTES;
    *ret_type = avio_rb32(io);
    size = size == 1 ? avio_rb64(io) : size == 0 ? (uint64_t)(bytes - at) : size;
    return size < head ? at : size > (uint64_t)(INT64_MAX - at) ? INT64_MAX : at + (int64_t)size;
}

static bool walk(AVIOContext *io, int64_t bytes)
{
    int64_t at = 0;
    for (unsigned i = 0; i < BOXES_MAX && at < bytes; i++) {
        uint32_t type = 0;
        if (bytes - at < HEAD_BYTES) {
            return true;
        }
        int64_t end = box_end(io, at, bytes, &type);
        if (end > bytes) {
            return true;
        }
        if (type == MKBETAG('m', 'o', 'o', 'v') || end == at) { /* a box of no size: broken */
            return false;
        }
        at = end;
    }
    return at >= bytes;
}

bool mp4_is_cut(AVIOContext *io)
{
    int64_t position = avio_tell(io);
    bool cut = walk(io, avio_size(io));
    (void)avio_seek(io, position, SEEK_SET);
    return cut;
}
