/* A search: a request a stage, each only where those before found too little (opensearch.h). Any
 * thread. */
#include "backend/index/opensearch.h"

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the tiers twice, and one without ON (opensearch_query.c). */
enum { SEARCH_TRIES = 2, SCORE_MAX = 2 * INDEX_PREFIX + 1 };

/* "0-123": the kind, and the id. A score that no question of ours gives says nothing. */
static bool read_hit(const json_t *found, const struct index_query *query,
                     enum opensearch_stage stage, struct index_hit *ret_hit)
{
    const char *id = json_string_value(json_object_get(found, "_id"));
    const json_t *sort = json_object_get(found, "sort");
    const json_t *score = json_array_get(sort, 0), *plays = json_array_get(sort, 1);
    double said = json_number_value(score);
    json_int_t popularity = json_integer_value(plays);
    int64_t number = 0;
    if (id == NULL || strlen(id) < 3 || !text_number(id + 2, 1, INT64_MAX, &number) ||
        !json_is_number(score) || said < 0 || said > SCORE_MAX || popularity < 0) {
        return false;
    }
    *ret_hit = (struct index_hit){
        .id = number, .popularity = popularity < UINT32_MAX ? (uint32_t)popularity : UINT32_MAX};
    opensearch_judge(query, stage, (int)(said + 0.5), ret_hit);
    return true;
}

static void read_hits(const json_t *answer, const struct index_query *query,
                      enum opensearch_stage stage, struct index_hits *hits)
{
    size_t i;
    json_t *found;
    json_array_foreach(json_object_get(json_object_get(answer, "hits"), "hits"), i, found)
    {
        if (hits->count < query->limit && read_hit(found, query, stage, &hits->list[hits->count])) {
            hits->count++;
        }
    }
}

/* An index that is not there yet is none of the caller's making, nor is what OpenSearch refuses. */
static int judge(int error, const json_t *answer)
{
    return error == ERR_NOT_FOUND || error == ERR_INTERNAL                    ? ERR_UNAVAILABLE
           : error == 0 && json_is_true(json_object_get(answer, "timed_out")) ? ERR_TIMEOUT
                                                                              : error;
}

static int ask_stage(struct opensearch *engine, enum index_kind kind,
                     const struct index_query *query, enum opensearch_stage stage,
                     struct index_hits *hits)
{
    bool failed = false;
    json_t *body CLEANUP_JSON =
        opensearch_query(kind, query, stage, query->limit - hits->count, &failed);
    if (body == NULL) {
        return failed ? ERR_NO_MEMORY : 0;
    }
    char *text CLEANUP_FREE = json_dumps(body, JSON_COMPACT);
    if (text == NULL) {
        return ERR_NO_MEMORY;
    }
    char path[OPENSEARCH_INDEX_SIZE + 128];
    (void)snprintf(path, sizeof path,
                   "/%s/_search?allow_partial_search_results=false"
                   "&filter_path=timed_out,hits.hits._id,hits.hits.sort",
                   engine->alias);
    struct opensearch_answer answer;
    int error = opensearch_call(engine,
                                &(struct opensearch_call){.method = "POST",
                                                          .path = path,
                                                          .body = text,
                                                          .length = strlen(text),
                                                          .missing_passes = true,
                                                          .tries = SEARCH_TRIES,
                                                          .timeout_ms = engine->address.timeout_ms},
                                &answer);
    error = judge(error, answer.body);
    if (error == 0) {
        read_hits(answer.body, query, stage, hits);
    }
    opensearch_answer_done(&answer);
    return error;
}

int opensearch_search(struct index *index, enum index_kind kind, const struct index_query *query,
                      struct index_hits *hits)
{
    struct opensearch *engine = opensearch_of(index);
    hits->count = 0;
    (void)pthread_mutex_lock(&engine->lock);
    bool built = engine->build[0] != '\0';
    (void)pthread_mutex_unlock(&engine->lock);
    int error = built ? ask_stage(engine, kind, query, STAGE_RIGHT, hits) : 0;
    if (built && error == 0 && hits->count < query->limit) {
        error = ask_stage(engine, kind, query, STAGE_ONE_TYPO, hits);
    }
    if (built && error == 0 && hits->count == 0) {
        error = ask_stage(engine, kind, query, STAGE_TYPOS, hits);
    }
    return error;
}
