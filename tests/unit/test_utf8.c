/* links: hl7 base */
/* One look over a text: every sequence that is UTF-8 and every kind that is not, at every place
 * within the sixteen bytes that are looked at together. */
#include "hl7/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define PLACES 40

/* What is found when text stands behind `before` plain bytes and in front of `behind`. */
static struct utf8_look look_at(const char *text, size_t length, size_t before, size_t behind,
                                size_t *ret_all)
{
    char *all = malloc(before + length + behind);
    struct utf8_look look;

    assert_non_null(all);
    memset(all, 'x', before + length + behind);
    memcpy(all + before, text, length);
    *ret_all = before + length + behind;
    utf8_look_at(span_of(all, *ret_all), &look);
    free(all);
    return look;
}

static void expect_broken(const char *text, size_t length, size_t at)
{
    for (size_t before = 0; before < PLACES; before++) {
        for (size_t behind = 0; behind < PLACES; behind += 3) {
            size_t all;
            struct utf8_look look = look_at(text, length, before, behind, &all);
            size_t wanted = at == length ? all : before + at;
            if (look.broken != wanted)
                fail_msg("behind %zu and before %zu bytes: broken at %zu, not at %zu", before,
                         behind, look.broken, wanted);
        }
    }
}

#define GOOD(text) expect_broken(text, sizeof(text) - 1, sizeof(text) - 1)
#define BAD(text, at) expect_broken(text, sizeof(text) - 1, at)

static void characters(void **state)
{
    (void)state;
    GOOD("");
    GOOD("\xC2\x80");
    GOOD("\xDF\xBF");
    GOOD("\xE0\xA0\x80");
    GOOD("\xED\x9F\xBF");
    GOOD("\xEE\x80\x80");
    GOOD("\xEF\xBF\xBF");
    GOOD("\xF0\x90\x80\x80");
    GOOD("\xF4\x8F\xBF\xBF");
    GOOD("M\xC3\xBCller|\xE2\x82\xAC\xF0\x9F\x98\x80");
}

static void what_is_none(void **state)
{
    (void)state;
    BAD("\x80", 0);
    BAD("\xBF", 0);
    BAD("\xC0\x80", 0); /* overlong */
    BAD("\xC1\xBF", 0);
    BAD("\xE0\x9F\xBF", 0);
    BAD("\xF0\x8F\xBF\xBF", 0);
    BAD("\xED\xA0\x80", 0); /* surrogates */
    BAD("\xED\xBF\xBF", 0);
    BAD("\xF4\x90\x80\x80", 0); /* beyond U+10FFFF */
    BAD("\xF5\x80\x80\x80", 0);
    BAD("\xFE", 0);
    BAD("\xFF", 0);
    BAD("\xC3", 0); /* cut off */
    BAD("\xE2\x82", 0);
    BAD("\xF0\x9F\x98", 0);
    BAD("\xC3\xBC\xFC", 2);
    BAD("ab\xC3|", 2);
    BAD("\xC3\xBC\xE2\x82|", 2);
    BAD("\xF0\x9F\x98|", 0);
}

/* Against the definition, for every two and three bytes that begin outside of ASCII. */
static bool defined(const unsigned char *byte, size_t length)
{
    uint32_t code = 0;
    size_t need = byte[0] >= 0xF0 ? 4 : byte[0] >= 0xE0 ? 3 : byte[0] >= 0xC0 ? 2 : 0;

    if (need != length || byte[0] >= 0xF8)
        return false;
    code = byte[0] & (0x7Fu >> need);
    for (size_t i = 1; i < length; i++) {
        if ((byte[i] & 0xC0) != 0x80)
            return false;
        code = code << 6 | (byte[i] & 0x3Fu);
    }
    if (length == 2)
        return code >= 0x80;
    return code >= (length == 3 ? 0x800u : 0x10000u) && code <= 0x10FFFF &&
           !(code >= 0xD800 && code <= 0xDFFF);
}

static void every_character_of_two_and_three_bytes(void **state)
{
    unsigned char text[3];
    struct utf8_look look;
    size_t good = 0;

    (void)state;
    for (unsigned first = 0x80; first < 0x100; first++) {
        for (unsigned second = 0x80; second < 0x100; second++) {
            text[0] = (unsigned char)first;
            text[1] = (unsigned char)second;
            utf8_look_at(span_of(text, 2), &look);
            assert_int_equal(look.broken == 2, defined(text, 2));
            good += look.broken == 2;
            for (unsigned third = 0x80; third < 0xC0; third++) {
                text[2] = (unsigned char)third;
                utf8_look_at(span_of(text, 3), &look);
                assert_int_equal(look.broken == 3, defined(text, 3));
                good += look.broken == 3;
            }
        }
    }
    assert_int_equal(good, (0x800 - 0x80) + (0x10000 - 0x800 - 0x800));
}

static void what_else_is_found(void **state)
{
    size_t all;

    (void)state;
    for (size_t before = 0; before < PLACES; before++) {
        struct utf8_look look =
            look_at("\r\t\n\x1B(B\xC3\xBC\xFF\n\x1B$B\x1B(I", 17, before, 5, &all);
        assert_int_equal(look.line_feed, before + 2);
        assert_int_equal(look.high, before + 6);
        assert_int_equal(look.broken, before + 8);
        assert_int_equal(look.escape, before + 10);
        look = look_at("\r|^~\\&\x7F\x1B(J\x1B", 11, before, 0, &all);
        assert_int_equal(look.line_feed, all);
        assert_int_equal(look.high, all);
        assert_int_equal(look.broken, all);
        assert_int_equal(look.escape, all);
        look = look_at("\x1B(I", 3, before, 1, &all);
        assert_int_equal(look.escape, before);
        look = look_at("\x1B$)C", 4, before, 1, &all);
        assert_int_equal(look.escape, before);
    }
}

static void runs(void **state)
{
    char text[64];

    (void)state;
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = '\xFC';
        assert_int_equal(utf8_ascii_run(text, text + sizeof text), i);
        text[i] = '\n';
        assert_int_equal(utf8_ascii_run(text, text + i), i);
    }
    assert_int_equal(utf8_ascii_run(text, text + sizeof text), sizeof text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters),
        cmocka_unit_test(what_is_none),
        cmocka_unit_test(every_character_of_two_and_three_bytes),
        cmocka_unit_test(what_else_is_found),
        cmocka_unit_test(runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
