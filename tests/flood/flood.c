/* flood: a load generator for tests/flood. One process is a flood, another one the listeners that
 * are measured meanwhile; both print their figures as JSON.
 *
 *   flood load --port P --requests FILE [--mode ask|trickle|read] [--connections N] …
 *   flood listen --port P --requests FILE --media-head FILE --media-bytes N --media-seconds S …
 *
 * FILE holds requests as they go over the wire, each followed by a NUL. Clients of `load` come from
 * 127.9.0.1 on, `--addresses` of them in turn; listeners from 127.8.0.1 on, one each.
 */
#include "flood.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void fail(const char *what)
{
    perror(what);
    exit(1);
}

void samples_add(struct samples *samples, int64_t us)
{
    if (samples->count == samples->room) {
        samples->room = samples->room != 0 ? 2 * samples->room : 1024;
        samples->us = realloc(samples->us, samples->room * sizeof *samples->us);
        if (samples->us == NULL) {
            fail("memory");
        }
    }
    samples->us[samples->count++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static int compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static double percentile(const struct samples *samples, double share)
{
    size_t at = (size_t)((double)samples->count * share);
    at = at < samples->count ? at : samples->count - 1;
    return samples->count > 0 ? samples->us[at] / 1000.0 : 0;
}

void samples_print(const char *name, struct samples *samples)
{
    if (samples->count > 0) {
        qsort(samples->us, samples->count, sizeof *samples->us, compare);
    }
    printf("\"%s\":{\"count\":%zu,\"p50\":%.2f,\"p99\":%.2f,\"max\":%.2f}", name, samples->count,
           percentile(samples, 0.5), percentile(samples, 0.99), percentile(samples, 1));
}

void codes_print(const uint64_t codes[CODES])
{
    const char *comma = "";
    printf("\"codes\":{");
    for (unsigned i = 0; i < CODES; i++) {
        if (codes[i] > 0) {
            printf("%s\"%u\":%llu", comma, i, (unsigned long long)codes[i]);
            comma = ",";
        }
    }
    printf("}");
}

static struct text read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct text text = {0};
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        fail(path);
    }
    text.length = (size_t)ftell(file);
    rewind(file);
    text.bytes = calloc(1, text.length + 1);
    if (text.bytes == NULL || fread(text.bytes, 1, text.length, file) != text.length) {
        fail(path);
    }
    (void)fclose(file);
    return text;
}

static void read_requests(const char *path, struct options *options)
{
    struct text all = read_file(path);
    for (size_t at = 0; at < all.length;) {
        size_t length = strlen(all.bytes + at);
        options->requests =
            realloc(options->requests, (options->request_count + 1) * sizeof *options->requests);
        if (options->requests == NULL) {
            fail("memory");
        }
        const char *end = strstr(all.bytes + at, "\r\n\r\n");
        size_t head_length = end != NULL ? (size_t)(end + 4 - (all.bytes + at)) : length;
        options->requests[options->request_count++] =
            (struct text){all.bytes + at, length, head_length};
        at += length + 1;
    }
    if (options->request_count == 0) {
        fail(path);
    }
}

static enum mode mode_of(const char *word)
{
    static const char *const words[] = {"ask", "trickle", "read"};
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(word, words[i]) == 0) {
            return (enum mode)i;
        }
    }
    fail("mode");
}

static const struct option names[] = {
    {"port", required_argument, NULL, 'p'},          {"requests", required_argument, NULL, 'r'},
    {"mode", required_argument, NULL, 'm'},          {"connections", required_argument, NULL, 'c'},
    {"addresses", required_argument, NULL, 'a'},     {"seconds", required_argument, NULL, 's'},
    {"interval-ms", required_argument, NULL, 'i'},   {"pipeline", required_argument, NULL, 'l'},
    {"whole-bytes", required_argument, NULL, 'w'},   {"read-bytes", required_argument, NULL, 'b'},
    {"ramp-s", required_argument, NULL, 'u'},        {"close", no_argument, NULL, 'x'},
    {"media-head", required_argument, NULL, 'h'},    {"media-bytes", required_argument, NULL, 'n'},
    {"media-seconds", required_argument, NULL, 't'}, {NULL, 0, NULL, 0},
};

static void take_option(struct options *options, int letter, const char *value)
{
    unsigned number = value != NULL ? (unsigned)strtoul(value, NULL, 10) : 0;
    switch (letter) {
    case 'p':
        options->port = number;
        break;
    case 'r':
        read_requests(value, options);
        break;
    case 'm':
        options->mode = mode_of(value);
        break;
    case 'c':
        options->connections = number;
        break;
    case 'a':
        options->addresses = number;
        break;
    case 's':
        options->seconds = number;
        break;
    case 'i':
        options->interval_ms = number;
        break;
    case 'l':
        options->pipeline = number;
        break;
    case 'w':
        options->whole_bytes = number;
        break;
    case 'b':
        options->read_bytes = number;
        break;
    case 'u':
        options->ramp_s = number > 0 ? number : 1;
        break;
    case 'x':
        options->keep_alive = 0;
        break;
    case 'h':
        options->media_head = read_file(value);
        break;
    case 'n':
        options->media_bytes = number;
        break;
    case 't':
        options->media_seconds = strtod(value, NULL);
        break;
    default:
        exit(2);
    }
}

int main(int count, char **words)
{
    struct options options = {.connections = 1,
                              .addresses = 1,
                              .seconds = 1,
                              .interval_ms = 1000,
                              .pipeline = 1,
                              .ramp_s = 2,
                              .read_bytes = 1024,
                              .keep_alive = 1};
    if (count < 2) {
        (void)fprintf(stderr, "usage: flood load|listen --port P --requests FILE …\n");
        return 2;
    }
    for (int letter; (letter = getopt_long(count - 1, words + 1, "", names, NULL)) != -1;) {
        take_option(&options, letter, optarg);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (strcmp(words[1], "listen") == 0 ? listen_run : load_run)(&options);
    return 0;
}
