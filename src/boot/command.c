/* The command line (command.h): one table of commands, one of options. A command gets the words
 * behind its name and the options it allows; the configuration is loaded before it runs.
 */
#include "boot/command.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "boot/addresses.h"
#include "boot/backup.h"
#include "boot/command_admin.h"
#include "boot/command_import.h"
#include "boot/config.h"
#include "boot/doctor.h"
#include "boot/owner.h"
#include "boot/place.h"
#include "boot/restoring.h"
#include "boot/serve.h"
#include "version.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_FILE "/etc/tutti/tutti.conf"

struct option_row {
    const char *name;
    const char *value; /* what stands for the value in help; NULL: takes none */
    const char *help;
};

static const struct option_row option_rows[OPTIONS_] = {
    [OPTION_CONFIG] = {"config", "FILE", "configuration file instead of " DEFAULT_FILE},
    [OPTION_DATA] = {"data", "DIR", "data directory"},
    [OPTION_LISTEN] = {"listen", "ADDR:PORT", "address and port to listen on"},
    [OPTION_ROLES] = {"roles", "LIST", "roles of this process, comma-separated"},
    [OPTION_LOG_LEVEL] = {"log-level", "LEVEL", "error, warning, info or debug"},
    [OPTION_ROLE] = {"role", "ROLE", "listener, artist or admin"},
    [OPTION_EMAIL] = {"email", "ADDRESS", "the user's mail address"},
    [OPTION_PASSWORD_STDIN] = {"password-stdin", NULL, "read the password from standard input"},
    [OPTION_KEY_FILE] = {"key-file", "FILE", "random bytes that seal the backup, not a passphrase"},
    [OPTION_BLOBS] = {"blobs", "DIR", "copy the objects, too; only what DIR lacks"},
    [OPTION_VERIFY] = {"verify", NULL, "read the objects there, and mend those whose bytes rotted"},
    [OPTION_REPLACE] = {"replace", NULL, "put aside what is in the data directory"},
    [OPTION_FROM] = {"from", "ENGINE", "what is moved: sqlite:PATH, file:DIR or s3://…"},
    [OPTION_TO] = {"to", "ENGINE", "where to, instead of where the configuration says"},
    [OPTION_DEEP] = {"deep", NULL, "read every object, to see whether its bytes are right"},
    [OPTION_JSON] = {"json", NULL, "print JSON"},
    [OPTION_ACCEPT_MISSING] = {"accept-missing", NULL, "however many files are gone, believe it"},
    [OPTION_ACCEPT_LOST] = {"accept-lost", NULL, "also what a catalog before this one named"},
    [OPTION_SECTION] = {"section", "NAME", "of the configuration, alone"},
    [OPTION_HELP] = {"help", NULL, "this help"},
    [OPTION_VERSION] = {"version", NULL, "the version"},
};

#define BIT(option) (1u << (option))
#define COMMON      (BIT(OPTION_CONFIG) | BIT(OPTION_DATA) | BIT(OPTION_LOG_LEVEL) | BIT(OPTION_HELP))

#define SEALED                                                                                     \
    (BIT(OPTION_KEY_FILE) | BIT(OPTION_PASSWORD_STDIN) | BIT(OPTION_BLOBS) | BIT(OPTION_VERIFY))

/* What a command wants of the data directory before it runs. */
enum {
    NEEDS_NO_RESTORE = 1u << 0,       /* that none is at work in it */
    NEEDS_OWNER = 1u << 1,            /* to work as its owner */
    NEEDS_INSTALLATION = 1u << 2,     /* that there is one: of a mistyped --data none is made */
    BEARS_NO_CONFIGURATION = 1u << 3, /* not of the directory: it runs where that can't be read */
};
#define NEEDS_NOTHING 0u /* it opens none, or sees to it itself */
#define OPENS_DATA    (NEEDS_NO_RESTORE | NEEDS_OWNER)
#define USES_DATA     (OPENS_DATA | NEEDS_INSTALLATION)

struct command {
    const char *words; /* "user add" */
    const char *rest;  /* "NAME", "" for none */
    unsigned options;
    unsigned needed;
    unsigned needs;
    int (*run)(const struct command_line *line);
    const char *help;
};

static int run_version(const struct command_line *line)
{
    (void)line;
    (void)puts("tutti " TUTTI_VERSION);
    return EXIT_DONE;
}

static int run_config_show(const struct command_line *line)
{
    const char *section = line->options[OPTION_SECTION];
    if (!config_write(line->config, section, stdout)) {
        (void)fprintf(stderr, "tutti: there is no section [%s]; see tutti.conf(5)\n", section);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static int run_config_check(const struct command_line *line)
{
    struct problem problem = {0};
    if (addresses_check(line->config, &problem) != 0) {
        (void)fprintf(stderr, "tutti: %s\n", problem.detail);
        return EXIT_USAGE;
    }
    (void)puts("the configuration is fine");
    return EXIT_DONE;
}

static const struct command commands[] = {
    {"serve", "", COMMON | BIT(OPTION_LISTEN) | BIT(OPTION_ROLES), 0, NEEDS_NO_RESTORE, serve_run,
     "run the platform, or some of its roles"},
    {"user add", "NAME", COMMON | BIT(OPTION_ROLE) | BIT(OPTION_EMAIL) | BIT(OPTION_PASSWORD_STDIN),
     BIT(OPTION_ROLE) | BIT(OPTION_PASSWORD_STDIN), OPENS_DATA, command_user_add, "add a user"},
    {"user list", "", COMMON, 0, USES_DATA, command_user_list, "list the users"},
    {"user set-password", "NAME", COMMON | BIT(OPTION_PASSWORD_STDIN), BIT(OPTION_PASSWORD_STDIN),
     USES_DATA, command_user_set_password, "set a user's password"},
    {"keys rotate", "", COMMON, 0, USES_DATA, command_keys_rotate,
     "make new signing keys; the old ones stay valid until they run out"},
    {"s3 key add", "NAME", COMMON, 0, OPENS_DATA, command_s3_key_add,
     "make credentials for an outside user of the built-in store"},
    {"events parked", "", COMMON, 0, USES_DATA, command_events_parked,
     "list the events that were given up and wait for a person"},
    {"events retry", "EVENT", COMMON, 0, USES_DATA, command_events_retry,
     "try a parked event again"},
    {"events drop", "EVENT", COMMON, 0, USES_DATA, command_events_drop,
     "give a parked event up for good; those behind it go on"},
    {"import", "DIR…", COMMON | BIT(OPTION_JSON) | BIT(OPTION_ACCEPT_MISSING), 0, USES_DATA,
     command_import, "bring folders of music in, and follow what changed in them"},
    {"sweep", "", COMMON | BIT(OPTION_ACCEPT_LOST), 0, USES_DATA, command_sweep,
     "remove now what no upload, track or picture names any more"},
    {"search rebuild", "", COMMON, 0, USES_DATA, command_search_rebuild,
     "make the search index anew (this machine's, or the one all share), while the old one "
     "answers"},
    {"backup", "FILE", COMMON | SEALED, 0, USES_DATA, command_backup,
     "databases, configuration and keys into a sealed file"},
    {"restore", "FILE", COMMON | SEALED | BIT(OPTION_REPLACE), 0, NEEDS_OWNER, command_restore,
     "a data directory from a backup"},
    {"doctor", "", COMMON | BIT(OPTION_JSON) | BIT(OPTION_DEEP) | BIT(OPTION_LISTEN), 0,
     BEARS_NO_CONFIGURATION, command_doctor, "look at the installation, and say what to do"},
    {"migrate", "", COMMON | BIT(OPTION_FROM) | BIT(OPTION_TO) | BIT(OPTION_VERIFY), 0, OPENS_DATA,
     command_migrate, "bring the databases to this version, or move what is in other engines"},
    {"config check", "", COMMON, 0, NEEDS_NOTHING, run_config_check, "check the configuration"},
    {"config show", "", COMMON | BIT(OPTION_SECTION), 0, NEEDS_NOTHING, run_config_show,
     "print the configuration, secrets masked"},
    {"version", "", BIT(OPTION_HELP), 0, BEARS_NO_CONFIGURATION, run_version, "print the version"},
};

static void print_option(unsigned option)
{
    char left[40];
    (void)snprintf(left, sizeof left, "--%s%s%s", option_rows[option].name,
                   option_rows[option].value != NULL ? " " : "",
                   option_rows[option].value != NULL ? option_rows[option].value : "");
    (void)printf("  %-22s %s\n", left, option_rows[option].help);
}

static void print_help(void)
{
    (void)puts("tutti: an open music streaming platform\n\nUsage: tutti COMMAND [OPTIONS]\n");
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        char left[40];
        (void)snprintf(left, sizeof left, "%s %s", commands[i].words, commands[i].rest);
        (void)printf("  %-22s %s\n", left, commands[i].help);
    }
    (void)puts("\nOptions:");
    for (unsigned option = 0; option < OPTIONS_; option++) {
        print_option(option);
    }
    (void)puts("\nExit status: 0 done, 1 failed, 2 wrong usage or configuration.\n"
               "See tutti(1) and tutti.conf(5).");
}

static void print_command_help(const struct command *command)
{
    (void)printf("Usage: tutti %s%s%s [OPTIONS]\n\n%s\n\nOptions:\n", command->words,
                 command->rest[0] != '\0' ? " " : "", command->rest, command->help);
    for (unsigned option = 0; option < OPTIONS_; option++) {
        if ((command->options & BIT(option)) != 0) {
            print_option(option);
        }
    }
}

__attribute__((format(printf, 1, 2))) static int usage(const char *format, ...)
{
    char words[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "tutti: %s; see tutti --help\n", words);
    return EXIT_USAGE;
}

/* Takes `--name value` or `--name=value` at arguments[*at]. */
static int take_option(struct command_line *line, char **arguments, int count, int *at)
{
    char *name = arguments[*at] + 2;
    char *equals = strchr(name, '=');
    size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    for (unsigned option = 0; option < OPTIONS_; option++) {
        const struct option_row *row = &option_rows[option];
        if (strlen(row->name) != length || strncmp(row->name, name, length) != 0) {
            continue;
        }
        if (row->value == NULL) {
            line->options[option] = "";
            return equals != NULL ? usage("--%s takes no value", row->name) : EXIT_DONE;
        }
        const char *value = equals != NULL ? equals + 1 : *at + 1 < count ? arguments[++*at] : "";
        line->options[option] = value;
        return value[0] != '\0' && (equals != NULL || strncmp(value, "--", 2) != 0)
                   ? EXIT_DONE
                   : usage("--%s needs a value", row->name);
    }
    return usage("there is no option %s", arguments[*at]);
}

static int parse(struct command_line *line, int count, char **arguments)
{
    for (int at = 1; at < count; at++) {
        if (strncmp(arguments[at], "--", 2) == 0 && arguments[at][2] != '\0') {
            int status = take_option(line, arguments, count, &at);
            if (status != EXIT_DONE) {
                return status;
            }
        } else if (strcmp(arguments[at], "-h") == 0) {
            line->options[OPTION_HELP] = "";
        } else if (arguments[at][0] == '\0') { /* a variable of a script that was not set */
            return usage("one of the words is empty");
        } else if (line->word_count == COUNT_OF(line->words)) {
            return usage("\"%s\" is one word too many", arguments[at]);
        } else {
            line->words[line->word_count++] = arguments[at];
        }
    }
    return EXIT_DONE;
}

/* How many of the line's words are the command's name; 0: it is another command. */
static unsigned matches(const struct command *command, const struct command_line *line)
{
    const char *rest = command->words;
    for (unsigned i = 0; i < line->word_count; i++) {
        size_t length = strlen(line->words[i]);
        if (strncmp(rest, line->words[i], length) != 0 ||
            (rest[length] != ' ' && rest[length] != '\0')) {
            return 0;
        }
        if (rest[length] == '\0') {
            return i + 1;
        }
        rest += length + 1;
    }
    return 0;
}

static int check(const struct command *command, const struct command_line *line,
                 unsigned name_words)
{
    unsigned rest_wanted = command->rest[0] != '\0' ? 1 : 0;
    unsigned rest = line->word_count - name_words;
    bool many = rest > 1 && strstr(command->rest, "…") != NULL;
    if (rest != rest_wanted && !many) {
        return rest_wanted != 0 && line->word_count == name_words
                   ? usage("%s needs %s", command->words, command->rest)
                   : usage("\"%s\" is one word too many", line->words[line->word_count - 1]);
    }
    for (unsigned option = 0; option < OPTIONS_; option++) {
        if (line->options[option] != NULL && (command->options & BIT(option)) == 0) {
            return usage("this command takes no --%s", option_rows[option].name);
        }
        if (line->options[option] == NULL && (command->needed & BIT(option)) != 0) {
            return usage("this command needs --%s", option_rows[option].name);
        }
    }
    bool of_objects = line->options[OPTION_BLOBS] != NULL || line->options[OPTION_FROM] != NULL;
    return line->options[OPTION_VERIFY] == NULL || of_objects
               ? EXIT_DONE
               : usage("--verify needs --%s",
                       (command->options & BIT(OPTION_BLOBS)) != 0 ? "blobs" : "from");
}

static void add_flag(struct config_sources *sources, const struct command_line *line,
                     enum command_option option, enum config_setting setting)
{
    if (line->options[option] != NULL) {
        sources->flags[sources->flag_count++] =
            (struct config_flag){.setting = setting, .value = line->options[option]};
    }
}

const char *command_config_file(const struct command_line *line)
{
    const char *given = line->options[OPTION_CONFIG];
    return given != NULL ? given : access(DEFAULT_FILE, F_OK) == 0 ? DEFAULT_FILE : NULL;
}

int command_complain(const struct problem *problem, int error)
{
    (void)fprintf(stderr, "tutti: %s\n",
                  problem->detail[0] != '\0' ? problem->detail : error_title(error));
    for (unsigned i = 0; i < problem->field_count; i++) {
        (void)fprintf(stderr, "  %s %s\n", problem->fields[i].name, problem->fields[i].message);
    }
    return error == ERR_INVALID ? EXIT_USAGE : EXIT_WRONG;
}

int command_configure(const struct command_line *line, struct config **ret_config,
                      struct problem *problem)
{
    struct config_sources sources = {.file = line->options[OPTION_CONFIG],
                                     .default_file = DEFAULT_FILE,
                                     .environment = environ,
                                     .data = line->options[OPTION_DATA]};
    add_flag(&sources, line, OPTION_LISTEN, CONFIG_SERVER_LISTEN);
    add_flag(&sources, line, OPTION_ROLES, CONFIG_SERVER_ROLES);
    add_flag(&sources, line, OPTION_LOG_LEVEL, CONFIG_LOG_LEVEL);
    return config_load(&sources, ret_config, problem);
}

static int meet_needs(unsigned needs, const struct config *config)
{
    struct problem problem = {0};
    struct place place;
    int error = 0;
    if ((needs & NEEDS_OWNER) != 0) { /* before anything there is opened */
        place_of(config, &place);
        owner_become(&place);
    }
    if ((needs & NEEDS_NO_RESTORE) != 0) {
        error = restoring_keep_off(config_data(config), &problem);
    }
    if (error == 0 && (needs & NEEDS_INSTALLATION) != 0) {
        error = place_check_installed(&place, &problem);
    }
    return error != 0 ? command_complain(&problem, error) : EXIT_DONE;
}

static int run(const struct command *command, struct command_line *line)
{
    struct problem problem = {0};
    struct config *config = NULL;
    int error = command_configure(line, &config, &problem);
    if (error != 0 && (command->needs & BEARS_NO_CONFIGURATION) == 0) {
        (void)command_complain(&problem, error);
        return EXIT_USAGE;
    }
    line->configuration_problem = &problem;
    line->config = config;
    int status = meet_needs(command->needs, config);
    status = status == EXIT_DONE ? command->run(line) : status;
    line->configuration_problem = NULL;
    config_free(config);
    return status;
}

/* Whether a command begins with the line's first so many words, one of which is to follow. */
static bool is_below(const struct command *command, const struct command_line *line, unsigned count)
{
    const char *rest = command->words;
    for (unsigned i = 0; i < count; i++) {
        size_t length = strlen(line->words[i]);
        if (strncmp(rest, line->words[i], length) != 0 || rest[length] != ' ') {
            return false;
        }
        rest += length + 1;
    }
    return true;
}

/* How many of the line's words begin a command. */
static unsigned known_words(const struct command_line *line)
{
    unsigned known = 0;
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        while (known < line->word_count && is_below(&commands[i], line, known + 1)) {
            known++;
        }
    }
    return known;
}

/* Where the first words are a group's, tells what there is in it. */
static int unknown(const struct command_line *line)
{
    char said[96] = "", group[160] = "";
    unsigned known = known_words(line);
    for (unsigned i = 0; i < line->word_count && i <= known; i++) {
        size_t at = strlen(said);
        (void)snprintf(said + at, sizeof said - at, "%s%s", i > 0 ? " " : "", line->words[i]);
    }
    for (size_t i = 0; known > 0 && i < COUNT_OF(commands); i++) {
        if (is_below(&commands[i], line, known)) {
            size_t at = strlen(group);
            (void)snprintf(group + at, sizeof group - at, "%s%s", at > 0 ? ", " : "",
                           commands[i].words);
        }
    }
    return known == 0 ? usage("there is no command \"%s\"", said)
           : known < line->word_count
               ? usage("there is no command \"%s\"; there is %s", said, group)
               : usage("%s needs another word; there is %s", said, group);
}

int command_run(int count, char **arguments)
{
    struct command_line line = {0};
    int status = parse(&line, count, arguments);
    if (status != EXIT_DONE) {
        return status;
    }
    if (line.options[OPTION_VERSION] != NULL) {
        return run_version(&line);
    }
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        unsigned name_words = matches(&commands[i], &line);
        if (name_words == 0) {
            continue;
        }
        if (line.options[OPTION_HELP] != NULL) {
            print_command_help(&commands[i]);
            return EXIT_DONE;
        }
        status = check(&commands[i], &line, name_words);
        return status == EXIT_DONE ? run(&commands[i], &line) : status;
    }
    if (line.options[OPTION_HELP] != NULL || line.word_count == 0) {
        print_help();
        return line.options[OPTION_HELP] != NULL ? EXIT_DONE : EXIT_USAGE;
    }
    return unknown(&line);
}
