/* What somebody typed, taken apart (search_internal.h: query_read).
 *
 *   word          begins a word of the name, of who made it or of what it is on
 *   "two words"   whole and side by side
 *   -word         not with it
 *   artist:word   album:word   title:word   genre:word   year:1990   year:1990-1999
 *
 * A filter's value may stand in quotes, -filter:value is what it is not. Quotes are quotes however
 * a keyboard turns them. While a filter is being typed it narrows nothing. */
#include "service/search/search_internal.h"

#include "base/error.h"
#include "base/mem.h"
#include "service/search/words.h"

#include <ctype.h>
#include <string.h>

enum {
    ONE_TYPO_BYTES = 3,
    TWO_TYPOS_BYTES = 8,
    YEAR_DIGITS = 4,
    YEAR_LAST = 9999,
    YEARS_MAX = 200
};

enum filter { FILTER_NONE, FILTER_TITLE, FILTER_ARTIST, FILTER_ALBUM, FILTER_GENRE, FILTER_YEAR };

static const struct {
    const char *word;
    enum filter filter;
} filters[] = {{"title:", FILTER_TITLE},
               {"artist:", FILTER_ARTIST},
               {"album:", FILTER_ALBUM},
               {"genre:", FILTER_GENRE},
               {"year:", FILTER_YEAR}};

/* A piece of what was typed. */
struct piece {
    const char *text;
    enum filter filter;
    bool quoted, excluded;
    bool alone; /* nothing but signs was typed, so they are a name */
};

static enum filter take_filter(const char **at)
{
    for (size_t i = 0; i < COUNT_OF(filters); i++) {
        size_t length = strlen(filters[i].word);
        if (strncasecmp(*at, filters[i].word, length) == 0) {
            *at += length;
            return filters[i].filter;
        }
    }
    return FILTER_NONE;
}

/* The next piece from *at on; moves it behind. False: the end. piece->text NULL: out of memory. */
static bool next_piece(struct arena *arena, const char **at, struct piece *piece)
{
    bool alone = piece->alone;
    while (isspace((unsigned char)**at) != 0) {
        (*at)++;
    }
    if (**at == '\0') {
        return false;
    }
    *piece = (struct piece){.alone = alone,
                            .excluded = (*at)[0] == '-' && (*at)[1] != '\0' &&
                                        isspace((unsigned char)(*at)[1]) == 0};
    *at += piece->excluded ? 1 : 0;
    piece->filter = take_filter(at);
    piece->quoted = **at == '"';
    *at += piece->quoted ? 1 : 0;
    size_t length = strcspn(*at, piece->quoted ? "\"" : " \t\r\n\"");
    piece->text = arena_strndup(arena, *at, length);
    *at += length;
    *at += piece->quoted && **at == '"' ? 1 : 0;
    return true;
}

static unsigned typos_of(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at >= 0x80 || isdigit((unsigned char)*at) != 0) {
            return 0; /* 1998 is not 1999 */
        }
    }
    size_t length = strlen(text);
    return length >= TWO_TYPOS_BYTES ? 2 : length >= ONE_TYPO_BYTES ? 1 : 0;
}

static void add_form(struct index_asked *asked, const struct word *word)
{
    if (asked->form_count == INDEX_FORMS_MAX) {
        return;
    }
    unsigned typos = asked->whole ? 0 : typos_of(word->text);
    asked->forms[asked->form_count++] = word->text;
    asked->typos_max = typos > asked->typos_max ? typos : asked->typos_max;
    asked->filler = asked->filler || word->filler;
}

/* A word a position. */
static int add_words(struct arena *arena, const struct piece *piece, struct index_query *query)
{
    static const int fields[] = {[FILTER_NONE] = -1,
                                 [FILTER_TITLE] = INDEX_NAME,
                                 [FILTER_ARTIST] = INDEX_BY,
                                 [FILTER_ALBUM] = INDEX_ON};
    struct words words;
    int error = words_of(arena, piece->text, WORDS_ASKED, &words);
    struct index_asked *asked = NULL;
    if (error == 0 && words.signs && !piece->alone) {
        return 0; /* "Live - Remastered" */
    }
    for (unsigned i = 0; error == 0 && i < words.count; i++) {
        bool first = i == 0, next = first || words.list[i].position != words.list[i - 1].position;
        if (next && query->asked_count == INDEX_ASKED_MAX) {
            break;
        }
        if (next) {
            asked = &query->asked[query->asked_count++];
            *asked = (struct index_asked){.field = fields[piece->filter],
                                          .whole = piece->quoted,
                                          .excluded = piece->excluded,
                                          .joined = piece->quoted && !first};
        }
        add_form(asked, &words.list[i]);
    }
    return error;
}

/* Exactly four digits; 0: it is none. */
static int year_of(const char *text)
{
    int year = 0;
    for (unsigned i = 0; i < YEAR_DIGITS; i++) {
        if (isdigit((unsigned char)text[i]) == 0) {
            return 0;
        }
        year = year * 10 + (text[i] - '0');
    }
    return year;
}

/* "1990", "1990-1999"; anything else is still being typed. */
static void read_years(const struct piece *piece, struct index_query *query)
{
    const char *text = piece->text;
    size_t length = strlen(text);
    int first = year_of(text);
    int last = length == YEAR_DIGITS ? first : 0;
    if (length == 2 * YEAR_DIGITS + 1 && text[YEAR_DIGITS] == '-') {
        last = year_of(text + YEAR_DIGITS + 1);
    }
    if (first > 0 && last >= first) {
        *(piece->excluded ? &query->without_first : &query->year_first) = first;
        *(piece->excluded ? &query->without_last : &query->year_last) =
            last - first < YEARS_MAX ? last : first + YEARS_MAX;
    }
}

static int add_piece(struct arena *arena, const struct piece *piece, struct index_query *query)
{
    if (piece->text == NULL) {
        return ERR_NO_MEMORY;
    }
    if (piece->filter == FILTER_YEAR) {
        read_years(piece, query);
        return 0;
    }
    if (piece->filter != FILTER_GENRE) {
        return add_words(arena, piece, query);
    }
    const char *genre = document_genre(arena, piece->text);
    if (genre != NULL && genre[0] != '\0') {
        *(piece->excluded ? &query->without_genre : &query->genre) = genre;
    }
    return genre == NULL ? ERR_NO_MEMORY : 0;
}

/* A letter missing leaves three of four. Alone that could be anything. */
static bool is_short(const struct index_asked *asked)
{
    for (unsigned i = 0; i < asked->form_count; i++) {
        if (strlen(asked->forms[i]) > ONE_TYPO_BYTES) {
            return false;
        }
    }
    return true;
}

/* Fillers are missed where there is nothing else: "the the". */
static void settle_words(struct index_query *query)
{
    bool all = true;
    unsigned others = 0;
    for (unsigned i = 0; i < query->asked_count; i++) {
        all = all && (query->asked[i].filler || query->asked[i].excluded);
    }
    for (unsigned i = 0; i < query->asked_count; i++) {
        struct index_asked *asked = &query->asked[i];
        asked->filler = asked->filler && !all && !asked->whole;
        others += !asked->filler && !asked->excluded;
    }
    for (unsigned i = 0; others < 2 && i < query->asked_count; i++) {
        if (is_short(&query->asked[i])) {
            query->asked[i].typos_max = 0;
        }
    }
}

/* Phones type “ and ” where " is meant. */
static const char *straight_quotes(struct arena *arena, const char *text)
{
    static const char *const quotes[] = {"“", "”", "„", "‟", "«", "»", "＂"};
    char *copy = arena_strdup(arena, text), *to = copy;
    for (const char *from = copy; from != NULL && *from != '\0';) {
        size_t length = 0;
        for (size_t i = 0; length == 0 && i < COUNT_OF(quotes); i++) {
            size_t bytes = strlen(quotes[i]);
            length = strncmp(from, quotes[i], bytes) == 0 ? bytes : 0;
        }
        *to++ = length > 0 ? '"' : *from;
        from += length > 0 ? length : 1;
    }
    if (copy != NULL) {
        *to = '\0';
    }
    return copy;
}

int query_read(struct arena *arena, const char *text, struct index_query *query)
{
    *query = (struct index_query){.limit = HITS_DEFAULT};
    struct words words;
    text = straight_quotes(arena, text);
    int error = text != NULL ? words_of(arena, text, WORDS_STORED, &words) : ERR_NO_MEMORY;
    query->key = error == 0 ? words_key(arena, &words) : NULL;
    error = query->key == NULL ? ERR_NO_MEMORY : 0;
    struct piece piece = {.text = text, .alone = error == 0 && words.signs};
    if (piece.alone && strchr(text, '"') == NULL) { /* "* *": a name has them joined */
        error = add_piece(arena, &piece, query);
        text = "";
    }
    while (error == 0 && next_piece(arena, &text, &piece)) {
        error = add_piece(arena, &piece, query);
    }
    settle_words(query);
    return error;
}

bool query_asks(const struct index_query *query)
{
    for (unsigned i = 0; i < query->asked_count; i++) {
        if (!query->asked[i].excluded) {
            return true;
        }
    }
    return query->genre != NULL || query->year_first != 0;
}
