/* links: ctl hl7 base config */
/* wrap: iconv_open */
/* A system whose iconv lacks a set, or that has no more file descriptors to look. */
#include "ctl/check.h"
#include "hl7/recode.h"

#include <errno.h>
#include <iconv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "support/config_case.h"

#define HEAD "MSH|^~\\&|A|B|C|D|||ADT^A01|M1|P|2.5"
#define STORE                                                                                      \
    "{ name = \"g\"; type = \"google\"; project = \"p\"; location = \"l\"; dataset = \"d\"; "      \
    "store = \"s\"; }"
#define PEER                                                                                       \
    "peers = ( { name = \"p\"; addresses = [ \"10.0.0.0/8\" ]; certificates = [ \"dns:a\" ]; "     \
    "maximum_message_bytes = 32768; character_set = \"WINDOWS-1252\"; } );"

static int lacking; /* errno; 0: it lacks nothing */

iconv_t __real_iconv_open(const char *to, const char *from);
iconv_t __wrap_iconv_open(const char *to, const char *from);

iconv_t __wrap_iconv_open(const char *to, const char *from)
{
    errno = lacking;
    return lacking != 0 ? (iconv_t)-1 : __real_iconv_open(to, from);
}

static enum recode_problem plan(const char *text, struct recode *ret_recode)
{
    const struct recode_rules rules = {.peer = CHARSET_NONE};

    return recode_plan(span_of_string(text), &rules, ret_recode, NULL);
}

static void planning_and_writing(void **state)
{
    static const char latin[] = HEAD "||||||8859/1\rPID|\xFC\r";
    struct recode recode;
    struct buffer out;
    char text[256];

    (void)state;
    lacking = EINVAL;
    assert_int_equal(plan(latin, &recode), RECODE_NOT_HERE);
    assert_int_equal(plan(HEAD "||||||8859/1\rPID|1\r", &recode), RECODE_OK); /* needs none */
    lacking = EMFILE;
    assert_int_equal(plan(latin, &recode), RECODE_OUT_OF_MEMORY);
    lacking = 0;
    assert_int_equal(plan(latin, &recode), RECODE_OK);
    lacking = EMFILE;
    assert_int_equal(recode_write(&recode, span_of_string(latin), text), -ENOMEM);
    buffer_init(&out, 256);
    assert_int_equal(recode_answer(&recode, span_of_string(latin),
                                   span_of_string("MSH|^~\\&|\rMSA|AA|M1|\xC3\xBC\r"), &out),
                     -ENOMEM);
    lacking = EINVAL;
    assert_int_equal(recode_answer(&recode, span_of_string(latin),
                                   span_of_string("MSH|^~\\&|\rMSA|AA|M1|\xC3\xBC\r"), &out),
                     -EILSEQ);
    buffer_free(&out);
    lacking = 0;
}

/* How many problems mllpctl check finds in it. */
static size_t check(const char *stores, const char *routes, bool lacks)
{
    struct config *config =
        config_case_good(&(struct config_case){.peers = PEER, .stores = stores, .routes = routes});
    struct problems problems;
    size_t count;

    problems_init(&problems);
    lacking = lacks ? EINVAL : 0;
    check_character_sets(config, &problems);
    lacking = 0;
    count = problems.count;
    assert_int_equal(problems.errors, 0);
    if (count > 0) {
        assert_string_equal(problems.items[0].setting, "peers.p.character_set");
        assert_non_null(strstr(problems.items[0].text, "WINDOWS-1252"));
        assert_non_null(strstr(problems.items[0].text, "CP1252"));
        assert_int_equal(problems.items[0].line, 5);
    }
    problems_free(&problems);
    config_free(&config);
    return count;
}

static void checking(void **state)
{
    static const char route[] = "routes = ( { name = \"r\"; from = \"l\"; to = \"g\"; } );";

    (void)state;
    assert_int_equal(check("stores = ( " STORE " );", route, true), 1);
    assert_int_equal(check("stores = ( " STORE " );", route, false), 0);
    assert_int_equal(check(NULL, NULL, true), 0); /* nothing is converted */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planning_and_writing),
        cmocka_unit_test(checking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
