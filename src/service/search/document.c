/* Things of the catalogue as documents of the index. Any thread. */
#include "service/search/search_internal.h"

#include "base/error.h"
#include "base/json.h"
#include "service/search/words.h"

#include <ctype.h>
#include <string.h>

enum {
    LYRICS_WORDS_MAX = 400,
    PLAIN_WORDS_MAX = 320, /* of the three names, genres and year */
    LYRICS_WORD_BYTES_MIN = 3,
    GENRES_MAX = 16,
};

struct document {
    struct arena *arena;
    struct index_word *words;
    unsigned count, room;
};

static bool only_fillers(const struct words *words)
{
    for (unsigned i = 0; i < words->count; i++) {
        if (!words->list[i].filler) {
            return false;
        }
    }
    return true;
}

static void add(struct document *document, const struct index_word *word)
{
    if (document->count < document->room) {
        document->words[document->count++] = *word;
    }
}

/* The words of a name that is shown; "The The" has no fillers. */
static int add_name(struct document *document, enum index_field field, const char *name,
                    const char **ret_key)
{
    struct words words;
    int error = words_of(document->arena, name, WORDS_STORED, &words);
    bool fillers = !only_fillers(&words);
    for (unsigned i = 0; error == 0 && i < words.count; i++) {
        const struct word *word = &words.list[i];
        add(document,
            &(struct index_word){.text = word->text,
                                 .field = field,
                                 .also = i > 0 && words.list[i - 1].position == word->position,
                                 .filler = fillers && word->filler});
    }
    if (error == 0 && ret_key != NULL) {
        *ret_key = words_key(document->arena, &words);
        error = *ret_key == NULL ? ERR_NO_MEMORY : 0;
    }
    return error;
}

static int add_bag(struct document *document, enum index_bag bag, const char *text)
{
    char word[INDEX_WORD_BYTES_MAX];
    size_t length = strnlen(text, sizeof word - 2);
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) {
        length--; /* no half of a character */
    }
    word[0] = (char)bag;
    memcpy(word + 1, text, length);
    word[length + 1] = '\0';
    const char *kept = length > 0 ? arena_strdup(document->arena, word) : "";
    if (kept == NULL) {
        return ERR_NO_MEMORY;
    }
    if (length > 0) {
        add(document, &(struct index_word){.text = kept, .field = INDEX_BAG});
    }
    return 0;
}

const char *document_genre(struct arena *arena, const char *genre)
{
    struct words words;
    return words_of(arena, genre, WORDS_STORED, &words) == 0 ? words_key(arena, &words) : NULL;
}

static int add_genres(struct document *document, const char *genres)
{
    json_t *list CLEANUP_JSON = json_loads(genres, 0, NULL);
    int error = 0;
    for (size_t i = 0; error == 0 && i < json_array_size(list) && i < GENRES_MAX; i++) {
        const char *genre = json_string_value(json_array_get(list, i));
        const char *key = genre != NULL ? document_genre(document->arena, genre) : "";
        error = key != NULL ? add_bag(document, INDEX_GENRE, key) : ERR_NO_MEMORY;
    }
    return error;
}

/* "1975-11-21" → 1975. */
static int add_year(struct document *document, const char *date)
{
    char year[5] = "";
    for (unsigned i = 0; i < 4; i++) {
        if (isdigit((unsigned char)date[i]) == 0) {
            return 0;
        }
        year[i] = date[i];
    }
    return add_bag(document, INDEX_YEAR, year);
}

/* A record of 1973 that was mastered anew in 2011 is of both. */
static int add_years(struct document *document, const struct catalog_name *name)
{
    int error = add_year(document, name->release_date);
    bool other = strncmp(name->release_date, name->original_date, 4) != 0;
    return error == 0 && other ? add_year(document, name->original_date) : error;
}

static bool has_word(const struct document *document, unsigned from, const char *text)
{
    for (unsigned i = from; i < document->count; i++) {
        if (strcmp(document->words[i].text + 1, text) == 0) {
            return true;
        }
    }
    return false;
}

/* Each word once, line by line (a line is a name's length). */
static int add_lyrics(struct document *document, const char *lyrics)
{
    unsigned from = document->count;
    char *rest = NULL, *lines = arena_strdup(document->arena, lyrics);
    int error = lines == NULL ? ERR_NO_MEMORY : 0;
    for (char *line = error == 0 ? strtok_r(lines, "\r\n", &rest) : NULL;
         error == 0 && line != NULL; line = strtok_r(NULL, "\r\n", &rest)) {
        struct words words;
        error = words_of(document->arena, line, WORDS_STORED, &words);
        for (unsigned i = 0; error == 0 && i < words.count; i++) {
            const char *text = words.list[i].text;
            bool wanted =
                strlen(text) >= LYRICS_WORD_BYTES_MIN && strlen(text) < INDEX_WORD_BYTES_MAX - 1 &&
                document->count - from < LYRICS_WORDS_MAX && !has_word(document, from, text);
            error = wanted ? add_bag(document, INDEX_LYRICS, text) : 0;
        }
    }
    return error;
}

int document_make(struct arena *arena, enum index_kind kind, const struct catalog_name *name,
                  uint32_t popularity, struct index_doc *ret_doc)
{
    struct document document = {.arena = arena, .room = PLAIN_WORDS_MAX};
    document.room += name->lyrics[0] != '\0' ? LYRICS_WORDS_MAX : 0;
    document.words = arena_array(arena, document.room, sizeof *document.words);
    const char *key = "";
    int error =
        document.words == NULL ? ERR_NO_MEMORY : add_name(&document, INDEX_NAME, name->name, &key);
    error = error != 0 ? error : add_name(&document, INDEX_BY, name->artist, NULL);
    error = error != 0 ? error : add_name(&document, INDEX_ON, name->album, NULL);
    error = error != 0 ? error : add_genres(&document, name->genres);
    error = error != 0 ? error : add_years(&document, name);
    error = error != 0 ? error : add_lyrics(&document, name->lyrics);
    *ret_doc = (struct index_doc){.kind = kind,
                                  .id = name->id,
                                  .popularity = popularity,
                                  .key = key,
                                  .shelf = name->shelf_id,
                                  .words = document.words,
                                  .word_count = document.count};
    return error;
}

enum index_kind document_kind(enum catalog_kind kind)
{
    return kind == CATALOG_TRACK ? INDEX_TRACK : kind == CATALOG_ALBUM ? INDEX_ALBUM : INDEX_ARTIST;
}
