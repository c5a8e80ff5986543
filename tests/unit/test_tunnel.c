/* links: vpn */
/* One tunnel by itself; what happens over time is in tests/replay/test_tunnels.c. */
#include "vpn/tunnel.h"

#include "support/vici_case.h"

#include <errno.h>

static const struct tunnel_wanted plain = {.name = "site"};

static void test_names(void **state)
{
    struct tunnel tunnel;

    (void)state;
    tunnel_init(&tunnel, &plain, 0);
    assert_true(tunnel_is_named(&tunnel, "mllpgw-site"));
    assert_false(tunnel_is_named(&tunnel, "site"));
    assert_false(tunnel_is_named(&tunnel, "mllpgw-site2"));
    assert_false(tunnel_is_named(&tunnel, "mllpgw-"));
    assert_false(tunnel_is_named(&tunnel, "MLLPGW-site"));
    assert_false(tunnel_is_named(&tunnel, ""));
    tunnel_free(&tunnel);
}

static struct sa_child child_of(uint64_t uniqueid, const char *spi, uint64_t bytes)
{
    struct sa_child child = {.uniqueid = uniqueid,
                             .state = SA_CHILD_INSTALLED,
                             .has_counters = true,
                             .bytes_in = bytes,
                             .use_in_s = SA_NOT_SAID,
                             .use_out_s = SA_NOT_SAID};
    snprintf(child.spi_in, sizeof child.spi_in, "%s", spi);
    return child;
}

static void put(struct tunnel *tunnel, uint64_t uniqueid, const char *spi, uint64_t bytes)
{
    struct sa_child child = child_of(uniqueid, spi, bytes);
    assert_int_equal(tunnel_put_child(tunnel, 0, 1, &child), 0);
}

static void test_same_number_other_spi_is_another(void **state)
{
    struct tunnel tunnel;

    (void)state;
    tunnel_init(&tunnel, &plain, 0);
    put(&tunnel, 1, "aaaa", 1000);
    put(&tunnel, 1, "aaaa", 1500);
    assert_int_equal(tunnel.bytes_in, 1500);
    tunnel_forget(&tunnel); /* charon restarts, and counts its SAs from 1 */
    put(&tunnel, 1, "bbbb", 2000);
    assert_int_equal(tunnel.child_count, 2);
    assert_int_equal(tunnel.bytes_in, 3500);
    tunnel_free(&tunnel);
}

static void test_a_counter_that_runs_backwards_began_anew(void **state)
{
    struct tunnel tunnel;

    (void)state;
    tunnel_init(&tunnel, &plain, 0);
    put(&tunnel, 1, "", 1000);
    put(&tunnel, 1, "", 10);
    put(&tunnel, 1, "", 15);
    assert_int_equal(tunnel.bytes_in, 1015);
    tunnel_free(&tunnel);
}

static void test_what_ended_keeps_its_counters_once(void **state)
{
    struct sa_child last = child_of(1, "aaaa", 1200);
    struct tunnel tunnel;

    (void)state;
    tunnel_init(&tunnel, &plain, 0);
    put(&tunnel, 1, "aaaa", 1000);
    tunnel_end_ike(&tunnel, 1);
    tunnel_end_child(&tunnel, 0, &last); /* its own event comes behind the IKE SA's */
    tunnel_end_child(&tunnel, 0, &last);
    put(&tunnel, 1, "aaaa", 1200); /* a listing that was on its way */
    put(&tunnel, 1, "aaaa", 1200);
    assert_int_equal(tunnel.bytes_in, 1200);
    assert_false(tunnel_child_counts(&tunnel.children[0]));
    tunnel_free(&tunnel);
}

static void test_many_are_bounded(void **state)
{
    struct sa_ike ike = {.uniqueid = 1};
    struct tunnel tunnel;

    (void)state;
    tunnel_init(&tunnel, &plain, 0);
    for (unsigned i = 1; i <= TUNNEL_SAS_MAXIMUM; i++) {
        put(&tunnel, i, "", 0);
        ike.uniqueid = i;
        assert_int_equal(tunnel_put_ike(&tunnel, 0, &ike), 0);
    }
    struct sa_child child = child_of(9999, "", 0);
    ike.uniqueid = 9999;
    assert_int_equal(tunnel_put_child(&tunnel, 0, 1, &child), -ENOBUFS);
    assert_int_equal(tunnel_put_ike(&tunnel, 0, &ike), -ENOBUFS);
    put(&tunnel, 7, "", 1); /* those that are there still renew */
    tunnel_free(&tunnel);
}

static struct sa_selectors hosts_downwards(unsigned from)
{
    struct sa_selectors end = {.items = calloc(SA_SELECTORS_MAXIMUM, sizeof *end.items),
                               .count = SA_SELECTORS_MAXIMUM};

    assert_non_null(end.items);
    for (unsigned i = 0; i < SA_SELECTORS_MAXIMUM; i++) {
        char text[SELECTOR_TEXT_BYTES];
        unsigned host = from - i;
        snprintf(text, sizeof text, "10.%u.%u.%u", host >> 16 & 255, host >> 8 & 255, host & 255);
        assert_null(selector_parse(text, strlen(text), &end.items[i]));
    }
    return end;
}

/* What an other side may come to: each address by itself, last one first. To compare each with each
 * would take minutes. */
static void test_as_many_selectors_as_there_may_be(void **state)
{
    struct selector network;
    const struct tunnel_wanted wanted = {
        .name = "site", .local = &network, .local_count = 1, .remote = &network, .remote_count = 1};
    struct tunnel tunnel;

    (void)state;
    assert_null(selector_parse("10.0.0.0/16", 11, &network));
    tunnel_init(&tunnel, &wanted, 0);
    for (unsigned i = 0; i < TUNNEL_SAS_MAXIMUM; i++) {
        struct sa_child child = child_of(i + 1, "", 0);
        child.local = hosts_downwards(65535 - i * SA_SELECTORS_MAXIMUM);
        child.remote = hosts_downwards(65535 - i * SA_SELECTORS_MAXIMUM);
        assert_int_equal(tunnel_put_child(&tunnel, 0, 1, &child), 0);
    }
    for (int second = 0; second < 5; second++)
        (void)tunnel_judge(&tunnel, 1000 * second);
    assert_int_equal(tunnel.state, TUNNEL_UP);
    assert_int_equal(tunnel.warnings, 0);
    tunnel_free(&tunnel);
}

static void test_words(void **state)
{
    const struct tunnel tunnel = {.ends_s = {SA_NOT_SAID, SA_NOT_SAID, SA_NOT_SAID}};
    char text[ALERT_TEXT_BYTES];

    (void)state;
    assert_string_equal(tunnel_state_text(TUNNEL_UNKNOWN), "unknown");
    assert_string_equal(tunnel_state_text(TUNNEL_DOWN), "down");
    assert_string_equal(tunnel_state_text(TUNNEL_CONNECTING), "connecting");
    assert_string_equal(tunnel_state_text(TUNNEL_UP), "up");
    for (unsigned i = 0; i <= TUNNEL_WARNINGS; i++) {
        tunnel_warning_text(&tunnel, (enum tunnel_warning)(1u << i), text);
        assert_int_equal(strlen(text) > 0, i < TUNNEL_WARNINGS);
    }
}

static void test_what_runs_out_is_warned_of(void **state)
{
    static const struct {
        enum tunnel_end end;
        int64_t left_s;
        unsigned warnings;
        const char *text;
    } cases[] = {
        {TUNNEL_END_CERTIFICATE, 30 * 86400, 0, NULL},
        {TUNNEL_END_CERTIFICATE, 30 * 86400 - 1, TUNNEL_WARNS_CERTIFICATE,
         "our certificate (or one above it) is valid until 2001-10-09 01:46 UTC"},
        {TUNNEL_END_CERTIFICATE, -1, TUNNEL_WARNS_CERTIFICATE,
         "our certificate (or one above it) is valid until 2001-09-09 01:46 UTC"},
        {TUNNEL_END_REMOTE_CA, 86400, TUNNEL_WARNS_REMOTE_CA,
         "a CA in remote_ca is valid until 2001-09-09 01:46 UTC"},
        {TUNNEL_END_CRL, 0, 0, NULL},
        {TUNNEL_END_CRL, -1, TUNNEL_WARNS_CRL,
         "the revocation list is valid until 2001-09-09 01:46 UTC"},
    };
    const struct tunnel_wanted wanted = {.name = "a"};
    const int64_t wall_s = 1000000000; /* 2001-09-09 01:46:40 */

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tunnel tunnel;
        char text[ALERT_TEXT_BYTES] = "";
        tunnel_init(&tunnel, &wanted, 0);
        tunnel.ends_s[cases[i].end] = wall_s + cases[i].left_s;
        tunnel_judge_ends(&tunnel, wall_s);
        assert_int_equal(tunnel_judge(&tunnel, 1), cases[i].warnings != 0);
        assert_int_equal(tunnel.warnings, cases[i].warnings);
        if (cases[i].text != NULL && cases[i].left_s != 86400) {
            tunnel_warning_text(&tunnel, (enum tunnel_warning)cases[i].warnings, text);
            assert_string_equal(text, cases[i].text);
        }
        tunnel_judge_ends(&tunnel, wall_s - INT64_C(86400) * 1000);
        assert_int_equal(tunnel_judge(&tunnel, 2), cases[i].warnings != 0);
        assert_int_equal(tunnel.warnings, 0);
        tunnel_free(&tunnel);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_same_number_other_spi_is_another),
        cmocka_unit_test(test_a_counter_that_runs_backwards_began_anew),
        cmocka_unit_test(test_what_ended_keeps_its_counters_once),
        cmocka_unit_test(test_many_are_bounded),
        cmocka_unit_test(test_as_many_selectors_as_there_may_be),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_what_runs_out_is_warned_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
