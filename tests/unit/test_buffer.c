/* links: base */
#include "base/buffer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void grows_up_to_its_maximum(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(buffer_append_byte(&buffer, (char)i), 0);
    assert_int_equal(buffer.capacity, 100);
    assert_int_equal(buffer_append_byte(&buffer, 'x'), -EMSGSIZE);
    assert_int_equal(buffer_append(&buffer, "", 0), 0);
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX), -EMSGSIZE);
    assert_int_equal(buffer.length, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(buffer.data[i], i);
    buffer_free(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.maximum, 100);
    buffer_free(NULL);
}

/* The first allocation is no larger than needed: a message is kept as it came. */
static void first_allocation_is_exact(void **state)
{
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, 10000);
    assert_int_equal(buffer_reserve(&buffer, 600), 0);
    assert_int_equal(buffer.capacity, 600);
    buffer.length = 600;
    memset(buffer.data, 'a', 600);
    assert_int_equal(buffer_append_byte(&buffer, 'b'), 0);
    assert_int_equal(buffer.capacity, 1200);
    buffer_free(&buffer);
}

static void formats(void **state)
{
    struct buffer buffer;
    char expected[1001];

    (void)state;
    buffer_init(&buffer, 1003);
    assert_int_equal(buffer_append_format(&buffer, "%d-", 42), 0);
    memset(expected, 'x', 1000);
    expected[1000] = '\0';
    assert_int_equal(buffer_append_format(&buffer, "%s", expected), 0); /* up to the last byte */
    assert_int_equal(buffer.length, 1003);
    assert_memory_equal(buffer.data, "42-xx", 5);
    assert_int_equal(buffer_append_format(&buffer, "%d", 1), -EMSGSIZE);
    assert_int_equal(buffer.length, 1003);
    buffer_free(&buffer);
}

static void consumes_and_hands_over(void **state)
{
    struct buffer buffer;
    size_t length;

    (void)state;
    buffer_init(&buffer, 100);
    assert_int_equal(buffer_append_string(&buffer, "hello world"), 0);
    buffer_consume(&buffer, 6);
    assert_true(span_equal_string(buffer_span(&buffer), "world"));
    char *taken = buffer_take(&buffer, &length);
    assert_int_equal(length, 5);
    assert_memory_equal(taken, "world", 5);
    free(taken);
    assert_int_equal(buffer.length, 0);
    assert_int_equal(buffer_append_string(&buffer, "again"), 0);
    buffer_consume(&buffer, 99);
    assert_int_equal(buffer.length, 0);
    buffer_clear(&buffer);
    buffer_free(&buffer);
    assert_null(buffer_take(&buffer, &length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_up_to_its_maximum),
        cmocka_unit_test(first_allocation_is_exact),
        cmocka_unit_test(formats),
        cmocka_unit_test(consumes_and_hands_over),
    };

    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
