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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
