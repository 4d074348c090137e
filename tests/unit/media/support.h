/* For the tests of media/: sounds made by the ffmpeg command, a temporary folder each, and decoding
 * them with it as the reference. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Chords that beat against each other, stereo, with some high notes: about -11 LUFS. */
#define SUPPORT_CHORD                                                                              \
    "aevalsrc='0.3*sin(2*PI*440*t)+0.1*sin(2*PI*1234*t)|0.3*sin(2*PI*554*t)+0.05*sin(2*PI*9000*t)" \
    "*sin(2*PI*3*t)':s=44100:d="

static char support_folder[64];

static inline int support_setup(void **state)
{
    (void)state;
    (void)snprintf(support_folder, sizeof support_folder, "/tmp/tutti-media-test-XXXXXX");
    return mkdtemp(support_folder) != NULL ? 0 : -1;
}

static inline int support_teardown(void **state)
{
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -r %s", support_folder);
    return system(command);
}

/* Runs a shell command in the folder; it must succeed. */
__attribute__((format(printf, 1, 2))) static inline void support_run(const char *format, ...)
{
    char arguments[2048], command[4096];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(arguments, sizeof arguments, format, list);
    va_end(list);
    (void)snprintf(command, sizeof command, "cd %s && %s", support_folder, arguments);
    assert_int_equal(system(command), 0);
}

/* The first line that a command prints in the folder, as a number. */
__attribute__((format(printf, 1, 2))) static inline double support_number(const char *format, ...)
{
    char arguments[2048], command[4096], line[256] = "";
    va_list list;
    va_start(list, format);
    (void)vsnprintf(arguments, sizeof arguments, format, list);
    va_end(list);
    (void)snprintf(command, sizeof command, "cd %s && %s", support_folder, arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(line, sizeof line, pipe));
    (void)pclose(pipe);
    return strtod(line, NULL);
}

static inline int support_open(const char *name, int64_t *ret_bytes)
{
    char path[256];
    struct stat stat;
    (void)snprintf(path, sizeof path, "%s/%s", support_folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &stat), 0);
    *ret_bytes = stat.st_size;
    return fd;
}
