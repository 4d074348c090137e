/* Commands on the data (command_admin.h). Each opens the platform's data, makes one call as the
 * system and prints what came of it. */
#include "boot/command_admin.h"

#include "backend/db/db.h"
#include "base/arena.h"
#include "base/call.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "boot/command.h"
#include "boot/config.h"
#include "boot/move.h"
#include "boot/place.h"
#include "boot/platform.h"
#include "boot/restoring.h"
#include "boot/schemas.h"
#include "boot/secret.h"
#include "service/identity/identity.h"
#include "service/ingest/ingest.h"
#include "service/objectstore/objectstore.h"
#include "service/search/search.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PASSWORD_MAX = 1024 };

int errand_begin(struct errand *errand, const struct command_line *line)
{
    *errand = (struct errand){.call.actor.roles = ROLE_SYSTEM};
    errand->call.arena = arena_new(0);
    if (errand->call.arena == NULL) {
        return command_complain(&errand->call.problem, ERR_NO_MEMORY);
    }
    int error = platform_open_data(line->config, &errand->platform, &errand->call.problem);
    if (error != 0) {
        arena_free(errand->call.arena);
        return command_complain(&errand->call.problem, error);
    }
    return EXIT_DONE;
}

int errand_end(struct errand *errand, int error)
{
    int status = error != 0 ? command_complain(&errand->call.problem, error) : EXIT_DONE;
    platform_close(errand->platform);
    arena_free(errand->call.arena);
    return status;
}

/* The first line of standard input. */
static int read_password(char password[PASSWORD_MAX])
{
    bool whole;
    if (!secret_read_line(stdin, password, PASSWORD_MAX, &whole)) {
        (void)fputs("tutti: standard input is empty; it must hold the password\n", stderr);
        return EXIT_USAGE;
    }
    if (!whole) {
        (void)fputs("tutti: a password is a line of text of at most 256 characters\n", stderr);
    }
    return whole ? EXIT_DONE : EXIT_USAGE;
}

static int parse_role(const char *word, unsigned *ret_roles)
{
    if (strcmp(word, "listener") == 0) {
        *ret_roles = ROLE_LISTENER;
    } else if (strcmp(word, "artist") == 0) {
        *ret_roles = ROLE_LISTENER | ROLE_ARTIST;
    } else if (strcmp(word, "admin") == 0) {
        *ret_roles = ROLE_LISTENER | ROLE_ADMIN;
    } else {
        (void)fprintf(stderr, "tutti: --role is \"%s\"; it must be listener, artist or admin\n",
                      word);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

int command_user_add(const struct command_line *line)
{
    unsigned roles;
    char password[PASSWORD_MAX];
    if (parse_role(line->options[OPTION_ROLE], &roles) != EXIT_DONE ||
        read_password(password) != EXIT_DONE) {
        return EXIT_USAGE;
    }
    struct errand errand;
    int status = errand_begin(&errand, line);
    if (status == EXIT_DONE) {
        int64_t user_id = 0;
        int error = identity_user_add(platform_identity(errand.platform), &errand.call,
                                      line->words[line->word_count - 1],
                                      line->options[OPTION_EMAIL], roles, password, &user_id);
        if (error == 0) {
            (void)printf("added %s, id %lld\n", line->words[line->word_count - 1],
                         (long long)user_id);
        }
        status = errand_end(&errand, error);
    }
    sodium_memzero(password, sizeof password);
    return status;
}

int command_user_set_password(const struct command_line *line)
{
    char password[PASSWORD_MAX];
    if (read_password(password) != EXIT_DONE) {
        return EXIT_USAGE;
    }
    struct errand errand;
    int status = errand_begin(&errand, line);
    if (status == EXIT_DONE) {
        status = errand_end(
            &errand, identity_user_set_password(platform_identity(errand.platform), &errand.call,
                                                line->words[line->word_count - 1], password));
    }
    sodium_memzero(password, sizeof password);
    return status;
}

static void print_user(const json_t *user)
{
    char roles[64] = "";
    size_t index;
    json_t *role;
    json_array_foreach(json_object_get(user, "roles"), index, role)
    {
        size_t length = strlen(roles);
        (void)snprintf(roles + length, sizeof roles - length, "%s%s", index > 0 ? "," : "",
                       json_string_value(role));
    }
    const char *email = json_string_value(json_object_get(user, "email"));
    (void)printf("%-20s %-24s %-24s %s\n", json_string_value(json_object_get(user, "id")),
                 json_string_value(json_object_get(user, "username")), roles,
                 email != NULL ? email : "");
}

int command_user_list(const struct command_line *line)
{
    struct errand errand;
    int status = errand_begin(&errand, line);
    if (status != EXIT_DONE) {
        return status;
    }
    json_t *users CLEANUP_JSON = NULL;
    int error = identity_user_list(platform_identity(errand.platform), &errand.call, &users);
    size_t index;
    json_t *user;
    json_array_foreach(users, index, user)
    {
        print_user(user);
    }
    return errand_end(&errand, error);
}

int command_keys_rotate(const struct command_line *line)
{
    struct errand errand;
    int status = errand_begin(&errand, line);
    if (status != EXIT_DONE) {
        return status;
    }
    int error = platform_rotate_keys(errand.platform, &errand.call);
    if (error == 0) {
        (void)printf("made new signing keys in %s; what the old ones signed stays valid until it "
                     "runs out\n",
                     config_text(line->config, CONFIG_KEYS_STORE));
    }
    return errand_end(&errand, error);
}

int command_s3_key_add(const struct command_line *line)
{
    struct problem problem = {0};
    struct objectstore_key key;
    const char *keys = config_text(line->config, CONFIG_KEYS_STORE);
    int error = access(keys, F_OK) != 0 && errno == ENOENT
                    ? problem_set(&problem, ERR_NOT_FOUND,
                                  "%s isn't there: start the server once, or check --data", keys)
                    : objectstore_key_add(keys, line->words[line->word_count - 1], &key, &problem);
    if (error != 0) {
        return command_complain(&problem, error);
    }
    (void)printf("access key  %s\nsecret      %s\n", key.id, key.secret);
    sodium_memzero(&key, sizeof key);
    return EXIT_DONE;
}

static void tell_swept(const struct ingest_swept *swept)
{
    (void)printf("gave up %u uploads, removed %u objects\n", swept->uploads, swept->objects);
    if (swept->older > 0) {
        (void)printf("%u objects are older than the catalog and were left: was a database lost? "
                     "Then restore it; else tutti sweep --accept-lost removes them\n",
                     swept->older);
    }
    if (swept->held > 0) {
        (void)printf("%u objects that no row names stand in a row and were left: is the catalog an "
                     "old one, or another's? Then restore it; else tutti sweep --accept-lost "
                     "removes them\n",
                     swept->held);
    }
}

int command_sweep(const struct command_line *line)
{
    struct problem problem = {0};
    struct platform *platform = NULL;
    int error = platform_open(line->config, 0, &platform, &problem);
    if (error != 0) {
        return command_complain(&problem, error);
    }
    struct ingest_swept swept = {0};
    error = platform_sweep(platform, line->options[OPTION_ACCEPT_LOST] != NULL, &swept);
    if (error == 0) {
        tell_swept(&swept);
    }
    platform_close(platform);
    return error != 0 ? command_complain(&problem, error) : EXIT_DONE;
}

int command_search_rebuild(const struct command_line *line)
{
    struct problem problem = {0};
    struct platform *platform = NULL;
    struct search_built built = {0};
    int error = platform_open(line->config, 0, &platform, &problem);
    error = error != 0 ? error : platform_search_rebuild(platform, &built, &problem);
    if (error == 0) {
        (void)printf("%lld things with %lld words, %lld bytes\n", (long long)built.docs,
                     (long long)built.words, (long long)built.bytes);
    }
    platform_close(platform);
    return error != 0 ? command_complain(&problem, error) : EXIT_DONE;
}

static int migrate(const struct place_file *file, enum place_database which,
                   struct problem *problem)
{
    struct db *db = NULL;
    int error = place_open_database(file, &db, problem);
    error = error != 0 ? error : schemas_migrate(db, which, problem);
    db_close(db);
    return error;
}

int command_migrate(const struct command_line *line)
{
    struct problem problem = {0};
    struct place place;
    if (line->options[OPTION_FROM] != NULL) {
        return command_move(line);
    }
    if (line->options[OPTION_TO] != NULL) {
        (void)fprintf(stderr, "tutti: --to needs --from\n");
        return EXIT_USAGE;
    }
    place_of(line->config, &place);
    int error = place_check_apart(line->config, &problem);
    error = error != 0 ? error : place_make_folder("the data directory", place.data, &problem);
    error = error != 0 ? error : restoring_keep_off(place.data, &problem);
    for (unsigned i = 0; error == 0 && i < PLACE_DATABASES_; i++) {
        error = migrate(&place.databases[i], i, &problem);
    }
    if (error != 0) {
        return command_complain(&problem, error);
    }
    (void)puts("the databases are of this version");
    return EXIT_DONE;
}
