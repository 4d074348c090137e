/* Passes what is asked of an index on to its engine (index.h). */
#include "backend/index/index_engine.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <assert.h>
#include <string.h>

static const struct index_engine *const engines[] = {&index_local_engine, &index_opensearch_engine};

static const struct index_engine *find_engine(const char *url, struct problem *problem)
{
    for (size_t i = 0; i < COUNT_OF(engines); i++) {
        if (strncmp(url, engines[i]->scheme, strlen(engines[i]->scheme)) == 0) {
            return engines[i];
        }
    }
    (void)problem_set(problem, ERR_INVALID,
                      "search.store must be local:PATH or opensearch://HOST:PORT/NAME");
    return NULL;
}

int index_open(const char *url, struct index **ret_index, struct problem *problem)
{
    const struct index_engine *engine = find_engine(url, problem);
    int error = engine != NULL ? engine->open(url, ret_index, problem) : ERR_INVALID;
    if (error == 0) {
        (*ret_index)->engine = engine;
    }
    return error;
}

int index_url_check(const char *url, struct problem *problem)
{
    const struct index_engine *engine = find_engine(url, problem);
    if (engine == NULL) {
        return ERR_INVALID;
    }
    return engine->check_url != NULL ? engine->check_url(url, problem) : 0;
}

void index_close(struct index *index)
{
    if (index != NULL) {
        index->engine->close(index);
    }
}

int64_t index_place(struct index *index)
{
    return index->engine->place(index);
}

int64_t index_built_ms(struct index *index)
{
    return index->engine->built_ms(index);
}

bool index_is_worn(struct index *index)
{
    return index->engine->is_worn(index);
}

void index_size(struct index *index, struct index_size *ret_size)
{
    index->engine->size(index, ret_size);
}

bool index_look(struct index *index)
{
    return index->engine->look(index);
}

int index_change(struct index *index, const struct index_doc *docs, unsigned count, int64_t place)
{
    return index->engine->change(index, docs, count, place);
}

int index_search(struct index *index, enum index_kind kind, const struct index_query *query,
                 struct index_hits *ret_hits)
{
    assert(query->limit > 0 && query->limit <= INDEX_HITS_MAX);
    return index->engine->search(index, kind, query, ret_hits);
}

int index_build_begin(struct index *index, int64_t place, struct index_build **ret_build)
{
    int error = index->engine->build_begin(index, place, ret_build);
    if (error == 0) {
        (*ret_build)->index = index;
    }
    return error;
}

int index_build_add(struct index_build *build, const struct index_doc *doc)
{
    return build->index->engine->build_add(build, doc);
}

int index_build_end(struct index_build *build, struct problem *problem)
{
    int error = build->index->engine->build_end(build, problem);
    index_build_free(build);
    return error;
}

void index_build_free(struct index_build *build)
{
    if (build != NULL) {
        build->index->engine->build_free(build);
    }
}

bool index_is_shared(const struct index *index)
{
    return index->engine->leads != NULL;
}

int64_t index_pulse_ms(const struct index *index)
{
    return index->engine->pulse_ms;
}

bool index_leads(struct index *index)
{
    return index->engine->leads == NULL || index->engine->leads(index);
}

void index_reached(struct index *index, int64_t place)
{
    if (index->engine->reached != NULL) {
        index->engine->reached(index, place);
    }
}

int index_ping(struct index *index, struct problem *problem)
{
    return index->engine->ping != NULL ? index->engine->ping(index, problem) : 0;
}
