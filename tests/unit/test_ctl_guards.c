/* links: ctl config */
/*
 * Guards: which rules a configuration asks for, in which order; and whether a table that is loaded is
 * taken for the wanted one. What nft and a kernel make of them: tests/system/test-guards.
 */
#include "ctl/guards.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAD                                                                                       \
    "gateway = { name = \"edge-1\"; };\n"                                                          \
    "spool = { key_file = \"k\"; };\n"                                                             \
    "stores = ( { name = \"s\"; type = \"directory\"; path = \"m\"; } );\n"                        \
    "routes = ( { name = \"r\"; from = \"adt\"; to = \"s\"; },\n"                                  \
    "           { name = \"r2\"; from = \"oru\"; to = \"s\"; },\n"                                 \
    "           { name = \"r3\"; from = \"free\"; to = \"s\"; } );\n"                              \
    "listeners = ( { name = \"adt\"; address = \"10.20.0.1:2575\"; peers = [ \"lab\" ]; },\n"      \
    "              { name = \"oru\"; address = \"[::]:2576\"; peers = [ \"ward\", \"any\" ]; },\n" \
    "              { name = \"free\"; address = \"0.0.0.0:2577\"; peers = [ \"any\" ]; } );\n"     \
    "peers = ( { name = \"lab\"; tunnel = \"st-marys\"; addresses = [ \"10.10.0.1\" ]; },\n"       \
    "          { name = \"ward\"; tunnel = \"county-2\"; addresses = [ \"10.30.0.1\" ]; },\n"      \
    "          { name = \"any\"; addresses = [ \"10.77.0.1\" ]; } );\n"
#define ST_MARYS                                                                                   \
    "{ name = \"st-marys\"; remote = \"203.0.113.9\"; psk_file = \"a\"; mss = 1360;"               \
    "  local_subnets = [ \"10.20.0.0/24\" ]; remote_subnets = [ \"10.10.0.0/16\" ]; }"
#define COUNTY(number, more)                                                                       \
    "{ name = \"county-" number "\"; remote = \"203.0.113.2" number "\"; psk_file = \"b" number    \
    "\"; " more "  local_subnets = [ \"10.20.0.0/24\", \"fd00:20::/64\" ];"                        \
    "  remote_subnets = [ \"10.30.0.0/16\", \"10.30.1.0/24\", \"fd00:30::5\" ]; }"
#define BOTH                                                                                       \
    ST_MARYS ", " COUNTY("1", "pair = \"county-2\"; mss = 1379;") ", " COUNTY("2", "mss = 1350;")

static struct config *config_of(const char *tunnels)
{
    char text[8192];
    struct problems problems;

    snprintf(text, sizeof text, HEAD "tunnels = ( %s );\n", tunnels);
    problems_init(&problems);
    struct config *config = config_load_text(text, strlen(text), "case.cfg", "/tmp", &problems);
    if (config == NULL)
        problems_print(&problems, stderr);
    assert_non_null(config);
    problems_free(&problems);
    return config;
}

static struct guards guards_of(const struct config *config, enum guards_esp esp)
{
    struct guards_options options = {.esp = esp};
    struct guards guards;
    assert_int_equal(guards_make(config, &options, &guards), 0);
    return guards;
}

static char *printed(const struct guards *guards)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    guards_print(guards, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* From "chain NAME {" to its "}". */
static char *chain_of(const char *text, const char *name)
{
    char head[64];
    snprintf(head, sizeof head, "chain %s {\n", name);
    const char *begin = strstr(text, head);
    assert_non_null(begin);
    const char *end = strstr(begin, "\n    }\n");
    assert_non_null(end);
    return strndup(begin + strlen(head), (size_t)(end - begin) + 1 - strlen(head));
}

/* The chain's lines are these and no others. */
static void assert_chain(const char *text, const char *name, const char *const *wanted)
{
    char *chain = chain_of(text, name), *rest = chain, *line;

    assert_non_null(chain);
    while ((line = strsep(&rest, "\n")) != NULL) {
        line += strspn(line, " ");
        if (line[0] == '\0')
            continue;
        const char *next = *wanted != NULL ? *wanted++ : "its end";
        if (strcmp(line, next) != 0)
            fail_msg("chain %s:\n  %s\nwanted\n  %s", name, line, next);
    }
    if (*wanted != NULL)
        fail_msg("chain %s: not there: %s", name, *wanted);
    free(chain);
}
#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

#define ANSWERS                                                                                    \
    "ct direction reply ct state established,related counter accept"                               \
    " comment \"all: answers to what this machine asked\""
#define MTU                                                                                        \
    "icmp type destination-unreachable icmp code frag-needed counter accept"                       \
    " comment \"all: path MTU\"",                                                                  \
        "icmpv6 type packet-too-big counter accept comment \"all: path MTU\""
#define NEIGHBOURS                                                                                 \
    "icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255"   \
    " counter accept comment \"all: neighbours on the wire\""

/* Each tunnel reaches its own peers' listeners, and nothing else; a pair is one. */
static void test_out_of_a_tunnel_only_listeners(void **state)
{
    (void)state;
    struct config *config = config_of(BOTH);
    struct guards guards = guards_of(config, GUARDS_USERSPACE);
    char *text = printed(&guards);

    assert_chain(
        text, "from_tunnel",
        LINES(ANSWERS, MTU,
              "ip saddr { 10.10.0.0/16 } ip daddr 10.20.0.1 tcp dport 2575 counter accept comment "
              "\"st-marys: listener adt\"",
              "ip saddr { 10.10.0.0/16 } counter drop comment \"st-marys: all else out of it\"",
              "ip saddr { 10.30.0.0/16 } ip daddr { 10.20.0.0/24 } tcp dport 2576 counter accept "
              "comment \"county-1: listener oru\"",
              "ip6 saddr { fd00:30::5 } ip6 daddr { fd00:20::/64 } tcp dport 2576 counter accept "
              "comment \"county-1: listener oru\"",
              "ip saddr { 10.30.0.0/16 } counter drop comment \"county-1: all else out of it\"",
              "ip6 saddr { fd00:30::5 } counter drop comment \"county-1: all else out of it\"",
              "counter drop comment \"all: all else out of a tunnel\""));
    assert_null(strstr(text, "2577"));
    assert_null(strstr(text, "county-2"));
    free(text);
    guards_free(&guards);
    config_free(&config);
}

static void test_clear_text_in(void **state)
{
    (void)state;
    struct config *config = config_of(BOTH);
    struct guards_options options = {.open = {22, 8080}, .open_count = 2};
    struct guards guards;
    assert_int_equal(guards_make(config, &options, &guards), 0);
    char *text = printed(&guards);

    assert_chain(
        text, "input",
        LINES("type filter hook input priority -10; policy accept;",
              "iifname \"lo\" counter accept comment \"all: this machine to itself\"",
              "iifname \"ipsec*\" counter goto from_tunnel comment \"all: out of a tunnel\"",
              "udp dport { 500, 4500 } counter accept comment \"all: IKE, and ESP in UDP\"",
              "meta l4proto esp counter accept comment \"all: ESP\"",
              "ip saddr { 10.10.0.0/16 } counter drop comment \"st-marys: clear text from its "
              "remote networks\"",
              "ip saddr { 10.30.0.0/16 } counter drop comment \"county-1: clear text from its "
              "remote networks\"",
              "ip6 saddr { fd00:30::5 } counter drop comment \"county-1: clear text from its "
              "remote networks\"",
              ANSWERS, MTU, NEIGHBOURS,
              "tcp dport 22 counter accept comment \"all: to be open without a tunnel\"",
              "tcp dport 8080 counter accept comment \"all: to be open without a tunnel\"",
              "ip daddr { 10.20.0.0/24 } counter drop comment \"st-marys: clear text to its local "
              "networks\"",
              "ip daddr { 10.20.0.0/24 } counter drop comment \"county-1: clear text to its local "
              "networks\"",
              "ip6 daddr { fd00:20::/64 } counter drop comment \"county-1: clear text to its "
              "local networks\""));
    free(text);
    guards_free(&guards);
    config_free(&config);
}

static void test_clear_text_out_and_through(void **state)
{
    (void)state;
    struct config *config = config_of(ST_MARYS ", " COUNTY("2", "mss = 0;"));
    struct guards guards = guards_of(config, GUARDS_USERSPACE);
    char *text = printed(&guards);

    assert_chain(
        text, "output",
        LINES("type filter hook output priority -10; policy accept;",
              "oifname \"lo\" counter accept comment \"all: this machine to itself\"",
              "udp sport { 500, 4500 } counter accept comment \"all: IKE, and ESP in UDP\"",
              "meta l4proto esp counter accept comment \"all: ESP\"",
              "ip daddr { 10.10.0.0/16 } oifname != \"ipsec*\" counter reject with icmpx type "
              "admin-prohibited comment \"st-marys: clear text to its remote networks\"",
              "ip daddr { 10.30.0.0/16 } oifname != \"ipsec*\" counter reject with icmpx type "
              "admin-prohibited comment \"county-2: clear text to its remote networks\"",
              "ip6 daddr { fd00:30::5 } oifname != \"ipsec*\" counter reject with icmpx type "
              "admin-prohibited comment \"county-2: clear text to its remote networks\""));
    assert_chain(
        text, "forward",
        LINES("type filter hook forward priority -10; policy accept;",
              "iifname \"ipsec*\" counter drop comment \"all: out of a tunnel to elsewhere\"",
              "oifname \"ipsec*\" counter drop comment \"all: from elsewhere to a tunnel\"",
              "ip daddr { 10.10.0.0/16 } counter drop comment \"st-marys: clear text passing "
              "through\"",
              "ip saddr { 10.10.0.0/16 } counter drop comment \"st-marys: clear text passing "
              "through\"",
              "ip daddr { 10.30.0.0/16 } counter drop comment \"county-2: clear text passing "
              "through\"",
              "ip saddr { 10.30.0.0/16 } counter drop comment \"county-2: clear text passing "
              "through\"",
              "ip6 daddr { fd00:30::5 } counter drop comment \"county-2: clear text passing "
              "through\"",
              "ip6 saddr { fd00:30::5 } counter drop comment \"county-2: clear text passing "
              "through\""));
    /* What is not to be clamped isn't. */
    assert_chain(text, "mss_output",
                 LINES("type filter hook output priority -150; policy accept;",
                       "ip daddr { 10.10.0.0/16 } oifname \"ipsec*\" tcp flags & (syn|rst) == syn "
                       "tcp option maxseg size > 1360 counter tcp option maxseg size set 1360 "
                       "comment \"st-marys: mss 1360\""));
    assert_chain(text, "mss_input",
                 LINES("type filter hook input priority -150; policy accept;",
                       "ip saddr { 10.10.0.0/16 } iifname \"ipsec*\" tcp flags & (syn|rst) == syn "
                       "tcp option maxseg size > 1360 counter tcp option maxseg size set 1360 "
                       "comment \"st-marys: mss 1360\""));
    assert_int_equal(guards.route_count, 3);
    assert_string_equal(guards.routes[0],
                        "route replace unreachable 10.10.0.0/16 proto 213 metric 1000000");
    assert_string_equal(guards.routes[1],
                        "route replace unreachable 10.30.0.0/16 proto 213 metric 1000000");
    assert_string_equal(guards.routes[2],
                        "route replace unreachable fd00:30::5 proto 213 metric 1000000");
    free(text);
    guards_free(&guards);
    config_free(&config);
}

/* Of a pair the smaller one: either may carry the connection. */
static void test_pair_is_clamped_to_the_smaller(void **state)
{
    (void)state;
    struct config *config = config_of(BOTH);
    struct guards guards = guards_of(config, GUARDS_USERSPACE);
    char *text = printed(&guards);
    assert_non_null(strstr(text, "\"county-1: mss 1350\""));
    assert_null(strstr(text, "1379"));
    assert_int_equal(guards.route_count, 3);
    free(text);
    guards_free(&guards);
    config_free(&config);
}

static void test_kernel_esp(void **state)
{
    (void)state;
    struct config *config = config_of(ST_MARYS ", " COUNTY("2", ""));
    struct guards guards = guards_of(config, GUARDS_KERNEL);
    char *text = printed(&guards);
    assert_null(strstr(text, "ipsec*"));
    assert_non_null(strstr(text, "        meta ipsec exists counter goto from_tunnel"));
    assert_non_null(strstr(text, "ip daddr { 10.10.0.0/16 } rt ipsec missing counter reject"));
    assert_non_null(strstr(text, "        meta ipsec exists counter drop"));
    assert_non_null(strstr(text, "        rt ipsec exists counter drop"));
    assert_non_null(strstr(text, "ip saddr { 10.10.0.0/16 } meta ipsec exists tcp flags"));
    assert_int_equal(guards.route_count, 0); /* the way out is found before the policy */
    free(text);
    guards_free(&guards);
    config_free(&config);
}

#define OTHER(subnets)                                                                             \
    "{ name = \"st-marys\"; remote = \"203.0.113.9\"; local = \"10.20.0.4\"; psk_file = \"a\"; "   \
    "mss = 0; " subnets " }, " COUNTY("2", "mss = 0;")

/* What can't be told apart is said, and never dropped wholesale: IKE and ssh would go with it. */
static void test_every_address(void **state)
{
    (void)state;
    struct config *config = config_of(OTHER("local_subnets = [ \"0.0.0.0/0\" ]; "
                                            "remote_subnets = [ \"10.10.0.0/16\" ];"));
    struct guards guards = guards_of(config, GUARDS_USERSPACE);
    char *text = printed(&guards);
    assert_null(strstr(text, "0.0.0.0"));
    assert_null(strstr(text, "st-marys: clear text to its local"));
    assert_non_null(strstr(text, "ip saddr { 10.10.0.0/16 } ip daddr 10.20.0.1 tcp dport 2575"));
    assert_non_null(strstr(text, "# note: tunnel st-marys: NOT GUARDED: local_subnets"));
    free(text);
    guards_free(&guards);
    config_free(&config);

    config = config_of(
        "{ name = \"st-marys\"; remote = \"203.0.113.9\"; psk_file = \"a\"; local_subnets = [ "
        "\"10.20.0.0/24\" ]; remote_subnets = [ \"10.10.0.0/16\", \"::/0\" ]; }, "
        "{ name = \"county-2\"; remote = \"203.0.113.8\"; psk_file = \"b\"; local_subnets = [ "
        "\"10.20.0.0/24\" ]; remote_subnets = [ \"10.30.0.0/16\" ]; }");
    guards = guards_of(config, GUARDS_USERSPACE);
    text = printed(&guards);
    assert_null(strstr(text, "::/0"));
    assert_non_null(strstr(text, "st-marys: clear text to its local"));
    assert_non_null(strstr(text, "# note: tunnel st-marys: NOT GUARDED: remote_subnets"));
    free(text);
    guards_free(&guards);
    config_free(&config);
}

/* Where the other end lies in its own network, IKE needs a way to it. */
static void test_outer_end_stays_reachable(void **state)
{
    (void)state;
    struct config *config = config_of(OTHER("local_subnets = [ \"10.20.0.0/24\" ]; remote_subnets "
                                            "= [ \"203.0.113.8/30\", \"10.10.0.0/16\" ];"));
    struct guards guards = guards_of(config, GUARDS_USERSPACE);
    assert_string_equal(guards.routes[0],
                        "route replace unreachable 10.10.0.0/16 proto 213 metric 1000000");
    assert_int_equal(guards.note_count, 2);
    assert_non_null(strstr(guards.notes[0], "no unreachable route to 203.0.113.8/30"));
    assert_non_null(strstr(guards.notes[1], "own address lies in local_subnets"));
    guards_free(&guards);
    config_free(&config);
}

static void test_open_never_opens_a_tunnelled_listener(void **state)
{
    (void)state;
    struct config *config = config_of(BOTH);
    struct guards_options options = {.open = {22, 2577}, .open_count = 2};
    assert_null(guards_opened_listener(config, &options));
    options.open[1] = 2576;
    assert_string_equal(guards_opened_listener(config, &options)->name, "oru");
    assert_string_equal(guards_first_peer(config)->name, "lab");
    config_free(&config);
}

static void test_without_tunnels_only_removes(void **state)
{
    (void)state;
    struct config none = {0};
    struct guards guards = guards_of(&none, GUARDS_USERSPACE);
    char *text = printed(&guards);
    assert_non_null(strstr(text, "\ndelete table inet mllpgw_guard\n"));
    assert_null(strstr(text, "chain"));
    free(text);
    guards_free(&guards);
    assert_null(guards_first_peer(&none));
}

/* ---- what is loaded ---- */

/* As `nft -j list table` would print it. */
static json_t *listing(const struct guards *guards)
{
    static const char *const verdicts[] = {"accept", "drop", "reject", "goto", "mangle", "return"};
    char version[GUARDS_COMMENT_BYTES];
    json_t *all = json_array();
    json_array_append_new(all, json_pack("{s:{s:s}}", "metainfo", "version", "1.0.6"));
    json_array_append_new(
        all, json_pack("{s:{s:s s:s}}", "table", "family", "inet", "name", GUARDS_TABLE));
    for (size_t i = 0; i < GUARDS_CHAINS; i++) {
        json_t *chain = json_pack("{s:s}", "name", guards_chain_names[i]);
        if (guards_hooks[i].hook != NULL)
            json_object_update_new(chain, json_pack("{s:s s:s s:i s:s}", "type", "filter", "hook",
                                                    guards_hooks[i].hook, "prio",
                                                    guards_hooks[i].priority, "policy", "accept"));
        json_array_append_new(all, json_pack("{s:o}", "chain", chain));
    }
    guards_version_text(guards, version);
    json_array_append_new(all,
                          json_pack("{s:{s:s s:s s:[{s:n}]}}", "rule", "chain",
                                    GUARDS_VERSION_CHAIN, "comment", version, "expr", "return"));
    for (size_t i = 0; i < guards->rule_count; i++) {
        const struct guards_rule *rule = &guards->rules[i];
        json_t *expr = json_array();
        if (rule->match[0] != '\0')
            json_array_append_new(expr, json_pack("{s:{}}", "match"));
        json_array_append_new(expr, json_pack("{s:{s:i}}", "counter", "packets", 7));
        json_array_append_new(expr, json_pack("{s:n}", verdicts[rule->verdict]));
        json_array_append_new(all, json_pack("{s:{s:s s:s s:o}}", "rule", "chain",
                                             guards_chain_names[rule->chain], "comment",
                                             rule->comment, "expr", expr));
    }
    return json_pack("{s:o}", "nftables", all);
}

/* The routes that `ip -j` prints when those and no others are loaded. */
static char *routes_of(const struct guards *guards, bool v6)
{
    json_t *all = json_array();
    for (size_t i = 0; i < guards->route_count; i++) {
        char network[64];
        assert_int_equal(sscanf(guards->routes[i], "route replace unreachable %63s", network), 1);
        if ((strchr(network, ':') != NULL) == v6)
            json_array_append_new(
                all, json_pack("{s:s s:s s:[]}", "type", "unreachable", "dst", network, "flags"));
    }
    char *text = json_dumps(all, 0);
    json_decref(all);
    return text;
}

static enum guards_state compared_with(const struct config *config, json_t *root, const char *ipv4,
                                       const char *ipv6, const char *words)
{
    char text[GUARDS_TEXT_BYTES] = "", *json = json_dumps(root, 0);
    const struct guards_listing listing = {span_of_string(json),
                                           {span_of_string(ipv4), span_of_string(ipv6)}};
    enum guards_state state = guards_compare(config, &listing, text);
    if (strstr(text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", text, words);
    free(json);
    json_decref(root);
    return state;
}

/* With the routes that charon's own ESP would want. */
static enum guards_state compared(const struct config *config, json_t *root, const char *words)
{
    struct guards guards = guards_of(config, GUARDS_USERSPACE);
    char *ipv4 = routes_of(&guards, false), *ipv6 = routes_of(&guards, true);
    enum guards_state state = compared_with(config, root, ipv4, ipv6, words);
    free(ipv4);
    free(ipv6);
    guards_free(&guards);
    return state;
}

/* The n-th rule of a chain in a listing. */
static json_t *rule_in(json_t *root, const char *chain, size_t n, size_t *ret_index)
{
    json_t *each;
    size_t i;
    json_array_foreach(json_object_get(root, "nftables"), i, each)
    {
        json_t *rule = json_object_get(each, "rule");
        if (rule != NULL && strcmp(json_string_value(json_object_get(rule, "chain")), chain) == 0 &&
            n-- == 0) {
            *ret_index = i;
            return rule;
        }
    }
    fail_msg("no such rule");
    return NULL;
}

static void test_the_wanted_ones_are_loaded(void **state)
{
    (void)state;
    struct config *config = config_of(BOTH);
    for (int esp = 0; esp < 2; esp++) {
        struct guards_options options = {.esp = (enum guards_esp)esp};
        for (options.open_count = 0; options.open_count <= GUARDS_OPEN_PORTS;
             options.open_count++) {
            struct guards guards;
            options.open[options.open_count % GUARDS_OPEN_PORTS] =
                (uint16_t)(60000 + options.open_count);
            assert_int_equal(guards_make(config, &options, &guards), 0);
            char *ipv4 = routes_of(&guards, false), *ipv6 = routes_of(&guards, true);
            assert_int_equal(compared_with(config, listing(&guards), ipv4, ipv6,
                                           esp ? "loaded (kernel" : "loaded (userspace"),
                             GUARDS_LOADED);
            free(ipv4);
            free(ipv6);
            guards_free(&guards);
        }
    }
    config_free(&config);
}

static void test_older_ones_are_not(void **state)
{
    (void)state;
    struct config *config = config_of(BOTH), *older = config_of(ST_MARYS ", " COUNTY("2", ""));
    struct guards guards = guards_of(older, GUARDS_USERSPACE);
    assert_int_equal(compared(config, listing(&guards), "older"), GUARDS_DIFFER);
    guards_free(&guards);

    /* What they can't do for a tunnel is a hole, loaded or not. */
    struct config *open = config_of(OTHER("local_subnets = [ \"0.0.0.0/0\" ]; "
                                          "remote_subnets = [ \"10.10.0.0/16\" ];"));
    guards = guards_of(open, GUARDS_USERSPACE);
    assert_int_equal(compared(open, listing(&guards), "NOT GUARDED"), GUARDS_DIFFER);
    guards_free(&guards);
    config_free(&open);

    /* Loaded before a listener moved to a port that was left open. */
    struct guards_options options = {.open = {2575}, .open_count = 1};
    assert_int_equal(guards_make(config, &options, &guards), 0);
    assert_int_equal(compared(config, listing(&guards), "listener adt open"), GUARDS_DIFFER);
    guards_free(&guards);
    config_free(&older);
    config_free(&config);
}

/* Whatever was taken out, put in, switched off or made harmless. */
static void test_changed_ones_are_not(void **state)
{
    (void)state;
    struct config *config = config_of(BOTH);
    struct guards guards = guards_of(config, GUARDS_USERSPACE);
    size_t i = 0;

    for (size_t n = 0; n < guards.rule_count; n++) {
        json_t *root = listing(&guards), *all = json_object_get(root, "nftables");
        json_array_remove(all, json_array_size(all) - 1 - n);
        assert_int_equal(compared(config, root, ""), GUARDS_DIFFER);
    }
    json_t *root = listing(&guards);
    json_t *rule = rule_in(root, "input", 4, &i);
    json_object_set_new(rule, "expr",
                        json_pack("[{s:{}} {s:{}} {s:n}]", "match", "counter", "accept"));
    assert_int_equal(compared(config, root, "clear text from its remote"), GUARDS_DIFFER);

    root = listing(&guards); /* accepts everything, before all others */
    rule = json_deep_copy(rule_in(root, "input", 0, &i));
    json_object_set_new(rule, "expr", json_pack("[{s:{}} {s:n}]", "counter", "accept"));
    json_array_insert_new(json_object_get(root, "nftables"), i, json_pack("{s:o}", "rule", rule));
    assert_int_equal(compared(config, root, "chain input"), GUARDS_DIFFER);

    root = listing(&guards);
    rule = rule_in(root, "input", 0, &i);
    json_object_set_new(rule, "expr", json_pack("[{s:{}} {s:n}]", "counter", "accept"));
    assert_int_equal(compared(config, root, "this machine to itself"), GUARDS_DIFFER);

    root = listing(&guards); /* one more behind the last */
    json_array_append(json_object_get(root, "nftables"),
                      json_array_get(json_object_get(root, "nftables"), i));
    assert_int_equal(compared(config, root, "rules that the guards don't have"), GUARDS_DIFFER);

    root = listing(&guards);
    json_object_set_new(
        json_object_get(json_array_get(json_object_get(root, "nftables"), 1), "table"), "flags",
        json_string("dormant"));
    assert_int_equal(compared(config, root, "dormant"), GUARDS_DIFFER);

    root = listing(&guards);
    json_object_set_new(
        json_object_get(json_array_get(json_object_get(root, "nftables"), 2), "chain"), "hook",
        json_string("output"));
    assert_int_equal(compared(config, root, "chain input"), GUARDS_DIFFER);
    guards_free(&guards);
    config_free(&config);
}

#define IPV4 "[{\"dst\": \"10.10.0.0/16\"}, {\"dst\": \"10.30.0.0/16\"}]"
#define IPV6 "[{\"type\": \"unreachable\", \"dst\": \"fd00:30::5\", \"dev\": \"lo\"}]"

/* The table alone is half of the guards. */
static void test_routes_are_looked_at(void **state)
{
    (void)state;
    static const struct {
        const char *ipv4, *ipv6, *words;
        enum guards_state state;
    } cases[] = {
        {IPV4, IPV6, "loaded (userspace ESP)", GUARDS_LOADED},
        {"[]", IPV6, "the unreachable route to 10.10.0.0/16 is missing", GUARDS_DIFFER},
        {"[{\"dst\": \"10.10.0.0/16\"}]", IPV6, "route to 10.30.0.0/16 is missing", GUARDS_DIFFER},
        {"[5, null, {\"dst\": 7}, {}]", IPV6, "route to 10.10.0.0/16 is missing", GUARDS_DIFFER},
        {IPV4, "[ ]", "the unreachable route to fd00:30::5 is missing", GUARDS_DIFFER},
        {"[{\"dst\": \"10.10.0.0/24\"}, {\"dst\": \"10.30.0.0/16\"}]", IPV6,
         "route to 10.10.0.0/16 is missing", GUARDS_DIFFER},
        {"[{\"dst\": \"10.10.0.0/16\"}, {\"dst\": \"10.30.0.0/16\"}, {\"dst\": \"10.9.0.0/16\"}]",
         IPV6, "there is an older unreachable route, to 10.9.0.0/16", GUARDS_DIFFER},
        /* What can't be seen is never taken for there, nor for missing. */
        {"", IPV6, "ip could not list the routes", GUARDS_NOT_VERIFIED},
        {IPV4, "", "ip could not list the routes", GUARDS_NOT_VERIFIED},
        {IPV4, "{\"dst\": \"fd00:30::5\"}", "ip could not list the routes", GUARDS_NOT_VERIFIED},
        {IPV4, "[", "ip could not list the routes", GUARDS_NOT_VERIFIED},
    };
    struct config *config = config_of(BOTH);
    struct guards guards = guards_of(config, GUARDS_USERSPACE);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(
            compared_with(config, listing(&guards), cases[i].ipv4, cases[i].ipv6, cases[i].words),
            cases[i].state);
    guards_free(&guards);

    /* ESP in the kernel wants none, and needs no ip to know; old ones are in its way. */
    guards = guards_of(config, GUARDS_KERNEL);
    assert_int_equal(compared_with(config, listing(&guards), "", "", "loaded (kernel ESP)"),
                     GUARDS_LOADED);
    assert_int_equal(compared_with(config, listing(&guards), IPV4, "[]", "older unreachable route"),
                     GUARDS_DIFFER);
    guards_free(&guards);
    config_free(&config);
}

static enum guards_state table_compared(const struct config *config, const char *json)
{
    const struct guards_listing listing = {.table = span_of_string(json)};
    char text[GUARDS_TEXT_BYTES];
    return guards_compare(config, &listing, text);
}

static void test_what_is_none_of_ours(void **state)
{
    (void)state;
    struct config *config = config_of(BOTH);
    static const char *const others[] = {
        "", "[]", "{}", "{\"nftables\": 5}", "\xff", "{\"nftables\": ["};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(table_compared(config, others[i]), GUARDS_NOT_VERIFIED);
    static const char *const strange[] = {
        "{\"nftables\": []}", "{\"nftables\": [5, null, {\"rule\": 7}, {\"chain\": {}}]}",
        "{\"nftables\": [{\"rule\": {\"chain\": \"made_from\", \"comment\": \"mllpgw-guard 1 both x\"}}]}"};
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++)
        assert_int_equal(table_compared(config, strange[i]), GUARDS_DIFFER);
    config_free(&config);
}

static void test_version_reads_only_its_own(void **state)
{
    (void)state;
    struct guards_options options;
#define DIGEST "0123456789abcdef0123456789abcdef"
    assert_true(guards_version_read("mllpgw-guard 1 kernel " DIGEST " open 22,8080", &options));
    assert_int_equal(options.esp, GUARDS_KERNEL);
    assert_int_equal(options.open_count, 2);
    assert_int_equal(options.open[1], 8080);
    static const char *const bad[] = {"",
                                      "mllpgw-guard",
                                      "other 1 kernel " DIGEST,
                                      "mllpgw-guard 1 both " DIGEST,
                                      "mllpgw-guard 1 kernel " DIGEST " open",
                                      "mllpgw-guard 1 kernel " DIGEST " open 0",
                                      "mllpgw-guard 1 kernel " DIGEST " open 22x",
                                      "mllpgw-guard 1 kernel " DIGEST " open ",
                                      "mllpgw-guard 1 kernel " DIGEST " open 65536",
                                      "mllpgw-guard 1 kernel " DIGEST " open 1,2,3,4,5,6,7,8,9"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (guards_version_read(bad[i], &options))
            fail_msg("read: %s", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_out_of_a_tunnel_only_listeners),
        cmocka_unit_test(test_clear_text_in),
        cmocka_unit_test(test_clear_text_out_and_through),
        cmocka_unit_test(test_pair_is_clamped_to_the_smaller),
        cmocka_unit_test(test_kernel_esp),
        cmocka_unit_test(test_every_address),
        cmocka_unit_test(test_outer_end_stays_reachable),
        cmocka_unit_test(test_open_never_opens_a_tunnelled_listener),
        cmocka_unit_test(test_without_tunnels_only_removes),
        cmocka_unit_test(test_the_wanted_ones_are_loaded),
        cmocka_unit_test(test_older_ones_are_not),
        cmocka_unit_test(test_changed_ones_are_not),
        cmocka_unit_test(test_routes_are_looked_at),
        cmocka_unit_test(test_what_is_none_of_ours),
        cmocka_unit_test(test_version_reads_only_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
