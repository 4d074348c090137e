/* `tutti import DIR…`. Works with the server running or not; the exit status says whether every
 * folder was gone through. */
#pragma once

struct command_line;

int command_import(const struct command_line *line);
