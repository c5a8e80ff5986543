/* links: vpn */
/* wrap: free */
#include "vpn/octets.h"

#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECRET "psk-0123456789abcdef"

/* What is given back is looked at first: no byte of a secret may be in it. */
void __real_free(void *memory);
void __wrap_free(void *memory);
static unsigned freed, leaked;

void __wrap_free(void *memory)
{
    if (memory != NULL) {
        freed++;
        if (memmem(memory, malloc_usable_size(memory), SECRET, strlen(SECRET)) != NULL)
            leaked++;
    }
    __real_free(memory);
}

static int set_up(void **state)
{
    (void)state;
    freed = leaked = 0;
    return 0;
}

static void test_growing_wipes_what_it_leaves(void **state)
{
    struct octets octets;
    char zeros[300] = {0};

    (void)state;
    octets_init(&octets, 1000);
    assert_int_equal(octets_append(&octets, SECRET, strlen(SECRET)), 0);
    assert_int_equal(octets_append(&octets, zeros, sizeof zeros), 0); /* grows */
    assert_int_equal(freed, 1);
    assert_int_equal(leaked, 0);
    assert_memory_equal(octets.data, SECRET, strlen(SECRET));
    octets_free(&octets);
    assert_int_equal(freed, 2);
    assert_int_equal(leaked, 0);
    assert_null(octets.data);
    assert_int_equal(octets.maximum, 1000);
}

static void test_the_test_sees_a_secret(void **state)
{
    (void)state;
    free(strdup(SECRET));
    assert_int_equal(leaked, 1);
}

static void test_clearing_and_consuming_wipe(void **state)
{
    struct octets octets;
    static const char nothing[sizeof SECRET] = {0};

    (void)state;
    octets_init(&octets, 100);
    assert_int_equal(octets_append(&octets, SECRET "tail", strlen(SECRET) + 4), 0);
    octets_consume(&octets, strlen(SECRET));
    assert_int_equal(octets.length, 4);
    assert_memory_equal(octets.data, "tail", 4);
    assert_memory_equal(octets.data + 4, nothing, strlen(SECRET)); /* where the rest was */
    octets_consume(&octets, 0);
    octets_consume(&octets, 4);
    assert_int_equal(octets.length, 0);

    assert_int_equal(octets_append(&octets, SECRET, strlen(SECRET)), 0);
    octets_clear(&octets);
    assert_int_equal(octets.length, 0);
    assert_memory_equal(octets.data, nothing, strlen(SECRET));
    octets_free(&octets);
}

static void test_maximum(void **state)
{
    struct octets octets;
    char bytes[600] = {1};

    (void)state;
    octets_init(&octets, 600);
    assert_int_equal(octets_append(&octets, bytes, 599), 0);
    assert_int_equal(octets_append(&octets, bytes, 2), -EMSGSIZE);
    assert_int_equal(octets.length, 599);
    assert_int_equal(octets_append(&octets, bytes, 1), 0);
    assert_int_equal(octets.capacity, 600);
    assert_int_equal(octets_append(&octets, bytes, 1), -EMSGSIZE);
    assert_int_equal(octets_append(&octets, bytes, SIZE_MAX), -EMSGSIZE);
    assert_int_equal(octets_append(&octets, NULL, 0), 0);
    octets_free(&octets);
    octets_free(&octets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_growing_wipes_what_it_leaves, set_up),
        cmocka_unit_test_setup(test_the_test_sees_a_secret, set_up),
        cmocka_unit_test_setup(test_clearing_and_consuming_wipe, set_up),
        cmocka_unit_test_setup(test_maximum, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
