/* Tags and the embedded picture of a sound file, under one set of names whatever the container
 * calls them. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct AVFormatContext;
struct arena;

enum { TAGS_TEXT_MAX = 500, TAGS_LYRICS_MAX = 20000, TAGS_PICTURE_BYTES_MAX = 20 << 20 };

/* {"title","artist","album","albumArtist","composer","genre","date","isrc","lyrics",
 * "trackNumber","trackTotal","discNumber","discTotal" (integers), "musicbrainzTrackId",
 * "musicbrainzAlbumId", "musicbrainzArtistId", "musicbrainzReleaseGroupId"}: only what is there, as
 * clean text (NFC, no control characters, at most TAGS_TEXT_MAX characters; lyrics with lines).
 * NULL: out of memory. */
json_t *tags_read(const struct AVFormatContext *container);

/* The first embedded picture (of the front, where the file says which): its bytes, borrowed from
 * the container, and its type "image/jpeg" "image/png" "image/webp"
 * "image/gif"; false: none. */
bool tags_picture(const struct AVFormatContext *container, const uint8_t **ret_bytes, int *ret_size,
                  const char **ret_type);

/* A value as clean text (NFC, no control characters but lines where they are allowed), shortened to
 * characters_max, in the arena. NULL: nothing is left of it, it is no UTF-8, or out of memory. */
const char *tags_clean(struct arena *arena, const char *value, unsigned characters_max, bool lines);
