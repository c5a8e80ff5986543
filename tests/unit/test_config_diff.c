/* links: config */
/* What a reload may change, and what it names. */
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

/* Compares the good configuration with a changed one. */
static size_t diff(const struct config_case *from, const struct config_case *to,
                   struct problems *problems, size_t *ret_changed)
{
    struct problems own;
    problems_init(&own);
    problems_init(problems);
    struct config *running = config_case_load(from, &own), *wanted = config_case_load(to, &own);
    if (!running || !wanted) {
        problems_print(&own, stderr);
    }
    assert_true(running && wanted);
    size_t refused = config_diff(running, wanted, problems, ret_changed);
    config_free(&running);
    config_free(&wanted);
    problems_free(&own);
    return refused;
}

static void the_same_changes_nothing(void **state)
{
    struct problems problems;
    size_t changed = 9;
    (void)state;
    const struct config_case spelled = {.gateway = "gateway = { name = \"mllp-gateway\"; };"};
    assert_int_equal(diff(&(struct config_case){0}, &spelled, &problems, &changed), 0);
    assert_int_equal(changed, 0);
    problems_free(&problems);
}

static void reloadable_changes_are_counted(void **state)
{
    static const struct {
        struct config_case wanted;
        size_t changed;
    } cases[] = {
        {{.gateway =
              "gateway = { log_level = \"debug\"; drain_deadline_ms = 1; dns_refresh_s = 5; };"},
         3},
        {{.peers =
              "peers = ( { name = \"p\"; addresses = [ \"10.0.0.0/9\" ]; certificates = [ \"dns:a\" ]; maximum_message_bytes = 32768; } );"},
         1},
        {{.peers =
              "peers = ( { name = \"p\"; addresses = [ \"10.0.0.0/8\" ]; maximum_message_bytes = 32768; } );"},
         1},
        {{.peers =
              "peers = ( { name = \"p\"; addresses = [ \"10.0.0.0/8\" ]; certificates = [ \"dns:a\" ]; maximum_message_bytes = 32768; character_set = \"8859/1\"; } );"},
         1},
        {{.peers =
              "peers = ( { name = \"p\"; addresses = [ \"10.0.0.0/8\" ]; certificates = [ \"dns:a\" ]; maximum_message_bytes = 32768; }, { name = \"q\"; addresses = [ \"192.0.2.1\" ]; } );"},
         1},
        {{.tls =
              "tls = ( { name = \"t\"; certificate = \"c2\"; key = \"k2\"; client_ca = \"ca\"; crl = \"r\"; crl_required = true; } );"},
         4},
        {{.listeners =
              "listeners = ( { name = \"l\"; address = \"127.0.0.1:2575\"; tls = \"t\"; peers = [ \"p\" ]; maximum_connections = 5; lenient_end = true; idle_timeout_ms = 5; } );"},
         3},
        {{.stores =
              "stores = ( { name = \"s\"; type = \"http\"; url = \"https://h/\"; verdicts = ( { status = 409; verdict = \"retry\"; } ); } );"},
         5},
        {{.routes = "routes = ( { name = \"r2\"; from = \"l\"; to = \"s\"; } );"}, 2},
        {{.routes =
              "routes = ( { name = \"r\"; from = \"l\"; to = \"s\"; order = \"none\"; parallel = 3; } );"},
         2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct problems problems;
        size_t changed = 0;
        size_t refused = diff(&(struct config_case){0}, &cases[i].wanted, &problems, &changed);
        problems_print(&problems, stderr);
        problems_free(&problems);
        assert_int_equal(refused, 0);
        assert_int_equal(changed, cases[i].changed);
    }
}

#define TUNNEL(name, more)                                                                         \
    "{ name = \"" name "\"; remote = \"192.0.2.1\"; psk_file = \"" name                            \
    ".psk\"; local_subnets = [ \"10.20.0.0/24\" ]; remote_subnets = [ \"10.10.0.0/16\" ]; " more   \
    " }"

/* tunneld and the gateway take new, changed and removed tunnels by a reload. */
static void tunnels_are_reloadable(void **state)
{
    static const struct {
        const char *from, *to;
        size_t changed;
    } cases[] = {
        {"", "tunnels = ( " TUNNEL("a", "") " );", 1},
        {"tunnels = ( " TUNNEL("a", "") " );", "", 1},
        {"tunnels = ( " TUNNEL("a", "") " );", "tunnels = ( " TUNNEL("b", "") " );", 2},
        {"tunnels = ( " TUNNEL("a", "") " );",
         "tunnels = ( " TUNNEL("a", "start = \"trap\"; grace_s = 5; ready = true;") " );", 3},
        /* A preset is what it fills in, and what is written may say the same. */
        {"tunnels = ( " TUNNEL("a", "preset = \"fortigate\";") " );",
         "tunnels = ( " TUNNEL("a", "preset = \"asa\"; esp_lifetime_s = 43200;") " );", 1},
        {"tunnels = ( " TUNNEL("a", "") " );",
         "tunnels = ( " TUNNEL("a", "esp_proposals = [ \"aes256gcm16-ecp384\" ];") " );", 1},
        {"", "tunneld = { on_unknown = \"close\"; };", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct problems problems;
        size_t changed = 0;
        const struct config_case from = {.more = cases[i].from}, to = {.more = cases[i].to};
        size_t refused = diff(&from, &to, &problems, &changed);
        problems_print(&problems, stderr);
        problems_free(&problems);
        assert_int_equal(refused, 0);
        assert_int_equal(changed, cases[i].changed);
    }
}

static void tunnelds_sockets_are_fixed(void **state)
{
    struct problems problems;
    size_t changed = 0;
    (void)state;
    const struct config_case to = {.more = "tunneld = { status_socket = \"s\"; };"};
    assert_int_equal(diff(&(struct config_case){0}, &to, &problems, &changed), 1);
    assert_true(config_case_has(&problems, PROBLEM_ERROR, 9, "tunneld.status_socket",
                                "restart mllp-tunneld and the gateway"));
    problems_free(&problems);
}

static void changes_that_need_a_restart_are_named(void **state)
{
    static const struct {
        struct config_case wanted;
        unsigned line;
        const char *setting;
    } cases[] = {
        {{.gateway = "gateway = {\nname = \"x\"; };"}, 2, "gateway.name"},
        {{.gateway = "gateway = { workers = 2; };"}, 1, "gateway.workers"},
        {{.gateway = "gateway = { user = \"u\"; };"}, 1, "gateway.user"},
        {{.gateway = "gateway = { operator_group = \"u\"; };"}, 1, "gateway.operator_group"},
        {{.gateway = "gateway = { control_socket = \"u\"; };"}, 1, "gateway.control_socket"},
        {{.spool = "spool = { key_file = \"k2\"; };"}, 2, "spool.key_file"},
        {{.spool = "spool = { key_file = \"k\"; group_rows = 3; };"}, 2, "spool.group_rows"},
        {{.admin = "admin = { address = \"127.0.0.1:1\"; };"}, 3, "admin.address"},
        {{.listeners =
              "listeners = ( { name = \"l\"; address = \"127.0.0.1:2576\"; tls = \"t\"; peers = [ \"p\" ]; } );"},
         6,
         "listeners.l.address"},
        {{.listeners =
              "listeners = ( { name = \"l\"; address = \"127.0.0.1:2575\"; tls = \"t\"; peers = [ \"p\" ]; acknowledge = \"delivered\"; } );"},
         6,
         "listeners.l.acknowledge"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct problems problems;
        size_t changed = 0;
        size_t refused = diff(&(struct config_case){0}, &cases[i].wanted, &problems, &changed);
        bool named = config_case_has(&problems, PROBLEM_ERROR, cases[i].line, cases[i].setting,
                                     "cannot change while running");
        problems_free(&problems);
        assert_int_equal(refused, 1);
        assert_int_equal(changed, 0);
        assert_true(named);
    }
}

static void the_set_of_listeners_is_fixed(void **state)
{
    struct problems problems;
    size_t changed;
    const struct config_case two = {
        .listeners =
            "listeners = ( { name = \"l\"; address = \"127.0.0.1:2575\"; tls = \"t\"; peers = [ \"p\" ]; },\n"
            "{ name = \"m\"; address = \"127.0.0.1:2576\"; tls = \"t\"; peers = [ \"p\" ]; } );",
        .routes =
            "routes = ( { name = \"r\"; from = \"l\"; to = \"s\"; }, { name = \"q\"; from = \"m\"; to = \"s\"; } );"};
    (void)state;
    assert_int_equal(diff(&(struct config_case){0}, &two, &problems, &changed), 1);
    assert_true(config_case_has(&problems, PROBLEM_ERROR, 7, "listeners.m", "cannot be added"));
    assert_int_equal(changed, 1);
    problems_free(&problems);
    assert_int_equal(diff(&two, &(struct config_case){0}, &problems, &changed), 1);
    assert_true(config_case_has(&problems, PROBLEM_ERROR, 0, "listeners.m", "cannot be removed"));
    assert_string_equal(problems.items[0].file, "case.cfg");
    problems_free(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_changes_nothing),
        cmocka_unit_test(reloadable_changes_are_counted),
        cmocka_unit_test(tunnels_are_reloadable),
        cmocka_unit_test(tunnelds_sockets_are_fixed),
        cmocka_unit_test(changes_that_need_a_restart_are_named),
        cmocka_unit_test(the_set_of_listeners_is_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
