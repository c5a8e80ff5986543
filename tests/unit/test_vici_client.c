/* links: vpn */
/* What the scripts of tests/replay/test_vici_client.c don't show: bounds, back-off, partial writes, secrets. */
#include "vpn/vici_client.h"

#include "support/vici_case.h"

#include <errno.h>
#include <stdint.h>

struct world {
    struct vici_client *client;
    unsigned connected, lost, answers, unknown;
};

static void on_connected(void *context)
{
    ((struct world *)context)->connected++;
}

static void on_lost(void *context, const char *reason)
{
    (void)reason;
    ((struct world *)context)->lost++;
}

static void on_event(void *context, const char *name, struct vici_text message)
{
    (void)context;
    (void)name;
    (void)message;
}

static void on_event_missing(void *context, const char *name)
{
    (void)context;
    (void)name;
}

static void on_done(void *context, enum vici_outcome outcome, struct vici_text message)
{
    struct world *world = context;

    (void)message;
    world->answers += outcome == VICI_OUTCOME_ANSWER;
    world->unknown += outcome == VICI_OUTCOME_LOST;
}

static void start(struct world *world, uint64_t seed)
{
    const struct vici_client_settings settings = {.register_timeout_ms = 1000, .seed = seed};
    const struct vici_client_handlers handlers = {on_connected, on_lost, on_event,
                                                  on_event_missing};

    *world = (struct world){0};
    world->client = vici_client_new(&settings, &handlers, world, 0);
    assert_non_null(world->client);
    vici_client_tick(world->client, 0);
    assert_int_equal(vici_client_state(world->client), VICI_CLIENT_DIALING);
}

/* How long it waits after a loss; leaves it dialing. */
static int64_t wait_of(struct world *world, int64_t *now_ms)
{
    int64_t due = vici_client_deadline_ms(world->client), wait = due - *now_ms;

    assert_int_equal(vici_client_state(world->client), VICI_CLIENT_WAITING);
    vici_client_tick(world->client, due - 1);
    assert_int_equal(vici_client_state(world->client), VICI_CLIENT_WAITING);
    *now_ms = due;
    vici_client_tick(world->client, due);
    assert_int_equal(vici_client_state(world->client), VICI_CLIENT_DIALING);
    return wait;
}

static void test_backoff(void **state)
{
    static const int64_t longest[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
    unsigned different = 0;
    int64_t first_of_all = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct world world;
        int64_t now_ms = 0;
        start(&world, seed * UINT64_C(0x9e3779b97f4a7c15));
        for (size_t i = 0; i < sizeof longest / sizeof longest[0]; i++) {
            vici_client_lost(world.client, now_ms, "refused");
            int64_t wait = wait_of(&world, &now_ms);
            assert_in_range(wait, longest[i] / 2, longest[i]);
            if (i == 5) {
                different += wait != first_of_all;
                first_of_all = wait;
            }
        }
        assert_int_equal(world.lost, 8);
        vici_client_free(&world.client);
    }
    assert_in_range(different, 45, 50); /* there is chance in it */
}

static void test_backoff_begins_anew_with_an_answer_not_with_a_connection(void **state)
{
    static const char answer[] = "\0\0\0\x01\x01";
    struct world world;
    int64_t now_ms = 0;

    (void)state;
    start(&world, 3);
    for (unsigned i = 0; i < 6; i++) {
        vici_client_connected(world.client, now_ms); /* a stopped charon accepts too */
        assert_int_equal(
            vici_client_request(world.client, now_ms, "version", NULL, 1000, on_done, &world), 0);
        vici_client_lost(world.client, now_ms, "no answer");
        wait_of(&world, &now_ms);
    }
    vici_client_lost(world.client, now_ms, "refused");
    assert_in_range(wait_of(&world, &now_ms), 15000, 30000);
    vici_client_connected(world.client, now_ms);
    assert_int_equal(
        vici_client_request(world.client, now_ms, "version", NULL, 1000, on_done, &world), 0);
    vici_client_feed(world.client, now_ms, answer, sizeof answer - 1);
    assert_int_equal(world.answers, 1);
    assert_int_equal(world.unknown, 6);
    vici_client_lost(world.client, now_ms, "broke");
    assert_in_range(wait_of(&world, &now_ms), 500, 1000);
    vici_client_free(&world.client);
}

static void test_partial_writes(void **state)
{
    struct world world;
    struct octets all;
    size_t length, piece = 1;

    (void)state;
    octets_init(&all, 10000);
    start(&world, 1);
    vici_client_connected(world.client, 0);
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%03u", i);
        assert_int_equal(vici_client_request(world.client, 0, name, NULL, 1000, on_done, &world),
                         0);
        /* Slower than it comes, in odd pieces. */
        const void *data = vici_client_output(world.client, &length);
        piece = piece % 13 + 1;
        size_t some = piece < length ? piece : length;
        assert_int_equal(octets_append(&all, data, some), 0);
        vici_client_wrote(world.client, some);
    }
    const void *data = vici_client_output(world.client, &length);
    assert_true(length > 0);
    assert_int_equal(octets_append(&all, data, length), 0);
    vici_client_wrote(world.client, length);
    assert_null(vici_client_output(world.client, &length));
    assert_int_equal(length, 0);
    vici_client_wrote(world.client, 0);

    assert_int_equal(all.length, 100 * 10);
    for (unsigned i = 0; i < 100; i++) {
        char packet[16];
        snprintf(packet, sizeof packet, "c%03u", i);
        assert_memory_equal(all.data + 10 * (size_t)i, "\0\0\0\x06\0\x04", 6);
        assert_memory_equal(all.data + 10 * (size_t)i + 6, packet, 4);
    }
    octets_free(&all);
    vici_client_free(&world.client);
}

static void test_requests_are_bounded(void **state)
{
    struct world world;
    unsigned sent = 0;
    int error;

    (void)state;
    start(&world, 1);
    assert_int_equal(vici_client_request(world.client, 0, "x", NULL, 1000, on_done, &world),
                     -ENOTCONN);
    vici_client_connected(world.client, 0);
    while ((error = vici_client_request(world.client, 0, "x", NULL, 1000, on_done, &world)) == 0)
        sent++;
    assert_int_equal(error, -ENOBUFS);
    assert_in_range(sent, VICI_CLIENT_REQUESTS_MAXIMUM - 2, VICI_CLIENT_REQUESTS_MAXIMUM);
    vici_client_lost(world.client, 0, "x");
    assert_int_equal(world.unknown, sent);
    vici_client_free(&world.client);
}

static void test_output_is_bounded(void **state)
{
    static char value[65535];
    struct vici_builder message;
    struct world world;
    size_t length;
    unsigned sent = 0;
    int error;

    (void)state;
    vici_builder_init(&message);
    for (unsigned i = 0; i < 7; i++)
        vici_builder_value(&message, "v", value, sizeof value);
    start(&world, 1);
    vici_client_connected(world.client, 0);
    while ((error = vici_client_request(world.client, 0, "x", &message, 1000, on_done, &world)) ==
           0)
        sent++;
    assert_int_equal(error, -ENOBUFS);
    assert_in_range(sent, 15, 19);
    vici_client_output(world.client, &length);
    assert_true(length <= VICI_CLIENT_OUTPUT_MAXIMUM);
    /* When it has been written there is room again. */
    vici_client_wrote(world.client, length);
    assert_int_equal(vici_client_request(world.client, 0, "x", &message, 1000, on_done, &world), 0);
    vici_client_free(&world.client);
    vici_builder_free(&message);
}

static void test_a_bad_message_is_not_sent(void **state)
{
    struct vici_builder message;
    struct world world;
    size_t length;
    char name[300];

    (void)state;
    memset(name, 'n', sizeof name);
    name[299] = '\0';
    start(&world, 1);
    vici_client_connected(world.client, 0);
    vici_builder_init(&message);
    vici_builder_section_start(&message, "open");
    assert_int_equal(vici_client_request(world.client, 0, "x", &message, 1000, on_done, &world),
                     -EINVAL);
    assert_int_equal(
        vici_client_stream(world.client, 0, "x", &message, 1000, "e", NULL, on_done, &world),
        -EINVAL);
    assert_int_equal(vici_client_request(world.client, 0, name, NULL, 1000, on_done, &world),
                     -EMSGSIZE);
    assert_int_equal(
        vici_client_stream(world.client, 0, "x", NULL, 1000, name, NULL, on_done, &world),
        -EMSGSIZE);
    vici_client_output(world.client, &length);
    assert_int_equal(length, 0);
    assert_int_equal(vici_client_deadline_ms(world.client), -1);
    vici_builder_free(&message);
    vici_client_free(&world.client);
    vici_client_free(&world.client);
}

static void test_what_was_written_is_wiped(void **state)
{
    struct vici_builder message = vici_case_build("data=psk-0123456789abcdef");
    struct world world;
    size_t length;

    (void)state;
    start(&world, 1);
    vici_client_connected(world.client, 0);
    assert_int_equal(
        vici_client_request(world.client, 0, "load-shared", &message, 1000, on_done, &world), 0);
    const char *data = vici_client_output(world.client, &length);
    size_t most = length - 8, first = length / 2 - 4; /* less than half: stays where it is */
    assert_non_null(memmem(data, length, "psk-", 4));
    vici_client_wrote(world.client, first);
    for (size_t i = 0; i < first; i++)
        assert_int_equal(data[i], 0);
    vici_client_wrote(world.client, most - first); /* now it moves to the front */
    assert_ptr_equal(vici_client_output(world.client, &length), data);
    assert_memory_equal(data, "89abcdef", 8);
    for (size_t i = 8; i < most; i++)
        assert_int_equal(data[i], 0);
    vici_builder_free(&message);
    vici_client_free(&world.client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_backoff_begins_anew_with_an_answer_not_with_a_connection),
        cmocka_unit_test(test_partial_writes),
        cmocka_unit_test(test_requests_are_bounded),
        cmocka_unit_test(test_output_is_bounded),
        cmocka_unit_test(test_a_bad_message_is_not_sent),
        cmocka_unit_test(test_what_was_written_is_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
