/* links: vpn */
#include "vpn/vici.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) (text), sizeof(text) - 1

/* --- building ----------------------------------------------------------------------------- */

static void test_builds_every_element(void **state)
{
    static const char expected[] = "\x03\x01"
                                   "a\x00\x02xy"
                                   "\x01\x03sec"
                                   "\x03\x01n\x00\x02"
                                   "42"
                                   "\x04\x01l"
                                   "\x05\x00\x01"
                                   "1"
                                   "\x05\x00\x00"
                                   "\x06"
                                   "\x02";
    struct vici_builder builder;

    (void)state;
    vici_builder_init(&builder);
    vici_builder_text(&builder, "a", "xy");
    vici_builder_section_start(&builder, "sec");
    vici_builder_number(&builder, "n", 42);
    vici_builder_list_start(&builder, "l");
    vici_builder_item(&builder, "1", 1);
    vici_builder_item(&builder, NULL, 0);
    vici_builder_list_end(&builder);
    vici_builder_section_end(&builder);
    assert_int_equal(vici_builder_finish(&builder), 0);
    assert_int_equal(builder.bytes.length, sizeof expected - 1);
    assert_memory_equal(builder.bytes.data, expected, sizeof expected - 1);
    vici_builder_free(&builder);
}

/* Each letter builds one element: s section, e its end, v value, l list, i item, x list's end. */
static int build(const char *steps)
{
    struct vici_builder builder;
    int error;

    vici_builder_init(&builder);
    for (; *steps != '\0'; steps++) {
        switch (*steps) {
        case 's':
            vici_builder_section_start(&builder, "s");
            break;
        case 'e':
            vici_builder_section_end(&builder);
            break;
        case 'v':
            vici_builder_text(&builder, "v", "");
            break;
        case 'l':
            vici_builder_list_start(&builder, "l");
            break;
        case 'i':
            vici_builder_item(&builder, "i", 1);
            break;
        default:
            vici_builder_list_end(&builder);
        }
    }
    error = vici_builder_finish(&builder);
    vici_builder_free(&builder);
    return error;
}

static void test_builder_wants_good_nesting(void **state)
{
#define SIXTEEN "sssssssssssssssseeeeeeeeeeeeeeee"
    static const char *const good[] = {"", "v", "se", "lx", "lix", "sslixeve", SIXTEEN};
    static const char *const wrong[] = {"s",  "e",  "l",    "i",     "x",      "li",
                                        "lv", "ls", "llxx", "slexx", "lsiexx", "see"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(build(good[i]), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(build(wrong[i]), -EINVAL);
    assert_int_equal(build("sssssssssssssssss"), -EMSGSIZE); /* 17 */
}

static void test_builder_errors_stick(void **state)
{
    struct vici_builder builder;
    char name[257];

    (void)state;
    memset(name, 'n', 256);
    name[256] = '\0';
    vici_builder_init(&builder);
    vici_builder_text(&builder, name, "v");
    assert_int_equal(builder.error, -EMSGSIZE);
    vici_builder_section_end(&builder); /* would be -EINVAL */
    vici_builder_text(&builder, "a", "b");
    assert_int_equal(vici_builder_finish(&builder), -EMSGSIZE);
    vici_builder_free(&builder);

    name[255] = '\0';
    vici_builder_text(&builder, name, "v");
    assert_int_equal(vici_builder_finish(&builder), 0);
    vici_builder_free(&builder);
}

static void test_builder_bounds_values_and_messages(void **state)
{
    static char value[65536];
    struct vici_builder builder;

    (void)state;
    vici_builder_init(&builder);
    vici_builder_value(&builder, "v", value, sizeof value);
    assert_int_equal(vici_builder_finish(&builder), -EMSGSIZE);
    vici_builder_free(&builder);

    for (unsigned i = 0; i < 7; i++)
        vici_builder_value(&builder, "v", value, 65535);
    assert_int_equal(vici_builder_finish(&builder), 0);
    vici_builder_value(&builder, "v", value, 65535); /* over 512 KiB */
    assert_int_equal(vici_builder_finish(&builder), -EMSGSIZE);
    vici_builder_free(&builder);
}

/* --- reading ------------------------------------------------------------------------------ */

/* The elements as text: "a=xy sec{ n=42 l[ 1 ] }", and how it ended: "." whole, "?" more needed,
 * "!" bad. From memory that ends where the message does, so that ASan sees a read behind it. */
static enum vici_answer read_all(const char *message, size_t length, char *ret_text, size_t size,
                                 struct vici_reader *ret_reader)
{
    char *copy = malloc(length > 0 ? length : 1);
    struct vici_element e;
    enum vici_answer answer;
    size_t used = 0;

    assert_non_null(copy);
    memcpy(copy, message, length);
    vici_reader_init(ret_reader, (struct vici_text){copy, length});
    ret_text[0] = '\0';
    while ((answer = vici_reader_next(ret_reader, &e)) == VICI_COMPLETE &&
           e.type != VICI_MESSAGE_END) {
        static const char *const marks[] = {"", "{ ", "} ", "=", "[ ", "", "] "};
        used += (size_t)snprintf(ret_text + used, size - used, "%.*s%s%.*s%s", (int)e.name.length,
                                 e.name.length > 0 ? e.name.data : "", marks[e.type],
                                 (int)e.value.length, e.value.length > 0 ? e.value.data : "",
                                 e.type == VICI_KEY_VALUE || e.type == VICI_LIST_ITEM ? " " : "");
    }
    snprintf(ret_text + used, size - used, "%s",
             answer == VICI_COMPLETE    ? "."
             : answer == VICI_NEED_MORE ? "?"
                                        : "!");
    assert_int_equal(vici_reader_next(ret_reader, &e), answer); /* stays */
    free(copy);
    return answer;
}

static void expect_read(const char *message, size_t length, const char *expected)
{
    char text[256];
    struct vici_reader reader;

    read_all(message, length, text, sizeof text, &reader);
    assert_string_equal(text, expected);
}

static const char example[] = "\x03\x01"
                              "a\x00\x02xy\x01\x03sec\x03\x01n\x00\x02"
                              "42\x04\x01l\x05\x00\x01"
                              "1\x06\x02";

static void test_reads_every_element(void **state)
{
    (void)state;
    expect_read(BYTES(example), "a=xy sec{ n=42 l[ 1 ] } .");
    expect_read("", 0, ".");
    expect_read(BYTES("\x01\x00\x02"), "{ } ."); /* an empty name */
}

static void test_every_cut_needs_more(void **state)
{
    char text[256];
    struct vici_reader reader;

    (void)state;
    for (size_t cut = 1; cut < sizeof example - 1; cut++) {
        enum vici_answer answer = read_all(example, cut, text, sizeof text, &reader);
        /* Behind a=xy the message is whole by chance. */
        assert_int_equal(answer, cut == 7 ? VICI_COMPLETE : VICI_NEED_MORE);
        assert_true(reader.offset <= cut);
    }
}

static void test_bad_elements_and_where(void **state)
{
    static const struct {
        const char *message;
        size_t length, offset;
        const char *reason;
    } cases[] = {
        {BYTES("\x00"), 0, "an element of a type that doesn't exist"},
        {BYTES("\x01\x01s\x07"), 3, "an element of a type that doesn't exist"},
        {BYTES("\x02"), 0, "a section ends that never began"},
        {BYTES("\x01\x01s\x02\x02"), 4, "a section ends that never began"},
        {BYTES("\x05\x00\x01x"), 0, "a list's item or end outside of a list"},
        {BYTES("\x06"), 0, "a list's item or end outside of a list"},
        {BYTES("\x04\x01l\x03\x01k\x00\x00"), 3, "a list holds something other than items"},
        {BYTES("\x04\x01l\x01\x01s"), 3, "a list holds something other than items"},
        {BYTES("\x04\x01l\x04\x01l"), 3, "a list holds something other than items"},
        {BYTES("\x01\x01s\x04\x01l\x02"), 6, "a list holds something other than items"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        struct vici_reader reader;
        assert_int_equal(read_all(cases[i].message, cases[i].length, text, sizeof text, &reader),
                         VICI_BAD);
        assert_string_equal(reader.reason, cases[i].reason);
        assert_int_equal(reader.offset, cases[i].offset);
    }
}

static void test_depth_is_bounded(void **state)
{
    char message[3 * (VICI_DEPTH_MAXIMUM + 1)], text[512];
    struct vici_reader reader;

    (void)state;
    for (unsigned i = 0; i <= VICI_DEPTH_MAXIMUM; i++)
        memcpy(message + 3 * i, "\x01\x01s", 3);
    assert_int_equal(read_all(message, sizeof message, text, sizeof text, &reader), VICI_BAD);
    assert_string_equal(reader.reason, "sections are nested too deeply");
    assert_int_equal(reader.offset, 3 * VICI_DEPTH_MAXIMUM);
    assert_int_equal(read_all(message, sizeof message - 3, text, sizeof text, &reader),
                     VICI_NEED_MORE);
}

static void test_numbers(void **state)
{
    static const char *const wrong[] = {
        "", "-1", "+1", " 1", "1 ", "0x1", "1a", "1.0", "18446744073709551616"};
    uint64_t number = 7;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(vici_text_number(vici_text_of(wrong[i]), &number));
    assert_int_equal(number, 7);
    assert_true(vici_text_number(vici_text_of("18446744073709551615"), &number));
    assert_true(number == UINT64_MAX);
    assert_true(vici_text_number(vici_text_of("0"), &number));
    assert_int_equal(number, 0);
    assert_true(vici_text_is(vici_text_of("yes"), "yes"));
    assert_false(vici_text_is(vici_text_of("yes!"), "yes"));
    assert_true(vici_text_is((struct vici_text){0}, ""));
}

/* --- packets ------------------------------------------------------------------------------ */

static void test_writes_packets(void **state)
{
    struct vici_builder message;
    struct octets out;

    (void)state;
    octets_init(&out, 100);
    vici_builder_init(&message);
    vici_builder_text(&message, "k", "v");
    assert_int_equal(vici_packet_write(&out, VICI_CMD_REQUEST, "version", NULL), 0);
    assert_int_equal(vici_packet_write(&out, VICI_CMD_REQUEST, "x", &message), 0);
    assert_int_equal(vici_packet_write(&out, VICI_CMD_RESPONSE, NULL, &message), 0);
    assert_int_equal(vici_packet_write(&out, VICI_EVENT_CONFIRM, NULL, NULL), 0);
    assert_int_equal(out.length, 13 + 13 + 11 + 5);
    assert_memory_equal(out.data,
                        "\0\0\0\x09\0\x07version"
                        "\0\0\0\x09\0\x01x\x03\x01k\0\x01v"
                        "\0\0\0\x07\x01\x03\x01k\0\x01v"
                        "\0\0\0\x01\x05",
                        out.length);
    /* What cannot be. */
    assert_int_equal(vici_packet_write(&out, VICI_CMD_REQUEST, NULL, NULL), -EINVAL);
    assert_int_equal(vici_packet_write(&out, VICI_CMD_RESPONSE, "x", NULL), -EINVAL);
    assert_int_equal(vici_packet_write(&out, VICI_EVENT_REGISTER, "x", &message), -EINVAL);
    vici_builder_section_start(&message, "open");
    assert_int_equal(vici_packet_write(&out, VICI_CMD_RESPONSE, NULL, &message), -EINVAL);
    assert_int_equal(out.length, 13 + 13 + 11 + 5);
    vici_builder_free(&message);
    octets_free(&out);
}

static void test_packets_are_written_whole_or_not(void **state)
{
    static char value[60000];
    struct vici_builder message;
    struct octets out;
    char name[257];

    (void)state;
    memset(name, 'n', 256);
    name[256] = '\0';
    octets_init(&out, 8);
    assert_int_equal(vici_packet_write(&out, VICI_EVENT_REGISTER, "1234", NULL), -EMSGSIZE);
    assert_int_equal(out.length, 0);
    octets_init(&out, 4 * VICI_PACKET_MAXIMUM);
    assert_int_equal(vici_packet_write(&out, VICI_EVENT_REGISTER, name, NULL), -EMSGSIZE);
    /* A message that fits by itself but not with its packet's name. */
    vici_builder_init(&message);
    for (unsigned i = 0; i < 8; i++)
        vici_builder_value(&message, "v", value, sizeof value);
    vici_builder_value(&message, "v", value,
                       VICI_PACKET_MAXIMUM - message.bytes.length - 5 - strlen("1:x"));
    assert_int_equal(vici_packet_write(&out, VICI_CMD_REQUEST, "xy", &message), -EMSGSIZE);
    assert_int_equal(out.length, 0);
    assert_int_equal(vici_packet_write(&out, VICI_CMD_REQUEST, "x", &message), 0);
    assert_int_equal(out.length, 4 + VICI_PACKET_MAXIMUM);
    vici_builder_free(&message);
    octets_free(&out);
}

static const char stream[] = "\0\0\0\x0a\0\x03"
                             "abc\x03\x01k\0\0"
                             "\0\0\0\x01\x05"
                             "\0\0\0\x03\x07\x01"
                             "e"
                             "\0\0\0\x01\x01";

/* "type:name:length" of each packet, fed in pieces of so many bytes. */
static void cut_up(size_t piece, char *ret_text, size_t size)
{
    struct vici_packets packets;
    struct vici_packet packet;
    size_t used = 0, at = 0, length = sizeof stream - 1;

    vici_packets_init(&packets);
    ret_text[0] = '\0';
    while (at < length) {
        size_t some = length - at < piece ? length - at : piece, taken;
        enum vici_answer answer = vici_packets_feed(&packets, stream + at, some, &taken, &packet);
        assert_int_not_equal(answer, VICI_BAD);
        assert_true(taken == some || answer == VICI_COMPLETE);
        at += taken;
        if (answer == VICI_COMPLETE)
            used += (size_t)snprintf(ret_text + used, size - used, "%d:%.*s:%zu@%zu ",
                                     (int)packet.type, (int)packet.name.length,
                                     packet.name.length > 0 ? packet.name.data : "",
                                     packet.message.length, (size_t)packets.offset);
    }
    vici_packets_free(&packets);
}

static void test_cuts_a_stream_into_packets(void **state)
{
    char text[128];

    (void)state;
    for (size_t piece = 1; piece <= sizeof stream; piece++) {
        cut_up(piece, text, sizeof text);
        assert_string_equal(text, "0:abc:5@0 5::0@14 7:e:0@19 1::0@26 ");
    }
}

static void test_bad_packets(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *reason;
    } cases[] = {
        {BYTES("\0\x08\0\x01"), "a packet of more than 512 KiB"},
        {BYTES("\xff\xff\xff\xff"), "a packet of more than 512 KiB"},
        {BYTES("\0\0\0\0"), "an empty packet"},
        {BYTES("\0\0\0\x01\x08"), "a packet of a type that doesn't exist"},
        {BYTES("\0\0\0\x01\x07"), "a packet's name is longer than the packet"},
        {BYTES("\0\0\0\x03\x07\x02x"), "a packet's name is longer than the packet"},
        {BYTES("\0\0\0\x02\x05x"), "a packet with a message that its type doesn't have"},
        {BYTES("\0\0\0\x04\x03\x01xy"), "a packet with a message that its type doesn't have"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vici_packets packets;
        struct vici_packet packet;
        size_t used;

        vici_packets_init(&packets);
        assert_int_equal(vici_packets_feed(&packets, BYTES("\0\0\0\x01\x05"), &used, &packet),
                         VICI_COMPLETE);
        assert_int_equal(
            vici_packets_feed(&packets, cases[i].bytes, cases[i].length, &used, &packet), VICI_BAD);
        assert_string_equal(packets.reason, cases[i].reason);
        assert_int_equal(packets.offset, 5);
        assert_int_equal(vici_packets_feed(&packets, BYTES("\0\0\0\x01\x05"), &used, &packet),
                         VICI_BAD); /* stays */
        assert_int_equal(used, 0);
        vici_packets_free(&packets);
    }
}

static void test_memory_follows_what_came(void **state)
{
    static char filler[VICI_PACKET_MAXIMUM];
    struct vici_packets packets;
    struct vici_packet packet;
    size_t used;

    (void)state;
    vici_packets_init(&packets);
    /* 512 KiB are claimed, five bytes there. */
    assert_int_equal(vici_packets_feed(&packets, BYTES("\0\x08\0\0\x01"), &used, &packet),
                     VICI_NEED_MORE);
    assert_true(packets.bytes.capacity <= 1024);
    assert_int_equal(vici_packets_feed(&packets, filler, sizeof filler, &used, &packet),
                     VICI_COMPLETE);
    assert_int_equal(used, VICI_PACKET_MAXIMUM - 1);
    assert_int_equal(packet.message.length, VICI_PACKET_MAXIMUM - 1);
    /* And is given back with the next packet. */
    assert_int_equal(vici_packets_feed(&packets, BYTES("\0\0\0\x01\x05"), &used, &packet),
                     VICI_COMPLETE);
    assert_true(packets.bytes.capacity <= 65536);
    vici_packets_free(&packets);
}

static void test_a_packet_is_wiped_when_the_next_comes(void **state)
{
    struct vici_packets packets;
    struct vici_packet packet;
    size_t used;

    (void)state;
    vici_packets_init(&packets);
    assert_int_equal(
        vici_packets_feed(&packets, BYTES("\0\0\0\x0d\x01\x03\x01k\0\x07secret!"), &used, &packet),
        VICI_COMPLETE);
    assert_int_equal(vici_packets_feed(&packets, NULL, 0, &used, &packet), VICI_NEED_MORE);
    for (size_t i = 0; i < 17; i++)
        assert_int_equal(packets.bytes.data[i], 0);
    vici_packets_free(&packets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builds_every_element),
        cmocka_unit_test(test_builder_wants_good_nesting),
        cmocka_unit_test(test_builder_errors_stick),
        cmocka_unit_test(test_builder_bounds_values_and_messages),
        cmocka_unit_test(test_reads_every_element),
        cmocka_unit_test(test_every_cut_needs_more),
        cmocka_unit_test(test_bad_elements_and_where),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_writes_packets),
        cmocka_unit_test(test_packets_are_written_whole_or_not),
        cmocka_unit_test(test_cuts_a_stream_into_packets),
        cmocka_unit_test(test_bad_packets),
        cmocka_unit_test(test_memory_follows_what_came),
        cmocka_unit_test(test_a_packet_is_wiped_when_the_next_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
