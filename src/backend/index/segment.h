/* A segment: an immutable index of one kind, the same bytes in a file that is mapped and in memory.
 * segment_build.c makes them, segment.c reads them, segment_set.c reads their sets, segment_ask.c
 * finds in them, segment_veil.c hides from it what is not for who asks, segment_typo.c finds words
 * that are nearly right. Nobody but index_local*.c includes it.
 *
 * Documents are numbered by popularity, so that of any set the first are the best:
 *
 *   ids, popularity   of each document
 *   by_id             document numbers in the order of their ids
 *   keys              hash of a whole name → document, in order
 *   forward           the words of each document as it has them: matches are judged by it
 *   terms             all words, sorted
 *   trie              over the terms; a node is a prefix, its terms are a range
 *   postings          of a term: its documents (itself, a list, or a set)
 *   unions            of a node with many terms: the documents of all of them, as one set
 *
 * Sets are laid out as Roaring bitmaps are (Lemire et al., "Roaring bitmaps: implementation of an
 * optimized software library", 2018): a window of 65,536 documents at a time, each an array or a
 * bit a document. They are read where they lie, window after window, so that who needs the best
 * thousand of millions touches the first windows alone.
 *
 * The file may be damaged: what is read from it is checked where it is used as a place, and who
 * finds it wrong says so with segment_damaged and goes on without. Numbers are the machine's own:
 * the file belongs to this machine and can be made again. */
#pragma once

#include "backend/index/index.h"

#include <inttypes.h>
#include <roaring/roaring.h>
#include <stdatomic.h>
#include <stdio.h>

#define SEGMENT_MAGIC UINT64_C(0x32676573747574) /* "tutseg2" */

enum {
    SEGMENT_LIST_MAX = 64,  /* postings up to here are a list, beyond a set */
    SEGMENT_ALIGN = 32,     /* of each part */
    SEGMENT_TERM_BITS = 27, /* of a forward entry */
};

/* A forward entry: term, field, and whether it is another form or a filler. */
enum {
    FORWARD_TERM = (1 << SEGMENT_TERM_BITS) - 1,
    FORWARD_FIELD_SHIFT = SEGMENT_TERM_BITS,
    FORWARD_ALSO = 1 << 29,
    FORWARD_FILLER = 1 << 30,
};

struct segment_posting {
    uint32_t offset; /* in 4 bytes; of one document alone: its number */
    uint32_t count;
};

struct segment_node {
    uint32_t children, first_term; /* number of the first child; of the range */
    uint32_t union_offset;         /* in 4 bytes; 0: none */
    uint16_t letters;              /* segment_letter of all that goes on from here, joined */
    uint8_t label;
    uint8_t child_count; /* 0: a single term, whose rest follows */
};

/* A bit that a few letters share: who looks for one sees without a look at the children, which lie
 * elsewhere, that most nodes go on without it. */
static inline uint16_t segment_letter(char letter)
{
    return (uint16_t)(1U << ((unsigned char)letter % 16));
}

struct segment_key {
    uint32_t hash, document;
};

enum {
    WINDOW_BITS = 16,
    WINDOW_DOCUMENTS = 1 << WINDOW_BITS,
    WINDOW_WORDS = WINDOW_DOCUMENTS / 64,
    WINDOW_ARRAY_MAX = 4096, /* documents; beyond, a bit each takes less */
};

/* A set: its head, its windows in order, then what each of them holds, from a multiple of 8. */
struct set_head {
    uint32_t windows, documents;
};
struct set_window {
    uint16_t number; /* the upper half of its documents' numbers */
    uint16_t last;   /* how many there are, less one */
    uint32_t at;     /* the lower halves, or the bits: in 4 bytes from the head */
};

enum segment_part {
    PART_IDS,
    PART_POPULARITY,
    PART_BY_ID,
    PART_KEYS,
    PART_FORWARD_AT,
    PART_FORWARD,
    PART_TERM_AT,
    PART_TERMS,
    PART_POSTINGS,
    PART_SETS, /* lists, sets, unions */
    PART_TRIE,
    PARTS_
};

struct segment_head {
    uint64_t magic;
    uint32_t document_count, term_count, node_count, unused;
    uint64_t part_at[PARTS_], part_bytes[PARTS_];
    uint64_t bytes;
};

struct segment {
    const struct segment_head *head;
    const int64_t *ids;
    const uint32_t *popularity, *by_id, *forward_at, *forward, *term_at, *sets;
    const struct segment_key *keys;
    const char *terms;
    const struct segment_posting *postings;
    const struct segment_node *trie;
    atomic_bool *damaged; /* NULL: nobody wants to know */
};

/* Of bytes that stay, aligned to SEGMENT_ALIGN. ERR_CORRUPT where the parts don't lie inside. */
int segment_open(const void *bytes, uint64_t length, struct segment *ret_segment);
/* The number of an id; false: it is not there. */
bool segment_find(const struct segment *segment, int64_t id, uint32_t *ret_document);
uint32_t segment_key_hash(const char *key);

/* CRoaring's takes no NULL. */
static inline void segment_set_free(const roaring_bitmap_t *set)
{
    if (set != NULL) {
        roaring_bitmap_free(set);
    }
}

/* ---- words ---- */

/* A prefix: terms [first, last). */
struct term_range {
    uint32_t first, last;
    uint32_t node; /* whose union it is */
    uint8_t typos;
};
/* False: no word begins so. */
bool segment_prefix(const struct segment *segment, const char *prefix,
                    struct term_range *ret_range);
/* The word itself; false: it is not there. */
bool segment_term(const struct segment *segment, const char *text, uint32_t *ret_term);

/* A document's shelf is a word in its bag, marked as those of enum index_bag are. */
enum { SEGMENT_SHELF = 5, SEGMENT_SHELF_SIZE = 24 };
static inline void segment_shelf_text(int64_t shelf, char ret_text[SEGMENT_SHELF_SIZE])
{
    (void)snprintf(ret_text, SEGMENT_SHELF_SIZE, "%c%" PRId64, SEGMENT_SHELF, shelf);
}

enum { RANGES_MAX = 2048 };
struct term_ranges {
    struct term_range list[RANGES_MAX];
    unsigned count;
};
/* Words that begin, or are, text with `typos` letters wrong, missing, too many or swapped (optimal
 * string alignment), never fewer. The last letter of a prefix is right. Sorted. */
void segment_typos(const struct segment *segment, const char *text, unsigned typos, bool whole,
                   struct term_ranges *ranges);

/* A term's text, no NUL behind it; "" where there is none. */
const char *segment_text(const struct segment *segment, uint32_t term, size_t *ret_length);
/* The children of a range's node, *ret_count of them, and the range of one of them: in order, each
 * inside its parent's. */
const struct segment_node *segment_children(const struct segment *segment,
                                            const struct term_range *range, unsigned *ret_count);
struct term_range segment_child(const struct segment *segment, const struct term_range *parent,
                                unsigned child);

/* What was read cannot be. */
static inline void segment_damaged(const struct segment *segment)
{
    if (segment->damaged != NULL) {
        atomic_store_explicit(segment->damaged, true, memory_order_relaxed);
    }
}

/* ---- sets ---- */

enum { SOURCE_PARTS = 1 + INDEX_TYPOS_MAX, WINDOW_NONE = -1 };

struct set_reader {
    const struct set_window *windows;
    const uint32_t *head;
    uint64_t room; /* in 4 bytes, from the head to the end of all sets */
    uint32_t at, count;
};

/* The documents of ranges of terms, a window at a time, forwards. What it takes is only read when
 * the first window is asked for. */
struct source {
    const struct segment *segment;
    struct {
        const struct term_range *list; /* borrowed */
        unsigned count;
    } parts[SOURCE_PARTS];
    unsigned part_count;
    uint64_t documents; /* at most so many */
    uint64_t lists;     /* documents that lie in lists */
    uint32_t readers_wanted;
    bool sure;           /* judging a document does not tell whether it is in here */
    bool opened, failed; /* failed: out of memory */
    struct set_reader *readers;
    uint32_t *list; /* of the lists, in order */
    size_t list_count, list_at;
    unsigned reader_count;
};

/* Nothing to be freed before the first window is asked for. */
void source_add(struct source *source, const struct segment *segment,
                const struct term_range *ranges, unsigned count);
void source_done(struct source *source);
void source_rewind(struct source *source);
/* The first window from `from` on that has something; WINDOW_NONE: there is none. */
int32_t source_next(struct source *source, int32_t from);
/* Its documents in this window, among those in bits. */
void source_window(struct source *source, int32_t window, uint64_t bits[WINDOW_WORDS]);

/* ---- shelves (segment_veil.c) ---- */

enum { SEGMENT_HIDDEN_MAX = 64 /* more shelves than there may be */ };

/* The documents that a query must not find. Windows and documents are asked for forwards. */
struct veil {
    struct source source;
    struct term_range hidden[SEGMENT_HIDDEN_MAX];
    bool on; /* there are any */
    int32_t window;
    uint64_t bits[WINDOW_WORDS]; /* of that window */
};
void veil_begin(struct veil *veil, const struct segment *segment, const struct index_query *query);
void veil_rewind(struct veil *veil);
void veil_done(struct veil *veil);
void veil_take_away(struct veil *veil, int32_t window, uint64_t bits[WINDOW_WORDS]);
bool veil_hides(struct veil *veil, uint32_t document);

/* ---- asking ---- */

/* The best documents but the dead (NULL: none are). ERR_NO_MEMORY. */
int segment_ask(const struct segment *segment, const roaring_bitmap_t *dead,
                const struct index_query *query, struct index_hits *ret_hits);
/* Whether the left hit stands before the right. */
bool index_hit_before(const struct index_hit *left, const struct index_hit *right);

/* ---- building ---- */

struct segment_build;
struct segment_build *segment_build_new(void);
void segment_build_free(struct segment_build *build);
int segment_build_add(struct segment_build *build, const struct index_doc *doc);
/* Writes it at the file's place, which is a multiple of SEGMENT_ALIGN. The build is used up. */
int segment_build_write(struct segment_build *build, FILE *out);
