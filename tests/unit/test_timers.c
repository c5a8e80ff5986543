/* links: loop base */
#include "loop/timers.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define MANY 2000

static struct timers timers;
static int64_t fired[MANY * 2];
static size_t fired_count;
static unsigned changes;

static void on_changed(struct timers *which)
{
    assert_ptr_equal(which, &timers);
    changes++;
}

static void record(struct timer *timer)
{
    assert_false(timer_is_running(timer));
    fired[fired_count++] = timer->due_ms;
}

static int setup(void **state)
{
    (void)state;
    timers_init(&timers, on_changed);
    fired_count = 0;
    changes = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    timers_free(&timers);
    return 0;
}

static void nothing_is_due_when_none_runs(void **state)
{
    (void)state;
    assert_int_equal(timers_next_ms(&timers, 5), -1);
    timers_run(&timers, 5);
}

static void next_is_never_negative(void **state)
{
    struct timer timer = {.fire = record};

    (void)state;
    assert_int_equal(timers_start(&timers, &timer, 100), 0);
    assert_true(timer_is_running(&timer));
    assert_int_equal(timers_next_ms(&timers, 40), 60);
    assert_int_equal(timers_next_ms(&timers, 100), 0);
    assert_int_equal(timers_next_ms(&timers, 200), 0);
    timers_run(&timers, 99);
    assert_int_equal(fired_count, 0);
    timers_run(&timers, 100);
    assert_int_equal(fired_count, 1);
    assert_int_equal(timers_next_ms(&timers, 200), -1);
}

static void stopping_twice_or_never_started_is_harmless(void **state)
{
    struct timer timer = {.fire = record};

    (void)state;
    timers_stop(&timers, &timer);
    assert_int_equal(timers_start(&timers, &timer, 1), 0);
    timers_stop(&timers, &timer);
    timers_stop(&timers, &timer);
    timers_run(&timers, 10);
    assert_int_equal(fired_count, 0);
}

static void changed_is_called_only_when_the_earliest_moves(void **state)
{
    struct timer first = {.fire = record}, second = {.fire = record};

    (void)state;
    assert_int_equal(timers_start(&timers, &first, 100), 0);
    assert_int_equal(changes, 1);
    assert_int_equal(timers_start(&timers, &second, 200), 0);
    assert_int_equal(timers_start(&timers, &second, 300), 0);
    assert_int_equal(timers_start(&timers, &first, 100), 0);
    assert_int_equal(changes, 1);
    assert_int_equal(timers_start(&timers, &second, 50), 0);
    assert_int_equal(changes, 2);
    timers_stop(&timers, &second);
    assert_int_equal(changes, 3);
    assert_int_equal(timers_start(&timers, &first, 400), 0);
    assert_int_equal(changes, 4);
    timers_stop(&timers, &first); /* it is on this function's stack */
}

/* Against the obvious model: after random starts, moves and stops, what is left fires in order. */
static void many_fire_in_order(void **state)
{
    static struct timer all[MANY];
    size_t running = 0;

    (void)state;
    srand(1);
    for (size_t i = 0; i < MANY; i++)
        all[i] = (struct timer){.fire = record};
    for (int step = 0; step < 20000; step++) {
        struct timer *timer = &all[rand() % MANY];

        if (rand() % 3 == 0)
            timers_stop(&timers, timer);
        else
            assert_int_equal(timers_start(&timers, timer, rand() % 1000), 0);
    }
    for (size_t i = 0; i < MANY; i++)
        running += timer_is_running(&all[i]) ? 1 : 0;
    timers_run(&timers, 500);
    timers_run(&timers, 1000);
    assert_int_equal(fired_count, running);
    for (size_t i = 1; i < fired_count; i++)
        assert_true(fired[i - 1] <= fired[i]);
}

struct pair {
    struct timer timer;
    struct timer *other;
    int count;
};

static void stop_the_other(struct timer *timer)
{
    struct pair *pair = (struct pair *)timer;

    pair->count++;
    timers_stop(&timers, pair->other);
}

static void a_callback_may_stop_another_that_is_due(void **state)
{
    struct pair a = {.timer = {.fire = stop_the_other}}, b = {.timer = {.fire = stop_the_other}};

    (void)state;
    a.other = &b.timer;
    b.other = &a.timer;
    assert_int_equal(timers_start(&timers, &a.timer, 10), 0);
    assert_int_equal(timers_start(&timers, &b.timer, 11), 0);
    timers_run(&timers, 20);
    assert_int_equal(a.count, 1);
    assert_int_equal(b.count, 0);
}

static void restart_now(struct timer *timer)
{
    struct pair *pair = (struct pair *)timer;

    pair->count++;
    assert_int_equal(timers_start(&timers, timer, timer->due_ms), 0);
}

static void a_timer_that_restarts_itself_at_once_does_not_hold_up_the_loop(void **state)
{
    struct pair greedy = {.timer = {.fire = restart_now}};

    (void)state;
    assert_int_equal(timers_start(&timers, &greedy.timer, 10), 0);
    timers_run(&timers, 10);
    assert_int_equal(greedy.count, 1);
    assert_int_equal(timers_next_ms(&timers, 10), 0);
    timers_run(&timers, 10);
    assert_int_equal(greedy.count, 2);
    timers_stop(&timers, &greedy.timer); /* it is on this stack */
}

static void free_itself(struct timer *timer)
{
    free(timer);
    fired_count++;
}

static void a_callback_may_free_its_timer(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct timer *timer = calloc(1, sizeof(*timer));

        timer->fire = free_itself;
        assert_int_equal(timers_start(&timers, timer, i), 0);
    }
    timers_run(&timers, 10);
    assert_int_equal(fired_count, 3);
}

static void freeing_leaves_no_timer_running(void **state)
{
    struct timer timer = {.fire = record};

    (void)state;
    assert_int_equal(timers_start(&timers, &timer, 1), 0);
    timers_free(&timers);
    assert_false(timer_is_running(&timer));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_due_when_none_runs),
        TEST(next_is_never_negative),
        TEST(stopping_twice_or_never_started_is_harmless),
        TEST(changed_is_called_only_when_the_earliest_moves),
        TEST(many_fire_in_order),
        TEST(a_callback_may_stop_another_that_is_due),
        TEST(a_timer_that_restarts_itself_at_once_does_not_hold_up_the_loop),
        TEST(a_callback_may_free_its_timer),
        TEST(freeing_leaves_no_timer_running),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
