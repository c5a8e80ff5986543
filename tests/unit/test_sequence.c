/* links: hl7 base */
#include "hl7/sequence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct sequence_case {
    const char *msh13;
    long last;
    enum sequence_verdict verdict;
    long new_last, expected;
};

static void table(void **state)
{
    static const struct sequence_case cases[] = {
        {"", SEQUENCE_NONE, SEQUENCE_ABSENT, SEQUENCE_NONE, -1},
        {"", 7, SEQUENCE_ABSENT, 7, 8},
        {"0", SEQUENCE_NONE, SEQUENCE_RESTART, SEQUENCE_NONE, -1},
        {"0", 7, SEQUENCE_RESTART, 7, 8},
        {"-1", 7, SEQUENCE_RESYNC, SEQUENCE_NONE, -1},
        {"1", SEQUENCE_NONE, SEQUENCE_NEXT, 1, 2},
        {"41", SEQUENCE_NONE, SEQUENCE_NEXT, 41, 42},
        {"8", 7, SEQUENCE_NEXT, 8, 9},
        {"+8", 7, SEQUENCE_NEXT, 8, 9},
        {"008", 7, SEQUENCE_NEXT, 8, 9},
        {"7", 7, SEQUENCE_REPEATED, 7, 8},
        {"6", 7, SEQUENCE_WRONG, 7, 8},
        {"9", 7, SEQUENCE_WRONG, 7, 8},
        {"1", 0, SEQUENCE_NEXT, 1, 2},
        {"-2", 7, SEQUENCE_INVALID, 7, 8},
        {"x", 7, SEQUENCE_INVALID, 7, 8},
        {"8x", 7, SEQUENCE_INVALID, 7, 8},
        {"-", 7, SEQUENCE_INVALID, 7, 8},
        {" 8", 7, SEQUENCE_INVALID, 7, 8},
        {"999999999999999", SEQUENCE_NONE, SEQUENCE_NEXT, 999999999999999, 1000000000000000},
        {"9999999999999999", 7, SEQUENCE_INVALID, 7, 8},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        long last = -99, expected = -99;
        enum sequence_verdict verdict =
            sequence_check(span_of_string(cases[i].msh13), cases[i].last, &last, &expected);
        if (verdict != cases[i].verdict || last != cases[i].new_last ||
            expected != cases[i].expected)
            fail_msg("\"%s\" after %ld: verdict %d, last %ld, expected %ld", cases[i].msh13,
                     cases[i].last, verdict, last, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table)};

    return cmocka_run_group_tests_name("sequence", tests, NULL, NULL);
}
