/* links: vpn config */
/* The configuration's tunnels as tunnels.h watches them. */
#include "vpn/wanted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TEXT(text) ((char[]){text})

static void test_what_is_wanted(void **state)
{
    char *local[] = {TEXT("10.20.0.0/24"), TEXT("10.20.1.0/24")},
         *remote[] = {TEXT("nonsense"), TEXT("2001:db8::/64")};
    char *ike[] = {TEXT("aes256gcm16-prfsha384-ecp384")},
         *esp[] = {TEXT("aes256gcm16"), TEXT("aes128gcm16")};
    struct config_tunnel tunnels[] = {
        {.name = TEXT("a"),
         .local_subnets = {local, 2, true},
         .remote_subnets = {remote, 2, true},
         .ike_proposals = {ike, 1, true},
         .esp_proposals = {esp, 2, true}},
        {.name = TEXT("b")},
    };
    const struct config config = {.tunnels = tunnels, .tunnel_count = 2};
    struct wanted *wanted = wanted_new(&config);
    char text[SELECTOR_TEXT_BYTES];

    (void)state;
    assert_non_null(wanted);
    assert_int_equal(wanted->count, 2);
    assert_ptr_equal(wanted->items[0].name, tunnels[0].name);
    assert_int_equal(wanted->items[0].local_count, 2);
    settings_digest(&tunnels[0], text);
    assert_string_equal(wanted->items[0].settings, text);
    selector_print(&wanted->items[0].local[1], text);
    assert_string_equal(text, "10.20.1.0/24");
    assert_int_equal(wanted->items[0].remote_count, 1);
    selector_print(&wanted->items[0].remote[0], text);
    assert_string_equal(text, "2001:db8::/64");
    assert_int_equal(wanted->items[0].ike_proposal_count, 1);
    assert_string_equal(wanted->items[0].esp_proposals[1], "aes128gcm16");
    assert_int_equal(wanted->items[1].local_count + wanted->items[1].esp_proposal_count, 0);
    wanted_free(&wanted);
    assert_null(wanted);
    wanted_free(&wanted);
}

static void test_none(void **state)
{
    const struct config config = {0};
    struct wanted *wanted = wanted_new(&config);

    (void)state;
    assert_non_null(wanted);
    assert_int_equal(wanted->count, 0);
    wanted_free(&wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_wanted),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
