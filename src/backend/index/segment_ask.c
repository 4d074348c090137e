/* Finding in a segment (segment.h). Candidates come a window of documents at a time, the most
 * popular first, and are judged by their own words until there are enough: what is common is found
 * in the first windows, what is rare has few documents to be read. Where a word would cost more
 * (its typos are thousands of words) than judging the candidates that the others leave, it is left
 * to the judging. A stage runs only where those before it found too few:
 *
 *   EXACT    names with the query's hash
 *   WHOLE    documents that have all words
 *   PREFIX   … that have words which begin so
 *   LYRICS   … in the lyrics
 *   TYPO     … with one word's typo; where nothing at all was found, with all words' typos
 *
 * Popularity alone would bury the exact, obscure name, hence the stages; the tier of a hit is what
 * judging says, whichever stage brought it. Any thread; memory is the call's own. */
#include "backend/index/segment.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum {
    CANDIDATES_MAX = 1000, /* good ones of a stage */
    JUDGED_MAX = 5000,     /* all of a stage */
    FEW = 16,              /* candidates of a window which … */
    FEW_WORTH = 16,        /* … are judged rather than so many sets each looked into */
    FEW_IN_ALL = 2000,
    TYPO_BYTES_MIN = 3,
    YEARS_MAX = 256,
    FILTERS_MAX = 2,
    EXCLUDED_MAX = INDEX_ASKED_MAX + FILTERS_MAX,
    POSITIONS_MAX = 64, /* of a field; those behind count as the last */
    LYRICS_BYTES_MIN = 3,
};

/* A word that is asked for, as this segment knows it. */
struct wanted {
    const struct index_asked *asked;
    uint32_t whole[INDEX_FORMS_MAX];
    struct term_range prefix[INDEX_FORMS_MAX];
    unsigned whole_count, prefix_count;
    struct term_ranges *typos[INDEX_TYPOS_MAX + 1]; /* by their number, from 1 */
    struct term_range whole_range[INDEX_FORMS_MAX];
    struct source documents; /* of the prefixes; of a word in quotes, of the whole words */
};

/* Candidates: what is in each of the sources. */
struct gather {
    struct source *list[INDEX_ASKED_MAX + FILTERS_MAX];
    unsigned count;
};

struct ask {
    const struct segment *segment;
    const struct index_query *query;
    const roaring_bitmap_t *dead;
    struct wanted wanted[INDEX_ASKED_MAX]; /* the required ones */
    unsigned wanted_count;
    struct source filters[FILTERS_MAX];
    unsigned filter_count;
    struct term_range genre, years[YEARS_MAX];
    struct term_range without_genre, without_years[YEARS_MAX];
    struct source excluded[EXCLUDED_MAX];
    struct term_range without[INDEX_ASKED_MAX][INDEX_FORMS_MAX];
    unsigned excluded_count;
    struct veil veil;
    roaring_bitmap_t *found;
    struct index_hits *hits;
    bool failed;
};

bool index_hit_before(const struct index_hit *left, const struct index_hit *right)
{
    if (left->tier != right->tier) {
        return left->tier < right->tier;
    }
    if (left->typos != right->typos) {
        return left->typos < right->typos;
    }
    if (left->beside != right->beside) {
        return right->beside;
    }
    if (left->popularity != right->popularity) {
        return left->popularity > right->popularity;
    }
    return left->id > right->id;
}

/* ---- the words ---- */

static struct term_range one_term(uint32_t term)
{
    return (struct term_range){.first = term, .last = term + 1};
}

static void want(struct ask *ask, const struct index_asked *asked)
{
    struct wanted *wanted = &ask->wanted[ask->wanted_count++];
    wanted->asked = asked;
    for (unsigned i = 0; i < asked->form_count; i++) {
        uint32_t term = 0;
        struct term_range range;
        if (segment_term(ask->segment, asked->forms[i], &term)) {
            wanted->whole_range[wanted->whole_count] = one_term(term);
            wanted->whole[wanted->whole_count++] = term;
        }
        if (!asked->whole && segment_prefix(ask->segment, asked->forms[i], &range)) {
            range.typos = 0;
            wanted->prefix[wanted->prefix_count++] = range;
        }
    }
    const struct term_range *ranges = asked->whole ? wanted->whole_range : wanted->prefix;
    source_add(&wanted->documents, ask->segment, ranges,
               asked->whole ? wanted->whole_count : wanted->prefix_count);
}

/* ---- judging ---- */

/* What of a word was found in a document, a bit a position. */
struct trace {
    uint64_t whole[INDEX_BAG], any[INDEX_BAG]; /* by field */
    uint8_t typos[INDEX_BAG];                  /* least, of what is not in `any` otherwise */
};

static bool in_ranges(const struct term_ranges *ranges, uint32_t term)
{
    unsigned low = 0, high = ranges != NULL ? ranges->count : 0;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (ranges->list[middle].last <= term) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return ranges != NULL && low < ranges->count && ranges->list[low].first <= term;
}

/* Typos with which the term is what is wanted; negative: it is not. */
static int match(const struct wanted *wanted, uint32_t term, bool *ret_whole)
{
    *ret_whole = false;
    for (unsigned i = 0; i < wanted->whole_count; i++) {
        if (wanted->whole[i] == term) {
            *ret_whole = true;
            return 0;
        }
    }
    for (unsigned i = 0; i < wanted->prefix_count; i++) {
        if (term >= wanted->prefix[i].first && term < wanted->prefix[i].last) {
            return 0;
        }
    }
    for (int typos = 1; typos <= INDEX_TYPOS_MAX; typos++) {
        if (in_ranges(wanted->typos[typos], term)) {
            return typos;
        }
    }
    return -1;
}

static void trace_term(const struct ask *ask, uint32_t entry, unsigned position,
                       struct trace *traces)
{
    unsigned field = entry >> FORWARD_FIELD_SHIFT & 3;
    uint64_t bit = UINT64_C(1) << position;
    for (unsigned i = 0; i < ask->wanted_count; i++) {
        bool whole = false;
        int typos = match(&ask->wanted[i], entry & FORWARD_TERM, &whole);
        if (typos < 0) {
            continue;
        }
        struct trace *trace = &traces[i];
        if (trace->any[field] == 0 || typos < trace->typos[field]) {
            trace->typos[field] = (uint8_t)typos;
        }
        trace->any[field] |= bit;
        trace->whole[field] |= whole ? bit : 0;
    }
}

/* Goes through a document's words; how many positions each field has. */
static void trace_document(const struct ask *ask, uint32_t document, struct trace *traces,
                           unsigned positions[INDEX_BAG])
{
    const struct segment *segment = ask->segment;
    uint32_t end = segment->forward_at[document + 1];
    for (unsigned field = 0; field < INDEX_BAG; field++) {
        positions[field] = 0;
    }
    if (end > segment->head->part_bytes[PART_FORWARD] / sizeof segment->forward[0]) {
        segment_damaged(segment);
        end = 0;
    }
    for (uint32_t at = segment->forward_at[document]; at < end; at++) {
        uint32_t entry = segment->forward[at];
        unsigned field = entry >> FORWARD_FIELD_SHIFT & 3;
        if (field >= INDEX_BAG) {
            segment_damaged(segment);
            continue;
        }
        bool counts = (entry & (FORWARD_ALSO | FORWARD_FILLER)) == 0;
        unsigned before = positions[field];
        unsigned position = (entry & FORWARD_ALSO) != 0 && before > 0 ? before - 1 : before;
        trace_term(ask, entry, position < POSITIONS_MAX ? position : POSITIONS_MAX - 1, traces);
        positions[field] += counts;
    }
}

/* Positions at which all wanted words stand side by side. */
static uint64_t side_by_side(const struct ask *ask, const struct trace *traces,
                             enum index_field field, bool whole)
{
    uint64_t at = UINT64_MAX;
    for (unsigned i = 0; i < ask->wanted_count && i < POSITIONS_MAX; i++) {
        at &= (whole ? traces[i].whole[field] : traces[i].any[field]) >> i;
    }
    return ask->wanted_count > 0 ? at : 0;
}

/* A quoted word's place behind the one before; also where it must be whole. */
static bool in_its_place(const struct ask *ask, const struct trace *traces, unsigned i,
                         unsigned field)
{
    const struct index_asked *asked = ask->wanted[i].asked;
    uint64_t here = asked->whole ? traces[i].whole[field] : traces[i].any[field];
    if (asked->joined && i > 0) {
        here &= traces[i - 1].any[field] << 1;
    }
    return here != 0;
}

/* All wanted words are there; the least sum of typos. */
static bool has_all(const struct ask *ask, const struct trace *traces, unsigned *ret_typos)
{
    *ret_typos = 0;
    for (unsigned i = 0; i < ask->wanted_count; i++) {
        int only = ask->wanted[i].asked->field;
        unsigned least = UINT8_MAX;
        for (unsigned field = 0; field < INDEX_BAG; field++) {
            bool there = (only < 0 || only == (int)field) && in_its_place(ask, traces, i, field);
            if (there && traces[i].typos[field] < least) {
                least = traces[i].typos[field];
            }
        }
        if (least == UINT8_MAX) {
            return false;
        }
        *ret_typos += least;
    }
    return true;
}

/* A word is only on what it is on: "Paranoid" and "Android" in the album's name. */
static bool needs_on(const struct ask *ask, const struct trace *traces)
{
    for (unsigned i = 0; i < ask->wanted_count; i++) {
        if ((traces[i].any[INDEX_NAME] | traces[i].any[INDEX_BY]) == 0) {
            return true;
        }
    }
    return false;
}

static bool all_whole(const struct ask *ask, const struct trace *traces)
{
    for (unsigned i = 0; i < ask->wanted_count; i++) {
        if ((traces[i].whole[INDEX_NAME] | traces[i].whole[INDEX_BY] | traces[i].whole[INDEX_ON]) ==
            0) {
            return false;
        }
    }
    return true;
}

static enum index_tier tier_of(const struct ask *ask, const struct trace *traces,
                               const unsigned positions[INDEX_BAG])
{
    bool in_name = side_by_side(ask, traces, INDEX_NAME, true) != 0;
    if (in_name && positions[INDEX_NAME] == ask->wanted_count) {
        return INDEX_EXACT;
    }
    bool by =
        side_by_side(ask, traces, INDEX_BY, true) != 0 && positions[INDEX_BY] == ask->wanted_count;
    if (in_name || by) {
        return INDEX_PHRASE;
    }
    if (all_whole(ask, traces)) {
        return INDEX_WHOLE;
    }
    return side_by_side(ask, traces, INDEX_NAME, false) != 0 ? INDEX_BEGUN : INDEX_PREFIX;
}

/* False: it is none after all. */
static bool judge(const struct ask *ask, uint32_t document, struct index_hit *hit)
{
    struct trace traces[INDEX_ASKED_MAX] = {{{0}, {0}, {0}}};
    unsigned positions[INDEX_BAG], typos = 0;
    trace_document(ask, document, traces, positions);
    if (!has_all(ask, traces, &typos)) {
        return false;
    }
    hit->typos = (uint8_t)typos;
    hit->beside = needs_on(ask, traces);
    if (typos == 0) {
        hit->tier = ask->wanted_count > 0 ? (uint8_t)tier_of(ask, traces, positions) : INDEX_WHOLE;
        return true;
    }
    hit->tier = typos == 1 ? INDEX_ONE_TYPO : INDEX_TWO_TYPOS;
    hit->beside = hit->beside || side_by_side(ask, traces, INDEX_NAME, false) == 0 ||
                  positions[INDEX_NAME] != ask->wanted_count;
    return true;
}

static void keep(struct ask *ask, const struct index_hit *hit)
{
    struct index_hits *hits = ask->hits;
    unsigned at = hits->count;
    while (at > 0 && index_hit_before(hit, &hits->list[at - 1])) {
        at--;
    }
    if (at == ask->query->limit) {
        return;
    }
    unsigned kept = hits->count < ask->query->limit ? hits->count : ask->query->limit - 1;
    memmove(&hits->list[at + 1], &hits->list[at], (kept - at) * sizeof hits->list[0]);
    hits->list[at] = *hit;
    hits->count = kept + 1;
}

/* Alive, and not found before. */
static bool may_be(const struct ask *ask, uint32_t document)
{
    return (ask->dead == NULL || !roaring_bitmap_contains(ask->dead, document)) &&
           !roaring_bitmap_contains(ask->found, document);
}

/* Whether it was found. What is none now may be one when typos are known. */
static bool look_at(struct ask *ask, uint32_t document, bool lyrics)
{
    struct index_hit hit = {.tier = INDEX_IN_LYRICS};
    if (document >= ask->segment->head->document_count) {
        segment_damaged(ask->segment);
        return false;
    }
    if (!may_be(ask, document) || (!lyrics && !judge(ask, document, &hit))) {
        return false;
    }
    roaring_bitmap_add(ask->found, document);
    hit.id = ask->segment->ids[document];
    hit.popularity = ask->segment->popularity[document];
    keep(ask, &hit);
    return true;
}

/* ---- candidates ---- */

/* How many there are, no further than FEW + 1. */
static unsigned count_few(const uint64_t bits[WINDOW_WORDS])
{
    unsigned count = 0;
    for (unsigned i = 0; i < WINDOW_WORDS && count <= FEW; i++) {
        for (uint64_t rest = bits[i]; rest != 0 && count <= FEW; rest &= rest - 1) {
            count++;
        }
    }
    return count;
}

/* Judging what there is costs less than looking into all sets of a source. */
static bool is_left_to_judging(const struct gather *gather, const struct source *source,
                               unsigned candidates)
{
    uint64_t pieces = source->readers_wanted + source->lists;
    return !source->sure && (gather->list[0]->documents <= FEW_IN_ALL ||
                             (candidates <= FEW && candidates * FEW_WORTH <= pieces));
}

/* The candidates of a window. False: there are none. */
static bool gather_window(struct ask *ask, const struct gather *gather, int32_t window,
                          uint64_t bits[WINDOW_WORDS])
{
    memset(bits, 0, WINDOW_WORDS * sizeof bits[0]);
    source_window(gather->list[0], window, bits);
    unsigned candidates = count_few(bits);
    for (unsigned i = 1; candidates > 0 && i < gather->count; i++) {
        if (is_left_to_judging(gather, gather->list[i], candidates)) {
            continue;
        }
        uint64_t too[WINDOW_WORDS] = {0};
        source_window(gather->list[i], window, too);
        for (unsigned j = 0; j < WINDOW_WORDS; j++) {
            bits[j] &= too[j];
        }
        candidates = count_few(bits);
    }
    for (unsigned i = 0; candidates > 0 && i < ask->excluded_count; i++) {
        uint64_t without[WINDOW_WORDS] = {0};
        source_window(&ask->excluded[i], window, without);
        for (unsigned j = 0; j < WINDOW_WORDS; j++) {
            bits[j] &= ~without[j];
        }
    }
    if (candidates > 0) {
        veil_take_away(&ask->veil, window, bits);
    }
    return candidates > 0;
}

struct looked {
    unsigned good, all;
};

static bool has_enough(const struct looked *looked)
{
    return looked->good >= CANDIDATES_MAX || looked->all >= JUDGED_MAX;
}

static void look_at_window(struct ask *ask, int32_t window, const uint64_t bits[WINDOW_WORDS],
                           bool lyrics, struct looked *looked)
{
    for (uint32_t i = 0; i < WINDOW_WORDS; i++) {
        for (uint64_t rest = bits[i]; rest != 0 && !has_enough(looked); rest &= rest - 1) {
            uint32_t document = (uint32_t)window << WINDOW_BITS;
            document |= i * 64 + (uint32_t)__builtin_ctzll(rest);
            looked->good += look_at(ask, document, lyrics);
            looked->all++;
        }
    }
}

/* The rarest first. */
static void sort_sources(struct gather *gather)
{
    for (unsigned i = 1; i < gather->count; i++) {
        struct source *source = gather->list[i];
        unsigned at = i;
        for (; at > 0 && gather->list[at - 1]->documents > source->documents; at--) {
            gather->list[at] = gather->list[at - 1];
        }
        gather->list[at] = source;
    }
}

/* The best of what is in each of the sources and passes the filters. */
static void look_at_best(struct ask *ask, struct gather *gather, bool lyrics)
{
    for (unsigned i = 0; i < ask->filter_count; i++) {
        gather->list[gather->count++] = &ask->filters[i];
    }
    sort_sources(gather);
    if (ask->failed || gather->count == 0 || gather->list[0]->documents == 0) {
        return;
    }
    for (unsigned i = 0; i < gather->count; i++) {
        source_rewind(gather->list[i]);
    }
    for (unsigned i = 0; i < ask->excluded_count; i++) {
        source_rewind(&ask->excluded[i]);
    }
    veil_rewind(&ask->veil);
    struct looked looked = {0};
    int32_t window = source_next(gather->list[0], 0);
    while (window != WINDOW_NONE && !has_enough(&looked)) {
        uint64_t bits[WINDOW_WORDS];
        if (gather_window(ask, gather, window, bits)) {
            look_at_window(ask, window, bits, lyrics, &looked);
        }
        window = source_next(gather->list[0], window + 1);
    }
    for (unsigned i = 0; i < gather->count; i++) {
        ask->failed = ask->failed || gather->list[i]->failed;
    }
    for (unsigned i = 0; i < ask->excluded_count; i++) {
        ask->failed = ask->failed || ask->excluded[i].failed;
    }
    ask->failed = ask->failed || ask->veil.source.failed;
}

/* ---- the stages ---- */

static bool is_full(const struct ask *ask, enum index_tier worst)
{
    const struct index_hits *hits = ask->hits;
    return hits->count == ask->query->limit && hits->list[hits->count - 1].tier <= worst;
}

static void stage_exact(struct ask *ask)
{
    const struct segment *segment = ask->segment;
    uint32_t hash = segment_key_hash(ask->query->key), count = segment->head->document_count;
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (segment->keys[middle].hash < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (unsigned i = 0; i < CANDIDATES_MAX && low < count; i++, low++) {
        if (segment->keys[low].hash != hash) {
            break;
        }
        uint32_t document = segment->keys[low].document; /* in their order */
        if (!veil_hides(&ask->veil, document)) {
            (void)look_at(ask, document, false);
        }
    }
    ask->failed = ask->failed || ask->veil.source.failed;
}

/* Looks for what is in each of so many sources, which are used up. */
static void look_and_end(struct ask *ask, struct source *sources, unsigned count, bool lyrics)
{
    struct gather gather = {.count = 0};
    for (unsigned i = 0; i < count; i++) {
        gather.list[gather.count++] = &sources[i];
    }
    look_at_best(ask, &gather, lyrics);
    for (unsigned i = 0; i < count; i++) {
        source_done(&sources[i]);
    }
}

static void stage_whole(struct ask *ask)
{
    struct source sources[INDEX_ASKED_MAX] = {{.part_count = 0}};
    for (unsigned i = 0; i < ask->wanted_count; i++) {
        source_add(&sources[i], ask->segment, ask->wanted[i].whole_range,
                   ask->wanted[i].whole_count);
    }
    look_and_end(ask, sources, ask->wanted_count, false);
}

static void stage_prefix(struct ask *ask)
{
    struct gather gather = {.count = 0};
    for (unsigned i = 0; i < ask->wanted_count; i++) {
        gather.list[gather.count++] = &ask->wanted[i].documents;
    }
    look_at_best(ask, &gather, false);
}

/* The words of lyrics that begin so; how many ranges there are. */
static unsigned lyrics_ranges(const struct ask *ask, const struct index_asked *asked,
                              struct term_range ranges[INDEX_FORMS_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; asked->field < 0 && i < asked->form_count; i++) {
        char text[INDEX_WORD_BYTES_MAX + 2];
        (void)snprintf(text, sizeof text, "%c%s", INDEX_LYRICS, asked->forms[i]);
        count += strlen(asked->forms[i]) >= LYRICS_BYTES_MIN &&
                 segment_prefix(ask->segment, text, &ranges[count]);
    }
    return count;
}

static void stage_lyrics(struct ask *ask)
{
    struct source sources[INDEX_ASKED_MAX] = {{.part_count = 0}};
    struct term_range ranges[INDEX_ASKED_MAX][INDEX_FORMS_MAX];
    for (unsigned i = 0; i < ask->wanted_count; i++) {
        unsigned count = lyrics_ranges(ask, ask->wanted[i].asked, ranges[i]);
        source_add(&sources[i], ask->segment, ranges[i], count);
        sources[i].sure = true;
    }
    look_and_end(ask, sources, ask->wanted_count, true);
}

static bool is_ascii(const char *text)
{
    while (*text != '\0' && (unsigned char)*text < 0x80) {
        text++;
    }
    return *text == '\0';
}

static void find_typos(struct ask *ask, struct wanted *wanted, unsigned typos)
{
    const struct index_asked *asked = wanted->asked;
    if (typos > asked->typos_max) {
        return;
    }
    struct term_ranges *ranges = calloc(1, sizeof *ranges);
    if (ranges == NULL) {
        ask->failed = true;
        return;
    }
    wanted->typos[typos] = ranges;
    for (unsigned i = 0; i < asked->form_count; i++) {
        if (strlen(asked->forms[i]) >= TYPO_BYTES_MIN && is_ascii(asked->forms[i])) {
            segment_typos(ask->segment, asked->forms[i], typos, asked->whole, ranges);
        }
    }
}

/* One word has a typo, all others are right; each word in turn. */
static void stage_one_typo(struct ask *ask)
{
    for (unsigned i = 0; i < ask->wanted_count; i++) {
        find_typos(ask, &ask->wanted[i], 1);
    }
    for (unsigned i = 0; !ask->failed && i < ask->wanted_count; i++) {
        const struct term_ranges *ranges = ask->wanted[i].typos[1];
        if (ranges == NULL || ranges->count == 0) {
            continue;
        }
        struct gather gather = {.count = 0};
        struct source own = {.part_count = 0};
        source_add(&own, ask->segment, ranges->list, ranges->count);
        for (unsigned j = 0; j < ask->wanted_count; j++) {
            gather.list[gather.count++] = j == i ? &own : &ask->wanted[j].documents;
        }
        look_at_best(ask, &gather, false);
        source_done(&own);
    }
}

/* The documents that have a word, with all the typos it bears. */
static void add_nearly(struct ask *ask, struct wanted *wanted, struct source *source)
{
    find_typos(ask, wanted, 2);
    bool whole = wanted->asked->whole;
    source_add(source, ask->segment, whole ? wanted->whole_range : wanted->prefix,
               whole ? wanted->whole_count : wanted->prefix_count);
    for (unsigned typos = 1; typos <= INDEX_TYPOS_MAX; typos++) {
        const struct term_ranges *ranges = wanted->typos[typos];
        if (ranges != NULL) {
            source_add(source, ask->segment, ranges->list, ranges->count);
        }
    }
}

/* Every word may have as many as it bears. */
static void stage_typos(struct ask *ask)
{
    struct source sources[INDEX_ASKED_MAX] = {{.part_count = 0}};
    for (unsigned i = 0; i < ask->wanted_count; i++) {
        add_nearly(ask, &ask->wanted[i], &sources[i]);
    }
    look_and_end(ask, sources, ask->wanted_count, false);
}

/* ---- filters ---- */

/* What stands in the bag; false: nobody has it. */
static bool bag_range(const struct ask *ask, char mark, const char *text,
                      struct term_range *ret_range)
{
    char word[INDEX_WORD_BYTES_MAX + 2];
    uint32_t term = 0;
    (void)snprintf(word, sizeof word, "%c%s", mark, text);
    bool there = segment_term(ask->segment, word, &term);
    *ret_range = one_term(term);
    return there;
}

/* Only what has a word of the ranges. */
static void filter_by(struct ask *ask, const struct term_range *ranges, unsigned count)
{
    struct source *filter = &ask->filters[ask->filter_count++];
    source_add(filter, ask->segment, ranges, count);
    filter->sure = true;
}

/* How many of the years are known. */
static unsigned year_ranges(const struct ask *ask, int first, int last,
                            struct term_range ranges[YEARS_MAX])
{
    unsigned count = 0;
    for (int year = first; year <= last && count < YEARS_MAX; year++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%04d", year);
        count += bag_range(ask, INDEX_YEAR, text, &ranges[count]);
    }
    return count;
}

static void filter(struct ask *ask)
{
    const struct index_query *query = ask->query;
    if (query->genre != NULL) {
        filter_by(ask, &ask->genre, bag_range(ask, INDEX_GENRE, query->genre, &ask->genre));
    }
    if (query->year_first != 0) {
        filter_by(ask, ask->years,
                  year_ranges(ask, query->year_first, query->year_last, ask->years));
    }
}

static void exclude_by(struct ask *ask, const struct term_range *ranges, unsigned count)
{
    source_add(&ask->excluded[ask->excluded_count++], ask->segment, ranges, count);
}

static void exclude_filtered(struct ask *ask)
{
    const struct index_query *query = ask->query;
    if (query->without_genre != NULL) {
        exclude_by(ask, &ask->without_genre,
                   bag_range(ask, INDEX_GENRE, query->without_genre, &ask->without_genre));
    }
    if (query->without_first != 0) {
        exclude_by(ask, ask->without_years,
                   year_ranges(ask, query->without_first, query->without_last, ask->without_years));
    }
}

static void exclude(struct ask *ask, const struct index_asked *asked)
{
    unsigned number = ask->excluded_count, count = 0;
    for (unsigned i = 0; i < asked->form_count; i++) {
        uint32_t term = 0;
        if (segment_term(ask->segment, asked->forms[i], &term)) {
            ask->without[number][count++] = one_term(term);
        }
    }
    exclude_by(ask, ask->without[number], count);
}

static void prepare(struct ask *ask)
{
    const struct index_query *query = ask->query;
    for (unsigned i = 0; i < query->asked_count; i++) {
        const struct index_asked *asked = &query->asked[i];
        if (asked->excluded) {
            exclude(ask, asked);
        } else if (!asked->filler) {
            want(ask, asked);
        }
    }
    filter(ask);
    exclude_filtered(ask);
    veil_begin(&ask->veil, ask->segment, query);
    ask->found = roaring_bitmap_create();
    ask->failed = ask->failed || ask->found == NULL;
}

static void ask_stages(struct ask *ask)
{
    if (ask->wanted_count == 0) { /* filters alone */
        struct gather gather = {.count = 0};
        look_at_best(ask, &gather, false);
        return;
    }
    if (ask->filter_count == 0 && ask->excluded_count == 0) {
        stage_exact(ask); /* else the text is no name */
    }
    stage_whole(ask);
    if (is_full(ask, INDEX_WHOLE)) {
        return;
    }
    static void (*const stages[])(struct ask *) = {stage_prefix, stage_lyrics, stage_one_typo};
    for (unsigned i = 0; i < COUNT_OF(stages) && !ask->failed && !is_full(ask, INDEX_TIERS_); i++) {
        stages[i](ask);
    }
    if (!ask->failed && ask->hits->count == 0) {
        stage_typos(ask);
    }
}

static void ask_done(struct ask *ask)
{
    for (unsigned i = 0; i < ask->wanted_count; i++) {
        source_done(&ask->wanted[i].documents);
        for (unsigned typos = 1; typos <= INDEX_TYPOS_MAX; typos++) {
            free(ask->wanted[i].typos[typos]);
        }
    }
    for (unsigned i = 0; i < ask->filter_count; i++) {
        source_done(&ask->filters[i]);
    }
    for (unsigned i = 0; i < ask->excluded_count; i++) {
        source_done(&ask->excluded[i]);
    }
    veil_done(&ask->veil);
    segment_set_free(ask->found);
}

int segment_ask(const struct segment *segment, const roaring_bitmap_t *dead,
                const struct index_query *query, struct index_hits *hits)
{
    struct ask ask = {.segment = segment, .query = query, .dead = dead, .hits = hits};
    hits->count = 0;
    prepare(&ask);
    if (!ask.failed && segment->head->document_count > 0) {
        ask_stages(&ask);
    }
    ask_done(&ask);
    return ask.failed ? ERR_NO_MEMORY : 0;
}
