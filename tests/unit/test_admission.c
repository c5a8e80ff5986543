/* links: admission certs vpn config base */
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
    const struct admission_known known = {.names = names, .name_count = name_count};
    char error[512];
    struct admission_rules *rules = admission_rules_new(&config, NULL, &known, error);

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
    assert_int_equal(admission_by_address(rules, &query) == REASON_NONE,
                     answer.reason != REASON_ADDRESS_NOT_LISTED);
    return answer;
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
    assert_null(admission_rules_new(&config, NULL, NULL, error));
    assert_non_null(strstr(error, "listeners.adt.proxy_from: \"lb.example\""));
    config = (struct config){.peers = &peer, .peer_count = 1};
    assert_null(admission_rules_new(&config, NULL, NULL, error));
    assert_non_null(strstr(error, "peers.lab.certificates: "));
    peer.certificates.count = 1;
    peer.ca = TEXT("/nowhere/ca.pem");
    assert_null(admission_rules_new(&config, NULL, NULL, error));
    assert_non_null(strstr(error, "peers.lab.ca: "));
}

/* ---- tunnels ---- */

struct ends {
    struct selector local[2], remote[2];
};

/* "LOCAL REMOTE", each one or two selectors with a comma. */
static struct admission_child child_of(const char *text, struct ends *ends)
{
    struct admission_child child = {.local = ends->local, .remote = ends->remote};
    bool remote = false;

    for (const char *at = text; *at != '\0';) {
        size_t length = strcspn(at, " ,");
        size_t *count = remote ? &child.remote_count : &child.local_count;
        struct selector *place = remote ? &ends->remote[*count] : &ends->local[*count];
        assert_null(selector_parse(at, length, place));
        (*count)++;
        at += length;
        remote = remote || *at == ' ';
        at += *at != '\0';
    }
    return child;
}

static void source_with_port(const char *address, uint16_t port, struct sockaddr_storage *ret)
{
    source_of(address, ret);
    if (ret->ss_family == AF_INET) {
        ((struct sockaddr_in *)(void *)ret)->sin_port = htons(port);
    } else {
        ((struct sockaddr_in6 *)(void *)ret)->sin6_port = htons(port);
    }
}

enum { UP = REASON_NONE, DOWN = REASON_TUNNEL_DOWN, UNKNOWN = REASON_TUNNEL_UNKNOWN };
#define NOTHING                                                                                    \
    {                                                                                              \
        -1, false,                                                                                 \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    } /* is said of it */
#define GONE                                                                                       \
    {                                                                                              \
        DOWN, false,                                                                               \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }
#define DARK                                                                                       \
    {                                                                                              \
        UNKNOWN, false,                                                                            \
        {                                                                                          \
            NULL                                                                                   \
        }                                                                                          \
    }

/* The peer "lab" must come through "a", whose pair is "b". Ours is port 2575, the source's 40000. */
static const struct tunnel_row {
    struct tunnel_case {
        int reason; /* -1: nothing is said of it */
        bool stays;
        const char *children[2];
    } a, b;
    const char *source, *local;
    int enters, stays; /* enum reason: as a new connection, as an open one */
} tunnel_rows[] = {
    /* up, and it carries both ends */
    {{UP, true, {"10.20.0.0/24 10.10.0.0/24"}}, NOTHING, "10.10.0.5", "10.20.0.1", UP, UP},
    {{UP, true, {"10.20.0.0/24 10.10.0.0/24"}}, NOTHING, "::ffff:10.10.0.5", "10.20.0.1", UP, UP},
    {{UP, true, {"fd01::/64 fd02::/64"}}, NOTHING, "fd02::5", "fd01::1", UP, UP},
    /* up, and one end is not carried */
    {{UP, true, {"10.20.0.0/24 10.10.0.0/28"}},
     NOTHING,
     "10.10.0.99",
     "10.20.0.1",
     UNKNOWN,
     UNKNOWN},
    {{UP, true, {"10.20.0.0/24 10.10.0.0/28"}}, GONE, "10.10.0.99", "10.20.0.1", DOWN, DOWN},
    {{UP, true, {"10.20.0.0/24 10.10.0.0/24"}}, GONE, "10.10.0.5", "10.30.0.1", DOWN, DOWN},
    {{UP, true, {"fd01::/64 ::/0"}}, GONE, "10.10.0.5", "10.20.0.1", DOWN, DOWN},
    {{UP, true, {NULL}}, GONE, "10.10.0.5", "10.20.0.1", DOWN, DOWN},
    /* each end by another CHILD SA is no way through */
    {{UP, true, {"10.20.0.0/24 10.11.0.0/24", "10.30.0.0/24 10.10.0.0/24"}},
     GONE,
     "10.10.0.5",
     "10.20.0.1",
     DOWN,
     DOWN},
    {{UP, true, {"10.30.0.0/24 10.10.0.0/24", "10.20.0.0/24 10.10.0.0/24"}},
     GONE,
     "10.10.0.5",
     "10.20.0.1",
     UP,
     UP},
    {{UP, true, {"10.30.0.0/24,10.20.0.0/24 10.11.0.0/24,10.10.0.0/24"}},
     GONE,
     "10.10.0.5",
     "10.20.0.1",
     UP,
     UP},
    /* ranges, protocols, ports: ours locally, the sender's remotely */
    {{UP, true, {"10.20.0.1..10.20.0.2 10.10.0.4..10.10.0.5"}},
     GONE,
     "10.10.0.5",
     "10.20.0.2",
     UP,
     UP},
    {{UP, true, {"10.20.0.1..10.20.0.2 10.10.0.4..10.10.0.5"}},
     GONE,
     "10.10.0.6",
     "10.20.0.2",
     DOWN,
     DOWN},
    {{UP, true, {"10.20.0.0/24[tcp/2575] 10.10.0.0/24[tcp]"}},
     GONE,
     "10.10.0.5",
     "10.20.0.1",
     UP,
     UP},
    {{UP, true, {"10.20.0.0/24[tcp/2576] 10.10.0.0/24"}},
     GONE,
     "10.10.0.5",
     "10.20.0.1",
     DOWN,
     DOWN},
    {{UP, true, {"10.20.0.0/24[udp] 10.10.0.0/24[udp]"}},
     GONE,
     "10.10.0.5",
     "10.20.0.1",
     DOWN,
     DOWN},
    {{UP, true, {"10.20.0.0/24 10.10.0.0/24[tcp/40000-40001]"}},
     GONE,
     "10.10.0.5",
     "10.20.0.1",
     UP,
     UP},
    {{UP, true, {"10.20.0.0/24 10.10.0.0/24[tcp/2575]"}},
     GONE,
     "10.10.0.5",
     "10.20.0.1",
     DOWN,
     DOWN},
    {{UP, true, {"dynamic dynamic"}}, GONE, "10.10.0.5", "10.20.0.1", DOWN, DOWN},
    /* down: whom it carried may stay for the grace */
    {{DOWN, false, {"10.20.0.0/24 10.10.0.0/24"}}, GONE, "10.10.0.5", "10.20.0.1", DOWN, DOWN},
    {{DOWN, true, {"10.20.0.0/24 10.10.0.0/24"}}, GONE, "10.10.0.5", "10.20.0.1", DOWN, UP},
    {{DOWN, true, {"10.20.0.0/24 10.11.0.0/24"}}, GONE, "10.10.0.5", "10.20.0.1", DOWN, DOWN},
    /* unknown: never heard of, held, held too long for new ones */
    {NOTHING, NOTHING, "10.10.0.5", "10.20.0.1", UNKNOWN, UNKNOWN},
    {{UNKNOWN, true, {"10.20.0.0/24 10.10.0.0/24"}}, DARK, "10.10.0.5", "10.20.0.1", UNKNOWN, UP},
    {{UNKNOWN, false, {"10.20.0.0/24 10.10.0.0/24"}},
     DARK,
     "10.10.0.5",
     "10.20.0.1",
     UNKNOWN,
     UNKNOWN},
    /* either one of a pair is enough */
    {{DOWN, false, {"10.20.0.0/24 10.10.0.0/24"}},
     {UP, true, {"10.20.0.0/24 10.10.0.0/24"}},
     "10.10.0.5",
     "10.20.0.1",
     UP,
     UP},
    {GONE, DARK, "10.10.0.5", "10.20.0.1", UNKNOWN, UNKNOWN},
    /* an address of ours that could not be found out */
    {{UP, true, {"0.0.0.0/0,::/0 0.0.0.0/0"}}, GONE, "10.10.0.5", NULL, DOWN, DOWN},
};

static size_t tunnels_of(const struct tunnel_row *row, struct admission_tunnel tunnels[2],
                         struct admission_child children[4], struct ends ends[4])
{
    const struct tunnel_case *cases[] = {&row->a, &row->b};
    size_t count = 0;

    for (size_t t = 0; t < 2; t++) {
        if (cases[t]->reason < 0) {
            continue;
        }
        struct admission_tunnel *tunnel = &tunnels[count++];
        bool up = cases[t]->reason == UP;
        *tunnel = (struct admission_tunnel){.name = t == 0 ? "a" : "b",
                                            .reason = up ? REASON_TUNNEL_DOWN
                                                         : (enum reason)cases[t]->reason,
                                            .children = &children[2 * t]};
        for (size_t i = 0; i < 2 && cases[t]->children[i] != NULL; i++) {
            struct admission_child *child = &children[2 * t + i];
            *child = child_of(cases[t]->children[i], &ends[2 * t + i]);
            child->enters_until_ms = up ? ADMISSION_FOREVER : ADMISSION_NEVER;
            child->stays_until_ms = cases[t]->stays ? ADMISSION_FOREVER : ADMISSION_NEVER;
            tunnel->child_count++;
        }
    }
    return count;
}

/* Peers: "lab" through the tunnel "a", of the networks subnets, "free" without one. The rules point into the
 * configuration. */
static struct admission_rules *rules_knowing(const struct admission_known *known,
                                             const struct config_strings subnets[2], bool proxied)
{
    static char *everything[] = {TEXT("0.0.0.0/0"), TEXT("::/0")};
    const struct config_strings all = {everything, 2, true};
    static char *lab[] = {TEXT("10.10.0.0/16"), TEXT("fd02::/16")};
    static char *any[] = {TEXT("10.99.0.0/16")}, *names[] = {TEXT("lab"), TEXT("free")};
    static char *proxies[] = {TEXT("10.10.0.0/16")};
    static struct config_peer peers[2];
    static struct config_tunnel pair[2];
    static struct config_listener listener;
    struct config config = {.peers = peers,
                            .peer_count = 2,
                            .listeners = &listener,
                            .listener_count = 1,
                            .tunnels = pair,
                            .tunnel_count = 2};
    char error[512];

    peers[0] =
        (struct config_peer){.name = names[0], .addresses = {lab, 2, true}, .tunnel = TEXT("a")};
    peers[1] = (struct config_peer){.name = names[1], .addresses = {any, 1, true}};
    pair[0] = (struct config_tunnel){
        .name = TEXT("b"), .pair = TEXT("a"), .local_subnets = all, .remote_subnets = all};
    pair[1] = (struct config_tunnel){.name = TEXT("a"),
                                     .local_subnets = subnets == NULL ? all : subnets[0],
                                     .remote_subnets = subnets == NULL ? all : subnets[1]};
    listener = (struct config_listener){
        .name = names[0], .peers = {names, 2, true}, .proxy_from = {proxies, 1, proxied}};
    struct admission_rules *rules = admission_rules_new(&config, NULL, known, error);
    assert_non_null(rules);
    return rules;
}

static struct admission_rules *tunnel_rules_of(const struct tunnel_row *row, bool proxied)
{
    struct admission_tunnel told[2];
    struct admission_child children[4];
    struct ends ends[4];
    struct admission_known known = {.tunnels = told,
                                    .tunnel_count = tunnels_of(row, told, children, ends)};
    struct admission_rules *rules = rules_knowing(&known, NULL, proxied);

    memset(ends, 0xff, sizeof(ends)); /* the rules have their own */
    return rules;
}

static enum reason at_that_time(const struct admission_rules *rules, const char *source,
                                const char *local, bool open, int64_t now_ms, int64_t heard_ms)
{
    struct sockaddr_storage from, to;
    struct admission_query query = {.source = (const struct sockaddr *)&from,
                                    .open = open,
                                    .now_ms = now_ms,
                                    .heard_ms = heard_ms};
    struct admission_answer answer;

    source_with_port(source, 40000, &from);
    if (local != NULL) {
        source_with_port(local, 2575, &to);
        query.local = (const struct sockaddr *)&to;
    }
    admission_decide(rules, &query, &answer);
    if (!open) { /* these are refused before a byte is read */
        assert_int_equal(admission_by_address(rules, &query), answer.reason);
    }
    return answer.reason;
}

static enum reason through_tunnel(const struct admission_rules *rules, const char *source,
                                  const char *local, bool open)
{
    return at_that_time(rules, source, local, open, 1000000, 0);
}

static void tunnels(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(tunnel_rows) / sizeof(tunnel_rows[0]); i++) {
        const struct tunnel_row *row = &tunnel_rows[i];
        struct admission_rules *rules = tunnel_rules_of(row, false);
        enum reason enters = through_tunnel(rules, row->source, row->local, false);
        enum reason stays = through_tunnel(rules, row->source, row->local, true);
        if ((int)enters != row->enters || (int)stays != row->stays) {
            fail_msg("row %zu, %s: enters %s, stays %s", i, row->source, reason_code(enters),
                     reason_code(stays));
        }
        /* Nobody else hangs on it. */
        assert_int_equal(through_tunnel(rules, "10.99.0.1", "192.0.2.1", false), REASON_NONE);
        admission_rules_release(&rules);
    }
}

/* Where addresses are claimed, none has come through a tunnel. */
static void no_tunnel_behind_a_proxy(void **state)
{
    struct admission_rules *rules = tunnel_rules_of(&tunnel_rows[0], true);

    (void)state;
    assert_int_equal(through_tunnel(rules, "10.10.0.5", "10.20.0.1", false), REASON_TUNNEL_DOWN);
    assert_int_equal(through_tunnel(rules, "10.10.0.5", "10.20.0.1", true), REASON_TUNNEL_DOWN);
    admission_rules_release(&rules);
}

/* An SA that is wider than what the tunnel is configured for lets in no more, and lets no more stay. */
static void no_wider_than_configured(void **state)
{
    char *ours[] = {TEXT("10.20.0.0/24"), TEXT("fd01::/64")};
    char *theirs[] = {TEXT("10.10.0.0/28"), TEXT("fd02::/64")};
    const struct config_strings subnets[2] = {{ours, 2, true}, {theirs, 2, true}};
    static const struct {
        const char *source, *local;
        enum reason reason;
    } cases[] = {
        {"10.10.0.5", "10.20.0.1", REASON_NONE},
        {"::ffff:10.10.0.5", "10.20.0.1", REASON_NONE},
        {"fd02::5", "fd01::1", REASON_NONE},
        {"10.10.0.99", "10.20.0.1", REASON_TUNNEL_DOWN},
        {"10.10.0.5", "10.30.0.1", REASON_TUNNEL_DOWN},
        {"fd02:1::5", "fd01::1", REASON_TUNNEL_DOWN},
    };
    struct ends ends;
    struct admission_child child = child_of("0.0.0.0/0,::/0 0.0.0.0/0,::/0", &ends);
    struct admission_tunnel told[] = {
        {.name = "a", .reason = REASON_TUNNEL_DOWN, .children = &child, .child_count = 1},
        {.name = "b", .reason = REASON_TUNNEL_DOWN},
    };
    struct admission_known known = {.tunnels = told, .tunnel_count = 2};
    struct admission_rules *rules;

    (void)state;
    child.enters_until_ms = child.stays_until_ms = ADMISSION_FOREVER;
    rules = rules_knowing(&known, subnets, false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int open = 0; open < 2; open++) {
            enum reason reason = through_tunnel(rules, cases[i].source, cases[i].local, open == 1);
            if (reason != cases[i].reason) {
                fail_msg("%s to %s: %s", cases[i].source, cases[i].local, reason_code(reason));
            }
        }
    }
    admission_rules_release(&rules);
}

/* ---- what runs out ---- */

static struct admission_rules *rules_until(const struct admission_tunnel *tunnel,
                                           int64_t enters_until_ms, int64_t stays_until_ms)
{
    struct ends ends;
    struct admission_child child = child_of("10.20.0.0/24 10.10.0.0/24", &ends);
    struct admission_tunnel told[] = {*tunnel, {.name = "b", .reason = REASON_TUNNEL_DOWN}};
    struct admission_known known = {.tunnels = told, .tunnel_count = 2, .heard_ms = 1000000};

    child.enters_until_ms = enters_until_ms;
    child.stays_until_ms = stays_until_ms;
    told[0].children = &child;
    told[0].child_count = 1;
    return rules_knowing(&known, NULL, false);
}

#define expect_at(now, heard, enters, stays)                                                       \
    do {                                                                                           \
        assert_int_equal(at_that_time(rules, "10.10.0.5", "10.20.0.1", false, now, heard),         \
                         enters);                                                                  \
        assert_int_equal(at_that_time(rules, "10.10.0.5", "10.20.0.1", true, now, heard), stays);  \
    } while (0)

/* A grace, or what is held, ends without anybody's word. */
static void times_of_a_child_end(void **state)
{
    const struct admission_tunnel down = {.name = "a", .reason = REASON_TUNNEL_DOWN};
    struct admission_rules *rules = rules_until(&down, 1002000, 1003000);

    (void)state;
    expect_at(1001999, 0, REASON_NONE, REASON_NONE);
    expect_at(1002000, 0, REASON_TUNNEL_DOWN, REASON_NONE);
    expect_at(1003000, 0, REASON_TUNNEL_DOWN, REASON_TUNNEL_DOWN);
    assert_int_equal(admission_stays_until_ms(rules, 1000000, 0), 1003000);
    assert_int_equal(admission_stays_until_ms(rules, 1003000, 0), ADMISSION_FOREVER);
    admission_rules_release(&rules);
}

/* What is so because of a line is so for a while after the newest one. */
static void what_is_live_needs_lines(void **state)
{
    const struct admission_tunnel live = {.name = "a",
                                          .reason = REASON_TUNNEL_DOWN,
                                          .live = true,
                                          .enters_ms = 5000,
                                          .stays_ms = 15000};
    struct admission_tunnel held = live;
    struct admission_rules *rules = rules_until(&live, ADMISSION_FOREVER, ADMISSION_FOREVER);

    (void)state;
    expect_at(1004999, 0, REASON_NONE, REASON_NONE);
    expect_at(1005000, 0, REASON_TUNNEL_UNKNOWN, REASON_NONE);
    expect_at(1005000, 1000001, REASON_NONE, REASON_NONE);
    expect_at(1015000, 0, REASON_TUNNEL_UNKNOWN, REASON_TUNNEL_UNKNOWN);
    expect_at(1015000, 1010001, REASON_NONE, REASON_NONE);
    assert_int_equal(admission_stays_until_ms(rules, 1000000, 0), 1015000);
    assert_int_equal(admission_stays_until_ms(rules, 1000000, 1007000), 1022000);
    assert_int_equal(admission_stays_until_ms(rules, 1015000, 0), ADMISSION_FOREVER);
    admission_rules_release(&rules);
    held.enters_ms = 60001; /* on_unknown = "hold" */
    held.stays_ms = ADMISSION_FOREVER;
    rules = rules_until(&held, ADMISSION_FOREVER, ADMISSION_FOREVER);
    expect_at(1060000, 0, REASON_NONE, REASON_NONE);
    expect_at(1060001, 0, REASON_TUNNEL_UNKNOWN, REASON_NONE);
    expect_at(INT64_MAX - 1, 0, REASON_TUNNEL_UNKNOWN, REASON_NONE);
    assert_int_equal(admission_stays_until_ms(rules, 1000000, 0), ADMISSION_FOREVER);
    admission_rules_release(&rules);
    held.live = false; /* by nobody's word: its own times are all there is */
    held.stays_ms = held.enters_ms = 0;
    rules = rules_until(&held, ADMISSION_FOREVER, ADMISSION_FOREVER);
    expect_at(9000000, 0, REASON_NONE, REASON_NONE);
    admission_rules_release(&rules);
}

/* The tunnel does not tell peers apart: while it is down nobody slips in as another one. */
static void a_tunnel_is_no_certificate(void **state)
{
    char *range[] = {TEXT("10.10.0.0/16")}, *names[] = {TEXT("lab"), TEXT("free")};
    struct config_peer peers[] = {
        {.name = names[0], .addresses = {range, 1, true}, .tunnel = TEXT("a")},
        {.name = names[1], .addresses = {range, 1, true}},
    };
    struct config_listener listener = {.name = names[0], .peers = {names, 2, true}};
    struct admission_rules *rules = rules_of(peers, 2, &listener, 1, NULL, 0);

    (void)state;
    assert_int_equal(decide(rules, "10.10.0.5", NULL).reason, REASON_PEER_AMBIGUOUS);
    admission_rules_release(&rules);
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
        cmocka_unit_test(decisions),
        cmocka_unit_test(kinds_of_certificates),
        cmocka_unit_test(tunnels),
        cmocka_unit_test(no_tunnel_behind_a_proxy),
        cmocka_unit_test(no_wider_than_configured),
        cmocka_unit_test(times_of_a_child_end),
        cmocka_unit_test(what_is_live_needs_lines),
        cmocka_unit_test(a_tunnel_is_no_certificate),
        cmocka_unit_test(dns_names),
        cmocka_unit_test(proxies),
        cmocka_unit_test(wrong_rules),
        cmocka_unit_test(facilities),
        cmocka_unit_test(references),
    };
    return cmocka_run_group_tests(tests, make_roots, free_roots);
}
