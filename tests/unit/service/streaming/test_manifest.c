/* service/streaming/manifest: every number below is worked out by hand from a file of 500,000
 * samples at 44,100 Hz: fragments of 172 frames (176,128 samples by tfdt), the first one 175,104 on
 * the presentation, tfdt of the last 352,256. */
#include "base/buffer.h"
#include "base/error.h"
#include "service/streaming/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const uint32_t fragments_160[] = {80000, 175104, 81000, 176128, 70000, 148768};
static const uint32_t fragments_96[] = {48000, 175104, 49000, 176128, 42000, 148768};
static const uint32_t fragments_flac[] = {400000, 175104, 410000, 175104, 350000, 149792};

static struct rendition aac(unsigned bitrate, const char *file, const uint32_t *fragments)
{
    struct rendition rendition = {
        .format = "aac",
        .bitrate = bitrate,
        .mime = "audio/mp4",
        .codecs = "mp4a.40.2",
        .samples = 500000,
        .timescale = 44100,
        .channels = 2,
        .init_bytes = 934,
        .index_bytes = 68,
        .bandwidth_peak = bitrate * 1010,
        .bandwidth_average = bitrate * 1000,
        .fragments = fragments,
        .fragment_count = 3,
    };
    (void)strcpy(rendition.file, file);
    rendition.bytes = 934 + 68 + (int64_t)fragments[0] + fragments[2] + fragments[4];
    rendition.first_fragment_end = 934 + 68 + (int64_t)fragments[0];
    return rendition;
}

static struct rendition flac(void)
{
    struct rendition rendition = aac(0, "flac.mp4", fragments_flac);
    (void)strcpy(rendition.format, "flac");
    (void)strcpy(rendition.codecs, "fLaC");
    rendition.bandwidth_peak = 900000;
    rendition.bandwidth_average = 800000;
    return rendition;
}

static struct rendition mp3(void)
{
    return (struct rendition){.format = "mp3", .bitrate = 320, .file = "mp3-320.mp3"};
}

static void assert_built(const struct manifest *manifest, const struct rendition *renditions,
                         unsigned count, const char *expected)
{
    struct buffer out;
    buffer_init(&out, MANIFEST_BYTES_MAX);
    assert_int_equal(manifest_build(manifest, renditions, count, &out), 0);
    assert_string_equal(out.data, expected);
    buffer_done(&out);
}

static const struct manifest *find(const struct manifest *list, unsigned count, const char *name)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(list[i].name, name) == 0) {
            return &list[i];
        }
    }
    return NULL;
}

static void the_first_rung_makes_its_manifests_alone(void **state)
{
    (void)state;
    const struct rendition first = aac(160, "aac-160.mp4", fragments_160);
    struct manifest list[MANIFESTS_MAX];
    unsigned count = manifest_names(&first, 1, false, list);
    static const char *const names[] = {"aac-160.m3u8",     "hls-160.m3u8", "dash-160.mpd",
                                        "hls-320.m3u8",     "dash-320.mpd", "hls-lossless.m3u8",
                                        "dash-lossless.mpd"};
    assert_int_equal(count, 7);
    for (unsigned i = 0; i < count; i++) {
        assert_string_equal(list[i].name, names[i]);
        assert_string_equal(list[i].cache_control,
                            i == 0 ? "public, max-age=31536000, immutable" : "public, max-age=5");
    }
    assert_string_equal(list[0].content_type, "application/vnd.apple.mpegurl");
    assert_string_equal(list[2].content_type, "application/dash+xml");
    assert_built(&list[3], &first, 1,
                 "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
                 "#EXT-X-STREAM-INF:BANDWIDTH=161600,AVERAGE-BANDWIDTH=160000,"
                 "CODECS=\"mp4a.40.2\"\naac-160.m3u8\n");
}

static void segments_follow_tfdt_and_sum_up(void **state)
{
    (void)state;
    const struct rendition first = aac(160, "aac-160.mp4", fragments_160);
    const struct manifest rung = {.kind = MANIFEST_HLS_RUNG, .rendition = 0};
    /* 176128/44100 = 3.993832; the last (500000 − 352256)/44100 = 3.350204; sum 11.337868 */
    assert_built(&rung, &first, 1,
                 "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:0\n"
                 "#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n"
                 "#EXT-X-MAP:URI=\"aac-160.mp4\",BYTERANGE=\"934@0\"\n"
                 "#EXTINF:3.993832,\n#EXT-X-BYTERANGE:80000@1002\naac-160.mp4\n"
                 "#EXTINF:3.993832,\n#EXT-X-BYTERANGE:81000@81002\naac-160.mp4\n"
                 "#EXTINF:3.350204,\n#EXT-X-BYTERANGE:70000@162002\naac-160.mp4\n"
                 "#EXT-X-ENDLIST\n");
}

static void flac_has_no_priming(void **state)
{
    (void)state;
    const struct rendition lossless = flac();
    const struct manifest rung = {.kind = MANIFEST_HLS_RUNG, .rendition = 0};
    /* 175104/44100 = 3.970612; 149792/44100 = 3.396644 */
    assert_built(&rung, &lossless, 1,
                 "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:0\n"
                 "#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n"
                 "#EXT-X-MAP:URI=\"flac.mp4\",BYTERANGE=\"934@0\"\n"
                 "#EXTINF:3.970612,\n#EXT-X-BYTERANGE:400000@1002\nflac.mp4\n"
                 "#EXTINF:3.970612,\n#EXT-X-BYTERANGE:410000@401002\nflac.mp4\n"
                 "#EXTINF:3.396644,\n#EXT-X-BYTERANGE:350000@811002\nflac.mp4\n"
                 "#EXT-X-ENDLIST\n");
}

static void a_ceiling_names_nothing_above_it(void **state)
{
    (void)state;
    const struct rendition ladder[] = {flac(), aac(320, "aac-320.mp4", fragments_160), mp3(),
                                       aac(96, "aac-96.mp4", fragments_96),
                                       aac(160, "aac-160.mp4", fragments_160)};
    struct manifest list[MANIFESTS_MAX];
    unsigned count = manifest_names(ladder, 5, true, list);
    assert_int_equal(count, 4 + 8);
    assert_string_equal(find(list, count, "hls-96.m3u8")->cache_control,
                        "public, max-age=31536000, immutable");
    assert_built(find(list, count, "hls-160.m3u8"), ladder, 5,
                 "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
                 "#EXT-X-STREAM-INF:BANDWIDTH=161600,AVERAGE-BANDWIDTH=160000,"
                 "CODECS=\"mp4a.40.2\"\naac-160.m3u8\n"
                 "#EXT-X-STREAM-INF:BANDWIDTH=96960,AVERAGE-BANDWIDTH=96000,"
                 "CODECS=\"mp4a.40.2\"\naac-96.m3u8\n");
    struct buffer out;
    buffer_init(&out, MANIFEST_BYTES_MAX);
    assert_int_equal(manifest_build(find(list, count, "dash-320.mpd"), ladder, 5, &out), 0);
    assert_null(strstr(out.data, "flac"));
    assert_non_null(strstr(out.data, "aac-320"));
    buffer_reset(&out);
    assert_int_equal(manifest_build(find(list, count, "hls-lossless.m3u8"), ladder, 5, &out), 0);
    const char *last = strstr(out.data, "aac-320.m3u8\n");
    assert_non_null(last);
    assert_non_null(strstr(last, "CODECS=\"fLaC\"\nflac.m3u8\n"));
    buffer_done(&out);
}

static void dash_names_ranges_of_head_and_index(void **state)
{
    (void)state;
    const struct rendition first = aac(160, "aac-160.mp4", fragments_160);
    const struct manifest dash = {.kind = MANIFEST_DASH, .ceiling = MANIFEST_CEILING_160};
    assert_built(
        &dash, &first, 1,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "
        "profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\" type=\"static\" "
        "mediaPresentationDuration=\"PT11.337868S\" minBufferTime=\"PT4S\">\n"
        "  <Period>\n"
        "    <AdaptationSet contentType=\"audio\" mimeType=\"audio/mp4\" "
        "subsegmentAlignment=\"true\" subsegmentStartsWithSAP=\"1\">\n"
        "      <Representation id=\"aac-160\" codecs=\"mp4a.40.2\" bandwidth=\"161600\" "
        "audioSamplingRate=\"44100\">\n"
        "        <AudioChannelConfiguration "
        "schemeIdUri=\"urn:mpeg:dash:23003:3:audio_channel_configuration:2011\" value=\"2\"/>\n"
        "        <BaseURL>aac-160.mp4</BaseURL>\n"
        "        <SegmentBase indexRange=\"934-1001\" timescale=\"44100\">\n"
        "          <Initialization range=\"0-933\"/>\n"
        "        </SegmentBase>\n"
        "      </Representation>\n"
        "    </AdaptationSet>\n"
        "  </Period>\n</MPD>\n");
}

static void contradictions_are_refused(void **state)
{
    (void)state;
    struct rendition broken = aac(160, "aac-160.mp4", fragments_160);
    const struct manifest rung = {.kind = MANIFEST_HLS_RUNG, .rendition = 0};
    struct buffer out;
    buffer_init(&out, MANIFEST_BYTES_MAX);
    broken.bytes++;
    assert_int_equal(manifest_build(&rung, &broken, 1, &out), ERR_INVALID);
    broken.bytes--;
    broken.samples--;
    assert_int_equal(manifest_build(&rung, &broken, 1, &out), ERR_INVALID);
    buffer_done(&out);
}

static void a_file_has_the_ceiling_its_name_says(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        enum manifest_ceiling ceiling;
    } rows[] = {
        {"aac-96.mp4", MANIFEST_CEILING_96},
        {"aac-160.m3u8", MANIFEST_CEILING_160},
        {"hls-160.m3u8", MANIFEST_CEILING_160},
        {"dash-320.mpd", MANIFEST_CEILING_320},
        {"opus-320.opus", MANIFEST_CEILING_320},
        {"mp3-160.mp3", MANIFEST_CEILING_160},
        {"flac.mp4", MANIFEST_CEILING_LOSSLESS},
        {"flac.m3u8", MANIFEST_CEILING_LOSSLESS},
        {"original.wav", MANIFEST_CEILING_LOSSLESS},
        {"hls-lossless.m3u8", MANIFEST_CEILING_LOSSLESS},
        {"aac-.mp4", MANIFEST_CEILING_LOSSLESS},
        {"aac-9600.mp4", MANIFEST_CEILING_LOSSLESS},
        {"", MANIFEST_CEILING_LOSSLESS},
        {"aac-96", MANIFEST_CEILING_96},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(manifest_file_ceiling(rows[i].file), rows[i].ceiling);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rung_makes_its_manifests_alone),
        cmocka_unit_test(segments_follow_tfdt_and_sum_up),
        cmocka_unit_test(flac_has_no_priming),
        cmocka_unit_test(a_ceiling_names_nothing_above_it),
        cmocka_unit_test(dash_names_ranges_of_head_and_index),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(a_file_has_the_ceiling_its_name_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
