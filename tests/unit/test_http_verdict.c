/* links: egress http spool loop hl7 base config */
/* wrap: msh_read */
#include "base/buffer.h"
#include "egress/http_verdict.h"
#include "hl7/msh.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define HL7 "x-application/hl7-v2+er7"
#define ACK(code, id) "MSH|^~\\&|S|C|G|E|2026||ACK|A1|P|2.5\rMSA|" code "|" id "\r"
#define ERR(location, code) "ERR||" location "|" code "|E||||canary\r"
#define SENT "MSH|^~\\&|A|B|C|D|2026||ADT^A01|ID1|P|2.5\rPID|1\r"

struct rule {
    const char *name;
    enum http_failure failure;
    int status;
    const char *content_type, *body;
    enum verdict_kind kind;
    bool about_message;
    const char *code;
    const char *reason; /* NULL: "HTTP <status>" */
};

#define A VERDICT_ACCEPTED
#define N VERDICT_REFUSED
#define O VERDICT_OPERATOR
#define R VERDICT_RETRY
#define READ " from the store"
#define CUT "answer larger than maximum_answer_bytes"
#define BAD ", the HL7 in the answer cannot be read"

static const struct rule rules[] = {
    /* 2xx without HL7 */
    {"200, empty", HTTP_OK, 200, "", "", A, true, "", NULL},
    {"204", HTTP_OK, 204, "", "", A, true, "", NULL},
    {"202, JSON", HTTP_OK, 202, "application/json", "{}", A, true, "", NULL},
    {"200, HTML", HTTP_OK, 200, "text/html", "<p>ok</p>", A, true, "", NULL},
    {"200, empty with HL7's type", HTTP_OK, 200, HL7, "", A, true, "", NULL},
    {"299", HTTP_OK, 299, "", "", A, true, "", NULL},
    /* HL7 in a 2xx */
    {"AA", HTTP_OK, 200, HL7, ACK("AA", "ID1"), A, true, "AA", "AA" READ},
    {"CA", HTTP_OK, 200, HL7, ACK("CA", "ID1"), A, true, "CA", "CA" READ},
    {"AA in a 201", HTTP_OK, 201, HL7, ACK("AA", "ID1"), A, true, "AA", "AA" READ},
    {"AA, the draft's other type", HTTP_OK, 200, "application/hl7-v2+er7; charset=utf-8",
     ACK("AA", "ID1"), A, true, "AA", "AA" READ},
    {"AA as text/plain", HTTP_OK, 200, "text/plain", ACK("AA", "ID1"), A, true, "AA", "AA" READ},
    {"AA without a type", HTTP_OK, 200, "", ACK("AA", "ID1"), A, true, "AA", "AA" READ},
    {"AA within MLLP framing", HTTP_OK, 200, HL7, "\v" ACK("AA", "ID1") "\x1c\r", A, true, "AA",
     "AA" READ},
    {"AA behind white space", HTTP_OK, 200, "", "\r\n " ACK("AA", "ID1"), A, true, "AA", "AA" READ},
    {"AE", HTTP_OK, 200, HL7, ACK("AE", "ID1"), N, true, "AE", "AE" READ},
    {"AR", HTTP_OK, 200, HL7, ACK("AR", "ID1"), N, true, "AR", "AR" READ},
    {"CE", HTTP_OK, 200, HL7, ACK("CE", "ID1"), N, true, "CE", "CE" READ},
    {"CR", HTTP_OK, 200, HL7, ACK("CR", "ID1"), N, true, "CR", "CR" READ},
    {"AE with ERR", HTTP_OK, 200, HL7, ACK("AE", "ID1") ERR("PID^1^5", "207"), N, true, "AE",
     "AE" READ " (ERR 207)"},
    {"AE as text/plain", HTTP_OK, 200, "text/plain", ACK("AE", "ID1"), N, true, "AE", "AE" READ},
    {"AA, foreign", HTTP_OK, 200, HL7, ACK("AA", "ID2"), R, true, "AA",
     "AA" READ ", but MSA-2 is not ours"},
    {"AA, a longer MSA-2", HTTP_OK, 200, HL7, ACK("AA", "ID12"), R, true, "AA",
     "AA" READ ", but MSA-2 is not ours"},
    {"AA, a shorter MSA-2", HTTP_OK, 200, HL7, ACK("AA", "ID"), R, true, "AA",
     "AA" READ ", but MSA-2 is not ours"},
    {"AA, empty MSA-2", HTTP_OK, 200, HL7, ACK("AA", ""), R, true, "AA",
     "AA" READ ", but MSA-2 is not ours"},
    {"AE, foreign", HTTP_OK, 200, HL7, ACK("AE", "ID2"), R, true, "AE",
     "AE" READ ", but MSA-2 is not ours"},
    {"HL7's type, not HL7", HTTP_OK, 200, HL7, "{}", R, true, "", "HTTP 200" BAD},
    {"MSH, but no MSA", HTTP_OK, 200, "text/plain", SENT, R, true, "", "HTTP 200" BAD},
    {"MSH and nonsense", HTTP_OK, 200, "text/plain", "MSH is it not", R, true, "", "HTTP 200" BAD},
    {"unknown MSA-1", HTTP_OK, 200, HL7, ACK("OK", "ID1"), R, true, "", "HTTP 200" BAD},
    {"XML encoding", HTTP_OK, 200, "x-application/hl7-v2+xml", "<ACK/>", R, true, "",
     "HTTP 200" BAD},
    /* larger than maximum_answer_bytes: what was read is its beginning */
    {"2xx, too large", HTTP_ANSWER_TOO_LARGE, 200, "", "", A, true, "", NULL},
    {"2xx, too large, HTML", HTTP_ANSWER_TOO_LARGE, 200, "text/html", "<p>", A, true, "", NULL},
    {"AA, too large", HTTP_ANSWER_TOO_LARGE, 200, HL7, ACK("AA", "ID1"), O, false, "", CUT},
    {"AE, too large, as text/plain", HTTP_ANSWER_TOO_LARGE, 200, "text/plain", ACK("AE", "ID1"), O,
     false, "", CUT},
    {"a batch, too large", HTTP_ANSWER_TOO_LARGE, 200, "", "BHS|^~\\&|", O, false, "", CUT},
    {"HL7's type, too large", HTTP_ANSWER_TOO_LARGE, 201, HL7, "<", O, false, "", CUT},
    /* an HL7 body outside 2xx is no HL7 answer */
    {"AA in a 500", HTTP_OK, 500, HL7, ACK("AA", "ID1"), R, true, "", NULL},
    {"AA in a 400", HTTP_OK, 400, HL7, ACK("AA", "ID1"), N, true, "", NULL},
    /* refused */
    {"400", HTTP_OK, 400, "", "", N, true, "", NULL},
    {"413", HTTP_OK, 413, "", "", N, true, "", NULL},
    {"415", HTTP_OK, 415, "", "", N, true, "", NULL},
    {"422", HTTP_OK, 422, "application/json", "{}", N, true, "", NULL},
    {"422, too large", HTTP_ANSWER_TOO_LARGE, 422, "", "", N, true, "", NULL},
    /* the operator's fault */
    {"301", HTTP_OK, 301, "", "", O, false, "", NULL},
    {"302", HTTP_OK, 302, "", "", O, false, "", NULL},
    {"307", HTTP_OK, 307, "", "", O, false, "", NULL},
    {"401", HTTP_OK, 401, "", "", O, false, "", NULL},
    {"403", HTTP_OK, 403, "", "", O, false, "", NULL},
    {"404", HTTP_OK, 404, "", "", O, false, "", NULL},
    {"405", HTTP_OK, 405, "", "", O, false, "", NULL},
    {"407", HTTP_OK, 407, "", "", O, false, "", NULL},
    {"410, as every other 4xx", HTTP_OK, 410, "", "", O, false, "", NULL},
    {"431", HTTP_OK, 431, "", "", O, false, "", NULL},
    {"nginx: no certificate", HTTP_OK, 400, "text/html",
     "<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n", O, false,
     "", "HTTP 400, the server does not take our certificate"},
    {"nginx: a bad certificate", HTTP_OK, 400, "text/html",
     "<html>\r\n<head><title>400 The SSL certificate error</title></head>\r\n", O, false, "",
     "HTTP 400, the server does not take our certificate"},
    {"TLS", HTTP_TLS, 0, "", "", O, false, "", "why"},
    {"407 from the proxy", HTTP_PROXY, 407, "", "", O, false, "", "why"},
    {"403 from the proxy", HTTP_PROXY, 403, "", "", O, false, "", "why"},
    /* retry */
    {"408", HTTP_OK, 408, "", "", R, false, "", NULL},
    {"409", HTTP_OK, 409, "", "", R, true, "", NULL},
    {"421", HTTP_OK, 421, "", "", R, false, "", NULL},
    {"425", HTTP_OK, 425, "", "", R, false, "", NULL},
    {"429", HTTP_OK, 429, "", "", R, false, "", NULL},
    {"500", HTTP_OK, 500, "", "", R, true, "", NULL},
    {"501", HTTP_OK, 501, "", "", R, true, "", NULL},
    {"502", HTTP_OK, 502, "text/html", "<p>bad</p>", R, false, "", NULL},
    {"503", HTTP_OK, 503, "", "", R, false, "", NULL},
    {"504", HTTP_OK, 504, "", "", R, false, "", NULL},
    {"599", HTTP_OK, 599, "", "", R, true, "", NULL},
    {"503, too large", HTTP_ANSWER_TOO_LARGE, 503, "", "", R, false, "", NULL},
    {"a status of no class", HTTP_OK, 700, "", "", R, true, "", NULL},
    {"name", HTTP_RESOLVE, 0, "", "", R, false, "", "why"},
    {"connect", HTTP_CONNECT, 0, "", "", R, false, "", "why"},
    {"time-out", HTTP_TIMEOUT, 0, "", "", R, false, "", "why"},
    {"time-out behind a 200", HTTP_TIMEOUT, 200, "", "", R, false, "", "why"},
    {"transport", HTTP_TRANSPORT, 0, "", "", R, false, "", "why"},
    {"transport behind a 200", HTTP_TRANSPORT, 200, "", "", R, false, "", "why"},
    {"memory", HTTP_INTERNAL, 0, "", "", R, false, "", "why"},
    {"502 from the proxy", HTTP_PROXY, 502, "", "", R, false, "", "why"},
    {"no status from the proxy", HTTP_PROXY, 0, "", "", R, false, "", "why"},
};

static const struct http_question question = {.sent = {{SENT, sizeof(SENT) - 1}, {"ID1", 3}}};

static struct verdict judge(const struct http_question *asked, enum http_failure failure,
                            int status, const char *content_type, const char *body)
{
    char words[96] = "why";
    struct http_result result = {.failure = failure,
                                 .status = status,
                                 .content_type = content_type,
                                 .body = span_of_string(body),
                                 .words = words};
    struct verdict verdict;

    if (failure == HTTP_OK || failure == HTTP_ANSWER_TOO_LARGE)
        snprintf(words, sizeof(words), "HTTP %d", status);
    http_verdict_make(asked, &result, &verdict);
    return verdict;
}

static void check_rule(const struct rule *rule)
{
    struct verdict verdict =
        judge(&question, rule->failure, rule->status, rule->content_type, rule->body);
    char reason[96];

    snprintf(reason, sizeof(reason), "HTTP %d", rule->status);
    if (verdict.kind != rule->kind)
        fail_msg("%s: %s", rule->name, verdict_kind_text(verdict.kind));
    if (verdict.about_message != rule->about_message)
        fail_msg("%s: about_message", rule->name);
    assert_string_equal(verdict.code, rule->code);
    assert_string_equal(verdict.reason, rule->reason == NULL ? reason : rule->reason);
    assert_int_equal(verdict.status, rule->status);
    /* another message's answer is not passed on: it may be about another patient */
    assert_int_equal(verdict.answer_is_hl7,
                     rule->code[0] != '\0' && strstr(verdict.reason, "not ours") == NULL);
    verdict_clear(&verdict);
}

static void each_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        check_rule(&rules[i]);
}

static void overrides_go_first(void **state)
{
    const struct config_status_verdict overrides[] = {{409, CONFIG_VERDICT_ACCEPTED},
                                                      {503, CONFIG_VERDICT_OPERATOR},
                                                      {404, CONFIG_VERDICT_RETRY},
                                                      {429, CONFIG_VERDICT_RETRY},
                                                      {202, CONFIG_VERDICT_REFUSED}};
    const struct http_question asked = {
        .overrides = overrides, .override_count = 5, .sent = question.sent};

    (void)state;
    assert_int_equal(judge(&asked, HTTP_OK, 409, "", "").kind, A);
    assert_int_equal(judge(&asked, HTTP_OK, 503, "", "").kind, O);
    assert_false(judge(&asked, HTTP_OK, 503, "", "").about_message);
    assert_int_equal(judge(&asked, HTTP_OK, 404, "", "").kind, R);
    assert_true(judge(&asked, HTTP_OK, 404, "", "").about_message);
    assert_false(judge(&asked, HTTP_OK, 429, "", "").about_message);
    assert_int_equal(judge(&asked, HTTP_OK, 202, "", "").kind, N);
    assert_int_equal(judge(&asked, HTTP_OK, 403, "", "").kind, O);
}

static void location_is_a_location_or_nothing(void **state)
{
    static const struct {
        const char *err_2, *location;
    } cases[] = {
        {"PID^1^5^1^2", "PID^1^5^1^2"},
        {"MSH^1^9", "MSH^1^9"},
        {"ZX1^2", "ZX1^2"},
        {"PID", "PID"},
        {"", ""},
        {"PI", ""},
        {"SMITH", ""},
        {"PID^1^SMITH", ""},
        {"PID^1^5 SMITH", ""},
        {"pid^1", ""},
        {"123^1", ""},
        {"PID^1111111111111111111111111111111", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[256];
        struct verdict verdict;

        snprintf(body, sizeof(body), ACK("AE", "ID1") ERR("%s", "207"), cases[i].err_2);
        verdict = judge(&question, HTTP_OK, 200, HL7, body);
        assert_string_equal(verdict.error_location, cases[i].location);
        assert_int_equal(verdict.error_code, 207);
        verdict_clear(&verdict);
    }
}

static void answers_are_kept_where_they_tell_something(void **state)
{
    struct verdict verdict = judge(&question, HTTP_OK, 200, "application/json", "{}");

    (void)state;
    assert_null(verdict.answer);
    verdict = judge(&question, HTTP_OK, 422, "application/json", "{\"why\":1}");
    assert_int_equal(verdict.answer->length, 9);
    assert_false(verdict.answer_is_hl7);
    verdict_clear(&verdict);
    verdict = judge(&question, HTTP_OK, 200, HL7, "\v" ACK("AA", "ID1") "\x1c\r");
    assert_true(verdict.answer_is_hl7);
    assert_int_equal(verdict.answer->length, sizeof(ACK("AA", "ID1")) - 1);
    assert_memory_equal(verdict.answer->data, ACK("AA", "ID1"), verdict.answer->length);
    verdict_clear(&verdict);
}

#define BATCH                                                                                      \
    "BHS|^~\\&|A|B|C|D|2026||||B7\r" SENT "MSH|^~\\&|A|B|C|D|2026||ADT|ID2|P|2.5\rPID|2\rBTS|2\r"
#define FRAMED(answer) "\v" answer "\x1c\r"
#define BATCH_OF(answers) "BHS|^~\\&|S\r" answers "BTS|2\r"

static void a_whole_batch_has_many_ids(void **state)
{
    static const struct {
        const char *body;
        enum verdict_kind kind;
        const char *code;
    } cases[] = {
        {ACK("AA", "B7"), A, "AA"},
        {ACK("AA", "ID1"), A, "AA"},
        {ACK("AA", "ID2"), A, "AA"},
        {ACK("AA", "ID3"), R, "AA"},
        {ACK("AA", ""), R, "AA"},
        {ACK("AE", "ID2"), N, "AE"},
        {BATCH_OF(ACK("AA", "ID1") ACK("AA", "ID2")), A, "AA"},
        {BATCH_OF(ACK("AA", "ID1") ACK("AR", "ID2")), N, "AR"},
        {BATCH_OF(ACK("AE", "ID1") ACK("AA", "ID2")), N, "AE"},
        {BATCH_OF(ACK("AA", "ID1") ACK("AA", "ID9")), R, "AA"},
        {BATCH_OF(ACK("AE", "ID1") ACK("AA", "ID9")), R, "AE"},
        {BATCH_OF(ACK("CA", "ID1") ACK("OK", "ID2")), R, ""},
        {BATCH_OF(""), R, ""},
        {ACK("AA", "ID1") ACK("AA", "ID2"), A, "AA"},
        {ACK("AA", "ID1") ACK("AE", "ID2"), N, "AE"},
        {ACK("AA", "ID1") ACK("AA", "ID9"), R, "AA"},
        {FRAMED(ACK("AA", "ID1")) FRAMED(ACK("AR", "ID2")), N, "AR"},
        {FRAMED(BATCH_OF(ACK("AA", "ID1"))) FRAMED(BATCH_OF(ACK("AE", "ID2"))), N, "AE"},
    };
    const struct http_question asked = {.sent = {{BATCH, sizeof(BATCH) - 1}, {"ID1", 3}}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verdict verdict = judge(&asked, HTTP_OK, 200, HL7, cases[i].body);

        assert_int_equal(verdict.kind, cases[i].kind);
        assert_string_equal(verdict.code, cases[i].code);
        verdict_clear(&verdict);
    }
}

/* ---- large batches ---- */

static size_t headers_read;

enum msh_problem __real_msh_read(struct span content, struct msh *ret_msh, size_t *ret_offset);
enum msh_problem __wrap_msh_read(struct span content, struct msh *ret_msh, size_t *ret_offset);

enum msh_problem __wrap_msh_read(struct span content, struct msh *ret_msh, size_t *ret_offset)
{
    headers_read++;
    return __real_msh_read(content, ret_msh, ret_offset);
}

#define MANY 2000

#define APPEND(buffer, format, number)                                                             \
    do {                                                                                           \
        char line[128];                                                                            \
        int length = snprintf(line, sizeof(line), format, number);                                 \
        assert_int_equal(buffer_append(buffer, line, (size_t)length), 0);                          \
    } while (0)

/* Each header of what was sent and of the answers is read a few times at the most: the thread that
 * judges an answer delivers everything else, too. */
static void judge_many(unsigned first_answer, enum verdict_kind kind)
{
    struct buffer sent, answers;
    struct http_question asked = {.sent = {.control_id = span_of_string("first")}};
    struct verdict verdict;

    buffer_init(&sent, 1u << 20);
    buffer_init(&answers, 1u << 20);
    for (unsigned i = 0; i < MANY; i++) {
        APPEND(&sent, "MSH|^~\\&|A|B|C|D|2026||ADT|ID%u|P|2.5\rPID|1\r", i);
        APPEND(&answers, ACK("AA", "ID%u"), first_answer + MANY - 1 - i);
    }
    assert_int_equal(buffer_append(&answers, "", 1), 0);
    asked.sent.bytes = buffer_span(&sent);
    headers_read = 0;
    verdict = judge(&asked, HTTP_OK, 200, HL7, answers.data);
    assert_int_equal(verdict.kind, kind);
    assert_in_range(headers_read, MANY, 10 * MANY);
    verdict_clear(&verdict);
    buffer_free(&sent);
    buffer_free(&answers);
}

static void work_grows_with_the_batch_not_its_square(void **state)
{
    (void)state;
    judge_many(0, A);
    judge_many(1, R); /* the last one is foreign, the first in the answer */
    judge_many(MANY, R);
}

/* An accept and an application acknowledgment (AL/AL), in whatever way they stand together. */
static void the_negative_of_several_answers_counts(void **state)
{
    static const struct {
        const char *body;
        enum verdict_kind kind;
        const char *code;
        int error_code;
    } cases[] = {
        {ACK("CA", "ID1") ACK("AE", "ID1") ERR("PID^1^5", "102"), N, "AE", 102},
        {ACK("CA", "ID1") "\n" ACK("AR", "ID1"), N, "AR", 0},
        {ACK("AE", "ID1") ERR("PID^1^5", "102") ACK("CA", "ID1"), N, "AE", 102},
        {ACK("CA", "ID1") ACK("AA", "ID1"), A, "AA", 0},
        {ACK("AA", "ID1") ACK("CA", "ID1"), A, "AA", 0},
        {ACK("CE", "ID1") ACK("AA", "ID1"), N, "CE", 0},
        {ACK("CE", "ID1") ACK("AE", "ID1"), N, "AE", 0},
        {FRAMED(ACK("CA", "ID1")) FRAMED(ACK("AE", "ID1")), N, "AE", 0},
        {"\r\n" FRAMED(ACK("CA", "ID1")) "\n" FRAMED(ACK("AE", "ID1")) "\n", N, "AE", 0},
        {"MSH|^~\\&|S\rMSA|CA|ID1\x1c\r\vMSH|^~\\&|S\rMSA|AE|ID1\x1c\r", N, "AE", 0},
        {"MSH|^~\\&|S\rMSA|CA|ID1\x1cMSH|^~\\&|S\rMSA|AE|ID1", N, "AE", 0},
        {"MSH|^~\\&|S\rMSA|CA|ID1\rMSH!^~\\&!S!C!!!!!ACK!1!P!2.5\rMSA!AE!ID1\r", N, "AE", 0},
        /* what can't be read may have been negative */
        {ACK("CA", "ID1") ACK("OK", "ID1"), R, "", 0},
        {ACK("OK", "ID1") ACK("AE", "ID1"), N, "AE", 0},
        /* an ERR that quotes the message */
        {ACK("AE", "ID1") "ERR||PID|207|E|||||\n" SENT, N, "AE", 207},
        {ACK("CA", "ID1") ACK("AE", "ID2"), R, "AE", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verdict verdict = judge(&question, HTTP_OK, 200, "", cases[i].body);

        if (verdict.kind != cases[i].kind)
            fail_msg("case %zu: %s", i, verdict_kind_text(verdict.kind));
        assert_string_equal(verdict.code, cases[i].code);
        assert_int_equal(verdict.error_code, cases[i].error_code);
        verdict_clear(&verdict);
    }
}

static void an_empty_control_id_wants_an_empty_answer(void **state)
{
    const char sent[] = "MSH|^~\\&|A|B|C|D|2026||ADT^A01||P|2.5\rPID|1\r";
    const struct http_question asked = {.sent = {.bytes = {sent, sizeof(sent) - 1}}};
    struct verdict verdict = judge(&asked, HTTP_OK, 200, HL7, ACK("AA", ""));

    (void)state;
    assert_int_equal(verdict.kind, A);
    verdict_clear(&verdict);
    verdict = judge(&asked, HTTP_OK, 200, HL7, ACK("AA", "ID1"));
    assert_int_equal(verdict.kind, R);
    verdict_clear(&verdict);
}

static void reasons_hold_no_content(void **state)
{
    const char body[] = "MSH|^~\\&|S|C|G|E|2026||ACK|A1|P|2.5\rMSA|AE|ID1|canary\r"
                        "ERR|canary|canary|canary|canary|canary|canary|canary|canary\r";
    struct verdict verdict = judge(&question, HTTP_OK, 200, HL7, body);

    (void)state;
    assert_string_equal(verdict.reason, "AE from the store");
    assert_string_equal(verdict.error_location, "");
    assert_int_equal(verdict.error_code, 0);
    verdict_clear(&verdict);
}

static void tokens(void **state)
{
    (void)state;
    assert_int_equal(http_verdict_of_token(HTTP_TLS, 0), O);
    assert_int_equal(http_verdict_of_token(HTTP_CREDENTIALS, 0), O);
    assert_int_equal(http_verdict_of_token(HTTP_OK, 400), O);
    assert_int_equal(http_verdict_of_token(HTTP_OK, 401), O);
    assert_int_equal(http_verdict_of_token(HTTP_OK, 404), O);
    assert_int_equal(http_verdict_of_token(HTTP_OK, 302), O);
    assert_int_equal(http_verdict_of_token(HTTP_PROXY, 407), O);
    assert_int_equal(http_verdict_of_token(HTTP_OK, 200), R);
    assert_int_equal(http_verdict_of_token(HTTP_OK, 429), R);
    assert_int_equal(http_verdict_of_token(HTTP_OK, 503), R);
    assert_int_equal(http_verdict_of_token(HTTP_CONNECT, 0), R);
    assert_int_equal(http_verdict_of_token(HTTP_TIMEOUT, 0), R);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule),
        cmocka_unit_test(overrides_go_first),
        cmocka_unit_test(location_is_a_location_or_nothing),
        cmocka_unit_test(answers_are_kept_where_they_tell_something),
        cmocka_unit_test(a_whole_batch_has_many_ids),
        cmocka_unit_test(work_grows_with_the_batch_not_its_square),
        cmocka_unit_test(the_negative_of_several_answers_counts),
        cmocka_unit_test(an_empty_control_id_wants_an_empty_answer),
        cmocka_unit_test(reasons_hold_no_content),
        cmocka_unit_test(tokens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
