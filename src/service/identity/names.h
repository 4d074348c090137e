/* The rules for names people give themselves: usernames, addresses, passwords, display names. Each
 * says every bad field in problem. Any thread; results live in the arena.
 */
#pragma once

#include "base/call.h"

enum {
    USERNAME_CHARACTERS_MIN = 2,
    USERNAME_CHARACTERS_MAX = 40,
    DISPLAY_NAME_CHARACTERS_MAX = 80,
    EMAIL_BYTES_MAX = 254, /* RFC 5321, errata 1690 */
    PASSWORD_CHARACTERS_MIN = 8,
    PASSWORD_CHARACTERS_MAX = 256,
};

/* A name as it is shown, and as it is compared: two people can't differ in case or form alone. */
struct login_name {
    const char *shown;
    const char *folded;
};

/* Letters, marks and digits of any script, and . _ - inside; never an @, so that a username can't
 * be mistaken for an address. 0, ERR_INVALID with the field, ERR_NO_MEMORY. */
int name_check_username(struct call *call, const char *text, struct login_name *ret_name);
/* One @, no white space, a domain; only the mail itself proves more. */
int name_check_email(struct call *call, const char *text, struct login_name *ret_name);
int name_check_display(struct call *call, const char *text, const char **ret_text);
/* Length within limits and not the person's own username or address. field: "password" or
 * "newPassword". folded names may be NULL. */
int name_check_password(struct call *call, const char *field, const char *password,
                        const char *folded_username, const char *folded_email);
/* What somebody typed to log in, folded; NULL when it can be no login at all. */
const char *name_fold_login(struct call *call, const char *text);
