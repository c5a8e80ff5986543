/* links: base */
#include "base/digest.h"

#include <psa/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct digest_key *new_key(uint8_t fill)
{
    uint8_t bytes[32];

    memset(bytes, fill, sizeof bytes);
    struct digest_key *key = digest_key_new(bytes);
    assert_non_null(key);
    return key;
}

static void hex_of(const struct digest_key *key, const struct span *parts, size_t count, char *text)
{
    uint8_t digest[DIGEST_BYTES];

    assert_int_equal(digest_compute(key, parts, count, digest), 0);
    digest_to_hex(digest, sizeof digest, text);
}

/* Computed with Python's hmac over 8-byte big-endian lengths and parts. */
static void known_value(void **state)
{
    struct digest_key *key = new_key(0x0b);
    const struct span parts[] = {span_of_string("peer"), span_of_string(""), span_of("a\0b", 3)};
    char text[2 * DIGEST_BYTES + 1];

    (void)state;
    hex_of(key, parts, 3, text);
    assert_string_equal(text, "81899fee2197c15da37fe5f6b52fdc01fbffeb349fcc531e6f3769145dc0aaa8");
    digest_key_free(&key);
    assert_null(key);
    digest_key_free(&key);
}

static void parts_and_keys_matter(void **state)
{
    struct digest_key *key = new_key(1), *other = new_key(2);
    const struct span one[] = {span_of_string("ab"), span_of_string("c")};
    const struct span two[] = {span_of_string("a"), span_of_string("bc")};
    char first[65], second[65], third[65], fourth[65];

    (void)state;
    hex_of(key, one, 2, first);
    hex_of(key, two, 2, second);
    hex_of(other, one, 2, third);
    hex_of(key, one, 2, fourth);
    assert_string_not_equal(first, second);
    assert_string_not_equal(first, third);
    assert_string_equal(first, fourth);
    digest_key_free(&key);
    digest_key_free(&other);
}

static int start_psa(void **state)
{
    (void)state;
    return psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_value),
        cmocka_unit_test(parts_and_keys_matter),
    };

    return cmocka_run_group_tests_name("digest", tests, start_psa, NULL);
}
