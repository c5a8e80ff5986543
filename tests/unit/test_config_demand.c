/* links: config */
/* What a listener must demand of messages, for all the stores that its routes lead to. */

#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/config_case.h"

#define STORE(name, more)                                                                          \
    "{ name = \"" name                                                                             \
    "\"; type = \"google\"; project = \"p\"; location = \"l\"; dataset = \"d\"; "                  \
    "store = \"s\"; " more "}"
#define FILES "{ name = \"f\"; type = \"directory\"; path = \"m\"; }"
#define ROUTE(name, to) "{ name = \"" name "\"; from = \"l\"; to = \"" to "\"; }"
#define LISTENER(more)                                                                                  \
    "listeners = ( { name = \"l\"; address = \"127.0.0.1:2575\"; tls = \"t\"; peers = [ \"p\" ]; " more \
    "} );"
#define PEER(more)                                                                                  \
    "peers = ( { name = \"p\"; addresses = [ \"10.0.0.0/8\" ]; certificates = [ \"dns:a\" ]; " more \
    "} );"
#define ONE_STORE "stores = ( " STORE("g", "maximum_request_bytes = 100000; ") " );"

static struct config_demand demand_of(const char *stores, const char *routes)
{
    struct config *config =
        config_case_good(&(struct config_case){.stores = stores, .routes = routes});
    struct config_demand demand = config_listener_demand(config, &config->listeners[0]);

    config_free(&config);
    return demand;
}

static void the_strictest_of_all_stores(void **state)
{
    struct config_demand demand;

    (void)state;
    demand = demand_of("stores = ( " FILES " );", "routes = ( " ROUTE("r", "f") " );");
    assert_false(demand.utf8);
    assert_int_equal(demand.maximum_message_bytes, 0);
    demand = demand_of("stores = ( " FILES ", " STORE("g", "") " );",
                       "routes = ( " ROUTE("a", "f") ", " ROUTE("b", "g") " );");
    assert_true(demand.utf8);
    assert_int_equal(demand.maximum_message_bytes, 7499982);
    demand = demand_of("stores = ( " STORE("h", "maximum_request_bytes = 65536; ") ", " STORE(
                           "g", "maximum_request_bytes = 200000; ") " );",
                       "routes = ( " ROUTE("a", "g") ", " ROUTE("b", "h") " );");
    assert_true(demand.utf8);
    assert_int_equal(demand.maximum_message_bytes, (65536 - 23) / 4 * 3);
}

static void fits(const struct config_case *wanted)
{
    struct config *config = config_case_good(wanted);

    config_free(&config);
}

static void frames_that_no_store_takes(void **state)
{
    const char *routes = "routes = ( " ROUTE("r", "g") " );";

    (void)state;
    config_case_one(&(struct config_case){.stores = ONE_STORE,
                                          .routes = routes,
                                          .peers = PEER(""),
                                          .listeners = LISTENER("maximum_frame_bytes = 74983; ")},
                    PROBLEM_WARNING, 6, "listeners.l.maximum_frame_bytes",
                    "takes 74982 bytes of one message");
    fits(&(struct config_case){.stores = ONE_STORE,
                               .routes = routes,
                               .peers = PEER(""),
                               .listeners = LISTENER("maximum_frame_bytes = 74982; ")});
    fits(&(struct config_case){.stores = ONE_STORE,
                               .routes = routes,
                               .peers = PEER("maximum_message_bytes = 74982; "),
                               .listeners = LISTENER("maximum_frame_bytes = 74983; ")});
}

static void sets_by_name(void **state)
{
    struct config *config = config_case_good(
        &(struct config_case){.peers = PEER("character_set = \"8859/15\"; "),
                              .listeners = LISTENER("normalise_segment_ends = true; ")});

    (void)state;
    assert_int_equal(config->peers[0].character_set, 11);
    assert_true(config->listeners[0].normalise_segment_ends);
    config_free(&config);
    config = config_case_good(&(struct config_case){0});
    assert_int_equal(config->peers[0].character_set, 0);
    assert_false(config->listeners[0].normalise_segment_ends);
    config_free(&config);
    config_case_one(&(struct config_case){.peers = PEER("character_set = \"8859/16\"; ")},
                    PROBLEM_ERROR, 5, "peers.p.character_set", "8859/1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_strictest_of_all_stores),
        cmocka_unit_test(frames_that_no_store_takes),
        cmocka_unit_test(sets_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
