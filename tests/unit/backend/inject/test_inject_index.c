/* The index of names that is a file (inject.h): when anything fails while it is built, the old one
 * answers and the file is the old or the new one, whole, with nothing beside it; a change is found
 * or not, and is when it is brought again; an index that can't be opened is empty, never wrong.
 * (The sets of Roaring take their memory themselves: that does not fail here.) */
#include "backend/index/index.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include "inject.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DOCS = 150, OLD_PLACE = 7, NEW_PLACE = 8 };

static struct index *names;
static char url[96];

/* ---- Documents: each has a word that all have, one of its own and one of its generation's ---- */

static int with_doc(unsigned number, const char *generation,
                    int (*take)(void *argument, const struct index_doc *doc), void *argument)
{
    char own[16], key[64];
    (void)snprintf(own, sizeof own, "own%u", number);
    (void)snprintf(key, sizeof key, "common %s %s", own, generation);
    const struct index_word words[] = {{.text = "common"}, {.text = own}, {.text = generation}};
    const struct index_doc doc = {.kind = INDEX_TRACK,
                                  .id = number + 1,
                                  .popularity = number,
                                  .key = key,
                                  .words = words,
                                  .word_count = COUNT_OF(words)};
    return take(argument, &doc);
}

static int take_built(void *argument, const struct index_doc *doc)
{
    return index_build_add(argument, doc);
}

static int take_changed(void *argument, const struct index_doc *doc)
{
    return index_change(argument, doc, 1, NEW_PLACE);
}

static int build(struct index *into, const char *generation, int64_t place)
{
    struct index_build *made = NULL;
    struct problem problem = {0};
    int error = index_build_begin(into, place, &made);
    for (unsigned i = 0; error == 0 && i < DOCS; i++) {
        error = with_doc(i, generation, take_built, made);
    }
    if (error != 0) {
        index_build_free(made);
        return error;
    }
    return index_build_end(made, &problem);
}

/* How many documents a word finds; negative: an error. */
static int count_found(struct index *in, const char *word)
{
    static struct index_hits hits;
    const struct index_query query = {
        .key = "",
        .asked = {{.forms = {word}, .form_count = 1, .field = -1, .whole = true}},
        .asked_count = 1,
        .limit = INDEX_HITS_MAX,
        .every_shelf = true};
    int error = index_search(in, INDEX_TRACK, &query, &hits);
    return error != 0 ? error : (int)hits.count;
}

static bool is_of(struct index *in, const char *generation, int64_t place)
{
    return index_place(in) == place && count_found(in, generation) == DOCS &&
           count_found(in, "common") == DOCS;
}

static int open_one(struct index **ret_index)
{
    struct problem problem = {0};
    *ret_index = NULL;
    return index_open(url, ret_index, &problem);
}

static int make_index(void **state)
{
    if (inject_setup(state) != 0) {
        return -1;
    }
    (void)snprintf(url, sizeof url, "local:%s/search.idx", inject_folder());
    int error = open_one(&names);
    return error != 0 ? error : build(names, "old", OLD_PLACE);
}

static int close_index(void **state)
{
    index_close(names);
    return inject_teardown(state);
}

static unsigned count_files(void)
{
    DIR *stream = opendir(inject_folder());
    unsigned count = 0;
    for (struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
        count += entry->d_name[0] != '.' ? 1 : 0;
    }
    assert_int_equal(closedir(stream), 0);
    return count;
}

/* ---- Opening ---- */

static struct index *opened;

static int run_open(void)
{
    return open_one(&opened);
}

/* What can't be opened is empty, and would be made anew. */
static void check_open(int result)
{
    assert_int_equal(opened != NULL, result == 0);
    if (result == 0) {
        assert_true(index_place(opened) < 0 ? count_found(opened, "common") == 0
                                            : is_of(opened, "old", OLD_PLACE));
    }
    index_close(opened);
    assert_int_equal(run_open(), 0);
    assert_true(is_of(opened, "old", OLD_PLACE));
    index_close(opened);
}

static void opening(void **state)
{
    (void)state;
    const struct inject_case what = {.name = "index_open",
                                     .hits = INJECT_BIT(INJECT_MEMORY) | INJECT_BIT(INJECT_OPEN),
                                     .run = run_open,
                                     .check = check_open};
    inject_each(&what, 1);
}

/* ---- Building ---- */

static void build_old(void)
{
    assert_int_equal(build(names, "old", OLD_PLACE), 0);
}

static int run_build(void)
{
    return build(names, "new", NEW_PLACE);
}

static void check_build(int result)
{
    assert_true(is_of(names, "new", NEW_PLACE) || (result < 0 && is_of(names, "old", OLD_PLACE)));
    assert_int_equal(count_files(), 1);
    struct index *again = NULL;
    assert_int_equal(open_one(&again), 0);
    assert_true(is_of(again, "new", NEW_PLACE) || (result < 0 && is_of(again, "old", OLD_PLACE)));
    index_close(again);
    assert_int_equal(run_build(), 0);
    assert_true(is_of(names, "new", NEW_PLACE));
}

static void building(void **state)
{
    (void)state;
    const struct inject_case what = {.name = "index_build",
                                     .hits = INJECT_BIT(INJECT_MEMORY) | INJECT_BIT(INJECT_FULL) |
                                             INJECT_BIT(INJECT_WRITE) | INJECT_BIT(INJECT_SYNC) |
                                             INJECT_BIT(INJECT_NAME) | INJECT_BIT(INJECT_OPEN),
                                     .thin = true,
                                     .prepare = build_old,
                                     .run = run_build,
                                     .check = check_build};
    inject_each(&what, 1);
}

static struct index *others;

static void build_others(void)
{
    assert_int_equal(build(others, "other", OLD_PLACE), 0);
}

/* Of what changed between their places one file knows nothing: each goes on from its own. */
static void two_builds_at_once(void **state)
{
    (void)state;
    assert_int_equal(open_one(&others), 0);
    inject_after_rename(build_others);
    assert_int_equal(run_build(), 0);
    assert_true(is_of(others, "other", OLD_PLACE));
    assert_true(is_of(names, "new", NEW_PLACE));
    assert_true(index_look(names)); /* the last one has the name */
    assert_true(is_of(names, "other", OLD_PLACE));
    index_close(others);
}

/* ---- Changes, and searches over them ---- */

static int run_change(void)
{
    return with_doc(3, "new", take_changed, names);
}

/* What was there is found until the change is, and the others always. */
static void check_change(int result)
{
    int changed = count_found(names, "new");
    assert_in_range(changed, result < 0 ? 0 : 1, 1);
    assert_in_range(count_found(names, "common"), DOCS - 1, DOCS);
    assert_int_equal(run_change(), 0);
    assert_int_equal(count_found(names, "new"), 1);
    assert_int_equal(count_found(names, "own3"), 1);
    assert_int_equal(count_found(names, "common"), DOCS);
}

static int run_search(void)
{
    int found = count_found(names, "common");
    return found < 0 || found == DOCS ? found : ERR_CORRUPT;
}

static void check_search(int result)
{
    assert_int_not_equal(result, ERR_CORRUPT);
    assert_int_equal(run_search(), DOCS);
}

static void changing(void **state)
{
    (void)state;
    const struct inject_case cases[] = {
        {.name = "index_change",
         .hits = INJECT_BIT(INJECT_MEMORY),
         .prepare = build_old,
         .run = run_change,
         .check = check_change},
        {.name = "index_search", .run = run_search, .check = check_search},
    };
    inject_each(cases, COUNT_OF(cases));
}

enum { PART_DOCS = 4096 }; /* as many changes are one part in memory (DELTA_DOCS_MAX) */

struct changes {
    struct index_doc docs[PART_DOCS];
    unsigned count;
};

static int take_change(void *argument, const struct index_doc *doc)
{
    static const struct index_word words[] = {{.text = "changed"}};
    struct changes *changes = argument;
    struct index_doc *taken = &changes->docs[changes->count++];
    *taken = *doc;
    taken->id += DOCS;
    taken->key = "changed";
    taken->words = words;
    taken->word_count = COUNT_OF(words);
    return 0;
}

/* The change that fills it fails; another one comes before that is brought again. */
static void a_change_that_fails_fills_nothing(void **state)
{
    (void)state;
    struct changes *changes = calloc(1, sizeof *changes);
    assert_non_null(changes);
    for (unsigned i = 0; i < PART_DOCS; i++) {
        (void)with_doc(i, "new", take_change, changes);
    }
    assert_int_equal(index_change(names, changes->docs, PART_DOCS - 1, NEW_PLACE), 0);
    const struct index_doc *last = &changes->docs[PART_DOCS - 1];
    inject_start(INJECT_MEMORY, 2, false); /* the first keeps the document */
    int error = index_change(names, last, 1, NEW_PLACE);
    assert_int_equal(inject_stop(), 1);
    assert_int_equal(error, ERR_NO_MEMORY);
    assert_int_equal(run_change(), 0);
    assert_int_equal(index_change(names, last, 1, NEW_PLACE), 0);
    assert_int_equal(count_found(names, "new"), 1);
    assert_int_equal(count_found(names, "changed"), INDEX_HITS_MAX);
    struct index_size size;
    index_size(names, &size);
    assert_int_equal(size.docs, DOCS + PART_DOCS);
    free(changes);
}

#define on_disk(test) cmocka_unit_test_setup_teardown(test, make_index, close_index)

int main(void)
{
    const struct CMUnitTest tests[] = {on_disk(opening), on_disk(building),
                                       on_disk(two_builds_at_once), on_disk(changing),
                                       on_disk(a_change_that_fails_fills_nothing)};
    return cmocka_run_group_tests(tests, inject_install, NULL);
}
