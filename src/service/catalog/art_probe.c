/* Kind and size of a picture from its header (art_probe.h). */
#include "service/catalog/art_probe.h"

#include "backend/blob/blob.h"
#include "base/error.h"
#include "base/problem.h"
#include "service/catalog/catalog_internal.h"

#include <string.h>
#include <unistd.h>

enum { JPEG_SEGMENTS_MAX = 4096 };

/* Where the bytes are: a descriptor, or an object's reader. */
struct picture {
    int fd;
    struct blob_reader *reader; /* NULL: fd */
    uint64_t length;
};

static ssize_t read_some(const struct picture *picture, void *bytes, size_t count, uint64_t at)
{
    return picture->reader != NULL ? blob_reader_read(picture->reader, bytes, count, at)
                                   : pread(picture->fd, bytes, count, (off_t)at);
}

static bool read_at(const struct picture *picture, uint64_t at, unsigned char *bytes, size_t count)
{
    if (at > picture->length || count > picture->length - at) {
        return false;
    }
    for (size_t done = 0; done < count;) {
        ssize_t got = read_some(picture, bytes + done, count - done, at + done);
        if (got <= 0) {
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

static uint32_t big16(const unsigned char *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t big32(const unsigned char *at)
{
    return big16(at) << 16 | big16(at + 2);
}

static uint32_t little24(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16;
}

/* Frame headers are C0 to CF without DHT (C4), JPG (C8) and DAC (CC). */
static bool is_frame_header(unsigned char marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/* Walks from segment to segment up to the frame header. */
static bool probe_jpeg(const struct picture *picture, struct art_info *info)
{
    uint64_t at = 2;
    for (unsigned i = 0; i < JPEG_SEGMENTS_MAX; i++) {
        unsigned char head[9];
        if (!read_at(picture, at, head, 4) || head[0] != 0xff) {
            return false;
        }
        if (head[1] == 0xff) { /* fill bytes may stand before a marker */
            at++;
            continue;
        }
        if (is_frame_header(head[1])) {
            if (!read_at(picture, at, head, sizeof head)) {
                return false;
            }
            info->height = big16(head + 5);
            info->width = big16(head + 7);
            return true;
        }
        uint32_t segment_bytes = big16(head + 2);
        if (segment_bytes < 2) {
            return false;
        }
        at += 2 + segment_bytes;
    }
    return false;
}

static bool probe_png(const struct picture *picture, struct art_info *info)
{
    unsigned char head[24];
    if (!read_at(picture, 0, head, sizeof head) || memcmp(head + 12, "IHDR", 4) != 0) {
        return false;
    }
    info->width = big32(head + 16);
    info->height = big32(head + 20);
    return true;
}

static bool probe_webp(const struct picture *picture, struct art_info *info)
{
    unsigned char head[30];
    if (!read_at(picture, 0, head, sizeof head)) {
        return false;
    }
    if (memcmp(head + 12, "VP8X", 4) == 0) {
        info->width = little24(head + 24) + 1;
        info->height = little24(head + 27) + 1;
        return true;
    }
    if (memcmp(head + 12, "VP8L", 4) == 0 && head[20] == 0x2f) {
        info->width = ((uint32_t)head[21] | (uint32_t)(head[22] & 0x3f) << 8) + 1;
        info->height = ((uint32_t)head[22] >> 6 | (uint32_t)head[23] << 2 |
                        (uint32_t)(head[24] & 0x0f) << 10) +
                       1;
        return true;
    }
    if (memcmp(head + 12, "VP8 ", 4) == 0 && memcmp(head + 23, "\x9d\x01\x2a", 3) == 0) {
        info->width = ((uint32_t)head[26] | (uint32_t)head[27] << 8) & 0x3fff;
        info->height = ((uint32_t)head[28] | (uint32_t)head[29] << 8) & 0x3fff;
        return true;
    }
    return false;
}

static bool probe_gif(const struct picture *picture, struct art_info *info)
{
    unsigned char head[10];
    if (!read_at(picture, 0, head, sizeof head)) {
        return false;
    }
    info->width = (uint32_t)head[6] | (uint32_t)head[7] << 8;
    info->height = (uint32_t)head[8] | (uint32_t)head[9] << 8;
    return true;
}

static int check_size(const struct art_info *info, struct problem *problem)
{
    if (info->width == 0 || info->height == 0) {
        return problem_set(problem, ERR_INVALID, "The picture has no pixels");
    }
    if (info->width > ART_SIDE_MAX || info->height > ART_SIDE_MAX) {
        return problem_set(problem, ERR_INVALID,
                           "The picture is %u × %u pixels; a side may have at most %d", info->width,
                           info->height, ART_SIDE_MAX);
    }
    if ((uint64_t)info->width * info->height > ART_PIXELS_MAX) {
        return problem_set(problem, ERR_INVALID,
                           "The picture is %u × %u pixels; at most %d million are allowed",
                           info->width, info->height, ART_PIXELS_MAX / 1000000);
    }
    return 0;
}

static int probe(const struct picture *picture, struct art_info *ret_info, struct problem *problem)
{
    unsigned char head[12] = {0};
    struct art_info info = {0};
    bool good = false;
    if (read_at(picture, 0, head, sizeof head)) {
        if (memcmp(head, "\xff\xd8\xff", 3) == 0) {
            info.mime = "image/jpeg";
            good = probe_jpeg(picture, &info);
        } else if (memcmp(head, "\x89PNG\r\n\x1a\n", 8) == 0) {
            info.mime = "image/png";
            good = probe_png(picture, &info);
        } else if (memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "WEBP", 4) == 0) {
            info.mime = "image/webp";
            good = probe_webp(picture, &info);
        } else if (memcmp(head, "GIF87a", 6) == 0 || memcmp(head, "GIF89a", 6) == 0) {
            info.mime = "image/gif";
            good = probe_gif(picture, &info);
        }
    }
    if (info.mime == NULL) {
        return problem_set(problem, ERR_MEDIA_TYPE,
                           "The file is no picture that is taken here: JPEG, PNG, WebP or GIF");
    }
    if (!good) {
        return problem_set(problem, ERR_INVALID, "The picture's header (%s) is damaged", info.mime);
    }
    int error = check_size(&info, problem);
    if (error == 0) {
        *ret_info = info;
    }
    return error;
}

int art_probe(int fd, uint64_t length, struct art_info *ret_info, struct problem *problem)
{
    return probe(&(struct picture){.fd = fd, .length = length}, ret_info, problem);
}

int art_probe_object(struct blob_source *source, struct art_info *ret_info, struct problem *problem)
{
    struct picture picture = {.fd = -1, .length = source->bytes};
    int error = blob_reader_new(source, &picture.reader);
    error = error != 0 ? error : probe(&picture, ret_info, problem);
    blob_reader_free(picture.reader);
    return error;
}
