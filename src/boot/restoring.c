/* Restores and everybody else (restoring.h). */
#include "boot/restoring.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static int lock_fd = -1; /* of the data directory; open until the process ends */

/* Whether another process is in the way. A file system that knows no locks has none in the way. */
static bool is_taken(const char *data, int how)
{
    if (lock_fd < 0) {
        lock_fd = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return lock_fd >= 0 && flock(lock_fd, how | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

bool restoring_journal(const char *data, char ret_path[PATH_MAX])
{
    return (size_t)snprintf(ret_path, PATH_MAX, "%s/.restore", data) < PATH_MAX &&
           access(ret_path, F_OK) == 0;
}

/* The line that a restore wrote for people. */
static void read_words(const char *journal, char words[PROBLEM_DETAIL_MAX])
{
    FILE *file = fopen(journal, "re");
    words[0] = '\0';
    if (file != NULL) {
        (void)(fgets(words, PROBLEM_DETAIL_MAX, file) != NULL);
        (void)fclose(file);
    }
    words[strcspn(words, "\n")] = '\0';
}

int restoring_keep_off(const char *data, struct problem *problem)
{
    char journal[PATH_MAX], words[PROBLEM_DETAIL_MAX];
    if (is_taken(data, LOCK_SH)) {
        return problem_set(problem, ERR_BUSY,
                           "A restore into %s is at work; wait until it has ended", data);
    }
    if (!restoring_journal(data, journal)) {
        return 0;
    }
    read_words(journal, words);
    return problem_set(problem, ERR_CONFLICT,
                       "A restore into %s was cut off, so what is there is neither whole nor what "
                       "was there before; run it again: tutti restore FILE --replace. %s",
                       data, words);
}

int restoring_begin(const char *data, struct problem *problem)
{
    return !is_taken(data, LOCK_EX)
               ? 0
               : problem_set(problem, ERR_BUSY,
                             "A server or another command works on %s; stop it first, or restore "
                             "into another --data",
                             data);
}
