/* The commands that act on the data and leave: users, keys, migrations. Each returns an exit status
 * and prints its own errors. They work with the server running or not. */
#pragma once

struct command_line;

int command_user_add(const struct command_line *line);
int command_user_list(const struct command_line *line);
int command_user_set_password(const struct command_line *line);
int command_keys_rotate(const struct command_line *line);
int command_s3_key_add(const struct command_line *line);
int command_sweep(const struct command_line *line);
int command_migrate(const struct command_line *line);
