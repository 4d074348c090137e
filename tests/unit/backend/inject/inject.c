/* Failures on demand (inject.h): the driver, and the functions that the linker puts in the place of
 * libc's (--wrap=NAME: calls of NAME come to __wrap_NAME, __real_NAME is libc's). */
#include "inject.h"

#include "inject_sqlite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { CALLS_MAX = 20000, IDLE = -1 };

static const char *const kind_names[INJECT_KINDS] = {
    [INJECT_MEMORY] = "memory", [INJECT_FULL] = "full", [INJECT_WRITE] = "write",
    [INJECT_SHORT] = "short",   [INJECT_READ] = "read", [INJECT_SYNC] = "sync",
    [INJECT_NAME] = "name",     [INJECT_OPEN] = "open", [INJECT_THREAD] = "thread",
};

static struct {
    atomic_int armed; /* a kind, or IDLE */
    atomic_uint calls, failed;
    unsigned nth;
    bool from_then_on;
} now = {.armed = IDLE};
static atomic_bool apart_now;

static char last_run[128]; /* for who has to find out why an assertion failed */
static enum inject_kind last_kind;

void inject_start(enum inject_kind kind, unsigned nth, bool from_then_on)
{
    now.nth = nth;
    now.from_then_on = from_then_on;
    atomic_store(&now.calls, 0);
    atomic_store(&now.failed, 0);
    atomic_store(&now.armed, (int)kind);
}

unsigned inject_stop(void)
{
    atomic_store(&now.armed, IDLE);
    return atomic_load(&now.failed);
}

void inject_apart(bool apart)
{
    atomic_store(&apart_now, apart);
}

static void (*_Atomic after_rename)(void);

void inject_after_rename(void (*meanwhile)(void))
{
    atomic_store(&after_rename, meanwhile);
}

enum inject_kind inject_kind_now(void)
{
    return last_kind;
}

bool inject_fails(enum inject_kind kind)
{
    if (atomic_load(&now.armed) != (int)kind) {
        return false;
    }
    unsigned call = atomic_fetch_add(&now.calls, 1) + 1;
    bool fails = now.from_then_on ? call >= now.nth : call == now.nth;
    if (fails) {
        (void)atomic_fetch_add(&now.failed, 1);
    }
    return fails;
}

/* As inject_fails, with the errno of the kind. */
static bool fails(enum inject_kind kind)
{
    static const int numbers[INJECT_KINDS] = {
        [INJECT_MEMORY] = ENOMEM, [INJECT_FULL] = ENOSPC, [INJECT_WRITE] = EIO,
        [INJECT_READ] = EIO,      [INJECT_SYNC] = EIO,    [INJECT_NAME] = EIO,
        [INJECT_OPEN] = EMFILE,
    };
    if (!inject_fails(kind)) {
        return false;
    }
    errno = numbers[kind];
    return true;
}

static bool write_fails(void)
{
    return fails(INJECT_FULL) || fails(INJECT_WRITE);
}

static size_t shortened(size_t length)
{
    return length > 1 && inject_fails(INJECT_SHORT) ? length / 2 : length;
}

/* ---- The driver ---- */

/* True when the n-th call was met. */
static bool run_once(const struct inject_case *what, enum inject_kind kind, unsigned nth,
                     bool from_then_on)
{
    (void)snprintf(last_run, sizeof last_run, "%s: call %u of kind %s fails%s", what->name, nth,
                   kind_names[kind], from_then_on ? ", and all that follow" : "");
    last_kind = kind;
    if (what->prepare != NULL) {
        what->prepare();
    }
    inject_start(kind, nth, from_then_on);
    int result = what->run();
    unsigned failed = inject_stop();
    if (failed == 0) {
        assert_true(result >= 0);
    }
    what->check(result);
    return failed > 0;
}

/* Every n until the operation meets no n-th call; returns how many there were. */
static unsigned run_all(const struct inject_case *what, enum inject_kind kind, bool from_then_on)
{
    bool thin = what->thin && getenv("INJECT_ALL") == NULL;
    unsigned nth = 1;
    while (run_once(what, kind, nth, from_then_on)) {
        nth += thin && nth > 64 ? nth / 8 : 1;
        assert_in_range(nth, 1, CALLS_MAX);
    }
    return nth - 1;
}

static void run_case(const struct inject_case *what)
{
    char told[256] = "";
    for (unsigned kind = 0; kind < INJECT_KINDS; kind++) {
        if ((what->skip & INJECT_BIT(kind)) != 0) {
            continue;
        }
        unsigned calls = run_all(what, (enum inject_kind)kind, false);
        (void)run_all(what, (enum inject_kind)kind, true);
        if (calls > 0) {
            size_t length = strlen(told);
            (void)snprintf(told + length, sizeof told - length, " %s %u", kind_names[kind], calls);
        } else {
            assert_int_equal(what->hits & INJECT_BIT(kind), 0);
        }
    }
    print_message("%s:%s\n", what->name, told);
    last_run[0] = '\0';
}

void inject_each(const struct inject_case *cases, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (cases[i].name != NULL) {
            run_case(&cases[i]);
        }
    }
}

/* ---- Names that are not on the disk yet ---- */

enum { NAMES_MAX = 64, NAME_SIZE = 256 };

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static struct name {
    ino_t folder; /* 0: none */
    char name[NAME_SIZE];
} names[NAMES_MAX];

static ino_t inode_of(int folder_fd)
{
    struct stat status;
    return fstat(folder_fd, &status) == 0 ? status.st_ino : 0;
}

/* Forgets a folder's name, or all of its names (NULL). */
static void forget_names(int folder_fd, const char *name)
{
    ino_t inode = inode_of(folder_fd);
    (void)pthread_mutex_lock(&names_lock);
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        if (names[i].folder == inode && (name == NULL || strcmp(names[i].name, name) == 0)) {
            names[i].folder = 0;
        }
    }
    (void)pthread_mutex_unlock(&names_lock);
}

static void note_name(int folder_fd, const char *name)
{
    forget_names(folder_fd, name);
    ino_t inode = inode_of(folder_fd);
    unsigned i = 0;
    (void)pthread_mutex_lock(&names_lock);
    while (i < NAMES_MAX - 1 && names[i].folder != 0) {
        i++;
    }
    names[i].folder = inode;
    (void)snprintf(names[i].name, sizeof names[i].name, "%s", name);
    (void)pthread_mutex_unlock(&names_lock);
}

unsigned inject_names_unsynced(void)
{
    unsigned count = 0;
    (void)pthread_mutex_lock(&names_lock);
    for (unsigned i = 0; i < NAMES_MAX; i++) {
        count += names[i].folder != 0 ? 1 : 0;
    }
    (void)pthread_mutex_unlock(&names_lock);
    return count;
}

void inject_names_forget(void)
{
    (void)pthread_mutex_lock(&names_lock);
    memset(names, 0, sizeof names);
    (void)pthread_mutex_unlock(&names_lock);
}

/* ---- A test's surroundings ---- */

static char folder[64];
static unsigned descriptors_before;

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *stream = opendir("/proc/self/fd");
    while (stream != NULL && readdir(stream) != NULL) {
        count++;
    }
    (void)closedir(stream);
    return count;
}

static void *json_malloc(size_t bytes)
{
    return malloc(bytes);
}

int inject_install(void **state)
{
    (void)state;
    json_set_alloc_funcs(json_malloc, free);
    return inject_install_sqlite();
}

/* In memory where there is such a disk: the thousands of runs would wait for fsync otherwise. */
int inject_setup(void **state)
{
    (void)state;
    bool shm = access("/dev/shm", W_OK) == 0;
    (void)snprintf(folder, sizeof folder, "%s/tutti-inject-XXXXXX", shm ? "/dev/shm" : "/tmp");
    inject_names_forget();
    descriptors_before = count_descriptors();
    return mkdtemp(folder) != NULL ? 0 : -1;
}

int inject_teardown(void **state)
{
    (void)state;
    (void)inject_stop();
    if (last_run[0] != '\0') {
        print_error("when %s\n", last_run);
        last_run[0] = '\0';
    } else if (count_descriptors() != descriptors_before) {
        print_error("descriptors are left open\n");
        return -1;
    }
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

const char *inject_folder(void)
{
    return folder;
}

/* ---- In the place of libc's ---- */

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes)
{
    return fails(INJECT_MEMORY) ? NULL : __real_malloc(bytes);
}

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails(INJECT_MEMORY) ? NULL : __real_calloc(count, bytes);
}

void *__real_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes)
{
    return fails(INJECT_MEMORY) ? NULL : __real_realloc(old, bytes);
}

void *__real_reallocarray(void *old, size_t count, size_t bytes);
void *__wrap_reallocarray(void *old, size_t count, size_t bytes);
void *__wrap_reallocarray(void *old, size_t count, size_t bytes)
{
    return fails(INJECT_MEMORY) ? NULL : __real_reallocarray(old, count, bytes);
}

void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return fails(INJECT_MEMORY) ? NULL : __real_aligned_alloc(alignment, bytes);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
    return fails(INJECT_MEMORY) ? NULL : __real_strdup(text);
}

int __wrap_asprintf(char **ret_text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **ret_text, const char *format, ...)
{
    if (fails(INJECT_MEMORY)) {
        return -1; /* *ret_text is then undefined: it stays as it was */
    }
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(ret_text, format, arguments);
    va_end(arguments);
    return length;
}

int __real_scandir64(const char *path, struct dirent ***ret_entries,
                     int (*filter)(const struct dirent *),
                     int (*compare)(const struct dirent **, const struct dirent **));
int __wrap_scandir64(const char *path, struct dirent ***ret_entries,
                     int (*filter)(const struct dirent *),
                     int (*compare)(const struct dirent **, const struct dirent **));
int __wrap_scandir64(const char *path, struct dirent ***ret_entries,
                     int (*filter)(const struct dirent *),
                     int (*compare)(const struct dirent **, const struct dirent **))
{
    bool fail = fails(INJECT_MEMORY) || fails(INJECT_OPEN);
    return fail ? -1 : __real_scandir64(path, ret_entries, filter, compare);
}

FILE *__real_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode)
{
    return fails(INJECT_MEMORY) || fails(INJECT_OPEN) ? NULL : __real_fopen64(path, mode);
}

FILE *__real_open_memstream(char **ret_bytes, size_t *ret_length);
FILE *__wrap_open_memstream(char **ret_bytes, size_t *ret_length);
FILE *__wrap_open_memstream(char **ret_bytes, size_t *ret_length)
{
    return fails(INJECT_MEMORY) ? NULL : __real_open_memstream(ret_bytes, ret_length);
}

/* A stream whose write has failed says so until it is closed. */
static bool stream_fails(FILE *stream)
{
    bool fail = write_fails();
    stream->_flags |= fail ? _IO_ERR_SEEN : 0;
    return fail;
}

size_t __real_fwrite(const void *bytes, size_t size, size_t count, FILE *stream);
size_t __wrap_fwrite(const void *bytes, size_t size, size_t count, FILE *stream);
size_t __wrap_fwrite(const void *bytes, size_t size, size_t count, FILE *stream)
{
    bool log = stream == stdout || stream == stderr;
    return !log && stream_fails(stream) ? 0 : __real_fwrite(bytes, size, count, stream);
}

int __real_fflush(FILE *stream);
int __wrap_fflush(FILE *stream);
int __wrap_fflush(FILE *stream)
{
    bool log = stream == NULL || stream == stdout || stream == stderr;
    return !log && stream_fails(stream) ? EOF : __real_fflush(stream);
}

/* It is closed either way. */
int __real_fclose(FILE *stream);
int __wrap_fclose(FILE *stream);
int __wrap_fclose(FILE *stream)
{
    bool fail = write_fails();
    int cause = errno;
    int result = __real_fclose(stream);
    errno = fail ? cause : errno;
    return fail ? EOF : result;
}

DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd)
{
    return fails(INJECT_MEMORY) || fails(INJECT_OPEN) ? NULL : __real_fdopendir(fd);
}

ssize_t __real_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
    if (fd <= STDERR_FILENO) {
        return __real_write(fd, bytes, length); /* logs */
    }
    return write_fails() ? -1 : __real_write(fd, bytes, shortened(length));
}

ssize_t __real_pwrite64(int fd, const void *bytes, size_t length, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t length, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t length, off_t offset)
{
    return write_fails() ? -1 : __real_pwrite64(fd, bytes, shortened(length), offset);
}

ssize_t __real_copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t length,
                               unsigned flags);
ssize_t __wrap_copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t length,
                               unsigned flags);
ssize_t __wrap_copy_file_range(int from, off_t *from_at, int to, off_t *to_at, size_t length,
                               unsigned flags)
{
    if (atomic_load(&apart_now)) {
        errno = EXDEV;
        return -1;
    }
    return write_fails()
               ? -1
               : __real_copy_file_range(from, from_at, to, to_at, shortened(length), flags);
}

int __real_ftruncate64(int fd, off_t bytes);
int __wrap_ftruncate64(int fd, off_t bytes);
int __wrap_ftruncate64(int fd, off_t bytes)
{
    return write_fails() ? -1 : __real_ftruncate64(fd, bytes);
}

ssize_t __real_pread64(int fd, void *bytes, size_t length, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t length, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t length, off_t offset)
{
    return fails(INJECT_READ) ? -1 : __real_pread64(fd, bytes, length, offset);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    int result = fails(INJECT_SYNC) ? -1 : __real_fsync(fd);
    if (result == 0) {
        forget_names(fd, NULL);
    }
    return result;
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
    return fails(INJECT_SYNC) ? -1 : __real_fdatasync(fd);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
    int result = fails(INJECT_NAME) ? -1 : __real_rename(from, to);
    void (*meanwhile)(void) = result == 0 ? atomic_exchange(&after_rename, NULL) : NULL;
    if (meanwhile != NULL) {
        meanwhile();
    }
    return result;
}

int __real_renameat2(int from_folder, const char *from, int to_folder, const char *to,
                     unsigned flags);
int __wrap_renameat2(int from_folder, const char *from, int to_folder, const char *to,
                     unsigned flags);
int __wrap_renameat2(int from_folder, const char *from, int to_folder, const char *to,
                     unsigned flags)
{
    int result =
        fails(INJECT_NAME) ? -1 : __real_renameat2(from_folder, from, to_folder, to, flags);
    if (result == 0) {
        forget_names(from_folder, from);
        note_name(to_folder, to);
    }
    return result;
}

int __real_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags);
int __wrap_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags);
int __wrap_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    int result = fails(INJECT_NAME) ? -1 : __real_linkat(from_folder, from, to_folder, to, flags);
    if (result == 0) {
        note_name(to_folder, to);
    }
    return result;
}

int __real_unlinkat(int base, const char *path, int flags);
int __wrap_unlinkat(int base, const char *path, int flags);
int __wrap_unlinkat(int base, const char *path, int flags)
{
    int result = __real_unlinkat(base, path, flags);
    if (result == 0) {
        forget_names(base, path);
    }
    return result;
}

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode)
{
    return fails(INJECT_NAME) ? -1 : __real_mkdir(path, mode);
}

int __real_mkdirat(int base, const char *path, mode_t mode);
int __wrap_mkdirat(int base, const char *path, mode_t mode);
int __wrap_mkdirat(int base, const char *path, mode_t mode)
{
    int result = fails(INJECT_NAME) ? -1 : __real_mkdirat(base, path, mode);
    if (result == 0) {
        note_name(base, path);
    }
    return result;
}

static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return fails(INJECT_OPEN) ? -1 : __real_open64(path, flags, mode);
}

int __real_openat64(int base, const char *path, int flags, ...);
int __wrap_openat64(int base, const char *path, int flags, ...);
int __wrap_openat64(int base, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return fails(INJECT_OPEN) ? -1 : __real_openat64(base, path, flags, mode);
}

/* Of the program under test this is openat2 alone. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long values[6];
    va_list arguments;
    va_start(arguments, number);
    for (unsigned i = 0; i < 6; i++) {
        values[i] = va_arg(arguments, long);
    }
    va_end(arguments);
    if (fails(INJECT_OPEN)) {
        return -1;
    }
    return __real_syscall(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (command == F_DUPFD_CLOEXEC && fails(INJECT_OPEN)) {
        return -1;
    }
    return __real_fcntl64(fd, command, argument);
}

int __real_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
                          void *(*run)(void *argument), void *argument);
int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
                          void *(*run)(void *argument), void *argument);
int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
                          void *(*run)(void *argument), void *argument)
{
    return inject_fails(INJECT_THREAD)
               ? EAGAIN
               : __real_pthread_create(ret_thread, attributes, run, argument);
}
