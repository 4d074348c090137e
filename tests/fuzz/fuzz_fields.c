/* Members of a JSON body, as the roles read them: whatever the object holds, a member is taken
 * within its limits or refused by name.
 *
 * Covers: src/service/fields.c */
#include "base/error.h"
#include "base/json.h"
#include "fuzz.h"
#include "service/fields.h"

enum { ARENA_BYTES = 8 << 20, TEXT_MAX = 200 };

static const char *const words[] = {"single", "ep", "album", NULL};

static void check(const struct call *call, int error, bool there)
{
    FUZZ_CHECK(error == 0 || (error == ERR_INVALID && there && call->problem.field_count > 0));
}

static void check_texts(struct call *call, const json_t *body)
{
    static const struct text_rule rule = {
        .field = "title", .characters_max = TEXT_MAX, .empty_ok = true};
    const char *text = NULL, *date = NULL, *isrc = NULL, *word = NULL;
    bool there = false;
    int error = field_text(call, body, &rule, &text, &there);
    check(call, error, there);
    FUZZ_CHECK(error != 0 || !there || text != NULL);
    there = false;
    error = field_date(call, body, "releaseDate", &date, &there);
    check(call, error, there);
    FUZZ_CHECK(error != 0 || !there || date[0] == '\0' || strlen(date) == 10);
    there = false;
    error = field_isrc(call, body, "isrc", &isrc, &there);
    check(call, error, there);
    FUZZ_CHECK(error != 0 || !there || isrc[0] == '\0' || strlen(isrc) == 12);
    there = false;
    error = field_word(call, body, "type", words, &word, &there);
    check(call, error, there);
    FUZZ_CHECK(error != 0 || !there || word == words[0] || word == words[1] || word == words[2]);
}

static void check_numbers(struct call *call, const json_t *body)
{
    int64_t number = 1, id = 1;
    bool there = false, value = false;
    check(call, field_number(call, body, "trackNumber", 1, 999, &number, &there), there);
    FUZZ_CHECK(number >= 1 && number <= 999);
    there = false;
    check(call, field_id(call, body, "albumId", &id, &there), there);
    FUZZ_CHECK(id > 0);
    there = false;
    check(call, field_bool(call, body, "explicit", &value, &there), there);
    (void)field_required(call, "explicit", there);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_JSON json_t *body = NULL;
    if (json_read((const char *)data, size, NULL, &body) != 0) {
        return 0;
    }
    struct call call = {.arena = arena_new(ARENA_BYTES)};
    FUZZ_CHECK(call.arena != NULL);
    check_texts(&call, body);
    check_numbers(&call, body);
    FUZZ_CHECK(call.problem.field_count <= PROBLEM_FIELDS_MAX);
    arena_free(call.arena);
    return 0;
}
