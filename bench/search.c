/* Search as it is typed over the synthetic catalogue of search_model.h: building, size, memory,
 * each keystroke's CPU time, freshness, and whether what is looked for is among the first ten.
 *
 *   search TRACKS FOLDER [QUERIES] [fts5] [postgresql://…] [PID@opensearch://…]
 *
 * A keystroke is what the route does for it: the query taken apart, and tracks, albums and artists
 * asked for, on one thread; the catalogue's rows are not read. A query is a track's title, half of
 * them with its artist behind it, and is typed letter by letter. Half of the tracks are any, half
 * are popular ones. Peers (search_peers.c) get the same catalogue and the first of the same
 * queries, and find tracks alone. Prints one JSON object. BENCH_KEPT: an index that is in the
 * folder is asked as it is; BENCH_MISSES: says what was not found.
 *
 * This is a program of its own, one thread, that fails loudly: it has no cleanup. */
#include "base/arena.h"
#include "base/clock.h"
#include "base/problem.h"
#include "search_bench.h"
#include "service/search/search_internal.h"
#include "service/search/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LATENCIES_MAX = 1 << 20,
    FRESH_CHANGES = 50,
    POPULAR_OF = 64,
    TRIGRAM_QUERIES_OF = 20,
    OPENSEARCH_QUERIES_OF = 5
};

/* What an engine did. */
struct typing {
    struct bench *bench;
    const struct engine *engine;
    struct samples keys[TYPOS]; /* by typos in the query */
    struct samples other;       /* queries in other scripts, by their Latin form */
    struct samples waited;      /* each keystroke by the clock on the wall */
    unsigned asked[TYPOS], found[TYPOS], other_asked, other_found;
};

void need(bool holds, const char *what)
{
    if (!holds) {
        (void)fprintf(stderr, "bench: %s failed\n", what);
        exit(1);
    }
}

static void sample(struct samples *samples, double ms)
{
    if (samples->ms == NULL) {
        samples->ms = malloc(LATENCIES_MAX * sizeof *samples->ms);
        need(samples->ms != NULL, "memory");
    }
    if (samples->count < LATENCIES_MAX) {
        samples->ms[samples->count++] = (float)ms;
    }
}

static int by_size(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return a < b ? -1 : a > b;
}

static void print_samples(const char *name, struct samples *samples)
{
    qsort(samples->ms, samples->count, sizeof *samples->ms, by_size);
    (void)printf("\"%s\": {\"count\": %zu", name, samples->count);
    static const struct {
        const char *name;
        double part;
    } parts[] = {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}, {"max", 1}};
    for (unsigned i = 0; samples->count > 0 && i < 4; i++) {
        size_t at = (size_t)(parts[i].part * (double)(samples->count - 1));
        (void)printf(", \"%s\": %.3f", parts[i].name, (double)samples->ms[at]);
    }
    (void)printf("}");
}

/* CPU time: all is in memory and on one thread, so on a machine with nothing else to do it is what
 * one waits. */
double spent_ms(void)
{
    struct timespec spent;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return (double)spent.tv_sec * 1e3 + (double)spent.tv_nsec / 1e6;
}

static long status_kb(const char *field)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    long kb = 0;
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0) {
            kb = strtol(line + strlen(field) + 1, NULL, 10);
        }
    }
    if (status != NULL) {
        (void)fclose(status);
    }
    return kb;
}

/* ---- building ---- */

static void add_things(struct bench *bench, struct index_build *build, enum index_kind kind,
                       uint64_t count,
                       void (*make)(const struct model *, uint64_t, struct model_thing *))
{
    for (uint64_t i = 0; i < count; i++) {
        struct model_thing thing;
        struct index_doc doc;
        make(&bench->model, i, &thing);
        need(document_make(bench->arena, kind, &thing.name, thing.plays, &doc) == 0, "a document");
        need(index_build_add(build, &doc) == 0, "adding");
        arena_reset(bench->arena);
    }
}

void fill(struct bench *bench, struct index_build *build)
{
    uint64_t tracks = bench->model.tracks, albums = tracks / TRACKS_PER_ALBUM;
    add_things(bench, build, INDEX_ARTIST, albums / ALBUMS_PER_ARTIST, model_artist);
    add_things(bench, build, INDEX_ALBUM, albums, model_album);
    add_things(bench, build, INDEX_TRACK, tracks, model_track);
}

static void build_all(struct bench *bench)
{
    struct index_build *build = NULL;
    struct problem problem = {0};
    double begun_ms = spent_ms();
    need(index_build_begin(bench->index, 1, &build) == 0, "building");
    fill(bench, build);
    double added_ms = spent_ms();
    need(index_build_end(build, &problem) == 0, problem.detail);
    struct index_size size;
    index_size(bench->index, &size);
    (void)printf("\"buildS\": %.1f, \"foldS\": %.1f, \"bytes\": %lld, \"words\": %lld, "
                 "\"buildPeakMb\": %ld, ",
                 (spent_ms() - begun_ms) / 1000, (added_ms - begun_ms) / 1000,
                 (long long)size.bytes, (long long)size.words, status_kb("VmHWM:") / 1024);
}

/* ---- asking ---- */

/* What a keystroke costs: all kinds are asked for, as the route does. */
double ask_index(struct bench *bench, struct index *index, const char *text,
                 struct index_hits *tracks)
{
    struct index_query query;
    struct index_hits hits;
    double begun_ms = spent_ms();
    need(query_read(bench->arena, text, &query) == 0, "a query");
    need(index_search(index, INDEX_TRACK, &query, tracks) == 0, "searching");
    need(index_search(index, INDEX_ALBUM, &query, &hits) == 0, "searching");
    need(index_search(index, INDEX_ARTIST, &query, &hits) == 0, "searching");
    double ms = spent_ms() - begun_ms;
    arena_reset(bench->arena);
    return ms;
}

static double ask(struct bench *bench, void *peer, const char *text, struct index_hits *tracks)
{
    (void)peer;
    return ask_index(bench, bench->index, text, tracks);
}

/* The track itself, or one of the same name by the same artist. */
static bool is_among(struct bench *bench, uint64_t number, const struct index_hits *hits)
{
    struct model_thing wanted, got;
    model_track(&bench->model, number, &wanted);
    for (unsigned i = 0; i < hits->count && i < FIRST; i++) {
        model_track(&bench->model, (uint64_t)hits->list[i].id - 1, &got);
        if (strcmp(got.title, wanted.title) == 0 && strcmp(got.artist, wanted.artist) == 0) {
            return true;
        }
    }
    return false;
}

static uint64_t target(const struct bench *bench, unsigned query)
{
    const struct model *model = &bench->model;
    uint64_t best = model_chance(model, query, 9000, model->tracks);
    struct model_thing thing;
    uint32_t plays = 0;
    for (unsigned i = 0; query % 2 == 1 && i < POPULAR_OF; i++) {
        uint64_t number = model_chance(model, query, 9001 + i, model->tracks);
        model_track(model, number, &thing);
        if (thing.plays > plays) {
            plays = thing.plays;
            best = number;
        }
    }
    return best;
}

static bool is_latin(const char *text)
{
    while (*text != '\0' && (unsigned char)*text < 0x80) {
        text++;
    }
    return *text == '\0';
}

/* One letter wrong, missing, too many or swapped, in a word that is long enough for one (the
 * seventh and on for two): false where there is none. */
static bool misspell(const struct bench *bench, char *text, unsigned query, unsigned round)
{
    size_t starts[16], lengths[16], count = 0;
    for (char *at = text; *at != '\0' && count < 16;) {
        size_t length = strcspn(at, " ()-");
        if (length >= (round == 0 ? 4 : 8) && strpbrk(at, "0123456789") == NULL) {
            starts[count] = (size_t)(at - text);
            lengths[count++] = length;
        }
        at += length + (at[length] != '\0');
    }
    if (count == 0) {
        return false;
    }
    size_t word = model_chance(&bench->model, query, 9100 + round, count);
    char *at =
        text + starts[word] + model_chance(&bench->model, query, 9110 + round, lengths[word] - 1);
    char letter = (char)('a' + model_chance(&bench->model, query, 9120 + round, 26));
    switch (model_chance(&bench->model, query, 9130 + round, 4)) {
    case 0:
        *at = letter;
        break;
    case 1:
        memmove(at, at + 1, strlen(at));
        break;
    case 2:
        memmove(at + 1, at, strlen(at) + 1);
        *at = letter;
        break;
    default: {
        char swapped = at[0];
        at[0] = at[1];
        at[1] = swapped;
    }
    }
    return true;
}

/* Every beginning of it, and in the end the whole. */
static void type_out(struct typing *typing, const char *text, struct samples *samples,
                     struct index_hits *ret_tracks)
{
    char begun[4 * MODEL_TEXT];
    ret_tracks->count = 0;
    for (size_t end = 1; end <= strlen(text); end++) {
        if (((unsigned char)text[end] & 0xC0) == 0x80 || end < typing->engine->letters_min) {
            continue; /* inside a character, or too soon */
        }
        memcpy(begun, text, end);
        begun[end] = '\0';
        int64_t begun_us = clock_monotonic_us();
        sample(samples,
               typing->engine->ask(typing->bench, typing->engine->peer, begun, ret_tracks));
        sample(&typing->waited, (double)(clock_monotonic_us() - begun_us) / 1000);
    }
}

static void run_query(struct typing *typing, unsigned query, unsigned typos)
{
    struct bench *bench = typing->bench;
    struct model_thing thing;
    struct index_hits hits;
    char text[2 * MODEL_TEXT + 8];
    uint64_t number = target(bench, query);
    model_track(&bench->model, number, &thing);
    bool by = query / 2 % 2 == 0 || typos > 0; /* a misspelt title alone may be many */
    (void)snprintf(text, sizeof text, "%s%s%s", thing.title, by ? " " : "", by ? thing.artist : "");
    for (unsigned i = 0; i < typos; i++) {
        if (!is_latin(text) || !misspell(bench, text, query, i)) {
            return;
        }
    }
    type_out(typing, text, &typing->keys[typos], &hits);
    if (by) {
        typing->asked[typos]++;
        bool among = is_among(bench, number, &hits);
        typing->found[typos] += among;
        if (!among && getenv("BENCH_MISSES") != NULL) {
            (void)fprintf(stderr, "%s: \"%s\" did not find \"%s\" by \"%s\": %u others\n",
                          typing->engine->name, text, thing.title, thing.artist, hits.count);
        }
    }
}

/* A name in another script, asked for in Latin letters. */
static void run_other(struct typing *typing, unsigned query)
{
    struct bench *bench = typing->bench;
    struct model_thing thing;
    struct index_hits hits;
    struct words words;
    char text[4 * MODEL_TEXT] = "";
    uint64_t number = target(bench, query);
    model_track(&bench->model, number, &thing);
    if (is_latin(thing.artist)) {
        return;
    }
    const char *const names[] = {thing.title, thing.artist};
    for (unsigned i = 0; i < 2; i++) {
        unsigned taken = 0;
        need(words_of(bench->arena, names[i], WORDS_STORED, &words) == 0, "words");
        for (unsigned j = 0; j < words.count; j++) {
            if (words.list[j].position == taken && is_latin(words.list[j].text)) {
                (void)strcat(strcat(text, " "), words.list[j].text);
                taken++;
            }
        }
    }
    arena_reset(bench->arena);
    type_out(typing, text + 1, &typing->other, &hits);
    typing->other_asked++;
    typing->other_found += is_among(bench, number, &hits);
}

void type_at(struct bench *bench, const struct engine *engine, unsigned queries)
{
    static const char *const names[TYPOS] = {"noTypo", "oneTypo", "twoTypos"};
    struct typing typing = {.bench = bench, .engine = engine};
    for (unsigned query = 0; query < queries; query++) {
        run_query(&typing, query, query % 10 < 6 ? 0 : query % 10 < 9 ? 1 : 2);
        run_other(&typing, query + queries);
    }
    (void)printf("\"%s\": {", engine->name);
    for (unsigned i = 0; i < TYPOS; i++) {
        print_samples(names[i], &typing.keys[i]);
        (void)printf(", ");
        free(typing.keys[i].ms);
    }
    print_samples("otherScript", &typing.other);
    (void)printf(", ");
    print_samples("waited", &typing.waited);
    (void)printf(", \"recall\": {");
    for (unsigned i = 0; i < TYPOS; i++) {
        (void)printf("\"%u\": [%u, %u], ", i, typing.found[i], typing.asked[i]);
    }
    (void)printf("\"other\": [%u, %u]}}", typing.other_found, typing.other_asked);
    free(typing.other.ms);
    free(typing.waited.ms);
}

/* A change until it is found; the follower adds at most its pause of 200 ms. */
static void measure_change(struct bench *bench)
{
    struct samples changes = {NULL, 0};
    for (unsigned i = 0; i < FRESH_CHANGES; i++) {
        struct model_thing thing;
        struct index_doc doc;
        model_track(&bench->model, i, &thing);
        double begun_ms = spent_ms();
        need(document_make(bench->arena, INDEX_TRACK, &thing.name, thing.plays, &doc) == 0,
             "a document");
        need(index_change(bench->index, &doc, 1, 1) == 0, "a change");
        sample(&changes, spent_ms() - begun_ms);
        arena_reset(bench->arena);
    }
    (void)printf(", ");
    print_samples("change", &changes);
}

int main(int count, char **arguments)
{
    need(count >= 3, "usage: search TRACKS FOLDER [QUERIES] [fts5] [postgresql://…]: that");
    struct bench bench = {.arena = arena_new(0)};
    struct problem problem = {0};
    char url[4200];
    unsigned queries = count > 3 ? (unsigned)strtoul(arguments[3], NULL, 10) : 1000;
    model_init(&bench.model, strtoull(arguments[1], NULL, 10), 1);
    (void)snprintf(url, sizeof url, "local:%s/search.idx", arguments[2]);
    need(index_open(url, &bench.index, &problem) == 0, problem.detail);
    (void)printf("{\"tracks\": %s, ", arguments[1]);
    if (getenv("BENCH_KEPT") == NULL || index_place(bench.index) < 0) {
        build_all(&bench);
        index_close(bench.index); /* what building left in memory is not measured */
        need(index_open(url, &bench.index, &problem) == 0, problem.detail);
    }
    type_at(&bench, &(struct engine){.name = "ours", .ask = ask}, queries);
    (void)printf(", \"anonymousMb\": %ld, \"mappedMb\": %ld", status_kb("RssAnon:") / 1024,
                 status_kb("RssFile:") / 1024);
    measure_change(&bench);
    for (int i = 4; i < count; i++) {
        if (strcmp(arguments[i], "fts5") == 0) {
            peer_fts5(&bench, arguments[2], queries);
        } else if (strstr(arguments[i], "@opensearch:") != NULL) {
            peer_opensearch(&bench, strchr(arguments[i], '@') + 1,
                            (int)strtol(arguments[i], NULL, 10), queries / OPENSEARCH_QUERIES_OF);
        } else {
            peer_trigrams(&bench, arguments[i], queries / TRIGRAM_QUERIES_OF);
        }
    }
    (void)printf("}\n");
    index_close(bench.index);
    return 0;
}
