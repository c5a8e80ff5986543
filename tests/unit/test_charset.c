/* links: hl7 base config */
/* Names of character sets, and what MSH-18 says by them. */
#include "config/internal.h"
#include "hl7/charset.h"

#include <iconv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void expect_found(const char *name, enum charset charset)
{
    if (charset_find(span_of_string(name)) != charset)
        fail_msg("%s is not %s", name, charset_name(charset));
}

static void names(void **state)
{
    (void)state;
    for (int i = CHARSET_NONE + 1; i < CHARSET_COUNT; i++) {
        expect_found(charset_name((enum charset)i), (enum charset)i);
        if (charset_iana((enum charset)i) != NULL)
            expect_found(charset_iana((enum charset)i), (enum charset)i);
    }
    expect_found("8859/1", CHARSET_8859_1);
    expect_found("8859/15", CHARSET_8859_15);
    expect_found("8859-1", CHARSET_8859_1);
    expect_found("ISO_8859-1", CHARSET_8859_1);
    expect_found(" 8859/1 ", CHARSET_8859_1);
    expect_found("utf-8", CHARSET_UTF_8);
    expect_found("UNICODE", CHARSET_UTF_8);
    expect_found("ISOIR87", CHARSET_JIS);
    expect_found("ISO IR 6", CHARSET_ASCII);
    expect_found("CP1252", CHARSET_WINDOWS_1252);
    expect_found("Shift_JIS", CHARSET_WINDOWS_31J);
    expect_found("GB2312", CHARSET_GB_18030);
    expect_found("", CHARSET_NONE);
    expect_found(" ", CHARSET_NONE);
    expect_found("none", CHARSET_NONE);
    expect_found("8859", CHARSET_NONE);
    expect_found("8859/16", CHARSET_NONE);
    expect_found("8859/1//IGNORE", CHARSET_NONE);
    expect_found("UTF-8//TRANSLIT", CHARSET_NONE);
    expect_found("8859.1", CHARSET_NONE);
    expect_found("UNICODE UTF-8 and so much more of it", CHARSET_NONE);
    assert_int_equal(charset_find(span_of(NULL, 0)), CHARSET_NONE);
    assert_int_equal(charset_find(span_of("8859/1\0", 7)), CHARSET_NONE);
}

/* Bytes below 0x80 are ASCII in every set that is converted from: MSH was read on that ground. */
static void all_of_them_hold_ascii(void **state)
{
    (void)state;
    for (int i = CHARSET_NONE + 1; i < CHARSET_COUNT; i++) {
        const char *name = charset_iconv((enum charset)i);
        char in[128], out[256], *from = in, *to = out;
        size_t left = sizeof in, room = sizeof out, count = 0;

        if (name == NULL)
            continue;
        for (int c = 0; c < 128; c++)
            if (c != 0x1B || !charset_has_escapes((enum charset)i))
                in[count++] = (char)c;
        left = count;
        iconv_t conversion = iconv_open("UTF-8", name);
        if (conversion == (iconv_t)-1)
            fail_msg("this system's iconv has no %s", name);
        assert_int_equal(iconv(conversion, &from, &left, &to, &room), 0);
        assert_int_equal(iconv(conversion, NULL, NULL, &to, &room), 0);
        iconv_close(conversion);
        assert_int_equal(to - out, count);
        assert_memory_equal(in, out, count);
    }
}

/* "8859/1", "nothing", "unknown", "several" */
static const char *claim_of(const char *msh_18)
{
    enum charset charset = CHARSET_COUNT;
    char text[256];
    struct msh msh;

    snprintf(text, sizeof text, "MSH|^~\\&|A|B|C|D|||ADT^A01|1|P|2.5||||||%s|X\r", msh_18);
    assert_int_equal(msh_read(span_of_string(text), &msh, NULL), MSH_OK);
    switch (charset_of_header(&msh, &charset)) {
    case CHARSET_CLAIM_NOTHING:
        return "nothing";
    case CHARSET_CLAIM_UNKNOWN:
        return "unknown";
    case CHARSET_CLAIM_SEVERAL:
        return "several";
    case CHARSET_CLAIM_ONE:
        break;
    }
    return charset_name(charset);
}

static void claims(void **state)
{
    (void)state;
    assert_string_equal(claim_of(""), "nothing");
    assert_string_equal(claim_of("  "), "nothing");
    assert_string_equal(claim_of("\"\""), "nothing");
    assert_string_equal(claim_of("ASCII"), "nothing");
    assert_string_equal(claim_of("ISO IR6"), "nothing");
    assert_string_equal(claim_of("~"), "nothing");
    assert_string_equal(claim_of("8859/1"), "8859/1");
    assert_string_equal(claim_of("UNICODE UTF-8"), "UNICODE UTF-8");
    assert_string_equal(claim_of("UTF-8~UNICODE"), "UNICODE UTF-8");
    assert_string_equal(claim_of("UNICODE UTF-16"), "UNICODE UTF-16");
    assert_string_equal(claim_of("~ISO IR87"), "ISO IR87");
    assert_string_equal(claim_of("~ISOIR87"), "ISO IR87");
    assert_string_equal(claim_of("ASCII~ISO IR14~ISO IR87"), "ISO IR87");
    assert_string_equal(claim_of("~ISO IR159~ISO IR87"), "ISO IR159");
    assert_string_equal(claim_of("~ISO IR87~ISO IR159"), "ISO IR159");
    assert_string_equal(claim_of("EBCDIC"), "unknown");
    assert_string_equal(claim_of("x~y"), "several");
    assert_string_equal(claim_of("~x"), "several");
    assert_string_equal(claim_of("ASCII~8859/1"), "several");
    assert_string_equal(claim_of("8859/1~8859/1"), "several");
    assert_string_equal(claim_of("8859/1~8859/2"), "several");
    assert_string_equal(claim_of("8859/1~ISO IR87"), "several");
}

static void sets_of_single_bytes(void **state)
{
    int count = 0;

    (void)state;
    for (int i = CHARSET_NONE; i < CHARSET_COUNT; i++)
        count += charset_has_single_bytes((enum charset)i);
    assert_int_equal(count, 10 + 9 + 1);
    assert_false(charset_has_single_bytes(CHARSET_NONE));
    assert_false(charset_has_single_bytes(CHARSET_ASCII));
    assert_false(charset_has_single_bytes(CHARSET_UTF_8));
    assert_false(charset_has_single_bytes(CHARSET_WINDOWS_31J));
}

static void larger_sets(void **state)
{
    (void)state;
    assert_true(charset_is_part_of(CHARSET_8859_1, CHARSET_WINDOWS_1252));
    assert_false(charset_is_part_of(CHARSET_8859_1, CHARSET_WINDOWS_1250));
    assert_false(charset_is_part_of(CHARSET_8859_2, CHARSET_WINDOWS_1250)); /* other bytes */
    assert_false(charset_is_part_of(CHARSET_8859_2, CHARSET_NONE));
    assert_false(charset_is_part_of(CHARSET_WINDOWS_1252, CHARSET_8859_1));
}

static bool is_control(const char *end)
{
    return (unsigned char)end[-2] == 0xC2 && (unsigned char)end[-1] < 0xA0;
}

/* Of one or two bytes; false: it is none. */
static bool decode(iconv_t conversion, unsigned code, char ret_text[8])
{
    char in[2] = {(char)(code >> 8), (char)code}, *from = in, *to = ret_text + 1;
    size_t left = 2, room = 7;

    memset(ret_text, 0, 8);
    (void)iconv(conversion, NULL, NULL, NULL, NULL);
    return iconv(conversion, &from, &left, &to, &room) == 0 && !is_control(to);
}

/* Each graphic character of the one has the same bytes in the other. (The postal sign that KS X 1001
 * got in 2002 is missing in windows-949: it is refused, not changed.) */
static void they_are_larger(void **state)
{
    char part_text[8], larger_text[8];

    (void)state;
    for (int part = 1; part < CHARSET_COUNT; part++) {
        for (int larger = 1; larger < CHARSET_COUNT; larger++) {
            size_t same = 0;
            if (!charset_is_part_of((enum charset)part, (enum charset)larger))
                continue;
            iconv_t a = iconv_open("UTF-8", charset_iconv((enum charset)part));
            iconv_t b = iconv_open("UTF-8", charset_iconv((enum charset)larger));
            for (unsigned code = 0xA0A0; code <= 0xFFFF; code++) {
                if ((code & 0xFF) < 0xA0 || code == 0xA2E8 || !decode(a, code, part_text))
                    continue;
                assert_true(decode(b, code, larger_text));
                assert_memory_equal(part_text, larger_text, sizeof part_text);
                same++;
            }
            assert_true(same > 8000);
            iconv_close(a);
            iconv_close(b);
        }
    }
}

/* The setting's words are the table's names: its value is a number of the table's. */
static void the_settings_words(void **state)
{
    const struct setting *row = config_setting_row(config_section("peers"), "character_set");
    int i = 0;

    (void)state;
    assert_non_null(row);
    for (; row->words[i] != NULL; i++) {
        assert_string_equal(row->words[i], charset_name((enum charset)i));
        assert_true(i <= CHARSET_ASCII || i == CHARSET_UTF_8 ||
                    charset_iconv((enum charset)i) != NULL);
    }
    assert_int_equal(i, CHARSET_UTF_16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(all_of_them_hold_ascii),
        cmocka_unit_test(claims),
        cmocka_unit_test(the_settings_words),
        cmocka_unit_test(sets_of_single_bytes),
        cmocka_unit_test(larger_sets),
        cmocka_unit_test(they_are_larger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
