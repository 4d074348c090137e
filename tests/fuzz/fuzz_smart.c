/* Rules of smart playlists, as JSON: they are refused by name, or they are a query within all
 * maxima that says the same when its text is read again, and what narrows the scan (a genre, what
 * is personal) never leaves out a track that fits.
 *
 * The first line is what the tracks that are asked are called, the rest the rules.
 *
 * Covers: src/service/library/smart/smart_rules.c src/service/library/smart/smart_match.c */
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "fuzz.h"
#include "service/library/smart/smart.h"

enum { ARENA_BYTES = 32 << 20, NAME_BYTES_MAX = 400, YEAR = 1999, SECONDS = 200 };

static const int64_t NOW_MS = INT64_C(1800000000000), YESTERDAY_MS = INT64_C(1799913600000);

/* Rules in the group, itself too. */
static unsigned check_rule(const struct smart_rule *rule, const struct smart *smart, unsigned depth)
{
    unsigned count = 1;
    if (!rule->group) {
        FUZZ_CHECK(rule->field < SMART_FIELDS_ && rule->op < SMART_OPS_);
        FUZZ_CHECK((smart->fields & 1U << rule->field) != 0);
        FUZZ_CHECK(rule->field > SMART_GENRE || rule->text[0] != '\0');
        FUZZ_CHECK(rule->low >= 0 && (rule->op != SMART_BETWEEN || rule->low <= rule->high));
        return count;
    }
    FUZZ_CHECK(depth <= SMART_DEPTH_MAX && rule->count > 0 && rule->count <= SMART_RULES_MAX);
    for (unsigned i = 0; i < rule->count; i++) {
        count += check_rule(&rule->rules[i], smart, depth + 1);
    }
    return count;
}

/* Whether a track of that genre fits, as its owner knows it. */
static bool asks(struct arena *arena, const struct smart *smart, const char *name,
                 const struct smart_personal *personal)
{
    CLEANUP_JSON json_t *genres = json_pack("[s]", name);
    CLEANUP_JSON json_t *details = json_pack("{s:[{s:s}]}", "artists", "name", name);
    char *genres_text CLEANUP_FREE = json_dumps(genres, JSON_COMPACT);
    char *details_text CLEANUP_FREE = json_dumps(details, JSON_COMPACT);
    FUZZ_CHECK(genres_text != NULL && details_text != NULL);
    const struct catalog_fact fact = {.id = 1,
                                      .duration_ms = SECONDS * 1000,
                                      .added_ms = YESTERDAY_MS,
                                      .year = YEAR,
                                      .title = name,
                                      .artist = "Somebody",
                                      .album = name,
                                      .genres = genres_text,
                                      .details = details_text};
    return smart_matches(arena, smart, &fact, personal, NOW_MS);
}

static void check_smart(struct call *call, const json_t *object, const char *name,
                        const struct smart *smart)
{
    static const struct smart_personal nobody = {.id = 1};
    static const struct smart_personal fan = {
        .id = 1, .rating = 5, .plays = 9, .last_played_ms = YESTERDAY_MS, .favourite = true};
    FUZZ_CHECK(check_rule(&smart->root, smart, 1) <= SMART_RULES_MAX + 1);
    FUZZ_CHECK(smart->limit >= 1 && smart->limit <= SMART_LIMIT_MAX);
    FUZZ_CHECK(smart->order < SMART_FIELDS_);
    bool strange = asks(call->arena, smart, name, &nobody);
    bool known = asks(call->arena, smart, name, &fan);
    const char *genre = smart_needs_genre(smart), *folded = text_fold(call->arena, name);
    FUZZ_CHECK(!strange || !smart_needs_personal(smart));
    FUZZ_CHECK(genre == NULL || (!strange && !known) || strcmp(genre, folded) == 0);

    CLEANUP_JSON json_t *copy = json_deep_copy(object);
    struct smart again;
    FUZZ_CHECK(smart_read(call, copy, &again) == 0);
    FUZZ_CHECK(again.limit == smart->limit && again.fields == smart->fields);
    FUZZ_CHECK(asks(call->arena, &again, name, &fan) == known);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_FIELDS input = fuzz_split(data, size, 2);
    CLEANUP_JSON json_t *object = NULL;
    const char *name = fuzz_or_empty(input.text[0]);
    if (input.text[1] == NULL || input.length[0] > NAME_BYTES_MAX ||
        !text_is_utf8(name, strlen(name)) ||
        json_read(input.text[1], input.length[1], NULL, &object) != 0) {
        return 0;
    }
    struct call call = {.arena = arena_new(ARENA_BYTES)};
    struct smart smart;
    FUZZ_CHECK(call.arena != NULL);
    problem_reset(&call.problem);
    int error = smart_read(&call, object, &smart);
    FUZZ_CHECK(error == 0 || (error == ERR_INVALID && call.problem.field_count > 0));
    if (error == 0) {
        check_smart(&call, object, name, &smart);
    }
    arena_free(call.arena);
    return 0;
}
