/* links: base */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
    int value;
    struct list_node in_list;
};

static int value_of(const struct list_node *node)
{
    return LIST_ENTRY(node, struct item, in_list)->value;
}

static void empty_list(void **state)
{
    struct list_node list;

    (void)state;
    list_init(&list);
    assert_true(list_empty(&list));
    assert_null(list_pop_front(&list));
}

static void append_and_prepend_keep_order(void **state)
{
    struct item items[] = {{.value = 1}, {.value = 2}, {.value = 3}};
    struct list_node list;
    int expected = 1;

    (void)state;
    list_init(&list);
    list_append(&list, &items[1].in_list);
    list_append(&list, &items[2].in_list);
    list_prepend(&list, &items[0].in_list);
    assert_false(list_empty(&list));
    LIST_FOREACH_SAFE(node, next, &list) {
        assert_int_equal(value_of(node), expected);
        expected++;
    }
    assert_int_equal(expected, 4);
    for (int i = 1; i <= 3; i++)
        assert_int_equal(value_of(list_pop_front(&list)), i);
    assert_true(list_empty(&list));
}

static void remove_leaves_node_alone(void **state)
{
    struct item items[] = {{.value = 1}, {.value = 2}, {.value = 3}};
    struct list_node list;

    (void)state;
    list_init(&list);
    for (int i = 0; i < 3; i++)
        list_append(&list, &items[i].in_list);
    list_remove(&items[1].in_list);
    assert_true(list_empty(&items[1].in_list));
    list_remove(&items[1].in_list);
    assert_ptr_equal(items[0].in_list.next, &items[2].in_list);
    assert_ptr_equal(items[2].in_list.prev, &items[0].in_list);
    list_append(&list, &items[1].in_list);
    assert_ptr_equal(list.prev, &items[1].in_list);
}

static void removing_while_walking(void **state)
{
    struct item items[4] = {{.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}};
    struct list_node list;
    int seen = 0;

    (void)state;
    list_init(&list);
    for (int i = 0; i < 4; i++)
        list_append(&list, &items[i].in_list);
    LIST_FOREACH_SAFE(node, next, &list) {
        seen++;
        if (value_of(node) % 2 == 0)
            list_remove(node);
    }
    assert_int_equal(seen, 4);
    assert_int_equal(value_of(list_pop_front(&list)), 1);
    assert_int_equal(value_of(list_pop_front(&list)), 3);
    assert_true(list_empty(&list));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_list),
        cmocka_unit_test(append_and_prepend_keep_order),
        cmocka_unit_test(remove_leaves_node_alone),
        cmocka_unit_test(removing_while_walking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
