/* Sets of documents, read where they lie (segment.h): a source is the documents of some terms, and
 * says of one window of 65,536 documents after another which of them it has. Nothing is joined
 * ahead, so the cost is that of the windows that are asked for. One thread a source. */
#include "backend/index/segment.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { RADIX = 256, RADIX_BITS = 8 };

/* The set of a range as a whole; 0: it has none. */
static uint32_t union_of(const struct segment *segment, const struct term_range *range)
{
    return range->last - range->first > 1 ? segment->trie[range->node].union_offset : 0;
}

/* 4 bytes that lie in the part of the sets. */
static uint64_t sets_words(const struct segment *segment)
{
    return segment->head->part_bytes[PART_SETS] / sizeof segment->sets[0];
}

/* False: there can be no set there. */
static bool reader_open(const struct segment *segment, uint32_t offset,
                        struct set_reader *ret_reader)
{
    enum {
        HEAD_WORDS = sizeof(struct set_head) / 4,
        WINDOW_HEAD_WORDS = sizeof(struct set_window) / 4
    };
    uint64_t words = sets_words(segment);
    if (offset % 2 == 0 && words >= HEAD_WORDS && offset <= words - HEAD_WORDS) {
        const struct set_head *head = (const void *)&segment->sets[offset];
        uint64_t room = words - offset;
        if (head->windows <= (room - HEAD_WORDS) / WINDOW_HEAD_WORDS) {
            *ret_reader = (struct set_reader){.windows = (const void *)(head + 1),
                                              .head = &segment->sets[offset],
                                              .room = room,
                                              .count = head->windows};
            return true;
        }
    }
    segment_damaged(segment);
    return false;
}

/* How many documents a set has, as it says. */
static uint32_t set_documents(const struct segment *segment, uint32_t offset)
{
    struct set_reader reader;
    return reader_open(segment, offset, &reader) ? reader.head[1] : 0;
}

/* ---- what a source takes ---- */

void source_add(struct source *source, const struct segment *segment,
                const struct term_range *ranges, unsigned count)
{
    assert(source->part_count < SOURCE_PARTS && !source->opened);
    source->segment = segment;
    source->parts[source->part_count].list = ranges;
    source->parts[source->part_count++].count = count;
    for (unsigned i = 0; i < count; i++) {
        uint32_t joined = union_of(segment, &ranges[i]);
        if (joined != 0) {
            source->documents += set_documents(segment, joined);
            source->readers_wanted++;
        }
        for (uint32_t term = ranges[i].first; joined == 0 && term < ranges[i].last; term++) {
            uint32_t documents = segment->postings[term].count;
            bool listed = documents <= SEGMENT_LIST_MAX;
            source->documents += documents;
            source->lists += listed ? documents : 0;
            source->readers_wanted += listed ? 0 : 1;
        }
    }
}

void source_done(struct source *source)
{
    free(source->readers);
    free(source->list);
    *source = (struct source){.segment = NULL};
}

void source_rewind(struct source *source)
{
    source->list_at = 0;
    for (unsigned i = 0; i < source->reader_count; i++) {
        source->readers[i].at = 0;
    }
}

static void take_reader(struct source *source, uint32_t offset)
{
    assert(source->reader_count < source->readers_wanted);
    if (reader_open(source->segment, offset, &source->readers[source->reader_count])) {
        source->reader_count++;
    }
}

static void take_term(struct source *source, uint32_t term)
{
    const struct segment_posting *posting = &source->segment->postings[term];
    if (posting->count > SEGMENT_LIST_MAX) {
        take_reader(source, posting->offset);
        return;
    }
    uint64_t words = sets_words(source->segment);
    if (posting->count == 1) {
        source->list[source->list_count++] = posting->offset;
    } else if (posting->offset <= words && posting->count <= words - posting->offset) {
        memcpy(&source->list[source->list_count], &source->segment->sets[posting->offset],
               posting->count * sizeof source->list[0]);
        source->list_count += posting->count;
    } else {
        segment_damaged(source->segment);
    }
}

/* By the least byte first. spare has as much room. */
static void sort_list(uint32_t *list, uint32_t *spare, size_t count)
{
    for (unsigned shift = 0; shift < 32; shift += RADIX_BITS) {
        size_t starts[RADIX + 1] = {0};
        for (size_t i = 0; i < count; i++) {
            starts[(list[i] >> shift) % RADIX + 1]++;
        }
        for (unsigned i = 1; i <= RADIX; i++) {
            starts[i] += starts[i - 1];
        }
        for (size_t i = 0; i < count; i++) {
            spare[starts[(list[i] >> shift) % RADIX]++] = list[i];
        }
        uint32_t *sorted = spare; /* an even number of rounds: the last ends in list */
        spare = list;
        list = sorted;
    }
}

static bool source_open(struct source *source)
{
    if (source->opened) {
        return !source->failed;
    }
    source->opened = true;
    source->readers = calloc(source->readers_wanted + 1, sizeof *source->readers);
    source->list = calloc(2 * source->lists + 1, sizeof *source->list);
    source->failed = source->readers == NULL || source->list == NULL;
    if (source->failed) {
        return false;
    }
    for (unsigned part = 0; part < source->part_count; part++) {
        for (unsigned i = 0; i < source->parts[part].count; i++) {
            const struct term_range *range = &source->parts[part].list[i];
            uint32_t joined = union_of(source->segment, range);
            if (joined != 0) {
                take_reader(source, joined);
            }
            for (uint32_t term = range->first; joined == 0 && term < range->last; term++) {
                take_term(source, term);
            }
        }
    }
    sort_list(source->list, source->list + source->lists, source->list_count);
    return true;
}

/* ---- windows ---- */

/* The reader's next window from `from` on; NULL: it has none. */
static const struct set_window *reader_seek(struct set_reader *reader, int32_t from)
{
    while (reader->at < reader->count && reader->windows[reader->at].number < from) {
        reader->at++;
    }
    return reader->at < reader->count ? &reader->windows[reader->at] : NULL;
}

/* The same for what lies in lists: its number, or WINDOW_NONE. */
static int32_t list_seek(struct source *source, int32_t from)
{
    while (source->list_at < source->list_count &&
           (int32_t)(source->list[source->list_at] >> WINDOW_BITS) < from) {
        source->list_at++;
    }
    return source->list_at < source->list_count
               ? (int32_t)(source->list[source->list_at] >> WINDOW_BITS)
               : WINDOW_NONE;
}

int32_t source_next(struct source *source, int32_t from)
{
    if (!source_open(source)) {
        return WINDOW_NONE;
    }
    int32_t next = list_seek(source, from);
    for (unsigned i = 0; i < source->reader_count; i++) {
        const struct set_window *window = reader_seek(&source->readers[i], from);
        if (window != NULL && (next == WINDOW_NONE || window->number < next)) {
            next = window->number;
        }
    }
    return next;
}

static void add_window(const struct source *source, const struct set_reader *reader,
                       const struct set_window *window, uint64_t *bits)
{
    uint32_t count = window->last + 1U;
    bool array = count <= WINDOW_ARRAY_MAX;
    uint32_t words = array ? (count + 1) / 2 : 2 * WINDOW_WORDS;
    if (window->at > reader->room || words > reader->room - window->at || window->at % 2 != 0) {
        segment_damaged(source->segment);
        return;
    }
    if (array) {
        const uint16_t *low = (const void *)(reader->head + window->at);
        for (uint32_t i = 0; i < count; i++) {
            bits[low[i] / 64] |= UINT64_C(1) << low[i] % 64;
        }
        return;
    }
    const uint64_t *more = (const void *)(reader->head + window->at);
    for (unsigned i = 0; i < WINDOW_WORDS; i++) {
        bits[i] |= more[i];
    }
}

void source_window(struct source *source, int32_t window, uint64_t bits[WINDOW_WORDS])
{
    if (!source_open(source)) {
        return;
    }
    for (unsigned i = 0; i < source->reader_count; i++) {
        const struct set_window *next = reader_seek(&source->readers[i], window);
        if (next != NULL && next->number == window) {
            add_window(source, &source->readers[i], next, bits);
        }
    }
    if (list_seek(source, window) != window) {
        return;
    }
    for (; source->list_at < source->list_count; source->list_at++) {
        uint32_t document = source->list[source->list_at];
        if ((int32_t)(document >> WINDOW_BITS) != window) {
            break;
        }
        bits[document % WINDOW_DOCUMENTS / 64] |= UINT64_C(1) << document % 64;
    }
}
