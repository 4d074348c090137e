/* A new index beside the one that answers (opensearch.h): made with its analyzers and fields,
 * filled by bulk, refreshed, and put behind the alias in one step; what was there before is deleted
 * a moment later. One thread. */
#include "backend/index/opensearch.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/problem.h"
#include "base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LEFT_BEHIND_MS = 24 * 3600 * 1000, STAMP_DIGITS = 13, GRACE_MS = 2000 };

struct opensearch_build {
    struct index_build head;
    struct opensearch *engine;
    int64_t place;
    char name[OPENSEARCH_INDEX_SIZE], before[OPENSEARCH_INDEX_SIZE];
    struct buffer lines;
    int error; /* of what was sent; told at the end */
    struct problem problem;
};

static struct opensearch_build *build_of(struct index_build *build)
{
    return (struct opensearch_build *)(void *)build;
}

/* Words come as they are to be found; see invariants in opensearch.h. Copies are OpenSearch's to
 * place: one where there is a second node. */
static const char settings[] =
    "{\"number_of_shards\": %d, \"auto_expand_replicas\": \"0-1\", \"refresh_interval\": \"-1\","
    " \"gc_deletes\": \"1h\", \"analysis\": {"
    " \"tokenizer\": {\"positions\": {\"type\": \"pattern\", \"pattern\": \"\\u001e\"}},"
    " \"filter\": {"
    "  \"forms\": {\"type\": \"pattern_capture\", \"preserve_original\": false,"
    "   \"patterns\": [\"([^\\u001f]+)\"]},"
    "  \"beginnings\": {\"type\": \"edge_ngram\", \"min_gram\": 1, \"max_gram\": %d},"
    "  \"cut\": {\"type\": \"truncate\", \"length\": %d},"
    "  \"once\": {\"type\": \"unique\", \"only_on_same_position\": true}},"
    " \"analyzer\": {"
    "  \"words\": {\"tokenizer\": \"positions\", \"filter\": [\"forms\"]},"
    "  \"begun\": {\"tokenizer\": \"positions\", \"filter\": [\"forms\", \"beginnings\", "
    "\"once\"]},"
    "  \"asked\": {\"tokenizer\": \"positions\", \"filter\": [\"forms\", \"cut\"]}}}}";

/* name, by, on: whole words with their places, and beginnings; `all` has the beginnings of all
 * three. Only a build's own description is kept as it was sent. */
static const char mappings[] =
    "{\"dynamic\": false, \"_source\": {\"includes\": [\"state\"]}, \"properties\": {"
    " \"state\": {\"type\": \"object\", \"enabled\": false},"
    " \"kind\": {\"type\": \"byte\"}, \"id\": {\"type\": \"long\"}, \"plays\": {\"type\": "
    "\"long\"},"
    " \"shelf\": {\"type\": \"long\"},"
    " \"nameCount\": {\"type\": \"short\"}, \"byCount\": {\"type\": \"short\"},"
    " \"year\": {\"type\": \"short\"}, \"genre\": {\"type\": \"keyword\", \"doc_values\": false},"
    " \"name\": {\"type\": \"text\", \"analyzer\": \"words\", \"norms\": false, \"copy_to\": "
    "\"all\","
    "  \"fields\": {\"begun\": {\"type\": \"text\", \"analyzer\": \"begun\","
    "   \"search_analyzer\": \"asked\", \"norms\": false}}},"
    " \"by\": {\"type\": \"text\", \"analyzer\": \"words\", \"norms\": false, \"copy_to\": \"all\","
    "  \"fields\": {\"begun\": {\"type\": \"text\", \"analyzer\": \"begun\","
    "   \"search_analyzer\": \"asked\", \"norms\": false, \"index_options\": \"docs\"}}},"
    " \"on\": {\"type\": \"text\", \"analyzer\": \"words\", \"norms\": false, \"copy_to\": \"all\","
    "  \"fields\": {\"begun\": {\"type\": \"text\", \"analyzer\": \"begun\","
    "   \"search_analyzer\": \"asked\", \"norms\": false, \"index_options\": \"docs\"}}},"
    " \"all\": {\"type\": \"text\", \"analyzer\": \"begun\", \"search_analyzer\": \"asked\","
    "  \"norms\": false, \"index_options\": \"docs\"},"
    " \"lyrics\": {\"type\": \"text\", \"analyzer\": \"begun\", \"search_analyzer\": \"asked\","
    "  \"norms\": false, \"index_options\": \"docs\"}}}";

static int make_index(struct opensearch_build *build)
{
    char text[sizeof settings + 64], path[OPENSEARCH_INDEX_SIZE + 2];
    (void)snprintf(text, sizeof text, settings, (int)build->engine->address.shards,
                   (int)OPENSEARCH_PREFIX_MAX, (int)OPENSEARCH_PREFIX_MAX);
    (void)snprintf(path, sizeof path, "/%s", build->name);
    json_t *body = json_pack("{s:o, s:o}", "settings", json_loads(text, 0, NULL), "mappings",
                             json_loads(mappings, 0, NULL));
    return body == NULL ? ERR_NO_MEMORY
                        : opensearch_tell(build->engine, "PUT", path, body, &build->problem);
}

void opensearch_build_free(struct index_build *head)
{
    struct opensearch_build *build = build_of(head);
    if (build->name[0] != '\0') { /* it was not finished */
        char path[OPENSEARCH_INDEX_SIZE + 2];
        (void)snprintf(path, sizeof path, "/%s", build->name);
        (void)opensearch_tell(build->engine, "DELETE", path, NULL, NULL);
    }
    buffer_done(&build->lines);
    free(build);
}

int opensearch_build_begin(struct index *index, int64_t place, struct index_build **ret_build)
{
    struct opensearch_build *build = calloc(1, sizeof *build);
    if (build == NULL) {
        return ERR_NO_MEMORY;
    }
    build->engine = opensearch_of(index);
    build->place = place;
    buffer_init(&build->lines, OPENSEARCH_BODY_BYTES_MAX);
    (void)snprintf(build->name, sizeof build->name, "%s-%0*lld-%08x", build->engine->alias,
                   STAMP_DIGITS, (long long)clock_wall_ms(), randombytes_random());
    build->error = make_index(build);
    if (build->error != 0) {
        build->name[0] = '\0'; /* there is none */
    }
    *ret_build = &build->head;
    return 0;
}

int opensearch_build_add(struct index_build *head, const struct index_doc *doc)
{
    struct opensearch_build *build = build_of(head);
    if (build->error != 0) {
        return build->error;
    }
    opensearch_bulk_add(&build->lines, build->name, doc, build->place);
    if (opensearch_bulk_is_full(&build->lines)) {
        build->error =
            opensearch_bulk_send(build->engine, &build->lines, false, false, &build->problem);
        opensearch_keep_leading(build->engine);
    }
    return build->error;
}

/* The build's description of itself. */
static int finish(struct opensearch_build *build, int64_t built_ms)
{
    (void)buffer_printf(&build->lines,
                        "{\"index\":{\"_index\":\"%s\",\"_id\":\"built\"}}\n"
                        "{\"state\":{\"build\":\"%s\",\"place\":%lld,\"builtMs\":%lld}}\n",
                        build->name, build->name, (long long)build->place, (long long)built_ms);
    return opensearch_bulk_send(build->engine, &build->lines, false, true, &build->problem);
}

static int ask(struct opensearch_build *build, const char *path, struct opensearch_answer *answer)
{
    return opensearch_call(
        build->engine,
        &(struct opensearch_call){.method = "GET",
                                  .path = path,
                                  .tries = OPENSEARCH_TRIES,
                                  .timeout_ms = build->engine->address.timeout_ms},
        answer);
}

/* {"actions": […]}: the alias moves from whatever it points to, which is remembered, to the build.
 */
static json_t *actions_of(struct opensearch_build *build, const json_t *aliases)
{
    struct opensearch *engine = build->engine;
    json_t *actions =
        json_pack("[{s:{s:s, s:s}}]", "add", "index", build->name, "alias", engine->alias);
    const char *index = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)aliases, index, value)
    {
        (void)json_array_append_new(
            actions, json_pack("{s:{s:s, s:s}}", "remove", "index", index, "alias", engine->alias));
        (void)text_copy(build->before, sizeof build->before, index);
    }
    return json_pack("{s:o}", "actions", actions);
}

static int put_behind_alias(struct opensearch_build *build)
{
    char path[OPENSEARCH_INDEX_SIZE + 16];
    struct opensearch_answer answer;
    (void)snprintf(path, sizeof path, "/_alias/%s", build->engine->alias);
    int error = ask(build, path, &answer);
    bool none = error == ERR_NOT_FOUND;
    if (error == 0 || none) {
        error = opensearch_tell(build->engine, "POST", "/_aliases",
                                actions_of(build, none ? NULL : answer.body), &build->problem);
    } else {
        (void)problem_set(&build->problem, error, "OpenSearch: %s", answer.words);
    }
    opensearch_answer_done(&answer);
    return error;
}

void opensearch_delete_replaced(struct opensearch *engine, bool wait)
{
    int64_t left_ms = engine->replaced_ms + GRACE_MS - clock_monotonic_ms();
    if (engine->replaced[0] == '\0' || (left_ms > 0 && !wait)) {
        return;
    }
    if (left_ms > 0) {
        const struct timespec pause = clock_timespec(left_ms);
        (void)nanosleep(&pause, NULL);
    }
    char path[OPENSEARCH_INDEX_SIZE + 2];
    (void)snprintf(path, sizeof path, "/%s", engine->replaced);
    (void)opensearch_tell(engine, "DELETE", path, NULL, NULL); /* else it is swept */
    engine->replaced[0] = '\0';
}

/* Builds that nobody finished. */
static void sweep(struct opensearch_build *build)
{
    char path[OPENSEARCH_INDEX_SIZE + 32];
    struct opensearch_answer answer;
    size_t length = strlen(build->engine->alias) + 1;
    (void)snprintf(path, sizeof path, "/%s-*/_alias", build->engine->alias);
    const char *index = NULL;
    json_t *value = NULL;
    if (ask(build, path, &answer) == 0) {
        json_object_foreach(answer.body, index, value)
        {
            char stamp[STAMP_DIGITS + 1] = "", one[OPENSEARCH_INDEX_SIZE + 2];
            int64_t begun_ms = 0;
            (void)snprintf(stamp, sizeof stamp, "%s", strlen(index) > length ? index + length : "");
            bool old = text_number(stamp, 1, INT64_MAX, &begun_ms) &&
                       clock_wall_ms() - begun_ms > LEFT_BEHIND_MS;
            if (old && strcmp(index, build->name) != 0) {
                (void)snprintf(one, sizeof one, "/%s", index);
                (void)opensearch_tell(build->engine, "DELETE", one, NULL, NULL);
            }
        }
    }
    opensearch_answer_done(&answer);
}

static void take_over(struct opensearch_build *build, int64_t built_ms)
{
    struct opensearch *engine = build->engine;
    (void)pthread_mutex_lock(&engine->lock);
    (void)text_copy(engine->build, sizeof engine->build, build->name);
    engine->place = build->place;
    engine->built_ms = built_ms;
    (void)pthread_mutex_unlock(&engine->lock);
    engine->reached = -1;
    opensearch_delete_replaced(engine, true); /* of a build just before */
    (void)text_copy(engine->replaced, sizeof engine->replaced, build->before);
    engine->replaced_ms = clock_monotonic_ms();
    build->name[0] = '\0'; /* it stays */
}

int opensearch_build_end(struct index_build *head, struct problem *problem)
{
    struct opensearch_build *build = build_of(head);
    int64_t built_ms = clock_wall_ms();
    int error = build->error != 0 ? build->error : finish(build, built_ms);
    error = error != 0 ? error : put_behind_alias(build);
    if (error != 0) {
        return problem_set(problem, error, "%s", build->problem.detail);
    }
    sweep(build);
    take_over(build, built_ms);
    return 0;
}
