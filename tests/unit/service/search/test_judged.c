/* Search as a person would judge it: songs of real artists, and what people type for them
 * (judged.tsv), among others that are called alike. Of each class of queries so many must have
 * their song among the first ten. Of both engines: a file, or the OpenSearch that is
 * named. */
#include "base/mem.h"
#include "base/problem.h"
#include "service/search/search_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SONGS_MAX = 200, QUERIES_MAX = 400, LINE_MAX_ = 512, OTHERS = 3000, FIRST = 10 };

static const char *const classes[] = {"right", "one", "two", "script"};
enum { CLASSES = 4 };
static const double least[CLASSES] = {1.0, 0.95, 0.8, 0.95};

static struct song {
    char line[LINE_MAX_];
    struct catalog_name name;
} songs[SONGS_MAX];
static struct asked_line {
    char line[LINE_MAX_];
    unsigned class;
    const char *words;
    int64_t song;
} queries[QUERIES_MAX];
static unsigned song_count, query_count;

static void read_song(const char *line)
{
    struct song *song = &songs[song_count++];
    (void)snprintf(song->line, sizeof song->line, "%s", line);
    char *rest = song->line;
    song->name = (struct catalog_name){
        .id = song_count, .genres = "[]", .release_date = "", .original_date = "", .lyrics = ""};
    song->name.name = strsep(&rest, "\t");
    song->name.artist = strsep(&rest, "\t");
    song->name.album = rest;
    assert_non_null(rest);
}

static void read_query(const char *line)
{
    struct asked_line *query = &queries[query_count++];
    (void)snprintf(query->line, sizeof query->line, "%s", line);
    char *rest = query->line;
    const char *class = strsep(&rest, "\t");
    assert_non_null(rest);
    query->words = rest;
    query->song = song_count;
    while (strcmp(classes[query->class], class) != 0) {
        assert_true(++query->class < CLASSES);
    }
}

static void read_judged(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[LINE_MAX_];
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\t') {
            read_query(line + 1);
        } else if (line[0] != '#') {
            read_song(line);
        }
        assert_true(song_count < SONGS_MAX && query_count < QUERIES_MAX);
    }
    (void)fclose(file);
}

/* What begins like a judged song and is more popular than most. */
static void make_other(struct arena *arena, unsigned number, struct catalog_name *ret_name)
{
    const struct catalog_name *title = &songs[number * 7 % song_count].name;
    size_t word = strcspn(title->name, " ");
    bool several =
        title->name[word] != '\0'; /* a title of one word would be the judged one's own */
    *ret_name = *title;
    ret_name->id = 1000 + number;
    ret_name->name =
        arena_printf(arena, "%.*s Song %u", several ? (int)word : 0, title->name, number);
    ret_name->artist = arena_printf(arena, "Band %u", number % 50);
    ret_name->album = arena_printf(arena, "Record %u", number % 150);
}

static void add(struct index_build *build, struct arena *arena, const struct catalog_name *name,
                uint32_t plays)
{
    struct index_doc doc;
    assert_int_equal(document_make(arena, INDEX_TRACK, name, plays, &doc), 0);
    assert_int_equal(index_build_add(build, &doc), 0);
}

static bool is_found(struct index *index, const struct asked_line *asked)
{
    struct arena *arena = arena_new(0);
    struct index_query query;
    struct index_hits hits;
    assert_int_equal(query_read(arena, asked->words, &query), 0);
    query.limit = FIRST;
    assert_int_equal(index_search(index, INDEX_TRACK, &query, &hits), 0);
    bool found = false;
    for (unsigned i = 0; i < hits.count; i++) {
        found = found || hits.list[i].id == asked->song;
    }
    arena_free(arena);
    return found;
}

static const char *judged_path;

static void people_find_their_songs(void **state)
{
    (void)state;
    const char *shared = getenv("TUTTI_TEST_OPENSEARCH"); /* opensearch://HOST:PORT */
    char folder[] = "/tmp/tutti-judged-XXXXXX", file[64], url[512];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(file, sizeof file, "%s/index", folder);
    (void)snprintf(url, sizeof url, "%s%s",
                   shared != NULL ? shared : "local:", shared != NULL ? "/judged" : file);
    struct index *index = NULL;
    struct index_build *build = NULL;
    struct problem problem = {0};
    struct arena *arena = arena_new(0);
    read_judged(judged_path);
    assert_int_equal(index_open(url, &index, &problem), 0);
    assert_int_equal(index_build_begin(index, 1, &build), 0);
    for (unsigned i = 0; i < song_count; i++) {
        add(build, arena, &songs[i].name, i * 10);
    }
    for (unsigned i = 0; i < OTHERS; i++) {
        struct catalog_name other;
        make_other(arena, i, &other);
        add(build, arena, &other, i);
        arena_reset(arena);
    }
    assert_int_equal(index_build_end(build, &problem), 0);
    unsigned asked[CLASSES] = {0}, found[CLASSES] = {0};
    for (unsigned i = 0; i < query_count; i++) {
        bool there = is_found(index, &queries[i]);
        asked[queries[i].class]++;
        found[queries[i].class] += there;
        if (!there) {
            print_message("\"%s\" does not find \"%s\"\n", queries[i].words,
                          songs[queries[i].song - 1].name.name);
        }
    }
    for (unsigned i = 0; i < CLASSES; i++) {
        print_message("%s: %u of %u\n", classes[i], found[i], asked[i]);
        assert_true(asked[i] >= 5 && found[i] >= least[i] * asked[i]);
    }
    arena_free(arena);
    index_close(index);
    (void)unlink(file);
    (void)rmdir(folder);
}

int main(int count, char **arguments)
{
    judged_path = count > 1 ? arguments[1] : "judged.tsv";
    const struct CMUnitTest tests[] = {cmocka_unit_test(people_find_their_songs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
