/* links: vpn */
#include "vpn/proposal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_text(void **state)
{
    static const struct {
        struct proposal_names names;
        const char *text;
    } cases[] = {
        {{"AES_GCM_16", "256", "", "PRF_HMAC_SHA2_256", "ECP_256", {""}},
         "aes256gcm16-prfsha256-ecp256"},
        {{"AES_GCM_16", "128", "", "", "", {""}}, "aes128gcm16"},
        {{"AES_CBC", "256", "HMAC_SHA2_256_128", "PRF_HMAC_SHA2_256", "MODP_2048", {""}},
         "aes256-sha256-prfsha256-modp2048"},
        {{"AES_CBC", "128", "HMAC_SHA1_96", "PRF_HMAC_SHA1", "MODP_2048_224", {""}},
         "aes128-sha1-prfsha1-modp2048s224"},
        {{"3DES_CBC", "", "HMAC_MD5_96", "PRF_HMAC_MD5", "MODP_1024", {""}},
         "3des-md5-prfmd5-modp1024"},
        {{"CHACHA20_POLY1305", "256", "", "PRF_AES128_XCBC", "CURVE_25519", {""}},
         "chacha20poly1305-prfaesxcbc-curve25519"},
        {{"AES_GCM_16",
          "256",
          "",
          "PRF_HMAC_SHA2_384",
          "ECP_384",
          {"ML_KEM_768", "", "ECP_256_BP"}},
         "aes256gcm16-prfsha384-ecp384-ke1_mlkem768-ke3_ecp256bp"},
        {{"CAST_CBC", "128", "HMAC_SHA2_256_128", "", "", {""}}, "cast128-sha256"},
        {{"BLOWFISH_CBC", "192", "HMAC_SHA2_256_128", "", "", {""}}, "blowfish192-sha256"},
        {{"NEW_CIPHER", "512", "NEW_MAC", "", "", {""}}, "new_cipher512-new_mac"},
        {{"", "", "", "", "", {""}}, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[PROPOSAL_TEXT_BYTES];
        proposal_text(&cases[i].names, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_text_is_bounded(void **state)
{
    struct proposal_names names;
    char text[PROPOSAL_TEXT_BYTES];

    (void)state;
    memset(&names, 'X', sizeof names);
    for (size_t end = PROPOSAL_NAME_BYTES - 1; end < sizeof names; end += PROPOSAL_NAME_BYTES)
        ((char *)&names)[end] = '\0';
    proposal_text(&names, text);
    assert_int_equal(strlen(text), PROPOSAL_TEXT_BYTES - 1);
}

static void test_allowed(void **state)
{
    static const struct {
        const char *wanted, *agreed;
        bool allowed;
    } cases[] = {
        {"aes256gcm16-prfsha256-ecp256", "aes256gcm16-prfsha256-ecp256", true},
        {"aes256gcm16-prfsha384-ecp384", "aes256gcm16-prfsha256-ecp256", false},
        {"aes256gcm16-prfsha256-ecp256", "aes128gcm16-prfsha256-ecp256", false},
        {"aes256-sha256-modp2048", "aes256-sha256-prfsha256-modp2048", true},
        {"aes256-sha256-modp2048", "aes256-sha256-prfsha1-modp2048", false},
        {"aes256-sha256-prfsha384-modp2048", "aes256-sha256-prfsha256-modp2048", false},
        {"aes256gcm16-sha384-modp2048", "aes256gcm16-prfsha384-modp2048", true},
        {"aes128-aes256-sha256-sha384-modp2048-ecp256", "aes256-sha384-prfsha384-ecp256", true},
        /* The first CHILD SA has no group, one that was rekeyed has. */
        {"aes128gcm16-ecp256", "aes128gcm16", true},
        {"aes128gcm16-ecp256", "aes128gcm16-ecp256", true},
        {"aes128gcm16-ecp256", "aes128gcm16-modp1024", false},
        {"aes128gcm16", "aes128gcm16-ecp256", false},
        /* spellings */
        {"aes256gcm128-sha2_256-x25519", "aes256gcm16-prfsha256-curve25519", true},
        {"aes-sha-modp1536", "aes128-sha1-prfsha1-modp1536", true},
        {"aes256gcm16-prfsha384-ecp384-ke1_mlkem768", "aes256gcm16-prfsha384-ecp384-ke1_mlkem768",
         true},
        {"aes256gcm16-prfsha384-ecp384", "aes256gcm16-prfsha384-ecp384-ke1_mlkem768", false},
        {"blowfish-sha256", "blowfish128-sha256", true},
        {"aes128gcm-ecp256", "aes128gcm16", true},
        {"aes128-sha1_160-modp2048", "aes128-sha1_160-prfsha1-modp2048", true},
        {"aes128-md5_128-modp2048", "aes128-md5_128-prfmd5-modp2048", true},
        {"aes128-sha1_160-modp2048", "aes128-sha1-prfsha1-modp2048", false},
        {"aes128-sha1_160-prfsha256-modp2048", "aes128-sha1_160-prfsha1-modp2048", false},
        {"default", "3des-md5-modp768", true},
        {"aes256-noesn", "aes256", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (proposal_allows(cases[i].wanted, cases[i].agreed) != cases[i].allowed)
            fail_msg("%s, %s", cases[i].wanted, cases[i].agreed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_is_bounded),
        cmocka_unit_test(test_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
