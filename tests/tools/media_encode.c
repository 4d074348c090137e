/* media-encode: a sound file into renditions, without a server. For tests and bench/ladder.
 *
 *   media-encode [--threads N] IN OUTDIR [FORMAT[-KBPS]…]    e.g. aac-160 mp3-320 opus-96 flac;
 *                                                             without: the ladder's nine
 * Writes OUTDIR/FILE of each, and one JSON array of what they are on standard output.
 */
#include "base/mem.h"
#include "base/problem.h"
#include "media/decode.h"
#include "media/ladder.h"

#include <fcntl.h>
#include <jansson.h>
#include <libavutil/log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const nine[] = {"aac-96",  "aac-160", "aac-320",  "mp3-96",  "mp3-160",
                                   "mp3-320", "opus-96", "opus-160", "opus-320"};

static void die(const char *what, const struct problem *problem)
{
    (void)fprintf(stderr, "media-encode: %s%s%s\n", what, problem != NULL ? ": " : "",
                  problem != NULL ? problem->detail : "");
    exit(1);
}

/* Opens the input; its decoder lives to the end of the program. */
static struct decoder *open_input(const char *path)
{
    struct decoder *decoder = NULL;
    struct failure failure = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int64_t bytes = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    if (fd < 0 || decoder_open(fd, bytes, &failure, &decoder) != 0) {
        die(fd < 0 ? "the input can't be opened" : failure.reason, NULL);
    }
    return decoder;
}

static void push_all(struct decoder *decoder, struct ladder *ladder)
{
    struct failure failure = {0};
    struct problem problem = {0};
    const float *const *planes = NULL;
    unsigned frames = 0;
    int status;
    while ((status = decoder_next(decoder, &planes, &frames, &failure)) > 0) {
        if (ladder_write(ladder, planes, frames, &problem) != 0) {
            die("encoding", &problem);
        }
    }
    if (status < 0) {
        die(failure.reason, NULL);
    }
}

static void parse_spec(const char *word, struct encode_spec *spec)
{
    char name[16] = "";
    spec->bitrate_kbps = 0;
    if (sscanf(word, "%15[a-z0-9]-%u", name, &spec->bitrate_kbps) < 1 ||
        !encode_format_parse(name, &spec->format)) {
        die("no such rendition", NULL);
    }
}

/* Into a file without a name first: what it is called is known when it is done. */
static int open_output(const char *directory)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
    if (fd < 0) {
        die("the output directory can't be written to", NULL);
    }
    return fd;
}

static void name_output(int fd, const char *directory, const char *name)
{
    char from[64], to[4096];
    (void)snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    (void)snprintf(to, sizeof to, "%s/%s", directory, name);
    (void)unlink(to);
    if (linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) != 0) {
        die("a file can't be named", NULL);
    }
}

static json_t *to_json(const struct rendition_info *info)
{
    json_t *fragments = json_array();
    for (unsigned i = 0; i < info->fragment_count; i++) {
        json_array_append_new(fragments, json_pack("[I, I]", (json_int_t)info->fragments[2 * i],
                                                   (json_int_t)info->fragments[2 * i + 1]));
    }
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:i, s:I, s:I, s:I, s:I, s:I, s:o}",
                     "format", info->format, "bitrate", (int)info->bitrate, "file", info->file,
                     "mime", info->mime, "codecs", info->codecs, "bytes", (json_int_t)info->bytes,
                     "samples", (json_int_t)info->samples, "timescale", (json_int_t)info->timescale,
                     "channels", (int)info->channels, "initBytes", (json_int_t)info->init_bytes,
                     "indexBytes", (json_int_t)info->index_bytes, "firstFragmentEnd",
                     (json_int_t)info->first_fragment_end, "bandwidthPeak",
                     (json_int_t)info->bandwidth_peak, "bandwidthAverage",
                     (json_int_t)info->bandwidth_average, "fragments", fragments);
}

int main(int argc, char **argv)
{
    struct encode_spec specs[LADDER_RENDITIONS_MAX];
    struct ladder_config config = {.specs = specs};
    if (argc > 2 && strcmp(argv[1], "--threads") == 0) {
        config.threads = (unsigned)atoi(argv[2]);
        argv += 2;
        argc -= 2;
    }
    if (argc < 3 || argc - 3 > LADDER_RENDITIONS_MAX) {
        die("usage: media-encode [--threads N] IN OUTDIR [FORMAT[-KBPS]…]", NULL);
    }
    const char *const *words = argc > 3 ? (const char *const *)argv + 3 : nine;
    config.spec_count = argc > 3 ? (unsigned)argc - 3 : COUNT_OF(nine);
    for (unsigned i = 0; i < config.spec_count; i++) {
        parse_spec(words[i], &specs[i]);
        specs[i].fd = open_output(argv[2]);
    }
    av_log_set_level(AV_LOG_ERROR);
    struct decoder *decoder = open_input(argv[1]);
    config.source = decoder_sound(decoder)->pcm;
    struct ladder *ladder = NULL;
    struct problem problem = {0};
    if (ladder_new(&config, &problem, &ladder) != 0) {
        die("starting", &problem);
    }
    push_all(decoder, ladder);
    if (ladder_finish(ladder, &problem) != 0) {
        die("finishing", &problem);
    }
    json_t *renditions = json_array();
    for (unsigned i = 0; i < config.spec_count; i++) {
        const struct rendition_info *info = ladder_info(ladder, i);
        name_output(specs[i].fd, argv[2], info->file);
        (void)close(specs[i].fd);
        json_array_append_new(renditions, to_json(info));
    }
    json_dumpf(renditions, stdout, JSON_COMPACT);
    (void)putchar('\n');
    json_decref(renditions);
    ladder_free(ladder);
    decoder_free(decoder);
    return 0;
}
