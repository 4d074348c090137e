/* What a picture says of itself in its first bytes: kind and size, read without decoding anything,
 * so that a picture of 100,000 × 100,000 pixels is refused before a decoder sees it. JPEG (ITU-T
 * T.81 annex B), PNG (ISO 15948 section 11.2.1), WebP (RFC 9649), GIF (GIF89a section 18). Any
 * thread; may read the disk.
 */
#pragma once

#include <stdint.h>

struct blob_source;
struct problem;

struct art_info {
    const char *mime;
    uint32_t width, height;
};

/* Probes the first `length` bytes of fd, by pread. ERR_MEDIA_TYPE: none of the four;
 * ERR_INVALID: its header is broken or it is larger than ART_SIDE_MAX or ART_PIXELS_MAX, with
 * words.
 */
int art_probe(int fd, uint64_t length, struct art_info *ret_info, struct problem *problem);
/* The same of an opened object, which it takes. */
int art_probe_object(struct blob_source *source, struct art_info *ret_info,
                     struct problem *problem);
