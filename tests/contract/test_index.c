/* What every engine of the index must do: find by words as they are typed, rank, follow changes, be
 * built anew while it answers, and know after a restart what it holds. */
#include "backend/index/index.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WORDS_MAX_ = 24, MANY = 6000 };

static char folder[64], path[96], url[512];

/* NULL: the local engine is under test; else the address of an OpenSearch. */
static const char *shared_engine(void)
{
    return getenv("TUTTI_TEST_OPENSEARCH");
}

/* A document from "name / by / on #genre"; words are separated by spaces. */
struct text_doc {
    struct index_doc doc;
    struct index_word words[WORDS_MAX_];
    char text[512], key[512];
};

static void make_doc(struct text_doc *made, enum index_kind kind, int64_t id, uint32_t popularity,
                     const char *text)
{
    static const char bag[] = {INDEX_GENRE, INDEX_YEAR, INDEX_LYRICS};
    made->key[0] = '\0';
    (void)snprintf(made->text, sizeof made->text, "%s", text);
    unsigned count = 0;
    enum index_field field = INDEX_NAME;
    char *rest = NULL;
    for (char *word = strtok_r(made->text, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        const char *marks = "#@~", *mark = strchr(marks, word[0]);
        if (strcmp(word, "/") == 0) {
            field++;
            continue;
        }
        bool filler = strcmp(word, "the") == 0;
        if (mark != NULL) {
            word[0] = bag[mark - marks];
        } else if (field == INDEX_NAME && !filler) {
            (void)strcat(made->key, made->key[0] != '\0' ? " " : "");
            (void)strcat(made->key, word);
        }
        made->words[count++] = (struct index_word){
            .text = word, .field = mark != NULL ? INDEX_BAG : field, .filler = filler};
    }
    made->doc = (struct index_doc){.kind = kind,
                                   .id = id,
                                   .popularity = popularity,
                                   .key = made->key,
                                   .words = made->words,
                                   .word_count = count};
}

static const struct {
    int64_t id;
    uint32_t popularity;
    const char *text;
} songs[] = {
    {1, 100, "bohemian rhapsody / queen / a night at the opera #rock @1975 ~galileo ~figaro"},
    {2, 90, "we will rock you / queen / news of the world #rock @1977"},
    {3, 10, "queen / somebody / else #pop @1995"},
    {4, 80, "dancing queen / abba / arrival #pop @1976"},
    {5, 1, "love / obscure / nowhere #pop @1990"},
    {6, 99, "love me do / the beatles / please please me #rock @1963"},
    {7, 98, "all you need is love / the beatles / magical mystery tour #rock @1967"},
    {8, 97, "lovely day / bill withers / menagerie #soul @1977"},
    {9, 50, "radioactive / imagine dragons / night visions #rock @2012"},
    {10, 49, "thunderstruck / ac dc / the razors edge #rock @1990"},
};

static struct index *open_index(void)
{
    struct index *index = NULL;
    struct problem problem = {0};
    assert_int_equal(index_open(url, &index, &problem), 0);
    return index;
}

static void build_songs(struct index *index, int64_t place)
{
    struct index_build *build = NULL;
    struct problem problem = {0};
    assert_int_equal(index_build_begin(index, place, &build), 0);
    for (size_t i = 0; i < COUNT_OF(songs); i++) {
        struct text_doc made;
        make_doc(&made, INDEX_TRACK, songs[i].id, songs[i].popularity, songs[i].text);
        assert_int_equal(index_build_add(build, &made.doc), 0);
    }
    assert_int_equal(index_build_end(build, &problem), 0);
}

/* Words of a query: "-word" is excluded, "=word" whole, "+word" joined to the one before, "n:word"
 * in the name, "?word" a filler; "-#rock" a genre and "-@1990" a year that are excluded. */
static void make_query(struct index_query *query, char *text, unsigned limit)
{
    *query = (struct index_query){.key = "", .limit = limit};
    char *rest = NULL;
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        if (strncmp(word, "-#", 2) == 0) {
            query->without_genre = word + 2;
            continue;
        }
        if (strncmp(word, "-@", 2) == 0) {
            query->without_first = query->without_last = atoi(word + 2);
            continue;
        }
        struct index_asked *asked = &query->asked[query->asked_count++];
        asked->field = strncmp(word, "n:", 2) == 0 ? INDEX_NAME : -1;
        word += asked->field == INDEX_NAME ? 2 : 0;
        asked->excluded = *word == '-';
        asked->joined = *word == '+';
        asked->whole = *word == '=' || asked->joined;
        asked->filler = *word == '?';
        asked->forms[0] = word + (strchr("-+=?", *word) != NULL);
        asked->form_count = 1;
        bool number = strpbrk(word, "0123456789") != NULL;
        asked->typos_max = number ? 0 : strlen(word) >= 8 ? 2 : strlen(word) >= 4 ? 1 : 0;
    }
}

/* Who asks: the shelves that found() names. */
static struct {
    int64_t shelves[2];
    unsigned count;
    bool every;
} asker;

static void asks_on(int64_t first, int64_t second)
{
    asker.shelves[0] = first;
    asker.shelves[1] = second;
    asker.count = first == 0 ? 0 : second == 0 ? 1 : 2;
    asker.every = false;
}

/* Ids found, as "1 2 3". */
static const char *found(struct index *index, const char *words, const char *genre, int first,
                         int last)
{
    static char shown[1024];
    char text[256];
    (void)snprintf(text, sizeof text, "%s", words);
    struct index_query query;
    make_query(&query, text, 10);
    query.key = words;
    query.genre = genre;
    query.year_first = first;
    query.year_last = last;
    memcpy(query.shelves, asker.shelves, sizeof asker.shelves);
    query.shelf_count = asker.count;
    query.every_shelf = asker.every;
    struct index_hits hits;
    assert_int_equal(index_search(index, INDEX_TRACK, &query, &hits), 0);
    shown[0] = '\0';
    for (unsigned i = 0; i < hits.count; i++) {
        (void)sprintf(shown + strlen(shown), "%s%lld", i > 0 ? " " : "",
                      (long long)hits.list[i].id);
    }
    return shown;
}

static void is_found(struct index *index, const char *words, const char *ids)
{
    const char *got = found(index, words, NULL, 0, 0);
    if (strcmp(got, ids) != 0) {
        fail_msg("\"%s\" found %s, not %s", words, got, ids);
    }
}

static void an_empty_index_finds_nothing(void **state)
{
    (void)state;
    struct index *index = open_index();
    assert_true(index_place(index) < 0);
    is_found(index, "anything", "");
    build_songs(index, 7);
    assert_int_equal(index_place(index), 7);
    index_close(index);
}

static void words_are_found_as_they_are_typed(void **state)
{
    (void)state;
    struct index *index = open_index();
    build_songs(index, 1);
    is_found(index, "b", "1 6 7 8"); /* names that begin so before others; then popularity */
    is_found(index, "boh", "1");
    is_found(index, "bohemian rhapsody", "1");
    is_found(index, "rhapsody bohemian", "1");
    is_found(index, "rhap boh que", "1");
    is_found(index, "queen rhapsody opera", "1");
    is_found(index, "thunder ac dc", "10");
    is_found(index, "beatles ?the love", "6 7");
    is_found(index, "nosuchword", "");
    is_found(index, "galileo figaro", "1"); /* of the lyrics */
    is_found(index, "n:queen", "3 4");
    index_close(index);
}

static void the_exact_name_stands_first(void **state)
{
    (void)state;
    struct index *index = open_index();
    build_songs(index, 1);
    is_found(index, "love", "5 6 7 8");  /* exact, then in the name, then begun */
    is_found(index, "queen", "3 1 2 4"); /* exact; whole of BY and in the name by popularity */
    index_close(index);
}

static void typos_are_forgiven(void **state)
{
    (void)state;
    struct index *index = open_index();
    build_songs(index, 1);
    static const char *const typed[] = {"bohemain",          /* swapped */
                                        "bohemin",           /* missing */
                                        "bohemiian",         /* too many */
                                        "bohenian rhapsody", /* wrong */
                                        "vohemian rhap",     "bohemian rapsody",
                                        "bohenian rapsody", /* one in each */
                                        "bhoemain",         /* two in one */
                                        "rhapsodie"};
    for (size_t i = 0; i < COUNT_OF(typed); i++) {
        is_found(index, typed[i], "1");
    }
    is_found(index, "rqdioactive", "9");
    is_found(index, "bhxemzin", "");
    is_found(index, "lvoe", "5 6 7 8");
    index_close(index);
}

static void add_on_shelf(struct index_build *build, int64_t id, uint32_t popularity,
                         const char *text, int64_t shelf)
{
    struct text_doc made;
    make_doc(&made, INDEX_TRACK, id, popularity, text);
    made.doc.shelf = shelf;
    assert_int_equal(index_build_add(build, &made.doc), 0);
}

static void build_shelves(struct index *index)
{
    struct index_build *build = NULL;
    struct problem problem = {0};
    assert_int_equal(index_build_begin(index, 1, &build), 0);
    for (int64_t id = 100; id < 3100; id++) { /* more than a stage takes */
        add_on_shelf(build, id, 1000, "river / many / shelf #rock @1999 ~galileo", 7);
    }
    add_on_shelf(build, 1, 3, "river / somebody / everywhere #rock @1999 ~galileo", 0);
    add_on_shelf(build, 2, 2, "river / somebody / eight #rock @1999 ~galileo", 8);
    add_on_shelf(build, 3, 1, "river songs / somebody / eight", 8);
    assert_int_equal(index_build_end(build, &problem), 0);
}

/* However much of it there is, and whichever way it would be found, it takes nobody's place. */
static void what_stands_on_other_shelves_is_not_there(void **state)
{
    (void)state;
    struct index *index = open_index();
    build_shelves(index);
    static const struct {
        const char *words, *on_eight;
    } typed[] = {{"river", "1 2 3"},  {"riv", "1 2 3"},   {"rivre", "1 2 3"},
                 {"=river", "1 2 3"}, {"galileo", "1 2"}, {"river -abba", "1 2 3"}};
    for (size_t i = 0; i < COUNT_OF(typed); i++) {
        asks_on(0, 0);
        is_found(index, typed[i].words, "1");
        asks_on(8, 0);
        is_found(index, typed[i].words, typed[i].on_eight);
        asks_on(9, 8);
        is_found(index, typed[i].words, typed[i].on_eight);
    }
    assert_string_equal(found(index, "", "rock", 0, 0), "1 2");
    assert_string_equal(found(index, "river", NULL, 1999, 1999), "1 2");
    static const char *const best = "3099 3098 3097 3096 3095 3094 3093 3092 3091 3090";
    asks_on(7, 8);
    is_found(index, "somebody songs", "3");
    is_found(index, "river", best);
    asks_on(0, 0);
    asker.every = true;
    is_found(index, "river", best);
    asks_on(0, 0);
    index_close(index);
}

static void things_move_from_shelf_to_shelf(void **state)
{
    (void)state;
    struct index *index = open_index();
    build_songs(index, 1);
    is_found(index, "radioactive", "9");
    static const int64_t moves[] = {5, 6, 0};
    for (size_t i = 0; i < COUNT_OF(moves); i++) {
        struct text_doc made;
        make_doc(&made, INDEX_TRACK, 9, 50, "radioactive / imagine dragons / night visions");
        made.doc.shelf = moves[i];
        assert_int_equal(index_change(index, &made.doc, 1, 2 + (int64_t)i), 0);
        for (int64_t shelf = 5; shelf <= 6; shelf++) {
            asks_on(shelf, 0);
            is_found(index, "radioactive", moves[i] == 0 || moves[i] == shelf ? "9" : "");
        }
    }
    asks_on(0, 0);
    is_found(index, "radioactive", "9");
    index_close(index);
}

static void queries_are_narrowed(void **state)
{
    (void)state;
    struct index *index = open_index();
    build_songs(index, 1);
    assert_string_equal(found(index, "queen", "rock", 0, 0), "1 2");
    assert_string_equal(found(index, "queen", NULL, 1976, 1977), "2 4");
    assert_string_equal(found(index, "love", "rock", 1960, 1965), "6");
    is_found(index, "love -#pop", "6 7 8");
    is_found(index, "love -@1967", "5 6 8");
    is_found(index, "love -#pop -@1967", "6 8");
    is_found(index, "love -#nobody -@1800", "5 6 7 8");
    assert_string_equal(found(index, "", "soul", 0, 0), "8");
    assert_string_equal(found(index, "", NULL, 1990, 1999), "10 3 5");
    assert_string_equal(found(index, "love", "nosuch", 0, 0), "");
    is_found(index, "queen -rhapsody -abba", "3 2");
    is_found(index, "=love +me", "6");
    is_found(index, "=me +love", "");
    is_found(index, "=lov", "");
    is_found(index, "-queen", "");
    index_close(index);
}

/* As many words as there may be, in as many forms, with as many typos. */
static void the_largest_query_is_answered(void **state)
{
    (void)state;
    struct index *index = open_index();
    build_songs(index, 1);
    static char forms[INDEX_ASKED_MAX][INDEX_FORMS_MAX][INDEX_WORD_BYTES_MAX];
    struct index_query query = {.key = "", .asked_count = INDEX_ASKED_MAX, .limit = INDEX_HITS_MAX};
    struct index_hits hits = {.count = 1};
    for (unsigned i = 0; i < INDEX_ASKED_MAX; i++) {
        struct index_asked *asked = &query.asked[i];
        *asked = (struct index_asked){
            .field = -1, .form_count = INDEX_FORMS_MAX, .typos_max = INDEX_TYPOS_MAX};
        for (unsigned j = 0; j < INDEX_FORMS_MAX; j++) {
            memset(forms[i][j], 'a' + (int)i, sizeof forms[i][j] - 2);
            forms[i][j][3] = (char)('k' + j);
            asked->forms[j] = forms[i][j];
        }
    }
    assert_int_equal(index_search(index, INDEX_TRACK, &query, &hits), 0);
    assert_int_equal(hits.count, 0);
    index_close(index);
}

static void changes_are_seen_at_once(void **state)
{
    (void)state;
    struct index *index = open_index();
    build_songs(index, 1);
    struct text_doc made[2];
    make_doc(&made[0], INDEX_TRACK, 11, 95, "bohemian polka / weird al / alapalooza");
    make_doc(&made[1], INDEX_TRACK, 1, 100, "another name / queen / opera");
    struct index_doc docs[2] = {made[0].doc, made[1].doc};
    assert_int_equal(index_change(index, docs, 2, 1), 0);
    is_found(index, "bohemian", "11");
    is_found(index, "another", "1");
    docs[0].word_count = 0; /* gone */
    docs[1] = (struct index_doc){.kind = INDEX_TRACK, .id = 2, .key = ""};
    assert_int_equal(index_change(index, docs, 2, 1), 0);
    is_found(index, "bohemian", "");
    is_found(index, "rock you", "");
    is_found(index, "another", "1");
    index_close(index);
}

static void more_changes_than_a_delta_holds(void **state)
{
    (void)state;
    struct index *index = open_index();
    build_songs(index, 1);
    static struct text_doc made[MANY];
    static struct index_doc docs[MANY];
    for (int i = 0; i < MANY; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "number n%d", i);
        make_doc(&made[i], INDEX_TRACK, 1000 + i, (uint32_t)i, text);
        docs[i] = made[i].doc;
    }
    assert_int_equal(index_change(index, docs, MANY, 1), 0);
    is_found(index, "number n0", "1000");
    is_found(index, "number n5999", "6999");
    assert_int_equal(index_change(index, docs, 10, 1), 0); /* again: still once each */
    is_found(index, "=n3", "1003");
    struct index_size size;
    index_size(index, &size);
    assert_int_equal(size.docs, (int64_t)COUNT_OF(songs) + MANY);
    index_close(index);
}

static void it_is_there_after_a_restart(void **state)
{
    (void)state;
    struct index *index = open_index();
    build_songs(index, 42);
    index_close(index);
    index = open_index();
    assert_int_equal(index_place(index), 42);
    assert_true(index_built_ms(index) > 0);
    is_found(index, "boh", "1");
    index_close(index);
}

static void damage_is_an_empty_index(void **state)
{
    (void)state;
    struct index *index = open_index();
    build_songs(index, 42);
    index_close(index);
    struct stat whole;
    assert_int_equal(stat(path, &whole), 0);
    const off_t lengths[] = {0, 1, 50, 300, whole.st_size / 2, whole.st_size - 1};
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        assert_int_equal(truncate(path, lengths[i]), 0);
        index = open_index();
        assert_true(index_place(index) < 0);
        is_found(index, "boh", "");
        build_songs(index, 43);
        is_found(index, "boh", "1");
        index_close(index);
    }
}

/* Each byte of the file turned over in its turn (every so many: it is long): what can't be read is
 * an empty index; what can is asked without harm, and where harm was come upon the index is worn.
 */
static void a_flipped_byte_does_no_harm(void **state)
{
    (void)state;
    enum { STEP = 61 };
    struct index *index = open_index();
    build_songs(index, 42);
    index_close(index);
    struct stat whole;
    assert_int_equal(stat(path, &whole), 0);
    FILE *file = fopen(path, "r+be");
    assert_non_null(file);
    unsigned refused = 0, worn = 0;
    for (off_t at = 0; at < whole.st_size; at += STEP) {
        assert_int_equal(fseeko(file, at, SEEK_SET), 0);
        int byte = fgetc(file);
        assert_int_equal(fseeko(file, at, SEEK_SET), 0);
        assert_int_equal(fputc(byte ^ 0xFF, file), byte ^ 0xFF);
        assert_int_equal(fflush(file), 0);
        index = open_index();
        refused += index_place(index) < 0;
        struct index_hits hits;
        const char *const asked[] = {"queen", "boh", "rhapsodi", "lovely", "qeuen"};
        for (size_t i = 0; i < COUNT_OF(asked); i++) {
            struct index_query query = {
                .key = asked[i],
                .asked = {{.forms = {asked[i]}, .form_count = 1, .field = -1, .typos_max = 2}},
                .asked_count = 1,
                .limit = 5};
            assert_int_equal(index_search(index, INDEX_TRACK, &query, &hits), 0);
            assert_true(hits.count <= 5);
        }
        worn += index_is_worn(index);
        index_close(index);
        assert_int_equal(fseeko(file, at, SEEK_SET), 0);
        assert_int_equal(fputc(byte, file), byte);
    }
    assert_int_equal(fclose(file), 0);
    assert_true(refused > 0 && worn > 0);
    index = open_index();
    is_found(index, "boh", "1");
    assert_false(index_is_worn(index));
    index_close(index);
}

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Looks as often as a pulse, until there is something to be seen. */
static void look_until(struct index *index, bool seen)
{
    enum { WAIT_MS = 60 * 1000 };
    static const struct timespec pause = {.tv_nsec = 100 * 1000000};
    int64_t end_ms = now_ms() + WAIT_MS;
    while (index_look(index) != seen) {
        assert_true(now_ms() < end_ms);
        (void)nanosleep(&pause, NULL);
    }
}

/* Nobody else looks meanwhile. */
static void lead(struct index *index)
{
    if (!index_leads(index)) {
        look_until(index, true);
    }
    assert_true(index_leads(index));
}

static void another_process_builds_it_anew(void **state)
{
    (void)state;
    struct index *index = open_index(), *other = open_index();
    lead(index);
    build_songs(index, 1);
    assert_false(index_look(index));
    build_songs(other, 2);
    look_until(index, true);
    assert_int_equal(index_place(index), 2);
    is_found(index, "boh", "1");
    index_close(other);
    index_close(index);
}

/* Of processes that share an index one leads; when it ends, the next goes on from where it was. */
static void one_leads(void **state)
{
    (void)state;
    struct index *index = open_index(), *other = open_index();
    if (!index_is_shared(index)) {
        assert_true(index_leads(index) && index_leads(other));
        assert_int_equal(index_pulse_ms(index), 0);
        index_close(other);
        index_close(index);
        return;
    }
    assert_true(index_pulse_ms(index) > 0);
    lead(index);
    build_songs(index, 5);
    struct text_doc made;
    make_doc(&made, INDEX_TRACK, 11, 95, "bohemian polka / weird al");
    assert_int_equal(index_change(index, &made.doc, 1, 9), 0);
    look_until(other, true); /* the build */
    assert_false(index_leads(other));
    assert_int_equal(index_place(other), 5);
    is_found(other, "bohemian", "1 11");
    index_reached(index, 9);
    index_close(index); /* tells what it reached */
    look_until(other, true);
    assert_true(index_leads(other));
    assert_int_equal(index_place(other), 9);
    index_close(other);
}

/* What was read before does not take the place of what was read later, whoever writes it when. */
static void the_later_state_stays(void **state)
{
    (void)state;
    struct index *index = open_index();
    build_songs(index, 5);
    struct text_doc made;
    make_doc(&made, INDEX_TRACK, 1, 100, "a later name");
    assert_int_equal(index_change(index, &made.doc, 1, 9), 0);
    make_doc(&made, INDEX_TRACK, 1, 100, "an earlier name");
    assert_int_equal(index_change(index, &made.doc, 1, 8), 0);
    is_found(index, "later", "1");
    is_found(index, "earlier", "");
    struct index_doc gone = {.kind = INDEX_TRACK, .id = 1, .key = ""};
    assert_int_equal(index_change(index, &gone, 1, 12), 0);
    assert_int_equal(index_change(index, &made.doc, 1, 11), 0);
    is_found(index, "earlier", "");
    assert_int_equal(index_change(index, &made.doc, 1, 12), 0);
    is_found(index, "earlier", "1");
    /* nor what was read before it was built */
    build_songs(index, 20);
    assert_int_equal(index_change(index, &made.doc, 1, 19), 0);
    is_found(index, "earlier", "");
    is_found(index, "rhapsody", "1");
    index_close(index);
}

struct searching {
    struct index *index;
    atomic_bool ended;
    atomic_uint wrong, searches;
};

static void *search_on(void *argument)
{
    struct searching *searching = argument;
    while (!atomic_load(&searching->ended)) {
        struct index_query query = {.key = "queen",
                                    .asked = {{.forms = {"queen"}, .form_count = 1, .field = -1}},
                                    .asked_count = 1,
                                    .limit = 10};
        struct index_hits hits;
        int error = index_search(searching->index, INDEX_TRACK, &query, &hits);
        atomic_fetch_add(&searching->wrong, error != 0 || hits.count != 4);
        atomic_fetch_add(&searching->searches, 1);
    }
    return NULL;
}

static void it_answers_while_it_is_built(void **state)
{
    (void)state;
    struct searching searching = {.index = open_index()};
    build_songs(searching.index, 1);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, search_on, &searching), 0);
    struct text_doc made;
    int builds = index_is_shared(searching.index) ? 3 : 20;
    for (int i = 0; i < builds || atomic_load(&searching.searches) < 20; i++) {
        build_songs(searching.index, i);
        make_doc(&made, INDEX_TRACK, 500 + i, 1, "something else");
        assert_int_equal(index_change(searching.index, &made.doc, 1, 1), 0);
    }
    atomic_store(&searching.ended, true);
    (void)pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&searching.wrong), 0);
    index_close(searching.index);
}

/* Many documents of few words, against a loop over all of them: bitmaps, unions, ranks. */
static void it_finds_what_a_loop_finds(void **state)
{
    (void)state;
    static char texts[MANY][48];
    struct index *index = open_index();
    struct index_build *build = NULL;
    struct problem problem = {0};
    assert_int_equal(index_build_begin(index, 1, &build), 0);
    unsigned seed = 1;
    for (int i = 0; i < MANY; i++) {
        struct text_doc made;
        int first = rand_r(&seed) % 300, second = rand_r(&seed) % 300;
        (void)snprintf(texts[i], sizeof texts[i], "w%d v%d", first * first / 300, second);
        make_doc(&made, INDEX_TRACK, i + 1, (uint32_t)(MANY - i), texts[i]);
        assert_int_equal(index_build_add(build, &made.doc), 0);
    }
    assert_int_equal(index_build_end(build, &problem), 0);
    for (int i = 0; i < 300; i++) {
        char left[16], right[16], text[40], wanted[1024] = "";
        (void)snprintf(left, sizeof left, "w%d", rand_r(&seed) % 100);
        (void)snprintf(right, sizeof right, "v%d", rand_r(&seed) % 30);
        (void)snprintf(text, sizeof text, "%s %s", left, right);
        /* Whole words of both before one that is begun; each by popularity. */
        for (int tier = 0, count = 0; tier < 2; tier++) {
            for (int j = 0; j < MANY && count < 10; j++) {
                const char *second = strchr(texts[j], ' ') + 1;
                size_t length = strlen(left);
                bool begins = strncmp(texts[j], left, length) == 0 &&
                              strncmp(second, right, strlen(right)) == 0;
                bool whole = begins && texts[j][length] == ' ' && strcmp(second, right) == 0;
                if (begins && whole == (tier == 0)) {
                    (void)sprintf(wanted + strlen(wanted), "%s%d", count++ > 0 ? " " : "", j + 1);
                }
            }
        }
        is_found(index, text, wanted);
    }
    index_close(index);
}

/* An index of the test's own. */
static int make_folder(void **state)
{
    static unsigned number;
    (void)state;
    if (shared_engine() != NULL) {
        (void)snprintf(url, sizeof url, "%s/t%d-%u", shared_engine(), (int)getpid(), number++);
        return 0;
    }
    (void)strcpy(folder, "/tmp/tutti-index-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/search.idx", folder);
    (void)snprintf(url, sizeof url, "local:%s", path);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    if (shared_engine() != NULL) {
        return 0; /* its engine goes with the test */
    }
    (void)unlink(path);
    return rmdir(folder); /* nothing else is left behind */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

/* Of a file that is this process's own. */
static int test_file(void)
{
    const struct CMUnitTest tests[] = {
        TEST(damage_is_an_empty_index),
        TEST(a_flipped_byte_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Of one that processes share. */
static int test_shared(void)
{
    const struct CMUnitTest tests[] = {TEST(the_later_state_stays)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_index_finds_nothing),
        TEST(words_are_found_as_they_are_typed),
        TEST(the_exact_name_stands_first),
        TEST(typos_are_forgiven),
        TEST(what_stands_on_other_shelves_is_not_there),
        TEST(things_move_from_shelf_to_shelf),
        TEST(queries_are_narrowed),
        TEST(the_largest_query_is_answered),
        TEST(changes_are_seen_at_once),
        TEST(more_changes_than_a_delta_holds),
        TEST(it_is_there_after_a_restart),
        TEST(another_process_builds_it_anew),
        TEST(one_leads),
        TEST(it_answers_while_it_is_built),
        TEST(it_finds_what_a_loop_finds),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed + (shared_engine() != NULL ? test_shared() : test_file());
}
