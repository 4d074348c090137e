/* `tutti migrate --from … --to …`: an installation's databases and objects into other engines, as
 * it grows. Main thread. */
#pragma once

struct command_line;

int command_move(const struct command_line *line);
