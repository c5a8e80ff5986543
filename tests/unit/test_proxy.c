/* links: admission base */
#include "admission/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

struct parsed {
    enum proxy_result result;
    struct sockaddr_storage source, destination;
    size_t used;
};

/* From memory of just that size, so that a byte read behind it is seen. */
static struct parsed parse(const void *data, size_t length)
{
    struct parsed parsed = {.used = 4711};
    char *copy = malloc(length == 0 ? 1 : length);

    assert_non_null(copy);
    memcpy(copy, data, length);
    parsed.result =
        proxy_parse(span_of(copy, length), &parsed.source, &parsed.destination, &parsed.used);
    free(copy);
    return parsed;
}

static void check_endpoint(const struct sockaddr_storage *endpoint, const char *address,
                           unsigned port)
{
    char text[INET6_ADDRSTRLEN];

    if (endpoint->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)endpoint;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
        assert_int_equal(ntohs(in->sin_port), port);
    } else {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)endpoint;
        assert_int_equal(endpoint->ss_family, AF_INET6);
        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
        assert_int_equal(ntohs(in6->sin6_port), port);
    }
    assert_string_equal(text, address);
}

/* Every shorter piece wants more; bytes behind the header change nothing. */
static void check_header(const char *header, size_t length, enum proxy_result result,
                         const char *source, const char *destination)
{
    char longer[PROXY_MAXIMUM + 8];
    struct parsed parsed;

    for (size_t cut = 0; cut < length; cut++) {
        assert_int_equal(parse(header, cut).result, PROXY_NEED_MORE);
    }
    memcpy(longer, header, length);
    memcpy(longer + length, "\vMSH|\n\r\n", 8);
    for (size_t more = 0; more <= 8; more += 8) {
        parsed = parse(longer, length + more);
        assert_int_equal(parsed.result, result);
        assert_int_equal(parsed.used, length);
        if (result == PROXY_COMPLETE) {
            check_endpoint(&parsed.source, source, 4000);
            check_endpoint(&parsed.destination, destination, 2575);
        }
    }
}

static void check_text(const char *header, enum proxy_result result, const char *source,
                       const char *destination)
{
    check_header(header, strlen(header), result, source, destination);
}

static void version_1(void **state)
{
    (void)state;
    check_text("PROXY TCP4 192.0.2.7 10.0.0.1 4000 2575\r\n", PROXY_COMPLETE, "192.0.2.7",
               "10.0.0.1");
    check_text("PROXY TCP6 2001:db8::7 2001:db8::1 4000 2575\r\n", PROXY_COMPLETE, "2001:db8::7",
               "2001:db8::1");
    check_text("PROXY UNKNOWN\r\n", PROXY_LOCAL, NULL, NULL);
    check_text("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", PROXY_LOCAL, NULL, NULL);
    check_text("PROXY UNKNOWN a b c d e f g h\r\n", PROXY_LOCAL, NULL, NULL);
}

static void wrong_version_1(void **state)
{
    static const char *const rows[] = {
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP5 192.0.2.7 10.0.0.1 4000 2575\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY tcp4 192.0.2.7 10.0.0.1 4000 2575\r\n",
        "PROXY TCP4 2001:db8::7 2001:db8::1 4000 2575\r\n",
        "PROXY TCP6 192.0.2.7 10.0.0.1 4000 2575\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 4000\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 4000 2575 1\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 4000 65536\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 -1 2575\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 4000 2575x\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 4000 \r\n",
        "PROXY TCP4  192.0.2.7 10.0.0.1 4000 2575\r\n",
        "PROXY TCP4 192.0.2.256 10.0.0.1 4000 2575\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 4000 2575\n",
        "PROXY \n",
    };
    static const char nul[] = "PROXY TCP4 192.0.2.7\0 10.0.0.1 4000 2575\r\n";

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (parse(rows[i], strlen(rows[i])).result != PROXY_INVALID) {
            fail_msg("%s", rows[i]);
        }
    }
    assert_int_equal(parse(nul, sizeof(nul) - 1).result, PROXY_INVALID);
}

/* 107 bytes with CR LF is the longest line there is. */
static void bounds_of_version_1(void **state)
{
    char line[200];

    (void)state;
    memset(line, 'x', sizeof(line));
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_int_equal(parse(line, 106).result, PROXY_NEED_MORE);
    assert_int_equal(parse(line, 107).result, PROXY_INVALID);
    assert_int_equal(parse(line, sizeof(line)).result, PROXY_INVALID);
    memcpy(line + 105, "\r\n", 2);
    assert_int_equal(parse(line, 107).result, PROXY_LOCAL);
    memset(line + 105, 'x', 2);
    memcpy(line + 106, "\r\n", 2);
    assert_int_equal(parse(line, sizeof(line)).result, PROXY_INVALID);
}

/* ---- version 2 ---- */

static size_t make_v2(char *out, uint8_t version_command, uint8_t family, size_t length)
{
    memset(out, 0, 16 + length);
    memcpy(out, signature, 12);
    out[12] = (char)version_command;
    out[13] = (char)family;
    out[14] = (char)(length >> 8);
    out[15] = (char)(length & 0xff);
    return 16 + length;
}

static size_t make_ipv4(char *out, size_t length)
{
    size_t total = make_v2(out, 0x21, 0x11, length);

    memcpy(out + 16, "\xc0\x00\x02\x07\x0a\x00\x00\x01\x0f\xa0\x0a\x0f", 12);
    return total;
}

static size_t make_ipv6(char *out, size_t length)
{
    size_t total = make_v2(out, 0x21, 0x21, length);

    assert_int_equal(inet_pton(AF_INET6, "2001:db8::7", out + 16), 1);
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", out + 32), 1);
    memcpy(out + 48, "\x0f\xa0\x0a\x0f", 4);
    return total;
}

static void version_2(void **state)
{
    char header[PROXY_MAXIMUM];

    (void)state;
    check_header(header, make_ipv4(header, 12), PROXY_COMPLETE, "192.0.2.7", "10.0.0.1");
    check_header(header, make_ipv4(header, 100), PROXY_COMPLETE, "192.0.2.7",
                 "10.0.0.1"); /* TLVs */
    check_header(header, make_ipv6(header, 36), PROXY_COMPLETE, "2001:db8::7", "2001:db8::1");
    check_header(header, make_ipv6(header, PROXY_MAXIMUM - 16), PROXY_COMPLETE, "2001:db8::7",
                 "2001:db8::1");
    check_header(header, make_v2(header, 0x20, 0x00, 0), PROXY_LOCAL, NULL, NULL);
    check_header(header, make_v2(header, 0x20, 0x11, 12), PROXY_LOCAL, NULL, NULL);
}

static void wrong_version_2(void **state)
{
    static const struct {
        uint8_t version_command, family;
        size_t length;
    } rows[] = {
        {0x11, 0x11, 12},
        {0x31, 0x11, 12},
        {0x22, 0x11, 12},
        {0x2f, 0x11, 12},
        {0x21, 0x11, 11},
        {0x21, 0x21, 35},
        {0x21, 0x00, 12},
        {0x21, 0x12, 12},
        {0x21, 0x22, 36},
        {0x21, 0x31, 216},
        {0x21, 0x11, PROXY_MAXIMUM - 15},
        {0x20, 0x00, PROXY_MAXIMUM - 15},
    };
    char header[PROXY_MAXIMUM + 8];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t total = make_v2(header, rows[i].version_command, rows[i].family, rows[i].length);
        if (parse(header, total).result != PROXY_INVALID) {
            fail_msg("row %zu", i);
        }
    }
    make_v2(header, 0x21, 0x11, 12); /* one too long is refused before it has all come */
    header[14] = header[15] = (char)0xff;
    assert_int_equal(parse(header, 16).result, PROXY_INVALID);
}

/* ---- what is no header ---- */

static void no_header(void **state)
{
    static const char *const rows[] = {
        "\vMSH|^~\\&|", "M",         "GET / HTTP/1.1\r\n", "PROXX",
        "PR\n",         "PROXY\r\n", "proxy TCP4",         "\r\n\r\n\r",
        "\r\r",         "\n",        "\x16\x03\x01",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (parse(rows[i], strlen(rows[i])).result != PROXY_MISSING) {
            fail_msg("row %zu", i);
        }
    }
    assert_int_equal(parse("\0\0\0", 3).result, PROXY_MISSING);
    assert_int_equal(parse("", 0).result, PROXY_NEED_MORE);
}

/* Nothing crashes, and once it is decided more bytes change nothing. */
static void garbage(void **state)
{
    unsigned seed = 20261122u;
    char bytes[700];

    (void)state;
    for (int round = 0; round < 20000; round++) {
        enum proxy_result decided = PROXY_NEED_MORE;
        size_t lead = round % 3 == 0 ? make_ipv4(bytes, 12) : 6;
        if (round % 3 == 1) {
            memcpy(bytes, "PROXY ", 6);
        }
        for (size_t i = round % 3 == 2 ? 0 : lead; i < sizeof(bytes); i++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[i] = (char)(seed >> 24);
        }
        seed = seed * 1664525u + 1013904223u;
        bytes[(seed >> 16) % 20] = (char)(seed >> 8);
        for (size_t length = 0; length <= sizeof(bytes); length += 1 + length / 3) {
            struct parsed parsed = parse(bytes, length);
            if (decided != PROXY_NEED_MORE) {
                assert_int_equal(parsed.result, decided);
            }
            decided = parsed.result;
            if (decided == PROXY_COMPLETE || decided == PROXY_LOCAL) {
                assert_in_range(parsed.used, 1, length);
            }
        }
        assert_int_not_equal(decided, PROXY_NEED_MORE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1),
        cmocka_unit_test(wrong_version_1),
        cmocka_unit_test(bounds_of_version_1),
        cmocka_unit_test(version_2),
        cmocka_unit_test(wrong_version_2),
        cmocka_unit_test(no_header),
        cmocka_unit_test(garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
