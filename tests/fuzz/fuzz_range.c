/* Range headers: the first line is the size, the second the header. No accepted range reaches
 * outside the representation or is empty; several never ask for more than the whole.
 *
 * Covers: src/net/range.c */
#include "fuzz.h"
#include "net/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_FIELDS fields = fuzz_split(data, size, 2);
    uint64_t whole = strtoull(fuzz_or_empty(fields.text[0]), NULL, 10) & INT64_MAX;
    struct range ranges[RANGES_MAX];
    int count = range_parse(fuzz_or_empty(fields.text[1]), whole, ranges);
    FUZZ_CHECK(count >= RANGE_IGNORE && count <= RANGES_MAX);
    uint64_t total = 0;
    for (int i = 0; i < count; i++) {
        FUZZ_CHECK(ranges[i].length > 0);
        FUZZ_CHECK(ranges[i].first < whole && ranges[i].length <= whole - ranges[i].first);
        total += ranges[i].length;
        FUZZ_CHECK(total <= whole);
    }
    return 0;
}
