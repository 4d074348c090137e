/* Cursors and pages (page.h). The text under the base64url is "L.id.disc.number.key": the list's
 * letter, three numbers, and a sort key that may hold anything. */
#include "service/page.h"

#include "base/error.h"
#include "base/text.h"
#include "net/http.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

enum { BASE64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING };

const char *cursor_write(struct arena *arena, char list, const struct list_place *place)
{
    const char *plain =
        arena_printf(arena, "%c.%" PRId64 ".%" PRId64 ".%" PRId64 ".%s", list, place->id,
                     place->disc, place->number, place->key != NULL ? place->key : "");
    if (plain == NULL) {
        return NULL;
    }
    size_t length = strlen(plain);
    size_t size = sodium_base64_encoded_len(length, BASE64);
    char *text = arena_alloc(arena, size);
    return text != NULL
               ? sodium_bin2base64(text, size, (const unsigned char *)plain, length, BASE64)
               : NULL;
}

/* Reads digits up to the next dot, which it steps over. */
static bool take_number(char **at, int64_t *ret_number)
{
    char *dot = strchr(*at, '.');
    if (dot == NULL) {
        return false;
    }
    *dot = '\0';
    bool good = text_number(*at, 0, INT64_MAX, ret_number);
    *at = dot + 1;
    return good;
}

bool cursor_read(struct arena *arena, char list, const char *text, struct list_place *place)
{
    size_t length = strlen(text), plain_length = 0;
    if (length == 0 || length > CURSOR_TEXT_MAX) {
        return false;
    }
    char *plain = arena_alloc(arena, length + 1);
    if (plain == NULL ||
        !text_base64_decode(text, length, TEXT_BASE64_URL, plain, length, &plain_length) ||
        strlen(plain) != plain_length || !text_is_utf8(plain, plain_length)) {
        return false;
    }
    if (plain_length < 2 || plain[0] != list || plain[1] != '.') {
        return false;
    }
    char *at = plain + 2;
    struct list_place read = {.limit = place->limit};
    if (!take_number(&at, &read.id) || !take_number(&at, &read.disc) ||
        !take_number(&at, &read.number)) {
        return false;
    }
    read.key = at;
    const char *again = cursor_write(arena, list, &read);
    if (again == NULL || strcmp(again, text) != 0) {
        return false;
    }
    *place = read;
    return true;
}

int page_begin(struct request *request, char list, struct list_place *place)
{
    int64_t limit = 0;
    int error =
        request_query_number(request, "limit", 1, PAGE_LIMIT_MAX, PAGE_LIMIT_DEFAULT, &limit);
    if (error != 0) {
        return error;
    }
    const char *cursor = request_query(request, "cursor");
    if (cursor != NULL && !cursor_read(request->call.arena, list, cursor, place)) {
        return problem_set(&request->call.problem, ERR_MALFORMED,
                           "cursor is none of this list; leave it out for the first page");
    }
    place->limit = (unsigned)limit + 1;
    return 0;
}

unsigned page_shown(unsigned count, const struct list_place *place)
{
    return count < place->limit ? count : place->limit - 1;
}

void page_add(json_t **items, json_t *item)
{
    if (*items == NULL) {
        json_decref(item);
    } else if (json_array_append_new(*items, item) != 0) {
        json_decref(*items);
        *items = NULL;
    }
}

json_t *page_answer(struct arena *arena, json_t *items, char list, const struct list_place *last)
{
    const char *next = last != NULL ? cursor_write(arena, list, last) : NULL;
    if (last != NULL && next == NULL) {
        json_decref(items);
        return NULL;
    }
    return json_pack("{s:o, s:s?}", "items", items, "next", next);
}
