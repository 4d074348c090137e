/* Names into words that can be found: the one function that both what is stored and what is asked
 * go through, so that they meet however either was written.
 *
 *   Mötley Crüe       motley|moetley  crue|cruee
 *   AC/DC             ac|acdc  dc
 *   P!nk              pink|pnk
 *   Чайковский        чаиковскии|cajkovskij|chaykovskiy
 *   周杰倫             周杰|zhoujielun  杰伦|jielun  伦|lun
 *   한국              jamo as they are typed|hanguk
 *
 * A name is a row of positions, each with one or more forms; a word that is asked for matches a
 * position when one of its forms begins one of the position's. Forms are UTF-8 without spaces, at
 * most WORD_BYTES_MAX long, and folded: case, widths and diacritics are gone. Any thread; all
 * memory is the arena's. Design: README.md.
 */
#pragma once

#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    WORD_BYTES_MAX = 63,
    WORDS_MAX = 192,       /* forms of one name; what is behind is not found by */
    WORDS_TEXT_MAX = 1024, /* characters looked at */
};

struct word {
    const char *text;
    unsigned position;
    bool filler; /* "the", "feat", "and": found, but never missed */
};

struct words {
    struct word list[WORDS_MAX];
    unsigned count;
    unsigned positions;
    bool signs;  /* the name is nothing but signs: one word of them */
    bool failed; /* out of memory */
};

/* Asked are the words of a query: what only what is stored needs (Han read aloud, a word's ends as
 * words of their own) is left out. */
enum words_use { WORDS_STORED, WORDS_ASKED };

/* 0 or ERR_NO_MEMORY. text need not be UTF-8 (bad bytes separate). A name of nothing but signs is
 * one word of them; one of nothing but spaces has none. */
int words_of(struct arena *arena, const char *text, enum words_use use, struct words *ret_words);
/* All positions' first forms with spaces between, fillers left out unless there is nothing else:
 * equal for names that are the same to a person. NULL: out of memory. */
const char *words_key(struct arena *arena, const struct words *words);
