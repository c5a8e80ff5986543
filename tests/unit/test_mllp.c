/* links: hl7 base */
#include "hl7/mllp.h"
#include "support/mllp_trace.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define VT "\x0b"
#define FS "\x1c"
#define END "\x1c\r"
#define LIMIT 32

/* Runs the stream whole, byte by byte and cut in two at every place: the same each time. What is
 * expected is the trace without hashes. */
static void expect_cut(const char *stream, size_t length, bool lenient, size_t cut, char *ret_text,
                       size_t size)
{
    struct mllp_trace trace;

    mllp_trace_begin(&trace, LIMIT, lenient);
    if (cut == SIZE_MAX) {
        for (size_t i = 0; i < length; i++)
            mllp_trace_feed(&trace, stream + i, 1);
    } else {
        mllp_trace_feed(&trace, stream, cut);
        mllp_trace_feed(&trace, stream + cut, length - cut);
    }
    snprintf(ret_text, size, "%s", mllp_trace_end(&trace));
    mllp_trace_free(&trace);
}

static void strip_hashes(char *text)
{
    char *out = text;

    for (const char *at = text; *at != '\0'; at++) {
        const char *line_end = strchr(at, '\n');
        if (*at == ' ' && line_end == at + 17)
            at = line_end;
        *out++ = *at == '\n' ? ';' : *at;
    }
    *out = '\0';
}

static void expect(const char *stream, size_t length, bool lenient, const char *expected)
{
    char first[1024], other[1024];

    expect_cut(stream, length, lenient, SIZE_MAX, first, sizeof first);
    for (size_t cut = 0; cut <= length; cut++) {
        expect_cut(stream, length, lenient, cut, other, sizeof other);
        assert_string_equal(first, other);
    }
    strip_hashes(first);
    assert_string_equal(first, expected);
}

#define STRICT(stream, expected) expect(stream, sizeof(stream) - 1, false, expected)
#define LENIENT(stream, expected) expect(stream, sizeof(stream) - 1, true, expected)
#define BOTH(stream, expected)                                                                     \
    do {                                                                                           \
        STRICT(stream, expected);                                                                  \
        LENIENT(stream, expected);                                                                 \
    } while (0)

static void good_frames(void **state)
{
    (void)state;
    BOTH(VT "abc" END, "opened;message 3;end junk=0 padding=0 offset=6 open=0");
    BOTH(VT "a" END VT "bc" END,
         "opened;message 1;opened;message 2;end junk=0 padding=0 offset=9 open=0");
    BOTH("", "end junk=0 padding=0 offset=0 open=0");
    BOTH(VT "a\0b\xff" END, "opened;message 4;end junk=0 padding=0 offset=7 open=0");
}

static void unfinished_frames(void **state)
{
    (void)state;
    BOTH(VT "abc", "opened;end junk=0 padding=0 offset=4 open=1");
    BOTH(VT, "opened;end junk=0 padding=0 offset=1 open=1");
    STRICT(VT "abc" FS, "opened;end junk=0 padding=0 offset=5 open=1");
    LENIENT(VT "abc" FS, "opened;message 3;end junk=0 padding=0 offset=5 open=0");
}

static void junk_and_padding(void **state)
{
    (void)state;
    BOTH("xy\r\n\0z" VT "a" END "q", "opened;message 1;end junk=4 padding=3 offset=11 open=0");
    STRICT(END, "end junk=1 padding=1 offset=2 open=0");
    STRICT(VT "a" END "\n" VT "b" END,
           "opened;message 1;opened;message 1;end junk=0 padding=1 offset=9 open=0");
}

static void empty_frames(void **state)
{
    (void)state;
    BOTH(VT END, "opened;empty;end junk=0 padding=0 offset=3 open=0");
    BOTH(VT "\r" END, "opened;empty;end junk=0 padding=0 offset=4 open=0");
    STRICT(VT FS FS END, "opened;empty;end junk=0 padding=0 offset=5 open=0");
}

static void commit_blocks(void **state)
{
    (void)state;
    BOTH(VT "\x06" END VT "\x15" END,
         "opened;commit-ack;opened;commit-nak;end junk=0 padding=0 offset=8 open=0");
}

static void abandoned_frames(void **state)
{
    (void)state;
    BOTH(VT "abcd" VT "ef" END,
         "opened;abandoned 4;message 2;end junk=0 padding=0 offset=10 open=0");
    BOTH(VT VT VT "a" END, "opened;message 1;end junk=0 padding=0 offset=6 open=0");
    STRICT(VT FS VT "a" END, "opened;abandoned 1;message 1;end junk=0 padding=0 offset=6 open=0");
    LENIENT(VT "a" FS VT "b" END,
            "opened;message 1;opened;message 1;end junk=0 padding=0 offset=7 open=0");
}

static void end_blocks_in_content(void **state)
{
    (void)state;
    STRICT(VT "a" FS "b" END, "opened;message 3;end junk=0 padding=0 offset=6 open=0");
    STRICT(VT "a" FS FS "b" FS FS END, "opened;message 4;end junk=0 padding=0 offset=9 open=0");
    STRICT(VT "a" FS "\n" END, "opened;message 3;end junk=0 padding=0 offset=6 open=0");
    STRICT(VT "a" END "b" END, "opened;message 1;end junk=2 padding=1 offset=7 open=0");
    LENIENT(VT "a" FS "b" END, "opened;message 1;end junk=2 padding=1 offset=6 open=0");
    LENIENT(VT "a" FS FS END, "opened;message 1;end junk=0 padding=0 offset=6 open=0");
    LENIENT(VT "a" FS "\n" VT "b" END,
            "opened;message 1;opened;message 1;end junk=0 padding=0 offset=8 open=0");
}

static void the_limit(void **state)
{
    (void)state;
    BOTH(VT "12345678901234567890123456789012" END,
         "opened;message 32;end junk=0 padding=0 offset=35 open=0");
    BOTH(VT "123456789012345678901234567890123" END VT "a" END,
         "opened;too-large 32;end junk=0 padding=0 offset=40 open=1");
    STRICT(VT "1234567890123456789012345678901" FS FS "x",
           "opened;too-large 32;end junk=0 padding=0 offset=35 open=1");
}

static void reset_after_too_large(void **state)
{
    struct mllp_limits limits = {.maximum_content_bytes = 4};
    struct mllp_decoder decoder;
    enum mllp_event event;
    size_t used;

    (void)state;
    mllp_decoder_init(&decoder, &limits);
    assert_int_equal(mllp_decoder_feed(&decoder, VT "12345678", 9, &used, &event), 0);
    assert_int_equal(event, MLLP_OPENED);
    assert_int_equal(used, 1);
    assert_int_equal(mllp_decoder_feed(&decoder, "12345678", 8, &used, &event), 0);
    assert_int_equal(event, MLLP_TOO_LARGE);
    assert_true(span_equal_string(mllp_decoder_content(&decoder), "1234"));
    mllp_decoder_reset(&decoder);
    assert_false(mllp_decoder_in_frame(&decoder));
    assert_int_equal(mllp_decoder_memory(&decoder), 0);
    mllp_decoder_free(&decoder);
}

static void limits_hold_from_the_next_frame(void **state)
{
    struct mllp_limits limits = {.maximum_content_bytes = 4};
    struct mllp_decoder decoder;
    enum mllp_event event;
    size_t used, length;

    (void)state;
    mllp_decoder_init(&decoder, &limits);
    assert_int_equal(mllp_decoder_feed(&decoder, VT, 1, &used, &event), 0);
    limits = (struct mllp_limits){.maximum_content_bytes = 2, .lenient_end = true};
    mllp_decoder_set_limits(&decoder, &limits);
    assert_int_equal(mllp_decoder_feed(&decoder, "abcd" FS, 5, &used, &event), 0);
    assert_int_equal(event, MLLP_NEED_MORE); /* still strict */
    assert_int_equal(mllp_decoder_feed(&decoder, "\r", 1, &used, &event), 0);
    assert_int_equal(event, MLLP_MESSAGE);
    char *taken = mllp_decoder_take(&decoder, &length);
    assert_memory_equal(taken, "abcd", 4);
    free(taken);
    assert_null(mllp_decoder_take(&decoder, &length));
    assert_int_equal(mllp_decoder_feed(&decoder, VT, 1, &used, &event), 0);
    assert_int_equal(mllp_decoder_feed(&decoder, "abc", 3, &used, &event), 0);
    assert_int_equal(event, MLLP_TOO_LARGE);
    mllp_decoder_free(&decoder);
}

/* What nobody took is dropped at the next feed, and idle decoders hold no memory. */
static void not_taken(void **state)
{
    struct mllp_limits limits = {.maximum_content_bytes = 100};
    struct mllp_decoder decoder;
    enum mllp_event event;
    size_t used;

    (void)state;
    mllp_decoder_init(&decoder, &limits);
    assert_int_equal(mllp_decoder_feed(&decoder, VT, 1, &used, &event), 0);
    assert_int_equal(mllp_decoder_feed(&decoder, "abc" END, 5, &used, &event), 0);
    assert_int_equal(event, MLLP_MESSAGE);
    assert_int_equal(mllp_decoder_content(&decoder).length, 3);
    assert_int_equal(mllp_decoder_feed(&decoder, NULL, 0, &used, &event), 0);
    assert_int_equal(mllp_decoder_content(&decoder).length, 0);
    assert_int_equal(mllp_decoder_memory(&decoder), 0);
    mllp_decoder_free(&decoder);
}

static double decode_seconds(const char *unit, size_t unit_length, size_t bytes)
{
    struct mllp_trace trace;
    struct timespec from, to;
    char *stream = malloc(bytes);

    assert_non_null(stream);
    for (size_t i = 0; i < bytes; i++)
        stream[i] = unit[i % unit_length];
    mllp_trace_begin(&trace, bytes, false);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    mllp_trace_feed(&trace, VT, 1);
    mllp_trace_feed(&trace, stream, bytes);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    mllp_trace_free(&trace);
    free(stream);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* Floods that would be quadratic with two memchr() calls or a memmove for each event. 4 MB take a
 * fraction of a second even with the sanitizers; quadratic would be hours. */
static void floods_are_linear(void **state)
{
    const size_t bytes = 4u << 20;

    (void)state;
    assert_true(decode_seconds(VT, 1, bytes) < 5);
    assert_true(decode_seconds(FS, 1, bytes) < 5);
    assert_true(decode_seconds(FS "x", 2, bytes) < 5);
    assert_true(decode_seconds("x" VT, 2, bytes / 8) < 5);
    assert_true(decode_seconds("abcdefghijklmnop", 16, bytes) < 5);
}

static void encoding(void **state)
{
    struct buffer out;

    (void)state;
    buffer_init(&out, 100);
    assert_int_equal(mllp_encode(&out, span_of("a\0b", 3)), 0);
    assert_int_equal(mllp_encode_commit(&out, true), 0);
    assert_int_equal(mllp_encode_commit(&out, false), 0);
    assert_int_equal(out.length, 14);
    assert_memory_equal(out.data, VT "a\0b" END VT "\x06" END VT "\x15" END, 14);
    buffer_free(&out);

    buffer_init(&out, 5);
    assert_int_equal(mllp_encode(&out, span_of("abc", 3)), -EMSGSIZE);
    assert_int_equal(out.length, 0);
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_frames),
        cmocka_unit_test(unfinished_frames),
        cmocka_unit_test(junk_and_padding),
        cmocka_unit_test(empty_frames),
        cmocka_unit_test(commit_blocks),
        cmocka_unit_test(abandoned_frames),
        cmocka_unit_test(end_blocks_in_content),
        cmocka_unit_test(the_limit),
        cmocka_unit_test(reset_after_too_large),
        cmocka_unit_test(limits_hold_from_the_next_frame),
        cmocka_unit_test(not_taken),
        cmocka_unit_test(floods_are_linear),
        cmocka_unit_test(encoding),
    };

    return cmocka_run_group_tests_name("mllp", tests, NULL, NULL);
}
