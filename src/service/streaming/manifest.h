/* Manifests: HLS (RFC 8216) and MPEG-DASH (ISO 23009-1, on-demand profile) over the renditions of
 * one version of a track. All names in them are relative to the version's folder. Pure functions:
 * who calls them (transcode, when a rendition is stored) writes the text as objects
 * m/{track}/{version}/{name}.
 *
 *   hls-160.m3u8     one a ceiling: the variants up to it, each naming …
 *   aac-96.m3u8      one a rung: byte ranges into …
 *   aac-96.mp4       the rendition
 *   dash-160.mpd     one a ceiling: the same files by their segment index
 *
 * Only fragmented renditions (aac, flac: init_bytes > 0) stand in manifests. Ceilings are 96, 160
 * and 320 kbit/s and lossless. A ceiling has manifests once one of its rungs is there, and they are
 * written anew when more come; a rung's own playlist never changes.
 */
#pragma once

#include "service/catalog/catalog.h"

#include <stdbool.h>

struct buffer;

/* The object's cache rules (blob_meta.cache_control): all media files and a rung's playlist never
 * change; a ceiling's manifest does until the ladder is whole. */
#define MANIFEST_CACHE_IMMUTABLE "public, max-age=31536000, immutable"
#define MANIFEST_CACHE_GROWING   "public, max-age=5"

enum {
    MANIFEST_NAME_SIZE = 64,
    MANIFESTS_MAX = 24,
    MANIFEST_BYTES_MAX = 4 * 1024 * 1024,
    MANIFEST_PRIMING_AAC = 1024, /* samples before the first heard one, at every bitrate */
};

/* In rising order: a ceiling allows what the ones before it do. */
enum manifest_ceiling {
    MANIFEST_CEILING_96,
    MANIFEST_CEILING_160,
    MANIFEST_CEILING_320,
    MANIFEST_CEILING_LOSSLESS,
    MANIFEST_CEILINGS_,
};

enum manifest_kind {
    MANIFEST_HLS,     /* hls-{ceiling}.m3u8 */
    MANIFEST_DASH,    /* dash-{ceiling}.mpd */
    MANIFEST_HLS_RUNG /* {file without its extension}.m3u8 */
};

struct manifest {
    enum manifest_kind kind;
    enum manifest_ceiling ceiling; /* of HLS and DASH */
    unsigned rendition;            /* index, of HLS_RUNG */
    char name[MANIFEST_NAME_SIZE];
    const char *content_type;  /* static */
    const char *cache_control; /* static */
};

/* Which manifests these renditions have: their number, at most MANIFESTS_MAX. Rungs' playlists come
 * first, so that writing in this order never names what is not there. complete: the ladder is
 * whole. */
unsigned manifest_names(const struct rendition *renditions, unsigned count, bool complete,
                        struct manifest out[MANIFESTS_MAX]);
/* Appends one manifest's text. 0, ERR_INVALID (renditions that contradict themselves), or the
 * buffer's error; give it MANIFEST_BYTES_MAX. */
int manifest_build(const struct manifest *manifest, const struct rendition *renditions,
                   unsigned count, struct buffer *out);

/* "96", "160", "320", "lossless". */
const char *manifest_ceiling_name(enum manifest_ceiling ceiling);
/* False for a word that is none. */
bool manifest_ceiling_parse(const char *word, size_t length, enum manifest_ceiling *ret_ceiling);
/* The lowest ceiling under which a file of a version's folder may be had, by its name: renditions
 * by their bit rate ("aac-160.mp4", "mp3-320.mp3", "aac-96.m3u8"), manifests by theirs
 * ("hls-160.m3u8"), all else (flac, original, unknown names) lossless. */
enum manifest_ceiling manifest_file_ceiling(const char *file);
/* True where a rendition may be had under a ceiling. */
bool manifest_allows(enum manifest_ceiling ceiling, const struct rendition *rendition);
