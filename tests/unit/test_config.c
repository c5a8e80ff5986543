/* links: config */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/config_case.h"

static void defaults_are_set(void **state)
{
    (void)state;
    struct config *config = config_case_good(&(struct config_case){0});
    const struct config_listener *listener = config_find_listener(config, "l");
    const struct config_route *route = config_find_route(config, "r");
    assert_string_equal(config->gateway.name, "mllp-gateway");
    assert_string_equal(config->gateway.control_socket, "/var/lib/mllp-gateway/control.sock");
    assert_string_equal(config->spool.path, "/var/lib/mllp-gateway/spool.db");
    assert_string_equal(config->spool.key_file, "/base/k");
    assert_true(config->spool.maximum_bytes == 10737418240);
    assert_null(config->admin.address);
    assert_int_equal(config->gateway.log_level, CONFIG_LOG_INFO);
    assert_int_equal(listener->answer_deadline_ms, 20000);
    assert_int_equal(listener->maximum_frame_bytes, 16777216);
    assert_int_equal(listener->acknowledge, CONFIG_ACKNOWLEDGE_STORED);
    assert_int_equal(listener->on_unavailable, CONFIG_ON_UNAVAILABLE_WAIT);
    assert_false(listener->lenient_end);
    assert_int_equal(route->order, CONFIG_ORDER_PEER);
    assert_int_equal(config_find_store(config, "s")->batch, CONFIG_BATCH_WHOLE);
    assert_int_equal(config_find_tls(config, "t")->profile, CONFIG_TLS_BCP195);
    assert_int_equal(config_find_peer(config, "p")->maximum_connections, 64);
    assert_null(config_find_peer(config, "nobody"));
    config_free(&config);
    assert_null(config);
}

static void values_are_read(void **state)
{
    (void)state;
    struct config *config = config_case_good(&(struct config_case){
        .gateway = "gateway = { workers = 3; log_format = \"json\"; state_directory = \"st\"; };",
        .spool =
            "spool = { key_file = \"/etc/k\"; maximum_bytes = 3000000000; retain_s = 0x10L; };",
        .listeners =
            "listeners = ( { name = \"l\"; address = \"[::1]:2575\"; tls = \"t\"; peers = ( \"p\" );"
            " lenient_end = TRUE; on_refusal = \"close\"; proxy_from = [ \"10.1.0.0/16\" ]; } );",
        .stores =
            "stores = ( { name = \"s\"; type = \"http\"; url = \"https://h/x\"; headers = [ \"X-A: b\" ];"
            " verdicts = ( { status = 409; verdict = \"accepted\"; }, { status = 418; verdict = \"operator\"; } ); } );",
    });
    assert_int_equal(config->gateway.workers, 3);
    assert_int_equal(config->gateway.log_format, CONFIG_LOG_JSON);
    assert_string_equal(config->gateway.state_directory, "/base/st");
    assert_string_equal(config->gateway.control_socket, "/base/st/control.sock");
    assert_string_equal(config->spool.key_file, "/etc/k");
    assert_true(config->spool.maximum_bytes == 3000000000);
    assert_int_equal(config->spool.retain_s, 16);
    assert_true(config->listeners[0].lenient_end);
    assert_int_equal(config->listeners[0].on_refusal, CONFIG_ON_REFUSAL_CLOSE);
    assert_int_equal(config->listeners[0].proxy_from.count, 1);
    assert_string_equal(config->listeners[0].peers.items[0], "p");
    assert_int_equal(config->stores[0].batch, CONFIG_BATCH_SPLIT);
    assert_int_equal(config->stores[0].verdict_count, 2);
    assert_int_equal(config->stores[0].verdicts[1].status, 418);
    assert_int_equal(config->stores[0].verdicts[1].verdict, CONFIG_VERDICT_OPERATOR);
    assert_int_equal(config->stores[0].place.line, 7);
    config_free(&config);
}

static void absent_and_empty_lists_differ(void **state)
{
    struct problems problems;
    (void)state;
    problems_init(&problems);
    struct config *config = config_case_load(
        &(struct config_case){
            .peers =
                "peers = ( { name = \"p\"; addresses = [ ]; certificates = [ ]; }, { name = \"q\"; } );",
            .listeners =
                "listeners = ( { name = \"l\"; address = \"1.2.3.4:5\"; tls = \"t\"; peers = [ \"p\", \"q\" ]; } );"},
        &problems);
    assert_non_null(config);
    assert_true(config->peers[0].addresses.present && config->peers[0].certificates.present);
    assert_false(config->peers[1].addresses.present || config->peers[1].certificates.present);
    assert_true(config_case_has(&problems, PROBLEM_WARNING, 5, "peers.p.addresses", "is empty"));
    assert_true(config_case_has(&problems, PROBLEM_WARNING, 5, "peers.p.certificates", "is empty"));
    assert_true(config_case_has(&problems, PROBLEM_WARNING, 5, "peers.q.addresses", "is missing"));
    config_free(&config);
    problems_free(&problems);
}

/* One mistake each, at its own line, named, and nothing else said. */
static void mistakes_are_named(void **state)
{
    static const struct {
        struct config_case wanted;
        unsigned line;
        const char *setting, *text;
    } cases[] = {
        {{.more = "listenrs = ( );"}, 9, "listenrs", "did you mean \"listeners\""},
        {{.more = "destinations = ( );"}, 9, "destinations", "not supported by this version"},
        {{.gateway = "gateway = {\nworker = 1; };"},
         2,
         "gateway.worker",
         "did you mean \"workers\""},
        {{.gateway = "gateway = ( );"}, 1, "gateway", "wants a group"},
        {{.gateway = "gateway = { group = \"g\"; };"}, 1, "gateway.group", "needs user"},
        {{.gateway = "gateway = { workers = \"2\"; };"}, 1, "gateway.workers", "whole number"},
        {{.gateway = "gateway = { workers = 1.5; };"}, 1, "gateway.workers", "whole number"},
        {{.gateway = "gateway = { workers = 257; };"}, 1, "gateway.workers", "0 to 256"},
        {{.gateway = "gateway = { workers = 4294967297; };"}, 1, "gateway.workers", "out of range"},
        {{.gateway = "gateway = { workers = 99999999999999999999; };"}, 1, NULL, "64 bits"},
        {{.gateway = "gateway = { name = \"a b\"; };"}, 1, "gateway.name", "cannot be a name"},
        {{.gateway = "gateway = { name = \".a\"; };"}, 1, "gateway.name", "cannot be a name"},
        {{.gateway = "gateway = { user = \"\"; };"}, 1, "gateway.user", "is empty"},
        {{.gateway = "gateway = { user = \"a\\x01\"; };"}, 1, "gateway.user", "control character"},
        {{.gateway = "gateway = { log_level = \"warn\"; };"},
         1,
         "gateway.log_level",
         "did you mean \"warning\""},
        {{.gateway = "gateway = { log_level = 1; };"}, 1, "gateway.log_level", "text in quotes"},
        {{.gateway = "gateway = { maximum_buffered_bytes = 1048576; };"},
         1,
         "gateway.maximum_buffered_bytes",
         "never be read"},
        {{.gateway =
              "gateway = { control_socket = \"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
              "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"; };"},
         1,
         "gateway.control_socket",
         "longer than"},
        {{.spool = "spool = { };"}, 2, "spool.key_file", "is missing"},
        {{.spool = "spool = { key_file = \"k\"; type = \"jetstream\"; };"},
         2,
         "spool.type",
         "not supported by this version"},
        {{.spool = "spool = { key_file = \"k\"; maximum_bytes = 1048576; };"},
         2,
         "spool.maximum_bytes",
         "never be stored"},
        {{.admin = "admin = { address = \"8080\"; };"}, 3, "admin.address", "address with a port"},
        {{.tls = "tls = { };",
          .listeners =
              "listeners = ( { name = \"l\"; address = \"1.1.1.1:1\"; peers = [ \"p\" ]; } );",
          .peers = "peers = ( { name = \"p\"; addresses = [ \"10.0.0.1\" ]; } );"},
         4,
         "tls",
         "list of groups"},
        {{.tls = "tls = ( { name = \"t\"; certificate = \"c\"; client_ca = \"ca\"; } );"},
         4,
         "tls.t.key",
         "is missing"},
        {{.tls = "tls = ( { name = \"t\"; certificate = \"c\"; key = \"k\"; } );"},
         4,
         "tls.t.client_ca",
         "is missing"},
        {{.tls =
              "tls = ( { name = \"t\"; certificate = \"c\"; key = \"k\"; client_ca = \"a\"; crl_required = true; } );"},
         4,
         "tls.t.crl_required",
         "set crl"},
        {{.tls =
              "tls = ( { name = \"t\"; certificate = \"c\"; key = \"k\"; client_ca = \"a\"; crl_required = 1; } );"},
         4,
         "tls.t.crl_required",
         "true or false"},
        {{.listeners =
              "listeners = ( { name = \"l\"; address = \"1.1.1.1:2\"; tls = \"x\"; peers = [ \"p\" ]; } );",
          .tls = ""},
         6,
         "listeners.l.tls",
         "no tls named \"x\" (known: none)"},
        {{.listeners =
              "listeners = ( { name = \"l\"; address = \"1.1.1.1:2\"; tls = \"t\";\npeers = [ \"p\",\n\"pp\" ]; } );"},
         8,
         "listeners.l.peers",
         "no peer named \"pp\" (known: p)"},
        {{.listeners =
              "listeners = ( { name = \"l\"; address = \"1.1.1.1:2\"; tls = \"t\"; peers = [ \"p\", \"p\" ]; } );"},
         6,
         "listeners.l.peers",
         "twice"},
        {{.listeners =
              "listeners = ( { name = \"l\"; address = \"1.1.1.1:2\"; tls = \"t\"; peers = \"p\"; } );",
          .peers = "peers = ( );",
          .tls =
              "tls = ( { name = \"t\"; certificate = \"c\"; key = \"k\"; client_ca = \"a\"; } );"},
         6,
         "listeners.l.peers",
         "list of texts"},
        {{.listeners =
              "listeners = ( { name = \"l\"; address = \"*:2\"; tls = \"t\"; peers = [ \"p\" ]; } );"},
         6,
         "listeners.l.address",
         "0.0.0.0:2575"},
        {{.listeners =
              "listeners = ( { name = \"l\"; address = \"1.1.1.1:2\"; tls = \"t\"; peers = [ \"p\" ]; proxy_from = [ \"lb.example\" ]; } );"},
         6,
         "listeners.l.proxy_from",
         "not an address or network"},
        {{.listeners =
              "listeners = ( { name = \"l\"; address = \"1.1.1.1:2\"; tls = \"t\"; peers = [ \"p\" ]; proxy_from = [ ]; } );"},
         6,
         "listeners.l.proxy_from",
         "is empty"},
        {{.listeners =
              "listeners = ( { name = \"l\"; address = \"1.1.1.1:2\"; tls = \"t\"; peers = [ \"p\" ]; },\n"
              "{ name = \"m\"; address = \"0.0.0.0:2\"; tls = \"t\"; peers = [ \"p\" ]; } );",
          .routes =
              "routes = ( { name = \"r\"; from = \"l\"; to = \"s\"; }, { name = \"q\"; from = \"m\"; to = \"s\"; } );"},
         7,
         "listeners.m.address",
         "taken by listener l (case.cfg:6)"},
        {{.admin = "admin = { address = \"127.0.0.1:2575\"; };"},
         6,
         "listeners.l.address",
         "taken by admin.address"},
        {{.routes = "routes = ( );"}, 6, "listeners.l", "no route begins here"},
        {{.listeners =
              "listeners = ( { name = \"l\"; address = \"1.1.1.1:2\"; tls = \"t\"; peers = [ \"p\" ]; acknowledge = \"delivered\"; } );",
          .stores =
              "stores = ( { name = \"s\"; type = \"directory\"; path = \"a\"; }, { name = \"q\"; type = \"directory\"; path = \"b\"; } );",
          .routes =
              "routes = ( { name = \"r\"; from = \"l\"; to = \"s\"; }, { name = \"q\"; from = \"l\"; to = \"q\"; } );"},
         6,
         "listeners.l.acknowledge",
         "2 routes"},
        {{.routes =
              "routes = ( { name = \"r\"; from = \"l\"; to = \"s\"; },\n{ name = \"r\"; from = \"l\"; to = \"q\"; } );",
          .stores =
              "stores = ( { name = \"s\"; type = \"directory\"; path = \"a\"; }, { name = \"q\"; type = \"directory\"; path = \"b\"; } );"},
         9,
         "routes.r.name",
         "taken already, at case.cfg:8"},
        {{.routes =
              "routes = ( { name = \"r\"; from = \"l\"; to = \"s\"; },\n{ name = \"q\"; from = \"l\"; to = \"s\"; } );"},
         9,
         "routes.q",
         "delivered twice"},
        {{.routes =
              "routes = ( { name = \"r\"; from = \"l\"; to = \"s\"; retry_minimum_ms = 70000; } );"},
         8,
         "routes.r.retry_minimum_ms",
         "more than retry_maximum_ms"},
        {{.more = "x = [ 1, \"a\" ];"}, 9, NULL, "mismatched element type"},
        {{.more = "gateway = { };"}, 9, NULL, "duplicate setting name"},
        {{.more = "x = ;"}, 9, NULL, "syntax error"},
        {{.more = "/* x"}, 9, NULL, "has no end"},
        {{.more = "\nx = \"abc;"}, 10, NULL, "has no end"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        config_case_one(&cases[i].wanted, PROBLEM_ERROR, cases[i].line, cases[i].setting,
                        cases[i].text);
    }
}

static void oddities_are_warned_of(void **state)
{
    static const struct {
        struct config_case wanted;
        unsigned line;
        const char *setting, *text;
    } cases[] = {
        {{.gateway = "gateway = { dns_keep_s = 1; };"}, 1, "gateway.dns_keep_s", "not longer"},
        {{.gateway = "gateway = { dns_keep_s = 60; };"}, 1, "gateway.dns_keep_s", "not longer"},
        {{.spool = "spool = { type = \"memory\"; };"}, 2, "spool.type", "tests only"},
        {{.tls =
              "tls = ( { name = \"t\"; certificate = \"c\"; key = \"k\"; client_ca = \"ca\"; },\n"
              "{ name = \"u\"; certificate = \"c\"; key = \"k\"; client_ca = \"ca\"; } );"},
         5,
         "tls.u",
         "no listener uses it"},
        {{.stores =
              "stores = ( { name = \"s\"; type = \"directory\"; path = \"a\"; }, { name = \"u\"; type = \"directory\"; path = \"b\"; } );"},
         7,
         "stores.u",
         "no route leads to it"},
        {{.peers = "peers = ( { name = \"p\"; addresses = [ \"0.0.0.0/0\" ]; } );"},
         5,
         "peers.p.addresses",
         "anybody"},
        {{.listeners =
              "listeners = ( { name = \"l\"; address = \"1.1.1.1:0\"; tls = \"t\"; peers = [ \"p\" ]; } );"},
         6,
         "listeners.l.address",
         "port 0"},
        {{.listeners =
              "listeners = ( { name = \"l\"; address = \"1.1.1.1:2\"; tls = \"t\"; peers = [ \"p\" ];"
              " acknowledge = \"delivered\"; application_acknowledgment = \"store\"; } );"},
         6,
         "listeners.l.application_acknowledgment",
         "no effect"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        config_case_one(&cases[i].wanted, PROBLEM_WARNING, cases[i].line, cases[i].setting,
                        cases[i].text);
    }
}

static void all_problems_come_in_one_go(void **state)
{
    struct problems problems;
    (void)state;
    problems_init(&problems);
    const struct config_case wanted = {
        .gateway = "gateway = { workers = \"x\"; };",
        .spool = "spool = { };",
        .stores = "stores = ( { name = \"s\"; type = \"s3\"; } );",
        .routes = "routes = ( { name = \"r\"; from = \"x\"; to = \"y\"; } );"};
    assert_null(config_case_load(&wanted, &problems));
    assert_int_equal(problems.errors, 6);
    for (size_t i = 1; i < problems.count; i++) {
        assert_true(problems.items[i - 1].line <= problems.items[i].line);
    }
    assert_true(config_case_has(&problems, PROBLEM_ERROR, 7, "stores.s.type", "not supported"));
    problems_free(&problems);
}

static void at_most_a_hundred_are_kept(void **state)
{
    char *text = NULL;
    size_t length;
    struct problems problems;
    (void)state;
    FILE *out = open_memstream(&text, &length);
    for (int i = 0; i < 150; i++) {
        fprintf(out, "x%d = 1;\n", i);
    }
    fclose(out);
    problems_init(&problems);
    assert_null(config_load_text(text, length, "many.cfg", NULL, &problems));
    free(text);
    assert_int_equal(problems.count, 100);
    assert_int_equal(problems.errors, 152); /* no listeners, no key either */
    out = open_memstream(&text, &length);
    problems_print(&problems, out);
    fclose(out);
    assert_non_null(strstr(text, "many.cfg:1: error: x0: there is no such section"));
    assert_non_null(strstr(text, "\n... and 52 more\n"));
    free(text);
    problems_free(&problems);
}

static void shipped_files_are_good(void **state)
{
    static const char *const files[] = {"gateway.cfg",
                                        "tunnel-demo.cfg",
                                        "examples/two-hospitals-http.cfg",
                                        "examples/delivered.cfg",
                                        "examples/google.cfg",
                                        "examples/like-googles-adapter.cfg",
                                        "examples/behind-proxy.cfg",
                                        "examples/tunnel-strongswan.cfg",
                                        "examples/tunnel-aws.cfg",
                                        "examples/tunnel-google.cfg",
                                        "examples/tunnel-azure.cfg",
                                        "examples/tunnel-fortigate.cfg",
                                        "examples/tunnel-asa.cfg",
                                        "examples/tunnel-paloalto.cfg"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[512];
        struct problems problems;
        (void)snprintf(path, sizeof path, "%s/../../config/%s", MLLPGW_TEST_DATA, files[i]);
        problems_init(&problems);
        struct config *config = config_load(path, "/somewhere", &problems);
        problems_print(&problems, stderr);
        bool fine = config && problems.count == 0;
        config_free(&config);
        problems_free(&problems);
        assert_true(fine);
    }
}

static void the_demo_is_as_documented(void **state)
{
    struct problems problems;
    (void)state;
    problems_init(&problems);
    struct config *config =
        config_load(MLLPGW_TEST_DATA "/../../config/gateway.cfg", "/d", &problems);
    assert_non_null(config);
    assert_string_equal(config_find_tls(config, "hospitals")->certificate, "/d/pki/server.pem");
    assert_string_equal(config_find_tls(config, "hospitals")->key, "/d/pki/server.key");
    assert_string_equal(config_find_tls(config, "hospitals")->client_ca, "/d/pki/ca.pem");
    assert_string_equal(config_find_tls(config, "hospitals")->crl, "/d/pki/ca.crl");
    assert_string_equal(config_find_listener(config, "adt")->address, "127.0.0.1:2575");
    assert_string_equal(config_find_store(config, "files")->path, "/d/messages");
    assert_string_equal(config->spool.key_file, "/d/spool.key");
    assert_string_equal(config->gateway.state_directory, "/d/state");
    assert_string_equal(config->admin.address, "127.0.0.1:8080");
    config_free(&config);
    problems_free(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_set),
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(absent_and_empty_lists_differ),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(oddities_are_warned_of),
        cmocka_unit_test(all_problems_come_in_one_go),
        cmocka_unit_test(at_most_a_hundred_are_kept),
        cmocka_unit_test(shipped_files_are_good),
        cmocka_unit_test(the_demo_is_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
