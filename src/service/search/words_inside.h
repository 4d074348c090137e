/* What words.c and words_scripts.c share; nobody else includes it. */
#pragma once

#include "service/search/words.h"

#include <stddef.h>

enum script {
    SCRIPT_NONE,  /* separates */
    SCRIPT_LATIN, /* and digits */
    SCRIPT_GREEK,
    SCRIPT_CYRILLIC,
    SCRIPT_HEBREW,
    SCRIPT_ARABIC,
    SCRIPT_HAN,
    SCRIPT_KANA,
    SCRIPT_HANGUL,
    SCRIPT_OTHER,
};

/* A run of one script, folded (NFKC, case), inside a name. */
struct run {
    struct arena *arena;
    enum words_use use;
    enum script script;
    const int32_t *points;
    unsigned count;
};

/* Adds a form at the position that is being made; cut at WORD_BYTES_MAX, doubles left out. */
void words_add(struct words *words, struct arena *arena, const char *text);
/* The position is whole. */
void words_next(struct words *words);
/* UTF-8 of points; NULL: out of memory. */
char *words_utf8(struct arena *arena, const int32_t *points, unsigned count);
/* A point without its marks: ό → ο, й → и; itself where it has none. */
int32_t words_bare(int32_t point);

/* A run of any script but Latin. */
void words_of_run(struct words *words, const struct run *run);
