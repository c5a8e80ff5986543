/* links: vpn */
/* Scripts: what charon, the socket and the clock do, and indented, what the client does about it.
 *
 *   at MS                      the clock; ticks
 *   dialed                     the socket is connected
 *   broken                     the socket broke
 *   ask COMMAND MS             a request with that time-out
 *   list COMMAND EVENT MS      a streaming request
 *   < response|event NAME|... TEXT     a packet from charon
 *   raw HEX                    bytes from charon
 */
#include "vpn/vici_client.h"

#include "support/vici_case.h"

#include <stdint.h>

#define LOG_BYTES 4096

struct play {
    struct vici_client *client;
    int64_t now_ms;
    enum vici_client_state state;
    char log[LOG_BYTES];
    size_t used;
    struct vici_packets sent;
    const char *ask_again; /* a command to be asked in the next done() */
};

static const char *const followed[] = {"ike-updown", "child-updown", "alert"};

__attribute__((format(printf, 2, 3))) static void say(struct play *play, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    play->used +=
        (size_t)vsnprintf(play->log + play->used, LOG_BYTES - play->used, format, arguments);
    va_end(arguments);
    assert_true(play->used < LOG_BYTES);
}

static void say_message(struct play *play, struct vici_text message)
{
    struct vici_element e;
    struct vici_reader reader;

    vici_reader_init(&reader, message);
    while (vici_reader_next(&reader, &e) == VICI_COMPLETE && e.type != VICI_MESSAGE_END) {
        if (e.type == VICI_KEY_VALUE)
            say(play, " %.*s=%.*s", (int)e.name.length, e.name.data, (int)e.value.length,
                e.value.data);
    }
    say(play, "\n");
}

/* --- the client's callbacks --------------------------------------------------------------- */

static void on_connected(void *context)
{
    say(context, "connected\n");
}

static void on_lost(void *context, const char *reason)
{
    say(context, "lost: %s\n", reason);
}

static void on_event(void *context, const char *name, struct vici_text message)
{
    say(context, "event %s", name);
    say_message(context, message);
}

static void on_event_missing(void *context, const char *name)
{
    say(context, "no event %s\n", name);
}

static void on_item(void *context, struct vici_text message)
{
    say(context, "item");
    say_message(context, message);
}

static void on_done(void *context, enum vici_outcome outcome, struct vici_text message)
{
    static const char *const words[] = {"answer", "unknown command", "outcome unknown"};
    struct play *play = context;

    say(play, "%s", words[outcome]);
    say_message(play, message);
    if (play->ask_again != NULL) {
        int error = vici_client_request(play->client, play->now_ms, play->ask_again, NULL, 1000,
                                        on_done, play);
        say(play, "asked again: %s\n", error == 0 ? "sent" : strerror(-error));
        play->ask_again = NULL;
    }
}

/* --- the script --------------------------------------------------------------------------- */

/* What the client wrote, a line for each packet. */
static void say_output(struct play *play)
{
    static const char *const words[] = {"request", "", "", "register"};
    const void *data;
    size_t length, used;

    while ((data = vici_client_output(play->client, &length), length > 0)) {
        struct vici_packet packet;
        if (vici_packets_feed(&play->sent, data, length, &used, &packet) == VICI_COMPLETE) {
            say(play, "> %s %.*s", words[packet.type], (int)packet.name.length, packet.name.data);
            say_message(play, packet.message);
        }
        vici_client_wrote(play->client, used);
    }
}

static void charon_sends(struct play *play, const char *what)
{
    static const char *const words[] = {"request",    "response", "unknown-command", "register",
                                        "unregister", "confirm",  "unknown-event",   "event"};
    char kind[32] = "", name[64] = "";
    struct vici_builder message;
    struct octets out;
    int used = 0;
    enum vici_type type = VICI_CMD_REQUEST;

    sscanf(what, "%31s%n", kind, &used);
    while (strcmp(words[type], kind) != 0)
        assert_true(type++ < VICI_EVENT);
    what += used;
    if (type == VICI_EVENT || type == VICI_CMD_REQUEST || type == VICI_EVENT_REGISTER) {
        sscanf(what, "%63s%n", name, &used);
        what += used;
    }
    octets_init(&out, 100000);
    message = vici_case_build(what);
    assert_int_equal(vici_packet_write(&out, type, name[0] != '\0' ? name : NULL,
                                       message.bytes.length > 0 ? &message : NULL),
                     0);
    vici_client_feed(play->client, play->now_ms, out.data, out.length);
    vici_builder_free(&message);
    octets_free(&out);
}

static void charon_sends_raw(struct play *play, const char *hex)
{
    unsigned byte;

    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
        uint8_t one = (uint8_t)byte;
        vici_client_feed(play->client, play->now_ms, &one, 1);
    }
}

static void ask(struct play *play, const char *line)
{
    char command[64], event[64];
    int timeout_ms, error;

    if (sscanf(line, "ask %63s %d", command, &timeout_ms) == 2) {
        error = vici_client_request(play->client, play->now_ms, command, NULL, timeout_ms, on_done,
                                    play);
    } else {
        assert_int_equal(sscanf(line, "list %63s %63s %d", command, event, &timeout_ms), 3);
        error = vici_client_stream(play->client, play->now_ms, command, NULL, timeout_ms, event,
                                   on_item, on_done, play);
    }
    if (error != 0)
        say(play, "refused: %s\n", strerror(-error));
}

static void step(struct play *play, const char *line)
{
    long number;

    if (sscanf(line, "at %ld", &number) == 1) {
        play->now_ms = number;
        vici_client_tick(play->client, number);
    } else if (strcmp(line, "dialed") == 0) {
        vici_client_connected(play->client, play->now_ms);
    } else if (strcmp(line, "broken") == 0) {
        vici_client_lost(play->client, play->now_ms, "the socket broke");
    } else if (strncmp(line, "again ", 6) == 0) {
        play->ask_again = line + 6;
    } else if (strncmp(line, "< ", 2) == 0) {
        charon_sends(play, line + 2);
    } else if (strncmp(line, "raw ", 4) == 0) {
        charon_sends_raw(play, line + 4);
    } else {
        ask(play, line);
    }
    say_output(play);
    if (vici_client_state(play->client) != play->state) {
        play->state = vici_client_state(play->client);
        if (play->state == VICI_CLIENT_DIALING)
            say(play, "dialing\n");
    }
}

/* A line that doesn't begin with spaces is a step; the indented ones behind it are what comes of it. */
static void play_script(const char *script)
{
    const struct vici_client_settings settings = {
        .events = followed, .event_count = 3, .register_timeout_ms = 3000, .seed = 7};
    const struct vici_client_handlers handlers = {on_connected, on_lost, on_event,
                                                  on_event_missing};
    struct play play = {0};
    char *copy = strdup(script), *rest = NULL, expected[LOG_BYTES] = "";
    size_t used = 0;

    vici_packets_init(&play.sent);
    play.client = vici_client_new(&settings, &handlers, &play, 0);
    assert_non_null(play.client);
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] == ' ') {
            used += (size_t)snprintf(expected + used, sizeof expected - used, "%s\n",
                                     line + strspn(line, " "));
            continue;
        }
        assert_string_equal(play.log, expected);
        play.log[0] = expected[0] = '\0';
        play.used = used = 0;
        step(&play, line);
    }
    assert_string_equal(play.log, expected);
    vici_client_free(&play.client);
    vici_packets_free(&play.sent);
    free(copy);
}

#define UP                                                                                          \
    "at 0\n  dialing\n"                                                                             \
    "dialed\n  connected\n  > register ike-updown\n  > register child-updown\n  > register alert\n" \
    "< confirm\n< confirm\n"                                                                        \
    "< unknown-event\n  no event alert\n"

static void test_events_first_then_answers_in_order(void **state)
{
    (void)state;
    play_script(UP "ask version 1000\n  > request version\n"
                   "ask stats 1000\n  > request stats\n"
                   "< event ike-updown up=yes\n  event ike-updown up=yes\n"
                   "< response version=5.9.8\n  answer version=5.9.8\n"
                   "ask get-conns 1000\n  > request get-conns\n"
                   "< unknown-command\n  unknown command\n"
                   "< event child-updown\n  event child-updown\n"
                   "< response n=1\n  answer n=1\n");
}

static void test_requests_may_be_sent_before_the_events_are_confirmed(void **state)
{
    (void)state;
    play_script("at 0\n  dialing\n"
                "dialed\n  connected\n  > register ike-updown\n  > register child-updown\n"
                "  > register alert\n"
                "list list-sas list-sa 1000\n  > register list-sa\n  > request list-sas\n"
                "< confirm\n"
                /* charon raises events from other threads: the confirmation may come behind one */
                "< event child-updown up=yes\n  event child-updown up=yes\n"
                "< confirm\n< confirm\n< confirm\n"
                "< event list-sa uniqueid=1\n  item uniqueid=1\n"
                "< event alert type=x\n  event alert type=x\n"
                "< event list-sa uniqueid=2\n  item uniqueid=2\n"
                "< response\n  answer\n");
}

static void test_a_stream_is_registered_once_and_belongs_to_its_command(void **state)
{
    (void)state;
    play_script(UP "list list-sas list-sa 1000\n  > register list-sa\n  > request list-sas\n"
                   "list list-sas list-sa 1000\n  > request list-sas\n"
                   "list list-conns list-conn 1000\n  > register list-conn\n"
                   "  > request list-conns\n"
                   "< confirm\n"
                   "< event list-sa n=1\n  item n=1\n"
                   "< response\n  answer\n"
                   "< event list-sa n=2\n  item n=2\n"
                   "< response\n  answer\n"
                   "< confirm\n"
                   "< event list-conn n=3\n  item n=3\n"
                   /* not the head's */
                   "< event list-sa n=4\n  outcome unknown\n"
                   "  lost: charon sent an item of a list that was not asked for\n");
}

static void test_items_without_a_command_lose_the_connection(void **state)
{
    (void)state;
    play_script(UP "list list-sas list-sa 1000\n  > register list-sa\n  > request list-sas\n"
                   "< confirm\n"
                   "< response\n  answer\n"
                   "< event list-sa n=1\n"
                   "  lost: charon sent an item of a list that was not asked for\n");
}

static void test_each_request_has_its_own_timer_from_when_it_is_first(void **state)
{
    (void)state;
    play_script(UP "ask initiate 5000\n  > request initiate\n"
                   "ask version 1000\n  > request version\n"
                   "at 4999\n"
                   "< response success=yes\n  answer success=yes\n"
                   /* version's 1000 ms begin now */
                   "at 5998\n"
                   "< response version=6\n  answer version=6\n"
                   "ask a 2000\n  > request a\n"
                   "ask b 100\n  > request b\n"
                   "at 7000\n"
                   "< response\n  answer\n"
                   "at 7099\n"
                   "< response\n  answer\n"
                   "at 99999\n" /* nothing is waited for */
                   "ask version 1000\n  > request version\n"
                   "ask stats 500\n  > request stats\n"
                   "at 100998\n"
                   "at 100999\n  outcome unknown\n  outcome unknown\n"
                   "  lost: charon did not answer in time\n");
}

static void test_the_timer_of_one_that_becomes_first(void **state)
{
    (void)state;
    play_script(UP "ask a 2000\n  > request a\n"
                   "ask b 100\n  > request b\n"
                   "at 1500\n"
                   "< response\n  answer\n"
                   "at 1599\n"
                   "at 1600\n  outcome unknown\n  lost: charon did not answer in time\n");
}

static void test_a_stopped_charon_that_accepts(void **state)
{
    (void)state;
    play_script("at 0\n  dialing\n"
                "dialed\n  connected\n  > register ike-updown\n  > register child-updown\n"
                "  > register alert\n"
                "ask version 1000\n  > request version\n"
                "at 2999\n"
                "at 3000\n  outcome unknown\n  lost: charon did not answer in time\n"
                "ask version 1000\n  refused: Transport endpoint is not connected\n"
                "at 4000\n  dialing\n"
                "ask version 1000\n  refused: Transport endpoint is not connected\n"
                "at 9000\n  lost: charon's socket does not accept connections\n"
                "at 11000\n  dialing\n"
                "dialed\n  connected\n  > register ike-updown\n  > register child-updown\n"
                "  > register alert\n");
}

static void test_loss_and_what_comes_after(void **state)
{
    (void)state;
    play_script(UP
                "ask a 1000\n  > request a\n"
                "list list-sas list-sa 1000\n  > register list-sa\n  > request list-sas\n"
                "again b\n"
                "broken\n  outcome unknown\n"
                "  asked again: Transport endpoint is not connected\n"
                "  outcome unknown\n  lost: the socket broke\n"
                "broken\n"         /* once is enough */
                "< response n=1\n" /* late bytes of the old connection */
                "dialed\n"         /* nobody dialed */
                "at 1001\n  dialing\n"
                /* Half a packet of the old connection does not matter, registrations begin anew. */
                "dialed\n  connected\n  > register ike-updown\n  > register child-updown\n"
                "  > register alert\n"
                "< confirm\n< confirm\n< confirm\n"
                "list list-sas list-sa 1000\n  > register list-sa\n  > request list-sas\n");
}

static void test_half_a_packet_does_not_reach_the_next_connection(void **state)
{
    (void)state;
    play_script(UP "raw 0000\n"
                   "broken\n  lost: the socket broke\n"
                   "at 1001\n  dialing\n"
                   "dialed\n  connected\n  > register ike-updown\n  > register child-updown\n"
                   "  > register alert\n"
                   "< confirm\n< confirm\n< confirm\n"
                   "ask version 1000\n  > request version\n"
                   "< response n=1\n  answer n=1\n");
}

static void test_requests_from_callbacks(void **state)
{
    (void)state;
    play_script(UP "ask a 1000\n  > request a\n"
                   "again b\n"
                   "< response n=1\n  answer n=1\n  asked again: sent\n  > request b\n"
                   "< response n=2\n  answer n=2\n");
}

static void test_what_loses_the_connection(void **state)
{
    static const char *const cases[][2] = {
        {"< response\n", "charon sent an answer that was not asked for"},
        {"< unknown-command\n", "charon sent an answer that was not asked for"},
        {"< confirm\n", "charon sent an answer that was not asked for"},
        {"< event ike-rekey\n", "charon sent an event that was not asked for"},
        {"< event alert\n", "charon sent an event that was not asked for"}, /* unknown to it */
        {"< event list-sa\n", "charon sent an event that was not asked for"},
        {"< request version\n", "charon sent a packet that only clients send"},
        {"< register x\n", "charon sent a packet that only clients send"},
        {"raw 00080001\n", "a packet of more than 512 KiB"},
        {"raw 00000000\n", "an empty packet"},
        {"raw 0000000109\n", "a packet of a type that doesn't exist"},
        {"raw 00000002050a\n", "a packet with a message that its type doesn't have"},
        /* event ike-updown with an open section; one with an end too many */
        {"raw 0000000f070a696b652d7570646f776e010161\n", "charon sent a malformed message"},
        {"raw 0000000d070a696b652d7570646f776e02\n", "charon sent a malformed message"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char script[1024];
        snprintf(script, sizeof script, UP "%s  lost: %s\n", cases[i][0], cases[i][1]);
        play_script(script);
    }
}

static void test_answers_of_the_wrong_kind(void **state)
{
    (void)state;
    play_script(UP "ask a 1000\n  > request a\n"
                   "< confirm\n  outcome unknown\n"
                   "  lost: charon answered something other than what was asked\n");
    play_script("at 0\n  dialing\n"
                "dialed\n  connected\n  > register ike-updown\n  > register child-updown\n"
                "  > register alert\n"
                "< response\n  lost: charon answered something other than what was asked\n");
    play_script(UP "ask a 1000\n  > request a\n"
                   "raw 000000060103016b0005\n  outcome unknown\n"
                   "  lost: charon sent a malformed message\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_first_then_answers_in_order),
        cmocka_unit_test(test_requests_may_be_sent_before_the_events_are_confirmed),
        cmocka_unit_test(test_a_stream_is_registered_once_and_belongs_to_its_command),
        cmocka_unit_test(test_items_without_a_command_lose_the_connection),
        cmocka_unit_test(test_each_request_has_its_own_timer_from_when_it_is_first),
        cmocka_unit_test(test_the_timer_of_one_that_becomes_first),
        cmocka_unit_test(test_a_stopped_charon_that_accepts),
        cmocka_unit_test(test_loss_and_what_comes_after),
        cmocka_unit_test(test_half_a_packet_does_not_reach_the_next_connection),
        cmocka_unit_test(test_requests_from_callbacks),
        cmocka_unit_test(test_what_loses_the_connection),
        cmocka_unit_test(test_answers_of_the_wrong_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
