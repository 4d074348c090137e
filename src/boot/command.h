/* The command line of tutti: a table of commands, each a small function. Main thread only. */
#pragma once

struct config;
struct problem;

/* Exit statuses. */
enum {
    EXIT_DONE = 0,
    EXIT_WRONG = 1, /* it was tried and failed */
    EXIT_USAGE = 2, /* a bad option, file or value: nothing was tried */
};

enum command_option {
    OPTION_CONFIG,
    OPTION_DATA,
    OPTION_LISTEN,
    OPTION_ROLES,
    OPTION_LOG_LEVEL,
    OPTION_ROLE,
    OPTION_EMAIL,
    OPTION_PASSWORD_STDIN,
    OPTION_KEY_FILE,
    OPTION_BLOBS,
    OPTION_VERIFY,
    OPTION_REPLACE,
    OPTION_FROM,
    OPTION_TO,
    OPTION_DEEP,
    OPTION_JSON,
    OPTION_ACCEPT_MISSING,
    OPTION_ACCEPT_LOST,
    OPTION_SECTION,
    OPTION_HELP,
    OPTION_VERSION,
    OPTIONS_,
};

struct command_line {
    const char *words[32];
    unsigned word_count;
    const char *options[OPTIONS_]; /* NULL: not given; "" for those without a value */
    struct config *config;
    const struct problem *configuration_problem; /* why there is none, for commands that go on */
};

/* The configuration file in use, NULL for none. Borrowed. */
const char *command_config_file(const struct command_line *line);
/* Prints what went wrong; the exit status for it. */
int command_complain(const struct problem *problem, int error);
int command_run(int count, char **arguments);
/* Loads the configuration the line asks for (again on SIGHUP). The result is the caller's. */
int command_configure(const struct command_line *line, struct config **ret_config,
                      struct problem *problem);
