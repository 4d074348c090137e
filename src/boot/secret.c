/* Asking for a backup's secret (secret.h). */
#include "boot/secret.h"

#include "backend/rights.h"
#include "base/mem.h"
#include "boot/archive.h"
#include "boot/command.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>

static int refuse(const char *words, const char *path)
{
    (void)fprintf(stderr, "tutti: %s%s%s\n", path, path[0] != '\0' ? " " : "", words);
    return EXIT_USAGE;
}

static int read_key_file(const char *path, struct archive_secret *secret)
{
    int fd CLEANUP_CLOSE = rights_open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        return refuse(strerror(errno), path);
    }
    if (!S_ISREG(status.st_mode) || (status.st_mode & 077) != 0) {
        return refuse("must be a file that nobody else may read; chmod 600 it", path);
    }
    ssize_t length = read(fd, secret->bytes, sizeof secret->bytes);
    if (length < ARCHIVE_KEY_FILE_MIN || length == ARCHIVE_SECRET_MAX) {
        return refuse("must hold 32 to 4095 random bytes, as head -c 32 /dev/urandom gives", path);
    }
    secret->is_key_file = true;
    secret->length = (size_t)length;
    return EXIT_DONE;
}

/* What fgets(3) left as it was tells a zero byte of the line from the one that ends it. */
bool secret_read_line(FILE *file, char *line, size_t size, bool *ret_whole)
{
    memset(line, '\n', size);
    if (fgets(line, (int)size, file) == NULL) {
        return false;
    }
    size_t read = strlen(line), length = strcspn(line, "\r\n");
    bool ended = length + strspn(line + length, "\r\n") == read &&
                 memchr(line + read + 1, '\0', size - read - 1) == NULL;
    *ret_whole = ended && (length < read || feof(file) != 0);
    line[length] = '\0';
    return true;
}

/* making: for a backup that is made now. One that was made is opened by what it was sealed with. */
static int read_line(FILE *file, bool making, struct archive_secret *secret)
{
    bool whole;
    if (!secret_read_line(file, (char *)secret->bytes, sizeof secret->bytes, &whole)) {
        return refuse("there is no passphrase: the input is empty", "");
    }
    if (making && !whole) {
        return refuse("a passphrase is a line of text; random bytes go into a --key-file", "");
    }
    secret->length = strlen((const char *)secret->bytes);
    if (secret->length < ARCHIVE_SECRET_MIN) {
        return refuse("a passphrase has at least 8 characters", "");
    }
    return EXIT_DONE;
}

static int read_unseen(FILE *terminal, const char *prompt, bool making,
                       struct archive_secret *secret)
{
    struct termios before, unseen;
    bool hidden = tcgetattr(fileno(terminal), &before) == 0;
    if (hidden) {
        unseen = before;
        unseen.c_lflag &= ~(tcflag_t)ECHO;
        hidden = tcsetattr(fileno(terminal), TCSAFLUSH, &unseen) == 0;
    }
    (void)fputs(prompt, terminal);
    (void)fflush(terminal);
    int status = read_line(terminal, making, secret);
    if (hidden) {
        (void)tcsetattr(fileno(terminal), TCSAFLUSH, &before);
    }
    (void)fputc('\n', terminal);
    return status;
}

static int ask_terminal(bool making, struct archive_secret *secret)
{
    FILE *terminal = fopen("/dev/tty", "w+ce");
    if (terminal == NULL) {
        return refuse("a backup is sealed: give --key-file FILE, or --password-stdin", "");
    }
    int status = read_unseen(terminal, "Passphrase of the backup: ", making, secret);
    if (status == EXIT_DONE && making) {
        struct archive_secret again = {.length = 0};
        status = read_unseen(terminal, "Again: ", making, &again);
        if (status == EXIT_DONE && (again.length != secret->length ||
                                    sodium_memcmp(again.bytes, secret->bytes, again.length) != 0)) {
            status = refuse("the two are not the same", "");
        }
        sodium_memzero(&again, sizeof again);
    }
    (void)fclose(terminal);
    return status;
}

int secret_ask(const struct command_line *line, bool making, struct archive_secret *ret_secret)
{
    *ret_secret = (struct archive_secret){.length = 0};
    if (line->options[OPTION_KEY_FILE] != NULL) {
        return read_key_file(line->options[OPTION_KEY_FILE], ret_secret);
    }
    return line->options[OPTION_PASSWORD_STDIN] != NULL ? read_line(stdin, making, ret_secret)
                                                        : ask_terminal(making, ret_secret);
}
