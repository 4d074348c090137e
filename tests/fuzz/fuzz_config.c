/* Configuration: a file's text, and behind a line "====" variables of the environment, a line each.
 * What is read is within its limits; written as a file and read again it is the same, but for
 * passwords, which are not written; what is refused is refused with the place. What is ready to use
 * is whole: addresses that follow from others are there, words are of their lists.
 *
 * Covers: src/boot/config.c */
#include "base/error.h"
#include "base/problem.h"
#include "boot/config.h"
#include "fuzz_folder.h"

enum { VARIABLES_MAX = 32 };

#define PASSWORD "S3CRET"

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
    (void)argument_count;
    (void)arguments;
    fuzz_folder_make();
    return 0;
}

static char *written(const struct config *config)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    FUZZ_CHECK(out != NULL);
    config_write(config, NULL, out);
    FUZZ_CHECK(fclose(out) == 0);
    return text;
}

/* A password of a setting that is nothing else is nowhere in what is written. */
static void check_hidden(const struct config *config, const char *text)
{
    bool hidden = false, shown = false;
    for (enum config_setting setting = 0; setting < CONFIG_SETTINGS_; setting++) {
        bool has = strstr(config_text(config, setting), PASSWORD) != NULL;
        bool secret = config_row(setting)->kind == CONFIG_SECRET;
        hidden = hidden || (has && secret);
        shown = shown || (has && !secret);
    }
    FUZZ_CHECK(!hidden || shown || strstr(text, PASSWORD) == NULL);
}

static void check_values(const struct config *config, const struct config *again)
{
    for (enum config_setting setting = 0; setting < CONFIG_SETTINGS_; setting++) {
        const struct config_row *row = config_row(setting);
        int64_t number = config_number(config, setting);
        if (row->kind == CONFIG_NUMBER) {
            FUZZ_CHECK(number >= row->min && number <= row->max);
        }
        if (row->kind != CONFIG_SECRET && row->kind != CONFIG_URL) {
            FUZZ_CHECK(strcmp(config_text(config, setting), config_text(again, setting)) == 0);
            FUZZ_CHECK(number == config_number(again, setting));
        }
    }
}

static void try_text(const char *text)
{
    struct config *config = NULL, *again = NULL;
    struct problem problem = {0};
    FUZZ_CHECK(config_new(&config) == 0 && config_new(&again) == 0);
    int error = config_read_text(config, "fuzz", text, &problem);
    if (error == 0) {
        char *file = written(config);
        FUZZ_CHECK(config_read_text(again, "again", file, &problem) == 0);
        check_values(config, again);
        check_hidden(config, file);
        (void)config_secret_of_file(config);
        free(file);
    } else {
        FUZZ_CHECK(error == ERR_INVALID && strncmp(problem.detail, "fuzz:", 5) == 0);
    }
    config_free(config);
    config_free(again);
}

static bool is_web(const char *url)
{
    return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

static void check_ready(const struct config *config)
{
    static const enum config_setting filled[] = {CONFIG_DATABASE_CATALOG,  CONFIG_DATABASE_USERS,
                                                 CONFIG_DATABASE_ACTIVITY, CONFIG_BLOB_STORE,
                                                 CONFIG_SEARCH_STORE,      CONFIG_KEYS_STORE};
    for (size_t i = 0; i < sizeof filled / sizeof filled[0]; i++) {
        FUZZ_CHECK(config_text(config, filled[i])[0] != '\0');
    }
    const char *base = config_text(config, CONFIG_SERVER_BASE_PATH);
    FUZZ_CHECK(config_data(config)[0] == '/');
    FUZZ_CHECK(is_web(config_text(config, CONFIG_SERVER_URL)));
    FUZZ_CHECK(is_web(config_text(config, CONFIG_SERVER_MEDIA_URL)));
    FUZZ_CHECK(strrchr(config_text(config, CONFIG_SERVER_LISTEN), ':') != NULL);
    FUZZ_CHECK(base[0] == '\0' || (base[0] == '/' && base[strlen(base) - 1] != '/'));
}

/* Its environment, read again, makes it once more. */
static void check_environment(const struct config *config, char *const *environment)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    FUZZ_CHECK(out != NULL);
    config_write_environment(config, out);
    FUZZ_CHECK(fclose(out) == 0);
    FUZZ_CHECK(environment[0] != NULL || length == 0);
    free(text);
}

/* A file and an environment, as the program starts with. */
static void try_load(const char *file_text, char *variables)
{
    char path[64], *environment[VARIABLES_MAX + 1] = {NULL}, *save = NULL;
    unsigned count = 0;
    struct config *config = NULL;
    struct problem problem = {0};
    (void)snprintf(path, sizeof path, "%s/tutti.conf", fuzz_folder);
    FILE *file = fopen(path, "we");
    FUZZ_CHECK(file != NULL && fputs(file_text, file) >= 0 && fclose(file) == 0);
    for (char *line = strtok_r(variables, "\n", &save); line != NULL && count < VARIABLES_MAX;
         line = strtok_r(NULL, "\n", &save)) {
        environment[count++] = line;
    }
    const struct config_sources sources = {.file = path, .environment = environment};
    int error = config_load(&sources, &config, &problem);
    FUZZ_CHECK(error == 0 || (error == ERR_INVALID && config == NULL));
    FUZZ_CHECK((error == 0) == (problem.detail[0] == '\0'));
    if (error == 0) {
        check_ready(config);
        check_environment(config, environment);
    }
    config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char line[] = "\n====\n";
    char *text = fuzz_text(data, size);
    char *end = strstr(text, line);
    char *variables = end != NULL ? end + sizeof line - 1 : text + strlen(text);
    if (end != NULL) {
        *end = '\0';
    }
    try_text(text);
    try_load(text, variables);
    free(text);
    return 0;
}
