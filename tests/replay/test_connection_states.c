/* links: ingress spool tls admission hl7 loop base config certs */
/* The connection's states and deadlines, one after the other, with time turned by hand. */
#include "support/replay_connection.h"

static void a_message_is_answered(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, REPLAY_MESSAGE("M1"));
    replay_expect_state(replay, lab, CONNECTION_EXCHANGE);
    replay_expect_put(replay, "M1");
    replay_expect_nothing(replay, lab);
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M1");
    replay_expect_nothing(replay, lab);
    assert_int_equal(replay->clients[lab].writes, 1); /* the answer leaves in one write */
    replay_expect_state(replay, lab, CONNECTION_OPEN);
    replay_eof(replay, lab);
    replay_expect_closed(replay, lab, REASON_PEER_CLOSED);
    replay_free(&replay);
}

/* A frame is not handed on before its predecessor was answered, and answers keep the order. */
static void pipelined_frames(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, REPLAY_MESSAGE("M1") REPLAY_MESSAGE("M2") REPLAY_MESSAGE("M3"));
    replay_expect_put(replay, "M1");
    replay_expect_no_put(replay);
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M1");
    replay_expect_put(replay, "M2");
    replay_expect_no_put(replay);
    replay_text(replay, lab, REPLAY_MESSAGE("M4")); /* read only when the others are answered */
    assert_int_equal(replay->clients[lab].watched, 0);
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M2");
    replay_expect_ack(replay, lab, "AA", "M3");
    replay_expect_ack(replay, lab, "AA", "M4");
    replay_free(&replay);
}

static void answers_to_a_half_closed_sender(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay->clients[lab].eof = true;
    replay_text(replay, lab, REPLAY_MESSAGE("M1") REPLAY_MESSAGE("M2"));
    replay_expect_state(replay, lab, CONNECTION_EXCHANGE);
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M1");
    replay_expect_ack(replay, lab, "AA", "M2");
    replay_expect_closed(replay, lab, REASON_PEER_CLOSED);
    replay_free(&replay);
}

static void ends_inside_a_frame(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned half = replay_connect(replay, "10.0.0.1");
    unsigned reset = replay_connect(replay, "10.0.0.2");

    (void)state;
    replay_text(replay, half, "\v" REPLAY_MSH("M1") "\rPID");
    replay_eof(replay, half);
    replay_expect_closed(replay, half, REASON_PEER_CLOSED_IN_FRAME);
    replay_text(replay, reset, "\v" REPLAY_MSH("M1"));
    replay_reset(replay, reset);
    replay_expect_closed(replay, reset, REASON_CONNECTION_RESET);
    replay_expect_nothing(replay, half);
    replay_expect_no_put(replay);
    replay_free(&replay);
}

/* A total deadline, not one for each read. */
static void slow_frame(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "frame_timeout_ms = 30000;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, "\vMSH|");
    for (int i = 0; i < 29; i++) {
        replay_advance(replay, 1000);
        replay_text(replay, lab, "x");
    }
    replay_advance(replay, 999);
    replay_expect_state(replay, lab, CONNECTION_OPEN);
    replay_advance(replay, 1);
    replay_expect_closed(replay, lab, REASON_FRAME_TIMEOUT);
    replay_expect_nothing(replay, lab);
    replay_free(&replay);
}

/* Start blocks one behind the other are the same frame: they don't put its deadline off. */
static void start_blocks_do_not_buy_time(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "frame_timeout_ms = 30000;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    for (int i = 0; i < 3; i++) {
        replay_text(replay, lab, "\v");
        replay_advance(replay, 10000);
    }
    replay_expect_closed(replay, lab, REASON_FRAME_TIMEOUT);
    replay_free(&replay);
}

static void no_start_block(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "frame_timeout_ms = 30000;"));
    unsigned junk = replay_connect(replay, "10.0.0.1");
    unsigned silent = replay_connect(replay, "10.0.0.2");
    unsigned whole = replay_connect(replay, "10.0.0.3");

    (void)state;
    replay->automatic = true;
    replay_text(replay, junk, "GET");
    replay_text(replay, whole, REPLAY_MESSAGE("M1") "\r\nOK");
    for (int i = 0; i < 29; i++) {
        replay_advance(replay, 1000);
        replay_text(replay, junk, " ");
    }
    replay_expect_open(replay, junk);
    replay_advance(replay, 1000);
    replay_expect_closed(replay, junk, REASON_NO_START_BLOCK);
    replay_advance(replay, 24 * 3600 * 1000); /* a quiet feed is healthy */
    replay_expect_open(replay, silent);
    replay_expect_open(replay, whole);
    replay_free(&replay);
}

static void idle(void **state)
{
    struct replay *replay =
        replay_new(REPLAY_CONFIG("", "idle_timeout_ms = 60000; frame_timeout_ms = 150000;"));
    unsigned silent = replay_connect(replay, "10.0.0.1");
    unsigned busy = replay_connect(replay, "10.0.0.2");
    unsigned in_frame = replay_connect(replay, "10.0.0.3");

    (void)state;
    replay->automatic = true;
    replay_text(replay, in_frame, "\vMSH");
    replay_advance(replay, 59999);
    replay_expect_open(replay, silent);
    replay_text(replay, busy, REPLAY_MESSAGE("M1"));
    replay_advance(replay, 1);
    replay_expect_closed(replay, silent, REASON_IDLE_TIMEOUT);
    assert_true(replay->clients[silent].ended); /* in good order */
    replay_advance(replay, 59998);
    replay_expect_open(replay, busy);
    replay_advance(replay, 1);
    replay_expect_closed(replay, busy, REASON_IDLE_TIMEOUT);
    replay_expect_open(replay, in_frame); /* that's the frame's deadline */
    replay_free(&replay);
}

static void junk_limit(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "maximum_junk_bytes = 10;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay->automatic = true;
    replay_text(replay, lab, "0123456789");
    replay_text(replay, lab, REPLAY_MESSAGE("M1"));
    replay_text(replay, lab, "012345678\r\n\r\n\r\n\r\n\r\n"); /* padding doesn't count */
    replay_text(replay, lab, "9");
    replay_expect_open(replay, lab);
    replay_text(replay, lab, REPLAY_MESSAGE("M2") "01234");
    replay_text(replay, lab, "567890");
    replay_expect_closed(replay, lab, REASON_JUNK_LIMIT);
    replay_expect_ack(replay, lab, "AA", "M1");
    replay_expect_ack(replay, lab, "AA", "M2");
    replay_free(&replay);
}

static void tls_on_a_plain_port(void **state)
{
    static const char hello[] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x0b};
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned whole = replay_connect(replay, "10.0.0.1");
    unsigned bytes = replay_connect(replay, "10.0.0.2");
    char *log;

    (void)state;
    replay_receive(replay, whole, hello, sizeof(hello));
    replay_expect_closed(replay, whole, REASON_TLS_ON_PLAIN_PORT);
    for (size_t i = 0; i < 3; i++) {
        replay_receive(replay, bytes, hello + i, 1);
    }
    replay_expect_closed(replay, bytes, REASON_TLS_ON_PLAIN_PORT);
    log = replay_log(replay);
    assert_non_null(strstr(log, "reason=tls-on-plain-port"));
    free(log);
    replay_free(&replay);
}

/* A load balancer's probe: nothing above debug. */
static void connections_without_a_byte(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    char *log;

    (void)state;
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    replay_eof(replay, replay_connect(replay, "10.0.0.1"));
    replay_expect_closed(replay, 0, REASON_PEER_CLOSED);
    replay_reset(replay, replay_connect(replay, "10.0.0.1"));
    replay_expect_closed(replay, 1, REASON_CONNECTION_RESET);
    log = replay_log(replay);
    assert_string_equal(log, "");
    free(log);
    replay_text(replay, replay_connect(replay, "10.0.0.1"), "x");
    log = replay_log(replay);
    assert_non_null(strstr(log, "event=connection-opened"));
    free(log);
    replay_free(&replay);
}

static void refused_by_address(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned stranger = replay_connect(replay, "192.0.2.1");
    char *log = replay_log(replay);

    (void)state;
    replay_expect_closed(replay, stranger, REASON_ADDRESS_NOT_LISTED);
    assert_non_null(strstr(log, "audit event=connection-refused"));
    assert_non_null(strstr(log, "address=192.0.2.1"));
    free(log);
    replay_free(&replay);
}

static void refused_by_the_peers_limit(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("maximum_connections = 2;", ""));

    (void)state;
    replay_connect(replay, "10.0.0.1");
    replay_connect(replay, "10.0.0.2");
    replay_connect(replay, "10.0.0.3");
    replay_expect_open(replay, 1);
    replay_expect_closed(replay, 2, REASON_CONNECTION_LIMIT_PEER);
    replay_eof(replay, 0);
    replay_connect(replay, "10.0.0.4");
    replay_expect_open(replay, 3);
    replay_free(&replay);
}

/* ---- throttling ---- */

static void throttled(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("messages_per_second = 2;", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay->automatic = true;
    replay_text(replay, lab, REPLAY_MESSAGE("M1") REPLAY_MESSAGE("M2") REPLAY_MESSAGE("M3"));
    replay_expect_ack(replay, lab, "AA", "M1");
    replay_expect_ack(replay, lab, "AA", "M2");
    replay_expect_nothing(replay, lab);
    replay_expect_state(replay, lab, CONNECTION_THROTTLED);
    replay_advance(replay, 490);
    replay_expect_nothing(replay, lab);
    replay_advance(replay, 20);
    replay_expect_ack(replay, lab, "AA", "M3"); /* nothing is refused */
    replay_expect_state(replay, lab, CONNECTION_OPEN);
    replay_free(&replay);
}

/* The limit is the peer's, over all its connections; another peer's is its own. */
static void throttled_over_connections(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("messages_per_second = 1;", ""));
    unsigned first = replay_connect(replay, "10.0.0.1");
    unsigned second = replay_connect(replay, "10.0.0.2");
    unsigned ward = replay_connect(replay, "10.9.0.1");

    (void)state;
    replay->automatic = true;
    replay_text(replay, first, REPLAY_MESSAGE("M1"));
    replay_text(replay, second, REPLAY_MESSAGE("M2"));
    replay_text(replay, ward, REPLAY_MESSAGE("M3") REPLAY_MESSAGE("M4"));
    replay_expect_ack(replay, first, "AA", "M1");
    replay_expect_state(replay, second, CONNECTION_THROTTLED);
    replay_expect_ack(replay, ward, "AA", "M3");
    replay_expect_ack(replay, ward, "AA", "M4");
    replay_advance(replay, 1010);
    replay_expect_ack(replay, second, "AA", "M2");
    replay_free(&replay);
}

/* ---- the answer's deadline ---- */

static void no_answer_in_time(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "answer_deadline_ms = 5000;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    char *log;

    (void)state;
    replay_text(replay, lab, REPLAY_MESSAGE("M1"));
    replay_advance(replay, 4999);
    replay_expect_state(replay, lab, CONNECTION_EXCHANGE);
    replay_advance(replay, 1);
    replay_expect_closed(replay, lab, REASON_ANSWER_DEADLINE);
    log = replay_log(replay); /* the message, too, has ended somewhere */
    assert_non_null(strstr(log, "event=message-refused"));
    assert_non_null(strstr(log, "control_id=M1"));
    free(log);
    assert_int_equal(replay_refused(replay, REASON_ANSWER_DEADLINE), 1);
    replay_answer(replay, SPOOL_SAFE, REASON_NONE); /* late, and for nobody */
    replay_expect_nothing(replay, lab);
    replay_free(&replay);
}

/* delivered: the route cancels at the deadline; the worker is only the backstop behind it. */
static void delivered_has_a_backstop(void **state)
{
    struct replay *replay =
        replay_new(REPLAY_CONFIG("", "acknowledge = \"delivered\"; answer_deadline_ms = 5000;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    struct spool_put *put;

    (void)state;
    replay_text(replay, lab, REPLAY_MESSAGE("M1"));
    put = replay_next_put(replay);
    assert_true(put->delivered);
    assert_true(put->wait);
    assert_int_equal(put->deadline_ms, REPLAY_START_MS + 5000);
    replay_advance(replay, 5999);
    replay_expect_state(replay, lab, CONNECTION_EXCHANGE);
    replay_advance(replay, 1);
    replay_expect_closed(replay, lab, REASON_ANSWER_DEADLINE);
    replay_free(&replay);
}

static void late_answers_miss(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    struct connection *connection = replay->clients[lab].connection;

    (void)state;
    replay_text(replay, lab, REPLAY_MESSAGE("M1"));
    connection_close(connection, REASON_SHUTDOWN);
    replay->puts[0]->outcome = SPOOL_SAFE;
    connection_answer(connection, replay->puts[0]); /* closed, not yet freed */
    replay_answer(replay, SPOOL_SAFE, REASON_NONE); /* freed */
    replay_expect_nothing(replay, lab);
    replay_expect_closed(replay, lab, REASON_SHUTDOWN);
    replay_free(&replay);
}

/* Of an exchange that is over, while the next one is under way. */
static void answers_of_another_exchange_miss(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, REPLAY_MESSAGE("M1") REPLAY_MESSAGE("M2"));
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M1");
    connection_answer(replay->clients[lab].connection, replay->puts[0]); /* again */
    replay_expect_nothing(replay, lab);
    replay_expect_state(replay, lab, CONNECTION_EXCHANGE);
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M2");
    replay_free(&replay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_answered),
        cmocka_unit_test(pipelined_frames),
        cmocka_unit_test(answers_to_a_half_closed_sender),
        cmocka_unit_test(ends_inside_a_frame),
        cmocka_unit_test(slow_frame),
        cmocka_unit_test(start_blocks_do_not_buy_time),
        cmocka_unit_test(no_start_block),
        cmocka_unit_test(idle),
        cmocka_unit_test(junk_limit),
        cmocka_unit_test(tls_on_a_plain_port),
        cmocka_unit_test(connections_without_a_byte),
        cmocka_unit_test(refused_by_address),
        cmocka_unit_test(refused_by_the_peers_limit),
        cmocka_unit_test(throttled),
        cmocka_unit_test(throttled_over_connections),
        cmocka_unit_test(no_answer_in_time),
        cmocka_unit_test(delivered_has_a_backstop),
        cmocka_unit_test(late_answers_miss),
        cmocka_unit_test(answers_of_another_exchange_miss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
