/* links: egress http spool loop hl7 base config */
/* wrap: malloc */
#include "base/base64.h"
#include "egress/google_verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Google's acknowledgments have no CR at the end. */
#define ACK(code, id) "MSH|^~\\&|S|C|G|E|2026||ACK|A1|P|2.5\rMSA|" code "|" id
#define ERR "\rERR||PID^1^5|207^canary-nack|E||||canary-nack"
#define SENT "MSH|^~\\&|A|B|C|D|2026||ADT^A01|ID1|P|2.5\rPID|1\r"
#define DETAIL                                                                                     \
    "\"@type\":\"type.googleapis.com/google.cloud.healthcare.v1.hl7v2.IngestMessageErrorDetail\""
#define INFO "\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\""

static int malloc_in = -1; /* calls until one fails; below 0: none does */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    return malloc_in >= 0 && malloc_in-- == 0 ? NULL : __real_malloc(size);
}

static struct config_store store;
static char project[] = "lab-1", location[] = "europe-west6", dataset[] = "clinical",
            store_name[] = "adt";

static struct verdict judge_with(const struct config_status_verdict *overrides, size_t count,
                                 bool in_doubt, enum http_failure failure, int status,
                                 const char *body)
{
    const struct google_question question = {
        .http = {.overrides = overrides,
                 .override_count = count,
                 .sent = {{SENT, sizeof(SENT) - 1}, {"ID1", 3}}},
        .store = &store,
        .in_doubt = in_doubt,
    };
    char words[96] = "why";
    struct http_result result = {.failure = failure,
                                 .status = status,
                                 .content_type = "application/json; charset=UTF-8",
                                 .body = span_of_string(body),
                                 .retry_after_ms = 7000,
                                 .words = words};
    struct verdict verdict;

    if (failure == HTTP_OK)
        snprintf(words, sizeof(words), "HTTP %d", status);
    google_verdict_make(&question, &result, &verdict);
    assert_null(strstr(verdict.reason, "canary"));
    assert_int_equal(verdict.status, status);
    return verdict;
}

static struct verdict judge(int status, const char *body)
{
    return judge_with(NULL, 0, false, HTTP_OK, status, body);
}

static const char *base64_of(const char *text)
{
    static char encoded[4][1024];
    static unsigned next;
    char *to = encoded[next++ % 4];
    size_t length = base64_length(strlen(text));

    assert_true(length < sizeof(encoded[0]));
    base64_encode(span_of_string(text), to);
    to[length] = '\0';
    return to;
}

/* A 200 with this in hl7Ack (NULL: none). */
static const char *success(const char *ack)
{
    static char body[2048];

    if (ack == NULL)
        snprintf(body, sizeof(body), "{\"message\":{\"name\":\"projects/p/messages/x\"}}");
    else
        snprintf(body, sizeof(body),
                 "{\n  \"hl7Ack\": \"%s\",\n  \"message\": {\"name\": \"canary-name\"}\n}\n",
                 base64_of(ack));
    return body;
}

/* An error with this word and, when not NULL, this in hl7Nack. */
static const char *failure(int status, const char *word, const char *nack)
{
    static char body[2048];
    int length = snprintf(body, sizeof(body),
                          "{\"error\":{\"code\":%d,\"message\":\"canary-google\",\"status\":\"%s\","
                          "\"details\":[{" INFO ",\"reason\":\"canary-reason\"}",
                          status, word);

    if (nack != NULL)
        length += snprintf(body + length, sizeof(body) - (size_t)length,
                           ",{" DETAIL ",\"hl7Nack\":\"%s\"}", base64_of(nack));
    snprintf(body + length, sizeof(body) - (size_t)length, "]}}");
    return body;
}

static void assert_answer(const struct verdict *verdict, const char *text)
{
    if (text == NULL) {
        assert_null(verdict->answer);
        return;
    }
    assert_non_null(verdict->answer);
    assert_int_equal(verdict->answer->length, strlen(text));
    assert_memory_equal(verdict->answer->data, text, strlen(text));
}

/* ---- 200 ---- */

static void an_ack_decides(void **state)
{
    static const struct {
        const char *ack, *code, *reason;
        enum verdict_kind kind;
        bool readable;
    } cases[] = {
        {ACK("AA", "ID1"), "AA", "AA from the store", VERDICT_ACCEPTED, true},
        {ACK("CA", "ID1") "\r", "CA", "CA from the store", VERDICT_ACCEPTED, true},
        {ACK("AE", "ID1") ERR, "AE", "AE from the store (ERR 207)", VERDICT_REFUSED, true},
        {ACK("AR", "ID1"), "AR", "AR from the store", VERDICT_REFUSED, true},
        {ACK("CR", "ID1"), "CR", "CR from the store", VERDICT_REFUSED, true},
        {ACK("AA", "ID2"), "AA", "AA from the store, but MSA-2 is not ours", VERDICT_RETRY, false},
        {ACK("AA", "ID12"), "AA", "AA from the store, but MSA-2 is not ours", VERDICT_RETRY, false},
        {ACK("AE", "ID2"), "AE", "AE from the store, but MSA-2 is not ours", VERDICT_RETRY, false},
        {SENT, "", "HTTP 200, the HL7 in the answer cannot be read", VERDICT_RETRY, false},
        {"canary-text", "", "HTTP 200, the HL7 in the answer cannot be read", VERDICT_RETRY, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verdict verdict = judge(200, success(cases[i].ack));

        if (verdict.kind != cases[i].kind)
            fail_msg("%s: %s", cases[i].ack, verdict_kind_text(verdict.kind));
        assert_string_equal(verdict.code, cases[i].code);
        assert_string_equal(verdict.reason, cases[i].reason);
        assert_int_equal(verdict.answer_is_hl7, cases[i].readable);
        assert_true(verdict.about_message);
        assert_answer(&verdict, cases[i].ack);
        verdict_clear(&verdict);
    }
}

static void without_an_ack_it_is_accepted_without_an_answer(void **state)
{
    static const char *const bodies[] = {"{}", "{\"hl7Ack\":\"\"}", "{\"hl7Ack\":null}",
                                         "{\"message\":{\"name\":\"x\"}}", " \r\n{ } "};

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct verdict verdict = judge(200, bodies[i]);

        assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
        assert_string_equal(verdict.code, "");
        assert_false(verdict.answer_is_hl7);
        assert_answer(&verdict, NULL);
    }
}

/* JSON, but nobody's who has taken a message in: behind a wrong endpoint there is something, too. */
static void what_is_not_googles_is_no_acceptance(void **state)
{
    static const char *const bodies[] = {"{\"status\":\"ok canary-json\"}",
                                         "{\"error\":{\"code\":503,\"message\":\"canary-json\"}}",
                                         "{\"message\":\"canary-json\"}", "{\"message\":null}",
                                         "{\"data\":{\"hl7Ack\":\"TVNIfA==\"}}"};

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct verdict verdict = judge(200, bodies[i]);

        if (verdict.kind != VERDICT_OPERATOR)
            fail_msg("%s: %s", bodies[i], verdict_kind_text(verdict.kind));
        assert_string_equal(verdict.reason, "HTTP 200, but not as messages:ingest answers: check "
                                            "endpoint and api_version");
        assert_false(verdict.answer_is_hl7);
        assert_false(verdict.about_message);
        assert_answer(&verdict, bodies[i]);
        verdict_clear(&verdict);
    }
}

static void what_cannot_be_read_is_tried_again(void **state)
{
    static const struct {
        const char *body, *what;
    } cases[] = {
        {"", "JSON"},
        {"{\"hl7Ack\": \"TVNIfF5", "JSON"},
        {"<html>canary-html</html>", "JSON"},
        {"[]", "JSON"},
        {"\"AA\"", "JSON"},
        {"{} {}", "JSON"},
        {"{\"hl7Ack\":7}", "hl7Ack"},
        {"{\"hl7Ack\":{}}", "hl7Ack"},
        {"{\"hl7Ack\":\"TVNI*\"}", "hl7Ack"},
        {"{\"hl7Ack\":\"TVNIfA\"}", "hl7Ack"},    /* no padding */
        {"{\"hl7Ack\":\"TVNI fA==\"}", "hl7Ack"}, /* a blank */
        {"{\"hl7Ack\":\"TV-_\"}", "hl7Ack"},      /* the other alphabet */
    };
    char reason[96];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verdict verdict = judge(200, cases[i].body);

        snprintf(reason, sizeof(reason), "HTTP 200, the %s in the answer cannot be read",
                 cases[i].what);
        if (verdict.kind != VERDICT_RETRY)
            fail_msg("%s: %s", cases[i].body, verdict_kind_text(verdict.kind));
        assert_string_equal(verdict.reason, reason);
        assert_true(verdict.about_message);
        assert_false(verdict.answer_is_hl7);
        assert_answer(&verdict, cases[i].body[0] == '\0' ? NULL : cases[i].body);
        verdict_clear(&verdict);
    }
}

/* Google sends the message back, parsed: the spool keeps the beginning, which tells what it is. */
static void of_a_large_answer_the_beginning_is_kept(void **state)
{
    static char body[100000];
    static const struct {
        enum http_failure failure;
        int status;
        enum verdict_kind kind;
    } cases[] = {{HTTP_OK, 200, VERDICT_RETRY},
                 {HTTP_ANSWER_TOO_LARGE, 200, VERDICT_OPERATOR},
                 {HTTP_OK, 400, VERDICT_REFUSED}};
    int length = snprintf(body, sizeof(body), "{\"hl7Ack\":7,\"message\":{\"data\":\"");

    (void)state;
    memset(body + length, 'A', sizeof(body) - 1 - (size_t)length);
    memcpy(body + sizeof(body) - 4, "\"}}", 4);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verdict verdict =
            judge_with(NULL, 0, false, cases[i].failure, cases[i].status, body);

        assert_int_equal(verdict.kind, cases[i].kind);
        assert_int_equal(verdict.answer->length, 65536);
        assert_memory_equal(verdict.answer->data, body, 65536);
        verdict_clear(&verdict);
    }
}

static void an_answer_that_was_cut_off_is_a_setting_to_change(void **state)
{
    struct verdict verdict =
        judge_with(NULL, 0, false, HTTP_ANSWER_TOO_LARGE, 200, "{\"hl7Ack\":\"TVNI");

    (void)state;
    assert_int_equal(verdict.kind, VERDICT_OPERATOR);
    assert_string_equal(verdict.reason, "answer larger than maximum_answer_bytes");
    verdict_clear(&verdict);
    verdict = judge_with(NULL, 0, false, HTTP_ANSWER_TOO_LARGE, 503, "{");
    assert_int_equal(verdict.kind, VERDICT_RETRY);
    verdict_clear(&verdict);
}

/* ---- errors by status ---- */

static enum verdict_kind wanted_kind(int status)
{
    switch (status) {
    case 400:
    case 413:
    case 415:
    case 422:
        return VERDICT_REFUSED;
    case 408:
    case 409:
    case 421:
    case 425:
    case 429:
    case 499:
        return VERDICT_RETRY;
    default:
        return status < 500 ? VERDICT_OPERATOR : VERDICT_RETRY;
    }
}

static void each_status(void **state)
{
    (void)state;
    for (int status = 300; status < 600; status++) {
        const char *bodies[] = {"", "<!DOCTYPE html><p>canary-html", failure(status, "WORD", NULL)};

        for (size_t i = 0; i < 3; i++) {
            struct verdict verdict = judge(status, bodies[i]);

            if (verdict.kind != wanted_kind(status))
                fail_msg("%d: %s", status, verdict_kind_text(verdict.kind));
            assert_int_equal(verdict.retry_after_ms, 7000);
            assert_string_equal(verdict.code, "");
            assert_false(verdict.answer_is_hl7);
            assert_answer(&verdict, i == 0 ? NULL : bodies[i]); /* Google's text, as content */
            assert_false(status == 429 && verdict.about_message);
            assert_false(status == 503 && verdict.about_message);
            verdict_clear(&verdict);
        }
    }
}

/* A server that cannot do its work, or an account that may not, is no reason to bury a message, whatever
 * stands beside it: an outage makes no dead letters. */
static bool is_about_the_message(int status)
{
    switch (status) {
    case 408:
    case 421:
    case 425:
    case 429:
    case 499:
    case 502:
    case 503:
    case 504:
        return false;
    default:
        return wanted_kind(status) != VERDICT_OPERATOR;
    }
}

static void a_nack_beside_trouble_of_another_kind_refuses_nothing(void **state)
{
    (void)state;
    for (int status = 300; status < 600; status++) {
        const char *body = failure(status, "WORD", ACK("AE", "ID1") ERR);
        struct verdict verdict;

        if (is_about_the_message(status))
            continue;
        verdict = judge(status, body);
        if (verdict.kind != wanted_kind(status))
            fail_msg("%d: %s", status, verdict_kind_text(verdict.kind));
        assert_string_equal(verdict.code, "");
        assert_int_equal(verdict.error_code, 0);
        assert_false(verdict.answer_is_hl7);
        assert_false(verdict.about_message);
        assert_answer(&verdict, body); /* as content */
        verdict_clear(&verdict);
    }
    struct verdict verdict = judge(403, failure(403, "PERMISSION_DENIED", ACK("AR", "ID1")));
    assert_non_null(strstr(verdict.reason, "roles/healthcare.hl7V2Ingest on store adt"));
    verdict_clear(&verdict);
    verdict = judge(503, failure(503, "UNAVAILABLE", ACK("AE", "ID2"))); /* nor another message's */
    assert_int_equal(verdict.kind, VERDICT_RETRY);
    assert_string_equal(verdict.reason, "HTTP 503");
    verdict_clear(&verdict);
}

static void each_status_about_the_message_with_a_nack_is_a_refusal(void **state)
{
    (void)state;
    for (int status = 300; status < 600; status++) {
        struct verdict verdict;

        if (!is_about_the_message(status))
            continue;
        verdict = judge(status, failure(status, "WORD", ACK("AE", "ID1") ERR));
        assert_int_equal(verdict.kind, VERDICT_REFUSED);
        assert_string_equal(verdict.code, "AE");
        assert_int_equal(verdict.error_code, 207);
        assert_string_equal(verdict.error_location, "PID^1^5");
        assert_string_equal(verdict.reason, "AE from the store (ERR 207)");
        assert_true(verdict.answer_is_hl7);
        assert_true(verdict.about_message);
        assert_answer(&verdict, ACK("AE", "ID1") ERR);
        verdict_clear(&verdict);
    }
}

static void a_nack_that_says_nothing_leaves_it_to_the_status(void **state)
{
    static const char *const bodies[] = {
        "{\"error\":{\"details\":[{" DETAIL ",\"hl7Nack\":\"TVNI*\"}]}}",
        "{\"error\":{\"details\":[{" DETAIL ",\"hl7Nack\":\"\"}]}}",
        "{\"error\":{\"details\":[{" DETAIL ",\"hl7Nack\":null}]}}",
        "{\"error\":{\"details\":[{" DETAIL ",\"hl7Nack\":[1]}]}}",
        "{\"error\":{\"details\":{\"hl7Nack\":\"TVNI\"}}}",
        "{\"error\":{\"details\":[\"hl7Nack\",7,null]}}",
        "{\"error\":\"hl7Nack\"}",
        "{\"error\":[]}",
        "[]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        for (int status = 400; status <= 503; status += status == 400 ? 3 : 100) { /* 400 403 503 */
            struct verdict verdict = judge(status, bodies[i]);

            assert_int_equal(verdict.kind, wanted_kind(status));
            assert_false(verdict.answer_is_hl7);
            assert_string_equal(verdict.code, "");
            assert_answer(&verdict, bodies[i]);
            verdict_clear(&verdict);
        }
    }
    struct verdict verdict = judge(503, failure(503, "UNAVAILABLE", ACK("AA", "ID1")));
    assert_int_equal(verdict.kind, VERDICT_RETRY); /* neither an ACK nor a NACK */
    assert_false(verdict.answer_is_hl7);
    verdict_clear(&verdict);
    verdict = judge(400, failure(400, "INVALID_ARGUMENT", "no HL7"));
    assert_int_equal(verdict.kind, VERDICT_REFUSED);
    assert_string_equal(verdict.reason, "HTTP 400");
    verdict_clear(&verdict);
}

static void another_messages_nack_refuses_nothing(void **state)
{
    struct verdict verdict = judge(400, failure(400, "INVALID_ARGUMENT", ACK("AE", "ID2")));

    (void)state;
    assert_int_equal(verdict.kind, VERDICT_RETRY);
    assert_string_equal(verdict.reason, "AE from the store, but MSA-2 is not ours");
    verdict_clear(&verdict);
}

static void transport_is_no_answer(void **state)
{
    static const struct {
        enum http_failure failure;
        enum verdict_kind kind;
    } cases[] = {{HTTP_RESOLVE, VERDICT_RETRY},  {HTTP_CONNECT, VERDICT_RETRY},
                 {HTTP_TIMEOUT, VERDICT_RETRY},  {HTTP_TRANSPORT, VERDICT_RETRY},
                 {HTTP_INTERNAL, VERDICT_RETRY}, {HTTP_TLS, VERDICT_OPERATOR},
                 {HTTP_PROXY, VERDICT_OPERATOR}, {HTTP_CREDENTIALS, VERDICT_OPERATOR}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verdict verdict =
            judge_with(NULL, 0, false, cases[i].failure, cases[i].failure == HTTP_PROXY ? 407 : 0,
                       success(ACK("AA", "ID1")));

        assert_int_equal(verdict.kind, cases[i].kind);
        assert_string_equal(verdict.reason, "why");
        assert_false(verdict.about_message);
        assert_answer(&verdict, NULL);
    }
}

/* ---- repeats ---- */

static void already_there_is_accepted_only_in_doubt(void **state)
{
    const char *bodies[] = {failure(409, "ALREADY_EXISTS", NULL), NULL};
    char with_nack[2048];

    (void)state;
    snprintf(with_nack, sizeof(with_nack), "%s",
             failure(409, "ALREADY_EXISTS", ACK("AE", "ID1") ERR));
    bodies[0] = failure(409, "ALREADY_EXISTS", NULL);
    bodies[1] = with_nack;
    for (size_t i = 0; i < 2; i++) {
        struct verdict verdict = judge_with(NULL, 0, true, HTTP_OK, 409, bodies[i]);

        assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
        assert_string_equal(verdict.reason,
                            "HTTP 409, an earlier attempt has brought it to the store");
        assert_string_equal(verdict.code, ""); /* ours is made; the NACK goes nowhere */
        assert_answer(&verdict, NULL);
        assert_true(verdict.about_message);

        verdict = judge(409, bodies[i]);
        assert_int_equal(verdict.kind, VERDICT_REFUSED);
        assert_string_equal(
            verdict.reason,
            "HTTP 409, the store has the same message already (rejectDuplicateMessage)");
        assert_string_equal(verdict.code, i == 0 ? "" : "AE");
        assert_answer(&verdict, i == 0 ? bodies[0] : ACK("AE", "ID1") ERR);
        verdict_clear(&verdict);
    }
}

static void other_conflicts_are_tried_again_in_doubt_too(void **state)
{
    const char *bodies[] = {"", "<p>canary", failure(409, "ABORTED", NULL)};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (int in_doubt = 0; in_doubt < 2; in_doubt++) {
            struct verdict verdict = judge_with(NULL, 0, in_doubt == 1, HTTP_OK, 409, bodies[i]);

            assert_int_equal(verdict.kind, VERDICT_RETRY);
            verdict_clear(&verdict);
        }
    }
    struct verdict verdict =
        judge_with(NULL, 0, false, HTTP_OK, 409, failure(409, "ALREADY_EXISTS", ACK("AE", "ID2")));
    assert_int_equal(verdict.kind, VERDICT_RETRY); /* another message's */
    verdict_clear(&verdict);
}

static void doubt_changes_nothing_else(void **state)
{
    (void)state;
    for (int status = 300; status < 600; status++) {
        struct verdict verdict =
            judge_with(NULL, 0, true, HTTP_OK, status, failure(status, "WORD", NULL));

        assert_int_equal(verdict.kind, wanted_kind(status));
        verdict_clear(&verdict);
    }
}

/* ---- what operators are told ---- */

static const char *forbidden(const char *reason)
{
    static char body[512];

    snprintf(
        body, sizeof(body),
        "{\"error\":{\"status\":\"PERMISSION_DENIED\",\"message\":\"canary\",\"details\":[{" INFO
        ",\"reason\":\"%s\"}]}}",
        reason);
    return body;
}

static void faults_say_what_to_look_at(void **state)
{
    static const char where[] = "project lab-1, location europe-west6, dataset clinical";
    const struct {
        int status;
        const char *body, *says, *also;
    } cases[] = {
        {401, failure(401, "UNAUTHENTICATED", NULL), "check credentials and token_scope", ""},
        {403, "", "roles/healthcare.hl7V2Ingest on store adt", where},
        {404, "{\"error\":{}}", "is there store adt", where},
        {404, "<p>canary", "check endpoint and api_version", ""},
        {404, "", "check endpoint and api_version", ""},
        {405, "", "check endpoint and api_version", ""},
        {400, "{\"error\":{\"status\":\"FAILED_PRECONDITION\"}}", "check the state of store adt",
         "encryption key"},
    };
    static const struct {
        const char *reason, *says;
    } reasons[] = {
        {"SERVICE_DISABLED", "Cloud Healthcare API enabled in project lab-1?"},
        {"BILLING_DISABLED", "project lab-1 a billing account"},
        {"ACCESS_TOKEN_SCOPE_INSUFFICIENT", "token_scope is too narrow"},
        {"USER_PROJECT_DENIED", "roles/healthcare.hl7V2Ingest"}, /* we named none */
        {"canary-reason", "roles/healthcare.hl7V2Ingest"},
        {"IAM_PERMISSION_DENIED", "roles/healthcare.hl7V2Ingest"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verdict verdict = judge(cases[i].status, cases[i].body);

        assert_int_equal(verdict.kind, VERDICT_OPERATOR);
        assert_false(verdict.about_message);
        if (strstr(verdict.reason, cases[i].says) == NULL ||
            strstr(verdict.reason, cases[i].also) == NULL)
            fail_msg("%d: %s", cases[i].status, verdict.reason);
        verdict_clear(&verdict);
    }
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        struct verdict verdict = judge(403, forbidden(reasons[i].reason));

        if (strstr(verdict.reason, reasons[i].says) == NULL)
            fail_msg("%s: %s", reasons[i].reason, verdict.reason);
        verdict_clear(&verdict);
    }
}

static void the_quota_project_is_named(void **state)
{
    const struct google_question question = {.store = &store, .quota_project = "payer"};
    const char *body = forbidden("USER_PROJECT_DENIED");
    const struct http_result result = {
        .failure = HTTP_OK, .status = 403, .body = span_of_string(body), .words = "HTTP 403"};
    struct verdict verdict;

    (void)state;
    google_verdict_make(&question, &result, &verdict);
    assert_string_equal(verdict.reason, "HTTP 403: may the account use quota project payer?");
    verdict_clear(&verdict);
}

/* ---- overrides ---- */

static void overrides_go_first(void **state)
{
    static const struct config_status_verdict overrides[] = {{409, CONFIG_VERDICT_ACCEPTED},
                                                             {400, CONFIG_VERDICT_ACCEPTED},
                                                             {403, CONFIG_VERDICT_RETRY}};
    struct verdict verdict =
        judge_with(overrides, 3, false, HTTP_OK, 409, failure(409, "ALREADY_EXISTS", NULL));

    (void)state;
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    assert_answer(&verdict, NULL);
    /* A sender that is told AA must not see the NACK. */
    verdict =
        judge_with(overrides, 3, false, HTTP_OK, 400, failure(400, "X", ACK("AE", "ID1") ERR));
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    assert_string_equal(verdict.code, "");
    assert_int_equal(verdict.error_code, 0);
    assert_string_equal(verdict.error_location, "");
    assert_answer(&verdict, NULL);
    verdict = judge_with(overrides, 3, false, HTTP_OK, 403, failure(403, "X", NULL));
    assert_int_equal(verdict.kind, VERDICT_RETRY);
    verdict_clear(&verdict);
}

/* ---- memory ---- */

/* Each allocation of ours fails once (jansson 2.14 itself ends badly without memory): the verdict is the
 * right one or a retry, and never an acceptance without the answer that was there. */
static void out_of_memory_decides_nothing(void **state)
{
    static const struct {
        int status;
        const char *word, *hl7;
        bool in_doubt;
        enum verdict_kind kind;
    } cases[] = {
        {200, NULL, ACK("AA", "ID1"), false, VERDICT_ACCEPTED},
        {200, NULL, ACK("AE", "ID1") ERR, false, VERDICT_REFUSED},
        {400, "INVALID_ARGUMENT", ACK("AE", "ID1"), false, VERDICT_REFUSED},
        {500, "INTERNAL", ACK("AE", "ID1"), false, VERDICT_REFUSED},
        {503, "UNAVAILABLE", ACK("AE", "ID1"), false, VERDICT_RETRY},
        {409, "ALREADY_EXISTS", ACK("AE", "ID1"), false, VERDICT_REFUSED},
        {409, "ALREADY_EXISTS", ACK("AE", "ID1"), true, VERDICT_ACCEPTED},
        {429, "RESOURCE_EXHAUSTED", NULL, false, VERDICT_RETRY},
        {403, "PERMISSION_DENIED", NULL, false, VERDICT_OPERATOR},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *body = cases[i].word == NULL
                               ? success(cases[i].hl7)
                               : failure(cases[i].status, cases[i].word, cases[i].hl7);
        bool whole = false;
        int calls = 0;

        for (; !whole; calls++) {
            struct verdict verdict;

            malloc_in = calls;
            verdict = judge_with(NULL, 0, cases[i].in_doubt, HTTP_OK, cases[i].status, body);
            whole = malloc_in >= 0;
            malloc_in = -1;
            if (verdict.kind != cases[i].kind && (whole || verdict.kind != VERDICT_RETRY))
                fail_msg("%s, allocation %d: %s", body, calls, verdict_kind_text(verdict.kind));
            assert_true(!verdict.answer_is_hl7 || verdict.answer != NULL);
            if (cases[i].status == 200 && verdict.kind == VERDICT_ACCEPTED)
                assert_true(verdict.answer_is_hl7);
            verdict_clear(&verdict);
        }
        assert_true(calls > 1 || cases[i].in_doubt);
    }
}

static int start(void **state)
{
    (void)state;
    store = (struct config_store){
        .project = project, .location = location, .dataset = dataset, .store = store_name};
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ack_decides),
        cmocka_unit_test(without_an_ack_it_is_accepted_without_an_answer),
        cmocka_unit_test(what_is_not_googles_is_no_acceptance),
        cmocka_unit_test(what_cannot_be_read_is_tried_again),
        cmocka_unit_test(of_a_large_answer_the_beginning_is_kept),
        cmocka_unit_test(an_answer_that_was_cut_off_is_a_setting_to_change),
        cmocka_unit_test(each_status),
        cmocka_unit_test(a_nack_beside_trouble_of_another_kind_refuses_nothing),
        cmocka_unit_test(each_status_about_the_message_with_a_nack_is_a_refusal),
        cmocka_unit_test(a_nack_that_says_nothing_leaves_it_to_the_status),
        cmocka_unit_test(another_messages_nack_refuses_nothing),
        cmocka_unit_test(transport_is_no_answer),
        cmocka_unit_test(already_there_is_accepted_only_in_doubt),
        cmocka_unit_test(other_conflicts_are_tried_again_in_doubt_too),
        cmocka_unit_test(doubt_changes_nothing_else),
        cmocka_unit_test(faults_say_what_to_look_at),
        cmocka_unit_test(the_quota_project_is_named),
        cmocka_unit_test(overrides_go_first),
        cmocka_unit_test(out_of_memory_decides_nothing),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
