/* The OpenSearch engine of index.h: opening, closing, and what is known of it (opensearch.h). */
#include "backend/index/opensearch.h"

#include "base/breaker.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PULSE_MS = 1000 };

static void opensearch_close(struct index *index)
{
    struct opensearch *engine = opensearch_of(index);
    if (engine->pool != NULL) {
        opensearch_resign(engine);
        opensearch_delete_replaced(engine, true);
    }
    http_pool_free(engine->pool);
    breaker_free(engine->breaker);
    (void)pthread_mutex_destroy(&engine->lock);
    sodium_memzero(&engine->address, sizeof engine->address);
    free(engine);
}

static void name_all(struct opensearch *engine)
{
    unsigned char random[OPENSEARCH_WRITER_SIZE / 2];
    randombytes_buf(random, sizeof random);
    (void)sodium_bin2hex(engine->writer, sizeof engine->writer, random, sizeof random);
    (void)snprintf(engine->alias, sizeof engine->alias, "%s-%s", engine->address.name,
                   OPENSEARCH_LAYOUT);
    (void)snprintf(engine->control, sizeof engine->control, "%s-control", engine->alias);
}

/* One that does not answer for now is none that can't be opened: it is asked again. */
static int opensearch_open(const char *url, struct index **ret_index, struct problem *problem)
{
    struct opensearch *engine = calloc(1, sizeof *engine);
    if (engine == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)pthread_mutex_init(&engine->lock, NULL);
    engine->place = engine->reached = engine->control_version = -1;
    int error = opensearch_address_parse(url, &engine->address, problem);
    error = error != 0 ? error
                       : breaker_new(&(struct breaker_config){.name = "search"}, &engine->breaker);
    error =
        error != 0 ? error : http_pool_new((unsigned)engine->address.connections, &engine->pool);
    if (error != 0) {
        opensearch_close(&engine->head);
        return error;
    }
    name_all(engine);
    (void)opensearch_read_state(engine);
    *ret_index = &engine->head;
    return 0;
}

static int64_t opensearch_place(struct index *index)
{
    struct opensearch *engine = opensearch_of(index);
    (void)pthread_mutex_lock(&engine->lock);
    int64_t place = engine->build[0] != '\0' ? engine->place : -1;
    (void)pthread_mutex_unlock(&engine->lock);
    return place;
}

static int64_t opensearch_built_ms(struct index *index)
{
    struct opensearch *engine = opensearch_of(index);
    (void)pthread_mutex_lock(&engine->lock);
    int64_t built_ms = engine->built_ms;
    (void)pthread_mutex_unlock(&engine->lock);
    return built_ms;
}

/* It merges its segments by itself. */
static bool opensearch_is_worn(struct index *index)
{
    (void)index;
    return false;
}

static int64_t sum_of(const json_t *all, const char *group, const char *name)
{
    const json_t *primaries = json_object_get(json_object_get(all, "_all"), "primaries");
    return json_integer_value(json_object_get(json_object_get(primaries, group), name));
}

static void opensearch_size(struct index *index, struct index_size *ret_size)
{
    struct opensearch *engine = opensearch_of(index);
    char path[OPENSEARCH_INDEX_SIZE + 32];
    struct opensearch_answer answer;
    *ret_size = (struct index_size){.docs = 0};
    (void)snprintf(path, sizeof path, "/%s/_stats/docs,store", engine->alias);
    if (opensearch_call(engine,
                        &(struct opensearch_call){.method = "GET",
                                                  .path = path,
                                                  .tries = 1,
                                                  .timeout_ms = engine->address.timeout_ms},
                        &answer) == 0) {
        ret_size->docs = sum_of(answer.body, "docs", "count") - 1; /* its description */
        ret_size->bytes = sum_of(answer.body, "store", "size_in_bytes");
    }
    opensearch_answer_done(&answer);
}

static int opensearch_ping(struct index *index, struct problem *problem)
{
    struct opensearch *engine = opensearch_of(index);
    (void)pthread_mutex_lock(&engine->lock);
    int error = engine->away == 0
                    ? 0
                    : problem_set(problem, ERR_UNAVAILABLE, "OpenSearch: %s", engine->away_words);
    (void)pthread_mutex_unlock(&engine->lock);
    return error;
}

static int opensearch_check_url(const char *url, struct problem *problem)
{
    struct opensearch_address address;
    int error = opensearch_address_parse(url, &address, problem);
    sodium_memzero(&address, sizeof address);
    return error;
}

const struct index_engine index_opensearch_engine = {
    .scheme = "opensearch://",
    .open = opensearch_open,
    .check_url = opensearch_check_url,
    .close = opensearch_close,
    .place = opensearch_place,
    .built_ms = opensearch_built_ms,
    .is_worn = opensearch_is_worn,
    .size = opensearch_size,
    .look = opensearch_look,
    .change = opensearch_change,
    .search = opensearch_search,
    .build_begin = opensearch_build_begin,
    .build_add = opensearch_build_add,
    .build_end = opensearch_build_end,
    .build_free = opensearch_build_free,
    .pulse_ms = PULSE_MS,
    .leads = opensearch_leads,
    .reached = opensearch_reached,
    .ping = opensearch_ping,
};
