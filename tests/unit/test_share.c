/* links: ingress */
#include "ingress/share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS(number) (INT64_C(1000000) * (number))

static void nothing_is_owed_at_first(void **state)
{
    struct share share = {0};

    (void)state;
    assert_int_equal(share_wait_ns(&share, MS(1000), true), 0);
    assert_int_equal(share_wait_ns(&share, MS(1000), false), 0);
}

/* Nobody else has anything to do: one step behind the other, as fast as they go. */
static void usual_steps_while_nobody_waits(void **state)
{
    struct share share = {0};

    (void)state;
    share_charge(&share, MS(1000), MS(1000) + SHARE_USUAL_NS);
    assert_int_equal(share_wait_ns(&share, MS(1000) + SHARE_USUAL_NS, false), 0);
}

static void others_get_as_much(void **state)
{
    struct share share = {0};

    (void)state;
    share_charge(&share, MS(1000), MS(1002));
    assert_int_equal(share_wait_ns(&share, MS(1002), true), MS(2));
    assert_int_equal(share_wait_ns(&share, MS(1003), true), MS(1));
    assert_int_equal(share_wait_ns(&share, MS(1004), true), 0);
    assert_int_equal(share_wait_ns(&share, MS(1003), false), 0);
}

static void a_long_step_owes_in_any_case(void **state)
{
    struct share share = {0};

    (void)state;
    share_charge(&share, MS(1000), MS(1260));
    assert_int_equal(share_wait_ns(&share, MS(1260), false), MS(260));
    assert_int_equal(share_wait_ns(&share, MS(1500), false), MS(20));
    assert_int_equal(share_wait_ns(&share, MS(1520), false), 0);
}

/* Clients without end, each with a chain that takes 260 ms, and a sender that has something to do in
 * each iteration, for a millisecond: it gets half of the time, and what is owed does not pile up. */
static void a_flood_gets_half(void **state)
{
    struct share share = {0};
    int64_t now = MS(1000), handshakes = 0, others = 0;

    (void)state;
    while (now < MS(61000)) {
        now += MS(1);
        others += MS(1);
        if (share_wait_ns(&share, now, true) == 0) {
            share_charge(&share, now, now + MS(260));
            now += MS(260);
            handshakes += MS(260);
        }
    }
    assert_in_range(others, handshakes - MS(260), handshakes + MS(260));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_owed_at_first),
        cmocka_unit_test(usual_steps_while_nobody_waits),
        cmocka_unit_test(others_get_as_much),
        cmocka_unit_test(a_long_step_owes_in_any_case),
        cmocka_unit_test(a_flood_gets_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
