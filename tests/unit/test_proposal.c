/* links: config */
/* Proposals in strongSwan's keywords: what is taken, and what is refused with which words. */
#include "config/proposal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *parse(const char *text, enum proposal_protocol protocol, const char *allowed,
                         struct proposal *ret_proposal)
{
    static char error[PROPOSAL_ERROR_BYTES];
    return proposal_parse(text, protocol, &allowed, allowed ? 1 : 0, ret_proposal, error);
}

static void good_ones_are_taken(void **state)
{
    static const struct {
        const char *text;
        enum proposal_protocol protocol;
        size_t words;
    } cases[] = {
        {"aes256gcm16-prfsha384-ecp384", PROPOSAL_IKE, 3},
        {"aes256-sha256-modp2048", PROPOSAL_IKE, 4}, /* and prfsha256 */
        {"aes256-sha256-prfsha512-modp2048", PROPOSAL_IKE, 4},
        {"aes128-aes256-sha256-sha384-ecp256-ecp384", PROPOSAL_IKE, 8},
        {"chacha20poly1305-prfsha256-x25519", PROPOSAL_IKE, 3},
        {"aes128gcm16", PROPOSAL_ESP, 1},
        {"aes256gcm-prfsha384-ecp384", PROPOSAL_IKE, 3},
        {"aes192ccm-ecp384", PROPOSAL_ESP, 2},
        {"aes256gcm16-ecp384-esn-noesn", PROPOSAL_ESP, 4},
        {"aes256-sha512-modp4096", PROPOSAL_ESP, 3},
        {"aes128-aescmac-curve25519", PROPOSAL_IKE, 4},
        {"aes256-sha256-sha2_256-ecp256", PROPOSAL_IKE, 5}, /* two names, one PRF */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proposal proposal;
        const char *problem = parse(cases[i].text, cases[i].protocol, NULL, &proposal);
        if (problem) {
            fail_msg("%s: %s", cases[i].text, problem);
        }
        assert_int_equal(proposal.count, cases[i].words);
        assert_int_equal(proposal.protocol, cases[i].protocol);
    }
}

static void a_prf_is_derived_as_charon_does(void **state)
{
    struct proposal proposal;
    (void)state;
    assert_null(parse("aes256-sha384-modp3072", PROPOSAL_IKE, NULL, &proposal));
    const struct proposal_word *prf = proposal_next(&proposal, PROPOSAL_PRF, NULL);
    assert_non_null(prf);
    assert_string_equal(prf->name, "prfsha384");
    assert_string_equal(prf->charon, "PRF_HMAC_SHA2_384");
    assert_null(proposal_next(&proposal, PROPOSAL_PRF, prf));
    assert_int_equal(proposal_next(&proposal, PROPOSAL_GROUP, NULL)->group, 15);
    assert_int_equal(proposal_next(&proposal, PROPOSAL_ENCRYPTION, NULL)->bits, 256);
    /* ESP has none. */
    assert_null(parse("aes256-sha384", PROPOSAL_ESP, NULL, &proposal));
    assert_null(proposal_next(&proposal, PROPOSAL_PRF, NULL));
}

static void bad_ones_are_refused_with_what_to_do(void **state)
{
    static const struct {
        const char *text;
        enum proposal_protocol protocol;
        const char *problem;
    } cases[] = {
        {"", PROPOSAL_IKE, "word 1 is empty"},
        {"aes256-", PROPOSAL_IKE, "word 2 is empty"},
        {"aes256--sha256", PROPOSAL_IKE, "word 2 is empty"},
        {"aes257-sha256-modp2048", PROPOSAL_IKE, "\"aes257\", its word 1"},
        {"aes256-sha265-modp2048", PROPOSAL_IKE, "did you mean \"sha256\""},
        {"aes256-sha256-modp2048!", PROPOSAL_IKE, "its word 3"},
        {"AES256-sha256-modp2048", PROPOSAL_IKE, "did you mean \"aes256\""},
        {"default", PROPOSAL_IKE, "none of strongSwan's keywords"},
        {"aes256gcm16-prfsha384-ecp384-ke1_mlkem768", PROPOSAL_IKE,
         "\"ke1_mlkem768\", its word 4, is a key exchange that strongSwan has from 6.0 on only"},
        {"aes256gcm16-ecp384-ke7_none", PROPOSAL_ESP,
         "\"ke7_none\", its word 3, is a key exchange"},
        {"aes256gcm16-prfsha384-mlkem1024", PROPOSAL_IKE, "name a group that 5.9 has, too"},
        {"aes256gcm16-prfsha384-ecp384-ke8_mlkem768", PROPOSAL_IKE,
         "none of strongSwan's keywords"},
        {"aes256gcm16-prfsha384-ecp384-ke1mlkem768", PROPOSAL_IKE, "none of strongSwan's keywords"},
        {"aes128-aes192-aes256-aes128ctr-aes192ctr-aes256ctr-camellia128-camellia192-camellia256-"
         "sha256-sha384-sha512-ecp256",
         PROPOSAL_ESP, "more than 12 words"},
        {"aes256-sha256-aes256", PROPOSAL_ESP, "\"aes256\" twice"},
        {"aes256gcm16-sha384-ecp384", PROPOSAL_IKE, "write the PRF"},
        {"aes256gcm16-sha384", PROPOSAL_ESP, "leave it out"},
        {"aes256-aes256gcm16-sha256", PROPOSAL_ESP, "two proposals"},
        {"aes256-modp2048", PROPOSAL_ESP, "no integrity algorithm"},
        {"aes256-prfsha256-modp2048", PROPOSAL_IKE, "no integrity algorithm"},
        {"aes256gcm16-ecp384", PROPOSAL_IKE, "no PRF"},
        {"aes256gcm16-prfsha384", PROPOSAL_IKE, "no Diffie-Hellman group"},
        {"sha256-modp2048", PROPOSAL_IKE, "names no encryption"},
        {"aes256gcm16-prfsha384", PROPOSAL_ESP, "which ESP has not"},
        {"aes256gcm16-prfsha384-ecp384-esn", PROPOSAL_IKE, "belongs to ESP"},
        {"aes256-sha256_96-ecp384", PROPOSAL_IKE, "belongs to ESP"},
        {"aes256-sha2_256_96-ecp384", PROPOSAL_IKE, "belongs to ESP"},
        {"aes256-sha2_256_96-ecp384", PROPOSAL_ESP, "\"sha2_256_96\" is weak and refused"},
        {"aes256gcm-sha384-ecp384", PROPOSAL_IKE, "write the PRF"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proposal proposal = {.count = 77};
        const char *problem = parse(cases[i].text, cases[i].protocol, NULL, &proposal);
        if (!problem || !strstr(problem, cases[i].problem)) {
            fail_msg("%s: %s", cases[i].text, problem ? problem : "taken");
        }
        assert_int_equal(proposal.count, 77); /* untouched on failure */
    }
}

/* Each weak word is refused by itself and taken when it, and not another one, is allowed. */
static void weak_words_are_allowed_by_name_only(void **state)
{
    static const struct {
        const char *text;
        enum proposal_protocol protocol;
        const char *word;
    } cases[] = {
        {"des-sha256", PROPOSAL_ESP, "des"},
        {"3des-sha256", PROPOSAL_ESP, "3des"},
        {"cast128-sha256", PROPOSAL_ESP, "cast128"},
        {"blowfish256-sha256", PROPOSAL_ESP, "blowfish256"},
        {"null-sha256", PROPOSAL_ESP, "null"},
        {"aes256gmac", PROPOSAL_ESP, "aes256gmac"},
        {"aes256-md5", PROPOSAL_ESP, "md5"},
        {"aes256-sha1", PROPOSAL_ESP, "sha1"},
        {"aes256-sha", PROPOSAL_ESP, "sha"},
        {"aes256-sha256_96", PROPOSAL_ESP, "sha256_96"},
        {"aes256-sha1-modp2048", PROPOSAL_IKE, "sha1"}, /* and its PRF with it */
        {"aes256gcm16-prfmd5-ecp256", PROPOSAL_IKE, "prfmd5"},
        {"aes256gcm16-prfsha1-ecp256", PROPOSAL_IKE, "prfsha1"},
        {"aes256-sha256-modp768", PROPOSAL_IKE, "modp768"},
        {"aes256-sha256-modp1024", PROPOSAL_IKE, "modp1024"},
        {"aes256-sha256-modp1536", PROPOSAL_IKE, "modp1536"},
        {"aes256-sha256-modp1024s160", PROPOSAL_IKE, "modp1024s160"},
        {"aes256-sha256-modp2048s256", PROPOSAL_IKE, "modp2048s256"},
        {"aes256-sha256-ecp192", PROPOSAL_IKE, "ecp192"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proposal proposal;
        const char *problem = parse(cases[i].text, cases[i].protocol, "modp", &proposal);
        if (!problem || !strstr(problem, cases[i].word) || !strstr(problem, "allow_weak")) {
            fail_msg("%s: %s", cases[i].text, problem ? problem : "taken");
        }
        problem = parse(cases[i].text, cases[i].protocol, cases[i].word, &proposal);
        if (problem) {
            fail_msg("%s with %s: %s", cases[i].text, cases[i].word, problem);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_are_taken),
        cmocka_unit_test(a_prf_is_derived_as_charon_does),
        cmocka_unit_test(bad_ones_are_refused_with_what_to_do),
        cmocka_unit_test(weak_words_are_allowed_by_name_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
