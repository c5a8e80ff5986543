/* links: route egress http spool loop hl7 base config */
#include "route/doubts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t *id_of(size_t number)
{
    static uint8_t id[MESSAGE_STABLE_ID_BYTES];

    memset(id, 0, sizeof(id));
    memcpy(id + 1, &number, sizeof(number));
    return id;
}

static void what_is_in_doubt_is_known_until_it_is_not(void **state)
{
    struct doubts doubts;

    (void)state;
    doubts_init(&doubts);
    assert_false(doubts_has(&doubts, id_of(1)));
    doubts_remove(&doubts, id_of(1));
    doubts_add(&doubts, id_of(1));
    doubts_add(&doubts, id_of(1));
    doubts_add(&doubts, id_of(1 + 256 * DOUBTS_BUCKETS)); /* the same bucket */
    assert_int_equal(doubts.count, 2);
    assert_true(doubts_has(&doubts, id_of(1)));
    assert_false(doubts_has(&doubts, id_of(2)));
    doubts_remove(&doubts, id_of(1));
    assert_false(doubts_has(&doubts, id_of(1)));
    assert_true(doubts_has(&doubts, id_of(1 + 256 * DOUBTS_BUCKETS)));
    doubts_free(&doubts);
}

static void the_oldest_are_forgotten(void **state)
{
    struct doubts doubts;

    (void)state;
    doubts_init(&doubts);
    for (size_t i = 0; i < DOUBTS_MAXIMUM; i++)
        doubts_add(&doubts, id_of(i));
    doubts_add(&doubts, id_of(0)); /* in doubt anew: the youngest now */
    doubts_add(&doubts, id_of(DOUBTS_MAXIMUM));
    assert_int_equal(doubts.count, DOUBTS_MAXIMUM);
    assert_true(doubts_has(&doubts, id_of(0)));
    assert_false(doubts_has(&doubts, id_of(1)));
    assert_true(doubts_has(&doubts, id_of(2)));
    assert_true(doubts_has(&doubts, id_of(DOUBTS_MAXIMUM)));
    doubts_free(&doubts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_in_doubt_is_known_until_it_is_not),
        cmocka_unit_test(the_oldest_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
