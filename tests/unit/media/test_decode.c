/* Decoding: each format gives exactly the samples that went in; each kind of bad file says what is
 * wrong with it. Files are made by the ffmpeg command. */
#include "base/mem.h"
#include "media/decode.h"

#include "support.h"

#include <libavutil/log.h>
#include <math.h>

enum { FRAMES = 446424 }; /* 10.123 s at 44.1 kHz */

static int decode(const char *name, struct sound *ret_sound, int64_t *ret_frames,
                  struct failure *failure)
{
    int64_t bytes;
    int fd CLEANUP_CLOSE = support_open(name, &bytes);
    struct decoder *decoder = NULL;
    memset(failure, 0, sizeof *failure);
    int result = decoder_open(fd, bytes, failure, &decoder);
    if (result != 0) {
        return result;
    }
    const float *const *planes;
    unsigned frames;
    int64_t sum = 0;
    while ((result = decoder_next(decoder, &planes, &frames, failure)) > 0) {
        sum += frames;
    }
    *ret_sound = *decoder_sound(decoder);
    *ret_frames = decoder_frames(decoder);
    assert_int_equal(sum, *ret_frames);
    decoder_free(decoder);
    return result;
}

static const struct {
    const char *name, *options, *codec;
    int64_t frames;
    int rate;
    unsigned channels;
} good[] = {
    {"16.wav", "-c:a pcm_s16le", "pcm", FRAMES, 44100, 2},
    {"24.wav", "-c:a pcm_s24le", "pcm", FRAMES, 44100, 2},
    {"32.wav", "-c:a pcm_s32le", "pcm", FRAMES, 44100, 2},
    {"float.wav", "-c:a pcm_f32le", "pcm", FRAMES, 44100, 2},
    {"8.wav", "-c:a pcm_u8", "pcm", FRAMES, 44100, 2},
    {"rf64.wav", "-rf64 always", "pcm", FRAMES, 44100, 2},
    {"a.flac", "", "flac", FRAMES, 44100, 2},
    {"alac.m4a", "-c:a alac", "alac", FRAMES, 44100, 2},
    {"a.aiff", "", "pcm", FRAMES, 44100, 2},
    {"a.wv", "", "wavpack", FRAMES, 44100, 2},
    {"a.tta", "", "tta", FRAMES, 44100, 2},
    {"cbr.mp3", "-b:a 192k", "mp3", FRAMES, 44100, 2},
    {"vbr.mp3", "-q:a 4", "mp3", FRAMES, 44100, 2},
    {"aac.m4a", "-c:a aac -b:a 192k", "aac", FRAMES, 44100, 2},
    {"start.m4a", "-c:a aac -movflags faststart", "aac", FRAMES, 44100, 2},
    {"v.ogg", "-c:a libvorbis", "vorbis", FRAMES, 44100, 2},
    {"flac.oga", "-c:a flac", "flac", FRAMES, 44100, 2},
    {"o.opus", "-c:a libopus", "opus", 485904, 48000, 2},
    {"8k.wav", "-ar 8000 -ac 1", "pcm", 80984, 8000, 1},
    {"192k.wav", "-ar 192000", "pcm", 1943615, 192000, 2},
    {"51.flac", "-ac 6", "flac", FRAMES, 44100, 6},
    {"71.wav", "-ac 8", "pcm", FRAMES, 44100, 8},
};

static void test_lengths_are_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct sound sound;
        struct failure failure;
        int64_t frames;
        support_run("ffmpeg -v error -i source.wav %s %s", good[i].options, good[i].name);
        if (decode(good[i].name, &sound, &frames, &failure) != 0) {
            fail_msg("%s: %s", good[i].name, failure.reason);
        }
        if (frames != good[i].frames) {
            fail_msg("%s: %lld frames", good[i].name, (long long)frames);
        }
        assert_string_equal(sound.codec, good[i].codec);
        assert_int_equal(sound.pcm.rate, good[i].rate);
        assert_int_equal(sound.pcm.channels, good[i].channels);
    }
}

/* Lossless formats are the same samples; lossy ones begin where the original does (a delay that was
 * not cut would shift them). */
static double difference(const char *left, const char *right)
{
    int64_t left_bytes, right_bytes;
    int left_fd CLEANUP_CLOSE = support_open(left, &left_bytes);
    int right_fd CLEANUP_CLOSE = support_open(right, &right_bytes);
    struct decoder *a, *b;
    struct failure failure = {0};
    assert_int_equal(decoder_open(left_fd, left_bytes, &failure, &a), 0);
    assert_int_equal(decoder_open(right_fd, right_bytes, &failure, &b), 0);
    const float *const *left_planes, *const *right_planes;
    unsigned left_left = 0, right_left = 0, left_at = 0, right_at = 0;
    double sum = 0, count = 0;
    for (;;) {
        if (left_left == 0) {
            left_at = 0;
            if (decoder_next(a, &left_planes, &left_left, &failure) <= 0) {
                break;
            }
        }
        if (right_left == 0) {
            right_at = 0;
            if (decoder_next(b, &right_planes, &right_left, &failure) <= 0) {
                break;
            }
        }
        unsigned frames = left_left < right_left ? left_left : right_left;
        for (unsigned i = 0; i < frames; i++) {
            double apart = left_planes[0][left_at + i] - right_planes[0][right_at + i];
            sum += apart * apart;
        }
        count += frames;
        left_at += frames, right_at += frames;
        left_left -= frames, right_left -= frames;
    }
    decoder_free(a);
    decoder_free(b);
    return sqrt(sum / count);
}

static void test_samples_are_aligned(void **state)
{
    (void)state;
    assert_true(difference("16.wav", "a.flac") == 0);
    assert_true(difference("16.wav", "alac.m4a") == 0);
    assert_true(difference("16.wav", "a.aiff") == 0);
    assert_true(difference("16.wav", "a.wv") == 0);
    assert_true(difference("16.wav", "a.tta") == 0);
    assert_true(difference("16.wav", "flac.oga") == 0);
    assert_true(difference("16.wav", "cbr.mp3") < 0.02);
    assert_true(difference("16.wav", "aac.m4a") < 0.02);
    assert_true(difference("16.wav", "v.ogg") < 0.02);
}

static const struct {
    const char *name, *command, *code, *words;
} bad[] = {
    {"cut.flac", "head -c 150000 a.flac > cut.flac", "truncated", "although its header says 10 s."},
    {"cut.wav", "head -c 705644 16.wav > cut.wav", "truncated",
     "The file ends after 4 s although its header says 10 s."},
    {"cut.aiff", "head -c 700001 a.aiff > cut.aiff", "truncated", "although its header says 10 s."},
    {"cut.wv", "head -c 200000 a.wv > cut.wv", "truncated", "although its header says 10 s."},
    {"cut.tta", "head -c 200000 a.tta > cut.tta", "truncated", "although its header says 10 s."},
    {"cut.mp3", "head -c 120000 cbr.mp3 > cut.mp3", "truncated", "although its header says 10 s."},
    {"cut.m4a", "head -c 80000 start.m4a > cut.m4a", "truncated", "although its header says 10 s."},
    {"index.m4a", "head -c 80000 aac.m4a > index.m4a", "truncated", "was cut off"},
    {"torn.ogg", "head -c 30000 v.ogg > torn.ogg", "truncated", "cut off after about"},
    {"torn.opus", "head -c 30000 o.opus > torn.opus", "truncated", "cut off after about"},
    {"torn.oga", "head -c 90000 flac.oga > torn.oga", "truncated", "cut off: it has no end mark"},
    {"heads.ogg", "head -c 2000 v.ogg > heads.ogg", "truncated", "cut off: it has no end mark"},
    /* A cut between two pages: the last one is whole, and not the last. */
    {"pages.ogg", "head -c $(($(grep -abo OggS v.ogg | tail -1 | cut -d: -f1))) v.ogg > pages.ogg",
     "truncated", "cut off after about"},
    /* Somewhere in the table of segments of a page. */
    {"table.ogg",
     "head -c $(($(grep -abo OggS v.ogg | tail -1 | cut -d: -f1) + 29)) v.ogg > table.ogg",
     "truncated", "cut off after about"},
    /* An index that is there and broken; one box that goes on to 2^63; a file that ends in a head.
     */
    {"broken.m4a",
     "cp start.m4a broken.m4a; printf '\\377\\377\\377\\377' | dd of=broken.m4a bs=1 conv=notrunc "
     "status=none seek=$(($(grep -abo stco start.m4a | head -1 | cut -d: -f1) + 8))",
     "damaged", "header of the file is damaged"},
    {"long.m4a",
     "(head -c 28 aac.m4a; printf '\\0\\0\\0\\001free\\177\\377\\377\\377\\377\\377\\377"
     "\\377'; tail -c +29 aac.m4a) > long.m4a",
     "truncated", "was cut off"},
    {"head.m4a", "(head -c 28 aac.m4a; printf '\\0\\0\\020') > head.m4a", "truncated",
     "was cut off"},
    {"text.mp3", "yes 'The quick brown fox jumps' | head -c 300000 > text.mp3", "not-audio",
     "not a sound file"},
    {"noise.mp3", "head -c 300000 16.wav | gzip | tail -c +9 > noise.mp3", "not-audio",
     "not a sound file"},
    {"nothing.wav", ": > nothing.wav", "not-audio", "not a sound file"},
    {"picture.png", "ffmpeg -v error -f lavfi -i testsrc -frames:v 1 picture.png", "not-audio",
     "not a sound file"},
    {"video.mp4", "ffmpeg -v error -f lavfi -i testsrc -t 1 video.mp4", "not-audio", "no sound"},
    {"zero.wav",
     "printf 'RIFF\\044\\0\\0\\0WAVEfmt \\020\\0\\0\\0\\001\\0\\002\\0\\104\\254\\0\\0"
     "\\020\\261\\002\\0\\004\\0\\020\\0data\\0\\0\\0\\0' > zero.wav",
     "no-samples", "0 samples"},
    {"hertz.wav",
     "printf 'RIFF\\044\\004\\0\\0WAVEfmt \\020\\0\\0\\0\\001\\0\\002\\0\\001\\0\\0\\0"
     "\\004\\0\\0\\0\\004\\0\\020\\0data\\0\\004\\0\\0' > hertz.wav; "
     "head -c 1024 /dev/zero >> hertz.wav",
     "bad-rate", "1 Hz"},
    {"many.wav",
     "printf 'RIFF\\044\\104\\0\\0WAVEfmt \\020\\0\\0\\0\\001\\0\\101\\0\\104\\254\\0\\0"
     "\\210\\172\\127\\001\\202\\0\\020\\0data\\0\\104\\0\\0' > many.wav; "
     "head -c 17408 /dev/zero >> many.wav",
     "bad-channels", "65 channels"},
    {"head.wav",
     "printf 'RIFF\\044\\004\\0\\0WAVEfmt \\020\\0\\0\\160\\001\\0\\002\\0\\104\\254\\0\\0"
     "\\020\\261\\002\\0\\004\\0\\020\\0data\\0\\004\\0\\0' > head.wav; "
     "head -c 1024 /dev/zero >> head.wav",
     "damaged", "header"},
    {"day.flac", "ffmpeg -v error -f lavfi -i anullsrc=r=8000:cl=mono -t 43200 day.flac",
     "too-long", "longer than 6 hours"},
    {"hole.flac",
     "cp a.flac hole.flac; dd if=16.wav of=hole.flac bs=1 seek=100000 count=3000 "
     "conv=notrunc status=none",
     "damaged", "can't be decoded"},
};

static void test_bad_files_say_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sound sound;
        struct failure failure;
        int64_t frames;
        support_run("%s", bad[i].command);
        if (decode(bad[i].name, &sound, &frames, &failure) == 0) {
            fail_msg("%s: was taken", bad[i].name);
        }
        assert_true(failure.final);
        if (strcmp(failure.code, bad[i].code) != 0 || !strstr(failure.reason, bad[i].words)) {
            fail_msg("%s: %s: %s", bad[i].name, failure.code, failure.reason);
        }
    }
}

/* What ends cleanly is not taken for broken: a WAV whose writer did not know its length, and
 * rubbish behind the last sample. */
static void test_odd_files_are_taken(void **state)
{
    struct sound sound;
    struct failure failure;
    int64_t frames;
    (void)state;
    support_run("ffmpeg -v error -i source.wav -f wav - > pipe.wav");
    assert_int_equal(decode("pipe.wav", &sound, &frames, &failure), 0);
    assert_int_equal(frames, FRAMES);
    support_run("(cat a.flac; head -c 2000 16.wav | gzip) > tail.flac");
    assert_int_equal(decode("tail.flac", &sound, &frames, &failure), 0);
    assert_int_equal(frames, FRAMES);
    support_run("(cat v.ogg; head -c 2000 16.wav | gzip) > tail.ogg");
    assert_int_equal(decode("tail.ogg", &sound, &frames, &failure), 0);
    assert_int_equal(frames, FRAMES);
    support_run("cat flac.oga flac.oga > chain.oga");
    assert_int_equal(decode("chain.oga", &sound, &frames, &failure), 0);
    assert_int_equal(frames, 2 * FRAMES);
    support_run("ffmpeg -v error -i flac.oga -c copy -output_ts_offset 100 later.oga");
    assert_int_equal(decode("later.oga", &sound, &frames, &failure), 0);
    assert_int_equal(frames, FRAMES);
}

/* Cuts of a file, one behind the other, are the file, whatever blocks it is decoded in. */
static void test_cuts_touch(void **state)
{
    static const int64_t marks[] = {0, 1, 76, 333, 700, 0};
    static const char *const names[] = {"a.flac", "cbr.mp3", "v.ogg", "192k.wav"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int64_t bytes, sum = 0;
        int fd CLEANUP_CLOSE = support_open(names[i], &bytes);
        const float *const *planes, *const *whole_planes;
        unsigned frames, whole_frames = 0, whole_at = 0;
        struct failure failure = {0};
        struct decoder *whole = NULL;
        assert_int_equal(decoder_open(fd, bytes, &failure, &whole), 0);
        for (unsigned k = 0; k + 1 < sizeof marks / sizeof marks[0]; k++) {
            struct decoder *decoder = NULL;
            assert_int_equal(decoder_open(fd, bytes, &failure, &decoder), 0);
            int rate = decoder_sound(decoder)->pcm.rate;
            decoder_cut(decoder, marks[k], marks[k + 1]);
            while (decoder_next(decoder, &planes, &frames, &failure) > 0) {
                for (unsigned at = 0; at < frames; at++, whole_at++) {
                    if (whole_at == whole_frames) {
                        assert_int_equal(
                            decoder_next(whole, &whole_planes, &whole_frames, &failure), 1);
                        whole_at = 0;
                    }
                    assert_true(planes[0][at] == whole_planes[0][whole_at]);
                }
                sum += frames;
            }
            if (marks[k + 1] != 0) {
                assert_int_equal(decoder_frames(decoder),
                                 marks[k + 1] * rate / 75 - marks[k] * rate / 75);
            }
            decoder_free(decoder);
        }
        assert_true(whole_at == whole_frames);
        assert_int_equal(decoder_next(whole, &whole_planes, &whole_frames, &failure), 0);
        assert_int_equal(sum, decoder_frames(whole));
        decoder_free(whole);
    }
}

/* Each step of skipping what lies before a cut is told, none is longer than a block. */
static void test_skipping_is_told(void **state)
{
    static const char *const names[] = {"a.flac", "cbr.mp3", "v.ogg", "192k.wav"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int64_t bytes;
        int fd CLEANUP_CLOSE = support_open(names[i], &bytes);
        const float *const *planes;
        unsigned frames = 0, skipped = 0;
        int former = 0, result = 1;
        struct failure failure = {0};
        struct decoder *decoder = NULL;
        assert_int_equal(decoder_open(fd, bytes, &failure, &decoder), 0);
        decoder_cut(decoder, 9 * 75, 0);
        while ((result = decoder_next(decoder, &planes, &frames, &failure)) > 0 && frames == 0) {
            assert_in_range(decoder_progress(decoder), former, former + 200);
            former = decoder_progress(decoder);
            skipped++;
        }
        assert_int_equal(result, 1);
        assert_in_range(skipped, 20, 20000);
        assert_in_range(former, 500, 1000);
        decoder_free(decoder);
    }
}

static void test_a_cut_behind_the_end(void **state)
{
    int64_t bytes;
    int fd CLEANUP_CLOSE = support_open("a.flac", &bytes);
    const float *const *planes;
    unsigned frames;
    struct failure failure = {0};
    struct decoder *decoder = NULL;
    (void)state;
    assert_int_equal(decoder_open(fd, bytes, &failure, &decoder), 0);
    decoder_cut(decoder, 75 * 60, 0);
    int result;
    while ((result = decoder_next(decoder, &planes, &frames, &failure)) > 0) {
        assert_int_equal(frames, 0);
    }
    assert_true(result < 0);
    assert_string_equal(failure.code, "no-samples");
    decoder_free(decoder);
}

/* The object ends where its length says, whatever the file holds behind it. */
static void test_reads_no_further_than_told(void **state)
{
    int64_t bytes;
    struct failure failure = {0};
    struct decoder *decoder = NULL;
    (void)state;
    int fd CLEANUP_CLOSE = support_open("16.wav", &bytes);
    assert_int_equal(decoder_open(fd, bytes / 2, &failure, &decoder), 0);
    const float *const *planes;
    unsigned frames;
    int result;
    while ((result = decoder_next(decoder, &planes, &frames, &failure)) > 0) {
    }
    assert_true(result < 0);
    assert_string_equal(failure.code, "truncated");
    assert_in_range(decoder_frames(decoder), FRAMES / 2 - 100, FRAMES / 2);
    decoder_free(decoder);
}

static int make_source(void **state)
{
    if (support_setup(state) != 0) {
        return -1;
    }
    av_log_set_level(AV_LOG_QUIET);
    support_run("ffmpeg -v error -f lavfi -i \"" SUPPORT_CHORD "10.123\" source.wav");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths_are_exact),
        cmocka_unit_test(test_samples_are_aligned),
        cmocka_unit_test(test_bad_files_say_why),
        cmocka_unit_test(test_odd_files_are_taken),
        cmocka_unit_test(test_cuts_touch),
        cmocka_unit_test(test_skipping_is_told),
        cmocka_unit_test(test_a_cut_behind_the_end),
        cmocka_unit_test(test_reads_no_further_than_told),
    };
    return cmocka_run_group_tests(tests, make_source, support_teardown);
}
