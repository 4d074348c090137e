/* `tutti serve`: the life of a server process, from its first descriptor to its drained end. */
#pragma once

struct command_line;

/* Runs until SIGTERM or SIGINT. Returns an exit status. Main thread. */
int serve_run(const struct command_line *line);
