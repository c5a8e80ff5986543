/* links: vpn */
/* Counters and warnings of tunnels over time. */
#include "support/tunnel_script.h"

/* --- counters ----------------------------------------------------------------------------- */

static void test_counters_survive_rekeys(void **state)
{
    (void)state;
    play_script(IS_UP
                "begin\n"
                "list-sa IKE1{ children{ CHILD1{ bytes-in=100 bytes-out=50 } } }\n"
                "end\n"
                "show\n"
                "  up 100/50 0 flaps 0 rekeys\n"
                "child-rekey IKE1{ children{ both{ OLD1{ } NEW2{ } } } }\n"
                "begin\n"
                "list-sa IKE1{ children{ CHILD1{ bytes-in=110 bytes-out=50 } CHILD2{ bytes-in=7 "
                "bytes-out=3 } } }\n"
                "end\n"
                "show\n"
                "  up 117/53 0 flaps 1 rekeys\n"
                "begin\n"
                "list-sa IKE1{ children{ CHILD2{ bytes-in=8 bytes-out=3 } } }\n"
                "end\n"
                "begin\n"
                "list-sa IKE1{ children{ CHILD2{ bytes-in=9 bytes-out=3 } } }\n"
                "end\n"
                "begin\n"
                "list-sa IKE1{ children{ CHILD2{ bytes-in=10 bytes-out=3 } } }\n"
                "end\n"
                "show\n"
                "  up 120/53 0 flaps 1 rekeys\n"
                "ike-updown IKE1{ }\n"
                "  site up -> down\n"
                /* the last bytes come with the CHILD SA's own event */
                "child-updown IKE1{ children{ CHILD2{ bytes-in=30 bytes-out=4 } } }\n"
                "show\n"
                "  down 140/54 1 flaps 1 rekeys\n");
}

static void test_last_packets(void **state)
{
    struct tunnel_wanted wanted = {.name = "site"};
    struct play play = begin_play(&wanted);
    const struct tunnel *site = tunnels_find(play.tunnels, "site");

    (void)state;
    run_script(&play, "at 100000\n" UP_1);
    assert_int_equal(site->last_in_ms, -1);
    run_script(
        &play,
        "list-sa IKE1{ children{ CHILD1{ bytes-in=1 bytes-out=1 use-in=4 use-out=60 } } }\n");
    assert_int_equal(site->last_in_ms, 96000);
    assert_int_equal(site->last_out_ms, 40000);
    /* Another CHILD SA that was never used does not take it back. */
    run_script(&play, "at 200000\n"
                      "list-sa IKE1{ children{ CHILD2{ bytes-in=0 bytes-out=0 use-out=1 } } }\n");
    assert_int_equal(site->last_in_ms, 96000);
    assert_int_equal(site->last_out_ms, 199000);
    tunnels_free(&play.tunnels);
}

/* --- warnings ----------------------------------------------------------------------------- */

static void test_cipher_drift(void **state)
{
    static const char *const ike[] = {"aes256gcm16-prfsha384-ecp384", "aes256-sha256-modp2048"};
    static const char *const esp[] = {"aes128gcm16-ecp256"};
    const struct tunnel_wanted wanted = {.name = "site",
                                         .ike_proposals = ike,
                                         .ike_proposal_count = 2,
                                         .esp_proposals = esp,
                                         .esp_proposal_count = 1};

    (void)state;
    play_wanted(
        &wanted, NOTHING
        "list-sa IKE1{ encr-alg=AES_CBC encr-keysize=256 integ-alg=HMAC_SHA2_256_128 "
        "prf-alg=PRF_HMAC_SHA2_256 dh-group=MODP_2048 children{ CHILD1{ encr-alg=AES_GCM_16 "
        "encr-keysize=128 } } }\n"
        "  site down -> up\n"
        "warnings\n"
        "list-sa IKE1{ encr-alg=AES_CBC encr-keysize=128 integ-alg=HMAC_SHA2_256_128 "
        "prf-alg=PRF_HMAC_SHA2_256 dh-group=MODP_2048 children{ CHILD1{ encr-alg=AES_GCM_16 "
        "encr-keysize=128 } } }\n"
        "warnings\n"
        "  the IKE SA's algorithms are not among ike_proposals\n"
        "list-sa IKE1{ encr-alg=AES_GCM_16 encr-keysize=256 prf-alg=PRF_HMAC_SHA2_384 "
        "dh-group=ECP_384 children{ CHILD1{ encr-alg=AES_GCM_16 encr-keysize=128 "
        "dh-group=MODP_1024 } } }\n"
        "warnings\n"
        "  a CHILD SA's algorithms are not among esp_proposals\n"
        /* what went down drifts no more */
        "ike-updown IKE1{ }\n"
        "  site up -> down\n"
        "warnings\n");
}

static void test_narrowed(void **state)
{
    const struct selector local[] = {parsed("10.20.0.0/24")};
    const struct selector remote[] = {parsed("10.10.0.0/24"), parsed("10.11.0.0/24")};
    const struct tunnel_wanted wanted = {
        .name = "site", .local = local, .local_count = 1, .remote = remote, .remote_count = 2};
#define SAYS_NARROWED                                                                              \
    "warnings\n  the other side narrowed the subnets: not all that is wanted goes through\n"

    (void)state;
    play_wanted(
        &wanted, NOTHING
        "list-sa IKE1{ children{ CHILD1{ local-ts[ 10.20.0.0/24 ] remote-ts[ 10.10.0.0/24 "
        "10.11.0.0/24 ] } } }\n"
        "  site down -> up\n"
        "warnings\n"
        "list-sa IKE1{ children{ CHILD1{ local-ts[ 10.20.0.0/24 ] remote-ts[ 10.10.0.0/24 ] } } "
        "}\n" SAYS_NARROWED
        /* a CHILD SA for each pair of subnets */
        "list-sa IKE1{ children{ CHILD1{ local-ts[ 10.20.0.0/24 ] remote-ts[ 10.10.0.0/24 ] } "
        "CHILD2{ local-ts[ 10.20.0.0/24 ] remote-ts[ 10.11.0.0/24 ] } } }\n"
        "warnings\n"
        "child-updown IKE1{ children{ CHILD2{ } } }\n" SAYS_NARROWED
        "list-sa IKE1{ children{ CHILD1{ local-ts[ 10.20.0.0/25 ] remote-ts[ 10.8.0.0/13 ] } } "
        "}\n" SAYS_NARROWED
        "list-sa IKE1{ children{ CHILD1{ local-ts[ 10.20.0.0/24[tcp/2575] ] remote-ts[ "
        "10.8.0.0/13 ] } } }\n" SAYS_NARROWED
        /* more than wanted is not less */
        "list-sa IKE1{ children{ CHILD1{ local-ts[ 0.0.0.0/0 ] remote-ts[ 0.0.0.0/0 ] } } }\n"
        "warnings\n"
        /* what can't be read, and what isn't said */
        "list-sa IKE1{ children{ CHILD1{ local-ts[ 10.20.0.0/25 %any ] remote-ts[ 0.0.0.0/0 ] } "
        "} }\n"
        "warnings\n"
        "list-sa IKE1{ children{ CHILD1{ } } }\n"
        "warnings\n");
}

#define PAIR(number, ours, theirs)                                                                 \
    "CHILD" number "{ local-ts[ " ours " ] remote-ts[ " theirs " ] } "
#define PAIRS(...) "list-sa IKE1{ children{ " __VA_ARGS__ "} }\n"

/* All four ends are there, but not each way between them. */
static void test_narrowed_between_two_of_the_subnets(void **state)
{
    const struct selector local[] = {parsed("10.20.0.0/24"), parsed("10.21.0.0/24")};
    const struct selector remote[] = {parsed("10.10.0.0/24"), parsed("10.11.0.0/24"),
                                      parsed("fd00::/64")};
    const struct tunnel_wanted wanted = {
        .name = "site", .local = local, .local_count = 2, .remote = remote, .remote_count = 2};
    struct tunnel_wanted both = wanted;

    (void)state;
    play_wanted(
        &wanted,
        NOTHING PAIRS(PAIR("1", "10.20.0.0/24", "10.10.0.0/24") PAIR(
            "2", "10.21.0.0/24",
            "10.11.0.0/24")) "  site down -> up\n" SAYS_NARROWED PAIRS(PAIR("3", "10.20.0.0/24",
                                                                            "10.11.0.0/24"))
            SAYS_NARROWED PAIRS(PAIR("4", "10.21.0.0/24", "10.10.0.0/24")) "warnings\n");
    /* Cut into quarters that are no networks of ours; the last one is missing, then is not. */
    play_wanted(&wanted,
                NOTHING PAIRS(PAIR("1", "10.20.0.0..10.21.0.99", "10.10.0.0..10.11.0.9")
                                  PAIR("2", "10.20.0.0..10.21.0.99", "10.11.0.10..10.11.0.255")
                                      PAIR("3", "10.21.0.90..10.22.0.0",
                                           "10.11.0.0/24")) "  site down -> up\n" SAYS_NARROWED
                    PAIRS(PAIR("4", "10.21.0.100..10.21.0.255", "10.10.0.0/24")) "warnings\n");
    /* IPv4 and IPv6 have no way between them, and none is missed. */
    both.remote_count = 3;
    play_wanted(&both, NOTHING PAIRS(
                           "CHILD1{ local-ts[ 10.20.0.0/24 10.21.0.0/24 ] remote-ts[ 10.10.0.0/24 "
                           "10.11.0.0/24 fd00::/64 ] } ") "  site down -> up\nwarnings\n");
}

#define COUNTED(in, out)                                                                           \
    "list-sa IKE1{ children{ CHILD1{ bytes-in=" in " packets-in=" in " bytes-out=" out             \
    " packets-out=" out " } } }\n"
#define SAYS_ONE_WAY "warnings\n  packets go out and none come in\n"

static void test_one_way_traffic(void **state)
{
    (void)state;
    play_script(
        "at 1000\n" IS_UP COUNTED("0", "0") "at 2000\n" COUNTED("0", "9") "at 31999\n" COUNTED(
            "0", "9") "warnings\n"
                      "at 32000\n" COUNTED("0", "9") SAYS_ONE_WAY
        "at 33000\n" COUNTED(
            "1", "9") "warnings\n"
                      /* quiet in both directions is no fault; nor are one or two packets */
                      "at 99000\n" COUNTED(
                          "1", "9") "warnings\n"
                                    "at 99000\n" COUNTED(
                                        "1", "11") "warnings\n"
                                                   "at 130000\n" COUNTED(
                                                       "1", "11") "warnings\n"
                                                                  "at 130001\n" COUNTED("1", "12")
                                                                      SAYS_ONE_WAY
        /* a rekey changes nothing about it */
        "child-rekey IKE1{ children{ both{ OLD1{ } NEW2{ } } } }\n"
        "at 130500\n"
        "list-sa IKE1{ children{ CHILD2{ bytes-in=0 bytes-out=4 packets-out=4 } } "
        "}\n" SAYS_ONE_WAY "at 130600\n"
        "list-sa IKE1{ children{ CHILD2{ bytes-in=1 bytes-out=4 packets-out=4 } } }\n"
        "warnings\n");
}

/* An hour without a word, then packets whose answers are on their way while a listing looks. */
static void test_answers_may_take_their_time_after_a_pause(void **state)
{
    (void)state;
    play_script("at 1000\n" IS_UP COUNTED("5", "5") "at 3600000\n" COUNTED(
        "5", "5") "at 3601000\n" COUNTED("5", "8") "warnings\n"
                                                   "at 3602000\n" COUNTED("8", "8") "warnings\n");
}

static void test_a_silent_peer(void **state)
{
#define CHECKING "list-sa IKE1{ tasks-active[ IKE_DPD ] children{ CHILD1{ } } }\n"
#define SAYS_SILENT "warnings\n  the other side has not answered the last check yet\n"

    (void)state;
    play_script("at 1000\n" IS_UP CHECKING "at 2999\n" CHECKING "warnings\n"
                "at 3000\n" CHECKING SAYS_SILENT "list-sa IKE1{ children{ CHILD1{ } } }\n"
                "warnings\n"
                /* another check that a listing met on its way: none of its answers was late */
                "at 33000\n" CHECKING "warnings\n"
                "at 34000\n"
                "list-sa IKE1{ children{ CHILD1{ } } }\n"
                "at 63000\n" CHECKING "warnings\n");
}

static void test_flapping(void **state)
{
#define FLAPS                                                                                      \
    UP_1 "  site down -> up\n" DOWN_1 "  site up -> down\n"                                        \
         "begin\nend whole\n"                                                                      \
         "begin\nend whole\n"
#define SAYS_FLAPPING "warnings\n  it went down several times within ten minutes\n"

    (void)state;
    play_script(NOTHING "at 100000\n" FLAPS "at 200000\n" FLAPS "warnings\n"
                        "at 699999\n" FLAPS SAYS_FLAPPING "at 700000\n"
                        "begin\n"
                        "end whole\n" SAYS_FLAPPING "at 700001\n"
                        "begin\n"
                        "end whole\n"
                        "warnings\n"
                        "at 800001\n" FLAPS "warnings\n"
                        "show\n"
                        "  down 0/0 4 flaps 0 rekeys\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_survive_rekeys),
        cmocka_unit_test(test_last_packets),
        cmocka_unit_test(test_cipher_drift),
        cmocka_unit_test(test_narrowed),
        cmocka_unit_test(test_narrowed_between_two_of_the_subnets),
        cmocka_unit_test(test_one_way_traffic),
        cmocka_unit_test(test_answers_may_take_their_time_after_a_pause),
        cmocka_unit_test(test_a_silent_peer),
        cmocka_unit_test(test_flapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
