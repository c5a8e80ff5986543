/* links: hl7 base */
#include "hl7/ack.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW 1767268800000 /* 2026-01-01T12:00:00Z */
#define assert_span(span, text) assert_true(span_equal((span), span_of((text), sizeof(text) - 1)))

static struct msh read_header(const char *text)
{
    struct msh msh;

    assert_int_equal(msh_read(span_of_string(text), &msh, NULL), MSH_OK);
    return msh;
}

static void expect_built(const struct ack_parameters *parameters, const char *expected)
{
    struct buffer out;

    buffer_init(&out, 10000);
    assert_int_equal(ack_build(&out, parameters), 0);
    assert_int_equal(buffer_append_byte(&out, '\0'), 0);
    assert_string_equal(out.data, expected);
    buffer_free(&out);
}

static void swapped_and_trimmed(void **state)
{
    struct msh msh =
        read_header("MSH|^~\\&|SA|SF|RA|RF|20251231||ADT^A01^ADT_A01|ID1|P|2.5\rPID|x");

    (void)state;
    expect_built(
        &(struct ack_parameters){
            .code = ACK_AA, .original = &msh, .control_id = "NEW1", .wall_ms = NOW},
        "MSH|^~\\&|RA|RF|SA|SF|20260101120000+0000||ACK^A01^ACK|NEW1|P|2.5\rMSA|AA|ID1\r");
}

static void nothing_but_delimiters(void **state)
{
    struct msh msh = read_header("MSH|^~\\&|||||||ADT");

    (void)state;
    expect_built(
        &(struct ack_parameters){
            .code = ACK_AR, .original = &msh, .control_id = "N", .wall_ms = NOW},
        "MSH|^~\\&|||||20260101120000+0000||ACK|N\rMSA|AR\r");
}

static void not_copied_and_copied(void **state)
{
    struct msh msh = read_header(
        "MSH|^~\\&|SA|SF|RA|RF|1|sec|ADT^A01|ID1|D^T|2.8^X|5|cont|AL|AL|USA|8859/1~UTF|lang|x");

    (void)state;
    expect_built(
        &(struct ack_parameters){.code = ACK_CA,
                                 .original = &msh,
                                 .control_id = "N",
                                 .wall_ms = NOW,
                                 .zone_minutes = -330},
        "MSH|^~\\&|RA|RF|SA|SF|20260101063000-0530||ACK^A01^ACK|N|D^T|2.8^X||||||8859/1~UTF\r"
        "MSA|CA|ID1\r");
}

static void versions(void **state)
{
    static const struct {
        const char *version, *type;
        bool err, msa3;
    } cases[] = {
        {"2.1", "ACK", false, true},
        {"2.2", "ACK", false, true},
        {"2.3", "ACK", false, true},
        {"2.3.1", "ACK", false, true},
        {"2.4", "ACK^A01^ACK", false, true},
        {"2.5", "ACK^A01^ACK", true, true},
        {"2.5.1", "ACK^A01^ACK", true, true},
        {"2.6", "ACK^A01^ACK", true, true},
        {"2.7", "ACK^A01^ACK", true, false},
        {"2.7.1", "ACK^A01^ACK", true, false},
        {"2.8", "ACK^A01^ACK", true, false},
        {"2.9", "ACK^A01^ACK", true, false},
        {"2.10", "ACK^A01^ACK", true, false},
        {"9.9", "ACK^A01^ACK", true, false},
        {"", "ACK", false, true},
        {"D", "ACK", false, true},
        {"2", "ACK", false, true},
        {"2.", "ACK", false, true},
        {"2.x", "ACK", false, true},
        {"222.5", "ACK", false, true},
    };
    struct ack_error_detail error = {"MSH^1^9^1^2", 201, 'E', "words", "diagnosis"};
    char text[100], expected[300];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text, "MSH|^~\\&|||||||ADT^A01|ID|P|%s", cases[i].version);
        struct msh msh = read_header(text);
        snprintf(expected, sizeof expected,
                 "MSH|^~\\&|||||20260101120000+0000||%s|N|P%s%s\rMSA|AR|ID%s\r%s", cases[i].type,
                 cases[i].version[0] == '\0' ? "" : "|", cases[i].version,
                 cases[i].msa3 ? "|words" : "",
                 cases[i].err ? "ERR||MSH^1^9^1^2|201^Unsupported event code^HL70357|E|||diagnosis|"
                                "words\r"
                              : "");
        expect_built(&(struct ack_parameters){.code = ACK_AR,
                                              .original = &msh,
                                              .control_id = "N",
                                              .wall_ms = NOW,
                                              .error = &error},
                     expected);
    }
}

/* Locations and codes with the sender's component separator, our words with its escapes. */
static void other_delimiters(void **state)
{
    struct msh msh = read_header("MSH#$%*@#SA$1#SF#RA#RF###ADT$A01#ID^1|2#P#2.5");
    struct ack_error_detail error = {"MSH^1^9^1^2", 101, 'E', "a#b$c%d*e@f|g^h\ri", NULL};

    (void)state;
    expect_built(
        &(struct ack_parameters){
            .code = ACK_AE, .original = &msh, .control_id = "N", .wall_ms = NOW, .error = &error},
        "MSH#$%*@#RA#RF#SA$1#SF#20260101120000+0000##ACK$A01$ACK#N#P#2.5\r"
        "MSA#AE#ID^1|2#a*F*b*S*c*R*d*E*e*T*f|g^h i\r"
        "ERR##MSH$1$9$1$2#101$Required field missing$HL70357#E####a*F*b*S*c*R*d*E*e*T*f|g^h "
        "i\r");
}

static void few_delimiters(void **state)
{
    struct msh msh = read_header("MSH|^|SA||||||ADT^A01|ID|P|2.5");
    struct ack_error_detail error = {"PID^1^3", 101, 'W', "a|b~c", NULL};

    (void)state;
    expect_built(
        &(struct ack_parameters){
            .code = ACK_AE, .original = &msh, .control_id = "N", .wall_ms = NOW, .error = &error},
        "MSH|^|||SA||20260101120000+0000||ACK^A01^ACK|N|P|2.5\rMSA|AE|ID|a b~c\r"
        "ERR||PID^1^3|101^Required field missing^HL70357|W||||a b~c\r");
}

static void own_names_sequence_and_records(void **state)
{
    struct msh msh = read_header("MSH|$~\\&|SA|SF|RA|RF|||ADT$A01|ID|P|2.5|3");
    struct ack_parameters parameters = {.code = ACK_AE,
                                        .original = &msh,
                                        .control_id = "N",
                                        .wall_ms = NOW,
                                        .application = "GW^1.2^ISO",
                                        .facility = "H|1",
                                        .has_sequence = true,
                                        .sequence = -1};

    (void)state;
    parameters.raw_errors = span_of_string("ERR||a\rERR||b");
    expect_built(&parameters,
                 "MSH|$~\\&|GW$1.2$ISO|H\\F\\1|SA|SF|20260101120000+0000||ACK$A01$ACK|N|P|2.5\r"
                 "MSA|AE|ID||-1\rERR||a\rERR||b\r");
    parameters.raw_errors = span_of_string("ERR||a\x1c\r");
    parameters.control_id_override = span_of_string("B11");
    expect_built(&parameters,
                 "MSH|$~\\&|GW$1.2$ISO|H\\F\\1|SA|SF|20260101120000+0000||ACK$A01$ACK|N|P|2.5\r"
                 "MSA|AE|B11||-1\r");
}

/* Nothing that is echoed may end our frame, our segments or our fields. */
static void what_cannot_be_echoed(void **state)
{
    struct msh msh = read_header("MSH|^~\\&|S\x1cX|SF|RA|RF|||ADT^A\x1c|ID|P|2.5\x1c");

    (void)state;
    msh.version_id = span_of_string("2.5");
    expect_built(&(struct ack_parameters){.code = ACK_AA,
                                          .original = &msh,
                                          .control_id = "N",
                                          .wall_ms = NOW,
                                          .control_id_override = span_of_string("a|b")},
                 "MSH|^~\\&|RA|RF||SF|20260101120000+0000||ACK|N|P\rMSA|AA\r");
}

static void synthetic_header(void **state)
{
    struct ack_error_detail error = {"MSH^1", 100, 'E', NULL, NULL};
    struct msh msh;
    const char *expected = "MSH|^~\\&|||||20260101120000+0000||ACK|N||2.5\rMSA|AR\r"
                           "ERR||MSH^1|100^Segment sequence error^HL70357|E\r";

    (void)state;
    ack_synthetic_header(&msh);
    struct ack_parameters parameters = {
        .code = ACK_AR, .original = &msh, .control_id = "N", .wall_ms = NOW, .error = &error};
    expect_built(&parameters, expected);
    (void)msh_read(span_of_string("not HL7"), &msh, NULL);
    expect_built(&parameters, expected);
}

static void all_or_nothing(void **state)
{
    struct msh msh = read_header("MSH|^~\\&|SA|SF|RA|RF|||ADT^A01|ID|P|2.5");
    struct ack_parameters parameters = {
        .code = ACK_AA, .original = &msh, .control_id = "N", .wall_ms = NOW};

    (void)state;
    for (size_t maximum = 3; maximum < 76; maximum++) {
        struct buffer out;
        buffer_init(&out, maximum);
        assert_int_equal(buffer_append(&out, "abc", 3), 0);
        assert_int_equal(ack_build(&out, &parameters), -EMSGSIZE);
        assert_int_equal(out.length, 3);
        buffer_free(&out);
    }
}

static void times(void **state)
{
    static const struct {
        int64_t wall_ms;
        int zone;
        const char *text;
    } cases[] = {
        {0, 0, "19700101000000+0000"},
        {-1, 0, "19691231235959+0000"},
        {NOW + 999, 60, "20260101130000+0100"},
        {1709164800000, 0, "20240229000000+0000"},
        {1709164800000, -1, "20240228235900-0001"},
        {1767225599999, 840, "20260101135959+1400"},
    };
    struct msh msh = read_header("MSH|^~\\&|||||||ADT");
    char expected[100];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(expected, sizeof expected, "MSH|^~\\&|||||%s||ACK|N\rMSA|AA\r", cases[i].text);
        expect_built(&(struct ack_parameters){.code = ACK_AA,
                                              .original = &msh,
                                              .control_id = "N",
                                              .wall_ms = cases[i].wall_ms,
                                              .zone_minutes = cases[i].zone},
                     expected);
    }
}

static void reading(void **state)
{
    static const char text[] =
        "MSH|^~\\&|a|b|c|d|1||ACK^A01^ACK|9|P|2.5\r\nSFT|x\r\nMSA|AE|ID 1|w\r\n"
        "ERR||PID^1^5|101^Required^HL70357|E\r\nERR||x|207\r\nNTE|1\r\nERR||y\r\n";
    struct ack_reply reply;

    (void)state;
    assert_int_equal(ack_read(span_of_string(text), &reply), 0);
    assert_int_equal(reply.code, ACK_AE);
    assert_span(reply.control_id, "ID 1");
    assert_span(reply.error_location, "PID^1^5");
    assert_int_equal(reply.error_code, 101);
    assert_span(reply.errors, "ERR||PID^1^5|101^Required^HL70357|E\r\nERR||x|207\r\n");
    assert_span(reply.header.control_id, "9");

    assert_int_equal(
        ack_read(span_of_string("MSH|^~\\&|||||||ACK|9|P|2.3\rMSA|CR|\rERR|PID^1^5"), &reply), 0);
    assert_int_equal(reply.code, ACK_CR);
    assert_int_equal(reply.control_id.length, 0);
    assert_span(reply.error_location, "PID^1^5");
    assert_int_equal(reply.error_code, 0);
    assert_span(reply.errors, "ERR|PID^1^5");

    assert_int_equal(ack_read(span_of_string("MSH|^~\\&\rMSA|AA"), &reply), 0);
    assert_int_equal(reply.code, ACK_AA);
    assert_int_equal(reply.errors.length, 0);
}

static void not_an_acknowledgment(void **state)
{
    static const char *const texts[] = {
        "",
        "<html>502</html>",
        "MSA|AA|1",
        "MSH|^~\\&|||||||ACK|9|P|2.3",
        "MSH|^~\\&|||||||ACK|9|P|2.3\rMSA",
        "MSH|^~\\&|||||||ACK|9|P|2.3\rMSA|",
        "MSH|^~\\&|||||||ACK|9|P|2.3\rMSA|XX|1",
        "MSH|^~\\&|||||||ACK|9|P|2.3\rMSA|aa|1",
        "MSH|^~\\&|||||||ACK|9|P|2.3\rMSA|AAA|1",
        "MSH|^~\\&|||||||ACK|9|P|2.3\rMSAX|AA|1",
        "MSH|^~\\&|||||||ACK|9|P|2.3\rMSH|^~\\&|||||||ACK|9|P|2.3\rMSA|AA|1",
        "MSH||~\\&\rMSA|AA|1",
    };
    struct ack_reply reply;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(ack_read(span_of_string(texts[i]), &reply), -EBADMSG);
}

#define ACK "MSH|^~\\&|||||||ACK|9|P|2.3\rMSA|"

static void several(void **state)
{
    static const struct {
        const char *body, *answer;
    } cases[] = {
        {ACK "AA|1\r", ACK "AA|1\r"},
        {ACK "CA|1\r" ACK "AA|1\r", ACK "AA|1\r"},
        {ACK "AA|1\r" ACK "AA|2\r", ACK "AA|1\r"},
        {ACK "AA|1\r" ACK "CE|1\r" ACK "AA|2", ACK "CE|1\r"},
        {ACK "CE|1\r" ACK "AR|1\r" ACK "AE|1", ACK "AR|1\r"},
        {"\v" ACK "CA|1\x1c\r\v" ACK "AA|1\x1c\r", ACK "AA|1"},
        {"\v\v \v" ACK "CA|1\r\x1c\x1c" ACK "AA|1\r\x1c\n", ACK "AA|1\r"},
        {"\v\xef\xbb\xbf" ACK "CA|1\x1c\r\v\xef\xbb\xbf" ACK "AA|1", ACK "AA|1"},
        {"\vBHS|^~\\&\r" ACK "CA|1\rBTS|1\r\x1c\r" ACK "AA|1", ACK "AA|1"},
        {ACK "AA|1|\x1cx\v\ry", ACK "AA|1|\x1cx\v\ry"}, /* bytes, not framing */
        {ACK "XX|1\r" ACK "CA|1", ACK "CA|1"},
    };
    struct ack_reply reply;
    struct span answer;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(ack_read_heaviest(span_of_string(cases[i].body), &answer, &reply), 0);
        assert_true(span_equal_string(answer, cases[i].answer));
    }
    assert_int_equal(ack_read_heaviest(span_of_string(""), &answer, &reply), -EBADMSG);
    assert_int_equal(ack_read_heaviest(span_of_string("\v\x1c\r"), &answer, &reply), -EBADMSG);
    assert_int_equal(ack_read_heaviest(span_of_string(ACK "XX|1"), &answer, &reply), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(swapped_and_trimmed),
        cmocka_unit_test(nothing_but_delimiters),
        cmocka_unit_test(not_copied_and_copied),
        cmocka_unit_test(versions),
        cmocka_unit_test(other_delimiters),
        cmocka_unit_test(few_delimiters),
        cmocka_unit_test(own_names_sequence_and_records),
        cmocka_unit_test(what_cannot_be_echoed),
        cmocka_unit_test(synthetic_header),
        cmocka_unit_test(all_or_nothing),
        cmocka_unit_test(times),
        cmocka_unit_test(reading),
        cmocka_unit_test(not_an_acknowledgment),
        cmocka_unit_test(several),
    };

    return cmocka_run_group_tests_name("ack", tests, NULL, NULL);
}
