/* The commands that act on the data and leave: users, keys, migrations. Each returns an exit status
 * and prints its own errors. They work with the server running or not. */
#pragma once

#include "base/call.h"

struct command_line;
struct platform;

/* What a command works with: the platform's data, and a call as the system. */
struct errand {
    struct platform *platform;
    struct call call;
};
/* EXIT_DONE, or the status of what was complained of. */
int errand_begin(struct errand *errand, const struct command_line *line);
/* Closes; complains of error unless it is 0. Returns the exit status. */
int errand_end(struct errand *errand, int error);

int command_user_add(const struct command_line *line);
int command_user_list(const struct command_line *line);
int command_user_set_password(const struct command_line *line);
int command_keys_rotate(const struct command_line *line);
int command_s3_key_add(const struct command_line *line);
int command_sweep(const struct command_line *line);
int command_search_rebuild(const struct command_line *line);
int command_migrate(const struct command_line *line);

/* Parked events of all databases (command_events.c). */
int command_events_parked(const struct command_line *line);
int command_events_retry(const struct command_line *line);
int command_events_drop(const struct command_line *line);
