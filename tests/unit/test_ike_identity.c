/* links: config */
/* Identities as charon understands them. */
#include "config/ike_identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void types(void **state)
{
    static const struct {
        const char *id, *plain;
        enum ike_identity identity;
    } cases[] = {
        {"203.0.113.9", "203.0.113.9", IKE_IDENTITY_ADDRESS},
        {"2001:db8::1", "2001:db8::1", IKE_IDENTITY_ADDRESS},
        {"ipv4:203.0.113.9", "203.0.113.9", IKE_IDENTITY_ADDRESS},
        {"vpn.h.example", "vpn.h.example", IKE_IDENTITY_FQDN},
        {"fw", "fw", IKE_IDENTITY_FQDN},
        {"@fw", "fw", IKE_IDENTITY_FQDN},
        {"DNS:fw", "fw", IKE_IDENTITY_FQDN},
        {"a@h.example", "a@h.example", IKE_IDENTITY_EMAIL},
        {"@@fw", "fw", IKE_IDENTITY_EMAIL},
        {"userfqdn:fw", "fw", IKE_IDENTITY_EMAIL},
        {"@#6677", "6677", IKE_IDENTITY_KEY_ID},
        {"keyid:fw", "fw", IKE_IDENTITY_KEY_ID},
        {"site:7", "site:7", IKE_IDENTITY_KEY_ID},
        {"C=DE, CN=fw@h.example", "C=DE, CN=fw@h.example", IKE_IDENTITY_DN},
        {"asn1dn:CN=fw", "CN=fw", IKE_IDENTITY_DN},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *plain = NULL;
        assert_int_equal(ike_identity(cases[i].id, &plain), cases[i].identity);
        assert_string_equal(plain, cases[i].plain);
    }
}

static void the_same(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"fw.h.example", "fw.h.example", true},
        {"fw.h.example", "FW.h.example", true},
        {"fw.h.example", "dns:fw.h.example", true},
        {"@fw", "fqdn:FW", true},
        {"a@h.example", "email:A@h.example", true},
        {"2001:db8::1", "2001:db8:0:0::1", true},
        {"203.0.113.9", "ipv4:203.0.113.9", true},
        {"CN=fw", "asn1dn:CN=fw", true},
        {"fw.h.example", "fw.h.example2", false},
        {"fw", "keyid:fw", false},
        {"fw", "@@fw", false},
        {"keyid:fw", "keyid:FW", false},
        {"203.0.113.9", "203.0.113.8", false},
        {"203.0.113.9", "dns:203.0.113.9", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (ike_identity_same(cases[i].a, cases[i].b) != cases[i].same ||
            ike_identity_same(cases[i].b, cases[i].a) != cases[i].same) {
            fail_msg("%s, %s", cases[i].a, cases[i].b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types),
        cmocka_unit_test(the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
