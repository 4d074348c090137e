/* A segment of the index that is damaged: a good one with bytes set and its end cut off. It is
 * refused or asked without harm: what is found is of documents that it has, as many as were asked
 * for at most. The good one is not damaged, and all its documents are found.
 *
 * The input: how many bytes are cut off the end (2), then for each change its place (3) and what
 * stands there (1).
 *
 * Covers: src/backend/index/segment.c src/backend/index/segment_ask.c
 * src/backend/index/segment_set.c src/backend/index/segment_typo.c */
#include "backend/index/segment.h"
#include "base/error.h"
#include "fuzz.h"

enum { DOCS = 400, CHANGE_BYTES = 4, LIMIT = 20 };

static char *good;
static size_t good_bytes;

/* Words enough for lists, sets and unions. */
static void add_doc(struct segment_build *build, int64_t id)
{
    static const char *const heads[] = {"ba", "be", "bo", "ka", "ko", "st", "tra"};
    static const char *const tails[] = {"n", "nd", "rel", "sto", "mi", "lunar", "ting"};
    char own[32], shared[32], genre[8] = {INDEX_GENRE, 'r', (char)('a' + id % 3)};
    char year[8] = {INDEX_YEAR, '1', '9', '9', (char)('0' + id % 10)};
    char lyrics[16] = {INDEX_LYRICS, 'g', 'a', 'l', 'i', (char)('a' + id % 20)};
    (void)snprintf(own, sizeof own, "%s%s%s", heads[id % 7], tails[id / 7 % 7], heads[id / 49 % 7]);
    (void)snprintf(shared, sizeof shared, "%s%s", heads[id % 3], tails[id % 5]);
    const struct index_word words[] = {{.text = own, .field = INDEX_NAME},
                                       {.text = "the", .field = INDEX_NAME, .filler = true},
                                       {.text = "night", .field = INDEX_NAME},
                                       {.text = shared, .field = INDEX_BY},
                                       {.text = heads[id % 7], .field = INDEX_ON},
                                       {.text = genre, .field = INDEX_BAG},
                                       {.text = year, .field = INDEX_BAG},
                                       {.text = lyrics, .field = INDEX_BAG}};
    const struct index_doc doc = {.kind = INDEX_TRACK,
                                  .id = id,
                                  .popularity = (uint32_t)(id * 7919 % 1000),
                                  .key = own,
                                  .words = words,
                                  .word_count = sizeof words / sizeof words[0]};
    FUZZ_CHECK(segment_build_add(build, &doc) == 0);
}

static void ask(const struct segment *segment, struct index_asked first, struct index_asked second,
                bool narrow, struct index_hits *hits)
{
    struct index_query query = {.key = first.forms[0],
                                .asked = {first, second},
                                .asked_count = second.form_count > 0 ? 2 : 1,
                                .limit = LIMIT};
    query.genre = narrow ? "ra" : NULL;
    query.year_first = query.year_last = narrow ? 1993 : 0;
    FUZZ_CHECK(segment_ask(segment, NULL, &query, hits) == 0);
    FUZZ_CHECK(hits->count <= LIMIT);
    for (unsigned i = 1; i < hits->count; i++) {
        FUZZ_CHECK(!index_hit_before(&hits->list[i], &hits->list[i - 1]));
    }
}

static struct index_asked word(const char *text, unsigned typos)
{
    return (struct index_asked){.forms = {text}, .form_count = 1, .field = -1, .typos_max = typos};
}

static void ask_all(const struct segment *segment)
{
    static const char *const texts[] = {"b",          "night",      "kandtra", "kadntra",
                                        "tralunarbe", "tralnuarbe", "gali"};
    const struct index_asked none = {.form_count = 0};
    struct index_asked without = word("night", 0), quoted = word("night", 0);
    struct index_hits hits;
    without.excluded = true;
    quoted.whole = true;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ask(segment, word(texts[i], 2), none, false, &hits);
        ask(segment, word(texts[i], 1), word("nigth", 1), false, &hits);
        ask(segment, word(texts[i], 0), quoted, true, &hits);
        ask(segment, word(texts[i], 0), without, false, &hits);
    }
    for (int64_t id = 0; id < DOCS; id += 37) {
        uint32_t document = 0;
        FUZZ_CHECK(!segment_find(segment, id, &document) ||
                   document < segment->head->document_count);
    }
}

static void open_good(atomic_bool *damaged)
{
    struct segment segment;
    struct index_hits hits;
    FUZZ_CHECK(segment_open(good, good_bytes, &segment) == 0);
    segment.damaged = damaged;
    ask_all(&segment);
    ask(&segment, word("nig", 0), (struct index_asked){.form_count = 0}, false, &hits);
    FUZZ_CHECK(hits.count == LIMIT && !atomic_load(damaged));
    for (int64_t id = 0; id < DOCS; id++) {
        uint32_t document = 0;
        FUZZ_CHECK(segment_find(&segment, id, &document) && segment.ids[document] == id);
    }
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    struct segment_build *build = segment_build_new();
    char *bytes = NULL;
    FILE *out = open_memstream(&bytes, &good_bytes);
    FUZZ_CHECK(build != NULL && out != NULL);
    for (int64_t id = 0; id < DOCS; id++) {
        add_doc(build, id);
    }
    FUZZ_CHECK(segment_build_write(build, out) == 0 && fclose(out) == 0);
    segment_build_free(build);
    void *room = NULL;
    FUZZ_CHECK(posix_memalign(&room, SEGMENT_ALIGN, good_bytes) == 0);
    good = memcpy(room, bytes, good_bytes);
    free(bytes);
    atomic_bool damaged = false;
    open_good(&damaged);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    size_t cut = (size_t)data[0] << 8 | data[1];
    size_t length = cut < good_bytes ? good_bytes - cut : 0;
    void *room = NULL; /* of exactly its size */
    FUZZ_CHECK(posix_memalign(&room, SEGMENT_ALIGN, length) == 0);
    char *bytes = memcpy(room, good, length);
    for (size_t at = 2; at + CHANGE_BYTES <= size; at += CHANGE_BYTES) {
        size_t place = (size_t)data[at] << 16 | (size_t)data[at + 1] << 8 | data[at + 2];
        if (length > 0) {
            bytes[place % length] = (char)data[at + 3];
        }
    }
    struct segment segment;
    atomic_bool damaged = false;
    int error = segment_open(bytes, length, &segment);
    FUZZ_CHECK(error == 0 || error == ERR_CORRUPT);
    if (error == 0) {
        segment.damaged = &damaged;
        ask_all(&segment);
    }
    free(bytes);
    return 0;
}
