/* links: base */
/* Names in spools that exist depend on these numbers; the expected ones are the FNV draft's own vectors. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void numbers_are_those_of_the_draft(void **state)
{
    static const struct {
        const char *text;
        uint64_t hash;
    } vectors[] = {
        {"", 0xcbf29ce484222325},
        {"a", 0xaf63dc4c8601ec8c},
        {"foobar", 0x85944171f73967e8},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        assert_true(hash_text(HASH_START, vectors[i].text) == vectors[i].hash);
        assert_true(hash_bytes(HASH_START, vectors[i].text, strlen(vectors[i].text)) ==
                    vectors[i].hash);
    }
}

static void a_hash_goes_on(void **state)
{
    (void)state;
    assert_true(hash_text(hash_text(HASH_START, "foo"), "bar") == hash_text(HASH_START, "foobar"));
    assert_true(hash_bytes(HASH_START, NULL, 0) == HASH_START);
    assert_true(hash_bytes(HASH_START, "\xff\0", 2) != hash_bytes(HASH_START, "\xff", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_those_of_the_draft),
        cmocka_unit_test(a_hash_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
