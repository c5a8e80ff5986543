/* links: admission certs config base */
/* Who may connect and send: a table for the decision, one for facilities, and what may not be left
 * out of the rules by mistake. */
#include "admission/admission.h"

#include "support/pki.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define PEERS 14
/* The configuration's texts are not const; nobody writes to them. */
#define TEXT(text) ((char *)(uintptr_t)(text))

enum { ROOT_A = 1, ROOT_B = 2 }; /* whose digest an identity's chain ended in; 0: unknown */

static uint8_t roots[3][32];
static char *ca_a, *ca_b;

/* ---- fixtures ---- */

static int make_roots(void **state)
{
    char error[256];

    (void)state;
    pki_make();
    ca_a = strdup(pki_file("ca.pem"));
    ca_b = strdup(pki_file("server.pem")); /* any certificate will do for another root */
    for (int i = ROOT_A; i <= ROOT_B; i++) {
        uint8_t(*digests)[32];
        size_t count;
        assert_int_equal(identity_file_digests(i == ROOT_A ? ca_a : ca_b, &digests, &count, error),
                         0);
        assert_int_equal(count, 1);
        memcpy(roots[i], digests[0], 32);
        free(digests);
    }
    return 0;
}

static int free_roots(void **state)
{
    (void)state;
    free(ca_a);
    free(ca_b);
    return 0;
}

static struct identity identity_of(const char *dns, int root)
{
    static char *names[1];
    struct identity identity = {.dns = names, .dns_count = 1, .has_alternative_names = true};

    names[0] = (char *)(uintptr_t)dns;
    memcpy(identity.root_sha256, roots[root], 32);
    memset(identity.sha256, 0xab, 32);
    memset(identity.spki_sha256, 0xcd, 32);
    return identity;
}

static void source_of(const char *text, struct sockaddr_storage *ret_source)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    memset(ret_source, 0, sizeof(*ret_source));
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        memcpy(ret_source, &in, sizeof(in));
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
        memcpy(ret_source, &in6, sizeof(in6));
    }
}

static struct admission_rules *rules_of(struct config_peer *peers, size_t peer_count,
                                        struct config_listener *listeners, size_t listener_count,
                                        const struct admission_name *names, size_t name_count)
{
    struct config config = {.peers = peers,
                            .peer_count = peer_count,
                            .listeners = listeners,
                            .listener_count = listener_count};
    char error[512];
    struct admission_rules *rules = admission_rules_new(&config, NULL, names, name_count, error);

    if (rules == NULL) {
        fail_msg("%s", error);
    }
    assert_string_equal(error, "");
    return rules;
}

static struct admission_answer decide(const struct admission_rules *rules, const char *address,
                                      const struct identity *identity)
{
    struct sockaddr_storage source;
    struct admission_query query = {.source = (const struct sockaddr *)&source,
                                    .identity = identity};
    struct admission_answer answer;

    source_of(address, &source);
    admission_decide(rules, &query, &answer);
    assert_int_equal(answer.reason == REASON_NONE, answer.peer != NULL);
    /* What is refused before a byte is read could not have been admitted, and the other way round. */
    assert_int_equal(admission_by_address(rules, 0, query.source) == REASON_NONE,
                     answer.reason != REASON_ADDRESS_NOT_LISTED);
    return answer;
}

/* ---- tunnels ---- */

/* Who must come through a tunnel is not let in by another way because tunnels are not looked at. */
static void test_a_tunnel_is_refused_while_it_is_not_enforced(void **state)
{
    struct config_peer peers[] = {{.name = TEXT("lab"), .tunnel = TEXT("site")}};
    struct config config = {.peers = peers, .peer_count = 1};
    char error[512];

    (void)state;
    assert_null(admission_rules_new(&config, NULL, NULL, 0, error));
    assert_non_null(strstr(error, "peers.lab.tunnel"));
}

/* ---- the decision ---- */

struct row {
    const char *address, *dns; /* NULL: no certificate */
    int root;
    const char *peer; /* NULL: refused with reason */
    enum reason reason;
};

static const struct row rows[] = {
    /* addresses alone */
    {"10.1.0.1", NULL, 0, "net", REASON_NONE},
    {"::ffff:10.1.0.1", NULL, 0, "net", REASON_NONE},
    {"10.9.9.9", NULL, 0, NULL, REASON_ADDRESS_NOT_LISTED},
    {"::10.1.0.1", NULL, 0, NULL, REASON_ADDRESS_NOT_LISTED},
    {"2001:db8::1", NULL, 0, "six", REASON_NONE},
    {"2001:db9::1", NULL, 0, NULL, REASON_ADDRESS_NOT_LISTED},
    /* a certificate that is not demanded does no harm */
    {"10.1.0.1", "any.example", ROOT_B, "net", REASON_NONE},
    /* the longest prefix decides, and only it: its neighbour's certificate is no way round */
    {"10.2.0.1", NULL, 0, "wide", REASON_NONE},
    {"10.2.5.1", NULL, 0, NULL, REASON_CERTIFICATE_MISSING},
    {"10.2.5.1", "narrow.example", ROOT_A, "narrow", REASON_NONE},
    {"10.2.5.1", "other.example", ROOT_A, NULL, REASON_CERTIFICATE_NOT_LISTED},
    {"10.2.6.7", NULL, 0, "host", REASON_NONE},
    {"10.2.6.8", NULL, 0, "wide", REASON_NONE},
    /* one address, two peers: the certificate tells them apart */
    {"10.3.0.1", "left.example", ROOT_A, "left", REASON_NONE},
    {"10.3.0.1", "LEFT.example", ROOT_A, "left", REASON_NONE},
    {"10.3.0.1", "right.example", ROOT_B, "right", REASON_NONE},
    {"10.3.0.1", "third.example", ROOT_A, NULL, REASON_CERTIFICATE_NOT_LISTED},
    {"10.3.0.1", NULL, 0, NULL, REASON_CERTIFICATE_MISSING},
    /* the right name from the wrong hospital's CA */
    {"10.3.0.1", "left.example", ROOT_B, NULL, REASON_CERTIFICATE_WRONG_CA},
    {"10.3.0.1", "right.example", ROOT_A, NULL, REASON_CERTIFICATE_WRONG_CA},
    {"10.3.0.1", "left.example", 0, NULL, REASON_CERTIFICATE_WRONG_CA},
    /* two that both fit */
    {"10.4.0.1", "twin.example", ROOT_A, NULL, REASON_PEER_AMBIGUOUS},
    {"10.4.0.1", "one.example", ROOT_A, "twin-1", REASON_NONE},
    /* empty lists */
    {"10.5.0.1", "any.example", ROOT_A, NULL, REASON_CERTIFICATE_NOT_LISTED},
    {"10.5.0.1", NULL, 0, NULL, REASON_CERTIFICATE_MISSING},
    /* ca without certificates: whoever shows one must show one of that CA */
    {"10.6.0.1", NULL, 0, "ca-only", REASON_NONE},
    {"10.6.0.1", "any.example", ROOT_B, "ca-only", REASON_NONE},
    {"10.6.0.1", "any.example", ROOT_A, NULL, REASON_CERTIFICATE_WRONG_CA},
};

/* Lists of words; NULL: not written, "": []. */
static const struct {
    const char *name, *addresses, *certificates;
    int root;
} peer_rows[PEERS] = {
    {"net", "10.1.0.0/16", NULL, 0},
    {"six", "2001:db8::/32 192.0.2.1", NULL, 0},
    {"wide", "10.2.0.0/16", NULL, 0},
    {"narrow", "10.2.5.0/24", "dns:narrow.example", 0},
    {"host", "10.2.6.7", NULL, 0},
    {"left", "10.3.0.0/16", "dns:left.example", ROOT_A},
    {"right", "10.3.0.0/16", "dns:x.example dns:right.example", ROOT_B},
    {"twin-1", "10.4.0.0/16", "dns:twin.example dns:one.example", 0},
    {"twin-2", "10.4.0.0/16", "dns:twin.example", 0},
    {"nobody", "10.5.0.0/16", "", 0},
    {"ca-only", "10.6.0.0/16", NULL, ROOT_B},
    {"no-addresses", NULL, NULL, 0},
    {"empty-addresses", "", NULL, 0},
    {"not-of-the-listener", "0.0.0.0/0 ::/0", NULL, 0},
};

static struct config_strings list_of(const char *words)
{
    struct config_strings list = {.items = calloc(4, sizeof(char *)), .present = words != NULL};

    assert_non_null(list.items);
    while (words != NULL && *words != '\0') {
        size_t length = strcspn(words, " ");
        assert_true(list.count < 4);
        list.items[list.count] = strndup(words, length);
        assert_non_null(list.items[list.count++]);
        words += length + (words[length] == ' ');
    }
    return list;
}

static void free_list(struct config_strings *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i]);
    }
    free(list->items);
}

static void make_peers(struct config_peer peers[PEERS])
{
    for (size_t i = 0; i < PEERS; i++) {
        peers[i] = (struct config_peer){
            .name = TEXT(peer_rows[i].name),
            .addresses = list_of(peer_rows[i].addresses),
            .certificates = list_of(peer_rows[i].certificates),
            .ca = peer_rows[i].root == 0        ? NULL
                  : peer_rows[i].root == ROOT_A ? ca_a
                                                : ca_b,
        };
    }
}

static void free_peers(struct config_peer peers[PEERS])
{
    for (size_t i = 0; i < PEERS; i++) {
        free_list(&peers[i].addresses);
        free_list(&peers[i].certificates);
    }
}

/* With the listener's peers in either order. */
static void decisions(void **state)
{
    struct config_peer peers[PEERS];
    char *forward[PEERS - 1], *backward[PEERS - 1];

    (void)state;
    make_peers(peers);
    for (size_t i = 0; i < PEERS - 1; i++) {
        forward[i] = backward[PEERS - 2 - i] = peers[i].name;
    }
    for (int order = 0; order < 2; order++) {
        struct config_listener listener = {
            .name = TEXT("adt"), .peers = {order == 0 ? forward : backward, PEERS - 1, true}};
        struct admission_rules *rules = rules_of(peers, PEERS, &listener, 1, NULL, 0);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct identity identity = identity_of(rows[i].dns, rows[i].root);
            struct admission_answer answer =
                decide(rules, rows[i].address, rows[i].dns == NULL ? NULL : &identity);
            const char *peer = answer.peer == NULL ? "nobody" : answer.peer->name;
            if (answer.reason != rows[i].reason ||
                strcmp(peer, rows[i].peer == NULL ? "nobody" : rows[i].peer) != 0) {
                fail_msg("%s, %s: %s, %s", rows[i].address, rows[i].dns, peer,
                         reason_code(answer.reason));
            }
        }
        admission_rules_release(&rules);
        assert_null(rules);
    }
    free_peers(peers);
}

static void kinds_of_certificates(void **state)
{
    static const struct {
        const char *matcher;
        bool fits;
    } cases[] = {
        {"dns:lab.example", true},
        {"cn:Lab", false}, /* names of the SAN are there: the CN means nothing */
        {"email:lab@example.org", true},
        {"uri:urn:lab", true},
        {"uri:urn:Lab", false},
        {"sha256:abababababababababababababababababababababababababababababababab", true},
        {TEXT("sha256:bbababababababababababababababababababababababababababababababab"), false},
        {"spki:zc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc0=", true},
    };
    char *email[] = {TEXT("lab@example.org")}, *uri[] = {TEXT("urn:lab")};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *matchers[] = {TEXT(cases[i].matcher)}, *addresses[] = {TEXT("10.0.0.0/8")};
        char *names[] = {TEXT("lab")};
        /* A pin never replaces the chain check. */
        struct config_peer peer = {.name = names[0],
                                   .addresses = {addresses, 1, true},
                                   .certificates = {matchers, 1, true},
                                   .ca = ca_a};
        struct config_listener listener = {.name = names[0], .peers = {names, 1, true}};
        struct admission_rules *rules = rules_of(&peer, 1, &listener, 1, NULL, 0);
        struct identity identity = identity_of("lab.example", ROOT_A);
        identity.common_name = TEXT("Lab");
        identity.email = email;
        identity.uri = uri;
        identity.email_count = identity.uri_count = 1;
        assert_int_equal(decide(rules, "10.0.0.1", &identity).reason,
                         cases[i].fits ? REASON_NONE : REASON_CERTIFICATE_NOT_LISTED);
        memcpy(identity.root_sha256, roots[ROOT_B], 32);
        assert_int_equal(decide(rules, "10.0.0.1", &identity).reason,
                         cases[i].fits ? REASON_CERTIFICATE_WRONG_CA
                                       : REASON_CERTIFICATE_NOT_LISTED);
        admission_rules_release(&rules);
    }
}

/* ---- names ---- */

static void dns_names(void **state)
{
    char *addresses[] = {TEXT("lab.example"), TEXT("unresolved.example"), TEXT("10.7.0.0/16")};
    char *names[] = {TEXT("lab")};
    struct config_peer peer = {.name = names[0], .addresses = {addresses, 3, true}};
    struct config_listener listener = {.name = names[0], .peers = {names, 1, true}};
    uint8_t keys[2][16] = {{0}};
    struct admission_name resolved[] = {{"lab.example", keys, 2}, {"gone.example", NULL, 0}};
    struct admission_rules *rules;
    struct sockaddr_storage source;

    (void)state;
    source_of("192.0.2.1", &source);
    address_key((const struct sockaddr *)&source, keys[0]);
    source_of("2001:db8::5", &source);
    address_key((const struct sockaddr *)&source, keys[1]);
    rules = rules_of(&peer, 1, &listener, 1, resolved, 2);
    assert_int_equal(decide(rules, "192.0.2.1", NULL).reason, REASON_NONE);
    assert_int_equal(decide(rules, "::ffff:192.0.2.1", NULL).reason, REASON_NONE);
    assert_int_equal(decide(rules, "2001:db8::5", NULL).reason, REASON_NONE);
    assert_int_equal(decide(rules, "10.7.1.1", NULL).reason, REASON_NONE);
    assert_int_equal(decide(rules, "192.0.2.2", NULL).reason, REASON_ADDRESS_NOT_LISTED);
    admission_rules_release(&rules);

    rules = rules_of(&peer, 1, &listener, 1, NULL, 0); /* not resolved: nobody by that name */
    assert_int_equal(decide(rules, "192.0.2.1", NULL).reason, REASON_ADDRESS_NOT_LISTED);
    assert_int_equal(decide(rules, "10.7.1.1", NULL).reason, REASON_NONE);
    admission_rules_release(&rules);
}

/* ---- proxies ---- */

static enum admission_proxy proxy_of(const struct admission_rules *rules, unsigned listener,
                                     const char *address)
{
    struct sockaddr_storage source;

    source_of(address, &source);
    return admission_proxy(rules, listener, (const struct sockaddr *)&source);
}

static void proxies(void **state)
{
    char *networks[] = {TEXT("10.1.0.0/24"), TEXT("2001:db8::1")};
    struct config_listener listeners[] = {
        {.name = TEXT("direct")},
        {.name = TEXT("proxied"), .proxy_from = {networks, 2, true}},
        {.name = TEXT("closed"), .proxy_from = {networks, 0, true}},
    };
    struct admission_rules *rules = rules_of(NULL, 0, listeners, 3, NULL, 0);

    (void)state;
    assert_int_equal(proxy_of(rules, 0, "10.1.0.1"), ADMISSION_PROXY_NONE);
    assert_int_equal(proxy_of(rules, 1, "10.1.0.1"), ADMISSION_PROXY_EXPECTED);
    assert_int_equal(proxy_of(rules, 1, "::ffff:10.1.0.1"), ADMISSION_PROXY_EXPECTED);
    assert_int_equal(proxy_of(rules, 1, "2001:db8::1"), ADMISSION_PROXY_EXPECTED);
    assert_int_equal(proxy_of(rules, 1, "10.1.1.1"), ADMISSION_PROXY_REFUSED);
    assert_int_equal(proxy_of(rules, 2, "10.1.0.1"), ADMISSION_PROXY_REFUSED);
    admission_rules_release(&rules);
}

/* One that can't be read must not be left out: with none left any source would be trusted. */
static void wrong_rules(void **state)
{
    char *networks[] = {TEXT("lb.example")};
    char *matchers[] = {TEXT("dns:lab.example"), TEXT("name:lab")};
    struct config_listener listener = {.name = TEXT("adt"), .proxy_from = {networks, 1, true}};
    struct config_peer peer = {.name = TEXT("lab"), .certificates = {matchers, 2, true}};
    struct config config = {.listeners = &listener, .listener_count = 1};
    char error[512];

    (void)state;
    assert_null(admission_rules_new(&config, NULL, NULL, 0, error));
    assert_non_null(strstr(error, "listeners.adt.proxy_from: \"lb.example\""));
    config = (struct config){.peers = &peer, .peer_count = 1};
    assert_null(admission_rules_new(&config, NULL, NULL, 0, error));
    assert_non_null(strstr(error, "peers.lab.certificates: "));
    peer.certificates.count = 1;
    peer.ca = TEXT("/nowhere/ca.pem");
    assert_null(admission_rules_new(&config, NULL, NULL, 0, error));
    assert_non_null(strstr(error, "peers.lab.ca: "));
}

/* ---- facilities ---- */

static void facilities(void **state)
{
    static const struct {
        const char *application, *facility;
        bool allowed;
    } cases[] = {
        {"LAB", "STM", true},   {"", "STM", true},      {"LAB", "stm", false},
        {"LAB", "STM ", false}, {"LAB", "ST", false},   {"LAB", "", false},
        {"RAD", "GEN", true},   {"XRAY", "GEN", false}, {"", "GEN", false},
        {"RAD", "GENX", false}, {"RADX", "GEN", false}, {"RAD", "RAD^GEN", false},
        {"", "UKM^1", false},   {"UKM", "1", true},
    };
    char *list[] = {TEXT("STM"), TEXT("RAD^GEN"), TEXT("UKM^1")};
    struct config_peer peer = {.facilities = {list, 3, true}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (admission_facility_allowed(&peer, span_of_string(cases[i].application),
                                       span_of_string(cases[i].facility)) != cases[i].allowed) {
            fail_msg("%s^%s", cases[i].application, cases[i].facility);
        }
    }
    assert_false(admission_facility_allowed(&peer, span_of(NULL, 0), span_of("STM\0", 4)));
    peer.facilities.count = 0; /* an empty list: none */
    assert_false(admission_facility_allowed(&peer, span_of(NULL, 0), span_of_string("STM")));
    peer.facilities.present = false; /* not written: not checked */
    assert_true(admission_facility_allowed(&peer, span_of(NULL, 0), span_of_string("STM")));
    assert_true(admission_facility_allowed(&peer, span_of(NULL, 0), span_of(NULL, 0)));
}

static void references(void **state)
{
    struct config_listener listener = {.name = TEXT("adt")};
    struct admission_rules *rules = rules_of(NULL, 0, &listener, 1, NULL, 0);
    struct admission_rules *other = admission_rules_reference(rules);

    (void)state;
    admission_rules_release(&rules);
    assert_int_equal(decide(other, "10.0.0.1", NULL).reason, REASON_ADDRESS_NOT_LISTED);
    admission_rules_release(&other);
    admission_rules_release(&other); /* NULL */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tunnel_is_refused_while_it_is_not_enforced),
        cmocka_unit_test(decisions),
        cmocka_unit_test(kinds_of_certificates),
        cmocka_unit_test(dns_names),
        cmocka_unit_test(proxies),
        cmocka_unit_test(wrong_rules),
        cmocka_unit_test(facilities),
        cmocka_unit_test(references),
    };
    return cmocka_run_group_tests(tests, make_roots, free_roots);
}
