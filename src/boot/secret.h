/* The secret of a backup, from where the command line says: a key file, standard input, or the
 * terminal, where it is typed unseen. Main thread. */
#pragma once

#include <stdbool.h>

struct archive_secret;
struct command_line;

/* An exit status; says itself what is wrong. twice: a passphrase that is typed must be typed again.
 * The caller wipes the secret. */
int secret_ask(const struct command_line *line, bool twice, struct archive_secret *ret_secret);
