/* links: vpn */
#include "vpn/sa.h"

#include "support/vici_case.h"

#include <errno.h>

static struct sa_message read_text(const char *text)
{
    struct vici_builder builder = vici_case_build(text);
    struct sa_message message;

    assert_int_equal(sa_message_read(vici_case_text(&builder), &message), 0);
    vici_builder_free(&builder);
    return message;
}

static void test_every_field(void **state)
{
    struct sa_message message = read_text(
        "up=yes mllpgw-a{ uniqueid=7 version=2 state=ESTABLISHED local-host=192.0.2.1 "
        "remote-host=192.0.2.2 local-id=h.example remote-id=e.example encr-alg=AES_GCM_16 "
        "encr-keysize=256 prf-alg=PRF_HMAC_SHA2_384 dh-group=ECP_384 ake1=ML_KEM_768 "
        "established=61 rekey-time=100 reauth-time=200 tasks-active[ IKE_DPD ] "
        "tasks-queued[ CHILD_CREATE ] tasks-passive[ IKE_DELETE ] child-sas{ mllpgw-a-3{ name=mllpgw-a uniqueid=3 reqid=1 "
        "spi-in=c0ffee01 state=INSTALLED protocol=ESP encr-alg=AES_CBC encr-keysize=128 "
        "integ-alg=HMAC_SHA2_256_128 dh-group=MODP_2048 bytes-in=10 packets-in=1 use-in=4 "
        "bytes-out=20 packets-out=2 use-out=5 rekey-time=33 life-time=44 install-time=55 "
        "local-ts[ 10.10.0.0/24 10.11.0.0/24 ] remote-ts[ 10.20.0.0/24[tcp/2575] ] } } }");
    const struct sa_ike *ike = &message.ikes[0];
    const struct sa_child *child = &ike->children[0];

    (void)state;
    assert_true(message.up);
    assert_int_equal(message.count, 1);
    assert_string_equal(ike->name, "mllpgw-a");
    assert_int_equal(ike->role, SA_IS);
    assert_int_equal(ike->uniqueid, 7);
    assert_int_equal(ike->version, 2);
    assert_int_equal(ike->state, SA_IKE_ESTABLISHED);
    assert_string_equal(ike->local_host, "192.0.2.1");
    assert_string_equal(ike->remote_host, "192.0.2.2");
    assert_string_equal(ike->local_id, "h.example");
    assert_string_equal(ike->remote_id, "e.example");
    assert_string_equal(ike->cipher, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768");
    assert_int_equal(ike->established_s, 61);
    assert_int_equal(ike->rekey_in_s, 100);
    assert_int_equal(ike->reauth_in_s, 200);
    assert_true(ike->checks_peer);
    assert_true(ike->creates_child);
    assert_true(ike->peer_deletes);
    assert_int_equal(ike->count, 1);
    assert_string_equal(child->name, "mllpgw-a");
    assert_int_equal(child->uniqueid, 3);
    assert_string_equal(child->spi_in, "c0ffee01");
    assert_int_equal(child->state, SA_CHILD_INSTALLED);
    assert_string_equal(child->cipher, "aes128-sha256-modp2048");
    assert_true(child->has_counters);
    assert_int_equal(child->bytes_in, 10);
    assert_int_equal(child->packets_in, 1);
    assert_int_equal(child->use_in_s, 4);
    assert_int_equal(child->bytes_out, 20);
    assert_int_equal(child->packets_out, 2);
    assert_int_equal(child->use_out_s, 5);
    assert_int_equal(child->rekey_in_s, 33);
    assert_int_equal(child->life_in_s, 44);
    assert_int_equal(child->installed_s, 55);
    assert_int_equal(child->local.count, 2);
    assert_int_equal(child->remote.count, 1);
    assert_int_equal(child->remote.items[0].port_first, 2575);
    assert_false(child->local.unreadable || child->remote.unreadable);
    sa_message_free(&message);
}

static void test_every_key_is_optional(void **state)
{
    struct sa_message message =
        read_text("new-key=1 a{ uniqueid=1 fresh{ uniqueid=9 deep{ x=y } l[ 1 2 ] } state=NEW "
                  "child-sas{ c{ uniqueid=2 more{ z=1 } l[ 5 ] } } }");
    const struct sa_ike *ike = &message.ikes[0];

    (void)state;
    assert_int_equal(message.count, 1);
    assert_false(message.up);
    assert_int_equal(ike->uniqueid, 1);
    assert_int_equal(ike->state, SA_IKE_OTHER);
    assert_int_equal(ike->established_s, SA_NOT_SAID);
    assert_int_equal(ike->rekey_in_s, SA_NOT_SAID);
    assert_string_equal(ike->cipher, "");
    assert_int_equal(ike->count, 1);
    assert_string_equal(ike->children[0].name, "c");
    assert_int_equal(ike->children[0].state, SA_CHILD_OTHER);
    assert_int_equal(ike->children[0].use_in_s, SA_NOT_SAID);
    assert_false(ike->children[0].has_counters);
    sa_message_free(&message);
}

static void test_without_uniqueid_left_out(void **state)
{
    struct sa_message message =
        read_text("a{ state=ESTABLISHED child-sas{ c{ uniqueid=2 } } } "
                  "b{ uniqueid=0 } c{ uniqueid=x } "
                  "d{ uniqueid=4 child-sas{ e{ state=INSTALLED local-ts[ 10.0.0.0/8 ] } "
                  "f{ uniqueid=5 } } }");

    (void)state;
    assert_int_equal(message.count, 1);
    assert_string_equal(message.ikes[0].name, "d");
    assert_int_equal(message.ikes[0].count, 1);
    assert_int_equal(message.ikes[0].children[0].uniqueid, 5);
    sa_message_free(&message);
}

static void test_child_rekey(void **state)
{
    struct sa_message message = read_text(
        "site{ uniqueid=1 state=ESTABLISHED child-sas{ site{ "
        "old{ name=site uniqueid=1 state=REKEYED } new{ name=site uniqueid=2 state=INSTALLED } } "
        "} }");
    const struct sa_ike *ike = &message.ikes[0];

    (void)state;
    assert_int_equal(message.count, 1);
    assert_int_equal(ike->count, 2);
    assert_int_equal(ike->children[0].role, SA_OLD);
    assert_int_equal(ike->children[0].uniqueid, 1);
    assert_false(sa_child_is_installed(&ike->children[0]));
    assert_int_equal(ike->children[1].role, SA_NEW);
    assert_int_equal(ike->children[1].uniqueid, 2);
    assert_true(sa_child_is_installed(&ike->children[1]));
    sa_message_free(&message);
}

static void test_ike_rekey(void **state)
{
    struct sa_message message = read_text("site{ old{ uniqueid=1 state=REKEYED } "
                                          "new{ uniqueid=2 state=ESTABLISHED rekey-time=9 } }");

    (void)state;
    assert_int_equal(message.count, 2);
    assert_string_equal(message.ikes[0].name, "site");
    assert_int_equal(message.ikes[0].role, SA_OLD);
    assert_int_equal(message.ikes[0].uniqueid, 1);
    assert_string_equal(message.ikes[1].name, "site");
    assert_int_equal(message.ikes[1].role, SA_NEW);
    assert_int_equal(message.ikes[1].rekey_in_s, 9);
    sa_message_free(&message);
}

static void test_alert(void **state)
{
    struct sa_message message =
        read_text("type=ts-mismatch ike-sa{ site{ uniqueid=3 state=ESTABLISHED } }");

    (void)state;
    assert_string_equal(message.alert, "ts-mismatch");
    assert_int_equal(message.count, 1);
    assert_string_equal(message.ikes[0].name, "site");
    sa_message_free(&message);

    message = read_text("type=shutdown-signal");
    assert_string_equal(message.alert, "shutdown-signal");
    assert_int_equal(message.count, 0);
    sa_message_free(&message);

    /* A connection may be called so, where there is no alert. */
    message = read_text("ike-sa{ uniqueid=3 }");
    assert_string_equal(message.ikes[0].name, "ike-sa");
    sa_message_free(&message);
}

static void test_tasks_mean_what_their_list_says(void **state)
{
    struct sa_message message =
        read_text("a{ uniqueid=1 tasks-active[ IKE_DELETE ] tasks-passive[ IKE_DPD ] "
                  "tasks-queued[ IKE_DELETE IKE_DPD ] other[ CHILD_CREATE ] }");

    (void)state;
    assert_false(message.ikes[0].peer_deletes);
    assert_false(message.ikes[0].checks_peer);
    assert_false(message.ikes[0].creates_child);
    sa_message_free(&message);
}

static void test_ike_update(void **state)
{
    struct sa_message message = read_text("local-host=192.0.2.1 remote-host=192.0.2.9 "
                                          "a{ uniqueid=1 remote-host=192.0.2.2 }");

    (void)state;
    assert_string_equal(message.local_host, "192.0.2.1");
    assert_string_equal(message.remote_host, "192.0.2.9");
    assert_string_equal(message.ikes[0].remote_host, "192.0.2.2");
    sa_message_free(&message);
}

static void test_names_are_never_cut(void **state)
{
    char text[1024], name[SA_NAME_BYTES + 1];
    struct sa_message message;

    (void)state;
    memset(name, 'n', sizeof name);
    name[SA_NAME_BYTES] = '\0'; /* one too many */
    snprintf(text, sizeof text, "%s{ uniqueid=1 } %s{ uniqueid=2 remote-id=%s%s%s }", name,
             name + 1, name, name, name);
    message = read_text(text);
    assert_string_equal(message.ikes[0].name, "");
    assert_string_equal(message.ikes[1].name, name + 1);
    assert_int_equal(strlen(message.ikes[1].remote_id), SA_TEXT_BYTES - 1);
    sa_message_free(&message);
}

static void test_numbers_that_cannot_be(void **state)
{
    struct sa_message message =
        read_text("a{ uniqueid=1 established=-5 rekey-time=99999999999 child-sas{ c{ uniqueid=2 "
                  "bytes-in=99999999999999999999 bytes-out=7 use-in=soon } } }");

    (void)state;
    assert_int_equal(message.ikes[0].established_s, SA_NOT_SAID);
    assert_int_equal(message.ikes[0].rekey_in_s, SA_NOT_SAID);
    assert_int_equal(message.ikes[0].children[0].bytes_in, 0);
    assert_int_equal(message.ikes[0].children[0].bytes_out, 7);
    assert_int_equal(message.ikes[0].children[0].use_in_s, SA_NOT_SAID);
    sa_message_free(&message);
}

static void test_unreadable_selectors_are_told(void **state)
{
    struct sa_message message = read_text(
        "a{ uniqueid=1 child-sas{ c{ uniqueid=2 local-ts[ 10.0.0.0/8 %any ] remote-ts[ x ] } } }");
    const struct sa_child *child = &message.ikes[0].children[0];

    (void)state;
    assert_int_equal(child->local.count, 1);
    assert_true(child->local.unreadable);
    assert_int_equal(child->remote.count, 0);
    assert_true(child->remote.unreadable);
    sa_message_free(&message);
}

static void test_many_are_bounded(void **state)
{
    struct vici_builder builder;
    struct sa_message message;

    (void)state;
    vici_builder_init(&builder);
    for (unsigned i = 1; i <= SA_IKES_MAXIMUM + 5; i++) {
        vici_builder_section_start(&builder, "a");
        vici_builder_number(&builder, "uniqueid", i);
        vici_builder_section_start(&builder, "child-sas");
        for (unsigned k = 1; k <= (i == 1 ? SA_CHILDREN_MAXIMUM + 5 : 1); k++) {
            vici_builder_section_start(&builder, "c");
            vici_builder_number(&builder, "uniqueid", k);
            vici_builder_list_start(&builder, "local-ts");
            for (unsigned j = 0; k == 1 && j < SA_SELECTORS_MAXIMUM + 5; j++)
                vici_builder_item(&builder, "10.0.0.0/8", 10);
            vici_builder_list_end(&builder);
            vici_builder_section_end(&builder);
        }
        vici_builder_section_end(&builder);
        vici_builder_section_end(&builder);
    }
    assert_int_equal(vici_builder_finish(&builder), 0);
    assert_int_equal(sa_message_read(vici_case_text(&builder), &message), 0);
    assert_int_equal(message.count, SA_IKES_MAXIMUM);
    assert_int_equal(message.ikes[0].count, SA_CHILDREN_MAXIMUM);
    assert_int_equal(message.ikes[0].children[0].local.count, SA_SELECTORS_MAXIMUM);
    assert_true(message.ikes[0].children[0].local.unreadable);
    sa_message_free(&message);
    vici_builder_free(&builder);
}

static void test_malformed(void **state)
{
    static const struct vici_text bad[] = {
        {"\x01\x01"
         "a\x03\x08uniqueid\x00\x01"
         "1",
         15},
        {"\x02", 1},
        {"\x04\x01l\x03\x01k\x00\x00\x06", 9},
    };
    struct sa_message message = {.count = 77};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(sa_message_read(bad[i], &message), -EBADMSG);
    assert_int_equal(message.count, 77); /* untouched */
}

/* --- what charon really sent -------------------------------------------------------------- */

static const char *const versions[] = {"5.9.8", "6.0.1"};

struct seen {
    char text[4096];
    size_t used;
};

/* One line for each event: name, up, and for each IKE SA id, state, children. */
static void see(const struct vici_packet *packet, void *context)
{
    struct seen *seen = context;
    struct sa_message message;
#define SAY(...)                                                                                   \
    seen->used +=                                                                                  \
        (size_t)snprintf(seen->text + seen->used, sizeof seen->text - seen->used, __VA_ARGS__)

    if (packet->type != VICI_EVENT || vici_text_is(packet->name, "list-conn"))
        return;
    assert_int_equal(sa_message_read(packet->message, &message), 0);
    SAY("%.*s%s", (int)packet->name.length, packet->name.data, message.up ? " up" : "");
    for (size_t i = 0; i < message.count; i++) {
        const struct sa_ike *ike = &message.ikes[i];
        SAY(" %s#%d%s", ike->name, (int)ike->uniqueid, ike->role == SA_OLD ? "old" : "");
        for (size_t k = 0; k < ike->count; k++) {
            const struct sa_child *child = &ike->children[k];
            SAY(" %s%d%s", child->role == SA_OLD ? "old" : "", (int)child->uniqueid,
                sa_child_is_installed(child) ? "+" : "");
        }
    }
    SAY("\n");
    sa_message_free(&message);
}

static void expect_recorded(const char *name, const char *expected)
{
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        struct seen seen = {.text = ""};
        char path[64];
        snprintf(path, sizeof path, "%s-%s", versions[i], name);
        assert_true(vici_case_replay(path, see, &seen) > 0);
        assert_string_equal(seen.text, expected);
    }
}

static void test_recorded(void **state)
{
    (void)state;
    expect_recorded("up", "ike-update (unnamed)#1\n"
                          "ike-updown up mllpgw-site#1\n"
                          "child-updown up mllpgw-site#1 1+\n"
                          "list-sa mllpgw-site#1 1+\n");
    expect_recorded("rekey", "child-rekey mllpgw-site#1 old1 2+\n"
                             "list-sa mllpgw-site#1 1 2+\n"
                             "ike-rekey mllpgw-site#1old mllpgw-site#2\n"
                             "list-sa mllpgw-site#2 1 2+\n");
    expect_recorded("wrong-psk", "ike-update (unnamed)#3\n"
                                 "ike-updown mllpgw-site#3\n");
}

static void see_first_child(const struct vici_packet *packet, void *context)
{
    struct sa_message message;

    if (packet->type != VICI_EVENT || !vici_text_is(packet->name, "list-sa"))
        return;
    assert_int_equal(sa_message_read(packet->message, &message), 0);
    *(bool *)context = true;
    assert_string_equal(message.ikes[0].cipher, "aes256gcm16-prfsha256-ecp256");
    assert_string_equal(message.ikes[0].remote_id, "edge.example");
    assert_string_equal(message.ikes[0].children[0].cipher, "aes128gcm16");
    assert_int_equal(message.ikes[0].children[0].packets_in, 5);
    assert_true(message.ikes[0].children[0].bytes_in > 500);
    assert_int_equal(message.ikes[0].children[0].local.count, 1);
    sa_message_free(&message);
}

static void test_recorded_details(void **state)
{
    bool seen = false;

    (void)state;
    vici_case_replay("5.9.8-up", see_first_child, &seen);
    assert_true(seen);
    seen = false;
    vici_case_replay("6.0.1-up", see_first_child, &seen);
    assert_true(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_field),
        cmocka_unit_test(test_every_key_is_optional),
        cmocka_unit_test(test_without_uniqueid_left_out),
        cmocka_unit_test(test_child_rekey),
        cmocka_unit_test(test_ike_rekey),
        cmocka_unit_test(test_alert),
        cmocka_unit_test(test_tasks_mean_what_their_list_says),
        cmocka_unit_test(test_ike_update),
        cmocka_unit_test(test_names_are_never_cut),
        cmocka_unit_test(test_numbers_that_cannot_be),
        cmocka_unit_test(test_unreadable_selectors_are_told),
        cmocka_unit_test(test_many_are_bounded),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_recorded_details),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
