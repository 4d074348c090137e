/* Documents to OpenSearch, many a request (opensearch.h). A document is our words by field; what it
 * is found by is made of them there, by the analyzers that opensearch_build.c sets up. The thread
 * of index_change, or of a build. */
#include "backend/index/opensearch.h"

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BULK_BYTES = 2 * 1024 * 1024, /* sent when there is so much */
    CHANGE_TIMEOUT_MS = 5 * 1000, /* tried again by who brings it */
    BUILD_TIMEOUT_MS = 20 * 1000,
    BUILD_TRIES = 4, /* each of several requests: a whole build must not end for one */
    FIELD_BYTES_MAX = 256 * 1024,
};

static const char *const fields[INDEX_BAG] = {"name", "by", "on"};

/* The positions of a field, and how many count. A filler shares the position of what follows it. */
static unsigned add_field(struct buffer *out, const struct index_doc *doc, enum index_field field)
{
    unsigned positions = 0;
    bool open = false, joins = false;
    for (unsigned i = 0; i < doc->word_count; i++) {
        const struct index_word *word = &doc->words[i];
        if (word->field != field) {
            continue;
        }
        bool counts = !word->also && !word->filler;
        (void)buffer_add(out, !open                 ? ""
                              : word->also || joins ? OPENSEARCH_FORM
                                                    : OPENSEARCH_POSITION);
        (void)buffer_add(out, word->text);
        open = true;
        joins = word->also ? joins : word->filler; /* what comes next stands here, too */
        positions += counts;
    }
    return positions;
}

/* Words of the bag that begin with the mark, without it. */
static int add_bag(json_t *source, const char *name, const struct index_doc *doc, char mark,
                   bool joined)
{
    struct buffer text;
    buffer_init(&text, FIELD_BYTES_MAX);
    json_t *list = json_array();
    for (unsigned i = 0; i < doc->word_count; i++) {
        const struct index_word *word = &doc->words[i];
        if (word->field == INDEX_BAG && word->text[0] == mark) {
            (void)buffer_add(&text, text.length > 0 ? OPENSEARCH_POSITION : "");
            (void)buffer_add(&text, word->text + 1);
            (void)json_array_append_new(list, json_string(word->text + 1));
        }
    }
    bool kept = true;
    if (json_array_size(list) > 0) {
        kept = json_object_set_new(source, name,
                                   joined ? json_string(text.data) : json_incref(list)) == 0;
    }
    int error = buffer_error(&text);
    json_decref(list);
    buffer_done(&text);
    return kept ? error : ERR_NO_MEMORY;
}

/* NULL: out of memory. */
static json_t *source_of(const struct index_doc *doc)
{
    static const char *const counts[INDEX_BAG] = {"nameCount", "byCount", "onCount"};
    json_t *source =
        json_pack("{s:i, s:I, s:I, s:I}", "kind", (int)doc->kind, "id", (json_int_t)doc->id,
                  "plays", (json_int_t)doc->popularity, "shelf", (json_int_t)doc->shelf);
    bool kept = source != NULL;
    for (unsigned field = 0; kept && field < INDEX_BAG; field++) {
        struct buffer text;
        buffer_init(&text, FIELD_BYTES_MAX);
        unsigned count = add_field(&text, doc, (enum index_field)field);
        kept = buffer_error(&text) == 0 &&
               json_object_set_new(source, fields[field], json_string(text.data)) == 0 &&
               json_object_set_new(source, counts[field], json_integer(count)) == 0;
        buffer_done(&text);
    }
    kept = kept && add_bag(source, "genre", doc, INDEX_GENRE, false) == 0 &&
           add_bag(source, "year", doc, INDEX_YEAR, false) == 0 &&
           add_bag(source, "lyrics", doc, INDEX_LYRICS, true) == 0;
    if (!kept) {
        json_decref(source);
        return NULL;
    }
    return source;
}

void opensearch_bulk_add(struct buffer *lines, const char *index, const struct index_doc *doc,
                         int64_t place)
{
    bool gone = doc->word_count == 0;
    (void)buffer_printf(lines,
                        "{\"%s\":{\"_index\":\"%s\",\"_id\":\"%d-%lld\",\"version\":%lld,"
                        "\"version_type\":\"external_gte\"}}\n",
                        gone ? "delete" : "index", index, (int)doc->kind, (long long)doc->id,
                        (long long)place + 1);
    if (gone) {
        return;
    }
    json_t *source CLEANUP_JSON = source_of(doc);
    char *text CLEANUP_FREE = source != NULL ? json_dumps(source, JSON_COMPACT) : NULL;
    if (text == NULL) {
        lines->error = ERR_NO_MEMORY;
        return;
    }
    (void)buffer_add(lines, text);
    (void)buffer_add(lines, "\n");
}

bool opensearch_bulk_is_full(const struct buffer *lines)
{
    return lines->length >= BULK_BYTES;
}

/* Of a document: 409, a later state is there; 404, what is to go was not there. */
static int judge_item(const json_t *item, struct problem *problem)
{
    const json_t *done = json_object_iter_value(json_object_iter((json_t *)item));
    const json_t *error = json_object_get(done, "error");
    int status = (int)json_integer_value(json_object_get(done, "status"));
    if (error == NULL || status == 409) {
        return 0;
    }
    const char *reason = json_string_value(json_object_get(error, "reason"));
    return problem_set(
        problem, status == 404 || status == 429 || status >= 500 ? ERR_UNAVAILABLE : ERR_INTERNAL,
        "OpenSearch took not all: %s", reason != NULL ? reason : "no reason is said");
}

static int judge_items(const json_t *body, struct problem *problem)
{
    size_t i;
    json_t *item;
    if (!json_is_true(json_object_get(body, "errors"))) {
        return body != NULL ? 0 : ERR_UNAVAILABLE;
    }
    json_array_foreach(json_object_get(body, "items"), i, item)
    {
        int error = judge_item(item, problem);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static int send_lines(struct opensearch *engine, const struct buffer *lines, const char *path,
                      bool change, struct problem *problem)
{
    struct opensearch_answer answer;
    int error = opensearch_call(
        engine,
        &(struct opensearch_call){.method = "POST",
                                  .path = path,
                                  .body = lines->data,
                                  .length = lines->length,
                                  .lines = true,
                                  .tries = 2,
                                  .timeout_ms = change ? CHANGE_TIMEOUT_MS : BUILD_TIMEOUT_MS},
        &answer);
    error = error != 0 ? problem_set(problem, error, "OpenSearch: %s", answer.words)
                       : judge_items(answer.body, problem);
    opensearch_answer_done(&answer);
    return error;
}

int opensearch_bulk_send(struct opensearch *engine, struct buffer *lines, bool change, bool refresh,
                         struct problem *problem)
{
    char path[96];
    unsigned tries_max = change ? 1 : BUILD_TRIES;
    (void)snprintf(path, sizeof path,
                   "/_bulk?filter_path=errors,items.*.status,items.*.error"
                   "&refresh=%s%s",
                   refresh ? "true" : "false", change ? "&require_alias=true" : "");
    int error = buffer_error(lines);
    bool sends = error == 0 && lines->length > 0;
    for (unsigned tries = 1; sends; tries++) { /* what was taken already is taken again */
        error = send_lines(engine, lines, path, change, problem);
        sends = (error == ERR_UNAVAILABLE || error == ERR_TIMEOUT) && tries < tries_max;
        if (sends) {
            http_pause(tries + 3);
        }
    }
    buffer_reset(lines);
    return error;
}

int opensearch_change(struct index *index, const struct index_doc *docs, unsigned count,
                      int64_t place)
{
    struct opensearch *engine = opensearch_of(index);
    struct buffer lines;
    buffer_init(&lines, OPENSEARCH_BODY_BYTES_MAX);
    int error = 0;
    for (unsigned i = 0; error == 0 && i < count; i++) {
        bool last = i + 1 == count;
        opensearch_bulk_add(&lines, engine->alias, &docs[i], place);
        if (last || opensearch_bulk_is_full(&lines)) {
            error = opensearch_bulk_send(engine, &lines, true, last, NULL);
        }
    }
    buffer_done(&lines);
    opensearch_keep_leading(engine);
    return error;
}
