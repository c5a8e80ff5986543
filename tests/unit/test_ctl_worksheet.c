/* links: ctl config */
/*
 * Worksheets: the other side's view (networks and ends swapped), its words for our proposals, our
 * lifetimes, and nothing of the key.
 */
#include "ctl/worksheet.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD                                                                                       \
    "gateway = { name = \"edge-1\"; };\n"                                                          \
    "spool = { key_file = \"k\"; };\n"                                                             \
    "stores = ( { name = \"s\"; type = \"directory\"; path = \"m\"; } );\n"                        \
    "routes = ( { name = \"r\"; from = \"adt\"; to = \"s\"; },\n"                                  \
    "           { name = \"r2\"; from = \"other\"; to = \"s\"; } );\n"                             \
    "listeners = ( { name = \"adt\"; address = \"10.20.0.1:2575\"; peers = [ \"lab\" ]; },\n"      \
    "              { name = \"other\"; address = \"10.20.0.1:2576\"; peers = [ \"free\" ]; } );\n" \
    "peers = ( { name = \"lab\"; tunnel = \"st-marys\"; addresses = [ \"10.10.0.1\" ]; },\n"       \
    "          { name = \"free\"; addresses = [ \"10.77.0.1\" ]; } );\n"
#define ENDS "name = \"st-marys\"; remote = \"203.0.113.9\"; local = \"198.51.100.4\"; "
#define NETS "local_subnets = [ \"10.20.0.0/24\" ]; remote_subnets = [ \"10.10.0.0/16\" ]; "
#define KEY_FILE "psk_file = \"key-canary\"; "
#define CERTIFICATE                                                                                \
    "certificate = \"c\"; key = \"k\"; remote_ca = \"r\"; remote_id = \"vpn.st-marys.example\"; "  \
    "local_id = \"edge-1.example\"; "
#define KEY "Canary7uNP4vWqLzRb2xK9tGcY5mHs3a"

static char directory[] = "/tmp/mllpgw-worksheet-XXXXXX";

static int make_key(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    char path[128];
    snprintf(path, sizeof path, "%s/key-canary", directory);
    FILE *out = fopen(path, "w");
    if (out == NULL)
        return -1;
    fputs(KEY "\n", out);
    fclose(out);
    return chmod(path, 0600);
}

static int remove_key(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/key-canary", directory);
    unlink(path);
    return rmdir(directory);
}

/* No four bytes in a row of the key. */
static void assert_no_key(const char *text)
{
    for (size_t i = 0; i + 4 <= strlen(KEY); i++) {
        char piece[5] = "";
        memcpy(piece, &KEY[i], 4);
        assert_null(strstr(text, piece));
    }
    assert_null(strstr(text, "key-canary"));
}

/* The sheet; free() it. second: a whole further tunnel, or "". */
static char *sheet_of(const char *tunnel, const char *second, enum worksheet_kind kind,
                      bool *ret_possible)
{
    char text[8192], *sheet = NULL;
    size_t length = 0;
    struct problems problems;

    snprintf(text, sizeof text, HEAD "tunnels = ( { %s }%s%s );\n", tunnel,
             second[0] != '\0' ? ", " : "", second);
    problems_init(&problems);
    struct config *config = config_load_text(text, strlen(text), "case.cfg", directory, &problems);
    if (config == NULL)
        problems_print(&problems, stderr);
    assert_non_null(config);
    FILE *out = open_memstream(&sheet, &length);
    assert_non_null(out);
    bool possible = worksheet_print(config, &config->tunnels[0], kind, out);
    assert_int_equal(fclose(out), 0);
    config_free(&config);
    problems_free(&problems);
    assert_no_key(sheet);
    if (ret_possible != NULL)
        *ret_possible = possible;
    else
        assert_true(possible);
    return sheet;
}

/* All of the lines (or parts of lines), in this order. */
static void assert_parts(const char *sheet, const char *const *parts)
{
    const char *at = sheet;

    for (; *parts != NULL; parts++) {
        const char *found = strstr(at, *parts);
        if (found == NULL) {
            fprintf(stderr, "%s\n", sheet);
            fail_msg("not there, or not in order: %s", *parts);
        }
        at = found + strlen(*parts);
    }
}

#define PARTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* A tunnel of another name, beside the one that the peer needs. */
#define ELSEWHERE "local_subnets = [ \"10.20.0.0/24\" ]; remote_subnets = [ \"10.12.0.0/16\" ]; "
#define NEEDED "{ name = \"st-marys\"; remote = \"203.0.113.99\"; psk_file = \"needed\"; " NETS "}"

static void expect_named(const char *tunnel, enum worksheet_kind kind, const char *const *parts)
{
    char *sheet = sheet_of(tunnel, NEEDED, kind, NULL);
    assert_parts(sheet, parts);
    free(sheet);
}

static void expect(const char *tunnel, enum worksheet_kind kind, const char *const *parts)
{
    char *sheet = sheet_of(tunnel, "", kind, NULL);
    assert_parts(sheet, parts);
    free(sheet);
}

static void in_words(void **state)
{
    (void)state;
    char *sheet = sheet_of(ENDS NETS KEY_FILE "preset = \"asa\"; ", "", WORKSHEET_WORDS, NULL);
    assert_parts(sheet,
                 PARTS("Tunnel st-marys to edge-1, as your side sets it up.",
                       "PUT-THE-KEY-HERE: whoever runs edge-1 has the pre-shared key",
                       "your address        203.0.113.9\n", "our address         198.51.100.4\n",
                       "your identity       203.0.113.9\n", "our identity        198.51.100.4\n",
                       "pre-shared key: PUT-THE-KEY-HERE", "we do, at once",
                       "your networks       10.10.0.0/16\n", "our networks        10.20.0.0/24\n",
                       "MLLP to 10.20.0.1:2575", "IKEv2",
                       "1. AES-256-GCM (16-byte tag), PRF SHA-384, DH group 20 (ECP 384)\n",
                       "2. AES-256 (CBC), SHA-256, DH group 14 (MODP 2048), PRF SHA-256\n",
                       "lifetime            86400 s\n", "2. AES-256 (CBC), SHA-256, DH group 14",
                       "lifetime            28800 s", "after 30 s of silence", "1360 bytes"));
    assert_null(strstr(sheet, "2576")); /* nobody of that listener comes through it */
    free(sheet);
    expect(ENDS NETS CERTIFICATE "start = \"none\"; dpd_delay_s = 0; mss = 0;", WORKSHEET_WORDS,
           PARTS("your identity       vpn.st-marys.example", "our identity        edge-1.example",
                 "certificates", "subjectAltName", "you do; we wait"));
}

static void for_swanctl(void **state)
{
    (void)state;
    expect(ENDS NETS KEY_FILE, WORKSHEET_SWANCTL,
           PARTS("connections {\n    st-marys {\n", "version = 2\n", "local_addrs = 203.0.113.9\n",
                 "remote_addrs = 198.51.100.4\n",
                 "proposals = aes256gcm16-prfsha384-ecp384,aes128gcm16-prfsha256-ecp256\n",
                 "rekey_time = 12960s\n", "over_time = 1440s\n", "dpd_delay = 30s\n",
                 "keyingtries = 0\n",
                 "local {\n            auth = psk\n            id = "
                 "\"203.0.113.9\"\n",
                 "remote {\n            auth = psk\n            id = \"198.51.100.4\"\n",
                 "local_ts = 10.10.0.0/16\n", "remote_ts = 10.20.0.0/24\n",
                 "esp_proposals = aes256gcm16-ecp384,aes128gcm16-ecp256\n", "rekey_time = 3240s\n",
                 "life_time = 3600s\n", "dpd_action = restart\n", "start_action = trap\n",
                 "secrets {\n    ike-st-marys {\n", "id-1 = \"198.51.100.4\"\n",
                 "secret = \"PUT-THE-KEY-HERE\"\n", "size set 1360"));
    char *sheet = sheet_of(ENDS NETS CERTIFICATE, "", WORKSHEET_SWANCTL, NULL);
    assert_parts(sheet, PARTS("local {\n            auth = pubkey\n            certs = "
                              "YOUR-CERTIFICATE.pem\n            id = \"vpn.st-marys.example\"\n",
                              "cacerts = ", "id = \"edge-1.example\"\n"));
    assert_null(strstr(sheet, "secret"));
    free(sheet);
    expect_named(
        "name = \"st.Marys_2\"; remote = \"%any\"; remote_id = \"fw\"; start = \"none\"; " ELSEWHERE
            KEY_FILE,
        WORKSHEET_SWANCTL,
        PARTS("st-marys-2 {", "local_addrs = %any\n", "remote_addrs = ADDRESS-OF-EDGE-1\n",
              "start_action = start\n"));
}

static const char *text_at(const json_t *list, size_t index)
{
    const char *text = json_string_value(json_object_get(json_array_get(list, index), "Value"));
    return text != NULL ? text : "";
}

static long long number_at(const json_t *list, size_t index)
{
    return json_integer_value(json_object_get(json_array_get(list, index), "Value"));
}

static json_t *aws_options(const char *sheet)
{
    const char *from = strstr(sheet, "<<'END'\n");
    const char *to = strstr(sheet, "\nEND\n");
    assert_true(from != NULL && to != NULL);
    from += strlen("<<'END'\n");
    json_error_t error;
    json_t *options = json_loadb(from, (size_t)(to - from), 0, &error);
    if (options == NULL)
        fail_msg("%s\n%s", error.text, sheet);
    return options;
}

static void for_aws(void **state)
{
    (void)state;
    char *sheet = sheet_of(ENDS NETS KEY_FILE "preset = \"aws\"; ", "", WORKSHEET_AWS, NULL);
    assert_parts(sheet, PARTS("whoever runs edge-1", "aws ec2 create-customer-gateway",
                              "--ip-address 198.51.100.4 ", "aws ec2 create-vpn-connection ",
                              "--destination-cidr-block 10.20.0.0/24\n"));
    json_t *options = aws_options(sheet);
    /* AWS calls the customer gateway's side, which is ours, local. */
    assert_string_equal(json_string_value(json_object_get(options, "LocalIpv4NetworkCidr")),
                        "10.20.0.0/24");
    assert_string_equal(json_string_value(json_object_get(options, "RemoteIpv4NetworkCidr")),
                        "10.10.0.0/16");
    json_t *tunnels = json_object_get(options, "TunnelOptions");
    assert_int_equal(json_array_size(tunnels), 1);
    json_t *one = json_array_get(tunnels, 0);
    assert_string_equal(json_string_value(json_object_get(one, "PreSharedKey")),
                        "PUT-THE-KEY-HERE");
    assert_string_equal(text_at(json_object_get(one, "IKEVersions"), 0), "ikev2");
    assert_int_equal(json_integer_value(json_object_get(one, "Phase1LifetimeSeconds")), 28800);
    assert_int_equal(json_integer_value(json_object_get(one, "Phase2LifetimeSeconds")), 3600);
    assert_int_equal(json_integer_value(json_object_get(one, "DPDTimeoutSeconds")), 30);
    assert_string_equal(text_at(json_object_get(one, "Phase1EncryptionAlgorithms"), 0),
                        "AES256-GCM-16");
    assert_string_equal(text_at(json_object_get(one, "Phase1EncryptionAlgorithms"), 1), "AES256");
    assert_string_equal(text_at(json_object_get(one, "Phase1IntegrityAlgorithms"), 0), "SHA2-384");
    assert_string_equal(text_at(json_object_get(one, "Phase1IntegrityAlgorithms"), 1), "SHA2-256");
    assert_int_equal(json_array_size(json_object_get(one, "Phase1IntegrityAlgorithms")), 2);
    assert_int_equal(number_at(json_object_get(one, "Phase1DHGroupNumbers"), 0), 20);
    assert_int_equal(number_at(json_object_get(one, "Phase1DHGroupNumbers"), 1), 14);
    assert_string_equal(text_at(json_object_get(one, "Phase2IntegrityAlgorithms"), 0), "SHA2-256");
    assert_int_equal(number_at(json_object_get(one, "Phase2DHGroupNumbers"), 0), 20);
    json_decref(options);
    free(sheet);
}

/* A VPN connection has two tunnels: the pair's second one is in it. */
static void for_aws_a_pair_is_one_connection(void **state)
{
    (void)state;
    char *sheet = sheet_of(
        ENDS NETS KEY_FILE "preset = \"aws\"; pair = \"second\"; esp_lifetime_s = 28800; ",
        "{ name = \"second\"; preset = \"aws\"; remote = \"203.0.113.10\"; esp_lifetime_s = 1200; "
        "psk_file = \"second\"; " NETS "}",
        WORKSHEET_AWS, NULL);
    assert_parts(sheet, PARTS("AWS allows up to 28800 s and 3600 s; ours are 28800 s and 28800 s"));
    assert_parts(sheet,
                 PARTS("The second of TunnelOptions is the tunnel second of ours: its key is "
                       "PUT-THE-KEY-OF-SECOND-HERE.\n"));
    json_t *options = aws_options(sheet);
    json_t *tunnels = json_object_get(options, "TunnelOptions");
    assert_int_equal(json_array_size(tunnels), 2);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(tunnels, 0), "PreSharedKey")),
        "PUT-THE-KEY-HERE");
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(tunnels, 1), "PreSharedKey")),
        "PUT-THE-KEY-OF-SECOND-HERE");
    assert_int_equal(
        json_integer_value(json_object_get(json_array_get(tunnels, 0), "Phase2LifetimeSeconds")),
        3600);
    assert_int_equal(
        json_integer_value(json_object_get(json_array_get(tunnels, 1), "Phase2LifetimeSeconds")),
        1200);
    json_decref(options);
    free(sheet);
}

/* AWS wants its second lifetime to be the shorter one, and either to be 900 s at least. */
static void for_aws_lifetimes_are_what_it_takes(void **state)
{
    static const struct {
        int ours[2], theirs[2];
    } cases[] = {
        {{28800, 3600}, {28800, 3600}}, {{3600, 3600}, {3600, 3599}},
        {{3600, 7200}, {3600, 3599}},   {{900, 900}, {901, 900}},
        {{600, 60}, {901, 900}},        {{604800, 1200}, {28800, 1200}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char tunnel[1024];
        snprintf(tunnel, sizeof tunnel,
                 ENDS NETS KEY_FILE "preset = \"aws\"; ike_lifetime_s = %d; esp_lifetime_s = %d; ",
                 cases[i].ours[0], cases[i].ours[1]);
        char *sheet = sheet_of(tunnel, "", WORKSHEET_AWS, NULL);
        json_t *options = aws_options(sheet);
        json_t *one = json_array_get(json_object_get(options, "TunnelOptions"), 0);
        assert_int_equal(json_integer_value(json_object_get(one, "Phase1LifetimeSeconds")),
                         cases[i].theirs[0]);
        assert_int_equal(json_integer_value(json_object_get(one, "Phase2LifetimeSeconds")),
                         cases[i].theirs[1]);
        json_decref(options);
        free(sheet);
    }
}

static void for_google(void **state)
{
    (void)state;
    expect(
        ENDS KEY_FILE "preset = \"google\"; local_subnets = [ \"10.20.0.0/24\", \"10.21.0.0/24\" "
                      "]; remote_subnets = [ \"10.10.0.0/16\" ];",
        WORKSHEET_GOOGLE,
        PARTS("1360 bytes", "gcloud compute vpn-tunnels create st-marys ",
              "--peer-address=198.51.100.4 --ike-version=2",
              "--shared-secret=\"$(cat PUT-THE-KEY-HERE)\"",
              "--local-traffic-selector=10.10.0.0/16 "
              "--remote-traffic-selector=10.20.0.0/24,10.21.0.0/24",
              "--phase1-encryption=AES-GCM-16-256", "--phase1-prf=PRF-HMAC-SHA2-512",
              "--phase1-dh=Group-16", "--phase2-encryption=AES-GCM-16-256", "--phase2-pfs=Group-16",
              "--destination-range=10.20.0.0/24", "--destination-range=10.21.0.0/24"));
    expect(ENDS NETS KEY_FILE "ike_proposals = [ \"aes256-sha256-modp2048\" ]; esp_proposals = [ "
                              "\"aes128-sha384-ecp256\" ];",
           WORKSHEET_GOOGLE,
           PARTS("Google's own, 36000 s and 10800 s; ours are 14400 s and 3600 s",
                 "--phase1-encryption=AES-CBC-256", "--phase1-integrity=HMAC-SHA2-256-128",
                 "--phase1-prf=PRF-HMAC-SHA2-256", "--phase1-dh=Group-14",
                 "--phase2-encryption=AES-CBC-128", "--phase2-integrity=HMAC-SHA2-384-192",
                 "--phase2-pfs=Group-19"));
    /* A name begins with a letter there, and has 63 bytes. */
    expect_named("name = \"1st\"; remote = \"203.0.113.9\"; " ELSEWHERE KEY_FILE, WORKSHEET_GOOGLE,
                 PARTS("vpn-tunnels create vpn-1st ", "--next-hop-vpn-tunnel=vpn-1st "));
    expect_named(
        "name = \"0123456789012345678901234567890123456789012345678901234567890123\"; remote "
        "= \"203.0.113.9\"; " ELSEWHERE KEY_FILE,
        WORKSHEET_GOOGLE,
        PARTS("vpn-tunnels create vpn-012345678901234567890123456789012345678901234567890-"));
}

static void for_azure(void **state)
{
    (void)state;
    expect(ENDS NETS KEY_FILE "preset = \"azure\"; ", WORKSHEET_AZURE,
           PARTS("has to be just: 10.10.0.0/16\n", "1350 bytes",
                 "az network local-gateway create --resource-group GROUP --name st-marys "
                 "--gateway-ip-address 198.51.100.4 --local-address-prefixes 10.20.0.0/24\n",
                 "--shared-key \"$(cat PUT-THE-KEY-HERE)\"",
                 "--ike-encryption AES256 --ike-integrity SHA384 --dh-group ECP384",
                 "--ipsec-encryption GCMAES256 --ipsec-integrity GCMAES256 --pfs-group ECP384",
                 "--sa-lifetime 27000", "--use-policy-based-traffic-selectors true",
                 "dpdTimeoutSeconds=45"));
    expect(ENDS NETS KEY_FILE "ike_proposals = [ \"aes128gcm16-prfsha256-modp2048\" ]; "
                              "esp_proposals = [ \"aes256-sha256-modp2048\" ];",
           WORKSHEET_AZURE,
           PARTS("28800 s there, which can't be set; ours 14400 s",
                 "--ike-encryption GCMAES128 --ike-integrity SHA256 --dh-group DHGroup14",
                 "--ipsec-encryption AES256 --ipsec-integrity SHA256 --pfs-group PFS2048"));
    expect(ENDS NETS KEY_FILE
           "preset = \"azure\"; esp_lifetime_s = 604800; ike_lifetime_s = 604800; ",
           WORKSHEET_AZURE,
           PARTS("live 300 s to 172799 s there; ours 604800 s", "--sa-lifetime 172799 "));
    expect(ENDS NETS KEY_FILE "preset = \"azure\"; esp_lifetime_s = 60; ", WORKSHEET_AZURE,
           PARTS("--sa-lifetime 300 "));
}

static void for_fortigate(void **state)
{
    (void)state;
    expect(ENDS "local_subnets = [ \"10.20.0.0/24\" ]; remote_subnets = [ \"10.10.0.0/16\", "
                "\"10.11.0.0/20\" ]; " KEY_FILE "preset = \"fortigate\"; ",
           WORKSHEET_FORTIGATE,
           PARTS("config vpn ipsec phase1-interface\n    edit \"st-marys\"\n", "set ike-version 2",
                 "set remote-gw 198.51.100.4\n", "set psksecret PUT-THE-KEY-HERE\n",
                 "set proposal aes256gcm-prfsha384 aes256-sha256\n", "set dhgrp 20 14\n",
                 "set keylife 86400\n", "set dpd-retryinterval 30\n", "edit \"st-marys-1\"\n",
                 "set proposal aes256gcm aes256-sha256\n", "set dhgrp 20 14\n", "set pfs enable\n",
                 "set keylifeseconds 43200\n", "set src-subnet 10.10.0.0 255.255.0.0\n",
                 "set dst-subnet 10.20.0.0 255.255.255.0\n", "edit \"st-marys-2\"\n",
                 "set src-subnet 10.11.0.0 255.255.240.0\n", "set dst 10.20.0.0 255.255.255.0\n",
                 "tcp-mss-sender 1360"));
    /* An interface's name has 15 bytes there, "-2" included. */
    expect_named(
        "name = \"the-hospital-on-the-hill\"; remote = \"203.0.113.9\"; remote_id = \"fw\"; " ELSEWHERE
            KEY_FILE "ike_proposals = [ \"aes256-sha256-prfsha512-modp2048\" ]; ",
        WORKSHEET_FORTIGATE,
        PARTS("# IKE aes256-sha256-prfsha512-modp2048: FortiGate's PRF is always the hash",
              "edit \"the-hos-ffb6\"\n", "remote-gw ADDRESS-OF-EDGE-1\n",
              "set localid-type fqdn\n        set localid \"fw\"\n", "edit \"the-hos-ffb6-1\"\n",
              "phase1name \"the-hos-ffb6\""));
    /* Another that begins alike is another. */
    expect_named(
        "name = \"the-hospital-on-the-hill-2\"; remote = \"203.0.113.9\"; " ELSEWHERE KEY_FILE,
        WORKSHEET_FORTIGATE, PARTS("edit \"the-hos-714d\"\n"));
    /* What is left out is not counted. */
    expect(ENDS NETS KEY_FILE "ike_proposals = [ \"aes256ccm16-prfsha256-ecp256\", "
                              "\"aes256-sha2_256-modp2048\", "
                              "\"aes128-sha256-sha384-prfsha256-ecp256\" ]; "
                              "ike_lifetime_s = 604800; esp_lifetime_s = 60; ",
           WORKSHEET_FORTIGATE,
           PARTS("Left out: IKE aes256ccm16-prfsha256-ecp256",
                 "# IKE aes128-sha256-sha384-prfsha256-ecp256: FortiGate's PRF",
                 "FortiGate allows 120 s to 172800 s; ours are 604800 s and 60 s",
                 "set proposal aes256-sha256 aes128-sha256 aes128-sha384\n", "set keylife 172800\n",
                 "set keylifeseconds 120\n"));
    char *sheet = sheet_of(ENDS NETS KEY_FILE "ike_proposals = [ \"aes256-sha2_256-modp2048\" ]; ",
                           "", WORKSHEET_FORTIGATE, NULL);
    assert_null(strstr(sheet, "PRF is always"));
    assert_null(strstr(sheet, "localid")); /* its address, which it proves by itself */
    assert_null(strstr(sheet, "Lifetimes"));
    free(sheet);
    expect("name = \"st-marys\"; remote = \"2001:db8::9\"; local = \"2001:db8::4\"; " NETS KEY_FILE,
           WORKSHEET_FORTIGATE, PARTS("set ip-version 6\n", "set remote-gw6 2001:db8::4\n"));
}

/* charon compares an identity's type, too: what it makes of the text is what the other side has to
 * send. */
static void identities_have_types(void **state)
{
    static const struct {
        const char *remote, *id, *fortigate, *asa;
    } cases[] = {
        {"203.0.113.9", "", NULL, NULL},
        {"203.0.113.9", "203.0.113.9", NULL, NULL},
        {"vpn.h.example", "", "fqdn\n        set localid \"vpn.h.example\"",
         "have to be vpn.h.example.\ncrypto isakmp identity hostname\n"},
        {"203.0.113.9", "fw.h.example", "fqdn\n        set localid \"fw.h.example\"",
         "have to be fw.h.example.\ncrypto isakmp identity hostname\n"},
        {"203.0.113.9", "dns:fw", "fqdn\n        set localid \"fw\"",
         "have to be fw.\ncrypto isakmp identity hostname\n"},
        {"203.0.113.9", "10.9.0.1", "address\n        set localid \"10.9.0.1\"", "IMPOSSIBLE"},
        {"203.0.113.9", "vpn@h.example", "user-fqdn\n        set localid \"vpn@h.example\"",
         "IMPOSSIBLE"},
        {"203.0.113.9", "KeyID:st-marys", "keyid\n        set localid \"st-marys\"",
         "crypto isakmp identity key-id st-marys\n"},
        {"203.0.113.9", "C=DE, CN=fw", "asn1dn\n        set localid \"C=DE, CN=fw\"", "IMPOSSIBLE"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char tunnel[1024];
        bool possible = true;
        snprintf(
            tunnel, sizeof tunnel,
            "name = \"st-marys\"; remote = \"%s\"; local = \"198.51.100.4\"; %s%s%s " NETS KEY_FILE,
            cases[i].remote, cases[i].id[0] != '\0' ? "remote_id = \"" : "", cases[i].id,
            cases[i].id[0] != '\0' ? "\";" : "");
        char *sheet = sheet_of(tunnel, "", WORKSHEET_FORTIGATE, &possible);
        assert_int_equal(strstr(sheet, "localid-type") != NULL, cases[i].fortigate != NULL);
        if (cases[i].fortigate != NULL)
            assert_parts(sheet, PARTS("set localid-type ", cases[i].fortigate));
        free(sheet);
        sheet = sheet_of(tunnel, "", WORKSHEET_ASA, &possible);
        assert_int_equal(strstr(sheet, "isakmp identity") != NULL ||
                             strstr(sheet, "IMPOSSIBLE") != NULL,
                         cases[i].asa != NULL);
        if (cases[i].asa != NULL)
            assert_parts(sheet, PARTS(cases[i].asa));
        assert_int_equal(possible, strstr(sheet, "IMPOSSIBLE") == NULL);
        free(sheet);
    }
    expect(ENDS NETS CERTIFICATE, WORKSHEET_ASA,
           PARTS("have to be vpn.st-marys.example.\ncrypto isakmp identity hostname\n"));
    expect(ENDS NETS KEY_FILE "remote_id = \"vpn@h.example\"; local_id = \"keyid:edge\"; ",
           WORKSHEET_WORDS,
           PARTS("your identity       vpn@h.example (user FQDN)\n",
                 "our identity        edge (key id)\n"));
}

static void for_asa(void **state)
{
    (void)state;
    expect(ENDS NETS KEY_FILE "preset = \"asa\"; ", WORKSHEET_ASA,
           PARTS("! ",
                 "crypto ikev2 policy 10\n encryption aes-gcm-256\n integrity null\n group 20\n "
                 "prf sha384\n lifetime seconds 86400\n",
                 "crypto ikev2 policy 11\n encryption aes-256\n integrity sha256\n group 14\n prf "
                 "sha256\n",
                 "ipsec-proposal st-marys-1\n protocol esp encryption aes-gcm-256\n protocol esp "
                 "integrity null\n",
                 "ipsec-proposal st-marys-2\n protocol esp encryption aes-256\n protocol esp "
                 "integrity sha-256\n",
                 "permit ip 10.10.0.0 255.255.0.0 10.20.0.0 255.255.255.0\n",
                 "tunnel-group 198.51.100.4 type ipsec-l2l\n",
                 "remote-authentication pre-shared-key PUT-THE-KEY-HERE\n",
                 "keepalive threshold 30 ", "set peer 198.51.100.4\n",
                 "set ikev2 ipsec-proposal st-marys-1 st-marys-2\n", "set pfs group20\n",
                 "lifetime seconds 28800\n", "tcpmss 1360\n"));
    /* The shortest that it takes. */
    expect(ENDS NETS KEY_FILE "ike_lifetime_s = 60; esp_lifetime_s = 60; dpd_delay_s = 5; ",
           WORKSHEET_ASA,
           PARTS(" lifetime seconds 120\n", "keepalive threshold 10 ", "lifetime seconds 120\n"));
}

/* Behind a NAT the other side has to know the address outside; where that isn't known, nothing wrong
 * is said. */
static void behind_a_nat(void **state)
{
    (void)state;
    expect("name = \"st-marys\"; remote = \"203.0.113.9\"; local = \"192.168.7.2\"; local_id = "
           "\"198.51.100.4\"; " NETS KEY_FILE,
           WORKSHEET_GOOGLE, PARTS("--peer-address=198.51.100.4 "));
    expect("name = \"st-marys\"; remote = \"203.0.113.9\"; local = \"192.168.7.2\"; local_id = "
           "\"edge-1.example\"; " NETS KEY_FILE,
           WORKSHEET_SWANCTL,
           PARTS("remote_addrs = ADDRESS-OF-EDGE-1\n", "id = \"edge-1.example\""));
    expect("name = \"st-marys\"; remote = \"10.9.0.1\"; local = \"192.168.7.2\"; " NETS KEY_FILE,
           WORKSHEET_SWANCTL, PARTS("remote_addrs = 192.168.7.2\n"));
}

static void what_cannot_be_said_is_named(void **state)
{
    static const struct {
        enum worksheet_kind kind;
        const char *tunnel;
        bool possible;
        const char *part;
    } cases[] = {
        {WORKSHEET_AWS, "ike_proposals = [ \"chacha20poly1305-prfsha256-ecp256\" ];", false,
         "# IMPOSSIBLE: none of our IKE proposals"},
        {WORKSHEET_AWS,
         "ike_proposals = [ \"chacha20poly1305-prfsha256-ecp256\", \"aes256-sha256-ecp256\" ];",
         true,
         "# Left out: IKE chacha20poly1305-prfsha256-ecp256: aws has no word for "
         "chacha20poly1305."},
        {WORKSHEET_AWS, "esp_proposals = [ \"aes256gcm16-x25519\" ];", false, "no word for x25519"},
        {WORKSHEET_AZURE, "esp_proposals = [ \"aes256-sha384-ecp384\" ];", false,
         "no word for sha384"},
        {WORKSHEET_AZURE, "ike_proposals = [ \"aes256-sha512-ecp384\" ];", false,
         "no word for sha512"},
        {WORKSHEET_AZURE, "ike_proposals = [ \"aes192gcm16-prfsha384-ecp384\" ];", false,
         "no word for aes192gcm16"},
        {WORKSHEET_AZURE, "esp_proposals = [ \"aes192gcm16-ecp384\" ];", true,
         "--ipsec-encryption GCMAES192 --ipsec-integrity GCMAES192"},
        {WORKSHEET_FORTIGATE, "esp_proposals = [ \"aes192gcm16-ecp384\" ];", false,
         "no word for aes192gcm16"},
        {WORKSHEET_ASA, "esp_proposals = [ \"aes256ctr-sha256-modp2048\" ];", false,
         "! IMPOSSIBLE: none of our ESP proposals"},
        {WORKSHEET_GOOGLE, "esp_proposals = [ \"aes256gcm16-ecp384-esn\" ];", false,
         "no word for esn"},
        {WORKSHEET_GOOGLE, "esp_proposals = [ \"aes256gcm16-ecp384-esn-noesn\" ];", false,
         "no word for esn"},
        {WORKSHEET_SWANCTL, "ike_proposals = [ \"chacha20poly1305-prfsha256-x448\" ];", true,
         "chacha20poly1305-prfsha256-x448"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char tunnel[1024];
        bool possible;
        snprintf(tunnel, sizeof tunnel, ENDS NETS KEY_FILE "%s", cases[i].tunnel);
        char *sheet = sheet_of(tunnel, "", cases[i].kind, &possible);
        assert_parts(sheet, PARTS(cases[i].part));
        assert_int_equal(possible, cases[i].possible);
        free(sheet);
    }
    bool possible;
    char *sheet = sheet_of(ENDS NETS CERTIFICATE, "", WORKSHEET_GOOGLE, &possible);
    assert_parts(sheet, PARTS("IMPOSSIBLE: Google takes pre-shared keys only"));
    assert_false(possible);
    free(sheet);
    sheet = sheet_of(ENDS KEY_FILE "local_subnets = [ \"10.20.0.0/24\", \"fd20::/64\" ]; "
                                   "remote_subnets = [ \"10.10.0.0/16\", \"fd10::/64\" ]; ",
                     "", WORKSHEET_GOOGLE, &possible);
    assert_parts(sheet, PARTS("IMPOSSIBLE: Classic VPN", "has no IPv6"));
    assert_false(possible);
    free(sheet);
}

/* Every preset can be written for what it is named after. */
static void presets_fit_their_vendors(void **state)
{
    static const struct {
        const char *preset;
        enum worksheet_kind kind;
    } cases[] = {{"strongswan", WORKSHEET_SWANCTL},  {"aws", WORKSHEET_AWS},
                 {"google", WORKSHEET_GOOGLE},       {"azure", WORKSHEET_AZURE},
                 {"fortigate", WORKSHEET_FORTIGATE}, {"asa", WORKSHEET_ASA}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char tunnel[1024];
        snprintf(tunnel, sizeof tunnel, ENDS NETS KEY_FILE "preset = \"%s\";", cases[i].preset);
        char *sheet = sheet_of(tunnel, "", cases[i].kind, NULL);
        assert_null(strstr(sheet, "Left out"));
        assert_null(strstr(sheet, "(null)"));
        free(sheet);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_words),
        cmocka_unit_test(for_swanctl),
        cmocka_unit_test(for_aws),
        cmocka_unit_test(for_aws_a_pair_is_one_connection),
        cmocka_unit_test(for_aws_lifetimes_are_what_it_takes),
        cmocka_unit_test(for_google),
        cmocka_unit_test(for_azure),
        cmocka_unit_test(for_fortigate),
        cmocka_unit_test(identities_have_types),
        cmocka_unit_test(for_asa),
        cmocka_unit_test(behind_a_nat),
        cmocka_unit_test(what_cannot_be_said_is_named),
        cmocka_unit_test(presets_fit_their_vendors),
    };
    return cmocka_run_group_tests(tests, make_key, remove_key);
}
