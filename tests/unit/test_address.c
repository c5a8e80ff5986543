/* links: admission base config */
#include "admission/address.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void key_of(const char *text, uint8_t ret_key[16])
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        address_key((const struct sockaddr *)&in, ret_key);
        return;
    }
    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    address_key((const struct sockaddr *)&in6, ret_key);
}

static void one_key_for_mapped(void **state)
{
    uint8_t plain[16], mapped[16], compatible[16], other[16];
    struct sockaddr unix_address = {.sa_family = AF_UNIX};

    (void)state;
    key_of("10.1.2.3", plain);
    key_of("::ffff:10.1.2.3", mapped);
    key_of("::10.1.2.3", compatible);
    assert_memory_equal(plain, mapped, 16);
    assert_memory_not_equal(plain, compatible, 16);
    memset(compatible, 0, sizeof(compatible));
    address_key(&unix_address, other);
    assert_memory_equal(other, compatible, 16);
}

static void text(void **state)
{
    static const char *const rows[][2] = {
        {"10.1.2.3", "10.1.2.3"},
        {"::ffff:10.1.2.3", "10.1.2.3"},
        {"2001:db8:0::1", "2001:db8::1"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        struct sockaddr_in in = {.sin_family = AF_INET};
        const struct sockaddr *address = (const struct sockaddr *)&in6;
        char written[INET6_ADDRSTRLEN];
        if (inet_pton(AF_INET, rows[i][0], &in.sin_addr) == 1) {
            address = (const struct sockaddr *)&in;
        } else {
            assert_int_equal(inet_pton(AF_INET6, rows[i][0], &in6.sin6_addr), 1);
        }
        address_text(address, written);
        assert_string_equal(written, rows[i][1]);
    }
}

static void prefixes(void **state)
{
    static const struct {
        const char *text;
        unsigned bits;
    } rows[] = {
        {"10.0.0.0/24", 120}, {"10.1.2.3", 128}, {"0.0.0.0/0", 96},
        {"10.1.2.3/32", 128}, {"::/0", 0},       {"2001:db8::/32", 32},
        {"2001:db8::1", 128}, {"::1/128", 128},  {"::ffff:10.0.0.0/104", 104},
    };
    struct address_prefix prefix;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(address_prefix_parse(rows[i].text, &prefix));
        assert_int_equal(prefix.bits, rows[i].bits);
    }
}

static void no_prefixes(void **state)
{
    static const char *const rows[] = {
        "",
        "/",
        "/24",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0/24",
        "10.0.0.256",
        "10.0.0.0/1x",
        "10.0.0.0/ 8",
        "::/129",
        "lab.example",
        "fe80::1%en",
        " 10.0.0.1",
        "10.0.0.1 ",
        "10.0.0.0/24/24",
        "[::1]",
        "::1/+8",
        "10.0.0.0/99999999999999999999",
        "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111",
    };
    struct address_prefix prefix = {.bits = 77};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_false(address_prefix_parse(rows[i], &prefix));
    }
    assert_int_equal(prefix.bits, 77); /* untouched */
}

static void holding(void **state)
{
    static const struct {
        const char *prefix, *address;
        bool holds;
    } rows[] = {
        {"10.0.0.0/24", "10.0.0.0", true},
        {"10.0.0.0/24", "10.0.0.255", true},
        {"10.0.0.0/24", "::ffff:10.0.0.7", true},
        {"10.0.0.0/24", "10.0.1.0", false},
        {"10.0.0.0/24", "9.255.255.255", false},
        {"10.0.0.77/24", "10.0.0.1", true}, /* bits behind the prefix mean nothing */
        {"10.0.0.0/25", "10.0.0.127", true},
        {"10.0.0.0/25", "10.0.0.128", false},
        {"10.0.0.128/31", "10.0.0.129", true},
        {"10.0.0.128/31", "10.0.0.130", false},
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.2", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "::1", false}, /* one family's "anywhere" is not the other's */
        {"::/0", "2001:db8::1", true},
        {"::/0", "10.0.0.1", false},
        {"::/0", "::ffff:10.0.0.1", false},
        {"::ffff:10.0.0.0/104", "10.99.0.1", true},
        {"::ffff:0.0.0.0/96", "10.99.0.1", true},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"::1", "::1", true},
        {"::1", "0.0.0.1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct address_prefix prefix;
        uint8_t key[16];
        assert_true(address_prefix_parse(rows[i].prefix, &prefix));
        key_of(rows[i].address, key);
        if (address_prefix_holds(&prefix, key) != rows[i].holds) {
            fail_msg("%s and %s", rows[i].prefix, rows[i].address);
        }
    }
}

static void prefix_of_one_address(void **state)
{
    struct address_prefix prefix;
    uint8_t key[16], other[16];

    (void)state;
    key_of("10.0.0.1", key);
    key_of("10.0.0.2", other);
    address_prefix_of_key(key, &prefix);
    assert_int_equal(prefix.bits, 128);
    assert_true(address_prefix_holds(&prefix, key));
    assert_false(address_prefix_holds(&prefix, other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_key_for_mapped),
        cmocka_unit_test(text),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(no_prefixes),
        cmocka_unit_test(holding),
        cmocka_unit_test(prefix_of_one_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
