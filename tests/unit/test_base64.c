/* links: base */
#include "base/base64.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* RFC 4648 section 10, and what uses every bit. */
static const struct {
    const char *bytes, *text;
} vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"\x66o", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/"},
    {"\xff\xff\xff\xff", "/////w=="},
};

static void vectors_both_ways(void **state)
{
    char text[16], bytes[16];
    size_t length;

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct span from = span_of_string(vectors[i].bytes), to = span_of_string(vectors[i].text);

        assert_int_equal(base64_length(from.length), to.length);
        base64_encode(from, text);
        assert_true(span_equal(span_of(text, to.length), to));
        assert_int_equal(base64_decode(to, bytes, &length), 0);
        assert_true(span_equal(span_of(bytes, length), from));
    }
}

static void each_length_and_byte_comes_back(void **state)
{
    char bytes[257], text[348];
    size_t length;

    (void)state;
    for (size_t count = 0; count <= sizeof(bytes); count++) {
        for (size_t i = 0; i < count; i++)
            bytes[i] = (char)(unsigned char)(i * 7 + count);
        base64_encode(span_of(bytes, count), text);
        /* in place: what comes out is never ahead of what goes in */
        assert_int_equal(base64_decode(span_of(text, base64_length(count)), text, &length), 0);
        assert_int_equal(length, count);
        assert_memory_equal(text, bytes, count);
        assert_true(length <= base64_room(base64_length(count)));
    }
}

static void what_is_not_strict_is_refused(void **state)
{
    static const char *const wrong[] = {"Z",      "Zg",   "Zg=",      "Zm9v=",      "=",
                                        "====",   "Z===", "Zg==Zm9v", "Zm8=Zg==",   "Zm9vYg=",
                                        "Zh==",   "Zm9=", "Zm8 ",     " Zm8=",      "Zm8\n",
                                        "Zm8=\n", "Zm-_", "Zm*v",     "Zm\xc3\xa4", "Z=9v",
                                        "Zg=v"};
    char bytes[16];
    size_t length = 99;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (base64_decode(span_of_string(wrong[i]), bytes, &length) != -EINVAL)
            fail_msg("\"%s\" was taken", wrong[i]);
    }
    assert_int_equal(base64_decode(span_of("Zm9\0", 4), bytes, &length), -EINVAL);
    assert_int_equal(length, 99);
    for (int c = 0; c < 256; c++) { /* each byte in each place of a whole group */
        bool digit =
            strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", c) && c != 0;

        for (size_t place = 0; place < 4; place++) {
            char text[8] = {'Z', 'm', '9', 'v', 'Z', 'm', '9', 'v'};

            text[place] = (char)c;
            assert_int_equal(base64_decode(span_of(text, 8), bytes, &length), digit ? 0 : -EINVAL);
        }
    }
}

static void lengths_that_no_memory_has(void **state)
{
    (void)state;
    assert_int_equal(base64_length(SIZE_MAX), 0);
    assert_int_equal(base64_length(SIZE_MAX / 4 * 3), SIZE_MAX / 4 * 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_both_ways),
        cmocka_unit_test(each_length_and_byte_comes_back),
        cmocka_unit_test(what_is_not_strict_is_refused),
        cmocka_unit_test(lengths_that_no_memory_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
