/* links: vpn */
#include "vpn/alert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_types(void **state)
{
    char other[ALERT_TEXT_BYTES];

    (void)state;
    assert_string_equal(alert_of_type("proposal-mismatch-ike", other), "no IKE proposal in common");
    assert_string_equal(alert_of_type("ts-mismatch", other),
                        "the subnets of both sides don't match");
    assert_null(alert_of_type("retransmit-send", other));
    assert_null(alert_of_type("shutdown-signal", other));
}

static void test_types_of_later_versions(void **state)
{
    char other[ALERT_TEXT_BYTES], type[400];

    (void)state;
    assert_string_equal(alert_of_type("quantum\n\x1b[31m-failed", other),
                        "charon says: quantum??[31m-failed");
    memset(type, 'x', sizeof type);
    type[399] = '\0';
    assert_int_equal(strlen(alert_of_type(type, other)), strlen("charon says: ") + 100);
}

static void test_ike_down(void **state)
{
    struct sa_ike ike = {.state = SA_IKE_CONNECTING};

    (void)state;
    assert_string_equal(alert_of_ike_down(&ike),
                        "refused while being set up: no IKE proposal in common, or no IKEv2 for us "
                        "there");
    memcpy(ike.cipher, "aes", 4);
    assert_string_equal(alert_of_ike_down(&ike),
                        "refused while being set up: key, identities or certificates don't match");
    ike.state = SA_IKE_ESTABLISHED;
    assert_string_equal(alert_of_ike_down(&ike), "the other side stopped answering");
    ike.state = SA_IKE_DELETING;
    assert_string_equal(alert_of_ike_down(&ike), "ended from this side");
    ike.peer_deletes = true;
    assert_string_equal(alert_of_ike_down(&ike), "the other side ended the tunnel");
    ike.state = SA_IKE_OTHER;
    assert_string_equal(alert_of_ike_down(&ike), "the IKE SA ended");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_types_of_later_versions),
        cmocka_unit_test(test_ike_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
