/* What stands on shelves that a query does not name is hidden (segment.h). A shelf is a word of its
 * documents, so those of the others are one set more, which is taken away from each window of
 * candidates before any is looked at: what is hidden takes nobody's room. Where a segment has no
 * shelf but those that are named, there is no such set and nothing is done. */
#include "backend/index/segment.h"

#include <string.h>

static bool is_open(const struct index_query *query, const struct segment *segment, uint32_t term)
{
    for (unsigned i = 0; i < query->shelf_count; i++) {
        char text[SEGMENT_SHELF_SIZE];
        uint32_t open = 0;
        segment_shelf_text(query->shelves[i], text);
        if (segment_term(segment, text, &open) && open == term) {
            return true;
        }
    }
    return false;
}

void veil_begin(struct veil *veil, const struct segment *segment, const struct index_query *query)
{
    const char mark[] = {SEGMENT_SHELF, '\0'};
    struct term_range all;
    veil->on = false;
    veil->source = (struct source){.part_count = 0};
    veil->window = WINDOW_NONE;
    if (query->every_shelf || !segment_prefix(segment, mark, &all)) {
        return;
    }
    unsigned count = 0;
    for (uint32_t term = all.first; term < all.last && count < SEGMENT_HIDDEN_MAX; term++) {
        if (!is_open(query, segment, term)) {
            veil->hidden[count++] = (struct term_range){.first = term, .last = term + 1};
        }
    }
    if (count == SEGMENT_HIDDEN_MAX) { /* rather too much than too little */
        veil->hidden[0] = all;
        count = 1;
    }
    veil->on = count > 0;
    source_add(&veil->source, segment, veil->hidden, count);
}

void veil_rewind(struct veil *veil)
{
    if (veil->on) {
        source_rewind(&veil->source);
    }
    veil->window = WINDOW_NONE;
}

void veil_done(struct veil *veil)
{
    source_done(&veil->source);
}

static const uint64_t *hidden_of(struct veil *veil, int32_t window)
{
    if (veil->window != window) {
        veil->window = window;
        memset(veil->bits, 0, sizeof veil->bits);
        source_window(&veil->source, window, veil->bits);
    }
    return veil->bits;
}

void veil_take_away(struct veil *veil, int32_t window, uint64_t bits[WINDOW_WORDS])
{
    const uint64_t *hidden = veil->on ? hidden_of(veil, window) : NULL;
    for (unsigned i = 0; hidden != NULL && i < WINDOW_WORDS; i++) {
        bits[i] &= ~hidden[i];
    }
}

bool veil_hides(struct veil *veil, uint32_t document)
{
    uint32_t inside = document % WINDOW_DOCUMENTS;
    return veil->on &&
           (hidden_of(veil, (int32_t)(document >> WINDOW_BITS))[inside / 64] >> inside % 64 & 1) !=
               0;
}
