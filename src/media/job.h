/* The job description of tutti-media: what the server asks over the socketpair (SOCK_SEQPACKET, the
 * child's descriptor 3) and what it gets back. The only header of media/ that roles include.
 *
 * A request is one JSON object in one packet, with descriptors attached (SCM_RIGHTS) in the order
 * the description names them. Descriptors to write to are empty, seekable, and open for reading and
 * writing. The answer is one JSON object in one packet. Before it come any number of
 *
 *   {"progress":0…1000}               about four times a second while it works
 *   {"done":I,"rendition":{…}}        output I is whole: it may be stored already
 *
 * Then the child waits for the next request; end of file on the socket ends it.
 *
 *   {"job":"first","bytes":N,"outputs":[{"format":"aac","bitrate":160}]}
 *                                                  fds: source, one per output
 *     → {"ok":true,"probe":{…},"loudness":{…},"waveform":"base64 of waveform.h's binary",
 *        "fingerprint":"…","tags":{…},"hasArt":false}
 *   {"job":"ladder","bytes":N,"outputs":[{"format":"aac","bitrate":96},…]}
 *                                                  fds: source, one per output
 *     → {"ok":true}
 *   {"job":"cover","bytes":N,"sizes":[64,128,300,600,1200]}
 *                                                  fds: picture, then JPEG and WebP per size
 *     → {"ok":true,"width":W,"height":H,"outputs":[{"size":64,"type":"image/jpeg","bytes":…},…]}
 *   {"job":"art","bytes":N}                        fds: source, the embedded picture out
 *     → {"ok":true,"bytes":N (0: there is none),"type":"image/jpeg"}
 *
 *   {"job":"fingerprint","bytes":N}                fds: source
 *     → {"ok":true,"words":"base64 of little-endian uint32"}   fingerprint.h, of the beginning
 * alone
 *
 *   {"job":"tags","files":[N,…]}                   fds: sources, as many as files
 *     → {"ok":true,"files":[{"sound":{…},"hash":"…","hasArt":false,"tags":{…}}      tags_file.h
 *                           or {"code":"not-audio","reason":"…","final":true}, …]}
 *       in the sources' order; where an answer would be too long it has fewer, at least one
 *   {"job":"tags-picture","bytes":N}               fds: source, the embedded picture out
 *     → {"ok":true,"bytes":N (0: there is none)}   nothing is decoded, as "art" does
 *
 * A first, ladder or fingerprint may have "cut":[from,to], in 75ths of a second (decode.h): the
 * source is then what lies between, to 0: up to its end.
 *
 * Where files are sealed (base/seal.h), a request has "keys": a list in the descriptors' order of
 * base64 of the file's key, or null. Outputs are then written sealed, too, and whole when told.
 *
 * A failure of any is {"ok":false,"code":"truncated","reason":"The file ends after 12 s although
 * its header says 215 s.","final":true}. final: trying again can't help; the reason is for the
 * artist. failure.h lists the codes.
 *
 * probe: {"container","codec","rate","channels","bits","lossless","samples","durationMs","flac"};
 * samples are of one channel at `rate`; flac says whether the ladder can hold it as FLAC.
 * loudness: {"lufs","truePeakDb","histogram": base64 of LOUDNESS_BINS little-endian uint32}.
 * tags: as tags.h lists them, with only what the file has.
 *
 * A rendition object has the members of catalog.h's struct rendition in camelCase: format, bitrate,
 * file, mime, codecs, bytes, samples, timescale, channels, initBytes, indexBytes, firstFragmentEnd,
 * bandwidthPeak, bandwidthAverage, fragments: [[bytes, duration], …].
 */
#pragma once

enum {
    MEDIA_JOB_FD = 3,
    MEDIA_JOB_PACKET_MAX = 192 * 1024,
    MEDIA_JOB_FDS_MAX = 24,
    MEDIA_JOB_OUTPUTS_MAX = 16,
};
