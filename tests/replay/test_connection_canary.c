/* links: ingress spool tls admission hl7 loop base config certs */
/* No content anywhere: a canary in everything that a sender or a store may say, except where it is
 * allowed (MSH-3..6, 9..12), must not turn up in logs or metrics: raw, hexadecimal or base64. */
#include "support/replay_connection.h"

#define CANARY "CaNaRy7391"

static const char *const forbidden[] = {
    CANARY,
    "43614e61527937333931", /* hexadecimal */
    "43614E61527937333931",
    "Q2FOYVJ5NzM5M", /* base64, at each of the three offsets */
    "NhTmFSeTczOT",
    "DYU5hUnk3Mzkx",
};

/* MSH-7, 8, 13..21 and every other field. */
#define CANARY_MSH(id)                                                                             \
    "MSH|^~\\&|APP|FAC|GW|HUB|" CANARY "|" CANARY "|ADT^A01^ADT_A01|" id "|P|2.5|" CANARY          \
    "|" CANARY "|AL|NE|" CANARY "|" CANARY "|" CANARY "|" CANARY
#define CANARY_BODY "\rPID|1|" CANARY "||" CANARY "^" CANARY "\rOBX|" CANARY "\r"
#define CANARY_MESSAGE(id) "\v" CANARY_MSH(id) CANARY_BODY "\x1c\r"

static void check_text(const char *what, const char *text)
{
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        const char *found = strstr(text, forbidden[i]);
        if (found != NULL) {
            fail_msg("%s: %.300s", what, found > text + 100 ? found - 100 : text);
        }
    }
}

static void check_nothing_leaked(const char *what, struct replay *replay)
{
    struct buffer metrics;
    char *log = replay_log(replay);

    check_text(what, log);
    free(log);
    buffer_init(&metrics, 4u << 20);
    assert_int_equal(metrics_render(replay->metrics, &metrics), 0);
    assert_int_equal(buffer_append_byte(&metrics, '\0'), 0);
    check_text(what, metrics.data);
    buffer_free(&metrics);
}

static const char *const streams[] = {
    CANARY_MESSAGE("M1") CANARY_MESSAGE("M2"),
    CANARY,                                                 /* no frame at all */
    CANARY_MESSAGE("M1") CANARY,                            /* junk behind one */
    "\v" CANARY_MSH("M1") CANARY_BODY CANARY_MESSAGE("M2"), /* abandoned */
    "\v" CANARY "\v" CANARY_MSH("M1"),                      /* abandoned, unreadable, unfinished */
    "\v" CANARY "\x1c\r",                                   /* unreadable */
    "\vMSH" CANARY "\x1c\r",
    "\vMSH|" CANARY "|" CANARY "\r\x1c\r",
    "\v" CANARY_MSH("") CANARY_BODY "\x1c\r", /* no control id */
    "\vMSH|^~\\&|APP|FAC|GW|HUB|" CANARY "|" CANARY "||M1|P|2.5|" CANARY "\r\x1c\r",
    "\vMSH|^~\\&|APP|ELSE|GW|HUB|" CANARY "||ADT^A01|M1|P|2.5\r" CANARY_BODY "\x1c\r",
    "\vMSH|^~\\&|APP|FAC|GW|HUB|" CANARY "||ACK|M1|P|2.5\rMSA|AE|" CANARY "|" CANARY "\r\x1c\r",
    "\vMSH|^~\\&|APP|FAC|GW|HUB|" CANARY "||ADT|M1|P|2.5|||" CANARY "|" CANARY "\r\x1c\r",
    "\vBHS|^~\\&|APP|FAC|GW|HUB|" CANARY "||" CANARY "|" CANARY "\r" CANARY_MSH("M1") CANARY_BODY
    "BTS|" CANARY "\r\x1c\r",
    "\x16\x03\x01" CANARY,
    "PROXY " CANARY "\r\n" CANARY_MESSAGE("M1"),
};

static const char *const configs[] = {
    REPLAY_CONFIG("facilities = [ \"FAC\" ];", "control_id_required = true;"),
    REPLAY_CONFIG("", "maximum_frame_bytes = 256; on_refusal = \"close\";"),
    REPLAY_CONFIG("", "maximum_frame_bytes = 256; maximum_junk_bytes = 3; commit_blocks = true;"),
    REPLAY_CONFIG("", "sequence_numbers = true; abandoned_frame = \"close\";"),
    REPLAY_CONFIG("", "lenient_end = true; on_unavailable = \"nack\";"),
    REPLAY_CONFIG("", "proxy_from = [ \"10.0.0.0/8\" ];"),
};

static void run_stream(const char *config, const char *stream, bool available)
{
    struct replay *replay = replay_new(config);
    unsigned lab = replay_connect(replay, "10.0.0.1");

    replay->automatic = available;
    replay_text(replay, lab, stream);
    while (!available && replay->put_answered < replay->put_count) {
        replay_answer(replay, SPOOL_UNAVAILABLE, REASON_SPOOL_FULL);
    }
    replay_advance(replay, 40000);
    if (replay->clients[lab].connection != NULL) {
        replay_eof(replay, lab);
    }
    check_nothing_leaked(stream, replay);
    replay_free(&replay);
}

static void senders(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof(configs) / sizeof(configs[0]); c++) {
        for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
            run_stream(configs[c], streams[i], true);
            run_stream(configs[c], streams[i], false);
        }
    }
}

/* What a store says is content as well, and goes to the sender alone. */
static void stores(void **state)
{
    static const char answer[] =
        "MSH|^~\\&|" CANARY "|" CANARY "|APP|FAC|" CANARY "||ACK|" CANARY
        "|P|2.5\rMSA|AE|M1|" CANARY "\rERR||" CANARY "|102^" CANARY "|E||||" CANARY "|" CANARY "\r";
    struct replay *replay = replay_new(REPLAY_CONFIG("", "acknowledge = \"delivered\";"));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    struct verdict *verdict;

    (void)state;
    replay_text(replay, lab, REPLAY_MESSAGE("M1"));
    verdict = &replay->puts[0]->verdict;
    verdict->kind = VERDICT_REFUSED;
    verdict->answer_is_hl7 = true;
    verdict->answer = answer_bytes_new(span_of_string(answer));
    memcpy(verdict->code, "AE", 3);
    memcpy(verdict->reason, "MSA-1 AE", 9);
    replay_answer(replay, SPOOL_REFUSED, REASON_NONE);
    replay_expect_ack(replay, lab, "AE", "M1");
    assert_non_null(memmem(replay->clients[lab].out.data, replay->clients[lab].out.length, CANARY,
                           strlen(CANARY)));
    check_nothing_leaked("a store's answer", replay);
    replay_free(&replay);
}

/* The control id is allowed, escaped and cut: it can't forge a line. */
static void control_ids(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("facilities = [ \"X\" ];", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    char message[400], filler[201], *log;

    (void)state;
    memset(filler, 'i', 200);
    filler[200] = '\0';
    snprintf(message, sizeof(message),
             "\vMSH|^~\\&|A|B|C|D|||ADT|x\" reason=none\x7f%s|P|2.5\r\x1c\r", filler);
    replay_text(replay, lab, message);
    log = replay_log(replay);
    assert_non_null(strstr(log, "event=message-refused"));
    assert_non_null(strstr(log, "control_id=\"x\\\" reason=none\\x7fiii"));
    assert_null(strstr(log, filler));
    free(log);
    replay_free(&replay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: lines about refused messages are limited by peer, and the others use them up. */
        cmocka_unit_test(control_ids),
        cmocka_unit_test(senders),
        cmocka_unit_test(stores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
