/* Roles in words: "listener", "artist", "admin". Any thread. */
#pragma once

#include "base/call.h"

#include <jansson.h>

enum { ROLES_OF_PEOPLE = ROLE_LISTENER | ROLE_ARTIST | ROLE_ADMIN };

/* 0 for what is no person's role. */
unsigned role_parse(const char *word);
/* An array of words, weakest first. NULL: out of memory. */
json_t *roles_to_json(unsigned roles);
/* False where value is no array of known, different words. Adds LISTENER, which the others
 * include. */
bool roles_from_json(const json_t *value, unsigned *ret_roles);
