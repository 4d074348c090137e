/* What would be on the disk: preloaded into a process under test, it keeps beside the data
 * directory a second, durable image of it, to which only fsync and fdatasync add. Everything else
 * that the process writes, truncates, makes, renames or removes is in the directory (the page
 * cache, as it were) and not in the image; after a SIGKILL the harness (disk.py) puts the image, or
 * a mixture of both, in the directory's place: a power cut.
 *
 *   TUTTI_FAULT_ROOT    the data directory; other files are none of ours
 *
 *   TUTTI_FAULT_DISK    the image: f/KEY has the bytes of a file at its last sync, d/KEY the
 *                       entries of a folder at its last sync, one a line: kind, key, name
 *
 *   TUTTI_FAULT_BROKEN  paths that begin with this are synced in vain: the answer is 0 and nothing
 *                       is kept, as by a disk that lies
 *
 *   TUTTI_FAULT_DIE     the process gets SIGKILL when it has asked for so many syncs, before the
 *                       last of them is made
 *
 * KEY is inode and time of birth, so that an inode given out anew is another file. A name is
 * durable only when its folder was synced, bytes only when the file was: the strict reading of
 * POSIX, which no file system promises more than. Real syncs are not made: they would only take
 * time.
 *
 * Called on any thread of the process; the harness calls fault_disk_key and fault_disk_settle.
 * Limits: changes through mmap without msync are never durable (SQLite's -shm, rightly); files
 * synced through another process's descriptor count, since the image is made from the file itself.
 */
#include "fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BLOCK_BYTES = 64 * 1024, KEY_MAX = 64, FOLDERS_OPEN_MAX = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char bytes_now[BLOCK_BYTES], bytes_kept[BLOCK_BYTES]; /* under lock */

static _Noreturn void give_up(const char *what)
{
    (void)dprintf(STDERR_FILENO, "tutti-fault: %s: %s\n", what, strerror(errno));
    abort();
}

static bool key_at(int folder, const char *name, char out[KEY_MAX], mode_t *ret_mode)
{
    struct statx status;
    int flags = AT_SYMLINK_NOFOLLOW | (name[0] == '\0' ? AT_EMPTY_PATH : 0);
    if (statx(folder, name, flags, STATX_TYPE | STATX_INO | STATX_BTIME, &status) != 0) {
        return false;
    }
    (void)snprintf(out, KEY_MAX, "%llu-%lld-%u", (unsigned long long)status.stx_ino,
                   (long long)status.stx_btime.tv_sec, status.stx_btime.tv_nsec);
    *ret_mode = status.stx_mode & S_IFMT;
    return true;
}

/* A file of the image, opened and locked against other processes that sync the same. */
static int open_kept(const char *disk, const char *key)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/f/%s", disk, key);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) {
        give_up(path);
    }
    return fd;
}

/* A descriptor to read fd's file by, and whether it is to be closed. Where fd reads, it is fd: to
 * close another descriptor of the same file would take SQLite its locks. */
static int open_reading(int fd, bool *ret_own)
{
    int flags = fcntl(fd, F_GETFL);
    *ret_own = (flags & O_ACCMODE) == O_WRONLY;
    if (!*ret_own) {
        return fd;
    }
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Writes what differs; the number of bytes, or -1. */
static off_t copy_changes(int from, int kept)
{
    off_t at = 0;
    ssize_t got;
    while ((got = pread(from, bytes_now, BLOCK_BYTES, at)) > 0) {
        ssize_t had = pread(kept, bytes_kept, (size_t)got, at);
        if ((had != got || memcmp(bytes_now, bytes_kept, (size_t)got) != 0) &&
            pwrite(kept, bytes_now, (size_t)got, at) != got) {
            return -1;
        }
        at += got;
    }
    return got < 0 ? -1 : at;
}

/* Brings the kept bytes to what the file holds. */
static void keep_file(const char *disk, int fd, const char *key)
{
    bool own = false;
    int from = open_reading(fd, &own);
    int kept = open_kept(disk, key);
    off_t bytes = from >= 0 ? copy_changes(from, kept) : -1;
    struct stat status;
    if (bytes < 0 || ftruncate(kept, bytes) != 0 || fstat(from, &status) != 0) {
        give_up("the image can't be written");
    }
    const struct timespec times[2] = {status.st_atim, status.st_mtim};
    (void)futimens(kept, times);
    if (own) {
        (void)close(from);
    }
    (void)close(kept);
}

static void write_entries(int folder, FILE *out)
{
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
    if (stream == NULL) {
        if (copy >= 0) {
            (void)close(copy);
        }
        return; /* removed already: nothing is in it */
    }
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        char key[KEY_MAX];
        mode_t mode;
        bool own = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        if (!own && key_at(folder, entry->d_name, key, &mode)) {
            (void)fprintf(out, "%c %s %s\n", S_ISDIR(mode) ? 'd' : 'f', key, entry->d_name);
        }
    }
    (void)closedir(stream);
}

/* The folder's entries, replaced in one step. */
static void keep_folder(const char *disk, int fd, const char *key)
{
    char path[PATH_MAX], fresh[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/d/%s", disk, key);
    (void)snprintf(fresh, sizeof fresh, "%s/d/.%s.%d", disk, key, getpid());
    FILE *out = fopen(fresh, "we");
    if (out == NULL) {
        give_up(fresh);
    }
    write_entries(fd, out);
    if (fclose(out) != 0 || rename(fresh, path) != 0) {
        give_up(path);
    }
}

static void keep(const char *disk, int fd)
{
    char key[KEY_MAX];
    mode_t mode;
    (void)pthread_mutex_lock(&lock);
    if (key_at(fd, "", key, &mode) && S_ISDIR(mode)) {
        keep_folder(disk, fd, key);
    } else if (S_ISREG(mode)) {
        keep_file(disk, fd, key);
    }
    (void)pthread_mutex_unlock(&lock);
}

static bool path_of(int fd, char out[PATH_MAX])
{
    char link[64];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, out, PATH_MAX - 1);
    out[length > 0 ? length : 0] = '\0';
    return length > 0;
}

static bool begins(const char *path, const char *prefix)
{
    return prefix != NULL && strncmp(path, prefix, strlen(prefix)) == 0;
}

/* The mtime of what the process wrote, by the clock it believes in. */
static void stamp(int fd)
{
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};
    if (fault_clock_now(&times[1])) {
        (void)futimens(fd, times);
    }
}

static void die_in_time(void)
{
    static atomic_long syncs;
    const char *at = getenv("TUTTI_FAULT_DIE");
    if (at != NULL && atomic_fetch_add(&syncs, 1) + 1 == strtol(at, NULL, 10)) {
        (void)kill(getpid(), SIGKILL);
    }
}

static int sync_fd(int fd)
{
    const char *root = getenv("TUTTI_FAULT_ROOT"), *disk = getenv("TUTTI_FAULT_DISK");
    char path[PATH_MAX];
    if (fcntl(fd, F_GETFD) < 0) {
        return -1; /* EBADF */
    }
    stamp(fd);
    if (disk == NULL || !path_of(fd, path) || !begins(path, root)) {
        return 0;
    }
    die_in_time();
    if (!begins(path, getenv("TUTTI_FAULT_BROKEN"))) {
        keep(disk, fd);
    }
    return 0;
}

int fsync(int fd)
{
    return sync_fd(fd);
}

int fdatasync(int fd)
{
    return sync_fd(fd);
}

/* Takes one file or folder (not what is in it) as it is now for durable. */
int fault_disk_settle(const char *disk, const char *path)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    keep(disk, fd);
    (void)close(fd);
    return 0;
}

static int keep_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)where;
    (void)status;
    if (kind == FTW_F || kind == FTW_D) {
        (void)fault_disk_settle(getenv("TUTTI_FAULT_DISK"), path); /* gone meanwhile: never mind */
    }
    return 0;
}

/* Of what is below the descriptor's folder alone: to open and close SQLite's files here would take
 * it its locks. */
int syncfs(int fd)
{
    const char *root = getenv("TUTTI_FAULT_ROOT");
    char path[PATH_MAX];
    if (getenv("TUTTI_FAULT_DISK") != NULL && path_of(fd, path) && begins(path, root) &&
        !begins(path, getenv("TUTTI_FAULT_BROKEN"))) {
        (void)nftw(path, keep_one, FOLDERS_OPEN_MAX, FTW_PHYS);
    }
    return 0;
}

/* For the harness. */

/* "KIND KEY" of a path; 0, or -1 with errno. */
int fault_disk_key(const char *path, char *out, size_t size)
{
    char key[KEY_MAX];
    mode_t mode;
    if (!key_at(AT_FDCWD, path, key, &mode)) {
        return -1;
    }
    (void)snprintf(out, size, "%c %s", S_ISDIR(mode) ? 'd' : 'f', key);
    return 0;
}
