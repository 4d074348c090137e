/* Covers: a picture from outside becomes JPEG and WebP in fixed sizes, so that the server only
 * sends files. One thread at a time. */
#pragma once

#include "media/failure.h"

#include <stdint.h>

enum {
    COVER_BYTES_MAX = 20 << 20,
    COVER_SIDE_MAX = 16384,
    COVER_PIXELS_MAX = 64 * 1000 * 1000, /* as many as ingest takes */
};

struct cover;

/* Decodes the picture behind the descriptor: of a moving one (GIF) the first frame. Failures:
 * not-image, too-many-pixels, damaged, out-of-limits. */
int cover_open(int fd, int64_t bytes, struct failure *failure, struct cover **ret_cover);
void cover_free(struct cover *cover); /* NULL is fine */
unsigned cover_width(const struct cover *cover);
unsigned cover_height(const struct cover *cover);

enum cover_format { COVER_JPEG, COVER_WEBP };

/* Writes the picture, scaled to fit into size × size (aspect kept, never enlarged), to the
 * descriptor. Transparent parts become white. */
int cover_write(struct cover *cover, unsigned size, enum cover_format format, int fd,
                struct failure *failure, int64_t *ret_bytes);
