/* Who a command works as (owner.h). The owner is who the keys' folder belongs to, or else the data
 * directory, or the nearest folder above it that is there. Of root's capabilities those are kept
 * that pass over the rights of files, but not in effect (backend/rights.h); programs that are
 * started get none of them. */
#include "boot/owner.h"

#include "backend/rights.h"
#include "boot/place.h"

#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
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

/* Those at the end, where lstat would go through a link. */
static void cut_slashes(char *path)
{
    for (size_t end = strlen(path); end > 1 && path[end - 1] == '/'; end--) {
        path[end - 1] = '\0';
    }
}

static bool find_owner(const struct place *place, struct stat *ret_status)
{
    char path[PATH_MAX];
    bool fits = (size_t)snprintf(path, sizeof path, "%s", place->keys) < sizeof path;
    cut_slashes(path);
    /* A link is its maker's: it could lead to a folder of whomever the maker would like to be. */
    if (fits && lstat(path, ret_status) == 0 && ret_status->st_uid != 0) {
        return true;
    }
    bool more = (size_t)snprintf(path, sizeof path, "%s", place->data) < sizeof path;
    while (more && stat(path, ret_status) != 0) {
        more = go_up(path);
    }
    return more && ret_status->st_uid != 0;
}

/* The groups as sudo -u gives them. */
static bool take_groups(const struct passwd *user, gid_t group)
{
    return (user != NULL ? initgroups(user->pw_name, group) : setgroups(0, NULL)) == 0 &&
           setresgid(group, group, group) == 0;
}

void owner_become(const struct place *place)
{
    struct stat owner;
    if (geteuid() != 0 || !find_owner(place, &owner)) {
        return;
    }
    const struct passwd *user = getpwuid(owner.st_uid);
    (void)prctl(PR_SET_KEEPCAPS, 1);
    if (take_groups(user, owner.st_gid)) {
        if (setresuid(owner.st_uid, owner.st_uid, owner.st_uid) == 0) {
            rights_keep();
            /* Libraries read files there, and take root's for broken ones. */
            (void)setenv("HOME", user != NULL ? user->pw_dir : "/", 1);
        } else {
            (void)setresgid(0, 0, 0);
        }
    }
    (void)prctl(PR_SET_KEEPCAPS, 0);
}
