/* links: vpn */
/* wrap: malloc calloc reallocarray */
/* Each allocation of vpn/ fails once, then the whole is run again: an error or a smaller picture comes of
 * it, never a crash, a leak or a half-written request. */
#include "support/vici_case.h"
#include "vpn/tunnels.h"
#include "vpn/vici_client.h"

#include <errno.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);

static long left = -1; /* allocations until one fails; -1: none fails */

static bool fails(void)
{
    return left >= 0 && left-- == 0;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    return fails() ? NULL : __real_reallocarray(memory, count, size);
}

/* Runs step() with the first, second, third... allocation failing, until one run has no failure. */
static unsigned each_allocation(bool (*step)(void))
{
    unsigned failures = 0;

    for (long n = 0; n < 1000; n++) {
        left = n;
        bool well = step();
        bool failed = left < 0;
        left = -1;
        if (!failed) {
            assert_true(well);
            return failures;
        }
        failures++;
    }
    fail_msg("never ran through");
    return 0;
}

static const char message_text[] =
    "up=yes mllpgw-site{ uniqueid=1 state=ESTABLISHED child-sas{ "
    "a{ name=mllpgw-site uniqueid=1 state=INSTALLED local-ts[ 10.0.0.0/8 11.0.0.0/8 ] "
    "remote-ts[ 12.0.0.0/8 ] } b{ name=mllpgw-site uniqueid=2 state=INSTALLED } } } "
    "other{ uniqueid=2 }";
static struct vici_builder message;

static bool read_sas(void)
{
    struct sa_message sas = {.count = 77};
    int error = sa_message_read(vici_case_text(&message), &sas);

    if (error != 0) {
        assert_int_equal(error, -ENOMEM);
        assert_int_equal(sas.count, 77);
        return false;
    }
    assert_int_equal(sas.count, 2);
    sa_message_free(&sas);
    return true;
}

static bool follow_tunnels(void)
{
    const struct selector wide = {.last = {255}, .port_last = 65535};
    const struct tunnel_wanted wanted = {.name = "site", .local = &wide, .local_count = 1};
    struct tunnels *tunnels = tunnels_new(NULL, NULL);
    bool well = tunnels != NULL && tunnels_configure(tunnels, 0, &wanted, 1) == 0;

    if (well) {
        int error = tunnels_take(tunnels, 0, "child-updown", vici_case_text(&message));
        well = error == 0;
        assert_true(error == 0 || error == -ENOMEM);
        /* What is missing comes with the next listing. */
        tunnels_begin_listing(tunnels);
        if (tunnels_take(tunnels, 0, "list-sa", vici_case_text(&message)) == 0)
            assert_int_equal(tunnels_at(tunnels, 0)->state, TUNNEL_UP);
        tunnels_end_listing(tunnels, 0, true);
    }
    tunnels_free(&tunnels);
    return well;
}

static void on_connected(void *context)
{
    (void)context;
}

static void on_lost(void *context, const char *reason)
{
    (void)context;
    (void)reason;
}

static void on_event(void *context, const char *name, struct vici_text text)
{
    (void)context;
    (void)name;
    (void)text;
}

static void on_event_missing(void *context, const char *name)
{
    (void)context;
    (void)name;
}

static void on_item(void *context, struct vici_text text)
{
    (void)context;
    (void)text;
}

static void on_done(void *context, enum vici_outcome outcome, struct vici_text text)
{
    (void)outcome;
    (void)text;
    ++*(unsigned *)context;
}

/* Only whole packets, and as many as requests wait. */
static void expect_whole(const struct vici_client *client, unsigned most)
{
    struct vici_packets packets;
    struct vici_packet packet;
    size_t length, used;
    unsigned count = 0;
    long kept = left;
    const char *data = vici_client_output(client, &length);

    left = -1;
    vici_packets_init(&packets);
    for (; length > 0; data += used, length -= used, count++)
        assert_int_equal(vici_packets_feed(&packets, data, length, &used, &packet), VICI_COMPLETE);
    vici_packets_free(&packets);
    left = kept;
    assert_in_range(count, 0, most);
}

static bool talk(void)
{
    static const char *const events[] = {"ike-updown"};
    const struct vici_client_settings settings = {
        .events = events, .event_count = 1, .register_timeout_ms = 1000, .seed = 1};
    const struct vici_client_handlers handlers = {on_connected, on_lost, on_event,
                                                  on_event_missing};
    unsigned done = 0, asked = 0;
    struct vici_client *client = vici_client_new(&settings, &handlers, NULL, 0);
    bool well = client != NULL;

    if (client == NULL)
        return false;
    vici_client_tick(client, 0);
    vici_client_connected(client, 0);
    asked += vici_client_request(client, 0, "version", &message, 1000, on_done, &done) == 0;
    asked += vici_client_stream(client, 0, "list-sas", NULL, 1000, "list-sa", on_item, on_done,
                                &done) == 0;
    expect_whole(client, 4);
    vici_client_feed(client, 0, "\0\0\0\x01\x05", 5);
    vici_client_lost(client, 0, "end");
    assert_int_equal(done, asked);
    well = asked == 2;
    vici_client_free(&client);
    return well;
}

static bool build(void)
{
    static char value[1000];
    struct vici_builder builder;
    int error;

    vici_builder_init(&builder);
    vici_builder_text(&builder, "a", "b");
    vici_builder_value(&builder, "c", value, sizeof value);
    error = vici_builder_finish(&builder);
    assert_true(error == 0 || error == -ENOMEM);
    vici_builder_free(&builder);
    return error == 0;
}

static void test_sas(void **state)
{
    (void)state;
    assert_in_range(each_allocation(read_sas), 5, 100);
}

static void test_tunnels(void **state)
{
    (void)state;
    assert_in_range(each_allocation(follow_tunnels), 10, 100);
}

static void test_client(void **state)
{
    (void)state;
    assert_in_range(each_allocation(talk), 6, 100);
}

static void test_builder(void **state)
{
    (void)state;
    assert_in_range(each_allocation(build), 2, 10);
}

static int set_up(void **state)
{
    (void)state;
    message = vici_case_build(message_text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vici_builder_free(&message);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sas),
        cmocka_unit_test(test_tunnels),
        cmocka_unit_test(test_client),
        cmocka_unit_test(test_builder),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
