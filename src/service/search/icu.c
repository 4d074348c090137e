/* ICU by dlopen (icu.h). Functions carry ICU's version in their names; urename.h puts it there, for
 * the calls of whoever links and for dlsym here. What is opened stays for the process's life. */
#include "service/search/icu.h"

#include "base/mem.h"

#include <dlfcn.h>
#include <pthread.h>
#include <unicode/ubrk.h>
#include <unicode/ustring.h>
#include <unicode/utrans.h>

enum { TEXT_MAX = 1024 }; /* UTF-16 units of one name */

#define NAME(symbol)     NAME_(symbol)
#define NAME_(symbol)    #symbol
#define FUNCTION(symbol) __typeof__(&(symbol))

static struct {
    FUNCTION(u_strFromUTF8) from_utf8;
    FUNCTION(u_strToUTF8) to_utf8;
    FUNCTION(u_uastrncpy) from_ascii;
    FUNCTION(utrans_openU) map_open;
    FUNCTION(utrans_transUChars) map_run;
    FUNCTION(ubrk_open) break_open;
    FUNCTION(ubrk_setText) break_begin;
    FUNCTION(ubrk_next) break_next;
    bool looked, there;
    UTransliterator *maps[ICU_MAPS_];
    bool tried[ICU_MAPS_];
    UBreakIterator *breaks;
} icu;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *const rules[ICU_MAPS_] = {
    [ICU_CYRILLIC_ISO] = "Cyrillic-Latin; Latin-ASCII",
    [ICU_CYRILLIC_ENGLISH] = "Russian-Latin/BGN; Cyrillic-Latin; Latin-ASCII",
    [ICU_GREEK_CLASSIC] = "Greek-Latin; Latin-ASCII",
    [ICU_GREEK_MODERN] = "Greek-Latin/UNGEGN; Latin-ASCII",
    [ICU_HIRAGANA] = "Hiragana-Latin; Latin-ASCII",
    [ICU_PINYIN] = "Han-Latin; Latin-ASCII",
    [ICU_SIMPLIFIED] = "Traditional-Simplified",
    [ICU_ARABIC] = "Arabic-Latin; Latin-ASCII",
    [ICU_HEBREW] = "Hebrew-Latin; Latin-ASCII",
    [ICU_ANY] = "Any-Latin; Latin-ASCII",
};

static void load(void)
{
    void *common = dlopen("libicuuc.so." U_ICU_VERSION_SHORT, RTLD_NOW | RTLD_LOCAL);
    void *maps = dlopen("libicui18n.so." U_ICU_VERSION_SHORT, RTLD_NOW | RTLD_LOCAL);
    if (common == NULL || maps == NULL) {
        return;
    }
    const struct {
        void **function;
        void *library;
        const char *name;
    } symbols[] = {
        {(void **)&icu.from_utf8, common, NAME(u_strFromUTF8)},
        {(void **)&icu.to_utf8, common, NAME(u_strToUTF8)},
        {(void **)&icu.from_ascii, common, NAME(u_uastrncpy)},
        {(void **)&icu.map_open, maps, NAME(utrans_openU)},
        {(void **)&icu.map_run, maps, NAME(utrans_transUChars)},
        {(void **)&icu.break_open, common, NAME(ubrk_open)},
        {(void **)&icu.break_begin, common, NAME(ubrk_setText)},
        {(void **)&icu.break_next, common, NAME(ubrk_next)},
    };
    icu.there = true;
    for (size_t i = 0; i < COUNT_OF(symbols); i++) {
        *symbols[i].function = dlsym(symbols[i].library, symbols[i].name);
        icu.there = icu.there && *symbols[i].function != NULL;
    }
}

static bool is_there(void)
{
    if (!icu.looked) {
        icu.looked = true;
        load();
    }
    return icu.there;
}

static UTransliterator *map_of(enum icu_map map)
{
    if (!icu.tried[map]) {
        icu.tried[map] = true;
        UErrorCode error = U_ZERO_ERROR;
        UChar id[64];
        (void)icu.from_ascii(id, rules[map], (int32_t)COUNT_OF(id));
        icu.maps[map] = icu.map_open(id, -1, UTRANS_FORWARD, NULL, 0, NULL, &error);
    }
    return icu.maps[map];
}

static bool map_locked(enum icu_map map, const char *text, char *out, size_t size)
{
    UTransliterator *with = is_there() ? map_of(map) : NULL;
    if (with == NULL) {
        return false;
    }
    UErrorCode error = U_ZERO_ERROR;
    UChar wide[TEXT_MAX];
    int32_t length = 0, bytes = 0;
    (void)icu.from_utf8(wide, TEXT_MAX / 4, &length, text, -1, &error); /* room to grow */
    int32_t limit = length;
    icu.map_run(with, wide, &length, TEXT_MAX, 0, &limit, &error);
    (void)icu.to_utf8(out, (int32_t)size, &bytes, wide, length, &error);
    return U_SUCCESS(error) && (size_t)bytes < size;
}

bool icu_map(enum icu_map map, const char *text, char *out, size_t size)
{
    (void)pthread_mutex_lock(&lock);
    bool mapped = map_locked(map, text, out, size);
    (void)pthread_mutex_unlock(&lock);
    out[mapped ? size - 1 : 0] = '\0';
    return mapped;
}

/* The UTF-8 bytes of so many UTF-16 units. */
static unsigned bytes_of(const UChar *wide, int32_t units)
{
    UErrorCode error = U_ZERO_ERROR;
    int32_t bytes = 0;
    (void)icu.to_utf8(NULL, 0, &bytes, wide, units, &error);
    return (unsigned)bytes;
}

static unsigned starts_locked(const char *text, unsigned *starts, unsigned max)
{
    UErrorCode error = U_ZERO_ERROR;
    if (!is_there()) {
        return 0;
    }
    if (icu.breaks == NULL) {
        icu.breaks = icu.break_open(UBRK_WORD, "", NULL, 0, &error);
    }
    UChar wide[TEXT_MAX];
    int32_t length = 0;
    (void)icu.from_utf8(wide, TEXT_MAX, &length, text, -1, &error);
    if (icu.breaks == NULL || U_FAILURE(error)) {
        return 0;
    }
    icu.break_begin(icu.breaks, wide, length, &error);
    unsigned count = 0;
    for (int32_t at = 0; U_SUCCESS(error) && at >= 0 && at < length && count < max;
         at = icu.break_next(icu.breaks)) {
        starts[count++] = bytes_of(wide, at);
    }
    return count;
}

unsigned icu_word_starts(const char *text, unsigned *starts, unsigned max)
{
    (void)pthread_mutex_lock(&lock);
    unsigned count = starts_locked(text, starts, max);
    (void)pthread_mutex_unlock(&lock);
    return count;
}
