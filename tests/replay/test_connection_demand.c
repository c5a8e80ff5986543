/* links: ingress spool tls admission hl7 loop base config certs */
/* Connections of a listener whose store takes only UTF-8 and so many bytes; and one whose store comes to
 * do so by a reload while messages are on their way. */
#include "support/replay_connection.h"

#define GOOGLE(peer, listener)                                                                     \
    "gateway = { name = \"t\"; state_directory = \"state\"; };\nspool = { type = \"memory\"; };\n" \
    "peers = ( { name = \"lab\"; addresses = [ \"10.0.0.0/8\" ]; " peer " } );\n"                  \
    "listeners = ( { name = \"adt\"; address = \"127.0.0.1:2575\"; peers = [ \"lab\" ];\n"         \
    "                maximum_frame_bytes = 60000; " listener " } );\n"                             \
    "stores = ( { name = \"cloud\"; type = \"google\"; project = \"p\"; location = \"l\";\n"       \
    "             dataset = \"d\"; store = \"s\"; maximum_request_bytes = 65536; } );\n"           \
    "routes = ( { name = \"r\"; from = \"adt\"; to = \"cloud\"; } );\n"
#define LARGEST ((65536 - 23) / 4 * 3)
#define LATIN(id) "\v" REPLAY_MSH(id) "\rPID|SECRET|\xFC\r\x1c\r"

static void expect_logged(struct replay *replay, const char *wanted)
{
    char *log = replay_log(replay);

    if (strstr(log, wanted) == NULL)
        fail_msg("no %s in %s", wanted, log);
    assert_null(strstr(log, "SECRET"));
    free(log);
}

/* Nothing reaches the spool, and the connection goes on. */
static void refused_before_the_spool(void **state)
{
    struct replay *replay = replay_new(GOOGLE("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    char at[32];

    (void)state;
    replay_text(replay, lab, LATIN("M1") REPLAY_MESSAGE("M2"));
    replay_expect_ack(replay, lab, "AE", "M1");
    assert_int_equal(replay_refused(replay, REASON_CHARACTER_SET_UNKNOWN), 1);
    assert_int_equal(replay->put_count, 1);
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M2");
    expect_logged(replay, "reason=character-set-unknown");
    replay_text(replay, lab, LATIN("M3"));
    replay_expect_ack(replay, lab, "AE", "M3");
    snprintf(at, sizeof(at), "at=\"byte %zu\"", strlen(REPLAY_MSH("M3") "\rPID|SECRET|"));
    expect_logged(replay, at);
    replay_free(&replay);
}

static void taken_when_the_peer_is_known(void **state)
{
    struct replay *replay = replay_new(GOOGLE("character_set = \"8859/1\";", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, LATIN("M1"));
    assert_int_equal(replay->put_count, 1);
    assert_int_equal(replay->puts[0]->message->character_set, 2);
    assert_non_null(
        memchr(replay->puts[0]->message->body.data, '\xFC', replay->puts[0]->message->body.length));
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M1");
    replay_free(&replay);
}

static void too_large_for_the_store(void **state)
{
    struct replay *replay = replay_new(GOOGLE("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    static char frame[LARGEST + 8];
    size_t head = strlen("\v" REPLAY_MSH("M1") "\rNTE|");

    (void)state;
    for (size_t more = 0; more < 2; more++) {
        memset(frame, 'x', sizeof(frame));
        memcpy(frame, "\v" REPLAY_MSH("M1") "\rNTE|", head);
        memcpy(frame + 1 + LARGEST + more, "\x1c\r", 2);
        replay_receive(replay, lab, frame, 1 + LARGEST + more + 2);
        assert_int_equal(replay->put_count, 1);
        if (more == 0) {
            replay_answer(replay, SPOOL_SAFE, REASON_NONE);
            replay_expect_ack(replay, lab, "AA", "M1");
        } else {
            replay_expect_ack(replay, lab, "AR", "M1");
            assert_int_equal(replay_refused(replay, REASON_TOO_LARGE_FOR_STORE), 1);
        }
    }
    replay_expect_open(replay, lab);
    replay_free(&replay);
}

/* Read under the old rules, put under the new ones: it would be acknowledged and never delivered. */
static void the_store_changes_while_it_waits(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, LATIN("M1"));
    replay_answer(replay, SPOOL_UNAVAILABLE, REASON_SPOOL_FULL);
    replay_expect_state(replay, lab, CONNECTION_WAITING);
    assert_int_equal(replay->put_count, 1);
    replay_apply(replay, GOOGLE("", ""));
    replay_advance(replay, 200);
    replay_expect_ack(replay, lab, "AE", "M1");
    assert_int_equal(replay->put_count, 1);
    assert_int_equal(replay_refused(replay, REASON_CHARACTER_SET_UNKNOWN), 1);
    replay_text(replay, lab, REPLAY_MESSAGE("M2"));
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M2");
    replay_free(&replay);
}

static void the_store_changes_while_it_is_throttled(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("messages_per_second = 1;", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, REPLAY_MESSAGE("M0") LATIN("M1") REPLAY_MESSAGE("M2"));
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M0");
    replay_expect_state(replay, lab, CONNECTION_THROTTLED);
    replay_apply(replay, GOOGLE("", ""));
    replay_advance(replay, 1001);
    replay_expect_ack(replay, lab, "AE", "M1");
    assert_int_equal(replay->put_count, 2); /* the one behind it goes on by itself */
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M2");
    replay_free(&replay);
}

/* The number that was not taken is the one that is expected still. */
static void a_sequence_number_that_waits(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "sequence_numbers = true;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, "\v" REPLAY_MSH("M1") "|7\rPID|\xFC\r\x1c\r");
    replay_answer(replay, SPOOL_UNAVAILABLE, REASON_SPOOL_FULL);
    replay_expect_state(replay, lab, CONNECTION_WAITING);
    replay_apply(replay, GOOGLE("", "sequence_numbers = true;"));
    replay_advance(replay, 200);
    struct span frame = {NULL, 0};
    assert_true(replay_next_frame(replay, lab, &frame));
    assert_non_null(memmem(frame.data, frame.length, "MSA|AE|M1|", 10));
    replay_text(replay, lab, "\v" REPLAY_MSH("M1") "|7\rPID|1\r\x1c\r");
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M1");
    replay_free(&replay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused_before_the_spool),
        cmocka_unit_test(taken_when_the_peer_is_known),
        cmocka_unit_test(too_large_for_the_store),
        cmocka_unit_test(the_store_changes_while_it_waits),
        cmocka_unit_test(the_store_changes_while_it_is_throttled),
        cmocka_unit_test(a_sequence_number_that_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
