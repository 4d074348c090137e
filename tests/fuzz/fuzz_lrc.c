/* Lyrics with times. Whatever the text: the words are text and not longer than it, lines are in
 * order, from zero on, within the limits, and what they say is text of theirs.
 *
 * Covers: src/service/catalog/lrc.c */
#include "base/text.h"
#include "fuzz.h"
#include "service/catalog/lrc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct arena *arena = arena_new(0);
    struct lrc lrc;
    FUZZ_CHECK(arena != NULL && lrc_read(arena, text, &lrc) == 0);
    size_t length = strlen(text), bytes = 0;
    FUZZ_CHECK(strlen(lrc.text) <= length && lrc.count <= LRC_LINES_MAX);
    FUZZ_CHECK(!text_is_utf8(text, length) || text_is_utf8(lrc.text, strlen(lrc.text)));
    for (unsigned i = 0; i < lrc.count; i++) {
        const struct lrc_line *line = &lrc.lines[i];
        FUZZ_CHECK(line->at_ms >= (i > 0 ? lrc.lines[i - 1].at_ms : 0));
        FUZZ_CHECK(strchr(line->text, '\n') == NULL && strlen(line->text) <= length);
        bytes += strlen(line->text);
    }
    FUZZ_CHECK(bytes <= LRC_BYTES_MAX + length);
    FUZZ_CHECK(lrc.count > 0 || strcmp(lrc.text, text) == 0);
    arena_free(arena);
    free(text);
    return 0;
}
