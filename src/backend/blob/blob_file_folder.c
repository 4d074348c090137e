/* Folders of the file engine: opening below a folder without ever following a link, and making what
 * is missing so that it lasts (blob_file.h, invariant 3). Any thread.
 */
#include "backend/blob/blob_file.h"

#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int blob_file_open_beneath(int base, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;
    do {
        fd = syscall(SYS_openat2, base, path, &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
    if (fd >= 0) {
        return (int)fd;
    }
    return errno == ENOTDIR ? ERR_NOT_FOUND : error_from_errno(errno);
}

int blob_file_open_bucket(struct file_store *store, const char *bucket)
{
    return blob_file_open_beneath(store->objects, bucket, O_RDONLY | O_DIRECTORY);
}

int blob_file_make_synced(int parent, const char *name)
{
    if (mkdirat(parent, name, 0700) == 0 && fsync(parent) == 0) {
        return 0;
    }
    int error = error_from_errno(errno);
    if (error != ERR_EXISTS) {
        (void)unlinkat(parent, name, AT_REMOVEDIR); /* who finds it would take it for lasting */
    }
    return error;
}

int blob_file_make_folder(int parent, const char *name)
{
    int error = blob_file_make_synced(parent, name);
    if (error != 0 && error != ERR_EXISTS) {
        return error;
    }
    return blob_file_open_beneath(parent, name, O_RDONLY | O_DIRECTORY);
}

static int duplicate(int folder)
{
    int fd = fcntl(folder, F_DUPFD_CLOEXEC, 3);
    return fd >= 0 ? fd : error_from_errno(errno);
}

static int make_folders(int base, const char *path, const char *end)
{
    int at = duplicate(base);
    while (at >= 0 && path < end) {
        const char *slash = memchr(path, '/', (size_t)(end - path));
        size_t length = (size_t)((slash != NULL ? slash : end) - path);
        char name[NAME_MAX + 1];
        assert(length < sizeof name);
        memcpy(name, path, length);
        name[length] = '\0';
        int next = blob_file_make_folder(at, name);
        (void)close(at);
        at = next;
        path += length + 1;
    }
    return at;
}

int blob_file_open_parent(struct file_store *store, int base, const char *path, bool make,
                          const char **ret_leaf)
{
    const char *slash = strrchr(path, '/');
    *ret_leaf = slash != NULL ? slash + 1 : path;
    if (slash == NULL) {
        return duplicate(base);
    }
    char folder[BLOB_PATH_MAX];
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    /* Under the lock also when nothing is missing: another thread may just have made the folder and
     * not have synced it yet. */
    pthread_mutex_lock(&store->make_lock);
    int fd = blob_file_open_beneath(base, folder, O_RDONLY | O_DIRECTORY);
    if (fd == ERR_NOT_FOUND && make) {
        fd = make_folders(base, path, slash);
    }
    pthread_mutex_unlock(&store->make_lock);
    return fd;
}
