/* links: route egress http spool loop hl7 config base */
/* wrap: log_event */
/* Lanes: what is sent when, and what a dead letter does to those behind it. */
#include "replay/route_script.h"

static void one_of_a_lane_is_in_flight(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    enter(world, "a", 2);
    enter(world, "b", 3);
    expect(world, "send 1, send 3");
    verdict(world, 1, &accepted);
    expect(world, "accepted 1, send 2");
    verdict(world, 2, &accepted);
    verdict(world, 3, &accepted);
    expect(world, "accepted 2, accepted 3");
}

static void what_comes_late_takes_its_old_place(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    enter(world, "a", 3);
    enter(world, "a", 4);
    enter(world, "a", 2);
    enter(world, "a", 5);
    expect(world, "send 1");
    for (uint64_t id = 1; id <= 5; id++)
        verdict(world, id, &accepted);
    expect(world, "accepted 1, send 2, accepted 2, send 3, accepted 3, send 4, accepted 4, send 5, "
                  "accepted 5");
}

static void what_fails_holds_up_its_lane_only(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    enter(world, "a", 2);
    enter(world, "b", 3);
    expect(world, "send 1, send 3");
    verdict(world, 1, &failed);
    verdict(world, 3, &accepted);
    enter(world, "b", 4);
    expect(world, "keep 1, accepted 3, send 4");
    advance(world, 99);
    expect(world, "");
    advance(world, 1);
    expect(world, "send 1");
    verdict(world, 1, &accepted);
    expect(world, "accepted 1, send 2");
}

static void lanes_share_parallel_in_turn(void **state)
{
    struct world *world = *state;

    world->routes[0].parallel = 2;
    world_apply(world);
    for (uint64_t i = 1; i <= 2; i++) {
        enter(world, "a", 10 + i);
        enter(world, "b", 20 + i);
        enter(world, "c", 30 + i);
    }
    expect(world, "send 11, send 21");
    verdict(world, 11, &accepted); /* c has not had its turn; a goes behind it */
    expect(world, "accepted 11, send 31");
    verdict(world, 21, &accepted);
    expect(world, "accepted 21, send 12");
    verdict(world, 12, &accepted);
    expect(world, "accepted 12, send 22");
    verdict(world, 31, &accepted);
    expect(world, "accepted 31, send 32");
    assert_int_equal(world->most_in_flight, 2);
}

static void a_route_does_not_take_anothers_places(void **state)
{
    struct world *world = *state;

    world->routes[0].parallel = 1;
    world_configure(world, 1, 2);
    world_apply(world);
    enter(world, "a", 1);
    enter(world, "b", 2);
    enter(world, "r2/a", 3);
    expect(world, "send 1, send 3");
}

static void order_none_sends_many_of_a_lane(void **state)
{
    struct world *world = *state;

    world->routes[0].order = CONFIG_ORDER_NONE;
    world->routes[0].parallel = 3;
    world_apply(world);
    for (uint64_t i = 1; i <= 5; i++)
        enter(world, "*", i);
    expect(world, "send 1, send 2, send 3");
    verdict(world, 2, &failed); /* holds up nobody */
    expect(world, "keep 2, send 4");
    verdict(world, 4, &accepted);
    expect(world, "accepted 4, send 5");
    verdict(world, 1, &accepted);
    advance(world, 100);
    expect(world, "accepted 1, send 2");
}

static void order_none_is_fair_to_other_lanes(void **state)
{
    struct world *world = *state;

    world->routes[0].order = CONFIG_ORDER_NONE;
    world->routes[0].parallel = 1;
    world_apply(world);
    for (uint64_t i = 1; i <= 3; i++)
        enter(world, "*", i);
    enter(world, "b", 11);
    verdict(world, 1, &accepted);
    verdict(world, 2, &accepted);
    verdict(world, 11, &accepted);
    expect(world, "send 1, accepted 1, send 2, accepted 2, send 11, accepted 11, send 3");
}

static void a_refused_one_is_a_dead_letter_and_the_lane_goes_on(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    enter(world, "a", 2);
    verdict(world, 1, &refused);
    expect(world, "send 1, refused 1, send 2");
    assert_int_equal(logged(world, "event=dead-letter"), 1);
    assert_int_equal(logged(world, "control_id=1"), 1);
    assert_true(measured(world, "mllpgw_route_dead_letters_total{route=\"r\"} 1"));
    assert_true(measured(world, "mllpgw_route_attempts_total{route=\"r\",verdict=\"refused\"} 1"));
}

static void stop_at_dead_letters(struct world *world)
{
    world->routes[0].dead_letter = CONFIG_DEAD_LETTER_STOP;
    world_apply(world);
}

static void a_dead_letter_can_stop_its_lane(void **state)
{
    struct world *world = *state;

    stop_at_dead_letters(world);
    enter(world, "a", 1);
    enter(world, "a", 2);
    enter(world, "b", 3);
    verdict(world, 1, &refused);
    enter(world, "a", 4); /* was on its way when the lane stopped */
    verdict(world, 3, &accepted);
    advance(world, 100000);
    expect(world, "send 1, send 3, stop 1, accepted 3");
    assert_true(measured(world, "mllpgw_route_lanes_stopped{route=\"r\"} 1"));
}

static void discarding_the_dead_letter_lets_the_lane_go_on(void **state)
{
    struct world *world = *state;

    stop_at_dead_letters(world);
    enter(world, "a", 1);
    enter(world, "a", 2);
    verdict(world, 1, &refused);
    expect(world, "send 1, stop 1");
    router_on_lane_resumed(world->router, "r/other");
    expect(world, "");
    router_on_lane_resumed(world->router, "r/a");
    expect(world, "send 2");
    assert_true(measured(world, "mllpgw_route_lanes_stopped{route=\"r\"} 0"));
}

static void a_lane_that_stopped_empty_goes_on_too(void **state)
{
    struct world *world = *state;

    stop_at_dead_letters(world);
    enter(world, "a", 1);
    verdict(world, 1, &refused);
    expect(world, "send 1, stop 1");
    router_on_lane_resumed(world->router, "r/a");
    enter(world, "a", 2);
    expect(world, "send 2");
}

static void enter_resuming(struct world *world, const char *lane, uint64_t id)
{
    struct spool_entry *entry = entry_new(world, lane, id);

    entry->resumes_lane = true;
    router_on_entry(world->router, entry);
}

static void a_replayed_head_takes_its_old_place(void **state)
{
    struct world *world = *state;

    stop_at_dead_letters(world);
    enter(world, "a", 1);
    enter(world, "a", 2);
    verdict(world, 1, &refused);
    expect(world, "send 1, stop 1");
    enter_resuming(world, "a", 1);
    expect(world, "send 1");
    verdict(world, 1, &refused); /* and stops again */
    expect(world, "stop 1");
    enter_resuming(world, "a", 1);
    verdict(world, 1, &accepted);
    expect(world, "send 1, accepted 1, send 2");
}

static void a_lane_that_was_stopped_before_the_start(void **state)
{
    struct world *world = *state;

    stop_at_dead_letters(world);
    router_on_lane_stopped(world->router, "r", "r/a");
    router_on_lane_stopped(world->router, "nowhere", "nowhere/a");
    assert_true(measured(world, "mllpgw_route_lanes_stopped{route=\"r\"} 1"));
    enter_resuming(world, "a", 1);
    expect(world, "send 1");
    assert_true(measured(world, "mllpgw_route_lanes_stopped{route=\"r\"} 0"));
    /* The spool knows of it, the router was never told: it is sent all the same. */
    enter_resuming(world, "b", 2);
    expect(world, "send 2");
}

static void delivery_is_measured(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    assert_true(measured(world, "mllpgw_route_entries{route=\"r\"} 1"));
    assert_true(measured(world, "mllpgw_route_in_flight{route=\"r\"} 1"));
    advance(world, 30);
    verdict(world, 1, &accepted);
    assert_true(measured(world, "mllpgw_route_entries{route=\"r\"} 0"));
    assert_true(measured(world, "mllpgw_route_in_flight{route=\"r\"} 0"));
    assert_true(measured(world, "mllpgw_route_deliver_seconds_count{route=\"r\"} 1"));
    assert_true(measured(world, "mllpgw_route_deliver_seconds_sum{route=\"r\"} 0.03"));
}

static void thousands_of_lanes(void **state)
{
    struct world *world = *state;

    world->quiet = true;
    world->automatic = &accepted;
    for (uint64_t i = 1; i <= 5000; i++) {
        char lane[16];

        snprintf(lane, sizeof(lane), "%llu", (unsigned long long)(i % 2500));
        enter(world, lane, i % 1000);
    }
    advance(world, 1);
    while (world->attempt_count > 0)
        advance(world, 1);
    assert_int_equal(world->settled, 5000);
    assert_int_equal(world->most_in_flight, 64);
}

static void count_route(void *context, const struct route_status *status)
{
    assert_string_equal(status->name, "r");
    assert_string_equal(status->store, "s");
    assert_string_equal(status->why, "");
    assert_int_equal(status->lanes, 2);
    assert_int_equal(status->in_flight, 2);
    assert_int_equal(status->waiting, 1);
    ++*(int *)context;
}

static void status_tells_what_is_held(void **state)
{
    struct world *world = *state;
    int count = 0;

    enter(world, "a", 1);
    enter(world, "a", 2);
    enter(world, "b", 3);
    router_status(world->router, count_route, &count);
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(one_of_a_lane_is_in_flight),
        WORLD_TEST(what_comes_late_takes_its_old_place),
        WORLD_TEST(what_fails_holds_up_its_lane_only),
        WORLD_TEST(lanes_share_parallel_in_turn),
        WORLD_TEST(a_route_does_not_take_anothers_places),
        WORLD_TEST(order_none_sends_many_of_a_lane),
        WORLD_TEST(order_none_is_fair_to_other_lanes),
        WORLD_TEST(a_refused_one_is_a_dead_letter_and_the_lane_goes_on),
        WORLD_TEST(a_dead_letter_can_stop_its_lane),
        WORLD_TEST(discarding_the_dead_letter_lets_the_lane_go_on),
        WORLD_TEST(a_lane_that_stopped_empty_goes_on_too),
        WORLD_TEST(a_replayed_head_takes_its_old_place),
        WORLD_TEST(a_lane_that_was_stopped_before_the_start),
        WORLD_TEST(delivery_is_measured),
        WORLD_TEST(thousands_of_lanes),
        WORLD_TEST(status_tells_what_is_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
