/* links: route egress http spool loop hl7 config base */
/* wrap: log_event */
/* acknowledge = "delivered": senders that wait for the verdict, until their deadline. */
#include "replay/route_script.h"

#define WAITS true
#define IMPATIENT false

static void the_verdict_is_the_answer(void **state)
{
    struct world *world = *state;

    enter_delivered(world, "a", 1, WAITS, 20000);
    enter_delivered(world, "a", 2, WAITS, 20000);
    verdict(world, 1, &accepted);
    verdict(world, 2, &refused);
    expect(world, "send 1, accepted 1, send 2, refused 2");
    assert_int_equal(logged(world, "event=dead-letter"), 0);
    assert_true(measured(world, "mllpgw_route_dead_letters_total{route=\"r\"} 0"));
}

static void a_refusal_never_stops_the_lane(void **state)
{
    struct world *world = *state;

    world->routes[0].dead_letter = CONFIG_DEAD_LETTER_STOP;
    world_apply(world);
    enter_delivered(world, "a", 1, WAITS, 20000);
    enter_delivered(world, "a", 2, WAITS, 20000);
    verdict(world, 1, &refused);
    expect(world, "send 1, refused 1, send 2");
}

static void the_attempt_is_cancelled_before_the_answer(void **state)
{
    struct world *world = *state;

    enter_delivered(world, "a", 1, WAITS, 20000);
    enter_delivered(world, "a", 2, WAITS, 30000);
    advance(world, 19999);
    expect(world, "send 1");
    advance(world, 1);
    expect(world, "cancel 1, unknown 1, send 2");
    assert_false(world->last_verdict.not_sent);
    assert_true(measured(world, "mllpgw_route_attempts_total{route=\"r\",verdict=\"unknown\"} 1"));
    verdict(world, 2, &accepted);
    advance(world, 100000);
    expect(world, "accepted 2");
}

static void one_that_waits_is_tried_again_until_its_deadline(void **state)
{
    struct world *world = *state;

    enter_delivered(world, "a", 1, WAITS, 250);
    verdict(world, 1, &lost);
    advance(world, 100);
    verdict(world, 1, &lost);
    expect(world, "send 1, send 1");
    advance(world, 100);
    expect(world, "send 1");
    verdict(world, 1, &accepted);
    expect(world, "accepted 1");
    advance(world, 1000);
    assert_int_equal(world->kept, 0); /* never on disk */
}

/* Between two tries nothing is in flight: the last verdict is known, and is the answer. */
static void the_deadline_between_two_tries(void **state)
{
    struct world *world = *state;

    enter_delivered(world, "a", 1, WAITS, 150);
    verdict(world, 1, &lost);
    advance(world, 100);
    verdict(world, 1, &lost);
    advance(world, 50);
    expect(world, "send 1, send 1, retry 1");
    assert_string_equal(world->last_verdict.reason, "connection reset");
    assert_true(measured(world, "mllpgw_route_expired_total{route=\"r\"} 1"));
}

static void one_that_does_not_wait_gets_the_first_verdict(void **state)
{
    struct world *world = *state;

    enter_delivered(world, "a", 1, IMPATIENT, 20000);
    verdict(world, 1, &lost);
    expect(world, "send 1, retry 1");
    enter_delivered(world, "a", 2, IMPATIENT, 20000);
    verdict(world, 2, &unauthorized);
    expect(world, "send 2, operator 2");
}

static void expiry_behind_another_means_never_sent(void **state)
{
    struct world *world = *state;

    enter_delivered(world, "a", 1, WAITS, 20000);
    enter_delivered(world, "a", 2, WAITS, 10000);
    enter_delivered(world, "a", 3, WAITS, 30000);
    advance(world, 10000);
    expect(world, "send 1, retry 2");
    assert_true(world->last_verdict.not_sent);
    assert_string_equal(world->last_verdict.reason,
                        "the answer deadline passed before it could be sent");
    verdict(world, 1, &accepted);
    expect(world, "accepted 1, send 3");
}

static void all_of_a_lane_may_expire_at_once(void **state)
{
    struct world *world = *state;

    for (uint64_t i = 1; i <= 4; i++)
        enter_delivered(world, "a", i, WAITS, 1000);
    advance(world, 1000);
    /* Those behind first: they were never sent, and won't be when the head makes room. */
    expect(world, "send 1, retry 2, retry 3, retry 4, cancel 1, unknown 1");
    enter_delivered(world, "a", 5, WAITS, 1000);
    expect(world, "send 5");
}

static void one_that_comes_too_late_is_not_sent(void **state)
{
    struct world *world = *state;

    enter_delivered(world, "a", 1, WAITS, -1);
    expect(world, "retry 1");
    assert_true(world->last_verdict.not_sent);
}

static void a_stored_one_ahead_does_not_hold_an_answer_up(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    enter_delivered(world, "a", 2, WAITS, 500);
    verdict(world, 1, &unauthorized);
    advance(world, 500);
    expect(world, "send 1, keep 1, retry 2");
}

/* ---- while the store is down ---- */

static void those_that_wait_go_when_the_store_is_back(void **state)
{
    struct world *world = *state;

    enter_delivered(world, "a", 1, WAITS, 20000);
    verdict(world, 1, &unreachable);
    enter_delivered(world, "b", 2, WAITS, 20000);
    enter_delivered(world, "c", 3, WAITS, 60);
    expect(world, "send 1");
    advance(world, 60);
    expect(world, "retry 3");
    advance(world, 40);
    expect(world, "send 2");
    verdict(world, 2, &accepted);
    expect(world, "accepted 2, send 1");
}

static void impatient_ones_are_told_at_once(void **state)
{
    struct world *world = *state;

    enter_delivered(world, "a", 1, IMPATIENT, 20000);
    enter_delivered(world, "a", 2, IMPATIENT, 20000);
    enter_delivered(world, "b", 3, IMPATIENT, 20000);
    expect(world, "send 1, send 3");
    verdict(world, 1, &unreachable); /* 2 stood behind it */
    expect(world, "retry 2, retry 1");
    enter_delivered(world, "c", 4, IMPATIENT, 20000);
    expect(world, "retry 4");
    assert_true(world->last_verdict.not_sent);
    assert_string_equal(world->last_verdict.reason, "connection refused");
    verdict(world, 3, &accepted); /* it isn't down after all */
    enter_delivered(world, "c", 5, IMPATIENT, 20000);
    expect(world, "accepted 3, send 5");
}

/* Nobody else is there to probe: the senders' own messages do, but not each of them. */
static void impatient_ones_find_out_that_the_store_is_back(void **state)
{
    struct world *world = *state;

    world->random = 1 << 20;
    enter_delivered(world, "a", 1, IMPATIENT, 20000);
    verdict(world, 1, &unreachable);
    expect(world, "send 1, retry 1");
    for (uint64_t i = 2; i <= 11; i++) {
        enter_delivered(world, "a", i, IMPATIENT, 20000);
        advance(world, 9);
    }
    expect(world, "retry 2, retry 3, retry 4, retry 5, retry 6, retry 7, retry 8, retry 9, "
                  "retry 10, retry 11");
    advance(world, 10);
    enter_delivered(world, "a", 12, IMPATIENT, 20000);
    enter_delivered(world, "b", 13, IMPATIENT, 20000);
    expect(world, "send 12, retry 13");
    verdict(world, 12, &accepted);
    enter_delivered(world, "b", 14, IMPATIENT, 20000);
    expect(world, "accepted 12, send 14");
}

static void impatient_ones_respect_what_the_store_asked_for(void **state)
{
    struct world *world = *state;
    struct verdict busy = {.kind = VERDICT_RETRY, .status = 503, .retry_after_ms = 5000};

    enter_delivered(world, "a", 1, IMPATIENT, 20000);
    verdict(world, 1, &busy);
    advance(world, 4999);
    enter_delivered(world, "a", 2, IMPATIENT, 20000);
    advance(world, 1);
    enter_delivered(world, "a", 3, IMPATIENT, 20000);
    expect(world, "send 1, retry 1, retry 2, send 3");
}

static void the_log_does_not_flicker_with_impatient_ones(void **state)
{
    struct world *world = *state;

    world->quiet = true;
    for (uint64_t i = 1; i <= 300; i++) {
        enter_delivered(world, "a", i % 1000, IMPATIENT, 20000);
        if (world->attempt_count > 0)
            answer(world->attempts[0], &unreachable);
        advance(world, 10);
    }
    assert_int_equal(logged(world, "event=route-queueing "), 1);
    assert_int_equal(logged(world, "event=route-queueing-cleared"), 0);
    advance(world, 10000);
    enter_delivered(world, "a", 999, IMPATIENT, 20000);
    verdict(world, 999, &accepted);
    assert_int_equal(logged(world, "event=route-queueing-cleared"), 1);
}

/* A store that takes everything and says nothing is down, too. */
static void a_silent_store_is_down(void **state)
{
    struct world *world = *state;

    enter_delivered(world, "a", 1, IMPATIENT, 1000);
    enter_delivered(world, "b", 2, IMPATIENT, 1001);
    advance(world, 1001);
    expect(world, "send 1, send 2, cancel 1, unknown 1, cancel 2, unknown 2");
    enter_delivered(world, "c", 3, IMPATIENT, 1000);
    expect(world, "retry 3");
    assert_int_equal(logged(world, "event=route-queueing "), 1);
}

static void stored_and_delivered_keep_one_order(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1001);
    enter_delivered(world, "a", 1002, WAITS, 20000);
    enter(world, "a", 1003);
    world->automatic = &accepted;
    advance(world, 1);
    advance(world, 1);
    advance(world, 1);
    expect(world, "send 1001, accepted 1001, send 1002, accepted 1002, send 1003, accepted 1003");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(the_verdict_is_the_answer),
        WORLD_TEST(a_refusal_never_stops_the_lane),
        WORLD_TEST(the_attempt_is_cancelled_before_the_answer),
        WORLD_TEST(one_that_waits_is_tried_again_until_its_deadline),
        WORLD_TEST(the_deadline_between_two_tries),
        WORLD_TEST(one_that_does_not_wait_gets_the_first_verdict),
        WORLD_TEST(expiry_behind_another_means_never_sent),
        WORLD_TEST(all_of_a_lane_may_expire_at_once),
        WORLD_TEST(one_that_comes_too_late_is_not_sent),
        WORLD_TEST(a_stored_one_ahead_does_not_hold_an_answer_up),
        WORLD_TEST(those_that_wait_go_when_the_store_is_back),
        WORLD_TEST(impatient_ones_are_told_at_once),
        WORLD_TEST(impatient_ones_find_out_that_the_store_is_back),
        WORLD_TEST(impatient_ones_respect_what_the_store_asked_for),
        WORLD_TEST(the_log_does_not_flicker_with_impatient_ones),
        WORLD_TEST(a_silent_store_is_down),
        WORLD_TEST(stored_and_delivered_keep_one_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
