/* Configuration (config.h). One table of rows, one slot of text a row; numbers and switches are
 * parsed when they are set, so that a wrong value is refused where it stands.
 */
#include "boot/config.h"

#include "backend/redis/redis_address.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "base/text.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    FILE_BYTES_MAX = 256 * 1024,
    VALUE_BYTES_MAX = 4096,
    DATA_BYTES_MAX = 4000, /* and what lies in it */
    ORIGIN_MAX = 256,
};

struct slot {
    char *text;
    int64_t number;
    char origin[ORIGIN_MAX]; /* "default", "FILE:12", "TUTTI_SERVER_LISTEN", "--listen" */
};

struct config {
    struct slot slots[CONFIG_SETTINGS_];
    char *data;
};

static const struct config_row rows[CONFIG_SETTINGS_] = {
#define X(constant, section_text, key_text, kind_, fallback_text, min_, max_, live_, help_text)    \
    [constant] = {section_text, key_text, kind_, fallback_text, min_, max_, live_, help_text},
    CONFIG_LIST(X)
#undef X
};

const struct config_row *config_row(enum config_setting setting)
{
    return &rows[setting];
}

const char *config_text(const struct config *config, enum config_setting setting)
{
    return config->slots[setting].text;
}

bool config_is_set(const struct config *config, enum config_setting setting)
{
    const char *origin = config->slots[setting].origin;
    return config->slots[setting].text[0] != '\0' && strcmp(origin, "default") != 0 &&
           strcmp(origin, "derived") != 0;
}

int64_t config_number(const struct config *config, enum config_setting setting)
{
    return config->slots[setting].number;
}

bool config_switch(const struct config *config, enum config_setting setting)
{
    return config->slots[setting].number != 0;
}

const char *config_data(const struct config *config)
{
    return config->data;
}

/* "16K" → 16384. */
static bool parse_number(const char *text, int64_t *ret_number)
{
    size_t length = strlen(text);
    if (length == 0 || length > 20) {
        return false;
    }
    static const char suffixes[] = "KMG";
    const char *suffix = strchr(suffixes, toupper((unsigned char)text[length - 1]));
    char digits[24];
    (void)snprintf(digits, sizeof digits, "%.*s", (int)(suffix != NULL ? length - 1 : length),
                   text);
    int64_t number;
    if (!text_number(digits, 0, INT64_MAX, &number)) {
        return false;
    }
    int64_t factor = suffix != NULL ? (int64_t)1 << (10 * (suffix - suffixes + 1)) : 1;
    return !__builtin_mul_overflow(number, factor, ret_number);
}

static bool parse_switch(const char *text, int64_t *ret_number)
{
    static const char *const yes[] = {"yes", "true", "on", "1"};
    static const char *const no[] = {"no", "false", "off", "0"};
    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            *ret_number = strcmp(text, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

static int check_value(const struct config_row *row, const char *value, const char *origin,
                       int64_t *ret_number, struct problem *problem)
{
    if (strlen(value) > VALUE_BYTES_MAX || !text_is_utf8(value, strlen(value))) {
        return problem_set(problem, ERR_INVALID, "%s: %s.%s must be UTF-8 text of at most %d bytes",
                           origin, row->section, row->key, VALUE_BYTES_MAX);
    }
    if (row->kind == CONFIG_SWITCH && !parse_switch(value, ret_number)) {
        return problem_set(problem, ERR_INVALID, "%s: %s.%s is \"%s\"; it must be yes or no",
                           origin, row->section, row->key, value);
    }
    if (row->kind != CONFIG_NUMBER) {
        return 0;
    }
    if (!parse_number(value, ret_number) || *ret_number < row->min || *ret_number > row->max) {
        return problem_set(problem, ERR_INVALID,
                           "%s: %s.%s is \"%s\"; it must be a number from %lld to %lld "
                           "(K, M and G are allowed)",
                           origin, row->section, row->key, value, (long long)row->min,
                           (long long)row->max);
    }
    return 0;
}

static int set(struct config *config, enum config_setting setting, const char *value,
               const char *origin, struct problem *problem)
{
    struct slot *slot = &config->slots[setting];
    int64_t number = 0;
    int error = check_value(&rows[setting], value, origin, &number, problem);
    if (error != 0) {
        return error;
    }
    char *copy = strdup(value);
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    free(slot->text);
    slot->text = copy;
    slot->number = number;
    (void)snprintf(slot->origin, sizeof slot->origin, "%s", origin);
    return 0;
}

/* Fills what follows from another setting. */
static int derive(struct config *config, enum config_setting setting, const char *head,
                  const char *tail, struct problem *problem)
{
    if (config->slots[setting].text[0] != '\0') {
        return 0;
    }
    char *value CLEANUP_FREE = NULL;
    size_t size = strlen(head) + strlen(tail) + 1;
    value = malloc(size);
    if (value == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)snprintf(value, size, "%s%s", head, tail);
    return set(config, setting, value, "derived", problem);
}

static int find(const char *section, const char *key)
{
    for (int i = 0; i < CONFIG_SETTINGS_; i++) {
        if (strcmp(rows[i].section, section) == 0 && strcmp(rows[i].key, key) == 0) {
            return i;
        }
    }
    return -1;
}

static bool section_known(const char *section)
{
    for (int i = 0; i < CONFIG_SETTINGS_; i++) {
        if (strcmp(rows[i].section, section) == 0) {
            return true;
        }
    }
    return false;
}

static char *strip(char *text)
{
    while (isspace((unsigned char)*text)) {
        text++;
    }
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1])) {
        end--;
    }
    *end = '\0';
    return text;
}

struct ini {
    const char *name;
    unsigned line;
    char section[64];
};

static int read_section(struct ini *ini, char *line, struct problem *problem)
{
    size_t length = strlen(line);
    if (line[length - 1] != ']' || length < 3 || length - 2 >= sizeof ini->section) {
        return problem_set(problem, ERR_INVALID, "%s:%u: a section is written [name]", ini->name,
                           ini->line);
    }
    line[length - 1] = '\0';
    if (!section_known(line + 1)) {
        return problem_set(problem, ERR_INVALID,
                           "%s:%u: there is no section [%s]; see tutti.conf(5)", ini->name,
                           ini->line, line + 1);
    }
    (void)snprintf(ini->section, sizeof ini->section, "%s", line + 1);
    return 0;
}

static int read_setting(struct config *config, struct ini *ini, char *line, struct problem *problem)
{
    char *equals = strchr(line, '=');
    if (equals == NULL) {
        return problem_set(problem, ERR_INVALID, "%s:%u: a setting is written key = value",
                           ini->name, ini->line);
    }
    *equals = '\0';
    const char *key = strip(line);
    int setting = find(ini->section, key);
    if (setting < 0) {
        return problem_set(problem, ERR_INVALID,
                           "%s:%u: section [%s] has no setting \"%s\"; see tutti.conf(5)",
                           ini->name, ini->line, ini->section, key);
    }
    char origin[ORIGIN_MAX];
    (void)snprintf(origin, sizeof origin, "%s:%u", ini->name, ini->line);
    return set(config, (enum config_setting)setting, strip(equals + 1), origin, problem);
}

int config_read_text(struct config *config, const char *name, const char *text,
                     struct problem *problem)
{
    char *copy CLEANUP_FREE = strdup(text);
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    struct ini ini = {.name = name};
    char *line, *rest = copy;
    while ((line = strsep(&rest, "\n")) != NULL) {
        ini.line++;
        line = strip(line);
        int error = 0;
        if (line[0] == '[') {
            error = read_section(&ini, line, problem);
        } else if (line[0] != '\0' && line[0] != '#' && line[0] != ';') {
            error = read_setting(config, &ini, line, problem);
        }
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static int read_whole(const char *path, char **ret_text)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        int cause = errno;
        return cause > 0 ? -cause : -EIO;
    }
    char *text = malloc(FILE_BYTES_MAX + 1);
    size_t length = text != NULL ? fread(text, 1, FILE_BYTES_MAX, file) : 0;
    int error = text == NULL ? -ENOMEM : ferror(file) != 0 ? -errno : feof(file) == 0 ? -EFBIG : 0;
    (void)fclose(file);
    if (error == 0 && memchr(text, '\0', length) != NULL) {
        error = -EILSEQ;
    }
    if (error != 0) {
        free(text);
        return error;
    }
    text[length] = '\0';
    *ret_text = text;
    return 0;
}

static int read_file(struct config *config, const char *path, bool must_exist,
                     struct problem *problem)
{
    char *text CLEANUP_FREE = NULL;
    int error = read_whole(path, &text);
    if (error == -ENOENT && !must_exist) {
        return 0;
    }
    if (error != 0) {
        return problem_set(problem, ERR_INVALID, "%s: can't be read as configuration: %s", path,
                           strerror(-error));
    }
    assert(text != NULL);
    return config_read_text(config, path, text, problem);
}

static void environment_name(const struct config_row *row, char out[128])
{
    int length = snprintf(out, 128, "TUTTI_%s_%s", row->section, row->key);
    for (int i = 0; i < length; i++) {
        out[i] = (char)toupper((unsigned char)out[i]);
    }
}

static int read_environment(struct config *config, char *const *environment,
                            struct problem *problem)
{
    for (int i = 0; i < CONFIG_SETTINGS_; i++) {
        char name[128];
        environment_name(&rows[i], name);
        size_t length = strlen(name);
        for (char *const *entry = environment; *entry != NULL; entry++) {
            if (strncmp(*entry, name, length) != 0 || (*entry)[length] != '=') {
                continue;
            }
            int error = set(config, (enum config_setting)i, *entry + length + 1, name, problem);
            if (error != 0) {
                return error;
            }
        }
    }
    return 0;
}

static const char *environment_get(char *const *environment, const char *name)
{
    size_t length = strlen(name);
    for (char *const *entry = environment; entry != NULL && *entry != NULL; entry++) {
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=' &&
            (*entry)[length + 1] != '\0') {
            return *entry + length + 1;
        }
    }
    return NULL;
}

/* The addresses of databases and objects are made of it. */
static int check_data(const struct config *config, struct problem *problem)
{
    size_t length = strlen(config->data);
    return length <= DATA_BYTES_MAX && text_is_utf8(config->data, length)
               ? 0
               : problem_set(problem, ERR_INVALID,
                             "the data directory's path must be UTF-8 text of at most %d bytes; "
                             "--data names another than that of HOME or XDG_DATA_HOME",
                             DATA_BYTES_MAX);
}

/* --data, else XDG_DATA_HOME/tutti, else HOME/.local/share/tutti, else /var/lib/tutti. */
static int choose_data(struct config *config, const struct config_sources *sources)
{
    const char *xdg = environment_get(sources->environment, "XDG_DATA_HOME");
    const char *home = environment_get(sources->environment, "HOME");
    int length = 0;
    if (sources->data != NULL) {
        length = asprintf(&config->data, "%s", sources->data);
    } else if (xdg != NULL && xdg[0] == '/') {
        length = asprintf(&config->data, "%s/tutti", xdg);
    } else if (home != NULL && home[0] == '/') {
        length = asprintf(&config->data, "%s/.local/share/tutti", home);
    } else {
        length = asprintf(&config->data, "/var/lib/tutti");
    }
    if (length < 0) {
        config->data = NULL;
        return ERR_NO_MEMORY;
    }
    return 0;
}

/* The port of "host:port", NULL for none. */
static const char *port_of(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    int64_t port;
    return colon != NULL && text_number(colon + 1, 0, 65535, &port) ? colon + 1 : NULL;
}

static int check_listen(const struct config *config, struct problem *problem)
{
    const struct slot *slot = &config->slots[CONFIG_SERVER_LISTEN];
    if (port_of(slot->text) == NULL || slot->text[0] == ':') {
        return problem_set(problem, ERR_INVALID,
                           "%s: server.listen is \"%s\"; it must be ADDRESS:PORT, such as "
                           "127.0.0.1:4040 or [::1]:4040",
                           slot->origin, slot->text);
    }
    if (strcmp(port_of(slot->text), "0") == 0 &&
        config_text(config, CONFIG_SERVER_URL)[0] == '\0') {
        return problem_set(problem, ERR_INVALID,
                           "%s: server.listen has port 0 (any); server.url must then say what "
                           "clients see",
                           slot->origin);
    }
    return 0;
}

static int check_word(const struct config *config, enum config_setting setting,
                      const char *const *words, struct problem *problem)
{
    const struct slot *slot = &config->slots[setting];
    char list[128] = "";
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (strcmp(slot->text, words[i]) == 0) {
            return 0;
        }
        (void)snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i > 0 ? ", " : "",
                       words[i]);
    }
    return problem_set(problem, ERR_INVALID, "%s: %s.%s is \"%s\"; it must be one of %s",
                       slot->origin, rows[setting].section, rows[setting].key, slot->text, list);
}

static int check_url(const struct config *config, enum config_setting setting,
                     struct problem *problem)
{
    const struct slot *slot = &config->slots[setting];
    bool scheme_ok =
        strncmp(slot->text, "http://", 7) == 0 || strncmp(slot->text, "https://", 8) == 0;
    size_t length = strlen(slot->text);
    if (length == 0 ||
        (scheme_ok && slot->text[length - 1] != '/' && strpbrk(slot->text, " \t\"<>?#") == NULL)) {
        return 0;
    }
    return problem_set(
        problem, ERR_INVALID,
        "%s: %s.%s is \"%s\"; it must be http://HOST[:PORT] or https://HOST, without "
        "a slash at the end",
        slot->origin, rows[setting].section, rows[setting].key, slot->text);
}

static int check_ratio(const struct config *config, struct problem *problem)
{
    const struct slot *slot = &config->slots[CONFIG_TRACE_RATIO];
    double ratio;
    return text_ratio(slot->text, &ratio)
               ? 0
               : problem_set(problem, ERR_INVALID,
                             "%s: trace.ratio is \"%s\"; it must be a number from 0 to 1, such as "
                             "0.01",
                             slot->origin, slot->text);
}

/* A name or address, with or without a port: what a Host header says. */
static int check_host(const struct config *config, enum config_setting setting,
                      struct problem *problem)
{
    const struct slot *slot = &config->slots[setting];
    size_t length = strlen(slot->text);
    bool good = strspn(slot->text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                   "0123456789.-:[]") == length;
    return good ? 0
                : problem_set(problem, ERR_INVALID,
                              "%s: blob.s3_host is \"%s\"; it must be a host without scheme and "
                              "path, such as s3.example.org",
                              slot->origin, slot->text);
}

static int check_cache(const struct config *config, struct problem *problem)
{
    const struct slot *slot = &config->slots[CONFIG_CACHE_STORE];
    struct redis_address address;
    struct problem why = {0};
    if (strcmp(slot->text, "memory:") == 0) {
        return 0;
    }
    int error = redis_address_parse(slot->text, &address, &why);
    explicit_bzero(&address, sizeof address);
    return error == 0 ? 0
                      : problem_set(problem, error,
                                    "%s: cache.store: %s; or memory:, for one process alone",
                                    slot->origin, why.detail);
}

/* ":memory:" and no name at all are SQLite's for a database that is gone with the process. */
static int check_sqlite(const struct config *config, enum config_setting setting,
                        struct problem *problem)
{
    const struct slot *slot = &config->slots[setting];
    return strcmp(slot->text, "sqlite:") != 0 && strcmp(slot->text, "sqlite::memory:") != 0
               ? 0
               : problem_set(
                     problem, ERR_INVALID,
                     "%s: database.%s is \"%s\"; it must be sqlite:PATH, with the path of a "
                     "file, or postgresql://…",
                     slot->origin, rows[setting].key, slot->text);
}

/* A file of this process's own would take plays that no other process knows of. */
static int check_activity(const struct config *config, struct problem *problem)
{
    const struct slot *catalog = &config->slots[CONFIG_DATABASE_CATALOG];
    bool shared = strncmp(catalog->text, "postgresql:", strlen("postgresql:")) == 0;
    return !shared || config_is_set(config, CONFIG_DATABASE_ACTIVITY)
               ? 0
               : problem_set(problem, ERR_INVALID,
                             "%s: database.catalog is on PostgreSQL, so database.activity must be "
                             "set, too: postgresql://… for a database of its own, or sqlite:PATH",
                             catalog->origin);
}

/* Files that stay where they are can be read by one machine alone. */
static int check_import(const struct config *config, struct problem *problem)
{
    const struct slot *mode = &config->slots[CONFIG_IMPORT_MODE];
    bool stays = config_is_set(config, CONFIG_IMPORT_MODE) && strcmp(mode->text, "reference") == 0;
    return !stays || strncmp(config_text(config, CONFIG_BLOB_STORE), "s3:", 3) != 0
               ? 0
               : problem_set(problem, ERR_INVALID,
                             "%s: import.mode = reference leaves files where one machine has them, "
                             "but objects are in an S3 store, which many read: set import.mode = "
                             "copy, or leave it out",
                             mode->origin);
}

static int check_all(const struct config *config, struct problem *problem)
{
    static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
    static const char *const formats[] = {"json", "text", "auto", NULL};
    static const char *const plans[] = {"free", "premium", NULL};
    static const char *const modes[] = {"reference", "copy", NULL};
    static const char *const whens[] = {"demand", "ahead", NULL};
    static const char *const watches[] = {"auto", "poll", NULL};
    int error = check_listen(config, problem);
    error = error != 0 ? error : check_word(config, CONFIG_LOG_LEVEL, levels, problem);
    error = error != 0 ? error : check_word(config, CONFIG_LOG_FORMAT, formats, problem);
    error = error != 0 ? error : check_word(config, CONFIG_PLAN_DEFAULT, plans, problem);
    error = error != 0 ? error : check_word(config, CONFIG_IMPORT_MODE, modes, problem);
    error = error != 0 ? error : check_word(config, CONFIG_IMPORT_RENDITIONS, whens, problem);
    error = error != 0 ? error : check_word(config, CONFIG_IMPORT_WATCH, watches, problem);
    error = error != 0 ? error : check_url(config, CONFIG_SERVER_URL, problem);
    error = error != 0 ? error : check_url(config, CONFIG_SERVER_MEDIA_URL, problem);
    error = error != 0 ? error : check_url(config, CONFIG_BLOB_PUBLIC_URL, problem);
    error = error != 0 ? error : check_url(config, CONFIG_TRACE_URL, problem);
    error = error != 0 ? error : check_ratio(config, problem);
    error = error != 0 ? error : check_host(config, CONFIG_BLOB_S3_HOST, problem);
    error = error != 0 ? error : check_cache(config, problem);
    error = error != 0 ? error : check_sqlite(config, CONFIG_DATABASE_CATALOG, problem);
    error = error != 0 ? error : check_sqlite(config, CONFIG_DATABASE_USERS, problem);
    error = error != 0 ? error : check_sqlite(config, CONFIG_DATABASE_ACTIVITY, problem);
    error = error != 0 ? error : check_activity(config, problem);
    error = error != 0 ? error : check_import(config, problem);
    const char *base = config_text(config, CONFIG_SERVER_BASE_PATH);
    if (error == 0 && base[0] != '\0' && (base[0] != '/' || base[strlen(base) - 1] == '/')) {
        error = problem_set(problem, ERR_INVALID,
                            "%s: server.base_path is \"%s\"; it must begin with a slash and not "
                            "end with one",
                            config->slots[CONFIG_SERVER_BASE_PATH].origin, base);
    }
    return error;
}

static int derive_urls(struct config *config, const char *port, struct problem *problem)
{
    char url[64];
    (void)snprintf(url, sizeof url, "http://localhost:%s", port);
    int error = derive(config, CONFIG_SERVER_URL, url, config_text(config, CONFIG_SERVER_BASE_PATH),
                       problem);
    const char *server = config_text(config, CONFIG_SERVER_URL);
    error = error != 0 ? error : derive(config, CONFIG_SERVER_MEDIA_URL, server, "", problem);
    if (error != 0 || strncmp(config_text(config, CONFIG_BLOB_STORE), "s3:", 3) == 0) {
        return error; /* an S3 store says itself where it is */
    }
    return derive(config, CONFIG_BLOB_PUBLIC_URL, server, "/s3", problem);
}

static int derive_all(struct config *config, struct problem *problem)
{
    char sqlite[4200];
    (void)snprintf(sqlite, sizeof sqlite, "sqlite:%s", config->data);
    char file[4200];
    (void)snprintf(file, sizeof file, "file:%s", config->data);
    char local[4200];
    (void)snprintf(local, sizeof local, "local:%s", config->data);
    int error = derive(config, CONFIG_DATABASE_CATALOG, sqlite, "/catalog.db", problem);
    error =
        error != 0 ? error : derive(config, CONFIG_DATABASE_USERS, sqlite, "/users.db", problem);
    error = error != 0 ? error
                       : derive(config, CONFIG_DATABASE_ACTIVITY, sqlite, "/activity.db", problem);
    error = error != 0 ? error : derive(config, CONFIG_BLOB_STORE, file, "/objects", problem);
    error = error != 0 ? error : derive(config, CONFIG_SEARCH_STORE, local, "/search.idx", problem);
    error = error != 0 ? error : derive(config, CONFIG_KEYS_STORE, config->data, "/keys", problem);
    return error != 0
               ? error
               : derive_urls(config, port_of(config_text(config, CONFIG_SERVER_LISTEN)), problem);
}

int config_new(struct config **ret_config)
{
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL) {
        return ERR_NO_MEMORY;
    }
    for (int i = 0; i < CONFIG_SETTINGS_; i++) {
        int error = set(config, (enum config_setting)i, rows[i].fallback, "default", NULL);
        if (error != 0) {
            config_free(config);
            return error;
        }
    }
    *ret_config = config;
    return 0;
}

static int load_into(struct config *config, const struct config_sources *sources,
                     struct problem *problem)
{
    int error = 0;
    if (sources->file != NULL) {
        error = read_file(config, sources->file, true, problem);
    } else if (sources->default_file != NULL) {
        error = read_file(config, sources->default_file, false, problem);
    }
    if (error == 0 && sources->environment != NULL) {
        error = read_environment(config, sources->environment, problem);
    }
    for (unsigned i = 0; error == 0 && i < sources->flag_count; i++) {
        const struct config_flag *flag = &sources->flags[i];
        error = set(config, flag->setting, flag->value, "command line", problem);
    }
    error = error != 0 ? error : choose_data(config, sources);
    error = error != 0 ? error : check_data(config, problem);
    error = error != 0 ? error : check_all(config, problem);
    return error != 0 ? error : derive_all(config, problem);
}

int config_load(const struct config_sources *sources, struct config **ret_config,
                struct problem *problem)
{
    struct config *config;
    int error = config_new(&config);
    if (error != 0) {
        return error;
    }
    error = load_into(config, sources, problem);
    if (error != 0) {
        config_free(config);
        return error;
    }
    *ret_config = config;
    return 0;
}

void config_free(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (int i = 0; i < CONFIG_SETTINGS_; i++) {
        free(config->slots[i].text);
    }
    free(config->data);
    free(config);
}

/* An option as password=, sslpassword= or upload_secret= says a secret. */
static bool says_secret(const char *option, size_t length)
{
    static const char *const ends[] = {"password=", "secret="};
    const char *value = memchr(option, '=', length);
    size_t name = value != NULL ? (size_t)(value + 1 - option) : 0;
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        size_t end = strlen(ends[i]);
        if (name >= end && strncasecmp(option + name - end, ends[i], end) == 0) {
            return true;
        }
    }
    return false;
}

/* "smtp://user:secret@host" → "smtp://user:***@host". One URL of at most length bytes: what stands
 * between the user's name and the last @ before the options is a password, also one whose slashes
 * should have been percent-encoded, and so are options of such names. */
static void write_masked_one(const char *url, size_t length, FILE *out)
{
    const char *end = url + length, *scheme = memmem(url, length, "://", 3);
    const char *from = scheme != NULL ? scheme + 3 : end;
    const char *at = scheme != NULL ? memrchr(from, '@', strcspn(from, "? ")) : NULL;
    const char *colon = at != NULL ? memchr(from, ':', (size_t)(at - from)) : NULL;
    if (colon != NULL) {
        (void)fprintf(out, "%.*s:***", (int)(colon - url), url);
        url = at;
    }
    while (url < end) {
        size_t option = strcspn(url, "?& ") + 1;
        option = option < (size_t)(end - url) ? option : (size_t)(end - url);
        if (says_secret(url, option)) {
            const char *value = strchr(url, '=');
            (void)fprintf(out, "%.*s***", (int)(value + 1 - url), url);
            url = value + 1 + strcspn(value + 1, "& ");
        } else {
            (void)fprintf(out, "%.*s", (int)option, url);
            url += option;
        }
    }
}

/* A URL, or several divided by spaces. */
static void write_masked_url(const char *url, FILE *out)
{
    while (*url != '\0') {
        size_t length = strcspn(url, " ");
        write_masked_one(url, length, out);
        url += length;
        for (; *url == ' '; url++) {
            (void)fputc(' ', out);
        }
    }
}

static void write_setting(const struct config *config, int setting, FILE *out)
{
    const struct slot *slot = &config->slots[setting];
    const struct config_row *row = &rows[setting];
    (void)fprintf(out, "# %s (%s)\n%s = ", row->help, slot->origin, row->key);
    if (row->kind == CONFIG_SECRET) {
        (void)fputs(slot->text[0] != '\0' ? "***" : "", out);
    } else if (row->kind == CONFIG_URL) {
        write_masked_url(slot->text, out);
    } else {
        (void)fputs(slot->text, out);
    }
    (void)fputc('\n', out);
}

static bool has_secret(const struct config_row *row, const char *text)
{
    char *masked CLEANUP_FREE = NULL;
    size_t length = 0;
    FILE *out = row->kind == CONFIG_URL ? open_memstream(&masked, &length) : NULL;
    if (out == NULL) {
        return row->kind == CONFIG_SECRET && text[0] != '\0';
    }
    write_masked_url(text, out);
    return fclose(out) == 0 && strcmp(masked, text) != 0;
}

const struct config_row *config_secret_of_file(const struct config *config)
{
    for (int i = 0; i < CONFIG_SETTINGS_; i++) {
        const struct slot *slot = &config->slots[i];
        if (strchr(slot->origin, ':') != NULL && has_secret(&rows[i], slot->text)) {
            return &rows[i];
        }
    }
    return NULL;
}

bool config_write(const struct config *config, const char *section, FILE *out)
{
    const char *written = NULL;
    for (int i = 0; i < CONFIG_SETTINGS_; i++) {
        if (section != NULL && strcmp(section, rows[i].section) != 0) {
            continue;
        }
        if (written == NULL || strcmp(written, rows[i].section) != 0) {
            (void)fprintf(out, "%s[%s]\n", written != NULL ? "\n" : "", rows[i].section);
            written = rows[i].section;
        }
        write_setting(config, i, out);
    }
    return written != NULL;
}

void config_write_environment(const struct config *config, FILE *out)
{
    for (int i = 0; i < CONFIG_SETTINGS_; i++) {
        char name[128];
        environment_name(&rows[i], name);
        if (strcmp(config->slots[i].origin, name) == 0) {
            (void)fprintf(out, "%s=%s\n", name, config->slots[i].text);
        }
    }
}
