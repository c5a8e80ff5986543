/* links: config */
/* Tunnels: presets, and every contradiction of one tunnel, of two, and of peers with theirs. */
#include "config/address.h"
#include "config/config.h"
#include "config/internal.h"
#include "config/proposal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/config_case.h"

#define PEER(more)                                                                                 \
    "peers = ( { name = \"p\"; certificates = [ \"dns:a\" ]; tunnel = \"a\"; " more " } );"
#define LISTENER(address, more)                                                                    \
    "listeners = ( { name = \"l\"; tls = \"t\"; peers = [ \"p\" ]; address = \"" address           \
    ":2575\"; " more " } );"
#define HERE LISTENER("10.20.0.1", "")
#define INSIDE "addresses = [ \"10.10.0.0/28\" ];"
#define ENDS "remote = \"192.0.2.1\"; "
#define PSK "psk_file = \"a.psk\"; "
#define LOCAL "local_subnets = [ \"10.20.0.0/24\" ]; "
#define REMOTE "remote_subnets = [ \"10.10.0.0/24\" ]; "
#define BASE "name = \"a\"; " ENDS PSK LOCAL REMOTE

/* The tunnel begins at line 9, what is tried stands in line 10. */
static void one(const char *base, const char *tried, const char *second, char *text, size_t bytes)
{
    (void)snprintf(text, bytes, "tunnels = ( { %s\n%s }%s%s );", base, tried, second[0] ? "," : "",
                   second);
}

static struct config *good(const char *base, const char *tried, const char *second)
{
    char more[4096];
    one(base, tried, second, more, sizeof more);
    return config_case_good(
        &(struct config_case){.peers = PEER(INSIDE), .listeners = HERE, .more = more});
}

static void strings_are(const struct config_strings *strings, const char *wanted)
{
    char text[512] = "";
    size_t length = 0;
    for (size_t i = 0; i < strings->count; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", i > 0 ? "," : "",
                                   strings->items[i]);
        assert_true(length < sizeof text);
    }
    assert_string_equal(text, wanted);
}

static void presets_fill_in_what_is_not_set(void **state)
{
    static const struct {
        const char *preset, *ike, *esp;
        int64_t ike_s, esp_s, dpd_s;
        int mss;
    } cases[] = {
        {"strongswan", "aes256gcm16-prfsha384-ecp384,aes128gcm16-prfsha256-ecp256",
         "aes256gcm16-ecp384,aes128gcm16-ecp256", 14400, 3600, 30, 1360},
        {"aws", "aes256gcm16-prfsha384-ecp384,aes256-sha256-modp2048",
         "aes256gcm16-ecp384,aes256-sha256-modp2048", 28800, 3600, 30, 1379},
        {"google", "aes256gcm16-prfsha512-modp4096", "aes256gcm16-modp4096", 36000, 10800, 30,
         1360},
        {"azure", "aes256-sha384-ecp384", "aes256gcm16-ecp384", 28800, 27000, 45, 1350},
        {"fortigate", "aes256gcm16-prfsha384-ecp384,aes256-sha256-modp2048",
         "aes256gcm16-ecp384,aes256-sha256-modp2048", 86400, 43200, 30, 1360},
        {"asa", "aes256gcm16-prfsha384-ecp384,aes256-sha256-modp2048",
         "aes256gcm16-ecp384,aes256-sha256-modp2048", 86400, 28800, 30, 1360},
        {"paloalto", "aes256-sha384-ecp384,aes256-sha256-modp2048",
         "aes256gcm16-ecp384,aes256-sha256-modp2048", 28800, 3600, 30, 1360},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char tried[128];
        (void)snprintf(tried, sizeof tried, "preset = \"%s\";", cases[i].preset);
        struct config *config = good(BASE, tried, "");
        const struct config_tunnel *tunnel = config_find_tunnel(config, "a");
        strings_are(&tunnel->ike_proposals, cases[i].ike);
        strings_are(&tunnel->esp_proposals, cases[i].esp);
        assert_int_equal(tunnel->ike_lifetime_s, cases[i].ike_s);
        assert_int_equal(tunnel->esp_lifetime_s, cases[i].esp_s);
        assert_int_equal(tunnel->dpd_delay_s, cases[i].dpd_s);
        assert_int_equal(tunnel->mss, cases[i].mss);
        config_free(&config);
    }
}

static void what_is_set_wins_over_the_preset(void **state)
{
    (void)state;
    struct config *config =
        good(BASE,
             "preset = \"aws\"; ike_proposals = [ \"aes128-sha256-ecp256\" ]; esp_proposals = [ "
             "\"aes128gcm16-ecp256\" ]; ike_lifetime_s = 7200; esp_lifetime_s = 1800; dpd_delay_s "
             "= 5; mss = 0; keying_tries = 0; start = \"trap\"; grace_s = 7; ready = true;",
             "");
    const struct config_tunnel *tunnel = config_find_tunnel(config, "a");
    strings_are(&tunnel->ike_proposals, "aes128-sha256-ecp256");
    strings_are(&tunnel->esp_proposals, "aes128gcm16-ecp256");
    assert_int_equal(tunnel->ike_lifetime_s, 7200);
    assert_int_equal(tunnel->esp_lifetime_s, 1800);
    assert_int_equal(tunnel->dpd_delay_s, 5);
    assert_int_equal(tunnel->mss, 0);
    assert_int_equal(tunnel->start, CONFIG_START_TRAP);
    assert_int_equal(tunnel->grace_s, 7);
    assert_true(tunnel->ready);
    assert_string_equal(tunnel->psk_file, "/base/a.psk");
    assert_string_equal(config->peers[0].tunnel, "a");
    config_free(&config);
}

static void defaults_without_a_word(void **state)
{
    (void)state;
    /* Private on both sides, or with a name of its own: nothing to warn of. */
    struct config *config =
        good("name = \"a\"; remote = \"10.9.9.9\"; " PSK LOCAL REMOTE, "local = \"10.9.9.1\";", "");
    config_free(&config);
    config = good(BASE, "local = \"10.9.9.1\"; local_id = \"198.51.100.4\";", "");
    config_free(&config);
    config = good("name = \"a\"; remote = \"vpn.h.example\"; " PSK LOCAL REMOTE,
                  "preset = \"aws\"; remote_id = \"192.0.2.1\"; local_id = \"edge.example\";", "");
    config_free(&config);
    config = good(BASE, "", "");
    const struct config_tunnel *tunnel = config_find_tunnel(config, "a");
    assert_int_equal(tunnel->preset, CONFIG_PRESET_STRONGSWAN);
    assert_int_equal(tunnel->start, CONFIG_START_START);
    assert_int_equal(tunnel->keying_tries, 0);
    assert_int_equal(tunnel->grace_s, 0);
    assert_false(tunnel->ready);
    assert_null(tunnel->local);
    assert_string_equal(config->tunneld.status_socket, "/run/mllp-tunneld/status.sock");
    assert_string_equal(config->tunneld.vici_socket, "/run/charon.vici");
    assert_string_equal(config->tunneld.user, "mllp-tunneld");
    assert_int_equal(config->tunneld.on_unknown, CONFIG_ON_UNKNOWN_HOLD);
    assert_int_equal(config->tunneld.hold_s, 60);
    assert_int_equal(config_rekey_s(3600), 3240);
    assert_int_equal(config_rekey_s(60), 54);
    config_free(&config);
}

#define CERT "certificate = \"c\"; key = \"k\"; remote_ca = \"r\"; "
#define IDS "remote_id = \"h.example\"; local_id = \"e.example\"; "

/* One tunnel, one mistake in line 10 (or the tunnel's own line 9). */
static void mistakes_of_one_tunnel_are_named(void **state)
{
    static const struct {
        const char *base, *tried;
        enum problem_severity severity;
        const char *key, *text;
    } cases[] = {
        {BASE, "preset = \"awss\";", PROBLEM_ERROR, "preset", "did you mean \"aws\""},
        {BASE, "dpd_timeout_s = 5;", PROBLEM_ERROR, "dpd_timeout_s", "no such setting"},
        {BASE, "local = \"edge.example\";", PROBLEM_ERROR, "local", "not an address"},
        {BASE, "local = \"192.168.7.2\";", PROBLEM_WARNING, "local", "set local_id"},
        {BASE, "local = \"198.51.100.0/24\";", PROBLEM_ERROR, "local", "is a network"},
        {"name = \"a\"; " PSK LOCAL REMOTE, "remote = \"192.0.2.300\";", PROBLEM_ERROR, "remote",
         "not an address"},
        {"name = \"a\"; " PSK LOCAL REMOTE, "remote = \"bad..name\";", PROBLEM_ERROR, "remote",
         "neither"},
        {"name = \"a\"; remote_id = \"h\"; " PSK LOCAL REMOTE, "remote = \"%any\";", PROBLEM_ERROR,
         "remote", "start = \"none\""},
        {"name = \"a\"; start = \"none\"; " PSK LOCAL REMOTE, "remote = \"%any\";", PROBLEM_ERROR,
         "remote", "remote_id"},
        {BASE, "remote_id = \"a\\\"b\";", PROBLEM_ERROR, "remote_id", "quote"},
        {BASE, "remote_id = \"%any\";", PROBLEM_ERROR, "remote_id", "let others pass for it"},
        {BASE, "remote_id = \"0.0.0.0\";", PROBLEM_ERROR, "remote_id", "let others pass for it"},
        {BASE, "remote_id = \"*.example\";", PROBLEM_ERROR, "remote_id", "let others pass for it"},
        {BASE, "remote_id = \"C=DE, CN=*\";", PROBLEM_ERROR, "remote_id", "let others pass for it"},
        {BASE, "remote_id = \"10.0.0.0/8\";", PROBLEM_ERROR, "remote_id", "let others pass for it"},
        {BASE, "remote_id = \"10.0.0.1-10.0.0.9\";", PROBLEM_ERROR, "remote_id",
         "let others pass for it"},
        {BASE, "remote_id = \"ipv4net:10.0.0.0/8\";", PROBLEM_ERROR, "remote_id",
         "let others pass for it"},
        {BASE, "local_id = \"::\";", PROBLEM_ERROR, "local_id", "let others pass for it"},
        {BASE, "remote_id = \"10.0.0.5/24\";", PROBLEM_ERROR, "remote_id",
         "let others pass for it"},
        {BASE, "remote_id = \"10.0.0.5/08\";", PROBLEM_ERROR, "remote_id",
         "let others pass for it"},
        {BASE, "remote_id = \"2001:db8::1-2001:db8::ff\";", PROBLEM_ERROR, "remote_id",
         "let others pass for it"},
        {BASE, "preset = \"aws\"; remote_id = \"vpn.h.example\";", PROBLEM_WARNING, "remote_id",
         "nothing else: leave remote_id out"},
        {"name = \"a\"; preset = \"azure\"; " PSK LOCAL REMOTE, "remote = \"vpn.h.example\";",
         PROBLEM_WARNING, "remote", "nothing else: set remote_id to that address"},
        {BASE, "preset = \"google\"; local_id = \"edge.example\";", PROBLEM_WARNING, "local_id",
         "Google knows us by our public address"},
        /* strongSwan 6.0.2 and later: a regular expression */
        {BASE, "remote_id = \"fqdn:^.+$\";", PROBLEM_ERROR, "remote_id", "let others pass for it"},
        {BASE, "remote_id = \"Email:^.+@h[.]example$\";", PROBLEM_ERROR, "remote_id",
         "let others pass for it"},
        /* %any, by its number */
        {BASE, "remote_id = \"{0}:h.example\";", PROBLEM_ERROR, "remote_id",
         "let others pass for it"},
        {BASE, "remote_id = \"{ 0}:h.example\";", PROBLEM_ERROR, "remote_id",
         "let others pass for it"},
        {BASE, "remote_id = \"h\\nreload\";", PROBLEM_ERROR, "remote_id", "control character"},
        {BASE, "local = \"0.0.0.0\";", PROBLEM_ERROR, "local", "no end of a tunnel"},
        {"name = \"a\"; " PSK LOCAL REMOTE, "remote = \"::\";", PROBLEM_ERROR, "remote",
         "no end of a tunnel"},
        {BASE, CERT IDS, PROBLEM_ERROR, "psk_file", "one of the two"},
        {"name = \"a\"; " ENDS LOCAL REMOTE, IDS, PROBLEM_ERROR, NULL, "neither psk_file"},
        {"name = \"a\"; " ENDS LOCAL REMOTE IDS, "certificate = \"c\"; remote_ca = \"r\";",
         PROBLEM_ERROR, "certificate", "needs key"},
        {"name = \"a\"; " ENDS LOCAL REMOTE IDS, "certificate = \"c\"; key = \"k\";", PROBLEM_ERROR,
         "certificate", "needs remote_ca"},
        {"name = \"a\"; " ENDS LOCAL REMOTE "local_id = \"e\"; ", CERT, PROBLEM_ERROR,
         "certificate", "needs remote_id"},
        {"name = \"a\"; " ENDS LOCAL REMOTE "remote_id = \"h\"; ", CERT, PROBLEM_ERROR,
         "certificate", "needs local_id"},
        {BASE, "crl = \"c.crl\";", PROBLEM_WARNING, "crl", "has no effect"},
        {"name = \"a\"; " ENDS LOCAL REMOTE IDS CERT, "crl_required = true;", PROBLEM_ERROR,
         "crl_required", "set crl as well"},
        {"name = \"a\"; " ENDS PSK LOCAL, "remote_subnets = [ \"10.10.0.0/23\", \"10.1.1.1/24\" ];",
         PROBLEM_ERROR, "remote_subnets", "bits behind its mask"},
        {"name = \"a\"; " ENDS PSK REMOTE, "local_subnets = [ ];", PROBLEM_ERROR, "local_subnets",
         "is empty"},
        {"name = \"a\"; " ENDS PSK LOCAL,
         "remote_subnets = [ \"10.10.0.0/24\", \"10.20.0.128/25\" ];", PROBLEM_ERROR,
         "remote_subnets", "overlaps 10.20.0.0/24 of local_subnets"},
        {"name = \"a\"; " ENDS PSK LOCAL, "remote_subnets = [ \"0.0.0.0/0\" ];", PROBLEM_WARNING,
         "remote_subnets", "every address"},
        {BASE, "ike_proposals = [ ];", PROBLEM_ERROR, "ike_proposals", "is empty"},
        {BASE, "ike_proposals = [ \"aes256gcm16-prfsha384-ecp384\",\n\"aes256-sha1-modp2048\" ];",
         PROBLEM_ERROR, "ike_proposals", "allow_weak"},
        {BASE, "esp_proposals = [ \"3des-sha256-modp2048\" ];", PROBLEM_ERROR, "esp_proposals",
         "\"3des\" is weak"},
        {BASE,
         "esp_proposals = [ \"3des-sha1-modp2048\" ];  allow_weak = [ \"sha1\", \"sha1_160\" ];",
         PROBLEM_ERROR, "esp_proposals", "\"3des\" is weak"},
        {BASE, "esp_proposals = [ \"aes256gcm16-ecp383\" ];", PROBLEM_ERROR, "esp_proposals",
         "did you mean \"ecp384\""},
        {BASE, "esp_proposals = [ \"aes256gcm16\" ];", PROBLEM_WARNING, "esp_proposals",
         "forward secrecy"},
        {BASE, "allow_weak = [ \"modp1024\" ];", PROBLEM_WARNING, "allow_weak", "in no proposal"},
        {BASE, "allow_weak = [ \"aes256\" ];", PROBLEM_ERROR, "allow_weak", "no weak word"},
        {BASE, "allow_weak = [ \"weak\" ];", PROBLEM_ERROR, "allow_weak", "no weak word"},
        {BASE, "allow_weak = [ \"modp1024\" ]; ike_proposals = [ \"aes256-sha256-modp1024\" ];",
         PROBLEM_WARNING, "allow_weak", "is in use"},
        /* "sha1" is not in "sha1_160", nor "sha" in "sha256". */
        {BASE, "allow_weak = [ \"sha\" ];", PROBLEM_WARNING, "allow_weak", "in no proposal"},
        {BASE, "esp_lifetime_s = 86400;", PROBLEM_WARNING, "esp_lifetime_s", "live longer"},
        {BASE, "ike_lifetime_s = 1800;", PROBLEM_WARNING, "ike_lifetime_s", "live longer"},
        {BASE, "ike_lifetime_s = 59;", PROBLEM_ERROR, "ike_lifetime_s", "out of range"},
        {BASE, "dpd_delay_s = 0;", PROBLEM_WARNING, "dpd_delay_s", "hours later"},
        {BASE, "mss = 100;", PROBLEM_WARNING, "mss", "536"},
        {BASE, "keying_tries = 3;", PROBLEM_WARNING, "keying_tries", "nobody tries again"},
        {BASE, "pair = \"b\";", PROBLEM_ERROR, "pair", "there is no tunnel named \"b\""},
        {BASE, "pair = \"a\";", PROBLEM_ERROR, "pair", "itself"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char more[4096], setting[64];
        one(cases[i].base, cases[i].tried, "", more, sizeof more);
        (void)snprintf(setting, sizeof setting, "tunnels.a%s%s", cases[i].key ? "." : "",
                       cases[i].key ? cases[i].key : "");
        bool later = strchr(cases[i].tried, '\n') != NULL;
        bool in_base = strstr(cases[i].base, "psk_file") && cases[i].key &&
                       strcmp(cases[i].key, "psk_file") == 0;
        unsigned line = !cases[i].key || in_base ? 9 : later ? 11 : 10;
        config_case_one(
            &(struct config_case){.peers = PEER(INSIDE), .listeners = HERE, .more = more},
            cases[i].severity, line, setting, cases[i].text);
    }
}

static void missing_settings_are_named(void **state)
{
    static const char *const cases[][2] = {
        {"name = \"a\"; " PSK LOCAL REMOTE, "tunnels.a.remote"},
        {"name = \"a\"; " ENDS PSK REMOTE, "tunnels.a.local_subnets"},
        {"name = \"a\"; " ENDS PSK LOCAL, "tunnels.a.remote_subnets"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char more[4096];
        one(cases[i][0], "", "", more, sizeof more);
        config_case_one(
            &(struct config_case){.peers = PEER(INSIDE), .listeners = HERE, .more = more},
            PROBLEM_ERROR, 9, cases[i][1], "is missing");
    }
}

#define OTHER_NET "remote_subnets = [ \"10.11.0.0/24\" ]; "
#define SECOND(rest) "\n{ name = \"b\"; remote = \"192.0.2.2\"; " rest " }"

/* text NULL: well. The second tunnel stands in line 11. */
static void two_tunnels(void **state)
{
    static const struct {
        const char *first, *second;
        enum problem_severity severity;
        unsigned line;
        const char *setting, *text;
    } cases[] = {
        {"", SECOND("psk_file = \"b.psk\"; " LOCAL REMOTE), PROBLEM_ERROR, 11,
         "tunnels.b.remote_subnets", "overlaps 10.10.0.0/24 of tunnel a (case.cfg:9)"},
        {"", SECOND("psk_file = \"b.psk\"; " LOCAL "remote_subnets = [ \"10.0.0.0/8\" ];"),
         PROBLEM_ERROR, 11, "tunnels.b.remote_subnets", "overlaps"},
        {"", SECOND("psk_file = \"b.psk\"; " LOCAL "remote_subnets = [ \"10.10.0.7\" ];"),
         PROBLEM_ERROR, 11, "tunnels.b.remote_subnets", "overlaps"},
        {"pair = \"b\"; ", SECOND("psk_file = \"b.psk\"; " LOCAL REMOTE), 0, 0, NULL, NULL},
        {"", SECOND("pair = \"a\"; psk_file = \"b.psk\"; " LOCAL REMOTE), 0, 0, NULL, NULL},
        {"pair = \"b\"; ", SECOND("pair = \"a\"; psk_file = \"a.psk\"; " LOCAL REMOTE), 0, 0, NULL,
         NULL},
        {"pair = \"b\"; ", SECOND("psk_file = \"b.psk\"; " LOCAL OTHER_NET), PROBLEM_ERROR, 10,
         "tunnels.a.pair", "other subnets"},
        {"pair = \"b\"; ",
         SECOND("psk_file = \"b.psk\"; local_subnets = [ \"10.20.0.0/25\" ]; " REMOTE),
         PROBLEM_ERROR, 10, "tunnels.a.pair", "other subnets"},
        {"pair = \"b\"; ",
         SECOND("pair = \"c\"; psk_file = \"b.psk\"; " LOCAL
                    REMOTE) ",{ name = \"c\"; remote = "
                            "\"192.0.2.3\"; psk_file = \"c.psk\"; " LOCAL REMOTE "}",
         PROBLEM_ERROR, 10, "tunnels.a.pair", "another partner"},
        {"", SECOND("psk_file = \"b.psk\"; " LOCAL OTHER_NET), PROBLEM_WARNING, 11, "tunnels.b",
         "no peer has it"},
        {"", "\n{ name = \"b\"; " ENDS "psk_file = \"b.psk\"; " LOCAL OTHER_NET "}", PROBLEM_ERROR,
         11, "tunnels.b.remote", "same ends"},
        {"",
         "\n{ name = \"b\"; " ENDS
         "local = \"198.51.100.9\"; psk_file = \"b.psk\"; " LOCAL OTHER_NET "}",
         PROBLEM_ERROR, 11, "tunnels.b.psk_file",
         "another key for the same other side (192.0.2.1)"},
        {"", SECOND("psk_file = \"b.psk\"; local_subnets = [ \"10.10.0.128/25\" ]; " OTHER_NET),
         PROBLEM_WARNING, 9, "tunnels.a.remote_subnets",
         "10.10.0.0/24 overlaps 10.10.0.128/25, which is ours in tunnel b (case.cfg:11)"},
        /* To charon these two are one, and either key would prove it. */
        {"remote_id = \"fw.h.example\"; ",
         SECOND("remote_id = \"dns:FW.h.example\"; psk_file = \"b.psk\"; " LOCAL OTHER_NET),
         PROBLEM_ERROR, 11, "tunnels.b.psk_file", "another key for the same other side"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char more[4096];
        one(BASE, cases[i].first, cases[i].second, more, sizeof more);
        const struct config_case wanted = {.peers = PEER(INSIDE), .listeners = HERE, .more = more};
        struct problems problems;
        problems_init(&problems);
        struct config *config = config_case_load(&wanted, &problems);
        bool fine = cases[i].text ? config_case_has(&problems, cases[i].severity, cases[i].line,
                                                    cases[i].setting, cases[i].text)
                                  : config && problems.count == 0;
        if (!fine) {
            config_case_show(&wanted, &problems);
        }
        if (fine && !cases[i].text) {
            const struct config_tunnel *a = config_find_tunnel(config, "a"),
                                       *b = config_find_tunnel(config, "b");
            fine = config_tunnel_pair(config, a) == b && config_tunnel_pair(config, b) == a;
        }
        config_free(&config);
        problems_free(&problems);
        assert_true(fine);
    }
}

static void one_key_for_two_places_is_warned_of(void **state)
{
    char more[4096];
    (void)state;
    one(BASE, "", SECOND(PSK LOCAL OTHER_NET), more, sizeof more);
    config_case_one(
        &(struct config_case){
            .peers = "peers = ( { name = \"p\"; certificates = [ \"dns:a\" ]; tunnel = \"a\"; "
                     "addresses = [ \"10.10.0.1\" ]; }, { name = \"q\"; tunnel = \"b\"; "
                     "addresses = [ \"10.11.0.1\" ]; } );",
            .listeners = "listeners = ( { name = \"l\"; address = \"10.20.0.1:2575\"; tls = "
                         "\"t\"; peers = [ \"p\", \"q\" ]; } );",
            .more = more},
        PROBLEM_WARNING, 11, "tunnels.b.psk_file", "same key");
}

static void peers_and_their_tunnel(void **state)
{
    static const struct {
        const char *peer;
        enum problem_severity severity;
        const char *setting, *text;
    } cases[] = {
        {INSIDE "tunnel = \"a\";", 0, NULL, NULL},
        {"addresses = [ \"10.10.0.0/24\" ]; tunnel = \"a\";", 0, NULL, NULL},
        /* A name is never the only proof: here the tunnel is the other one. */
        {"addresses = [ \"lab.example\" ]; tunnel = \"a\";", 0, NULL, NULL},
        {"addresses = [ \"lab.example\" ];", PROBLEM_ERROR, "peers.p.addresses",
         "add certificates or a tunnel"},
        {INSIDE "tunnel = \"b\";", PROBLEM_ERROR, "peers.p.tunnel",
         "there is no tunnel named \"b\" (known: a)"},
        {"addresses = [ \"10.10.1.0/24\" ]; tunnel = \"a\";", PROBLEM_ERROR, "peers.p.addresses",
         "outside remote_subnets of tunnel a (case.cfg:9)"},
        {"addresses = [ \"10.10.0.1\", \"2001:db8::1\" ]; tunnel = \"a\";", PROBLEM_ERROR,
         "peers.p.addresses", "outside"},
        {"addresses = [ \"10.10.0.0/16\" ]; tunnel = \"a\";", PROBLEM_WARNING, "peers.p.addresses",
         "wider than"},
        {"addresses = [ \"0.0.0.0/0\" ]; tunnel = \"a\";", PROBLEM_WARNING, "peers.p.addresses",
         "wider than"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char more[4096], peers[512];
        one(BASE, "", "", more, sizeof more);
        (void)snprintf(peers, sizeof peers, "peers = ( { name = \"p\"; %s } );", cases[i].peer);
        const struct config_case wanted = {.peers = peers, .listeners = HERE, .more = more};
        if (cases[i].text) {
            config_case_one(&wanted, cases[i].severity, 5, cases[i].setting, cases[i].text);
        } else {
            struct config *config = config_case_good(&wanted);
            config_free(&config);
        }
    }
}

static void listeners_and_what_comes_through_a_tunnel(void **state)
{
    static const struct {
        const char *listener, *text;
    } cases[] = {
        {LISTENER("10.20.0.1", "proxy_from = [ \"192.0.2.0/24\" ];"), "without proxy_from"},
        {LISTENER("10.20.1.1", ""), "10.20.1.1:2575 is in none of them"},
        {LISTENER("127.0.0.1", ""), "leads to its local_subnets only"},
        {LISTENER("[::1]", ""), "leads to its local_subnets only"},
        {LISTENER("0.0.0.0", ""), NULL},
        {LISTENER("[::]", ""), NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char more[4096];
        one(BASE, "", "", more, sizeof more);
        const struct config_case wanted = {
            .peers = PEER(INSIDE), .listeners = cases[i].listener, .more = more};
        if (cases[i].text) {
            config_case_one(&wanted, PROBLEM_ERROR, 6, "listeners.l.peers", cases[i].text);
        } else {
            struct config *config = config_case_good(&wanted);
            config_free(&config);
        }
    }
}

static void tunneld_is_checked(void **state)
{
    static const struct {
        const char *text, *setting;
        enum problem_severity severity;
        const char *problem;
    } cases[] = {
        {"on_unknown = \"close\"; hold_s = 5;", "tunneld.hold_s", PROBLEM_WARNING, "no effect"},
        {"status_socket = \"/run/charon.vici\";", "tunneld.status_socket", PROBLEM_ERROR,
         "charon's socket"},
        {"hold_s = 86401;", "tunneld.hold_s", PROBLEM_ERROR, "out of range"},
        {"on_unknown = \"open\";", "tunneld.on_unknown", PROBLEM_ERROR, "none of"},
        {"vici_socket = \"/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/"
         "0123456789/0123456789/0123456789/0123456789/0123456789\";",
         "tunneld.vici_socket", PROBLEM_ERROR, "longer than"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char more[512];
        (void)snprintf(more, sizeof more, "tunneld = { %s };", cases[i].text);
        config_case_one(&(struct config_case){.more = more}, cases[i].severity, 9, cases[i].setting,
                        cases[i].problem);
    }
}

/* Every preset's proposals stand as they are: nothing weak, nothing that charon would not take. */
static void presets_need_no_allow_weak(void **state)
{
    static const char *const presets[] = {"strongswan", "aws", "google",  "azure",
                                          "fortigate",  "asa", "paloalto"};
    (void)state;
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        char tried[64], error[PROPOSAL_ERROR_BYTES];
        (void)snprintf(tried, sizeof tried, "preset = \"%s\";", presets[i]);
        struct config *config = good(BASE, tried, "");
        const struct config_tunnel *tunnel = config_find_tunnel(config, "a");
        struct proposal proposal;
        assert_true(tunnel->ike_proposals.count > 0 && tunnel->esp_proposals.count > 0);
        for (size_t j = 0; j < tunnel->ike_proposals.count; j++) {
            assert_null(proposal_parse(tunnel->ike_proposals.items[j], PROPOSAL_IKE, NULL, 0,
                                       &proposal, error));
        }
        for (size_t j = 0; j < tunnel->esp_proposals.count; j++) {
            assert_null(proposal_parse(tunnel->esp_proposals.items[j], PROPOSAL_ESP, NULL, 0,
                                       &proposal, error));
            assert_non_null(proposal_next(&proposal, PROPOSAL_GROUP, NULL));
        }
        config_free(&config);
    }
}

static void private_ones_are_known(void **state)
{
    static const struct {
        const char *text;
        bool is_private;
    } cases[] = {{"10.1.2.3", true},    {"172.31.255.255", true},
                 {"172.32.0.1", false}, {"192.168.0.0/24", true},
                 {"100.64.0.1", true},  {"169.254.1.1", true},
                 {"127.0.0.1", true},   {"198.51.100.4", false},
                 {"fd00::1", true},     {"fe80::1", true},
                 {"::1", true},         {"2001:db8::1", false},
                 {"0.0.0.0/0", false},  {"::ffff:10.0.0.1", true}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[ADDRESS_ERROR_BYTES];
        struct address_network network;
        assert_null(address_parse_network(cases[i].text, &network, error));
        assert_int_equal(address_is_private(&network), cases[i].is_private);
    }
}

/* Of more the gateway would hear nothing at all. */
static void more_than_can_be_told_of(void **state)
{
    struct config config = {.tunnel_count = CONFIG_TUNNELS_MAXIMUM + 1};
    struct problems problems;

    (void)state;
    config.tunnels = calloc(config.tunnel_count, sizeof *config.tunnels);
    assert_non_null(config.tunnels);
    config.tunnels[CONFIG_TUNNELS_MAXIMUM].name = (char *)(uintptr_t) "last";
    problems_init(&problems);
    check_tunnels(&config, &problems);
    assert_int_equal(problems.count, 1);
    assert_int_equal(problems.items[0].severity, PROBLEM_ERROR);
    assert_non_null(strstr(problems.items[0].text, "there are 1025 tunnels"));
    problems_free(&problems);
    free(config.tunnels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_fill_in_what_is_not_set),
        cmocka_unit_test(more_than_can_be_told_of),
        cmocka_unit_test(what_is_set_wins_over_the_preset),
        cmocka_unit_test(defaults_without_a_word),
        cmocka_unit_test(mistakes_of_one_tunnel_are_named),
        cmocka_unit_test(missing_settings_are_named),
        cmocka_unit_test(two_tunnels),
        cmocka_unit_test(one_key_for_two_places_is_warned_of),
        cmocka_unit_test(peers_and_their_tunnel),
        cmocka_unit_test(listeners_and_what_comes_through_a_tunnel),
        cmocka_unit_test(tunneld_is_checked),
        cmocka_unit_test(presets_need_no_allow_weak),
        cmocka_unit_test(private_ones_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
