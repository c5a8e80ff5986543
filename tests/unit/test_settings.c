/* links: vpn config */
/* What the digest of a tunnel's settings is made of, and what not. */
#include "vpn/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(text) ((char *)(uintptr_t)(text))

static char *ours[] = {TEXT("10.20.0.0/24"), TEXT("10.21.0.0/24")};
static char *theirs[] = {TEXT("10.10.0.0/24"), TEXT("10.11.0.0/24")};

static const struct config_tunnel tunnel = {
    .name = TEXT("site"),
    .remote = TEXT("203.0.113.9"),
    .local = TEXT("198.51.100.4"),
    .local_id = TEXT("us"),
    .psk_file = TEXT("/etc/mllp-gateway/site.psk"),
    .local_subnets = {ours, 1, true},
    .remote_subnets = {theirs, 1, true},
};

static bool is_same(const struct config_tunnel *other)
{
    char one[SETTINGS_DIGEST_BYTES], two[SETTINGS_DIGEST_BYTES];

    settings_digest(&tunnel, one);
    settings_digest(other, two);
    assert_int_equal(strlen(one), SETTINGS_DIGEST_BYTES - 1);
    return settings_are_same(one, two);
}

/* tests/system/harness/tunneld_stand_in.py makes the same one. */
static void known_answer(void **state)
{
    char digest[SETTINGS_DIGEST_BYTES];

    (void)state;
    settings_digest(&tunnel, digest);
    assert_string_equal(digest, "9e901f32cad3db21e5f59a18e56682e2");
    assert_true(settings_are_same(digest, digest));
    assert_false(settings_are_same("", ""));
    assert_false(settings_are_same(digest, ""));
}

static void what_makes_it_another_tunnel(void **state)
{
    struct config_tunnel others[13];
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        others[i] = tunnel;
    }
    others[count++].remote = TEXT("203.0.113.10");
    others[count++].local = NULL;
    others[count++].remote_id = TEXT("them");
    others[count++].local_id = TEXT("");
    others[count++].psk_file = TEXT("/etc/mllp-gateway/other.psk");
    others[count++].certificate = TEXT("us.pem");
    others[count++].key = TEXT("us.key");
    others[count++].remote_ca = TEXT("ca.pem");
    others[count++].crl = TEXT("ca.crl");
    others[count++].crl_required = true;
    others[count++].local_subnets.count = 2;
    others[count++].remote_subnets.count = 2;
    others[count].local_subnets = tunnel.remote_subnets; /* swapped */
    others[count++].remote_subnets = tunnel.local_subnets;
    for (size_t i = 0; i < count; i++) {
        if (is_same(&others[i])) {
            fail_msg("%zu", i);
        }
    }
}

static void what_does_not(void **state)
{
    struct config_tunnel other = tunnel;

    (void)state;
    other.name = TEXT("renamed");
    other.grace_s = 60;
    other.ready = true;
    other.pair = TEXT("second");
    other.esp_lifetime_s = 3600;
    other.mss = 1300;
    other.start = CONFIG_START_TRAP;
    other.remote_id = TEXT("203.0.113.9");              /* what it is when it is not set */
    other.psk_file = TEXT("/run/secrets/vpn/site.psk"); /* in another container */
    assert_true(is_same(&other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answer),
        cmocka_unit_test(what_makes_it_another_tunnel),
        cmocka_unit_test(what_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
