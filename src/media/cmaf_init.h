/* The init segment of a CMAF file: ftyp and moov (cmaf.h). Called by cmaf.c alone. */
#pragma once

#include "base/buffer.h"
#include "media/cmaf.h"

struct cmaf_init {
    const struct cmaf_config *config;
    uint32_t samples;     /* N */
    uint32_t padding;     /* samples that the packets hold behind N */
    const uint8_t *setup; /* AudioSpecificConfig or STREAMINFO */
    unsigned setup_length;
};

void cmaf_write_init(struct buffer *out, const struct cmaf_init *init);
