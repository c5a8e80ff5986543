/* links: ingress spool tls admission hl7 loop base config certs */
/* Judging a frame: headers, facilities, batches, acknowledgments, control ids, sequence numbers; and
 * the lanes that messages go into. */
#include "support/exchange_case.h"

#define ACKNOWLEDGMENT(id) "MSH|^~\\&|APP|FAC|GW|HUB|||ACK^A01|" id "|P|2.5\rMSA|AA|X\r"

/* Refused with this code, error and reason. */
static void expect_refused(struct exchange_case *each, const char *content, const char *code,
                           const char *control_id, int error, enum reason reason)
{
    struct ack_reply reply;

    exchange_case_judge(each, content);
    assert_int_equal(each->action, EXCHANGE_ANSWER);
    assert_string_equal(reason_code(each->exchange.result.reason), reason_code(reason));
    exchange_case_answer(each, &each->exchange.result);
    exchange_case_ack(each, code, control_id, &reply);
    assert_int_equal(reply.error_code, error);
    exchange_case_no_frame(each);
}

static void a_message(void **state)
{
    struct exchange_case each;
    const struct message *message;

    (void)state;
    exchange_case_init(&each);
    exchange_case_judge(&each, EXCHANGE_MESSAGE("M1"));
    assert_int_equal(each.action, EXCHANGE_PUT);
    message = each.exchange.message;
    assert_true(span_equal_string(message->body, EXCHANGE_MESSAGE("M1")));
    assert_true(span_equal_string(message->control_id, "M1"));
    assert_true(span_equal_string(message->message_type, "ADT^A01^ADT_A01"));
    assert_true(span_equal_string(message->facility, "FAC"));
    assert_string_equal(message->peer, "lab");
    assert_string_equal(message->listener, "adt");
    assert_int_equal(message->connection, 7);
    assert_int_equal(message->received_wall_ms, EXCHANGE_WALL_MS);
    assert_false(message->batch);
    exchange_case_free(&each);
}

static void unreadable(void **state)
{
    struct exchange_case each;

    (void)state;
    exchange_case_init(&each);
    expect_refused(&each, "hello", "AR", "", 100, REASON_MSH_UNREADABLE);
    expect_refused(&each, "MSH", "AR", "", 101, REASON_MSH_UNREADABLE);
    expect_refused(&each, "MSH|^~\\&|A|B|C|D|||||P|2.5\r", "AR", "", 101,
                   REASON_MESSAGE_TYPE_MISSING);
    expect_refused(&each, "MSH|^~\\&|A|B|C|D||||M1|P|2.5\r", "AR", "M1", 101,
                   REASON_MESSAGE_TYPE_MISSING);
    each.listener.on_refusal = CONFIG_ON_REFUSAL_CLOSE;
    exchange_case_judge(&each, "hello");
    exchange_case_answer(&each, &each.exchange.result);
    assert_true(each.sent.close);
    assert_int_equal(each.sent.close_reason, REASON_MSH_UNREADABLE);
    exchange_case_free(&each);
}

/* What would make an answer larger than can be sent is refused before anything is stored. */
static void too_large_to_be_echoed(void **state)
{
    static const char head[] = "MSH|^~\\&|", tail[] = "|B|C|D|||ADT^A01|M1|P|2.5\r";
    static const char bhs[] = "BHS|^~\\&|A|B|C|D|||||", msh[] = "\r" EXCHANGE_MSH("FAC", "") "\r";
    size_t length = 9u << 20;
    char *content = malloc(length + 200);
    struct exchange_case each;

    (void)state;
    assert_non_null(content);
    exchange_case_init(&each);
    memset(content, 'x', length + 200);
    memcpy(content, head, sizeof(head) - 1);
    memcpy(content + length, tail, sizeof(tail));
    expect_refused(&each, content, "AR", "", 100, REASON_MSH_UNREADABLE);
    memset(content, 'x', length + 200);
    memcpy(content, bhs, sizeof(bhs) - 1);
    memcpy(content + 2000, msh, sizeof(msh));
    expect_refused(&each, content, "AR", "", 102, REASON_CONTROL_ID_TOO_LONG);
    free(content);
    exchange_case_free(&each);
}

/* ---- facilities ---- */

static void facilities(void **state)
{
    char *list[] = {TEXT("FAC"), TEXT("APP^OTHER")};
    struct exchange_case each;
    struct ack_reply reply;

    (void)state;
    exchange_case_init(&each);
    each.peer.facilities = (struct config_strings){list, 2, true};
    exchange_case_judge(&each, EXCHANGE_MESSAGE("M1"));
    assert_int_equal(each.action, EXCHANGE_PUT);
    exchange_case_judge(&each, EXCHANGE_MSH("OTHER", "M1") "\r");
    assert_int_equal(each.action, EXCHANGE_PUT);
    exchange_case_judge(&each, "MSH|^~\\&|APP^X^Y|OTHER^1.2.3^ISO|C|D|||ADT^A01|M1|P|2.5\r");
    assert_int_equal(each.action, EXCHANGE_PUT);
    expect_refused(&each, EXCHANGE_MSH("STRANGE", "M1") "\r", "AR", "M1", 103,
                   REASON_FACILITY_NOT_LISTED);
    expect_refused(&each, "MSH|^~\\&|RAD|OTHER|C|D|||ADT^A01|M1|P|2.5\r", "AR", "M1", 103,
                   REASON_FACILITY_NOT_LISTED);
    exchange_case_judge(&each, EXCHANGE_MSH("STRANGE", "M1") "|||AL|NE\r");
    exchange_case_answer(&each, &each.exchange.result);
    exchange_case_ack(&each, "CE", "M1", &reply);
    assert_true(span_equal_string(reply.error_location, "MSH^1^4"));
    exchange_case_free(&each);
}

/* ---- batches ---- */

#define BHS "BHS|^~\\&|APP|FAC|GW|HUB|||||B1\r"
#define FHS "FHS|^~\\&|APP|FAC|GW|HUB|||||F1\r"

static void batches(void **state)
{
    static const struct {
        const char *content, *control_id;
        bool batch;
    } cases[] = {
        {FHS BHS EXCHANGE_MESSAGE("M1") EXCHANGE_MESSAGE("M2") "BTS|2\rFTS|1\r", "M1", true},
        {BHS EXCHANGE_MESSAGE("M1") "BTS|1\r", "M1", true},
        {EXCHANGE_MESSAGE("M1") EXCHANGE_MESSAGE("M2"), "M1", true},
        {BHS EXCHANGE_MESSAGE("") EXCHANGE_MESSAGE("M2"), "B1", true},
        {FHS BHS EXCHANGE_MESSAGE("") "BTS|1\r", "B1", true},
        {FHS EXCHANGE_MESSAGE(""), "F1", true},
        {FHS BHS "BTS|0\rFTS|1\r", "B1", true},
        {EXCHANGE_MESSAGE("M1"), "M1", false},
    };
    struct spool_put put = {.outcome = SPOOL_SAFE};
    struct exchange_case each;

    (void)state;
    exchange_case_init(&each);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        exchange_case_judge(&each, cases[i].content);
        assert_int_equal(each.action, EXCHANGE_PUT);
        assert_int_equal(each.exchange.message->batch, cases[i].batch);
        assert_true(span_equal_string(each.exchange.message->control_id, cases[i].control_id));
        assert_true(span_equal_string(each.exchange.message->body, cases[i].content));
        exchange_case_settle(&each, &put);
        exchange_case_ack(&each, "AA", cases[i].control_id, NULL); /* one answer */
        exchange_case_no_frame(&each);
    }
    exchange_case_free(&each);
}

/* One bad header refuses the whole: it is taken as one. */
static void refused_batches(void **state)
{
    char *list[] = {TEXT("FAC")};
    struct exchange_case each;

    (void)state;
    exchange_case_init(&each);
    each.peer.facilities = (struct config_strings){list, 1, true};
    expect_refused(&each, BHS EXCHANGE_MESSAGE("M1") EXCHANGE_MSH("ELSE", "M2") "\r", "AR", "M1",
                   103, REASON_FACILITY_NOT_LISTED);
    expect_refused(&each, EXCHANGE_MESSAGE("M1") EXCHANGE_MSH("ELSE", "M2") "\r", "AR", "M1", 103,
                   REASON_FACILITY_NOT_LISTED);
    expect_refused(&each, BHS EXCHANGE_MESSAGE("M1") "MSH|^~\\&|APP|FAC||||||M2\r", "AR", "M1", 101,
                   REASON_MESSAGE_TYPE_MISSING);
    /* with separators of its own */
    expect_refused(&each, EXCHANGE_MESSAGE("M1") "MSH!^~\\&!APP!ELSE!!!!!ADT!M2!P!2.5\r", "AR",
                   "M1", 103, REASON_FACILITY_NOT_LISTED);
    /* no message at all: the envelope says whom it is from (without a version: no ERR) */
    expect_refused(&each, "BHS|^~\\&|APP|ELSE|GW|HUB|||||B1\rBTS|0\r", "AR", "B1", 0,
                   REASON_FACILITY_NOT_LISTED);
    exchange_case_judge(&each, BHS "BTS|0\r");
    assert_int_equal(each.action, EXCHANGE_PUT);
    exchange_case_free(&each);
}

/* ---- acknowledgments ---- */

static void acknowledgments(void **state)
{
    static const char *const ignored[] = {
        ACKNOWLEDGMENT("A1"),
        ACKNOWLEDGMENT("A1") ACKNOWLEDGMENT("A2"),
        BHS ACKNOWLEDGMENT("A1") "BTS|1\r",
        "MSH|^~\\&|||||||ACK|A1|P|2.5|||AL|AL\r",
    };
    static const char *const taken[] = {
        ACKNOWLEDGMENT("M1") EXCHANGE_MESSAGE("M2"), /* not dropped with it */
        BHS ACKNOWLEDGMENT("M1") EXCHANGE_MESSAGE("M2"),
        "MSH|^~\\&|||||||RSP^K22|M1|P|2.5\rMSA|AA|X\r", /* a response, not an acknowledgment */
        "MSH|^~\\&|||||||ACKX|M1|P|2.5\r",
    };
    struct spool_put put = {.outcome = SPOOL_SAFE};
    struct exchange_case each;

    (void)state;
    exchange_case_init(&each);
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++) {
        exchange_case_judge(&each, ignored[i]);
        assert_int_equal(each.action, EXCHANGE_IGNORE);
    }
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        exchange_case_judge(&each, taken[i]);
        assert_int_equal(each.action, EXCHANGE_PUT);
        exchange_case_settle(&each, &put);
        exchange_case_ack(&each, "AA", "M1", NULL);
    }
    /* one that can't be taken is not answered, either */
    exchange_case_judge(&each, "MSH|^~\\&|||||||ACK|A\v1|P|2.5\r");
    exchange_case_answer(&each, &each.exchange.result);
    exchange_case_no_frame(&each);
    exchange_case_free(&each);
}

/* ---- control ids ---- */

static void control_ids(void **state)
{
    struct exchange_case each;
    struct spool_put put = {.outcome = SPOOL_SAFE};

    (void)state;
    exchange_case_init(&each);
    exchange_case_judge(&each, EXCHANGE_MESSAGE(""));
    assert_int_equal(each.action, EXCHANGE_PUT);
    exchange_case_settle(&each, &put);
    exchange_case_ack(&each, "AA", "", NULL);
    each.listener.control_id_required = true;
    expect_refused(&each, EXCHANGE_MESSAGE(""), "AR", "", 101, REASON_CONTROL_ID_REQUIRED);
    exchange_case_judge(&each, BHS EXCHANGE_MESSAGE("")); /* the batch has one */
    assert_int_equal(each.action, EXCHANGE_PUT);
    expect_refused(&each, "BHS|^~\\&|APP|FAC\r" EXCHANGE_MESSAGE(""), "AR", "", 101,
                   REASON_CONTROL_ID_REQUIRED);
    exchange_case_judge(&each, EXCHANGE_MESSAGE("^&~\\T\\"));
    exchange_case_settle(&each, &put);
    exchange_case_ack(&each, "AA", "^&~\\T\\", NULL);
    exchange_case_free(&each);
}

/* ---- sequence numbers ---- */

static void sequence_numbers(void **state)
{
    static const struct {
        const char *number;
        long last;
        enum exchange_action action;
        const char *msa; /* of the answer when all goes well */
        bool set;
        long new_last;
    } cases[] = {
        {"", 5, EXCHANGE_PUT, "MSA|AA|M1\r", false, 0},
        {"1", SEQUENCE_NONE, EXCHANGE_PUT, "MSA|AA|M1||2\r", true, 1},
        {"6", 5, EXCHANGE_PUT, "MSA|AA|M1||7\r", true, 6},
        {"5", 5, EXCHANGE_PUT, "MSA|AA|M1||6\r", false, 0},
        {"-1", 5, EXCHANGE_PUT, "MSA|AA|M1||-1\r", true, SEQUENCE_NONE},
        {"0", 5, EXCHANGE_ANSWER, "MSA|AA|M1||6\r", false, 0},
        {"0", SEQUENCE_NONE, EXCHANGE_ANSWER, "MSA|AA|M1||-1\r", false, 0},
        {"8", 5, EXCHANGE_ANSWER, "MSA|AE|M1|MSH-13 is not the expected sequence number|6\r", false,
         0},
        {"x", 5, EXCHANGE_ANSWER, "MSA|AE|M1|MSH-13 is not the expected sequence number|6\r", false,
         0},
    };
    struct exchange_case each;

    (void)state;
    exchange_case_init(&each);
    each.listener.sequence_numbers = true;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct spool_put put = {.outcome = SPOOL_SAFE};
        char message[256];
        each.sequence_last = cases[i].last;
        snprintf(message, sizeof(message), "%s|%s\r", EXCHANGE_MSH("FAC", "M1"), cases[i].number);
        exchange_case_judge(&each, message);
        assert_int_equal(each.action, cases[i].action);
        assert_int_equal(each.exchange.sequence_set, cases[i].set);
        if (cases[i].set) {
            assert_int_equal(each.exchange.sequence_last, cases[i].new_last);
        }
        if (each.action == EXCHANGE_PUT) {
            exchange_case_settle(&each, &put);
        } else {
            exchange_case_answer(&each, &each.exchange.result);
        }
        if (memmem(each.out.data, each.out.length, cases[i].msa, strlen(cases[i].msa)) == NULL) {
            fail_msg("MSH-13 '%s' after %ld: %.*s", cases[i].number, cases[i].last,
                     (int)each.out.length, each.out.data);
        }
    }
    exchange_case_free(&each);
}

/* A restart is answered at once, also where application acknowledgments come from the store's
 * verdict: there will be none. */
static void a_restart_is_answered_at_once(void **state)
{
    struct exchange_case each;

    (void)state;
    exchange_case_init(&each);
    each.listener.sequence_numbers = true;
    each.listener.application_acknowledgment = CONFIG_APPLICATION_STORE;
    exchange_case_judge(&each, EXCHANGE_MSH("FAC", "M1") "|0||NE|AL\r");
    assert_int_equal(each.action, EXCHANGE_ANSWER);
    exchange_case_answer(&each, &each.exchange.result);
    exchange_case_ack(&each, "AA", "M1", NULL);
    exchange_case_free(&each);
}

/* Its AA says that it is safe. */
static void a_restart_that_holds_a_message_is_kept(void **state)
{
    static const char *const contents[] = {
        EXCHANGE_MSH("FAC", "M1") "|0\rPID|1\r",
        EXCHANGE_MSH("FAC", "M1") "|0\r" EXCHANGE_MESSAGE("M2"),
        BHS EXCHANGE_MSH("FAC", "M1") "|0\rBTS|1\r",
    };
    struct exchange_case each;

    (void)state;
    exchange_case_init(&each);
    each.listener.sequence_numbers = true;
    each.sequence_last = 5;
    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        struct spool_put put = {.outcome = SPOOL_SAFE};
        exchange_case_judge(&each, contents[i]);
        assert_int_equal(each.action, EXCHANGE_PUT);
        assert_false(each.exchange.sequence_set);
        exchange_case_settle(&each, &put);
        assert_non_null(memmem(each.out.data, each.out.length, "MSA|AA|M1||6\r", 13));
    }
    exchange_case_free(&each);
}

/* ---- lanes ---- */

static void lane_of(struct exchange_case *each, const char *content, enum config_order order,
                    char ret_lane[EXCHANGE_LANE_BYTES])
{
    struct config_route route = {.name = TEXT("to-cloud"), .order = order};

    exchange_case_judge(each, content);
    memset(ret_lane, 0x7f, EXCHANGE_LANE_BYTES);
    exchange_lane(&each->exchange, &route, ret_lane);
}

static void lanes(void **state)
{
    static const struct {
        enum config_order order;
        const char *facility, *lane;
    } cases[] = {
        {CONFIG_ORDER_ROUTE, "FAC", "to-cloud/"},
        {CONFIG_ORDER_PEER, "FAC", "to-cloud/lab"},
        {CONFIG_ORDER_NONE, "FAC", "to-cloud/*"},
        {CONFIG_ORDER_FACILITY, "FAC", "to-cloud/lab^FAC"},
        {CONFIG_ORDER_FACILITY, "", "to-cloud/lab^"},
        {CONFIG_ORDER_FACILITY, "St. Mary's-1", "to-cloud/lab^St.%20Mary%27s-1"},
        {CONFIG_ORDER_FACILITY, "a/b*%~", "to-cloud/lab^a%2Fb%2A%25%7E"},
        {CONFIG_ORDER_FACILITY, "\xc3\xa9\x01\x7f", "to-cloud/lab^%C3%A9%01%7F"},
        {CONFIG_ORDER_FACILITY, "FAC^1.2.3^ISO", "to-cloud/lab^FAC"},
    };
    struct exchange_case each;
    char message[256], lane[EXCHANGE_LANE_BYTES];

    (void)state;
    exchange_case_init(&each);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(message, sizeof(message), "MSH|^~\\&|APP|%s|C|D|||ADT^A01|M1|P|2.5\r",
                 cases[i].facility);
        lane_of(&each, message, cases[i].order, lane);
        assert_string_equal(lane, cases[i].lane);
        assert_int_equal(exchange_lane_order(lane), cases[i].order);
    }
    exchange_case_free(&each);
}

/* Long names stay bounded, and are still told apart. */
static void long_lanes(void **state)
{
    static const char bytes[] = {'A', '/', (char)0xe9};
    static const char head[] = "MSH|^~\\&|APP|", tail[] = "|C|D|||ADT^A01|M1|P|2.5\r";
    char message[1200], lane[EXCHANGE_LANE_BYTES], seen[64 * 3][EXCHANGE_LANE_BYTES], peer[65];
    struct exchange_case each;
    size_t count = 0;

    (void)state;
    exchange_case_init(&each);
    memset(peer, 'p', 64);
    peer[64] = '\0';
    each.peer.name = peer;
    for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
        size_t length = 20 + 15 * (i / 3);
        memcpy(message, head, sizeof(head) - 1);
        memset(message + sizeof(head) - 1, bytes[i % 3], length);
        memcpy(message + sizeof(head) - 1 + length, tail, sizeof(tail));
        lane_of(&each, message, CONFIG_ORDER_FACILITY, lane);
        assert_true(strlen(lane) < EXCHANGE_LANE_BYTES);
        assert_int_equal(strncmp(lane, "to-cloud/ppp", 12), 0);
        for (size_t k = 0; k < count; k++) {
            assert_string_not_equal(lane, seen[k]);
        }
        memcpy(seen[count++], lane, sizeof(lane));
    }
    exchange_case_free(&each);
}

/* NUL in a facility: no end of anything. */
static void facility_with_nul(void **state)
{
    static const char content[] = "MSH|^~\\&|APP|A\0B|C|D|||ADT^A01|M1|P|2.5\r";
    struct config_route route = {.name = TEXT("r"), .order = CONFIG_ORDER_FACILITY};
    char lane[EXCHANGE_LANE_BYTES];
    struct exchange_case each;

    (void)state;
    exchange_case_init(&each);
    exchange_case_judge_span(&each, span_of(content, sizeof(content) - 1));
    assert_int_equal(each.action, EXCHANGE_PUT);
    exchange_lane(&each.exchange, &route, lane);
    assert_string_equal(lane, "r/lab^A%00B");
    exchange_case_free(&each);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message),
        cmocka_unit_test(unreadable),
        cmocka_unit_test(too_large_to_be_echoed),
        cmocka_unit_test(facilities),
        cmocka_unit_test(batches),
        cmocka_unit_test(refused_batches),
        cmocka_unit_test(acknowledgments),
        cmocka_unit_test(control_ids),
        cmocka_unit_test(sequence_numbers),
        cmocka_unit_test(a_restart_is_answered_at_once),
        cmocka_unit_test(a_restart_that_holds_a_message_is_kept),
        cmocka_unit_test(lanes),
        cmocka_unit_test(long_lanes),
        cmocka_unit_test(facility_with_nul),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
