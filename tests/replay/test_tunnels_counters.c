/* links: vpn */
/* Counters and warnings of tunnels over time. */
#include "support/tunnel_script.h"

/* --- counters ----------------------------------------------------------------------------- */

static void test_counters_survive_rekeys(void **state)
{
    (void)state;
    play_script(IS_UP "begin\n" LIST(
        1,
        CHILD(
            1,
            "bytes-in=100 bytes-out=50")) "end\n"
                                          "show\n  up 100/50 0 flaps 0 rekeys\n" CHILD_REKEY(1, 1, 2) "begin\n" LIST(
                                              1,
                                              CHILD(1, "bytes-in=110 bytes-out=50") " " CHILD(
                                                  2, "bytes-in=7 bytes-out=3")) "end\n"
                                                                                "show\n  up 117/53 0 flaps 1 rekeys\n"
                                                                                "begin\n" LIST(1, CHILD(2, "bytes-in=8 bytes-out=3")) "end\n"
                                                                                                                                      "begin\n" LIST(1, CHILD(2, "bytes-in=9 bytes-out=3")) "end\n"
                                                                                                                                                                                            "begin\n" LIST(1, CHILD(2, "bytes-in=10 bytes-out=3")) "end\n"
                                                                                                                                                                                                                                                   "show\n  up 120/53 0 flaps 1 rekeys\n"
                                                                                                                                                                                                                                                   "ike-updown " IKE(1,
                                                                                                                                                                                                                                                                     "") "\n  site up -> down\n"
                                                                                                                                                                                                                                                                         /* the last bytes come with the CHILD SA's own event */
                                                                                                                                                                                                                                                                         "child-updown " IKE(
                                                                                                                                                                                                                                                                             1,
                                                                                                                                                                                                                                                                             CHILDREN(CHILD(
                                                                                                                                                                                                                                                                                 2,
                                                                                                                                                                                                                                                                                 "bytes-in=30 bytes-out=4"))) "\n"
                                                                                                                                                                                                                                                                                                              "show\n  down 140/54 1 flaps 1 rekeys\n");
}

static void test_last_packets(void **state)
{
    struct tunnel_wanted wanted = {.name = "site"};
    struct play play = begin_play(&wanted);
    const struct tunnel *site = tunnels_find(play.tunnels, "site");

    (void)state;
    run_script(&play, "at 100000\n" UP_1);
    assert_int_equal(site->last_in_ms, -1);
    run_script(&play, "list-sa " IKE(1, CHILDREN(CHILD(1, "bytes-in=1 bytes-out=1 use-in=4 "
                                                          "use-out=60"))) "\n");
    assert_int_equal(site->last_in_ms, 96000);
    assert_int_equal(site->last_out_ms, 40000);
    /* Another CHILD SA that was never used does not take it back. */
    run_script(&play, "at 200000\nlist-sa " IKE(1, CHILDREN(CHILD(2, "bytes-in=0 bytes-out=0 "
                                                                     "use-out=1"))) "\n");
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
        &wanted,
        NOTHING "list-sa " IKE(
            1,
            "encr-alg=AES_CBC encr-keysize=256 integ-alg=HMAC_SHA2_256_128 "
            "prf-alg=PRF_HMAC_SHA2_256 dh-group=MODP_2048 " CHILDREN(CHILD(
                1,
                "encr-alg=AES_GCM_16 encr-keysize=128"))) "\n"
                                                          "  site down -> up\n"
                                                          "warnings\n"
                                                          "list-sa " IKE(
                                                              1,
                                                              "encr-alg=AES_CBC encr-keysize=128 integ-alg=HMAC_SHA2_256_128 "
                                                              "prf-alg=PRF_HMAC_SHA2_256 dh-group=MODP_2048 " CHILDREN(CHILD(
                                                                  1,
                                                                  "encr-alg=AES_GCM_16 encr-keysize=128"))) "\n"
                                                                                                            "warnings\n  the IKE SA's algorithms are not among ike_proposals\n"
                                                                                                            "list-sa " IKE(
                                                                                                                1,
                                                                                                                "encr-alg=AES_GCM_16 encr-keysize=256 "
                                                                                                                "prf-alg=PRF_HMAC_SHA2_384 dh-group=ECP_384 " CHILDREN(
                                                                                                                    CHILD(
                                                                                                                        1,
                                                                                                                        "encr-alg=AES_GCM_16 encr-keysize=128 "
                                                                                                                        "dh-group=MODP_1024"))) "\n"
                                                                                                                                                "warnings\n  a CHILD SA's algorithms are not among esp_proposals\n"
                                                                                                                                                /* what went down drifts no more */
                                                                                                                                                "ike-updown " IKE(
                                                                                                                                                    1,
                                                                                                                                                    "") "\n  site up -> down\n"
                                                                                                                                                        "warnings\n");
}

#define TS(id, local, remote) CHILD(id, "local-ts[ " local " ] remote-ts[ " remote " ]")

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
        &wanted,
        NOTHING LIST(
            1,
            TS(1, "10.20.0.0/24",
               "10.10.0.0/24 10.11.0.0/24")) "  site down -> up\n"
                                             "warnings\n" LIST(1, TS(1, "10.20.0.0/24",
                                                                     "10.10.0.0/24")) SAYS_NARROWED
                                                 /* a CHILD SA for each pair of subnets */
                                                 LIST(
                                                     1,
                                                     TS(1, "10.20.0.0/24", "10.10.0.0/24") " " TS(
                                                         2, "10.20.0.0/24",
                                                         "10.11.0.0/24")) "warnings\n"
                                                                          "child-updown " IKE(
                                                                              1,
                                                                              CHILDREN(CHILD(
                                                                                  2,
                                                                                  ""))) "\n" SAYS_NARROWED
                                                                              LIST(
                                                                                  1,
                                                                                  TS(1,
                                                                                     "10.20.0.0/25",
                                                                                     "10.8.0.0/13"))
                                                                                  SAYS_NARROWED LIST(
                                                                                      1,
                                                                                      TS(1,
                                                                                         "10.20.0.0/24[tcp/2575]",
                                                                                         "10.8.0.0/13")) SAYS_NARROWED
                                                                                      /* more than wanted is not less */
                                                                                      LIST(
                                                                                          1,
                                                                                          TS(1,
                                                                                             "0.0.0.0/0",
                                                                                             "0.0.0.0/0")) "warnings\n"
        /* what can't be read, and what isn't said */
        LIST(1, TS(1, "10.20.0.0/25 %any", "0.0.0.0/0")) "warnings\n" LIST(
            1, CHILD(1, "")) "warnings\n");
}

static void test_one_way_traffic(void **state)
{
#define COUNTED(in, out)                                                                           \
    LIST(1, CHILD(1, "bytes-in=" #in " packets-in=" #in " bytes-out=" #out " packets-out=" #out))
#define SAYS_ONE_WAY "warnings\n  packets go out and none come in\n"

    (void)state;
    play_script(
        "at 1000\n" IS_UP COUNTED(0, 0) "at 30999\n" COUNTED(0, 9) "warnings\n"
                                                                   "at 31000\n" COUNTED(0, 9)
                                                                       SAYS_ONE_WAY
        "at 32000\n" COUNTED(
            1, 9) "warnings\n"
                  /* quiet in both directions is no fault; nor are one or two packets */
                  "at 99000\n" COUNTED(
                      1, 9) "warnings\n"
                            "at 99000\n" COUNTED(
                                1, 11) "warnings\n"
                                       "at 99000\n" COUNTED(1, 12) SAYS_ONE_WAY
                                           /* a rekey changes nothing about it */
                                           CHILD_REKEY(1, 1, 2) "at 99500\n" LIST(
                                               1, CHILD(2, "bytes-in=0 bytes-out=4 packets-out=4"))
                                               SAYS_ONE_WAY
        "at 99600\n" LIST(1, CHILD(2, "bytes-in=1 bytes-out=4 packets-out=4")) "warnings\n");
}

static void test_a_silent_peer(void **state)
{
    (void)state;
    play_script(IS_UP "list-sa " IKE(
        1, "tasks-active[ IKE_DPD ] " CHILDREN(CHILD(
               1, ""))) "\n"
                        "warnings\n  the other side has not answered the last check yet\n" LIST(
                            1, CHILD(1, "")) "warnings\n");
}

static void test_flapping(void **state)
{
#define FLAP(at)                                                                                   \
    "at " #at "\n" UP_1 "  site down -> up\n" DOWN_1 "  site up -> down\n"                         \
    "begin\nend whole\nbegin\nend whole\n"
#define SAYS_FLAPPING "warnings\n  it went down several times within ten minutes\n"

    (void)state;
    play_script(NOTHING FLAP(100000) FLAP(200000) "warnings\n" FLAP(699999) SAYS_FLAPPING
                "at 700000\nbegin\nend whole\n" SAYS_FLAPPING
                "at 700001\nbegin\nend whole\nwarnings\n" FLAP(
                    800001) "warnings\n"
                            "show\n  down 0/0 4 flaps 0 rekeys\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters_survive_rekeys),
        cmocka_unit_test(test_last_packets),
        cmocka_unit_test(test_cipher_drift),
        cmocka_unit_test(test_narrowed),
        cmocka_unit_test(test_one_way_traffic),
        cmocka_unit_test(test_a_silent_peer),
        cmocka_unit_test(test_flapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
