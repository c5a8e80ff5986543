/* links: vpn */
#include "vpn/selector.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct selector parsed(const char *text)
{
    struct selector selector;
    const char *problem = selector_parse(text, strlen(text), &selector);

    if (problem != NULL)
        fail_msg("%s: %s", text, problem);
    return selector;
}

static bool holds(const char *text, const char *address, uint8_t protocol, uint16_t port)
{
    struct selector selector = parsed(text);
    uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff};

    if (inet_pton(AF_INET, address, bytes + 12) != 1)
        assert_int_equal(inet_pton(AF_INET6, address, bytes), 1);
    return selector_holds(&selector, bytes, protocol, port);
}

/* What charon 5.9.8 printed for a connection with these selectors, and how it is printed here. */
static void test_what_charon_prints(void **state)
{
    static const char *const forms[][2] = {
        {"10.10.0.0/24", "10.10.0.0/24"},
        {"10.10.0.1/32", "10.10.0.1/32"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"10.10.0.0..10.10.0.100", "10.10.0.0..10.10.0.100"},
        {"10.11.0.0..10.11.0.100[udp]", "10.11.0.0..10.11.0.100[udp]"},
        {"10.10.0.0..10.10.0.100[tcp/2575-2580]", "10.10.0.0..10.10.0.100[tcp/2575-2580]"},
        {"10.10.0.0/24[tcp/2575]", "10.10.0.0/24[tcp/2575]"},
        {"10.1.0.0/16[tcp/https]", "10.1.0.0/16[tcp/443]"},
        {"fd00::/64[udp/domain]", "fd00::/64[udp/53]"},
        {"fd01::1..fd01::9", "fd01::1..fd01::9"},
        {"fd02::/16[ipv6-icmp/128]", "fd02::/16[58/128]"},
        {"10.3.0.0/16[icmp/8]", "10.3.0.0/16[1/8]"},
        {"10.4.0.0/16[icmp/8(5)]", "10.4.0.0/16[1/8(5)]"},
        {"10.9.0.0/16[icmp/8-9]", "10.9.0.0/16[1/8-9]"},
        {"10.9.0.0/16[icmp/8-9(5)]", "10.9.0.0/16[1/8-9(5)]"},
        {"10.9.0.0/16[icmp/8(1)-8(5)]", "10.9.0.0/16[1/8(1)-8(5)]"},
        {"10.10.0.0/24[tcp/hl7]", "10.10.0.0/24[tcp/2575]"},
        {"10.5.0.0/16[0/http]", "10.5.0.0/16[0/80]"},
        {"10.6.0.0/16[tcp/OPAQUE]", "10.6.0.0/16[tcp/OPAQUE]"},
        {"10.7.0.0/16[ospf]", "10.7.0.0/16[89]"},
        {"10.8.0.0/16[253/echo]", "10.8.0.0/16[253/7]"},
        {"dynamic", "dynamic"},
        {"dynamic[tcp/2575]", "dynamic[tcp/2575]"},
        /* and as it is configured */
        {"10.10.0.1", "10.10.0.1/32"},
        {"2001:db8::1", "2001:db8::1/128"},
        {"10.10.0.7/24", "10.10.0.0/24"},
        {"10.10.0.0-10.10.0.255", "10.10.0.0/24"},
        {"10.10.0.0/24[tcp/ftp-data]", "10.10.0.0/24[tcp/20]"},
        {"10.10.0.0/24[]", "10.10.0.0/24"},
        {"10.10.0.0/24[tcp/0-65535]", "10.10.0.0/24[tcp]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char text[SELECTOR_TEXT_BYTES];
        struct selector selector = parsed(forms[i][0]);
        selector_print(&selector, text);
        assert_string_equal(text, forms[i][1]);
        struct selector again = parsed(text);
        assert_true(selector_is_covered(&selector, &again, 1) || again.dynamic);
        assert_true(selector_is_covered(&again, &selector, 1) || again.dynamic);
        assert_int_equal(again.protocol, selector.protocol);
    }
}

static void test_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "10.10.0.0/33",
        "10.10.0.0/",
        "10.10.0.0/-1",
        "10.10.0.0/4294967320", /* 24, had it overflowed */
        "2001:db8::/129",
        "10.10.0/24",
        "st-marys.example",
        "10.10.0.9..10.10.0.1",
        "10.10.0.1..",
        "..10.10.0.1",
        "10.10.0.1..2001:db8::1",
        "10.10.0.1/32..10.10.0.9",
        "10.10.0.0/24[",
        "10.10.0.0/24[tcp",
        "10.10.0.0/24[tcp/2575] ",
        "10.10.0.0/24[tcp/]",
        "10.10.0.0/24[tcp/65536]",
        "10.10.0.0/24[tcp/2580-2575]",
        "10.10.0.0/24[tcp/1-]",
        "10.10.0.0/24[no-such-protocol]",
        "10.10.0.0/24[256]",
        "10.10.0.0/24[tcp/no-such-service]",
        "10.10.0.0/24[icmp/8(]",
        "10.10.0.0/24[icmp/]",
        "10.10.0.0/24[icmp/8()]",
        "10.10.0.0/24[icmp/8(1)-8(5]",
        "10.10.0.0/24[icmp/8(0000000000000001)]",
        "10.10.0.0/24[icmp/256]",
        "dynamic/24",
        "Dynamic",
    };
    struct selector selector = parsed("10.0.0.0/8"), before = selector;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (selector_parse(wrong[i], strlen(wrong[i]), &selector) == NULL)
            fail_msg("\"%s\" was taken", wrong[i]);
        assert_memory_equal(&selector, &before, sizeof before);
    }
    assert_non_null(selector_parse("10.0.0.0/8\0", 11, &selector));
    /* Longer than any: 200 bytes. */
    char text[200];
    memset(text, '1', sizeof text);
    assert_non_null(selector_parse(text, sizeof text, &selector));
}

static void test_text_need_not_be_terminated(void **state)
{
    static const char text[] = {'1', '0', '.', '0', '.', '0', '.', '0', '/', '8'};
    struct selector selector;

    (void)state;
    assert_null(selector_parse(text, sizeof text, &selector));
}

static void test_holds_addresses(void **state)
{
    (void)state;
    assert_true(holds("10.10.0.0/24", "10.10.0.0", IPPROTO_TCP, 40000));
    assert_true(holds("10.10.0.0/24", "10.10.0.255", IPPROTO_TCP, 40000));
    assert_false(holds("10.10.0.0/24", "10.10.1.0", IPPROTO_TCP, 40000));
    assert_false(holds("10.10.0.0/24", "10.9.255.255", IPPROTO_TCP, 40000));
    assert_true(holds("10.10.0.3..10.10.0.5", "10.10.0.3", IPPROTO_TCP, 1));
    assert_true(holds("10.10.0.3..10.10.0.5", "10.10.0.5", IPPROTO_TCP, 1));
    assert_false(holds("10.10.0.3..10.10.0.5", "10.10.0.2", IPPROTO_TCP, 1));
    assert_false(holds("10.10.0.3..10.10.0.5", "10.10.0.6", IPPROTO_TCP, 1));
    assert_true(holds("2001:db8::/127", "2001:db8::1", IPPROTO_TCP, 1));
    assert_false(holds("2001:db8::/127", "2001:db8::2", IPPROTO_TCP, 1));
    assert_true(holds("0.0.0.0/0", "203.0.113.7", IPPROTO_TCP, 1));
    assert_true(holds("::/0", "2001:db8::1", IPPROTO_TCP, 1));
}

static void test_families_do_not_mix(void **state)
{
    (void)state;
    assert_false(holds("::/0", "10.10.0.1", IPPROTO_TCP, 1));
    assert_false(holds("::ffff:0:0/96", "10.10.0.1", IPPROTO_TCP, 1));
    assert_false(holds("0.0.0.0/0", "2001:db8::1", IPPROTO_TCP, 1));
    assert_false(holds("dynamic", "10.10.0.1", IPPROTO_TCP, 1));
    assert_false(holds("dynamic", "::", IPPROTO_TCP, 1));
}

static void test_holds_protocols_and_ports(void **state)
{
    (void)state;
    assert_true(holds("10.0.0.0/8[tcp/2575]", "10.0.0.1", IPPROTO_TCP, 2575));
    assert_false(holds("10.0.0.0/8[tcp/2575]", "10.0.0.1", IPPROTO_TCP, 2576));
    assert_false(holds("10.0.0.0/8[tcp/2575]", "10.0.0.1", IPPROTO_UDP, 2575));
    assert_true(holds("10.0.0.0/8[tcp/2575-2577]", "10.0.0.1", IPPROTO_TCP, 2577));
    assert_false(holds("10.0.0.0/8[tcp/2575-2577]", "10.0.0.1", IPPROTO_TCP, 2578));
    assert_true(holds("10.0.0.0/8[tcp]", "10.0.0.1", IPPROTO_TCP, 0));
    assert_false(holds("10.0.0.0/8[udp]", "10.0.0.1", IPPROTO_TCP, 2575));
    assert_true(holds("10.0.0.0/8[0/2575]", "10.0.0.1", IPPROTO_UDP, 2575));
    assert_false(holds("10.0.0.0/8[tcp/OPAQUE]", "10.0.0.1", IPPROTO_TCP, 65535));
    assert_false(holds("10.0.0.0/8[tcp/OPAQUE]", "10.0.0.1", IPPROTO_TCP, 0));
    assert_true(holds("10.0.0.0/8[icmp/8(5)]", "10.0.0.1", IPPROTO_ICMP, 8 * 256 + 5));
}

static bool covered(const char *wanted, const char *const *installed)
{
    struct selector selectors[8], selector = parsed(wanted);
    size_t count = 0;

    while (installed[count] != NULL) {
        selectors[count] = parsed(installed[count]);
        count++;
    }
    selector_sort(selectors, count);
    return selector_is_covered(&selector, selectors, count);
}

#define COVERED(wanted, ...) covered(wanted, (const char *const[]){__VA_ARGS__, NULL})

static void test_coverage(void **state)
{
    (void)state;
    assert_true(COVERED("10.10.0.0/24", "10.10.0.0/24"));
    assert_true(COVERED("10.10.0.0/24", "10.0.0.0/8"));
    assert_false(COVERED("10.10.0.0/24", "10.10.0.0/25"));
    assert_true(COVERED("10.10.0.0/24", "10.10.0.128/25", "10.10.0.0/25"));
    assert_true(COVERED("10.10.0.0/24", "10.10.0.200..10.10.0.255", "10.10.0.50..10.10.0.210",
                        "10.10.0.0..10.10.0.60"));
    assert_false(COVERED("10.10.0.0/24", "10.10.0.128/25", "10.10.0.0..10.10.0.126"));
    assert_false(covered("10.10.0.0/24", (const char *const[]){NULL}));
    assert_false(COVERED("10.10.0.0/24", "10.10.0.0/24[tcp]"));
    assert_true(COVERED("10.10.0.0/24[tcp/2575]", "10.10.0.0/24[tcp]"));
    assert_true(COVERED("10.10.0.0/24[tcp/2575]", "10.10.0.0/24[0/2000-3000]"));
    assert_false(COVERED("10.10.0.0/24[tcp/2575]", "10.10.0.0/24[udp]"));
    assert_false(COVERED("10.10.0.0/24[tcp/2575-2580]", "10.10.0.0/24[tcp/2576-2580]"));
    assert_false(COVERED("10.10.0.0/24[tcp/OPAQUE]", "10.10.0.0/24[tcp/2575]"));
    assert_true(COVERED("10.10.0.0/24[tcp/OPAQUE]", "10.10.0.0/24[tcp]"));
    assert_true(COVERED("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1"));
    assert_true(COVERED("::/0", "::/0"));
    assert_false(COVERED("0.0.0.0/0", "::/0"));
    assert_true(COVERED("dynamic", "10.10.0.1/32"));
    assert_false(COVERED("10.10.0.0/24", "dynamic"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_charon_prints),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_text_need_not_be_terminated),
        cmocka_unit_test(test_holds_addresses),
        cmocka_unit_test(test_families_do_not_mix),
        cmocka_unit_test(test_holds_protocols_and_ports),
        cmocka_unit_test(test_coverage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
