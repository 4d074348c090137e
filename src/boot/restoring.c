/* Restores and everybody else (restoring.h). */
#include "boot/restoring.h"

#include "base/error.h"
#include "base/problem.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
    if (!restoring_journal(data, journal)) {
        return 0;
    }
    read_words(journal, words);
    return problem_set(problem, ERR_CONFLICT,
                       "A restore into %s was cut off, so what is there is neither whole nor what "
                       "was there before; run it again: tutti restore FILE --replace. %s",
                       data, words);
}
