/* Words that are nearly right (segment.h): a walk over the trie with the states of an automaton for
 * optimal string alignment (Damerau 1964), a bit a letter of the text (Wu and Manber, "Fast text
 * searching allowing errors", 1992). A branch ends where no state is left, so of millions of words
 * some thousand letters are looked at.
 *
 * Only words of ASCII are asked for so: other scripts are found by their Latin form. */
#include "backend/index/segment.h"

#include <stdlib.h>
#include <string.h>

enum {
    TEXT_MAX = 32,
    DEPTH_MAX = TEXT_MAX + INDEX_TYPOS_MAX + 1,
    STEPS_MAX = 1 << 20, /* letters; more than that is a damaged file */
};

/* Bit i of within[n]: the path is the text's first i letters, with at most n typos. */
struct states {
    uint64_t within[INDEX_TYPOS_MAX + 1];
};

struct walk {
    const struct segment *segment;
    const char *text;
    size_t length;
    unsigned typos, steps;
    bool whole;
    struct term_ranges *found;
    uint64_t places[256]; /* of a letter in the text, a bit each */
    char path[DEPTH_MAX];
    struct states states[DEPTH_MAX + 1];
};

/* Goes on with the path's letter at depth. False: that is too far from the text. */
static bool step(struct walk *walk, size_t depth)
{
    const struct states *before = &walk->states[depth];
    struct states *after = &walk->states[depth + 1];
    uint64_t here = walk->places[(uint8_t)walk->path[depth]];
    uint64_t swapped = depth > 0 ? here & walk->places[(uint8_t)walk->path[depth - 1]] >> 1 : 0;
    uint64_t all = (UINT64_C(2) << walk->length) - 1;
    after->within[0] = (before->within[0] & here) << 1;
    for (unsigned typos = 1; typos <= walk->typos; typos++) {
        uint64_t fewer = before->within[typos - 1];
        after->within[typos] = (before->within[typos] & here) << 1;
        after->within[typos] |= fewer | fewer << 1;            /* too many, wrong */
        after->within[typos] |= after->within[typos - 1] << 1; /* missing */
        if (swapped != 0) {
            after->within[typos] |= (before[-1].within[typos - 1] & swapped) << 2;
        }
        after->within[typos] &= all;
    }
    return after->within[walk->typos] != 0 && ++walk->steps < STEPS_MAX;
}

/* Typos between the whole text and the path of that depth; walk->typos + 1: more. */
static unsigned typos_at(const struct walk *walk, size_t depth)
{
    unsigned typos = 0;
    while (typos <= walk->typos && (walk->states[depth].within[typos] >> walk->length & 1) == 0) {
        typos++;
    }
    return typos;
}

static void found(struct walk *walk, struct term_range range)
{
    if (walk->found->count < RANGES_MAX) {
        range.typos = (uint8_t)walk->typos;
        walk->found->list[walk->found->count++] = range;
    }
}

/* The path up to here is the text with no more typos, its last letter right: all that goes on so
 * was perhaps being typed. With fewer typos it was found before. */
static bool is_prefix(struct walk *walk, struct term_range range, size_t depth)
{
    unsigned typos = typos_at(walk, depth + 1);
    if (walk->whole || typos > walk->typos || walk->path[depth] != walk->text[walk->length - 1]) {
        return false;
    }
    if (typos == walk->typos) {
        found(walk, range);
    }
    return true;
}

/* The rest of a single term, letter by letter. */
static void walk_term(struct walk *walk, struct term_range range, size_t depth)
{
    size_t length = 0;
    const char *text = segment_text(walk->segment, range.first, &length);
    for (; depth < length; depth++) {
        if (depth >= DEPTH_MAX) {
            return;
        }
        walk->path[depth] = text[depth];
        if (!step(walk, depth) || is_prefix(walk, range, depth)) {
            return;
        }
    }
    if (depth == length && typos_at(walk, depth) == walk->typos) {
        found(walk, range);
    }
}

/* A node itself is a word where its first term is no longer than its path. */
static bool ends_here(const struct segment *segment, const struct term_range *range, size_t depth)
{
    size_t length = 0;
    (void)segment_text(segment, range->first, &length);
    return length == depth;
}

/* The places in the text whose letters may follow the path at depth where no typo is left to be
 * made: those it has come to, and the first of two that were swapped. */
static uint64_t places_left(const struct walk *walk, size_t depth)
{
    const struct states *now = &walk->states[depth];
    uint64_t places = now->within[walk->typos];
    if (depth > 0) {
        places |=
            now[-1].within[walk->typos - 1] & walk->places[(uint8_t)walk->path[depth - 1]] >> 1;
    }
    return places & ((UINT64_C(1) << walk->length) - 1);
}

static bool typos_are_made(const struct walk *walk, size_t depth)
{
    return walk->states[depth].within[walk->typos - 1] == 0;
}

/* The node cannot be gone on from, nor is the path the text. */
static bool is_dead_end(const struct walk *walk, const struct segment_node *node, size_t depth)
{
    if (!typos_are_made(walk, depth) || typos_at(walk, depth) <= walk->typos) {
        return false;
    }
    uint16_t letters = 0;
    for (uint64_t places = places_left(walk, depth); places != 0; places &= places - 1) {
        letters |= segment_letter(walk->text[__builtin_ctzll(places)]);
    }
    return (letters & node->letters) == 0;
}

static void walk_node(struct walk *walk, struct term_range range, size_t depth);

static void walk_child(struct walk *walk, const struct term_range *parent,
                       const struct segment_node *children, unsigned number, size_t depth)
{
    uint8_t label = children[number].label;
    walk->path[depth] = (char)label;
    if (label < ' ' || !step(walk, depth)) {
        return;
    }
    struct term_range child = segment_child(walk->segment, parent, number);
    if (child.first < child.last && !is_prefix(walk, child, depth) &&
        !is_dead_end(walk, &children[number], depth + 1)) {
        walk_node(walk, child, depth + 1);
    }
}

/* The number of the child with a label, of so many in order; count: there is none. */
static unsigned child_with(const struct segment_node *children, unsigned count, uint8_t label)
{
    unsigned low = 0, high = count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (children[middle].label < label) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && children[low].label == label ? low : count;
}

/* All typos are made: only the letters of the text go on. */
static void walk_on(struct walk *walk, const struct term_range *range,
                    const struct segment_node *children, unsigned count, size_t depth)
{
    uint64_t places = places_left(walk, depth);
    while (places != 0) {
        uint8_t label = (uint8_t)walk->text[__builtin_ctzll(places)];
        unsigned child = child_with(children, count, label);
        if (child < count) {
            walk_child(walk, range, children, child, depth);
        }
        places &= ~walk->places[label];
    }
}

static void walk_node(struct walk *walk, struct term_range range, size_t depth)
{
    unsigned count = 0;
    const struct segment_node *children = segment_children(walk->segment, &range, &count);
    if (count == 0) {
        walk_term(walk, range, depth);
        return;
    }
    if (depth > 0 && typos_at(walk, depth) == walk->typos &&
        ends_here(walk->segment, &range, depth)) {
        found(walk, (struct term_range){.first = range.first, .last = range.first + 1});
    }
    if (depth >= DEPTH_MAX) {
        return;
    }
    if (typos_are_made(walk, depth)) {
        walk_on(walk, &range, children, count, depth);
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        walk_child(walk, &range, children, i, depth);
    }
}

/* The wider first. */
static int by_first(const void *left, const void *right)
{
    const struct term_range *a = left, *b = right;
    if (a->first != b->first) {
        return a->first < b->first ? -1 : 1;
    }
    return a->last > b->last ? -1 : a->last < b->last;
}

/* Sorted, and those that lie in another left out (of two forms of a word). */
static void settle(struct term_ranges *ranges)
{
    unsigned kept = 0;
    qsort(ranges->list, ranges->count, sizeof ranges->list[0], by_first);
    for (unsigned i = 0; i < ranges->count; i++) {
        if (kept == 0 || ranges->list[i].first >= ranges->list[kept - 1].last) {
            ranges->list[kept++] = ranges->list[i];
        }
    }
    ranges->count = kept;
}

void segment_typos(const struct segment *segment, const char *text, unsigned typos, bool whole,
                   struct term_ranges *ranges)
{
    size_t length = strlen(text);
    if (length == 0 || length > TEXT_MAX || typos == 0 || segment->head->node_count == 0) {
        return;
    }
    struct walk walk = {.segment = segment,
                        .text = text,
                        .length = length,
                        .typos = typos,
                        .whole = whole,
                        .found = ranges};
    for (size_t i = 0; i < length; i++) {
        walk.places[(uint8_t)text[i]] |= UINT64_C(1) << i;
    }
    for (unsigned i = 0; i <= typos; i++) {
        walk.states[0].within[i] = (UINT64_C(2) << i) - 1;
    }
    walk_node(&walk, (struct term_range){.last = segment->head->term_count}, 0);
    settle(ranges);
}
