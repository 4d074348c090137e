/* What a process in the sandbox can do no more. Each attempt is made in a child of its own, after
 * sandbox_enter, and its end is looked at. */
#include "media/sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REFUSED = 10, ALLOWED = 20, NO_SANDBOX = 30 };

/* How a child that enters the sandbox and tries it ends: waitpid's status. */
static int status_of(int (*attempt)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(sandbox_enter() == 0 ? attempt() : NO_SANDBOX);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int verdict(long result)
{
    return result >= 0 ? ALLOWED : errno == EPERM ? REFUSED : 1;
}

static int try_open(void)
{
    return verdict(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int try_open_old(void)
{
    return verdict(syscall(SYS_open, "/etc/passwd", O_RDONLY));
}

static int try_create(void)
{
    return verdict(open("/tmp/tutti-sandbox-test", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static int try_unlink(void)
{
    return verdict(unlink("/tmp/tutti-sandbox-test"));
}

static int try_stat(void)
{
    struct stat stat_of;
    return verdict(stat("/etc/passwd", &stat_of));
}

static int try_socket(void)
{
    return verdict(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int try_unix_socket(void)
{
    return verdict(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int try_limit(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    return verdict(setrlimit(RLIMIT_CPU, &limit));
}

static int try_priority(void)
{
    return verdict(setpriority(PRIO_PROCESS, 0, -5));
}

static void test_doors_are_refused(void **state)
{
    static const struct {
        const char *name;
        int (*attempt)(void);
    } attempts[] = {
        {"open", try_open},        {"open(2)", try_open_old}, {"create", try_create},
        {"unlink", try_unlink},    {"stat", try_stat},        {"socket", try_socket},
        {"unix", try_unix_socket}, {"setrlimit", try_limit},  {"setpriority", try_priority},
    };
    (void)state;
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        int status = status_of(attempts[i].attempt);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != REFUSED) {
            fail_msg("%s ended with %x", attempts[i].name, (unsigned)status);
        }
    }
}

static int try_exec(void)
{
    char *arguments[] = {(char *)"true", NULL};
    return verdict(execv("/bin/true", arguments));
}

static int try_fork(void)
{
    return verdict(fork());
}

static int try_fork_old(void)
{
    return verdict(syscall(SYS_fork));
}

static int try_system(void)
{
    return verdict(system("true"));
}

static int try_ptrace(void)
{
    return verdict(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int try_kill(void)
{
    return verdict(kill(getppid(), 0));
}

static int try_code(void)
{
    void *page =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return verdict(page == MAP_FAILED ? -1 : 0);
}

static void test_what_no_decoder_does_is_deadly(void **state)
{
    static const struct {
        const char *name;
        int (*attempt)(void);
    } attempts[] = {
        {"exec", try_exec},     {"fork", try_fork},     {"fork(2)", try_fork_old},
        {"system", try_system}, {"ptrace", try_ptrace}, {"kill", try_kill},
        {"code", try_code},
    };
    (void)state;
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        int status = status_of(attempts[i].attempt);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) {
            fail_msg("%s ended with %x", attempts[i].name, (unsigned)status);
        }
    }
}

static void *thread_runs(void *argument)
{
    *(int *)argument = 1;
    return NULL;
}

static int work_honestly(void)
{
    pthread_t thread;
    int ran = 0;
    void *memory = malloc(64 << 20);
    int fd = memfd_create("x", MFD_CLOEXEC);
    bool done = memory != NULL && fd >= 0 && write(fd, "ab", 2) == 2 &&
                pwrite(fd, "c", 1, 1) == 1 && lseek(fd, 0, SEEK_SET) == 0 &&
                pthread_create(&thread, NULL, thread_runs, &ran) == 0 &&
                pthread_join(thread, NULL) == 0 && ran == 1;
    free(memory);
    return done ? ALLOWED : 1;
}

static void test_threads_memory_and_descriptors_work(void **state)
{
    (void)state;
    int status = status_of(work_honestly);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), ALLOWED);
}

static int eat_memory(void)
{
    for (unsigned i = 0; i < 64; i++) {
        char *piece = malloc(128 << 20);
        if (piece == NULL) {
            return REFUSED;
        }
        piece[0] = 1;
    }
    return ALLOWED;
}

static void test_memory_is_limited(void **state)
{
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* its shadow does not fit into the limit, so there is none */
#endif
    int status = status_of(eat_memory);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doors_are_refused),
        cmocka_unit_test(test_what_no_decoder_does_is_deadly),
        cmocka_unit_test(test_threads_memory_and_descriptors_work),
        cmocka_unit_test(test_memory_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
