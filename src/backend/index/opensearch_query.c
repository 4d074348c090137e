/* A question to the index as OpenSearch is asked it (opensearch.h), and what its scores say. The
 * tiers of index.h become scores that are constants, so that sorting by score, plays and id is the
 * order that index.h says; nothing is ranked by how often a word occurs.
 *
 *   STAGE_RIGHT      all words as beginnings, which every better tier is, too: 0, and 2 more for
 *                    each tier above PREFIX; 1 more where no word needs ON
 *   STAGE_ONE_TYPO   what the first did not find: in the lyrics, else one word with a typo
 *   STAGE_TYPOS      every word with as many typos as it bears
 *
 * Any thread; what is returned is the caller's. */
#include "backend/index/opensearch.h"

#include "base/json.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum {
    PIECES_MAX = INDEX_ASKED_MAX,
    TYPO_BYTES_MIN = 3,
    LYRICS_BYTES_MIN = 3,
    TEXT_BYTES_MAX = INDEX_ASKED_MAX * INDEX_FORMS_MAX * (INDEX_WORD_BYTES_MAX + 1),
    /* scores of the second and third stage */
    SCORE_FAR = 2,
    SCORE_NEAR = 4,
    SCORE_LYRICS = 6,
};

static const char *const whole_fields[] = {"name", "by", "on"};
static const char *const begun_fields[] = {"name.begun", "by.begun", "on.begun"};

/* Words that are required, joined ones as one piece. */
struct piece {
    const struct index_asked *asked[INDEX_ASKED_MAX];
    unsigned count;
};

struct asking {
    const struct index_query *query;
    struct piece pieces[PIECES_MAX];
    unsigned piece_count;
    const struct index_asked *words[INDEX_ASKED_MAX]; /* of all pieces */
    unsigned word_count;
    bool failed;
};

/* ---- JSON ---- */

/* Takes the value; NULL is out of memory. */
static void append(struct asking *asking, json_t *list, json_t *value)
{
    if (value == NULL || json_array_append_new(list, value) != 0) {
        asking->failed = true;
    }
}

static json_t *check(struct asking *asking, json_t *value)
{
    asking->failed = asking->failed || value == NULL;
    return value;
}

/* All, or any, of a list, which is taken. */
static json_t *all_of(struct asking *asking, json_t *list)
{
    return check(asking, json_pack("{s:{s:o}}", "bool", "filter", list));
}

static json_t *any_of(struct asking *asking, json_t *list)
{
    if (json_array_size(list) == 1) {
        json_t *only = json_incref(json_array_get(list, 0));
        json_decref(list);
        return only;
    }
    return check(asking, json_pack("{s:{s:o}}", "bool", "should", list));
}

static json_t *scored(struct asking *asking, json_t *query, int score)
{
    return check(asking,
                 json_pack("{s:{s:o, s:i}}", "constant_score", "filter", query, "boost", score));
}

static json_t *number_is(struct asking *asking, const char *field, int number)
{
    return check(asking, json_pack("{s:{s:i}}", "term", field, number));
}

/* ---- words ---- */

/* The words' forms, as a document's are written. */
static void write_words(char text[TEXT_BYTES_MAX], const struct index_asked *const *asked,
                        unsigned count)
{
    size_t length = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < asked[i]->form_count; j++) {
            const char *mark = i == 0 && j == 0 ? ""
                               : j == 0         ? OPENSEARCH_POSITION
                                                : OPENSEARCH_FORM;
            int more =
                snprintf(text + length, TEXT_BYTES_MAX - length, "%s%s", mark, asked[i]->forms[j]);
            length += more > 0 && (size_t)more < TEXT_BYTES_MAX - length ? (size_t)more : 0;
        }
    }
    text[length] = '\0';
}

/* In a field: one word in any of its forms, several side by side. */
static json_t *words_in(struct asking *asking, const char *field,
                        const struct index_asked *const *asked, unsigned count)
{
    char text[TEXT_BYTES_MAX];
    write_words(text, asked, count);
    return check(asking, json_pack("{s:{s:{s:s}}}", count > 1 ? "match_phrase" : "match", field,
                                   "query", text));
}

/* In one of the first so many fields; a word's own field is the only one. */
static json_t *in_fields(struct asking *asking, const char *const *fields, unsigned count,
                         const struct index_asked *const *asked, unsigned asked_count)
{
    int only = asked[0]->field;
    json_t *list = json_array();
    for (unsigned i = 0; i < count; i++) {
        if (only < 0 || only == (int)i) {
            append(asking, list, words_in(asking, fields[i], asked, asked_count));
        }
    }
    return any_of(asking, list); /* of none: nothing is found */
}

/* A piece where it must be: a word in quotes whole, others as beginnings. fields: how many of name,
 * by, on. */
static json_t *piece_in(struct asking *asking, const struct piece *piece, unsigned fields)
{
    const struct index_asked *first = piece->asked[0];
    if (first->whole) {
        return in_fields(asking, whole_fields, fields, piece->asked, piece->count);
    }
    if (first->field < 0 && fields == COUNT_OF(begun_fields)) {
        return words_in(asking, "all", piece->asked, 1);
    }
    return in_fields(asking, begun_fields, fields, piece->asked, 1);
}

static json_t *pieces_in(struct asking *asking, unsigned fields)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < asking->piece_count; i++) {
        append(asking, list, piece_in(asking, &asking->pieces[i], fields));
    }
    return all_of(asking, list);
}

/* ---- the tiers of words that are right ---- */

static json_t *exact(struct asking *asking, const struct index_asked *const *asked)
{
    json_t *list = json_array();
    append(asking, list, words_in(asking, "name", asked, asking->word_count));
    append(asking, list, number_is(asking, "nameCount", (int)asking->word_count));
    return all_of(asking, list);
}

static json_t *phrase(struct asking *asking, const struct index_asked *const *asked)
{
    json_t *by = json_array(), *list = json_array();
    append(asking, by, words_in(asking, "by", asked, asking->word_count));
    append(asking, by, number_is(asking, "byCount", (int)asking->word_count));
    append(asking, list, words_in(asking, "name", asked, asking->word_count));
    append(asking, list, all_of(asking, by));
    return any_of(asking, list);
}

static json_t *whole(struct asking *asking, const struct index_asked *const *asked)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < asking->word_count; i++) {
        json_t *fields = json_array();
        for (unsigned j = 0; j < COUNT_OF(whole_fields); j++) {
            append(asking, fields, words_in(asking, whole_fields[j], &asked[i], 1));
        }
        append(asking, list, any_of(asking, fields));
    }
    return all_of(asking, list);
}

static json_t *tiers(struct asking *asking)
{
    const struct index_asked *const *asked = asking->words;
    json_t *list = json_array();
    append(asking, list, scored(asking, exact(asking, asked), 2 * (INDEX_PREFIX - INDEX_EXACT)));
    append(asking, list, scored(asking, phrase(asking, asked), 2 * (INDEX_PREFIX - INDEX_PHRASE)));
    append(asking, list, scored(asking, whole(asking, asked), 2 * (INDEX_PREFIX - INDEX_WHOLE)));
    append(asking, list,
           scored(asking, words_in(asking, "name.begun", asked, asking->word_count),
                  2 * (INDEX_PREFIX - INDEX_BEGUN)));
    return check(asking, json_pack("{s:{s:o}}", "dis_max", "queries", list));
}

/* ---- typos ---- */

static bool is_ascii(const char *text)
{
    while (*text != '\0' && (unsigned char)*text < 0x80) {
        text++;
    }
    return *text == '\0';
}

/* A word with up to so many typos in a field of beginnings; itself, too. */
static json_t *nearly(struct asking *asking, const char *field, const struct index_asked *asked,
                      unsigned typos)
{
    json_t *list = json_array();
    append(asking, list, words_in(asking, field, &asked, 1));
    for (unsigned i = 0; i < asked->form_count; i++) {
        char form[OPENSEARCH_PREFIX_MAX + 1];
        (void)snprintf(form, sizeof form, "%s", asked->forms[i]);
        if (strlen(form) >= TYPO_BYTES_MIN && is_ascii(form)) {
            append(asking, list,
                   json_pack("{s:{s:{s:s, s:i, s:s}}}", "fuzzy", field, "value", form, "fuzziness",
                             (int)typos, "rewrite", "constant_score"));
        }
    }
    return any_of(asking, list);
}

/* The piece with so many typos; 0: as it is. */
static json_t *piece_nearly(struct asking *asking, const struct piece *piece, unsigned typos,
                            bool in_name)
{
    const struct index_asked *asked = piece->asked[0];
    if (typos == 0 || asked->whole) {
        return piece_in(asking, piece, in_name ? 1 : COUNT_OF(begun_fields));
    }
    const char *field = in_name            ? "name.begun"
                        : asked->field < 0 ? "all"
                                           : begun_fields[asked->field];
    return nearly(asking, field, asked, typos);
}

/* All pieces, each with as many typos as `typos` says of its number. */
static json_t *all_nearly(struct asking *asking, const unsigned typos[PIECES_MAX], bool in_name)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < asking->piece_count; i++) {
        append(asking, list, piece_nearly(asking, &asking->pieces[i], typos[i], in_name));
    }
    if (in_name) { /* and nothing else is in it */
        append(asking, list, number_is(asking, "nameCount", (int)asking->word_count));
    }
    return all_of(asking, list);
}

static void add_nearly(struct asking *asking, json_t *list, const unsigned typos[PIECES_MAX])
{
    append(asking, list, scored(asking, all_nearly(asking, typos, true), SCORE_NEAR));
    append(asking, list, scored(asking, all_nearly(asking, typos, false), SCORE_FAR));
}

/* One word has a typo, all others are right; each word in turn. */
static void add_one_typo(struct asking *asking, json_t *list)
{
    for (unsigned i = 0; i < asking->piece_count; i++) {
        unsigned typos[PIECES_MAX] = {0};
        typos[i] = asking->pieces[i].asked[0]->typos_max > 0 ? 1 : 0;
        if (typos[i] > 0) {
            add_nearly(asking, list, typos);
        }
    }
}

static void add_typos(struct asking *asking, json_t *list)
{
    unsigned typos[PIECES_MAX] = {0}, sum = 0;
    for (unsigned i = 0; i < asking->piece_count; i++) {
        typos[i] = asking->pieces[i].asked[0]->typos_max;
        sum += typos[i];
    }
    if (sum > 1) { /* one alone was looked for before */
        add_nearly(asking, list, typos);
    }
}

/* Every word in the lyrics, unless one is asked for elsewhere, or so short that all have it. */
static void add_lyrics(struct asking *asking, json_t *list)
{
    const struct index_asked *const *asked = asking->words;
    json_t *words = json_array();
    for (unsigned i = 0; i < asking->word_count; i++) {
        bool fits = asked[i]->field < 0;
        for (unsigned j = 0; j < asked[i]->form_count; j++) {
            fits = fits && strlen(asked[i]->forms[j]) >= LYRICS_BYTES_MIN;
        }
        if (!fits) {
            json_decref(words);
            return;
        }
        append(asking, words, words_in(asking, "lyrics", &asked[i], 1));
    }
    append(asking, list, scored(asking, all_of(asking, words), SCORE_LYRICS));
}

/* ---- the whole question ---- */

static void read_pieces(struct asking *asking)
{
    const struct index_query *query = asking->query;
    for (unsigned i = 0; i < query->asked_count; i++) {
        const struct index_asked *asked = &query->asked[i];
        if (asked->excluded || asked->filler) {
            continue;
        }
        bool joins = asked->joined && asked->whole && asking->piece_count > 0 &&
                     asking->pieces[asking->piece_count - 1].asked[0]->whole;
        struct piece *piece = &asking->pieces[asking->piece_count - (joins ? 1 : 0)];
        asking->piece_count += joins ? 0 : 1;
        piece->asked[piece->count++] = asked;
        asking->words[asking->word_count++] = asked;
    }
}

/* What stands for everybody, and on the shelves that are named. */
static json_t *shelves(struct asking *asking)
{
    const struct index_query *query = asking->query;
    json_t *list = json_array();
    append(asking, list, json_integer(0));
    for (unsigned i = 0; i < query->shelf_count; i++) {
        append(asking, list, json_integer((json_int_t)query->shelves[i]));
    }
    return check(asking, json_pack("{s:{s:o}}", "terms", "shelf", list));
}

static json_t *of_genre(const char *genre)
{
    return json_pack("{s:{s:s}}", "term", "genre", genre);
}

static json_t *of_years(int first, int last)
{
    return json_pack("{s:{s:{s:i, s:i}}}", "range", "year", "gte", first, "lte", last);
}

/* What everything that is found must be. */
static json_t *filters(struct asking *asking, enum index_kind kind)
{
    const struct index_query *query = asking->query;
    json_t *list = json_array();
    append(asking, list, number_is(asking, "kind", (int)kind));
    if (!query->every_shelf) {
        append(asking, list, shelves(asking));
    }
    if (query->genre != NULL) {
        append(asking, list, of_genre(query->genre));
    }
    if (query->year_first != 0) {
        append(asking, list, of_years(query->year_first, query->year_last));
    }
    return list;
}

static json_t *excluded(struct asking *asking)
{
    const struct index_query *query = asking->query;
    json_t *list = json_array();
    if (query->without_genre != NULL) {
        append(asking, list, of_genre(query->without_genre));
    }
    if (query->without_first != 0) {
        append(asking, list, of_years(query->without_first, query->without_last));
    }
    for (unsigned i = 0; i < query->asked_count; i++) {
        const struct index_asked *asked = &query->asked[i];
        for (unsigned j = 0; asked->excluded && j < COUNT_OF(whole_fields); j++) {
            append(asking, list, words_in(asking, whole_fields[j], &asked, 1));
        }
    }
    return list;
}

/* Beginnings, and what is better. */
static json_t *ask_right(struct asking *asking, json_t *filter, json_t *without)
{
    json_t *should = json_array();
    if (asking->piece_count > 0) {
        append(asking, filter, pieces_in(asking, COUNT_OF(begun_fields)));
        append(asking, should, tiers(asking));
        append(asking, should, scored(asking, pieces_in(asking, 2), 1));
    }
    return json_pack("{s:{s:o, s:o, s:o, s:i}}", "bool", "filter", filter, "must_not", without,
                     "should", should, "minimum_should_match", 0);
}

/* Something is looked for: what is excluded narrows no more than that. */
static bool asks(const struct asking *asking)
{
    return asking->piece_count > 0 || asking->query->genre != NULL ||
           asking->query->year_first != 0;
}

/* What the stages before did not find. NULL: there is nothing to be asked. */
static json_t *ask_beyond(struct asking *asking, enum opensearch_stage stage, json_t *filter,
                          json_t *without)
{
    json_t *list = json_array();
    if (stage == STAGE_ONE_TYPO) {
        add_lyrics(asking, list);
        add_one_typo(asking, list);
        append(asking, without, pieces_in(asking, COUNT_OF(begun_fields)));
    } else {
        add_typos(asking, list);
    }
    if (json_array_size(list) == 0) {
        json_decref(list);
        json_decref(filter);
        json_decref(without);
        return NULL;
    }
    return check(asking, json_pack("{s:{s:o, s:o, s:{s:{s:o}}}}", "bool", "filter", filter,
                                   "must_not", without, "must", "dis_max", "queries", list));
}

json_t *opensearch_query(enum index_kind kind, const struct index_query *query,
                         enum opensearch_stage stage, unsigned limit, bool *ret_failed)
{
    struct asking asking = {.query = query};
    read_pieces(&asking);
    *ret_failed = false;
    if (!asks(&asking)) {
        return NULL;
    }
    json_t *filter = filters(&asking, kind), *without = excluded(&asking);
    json_t *asked = stage == STAGE_RIGHT ? check(&asking, ask_right(&asking, filter, without))
                                         : ask_beyond(&asking, stage, filter, without);
    json_t *body = NULL;
    if (asked != NULL) {
        body = check(&asking,
                     json_pack("{s:i, s:o, s:[s, {s:s}, {s:s}], s:b, s:b, s:s}", "size", (int)limit,
                               "query", asked, "sort", "_score", "plays", "desc", "id", "desc",
                               "_source", 0, "track_total_hits", 0, "timeout", "10s"));
    }
    *ret_failed = asking.failed;
    if (asking.failed) {
        json_decref(body);
        return NULL;
    }
    return body;
}

void opensearch_judge(const struct index_query *query, enum opensearch_stage stage, int score,
                      struct index_hit *hit)
{
    bool words = false;
    for (unsigned i = 0; i < query->asked_count; i++) {
        words = words || (!query->asked[i].excluded && !query->asked[i].filler);
    }
    if (stage == STAGE_RIGHT) {
        hit->tier = (uint8_t)(words ? INDEX_PREFIX - score / 2 : INDEX_WHOLE);
        hit->beside = words && score % 2 == 0;
        return;
    }
    hit->tier = score == SCORE_LYRICS     ? INDEX_IN_LYRICS
                : stage == STAGE_ONE_TYPO ? INDEX_ONE_TYPO
                                          : INDEX_TWO_TYPOS;
    hit->typos = score == SCORE_LYRICS ? 0 : stage == STAGE_ONE_TYPO ? 1 : 2;
    hit->beside = score == SCORE_FAR;
}
