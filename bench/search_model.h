/* The synthetic catalogue of `./dev bench search`: made-up names, the same for a seed, of any size.
 * Each thing is a function of its number, so nothing is kept.
 *
 *   ten tracks an album, three albums an artist
 *   words: syllables; how often one comes is log-uniform over its rank (Zipf's law with exponent
 * 1), of a vocabulary that grows with the square root of the catalogue (Heaps' law): 150,000 at a
 * million tracks, and as many again that only artists are called by titles of one to six words, 2.6
 * on average, one in eight with "(feat. …)", "- Live", "(Remastered 2011)"; artists of one to three
 * words one artist in eight, with all it made, in another script: Cyrillic, kana, Han, Hangul,
 * Greek plays: the inverse of a uniform number (Zipf again)
 *
 * It is no sample of any real catalogue: real names are less evenly spread over the letters, and
 * share more.
 */
#pragma once

#include "service/catalog/catalog.h"

enum { MODEL_TEXT = 256, TRACKS_PER_ALBUM = 10, ALBUMS_PER_ARTIST = 3 };

struct model {
    uint64_t seed, tracks;
    uint64_t words; /* of the vocabulary */
};

struct model_thing {
    struct catalog_name name; /* points into the texts */
    uint32_t plays;
    char title[MODEL_TEXT], artist[MODEL_TEXT], album[MODEL_TEXT], date[16];
};

void model_init(struct model *model, uint64_t tracks, uint64_t seed);
/* number counts from 0; the id is number + 1. */
void model_track(const struct model *model, uint64_t number, struct model_thing *ret_track);
void model_album(const struct model *model, uint64_t number, struct model_thing *ret_album);
void model_artist(const struct model *model, uint64_t number, struct model_thing *ret_artist);
/* A number of [0, below) that depends on the seed and both arguments alone. */
uint64_t model_chance(const struct model *model, uint64_t number, uint64_t salt, uint64_t below);
