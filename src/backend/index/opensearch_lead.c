/* What is there, and who leads (opensearch.h, invariants 2 and 3). The thread of index_change, and
 * at opening the one that opens.
 *
 * A look asks for two documents at once:
 *
 *   control   {writer, build, place}     of whom is told when it was written last
 *   built     {build, place, builtMs}    of the build that the alias points to
 *
 * and, where this process leads or nobody does, writes the first anew. */
#include "backend/index/opensearch.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum {
    LOOK_EVERY_MS = 900, /* a pulse, and no more often where there is much news */
    LEASE_MS = 4000,
    TIMEOUT_MS = 2000,
    PATH_SIZE = 256,
};

static const char control_id[] = "writer", built_id[] = "built";

/* What the two documents say. */
struct seen {
    char writer[OPENSEARCH_WRITER_SIZE], of[OPENSEARCH_INDEX_SIZE];
    int64_t place, version, term; /* of the control document; version negative: there is none */
    char build[OPENSEARCH_INDEX_SIZE];
    int64_t built_place, built_ms;
};

static int64_t number_of(const json_t *object, const char *name)
{
    const json_t *number = json_object_get(object, name);
    return json_is_integer(number) ? json_integer_value(number) : -1;
}

static bool text_of(const json_t *object, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL && text_copy(out, size, text);
}

/* The name of a build, as we make them; of another's we would delete what is not ours. */
static bool build_of(const struct opensearch *engine, const json_t *object, char *out, size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    size_t length = strlen(engine->alias);
    bool ours = text_of(object, "build", out, size) && strncmp(out, engine->alias, length) == 0 &&
                out[length] == '-' && strcmp(out, engine->control) != 0 &&
                out[length + strspn(out + length, plain)] == '\0';
    if (!ours) {
        out[0] = '\0';
    }
    return ours;
}

static void read_seen(const struct opensearch *engine, const json_t *answer, struct seen *seen)
{
    *seen = (struct seen){.place = -1, .version = -1, .built_place = -1};
    const json_t *docs = json_object_get(answer, "docs");
    const json_t *control = json_array_get(docs, 0), *built = json_array_get(docs, 1);
    if (json_is_true(json_object_get(control, "found"))) {
        const json_t *source = json_object_get(control, "_source");
        seen->version = number_of(control, "_seq_no");
        seen->term = number_of(control, "_primary_term");
        seen->place = number_of(source, "place");
        (void)text_of(source, "writer", seen->writer, sizeof seen->writer);
        (void)build_of(engine, source, seen->of, sizeof seen->of);
    }
    const json_t *state = json_object_get(json_object_get(built, "_source"), "state");
    if (build_of(engine, state, seen->build, sizeof seen->build)) {
        seen->built_place = number_of(state, "place");
        seen->built_ms = number_of(state, "builtMs");
    }
}

static int ask_seen(struct opensearch *engine, struct seen *seen, struct opensearch_answer *answer)
{
    char body[2 * PATH_SIZE];
    (void)snprintf(body, sizeof body,
                   "{\"docs\":[{\"_index\":\"%s\",\"_id\":\"%s\"},"
                   "{\"_index\":\"%s\",\"_id\":\"%s\"}]}",
                   engine->control, control_id, engine->alias, built_id);
    int error = opensearch_call(engine,
                                &(struct opensearch_call){.method = "POST",
                                                          .path = "/_mget",
                                                          .body = body,
                                                          .length = strlen(body),
                                                          .looks = true,
                                                          .tries = engine->address.host_count,
                                                          .timeout_ms = TIMEOUT_MS},
                                answer);
    if (error == 0) {
        read_seen(engine, answer->body, seen);
    }
    return error;
}

/* Under no lock: what was seen is known to all threads from here on. True: another build. */
static bool keep(struct opensearch *engine, const struct seen *seen)
{
    (void)pthread_mutex_lock(&engine->lock);
    bool another = strcmp(engine->build, seen->build) != 0;
    bool same = strcmp(seen->of, seen->build) == 0;
    (void)text_copy(engine->build, sizeof engine->build, seen->build);
    engine->built_ms = seen->built_ms;
    engine->place = same && seen->place > seen->built_place ? seen->place : seen->built_place;
    engine->away = 0;
    (void)pthread_mutex_unlock(&engine->lock);
    if (seen->version != engine->control_version || seen->term != engine->control_term) {
        engine->control_seen_ms = clock_monotonic_ms();
    }
    engine->control_version = seen->version;
    engine->control_term = seen->term;
    return another;
}

static void keep_away(struct opensearch *engine, int error, const char *words)
{
    engine->leads = false;
    (void)pthread_mutex_lock(&engine->lock);
    engine->away = error;
    (void)text_copy(engine->away_words, sizeof engine->away_words, words);
    (void)pthread_mutex_unlock(&engine->lock);
}

int opensearch_read_state(struct opensearch *engine)
{
    struct seen seen;
    struct opensearch_answer answer;
    int error = ask_seen(engine, &seen, &answer);
    if (error == 0) {
        (void)keep(engine, &seen);
    } else {
        keep_away(engine, error, answer.words);
    }
    opensearch_answer_done(&answer);
    return error;
}

/* Of what nobody searches; one shard, a copy where there is a second node. */
static int make_control(struct opensearch *engine)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "/%s", engine->control);
    int error =
        opensearch_tell(engine, "PUT", path,
                        json_pack("{s:{s:i, s:s}, s:{s:b}}", "settings", "number_of_shards", 1,
                                  "auto_expand_replicas", "0-1", "mappings", "dynamic", 0),
                        NULL);
    return error == ERR_INTERNAL ? 0 : error; /* another was faster: it exists */
}

/* Compares and swaps. ERR_CONFLICT: another was faster. */
static int write_control(struct opensearch *engine, const char *writer, int64_t place)
{
    char path[PATH_SIZE], body[PATH_SIZE];
    if (engine->control_version < 0) {
        (void)snprintf(path, sizeof path, "/%s/_create/%s", engine->control, control_id);
    } else {
        (void)snprintf(path, sizeof path, "/%s/_doc/%s?if_seq_no=%lld&if_primary_term=%lld",
                       engine->control, control_id, (long long)engine->control_version,
                       (long long)engine->control_term);
    }
    (void)snprintf(body, sizeof body, "{\"writer\":\"%s\",\"build\":\"%s\",\"place\":%lld}", writer,
                   engine->build, (long long)place);
    struct opensearch_answer answer;
    int error = opensearch_call(engine,
                                &(struct opensearch_call){.method = "PUT",
                                                          .path = path,
                                                          .body = body,
                                                          .length = strlen(body),
                                                          .looks = true,
                                                          .tries = 1,
                                                          .timeout_ms = TIMEOUT_MS},
                                &answer);
    if (error == 0) {
        engine->control_version = number_of(answer.body, "_seq_no");
        engine->control_term = number_of(answer.body, "_primary_term");
        engine->control_seen_ms = engine->renewed_ms = clock_monotonic_ms();
    }
    opensearch_answer_done(&answer);
    return error;
}

/* What is written as reached: the leader's own, else what was found. */
static int64_t place_to_write(const struct opensearch *engine)
{
    return engine->reached > engine->place ? engine->reached : engine->place;
}

static bool may_lead(const struct opensearch *engine, const struct seen *seen)
{
    return strcmp(seen->writer, engine->writer) == 0 || seen->writer[0] == '\0' ||
           clock_monotonic_ms() - engine->control_seen_ms > LEASE_MS;
}

/* True: this process leads now. */
static bool claim(struct opensearch *engine, const struct seen *seen)
{
    if (!may_lead(engine, seen)) {
        return false;
    }
    int error = seen->version < 0 ? make_control(engine) : 0;
    error = error != 0 ? error : write_control(engine, engine->writer, place_to_write(engine));
    return error == 0;
}

bool opensearch_look(struct index *index)
{
    struct opensearch *engine = opensearch_of(index);
    if (clock_monotonic_ms() - engine->looked_ms < LOOK_EVERY_MS) {
        return false;
    }
    engine->looked_ms = clock_monotonic_ms();
    struct seen seen;
    struct opensearch_answer answer;
    int error = ask_seen(engine, &seen, &answer);
    bool led = engine->leads, another = false;
    if (error != 0) {
        keep_away(engine, error, answer.words);
    } else {
        another = keep(engine, &seen);
        engine->reached = another || !led ? -1 : engine->reached;
        engine->leads = claim(engine, &seen);
        opensearch_delete_replaced(engine, false);
    }
    opensearch_answer_done(&answer);
    return error == 0 && (another || (!led && engine->leads));
}

bool opensearch_leads(struct index *index)
{
    return opensearch_of(index)->leads;
}

void opensearch_reached(struct index *index, int64_t place)
{
    opensearch_of(index)->reached = place; /* written with the next look */
}

void opensearch_resign(struct opensearch *engine)
{
    if (engine->leads) {
        (void)write_control(engine, "", place_to_write(engine));
    }
}

void opensearch_keep_leading(struct opensearch *engine)
{
    if (engine->leads && clock_monotonic_ms() - engine->renewed_ms >= LOOK_EVERY_MS) {
        engine->leads = write_control(engine, engine->writer, place_to_write(engine)) == 0;
    }
}
