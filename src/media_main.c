/* tutti-media: the only program that links the media libraries. The transcode role starts it with a
 * socketpair as descriptor 3 for a job, or a batch of them (media/job.h), and closes the socket
 * when there is nothing more to do. It puts itself into the sandbox before it reads the first byte.
 */
#include "base/error.h"
#include "media/analysis.h"
#include "media/crew.h"
#include "media/job.h"
#include "media/job_server.h"
#include "media/ladder.h"
#include "media/sandbox.h"

#include <errno.h>
#include <libavutil/cpu.h>
#include <libavutil/log.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/socket.h>

enum { EXIT_USAGE = 2, EXIT_SANDBOX = 3, EXIT_SOCKET = 4 };

static int is_job_socket(int fd)
{
    int type = 0;
    socklen_t length = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_SEQPACKET;
}

/* Whom the server starts it makes stand back for others, before it sends anything; the threads that
 * are made then do so, too. */
static void wait_for_request(void)
{
    struct pollfd waiting = {.fd = MEDIA_JOB_FD, .events = POLLIN};
    while (poll(&waiting, 1, -1) < 0 && errno == EINTR) {
    }
}

/* The door shuts behind the threads: in the sandbox none can be made. */
static int enter(void)
{
    wait_for_request();
    int error = crew_hire(ANALYSIS_READERS + ladder_workers_max());
    return error != 0 ? error : sandbox_enter();
}

int main(void)
{
    if (!is_job_socket(MEDIA_JOB_FD)) {
        (void)fputs("tutti-media works for `tutti serve` and is started by it.\n", stderr);
        return EXIT_USAGE;
    }
    if (sodium_init() < 0) {
        return EXIT_SANDBOX;
    }
    av_log_set_level(AV_LOG_QUIET);
    (void)
        av_get_cpu_flags(); /* what libraries read from the system is read before the door shuts */
    int error = enter();
    if (error != 0) {
        (void)fputs(error == ERR_UNSUPPORTED
                        ? "tutti-media: no seccomp filter on this kernel; nothing is decoded "
                          "without.\n"
                        : "tutti-media: its threads can't be started.\n",
                    stderr);
        return EXIT_SANDBOX;
    }
    return job_server_run(MEDIA_JOB_FD) == 0 ? 0 : EXIT_SOCKET;
}
