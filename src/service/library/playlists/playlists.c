/* Small rules of playlists (playlists.h). No I/O; any thread. */
#include "service/library/playlists/playlists.h"

#include "base/json.h"
#include "base/mem.h"

#include <string.h>

static const char *const access_words[] = {[ACCESS_NONE] = "none",
                                           [ACCESS_VIEW] = "view",
                                           [ACCESS_EDIT] = "edit",
                                           [ACCESS_OWNER] = "owner"};

const char *access_word(enum access access)
{
    return access_words[access];
}

enum access access_of_word(const char *word)
{
    for (size_t i = 0; word != NULL && i < COUNT_OF(access_words); i++) {
        if (strcmp(word, access_words[i]) == 0) {
            return (enum access)i;
        }
    }
    return ACCESS_NONE;
}

const char *playlist_title_fit(struct arena *arena, const char *title)
{
    size_t bytes = 0;
    for (unsigned characters = 0; title[bytes] != '\0'; bytes++) {
        characters += ((unsigned char)title[bytes] & 0xc0) != 0x80;
        if (characters > PLAYLIST_TITLE_MAX) {
            break;
        }
    }
    return arena_strndup(arena, title, bytes);
}

json_t *playlist_json(const struct playlist_row *row)
{
    json_t *smart = row->rules[0] != '\0' ? json_loads(row->rules, 0, NULL) : json_null();
    json_t *count = row->rules[0] != '\0' ? json_null() : json_integer(row->item_count);
    return json_pack("{s:o, s:o, s:s, s:s, s:s, s:o, s:o, s:b, s:I, s:I, s:I}", "id",
                     json_id(row->id), "ownerId", json_id(row->owner_user_id), "title", row->title,
                     "description", row->description, "access", access_word(row->access),
                     "itemCount", count, "smart", smart, "shared", row->shared, "revision",
                     (json_int_t)row->revision, "createdAt", (json_int_t)row->created_at,
                     "updatedAt", (json_int_t)row->updated_at);
}
