/* The first admin: a code of 128 bits lies in DATA/setup-code, its hash in the database; who can
 * read the file owns the server. identity_setup_begin is boot's; setup_finish a handler's.
 */
#include "backend/folder.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "service/identity/delays.h"
#include "service/identity/identity_private.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Shown as eight groups of four hexadecimal digits; dashes and case don't matter. */
enum { CODE_BYTES = 16, CODE_DIGITS = 2 * CODE_BYTES, CODE_TEXT_SIZE = 40, FILE_PATH_MAX = 4096 };

static int file_path(const struct identity *identity, char out[FILE_PATH_MAX], const char *name)
{
    int length = snprintf(out, FILE_PATH_MAX, "%s/%s", identity->data_path, name);
    return length > 0 && length < FILE_PATH_MAX ? 0 : ERR_INVALID;
}

/* The hash of the code's digits; false where text holds no code. */
static bool hash_code(const char *text, unsigned char hash[TICKET_HASH_BYTES])
{
    char digits[CODE_DIGITS];
    size_t count = 0;
    for (; *text != '\0'; text++) {
        if (*text == '-' || isspace((unsigned char)*text)) {
            continue;
        }
        if (!isxdigit((unsigned char)*text) || count == CODE_DIGITS) {
            return false;
        }
        digits[count++] = (char)tolower((unsigned char)*text);
    }
    (void)crypto_generichash(hash, TICKET_HASH_BYTES, (const unsigned char *)digits, count, NULL,
                             0);
    sodium_memzero(digits, sizeof digits);
    return count == CODE_DIGITS;
}

static void make_code(char out[CODE_TEXT_SIZE])
{
    unsigned char bytes[CODE_BYTES];
    randombytes_buf(bytes, sizeof bytes);
    for (unsigned i = 0; i < CODE_BYTES; i += 2) {
        char *group = out + i / 2 * 5;
        (void)snprintf(group, 5, "%02x%02x", bytes[i], bytes[i + 1]);
        group[4] = i + 2 < CODE_BYTES ? '-' : '\0';
    }
    sodium_memzero(bytes, sizeof bytes);
}

/* --- the file --- */

static int write_file(const struct identity *identity, const char *code, struct problem *problem)
{
    char path[FILE_PATH_MAX], temporary[FILE_PATH_MAX];
    int error = file_path(identity, path, "setup-code");
    error = error != 0 ? error : file_path(identity, temporary, ".setup-code-XXXXXX");
    if (error != 0) {
        return error;
    }
    int fd CLEANUP_CLOSE = mkostemp(temporary, O_CLOEXEC); /* 0600 */
    if (fd < 0 || dprintf(fd, "%s\n", code) < 0 || fsync(fd) != 0 || rename(temporary, path) != 0 ||
        folder_sync_of(path) != 0) {
        error = error_from_errno(errno);
        (void)unlink(temporary);
        return problem_set(problem, error, "The set-up code can't be written to %s: %s", path,
                           strerror(errno));
    }
    return 0;
}

static bool read_file(const struct identity *identity, char out[CODE_TEXT_SIZE])
{
    char path[FILE_PATH_MAX];
    if (file_path(identity, path, "setup-code") != 0) {
        return false;
    }
    int fd CLEANUP_CLOSE = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0 || (info.st_mode & 077) != 0) {
        return false;
    }
    ssize_t length = read(fd, out, CODE_TEXT_SIZE - 1);
    out[length > 0 ? length : 0] = '\0';
    return length == CODE_TEXT_SIZE - 1;
}

void setup_remove_file(struct identity *identity)
{
    char path[FILE_PATH_MAX];
    if (file_path(identity, path, "setup-code") == 0) {
        (void)unlink(path);
    }
}

/* --- whether it is done --- */

static int read_has_admin(struct db_session *session, void *argument)
{
    return user_store_has_admin(session, 0, argument);
}

int setup_is_done(struct identity *identity, bool *ret_done)
{
    bool done = atomic_load(&identity->has_admin);
    int error = done ? 0 : db_read(identity->users, read_has_admin, &done);
    if (error == 0) {
        atomic_store(&identity->has_admin, done);
        *ret_done = done;
    }
    return error;
}

/* --- beginning --- */

static int read_check_code(struct db_session *session, void *argument)
{
    return setup_store_check(session, argument);
}

static int write_put_code(struct db_session *session, void *argument)
{
    return setup_store_put(session, argument, clock_wall_ms());
}

/* The code in the file, if it is still the one the database knows. */
static bool reuse_code(struct identity *identity, char out[CODE_TEXT_SIZE])
{
    unsigned char hash[TICKET_HASH_BYTES];
    return read_file(identity, out) && hash_code(out, hash) &&
           db_read(identity->users, read_check_code, hash) == 0;
}

int identity_setup_begin(struct identity *identity, struct call *call, bool *ret_needed,
                         char ret_code[64])
{
    bool done = false;
    int error = setup_is_done(identity, &done);
    if (error != 0 || done) {
        if (error == 0) {
            setup_remove_file(identity);
            *ret_needed = false;
        }
        return error;
    }
    char code[CODE_TEXT_SIZE];
    if (!reuse_code(identity, code)) {
        unsigned char hash[TICKET_HASH_BYTES];
        make_code(code);
        (void)hash_code(code, hash);
        error = write_file(identity, code, &call->problem);
        if (error == 0) {
            error = db_write(identity->users, write_put_code, hash);
        }
    }
    if (error == 0) {
        (void)snprintf(ret_code, 64, "%s", code);
        *ret_needed = true;
    }
    sodium_memzero(code, sizeof code);
    return error;
}

/* --- finishing --- */

struct finish {
    struct identity *identity;
    struct call *call;
    unsigned char hash[TICKET_HASH_BYTES];
    struct user user;
    struct login_name username, email;
    const struct visitor *visitor;
    struct signed_in *signed_in;
};

static int already_done(struct problem *problem)
{
    return problem_set(problem, ERR_CONFLICT, "The server has an admin already");
}

/* The checks again, inside the transaction: of two that come at once, one wins. */
static int write_finish(struct db_session *session, void *argument)
{
    struct finish *finish = argument;
    bool has_admin = false;
    problem_reset(&finish->call->problem);
    int error = user_store_has_admin(session, 0, &has_admin);
    if (error == 0 && has_admin) {
        return already_done(&finish->call->problem);
    }
    if (error == 0) {
        error = setup_store_check(session, finish->hash);
    }
    if (error == 0) {
        error = setup_store_delete(session);
    }
    if (error == 0) {
        error =
            account_insert(session, finish->call, &finish->user, &finish->username, &finish->email);
    }
    return error != 0 ? error
                      : session_begin(finish->identity, session, &finish->user, finish->visitor,
                                      finish->signed_in);
}

static int check_code(struct finish *finish, const char *code)
{
    struct identity *identity = finish->identity;
    struct delay_keys keys = delays_keys(identity->delays, "@setup", finish->visitor->address);
    int64_t left_ms = delays_left_ms(identity->delays, &keys, true, clock_monotonic_ms());
    if (left_ms > 0) {
        return delay_refusal(&finish->call->problem, left_ms);
    }
    int error = hash_code(code, finish->hash)
                    ? db_read(identity->users, read_check_code, finish->hash)
                    : ERR_NOT_FOUND;
    if (error == ERR_NOT_FOUND) {
        notices_failed(identity, &keys);
        return problem_set(&finish->call->problem, ERR_FORBIDDEN,
                           "The code is not right; it is in the file setup-code of the server's"
                           " data directory");
    }
    return error;
}

int setup_finish(struct identity *identity, struct call *call, const char *code,
                 const struct new_user *wanted, const struct visitor *visitor,
                 struct signed_in *ret_signed_in)
{
    struct finish finish = {
        .identity = identity, .call = call, .visitor = visitor, .signed_in = ret_signed_in};
    bool done = false;
    int error = setup_is_done(identity, &done);
    ret_signed_in->token_id = 0;
    if (error == 0 && done) {
        return already_done(&call->problem);
    }
    error = error != 0 ? error : check_code(&finish, code);
    if (error == 0) {
        error =
            account_prepare(identity, call, wanted, &finish.user, &finish.username, &finish.email);
    }
    if (error == 0) {
        error = db_write(identity->users, write_finish, &finish);
    }
    if (error != 0) {
        return error;
    }
    atomic_store(&identity->has_admin, true);
    setup_remove_file(identity);
    return session_sign(identity, call, ret_signed_in);
}
