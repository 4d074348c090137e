/* What a process in the sandbox can do no more. Each attempt is made in a child of its own, after
 * sandbox_enter, and its end is looked at. */
#include "media/sandbox.h"

#include "media/crew.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REFUSED = 10, ALLOWED = 20, NO_SANDBOX = 30 };

static int file; /* that the children have */

/* How a child that enters the sandbox and tries it ends: waitpid's status. */
static int status_of(int (*attempt)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(crew_hire(1) == 0 && sandbox_enter() == 0 ? attempt() : NO_SANDBOX);
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

static int try_openat2(void)
{
    uint64_t how[3] = {O_RDONLY, 0, 0};
    return verdict(syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", how, sizeof how));
}

static int try_rename(void)
{
    return verdict(rename("/tmp/tutti-sandbox-test", "/tmp/tutti-sandbox-test-2"));
}

static int try_link(void)
{
    return verdict(symlink("/etc/passwd", "/tmp/tutti-sandbox-test"));
}

static int try_mkdir(void)
{
    return verdict(mkdir("/tmp/tutti-sandbox-test", 0700));
}

static int try_chmod(void)
{
    return verdict(chmod("/tmp", 01777));
}

static int try_read_link(void)
{
    char target[64];
    return verdict(readlink("/proc/self/exe", target, sizeof target));
}

static int try_list(void)
{
    char entries[1024];
    return verdict(syscall(SYS_getdents64, 0, entries, sizeof entries));
}

static int try_netlink(void)
{
    return verdict(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static int try_socketpair(void)
{
    int pair[2];
    return verdict(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
}

/* The rest of what sockets can do, tried on a descriptor that is none: refused before it is seen.
 */
static int try_connect(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
    return verdict(connect(0, (struct sockaddr *)&address, sizeof address));
}

static int try_bind(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    return verdict(bind(0, (struct sockaddr *)&address, sizeof address));
}

static int try_listen(void)
{
    return verdict(listen(0, 1));
}

static int try_accept(void)
{
    return verdict(accept4(0, NULL, NULL, 0));
}

static int try_sendto(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(53)};
    return verdict(sendto(0, "x", 1, 0, (struct sockaddr *)&address, sizeof address));
}

static int try_rings(void)
{
    char parameters[128] = {0};
    return verdict(syscall(SYS_io_uring_setup, 1, parameters));
}

static int try_pidfd(void)
{
    return verdict(syscall(SYS_pidfd_open, getppid(), 0));
}

static int try_keys(void)
{
    return verdict(syscall(SYS_add_key, "user", "x", "y", 1, -3));
}

static int try_user(void)
{
    return verdict(setuid(0));
}

static int try_prctl(void)
{
    return verdict(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int try_filter(void)
{
    return verdict(syscall(SYS_seccomp, 1, 0, NULL));
}

static int try_kill_thread(void)
{
    return verdict(syscall(SYS_tgkill, getppid(), getppid(), 0));
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

/* What would hold memory, descriptors or threads that no limit counts. */
static int try_memory_file(void)
{
    return verdict(memfd_create("x", MFD_CLOEXEC));
}

static int try_truncate(void)
{
    return verdict(ftruncate(file, 1 << 20));
}

static int try_allocate(void)
{
    return verdict(fallocate(file, 0, 0, 1 << 20));
}

static int try_sync(void)
{
    return verdict(fsync(file));
}

static int try_duplicate(void)
{
    return verdict(dup(file));
}

static int try_send(void)
{
    struct msghdr message = {0};
    return verdict(sendmsg(0, &message, 0));
}

static int try_thread(void)
{
    const unsigned long thread =
        CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    long result = syscall(SYS_clone, thread, NULL, NULL, NULL, 0);
    if (result == 0) {
        (void)syscall(SYS_exit, 0);
    }
    return verdict(result);
}

static void test_doors_are_refused(void **state)
{
    static const struct {
        const char *name;
        int (*attempt)(void);
    } attempts[] = {
        {"open", try_open},
        {"open(2)", try_open_old},
        {"openat2", try_openat2},
        {"create", try_create},
        {"unlink", try_unlink},
        {"rename", try_rename},
        {"symlink", try_link},
        {"mkdir", try_mkdir},
        {"chmod", try_chmod},
        {"readlink", try_read_link},
        {"getdents", try_list},
        {"stat", try_stat},
        {"socket", try_socket},
        {"unix", try_unix_socket},
        {"netlink", try_netlink},
        {"socketpair", try_socketpair},
        {"connect", try_connect},
        {"bind", try_bind},
        {"listen", try_listen},
        {"accept", try_accept},
        {"sendto", try_sendto},
        {"io_uring", try_rings},
        {"pidfd_open", try_pidfd},
        {"add_key", try_keys},
        {"setuid", try_user},
        {"prctl", try_prctl},
        {"seccomp", try_filter},
        {"tgkill", try_kill_thread},
        {"setrlimit", try_limit},
        {"setpriority", try_priority},
        {"memfd_create", try_memory_file},
        {"ftruncate", try_truncate},
        {"fallocate", try_allocate},
        {"fsync", try_sync},
        {"dup", try_duplicate},
        {"sendmsg", try_send},
        {"thread", try_thread},
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

static int try_vfork(void)
{
    return verdict(syscall(SYS_vfork));
}

static int try_clone(void)
{
    return verdict(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0));
}

/* What glibc's own posix_spawn asks for: shared memory, another process. */
static int try_clone_shared(void)
{
    return verdict(syscall(SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, 0));
}

static int try_spawn(void)
{
    pid_t pid;
    char *arguments[] = {(char *)"true", NULL};
    int error = posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, NULL);
    errno = error;
    return verdict(error == 0 ? 0 : -1);
}

static int try_exec_memory(void)
{
    char *arguments[] = {(char *)"x", NULL};
    return verdict(fexecve(file, arguments, arguments + 1));
}

static int try_peek(void)
{
    char byte;
    struct iovec vector = {&byte, 1};
    return verdict(process_vm_readv(getppid(), &vector, 1, &vector, 1, 0));
}

static int try_mount(void)
{
    return verdict(mount("none", "/tmp", "tmpfs", 0, NULL));
}

static int try_unshare(void)
{
    return verdict(unshare(CLONE_NEWUSER));
}

static int try_code_later(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return verdict(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

#ifdef __x86_64__
/* The same kernel by its other doors: the numbers of x32, and of 32-bit programs. */
static int try_x32(void)
{
    return verdict(syscall(0x40000000 + SYS_getpid));
}

static int try_i386(void)
{
    long result = 20; /* getpid there */
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    return ALLOWED;
}
#endif

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
        {"exec", try_exec},
        {"exec of memory", try_exec_memory},
        {"fork", try_fork},
        {"fork(2)", try_fork_old},
        {"vfork(2)", try_vfork},
        {"clone(2)", try_clone},
        {"clone with memory", try_clone_shared},
        {"spawn", try_spawn},
        {"system", try_system},
        {"ptrace", try_ptrace},
        {"process_vm_readv", try_peek},
        {"kill", try_kill},
        {"mount", try_mount},
        {"unshare", try_unshare},
        {"code", try_code},
        {"code later", try_code_later},
#ifdef __x86_64__
        {"x32", try_x32},
        {"i386", try_i386},
#endif
    };
    (void)state;
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        int status = status_of(attempts[i].attempt);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) {
            fail_msg("%s ended with %x", attempts[i].name, (unsigned)status);
        }
    }
}

static void thread_runs(void *context)
{
    *(int *)context = 1;
}

static int work_honestly(void)
{
    int ran = 0;
    void *memory = malloc(64 << 20);
    struct hand *hand = crew_start(thread_runs, &ran);
    bool done = memory != NULL && hand != NULL && write(file, "ab", 2) == 2 &&
                pwrite(file, "c", 1, 1) == 1 && lseek(file, 0, SEEK_SET) == 0;
    free(memory);
    if (hand != NULL) {
        crew_wait(hand);
    }
    return done && ran == 1 ? ALLOWED : 1;
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

/* A file ends at its limit: by a signal that says so, or with what was written so far. */
static int write_beyond(void)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    bool below = pwrite(file, "x", 1, SANDBOX_FILE_BYTES_MAX - 1) == 1;
    bool beyond = pwrite(file, "x", 1, SANDBOX_FILE_BYTES_MAX) == 1;
    return beyond ? ALLOWED : below && errno == EFBIG ? REFUSED : 1;
}

static void test_files_are_limited(void **state)
{
    (void)state;
    int status = status_of(write_beyond);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), REFUSED);
}

/* It can't say so itself, in there. */
static int stop_here(void)
{
    (void)raise(SIGSTOP);
    return ALLOWED;
}

static void test_descriptors_are_limited(void **state)
{
    struct rlimit limits;
    int status;
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(sandbox_enter() == 0 ? stop_here() : NO_SANDBOX);
    }
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &limits), 0);
    assert_int_equal(limits.rlim_cur, SANDBOX_DESCRIPTORS_MAX);
    assert_int_equal(limits.rlim_max, SANDBOX_DESCRIPTORS_MAX);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* The filter holds for threads that were there before; no others come. */
static void *open_in_thread(void *argument)
{
    while (!atomic_load((atomic_bool *)argument)) {
        (void)sched_yield();
    }
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == EPERM ? argument : NULL;
}

static void test_threads_are_in_it_too(void **state)
{
    (void)state;
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        atomic_bool open_now = false;
        pthread_t before;
        void *refused = NULL;
        bool made = pthread_create(&before, NULL, open_in_thread, &open_now) == 0;
        bool caged = sandbox_enter() == 0;
        atomic_store(&open_now, true);
        made = made && pthread_join(before, &refused) == 0;
        _exit(made && caged && refused != NULL ? REFUSED : ALLOWED);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doors_are_refused),
        cmocka_unit_test(test_what_no_decoder_does_is_deadly),
        cmocka_unit_test(test_threads_memory_and_descriptors_work),
        cmocka_unit_test(test_memory_is_limited),
        cmocka_unit_test(test_files_are_limited),
        cmocka_unit_test(test_descriptors_are_limited),
        cmocka_unit_test(test_threads_are_in_it_too),
    };
    file = memfd_create("file", MFD_CLOEXEC);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
