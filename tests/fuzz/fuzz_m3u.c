/* Playlists as M3U, as UTF-8 and as older files are. What is read is clean and within its limits;
 * written again it names the same tracks.
 *
 * Covers: src/service/library/formats/m3u.c src/service/library/formats/list_text.c */
#include "fuzz_list_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_list(LIST_M3U8, data, size);
    fuzz_list(LIST_M3U, data, size);
    return 0;
}
