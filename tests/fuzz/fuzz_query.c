/* What somebody types into the search box: words, "phrases", -without and filters, of any length
 * and in any disorder. It is always a query: its words are within what the index takes, no form is
 * empty, nothing in quotes bears typos, years run forwards; asked of an index, it answers, and by
 * the name of the one document finds it.
 *
 * Covers: src/service/search/query.c src/backend/index/segment_ask.c */
#include "backend/index/segment.h"
#include "base/text.h"
#include "fuzz.h"
#include "service/search/search_internal.h"
#include "service/search/words.h"

enum { ARENA_BYTES = 16 << 20, LIMIT = 10, NAME_BYTES = 200 };

static void check_asked(const struct index_asked *asked)
{
    FUZZ_CHECK(asked->form_count > 0 && asked->form_count <= INDEX_FORMS_MAX);
    FUZZ_CHECK(asked->typos_max <= INDEX_TYPOS_MAX && (!asked->whole || asked->typos_max == 0));
    FUZZ_CHECK(asked->field >= -1 && asked->field < INDEX_BAG);
    for (unsigned i = 0; i < asked->form_count; i++) {
        size_t length = strlen(asked->forms[i]);
        FUZZ_CHECK(length > 0 && length <= INDEX_WORD_BYTES_MAX);
    }
}

static void check_query(const struct index_query *query)
{
    FUZZ_CHECK(query->key != NULL && query->asked_count <= INDEX_ASKED_MAX);
    for (unsigned i = 0; i < query->asked_count; i++) {
        check_asked(&query->asked[i]);
    }
    FUZZ_CHECK(query->year_first >= 0 && query->year_first <= query->year_last);
    FUZZ_CHECK(query->genre == NULL || query->genre[0] != '\0');
}

/* An index of the one thing that has the text as its name. */
static char *make_segment(struct arena *arena, const char *text, struct segment *segment)
{
    const struct catalog_name name = {.id = 1,
                                      .name = text,
                                      .artist = "Somebody",
                                      .album = "",
                                      .genres = "[\"rock\"]",
                                      .release_date = "1990",
                                      .original_date = "",
                                      .lyrics = ""};
    struct index_doc doc;
    char *bytes = NULL;
    size_t length = 0;
    struct segment_build *build = segment_build_new();
    FILE *out = open_memstream(&bytes, &length);
    FUZZ_CHECK(build != NULL && out != NULL);
    FUZZ_CHECK(document_make(arena, INDEX_TRACK, &name, 1, &doc) == 0);
    FUZZ_CHECK(segment_build_add(build, &doc) == 0);
    FUZZ_CHECK(segment_build_write(build, out) == 0 && fclose(out) == 0);
    segment_build_free(build);
    void *room = NULL;
    FUZZ_CHECK(posix_memalign(&room, SEGMENT_ALIGN, length) == 0);
    char *aligned = memcpy(room, bytes, length);
    free(bytes);
    FUZZ_CHECK(segment_open(aligned, length, segment) == 0);
    return aligned;
}

/* What a query gives a meaning of its own, quotes of every sort among it. */
static bool has_signs(const char *text)
{
    static const char *const signs[] = {"-", ":", "\"", "“", "”", "„", "‟", "«", "»", "＂"};
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        if (strstr(text, signs[i]) != NULL) {
            return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct arena *arena = arena_new(ARENA_BYTES);
    FUZZ_CHECK(arena != NULL);
    static struct index_query query;
    static struct index_hits hits;
    struct segment segment;
    FUZZ_CHECK(query_read(arena, text, &query) == 0);
    check_query(&query);
    char *bytes = make_segment(arena, text, &segment);
    query.limit = LIMIT;
    FUZZ_CHECK(segment_ask(&segment, NULL, &query, &hits) == 0);
    FUZZ_CHECK(hits.count <= 1);
    bool plain = !has_signs(text) && size <= NAME_BYTES && text_is_utf8(text, size);
    FUZZ_CHECK(!plain || hits.count == 1 || !query_asks(&query) ||
               query.asked_count == INDEX_ASKED_MAX);
    free(bytes);
    arena_free(arena);
    free(text);
    return 0;
}
