/* links: vpn config */
/* What a configured tunnel is in charon, field by field; what of charon's is ours to take away. */
#include "vpn/load.h"
#include "vpn/tunnel.h"

#include "support/vici_case.h"

#include "support/config_case.h"

#define KEY "Canary7uNP4vWqLzRb2xK9tGcY5mHs3a"
#define SUBNETS "local_subnets = [ \"10.20.0.0/24\" ]; remote_subnets = [ \"10.10.0.0/24\" ]; "
#define PSK_TUNNEL                                                                                 \
    "name = \"st-marys\"; remote = \"203.0.113.9\"; psk_file = \"psk\"; "                          \
    "ike_proposals = [ \"aes256gcm16-prfsha384-ecp384\", \"aes256-sha256-modp2048\" ]; "           \
    "esp_proposals = [ \"aes256gcm16-ecp384\" ]; ike_lifetime_s = 1000; esp_lifetime_s = 100; "
#define CERTIFICATE_TUNNEL                                                                         \
    "name = \"cert\"; remote = \"vpn.example\"; certificate = \"own.pem\"; key = \"own.key\"; "    \
    "remote_ca = \"ca.pem\"; local_id = \"edge.example\"; remote_id = \"st-marys.example\"; "      \
    "ike_proposals = [ \"aes256gcm16-prfsha384-ecp384\" ]; "                                       \
    "esp_proposals = [ \"aes256gcm16-ecp384\" ]; ike_lifetime_s = 1000; esp_lifetime_s = 100; "

static struct config *configured(const char *tunnels)
{
    char more[4096];
    struct problems problems;
    struct config *config;
    const struct config_case wanted = {.more = more};

    snprintf(more, sizeof more, "tunnels = ( %s );", tunnels);
    problems_init(&problems);
    config = config_case_load(&wanted, &problems);
    if (config == NULL)
        config_case_show(&wanted, &problems);
    assert_non_null(config);
    problems_free(&problems);
    return config;
}

/* A message as vici_case writes it; bytes that cannot be read as their number. */
static const char *shown(const struct vici_builder *message)
{
    static char text[4096];
    struct vici_element e;
    struct vici_reader reader;
    size_t used = 0;

    vici_reader_init(&reader, vici_case_text(message));
    text[0] = '\0';
    while (vici_reader_next(&reader, &e) == VICI_COMPLETE && e.type != VICI_MESSAGE_END) {
        static const char *const ends[] = {"", "{", "}", "=", "[", "", "]"};
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s%s%.*s",
                                 used > 0 ? " " : "", (int)e.name.length,
                                 e.name.data != NULL ? e.name.data : "", ends[e.type],
                                 (int)e.value.length, e.value.data != NULL ? e.value.data : "");
        assert_true(used < sizeof text);
    }
    return text;
}

static void put(struct octets *octets, const char *text)
{
    octets_init(octets, PROOF_BYTES_MAXIMUM);
    assert_int_equal(octets_append(octets, text, strlen(text)), 0);
}

static void connection_is(const char *tunnel, const struct proof *proof, const char *expected)
{
    char text[2048];
    struct config *config;
    struct vici_builder message;

    snprintf(text, sizeof text, "{ %s %s }", tunnel, SUBNETS);
    config = configured(text);
    assert_int_equal(load_connection(&config->tunnels[0], proof, &message), 0);
    assert_string_equal(shown(&message), expected);
    vici_builder_free(&message);
    config_free(&config);
}

#define HEAD(name, local, remote) name "{ version=2 " local "remote_addrs[ " remote " ] "
#define PSK_PROPOSALS "proposals[ aes256gcm16-prfsha384-ecp384 aes256-sha256-modp2048 ] "
#define ONE_PROPOSAL "proposals[ aes256gcm16-prfsha384-ecp384 ] "
#define TIMES(dpd, tries)                                                                          \
    "rekey_time=900 over_time=100 dpd_delay=" dpd " keyingtries=" tries                            \
    " mobike=no fragmentation=yes "
#define CHILD(name, actions)                                                                       \
    "children{ " name "{ mode=tunnel local_ts[ 10.20.0.0/24 ] remote_ts[ 10.10.0.0/24 ] "          \
    "esp_proposals[ aes256gcm16-ecp384 ] rekey_time=90 life_time=100 " actions " } } }"
#define STARTS "start_action=start close_action=start dpd_action=restart"

static void test_a_connection_by_key(void **state)
{
    struct proof none = {0};

    (void)state;
    connection_is(
        PSK_TUNNEL, &none,
        HEAD("mllpgw-st-marys", "", "203.0.113.9") PSK_PROPOSALS TIMES(
            "30",
            "0") "local{ auth=psk } remote{ auth=psk id=203.0.113.9 } " CHILD("mllpgw-st-marys",
                                                                              STARTS));
    connection_is(
        PSK_TUNNEL "local = \"10.0.0.4\"; local_id = \"198.51.100.4\"; remote_id = "
                   "\"st-marys.example\"; dpd_delay_s = 5; keying_tries = 3; ",
        &none,
        HEAD("mllpgw-st-marys", "local_addrs[ 10.0.0.4 ] ", "203.0.113.9") PSK_PROPOSALS
            TIMES("5", "3") "local{ auth=psk id=198.51.100.4 } remote{ auth=psk id=st-marys.example } " CHILD(
                "mllpgw-st-marys", STARTS));
    connection_is(
        PSK_TUNNEL "local = \"198.51.100.4\"; ", &none,
        HEAD("mllpgw-st-marys", "local_addrs[ 198.51.100.4 ] ", "203.0.113.9") PSK_PROPOSALS
            TIMES("30", "0") "local{ auth=psk id=198.51.100.4 } remote{ auth=psk id=203.0.113.9 } " CHILD(
                "mllpgw-st-marys", STARTS));
}

static void test_who_starts_it(void **state)
{
    struct proof none = {0};

    (void)state;
    connection_is(
        PSK_TUNNEL "start = \"trap\"; ", &none,
        HEAD("mllpgw-st-marys", "", "203.0.113.9") PSK_PROPOSALS
            TIMES("30", "0") "local{ auth=psk } remote{ auth=psk id=203.0.113.9 } " CHILD(
                "mllpgw-st-marys", "start_action=trap close_action=trap dpd_action=trap"));
    connection_is(PSK_TUNNEL "start = \"none\"; dpd_delay_s = 0; ", &none,
                  HEAD("mllpgw-st-marys", "", "203.0.113.9") PSK_PROPOSALS
                      TIMES("0", "0") "local{ auth=psk } remote{ auth=psk id=203.0.113.9 } " CHILD(
                          "mllpgw-st-marys", "start_action=none close_action=none"));
    connection_is("name = \"any\"; remote = \"%any\"; start = \"none\"; remote_id = \"b.example\"; "
                  "psk_file = \"psk\"; ike_proposals = [ \"aes256gcm16-prfsha384-ecp384\" ]; "
                  "esp_proposals = [ \"aes256gcm16-ecp384\" ]; ike_lifetime_s = 1000; "
                  "esp_lifetime_s = 100; ",
                  &none,
                  HEAD("mllpgw-any", "", "%any") ONE_PROPOSAL
                      TIMES("30", "0") "local{ auth=psk } remote{ auth=psk id=b.example } " CHILD(
                          "mllpgw-any", "start_action=none close_action=none dpd_action=clear"));
}

static void test_a_connection_by_certificate(void **state)
{
    struct proof proof = {.chain_count = 2, .root_count = 2};

    (void)state;
    put(&proof.chain[0], "OWN");
    put(&proof.chain[1], "BETWEEN"); /* by load-cert */
    put(&proof.roots[0], "ROOT");
    put(&proof.roots[1], "NEXT-ROOT");
    connection_is(
        CERTIFICATE_TUNNEL "crl = \"ca.crl\"; crl_required = true; ", &proof,
        HEAD("mllpgw-cert", "", "vpn.example") ONE_PROPOSAL TIMES(
            "30", "0") "local{ auth=pubkey id=edge.example certs[ OWN ] } remote{ auth=pubkey "
                       "id=st-marys.example cacerts[ ROOT NEXT-ROOT ] revocation=strict } " CHILD(
                           "mllpgw-cert", STARTS));
    connection_is(
        CERTIFICATE_TUNNEL "crl = \"ca.crl\"; ", &proof,
        HEAD("mllpgw-cert", "", "vpn.example") ONE_PROPOSAL TIMES(
            "30", "0") "local{ auth=pubkey id=edge.example certs[ OWN ] } remote{ auth=pubkey "
                       "id=st-marys.example cacerts[ ROOT NEXT-ROOT ] } " CHILD("mllpgw-cert",
                                                                                STARTS));
    proof_free(&proof);
}

static void message_is(int error, struct vici_builder *message, const char *expected)
{
    assert_int_equal(error, 0);
    assert_string_equal(shown(message), expected);
    vici_builder_free(message);
}

static void test_keys_and_certificates(void **state)
{
    struct config *config = configured(
        "{ " PSK_TUNNEL SUBNETS "local = \"198.51.100.4\"; }, { " CERTIFICATE_TUNNEL
        "local_subnets = [ \"10.30.0.0/24\" ]; remote_subnets = [ \"10.40.0.0/24\" ]; }, "
        "{ name = \"c\"; remote = \"203.0.113.10\"; psk_file = \"psk\"; remote_id = \"c.example\"; "
        "local_subnets = [ \"10.50.0.0/24\" ]; remote_subnets = [ \"10.60.0.0/24\" ]; }");
    struct proof proof = {.chain_count = 2};
    struct vici_builder message;

    (void)state;
    put(&proof.psk, KEY);
    put(&proof.key, "PRIVATE");
    put(&proof.chain[0], "OWN");
    put(&proof.chain[1], "BETWEEN");
    message_is(load_shared(&config->tunnels[0], &proof, &message), &message,
               "id=mllpgw-st-marys type=ike data=" KEY " owners[ 203.0.113.9 ]");
    message_is(load_shared(&config->tunnels[2], &proof, &message), &message,
               "id=mllpgw-c type=ike data=" KEY " owners[ c.example ]");
    message_is(load_key(&proof, &message), &message, "type=any data=PRIVATE");
    message_is(load_certificate(&proof, 1, &message), &message, "type=X509 flag=NONE data=BETWEEN");
    put(&proof.crls[0], "LIST");
    message_is(load_crl(&proof, 0, &message), &message, "type=X509_CRL flag=NONE data=LIST");
    message_is(load_forget_crls(&message), &message, "type=X509_CRL");
    proof_free(&proof);
    config_free(&config);
}

static void terms_of(uint64_t seed, const char *connection, const char *psk,
                     uint8_t terms[LOAD_TERMS_BYTES])
{
    struct vici_builder message;
    struct proof proof = {0};

    put(&proof.psk, psk);
    message = vici_case_build(connection);
    assert_int_equal(load_terms(seed, &message, &proof, terms), 0);
    vici_builder_free(&message);
    proof_free(&proof);
}

/* Whatever differs shows, and nothing moves from one end to the other unseen. */
static void test_terms(void **state)
{
    uint8_t terms[LOAD_TERMS_BYTES], others[LOAD_TERMS_BYTES];

    (void)state;
    terms_of(1, "a=b", KEY, terms);
    terms_of(1, "a=b", KEY, others);
    assert_memory_equal(terms, others, sizeof terms);
    terms_of(2, "a=b", KEY, others);
    assert_memory_not_equal(terms, others, sizeof terms);
    terms_of(1, "a=c", KEY, others);
    assert_memory_not_equal(terms, others, sizeof terms);
    terms_of(1, "a=b", KEY "x", others);
    assert_memory_not_equal(terms, others, sizeof terms);
}

static void test_sas_of_nobody(void **state)
{
    static const struct {
        const char *message, *name;
    } cases[] = {
        {"mllpgw-gone{ uniqueid=1 state=ESTABLISHED }", "mllpgw-gone"},
        {"mllpgw-gone{ uniqueid=1 }", "mllpgw-gone"},
        {"mllpgw-gone{ uniqueid=1 state=DELETING }", NULL},
        {"mllpgw-gone{ uniqueid=1 state=DESTROYING }", NULL},
        {"mllpgw-gone{ state=ESTABLISHED child-sas{ a{ name=a state=DELETING } } }", "mllpgw-gone"},
        {"mllpgw-st-marys{ uniqueid=1 state=ESTABLISHED }", NULL},
        {"by-hand{ uniqueid=1 child-sas{ mllpgw-gone{ name=mllpgw-gone } } }", NULL},
        {"mllpgw{ uniqueid=1 }", NULL},
        {"xmllpgw-gone{ uniqueid=1 }", NULL},
        {"", NULL},
    };
    struct config *config = configured("{ " PSK_TUNNEL SUBNETS " }");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vici_builder message = vici_case_build(cases[i].message);
        char name[LOAD_NAME_BYTES];
        bool leftover = load_sa_is_leftover(config, vici_case_text(&message), name);
        assert_int_equal(leftover, cases[i].name != NULL);
        if (leftover)
            assert_string_equal(name, cases[i].name);
        vici_builder_free(&message);
    }
    config_free(&config);
}

static void test_the_other_messages(void **state)
{
    struct vici_builder message;

    (void)state;
    message_is(load_initiate("a", &message), &message, "ike=mllpgw-a child=mllpgw-a timeout=-1");
    message_is(load_unload("mllpgw-a", &message), &message, "name=mllpgw-a");
    message_is(load_terminate("mllpgw-a", &message), &message, "ike=mllpgw-a force=yes timeout=-1");
    message_is(load_unload_id("mllpgw-a", &message), &message, "id=mllpgw-a");
    /* What is loaded is what tunnels.h looks for. */
    assert_string_equal(CONFIG_TUNNEL_PREFIX, TUNNEL_PREFIX);
}

/* --- answers ------------------------------------------------------------------------------ */

static void test_success_and_failure(void **state)
{
    static const struct {
        const char *answer, *error;
    } cases[] = {
        {"success=yes", ""},
        {"success=yes id=1234", ""},
        {"success=no errmsg=bad-proposal", "bad-proposal"},
        {"errmsg=bad-proposal", "bad-proposal"},
        {"success=no", "charon does not say why"},
        {"", "charon does not say why"},
        {"other{ success=yes }", "charon does not say why"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct vici_builder answer = vici_case_build(cases[i].answer);
        char error[LOAD_TEXT_BYTES];
        assert_int_equal(load_succeeded(vici_case_text(&answer), error), cases[i].error[0] == '\0');
        assert_string_equal(error, cases[i].error);
        vici_builder_free(&answer);
    }
}

static void test_lists(void **state)
{
    struct vici_builder answer =
        vici_case_build("uptime{ running=1 } plugins[ charon random updown vici ] more[ other ]");
    bool there = false;

    (void)state;
    assert_true(load_list_has(vici_case_text(&answer), "plugins", "updown", &there));
    assert_true(there);
    assert_false(load_list_has(vici_case_text(&answer), "plugins", "other", NULL));
    assert_false(load_list_has(vici_case_text(&answer), "plug", "updown", &there));
    assert_false(there);
    vici_builder_free(&answer);
}

static void test_names_of_ours(void **state)
{
    struct vici_builder answer = vici_case_build(
        "other[ mllpgw-no ] conns[ by-hand mllpgw-a xmllpgw-b mllpgw-gone mllpgw- MLLPGW-c ]");
    struct load_names names;

    (void)state;
    assert_int_equal(
        load_names_read(vici_case_text(&answer), "conns", CONFIG_TUNNEL_PREFIX, &names), 0);
    assert_int_equal(names.count, 3);
    assert_true(load_names_have(&names, "mllpgw-a") && load_names_have(&names, "mllpgw-gone"));
    assert_true(load_names_have(&names, "mllpgw-"));
    assert_false(load_names_have(&names, "by-hand"));
    load_names_free(&names);
    load_names_free(&names); /* no harm */
    vici_builder_free(&answer);
}

/* Names with a zero inside would be cut to somebody else's; long ones are none of ours. */
static void test_names_that_are_nobodys(void **state)
{
    struct vici_builder answer;
    struct load_names names;
    char longer[LOAD_NAME_BYTES + 8];

    (void)state;
    memset(longer, 'a', sizeof longer);
    for (size_t i = 0; i < strlen(CONFIG_TUNNEL_PREFIX); i++)
        longer[i] = CONFIG_TUNNEL_PREFIX[i];
    vici_builder_init(&answer);
    vici_builder_list_start(&answer, "conns");
    vici_builder_item(&answer, "mllpgw-a\0b", 10);
    vici_builder_item(&answer, longer, sizeof longer);
    vici_builder_item(&answer, "", 0);
    vici_builder_list_end(&answer);
    assert_int_equal(vici_builder_finish(&answer), 0);
    assert_int_equal(
        load_names_read(vici_case_text(&answer), "conns", CONFIG_TUNNEL_PREFIX, &names), 0);
    assert_int_equal(names.count, 0);
    load_names_free(&names);
    vici_builder_free(&answer);
}

static void test_what_is_left_over(void **state)
{
    struct config *config = configured(
        "{ " PSK_TUNNEL SUBNETS "}, { " CERTIFICATE_TUNNEL
        "local_subnets = [ \"10.30.0.0/24\" ]; remote_subnets = [ \"10.40.0.0/24\" ]; }");
    static const struct {
        const char *name;
        bool connection, key;
    } cases[] = {
        {"mllpgw-st-marys", false, false},
        {"mllpgw-cert", false, true}, /* no pre-shared key any more */
        {"mllpgw-gone", true, true},
        {"mllpgw-st-mary", true, true},
        {"mllpgw-", true, true},
        {"st-marys", false, false}, /* somebody else's, all of these */
        {"by-hand", false, false},
        {"mllpgw", false, false},
        {"MLLPGW-gone", false, false},
        {"x-mllpgw-gone", false, false},
        {"", false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(load_is_leftover(config, cases[i].name, false), cases[i].connection);
        assert_int_equal(load_is_leftover(config, cases[i].name, true), cases[i].key);
    }
    config_free(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_connection_by_key),
        cmocka_unit_test(test_who_starts_it),
        cmocka_unit_test(test_a_connection_by_certificate),
        cmocka_unit_test(test_keys_and_certificates),
        cmocka_unit_test(test_terms),
        cmocka_unit_test(test_sas_of_nobody),
        cmocka_unit_test(test_the_other_messages),
        cmocka_unit_test(test_success_and_failure),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_names_of_ours),
        cmocka_unit_test(test_names_that_are_nobodys),
        cmocka_unit_test(test_what_is_left_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
