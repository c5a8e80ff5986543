/* links: route egress http spool loop hl7 config base */
/* wrap: log_event */
/* What a store may have although nobody knows, and who is told so when the message comes again. */
#include "replay/route_script.h"

/* An entry of lane a with the digest of message number; ids differ, as they do when a sender repeats. */
static struct spool_entry *copy_of(struct world *world, uint64_t id, uint8_t number)
{
    struct spool_entry *entry = entry_new(world, "a", id);

    memset(entry->message->digest, number, sizeof(entry->message->digest));
    return entry;
}

static void deliver_copy(struct world *world, uint64_t id, uint8_t number, int64_t deadline_ms)
{
    struct spool_entry *entry = copy_of(world, id, number);

    entry->transient = true;
    entry->wait = true;
    entry->deadline_ms = clock_monotonic_ms(&world->clock.clock) + deadline_ms;
    router_on_entry(world->router, entry);
}

static bool in_doubt(const struct world *world)
{
    assert_int_equal(world->attempt_count, 1);
    return world->attempts[0]->progress->in_doubt;
}

static void a_repeat_after_a_cancelled_attempt_is_in_doubt(void **state)
{
    struct world *world = *state;

    deliver_copy(world, 1, 'x', 20000);
    assert_false(in_doubt(world));
    advance(world, 20000);
    expect(world, "send 1, cancel 1, unknown 1");
    deliver_copy(world, 2, 'y', 20000);
    assert_false(in_doubt(world)); /* another message */
    verdict(world, 2, &accepted);
    deliver_copy(world, 3, 'x', 20000);
    assert_true(in_doubt(world));
    verdict(world, 3, &accepted);
    deliver_copy(world, 4, 'x', 20000);
    assert_false(in_doubt(world)); /* it is known by now */
    verdict(world, 4, &accepted);
}

static void so_is_one_whose_deadline_passed_between_two_tries(void **state)
{
    struct world *world = *state;

    deliver_copy(world, 1, 'x', 50);
    world->attempts[0]->progress->part_in_doubt = true; /* the store's: its answer got lost */
    verdict(world, 1, &lost);
    advance(world, 50);
    expect(world, "send 1, retry 1");
    deliver_copy(world, 2, 'x', 20000);
    assert_true(in_doubt(world));
    verdict(world, 2, &accepted);
}

static void what_was_never_sent_or_was_answered_is_not(void **state)
{
    struct world *world = *state;

    deliver_copy(world, 1, 'x', 50);
    verdict(world, 1, &unauthorized);
    advance(world, 50);
    expect(world, "send 1, operator 1");
    advance(world, 60000);
    deliver_copy(world, 2, 'x', 20000);
    assert_false(in_doubt(world));
    verdict(world, 2, &refused);
    deliver_copy(world, 3, 'x', 20000);
    assert_false(in_doubt(world));
    verdict(world, 3, &accepted);
}

/* A dead letter that is replayed. */
static void a_dead_letter_of_unknown_outcome_is(void **state)
{
    struct world *world = *state;

    world->routes[0].maximum_attempts = 1;
    world_apply(world);
    router_on_entry(world->router, copy_of(world, 1, 'x'));
    world->attempts[0]->progress->part_in_doubt = true;
    verdict(world, 1, &failed);
    router_on_entry(world->router, entry_new(world, "b", 7)); /* shows that the store is well */
    verdict(world, 7, &accepted);
    advance(world, 1000);
    expect(world, "send 1, keep 1, send 7, accepted 7, refused 1");
    router_on_entry(world->router, copy_of(world, 8, 'x'));
    assert_true(in_doubt(world));
    verdict(world, 8, &accepted);
}

/* The parts before it are at the store, and the batch begins anew. */
static void a_batch_that_is_half_there_is(void **state)
{
    struct world *world = *state;

    router_on_entry(world->router, copy_of(world, 1, 'x'));
    world->attempts[0]->progress->parts = 2;
    verdict(world, 1, &refused);
    router_on_entry(world->router, copy_of(world, 2, 'x'));
    assert_true(in_doubt(world));
    assert_int_equal(world->attempts[0]->progress->parts, 0);
    verdict(world, 2, &accepted);
}

static void an_earlier_runs_entries_are(void **state)
{
    struct world *world = *state;
    struct spool_entry *entry = copy_of(world, 1, 'x');

    entry->in_doubt = true;
    router_on_entry(world->router, entry);
    assert_true(in_doubt(world));
    verdict(world, 1, &failed);
    advance(world, 1000);
    assert_true(in_doubt(world)); /* with every attempt */
    verdict(world, 1, &accepted);
}

/* What one store may have says nothing of another one. */
static void another_store_has_nothing(void **state)
{
    struct world *world = *state;

    world_configure(world, 2, 2);
    router_on_entry(world->router, copy_of(world, 1, 'x'));
    world->attempts[0]->progress->part_in_doubt = true;
    world->attempts[0]->progress->parts = 2;
    verdict(world, 1, &lost);
    world->routes[0].to = world->stores[1].name;
    world_apply(world);
    advance(world, 60000);
    assert_int_equal(world->attempt_count, 1);
    assert_false(in_doubt(world));
    assert_false(world->attempts[0]->progress->part_in_doubt);
    assert_int_equal(world->attempts[0]->progress->parts, 0);
    verdict(world, 1, &accepted);
    router_on_entry(world->router, copy_of(world, 2, 'x'));
    assert_false(in_doubt(world));
    verdict(world, 2, &accepted);
    world->routes[0].to = world->stores[0].name; /* and the first one may have it still */
    world_apply(world);
    router_on_entry(world->router, copy_of(world, 3, 'x'));
    assert_true(in_doubt(world));
    verdict(world, 3, &accepted);
}

/* What the first store took of a batch is not at the second one. */
static void a_batch_in_flight_to_another_store_begins_anew(void **state)
{
    struct world *world = *state;

    world_configure(world, 2, 2);
    router_on_entry(world->router, copy_of(world, 1, 'x'));
    world->routes[0].to = world->stores[1].name;
    world_apply(world);
    world->attempts[0]->progress->parts = 2; /* the attempt at the old one goes on */
    world->attempts[0]->progress->part_in_doubt = true;
    verdict(world, 1, &lost);
    advance(world, 60000);
    assert_false(in_doubt(world));
    assert_false(world->attempts[0]->progress->part_in_doubt);
    assert_int_equal(world->attempts[0]->progress->parts, 0);
    verdict(world, 1, &accepted);
    world->routes[0].to = world->stores[0].name;
    world_apply(world);
    router_on_entry(world->router, copy_of(world, 2, 'x'));
    assert_true(in_doubt(world));
    verdict(world, 2, &accepted);
}

/* The same name, and perhaps another place. */
static void a_batch_begins_anew_when_its_store_is_exchanged(void **state)
{
    struct world *world = *state;

    for (int in_flight = 0; in_flight < 2; in_flight++) {
        router_on_entry(world->router, copy_of(world, 1, 'x'));
        world->attempts[0]->progress->parts = 2;
        if (in_flight == 0)
            verdict(world, 1, &lost);
        world->stores[0].attempt_timeout_ms += 1000;
        world_apply(world);
        if (in_flight == 1) {
            world->attempts[0]->progress->parts = 3;
            verdict(world, 1, &lost);
        }
        advance(world, 60000);
        assert_int_equal(world->attempts[0]->progress->parts, 0);
        assert_true(in_doubt(world)); /* it may be the same place */
        verdict(world, 1, &accepted);
    }
}

/* To whom an earlier run has sent it nobody knows. */
static void an_earlier_runs_entry_stays_in_doubt_at_another_store(void **state)
{
    struct world *world = *state;
    struct spool_entry *entry = copy_of(world, 1, 'x');

    world_configure(world, 2, 2);
    entry->in_doubt = true;
    router_on_entry(world->router, entry);
    verdict(world, 1, &lost);
    world->routes[0].to = world->stores[1].name;
    world_apply(world);
    advance(world, 60000);
    assert_true(in_doubt(world));
    verdict(world, 1, &accepted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_repeat_after_a_cancelled_attempt_is_in_doubt),
        WORLD_TEST(so_is_one_whose_deadline_passed_between_two_tries),
        WORLD_TEST(what_was_never_sent_or_was_answered_is_not),
        WORLD_TEST(a_dead_letter_of_unknown_outcome_is),
        WORLD_TEST(a_batch_that_is_half_there_is),
        WORLD_TEST(an_earlier_runs_entries_are),
        WORLD_TEST(another_store_has_nothing),
        WORLD_TEST(a_batch_in_flight_to_another_store_begins_anew),
        WORLD_TEST(a_batch_begins_anew_when_its_store_is_exchanged),
        WORLD_TEST(an_earlier_runs_entry_stays_in_doubt_at_another_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
