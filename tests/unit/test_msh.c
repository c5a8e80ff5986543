/* links: hl7 base */
#include "hl7/msh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define assert_span(span, text) assert_true(span_equal((span), span_of((text), sizeof(text) - 1)))

static enum msh_problem read_text(const char *text, struct msh *ret_msh)
{
    return msh_read(span_of_string(text), ret_msh, NULL);
}

static void every_field(void **state)
{
    struct msh msh;

    (void)state;
    assert_int_equal(
        read_text(
            "MSH|^~\\&|APP^1.2^ISO|FAC^x|RAPP|RFAC|20260101||ADT^A01^ADT_A01|ID1|P^T|2.5.1^DEU|7|"
            "c|AL|NE|USA|8859/1~UNICODE|more|and more\rPID|1",
            &msh),
        MSH_OK);
    assert_int_equal(msh.field, '|');
    assert_int_equal(msh.component, '^');
    assert_int_equal(msh.repetition, '~');
    assert_int_equal(msh.escape, '\\');
    assert_int_equal(msh.subcomponent, '&');
    assert_span(msh.encoding, "^~\\&");
    assert_span(msh.sending_application, "APP^1.2^ISO");
    assert_span(msh.sending_application_id, "APP");
    assert_span(msh.sending_facility, "FAC^x");
    assert_span(msh.sending_facility_id, "FAC");
    assert_span(msh.receiving_application, "RAPP");
    assert_span(msh.receiving_facility, "RFAC");
    assert_span(msh.message_type, "ADT^A01^ADT_A01");
    assert_span(msh.message_code, "ADT");
    assert_span(msh.trigger_event, "A01");
    assert_span(msh.structure, "ADT_A01");
    assert_span(msh.control_id, "ID1");
    assert_span(msh.processing_id, "P^T");
    assert_span(msh.version, "2.5.1^DEU");
    assert_span(msh.version_id, "2.5.1");
    assert_span(msh.sequence_number, "7");
    assert_int_equal(msh.accept, MSH_CONDITION_AL);
    assert_int_equal(msh.application, MSH_CONDITION_NE);
    assert_span(msh.character_set, "8859/1~UNICODE");
    assert_true(msh_is_enhanced(&msh));
    assert_false(msh_is_acknowledgment(&msh));
}

/* The header ends at its segment's end, whatever ends it, and spans never hold CR or LF. */
static void segment_ends(void **state)
{
    static const char *const ends[] = {"", "\r", "\n", "\r\n", "\rPID|2.9|x", "\nPID|x", "\r\nPID"};
    char text[200];
    struct msh msh;

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        snprintf(text, sizeof text, "MSH|^~\\&|||||||ACK^A01|ID|P|2.3%s", ends[i]);
        assert_int_equal(read_text(text, &msh), MSH_OK);
        assert_span(msh.version, "2.3");
        assert_span(msh.segment, "MSH|^~\\&|||||||ACK^A01|ID|P|2.3");
        assert_true(msh_is_acknowledgment(&msh));
        assert_false(msh_is_enhanced(&msh));
    }
}

static void what_may_stand_before(void **state)
{
    struct msh msh;

    (void)state;
    assert_int_equal(read_text("\xEF\xBB\xBFMSH|^~\\&|||||||ADT|1", &msh), MSH_OK);
    assert_int_equal(read_text("\r\nMSH|^~\\&|||||||ADT|1", &msh), MSH_OK);
    assert_int_equal(read_text(" MSH|^~\\&|||||||ADT|1", &msh), MSH_OK);
    assert_int_equal(read_text("\xEF\xBB\xBF\r\n MSH|^~\\&|||||||ADT|1", &msh), MSH_OK);
    assert_span(msh.control_id, "1");
    assert_int_equal(read_text("\xEF\xBB\xBF\xEF\xBB\xBFMSH|^~\\&|||||||ADT|1", &msh), MSH_NOT_HL7);
    assert_int_equal(read_text("xMSH|^~\\&|||||||ADT|1", &msh), MSH_NOT_HL7);
    assert_int_equal(msh_read(span_of("\0MSH|^~\\&|||||||ADT|1", 21), &msh, NULL), MSH_NOT_HL7);
}

struct problem_case {
    const char *text;
    enum msh_problem problem;
    size_t offset;
};

static void problems(void **state)
{
    static const struct problem_case cases[] = {
        {"", MSH_NOT_HL7, 0},
        {"  ", MSH_NOT_HL7, 2},
        {"MS", MSH_NOT_HL7, 0},
        {"msh|^~\\&|", MSH_NOT_HL7, 0},
        {"EVN|A01\rMSH|^~\\&|||||||ADT|1", MSH_NOT_HL7, 0},
        {"FHS|^~\\&|||||||ADT|1", MSH_NOT_HL7, 0},
        {"<ADT_A01>", MSH_NOT_HL7, 0},
        {"MSH", MSH_NO_DELIMITERS, 3},
        {"MSH\r|^~\\&|", MSH_NO_DELIMITERS, 3},
        {"MSH|", MSH_NO_DELIMITERS, 4},
        {"MSHA^~\\&A", MSH_BAD_SEPARATOR, 3},
        {"MSH9^~\\&9", MSH_BAD_SEPARATOR, 3},
        {"MSH ^~\\& ", MSH_BAD_SEPARATOR, 3},
        {"MSH\t^~\\&\t", MSH_BAD_SEPARATOR, 3},
        {"MSH\x7f^~\\&\x7f", MSH_BAD_SEPARATOR, 3},
        {"MSH||~\\&|x|||||ADT|ID|P|2.5", MSH_BAD_ENCODING, 4},
        {"MSH|^^^^|||||||ADT|ID", MSH_BAD_ENCODING, 4},
        {"MSH|^~\\^|||||||ADT|ID", MSH_BAD_ENCODING, 4},
        {"MSH|^~\\&SENDER|||||||ADT|ID", MSH_BAD_ENCODING, 4},
        {"MSH|^~\\a|||||||ADT|ID", MSH_BAD_ENCODING, 4},
        {"MSH|^~\\&#!|||||||ADT|ID", MSH_BAD_ENCODING, 4},
        {" MSH|^^|||||||ADT|ID", MSH_BAD_ENCODING, 5},
        {"MSH|^~\\&", MSH_NO_MESSAGE_TYPE, 8},
        {"MSH|^~\\&|a|b|c|d|e|f", MSH_NO_MESSAGE_TYPE, 20},
        {"MSH|^~\\&||||||||ID", MSH_NO_MESSAGE_TYPE, 15},
        {"MSH|^~\\&|||||||^A01|ID", MSH_NO_MESSAGE_TYPE, 15},
        {"MSH|^~\\&|||||||ADT|I\x1c", MSH_NUL_IN_CONTROL_ID, 20},
        {"MSH|^~\\&|||||||ADT", MSH_OK, 999},
        {"MSH|^~\\&|||||||ADT|", MSH_OK, 999},
        {"MSH|^|||||||ADT|1", MSH_OK, 999},
        {"MSH|^~\\&#|||||||ADT|1", MSH_OK, 999},
        {"MSH|^~\\\\&|||||||ADT|1", MSH_OK, 999},
        {"MSH|^~\\\\&#|||||||ADT|1", MSH_OK, 999},
        {"MSH\xa6^~\\&\xa6\xa6\xa6\xa6\xa6\xa6\xa6"
         "ADT\xa6"
         "1",
         MSH_OK, 999},
    };
    struct msh msh;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        /* malloc()ed to size, so that ASan sees a read behind the content */
        size_t length = strlen(cases[i].text), offset = 999;
        char *content = malloc(length > 0 ? length : 1);
        memcpy(content, cases[i].text, length);
        enum msh_problem problem = msh_read(span_of(content, length), &msh, &offset);
        if (problem != cases[i].problem || offset != cases[i].offset)
            fail_msg("\"%s\": problem %d at %zu", cases[i].text, problem, offset);
        free(content);
    }
}

static void what_is_left_after_a_problem(void **state)
{
    struct msh msh;

    (void)state;
    read_text("MSH|^~\\&|A|B|C|D|||\rEVN|x", &msh);
    assert_span(msh.sending_facility, "B");
    read_text("MSH|^~\\&|A|B|C|D||||ID7|P|2.5", &msh);
    assert_span(msh.control_id, "ID7");
    /* Delimiters that stand in are usable and never MSH-1. */
    read_text("MSH|^^^^|A|B|C|D|||ADT^A01|ID8|P|2.5", &msh);
    assert_span(msh.encoding, "^~\\&");
    assert_span(msh.control_id, "ID8");
    read_text("MSH^~~~~^A^B", &msh);
    assert_span(msh.encoding, "|~\\&");
    assert_span(msh.sending_facility, "B");
    /* An empty MSH-2 has shifted every field. */
    read_text("MSH||~\\&|A|B|C|D|||ADT^A01|ID8|P|2.5", &msh);
    assert_int_equal(msh.control_id.length, 0);
    read_text("MSHA^~\\&AxAyA", &msh);
    assert_int_equal(msh.field, 0);
    assert_int_equal(msh.sending_application.length, 0);
}

static void nul_in_the_control_id(void **state)
{
    static const char text[] = "MSH|^~\\&|||||||ADT|AB\0CD|P|2.5";
    struct msh msh;

    (void)state;
    assert_int_equal(msh_read(span_of(text, sizeof text - 1), &msh, NULL), MSH_NUL_IN_CONTROL_ID);
    assert_int_equal(msh.control_id.length, 5);
}

static void control_id_lengths(void **state)
{
    static const char head[] = "MSH|^~\\&|||||||ADT|";
    char *text = malloc(sizeof head + 70000);
    struct msh msh;

    (void)state;
    memcpy(text, head, sizeof head - 1);
    memset(text + sizeof head - 1, 'x', 70000);
    size_t most = sizeof head - 1 + MSH_CONTROL_ID_MAXIMUM;
    assert_int_equal(msh_read(span_of(text, most), &msh, NULL), MSH_OK);
    assert_int_equal(msh.control_id.length, MSH_CONTROL_ID_MAXIMUM);
    assert_int_equal(msh_read(span_of(text, most + 1), &msh, NULL), MSH_CONTROL_ID_TOO_LONG);
    assert_int_equal(msh.control_id.length, 0);
    assert_int_equal(msh_read(span_of(text, sizeof head - 1 + 70000), &msh, NULL),
                     MSH_CONTROL_ID_TOO_LONG);
    free(text);
}

static void conditions(void **state)
{
    static const struct {
        const char *text;
        enum msh_condition condition;
    } cases[] = {
        {"", MSH_CONDITION_EMPTY},    {" ", MSH_CONDITION_EMPTY}, {"\"\"", MSH_CONDITION_EMPTY},
        {"AL", MSH_CONDITION_AL},     {"NE", MSH_CONDITION_NE},   {"ER", MSH_CONDITION_ER},
        {"SU", MSH_CONDITION_SU},     {" AL ", MSH_CONDITION_AL}, {"al", MSH_CONDITION_OTHER},
        {"ALL", MSH_CONDITION_OTHER}, {"A", MSH_CONDITION_OTHER},
    };
    char text[100];
    struct msh msh;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text, "MSH|^~\\&|||||||ADT|1|P|2.5|||%s|", cases[i].text);
        assert_int_equal(read_text(text, &msh), MSH_OK);
        assert_int_equal(msh.accept, cases[i].condition);
        assert_int_equal(msh.application, MSH_CONDITION_EMPTY);
        snprintf(text, sizeof text, "MSH|^~\\&|||||||ADT|1|P|2.5||||%s", cases[i].text);
        assert_int_equal(read_text(text, &msh), MSH_OK);
        assert_int_equal(msh.application, cases[i].condition);
    }
}

/* A header of 60,000 fields, and one of 8 MB without an end, are read in no time. */
static void large_headers(void **state)
{
    size_t length = 8u << 20;
    char *text = malloc(length);
    struct timespec from, to;
    struct msh msh;

    (void)state;
    memset(text, '|', length);
    memcpy(text, "MSH|^~\\&", 8);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (int i = 0; i < 20; i++)
        assert_int_equal(msh_read(span_of(text, length), &msh, NULL), MSH_NO_MESSAGE_TYPE);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    assert_true(to.tv_sec - from.tv_sec < 5);
    free(text);
}

static void words_and_codes(void **state)
{
    (void)state;
    for (int problem = MSH_OK; problem <= MSH_CONTROL_ID_TOO_LONG; problem++) {
        const char *location = NULL;
        int code = -1;
        msh_problem_error((enum msh_problem)problem, &location, &code);
        assert_non_null(location);
        assert_true(problem == MSH_OK ? code == 0 : code >= 100);
        assert_string_not_equal(msh_problem_words((enum msh_problem)problem), "unknown problem");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field),
        cmocka_unit_test(segment_ends),
        cmocka_unit_test(what_may_stand_before),
        cmocka_unit_test(problems),
        cmocka_unit_test(what_is_left_after_a_problem),
        cmocka_unit_test(nul_in_the_control_id),
        cmocka_unit_test(control_id_lengths),
        cmocka_unit_test(conditions),
        cmocka_unit_test(large_headers),
        cmocka_unit_test(words_and_codes),
    };

    return cmocka_run_group_tests_name("msh", tests, NULL, NULL);
}
