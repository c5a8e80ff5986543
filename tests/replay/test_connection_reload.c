/* links: ingress spool tls admission hl7 loop base config certs */
/* Connections that are decided again or drained, in each state; PROXY headers; memory. */
#include "support/replay_connection.h"

#define ALLOWED REPLAY_CONFIG("facilities = [ \"FAC\" ];", "on_refusal = \"close\";")
#define MOVED                                                                                      \
    "gateway = { name = \"t\"; state_directory = \"state\"; };\nspool = { type = \"memory\"; };\n" \
    "peers = ( { name = \"lab\"; addresses = [ \"10.77.0.0/16\" ]; },\n"                           \
    "          { name = \"ward\"; addresses = [ \"10.0.0.0/8\" ]; } );\n"                          \
    "listeners = ( { name = \"adt\"; address = \"127.0.0.1:2575\";\n"                              \
    "                peers = [ \"lab\", \"ward\" ]; } );\n"                                        \
    "stores = ( { name = \"files\"; type = \"directory\"; path = \"messages\"; } );\n"             \
    "routes = ( { name = \"r\"; from = \"adt\"; to = \"files\"; } );\n"
#define REROUTED                                                                                   \
    "gateway = { name = \"t\"; state_directory = \"state\"; };\nspool = { type = \"memory\"; };\n" \
    "peers = ( { name = \"lab\"; addresses = [ \"10.77.0.0/16\" ]; } );\n"                         \
    "listeners = ( { name = \"adt\"; address = \"127.0.0.1:2575\"; peers = [ \"lab\" ]; } );\n"    \
    "stores = ( { name = \"files\"; type = \"directory\"; path = \"messages\"; } );\n"             \
    "routes = ( { name = \"other\"; from = \"adt\"; to = \"files\"; } );\n"
#define STRANGERS                                                                                  \
    "gateway = { name = \"t\"; state_directory = \"state\"; };\nspool = { type = \"memory\"; };\n" \
    "peers = ( { name = \"lab\"; addresses = [ \"10.77.0.0/16\" ]; } );\n"                         \
    "listeners = ( { name = \"adt\"; address = \"127.0.0.1:2575\"; peers = [ \"lab\" ]; } );\n"    \
    "stores = ( { name = \"files\"; type = \"directory\"; path = \"messages\"; } );\n"             \
    "routes = ( { name = \"r\"; from = \"adt\"; to = \"files\"; } );\n"
#define RENAMED                                                                                    \
    "gateway = { name = \"t\"; state_directory = \"state\"; };\nspool = { type = \"memory\"; };\n" \
    "peers = ( { name = \"lab\"; addresses = [ \"10.0.0.0/8\" ]; } );\n"                           \
    "listeners = ( { name = \"other\"; address = \"127.0.0.1:2575\"; peers = [ \"lab\" ]; } );\n"  \
    "stores = ( { name = \"files\"; type = \"directory\"; path = \"messages\"; } );\n"             \
    "routes = ( { name = \"r\"; from = \"other\"; to = \"files\"; } );\n"

enum situation { IDLE, IN_FRAME, THROTTLED, EXCHANGE, WAITING, WRITING, LINGER, SITUATIONS };

/* A connection in the wanted situation; limited so that every one of them can be reached. */
static unsigned bring_into(struct replay *replay, enum situation situation)
{
    unsigned lab = replay_connect(replay, "10.0.0.1");

    switch (situation) {
    case IDLE:
        break;
    case IN_FRAME:
        replay_text(replay, lab, "\v" REPLAY_MSH("M1") "\rPID");
        break;
    case THROTTLED:
        replay_text(replay, lab, REPLAY_MESSAGE("M0") REPLAY_MESSAGE("M1"));
        replay_answer(replay, SPOOL_SAFE, REASON_NONE);
        replay_expect_ack(replay, lab, "AA", "M0");
        replay_expect_state(replay, lab, CONNECTION_THROTTLED);
        break;
    case EXCHANGE:
        replay_text(replay, lab, REPLAY_MESSAGE("M1"));
        break;
    case WAITING:
        replay_text(replay, lab, REPLAY_MESSAGE("M1"));
        replay_answer(replay, SPOOL_UNAVAILABLE, REASON_SPOOL_FULL);
        replay_expect_state(replay, lab, CONNECTION_WAITING);
        break;
    case WRITING:
        replay->clients[lab].window = 5;
        replay_text(replay, lab, REPLAY_MESSAGE("M1"));
        replay_answer(replay, SPOOL_SAFE, REASON_NONE);
        replay_expect_state(replay, lab, CONNECTION_WRITING);
        break;
    case LINGER:
        for (int i = 0; i < 40; i++) {
            replay_text(replay, lab, i == 0 ? "\v" REPLAY_MSH("M1") "\r" : "123456789012345678");
        }
        replay_expect_ack(replay, lab, "AR", "M1");
        replay_expect_state(replay, lab, CONNECTION_LINGER);
        break;
    case SITUATIONS:
        break;
    }
    return lab;
}

#define PROXIED REPLAY_CONFIG("", "proxy_from = [ \"10.1.1.1\" ]; handshake_timeout_ms = 5000;")
#define TIGHT "maximum_frame_bytes = 400;"
#define ONE_A_SECOND "messages_per_second = 1;"

/* Lets the message that is under way end well. */
static void finish(struct replay *replay, unsigned lab, enum situation situation)
{
    if (situation == IN_FRAME) {
        replay_text(replay, lab, "|1\r\x1c\r");
    }
    if (situation == THROTTLED || situation == WAITING) {
        replay_advance(replay, situation == THROTTLED ? 1001 : 200);
    }
    if (situation == WRITING) {
        replay_window(replay, lab, SIZE_MAX);
    } else if (situation != LINGER) {
        replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    }
    if (situation != LINGER) {
        replay_expect_ack(replay, lab, "AA", "M1");
    }
}

static void still_allowed(void **state)
{
    (void)state;
    for (enum situation each = IDLE; each < SITUATIONS; each++) {
        struct replay *replay = replay_new(REPLAY_CONFIG(ONE_A_SECOND, TIGHT));
        unsigned lab = bring_into(replay, each);
        replay_apply(replay, ALLOWED);
        replay_apply(replay, ALLOWED);
        if (each != IDLE) {
            finish(replay, lab, each);
        }
        if (each == LINGER) {
            replay_eof(replay, lab);
            replay_expect_closed(replay, lab, REASON_FRAME_TOO_LARGE);
        } else { /* the new settings hold */
            replay_advance(replay, 1001);
            replay_text(replay, lab, "\vMSH|^~\\&|APP|ELSE|||||ADT^A01|M2|P|2.5\r\x1c\r");
            replay_expect_closed(replay, lab, REASON_FACILITY_NOT_LISTED);
        }
        replay_free(&replay);
    }
}

static void expect_refused(struct replay *replay, unsigned lab, enum situation situation)
{
    if (situation == IDLE || situation == IN_FRAME) {
        replay_expect_closed(replay, lab, REASON_NO_LONGER_ALLOWED);
        replay_expect_nothing(replay, lab);
        return;
    }
    replay_expect_open(replay, lab); /* its answer is owed */
    finish(replay, lab, situation);
    replay_expect_state(replay, lab, CONNECTION_LINGER);
    replay_text(replay, lab, REPLAY_MESSAGE("M9"));
    replay_expect_nothing(replay, lab);
    replay_eof(replay, lab);
    replay_expect_closed(replay, lab,
                         situation == LINGER ? REASON_FRAME_TOO_LARGE : REASON_NO_LONGER_ALLOWED);
}

static void no_longer_allowed(void **state)
{
    static const char *const configs[] = {
        MOVED /* another peer */, STRANGERS /* nobody */, RENAMED /* the listener is gone */,
        REPLAY_CONFIG("", "proxy_from = [ \"10.1.1.1\" ];") /* proxies only */};

    (void)state;
    for (size_t c = 0; c < sizeof(configs) / sizeof(configs[0]); c++) {
        for (enum situation each = IDLE; each < SITUATIONS; each++) {
            struct replay *replay = replay_new(REPLAY_CONFIG(ONE_A_SECOND, TIGHT));
            unsigned lab = bring_into(replay, each);
            replay_apply(replay, configs[c]);
            expect_refused(replay, lab, each);
            replay_free(&replay);
        }
    }
}

/* ---- decided some at a time ---- */

static size_t open_of(const struct replay *replay)
{
    size_t count = 0;

    for (unsigned i = 0; i < replay->client_count; i++) {
        count += replay->clients[i].connection != NULL;
    }
    return count;
}

/* A turn takes some of many, the oldest first; a second snapshot on the way is what the rest is decided
 * by. */
static void a_few_a_turn(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    struct snapshot *strangers;

    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        replay_connect(replay, "10.0.0.1");
    }
    replay_swap(replay, STRANGERS);
    strangers = replay->snapshot;
    assert_int_equal(open_of(replay), 10);
    assert_true(connection_world_decide(&replay->world, 4));
    replay_settle(replay);
    assert_int_equal(open_of(replay), 6);
    replay_expect_closed(replay, 3, REASON_NO_LONGER_ALLOWED);
    replay_expect_open(replay, 4);
    connection_world_apply(&replay->world, snapshot_reference(strangers)); /* the same once more */
    assert_true(connection_world_decide(&replay->world, 4));
    replay_settle(replay);
    assert_int_equal(open_of(replay), 2);
    replay_swap(replay, ALLOWED);
    replay_connect(replay, "10.0.0.1"); /* by the new rules from the beginning */
    assert_false(connection_world_decide(&replay->world, 2));
    assert_int_equal(open_of(replay), 3);
    assert_false(connection_world_decide(&replay->world, 4));
    replay_free(&replay);
}

/* Whatever comes first on a connection that is due, the decision comes before it: nothing is taken,
 * and no answer that is owed is lost. */
static void decided_before_anything_else(void **state)
{
    (void)state;
    for (enum situation each = IDLE; each < SITUATIONS; each++) {
        struct replay *replay = replay_new(REPLAY_CONFIG(ONE_A_SECOND, TIGHT));
        unsigned lab = bring_into(replay, each);
        replay_swap(replay, REROUTED);
        replay_settle(replay);
        if (each == IDLE || each == IN_FRAME) {
            size_t before = replay->put_count;
            replay_expect_open(replay, lab);
            replay_text(replay, lab, each == IDLE ? REPLAY_MESSAGE("M1") : "|1\r\x1c\r");
            assert_int_equal(replay->put_count, before);
        }
        expect_refused(replay, lab, each);
        if (each == THROTTLED || each == WAITING) {
            const struct spool_put *put = replay->puts[replay->put_count - 1];
            assert_string_equal(put->targets[0].route, "other");
        }
        replay_free(&replay);
    }
}

/* The new settings hold for the next message of those who stay, decided or not. */
static void new_settings_before_anything_else(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    unsigned quiet = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_swap(replay, ALLOWED);
    replay_text(replay, lab, "\vMSH|^~\\&|APP|ELSE|||||ADT^A01|M2|P|2.5\r\x1c\r");
    replay_expect_closed(replay, lab, REASON_FACILITY_NOT_LISTED);
    replay_expect_open(replay, quiet);
    assert_false(connection_world_decide(&replay->world, 1));
    replay_drain(replay);
    replay_free(&replay);
}

/* Who goes in between leaves nothing behind. */
static void gone_before_the_decision(void **state)
{
    struct replay *replay = replay_new(PROXIED);
    unsigned first = replay_connect(replay, "10.1.1.1");
    unsigned second = replay_connect(replay, "10.1.1.1");

    (void)state;
    replay_swap(replay, REPLAY_CONFIG("", ""));
    connection_close(replay->clients[first].connection, REASON_SHUTDOWN);
    assert_false(connection_world_decide(&replay->world, 4));
    replay_settle(replay);
    replay_expect_closed(replay, second, REASON_NO_LONGER_ALLOWED);
    first = replay_connect_to(replay, "10.0.0.1");
    replay_swap(replay, REPLAY_CONFIG("", "handshake_timeout_ms = 1000;"));
    replay_drain(replay);
    replay_expect_closed(replay, first, REASON_DRAIN);
    assert_false(connection_world_decide(&replay->world, 4));
    replay_free(&replay);
}

/* Nothing goes to a route any more that has been removed, not even the last message of a connection
 * that is refused from now on: its row would be acknowledged and nobody's. */
static void removed_routes_get_nothing(void **state)
{
    (void)state;
    for (enum situation each = THROTTLED; each <= WAITING; each++) {
        struct replay *replay = replay_new(REPLAY_CONFIG(ONE_A_SECOND, TIGHT));
        unsigned lab = bring_into(replay, each);
        replay_apply(replay, REROUTED);
        finish(replay, lab, each);
        const struct spool_put *put = replay->puts[replay->put_count - 1];
        assert_int_equal(put->target_count, 1);
        assert_string_equal(put->targets[0].route, each == EXCHANGE ? "r" : "other");
        replay_free(&replay);
    }
}

/* A shorter frame deadline holds for frames that are open, too. */
static void shorter_deadline(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", "frame_timeout_ms = 30000;"));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, "\vMSH");
    replay_advance(replay, 2000);
    replay_apply(replay, REPLAY_CONFIG("", "frame_timeout_ms = 5000;"));
    replay_advance(replay, 2999);
    replay_expect_open(replay, lab);
    replay_advance(replay, 1);
    replay_expect_closed(replay, lab, REASON_FRAME_TIMEOUT);
    replay_free(&replay);
}

/* ---- draining ---- */

static void drained(void **state)
{
    (void)state;
    for (enum situation each = IDLE; each < SITUATIONS; each++) {
        struct replay *replay = replay_new(REPLAY_CONFIG(ONE_A_SECOND, TIGHT));
        unsigned lab = bring_into(replay, each);
        replay_drain(replay);
        if (each == IDLE) {
            replay_expect_closed(replay, lab, REASON_DRAIN);
        } else {
            replay_expect_open(replay, lab);
            finish(replay, lab, each); /* also the frame that is open */
            replay_expect_state(replay, lab, CONNECTION_LINGER);
            replay_advance(replay, 2000);
            replay_expect_closed(replay, lab,
                                 each == LINGER ? REASON_FRAME_TOO_LARGE : REASON_DRAIN);
        }
        replay_free(&replay);
    }
}

/* What another try would cure ends at once: the sender's next try finds the next process. */
static void drained_while_unavailable(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, REPLAY_MESSAGE("M1"));
    replay_drain(replay);
    replay_answer(replay, SPOOL_UNAVAILABLE, REASON_SPOOL_FULL);
    replay_expect_closed(replay, lab, REASON_SPOOL_FULL);
    replay_expect_nothing(replay, lab);
    replay_free(&replay);
}

static void drained_in_a_frame_that_comes_to_nothing(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, "\v");
    replay_drain(replay);
    replay_expect_open(replay, lab);
    replay_text(replay, lab, "\x1c\r");
    replay_expect_closed(replay, lab, REASON_DRAIN);
    replay_free(&replay);
}

/* The frame that has begun behind an abandoned one may end as well. */
static void drained_with_an_abandoned_frame(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, "\v" REPLAY_MSH("M1") "\r");
    replay_drain(replay);
    replay_text(replay, lab, REPLAY_MESSAGE("M2"));
    replay_expect_ack(replay, lab, "AE", "M1");
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M2");
    replay_expect_state(replay, lab, CONNECTION_LINGER);
    replay_free(&replay);
}

/* The frame behind the last answer stays unanswered: its sender sends it again. */
static void drained_with_more_to_come(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay_text(replay, lab, REPLAY_MESSAGE("M1") REPLAY_MESSAGE("M2"));
    replay_drain(replay);
    replay_answer(replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(replay, lab, "AA", "M1");
    replay_expect_nothing(replay, lab);
    replay_expect_put(replay, "M1");
    replay_expect_no_put(replay);
    replay_free(&replay);
}

/* ---- PROXY headers ---- */

#define HEADER "PROXY TCP4 10.0.0.7 10.1.1.1 4000 2575\r\n"

static void behind_a_proxy(void **state)
{
    struct replay *replay = replay_new(PROXIED);
    unsigned whole = replay_connect(replay, "10.1.1.1");
    unsigned bytes = replay_connect(replay, "10.1.1.1");
    (void)state;
    replay->automatic = true;
    replay_text(replay, whole, HEADER REPLAY_MESSAGE("M1"));
    replay_expect_ack(replay, whole, "AA", "M1");
    for (const char *at = HEADER REPLAY_MESSAGE("M2"); *at != '\0'; at++) {
        replay_receive(replay, bytes, at, 1);
    }
    replay_expect_ack(replay, bytes, "AA", "M2");
    assert_true(replay->clients[whole].connection->spoke); /* logged as open */
    replay_free(&replay);
}

/* What came in the header's packet counts as bytes like any other. */
static void junk_behind_the_header(void **state)
{
    static const char tls[] = HEADER "\x16\x03\x01";
    struct replay *replay = replay_new(PROXIED);
    unsigned junk = replay_connect(replay, "10.1.1.1");
    unsigned hello = replay_connect(replay, "10.1.1.1");

    (void)state;
    replay_receive(replay, hello, tls, sizeof(tls) - 1);
    replay_expect_closed(replay, hello, REASON_TLS_ON_PLAIN_PORT);
    replay_text(replay, junk, HEADER "GET / HTTP/1.1\r\n");
    replay_advance(replay, 30000);
    replay_expect_closed(replay, junk, REASON_NO_START_BLOCK);
    replay_free(&replay);
}

static void wrong_headers(void **state)
{
    struct replay *replay = replay_new(PROXIED);
    static const struct {
        const char *source, *text;
        enum reason reason;
    } rows[] = {
        {"10.0.0.1", "", REASON_PROXY_NOT_ALLOWED},
        {"10.1.1.1", REPLAY_MESSAGE("M1"), REASON_PROXY_HEADER_MISSING},
        {"10.1.1.1", "PROXY TCP4 nonsense\r\n", REASON_PROXY_HEADER_INVALID},
        {"10.1.1.1", "PROXY UNKNOWN\r\n", REASON_PEER_CLOSED},
        {"10.1.1.1", "PROXY TCP4 192.0.2.1 10.1.1.1 1 2\r\n", REASON_ADDRESS_NOT_LISTED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        unsigned client = replay_connect(replay, rows[i].source);
        if (rows[i].text[0] != '\0') {
            replay_text(replay, client, rows[i].text);
        }
        replay_expect_closed(replay, client, rows[i].reason);
        replay_expect_nothing(replay, client);
    }
    replay_free(&replay);
}

static void headers_that_do_not_come(void **state)
{
    struct replay *replay = replay_new(PROXIED);
    unsigned silent = replay_connect(replay, "10.1.1.1");
    unsigned half = replay_connect(replay, "10.1.1.1");
    unsigned ended = replay_connect(replay, "10.1.1.1");
    char *log;

    (void)state;
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    replay_eof(replay, ended);
    replay_expect_closed(replay, ended, REASON_PEER_CLOSED);
    replay_text(replay, half, "PROXY TCP4");
    replay_advance(replay, 4999);
    replay_expect_state(replay, silent, CONNECTION_PROXY);
    replay_advance(replay, 1);
    replay_expect_closed(replay, silent, REASON_PROXY_HEADER_MISSING);
    replay_expect_closed(replay, half, REASON_PROXY_HEADER_MISSING);
    log = replay_log(replay); /* one line, for the half one: probes make no noise */
    assert_non_null(strstr(log, "event=connection-refused"));
    assert_ptr_equal(strchr(log, '\n'), strrchr(log, '\n'));
    free(log);
    replay_free(&replay);
}

/* The limit for an address is that of the sender behind the proxy. */
static void limits_behind_a_proxy(void **state)
{
    struct replay *replay = replay_new(
        REPLAY_CONFIG("", "proxy_from = [ \"10.1.1.1\" ]; maximum_connections_per_address = 2;"));

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        replay_text(replay, replay_connect(replay, "10.1.1.1"), HEADER);
    }
    replay_expect_open(replay, 1);
    replay_expect_closed(replay, 2, REASON_CONNECTION_LIMIT_ADDRESS);
    replay_free(&replay);
}

/* A source that may claim addresses no longer loses what it has claimed. */
static void a_proxy_that_is_none_any_more(void **state)
{
    struct replay *replay = replay_new(PROXIED);
    unsigned open = replay_connect(replay, "10.1.1.1");
    unsigned waiting = replay_connect(replay, "10.1.1.1");

    (void)state;
    replay_text(replay, open, HEADER);
    replay_apply(replay, PROXIED);
    replay_expect_state(replay, open, CONNECTION_OPEN);
    replay_expect_state(replay, waiting, CONNECTION_PROXY);
    replay_apply(replay, REPLAY_CONFIG("", "proxy_from = [ \"10.2.2.2\" ];"));
    replay_expect_closed(replay, open, REASON_NO_LONGER_ALLOWED);
    replay_expect_closed(replay, waiting, REASON_NO_LONGER_ALLOWED);
    replay_free(&replay);
}

/* ---- memory ---- */

#define MEGABYTES_2 "maximum_buffered_bytes = 2097152;"
#define SMALL_MEMORY                                                                               \
    REPLAY_CONFIG_WITH(MEGABYTES_2, "",                                                            \
                       "frame_timeout_ms = 600000; maximum_frame_bytes = 2097152;", "")

static void send_much(struct replay *replay, unsigned client, size_t bytes)
{
    char *filler = malloc(bytes);

    assert_non_null(filler);
    memset(filler, 'x', bytes);
    replay_receive(replay, client, filler, bytes);
    free(filler);
}

static void newest_readers_pause(void **state)
{
    struct replay *replay = replay_new(SMALL_MEMORY);
    unsigned oldest = replay_connect(replay, "10.0.0.1");
    unsigned newer = replay_connect(replay, "10.0.0.2");
    size_t left;

    (void)state;
    replay->automatic = true;
    replay_text(replay, oldest, "\v" REPLAY_MSH("M1") "\rOBX|");
    replay_text(replay, newer, "\v" REPLAY_MSH("M2") "\rOBX|");
    send_much(replay, newer, 1900000);
    send_much(replay, oldest, 400000);
    assert_false(limits_buffered_ok(replay->world.limits, 2097152));
    send_much(replay, newer, 100000); /* over it: left in the socket */
    left = replay->clients[newer].in.length;
    assert_true(left >= 100000);
    assert_int_equal(replay->clients[newer].watched, 0);
    send_much(replay, oldest, 1500000); /* goes on, and ends */
    replay_text(replay, oldest, "\r\x1c\r");
    replay_expect_ack(replay, oldest, "AA", "M1");
    assert_int_equal(replay->clients[newer].in.length, left);
    replay_advance(replay, 25); /* now it is the oldest */
    assert_int_equal(replay->clients[newer].in.length, 0);
    replay_text(replay, newer, "\r\x1c\r");
    replay_advance(replay, 25);
    replay_expect_ack(replay, newer, "AA", "M2");
    assert_int_equal(limits_buffered_bytes(replay->world.limits), 0);
    replay_free(&replay);
}

/* A paused connection's deadline runs on: memory is given back at last. */
static void paused_frames_time_out(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG_WITH(
        MEGABYTES_2, "", "frame_timeout_ms = 5000; maximum_frame_bytes = 2097152;", ""));
    unsigned oldest = replay_connect(replay, "10.0.0.1");
    unsigned newer = replay_connect(replay, "10.0.0.2");

    (void)state;
    replay_text(replay, oldest, "\v");
    replay_text(replay, newer, "\v");
    send_much(replay, newer, 1900000);
    send_much(replay, oldest, 400000);
    send_much(replay, newer, 100000);
    assert_true(replay->clients[newer].in.length >= 100000);
    replay_advance(replay, 5000);
    replay_expect_closed(replay, oldest, REASON_FRAME_TIMEOUT);
    replay_expect_closed(replay, newer, REASON_FRAME_TIMEOUT);
    assert_int_equal(limits_buffered_bytes(replay->world.limits), 0);
    replay_free(&replay);
}

/* One that lingers holds no place among the open frames, and no memory. */
static void lingering_holds_nothing_back(void **state)
{
    struct replay *replay = replay_new(SMALL_MEMORY);
    unsigned lab = replay_connect(replay, "10.0.0.1");

    (void)state;
    replay->automatic = true;
    replay->clients[lab].window = 3;
    replay_text(replay, lab, "\v" REPLAY_MSH("M1") "\r\v" REPLAY_MSH("M2") "\rOBX|");
    replay_expect_state(replay, lab, CONNECTION_WRITING); /* the AE, inside the second frame */
    replay_drain(replay);
    replay_window(replay, lab, SIZE_MAX);
    replay_expect_ack(replay, lab, "AE", "M1");
    replay_expect_state(replay, lab, CONNECTION_LINGER);
    assert_true(list_empty(&replay->world.frames));
    assert_int_equal(limits_buffered_bytes(replay->world.limits), 0);
    replay_free(&replay);
}

/* One sender with much to say gives the others a turn. */
static void gives_others_a_turn(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    struct replay_client *client = &replay->clients[lab];
    char *filler = calloc(1, 1500000);

    (void)state;
    assert_non_null(filler);
    assert_int_equal(buffer_append_byte(&client->in, MLLP_VT), 0);
    assert_int_equal(buffer_append(&client->in, filler, 1500000), 0);
    free(filler);
    connection_ready(client->connection, CONNECTION_READABLE);
    assert_true(client->again);
    assert_true(client->in.length > 900000);
    replay_settle(replay);
    assert_int_equal(client->in.length, 0);
    replay_free(&replay);
}

/* What is counted is what a sender puts on the wire: tiny TLS records are mostly something else. */
static void tiny_records_cost_what_is_around_them(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    struct replay_client *client = &replay->clients[lab];
    size_t messages = 0;

    (void)state;
    client->chunk = 1;
    client->around = 22;
    client->holds = true;
    while (messages++ < 5000) {
        assert_int_equal(buffer_append_string(&client->in, "0123456789"), 0);
    }
    connection_ready(client->connection, CONNECTION_READABLE);
    assert_true(client->again);
    assert_in_range(client->received, 1, (512 << 10) + 23);
    assert_int_equal(client->in.length, 50000 - client->received / 23);
    replay_settle(replay);
    assert_int_equal(client->in.length, 0);
    replay_free(&replay);
}

/* Records without data may use up a go; what was read ahead of the next ones is not in the socket. */
static void what_is_held_inside_is_come_back_for(void **state)
{
    struct replay *replay = replay_new(REPLAY_CONFIG("", ""));
    unsigned lab = replay_connect(replay, "10.0.0.1");
    struct replay_client *client = &replay->clients[lab];

    (void)state;
    replay->automatic = true;
    client->holds = true;
    client->empty_reads = 1;
    assert_int_equal(buffer_append_string(&client->in, REPLAY_MESSAGE("M1")), 0);
    connection_ready(client->connection, CONNECTION_READABLE);
    assert_true(client->again);
    client->watched = 0; /* the socket stays quiet */
    replay_settle(replay);
    replay_expect_ack(replay, lab, "AA", "M1");
    replay_free(&replay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(still_allowed),
        cmocka_unit_test(no_longer_allowed),
        cmocka_unit_test(a_few_a_turn),
        cmocka_unit_test(decided_before_anything_else),
        cmocka_unit_test(new_settings_before_anything_else),
        cmocka_unit_test(gone_before_the_decision),
        cmocka_unit_test(removed_routes_get_nothing),
        cmocka_unit_test(shorter_deadline),
        cmocka_unit_test(drained),
        cmocka_unit_test(drained_while_unavailable),
        cmocka_unit_test(drained_in_a_frame_that_comes_to_nothing),
        cmocka_unit_test(drained_with_an_abandoned_frame),
        cmocka_unit_test(drained_with_more_to_come),
        cmocka_unit_test(behind_a_proxy),
        cmocka_unit_test(junk_behind_the_header),
        cmocka_unit_test(wrong_headers),
        cmocka_unit_test(headers_that_do_not_come),
        cmocka_unit_test(limits_behind_a_proxy),
        cmocka_unit_test(a_proxy_that_is_none_any_more),
        cmocka_unit_test(newest_readers_pause),
        cmocka_unit_test(paused_frames_time_out),
        cmocka_unit_test(lingering_holds_nothing_back),
        cmocka_unit_test(gives_others_a_turn),
        cmocka_unit_test(tiny_records_cost_what_is_around_them),
        cmocka_unit_test(what_is_held_inside_is_come_back_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
