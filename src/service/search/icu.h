/* What search asks of ICU: names from one script into another, and where words begin in scripts
 * that put no space between them.
 *
 * ICU is loaded by the first name that needs it, since it costs a process 3 MB and its tables up to
 * 10 MB more: where all names are Latin (utf8proc folds those) it never is. Where its library is
 * missing, names are found in their own script alone. Any thread; calls take turns.
 *
 * Source: ICU 72 User Guide, "Transforms" and "Boundary Analysis".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum icu_map {
    ICU_CYRILLIC_ISO,     /* чайковский → cajkovskij */
    ICU_CYRILLIC_ENGLISH, /* → chaykovskiy */
    ICU_GREEK_CLASSIC,    /* ψυχή → psyche */
    ICU_GREEK_MODERN,     /* → psychi */
    ICU_HIRAGANA,         /* うただ → utada */
    ICU_PINYIN,           /* 周杰伦 → zhou jie lun; 4 MB and a while the first time */
    ICU_SIMPLIFIED,       /* 周杰倫 → 周杰伦 */
    ICU_ARABIC,
    ICU_HEBREW,
    ICU_ANY, /* every other script into Latin */
    ICU_MAPS_
};

/* False where it can't be said (no ICU, not UTF-8, too long for out); out is then "". */
bool icu_map(enum icu_map map, const char *text, char *out, size_t size);
/* Byte offsets at which words begin, 0 among them, at most max; 0 where it can't be said. */
unsigned icu_word_starts(const char *text, unsigned *starts, unsigned max);
