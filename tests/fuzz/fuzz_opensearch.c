/* Answers of OpenSearch, as they come from its connection: what is asked ("s" a search, "b" a bulk,
 * "l" who leads and which index there is, "t" another request), then lines of a status and a body,
 * an answer each. Whatever it says, what is found is within what was asked for, with ids and tiers
 * that are some, and only as many; nothing goes on for ever; no request but for what is ours there
 * is made; and what is said to people names neither user nor password.
 *
 * Covers: src/backend/index/opensearch_search.c src/backend/index/opensearch_bulk.c
 * src/backend/index/opensearch_call.c src/backend/index/opensearch_lead.c
 * src/backend/index/opensearch_query.c */
#include "fuzz_curl.h"

#include "backend/index/opensearch_call.c" /* NOLINT(bugprone-suspicious-include) */

#define SECRET "S3CRET"

enum { ANSWERS_MAX = 100, LIMIT = 20 };

static struct {
    const char *all;      /* the input's answers */
    const char *at, *end; /* of what was not said yet */
    unsigned answers;
    void *body; /* where it goes */
} said;

/* "/t-v1…", the name alone or with what is asked of it; or what is asked of all, by its body. */
static void check_path(const char *path)
{
    static const char *const all[] = {"/_mget", "/_bulk", "/x", "/_aliases"};
    FUZZ_CHECK(path != NULL);
    for (unsigned i = 0; i < COUNT_OF(all); i++) {
        if (strncmp(path, all[i], strlen(all[i])) == 0) {
            return;
        }
    }
    size_t name = strcspn(path + 1, "/?");
    FUZZ_CHECK(strncmp(path, "/t-v1", 5) == 0);
    FUZZ_CHECK(strspn(path + 1, "abcdefghijklmnopqrstuvwxyz0123456789-") == name);
}

static CURLcode fuzz_option(CURLoption option, const void *value)
{
    if (option == CURLOPT_WRITEDATA) {
        said.body = (void *)(uintptr_t)value;
    } else if (option == CURLOPT_URL) {
        check_path(strchr((const char *)value + strlen("http://"), '/'));
    }
    return CURLE_OK;
}

/* "200 BODY" */
static CURLcode fuzz_perform(CURL *curl)
{
    (void)curl;
    FUZZ_CHECK(said.answers++ < ANSWERS_MAX);
    fuzz_status = 0;
    if (said.at == said.end) {
        return CURLE_GOT_NOTHING;
    }
    const char *stop = memchr(said.at, '\n', (size_t)(said.end - said.at));
    size_t length = (size_t)((stop != NULL ? stop : said.end) - said.at);
    char *line = fuzz_text(said.at, length);
    int place = 0;
    said.at += length + (stop != NULL);
    bool good = sscanf(line, "%3ld %n", &fuzz_status, &place) == 1 && fuzz_status >= 100;
    if (good && place > 0 && (size_t)place < length) {
        good =
            take_body(line + place, 1, length - (size_t)place, said.body) == length - (size_t)place;
    }
    free(line);
    return good ? CURLE_OK : CURLE_WEIRD_SERVER_REPLY;
}

static void search(struct index *index)
{
    static struct index_hits hits;
    const struct index_query query = {
        .key = "blue train",
        .asked = {{.forms = {"blue"}, .form_count = 1, .typos_max = 1, .field = -1},
                  {.forms = {"train"}, .form_count = 1, .typos_max = 1, .field = -1}},
        .asked_count = 2,
        .limit = LIMIT,
        .every_shelf = true};
    if (index_search(index, INDEX_TRACK, &query, &hits) != 0) {
        return;
    }
    FUZZ_CHECK(hits.count <= LIMIT);
    for (unsigned i = 0; i < hits.count; i++) {
        FUZZ_CHECK(hits.list[i].id > 0 && hits.list[i].tier < INDEX_TIERS_);
        FUZZ_CHECK(hits.list[i].typos <= INDEX_TYPOS_MAX * 2);
    }
}

static void check_words(int error, const struct problem *problem)
{
    FUZZ_CHECK(error <= 0 && (error == 0) == (problem->detail[0] == '\0'));
    FUZZ_CHECK(strstr(problem->detail, SECRET) == NULL ||
               memmem(said.all, (size_t)(said.end - said.all), SECRET, strlen(SECRET)) != NULL);
}

static void change(struct index *index)
{
    const struct index_word words[] = {{.text = "blue"}, {.text = "train"}};
    const struct index_doc docs[] = {
        {.kind = INDEX_TRACK, .id = 1, .key = "blue train", .words = words, .word_count = 2},
        {.kind = INDEX_ALBUM, .id = 2, .key = ""}};
    (void)index_change(index, docs, COUNT_OF(docs), 7);
}

static void look(struct index *index)
{
    struct problem problem = {0};
    (void)index_look(index);
    (void)index_leads(index);
    check_words(index_ping(index, &problem), &problem);
}

static void tell(struct index *index)
{
    struct problem problem = {0};
    check_words(opensearch_tell(opensearch_of(index), "PUT", "/x", json_object(), &problem),
                &problem);
}

/* An index of its own for each, since an engine that failed is left alone for a while. Opening it
 * asks, too. */
static void ask(char what)
{
    struct index *index = NULL;
    FUZZ_CHECK(index_open("opensearch://tutti:" SECRET "@127.0.0.1:9200,127.0.0.2:9200/t", &index,
                          NULL) == 0);
    struct opensearch *engine = opensearch_of(index);
    if (what == 's' && engine->build[0] == '\0') {
        (void)snprintf(engine->build, sizeof engine->build, "t-v1-1-abc");
    }
    if (what == 's') {
        search(index);
    } else if (what == 'b') {
        change(index);
    } else if (what == 'l') {
        look(index);
    } else {
        tell(index);
    }
    said.at = said.end; /* its end may tell, too */
    index_close(index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    char *text = fuzz_text(data + 1, size - 1);
    said.all = said.at = text;
    said.end = text + size - 1;
    said.answers = 0;
    ask((char)data[0]);
    free(text);
    return 0;
}
