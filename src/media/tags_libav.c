/* Tags by libavformat (tags_libav.h). Called by tags_file.c, on the main thread. */
#include "media/tags_libav.h"

#include "base/error.h"
#include "media/decode.h"
#include "media/io.h"
#include "media/probe.h"

#include <ctype.h>
#include <libavformat/avformat.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_CHARACTERS = 64 };

static void tell(const AVDictionary *tags, tagfile_value *value, void *context)
{
    const AVDictionaryEntry *entry = NULL;
    while ((entry = av_dict_get(tags, "", entry, AV_DICT_IGNORE_SUFFIX)) != NULL) {
        char name[NAME_MAX_CHARACTERS];
        (void)snprintf(name, sizeof name, "%s", entry->key);
        for (char *at = name; *at != '\0'; at++) {
            *at = (char)toupper((unsigned char)*at);
        }
        if (strncmp(name, "LYRICS-", 7) == 0) { /* ID3 has them by language */
            name[6] = '\0';
        }
        if (entry->value[0] != '\0') {
            value(context, name, entry->value, strlen(entry->value));
        }
    }
}

/* Headers of such files say nothing of their length. */
static int64_t length_ms(AVFormatContext *container, const AVStream *stream)
{
    AVPacket *packet = av_packet_alloc();
    int64_t length = 0;
    while (packet != NULL && av_read_frame(container, packet) >= 0) {
        length +=
            packet->stream_index == stream->index && packet->duration > 0 ? packet->duration : 0;
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
    return av_rescale_q(length, stream->time_base, (AVRational){1, 1000});
}

/* The words of the closed lists, which outlive the sound. */
static const char *word(const char *text)
{
    static const char *const words[] = {"wav", "flac", "aiff",     "mp4", "wavpack", "mp3",
                                        "ogg", "aac",  "ape",      "mpc", "tta",     "asf",
                                        "pcm", "alac", "musepack", "wma", "vorbis",  "opus"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i], text) == 0) {
            return words[i];
        }
    }
    return "";
}

int tags_libav_read(int fd, int64_t bytes, tagfile_value *value, void *context,
                    struct tagfile_sound *ret_sound)
{
    struct failure failure = {0};
    struct sound sound = {0};
    AVFormatContext *container = NULL;
    AVStream *stream = NULL;
    int64_t wav_frames = 0;
    struct io_source *io = io_source_new(fd, bytes);
    int error = io != NULL ? 0 : ERR_NO_MEMORY;
    if (error == 0 &&
        (probe_open(io_source_context(io), &failure, &container, &stream, &wav_frames) != 0 ||
         probe_sound(container, stream, wav_frames, &sound, &failure) != 0)) {
        error = ERR_MEDIA_TYPE;
    }
    if (error == 0) {
        tell(container->metadata, value, context);
        *ret_sound = (struct tagfile_sound){
            .container = word(sound.container),
            .codec = word(sound.codec),
            .rate = stream->codecpar->sample_rate,
            .channels = stream->codecpar->ch_layout.nb_channels,
            .bits = stream->codecpar->bits_per_raw_sample,
            .lossless = sound.lossless,
            .duration_ms = length_ms(container, stream),
        };
    }
    avformat_close_input(&container);
    io_source_free(io);
    return error;
}
