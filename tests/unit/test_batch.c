/* links: hl7 base */
#include "base/buffer.h"
#include "hl7/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define FHS "FHS|^~\\&|FA|FF|FRA|FRF|2026||file||F11\r"
#define BHS "BHS|^~\\&|BA|BF|BRA|BRF|2026||batch||B11\r"
#define M1 "MSH|^~\\&|A|B|C|D|||ADT^A01|ID1|P|2.5\rPID|1\r"
#define M2 "MSH|^~\\&|A|B|C|D|||ADT^A08|ID2|P|2.5\rPID|2\r"

#define assert_span(span, text) assert_true(span_equal((span), span_of((text), sizeof(text) - 1)))

static int collect(struct span message, size_t index, void *context)
{
    struct buffer *out = context;

    assert_int_equal(buffer_append_format(out, "%zu[", index), 0);
    assert_int_equal(buffer_append(out, message.data, message.length), 0);
    return buffer_append_byte(out, ']');
}

static void expect_each(const char *content, const char *expected)
{
    struct buffer out;

    buffer_init(&out, 10000);
    assert_int_equal(batch_each(span_of_string(content), collect, &out), 0);
    assert_int_equal(buffer_append_byte(&out, '\0'), 0);
    assert_string_equal(out.data, expected);
    buffer_free(&out);
}

static void one_message(void **state)
{
    struct batch batch;

    (void)state;
    assert_int_equal(batch_read(span_of_string(M1), &batch, NULL), MSH_OK);
    assert_int_equal(batch.envelope, MSH_ENVELOPE_NONE);
    assert_int_equal(batch.messages, 1);
    assert_true(batch.has_header);
    assert_span(batch.header.control_id, "ID1");
    assert_int_equal(batch.control_id.length, 0);
    assert_int_equal(batch.declared, -1);
    expect_each(M1, "0[" M1 "]");
    expect_each("\r\n" M1, "0[" M1 "]");
}

static void several_messages(void **state)
{
    struct batch batch;

    (void)state;
    assert_int_equal(batch_read(span_of_string(M1 M2), &batch, NULL), MSH_OK);
    assert_int_equal(batch.envelope, MSH_ENVELOPE_NONE);
    assert_int_equal(batch.messages, 2);
    assert_span(batch.header.control_id, "ID1");
    expect_each(M1 M2, "0[" M1 "]1[" M2 "]");
}

static void envelopes(void **state)
{
    struct batch batch;

    (void)state;
    assert_int_equal(batch_read(span_of_string(FHS BHS M1 M2 "BTS|2\rFTS|1\r"), &batch, NULL),
                     MSH_OK);
    assert_int_equal(batch.envelope, MSH_ENVELOPE_FILE);
    assert_int_equal(batch.messages, 2);
    assert_int_equal(batch.declared, 2);
    assert_span(batch.control_id, "B11");
    assert_span(batch.header.control_id, "ID1");
    expect_each(FHS BHS M1 M2 "BTS|2\rFTS|1\r", "0[" M1 "]1[" M2 "]");

    assert_int_equal(batch_read(span_of_string(FHS M1 "FTS\r"), &batch, NULL), MSH_OK);
    assert_span(batch.control_id, "F11");
    expect_each(FHS M1 "FTS\r", "0[" M1 "]");

    assert_int_equal(batch_read(span_of_string(BHS M1), &batch, NULL), MSH_OK);
    assert_int_equal(batch.envelope, MSH_ENVELOPE_BATCH);
    expect_each(BHS M1 "BTS", "0[" M1 "]");
}

static void several_batches(void **state)
{
    struct batch batch;

    (void)state;
    assert_int_equal(
        batch_read(span_of_string(FHS BHS M1 "BTS|1\r" BHS M2 "BTS|1\rFTS|2"), &batch, NULL),
        MSH_OK);
    assert_int_equal(batch.declared, 2);
    expect_each(FHS BHS M1 "BTS|1\r" BHS M2 "BTS|1\rFTS|2", "0[" M1 "]1[" M2 "]");
    assert_int_equal(batch_read(span_of_string(BHS M1 "BTS|x\r"), &batch, NULL), MSH_OK);
    assert_int_equal(batch.declared, -1);
}

static void without_messages(void **state)
{
    struct batch batch;

    (void)state;
    assert_int_equal(batch_read(span_of_string(BHS "BTS|0\r"), &batch, NULL), MSH_OK);
    assert_int_equal(batch.messages, 0);
    assert_false(batch.has_header);
    assert_int_equal(batch.header.field, '|');
    assert_span(batch.header.sending_facility, "BF");
    assert_int_equal(batch.header.message_type.length, 0); /* BHS-9 is the batch's name */
    assert_int_equal(batch.header.control_id.length, 0);
    assert_span(batch.control_id, "B11");
    assert_int_equal(batch.declared, 0);
    expect_each(BHS "BTS|0\r", "");
}

struct problem_case {
    const char *content;
    enum msh_problem problem;
    size_t offset;
};

static void problems(void **state)
{
    static const struct problem_case cases[] = {
        {"", MSH_NOT_HL7, 0},
        {"EVN|A01\r" M1, MSH_NOT_HL7, 0},
        {"\r\nPID\r", MSH_NOT_HL7, 2},
        {"MSH|\r" M1, MSH_NO_DELIMITERS, 4},
        {"BHS|\r" M1, MSH_NO_DELIMITERS, 4},
        {"BHS|^^|\r" M1, MSH_BAD_ENCODING, 4},
        {M1 "MSH|^~\r" M2, MSH_NO_MESSAGE_TYPE, sizeof M1 - 1 + 6},
        {BHS "MSH\r", MSH_NO_DELIMITERS, sizeof BHS - 1 + 3},
    };
    struct batch batch;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t offset = 999;
        enum msh_problem problem = batch_read(span_of_string(cases[i].content), &batch, &offset);
        if (problem != cases[i].problem || offset != cases[i].offset)
            fail_msg("case %zu: problem %d at %zu", i, problem, offset);
    }
}

/* Text that happens to start with MSH is no header; a header with separators of its own is. */
static void what_is_a_header(void **state)
{
    struct batch batch;

    (void)state;
    assert_int_equal(
        batch_read(span_of_string(M1 "OBX|1|TX|||MSH6 \nMSH6 positive\nMSH-2 lost\nMSH\r"), &batch,
                   NULL),
        MSH_OK);
    assert_int_equal(batch.messages, 1);
    assert_int_equal(
        batch_read(span_of_string(M1 "MSH#$%*@#A#B#C#D###ADT$A01#X#P#2.5\r"), &batch, NULL),
        MSH_OK);
    assert_int_equal(batch.messages, 2);
    assert_int_equal(batch_read(span_of_string("PID|MSH|^~\\&|\r" M1), &batch, NULL), MSH_NOT_HL7);
    assert_int_equal(batch.messages, 0);
}

static int stop_at_first(struct span message, size_t index, void *context)
{
    (void)message;
    (void)context;
    return index == 0 ? -5 : 0;
}

static void each_stops(void **state)
{
    (void)state;
    assert_int_equal(batch_each(span_of_string(M1 M2), stop_at_first, NULL), -5);
    assert_int_equal(batch_each(span_of_string(M1), stop_at_first, NULL), -5);
}

static void large_frames(void **state)
{
    static const char *const units[] = {"\r", "MSH", "MSH\r", "B\n", "MSH|^~\\&|||||||A|1\r", "x"};
    size_t length = 4u << 20;
    char *text = malloc(length);
    struct timespec from, to;
    struct batch batch;

    (void)state;
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        size_t unit = strlen(units[u]);
        memcpy(text, "MSH|^~\\&|||||||ADT|1\r", 21);
        for (size_t i = 21; i < length; i++)
            text[i] = units[u][(i - 21) % unit];
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
        (void)batch_read(span_of(text, length), &batch, NULL);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
        assert_true(to.tv_sec - from.tv_sec < 5);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_message),      cmocka_unit_test(several_messages),
        cmocka_unit_test(envelopes),        cmocka_unit_test(several_batches),
        cmocka_unit_test(without_messages), cmocka_unit_test(problems),
        cmocka_unit_test(what_is_a_header), cmocka_unit_test(each_stops),
        cmocka_unit_test(large_frames),
    };

    return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
