/* links: route egress http spool loop hl7 config base */
/* wrap: calloc log_event */
/* Reload, routes that are closed, drain, and no memory. */
#include "replay/route_script.h"
#include "route/settings.h"

#include <fcntl.h>
#include <sys/stat.h>

static int calloc_fails = -1; /* how many calls work until one fails; -1: none does */

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    if (calloc_fails >= 0 && calloc_fails-- == 0)
        return NULL;
    return __real_calloc(count, size);
}

/* ---- routes that are closed ---- */

static void a_revoked_route_gives_back_what_is_not_in_flight(void **state)
{
    struct world *world = *state;

    world->routes[0].parallel = 2;
    world_apply(world);
    enter(world, "a", 1);
    enter(world, "a", 2);
    enter(world, "b", 3);
    enter(world, "c", 4);
    verdict(world, 3, &unreachable);
    expect(world, "send 1, send 3, keep 3");
    router_on_route_revoked(world->router, "r");
    expect(world, "back 2, back 3, back 4");
    verdict(world, 1, &accepted);
    expect(world, "accepted 1");
    advance(world, 100000);
    expect(world, "");
    router_on_route_revoked(world->router, "r");
    router_on_route_revoked(world->router, "nowhere");
}

static void what_was_in_flight_is_not_held_after_it_failed(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    router_on_route_revoked(world->router, "r");
    verdict(world, 1, &failed);
    expect(world, "send 1, retry 1");
    assert_int_equal(world->last_entry.retry_due_wall_ms, clock_wall_ms(&world->clock.clock) + 100);
}

static void a_route_that_is_opened_again_keeps_its_order(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    enter(world, "a", 2);
    router_on_route_revoked(world->router, "r");
    enter(world, "a", 2); /* opened again while 1 is under way */
    verdict(world, 1, &failed);
    expect(world, "send 1, back 2, keep 1");
    advance(world, 100);
    verdict(world, 1, &accepted);
    expect(world, "send 1, accepted 1, send 2");
}

static void what_is_queued_keeps_the_order_that_it_came_in_with(void **state)
{
    struct world *world = *state;

    for (uint64_t i = 1; i <= 3; i++)
        enter(world, "a", i);
    world->routes[0].order = CONFIG_ORDER_NONE;
    world_apply(world);
    verdict(world, 1, &failed);
    expect(world, "send 1, keep 1");
    advance(world, 100);
    verdict(world, 1, &accepted);
    expect(world, "send 1, accepted 1, send 2");
    enter(world, "*", 4);
    enter(world, "*", 5);
    expect(world, "send 4, send 5");
}

static void a_stopped_lane_is_forgotten_with_its_route(void **state)
{
    struct world *world = *state;

    world->routes[0].dead_letter = CONFIG_DEAD_LETTER_STOP;
    world_apply(world);
    enter(world, "a", 1);
    enter(world, "a", 2);
    verdict(world, 1, &refused);
    router_on_route_revoked(world->router, "r");
    expect(world, "send 1, stop 1, back 2");
    enter(world, "a", 2); /* the dead letter was moved elsewhere */
    expect(world, "send 2");
}

static void senders_that_wait_get_an_answer_when_the_route_closes(void **state)
{
    struct world *world = *state;

    enter_delivered(world, "a", 1, true, 20000);
    enter_delivered(world, "a", 2, true, 20000);
    router_on_route_revoked(world->router, "r");
    expect(world, "send 1, retry 2");
    assert_true(world->last_verdict.not_sent);
}

/* ---- reload ---- */

static void unchanged_stores_are_kept(void **state)
{
    struct world *world = *state;
    struct config_store copies[1] = {world->stores[0]};
    char path[] = "/nowhere";

    copies[0].path = path; /* another address, the same text */
    world->config.stores = copies;
    world_apply(world);
    assert_int_equal(world->stores_made, 1);
    memset(path, 'x', sizeof(path) - 1); /* the configuration may go */
    enter(world, "a", 1);
    expect(world, "send 1");
}

static void a_changed_store_is_made_anew_and_the_old_one_finishes(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    enter(world, "a", 2);
    assert_int_equal(world->last_store, 1);
    world->stores[0].attempt_timeout_ms = 5;
    world_apply(world);
    assert_int_equal(world->stores_made, 2);
    advance(world, 1);
    assert_int_equal(world->stores_freed, 0);
    verdict(world, 1, &accepted);
    assert_int_equal(world->stores_freed, 0); /* not inside its own callback */
    assert_int_equal(world->last_store, 2);
    advance(world, 1);
    assert_int_equal(world->stores_freed, 1);
    expect(world, "send 1, accepted 1, send 2");
}

static void what_an_old_store_says_is_not_held_against_the_new_one(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    world->stores[0].attempt_timeout_ms = 5;
    world_apply(world);
    verdict(world, 1, &unauthorized);
    enter(world, "b", 2);
    expect(world, "send 1, keep 1, send 2");
    assert_int_equal(logged(world, "event=store-operator-fault"), 0);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void a_changed_secret_makes_the_store_anew(void **state)
{
    struct world *world = *state;
    char path[] = "/tmp/route-reload-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    world->stores[0].bearer_file = path;
    world_apply(world);
    world_apply(world);
    assert_int_equal(world->stores_made, 2);
    write_file(path, "another token");
    world_apply(world);
    assert_int_equal(world->stores_made, 3);
    unlink(path);
    world_apply(world);
    assert_int_equal(world->stores_made, 4);
}

static void a_store_that_cannot_be_made_changes_nothing(void **state)
{
    struct world *world = *state;
    char error[512] = "";

    enter(world, "a", 1);
    world->stores[0].attempt_timeout_ms = 5;
    world->routes[0].parallel = 1;
    world_configure(world, 2, 2);
    world->fail_store_new = true;
    assert_int_equal(router_apply(world->router, &world->config, error), -EINVAL);
    assert_string_equal(error, "store \"s\": the script says no");
    enter(world, "b", 2);
    expect(world, "send 1, send 2");
}

static void a_route_to_nowhere_changes_nothing(void **state)
{
    struct world *world = *state;
    char error[512] = "";
    static char nowhere[] = "nowhere";

    world_configure(world, 2, 2);
    world->routes[1].to = nowhere;
    assert_int_equal(router_apply(world->router, &world->config, error), -EINVAL);
    assert_string_equal(error, "route \"r2\": there is no store \"nowhere\"");
    enter(world, "a", 1);
    expect(world, "send 1");
}

static void a_removed_route_gives_back_and_goes(void **state)
{
    struct world *world = *state;
    static char s2[] = "s2";

    world->routes[1].to = s2;
    world_configure(world, 2, 2);
    world_apply(world);
    enter(world, "r2/a", 1);
    enter(world, "r2/a", 2);
    world_configure(world, 1, 1);
    world_apply(world);
    expect(world, "send 1, back 2");
    enter(world, "r2/a", 3); /* on its way when the route went */
    enter(world, "r2/b", 4);
    enter(world, "elsewhere/b", 5);
    expect(world, "back 3, back 4, back 5");
    advance(world, 1);
    assert_int_equal(world->stores_freed, 0);
    verdict(world, 1, &failed);
    expect(world, "retry 1");
    advance(world, 1);
    assert_int_equal(world->stores_freed, 1);
    assert_true(measured(world, "mllpgw_route_entries{route=\"r2\"} 0"));
    /* And it may come back. */
    world_configure(world, 2, 2);
    world_apply(world);
    enter(world, "r2/a", 6);
    expect(world, "send 6");
}

static void a_removed_route_may_come_back_before_it_has_gone(void **state)
{
    struct world *world = *state;

    world_configure(world, 1, 2);
    world_apply(world);
    enter(world, "r2/a", 1);
    world_configure(world, 1, 1);
    world_apply(world);
    world_configure(world, 1, 2);
    world_apply(world);
    advance(world, 1);
    verdict(world, 1, &failed);
    expect(world, "send 1, keep 1");
    advance(world, 100);
    expect(world, "send 1");
}

static void a_route_can_change_its_store(void **state)
{
    struct world *world = *state;
    static char s2[] = "s2";

    enter(world, "a", 1);
    enter(world, "a", 2);
    verdict(world, 1, &unauthorized);
    world->routes[0].to = s2;
    world_configure(world, 2, 1);
    world_apply(world);
    assert_true(measured(world, "mllpgw_route_queueing{route=\"r\"} 0"));
    expect(world, "send 1, keep 1, send 1"); /* at once */
    assert_int_equal(world->last_store, 2);
    advance(world, 1);
    assert_int_equal(world->stores_freed, 0); /* still configured */
    verdict(world, 1, &accepted);
    expect(world, "accepted 1, send 2");
}

/* The probe's route leaves: another one's must do. */
static void a_probe_that_goes_to_another_store(void **state)
{
    struct world *world = *state;
    static char s2[] = "s2";

    world_configure(world, 2, 2);
    world_apply(world);
    enter(world, "a", 1);
    enter(world, "r2/a", 2);
    verdict(world, 1, &unreachable);
    verdict(world, 2, &unreachable);
    advance(world, 100);
    expect(world, "send 1, send 2, keep 1, keep 2, send 2");
    world->routes[1].to = s2;
    world_apply(world);
    expect(world, "send 1");
    verdict(world, 1, &accepted);
    verdict(world, 2, &accepted);
    expect(world, "accepted 1, accepted 2");
}

static void retry_settings_take_effect(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    world->routes[0].retry_minimum_ms = 5000;
    world_apply(world);
    verdict(world, 1, &failed);
    advance(world, 4999);
    expect(world, "send 1, keep 1");
    advance(world, 1);
    expect(world, "send 1");
}

static void more_in_parallel_takes_effect_at_once(void **state)
{
    struct world *world = *state;

    world->routes[0].parallel = 1;
    world_apply(world);
    enter(world, "a", 1);
    enter(world, "b", 2);
    expect(world, "send 1");
    world->routes[0].parallel = 2;
    world_apply(world);
    expect(world, "send 2");
}

/* After an operator has repaired something nobody wants to wait for the slow retry. */
static void a_reload_probes_a_store_that_is_down(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    enter(world, "b", 2);
    verdict(world, 1, &unauthorized);
    verdict(world, 2, &unauthorized);
    world_apply(world);
    expect(world, "send 1, send 2, keep 1, keep 2, send 1");
    verdict(world, 1, &accepted);
    expect(world, "accepted 1, send 2");
}

/* What the store asked for was about how things were before. */
static void a_reload_asks_a_busy_store_again(void **state)
{
    struct world *world = *state;
    struct verdict busy = {.kind = VERDICT_RETRY, .status = 503, .retry_after_ms = 5000};

    enter(world, "a", 1);
    enter(world, "b", 2);
    verdict(world, 1, &busy);
    verdict(world, 2, &busy);
    expect(world, "send 1, send 2, keep 1, keep 2");
    world_apply(world);
    expect(world, "send 1");
    verdict(world, 1, &accepted);
    expect(world, "accepted 1, send 2");
}

static void a_reload_asks_for_what_one_message_waits_for(void **state)
{
    struct world *world = *state;
    struct verdict busy = {.kind = VERDICT_RETRY, .status = 429, .retry_after_ms = 5000};

    enter(world, "a", 1);
    enter(world, "b", 2);
    verdict(world, 1, &busy);
    verdict(world, 2, &accepted); /* the store is up */
    expect(world, "send 1, send 2, keep 1, accepted 2");
    world_apply(world);
    expect(world, "send 1");
}

/* ---- drain ---- */

static void on_drained(void *context)
{
    ((struct world *)context)->drained++;
}

static void drain(struct world *world, int64_t ms)
{
    router_drain(world->router, world->clock.monotonic + ms, on_drained, world);
}

static void draining_lets_attempts_end(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    enter(world, "a", 2);
    enter(world, "b", 3);
    drain(world, 10000);
    expect(world, "send 1, send 3, back 2");
    enter(world, "c", 4);
    expect(world, "back 4");
    verdict(world, 1, &accepted);
    verdict(world, 3, &failed); /* no more tries */
    expect(world, "accepted 1, retry 3");
    assert_int_equal(world->drained, 0);
    advance(world, 0);
    assert_int_equal(world->drained, 1);
    advance(world, 20000);
    assert_int_equal(world->drained, 1);
}

static void draining_ends_at_its_deadline(void **state)
{
    struct world *world = *state;

    enter(world, "a", 1);
    enter_delivered(world, "b", 2, true, 20000);
    enter_delivered(world, "b", 3, true, 20000);
    drain(world, 10000);
    expect(world, "send 1, send 2, retry 3");
    advance(world, 9999);
    assert_int_equal(world->drained, 0);
    advance(world, 1);
    expect(world, "cancel 1, back 1, cancel 2, unknown 2");
    assert_int_equal(world->drained, 1);
}

static void draining_when_nothing_is_held(void **state)
{
    struct world *world = *state;

    drain(world, 10000);
    assert_int_equal(world->drained, 0); /* never from inside the call */
    advance(world, 0);
    assert_int_equal(world->drained, 1);
}

static void a_deadline_in_a_drain(void **state)
{
    struct world *world = *state;

    enter_delivered(world, "a", 1, true, 5000);
    drain(world, 10000);
    advance(world, 5000);
    expect(world, "send 1, cancel 1, unknown 1");
    assert_int_equal(world->drained, 1);
}

static void freeing_gives_everything_back(void **state)
{
    struct world *world = *state;

    world->routes[0].dead_letter = CONFIG_DEAD_LETTER_STOP;
    world_apply(world);
    enter(world, "a", 1);
    enter(world, "a", 2);
    enter(world, "b", 3);
    enter(world, "c", 4);
    enter(world, "c", 5);
    verdict(world, 3, &failed);
    verdict(world, 4, &refused);
    world->event_length = 0;
    router_free(&world->router);
    expect(world, "cancel 1, back 1, back 2, back 3, back 5");
}

/* ---- no memory ---- */

static void without_memory_for_a_lane_order_is_kept(void **state)
{
    struct world *world = *state;
    struct spool_entry *first = entry_new(world, "a", 1001);

    calloc_fails = 0;
    router_on_entry(world->router, first);
    enter(world, "a", 1002);
    enter(world, "b", 2001);
    expect(world, "");
    advance(world, 1000);
    expect(world, "send 1001, send 2001");
    verdict(world, 1001, &accepted);
    expect(world, "accepted 1001, send 1002");
}

static void what_waits_for_memory_expires_and_is_given_back(void **state)
{
    struct world *world = *state;
    struct spool_entry *first = entry_new(world, "a", 1);

    calloc_fails = 0;
    router_on_entry(world->router, first);
    enter_delivered(world, "a", 2, true, 500);
    enter(world, "b", 3);
    router_on_route_revoked(world->router, "nowhere");
    expect(world, "");
    calloc_fails = 0;
    advance(world, 1000); /* the first still has no lane */
    expect(world, "");
    advance(world, 1000);
    expect(world, "send 1, retry 2, send 3");
    first = entry_new(world, "d", 4);
    calloc_fails = 0;
    router_on_entry(world->router, first);
    router_on_route_revoked(world->router, "r");
    expect(world, "back 4");
}

static void without_memory_for_a_job_the_lane_waits(void **state)
{
    struct world *world = *state;
    struct spool_entry *first = entry_new(world, "a", 1);

    calloc_fails = 1; /* the lane is made, the job isn't */
    router_on_entry(world->router, first);
    expect(world, "");
    enter(world, "b", 2);
    expect(world, "send 1, send 2"); /* memory is back */
    advance(world, 1000);
    expect(world, "");
    first = entry_new(world, "c", 3);
    world->routes[0].parallel = 3;
    calloc_fails = 1;
    router_on_entry(world->router, first);
    advance(world, 999);
    expect(world, "");
    advance(world, 1); /* and here nobody else came */
    expect(world, "send 3");
}

static void without_memory_for_an_attempt_it_is_tried_later(void **state)
{
    struct world *world = *state;

    world->fail_deliver = true;
    enter(world, "a", 1);
    enter_delivered(world, "b", 2, false, 20000);
    enter_delivered(world, "c", 3, true, 20000);
    expect(world, "keep 1, retry 2");
    assert_true(world->last_verdict.not_sent);
    assert_int_equal(logged(world, "event=route-queueing"), 0);
    world->fail_deliver = false;
    advance(world, 100);
    expect(world, "send 1, send 3");
}

/* Every allocation of a reload fails once: the old configuration goes on each time. */
static void each_allocation_of_a_reload(void **state)
{
    struct world *world = *state;
    char error[512];
    int result = -1;

    world_configure(world, 3, 3);
    for (int works = 0; result != 0; works++) {
        calloc_fails = works;
        result = router_apply(world->router, &world->config, error);
        assert_true(result == 0 || result == -EINVAL);
        calloc_fails = -1;
        advance(world, 1);
        enter(world, "a", 1);
        verdict(world, 1, &accepted);
        expect(world, "send 1, accepted 1");
        assert_in_range(works, 0, 20);
    }
    enter(world, "r3/a", 2);
    expect(world, "send 2");
}

/* ---- settings ---- */

static void each_setting_of_a_store_counts(void **state)
{
    struct config_store *a, *b;
    char text[] = "text", header[] = "A: b", label[] = "a=b";
    char *items[] = {header}, *labels[] = {label};
    struct config_status_verdict verdicts[] = {{.status = 409, .verdict = CONFIG_VERDICT_RETRY}};
    struct config_store full = {.name = text,
                                .url = text,
                                .dataset = text,
                                .headers = {.items = items, .count = 1, .present = true},
                                .labels = {.items = labels, .count = 1, .present = true},
                                .verdicts = verdicts,
                                .verdict_count = 1};

    (void)state;
    a = settings_copy(&full);
    b = settings_copy(&full);
    assert_true(settings_equal(a, b));
    b->verdicts[0].status = 410;
    assert_false(settings_equal(a, b));
    b->verdicts[0].status = 409;
    b->headers.items[0][0] = 'B';
    assert_false(settings_equal(a, b));
    b->headers.items[0][0] = 'A';
    b->url[0] = 'x';
    assert_false(settings_equal(a, b));
    b->url[0] = 't';
    b->dataset[0] = 'x';
    assert_false(settings_equal(a, b));
    b->dataset[0] = 't';
    b->labels.items[0][0] = 'x';
    assert_false(settings_equal(a, b));
    b->labels.items[0][0] = 'a';
    b->maximum_request_bytes = 1;
    assert_false(settings_equal(a, b));
    b->maximum_request_bytes = 0;
    b->allow_plain = true;
    assert_false(settings_equal(a, b));
    b->allow_plain = false;
    b->group_readable = true;
    assert_false(settings_equal(a, b));
    b->group_readable = false;
    b->place.line = 7; /* moved in the file */
    assert_true(settings_equal(a, b));
    settings_free(a);
    settings_free(b);
    settings_free(NULL);
    for (int works = 0; works < 4; works++) {
        calloc_fails = works;
        assert_null(settings_copy(&full));
        calloc_fails = -1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_revoked_route_gives_back_what_is_not_in_flight),
        WORLD_TEST(what_was_in_flight_is_not_held_after_it_failed),
        WORLD_TEST(a_route_that_is_opened_again_keeps_its_order),
        WORLD_TEST(what_is_queued_keeps_the_order_that_it_came_in_with),
        WORLD_TEST(a_stopped_lane_is_forgotten_with_its_route),
        WORLD_TEST(senders_that_wait_get_an_answer_when_the_route_closes),
        WORLD_TEST(unchanged_stores_are_kept),
        WORLD_TEST(a_changed_store_is_made_anew_and_the_old_one_finishes),
        WORLD_TEST(what_an_old_store_says_is_not_held_against_the_new_one),
        WORLD_TEST(a_changed_secret_makes_the_store_anew),
        WORLD_TEST(a_store_that_cannot_be_made_changes_nothing),
        WORLD_TEST(a_route_to_nowhere_changes_nothing),
        WORLD_TEST(a_removed_route_gives_back_and_goes),
        WORLD_TEST(a_removed_route_may_come_back_before_it_has_gone),
        WORLD_TEST(a_route_can_change_its_store),
        WORLD_TEST(a_probe_that_goes_to_another_store),
        WORLD_TEST(retry_settings_take_effect),
        WORLD_TEST(more_in_parallel_takes_effect_at_once),
        WORLD_TEST(a_reload_probes_a_store_that_is_down),
        WORLD_TEST(a_reload_asks_a_busy_store_again),
        WORLD_TEST(a_reload_asks_for_what_one_message_waits_for),
        WORLD_TEST(draining_lets_attempts_end),
        WORLD_TEST(draining_ends_at_its_deadline),
        WORLD_TEST(draining_when_nothing_is_held),
        WORLD_TEST(a_deadline_in_a_drain),
        WORLD_TEST(freeing_gives_everything_back),
        WORLD_TEST(without_memory_for_a_lane_order_is_kept),
        WORLD_TEST(what_waits_for_memory_expires_and_is_given_back),
        WORLD_TEST(without_memory_for_a_job_the_lane_waits),
        WORLD_TEST(without_memory_for_an_attempt_it_is_tried_later),
        WORLD_TEST(each_allocation_of_a_reload),
        WORLD_TEST(each_setting_of_a_store_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
