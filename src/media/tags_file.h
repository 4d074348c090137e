/* What an import wants to know of a file without decoding it: tags under one set of names whatever
 * tagger wrote them, the sound's kind and length, a hash that outlives tags. */
#pragma once

#include "media/failure.h"

#include <jansson.h>
#include <stdint.h>

/* {"sound":{"container","codec","rate","channels","bits","lossless","durationMs"},
 *  "hash":"32 hexadecimal digits","hasArt":false,"tags":{…}}, where tags has what the file has of
 *
 *   title titleSort album albumSort artist artistSort albumArtist albumArtistSort composer
 *   discSubtitle isrc lyrics syncedLyrics cueSheet (with lines)
 *   musicbrainzTrackId musicbrainzAlbumId musicbrainzReleaseGroupId          clean text
 *   artists albumArtists genres musicbrainzArtistIds musicbrainzAlbumArtistIds   lists of it, each
 *                                       value once; artist and albumArtist are how they are shown
 *   date originalDate                   YYYY, YYYY-MM or YYYY-MM-DD
 *   trackNumber trackTotal discNumber discTotal     1 … 9999
 *   compilation                         true
 *   trackGain albumGain (dB, to -18 LUFS as ReplayGain 2 has it), trackPeak albumPeak (1.0: full)
 *
 * An error fills failure: "not-audio", "too-large", "unreadable", "out-of-limits". */
int tags_file_read(int fd, int64_t bytes, struct failure *failure, json_t **ret_object);
