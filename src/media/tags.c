/* Tags (tags.h). Called by job_sound.c.
 *
 * libavformat gives ID3, MP4 and INFO the same names where it knows them; Vorbis comments and ID3's
 * TXXX come under their own. Hence a table: our name, then all others in order of trust.
 */
#include "media/tags.h"

#include "base/arena.h"
#include "base/text.h"

#include <libavformat/avformat.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 5 };

static const struct {
    const char *ours;
    const char *theirs[NAMES_MAX];
} text_tags[] = {
    {"title", {"title", "TIT2"}},
    {"artist", {"artist", "TPE1"}},
    {"album", {"album", "TALB"}},
    {"albumArtist", {"album_artist", "albumartist", "album artist"}},
    {"composer", {"composer"}},
    {"genre", {"genre"}},
    {"date", {"date", "TDRC", "TDOR", "year"}},
    {"isrc", {"isrc", "TSRC"}},
    {"musicbrainzTrackId", {"musicbrainz_trackid", "MusicBrainz Track Id"}},
    {"musicbrainzAlbumId", {"musicbrainz_albumid", "MusicBrainz Album Id"}},
    {"musicbrainzArtistId", {"musicbrainz_artistid", "MusicBrainz Artist Id"}},
    {"musicbrainzReleaseGroupId", {"musicbrainz_releasegroupid", "MusicBrainz Release Group Id"}},
};

/* "3" or "3/12" */
static const struct {
    const char *number, *total;
    const char *numbers[NAMES_MAX], *totals[NAMES_MAX];
} number_tags[] = {
    {"trackNumber", "trackTotal", {"track", "tracknumber"}, {"tracktotal", "totaltracks"}},
    {"discNumber", "discTotal", {"disc", "discnumber"}, {"disctotal", "totaldiscs"}},
};

/* The container's own tags, else those of its streams (Ogg has them there). */
static const char *find_one(const AVFormatContext *container, const char *name, int flags)
{
    const AVDictionaryEntry *entry = av_dict_get(container->metadata, name, NULL, flags);
    for (unsigned i = 0; entry == NULL && i < container->nb_streams; i++) {
        if (container->streams[i]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO) {
            entry = av_dict_get(container->streams[i]->metadata, name, NULL, flags);
        }
    }
    return entry != NULL && entry->value[0] != '\0' ? entry->value : NULL;
}

static const char *find(const AVFormatContext *container, const char *const names[NAMES_MAX])
{
    const char *value = NULL;
    for (unsigned i = 0; value == NULL && i < NAMES_MAX && names[i] != NULL; i++) {
        value = find_one(container, names[i], 0);
    }
    return value;
}

/* At most characters_max code points of the value, with control characters as spaces: a tag is
 * shortened or mended rather than refused. */
static char *mend(struct arena *arena, const char *value, unsigned characters_max, bool lines)
{
    char *copy = arena_strdup(arena, value);
    if (copy == NULL || !text_is_utf8(copy, strlen(copy))) {
        return NULL;
    }
    unsigned characters = 0;
    for (char *at = copy; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)*at;
        bool kept = lines && (byte == '\n' || byte == '\t');
        if ((byte < 0x20 && !kept) || byte == 0x7f) {
            *at = ' ';
        }
        if ((byte & 0xc0) != 0x80 && ++characters > characters_max) {
            *at = '\0';
            break;
        }
    }
    return copy;
}

const char *tags_clean(struct arena *arena, const char *value, unsigned characters_max, bool lines)
{
    struct text_rule rule = {
        .field = "tag", .characters_max = characters_max, .empty_ok = false, .lines = lines};
    const char *clean = NULL;
    const char *mended = mend(arena, value, characters_max, lines);
    return mended != NULL && text_clean(arena, &rule, mended, NULL, &clean) == 0 ? clean : NULL;
}

static void put_text(json_t *tags, struct arena *arena, const char *name, const char *value,
                     unsigned characters_max, bool lines)
{
    const char *clean = value != NULL ? tags_clean(arena, value, characters_max, lines) : NULL;
    if (clean != NULL) {
        (void)json_object_set_new(tags, name, json_string(clean));
    }
}

static void put_number(json_t *tags, const char *name, const char *value)
{
    long number = value != NULL ? strtol(value, NULL, 10) : 0;
    if (number >= 1 && number <= 9999) {
        (void)json_object_set_new(tags, name, json_integer(number));
    }
}

static void put_numbers(json_t *tags, const AVFormatContext *container)
{
    for (unsigned i = 0; i < sizeof number_tags / sizeof number_tags[0]; i++) {
        const char *number = find(container, number_tags[i].numbers);
        const char *total = find(container, number_tags[i].totals);
        const char *slash = number != NULL ? strchr(number, '/') : NULL;
        put_number(tags, number_tags[i].number, number);
        put_number(tags, number_tags[i].total, slash != NULL ? slash + 1 : total);
    }
}

/* ID3 has lyrics by language: "lyrics-eng". */
static const char *lyrics(const AVFormatContext *container)
{
    static const char *const names[NAMES_MAX] = {"lyrics", "unsyncedlyrics", "unsynced lyrics"};
    const char *value = find(container, names);
    return value != NULL ? value : find_one(container, "lyrics-", AV_DICT_IGNORE_SUFFIX);
}

json_t *tags_read(const AVFormatContext *container)
{
    json_t *tags = json_object();
    struct arena *arena = arena_new(1 << 20);
    if (tags == NULL || arena == NULL) {
        json_decref(tags);
        arena_free(arena);
        return NULL;
    }
    for (unsigned i = 0; i < sizeof text_tags / sizeof text_tags[0]; i++) {
        put_text(tags, arena, text_tags[i].ours, find(container, text_tags[i].theirs),
                 TAGS_TEXT_MAX, false);
    }
    put_text(tags, arena, "lyrics", lyrics(container), TAGS_LYRICS_MAX, true);
    put_numbers(tags, container);
    arena_free(arena);
    return tags;
}

static const char *picture_type(const AVStream *stream)
{
    switch (stream->codecpar->codec_id) {
    case AV_CODEC_ID_MJPEG:
        return "image/jpeg";
    case AV_CODEC_ID_PNG:
        return "image/png";
    case AV_CODEC_ID_WEBP:
        return "image/webp";
    case AV_CODEC_ID_GIF:
        return "image/gif";
    default:
        return NULL;
    }
}

static bool is_front(const AVStream *stream)
{
    const AVDictionaryEntry *entry = av_dict_get(stream->metadata, "comment", NULL, 0);
    return entry != NULL && strstr(entry->value, "front") != NULL;
}

bool tags_picture(const AVFormatContext *container, const uint8_t **ret_bytes, int *ret_size,
                  const char **ret_type)
{
    const AVStream *best = NULL;
    for (unsigned i = 0; i < container->nb_streams; i++) {
        const AVStream *stream = container->streams[i];
        bool usable = (stream->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0 &&
                      picture_type(stream) != NULL && stream->attached_pic.size > 0 &&
                      stream->attached_pic.size <= TAGS_PICTURE_BYTES_MAX;
        if (usable && (best == NULL || (!is_front(best) && is_front(stream)))) {
            best = stream;
        }
    }
    if (best == NULL) {
        return false;
    }
    *ret_bytes = best->attached_pic.data;
    *ret_size = best->attached_pic.size;
    *ret_type = picture_type(best);
    return true;
}
