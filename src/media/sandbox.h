/* The cage of the media process: what a decoder that went wild cannot do.
 *
 * sandbox_enter is called once, when everything is loaded, all threads there will be are made
 * (crew.h), and before the first byte from outside is read. Afterwards the process can compute, and
 * use the threads and descriptors that it has or is sent. It cannot make more of either, open,
 * create, rename or list files, make sockets, or see other processes: those calls fail with EPERM.
 * A call that no honest code of ours can make (exec, ptrace, a new process, memory both writable
 * and executable) ends the process at once.
 *
 * The limits: memory by RLIMIT_AS (SANDBOX_MEMORY_BYTES_MAX; not under AddressSanitizer), no core
 * files, files of at most SANDBOX_FILE_BYTES_MAX, and of less where the parent says so for a job,
 * SANDBOX_DESCRIPTORS_MAX descriptors. CPU time is limited per job by the parent:
 * with prlimit(2), whose signal can be ignored in here, and by a look at the process's clock at
 * every turn, which can't be undone (service/transcode/child.c).
 */
#pragma once

#include <stdint.h>

#define SANDBOX_MEMORY_BYTES_MAX ((uint64_t)1536 << 20)
#define SANDBOX_FILE_BYTES_MAX   ((uint64_t)16 << 30)
#define SANDBOX_DESCRIPTORS_MAX  64 /* a job has MEDIA_JOB_FDS_MAX, beside those that stay */

/* 0, or ERR_UNSUPPORTED where the kernel has no seccomp filters: then nothing may be decoded. */
int sandbox_enter(void);
