/* `tutti doctor`: looks at an installation and says, a line each, what is well, what isn't and what
 * to do. Changes nothing; works with the server running or not. Main thread.
 */
#pragma once

struct command_line;
struct problem;

/* Exit status 0: nothing failed (there may be warnings); 1: something did. The line's configuration
 * may be missing: then configuration_problem says why, and only that is told. */
int command_doctor(const struct command_line *line);
