/* links: ingress spool tls admission hl7 loop base config certs */
/* Which answer is due: the whole table of what a sender may ask for, what may become of its message
 * and how a listener may be set; beside it the rules of semantics written down once more. */
#include "support/exchange_case.h"

static const char *const conditions[] = {"", "AL", "NE", "ER", "SU", "XX"};
#define CONDITIONS (sizeof(conditions) / sizeof(conditions[0]))

/* What becomes of the message. */
static const struct outcome {
    const char *name;
    enum spool_outcome outcome;
    enum reason reason;
    const char *code; /* the store's MSA-1 */
    int error;
    const char *accept, *application; /* the codes that are due then */
    const char *closes;               /* the reason, where a close stands for the answer */
} outcomes[] = {
    {"safe", SPOOL_SAFE, REASON_NONE, "AA", 0, "CA", "AA", NULL},
    {"refused AE", SPOOL_REFUSED, REASON_NONE, "AE", 102, "CE", "AE", "refused-by-store"},
    {"refused AR", SPOOL_REFUSED, REASON_NONE, "AR", 0, "CE", "AR", "refused-by-store"},
    {"refused AR 200", SPOOL_REFUSED, REASON_NONE, "AR", 200, "CR", "AR", "refused-by-store"},
    {"refused CE", SPOOL_REFUSED, REASON_NONE, "CE", 0, "CE", "AE", "refused-by-store"},
    {"refused CR 203", SPOOL_REFUSED, REASON_NONE, "CR", 203, "CR", "AR", "refused-by-store"},
    {"refused HTTP 400", SPOOL_REFUSED, REASON_NONE, "", 0, "CE", "AR", "refused-by-store"},
    {"full", SPOOL_UNAVAILABLE, REASON_SPOOL_FULL, "", 0, "CE", "AE", "spool-full"},
    {"no reason", SPOOL_UNAVAILABLE, REASON_NONE, "", 0, "CE", "AE", "store-unavailable"},
    {"unknown", SPOOL_UNKNOWN, REASON_NONE, "", 0, "CE", "AE", "answer-deadline"},
};
#define OUTCOMES (sizeof(outcomes) / sizeof(outcomes[0]))

struct cell {
    const char *accept, *application; /* MSH-15, MSH-16 */
    const struct outcome *outcome;
    const struct config_listener *listener;
};

static bool wanted(const char *condition, bool positive)
{
    if (strcmp(condition, "ER") == 0) {
        return !positive;
    }
    if (strcmp(condition, "SU") == 0) {
        return positive;
    }
    return strcmp(condition, "AL") == 0 || strcmp(condition, "XX") == 0;
}

static bool enhanced(const struct cell *cell)
{
    if (cell->listener->acknowledgment != CONFIG_ACKNOWLEDGMENT_MESSAGE) {
        return cell->listener->acknowledgment == CONFIG_ACKNOWLEDGMENT_ENHANCED;
    }
    return cell->accept[0] != '\0' || cell->application[0] != '\0';
}

static bool unavailable(const struct cell *cell)
{
    return cell->outcome->outcome == SPOOL_UNAVAILABLE || cell->outcome->outcome == SPOOL_UNKNOWN;
}

static bool closes(const struct cell *cell)
{
    if (unavailable(cell)) {
        return cell->listener->on_unavailable != CONFIG_ON_UNAVAILABLE_NACK;
    }
    return cell->outcome->closes != NULL && cell->listener->on_refusal == CONFIG_ON_REFUSAL_CLOSE;
}

static void expected(const struct cell *cell, char ret_text[64])
{
    bool positive = cell->outcome->closes == NULL, accept = false, application = true;
    bool both_empty = cell->accept[0] == '\0' && cell->application[0] == '\0';
    const char *commit = !cell->listener->commit_blocks ? "" : unavailable(cell) ? "15 " : "06 ";
    size_t used;

    if (closes(cell)) {
        snprintf(ret_text, 64, "close %s", cell->outcome->closes);
        return;
    }
    if (enhanced(cell)) {
        accept = wanted(both_empty ? "AL" : cell->accept, positive);
        application = wanted(cell->application, positive) && (positive || !accept);
        if (!positive && !accept && !application) {
            snprintf(ret_text, 64, "close nothing-may-be-sent");
            return;
        }
        if (positive && cell->listener->acknowledge == CONFIG_ACKNOWLEDGE_STORED &&
            cell->listener->application_acknowledgment == CONFIG_APPLICATION_STORE) {
            application = false;
        }
    }
    if (unavailable(cell) && cell->listener->commit_blocks) {
        accept = application = false; /* the NAK says it: the block comes again */
    }
    used = (size_t)snprintf(ret_text, 64, "%s%s%s%s%s", commit, accept ? cell->outcome->accept : "",
                            accept && application ? " " : "",
                            application ? cell->outcome->application : "",
                            commit[0] == '\0' && !accept && !application ? "none" : "");
    if (ret_text[used - 1] == ' ') {
        ret_text[used - 1] = '\0';
    }
}

static void check_cell(struct exchange_case *each, const struct cell *cell)
{
    bool delivered = cell->listener->acknowledge == CONFIG_ACKNOWLEDGE_DELIVERED;
    struct spool_put put = {
        .outcome = cell->outcome->outcome, .reason = cell->outcome->reason, .delivered = delivered};
    char want[64], got[64];

    put.verdict.kind = cell->outcome->outcome == SPOOL_SAFE ? VERDICT_ACCEPTED : VERDICT_REFUSED;
    put.verdict.error_code = cell->outcome->error;
    snprintf(put.verdict.code, sizeof(put.verdict.code), "%s", cell->outcome->code);
    each->listener = *cell->listener;
    each->out.length = each->read = 0;
    exchange_case_settle(each, &put);
    expected(cell, want);
    exchange_case_describe(each, got);
    if (strcmp(want, got) != 0) {
        fail_msg("MSH-15 '%s', MSH-16 '%s', %s, mode %d, commit %d, delivered %d, store %d, "
                 "refusal %d, unavailable %d: %s, not %s",
                 cell->accept, cell->application, cell->outcome->name,
                 (int)cell->listener->acknowledgment, cell->listener->commit_blocks, delivered,
                 (int)cell->listener->application_acknowledgment, (int)cell->listener->on_refusal,
                 (int)cell->listener->on_unavailable, got, want);
    }
    assert_int_equal(each->sent.unknown_condition,
                     cell->listener->acknowledgment != CONFIG_ACKNOWLEDGMENT_ORIGINAL &&
                         (cell->accept[0] == 'X' || cell->application[0] == 'X'));
}

/* Every listener: its settings as digits of a number. */
static struct config_listener listener_of(unsigned number)
{
    struct config_listener listener = {.name = TEXT("adt")};

    listener.acknowledgment = (enum config_acknowledgment)(number % 3);
    number /= 3;
    listener.on_unavailable = (enum config_on_unavailable)(number % 3);
    number /= 3;
    listener.on_refusal = (enum config_on_refusal)(number % 2);
    number /= 2;
    listener.application_acknowledgment = (enum config_application_acknowledgment)(number % 2);
    number /= 2;
    listener.acknowledge = (enum config_acknowledge)(number % 2);
    number /= 2;
    listener.commit_blocks = number % 2 == 1;
    return listener;
}
#define LISTENERS (3 * 3 * 2 * 2 * 2 * 2)

static void the_whole_table(void **state)
{
    struct exchange_case each;
    char message[256];

    (void)state;
    for (size_t pair = 0; pair < CONDITIONS * CONDITIONS; pair++) {
        const char *accept = conditions[pair / CONDITIONS];
        const char *application = conditions[pair % CONDITIONS];
        exchange_case_init(&each);
        snprintf(message, sizeof(message), "%s|||%s|%s\rPID|1\r", EXCHANGE_MSH("FAC", "M1"), accept,
                 application);
        exchange_case_judge(&each, message);
        assert_int_equal(each.action, EXCHANGE_PUT);
        for (unsigned number = 0; number < LISTENERS; number++) {
            struct config_listener listener = listener_of(number);
            bool delivered = listener.acknowledge == CONFIG_ACKNOWLEDGE_DELIVERED;
            for (size_t i = 0; i < OUTCOMES; i++) {
                struct cell cell = {accept, application, &outcomes[i], &listener};
                if (delivered || (outcomes[i].outcome != SPOOL_REFUSED &&
                                  outcomes[i].outcome != SPOOL_UNKNOWN)) {
                    check_cell(&each, &cell);
                }
            }
        }
        exchange_case_free(&each);
    }
}

/* ---- what negative answers say ---- */

static void errors_say_what_is_wrong(void **state)
{
    struct exchange_case each;
    struct ack_reply reply;
    struct spool_put put = {.outcome = SPOOL_REFUSED, .delivered = true};

    (void)state;
    exchange_case_init(&each);
    each.listener.on_unavailable = CONFIG_ON_UNAVAILABLE_NACK;
    exchange_case_judge(&each, EXCHANGE_MESSAGE("M1"));
    put.verdict.kind = VERDICT_REFUSED;
    put.verdict.error_code = 102;
    memcpy(put.verdict.code, "AE", 3);
    memcpy(put.verdict.error_location, "PID^1^7", 8);
    exchange_case_settle(&each, &put);
    exchange_case_ack(&each, "AE", "M1", &reply);
    assert_int_equal(reply.error_code, 102);
    assert_true(span_equal_string(reply.error_location, "PID^1^7"));
    each.out.length = each.read = 0;
    put = (struct spool_put){.outcome = SPOOL_UNAVAILABLE, .reason = REASON_SPOOL_FULL};
    exchange_case_settle(&each, &put);
    exchange_case_ack(&each, "AE", "M1", &reply);
    assert_int_equal(reply.error_code, 207);
    assert_int_equal(reply.error_location.length, 0);
    exchange_case_free(&each);
}

/* ---- the store's own acknowledgment ---- */

#define STORE_MSH "MSH|^~\\&|STORE|CLOUD|APP|FAC|20260101||ACK^A01^ACK|S77|P|2.5\r"
#define STORE_ERR "ERR||PID^1^7|102^Data type error^HL70357|E||||not a date\rERR||PV1^1|101|W\r"

static struct spool_put store_says(const char *code, enum verdict_kind kind, const char *answer)
{
    struct spool_put put = {.outcome = kind == VERDICT_ACCEPTED ? SPOOL_SAFE : SPOOL_REFUSED,
                            .delivered = true};

    put.verdict.kind = kind;
    put.verdict.answer_is_hl7 = true;
    put.verdict.answer = answer_bytes_new(span_of_string(answer));
    snprintf(put.verdict.code, sizeof(put.verdict.code), "%s", code);
    assert_non_null(put.verdict.answer);
    return put;
}

static void expect_verbatim(struct exchange_case *each, const char *content, const char *code,
                            enum verdict_kind kind, const char *answer)
{
    struct spool_put put = store_says(code, kind, answer);
    struct span frame = {NULL, 0};

    exchange_case_judge(each, content);
    exchange_case_settle(each, &put);
    assert_true(exchange_case_frame(each, &frame));
    assert_true(span_equal_string(frame, answer));
    exchange_case_no_frame(each);
    verdict_clear(&put.verdict);
}

static void passed_on_byte_for_byte(void **state)
{
    struct exchange_case each;

    (void)state;
    exchange_case_init(&each);
    each.listener.acknowledge = CONFIG_ACKNOWLEDGE_DELIVERED;
    expect_verbatim(&each, EXCHANGE_MESSAGE("M1"), "AA", VERDICT_ACCEPTED,
                    STORE_MSH "MSA|AA|M1|thank you\rZZZ|caf\xe9\n");
    expect_verbatim(&each, EXCHANGE_MESSAGE("M1"), "AE", VERDICT_REFUSED,
                    STORE_MSH "MSA|AE|M1\r" STORE_ERR);
    expect_verbatim(&each, EXCHANGE_MESSAGE("M1"), "AR", VERDICT_REFUSED,
                    "MSH!#~\\&!S!C!!!!!ACK!1!P!2.3\rMSA!AR!M1!no\r");
    expect_verbatim(&each, EXCHANGE_MSH("FAC", "M1") "|||NE|AL\r", "AA", VERDICT_ACCEPTED,
                    STORE_MSH "MSA|AA|M1\r");
    exchange_case_free(&each);
}

struct built {
    char text[1024];
    struct ack_reply reply;
};

/* One answer, made by the gateway and not the store's. */
static void expect_built(struct exchange_case *each, const char *content, struct spool_put *put,
                         const char *code, struct built *ret)
{
    struct span frame = {NULL, 0};

    exchange_case_judge(each, content);
    exchange_case_settle(each, put);
    assert_true(exchange_case_frame(each, &frame));
    assert_true(frame.length < sizeof(ret->text));
    memcpy(ret->text, frame.data, frame.length);
    ret->text[frame.length] = '\0';
    assert_int_equal(ack_read(span_of(ret->text, frame.length), &ret->reply), 0);
    assert_string_equal(ack_code_text(ret->reply.code), code);
    assert_true(span_equal_string(ret->reply.header.sending_application, "GW"));
    assert_false(span_equal_string(ret->reply.header.control_id, "S77"));
    exchange_case_no_frame(each);
    verdict_clear(&put->verdict);
}

static void translated(void **state)
{
    struct exchange_case each;
    struct spool_put put;
    struct built built;

    (void)state;
    exchange_case_init(&each);
    each.listener.acknowledge = CONFIG_ACKNOWLEDGE_DELIVERED;
    put = store_says("CA", VERDICT_ACCEPTED, STORE_MSH "MSA|CA|M1\r");
    expect_built(&each, EXCHANGE_MESSAGE("M1"), &put, "AA", &built);
    put = store_says("AA", VERDICT_ACCEPTED, STORE_MSH "MSA|AA|M1\r");
    expect_built(&each, EXCHANGE_MSH("FAC", "M1") "|||AL|NE\r", &put, "CA", &built);
    put = store_says("AE", VERDICT_REFUSED, STORE_MSH "MSA|AE|M1\r" STORE_ERR);
    expect_built(&each, EXCHANGE_MSH("FAC", "M1") "|||AL|AL\r", &put, "CE", &built);
    assert_true(span_equal_string(built.reply.errors, STORE_ERR));
    put = store_says("CE", VERDICT_REFUSED, STORE_MSH "MSA|CE|M1\r" STORE_ERR);
    expect_built(&each, EXCHANGE_MESSAGE("M1"), &put, "AE", &built);
    assert_true(span_equal_string(built.reply.errors, STORE_ERR));
    exchange_case_free(&each);
}

/* AL/AL with delivered: CA only after the store has accepted, then the store's own AA. */
static void both_with_delivered(void **state)
{
    struct exchange_case each;
    struct spool_put put = store_says("AA", VERDICT_ACCEPTED, STORE_MSH "MSA|AA|M1\r");
    struct span frame = {NULL, 0};

    (void)state;
    exchange_case_init(&each);
    each.listener.acknowledge = CONFIG_ACKNOWLEDGE_DELIVERED;
    exchange_case_judge(&each, EXCHANGE_MSH("FAC", "M1") "|||AL|AL\r");
    exchange_case_settle(&each, &put);
    exchange_case_ack(&each, "CA", "M1", NULL);
    assert_true(exchange_case_frame(&each, &frame));
    assert_true(span_equal_string(frame, STORE_MSH "MSA|AA|M1\r"));
    verdict_clear(&put.verdict);
    exchange_case_free(&each);
}

/* Of several answers the sender gets the one that decided, alone. */
static void one_of_several(void **state)
{
    static const char *const positive[] = {
        STORE_MSH "MSA|CA|M1\r" STORE_MSH "MSA|AA|M1|yes\r",
        STORE_MSH "MSA|AA|M1|yes\r" STORE_MSH "MSA|CA|M1\r",
        "\v" STORE_MSH "MSA|CA|M1\r\x1c\r\v" STORE_MSH "MSA|AA|M1|yes\r\x1c\r",
        "BHS|^~\\&|S\r" STORE_MSH "MSA|AA|M1|yes\rBTS|1\r",
    };
    struct exchange_case each;
    struct span frame = {NULL, 0};
    struct spool_put put;
    struct built built;

    (void)state;
    exchange_case_init(&each);
    each.listener.acknowledge = CONFIG_ACKNOWLEDGE_DELIVERED;
    for (size_t i = 0; i < sizeof(positive) / sizeof(positive[0]); i++) {
        put = store_says("AA", VERDICT_ACCEPTED, positive[i]);
        exchange_case_judge(&each, EXCHANGE_MESSAGE("M1"));
        exchange_case_settle(&each, &put);
        assert_true(exchange_case_frame(&each, &frame));
        assert_true(span_equal_string(frame, STORE_MSH "MSA|AA|M1|yes\r"));
        exchange_case_no_frame(&each);
        verdict_clear(&put.verdict);
    }
    put = store_says("AE", VERDICT_REFUSED,
                     STORE_MSH "MSA|AA|M1\r" STORE_MSH "MSA|AE|M2\r" STORE_ERR);
    expect_built(&each, EXCHANGE_MESSAGE("M1") EXCHANGE_MESSAGE("M2"), &put, "AE", &built);
    assert_true(span_equal_string(built.reply.control_id, "M1"));
    assert_true(span_equal_string(built.reply.errors, STORE_ERR));
    exchange_case_free(&each);
}

/* "Same answer": MSA-1, MSA-2 and ERR; MSH-7 and MSH-10 are new. */
static void repeated(void **state)
{
    struct exchange_case each;
    struct spool_put put;
    struct built first, second;

    (void)state;
    exchange_case_init(&each);
    each.listener.acknowledge = CONFIG_ACKNOWLEDGE_DELIVERED;
    put = store_says("AA", VERDICT_ACCEPTED, STORE_MSH "MSA|AA|M1\r" STORE_ERR);
    put.repeated = true;
    expect_built(&each, EXCHANGE_MESSAGE("M1"), &put, "AA", &first);
    assert_true(span_equal_string(first.reply.control_id, "M1"));
    assert_true(span_equal_string(first.reply.errors, STORE_ERR));
    assert_non_null(strstr(first.text, "|20260101130000+0100|"));
    put = store_says("AA", VERDICT_ACCEPTED, STORE_MSH "MSA|AA|M1\r" STORE_ERR);
    put.repeated = true;
    expect_built(&each, EXCHANGE_MESSAGE("M1"), &put, "AA", &second);
    assert_true(span_equal(first.reply.errors, second.reply.errors));
    assert_false(span_equal(first.reply.header.control_id, second.reply.header.control_id));
    exchange_case_free(&each);
}

/* What of the store's must not get through. */
static void not_passed_on(void **state)
{
    static const struct {
        const char *what, *answer, *errors;
    } cases[] = {
        {"another message's (one of a split batch)", STORE_MSH "MSA|AA|M12\r", ""},
        {"one that would end our frame", STORE_MSH "MSA|AA|M1|\x1c\rx\r", ""},
        {"one that would begin another", STORE_MSH "MSA|AA|M1|\vx\r", ""},
        {"ERR with other delimiters", "MSH!^~\\&!S!C!!!!!ACK!1!P!2.5\rMSA!AA!M12\rERR!!PID!102!E\r",
         ""},
        {"ERR that would end our frame", STORE_MSH "MSA|AA|M12\rERR||PID|102|E||\x1cx\r", ""},
        {"not readable", "<html>", ""},
    };
    struct exchange_case each;

    (void)state;
    exchange_case_init(&each);
    each.listener.acknowledge = CONFIG_ACKNOWLEDGE_DELIVERED;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct spool_put put = store_says("AA", VERDICT_ACCEPTED, cases[i].answer);
        struct built built;
        expect_built(&each, EXCHANGE_MESSAGE("M1"), &put, "AA", &built);
        if (!span_equal_string(built.reply.errors, cases[i].errors)) {
            fail_msg("%s: %s", cases[i].what, built.text);
        }
    }
    exchange_case_free(&each);
}

/* The message is safe, so an answer that is too large to be passed on must not stand in the way. */
static void a_huge_answer(void **state)
{
    struct exchange_case each;
    size_t length = 20u << 20;
    char *answer = malloc(length + 1);
    struct spool_put put;
    struct built built;

    (void)state;
    assert_non_null(answer);
    memset(answer, 'x', length);
    memcpy(answer, STORE_MSH "MSA|AA|M1\rERR|", sizeof(STORE_MSH "MSA|AA|M1\rERR|") - 1);
    answer[length] = '\0';
    exchange_case_init(&each);
    each.listener.acknowledge = CONFIG_ACKNOWLEDGE_DELIVERED;
    put = store_says("AA", VERDICT_ACCEPTED, answer);
    expect_built(&each, EXCHANGE_MESSAGE("M1"), &put, "AA", &built);
    free(answer);
    exchange_case_free(&each);
}

static void own_names(void **state)
{
    struct exchange_case each;
    struct spool_put put = {.outcome = SPOOL_SAFE};
    struct ack_reply reply;

    (void)state;
    exchange_case_init(&each);
    exchange_case_judge(&each, EXCHANGE_MESSAGE("M1"));
    exchange_case_settle(&each, &put);
    exchange_case_ack(&each, "AA", "M1", &reply);
    assert_true(span_equal_string(reply.header.sending_application, "GW"));
    assert_true(span_equal_string(reply.header.sending_facility, "HUB"));
    assert_true(span_equal_string(reply.header.receiving_application, "APP"));
    assert_true(span_equal_string(reply.header.receiving_facility, "FAC"));
    each.listener.application = TEXT("EDGE");
    each.listener.facility = TEXT("NORTH");
    each.out.length = each.read = 0;
    exchange_case_settle(&each, &put);
    exchange_case_ack(&each, "AA", "M1", &reply);
    assert_true(span_equal_string(reply.header.sending_application, "EDGE"));
    assert_true(span_equal_string(reply.header.sending_facility, "NORTH"));
    exchange_case_free(&each);
}

/* ---- application acknowledgments made later ---- */

static void later(void **state)
{
    static const struct {
        const char *accept, *application;
        enum verdict_kind kind;
        const char *answer; /* NULL: none is due */
    } cases[] = {
        {"AL", "AL", VERDICT_ACCEPTED, "AA"}, {"AL", "AL", VERDICT_REFUSED, "AR"},
        {"AL", "NE", VERDICT_ACCEPTED, NULL}, {"AL", "NE", VERDICT_REFUSED, NULL},
        {"NE", "AL", VERDICT_ACCEPTED, "AA"}, {"AL", "ER", VERDICT_ACCEPTED, NULL},
        {"AL", "ER", VERDICT_REFUSED, "AR"},  {"AL", "SU", VERDICT_ACCEPTED, "AA"},
        {"AL", "SU", VERDICT_REFUSED, NULL},  {"", "", VERDICT_ACCEPTED, NULL},
        {"AL", "", VERDICT_REFUSED, NULL},    {"", "AL", VERDICT_ACCEPTED, "AA"},
        {"NE", "NE", VERDICT_REFUSED, NULL},  {"XX", "XX", VERDICT_ACCEPTED, "AA"},
    };
    struct exchange_time time = {EXCHANGE_WALL_MS, 0};
    struct exchange_case each;
    char message[256];

    (void)state;
    exchange_case_init(&each);
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        const char *answer = i % 2 == 0 ? cases[i / 2].answer : NULL;
        struct verdict verdict = {.kind = cases[i / 2].kind};
        each.listener.application_acknowledgment =
            i % 2 == 0 ? CONFIG_APPLICATION_STORE : CONFIG_APPLICATION_GATEWAY;
        snprintf(message, sizeof(message), "%s|||%s|%s\r", EXCHANGE_MSH("FAC", "M1"),
                 cases[i / 2].accept, cases[i / 2].application);
        exchange_case_judge(&each, message);
        assert_int_equal(exchange_application_due(each.exchange.message, &verdict, &each.listener),
                         answer != NULL);
        assert_int_equal(exchange_application_answer(each.exchange.message, &verdict, &each.policy,
                                                     &time, &each.scratch, &each.out, &each.sent),
                         0);
        if (answer != NULL) {
            exchange_case_ack(&each, answer, "M1", NULL);
        }
        exchange_case_no_frame(&each);
    }
    exchange_case_free(&each);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_table),
        cmocka_unit_test(errors_say_what_is_wrong),
        cmocka_unit_test(passed_on_byte_for_byte),
        cmocka_unit_test(translated),
        cmocka_unit_test(both_with_delivered),
        cmocka_unit_test(one_of_several),
        cmocka_unit_test(repeated),
        cmocka_unit_test(not_passed_on),
        cmocka_unit_test(a_huge_answer),
        cmocka_unit_test(own_names),
        cmocka_unit_test(later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
