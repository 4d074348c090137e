/* Files built into the program by tools/embed.py: the web app, the API's description. Constant
 * data, so the pages are read from the program's file when first used and cost no memory before.
 */
#pragma once

#include <stddef.h>

struct embed_file {
    const char *path;       /* relative, "assets/app.js" */
    const char *media_type; /* with charset where it is text */
    const char *etag;       /* 16 hexadecimal digits of the SHA-256, without quotes */
    size_t length;
    size_t gzip_length; /* 0: packing would not make it smaller */
    const char *bytes;
    const char *gzip_bytes; /* NULL with gzip_length 0 */
};
