/* links: base */
#include "base/id.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 4
#define EACH 2000

static char ids[THREADS * EACH][ID_CONTROL_BYTES + 1];

static void *make_some(void *argument)
{
    char(*mine)[ID_CONTROL_BYTES + 1] = argument;

    for (int i = 0; i < EACH; i++)
        id_make_control(mine[i]);
    return NULL;
}

static int order(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void control_ids_differ(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_some, ids[i * EACH]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    qsort(ids, THREADS * EACH, sizeof ids[0], order);
    for (int i = 0; i < THREADS * EACH; i++) {
        assert_int_equal(strlen(ids[i]), ID_CONTROL_BYTES);
        assert_int_equal(strspn(ids[i], "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"), ID_CONTROL_BYTES);
        assert_true(i == 0 || strcmp(ids[i - 1], ids[i]) != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_ids_differ),
    };

    return cmocka_run_group_tests_name("id", tests, NULL, NULL);
}
