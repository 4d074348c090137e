/* Root's rights over files (rights.h). Capabilities are in a thread's permitted set and go to its
 * effective one for a while. */
#include "backend/rights.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LINKS_MAX = 40 }; /* as the kernel follows */

static bool kept;
static _Thread_local bool begun;

/* Of the permitted ones only those over files are left. */
static void set_in_effect(bool in_effect)
{
    static const __u32 files =
        1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH | 1U << CAP_FOWNER;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (syscall(SYS_capget, &header, sets) == 0) {
        const __u32 mine = sets[0].permitted & files;
        const struct __user_cap_data_struct wanted[_LINUX_CAPABILITY_U32S_3] = {
            {.effective = in_effect ? mine : 0, .permitted = mine}};
        (void)syscall(SYS_capset, &header, wanted);
    }
}

void rights_keep(void)
{
    kept = true;
    set_in_effect(false);
}

/* Whether the user could put something else at a name. access(2) asks for the user alone, whatever
 * is in effect; where names are sticky (/tmp) those of others can't be changed. */
static bool is_changeable(int folder, const char *name)
{
    struct stat status, inner;
    if (fstat(folder, &status) != 0 || status.st_uid == getuid()) {
        return true;
    }
    if (faccessat(folder, ".", W_OK, 0) != 0) {
        return false;
    }
    return (status.st_mode & S_ISVTX) == 0 ||
           fstatat(folder, name, &inner, AT_SYMLINK_NOFOLLOW) != 0 || inner.st_uid == getuid();
}

/* A way that is gone along: the folder where it is, and the names that follow. */
struct way {
    int at;
    unsigned links;
    char rest[PATH_MAX];
};

/* The next name, which begins the rest then; false: there is none. */
static bool look_ahead(struct way *way, char name[PATH_MAX])
{
    const char *from = way->rest + strspn(way->rest, "/");
    size_t length = strcspn(from, "/");
    memcpy(name, from, length);
    name[length] = '\0';
    memmove(way->rest, from, strlen(from) + 1);
    return length > 0;
}

static void drop_name(struct way *way)
{
    const char *from = way->rest + strcspn(way->rest, "/");
    memmove(way->rest, from, strlen(from) + 1);
}

/* errno stays. */
static void leave(const struct way *way)
{
    int cause = errno;
    if (way->at >= 0) {
        (void)close(way->at);
    }
    errno = cause;
}

static bool go_into(struct way *way, int folder, const char *name)
{
    int next = openat(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    leave(way);
    way->at = next;
    return next >= 0;
}

/* What the link says comes before the rest. */
static bool take_link(struct way *way, const char *name)
{
    char whole[2 * PATH_MAX];
    ssize_t length = readlinkat(way->at, name, whole, PATH_MAX);
    if (length <= 0 || length == PATH_MAX || ++way->links > LINKS_MAX) {
        return false;
    }
    (void)snprintf(whole + length, sizeof whole - (size_t)length, "%s", way->rest);
    bool fits = strlen(whole) < sizeof way->rest;
    if (fits) {
        memcpy(way->rest, whole, strlen(whole) + 1);
    }
    return fits && (whole[0] != '/' || go_into(way, AT_FDCWD, "/"));
}

/* Goes on by a name. False: no further, *ret_firm says whether all up to here is. */
static bool step(struct way *way, bool *ret_firm)
{
    char name[PATH_MAX];
    struct stat status;
    *ret_firm = true;
    if (!look_ahead(way, name)) {
        return false;
    }
    *ret_firm = !is_changeable(way->at, name);
    if (!*ret_firm || fstatat(way->at, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return false; /* behind a name that is not there nothing leads elsewhere */
    }
    drop_name(way);
    bool further = S_ISLNK(status.st_mode)   ? take_link(way, name)
                   : S_ISDIR(status.st_mode) ? go_into(way, way->at, name)
                                             : false;
    *ret_firm = further || S_ISREG(status.st_mode);
    return further;
}

/* With the rights in effect. Whether the path is firm; if not, the way ends in the folder where the
 * user could change the next name, if it was found. The caller closes it. */
static bool go(struct way *way, int folder, const char *path)
{
    *way = (struct way){.at = -1};
    bool absolute = path[0] == '/';
    bool firm = strlen(path) < sizeof way->rest &&
                go_into(way, absolute ? AT_FDCWD : folder, absolute ? "/" : ".");
    if (firm) {
        memcpy(way->rest, path, strlen(path) + 1);
        while (step(way, &firm)) {
        }
    }
    return firm;
}

void rights_begin_beneath(void)
{
    assert(!begun);
    begun = true;
    if (kept) {
        set_in_effect(true);
    }
}

void rights_begin(int folder, const char *path)
{
    struct way way;
    rights_begin_beneath();
    if (kept) {
        set_in_effect(go(&way, folder, path));
        leave(&way);
    }
}

void rights_end(void)
{
    int cause = errno;
    assert(begun);
    begun = false;
    if (kept) {
        set_in_effect(false);
    }
    errno = cause;
}

/* Goes with the rights as far as the path is firm. True: all of it is, and they are in effect; else
 * the user has to go on alone, from *ret_way. */
static bool begin_with(struct way *ret_way, int folder, const char *path)
{
    rights_begin_beneath();
    bool firm = go(ret_way, folder, path);
    set_in_effect(firm);
    return firm;
}

int rights_open(int folder, const char *path, int flags)
{
    int fd = openat(folder, path, flags);
    if (fd < 0 && errno == EACCES && kept) {
        struct way way;
        bool firm = begin_with(&way, folder, path);
        fd = firm ? openat(folder, path, flags) : openat(way.at, way.rest, flags);
        rights_end();
        leave(&way);
    }
    return fd;
}

int rights_stat(int folder, const char *path, struct stat *ret_status)
{
    int result = fstatat(folder, path, ret_status, 0);
    if (result != 0 && errno == EACCES && kept) {
        struct way way;
        bool firm = begin_with(&way, folder, path);
        result =
            firm ? fstatat(folder, path, ret_status, 0) : fstatat(way.at, way.rest, ret_status, 0);
        rights_end();
        leave(&way);
    }
    return result;
}
