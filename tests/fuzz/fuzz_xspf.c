/* Playlists as XSPF. What is read is clean and within its limits; written again it names the same
 * tracks.
 *
 * Covers: src/service/library/formats/xspf.c src/base/xml.c src/service/library/formats/list_text.c
 */
#include "fuzz_list_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_list(LIST_XSPF, data, size);
    return 0;
}
