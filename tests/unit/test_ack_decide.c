/* links: hl7 base */
#include "hl7/ack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct msh header_with(const char *accept, const char *application)
{
    static char text[200];
    struct msh msh;

    snprintf(text, sizeof text, "MSH|^~\\&|||||||ADT^A01|1|P|2.5|||%s|%s", accept, application);
    assert_int_equal(msh_read(span_of_string(text), &msh, NULL), MSH_OK);
    return msh;
}

/* "CA,AA", "-" for nothing, "!" for nothing where the sender must be told by closing. */
static const char *plan_text(struct ack_plan plan)
{
    static char text[16];

    if (plan.silent_failure)
        return plan.accept || plan.application ? "contradiction" : "!";
    snprintf(text, sizeof text, "%s%s%s", plan.accept ? ack_code_text(plan.accept_code) : "",
             plan.accept && plan.application ? "," : "",
             plan.application ? ack_code_text(plan.application_code) : "");
    return text[0] == '\0' ? "-" : text;
}

struct decide_case {
    const char *accept, *application;
    const char *accepted; /* stored */
    const char *error;    /* AE / CE */
    const char *refused;  /* reject for a reason outside the content (error 0): AR / CE */
    const char *rejected; /* reject for MSH-9, 11 or 12 (error 200): AR / CR */
};

/* Every pair of table 0155, empty, and a value that isn't in the table. */
static const struct decide_case message_cases[] = {
    {"", "", "AA", "AE", "AR", "AR"},        {"", "AL", "AA", "AE", "AR", "AR"},
    {"", "NE", "-", "!", "!", "!"},          {"", "ER", "-", "AE", "AR", "AR"},
    {"", "SU", "AA", "!", "!", "!"},         {"", "XX", "AA", "AE", "AR", "AR"},
    {"AL", "", "CA", "CE", "CE", "CR"},      {"AL", "AL", "CA,AA", "CE", "CE", "CR"},
    {"AL", "NE", "CA", "CE", "CE", "CR"},    {"AL", "ER", "CA", "CE", "CE", "CR"},
    {"AL", "SU", "CA,AA", "CE", "CE", "CR"}, {"AL", "XX", "CA,AA", "CE", "CE", "CR"},
    {"NE", "", "-", "!", "!", "!"},          {"NE", "AL", "AA", "AE", "AR", "AR"},
    {"NE", "NE", "-", "!", "!", "!"},        {"NE", "ER", "-", "AE", "AR", "AR"},
    {"NE", "SU", "AA", "!", "!", "!"},       {"NE", "XX", "AA", "AE", "AR", "AR"},
    {"ER", "", "-", "CE", "CE", "CR"},       {"ER", "AL", "AA", "CE", "CE", "CR"},
    {"ER", "NE", "-", "CE", "CE", "CR"},     {"ER", "ER", "-", "CE", "CE", "CR"},
    {"ER", "SU", "AA", "CE", "CE", "CR"},    {"ER", "XX", "AA", "CE", "CE", "CR"},
    {"SU", "", "CA", "!", "!", "!"},         {"SU", "AL", "CA,AA", "AE", "AR", "AR"},
    {"SU", "NE", "CA", "!", "!", "!"},       {"SU", "ER", "CA", "AE", "AR", "AR"},
    {"SU", "SU", "CA,AA", "!", "!", "!"},    {"SU", "XX", "CA,AA", "AE", "AR", "AR"},
    {"XX", "", "CA", "CE", "CE", "CR"},      {"XX", "AL", "CA,AA", "CE", "CE", "CR"},
    {"XX", "NE", "CA", "CE", "CE", "CR"},    {"XX", "ER", "CA", "CE", "CE", "CR"},
    {"XX", "SU", "CA,AA", "CE", "CE", "CR"}, {"XX", "XX", "CA,AA", "CE", "CE", "CR"},
};

static void check_outcomes(const struct decide_case *item, enum ack_mode mode)
{
    struct msh msh = header_with(item->accept, item->application);

    assert_string_equal(plan_text(ack_decide(&msh, mode, ACK_OUTCOME_ACCEPTED, 0)), item->accepted);
    assert_string_equal(plan_text(ack_decide(&msh, mode, ACK_OUTCOME_ERROR, 207)), item->error);
    assert_string_equal(plan_text(ack_decide(&msh, mode, ACK_OUTCOME_ERROR, 200)), item->error);
    assert_string_equal(plan_text(ack_decide(&msh, mode, ACK_OUTCOME_REJECT, 0)), item->refused);
    assert_string_equal(plan_text(ack_decide(&msh, mode, ACK_OUTCOME_REJECT, 207)), item->refused);
    assert_string_equal(plan_text(ack_decide(&msh, mode, ACK_OUTCOME_REJECT, 101)), item->refused);
    for (int code = 200; code <= 203; code++)
        assert_string_equal(plan_text(ack_decide(&msh, mode, ACK_OUTCOME_REJECT, code)),
                            item->rejected);
    assert_int_equal(ack_decide(&msh, mode, ACK_OUTCOME_ACCEPTED, 0).unknown_condition,
                     strcmp(item->accept, "XX") == 0 || strcmp(item->application, "XX") == 0);
}

static void as_the_message_asks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof message_cases / sizeof message_cases[0]; i++)
        check_outcomes(&message_cases[i], ACK_MODE_MESSAGE);
}

static void always_original(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof message_cases / sizeof message_cases[0]; i++) {
        struct msh msh = header_with(message_cases[i].accept, message_cases[i].application);
        enum ack_mode mode = ACK_MODE_ORIGINAL;
        assert_string_equal(plan_text(ack_decide(&msh, mode, ACK_OUTCOME_ACCEPTED, 0)), "AA");
        assert_string_equal(plan_text(ack_decide(&msh, mode, ACK_OUTCOME_ERROR, 207)), "AE");
        assert_string_equal(plan_text(ack_decide(&msh, mode, ACK_OUTCOME_REJECT, 200)), "AR");
    }
}

/* As "message", and AL / NE where the message asks for nothing. */
static void always_enhanced(void **state)
{
    static const struct decide_case unasked = {"", "", "CA", "CE", "CE", "CR"};

    (void)state;
    check_outcomes(&unasked, ACK_MODE_ENHANCED);
    for (size_t i = 1; i < sizeof message_cases / sizeof message_cases[0]; i++)
        check_outcomes(&message_cases[i], ACK_MODE_ENHANCED);
}

static void acknowledgments_are_never_acknowledged(void **state)
{
    static const char text[] = "MSH|^~\\&|||||||ACK^A01^ACK|1|P|2.5|||AL|AL";
    struct msh msh;

    (void)state;
    assert_int_equal(msh_read(span_of_string(text), &msh, NULL), MSH_OK);
    for (int mode = ACK_MODE_MESSAGE; mode <= ACK_MODE_ENHANCED; mode++)
        for (int outcome = ACK_OUTCOME_ACCEPTED; outcome <= ACK_OUTCOME_REJECT; outcome++)
            assert_string_equal(
                plan_text(ack_decide(&msh, (enum ack_mode)mode, (enum ack_outcome)outcome, 0)),
                "-");
}

static void codes(void **state)
{
    (void)state;
    assert_string_equal(ack_code_text(ACK_CR), "CR");
    assert_string_equal(ack_code_text(ACK_CODE_UNKNOWN), "??");
    assert_true(ack_code_is_positive(ACK_AA) && ack_code_is_positive(ACK_CA));
    assert_false(ack_code_is_positive(ACK_AE) || ack_code_is_positive(ACK_CR));
    assert_string_equal(ack_error_words(ACK_ERROR_INTERNAL), "Application internal error");
    assert_string_equal(ack_error_words(999), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_message_asks),
        cmocka_unit_test(always_original),
        cmocka_unit_test(always_enhanced),
        cmocka_unit_test(acknowledgments_are_never_acknowledged),
        cmocka_unit_test(codes),
    };

    return cmocka_run_group_tests_name("ack_decide", tests, NULL, NULL);
}
