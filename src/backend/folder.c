/* Folders on disk that last (folder.h). */
#include "backend/folder.h"

#include "base/error.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int folder_sync(const char *path)
{
    int fd CLEANUP_CLOSE = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? 0 : error_from_errno(errno);
}

int folder_sync_of(const char *path)
{
    const char *end = path + strlen(path);
    while (end > path + 1 && end[-1] == '/') {
        end--; /* "a/b/" is held by "a" */
    }
    const char *slash = memrchr(path, '/', (size_t)(end - path));
    size_t length = slash == path ? 1 : slash != NULL ? (size_t)(slash - path) : 0;
    char *folder CLEANUP_FREE = length > 0 ? strndup(path, length) : strdup(".");
    return folder != NULL ? folder_sync(folder) : ERR_NO_MEMORY;
}

int folder_make(const char *path)
{
    if (mkdir(path, 0700) != 0) {
        if (errno != EEXIST) {
            return error_from_errno(errno);
        }
        (void)folder_sync_of(path); /* who made it may have been killed before this */
        return 0;
    }
    int error = folder_sync_of(path);
    if (error != 0) {
        int cause = errno;
        (void)rmdir(path); /* who finds it would take it for lasting */
        errno = cause;
    }
    return error;
}
