/* Making a segment (segment.h): documents are taken in any order into growing arrays, then
 *
 *   terms are sorted, documents are numbered by popularity, forward entries are inverted into
 *   postings by counting, and a trie is laid over the terms, with the union of each node that has
 *   many.
 *
 * Memory is some 12 bytes a word of a document, at most twice that while it grows. One thread. */
#include "backend/index/segment.h"

#include "base/error.h"
#include "base/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TERM_NONE UINT32_MAX

enum {
    UNION_TERMS_MIN = 64, /* a node with more terms has its union */
    SET_ALIGN = 8,        /* bits are read as words */
    TABLE_MIN = 1 << 10,  /* slots of the words' table */
};

/* An array that doubles. */
struct list {
    void *items;
    size_t count, room;
};

static void *list_add(struct list *list, size_t count, size_t bytes)
{
    if (list->count + count > list->room) {
        size_t room = list->room > 0 ? list->room * 2 : 256;
        room = room > list->count + count ? room : list->count + count;
        void *items = reallocarray(list->items, room, bytes);
        if (items == NULL) {
            return NULL;
        }
        list->items = items;
        list->room = room;
    }
    void *added = (char *)list->items + list->count * bytes;
    list->count += count;
    return added;
}

struct segment_build {
    /* of each document, in the order they came */
    struct list ids, popularity, hashes, forward_at; /* int64_t, then uint32_t */
    struct list forward;                             /* uint32_t entries */
    /* terms, in the order they came */
    struct list term_at, terms; /* uint32_t, char; each with its NUL */
    uint32_t *table;            /* open addressing: term numbers */
    size_t table_size;
    /* when written */
    uint32_t *term_order, *term_rank; /* new → old, old → new */
    uint32_t *order, *rank;           /* of documents */
    uint64_t *starts;                 /* of each term's documents in postings */
    uint32_t *documents;
    struct segment_posting *postings;
    struct list nodes; /* struct segment_node */
    FILE *out;
    uint64_t begin; /* where in the file it began */
    uint64_t sets_begin;
    struct segment_head head;
    bool failed; /* out of memory on the way */
};

struct segment_build *segment_build_new(void)
{
    return calloc(1, sizeof(struct segment_build));
}

void segment_build_free(struct segment_build *build)
{
    if (build == NULL) {
        return;
    }
    struct list *lists[] = {&build->ids,     &build->popularity, &build->hashes, &build->forward_at,
                            &build->forward, &build->term_at,    &build->terms,  &build->nodes};
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        free(lists[i]->items);
    }
    free(build->table);
    free(build->term_order);
    free(build->term_rank);
    free(build->order);
    free(build->rank);
    free(build->starts);
    free(build->documents);
    free(build->postings);
    free(build);
}

/* ---- taking ---- */

static const char *term_text(const struct segment_build *build, uint32_t term)
{
    return (const char *)build->terms.items + ((const uint32_t *)build->term_at.items)[term];
}

static int table_grow(struct segment_build *build)
{
    size_t size = build->table_size > 0 ? build->table_size * 2 : TABLE_MIN;
    uint32_t *table = malloc(size * sizeof *table);
    if (table == NULL) {
        return ERR_NO_MEMORY;
    }
    memset(table, 0xFF, size * sizeof *table);
    for (uint32_t term = 0; term < build->term_at.count; term++) {
        size_t slot = segment_key_hash(term_text(build, term)) & (size - 1);
        while (table[slot] != TERM_NONE) {
            slot = (slot + 1) & (size - 1);
        }
        table[slot] = term;
    }
    free(build->table);
    build->table = table;
    build->table_size = size;
    return 0;
}

static int term_new(struct segment_build *build, const char *text, uint32_t *ret_term)
{
    size_t length = strnlen(text, INDEX_WORD_BYTES_MAX) + 1;
    uint32_t term = (uint32_t)build->term_at.count;
    if (term > FORWARD_TERM || build->terms.count + length > UINT32_MAX) {
        return ERR_TOO_LARGE;
    }
    uint32_t *at = list_add(&build->term_at, 1, sizeof *at);
    if (at == NULL) {
        return ERR_NO_MEMORY;
    }
    *at = (uint32_t)build->terms.count;
    char *kept = list_add(&build->terms, length, 1);
    if (kept == NULL) {
        return ERR_NO_MEMORY;
    }
    memcpy(kept, text, length - 1);
    kept[length - 1] = '\0';
    *ret_term = term;
    return 0;
}

static int term_of(struct segment_build *build, const char *text, uint32_t *ret_term)
{
    if (2 * (build->term_at.count + 1) > build->table_size && table_grow(build) != 0) {
        return ERR_NO_MEMORY;
    }
    size_t slot = segment_key_hash(text) & (build->table_size - 1);
    while (build->table[slot] != TERM_NONE) {
        if (strcmp(term_text(build, build->table[slot]), text) == 0) {
            *ret_term = build->table[slot];
            return 0;
        }
        slot = (slot + 1) & (build->table_size - 1);
    }
    int error = term_new(build, text, ret_term);
    if (error == 0) {
        build->table[slot] = *ret_term;
    }
    return error;
}

static int add_number(struct list *list, uint32_t number)
{
    uint32_t *added = list_add(list, 1, sizeof *added);
    if (added == NULL) {
        return ERR_NO_MEMORY;
    }
    *added = number;
    return 0;
}

static int add_word(struct segment_build *build, const struct index_word *word)
{
    uint32_t term = 0;
    if (word->text[0] == '\0' || strlen(word->text) >= INDEX_WORD_BYTES_MAX) {
        return ERR_INVALID;
    }
    int error = term_of(build, word->text, &term);
    uint32_t entry = term | (uint32_t)word->field << FORWARD_FIELD_SHIFT;
    entry |=
        (word->also ? (uint32_t)FORWARD_ALSO : 0) | (word->filler ? (uint32_t)FORWARD_FILLER : 0);
    return error != 0 ? error : add_number(&build->forward, entry);
}

static int add_shelf(struct segment_build *build, int64_t shelf)
{
    char text[SEGMENT_SHELF_SIZE];
    segment_shelf_text(shelf, text);
    return add_word(build, &(struct index_word){.text = text, .field = INDEX_BAG});
}

int segment_build_add(struct segment_build *build, const struct index_doc *doc)
{
    if (build->forward.count + doc->word_count > UINT32_MAX) {
        return ERR_TOO_LARGE;
    }
    int64_t *id = list_add(&build->ids, 1, sizeof *id);
    int error = id == NULL ? ERR_NO_MEMORY : 0;
    if (error == 0) {
        *id = doc->id;
        error = add_number(&build->popularity, doc->popularity);
    }
    error = error != 0 ? error : add_number(&build->hashes, segment_key_hash(doc->key));
    error = error != 0 ? error : add_number(&build->forward_at, (uint32_t)build->forward.count);
    for (unsigned i = 0; error == 0 && i < doc->word_count; i++) {
        error = add_word(build, &doc->words[i]);
    }
    return error == 0 && doc->shelf != 0 ? add_shelf(build, doc->shelf) : error;
}

/* ---- ordering ---- */

static int compare_terms(const void *left, const void *right, void *argument)
{
    const struct segment_build *build = argument;
    return strcmp(term_text(build, *(const uint32_t *)left),
                  term_text(build, *(const uint32_t *)right));
}

/* The more popular first, then the newer. */
static int compare_documents(const void *left, const void *right, void *argument)
{
    const struct segment_build *build = argument;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    const uint32_t *popularity = build->popularity.items;
    if (popularity[a] != popularity[b]) {
        return popularity[a] > popularity[b] ? -1 : 1;
    }
    const int64_t *ids = build->ids.items;
    return ids[a] > ids[b] ? -1 : ids[a] < ids[b];
}

/* order: the numbers 0 … count - 1 sorted; rank: where each came to stand. */
static int sort_numbers(struct segment_build *build, size_t count,
                        int (*compare)(const void *, const void *, void *), uint32_t **ret_order,
                        uint32_t **ret_rank)
{
    uint32_t *order = calloc(count + 1, sizeof *order), *rank = calloc(count + 1, sizeof *rank);
    *ret_order = order;
    *ret_rank = rank;
    if (order == NULL || rank == NULL) {
        return ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        order[i] = i;
    }
    qsort_r(order, count, sizeof *order, compare, build);
    for (uint32_t i = 0; i < count; i++) {
        rank[order[i]] = i;
    }
    return 0;
}

static int sort_all(struct segment_build *build)
{
    int error = sort_numbers(build, build->term_at.count, compare_terms, &build->term_order,
                             &build->term_rank);
    free(build->table);
    build->table = NULL;
    return error != 0 ? error
                      : sort_numbers(build, build->ids.count, compare_documents, &build->order,
                                     &build->rank);
}

/* The entries of a document, by its number in the segment. */
static const uint32_t *entries_of(const struct segment_build *build, uint32_t document,
                                  uint32_t *ret_count)
{
    const uint32_t *at = build->forward_at.items;
    uint32_t old = build->order[document];
    uint32_t end = old + 1 < build->ids.count ? at[old + 1] : (uint32_t)build->forward.count;
    *ret_count = end - at[old];
    return (const uint32_t *)build->forward.items + at[old];
}

static enum index_field field_of(uint32_t entry)
{
    return (enum index_field)(entry >> FORWARD_FIELD_SHIFT & 3);
}

/* Term → its documents: counted, then filled in document order, so that each list is sorted. */
static int invert(struct segment_build *build)
{
    size_t terms = build->term_at.count;
    build->starts = calloc(terms + 1, sizeof *build->starts);
    build->documents = calloc(build->forward.count + 1, sizeof *build->documents);
    build->postings = calloc(terms + 1, sizeof *build->postings);
    if (build->starts == NULL || build->documents == NULL || build->postings == NULL) {
        return ERR_NO_MEMORY;
    }
    const uint32_t *forward = build->forward.items;
    for (size_t i = 0; i < build->forward.count; i++) {
        build->starts[build->term_rank[forward[i] & FORWARD_TERM] + 1]++;
    }
    for (size_t term = 1; term <= terms; term++) {
        build->starts[term] += build->starts[term - 1];
    }
    for (uint32_t document = 0; document < build->ids.count; document++) {
        uint32_t count = 0;
        const uint32_t *entries = entries_of(build, document, &count);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t term = build->term_rank[entries[i] & FORWARD_TERM];
            uint32_t *list = build->documents + build->starts[term];
            uint32_t had = build->postings[term].count;
            if (had == 0 || list[had - 1] != document) {
                list[had] = document;
                build->postings[term].count++;
            }
        }
    }
    return 0;
}

/* ---- writing ---- */

static void put(struct segment_build *build, const void *bytes, size_t length)
{
    if (length > 0) { /* of an empty index the lists are NULL, which fwrite may not be given */
        (void)fwrite(bytes, 1, length, build->out); /* looked at once, at the end */
    }
}

static uint64_t place(const struct segment_build *build)
{
    return (uint64_t)ftello(build->out) - build->begin;
}

static void pad_to(struct segment_build *build, uint64_t multiple)
{
    static const char zeros[SEGMENT_ALIGN];
    uint64_t over = place(build) % multiple;
    if (over != 0) {
        put(build, zeros, multiple - over);
    }
}

static void pad(struct segment_build *build)
{
    pad_to(build, SEGMENT_ALIGN);
}

static void part_begin(struct segment_build *build, enum segment_part part)
{
    pad(build);
    build->head.part_at[part] = place(build);
}

static void part_end(struct segment_build *build, enum segment_part part)
{
    build->head.part_bytes[part] = place(build) - build->head.part_at[part];
}

static void write_documents(struct segment_build *build)
{
    const int64_t *ids = build->ids.items;
    const uint32_t *popularity = build->popularity.items;
    part_begin(build, PART_IDS);
    for (size_t i = 0; i < build->ids.count; i++) {
        put(build, &ids[build->order[i]], sizeof ids[0]);
    }
    part_end(build, PART_IDS);
    part_begin(build, PART_POPULARITY);
    for (size_t i = 0; i < build->ids.count; i++) {
        put(build, &popularity[build->order[i]], sizeof popularity[0]);
    }
    part_end(build, PART_POPULARITY);
}

static int compare_ids(const void *left, const void *right, void *argument)
{
    const struct segment_build *build = argument;
    const int64_t *ids = build->ids.items;
    int64_t a = ids[build->order[*(const uint32_t *)left]];
    int64_t b = ids[build->order[*(const uint32_t *)right]];
    return a < b ? -1 : a > b;
}

static int write_by_id(struct segment_build *build)
{
    uint32_t *by_id CLEANUP_FREE = NULL, *ranks CLEANUP_FREE = NULL;
    int error = sort_numbers(build, build->ids.count, compare_ids, &by_id, &ranks);
    if (error == 0) {
        part_begin(build, PART_BY_ID);
        put(build, by_id, build->ids.count * sizeof *by_id);
        part_end(build, PART_BY_ID);
    }
    return error;
}

static int compare_keys(const void *left, const void *right)
{
    const struct segment_key *a = left, *b = right;
    if (a->hash != b->hash) {
        return a->hash < b->hash ? -1 : 1;
    }
    return a->document < b->document ? -1 : a->document > b->document;
}

static int write_keys(struct segment_build *build)
{
    size_t count = build->ids.count;
    struct segment_key *keys CLEANUP_FREE = calloc(count + 1, sizeof *keys);
    if (keys == NULL) {
        return ERR_NO_MEMORY;
    }
    const uint32_t *hashes = build->hashes.items;
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = (struct segment_key){.hash = hashes[build->order[i]], .document = i};
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    part_begin(build, PART_KEYS);
    put(build, keys, count * sizeof *keys);
    part_end(build, PART_KEYS);
    return 0;
}

/* What is shown has its words in order; the bag has none. */
static void write_forward(struct segment_build *build)
{
    uint32_t at = 0;
    part_begin(build, PART_FORWARD_AT);
    for (uint32_t document = 0; document <= build->ids.count; document++) {
        put(build, &at, sizeof at);
        uint32_t count = 0;
        const uint32_t *entries =
            document < build->ids.count ? entries_of(build, document, &count) : NULL;
        for (uint32_t i = 0; i < count; i++) {
            at += field_of(entries[i]) != INDEX_BAG;
        }
    }
    part_end(build, PART_FORWARD_AT);
    part_begin(build, PART_FORWARD);
    for (uint32_t document = 0; document < build->ids.count; document++) {
        uint32_t count = 0;
        const uint32_t *entries = entries_of(build, document, &count);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t entry = (entries[i] & ~(uint32_t)FORWARD_TERM) |
                             build->term_rank[entries[i] & FORWARD_TERM];
            if (field_of(entry) != INDEX_BAG) {
                put(build, &entry, sizeof entry);
            }
        }
    }
    part_end(build, PART_FORWARD);
}

static void write_terms(struct segment_build *build)
{
    uint32_t at = 0;
    part_begin(build, PART_TERM_AT);
    for (size_t term = 0; term <= build->term_at.count; term++) {
        put(build, &at, sizeof at);
        at += term < build->term_at.count
                  ? (uint32_t)strlen(term_text(build, build->term_order[term]))
                  : 0;
    }
    part_end(build, PART_TERM_AT);
    part_begin(build, PART_TERMS);
    for (size_t term = 0; term < build->term_at.count; term++) {
        const char *text = term_text(build, build->term_order[term]);
        put(build, text, strlen(text));
    }
    part_end(build, PART_TERMS);
}

/* ---- sets ---- */

/* Where the next set comes to lie, in 4 bytes. */
static uint32_t set_place(struct segment_build *build)
{
    return (uint32_t)((place(build) - build->sets_begin) / 4);
}

/* How many documents of a sorted list lie in the window of the first. */
static uint32_t window_count(const uint32_t *list, uint32_t count)
{
    uint32_t in = 1;
    while (in < count && list[in] >> WINDOW_BITS == list[0] >> WINDOW_BITS) {
        in++;
    }
    return in;
}

static void put_array(struct segment_build *build, const uint32_t *list, uint32_t count)
{
    uint16_t low[WINDOW_ARRAY_MAX];
    assert(count > 0 && count <= WINDOW_ARRAY_MAX);
    for (uint32_t i = 0; i < count; i++) {
        low[i] = (uint16_t)(list[i] % WINDOW_DOCUMENTS);
    }
    put(build, low, count * sizeof low[0]);
    pad_to(build, SET_ALIGN);
}

static void put_bits(struct segment_build *build, const uint32_t *list, uint32_t count)
{
    uint64_t bits[WINDOW_WORDS] = {0};
    for (uint32_t i = 0; i < count; i++) {
        bits[list[i] % WINDOW_DOCUMENTS / 64] |= UINT64_C(1) << list[i] % 64;
    }
    put(build, bits, sizeof bits);
}

/* What a window holds (struct set_window). */
static void put_window(struct segment_build *build, const uint32_t *list, uint32_t count)
{
    if (count <= WINDOW_ARRAY_MAX) {
        put_array(build, list, count);
    } else {
        put_bits(build, list, count);
    }
}

/* The set of a sorted list. */
static uint32_t write_set(struct segment_build *build, const uint32_t *list, uint32_t count)
{
    struct set_window *windows = calloc(WINDOW_DOCUMENTS, sizeof *windows);
    if (windows == NULL) {
        build->failed = true;
        return 0;
    }
    struct set_head head = {.documents = count};
    uint32_t bytes = 0;
    for (uint32_t at = 0; at < count; head.windows++) {
        uint32_t in = window_count(list + at, count - at);
        windows[head.windows] = (struct set_window){.number = (uint16_t)(list[at] >> WINDOW_BITS),
                                                    .last = (uint16_t)(in - 1),
                                                    .at = bytes / 4};
        bytes += in <= WINDOW_ARRAY_MAX ? (in * 2 + SET_ALIGN - 1) / SET_ALIGN * SET_ALIGN
                                        : WINDOW_WORDS * 8;
        at += in;
    }
    uint32_t begin = (uint32_t)(sizeof head + head.windows * sizeof *windows) / 4;
    for (uint32_t i = 0; i < head.windows; i++) {
        windows[i].at += begin;
    }
    pad_to(build, SET_ALIGN);
    uint32_t offset = set_place(build);
    put(build, &head, sizeof head);
    put(build, windows, head.windows * sizeof *windows);
    for (uint32_t i = 0, at = 0; i < head.windows; at += windows[i++].last + 1U) {
        put_window(build, list + at, windows[i].last + 1U);
    }
    free(windows);
    return offset;
}

static uint32_t write_union(struct segment_build *build, const roaring_bitmap_t *bitmap)
{
    uint64_t count = roaring_bitmap_get_cardinality(bitmap);
    uint32_t *list = calloc(count + 1, sizeof *list), offset = 0;
    if (list == NULL) {
        build->failed = true;
        return 0;
    }
    roaring_bitmap_to_uint32_array(bitmap, list);
    offset = write_set(build, list, (uint32_t)count);
    free(list);
    return offset;
}

static void write_posting(struct segment_build *build, uint32_t term)
{
    struct segment_posting *posting = &build->postings[term];
    const uint32_t *list = build->documents + build->starts[term];
    if (posting->count == 1) {
        posting->offset = list[0];
    } else if (posting->count <= SEGMENT_LIST_MAX) {
        posting->offset = set_place(build);
        put(build, list, posting->count * sizeof *list);
    } else {
        posting->offset = write_set(build, list, posting->count);
    }
}

static void add_terms(const struct segment_build *build, uint32_t first, uint32_t last,
                      roaring_bitmap_t *into)
{
    for (uint32_t term = first; term < last; term++) {
        roaring_bitmap_add_many(into, build->postings[term].count,
                                build->documents + build->starts[term]);
    }
}

/* ---- the trie ---- */

static struct segment_node *node_at(struct segment_build *build, uint32_t node)
{
    return (struct segment_node *)build->nodes.items + node;
}

struct branch {
    uint32_t node, first, last;
    size_t depth;
};

/* How many terms of a branch, from `from` on, go on with the same letter. */
static uint32_t child_end(const struct segment_build *build, const struct branch *branch,
                          uint32_t from)
{
    char label = term_text(build, build->term_order[from])[branch->depth];
    uint32_t end = from + 1;
    while (end < branch->last && term_text(build, build->term_order[end])[branch->depth] == label) {
        end++;
    }
    return end;
}

/* The children of a branch, next to each other. The term that ends here has none. */
static void make_children(struct segment_build *build, const struct branch *branch)
{
    uint32_t first = branch->first;
    if (term_text(build, build->term_order[first])[branch->depth] == '\0') {
        first++;
    }
    uint32_t children = (uint32_t)build->nodes.count;
    uint16_t letters = 0;
    for (uint32_t at = first; at < branch->last; at = child_end(build, branch, at)) {
        struct segment_node *child = list_add(&build->nodes, 1, sizeof *child);
        if (child == NULL) {
            build->failed = true;
            return;
        }
        char label = term_text(build, build->term_order[at])[branch->depth];
        *child = (struct segment_node){.first_term = at, .label = (uint8_t)label};
        letters |= segment_letter(label);
    }
    struct segment_node *node = node_at(build, branch->node);
    node->children = children;
    node->child_count = (uint8_t)(build->nodes.count - children); /* 255 letters: no NUL */
    node->letters = letters;
}

/* Lays the branch and what is under it; its documents in `into`, where that is wanted. Depth is
 * bounded by the length of a word. */
static void make_branch(struct segment_build *build, const struct branch *branch,
                        roaring_bitmap_t *into)
{
    if (branch->last - branch->first <= 1) {
        char next = term_text(build, build->term_order[branch->first])[branch->depth];
        node_at(build, branch->node)->letters = next != '\0' ? segment_letter(next) : 0;
        if (into != NULL) {
            add_terms(build, branch->first, branch->last, into);
        }
        return;
    }
    make_children(build, branch);
    bool many = branch->last - branch->first > UNION_TERMS_MIN;
    roaring_bitmap_t *own = many ? roaring_bitmap_create() : NULL;
    roaring_bitmap_t *target = many ? own : into;
    build->failed = build->failed || (many && own == NULL);
    const struct segment_node node = *node_at(build, branch->node);
    for (unsigned i = 0; !build->failed && i < node.child_count; i++) {
        uint32_t child = node.children + i;
        uint32_t last =
            i + 1 < node.child_count ? node_at(build, child + 1)->first_term : branch->last;
        make_branch(build,
                    &(struct branch){.node = child,
                                     .first = node_at(build, child)->first_term,
                                     .last = last,
                                     .depth = branch->depth + 1},
                    target);
    }
    if (target != NULL && !build->failed && node.child_count > 0) { /* the word that ends here */
        add_terms(build, branch->first, node_at(build, node.children)->first_term, target);
    }
    if (many && !build->failed) {
        node_at(build, branch->node)->union_offset = write_union(build, own);
        if (into != NULL) {
            roaring_bitmap_or_inplace(into, own);
        }
    }
    segment_set_free(own);
}

static void write_sets(struct segment_build *build)
{
    part_begin(build, PART_SETS);
    build->sets_begin = place(build);
    const uint32_t unused[SEGMENT_ALIGN / 4] = {0}; /* so that no set lies at 0 */
    put(build, unused, sizeof unused);
    uint32_t terms = (uint32_t)build->term_at.count;
    for (uint32_t term = 0; term < terms; term++) {
        write_posting(build, term);
    }
    bool rooted = terms == 0 || list_add(&build->nodes, 1, sizeof(struct segment_node)) != NULL;
    build->failed = build->failed || !rooted;
    if (terms > 0 && rooted) {
        *node_at(build, 0) = (struct segment_node){.first_term = 0};
        make_branch(build, &(struct branch){.first = 0, .last = terms}, NULL);
    }
    part_end(build, PART_SETS);
    build->failed = build->failed || (place(build) - build->sets_begin) / 4 > UINT32_MAX;
    part_begin(build, PART_POSTINGS);
    put(build, build->postings, terms * sizeof *build->postings);
    part_end(build, PART_POSTINGS);
    part_begin(build, PART_TRIE);
    put(build, build->nodes.items, build->nodes.count * sizeof(struct segment_node));
    part_end(build, PART_TRIE);
}

static int write_head(struct segment_build *build)
{
    pad(build);
    build->head.magic = SEGMENT_MAGIC;
    build->head.document_count = (uint32_t)build->ids.count;
    build->head.term_count = (uint32_t)build->term_at.count;
    build->head.node_count = (uint32_t)build->nodes.count;
    build->head.bytes = place(build);
    off_t end = ftello(build->out);
    if (fseeko(build->out, (off_t)build->begin, SEEK_SET) != 0) {
        return ERR_IO;
    }
    put(build, &build->head, sizeof build->head);
    if (fseeko(build->out, end, SEEK_SET) != 0 || ferror(build->out) != 0) {
        return ERR_IO;
    }
    return build->failed ? ERR_NO_MEMORY : 0;
}

int segment_build_write(struct segment_build *build, FILE *out)
{
    build->out = out;
    build->begin = (uint64_t)ftello(out);
    assert(build->begin % SEGMENT_ALIGN == 0);
    put(build, &build->head, sizeof build->head); /* its room */
    int error = sort_all(build);
    error = error != 0 ? error : invert(build);
    if (error != 0) {
        return error;
    }
    write_documents(build);
    error = write_by_id(build);
    error = error != 0 ? error : write_keys(build);
    if (error != 0) {
        return error;
    }
    write_forward(build);
    write_terms(build);
    write_sets(build);
    return write_head(build);
}
