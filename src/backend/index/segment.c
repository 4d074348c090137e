/* Reading a segment (segment.h): its parts, its words, their documents. Any thread; nothing is
 * changed. */
#include "backend/index/segment.h"

#include "base/error.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What each part holds, as far as it can be told from the head. */
static uint64_t part_bytes_min(const struct segment_head *head, enum segment_part part)
{
    uint64_t documents = head->document_count, terms = head->term_count;
    const uint64_t bytes[PARTS_] = {
        [PART_IDS] = documents * sizeof(int64_t),
        [PART_POPULARITY] = documents * sizeof(uint32_t),
        [PART_BY_ID] = documents * sizeof(uint32_t),
        [PART_KEYS] = documents * sizeof(struct segment_key),
        [PART_FORWARD_AT] = (documents + 1) * sizeof(uint32_t),
        [PART_TERM_AT] = (terms + 1) * sizeof(uint32_t),
        [PART_POSTINGS] = terms * sizeof(struct segment_posting),
        [PART_TRIE] = head->node_count * sizeof(struct segment_node),
    };
    return bytes[part];
}

int segment_open(const void *bytes, uint64_t length, struct segment *segment)
{
    const struct segment_head *head = bytes;
    if (length < sizeof *head || head->magic != SEGMENT_MAGIC || head->bytes > length) {
        return ERR_CORRUPT;
    }
    for (unsigned part = 0; part < PARTS_; part++) {
        uint64_t at = head->part_at[part], size = head->part_bytes[part];
        if (at > length || size > length - at || at % SEGMENT_ALIGN != 0 ||
            size < part_bytes_min(head, part)) {
            return ERR_CORRUPT;
        }
    }
    const char *base = bytes;
    *segment = (struct segment){
        .head = head,
        .ids = (const void *)(base + head->part_at[PART_IDS]),
        .popularity = (const void *)(base + head->part_at[PART_POPULARITY]),
        .by_id = (const void *)(base + head->part_at[PART_BY_ID]),
        .keys = (const void *)(base + head->part_at[PART_KEYS]),
        .forward_at = (const void *)(base + head->part_at[PART_FORWARD_AT]),
        .forward = (const void *)(base + head->part_at[PART_FORWARD]),
        .term_at = (const void *)(base + head->part_at[PART_TERM_AT]),
        .terms = base + head->part_at[PART_TERMS],
        .postings = (const void *)(base + head->part_at[PART_POSTINGS]),
        .sets = (const void *)(base + head->part_at[PART_SETS]),
        .trie = (const void *)(base + head->part_at[PART_TRIE]),
    };
    return 0;
}

/* The number that stands at a place of by_id, and its id; what is no document's is the first's. */
static int64_t id_at(const struct segment *segment, uint32_t place, uint32_t *ret_document)
{
    uint32_t document = segment->by_id[place];
    if (document >= segment->head->document_count) {
        segment_damaged(segment);
        document = 0;
    }
    *ret_document = document;
    return segment->ids[document];
}

bool segment_find(const struct segment *segment, int64_t id, uint32_t *ret_document)
{
    uint32_t low = 0, high = segment->head->document_count, document = 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (id_at(segment, middle, &document) < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == segment->head->document_count || id_at(segment, low, &document) != id) {
        return false;
    }
    *ret_document = document;
    return true;
}

/* FNV-1a, 32 bits: two names with one hash are told apart by their words. */
uint32_t segment_key_hash(const char *key)
{
    uint32_t hash = 2166136261U;
    for (; *key != '\0'; key++) {
        hash = (hash ^ (unsigned char)*key) * 16777619U;
    }
    return hash;
}

/* ---- words ---- */

const char *segment_text(const struct segment *segment, uint32_t term, size_t *ret_length)
{
    *ret_length = 0;
    if (term >= segment->head->term_count) {
        return "";
    }
    uint32_t at = segment->term_at[term], end = segment->term_at[term + 1];
    if (end < at || end > segment->head->part_bytes[PART_TERMS]) {
        segment_damaged(segment);
        return "";
    }
    *ret_length = end - at;
    return segment->terms + at;
}

/* Children come behind their parents, so no walk goes round. */
const struct segment_node *segment_children(const struct segment *segment,
                                            const struct term_range *range, unsigned *ret_count)
{
    const struct segment_node *node = &segment->trie[range->node];
    uint32_t count = segment->head->node_count;
    *ret_count = node->child_count;
    if (node->child_count > 0 && (node->children <= range->node || node->children >= count ||
                                  node->child_count > count - node->children)) {
        segment_damaged(segment);
        *ret_count = 0;
    }
    return &segment->trie[node->children < count ? node->children : 0];
}

struct term_range segment_child(const struct segment *segment, const struct term_range *parent,
                                unsigned child)
{
    const struct segment_node *node = &segment->trie[parent->node];
    const struct segment_node *at = &segment->trie[node->children + child];
    struct term_range range = {
        .node = node->children + child, .first = at->first_term, .last = parent->last};
    if (child + 1 < node->child_count) {
        range.last = at[1].first_term;
    }
    if (range.first < parent->first || range.last > parent->last || range.first >= range.last) {
        segment_damaged(segment);
        range.first = range.last = parent->first;
    }
    return range;
}

/* The rest of a single term, from depth on, begins with rest. */
static bool rest_begins(const struct segment *segment, uint32_t term, size_t depth,
                        const char *rest)
{
    size_t length = 0, wanted = strlen(rest);
    const char *text = segment_text(segment, term, &length);
    return length >= depth + wanted && memcmp(text + depth, rest, wanted) == 0;
}

static bool find_child(const struct segment *segment, uint8_t label, struct term_range *range)
{
    unsigned count = 0;
    const struct segment_node *children = segment_children(segment, range, &count);
    for (unsigned i = 0; i < count; i++) {
        if (children[i].label == label) {
            *range = segment_child(segment, range, i);
            return range->first < range->last;
        }
    }
    return false;
}

bool segment_prefix(const struct segment *segment, const char *prefix, struct term_range *ret_range)
{
    struct term_range range = {.first = 0, .last = segment->head->term_count};
    if (segment->head->node_count == 0 || segment->head->term_count == 0) {
        return false;
    }
    for (size_t depth = 0; prefix[depth] != '\0'; depth++) {
        if (segment->trie[range.node].child_count == 0) {
            if (!rest_begins(segment, range.first, depth, prefix + depth)) {
                return false;
            }
            break;
        }
        if (!find_child(segment, (uint8_t)prefix[depth], &range)) {
            return false;
        }
    }
    *ret_range = range;
    return true;
}

bool segment_term(const struct segment *segment, const char *text, uint32_t *ret_term)
{
    struct term_range range;
    size_t length = 0;
    if (!segment_prefix(segment, text, &range)) {
        return false;
    }
    (void)segment_text(segment, range.first, &length);
    if (length != strlen(text)) { /* the shortest stands first */
        return false;
    }
    *ret_term = range.first;
    return true;
}
