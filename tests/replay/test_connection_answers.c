/* links: ingress spool tls admission hl7 loop base config certs */
/* What is answered when: an unavailable spool, refusals, frames that never became a message, writing
 * that is slow, application acknowledgments made later. */
#include "support/replay_connection.h"

/* ---- the spool is unavailable ---- */

static void waits_for_the_spool(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "answer_deadline_ms = 5000;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, REPLAY_MESSAGE("M1") REPLAY_MESSAGE("M2"));
    replay_answer(replay, SPOOL_UNAVAILABLE, REASON_SPOOL_FULL);
    replay_expect_state(replay, lab, CONNECTION_WAITING);
    replay_advance(replay, 200);
    replay_expect_state(replay, lab, CONNECTION_EXCHANGE);
    replay_answer(replay, SPOOL_UNAVAILABLE, REASON_SPOOL_FULL);
    replay_expect_nothing(replay, lab);
    replay_advance(replay, 200);
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M1");
    replay_expect_put(replay, "M1");
    replay_expect_put(replay, "M1");
    replay_expect_put(replay, "M1");
    replay_expect_put(replay, "M2"); /* nothing overtook it */
    replay_expect_no_put(replay);
    replay_free(&replay);
}

static void stops_waiting_at_the_deadline(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "answer_deadline_ms = 1000;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, REPLAY_MESSAGE("M1"));
    for (int i = 0; i < 5; i++) {
        replay_answer(replay, SPOOL_UNAVAILABLE, REASON_SPOOL_FULL);
        replay_expect_state(replay, lab, CONNECTION_WAITING);
        replay_advance(replay, i < 4 ? 200 : 199);
    }
    replay_expect_state(replay, lab, CONNECTION_WAITING);
    replay_advance(replay, 1);
    replay_expect_closed(replay, lab, REASON_SPOOL_FULL);
    replay_expect_nothing(replay, lab);
    assert_int_equal(replay_refused(replay, REASON_SPOOL_FULL), 1);
    replay_free(&replay);
}

static void nacks_when_told(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "on_unavailable = \"nack\";"));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    struct ack_reply reply;

    (void)state;
    replay_text(replay, lab, REPLAY_MESSAGE("M1"));
    replay_answer(replay, SPOOL_UNAVAILABLE, REASON_SPOOL_ERROR);
    replay_check_ack(replay, lab, "AE", "M1", &reply);
    assert_int_equal(reply.error_code, 207);
    replay_expect_state(replay, lab, CONNECTION_OPEN);
    replay_text(replay, lab, REPLAY_ASKING("M2", "AL", "NE"));
    replay_answer(replay, SPOOL_UNAVAILABLE, REASON_SPOOL_ERROR);
    replay_check_ack(replay, lab, "CE", "M2", &reply);
    assert_int_equal(reply.error_code, 207);
    replay_text(replay, lab, REPLAY_ASKING("M3", "NE", "NE")); /* nothing may be sent */
    replay_answer(replay, SPOOL_UNAVAILABLE, REASON_SPOOL_ERROR);
    replay_expect_nothing(replay, lab);
    replay_expect_closed(replay, lab, REASON_NOTHING_MAY_BE_SENT);
    replay_free(&replay);
}

static void closes_when_told(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "on_unavailable = \"close\";"));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, REPLAY_MESSAGE("M1"));
    replay_answer(replay, SPOOL_UNAVAILABLE, REASON_SPOOL_ERROR);
    replay_expect_nothing(replay, lab);
    replay_expect_closed(replay, lab, REASON_SPOOL_ERROR);
    replay_free(&replay);
}

/* delivered: the spool itself keeps trying (put->wait) and its answer is final. */
static void delivered_is_not_tried_again(void **state)
{
    static const char *const settings[] = {
        REPLAY_CONFIG("", "acknowledge = \"delivered\";"),
        REPLAY_CONFIG("", "acknowledge = \"delivered\"; on_unavailable = \"nack\";"),
    };

    (void)state;
    for (int nack = 0; nack < 2; nack++) {
        struct replay *replay = replay_new(settings[nack]);
        unsigned lab = replay_connect(replay, "10.0.0.1");
        replay_text(replay, lab, REPLAY_MESSAGE("M1"));
        assert_int_equal(replay->puts[0]->wait, nack == 0);
        replay_answer(replay, SPOOL_UNKNOWN, REASON_ANSWER_DEADLINE);
        if (nack == 1) {
            replay_expect_ack(replay, lab, "AE", "M1");
            replay_expect_open(replay, lab);
        } else {
            replay_expect_closed(replay, lab, REASON_ANSWER_DEADLINE);
            replay_expect_nothing(replay, lab);
        }
        replay_free(&replay);
    }
}

static void refusals(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("facilities = [ \"FAC\" ];", ""));
    struct replay *closing = NULL;
    unsigned lab = replay_connect(replay, "10.0.0.1");
    struct ack_reply reply;

    (void)state;
    replay->automatic = true;
    replay_text(replay, lab, REPLAY_MESSAGE("M1"));
    replay_expect_ack(replay, lab, "AA", "M1");
    replay_text(replay, lab, "\vMSH|^~\\&|APP|ELSE|GW|HUB|||ADT^A01|M2|P|2.5\r\x1c\r");
    replay_check_ack(replay, lab, "AR", "M2", &reply);
    assert_int_equal(reply.error_code, 103);
    replay_text(replay, lab, "\vhello\x1c\r");
    replay_check_ack(replay, lab, "AR", "", &reply);
    replay_text(replay, lab, REPLAY_MESSAGE("M3"));
    replay_expect_ack(replay, lab, "AA", "M3");
    replay_expect_put(replay, "M1");
    replay_expect_put(replay, "M3");
    replay_expect_no_put(replay);
    replay_free(&replay);

    closing = replay_new(REPLAY_CONFIG("facilities = [ \"FAC\" ];", "on_refusal = \"close\";"));
    lab = replay_connect(closing, "10.0.0.1");
    replay_text(closing, lab, "\vMSH|^~\\&|APP|ELSE|GW|HUB|||ADT^A01|M2|P|2.5\r\x1c\r");
    replay_expect_nothing(closing, lab);
    replay_expect_closed(closing, lab, REASON_FACILITY_NOT_LISTED);
    replay_free(&closing);
}

/* ---- frames too large ---- */

static void send_large(struct replay *replay, unsigned client, const char *head, size_t length)
{
    char *filler = malloc(length);

    assert_non_null(filler);
    memset(filler, 'x', length);
    replay_text(replay, client, head);
    replay_receive(replay, client, filler, length);
    free(filler);
}

static void too_large(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "maximum_frame_bytes = 1024;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    struct ack_reply reply;

    (void)state;
    send_large(replay, lab, "\v" REPLAY_MSH("M1") "\rOBX|", 200000);
    replay_check_ack(replay, lab, "AR", "M1", &reply);
    assert_int_equal(reply.error_code, 207);
    replay_expect_no_put(replay);
    /* The rest is read away so that the answer isn't lost to a reset. */
    replay_expect_state(replay, lab, CONNECTION_LINGER);
    assert_true(replay->clients[lab].ended);
    assert_int_equal(replay->clients[lab].in.length, 0);
    assert_int_equal(limits_buffered_bytes(replay->world.limits), 0);
    replay_text(replay, lab, "\x1c\r" REPLAY_MESSAGE("M2")); /* never looked at */
    replay_expect_no_put(replay);
    replay_eof(replay, lab);
    replay_expect_closed(replay, lab, REASON_FRAME_TOO_LARGE);
    replay_free(&replay);
}

static void lingers_for_a_while_only(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "maximum_frame_bytes = 1024;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    send_large(replay, lab, "\v" REPLAY_MSH("M1") "\rOBX|", 2000);
    for (int i = 0; i < 19; i++) {
        replay_advance(replay, 100);
        replay_text(replay, lab, "more");
    }
    replay_expect_state(replay, lab, CONNECTION_LINGER);
    replay_advance(replay, 100);
    replay_expect_closed(replay, lab, REASON_FRAME_TOO_LARGE);
    replay_free(&replay);
}

/* Without a whole header nobody knows whom the answer would be about. */
static void too_large_without_a_header(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "maximum_frame_bytes = 1024;"));
    unsigned junk = replay_connect(replay, "10.0.0.1");
    unsigned header = replay_connect(replay, "10.0.0.1");
    unsigned never = replay_connect(replay, "10.0.0.1");

    (void)state;
    send_large(replay, junk, "\v{", 2000);
    replay_expect_nothing(replay, junk);
    replay_expect_closed(replay, junk, REASON_FRAME_TOO_LARGE);
    send_large(replay, header, "\vMSH|^~\\&|A|B|C|D|||ADT^A01|", 2000);
    replay_expect_nothing(replay, header);
    replay_expect_closed(replay, header, REASON_FRAME_TOO_LARGE);
    send_large(replay, never, "\v" REPLAY_MSH("M1") "|||NE|NE\rOBX|", 2000);
    replay_expect_nothing(replay, never);
    replay_expect_closed(replay, never, REASON_FRAME_TOO_LARGE);
    replay_free(&replay);
}

/* The limit falls into the second header of a batch: the first is what is answered. */
static void too_large_within_a_batch(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "maximum_frame_bytes = 1024;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    send_large(replay, lab, "\v" REPLAY_MSH("M1") "\rPID|\rMSH|^~\\&|A|B|C|D|||", 2000);
    replay_expect_ack(replay, lab, "AR", "M1");
    replay_free(&replay);
}

static void the_peers_own_limit(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("maximum_message_bytes = 100;", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    unsigned ward = replay_connect(replay, "10.9.0.1");

    (void)state;
    replay->automatic = true;
    send_large(replay, lab, "\v" REPLAY_MSH("M1") "\rOBX|", 100);
    replay_expect_ack(replay, lab, "AR", "M1");
    send_large(replay, ward, "\v" REPLAY_MSH("M1") "\rOBX|", 100);
    replay_text(replay, ward, "\r\x1c\r");
    replay_expect_ack(replay, ward, "AA", "M1");
    replay_free(&replay);
}

/* ---- abandoned frames ---- */

static void abandoned_is_nacked_in_order(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    struct ack_reply reply;

    (void)state;
    replay_text(replay, lab,
                REPLAY_MESSAGE("M1") "\v" REPLAY_MSH("M2") "\rPID|\r" REPLAY_MESSAGE("M3"));
    replay_expect_put(replay, "M1");
    replay_expect_nothing(replay, lab);
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M1");
    replay_check_ack(replay, lab, "AE", "M2", &reply);
    assert_int_equal(reply.error_code, 207);
    replay_expect_put(replay, "M3");
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M3");
    replay_expect_no_put(replay); /* M2 was not taken */
    assert_int_equal(replay_refused(replay, REASON_FRAME_ABANDONED), 1);
    replay_free(&replay);
}

static void abandoned_settings(void **state)
{
    struct replay *silent = replay_new(REPLAY_CONFIG("", "abandoned_frame = \"silent\";"));
    struct replay *closing;
    unsigned lab = replay_connect(silent, "10.0.0.1");

    (void)state;
    silent->automatic = true;
    replay_text(silent, lab, "\v" REPLAY_MSH("M1") "\r" REPLAY_MESSAGE("M2"));
    replay_expect_ack(silent, lab, "AA", "M2");
    replay_expect_nothing(silent, lab);
    assert_int_equal(replay_refused(silent, REASON_FRAME_ABANDONED), 1);
    replay_free(&silent);

    closing = replay_new(REPLAY_CONFIG("", "abandoned_frame = \"close\";"));
    lab = replay_connect(closing, "10.0.0.1");
    replay_text(closing, lab, "\v" REPLAY_MSH("M1") "\r" REPLAY_MESSAGE("M2"));
    replay_expect_nothing(closing, lab);
    replay_expect_closed(closing, lab, REASON_FRAME_ABANDONED);
    replay_expect_no_put(closing);
    replay_free(&closing);
}

/* "M1" cut off from "M12" would be another message's id. */
static void abandoned_and_not_answered(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay->automatic = true;
    replay_text(replay, lab, "\v" REPLAY_MSH("M1") REPLAY_MESSAGE("M2"));
    replay_expect_ack(replay, lab, "AA", "M2");
    replay_text(replay, lab, "\vx" REPLAY_MESSAGE("M5"));
    replay_expect_ack(replay, lab, "AA", "M5");
    replay_text(replay, lab, "\vMSH|^~\\&|||||||ACK|A1|P|2.5\r" REPLAY_MESSAGE("M6"));
    replay_expect_ack(replay, lab, "AA", "M6");
    replay_expect_nothing(replay, lab);
    assert_int_equal(replay_refused(replay, REASON_FRAME_ABANDONED), 3);
    replay_free(&replay);
}

/* Nothing may be sent: the connection's end tells. The message that has begun behind it is made safe and
 * answered first. */
static void abandoned_and_nothing_may_be_sent(void **state)
{
    static const char *const modes[] = {"|||NE|NE\r", "|||SU|NE\r"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
        unsigned lab = replay_connect(replay, "10.0.0.1");
        char text[512];

        replay->automatic = true;
        snprintf(text, sizeof(text), "\v" REPLAY_MSH("M3") "%s" REPLAY_MESSAGE("M4"), modes[i]);
        replay_text(replay, lab, text);
        replay_expect_ack(replay, lab, "AA", "M4");
        replay_expect_state(replay, lab, CONNECTION_LINGER);
        replay_eof(replay, lab);
        replay_expect_closed(replay, lab, REASON_NOTHING_MAY_BE_SENT);
        assert_int_equal(replay_refused(replay, REASON_FRAME_ABANDONED), 1);
        replay_free(&replay);
    }
}

/* So it is when the message behind it is one that gets no answer either. */
static void abandoned_before_one_that_gets_no_answer(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay->automatic = true;
    replay_text(replay, lab,
                "\v" REPLAY_MSH("M3") "|||NE|NE\r\v" REPLAY_MSH("M4") "|||NE|NE\r\x1c\r");
    replay_expect_nothing(replay, lab);
    replay_expect_state(replay, lab, CONNECTION_LINGER);
    replay_eof(replay, lab);
    replay_expect_closed(replay, lab, REASON_NOTHING_MAY_BE_SENT);
    replay_free(&replay);
}

/* A commit block said of the lost frame would be taken for the commit of the one that has begun. */
static void abandoned_with_commit_blocks(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "commit_blocks = true;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    struct span frame = {NULL, 0};

    (void)state;
    replay_text(replay, lab, "\v" REPLAY_MSH("M1") "\r" REPLAY_MESSAGE("M2"));
    replay_expect_nothing(replay, lab);
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    assert_true(replay_next_frame(replay, lab, &frame));
    assert_true(span_equal_string(frame, "\x06"));
    replay_expect_ack(replay, lab, "AA", "M2");
    replay_free(&replay);
}

/* The deadline of the frame that has begun is its own. */
static void abandoned_starts_a_new_deadline(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "frame_timeout_ms = 30000;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, "\v" REPLAY_MSH("M1") "\r");
    replay_advance(replay, 20000);
    replay_text(replay, lab, "\v" REPLAY_MSH("M2") "\r");
    replay_advance(replay, 29999);
    replay_expect_open(replay, lab);
    replay_advance(replay, 1);
    replay_expect_closed(replay, lab, REASON_FRAME_TIMEOUT);
    replay_free(&replay);
}

/* ---- Release 2, acknowledgments, empty frames ---- */

static void commit_blocks(void **state)
{
    struct replay *replay =
        replay_new(REPLAY_CONFIG("", "commit_blocks = true; on_unavailable = \"nack\";"));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    struct span frame = {NULL, 0};

    (void)state;
    replay_text(replay, lab, "\v\x06\x1c\r\v\x15\x1c\r"); /* the sender's, for what we had sent */
    replay_expect_nothing(replay, lab);
    replay_text(replay, lab, REPLAY_MESSAGE("M1"));
    replay_answer(replay, SPOOL_UNAVAILABLE, REASON_SPOOL_FULL);
    assert_true(replay_next_frame(replay, lab, &frame));
    assert_true(span_equal_string(frame, "\x15"));
    replay_expect_nothing(replay, lab);
    replay_text(replay, lab, REPLAY_MESSAGE("M1"));
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    assert_true(replay_next_frame(replay, lab, &frame));
    assert_true(span_equal_string(frame, "\x06"));
    replay_expect_ack(replay, lab, "AA", "M1");
    assert_int_equal(replay->clients[lab].writes, 2); /* commit and answer in one */
    /* An acknowledgment gets no answer, but its block is committed. */
    replay_text(replay, lab, "\vMSH|^~\\&|A|B|C|D|20260101||ACK|K1|P|2.5\rMSA|AA|M0\r\x1c\r");
    assert_int_equal(replay->put_count, 2);
    assert_true(replay_next_frame(replay, lab, &frame));
    assert_true(span_equal_string(frame, "\x06"));
    replay_expect_nothing(replay, lab);
    replay_free(&replay);
}

static void acknowledgments_are_not_answered(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay->automatic = true;
    replay_text(replay, lab,
                "\vMSH|^~\\&|||||||ACK^A01|A1|P|2.5\rMSA|AA|1\r\x1c\r"
                "\v\x1c\r\v\r\x1c\r" REPLAY_MESSAGE("M1"));
    replay_expect_ack(replay, lab, "AA", "M1");
    replay_expect_nothing(replay, lab);
    replay_expect_put(replay, "M1");
    replay_expect_no_put(replay);
    replay_free(&replay);
}

static bool was_sent(const struct replay *replay, unsigned client, const char *text)
{
    const struct buffer *out = &replay->clients[client].out;

    return memmem(out->data, out->length, text, strlen(text)) != NULL;
}

static void sequence_numbers(void **state)
{
    struct replay *replay =
        replay_new(REPLAY_CONFIG("", "sequence_numbers = true; on_unavailable = \"nack\";"));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, "\v" REPLAY_MSH("S0") "|0\r\x1c\r");
    replay_expect_ack(replay, lab, "AA", "S0");
    replay_expect_no_put(replay);
    replay_text(replay, lab, "\v" REPLAY_MSH("S1") "|1\r\x1c\r");
    assert_true(replay->puts[0]->sequence_set);
    assert_string_equal(replay->puts[0]->sequence_key, "adt/lab");
    assert_int_equal(replay->puts[0]->sequence_last, 1);
    replay_answer(replay, SPOOL_UNAVAILABLE, REASON_SPOOL_FULL);
    replay_expect_ack(replay, lab, "AE", "S1");
    assert_int_equal(sequences_get(replay->world.sequences, "adt", "lab"), SEQUENCE_NONE);
    assert_true(was_sent(replay, lab, "MSA|AE|S1|the spool is full|1\r"));
    replay_text(replay, lab, "\v" REPLAY_MSH("S1") "|1\r\x1c\r");
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "S1");
    assert_true(was_sent(replay, lab, "MSA|AA|S1||2\r"));
    assert_int_equal(sequences_get(replay->world.sequences, "adt", "lab"), 1);
    replay_text(replay, lab, "\v" REPLAY_MSH("S3") "|3\r\x1c\r");
    replay_expect_ack(replay, lab, "AE", "S3");
    replay_free(&replay);
}

/* ---- writing ---- */

static void slow_reader(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "write_timeout_ms = 5000;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay->automatic = true;
    replay->clients[lab].window = 10;
    replay_text(replay, lab, REPLAY_MESSAGE("M1") REPLAY_MESSAGE("M2"));
    replay_expect_state(replay, lab, CONNECTION_WRITING);
    assert_int_equal(replay->clients[lab].watched, CONNECTION_WRITABLE);
    replay_expect_put(replay, "M1");
    replay_expect_no_put(replay); /* an answer is owed: the next has to wait */
    replay_advance(replay, 4000);
    replay->clients[lab].write_piece = 7;
    replay_window(replay, lab, SIZE_MAX);
    replay_expect_ack(replay, lab, "AA", "M1");
    replay_expect_ack(replay, lab, "AA", "M2");
    replay_expect_state(replay, lab, CONNECTION_OPEN);
    assert_int_equal(replay->clients[lab].watched, CONNECTION_READABLE);
    replay_free(&replay);
}

/* Bytes that trickle out don't put the deadline off. */
static void write_timeout(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "write_timeout_ms = 5000;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay->automatic = true;
    replay->clients[lab].window = 10;
    replay_text(replay, lab, REPLAY_MESSAGE("M1"));
    for (int i = 0; i < 4; i++) {
        replay_advance(replay, 1000);
        replay_window(replay, lab, 1);
    }
    replay_advance(replay, 999);
    replay_expect_state(replay, lab, CONNECTION_WRITING);
    replay_advance(replay, 1);
    replay_expect_closed(replay, lab, REASON_WRITE_TIMEOUT);
    assert_false(replay->clients[lab].ended); /* half an answer has no good end */
    replay_free(&replay);
}

static void write_errors(void **state)
{
    static const struct {
        int error;
        enum reason reason;
    } rows[] = {
        {-EPIPE, REASON_CONNECTION_RESET},
        {-ECONNRESET, REASON_CONNECTION_RESET},
        {-EPROTO, REASON_TLS_ERROR},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
        unsigned lab = replay_connect(replay, "10.0.0.1");
        replay->automatic = true;
        replay->clients[lab].write_error = rows[i].error;
        replay_text(replay, lab, REPLAY_MESSAGE("M1"));
        replay_expect_closed(replay, lab, rows[i].reason);
        replay_free(&replay);
    }
}

/* ---- application acknowledgments made later ---- */

#define STORE_CONFIG REPLAY_CONFIG("", "application_acknowledgment = \"store\";")

static void notify(struct replay *replay, size_t put, enum verdict_kind kind)
{
    struct spool_notice *notice = calloc(1, sizeof(*notice));

    assert_non_null(notice);
    notice->message = message_reference(replay->puts[put]->message);
    notice->verdict.kind = kind;
    notice->connection = replay->puts[put]->connection;
    list_init(&notice->node);
    LIST_FOREACH_SAFE(node, next, &replay->world.connections) {
        struct connection *connection = LIST_ENTRY(node, struct connection, in_world);
        if (connection->id == notice->connection) {
            connection_notice(connection, notice);
            replay_settle(replay);
            return;
        }
    }
    fail_msg("no connection for the notice");
}

static int64_t unsent(struct replay *replay)
{
    struct buffer text;
    const char *line;
    long count = 0;

    buffer_init(&text, 1u << 20);
    assert_int_equal(metrics_render(replay->metrics, &text), 0);
    assert_int_equal(buffer_append_byte(&text, '\0'), 0);
    line = strstr(text.data, "\nmllpgw_application_acknowledgments_unsent_total{");
    if (line != NULL) {
        count = strtol(strstr(line, "} ") + 2, NULL, 10);
    }
    buffer_free(&text);
    return count;
}

static void later_answers_wait_for_a_gap(void **state)
{
    struct replay *replay = replay_new(STORE_CONFIG);
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, REPLAY_ASKING("M1", "AL", "AL"));
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "CA", "M1");
    replay_expect_nothing(replay, lab);
    replay_text(replay, lab, "\v" REPLAY_MSH("M2") "|||AL|AL\r"); /* receiving */
    notify(replay, 0, VERDICT_ACCEPTED);
    replay_expect_nothing(replay, lab);
    replay_text(replay, lab, "PID|\r\x1c\r"); /* an answer is owed */
    replay_expect_nothing(replay, lab);
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "CA", "M2");
    replay_expect_ack(replay, lab, "AA", "M1");
    notify(replay, 1, VERDICT_REFUSED); /* in a gap: at once */
    replay_expect_ack(replay, lab, "AR", "M2");
    replay_expect_nothing(replay, lab);
    assert_int_equal(unsent(replay), 0);
    replay_free(&replay);
}

/* What came in one read with the message before has been received as well; so has what TLS holds. */
static void later_answers_wait_for_what_was_read(void **state)
{
    static const char *const begun[] = {
        "\v" REPLAY_MSH("M3") "|||AL|AL\r",
        "\v",
        REPLAY_ASKING("M3", "AL", "AL") "\v",
    };

    (void)state;
    for (size_t each = 0; each < 6; each++) {
        struct replay *replay = replay_new(STORE_CONFIG);
        unsigned lab = replay_connect(replay, "10.0.0.1");
        const char *more = begun[each / 2];
        bool held = each % 2 == 1;
        replay_text(replay, lab, REPLAY_ASKING("M1", "AL", "AL"));
        replay_answer(replay, SPOOL_SAFE, REASON_NONE);
        replay_expect_ack(replay, lab, "CA", "M1");
        replay->clients[lab].holds = held;
        replay->clients[lab].chunk = held ? strlen(REPLAY_ASKING("M2", "AL", "AL")) : 0;
        assert_int_equal(
            buffer_append_string(&replay->clients[lab].in, REPLAY_ASKING("M2", "AL", "AL")), 0);
        replay_text(replay, lab, more);
        notify(replay, 0, VERDICT_ACCEPTED);
        replay_answer(replay, SPOOL_SAFE, REASON_NONE);
        replay_expect_ack(replay, lab, "CA", "M2");
        replay_expect_nothing(replay, lab);
        if (each >= 4) {
            replay_answer(replay, SPOOL_SAFE, REASON_NONE);
            replay_expect_ack(replay, lab, "CA", "M3");
            replay_expect_nothing(replay, lab);
        }
        replay_text(replay, lab, each < 2 ? "PID|\r\x1c\r" : "\x1c\r"); /* or an empty frame */
        if (each < 2) {
            replay_answer(replay, SPOOL_SAFE, REASON_NONE);
            replay_expect_ack(replay, lab, "CA", "M3");
        }
        replay_expect_ack(replay, lab, "AA", "M1");
        replay_expect_nothing(replay, lab);
        replay_free(&replay);
    }
}

static void later_answers_only_where_due(void **state)
{
    struct replay *replay = replay_new(STORE_CONFIG);
    struct replay *gateway = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab;

    (void)state;
    replay_current = replay;
    lab = replay_connect(replay, "10.0.0.1");
    replay->automatic = true;
    replay_text(replay, lab, REPLAY_ASKING("M1", "AL", "NE"));
    replay_expect_ack(replay, lab, "CA", "M1");
    replay_text(replay, lab, REPLAY_ASKING("M2", "AL", "ER"));
    replay_expect_ack(replay, lab, "CA", "M2");
    replay_text(replay, lab, REPLAY_MESSAGE("M3")); /* original mode: at once */
    replay_expect_ack(replay, lab, "AA", "M3");
    for (size_t put = 0; put < 3; put++) {
        notify(replay, put, VERDICT_ACCEPTED);
    }
    replay_expect_nothing(replay, lab);
    notify(replay, 1, VERDICT_REFUSED);
    replay_expect_ack(replay, lab, "AR", "M2");
    replay_free(&replay);

    replay_current = gateway; /* there the AA has gone out with the CA */
    lab = replay_connect(gateway, "10.0.0.1");
    gateway->automatic = true;
    replay_text(gateway, lab, REPLAY_ASKING("M1", "AL", "AL"));
    replay_expect_ack(gateway, lab, "CA", "M1");
    replay_expect_ack(gateway, lab, "AA", "M1");
    notify(gateway, 0, VERDICT_ACCEPTED);
    replay_expect_nothing(gateway, lab);
    replay_free(&gateway);
}

static void later_answers_of_a_connection_that_ends(void **state)
{
    struct replay *replay = replay_new(STORE_CONFIG);
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay->automatic = true;
    replay_text(replay, lab, REPLAY_ASKING("M1", "AL", "AL"));
    replay_text(replay, lab, "\vMSH");
    notify(replay, 0, VERDICT_ACCEPTED);
    replay_eof(replay, lab);
    replay_expect_closed(replay, lab, REASON_PEER_CLOSED_IN_FRAME);
    replay_expect_ack(replay, lab, "CA", "M1");
    replay_expect_nothing(replay, lab);
    assert_int_equal(unsent(replay), 1);
    replay_free(&replay);
}

/* A thousand of them go out piece by piece, none is lost. */
static void many_later_answers(void **state)
{
    struct replay *replay = replay_new(STORE_CONFIG);
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay->automatic = true;
    replay_text(replay, lab, REPLAY_ASKING("M1", "AL", "AL"));
    replay_expect_ack(replay, lab, "CA", "M1");
    replay_text(replay, lab, "\vMSH");
    for (int i = 0; i < 1100; i++) {
        notify(replay, 0, VERDICT_ACCEPTED);
    }
    replay->clients[lab].window = 70000;
    replay_text(replay, lab, "\x1c\r");
    replay_expect_ack(replay, lab, "AR", ""); /* the answer that is owed comes first */
    replay_expect_state(replay, lab, CONNECTION_WRITING);
    replay_window(replay, lab, SIZE_MAX);
    for (int i = 0; i < 1000; i++) {
        replay_expect_ack(replay, lab, "AA", "M1");
    }
    replay_expect_nothing(replay, lab);
    assert_int_equal(unsent(replay), 100);
    replay_free(&replay);
}

/* A sender that holds a frame open keeps its later acknowledgments waiting, but not the messages that
 * they are about; and what they hold counts as buffered. */
static void waiting_answers_hold_no_messages(void **state)
{
    struct replay *replay = replay_new(STORE_CONFIG);
    unsigned lab = replay_connect(replay, "10.0.0.1");
    int64_t held;

    (void)state;
    send_large(replay, lab, "\v" REPLAY_MSH("M1") "|||AL|AL\rOBX|", 1000000);
    replay_text(replay, lab, "\r\x1c\r");
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "CA", "M1");
    replay_text(replay, lab, "\v");
    held = limits_buffered_bytes(replay->world.limits);
    for (int i = 0; i < 100; i++) {
        notify(replay, 0, VERDICT_ACCEPTED);
    }
    assert_int_equal(atomic_load(&replay->puts[0]->message->references), 1); /* the put's own */
    held = limits_buffered_bytes(replay->world.limits) - held;
    assert_in_range(held, 100 * strlen(REPLAY_MSH("M1")), 100000);
    replay_text(replay, lab, "\x1c\r");
    for (int i = 0; i < 100; i++) {
        replay_expect_ack(replay, lab, "AA", "M1");
    }
    assert_int_equal(limits_buffered_bytes(replay->world.limits), 0);
    assert_int_equal(unsent(replay), 0);
    replay_free(&replay);
}

static void notify_with_answer(struct replay *replay, const char *head, size_t length, bool hl7)
{
    struct spool_notice *notice = calloc(1, sizeof(*notice));
    char *text = malloc(length);

    assert_non_null(notice);
    assert_non_null(text);
    memset(text, 'x', length);
    memcpy(text, head, strlen(head));
    notice->message = message_reference(replay->puts[0]->message);
    notice->verdict.kind = VERDICT_ACCEPTED;
    notice->verdict.answer = answer_bytes_new(span_of(text, length));
    notice->verdict.answer_is_hl7 = hl7;
    free(text);
    list_init(&notice->node);
    connection_notice(replay->clients[0].connection, notice);
}

/* Stores' answers are passed on, and so are kept: a few megabytes of them. A body that is not passed
 * on is not kept. */
static void waiting_answers_are_few_bytes(void **state)
{
    struct replay *replay = replay_new(STORE_CONFIG);
    unsigned lab = replay_connect(replay, "10.0.0.1");
    int64_t held;

    (void)state;
    replay->automatic = true;
    replay_text(replay, lab, REPLAY_ASKING("M1", "AL", "AL"));
    replay_expect_ack(replay, lab, "CA", "M1");
    replay_text(replay, lab, "\v");
    for (int i = 0; i < 10; i++) {
        notify_with_answer(replay, "MSH|^~\\&|S|S|||||ACK|A1|P|2.5\rMSA|AA|M1|", 1000000, true);
    }
    held = limits_buffered_bytes(replay->world.limits);
    assert_in_range(held, 4000000, 4u << 20);
    assert_int_equal(unsent(replay), 6);
    for (int i = 0; i < 10; i++) {
        notify_with_answer(replay, "<html>", 1000000, false);
    }
    assert_in_range(limits_buffered_bytes(replay->world.limits), held, held + 10000);
    replay_text(replay, lab, "\x1c\r");
    for (int i = 0; i < 14; i++) {
        replay_expect_ack(replay, lab, "AA", "M1");
    }
    replay_expect_nothing(replay, lab);
    assert_int_equal(limits_buffered_bytes(replay->world.limits), 0);
    assert_int_equal(unsent(replay), 6);
    replay_free(&replay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_for_the_spool),
        cmocka_unit_test(stops_waiting_at_the_deadline),
        cmocka_unit_test(nacks_when_told),
        cmocka_unit_test(closes_when_told),
        cmocka_unit_test(delivered_is_not_tried_again),
        cmocka_unit_test(refusals),
        cmocka_unit_test(too_large),
        cmocka_unit_test(lingers_for_a_while_only),
        cmocka_unit_test(too_large_without_a_header),
        cmocka_unit_test(too_large_within_a_batch),
        cmocka_unit_test(the_peers_own_limit),
        cmocka_unit_test(abandoned_is_nacked_in_order),
        cmocka_unit_test(abandoned_settings),
        cmocka_unit_test(abandoned_and_not_answered),
        cmocka_unit_test(abandoned_and_nothing_may_be_sent),
        cmocka_unit_test(abandoned_before_one_that_gets_no_answer),
        cmocka_unit_test(abandoned_with_commit_blocks),
        cmocka_unit_test(abandoned_starts_a_new_deadline),
        cmocka_unit_test(commit_blocks),
        cmocka_unit_test(acknowledgments_are_not_answered),
        cmocka_unit_test(sequence_numbers),
        cmocka_unit_test(slow_reader),
        cmocka_unit_test(write_timeout),
        cmocka_unit_test(write_errors),
        cmocka_unit_test(later_answers_wait_for_a_gap),
        cmocka_unit_test(later_answers_wait_for_what_was_read),
        cmocka_unit_test(later_answers_only_where_due),
        cmocka_unit_test(later_answers_of_a_connection_that_ends),
        cmocka_unit_test(many_later_answers),
        cmocka_unit_test(waiting_answers_hold_no_messages),
        cmocka_unit_test(waiting_answers_are_few_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
