/* media/cmaf: the file byte by byte, worked out by hand from ISO/IEC 14496-12 for a track of
 * N = 1500 samples at 44100 Hz in three AAC packets (padding 3 · 1024 − 1024 − 1500 = 548 = 0x224);
 * fragments, the tail that joins its neighbour, FLAC's differences.
 */
#include "base/error.h"
#include "media/cmaf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const uint8_t asc[] = {0x12, 0x10, 0x56, 0xe5, 0x00}; /* AAC-LC, 44100 Hz, stereo */

/* Expected bytes: hexadecimal, and texts in quotes; spaces mean nothing. */
#define MATRIX "00010000 00000000 00000000 00000000 00010000 00000000 00000000 00000000 40000000"
#define Z4     "00000000 "
#define Z8     Z4 Z4
#define Z24    Z8 Z8 Z8

static const char aac_file[] =
    "00000024 'ftyp' 'iso6' 00000000 'iso6cmfcisommp41dash'"
    "00000382 'moov'"
    "0000006c 'mvhd' 00000000" Z8 "0000ac44 000005dc 00010000 0100 0000" Z8 MATRIX Z24 "00000002"
    "000001dd 'trak'"
    "0000005c 'tkhd' 00000003" Z8 "00000001" Z4 "000005dc" Z8 "0000 0000 0100 0000" MATRIX Z8
    "00000024 'edts' 0000001c 'elst' 00000000 00000001 000005dc 00000400 00010000"
    "00000155 'mdia'"
    "00000020 'mdhd' 00000000" Z8 "0000ac44 00000000 55c4 0000"
    "0000002d 'hdlr' 00000000" Z4 "'soun'" Z8 Z4 "'SoundHandler' 00"
    "00000100 'minf'"
    "00000010 'smhd' 00000000 0000 0000"
    "00000024 'dinf' 0000001c 'dref' 00000000 00000001 0000000c 'url ' 00000001"
    "000000c4 'stbl'"
    "0000005e 'stsd' 00000000 00000001"
    "0000004e 'mp4a' 000000000000 0001" Z8 "0002 0010 0000 0000 ac440000"
    "0000002a 'esds' 00000000 03 1c 0000 00 04 14 40 15 000000 00000000 00000000"
    "05 05 1210 56e500 06 01 02"
    "00000010 'stts' 00000000 00000000"
    "00000010 'stsc' 00000000 00000000"
    "00000014 'stsz' 00000000 00000000 00000000"
    "00000010 'stco' 00000000 00000000"
    "0000001a 'sgpd' 01000000 'roll' 00000002 00000001 ffff"
    "00000038 'mvex'"
    "00000010 'mehd' 00000000 000005dc"
    "00000020 'trex' 00000000 00000001 00000001 00000400 00000000 02000000"
    "000000f9 'udta' 000000f1 'meta' 00000000"
    "00000021 'hdlr' 00000000" Z4 "'mdirappl'" Z8 "00"
    "000000c4 'ilst' 000000bc '----'"
    "0000001c 'mean' 00000000 'com.apple.iTunes'"
    "00000014 'name' 00000000 'iTunSMPB'"
    "00000084 'data' 00000001 00000000"
    "' 00000000 00000400 00000224 00000000000005DC 00000000 00000000 00000000 00000000 00000000"
    " 00000000 00000000 00000000'"
    "0000002c 'sidx' 00000000 00000001 0000ac44 00000000 00000000 0000 0001"
    "0000009a 000005dc 90000000"
    "00000080 'moof' 00000010 'mfhd' 00000000 00000001"
    "00000068 'traf' 00000010 'tfhd' 00020000 00000001"
    "00000014 'tfdt' 01000000 0000000000000000"
    "00000020 'trun' 00000201 00000003 00000088 00000005 00000006 00000007"
    "0000001c 'sbgp' 00000000 'roll' 00000001 00000003 00000001"
    "0000001a 'mdat' 0000000000 010101010101 02020202020202";

/* 8192 + 100 samples at 96000 Hz, 24 bits: the entry says 48000, the last duration is its own. */
static const char flac_file[] =
    "00000024 'ftyp' 'iso6' 00000000 'iso6cmfcisommp41dash'"
    "00000277 'moov'"
    "0000006c 'mvhd' 00000000" Z8 "00017700 00002064 00010000 0100 0000" Z8 MATRIX Z24 "00000002"
    "000001cb 'trak'"
    "0000005c 'tkhd' 00000003" Z8 "00000001" Z4 "00002064" Z8 "0000 0000 0100 0000" MATRIX Z8
    "00000024 'edts' 0000001c 'elst' 00000000 00000001 00002064 00000000 00010000"
    "00000143 'mdia'"
    "00000020 'mdhd' 00000000" Z8 "00017700 00000000 55c4 0000"
    "0000002d 'hdlr' 00000000" Z4 "'soun'" Z8 Z4 "'SoundHandler' 00"
    "000000ee 'minf'"
    "00000010 'smhd' 00000000 0000 0000"
    "00000024 'dinf' 0000001c 'dref' 00000000 00000001 0000000c 'url ' 00000001"
    "000000b2 'stbl'"
    "00000066 'stsd' 00000000 00000001"
    "00000056 'fLaC' 000000000000 0001" Z8 "0002 0018 0000 0000 bb800000"
    "00000032 'dfLa' 00000000 80000022 'the STREAMINFO, thirty-four bytes.'"
    "00000010 'stts' 00000000 00000000"
    "00000010 'stsc' 00000000 00000000"
    "00000014 'stsz' 00000000 00000000 00000000"
    "00000010 'stco' 00000000 00000000"
    "00000038 'mvex'"
    "00000010 'mehd' 00000000 00002064"
    "00000020 'trex' 00000000 00000001 00000001 00002000 00000000 02000000"
    "0000002c 'sidx' 00000000 00000001 00017700 00000000 00000000 0000 0001"
    "0000007b 00002064 90000000"
    "00000068 'moof' 00000010 'mfhd' 00000000 00000001"
    "00000050 'traf' 00000010 'tfhd' 00020000 00000001"
    "00000014 'tfdt' 01000000 0000000000000000"
    "00000024 'trun' 00000301 00000002 00000070 00002000 00000005 00000064 00000006"
    "00000013 'mdat' 0000000000 010101010101";

static unsigned digit(char character)
{
    return (unsigned)(character <= '9' ? character - '0' : character - 'a' + 10);
}

/* Writes the bytes that text means to out; their count. */
static size_t bytes_of(const char *text, uint8_t *out)
{
    size_t count = 0;
    bool quoted = false;
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            quoted = !quoted;
        } else if (quoted) {
            out[count++] = (uint8_t)*text;
        } else if (*text != ' ') {
            out[count++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
            text++;
        }
    }
    return count;
}

static void assert_file(int fd, const char *expected_text, const struct cmaf_result *result)
{
    uint8_t expected[4096], found[4096];
    size_t length = bytes_of(expected_text, expected);
    assert_int_equal(pread(fd, found, sizeof found, 0), length);
    for (size_t i = 0; i < length; i++) {
        if (expected[i] != found[i]) {
            fail_msg("byte %zu is %02x, not %02x", i, found[i], expected[i]);
        }
    }
    assert_int_equal(result->bytes, length);
}

static const struct cmaf_config aac = {
    .codec = CMAF_AAC,
    .rate = 44100,
    .channels = 2,
    .bits = 16,
    .frame_samples = 1024,
    .priming = 1024,
};

static struct cmaf *open_muxer(struct cmaf_config config, int *ret_fd)
{
    struct cmaf *cmaf = NULL;
    config.fd = *ret_fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(config.fd >= 0);
    assert_int_equal(cmaf_new(&config, &cmaf), 0);
    return cmaf;
}

/* Packet i is i % 256, 5 + i % 3 times. */
static void put_packets(struct cmaf *cmaf, unsigned count, unsigned duration)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t bytes[7];
        memset(bytes, (int)i, sizeof bytes);
        assert_int_equal(cmaf_packet(cmaf, bytes, 5 + i % 3, duration), 0);
    }
}

static void an_aac_file_is_right_to_the_byte(void **state)
{
    (void)state;
    int fd;
    struct cmaf_result result;
    struct cmaf *cmaf = open_muxer(aac, &fd);
    put_packets(cmaf, 3, 1024);
    assert_int_equal(cmaf_finish(cmaf, 1500, asc, sizeof asc, &result), 0);
    assert_file(fd, aac_file, &result);
    assert_int_equal(result.init_bytes, 934);
    assert_int_equal(result.index_bytes, 44);
    assert_int_equal(result.first_fragment_end, result.bytes);
    assert_int_equal(result.bandwidth_average, 154 * 8 * 44100 / 3072);
    cmaf_free(cmaf);
    close(fd);
}

static void a_flac_file_is_right_to_the_byte(void **state)
{
    (void)state;
    static const struct cmaf_config flac = {
        .codec = CMAF_FLAC, .rate = 96000, .channels = 2, .bits = 24, .frame_samples = 8192};
    static const char info[] = "the STREAMINFO, thirty-four bytes.";
    int fd;
    struct cmaf_result result;
    struct cmaf *cmaf = open_muxer(flac, &fd);
    put_packets(cmaf, 1, 8192);
    assert_int_equal(cmaf_packet(cmaf, (const uint8_t *)"\1\1\1\1\1\1", 6, 100), 0);
    assert_int_equal(cmaf_finish(cmaf, 8292, (const uint8_t *)info, 34, &result), 0);
    assert_file(fd, flac_file, &result);
    cmaf_free(cmaf);
    close(fd);
}

static uint64_t number_at(int fd, int64_t offset, unsigned bytes)
{
    uint8_t digits[8];
    uint64_t value = 0;
    assert_int_equal(pread(fd, digits, bytes, offset), bytes);
    for (unsigned i = 0; i < bytes; i++) {
        value = value << 8 | digits[i];
    }
    return value;
}

/* What the fragments of a file of so many packets must be, whatever their number. */
static void check_fragments(unsigned packets, unsigned expected_fragments)
{
    int fd;
    struct cmaf_result result;
    int64_t samples = (int64_t)packets * 1024 - 1024 - 899;
    struct cmaf *cmaf = open_muxer(aac, &fd);
    put_packets(cmaf, packets, 1024);
    assert_int_equal(cmaf_finish(cmaf, samples, asc, sizeof asc, &result), 0);
    assert_int_equal(result.fragment_count, expected_fragments);
    int64_t at = result.init_bytes + result.index_bytes, duration = 0;
    for (unsigned i = 0; i < result.fragment_count; i++) {
        /* moof, 8 into it mfhd's number, 40 into it tfdt's time */
        assert_int_equal(number_at(fd, at + 4, 4), 0x6d6f6f66);
        assert_int_equal(number_at(fd, at + 20, 4), i + 1);
        assert_int_equal(number_at(fd, at + 60, 8), 176128 * (uint64_t)i);
        uint32_t expected = i == 0 ? 175104 : 176128;
        if (i + 1 < result.fragment_count) {
            assert_int_equal(result.fragments[2 * i + 1], expected);
        }
        duration += result.fragments[2 * i + 1];
        at += result.fragments[2 * i];
    }
    assert_int_equal(duration, samples);
    assert_int_equal(at, result.bytes);
    assert_int_equal(lseek(fd, 0, SEEK_END), result.bytes);
    cmaf_free(cmaf);
    close(fd);
}

static void a_short_tail_joins_the_fragment_before_it(void **state)
{
    (void)state;
    check_fragments(2, 1);
    check_fragments(172, 1);
    check_fragments(172 + 42, 1);
    check_fragments(172 + 43, 2);
    check_fragments(2 * 172, 2);
    check_fragments(2 * 172 + 42, 2);
    check_fragments(2 * 172 + 43, 3);
    check_fragments(100 * 172 + 5, 100);
}

static void fragments_last_about_four_seconds(void **state)
{
    (void)state;
    assert_int_equal(cmaf_fragment_packets(44100, 1024), 172);
    assert_int_equal(cmaf_fragment_packets(48000, 1024), 188);
    assert_int_equal(cmaf_fragment_packets(44100, 4608), 38);
}

static void packets_that_do_not_reach_the_end_are_refused(void **state)
{
    (void)state;
    int fd;
    struct cmaf_result result;
    struct cmaf *cmaf = open_muxer(aac, &fd);
    put_packets(cmaf, 3, 1024);
    assert_int_equal(cmaf_finish(cmaf, 2049, asc, sizeof asc, &result), ERR_INVALID);
    assert_int_equal(cmaf_finish(cmaf, 0, asc, sizeof asc, &result), ERR_INVALID);
    assert_int_equal(cmaf_finish(cmaf, 2048, asc, sizeof asc, &result), 0);
    cmaf_free(cmaf);
    close(fd);
}

static void a_descriptor_that_can_not_be_written_says_so(void **state)
{
    (void)state;
    int pair[2];
    struct cmaf_result result;
    struct cmaf_config config = aac;
    struct cmaf *cmaf = NULL;
    assert_int_equal(pipe(pair), 0);
    config.fd = pair[1];
    assert_int_equal(cmaf_new(&config, &cmaf), 0);
    put_packets(cmaf, 3, 1024);
    assert_int_equal(cmaf_finish(cmaf, 1500, asc, sizeof asc, &result), ERR_IO);
    cmaf_free(cmaf);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_aac_file_is_right_to_the_byte),
        cmocka_unit_test(a_flac_file_is_right_to_the_byte),
        cmocka_unit_test(a_short_tail_joins_the_fragment_before_it),
        cmocka_unit_test(fragments_last_about_four_seconds),
        cmocka_unit_test(packets_that_do_not_reach_the_end_are_refused),
        cmocka_unit_test(a_descriptor_that_can_not_be_written_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
