/* The secret of a backup, from where the command line says: a key file, standard input, or the
 * terminal, where it is typed unseen. Main thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct archive_secret;
struct command_line;

/* An exit status; says itself what is wrong. making: a passphrase that is typed must be typed
 * again, and one that would be cut is refused. The caller wipes the secret. */
int secret_ask(const struct command_line *line, bool making, struct archive_secret *ret_secret);
/* The first line of a file, without its end. *ret_whole: nothing of it was left out, as what stands
 * behind a zero byte or a carriage return is, or has no room. false: there is no line. */
bool secret_read_line(FILE *file, char *line, size_t size, bool *ret_whole);
