/* The job description of tutti-media: what the server asks over the socketpair (SOCK_SEQPACKET, the
 * child's descriptor 3) and what it gets back. The only header of media/ that roles include.
 *
 * A request is one JSON object in one packet, with descriptors attached (SCM_RIGHTS) in the order
 * the description names them. The answer is one JSON object in one packet; while it works the child
 * sends
 * {"progress": 0…1000}. Then it waits for the next request; end of file on the socket ends it.
 *
 *   {"job":"first","bytes":N,"filename":"x.flac"}        fds: source, aac-160 out
 *     → {"ok":true,"probe":{…},"loudness":{…},"waveform":"base64","fingerprint":"…",
 *        "tags":{…},"rendition":{…}}
 *   {"job":"ladder","bytes":N,"filename":…,"outputs":[{"format":"aac","bitrate":96},…]}
 *                                                         fds: source, one per output
 *     → {"ok":true,"renditions":[{…}, …]}; before that {"done":index,"rendition":{…}} as each
 * finishes
 *   {"job":"cover","bytes":N,"sizes":[64,128,300,600,1200]}
 *                                                         fds: image, then jpeg and webp per size
 *     → {"ok":true,"width":W,"height":H,"outputs":[{"size":64,"type":"image/jpeg","bytes":…},…]}
 *   {"job":"art","bytes":N}                               fds: source, out: the embedded picture
 *     → {"ok":true,"bytes":N (0: none),"type":"image/jpeg"}
 *   failure of any: {"ok":false,"code":"truncated","reason":"The file ends after 12 s although …",
 *                    "final":true}       final: trying again can't help
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
};
