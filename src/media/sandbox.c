/* The cage of tutti-media (sandbox.h): resource limits and a seccomp filter by libseccomp. Called
 * by media_main.c, and by its test in a child process.
 *
 * The filter is a list of what is allowed; all else is refused with EPERM, which libraries take as
 * a plain failure (glibc looks for /sys/devices/system/cpu and lives without).
 */
#include "media/sandbox.h"

#include "base/error.h"

#include <errno.h>
#include <malloc.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { ARENAS_MAX = 2 };

static const int allowed[] = {
    /* descriptors that are there; none that makes more of them, or memory outside of RLIMIT_AS */
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    SCMP_SYS(recvmsg),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    /* memory; mmap and mprotect have rules of their own */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    /* threads that are there (crew.h) */
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(gettid),
    SCMP_SYS(getpid),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    /* signals and time */
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(getrusage),
    SCMP_SYS(getrandom),
};

/* No honest code here makes these. */
static const int deadly[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(kill),
    SCMP_SYS(bpf),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(mount),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
};

static bool add_lists(scmp_filter_ctx filter)
{
    bool done = true;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        done = done && seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0) == 0;
    }
    for (size_t i = 0; i < sizeof deadly / sizeof deadly[0]; i++) {
        done = done && seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, deadly[i], 0) == 0;
    }
    return done;
}

/* Calls whose arguments decide. */
static bool add_conditions(scmp_filter_ctx filter)
{
    const scmp_datum_t exec = PROT_EXEC;
    pid_t self = getpid();
    /* One more thread is refused, a process is deadly. clone3 hides its flags behind a pointer:
     * ENOSYS sends glibc to clone. */
    return seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
           /* Code stays what was loaded. */
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, exec, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(mmap), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, exec, exec)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, exec, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(mprotect), 1,
                            SCMP_A2(SCMP_CMP_MASKED_EQ, exec, exec)) == 0 &&
           /* send() to who is connected, never to an address. */
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
                            SCMP_A4(SCMP_CMP_EQ, 0, 0)) == 0 &&
           /* abort() may end ourselves, nobody else. */
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                            SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)self, 0)) == 0;
}

static int set_filter(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL) {
        return ERR_NO_MEMORY;
    }
    /* Another door into the kernel (32 bits) ends all threads, as what is deadly does. */
    bool done = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) == 0 &&
                seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) == 0 &&
                add_lists(filter) && add_conditions(filter) &&
                seccomp_load(filter) == 0; /* sets no_new_privs too */
    seccomp_release(filter);
    return done ? 0 : ERR_UNSUPPORTED;
}

/* Never more than there is: the parent may have limited the first job already. */
static bool limit(int resource, uint64_t value)
{
    struct rlimit limits;
    if (getrlimit((__rlimit_resource_t)resource, &limits) != 0) {
        return false;
    }
    limits.rlim_max = limits.rlim_max < value ? limits.rlim_max : value;
    limits.rlim_cur = limits.rlim_cur < value ? limits.rlim_cur : value;
    return setrlimit((__rlimit_resource_t)resource, &limits) == 0;
}

static bool set_limits(void)
{
    /* Address space counts what is reserved too: few malloc arenas (64 MiB each). */
    (void)mallopt(M_ARENA_MAX, ARENAS_MAX);
#ifndef __SANITIZE_ADDRESS__ /* its shadow alone is terabytes of address space */
    if (!limit(RLIMIT_AS, SANDBOX_MEMORY_BYTES_MAX)) {
        return false;
    }
#endif
    return limit(RLIMIT_CORE, 0) && limit(RLIMIT_FSIZE, SANDBOX_FILE_BYTES_MAX) &&
           limit(RLIMIT_NOFILE, SANDBOX_DESCRIPTORS_MAX);
}

int sandbox_enter(void)
{
    if (!set_limits() || prctl(PR_SET_DUMPABLE, 0) != 0) {
        return ERR_UNSUPPORTED;
    }
    return set_filter();
}
