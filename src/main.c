/* The program tutti: hands the command line to boot, and sees that what is printed arrives. */
#include "boot/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the caller closed of 0 to 2 becomes /dev/null: else what is opened next, an object or a
 * server's connection, has that number, and what is printed or logged goes into it. For reading
 * alone, so that printing fails and is told. Programs that we start want them, too. */
static void keep_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDONLY);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* The status, or that of a failure where a key, a list, a finding did not get out. */
static int close_output(int status)
{
    int failed = ferror(stdout);
    errno = 0;
    if (fclose(stdout) == 0 && failed == 0) {
        return status;
    }
    (void)fprintf(stderr, "tutti: standard output can't be written: %s\n",
                  strerror(errno != 0 ? errno : EIO));
    return status == EXIT_DONE ? EXIT_WRONG : status;
}

int main(int count, char **arguments)
{
    keep_standard_descriptors();
    return close_output(command_run(count, arguments));
}
