/* links: route egress http spool loop hl7 config base */
/* wrap: log_event */
/* Stores that fail: back-off, outages, operators' faults, caps, what is written down. */
#include "replay/route_script.h"

#define HOUR 3600000
/* Drawn as the greatest possible wait three times in a row: 200, 400, 800 ms. */
#define LONGEST (101 * 301 * 701 - 1)

/* ---- one message ---- */

static void waits_double_and_are_reset_by_a_success(void **state)
{
    struct world *world = *state;

    world->random = LONGEST;
    enter(world, "a", 1);
    enter(world, "a", 2);
    verdict(world, 1, &failed);
    advance(world, 199);
    expect(world, "send 1, keep 1");
    advance(world, 1);
    verdict(world, 1, &failed);
    advance(world, 399);
    expect(world, "send 1");
    advance(world, 1);
    verdict(world, 1, &failed);
    advance(world, 799);
    expect(world, "send 1");
    advance(world, 1);
    verdict(world, 1, &accepted);
    expect(world, "send 1, accepted 1, send 2");
    verdict(world, 2, &failed);
    advance(world, 200);
    expect(world, "keep 2, send 2");
}

static void retry_after_is_honoured_even_when_others_get_through(void **state)
{
    struct world *world = *state;
    struct verdict busy = {.kind = VERDICT_RETRY, .status = 429, .retry_after_ms = 5000};

    enter(world, "a", 1);
    enter(world, "b", 2);
    verdict(world, 1, &busy);
    expect(world, "send 1, send 2, keep 1");
    verdict(world, 2, &accepted); /* was under way already: the store is not so busy after all */
    enter(world, "b", 3);
    expect(world, "accepted 2, send 3");
    verdict(world, 3, &accepted);
    advance(world, 4999);
    expect(world, "accepted 3");
    advance(world, 1);
    expect(world, "send 1");
}

static void retry_after_holds_up_the_store_too(void **state)
{
    struct world *world = *state;
    struct verdict busy = {.kind = VERDICT_RETRY, .status = 503, .retry_after_ms = 5000};

    enter(world, "a", 1);
    verdict(world, 1, &busy);
    enter(world, "b", 2);
    advance(world, 4999);
    expect(world, "send 1, keep 1");
    advance(world, 1);
    /* One probes, the other waits for what comes of it. */
    expect(world, "send 2");
    verdict(world, 2, &accepted);
    expect(world, "accepted 2, send 1");
}

static void the_progress_of_a_split_batch_is_kept(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    world->attempts[0]->progress->parts = 7;
    verdict(world, 1, &failed);
    advance(world, 100);
    assert_int_equal(world->attempts[0]->progress->parts, 7);
    verdict(world, 1, &accepted);
    enter(world, "a", 2);
    assert_int_equal(world->attempts[0]->progress->parts, 0);
}

static void one_lost_connection_makes_no_noise(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    enter(world, "b", 2);
    verdict(world, 1, &lost);
    enter(world, "c", 3); /* not held up */
    advance(world, 100);
    verdict(world, 1, &accepted);
    expect(world, "send 1, send 2, keep 1, send 3, send 1, accepted 1");
    assert_int_equal(logged(world, "event=route-queueing"), 0);
}

/* ---- a store that is down ---- */

static void one_lane_probes_and_its_success_lets_all_go(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    verdict(world, 1, &unreachable);
    expect(world, "send 1, keep 1");
    enter(world, "b", 2);
    enter(world, "c", 3);
    expect(world, "");
    advance(world, 100);
    expect(world, "send 2"); /* a's turn comes again, but b has not failed yet and is ahead */
    advance(world, 1000);
    expect(world, ""); /* as long as a probe is under way there is no other */
    verdict(world, 2, &unreachable);
    advance(world, 100);
    expect(world, "keep 2, send 3");
    verdict(world, 3, &accepted);
    expect(world, "accepted 3, send 1, send 2");
}

/* After a real outage nobody sits out a back-off of its own. */
static void those_that_failed_are_woken_by_the_recovery(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    enter(world, "b", 2);
    verdict(world, 1, &unauthorized);
    enter(world, "c", 3);
    advance(world, 100);
    verdict(world, 3, &unauthorized);
    expect(world, "send 1, send 2, keep 1, send 3, keep 3");
    advance(world, 400);
    verdict(world, 2, &unauthorized); /* sleeps until 60500 */
    advance(world, 59600);
    expect(world, "keep 2, send 1");
    verdict(world, 1, &accepted);
    expect(world, "accepted 1, send 3, send 2");
}

static void probes_take_turns_over_routes(void **state)
{
    struct world *world = *state;

    world_configure(world, 1, 2);
    world_apply(world);
    enter(world, "a", 1);
    verdict(world, 1, &unreachable);
    enter(world, "b", 2);
    enter(world, "r2/a", 11);
    enter(world, "r2/b", 12);
    expect(world, "send 1, keep 1");
    for (int i = 0; i < 3; i++) {
        advance(world, 100);
        verdict(world, world->attempts[0]->id, &lost);
    }
    expect(world, "send 2, keep 2, send 11, keep 11, send 1");
}

static void another_store_is_not_concerned(void **state)
{
    struct world *world = *state;
    static char s2[] = "s2";

    world->routes[1].to = s2;
    world_configure(world, 2, 2);
    world_apply(world);
    enter(world, "a", 1);
    verdict(world, 1, &unreachable);
    enter(world, "r2/a", 2);
    expect(world, "send 1, keep 1, send 2");
}

static void fill(struct world *world, unsigned lanes, unsigned each)
{
    for (unsigned i = 1; i <= each; i++) {
        for (unsigned lane = 1; lane <= lanes; lane++) {
            char name[16];

            snprintf(name, sizeof(name), "%u", lane);
            enter(world, name, lane * 1000 + i);
        }
    }
}

/* 50 lanes of 20; the store fails in some way for an hour. */
static void outage(struct world *world, const struct verdict *how, unsigned most_requests,
                   unsigned most_writes)
{
    world->quiet = true;
    world->jitter = true;
    world->routes[0].maximum_attempts = 3;
    world_apply(world);
    world->automatic = how;
    fill(world, 50, 20);
    advance(world, 20000);
    assert_int_equal(world->settled, 0);
    world->most_in_flight = 0;
    advance(world, HOUR);
    assert_int_equal(world->most_in_flight, 1);
    assert_in_range(world->sent, 50, most_requests);
    assert_in_range(world->kept, 1, most_writes);
    assert_int_equal(world->settled, 0);
    assert_int_equal(logged(world, "event=route-queueing "), 1);
    assert_true(measured(world, "mllpgw_route_queueing{route=\"r\"} 1"));
    world->automatic = &accepted;
    /* One probe's wait and then all that time is the messages' own. */
    advance(world, 10000);
    for (int i = 0; i < 20; i++)
        advance(world, 1);
    assert_int_equal(world->settled, 1000);
    assert_int_equal(world->dead, 0);
    assert_int_equal(logged(world, "event=route-queueing-cleared"), 1);
    assert_true(measured(world, "mllpgw_route_queueing{route=\"r\"} 0"));
}

static void an_hour_without_connections(void **state)
{
    outage(*state, &unreachable, 1000, 1000);
}

static void an_hour_of_lost_connections(void **state)
{
    outage(*state, &lost, 1000, 1000);
}

/* The answers look like ones about the messages; that nothing else gets through tells better. */
static void an_hour_of_500(void **state)
{
    outage(*state, &failed, 1000, 1000);
}

static int64_t next_attempt_ms;

static void keep_next_attempt(void *context, const struct route_status *status)
{
    (void)context;
    next_attempt_ms = status->next_attempt_ms;
}

static int64_t asked_next_attempt(struct world *world)
{
    router_status(world->router, keep_next_attempt, NULL);
    return next_attempt_ms;
}

static void status_tells_when_a_store_that_is_down_is_tried_next(void **state)
{
    struct world *world = *state;

    enter(world, "r/a", 1);
    assert_int_equal(asked_next_attempt(world), -1);
    verdict(world, 1, &unauthorized);
    assert_int_equal(asked_next_attempt(world), 60000);
    enter(world, "r/b", 2); /* another lane looks sooner */
    assert_int_equal(asked_next_attempt(world), 100);
    advance(world, 100);
    assert_int_equal(asked_next_attempt(world), 0); /* under way */
    verdict(world, 2, &unauthorized);
    assert_int_equal(asked_next_attempt(world), 60000);
    advance(world, 59000);
    assert_int_equal(asked_next_attempt(world), 1000);
    advance(world, 1000);
    assert_int_equal(asked_next_attempt(world), 0);
    verdict(world, 1, &accepted);
    advance(world, 0);
    verdict(world, 2, &accepted);
    assert_int_equal(asked_next_attempt(world), -1);
}

static void an_hour_of_401(void **state)
{
    struct world *world = *state;

    world->quiet = true;
    world->automatic = &unauthorized;
    fill(world, 50, 2);
    advance(world, HOUR);
    assert_in_range(world->sent, 50, 50 + 60); /* slow retry: one a minute */
    assert_int_equal(logged(world, "event=store-operator-fault "), 1);
    assert_int_equal(logged(world, "event=route-queueing "), 1);
    assert_true(measured(world, "mllpgw_route_operator_fault{route=\"r\"} 1"));
    world->automatic = &accepted;
    advance(world, 60000);
    for (int i = 0; i < 20; i++)
        advance(world, 1);
    assert_int_equal(world->settled, 100);
    assert_int_equal(world->dead, 0);
    assert_int_equal(logged(world, "event=store-operator-fault-cleared"), 1);
    assert_int_equal(logged(world, "event=route-queueing-cleared"), 1);
    assert_int_equal(logged(world, "reason=\"HTTP 401\""), 2);
    assert_true(measured(world, "mllpgw_route_operator_fault{route=\"r\"} 0"));
}

static void an_outage_in_an_operators_fault_is_no_second_alarm(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    verdict(world, 1, &unauthorized);
    advance(world, 60000);
    verdict(world, 1, &unreachable);
    advance(world, 100);
    verdict(world, 1, &unauthorized);
    assert_int_equal(logged(world, "event=store-operator-fault "), 1);
    advance(world, 60000);
    verdict(world, 1, &accepted);
    assert_int_equal(logged(world, "event=store-operator-fault-cleared"), 1);
    assert_int_equal(logged(world, "for_ms=120100"), 2);
}

static void a_route_without_messages_does_not_queue(void **state)
{
    struct world *world = *state;

    world_configure(world, 1, 2);
    world_apply(world);
    enter(world, "a", 1);
    verdict(world, 1, &unreachable);
    assert_true(measured(world, "mllpgw_route_queueing{route=\"r\"} 1"));
    assert_true(measured(world, "mllpgw_route_queueing{route=\"r2\"} 0"));
    enter(world, "r2/a", 2);
    assert_true(measured(world, "mllpgw_route_queueing{route=\"r2\"} 1"));
    advance(world, 100);
    verdict(world, 1, &accepted);
    assert_true(measured(world, "mllpgw_route_queueing{route=\"r2\"} 0"));
    assert_true(measured(world, "mllpgw_route_queueing{route=\"r\"} 0"));
}

/* ---- messages that the store can't digest ---- */

/* Its lane alone queues; the store is not thought to be down. */
static void one_bad_message_holds_up_its_lane_only(void **state)
{
    struct world *world = *state;

    enter(world, "bad", 1);
    enter(world, "bad", 2);
    for (int i = 0; i < 10; i++) {
        verdict(world, 1, &failed);
        enter(world, "good", 1001 + (uint64_t)i);
        verdict(world, 1001 + (uint64_t)i, &accepted);
        advance(world, 10000);
    }
    assert_int_equal(world->settled, 10);
    assert_int_equal(logged(world, "event=route-queueing "), 1);
    assert_int_equal(logged(world, "reason=\"HTTP 500\""), 1);
    verdict(world, 1, &accepted);
    assert_int_equal(logged(world, "event=route-queueing-cleared"), 1);
}

static void the_cap_is_exact_while_others_get_through(void **state)
{
    struct world *world = *state;

    world->routes[0].maximum_attempts = 3;
    world_apply(world);
    enter(world, "bad", 1);
    enter(world, "bad", 2);
    for (uint64_t i = 1; i <= 3; i++) {
        verdict(world, 1, &failed);
        enter(world, "good", 1000 + i);
        verdict(world, 1000 + i, &accepted);
        advance(world, 100);
    }
    expect(world, "send 1, keep 1, send 1001, accepted 1001, "
                  "send 1, keep 1, send 1002, accepted 1002, "
                  "send 1, keep 1, send 1003, accepted 1003, refused 1, send 2");
    assert_int_equal(logged(world, "event=dead-letter"), 1);
    assert_int_equal(logged(world, "3 attempts counted, the last: HTTP 500"), 1);
}

static void the_cap_stops_the_lane_where_dead_letters_do(void **state)
{
    struct world *world = *state;

    world->routes[0].maximum_attempts = 1;
    world->routes[0].dead_letter = CONFIG_DEAD_LETTER_STOP;
    world_apply(world);
    enter(world, "bad", 1);
    enter(world, "bad", 2);
    enter(world, "good", 1001);
    verdict(world, 1, &failed);
    verdict(world, 1001, &accepted);
    advance(world, 100);
    expect(world, "send 1, send 1001, keep 1, accepted 1001, stop 1");
    assert_int_equal(world->last_verdict.status, 500);
}

static void nothing_counts_while_nothing_else_gets_through(void **state)
{
    struct world *world = *state;

    world->routes[0].maximum_attempts = 1;
    world_apply(world);
    enter(world, "a", 1);
    for (int i = 0; i < 20; i++) {
        verdict(world, 1, &failed);
        advance(world, 10000);
    }
    assert_int_equal(world->settled, 0);
}

/* What got through before the failure says nothing about the store at that time. */
static void a_success_before_the_failure_does_not_make_it_count(void **state)
{
    struct world *world = *state;

    world->routes[0].maximum_attempts = 1;
    world_apply(world);
    enter(world, "good", 1001);
    enter(world, "a", 1);
    verdict(world, 1001, &accepted);
    verdict(world, 1, &failed);
    advance(world, 100);
    verdict(world, 1, &failed);
    advance(world, 10000);
    assert_int_equal(world->settled, 1);
}

static void transport_errors_and_429_never_count(void **state)
{
    struct world *world = *state;
    struct verdict busy = {.kind = VERDICT_RETRY, .status = 429};
    const struct verdict *const ways[] = {&lost, &unreachable, &busy, &unauthorized};

    world->routes[0].maximum_attempts = 1;
    world_apply(world);
    enter(world, "bad", 1);
    for (uint64_t i = 0; i < 12; i++) {
        verdict(world, 1, ways[i % 4]);
        enter(world, "good", 1001 + i);
        for (int wait = 0; wait < 100 && script_find(world, 1001 + i) == NULL; wait++)
            advance(world, 1000);
        verdict(world, 1001 + i, &accepted);
        advance(world, 60000);
    }
    assert_int_equal(world->settled, 12);
    assert_int_equal(world->dead, 0);
}

/* 503 for one message only: the others see the store down for a moment, no more, and the bad one
 * isn't tried more often because they get through. */
static void a_message_that_makes_the_store_look_down(void **state)
{
    struct world *world = *state;
    struct verdict busy = {.kind = VERDICT_RETRY, .status = 503};
    unsigned tries = 0;

    world->quiet = true;
    world->jitter = true;
    enter(world, "bad", 1);
    for (uint64_t i = 1; i <= 900; i++) {
        enter(world, "good", 1000 + i);
        for (int wait = 0; wait < 10; wait++) {
            advance(world, 100);
            if (script_find(world, 1) != NULL) {
                verdict(world, 1, &busy);
                tries++;
            }
            if (script_find(world, 1000 + i) != NULL)
                verdict(world, 1000 + i, &accepted);
        }
    }
    assert_int_equal(world->settled, 900);
    assert_in_range(tries, 90, 300); /* in 900 s, at most 10 s apart */
}

/* The same with a 403, say of a firewall that doesn't like the message. */
static void a_message_that_is_forbidden_is_one_alarm(void **state)
{
    struct world *world = *state;
    struct verdict forbidden = {.kind = VERDICT_OPERATOR, .status = 403, .reason = "HTTP 403"};
    unsigned tries = 0;
    int64_t longest = 0;

    world->quiet = true;
    enter(world, "bad", 1);
    for (uint64_t i = 1; i <= 600; i++) {
        int64_t entered = world->clock.monotonic;

        if (script_find(world, 1) != NULL && ++tries > 0)
            verdict(world, 1, &forbidden);
        enter(world, "good", 1000 + i);
        while (script_find(world, 1000 + i) == NULL)
            advance(world, 10);
        if (world->clock.monotonic - entered > longest)
            longest = world->clock.monotonic - entered;
        verdict(world, 1000 + i, &accepted);
        advance(world, 1000);
    }
    assert_in_range(tries, 9, 11); /* in 600 s */
    assert_in_range(longest, 10, 200);
    assert_int_equal(logged(world, "event=store-operator-fault "), 1);
    assert_int_equal(logged(world, "event=store-operator-fault-cleared"), 0);
    /* Once for its first failure, which the others clear, and once for good. */
    assert_int_equal(logged(world, "event=route-queueing "), 2);
    while (script_find(world, 1) == NULL)
        advance(world, 1000);
    verdict(world, 1, &accepted);
    assert_int_equal(logged(world, "event=store-operator-fault-cleared"), 1);
}

/* ---- what is written down, and what is read again ---- */

static void retries_are_written_down_at_most_once_a_minute(void **state)
{
    struct world *world = *state;

    world->quiet = true;
    enter(world, "a", 1);
    world->automatic = &unreachable;
    advance(world, 10);
    assert_int_equal(world->kept, 1);
    assert_int_equal(world->last_entry.attempts, 1);
    assert_int_equal(world->last_entry.retry_due_wall_ms, clock_wall_ms(&world->clock.clock) + 100);
    advance(world, 59000);
    assert_int_equal(world->kept, 1);
    advance(world, 2000);
    assert_int_equal(world->kept, 2);
    assert_true(world->sent > 500);
    assert_in_range(world->last_entry.attempts, 550, world->sent); /* none is forgotten */
    advance(world, HOUR);
    assert_in_range(world->kept, 60, 62);
}

/* The spool counts what is written down as being about the message: one for each that counted. */
static void counted_attempts_are_written_down_each_once(void **state)
{
    struct world *world = *state;
    unsigned told = 0;

    world->routes[0].maximum_attempts = 5;
    world_apply(world);
    enter(world, "bad", 1);
    for (uint64_t i = 1; i <= 4; i++) {
        unsigned kept = world->kept;

        verdict(world, 1, &failed);
        assert_int_equal(world->kept, kept + 1);
        told += world->last_verdict.about_message ? 1 : 0;
        assert_int_equal(world->last_entry.counted_attempts, i - 1);
        enter(world, "good", 1000 + i);
        verdict(world, 1000 + i, &accepted);
        advance(world, 100);
    }
    assert_int_equal(told, 3); /* the fourth is still to be told */
    router_on_route_revoked(world->router, "r");
    verdict(world, 1, &failed);
    assert_true(world->last_verdict.about_message);
    assert_int_equal(world->last_entry.counted_attempts, 4);
}

static struct spool_entry *put_off(struct world *world, const char *lane, uint64_t id, int64_t ms)
{
    struct spool_entry *entry = entry_new(world, lane, id);

    entry->due_wall_ms = clock_wall_ms(&world->clock.clock) + ms;
    return entry;
}

static void due_times_of_another_run_are_kept(void **state)
{
    struct world *world = *state;

    router_on_entry(world->router, put_off(world, "a", 1, 5000));
    enter(world, "a", 2);
    router_on_entry(world->router, put_off(world, "b", 3, -5000));
    expect(world, "send 3");
    advance(world, 4999);
    expect(world, "");
    advance(world, 1);
    expect(world, "send 1");
    verdict(world, 1, &accepted);
    expect(world, "accepted 1, send 2");
}

static void a_clock_that_was_set_back_does_not_stop_a_lane(void **state)
{
    struct world *world = *state;

    router_on_entry(world->router, put_off(world, "a", 1, (int64_t)HOUR * 24 * 365));
    advance(world, HOUR);
    expect(world, "send 1");
}

static void counts_of_another_run_go_on(void **state)
{
    struct world *world = *state;
    struct spool_entry *entry;

    world->routes[0].maximum_attempts = 3;
    world_apply(world);
    entry = entry_new(world, "bad", 1);
    entry->attempts = 9;
    entry->counted_attempts = 2;
    router_on_entry(world->router, entry);
    enter(world, "good", 1001);
    verdict(world, 1, &failed);
    verdict(world, 1001, &accepted);
    advance(world, 100);
    expect(world, "send 1, send 1001, keep 1, accepted 1001, refused 1");
    assert_int_equal(world->last_entry.attempts, 10);
    assert_int_equal(world->last_entry.counted_attempts, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(waits_double_and_are_reset_by_a_success),
        WORLD_TEST(retry_after_is_honoured_even_when_others_get_through),
        WORLD_TEST(retry_after_holds_up_the_store_too),
        WORLD_TEST(the_progress_of_a_split_batch_is_kept),
        WORLD_TEST(one_lost_connection_makes_no_noise),
        WORLD_TEST(one_lane_probes_and_its_success_lets_all_go),
        WORLD_TEST(those_that_failed_are_woken_by_the_recovery),
        WORLD_TEST(probes_take_turns_over_routes),
        WORLD_TEST(another_store_is_not_concerned),
        WORLD_TEST(an_hour_without_connections),
        WORLD_TEST(an_hour_of_lost_connections),
        WORLD_TEST(an_hour_of_500),
        WORLD_TEST(status_tells_when_a_store_that_is_down_is_tried_next),
        WORLD_TEST(an_hour_of_401),
        WORLD_TEST(an_outage_in_an_operators_fault_is_no_second_alarm),
        WORLD_TEST(a_route_without_messages_does_not_queue),
        WORLD_TEST(one_bad_message_holds_up_its_lane_only),
        WORLD_TEST(the_cap_is_exact_while_others_get_through),
        WORLD_TEST(the_cap_stops_the_lane_where_dead_letters_do),
        WORLD_TEST(nothing_counts_while_nothing_else_gets_through),
        WORLD_TEST(a_success_before_the_failure_does_not_make_it_count),
        WORLD_TEST(transport_errors_and_429_never_count),
        WORLD_TEST(a_message_that_makes_the_store_look_down),
        WORLD_TEST(a_message_that_is_forbidden_is_one_alarm),
        WORLD_TEST(retries_are_written_down_at_most_once_a_minute),
        WORLD_TEST(counted_attempts_are_written_down_each_once),
        WORLD_TEST(due_times_of_another_run_are_kept),
        WORLD_TEST(a_clock_that_was_set_back_does_not_stop_a_lane),
        WORLD_TEST(counts_of_another_run_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
