/* links: base */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static void the_machine(void **state)
{
    const struct clock *clock = clock_system();
    int64_t before = clock_monotonic_ms(clock);
    int64_t before_ns = clock_monotonic_ns();

    (void)state;
    assert_true(clock_monotonic_ms(clock) >= before);
    assert_true(clock_monotonic_ns() >= before_ns);
    int64_t difference = clock_wall_ms(clock) - (int64_t)time(NULL) * 1000;
    assert_true(difference > -2000 && difference < 3000);
}

static void turned_by_hand(void **state)
{
    struct clock_manual manual;

    (void)state;
    clock_manual_init(&manual, 5, 1000);
    clock_manual_advance(&manual, 37);
    assert_int_equal(clock_monotonic_ms(&manual.clock), 42);
    assert_int_equal(clock_wall_ms(&manual.clock), 1037);
    manual.wall -= 1000; /* somebody sets the machine's clock back */
    assert_int_equal(clock_wall_ms(&manual.clock), 37);
    assert_int_equal(clock_monotonic_ms(&manual.clock), 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine),
        cmocka_unit_test(turned_by_hand),
    };

    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
