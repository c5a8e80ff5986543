/* links: base */
#include "base/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_reason_has_a_code_and_words(void **state)
{
    (void)state;
    for (int i = 0; i < REASON_COUNT; i++) {
        const char *code = reason_code((enum reason)i), *words = reason_words((enum reason)i);
        if (strcmp(code, "unknown") == 0)
            fail_msg("reason %d has no text", i);
        assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz-"), strlen(code));
        assert_true(strlen(words) > 0 && words[strlen(words) - 1] != '.');
        for (int j = 0; j < i; j++)
            assert_string_not_equal(code, reason_code((enum reason)j));
    }
    assert_string_equal(reason_code(REASON_COUNT), "unknown");
    assert_string_equal(reason_words((enum reason) - 1), "unknown reason");
    assert_string_equal(reason_code(REASON_FRAME_TIMEOUT), "frame-timeout");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_reason_has_a_code_and_words)};

    return cmocka_run_group_tests_name("reason", tests, NULL, NULL);
}
