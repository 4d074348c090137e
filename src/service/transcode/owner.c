/* Naming processes (owner.h), by /proc. Any thread. */
#include "service/transcode/owner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void read_line(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "re");
    out[0] = '\0';
    if (file != NULL) {
        if (fgets(out, (int)size, file) != NULL) {
            out[strcspn(out, "\n")] = '\0';
        }
        (void)fclose(file);
    }
}

/* Field 22 of /proc/PID/stat, in clock ticks since boot; 0: no such process. */
static unsigned long long start_of(long pid)
{
    char path[64], line[1024];
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    read_line(path, line, sizeof line);
    char *at = strrchr(line, ')'); /* the name may hold anything but is followed by this */
    for (unsigned field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

static void place(char *out, size_t size)
{
    char boot[64], space[64] = "";
    read_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    ssize_t length = readlink("/proc/self/ns/pid", space, sizeof space - 1);
    space[length > 0 ? length : 0] = '\0';
    (void)snprintf(out, size, "%s/%s/", boot, space);
}

void owner_self(char out[OWNER_SIZE])
{
    char where[OWNER_SIZE - 32];
    long pid = getpid();
    place(where, sizeof where);
    (void)snprintf(out, OWNER_SIZE, "%s%ld/%llu", where, pid, start_of(pid));
}

bool owner_is_dead(const char *owner)
{
    char where[OWNER_SIZE - 32];
    long pid;
    unsigned long long start;
    place(where, sizeof where);
    size_t length = strlen(where);
    return length > 2 && strncmp(owner, where, length) == 0 &&
           sscanf(owner + length, "%ld/%llu", &pid, &start) == 2 && start_of(pid) != start;
}
