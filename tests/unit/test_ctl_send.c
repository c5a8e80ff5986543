/* links: ctl hl7 base */
#include "base/text.h"
#include "ctl/ctl.h"
#include "ctl/send_histogram.h"
#include "ctl/send_source.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int add(struct send_source *source, const char *text, size_t length, bool as_is)
{
    char *copy = malloc(length + 1);
    assert_non_null(copy);
    memcpy(copy, text, length);
    send_source_init(source);
    int result = send_source_add_content(source, copy, length, as_is);
    free(copy);
    return result;
}

#define ADD(source, text, as_is) assert_int_equal(add(source, text, sizeof(text) - 1, as_is), 0)

static void assert_message(const struct send_source *source, size_t index, const char *expected)
{
    assert_true(index < source->count);
    assert_int_equal(source->messages[index].length, strlen(expected));
    assert_memory_equal(source->messages[index].data, expected, strlen(expected));
}

static void assert_id(const struct send_source *source, size_t index, const char *expected)
{
    assert_true(span_equal_string(send_message_id(&source->messages[index]), expected));
}

#define HEAD(id) "MSH|^~\\&|A|B|C|D|20260101||ADT^A01|" id "|P|2.5"

static void one_message(void **state)
{
    struct send_source source;

    (void)state;
    ADD(&source, HEAD("7") "\rPID|1\r", false);
    assert_int_equal(source.count, 1);
    assert_message(&source, 0, HEAD("7") "\rPID|1\r");
    assert_id(&source, 0, "7");
    assert_true(source.messages[0].application);
    assert_false(source.messages[0].accept);
    assert_int_equal(source.converted, 0);
    send_source_free(&source);
}

static void several_messages_and_line_ends(void **state)
{
    struct send_source source;

    (void)state;
    ADD(&source, HEAD("1") "\nPID|1|MSH|\n" HEAD("2") "\n", false);
    assert_int_equal(source.count, 2);
    assert_message(&source, 0, HEAD("1") "\rPID|1|MSH|\r");
    assert_message(&source, 1, HEAD("2") "\r");
    assert_int_equal(source.converted, 1);
    send_source_free(&source);

    ADD(&source, HEAD("1") "\r\nPID|1\r\n", false);
    assert_message(&source, 0, HEAD("1") "\rPID|1\r");
    send_source_free(&source);

    /* A CR of its own: the LF is the message's. */
    ADD(&source, HEAD("1") "\rNTE|1||a\nb\r", false);
    assert_message(&source, 0, HEAD("1") "\rNTE|1||a\nb\r");
    assert_int_equal(source.converted, 0);
    send_source_free(&source);

    ADD(&source, HEAD("1") "\n" HEAD("2") "\n", true);
    assert_int_equal(source.count, 1);
    assert_message(&source, 0, HEAD("1") "\n" HEAD("2") "\n");
    send_source_free(&source);
}

static void frames_and_batches(void **state)
{
    struct send_source source;

    (void)state;
    ADD(&source, "\x0b" HEAD("1") "\n\x1c\r\x0b" HEAD("2") "\r\x1c\r", false);
    assert_int_equal(source.count, 2);
    assert_message(&source, 0, HEAD("1") "\n"); /* byte for byte */
    assert_id(&source, 1, "2");
    send_source_free(&source);
    assert_int_equal(add(&source, "\x0b" HEAD("1"), sizeof HEAD("1"), false), -EBADMSG);
    send_source_free(&source);

    ADD(&source, "BHS|^~\\&|A|B|C|D|20260101||||77\r" HEAD("1") "\r" HEAD("2") "\rBTS|2\r", false);
    assert_int_equal(source.count, 1);
    assert_id(&source, 0, "1");
    send_source_free(&source);
    ADD(&source, "BHS|^~\\&|A|B|C|D|20260101||||77\r" HEAD("") "\rBTS|1\r", false);
    assert_id(&source, 0, "77");
    send_source_free(&source);
    ADD(&source, "FHS|^~\\&|A|B|C|D|20260101||||78\rBHS|^~\\&|A\rBTS|0\r", false);
    assert_id(&source, 0, "78");
    send_source_free(&source);
    ADD(&source, "BHS|^~\\&|A|B|C|D|20260101|||||\r" HEAD("") "\rBTS|1\r", false);
    assert_id(&source, 0, "");
    assert_true(source.messages[0].id_at > sizeof "BHS|^~\\&|A|B|C|D|20260101|||||\r" - 1);
    send_source_free(&source);
    ADD(&source, "BHS|^~\\&|A|B|C|D|20260101\r" HEAD("1") "\r" HEAD("2") "\rBTS|2\r", false);
    assert_id(&source, 0, "1");
    send_source_free(&source);
}

static void expected_answers(void **state)
{
    static const struct {
        const char *ends;
        bool accept, application;
    } rows[] = {
        {"", false, true},          {"|||AL|AL", true, true},  {"|||NE|NE", false, false},
        {"|||AL|NE", true, false},  {"|||NE|AL", false, true}, {"|||AL", true, false},
        {"|||ER|NE", false, false},
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct send_source source;
        int length = snprintf(text, sizeof text, "%s%s\r", HEAD("1"), rows[i].ends);
        assert_int_equal(add(&source, text, (size_t)length, false), 0);
        assert_int_equal(source.messages[0].accept, rows[i].accept);
        assert_int_equal(source.messages[0].application, rows[i].application);
        send_source_free(&source);
    }
    struct send_source source;
    ADD(&source, "MSH|^~\\&|A|B|C|D|20260101||ACK|1|P|2.5\rMSA|AA|1\r", false);
    assert_false(source.messages[0].application);
    send_source_free(&source);
    ADD(&source, "no HL7", false);
    assert_true(source.messages[0].application); /* a negative one will come */
    assert_false(source.messages[0].has_id);
    assert_id(&source, 0, "");
    send_source_free(&source);
}

static void empty_id_is_a_place(void **state)
{
    struct send_source source;

    (void)state;
    ADD(&source, HEAD("") "\r", false);
    assert_true(source.messages[0].has_id);
    assert_int_equal(source.messages[0].id_at, sizeof HEAD("") - 1 - strlen("|P|2.5"));
    assert_int_equal(source.messages[0].id_length, 0);
    send_source_free(&source);
}

static void synthetic_sizes(void **state)
{
    size_t smallest = 0;

    (void)state;
    for (size_t size = 1; size < 3000; size++) {
        struct send_source source;
        send_source_init(&source);
        assert_int_equal(send_source_add_synthetic(&source, size, "DEMO"), 0);
        assert_int_equal(source.count, 1);
        if (size == 1)
            smallest = source.messages[0].length;
        assert_int_equal(source.messages[0].length, size < smallest ? smallest : size);
        assert_int_equal(source.messages[0].data[source.messages[0].length - 1], '\r');
        assert_int_equal(source.messages[0].id_length, 16);
        assert_true(source.messages[0].application);
        send_source_free(&source);
    }
    assert_true(smallest < 250);
}

static void percentiles(void **state)
{
    struct send_histogram *histogram = calloc(1, sizeof *histogram);

    (void)state;
    assert_non_null(histogram);
    assert_int_equal(send_histogram_percentile(histogram, 0.5), 0);
    for (int64_t i = 1; i <= 100000; i++)
        send_histogram_add(histogram, i * 1000);
    static const double shares[] = {0.01, 0.5, 0.9, 0.99};
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        double exact = shares[i] * 1e8;
        double got = (double)send_histogram_percentile(histogram, shares[i]);
        assert_true(got >= exact && got <= exact * 1.02);
    }
    assert_int_equal(send_histogram_percentile(histogram, 1), 100000000);
    send_histogram_add(histogram, INT64_MAX);
    send_histogram_add(histogram, -5);
    assert_int_equal(histogram->maximum_ns, INT64_MAX);
    assert_true(send_histogram_percentile(histogram, 1) > (INT64_C(1) << 42));
    free(histogram);
}

static void one_value(void **state)
{
    (void)state;
    for (int64_t value = 0; value < 100000; value += 7) {
        struct send_histogram *histogram = calloc(1, sizeof *histogram);
        assert_non_null(histogram);
        send_histogram_add(histogram, value);
        assert_int_equal(send_histogram_percentile(histogram, 0.5), value);
        send_histogram_add(histogram, INT64_MAX);
        int64_t edge = send_histogram_percentile(histogram, 0.5);
        assert_true(edge >= value && edge <= value + value / 50);
        free(histogram);
    }
}

static void numbers_and_texts(void **state)
{
    char text[TEXT_SHORT_BYTES];
    struct buffer out;
    int64_t number = 0;

    (void)state;
    assert_int_equal(ctl_parse_number("17", 1, 20, &number), 0);
    assert_int_equal(number, 17);
    assert_int_equal(ctl_parse_number("21", 1, 20, &number), -ERANGE);
    assert_int_equal(ctl_parse_number("99999999999999999999", 1, 20, &number), -ERANGE);
    assert_int_equal(ctl_parse_number("", 1, 20, &number), -EINVAL);
    assert_int_equal(ctl_parse_number(" 1", 1, 20, &number), -EINVAL);
    assert_int_equal(ctl_parse_number("1x", 1, 20, &number), -EINVAL);
    assert_int_equal(ctl_parse_number("-", -5, 20, &number), -EINVAL);

    assert_string_equal(text_age(192000, text), "3m12s");
    assert_string_equal(text_age(850, text), "850ms");
    assert_string_equal(text_age(INT64_C(187200000), text), "2d04h");
    assert_string_equal(text_age(-1, text), "0s");
    assert_string_equal(text_bytes(1536, text), "1.5 KB");
    assert_string_equal(text_number_of("expires_at_s", 1, 0, text), "1970-01-01T00:00:01Z");
    assert_string_equal(text_number_of("expires", 1, 0, text), "1970-01-01T00:00:01Z");
    assert_string_equal(text_number_of("oldest", 1000, 193000, text), "3m12s");
    assert_string_equal(text_number_of("oldest", 0, 193000, text), "-");
    assert_string_equal(text_number_of("depth", 12, 0, text), "12");

    buffer_init(&out, 1000);
    static const char nasty[] = "a\x1b[2J\x7f\xc2\x9b\xc3\xa4\xe2\x80\xae\xff\r\nb";
    assert_int_equal(text_escape(&out, span_of(nasty, sizeof nasty - 1), true), 0);
    static const char plain[] = "a\\x1b[2J\\x7f\\xc2\\x9b\xc3\xa4\\xe2\\x80\\xae\\xff\nb";
    assert_int_equal(out.length, sizeof plain - 1);
    assert_memory_equal(out.data, plain, sizeof plain - 1);
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_message),         cmocka_unit_test(several_messages_and_line_ends),
        cmocka_unit_test(frames_and_batches),  cmocka_unit_test(expected_answers),
        cmocka_unit_test(empty_id_is_a_place), cmocka_unit_test(synthetic_sizes),
        cmocka_unit_test(percentiles),         cmocka_unit_test(one_value),
        cmocka_unit_test(numbers_and_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
