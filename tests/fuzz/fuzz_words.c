/* Names and queries as search words. Whatever the text: words are UTF-8, short, without spaces and
 * in order; and a name is found by typing it as it is stored.
 *
 * Covers: src/service/search/words.c src/service/search/words_scripts.c src/service/search/icu.c */
#include "base/text.h"
#include "fuzz.h"
#include "service/search/words.h"

enum { ARENA_BYTES = 8 << 20 };

static void check_words(const struct words *words)
{
    unsigned position = 0;
    FUZZ_CHECK(words->count <= WORDS_MAX);
    for (unsigned i = 0; i < words->count; i++) {
        const struct word *word = &words->list[i];
        size_t length = strlen(word->text);
        FUZZ_CHECK(length > 0 && length <= WORD_BYTES_MAX);
        FUZZ_CHECK(strchr(word->text, ' ') == NULL);
        FUZZ_CHECK(text_is_utf8(word->text, length));
        FUZZ_CHECK(word->position == position || word->position == position + 1);
        position = word->position;
    }
    FUZZ_CHECK(words->count == 0 || position + 1 == words->positions || words->count == WORDS_MAX);
}

static bool is_found(const struct words *kept, const struct words *asked, unsigned position)
{
    for (unsigned i = 0; i < asked->count; i++) {
        const char *text = asked->list[i].text;
        for (unsigned j = 0; asked->list[i].position == position && j < kept->count; j++) {
            if (strncmp(kept->list[j].text, text, strlen(text)) == 0) {
                return true;
            }
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct arena *arena = arena_new(ARENA_BYTES);
    FUZZ_CHECK(arena != NULL);
    static struct words kept, asked;
    FUZZ_CHECK(words_of(arena, text, WORDS_STORED, &kept) == 0);
    FUZZ_CHECK(words_of(arena, text, WORDS_ASKED, &asked) == 0);
    check_words(&kept);
    check_words(&asked);
    FUZZ_CHECK(words_key(arena, &kept) != NULL);
    for (unsigned i = 0; kept.count < WORDS_MAX && i < asked.positions; i++) {
        FUZZ_CHECK(is_found(&kept, &asked, i));
    }
    arena_free(arena);
    free(text);
    return 0;
}
