/* Roles in words (roles.h). */
#include "service/identity/roles.h"

#include "base/mem.h"

#include <string.h>

static const struct {
    unsigned role;
    const char *word;
} names[] = {{ROLE_LISTENER, "listener"}, {ROLE_ARTIST, "artist"}, {ROLE_ADMIN, "admin"}};

unsigned role_parse(const char *word)
{
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(names[i].word, word) == 0) {
            return names[i].role;
        }
    }
    return 0;
}

json_t *roles_to_json(unsigned roles)
{
    json_t *array = json_array();
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if ((roles & names[i].role) != 0 &&
            json_array_append_new(array, json_string(names[i].word)) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

bool roles_from_json(const json_t *value, unsigned *ret_roles)
{
    if (!json_is_array(value)) {
        return false;
    }
    unsigned roles = 0;
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *word = json_string_value(json_array_get(value, i));
        unsigned role = word != NULL ? role_parse(word) : 0;
        if (role == 0 || (roles & role) != 0) {
            return false;
        }
        roles |= role;
    }
    *ret_roles = roles != 0 ? roles | ROLE_LISTENER : 0;
    return true;
}
