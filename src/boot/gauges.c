/* Gauges of the process (gauges.h). The names of process_* are those of Prometheus' own client
 * libraries, so that dashboards made for any program fit.
 */
#include "boot/gauges.h"

#include "base/mem.h"
#include "boot/config.h"
#include "boot/platform.h"
#include "net/metrics.h"
#include "version.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* A directory whose file system is watched. Nothing else is asked of an object store elsewhere. */
struct disk {
    const char *label, *path;
};

static struct disk disks[] = {{.label = "of=\"data\""}, {.label = "of=\"objects\""}};
static int64_t started_us;

static int64_t ask_free(void *argument)
{
    const struct disk *disk = argument;
    struct statvfs about;
    return statvfs(disk->path, &about) == 0 ? (int64_t)(about.f_bavail * about.f_frsize)
                                            : METRIC_UNKNOWN;
}

static int64_t ask_size(void *argument)
{
    const struct disk *disk = argument;
    struct statvfs about;
    return statvfs(disk->path, &about) == 0 ? (int64_t)(about.f_blocks * about.f_frsize)
                                            : METRIC_UNKNOWN;
}

static int64_t ask_inodes(void *argument)
{
    const struct disk *disk = argument;
    struct statvfs about;
    /* Some file systems make inodes as they need them, and say 0 of 0. */
    return statvfs(disk->path, &about) == 0 && about.f_files > 0 ? (int64_t)about.f_favail
                                                                 : METRIC_UNKNOWN;
}

static void watch_disks(const struct config *config)
{
    const char *store = config_text(config, CONFIG_BLOB_STORE);
    disks[0].path = config_data(config);
    disks[1].path = strncmp(store, "file:", 5) == 0 ? store + 5 : NULL;
    for (size_t i = 0; i < COUNT_OF(disks) && disks[i].path != NULL; i++) {
        const char *label = disks[i].label;
        metric_ask("tutti_disk_free_bytes", "Room for us on the file system.", label, ask_free,
                   &disks[i]);
        metric_ask("tutti_disk_size_bytes", "Size of the file system.", label, ask_size, &disks[i]);
        metric_ask("tutti_disk_free_inodes", "Files that the file system can still take.", label,
                   ask_inodes, &disks[i]);
    }
}

/* A field of /proc/self/statm, in pages. */
static int64_t statm(unsigned field)
{
    long long values[2] = {-1, -1};
    FILE *file = fopen("/proc/self/statm", "re");
    int read = file != NULL ? fscanf(file, "%lld %lld", &values[0], &values[1]) : 0;
    (void)(file != NULL ? fclose(file) : 0);
    return read == 2 ? values[field] * sysconf(_SC_PAGESIZE) : METRIC_UNKNOWN;
}

static int64_t ask_virtual(void *argument)
{
    (void)argument;
    return statm(0);
}

static int64_t ask_resident(void *argument)
{
    (void)argument;
    return statm(1);
}

static int64_t ask_cpu(void *argument)
{
    (void)argument;
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static int64_t ask_descriptors(void *argument)
{
    (void)argument;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) {
        return METRIC_UNKNOWN;
    }
    int64_t count = -1; /* the folder's own */
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(folder);
    return count;
}

static int64_t ask_descriptors_max(void *argument)
{
    (void)argument;
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY
               ? (int64_t)limit.rlim_cur
               : METRIC_UNKNOWN;
}

static int64_t ask_started(void *argument)
{
    return *(const int64_t *)argument;
}

static void watch_process(void)
{
    static const struct {
        enum metric_kind kind;
        const char *name, *help;
        int64_t (*ask)(void *argument);
    } rows[] = {
        {METRIC_COUNTER_US, "process_cpu_seconds_total", "CPU time, user and system.", ask_cpu},
        {METRIC_GAUGE, "process_resident_memory_bytes", "Memory in use.", ask_resident},
        {METRIC_GAUGE, "process_virtual_memory_bytes", "Address space in use.", ask_virtual},
        {METRIC_GAUGE, "process_open_fds", "Descriptors that are open.", ask_descriptors},
        {METRIC_GAUGE, "process_max_fds", "Descriptors that may be open.", ask_descriptors_max},
        {METRIC_GAUGE_US, "process_start_time_seconds", "When the process started.", ask_started},
    };
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    started_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        metric_ask_kind(rows[i].kind, rows[i].name, rows[i].help, "", rows[i].ask, &started_us);
    }
    metric_set(metric_get(METRIC_GAUGE, "tutti_build_info", "1, with the version as a label.",
                          "version=\"" TUTTI_VERSION "\""),
               1);
}

void gauges_begin(const struct config *config, struct platform *platform)
{
    watch_process();
    watch_disks(config);
    platform_gauges(platform);
}

void gauges_end(void)
{
    metric_ask_end(&started_us);
    for (size_t i = 0; i < COUNT_OF(disks); i++) {
        metric_ask_end(&disks[i]);
    }
}
