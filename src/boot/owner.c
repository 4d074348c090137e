/* Who a command works as (owner.h). The owner is who the keys' folder belongs to, or else the data
 * directory, or the nearest folder above it that is there. Of root's capabilities those are kept
 * that pass over the rights of files; programs that are started get none of them. */
#include "boot/owner.h"

#include "boot/place.h"

#include <grp.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Cuts a path's last name off; false: there is nothing above. */
static bool go_up(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL || path[1] == '\0') {
        return false;
    }
    slash[slash == path ? 1 : 0] = '\0';
    return true;
}

static bool find_owner(const struct place *place, struct stat *ret_status)
{
    char path[PATH_MAX];
    if (stat(place->keys, ret_status) == 0 && ret_status->st_uid != 0) {
        return true;
    }
    bool more = (size_t)snprintf(path, sizeof path, "%s", place->data) < sizeof path;
    while (more && stat(path, ret_status) != 0) {
        more = go_up(path);
    }
    return more && ret_status->st_uid != 0;
}

/* Makes those of the kept capabilities effective again that pass over files' rights. */
static void keep_files_open(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct kept[_LINUX_CAPABILITY_U32S_3] = {{0}};
    static const __u32 wanted =
        1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH | 1U << CAP_FOWNER;
    if (syscall(SYS_capget, &header, kept) == 0) {
        const struct __user_cap_data_struct mine = {.effective = kept[0].permitted & wanted,
                                                    .permitted = kept[0].permitted & wanted};
        const struct __user_cap_data_struct set[_LINUX_CAPABILITY_U32S_3] = {mine};
        (void)syscall(SYS_capset, &header, set);
    }
}

void owner_become(const struct place *place)
{
    struct stat owner;
    if (geteuid() != 0 || !find_owner(place, &owner)) {
        return;
    }
    (void)prctl(PR_SET_KEEPCAPS, 1);
    if (setgroups(0, NULL) == 0 && setresgid(owner.st_gid, owner.st_gid, owner.st_gid) == 0) {
        if (setresuid(owner.st_uid, owner.st_uid, owner.st_uid) == 0) {
            keep_files_open();
        } else {
            (void)setresgid(0, 0, 0);
        }
    }
    (void)prctl(PR_SET_KEEPCAPS, 0);
}
