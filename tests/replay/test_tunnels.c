/* links: vpn */
/* States of tunnels over time, and what really recorded streams make of them. */
#include "support/tunnel_script.h"

/* --- up and down -------------------------------------------------------------------------- */

static void test_up_and_down_by_events(void **state)
{
    (void)state;
    play_script(IS_UP "show\n"
                      "  up 0/0 0 flaps 0 rekeys\n"
                      "at 5000\n" DOWN_1 "  site up -> down\n"
                      "show\n"
                      "  down 0/0 1 flaps 0 rekeys\n"
                      "why\n"
                      "  the CHILD SA ended, the IKE SA stays at 5000\n");
}

static void test_only_up_yes_counts(void **state)
{
    (void)state;
    /* ESTABLISHED and INSTALLED it says, and it is down all the same. */
    play_script(IS_UP "ike-updown IKE1{ tasks-active[ IKE_DPD ] }\n"
                      "  site up -> down\n" DOWN_1 "why\n"
                      "  the other side stopped answering at 0\n");
    play_script(NOTHING "child-updown up=no IKE1{ children{ CHILD1{ } } }\n");
    play_script(NOTHING DOWN_1);
}

static void test_an_ike_sa_alone_is_no_tunnel(void **state)
{
    (void)state;
    play_script(NOTHING
                "list-sa IKE1{ }\n"
                "ike-rekey mllpgw-site{ old{ uniqueid=1 } new{ uniqueid=2 state=ESTABLISHED } }\n"
                "list-sa IKE2{ }\n");
}

static void test_states_that_carry_nothing(void **state)
{
    static const char *const states[] = {"CREATED",  "ROUTED",  "INSTALLING", "REKEYED", "RETRYING",
                                         "DELETING", "DELETED", "DESTROYING", "NEW-IN-7"};

    (void)state;
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        char script[512];
        snprintf(script, sizeof script,
                 NOTHING "begin\n"
                         "list-sa IKE1{ children{ c{ name=mllpgw-site uniqueid=1 state=%s } } }\n"
                         "end whole\n",
                 states[i]);
        play_script(script);
    }
    play_script(NOTHING
                "list-sa IKE1{ children{ c{ name=mllpgw-site uniqueid=1 state=REKEYING } } }\n"
                "  site down -> up\n");
    play_script(NOTHING
                "list-sa IKE1{ children{ c{ name=mllpgw-site uniqueid=1 state=UPDATING } } }\n"
                "  site down -> up\n");
    /* The event says that it is up; what it leaves out is no contradiction. */
    play_script(NOTHING "child-updown up=yes IKE1{ children{ mllpgw-site{ uniqueid=1 } } }\n"
                        "  site down -> up\n");
}

#define TWO                                                                                        \
    IS_UP "child-updown up=yes IKE1{ children{ CHILD2{ local-ts[ 10.20.0.0/24 ] "                  \
          "remote-ts[ 10.11.0.0/24 ] } } }\n"
#define LIST_1 "begin\nlist-sa IKE1{ children{ CHILD1{ } } }\nend\n"
#define LIST_4 LIST_1 LIST_1 LIST_1 LIST_1

/* Those who came by it are cut off, and nothing else tells: the tunnel is up all the time. */
static void test_a_child_that_goes_for_good_is_told(void **state)
{
    (void)state;
    play_script(TWO
                "child-updown IKE1{ children{ CHILD2{ } } }\n"
                "at 1000\n" LIST_4 "why\n"
                "  nothing at 0\n" LIST_1 "why\n"
                "  a CHILD SA went and none took its place: 10.20.0.0/24 - 10.11.0.0/24 at 1000\n"
                "at 2000\n" LIST_4 LIST_1 "why\n" /* once */
                "  a CHILD SA went and none took its place: 10.20.0.0/24 - 10.11.0.0/24 at 1000\n"
                "show\n"
                "  up 0/0 0 flaps 0 rekeys\n");
    /* Without an event. */
    play_script(TWO
                "at 1000\n" LIST_4 LIST_1 "why\n"
                "  nothing at 0\n" LIST_1 "why\n"
                "  a CHILD SA went and none took its place: 10.20.0.0/24 - 10.11.0.0/24 at 1000\n");
}

static void test_a_child_that_comes_back_is_not(void **state)
{
    (void)state;
    play_script(TWO "child-updown IKE1{ children{ CHILD2{ } } }\n" LIST_4
                    "child-updown up=yes IKE1{ children{ CHILD3{ local-ts[ 10.20.0.0/24 ] "
                    "remote-ts[ 10.11.0.0/24 ] } } }\n"
                    "begin\nlist-sa IKE1{ children{ CHILD1{ } CHILD3{ local-ts[ 10.20.0.0/24 ] "
                    "remote-ts[ 10.11.0.0/24 ] } } }\nend\n"
                    "begin\nlist-sa IKE1{ children{ CHILD1{ } CHILD3{ local-ts[ 10.20.0.0/24 ] "
                    "remote-ts[ 10.11.0.0/24 ] } } }\nend\n"
                    "why\n"
                    "  nothing at 0\n");
    /* The tunnel goes: that is what is told. */
    play_script(TWO "child-updown IKE1{ children{ CHILD2{ } } }\n" LIST_4 "at 1000\n"
                    "ike-updown IKE1{ }\n"
                    "  site up -> down\n"
                    "begin\nend\nbegin\nend\n"
                    "why\n"
                    "  the other side stopped answering at 1000\n");
    /* charon goes. */
    play_script(TWO "child-updown IKE1{ children{ CHILD2{ } } }\n" LIST_4 "lost\n"
                    "  site up -> unknown\n"
                    "  two down -> unknown\n"
                    "begin\nlist-sa IKE1{ children{ CHILD1{ } } }\n"
                    "  site unknown -> up\n"
                    "end whole\n"
                    "  two unknown -> down\n" LIST_4 LIST_4 "why\n"
                    "  nothing at 0\n");
}

static void test_one_of_several_going_down_keeps_it_up(void **state)
{
    (void)state;
    play_script(IS_UP "child-updown up=yes IKE1{ children{ CHILD2{ } } }\n" DOWN_1
                      "child-updown IKE1{ children{ CHILD2{ } } }\n"
                      "  site up -> down\n"
                      "show\n"
                      "  down 0/0 1 flaps 0 rekeys\n");
}

static void test_others_are_not_looked_at(void **state)
{
    (void)state;
    play_script(
        NOTHING
        "child-updown up=yes site{ uniqueid=1 child-sas{ c{ name=site uniqueid=1 state=INSTALLED "
        "} } }\n"
        "child-updown up=yes mllpgw-other{ uniqueid=1 child-sas{ c{ name=mllpgw-other uniqueid=1 "
        "state=INSTALLED } } }\n"
        /* a CHILD SA that somebody else put into our connection */
        "child-updown up=yes IKE1{ children{ x{ name=x uniqueid=1 state=INSTALLED } } }\n"
        "child-updown up=yes mllpgw-two{ uniqueid=2 child-sas{ c{ name=mllpgw-two uniqueid=5 "
        "state=INSTALLED } } }\n"
        "  two down -> up\n");
}

static void test_connecting(void **state)
{
    (void)state;
    play_script(NOTHING "begin\n"
                        "list-sa mllpgw-site{ uniqueid=1 state=CONNECTING }\n"
                        "  site down -> connecting\n"
                        "end\n"
                        "ike-updown up=yes IKE1{ }\n" UP_1 "  site connecting -> up\n");
    /* Without an answer it goes away. */
    play_script(NOTHING "begin\n"
                        "list-sa mllpgw-site{ uniqueid=1 state=CREATED }\n"
                        "  site down -> connecting\n"
                        "end\n"
                        "begin\n"
                        "end\n"
                        "begin\n"
                        "end\n"
                        "  site connecting -> down\n"
                        "show\n"
                        "  down 0/0 0 flaps 0 rekeys\n");
    /* Established, and no CHILD SA comes of it. */
    play_script(NOTHING
                "ike-updown up=yes IKE1{ }\n"
                "  site down -> connecting\n"
                "begin\n"
                "list-sa IKE1{ }\n"
                "end\n"
                "begin\n"
                "list-sa IKE1{ }\n"
                "end\n"
                "  site connecting -> down\n"
                "why\n"
                "  the IKE SA is up, but no CHILD SA: do subnets and ESP proposals match? at 0\n");
    play_script(NOTHING "list-sa IKE1{ tasks-queued[ CHILD_CREATE ] }\n"
                        "  site down -> connecting\n"
                        "list-sa IKE1{ }\n"
                        "  site connecting -> down\n");
}

/* What charon itself said of the attempt is more exact, and stays; what it said before is old. */
static void test_an_ike_sa_without_a_child_sa_is_told_of(void **state)
{
    static const char listings[] = "begin\n"
                                   "list-sa IKE1{ }\n"
                                   "end\n"
                                   "begin\n"
                                   "list-sa IKE1{ }\n"
                                   "end\n"
                                   "  site connecting -> down\n"
                                   "why\n";
    char script[1024];

    (void)state;
    snprintf(script, sizeof script,
             NOTHING
             "at 5\n"
             "ike-updown mllpgw-site{ uniqueid=9 state=CONNECTING }\n"
             "at 7\n"
             "ike-updown up=yes IKE1{ }\n"
             "  site down -> connecting\n"
             "%s  the IKE SA is up, but no CHILD SA: do subnets and ESP proposals match? at "
             "7\n",
             listings);
    play_script(script);
    snprintf(script, sizeof script,
             NOTHING "at 7\n"
                     "ike-updown up=yes IKE1{ }\n"
                     "  site down -> connecting\n"
                     "alert type=ts-mismatch ike-sa{ IKE1{ } }\n"
                     "%s  the subnets of both sides don't match at 7\n",
             listings);
    play_script(script);
}

static void test_refused_while_being_set_up(void **state)
{
    (void)state;
    play_script(
        NOTHING
        "at 7\n"
        "ike-updown mllpgw-site{ uniqueid=3 state=CONNECTING }\n"
        "why\n"
        "  refused while being set up: no IKE proposal in common, or no IKEv2 for us there at 7\n"
        "show\n"
        "  down 0/0 0 flaps 0 rekeys\n");
}

/* strongSwan 5.9.8 tells neither by an event; the algorithms are there once IKE_SA_INIT was answered. */
static void test_an_attempt_that_nobody_answers(void **state)
{
    (void)state;
    play_script(
        NOTHING
        "at 1000\n"
        "begin\n"
        "list-sa mllpgw-site{ uniqueid=3 state=CONNECTING remote-host=192.0.2.1 }\n"
        "  site down -> connecting\n"
        "end\n"
        "at 10999\n"
        "begin\n"
        "list-sa mllpgw-site{ uniqueid=3 state=CONNECTING remote-host=192.0.2.1 }\n"
        "end\n"
        "at 11000\n"
        "begin\n"
        "list-sa mllpgw-site{ uniqueid=3 state=CONNECTING remote-host=192.0.2.1 }\n"
        "end\n"
        "why\n"
        "  no answer from 192.0.2.1, UDP 500: wrong address, a firewall between, or it drops what it does not know at 11000\n"
        "at 20000\n"
        "begin\n"
        "list-sa mllpgw-site{ uniqueid=3 state=CONNECTING remote-host=192.0.2.1 }\n"
        "end\n"
        "why\n"
        "  no answer from 192.0.2.1, UDP 500: wrong address, a firewall between, or it drops what it does not know at 11000\n");
}

static void test_an_attempt_that_is_answered_once(void **state)
{
    (void)state;
    play_script(
        NOTHING
        "at 1000\n"
        "begin\n"
        "list-sa mllpgw-site{ uniqueid=3 state=CONNECTING remote-host=192.0.2.1 encr-alg=AES_CBC encr-keysize=256 }\n"
        "  site down -> connecting\n"
        "end\n"
        "at 4000\n"
        "begin\n"
        "end\n"
        "begin\n"
        "end\n"
        "  site connecting -> down\n"
        "why\n"
        "  192.0.2.1 agreed on a proposal and is not heard since: is UDP 4500 open both ways? at 4000\n");
}

/* Ended from this side: the configuration changed. */
static void test_an_attempt_that_was_cut_short(void **state)
{
    (void)state;
    play_script(NOTHING "at 1000\n"
                        "begin\n"
                        "list-sa mllpgw-site{ uniqueid=3 state=CONNECTING remote-host=192.0.2.1 }\n"
                        "  site down -> connecting\n"
                        "end\n"
                        "at 3999\n"
                        "begin\n"
                        "end\n"
                        "begin\n"
                        "end\n"
                        "  site connecting -> down\n"
                        "why\n"
                        "  nothing at 0\n");
}

/* --- rekeys ------------------------------------------------------------------------------- */

static void test_a_child_rekey_is_no_flap(void **state)
{
    (void)state;
    play_script(
        IS_UP "child-rekey IKE1{ children{ both{ OLD1{ } NEW2{ } } } }\n"
              /* both listed for five seconds */
              "begin\n"
              "list-sa IKE1{ children{ mllpgw-site-1{ name=mllpgw-site uniqueid=1 state=DELETED } "
              "CHILD2{ } } }\n"
              "end\n"
              "begin\n"
              "list-sa IKE1{ children{ CHILD2{ } } }\n"
              "end\n"
              "begin\n"
              "list-sa IKE1{ children{ CHILD2{ } } }\n"
              "end\n"
              "show\n"
              "  up 0/0 0 flaps 1 rekeys\n"
              "child-updown IKE1{ children{ CHILD2{ } } }\n"
              "  site up -> down\n");
}

static void test_the_predecessor_does_not_count(void **state)
{
    (void)state;
    /* Its state may still read INSTALLED; when the new one goes, the tunnel goes. */
    play_script(IS_UP "child-rekey IKE1{ children{ mllpgw-site{ old{ name=mllpgw-site uniqueid=1 "
                      "state=INSTALLED } new{ name=mllpgw-site uniqueid=2 state=INSTALLED } } } }\n"
                      "begin\n"
                      "list-sa IKE1{ children{ CHILD1{ } CHILD2{ } } }\n"
                      "end\n"
                      "child-updown IKE1{ children{ CHILD2{ } } }\n"
                      "  site up -> down\n");
}

static void test_an_ike_rekey_moves_the_children(void **state)
{
    (void)state;
    play_script(IS_UP
                "ike-rekey mllpgw-site{ old{ uniqueid=1 state=ESTABLISHED } new{ uniqueid=2 "
                "state=ESTABLISHED } }\n"
                "show\n"
                "  up 0/0 0 flaps 1 rekeys\n"
                /* the old one's end is not the tunnel's */
                "ike-updown mllpgw-site{ uniqueid=1 state=DELETING }\n"
                "begin\n"
                "list-sa IKE2{ children{ CHILD1{ } } }\n"
                "end whole\n"
                "ike-updown mllpgw-site{ uniqueid=2 state=DELETING tasks-passive[ IKE_DELETE ] }\n"
                "  site up -> down\n"
                "why\n"
                "  the other side ended the tunnel at 0\n");
}

static void test_reauthentication_overlaps(void **state)
{
    (void)state;
    play_script(IS_UP "alert type=ts-narrowed ike-sa{ IKE1{ } }\n"
                      "ike-updown up=yes IKE2{ }\n"
                      "child-updown up=yes IKE2{ children{ CHILD2{ } } }\n"
                      "ike-updown mllpgw-site{ uniqueid=1 state=DELETING }\n" DOWN_1 "show\n"
                      "  up 0/0 0 flaps 0 rekeys\n"
                      "why\n"
                      "  the subnets were narrowed to what both sides have at 0\n"
                      /* one of two that stops answering is worth a word */
                      "child-updown up=yes IKE3{ children{ CHILD3{ } } }\n"
                      "ike-updown IKE3{ }\n"
                      "why\n"
                      "  the other side stopped answering at 0\n");
}

/* --- listings ----------------------------------------------------------------------------- */

static void test_unknown_until_listed(void **state)
{
    (void)state;
    play_script("begin\n"
                "list-sa IKE1{ children{ CHILD1{ } } }\n"
                "  site unknown -> up\n"
                "end whole\n"
                "  two unknown -> down\n");
    play_script("begin\n"
                "end\n"
                "begin\n"
                "end\n"
                "  site unknown -> down\n"
                "  two unknown -> down\n");
    play_script(UP_1 "  site unknown -> up\n" DOWN_1 "  site up -> down\n");
}

static void test_a_busy_ike_sa_is_not_gone(void **state)
{
#define WITHOUT "begin\nend\n"
#define COUNTED "list-sa IKE1{ children{ CHILD1{ bytes-in=7 bytes-out=9 } } }\n"

    (void)state;
    /* noblock passes over it for as long as charon is busy with it. */
    play_script(IS_UP COUNTED WITHOUT WITHOUT WITHOUT WITHOUT
                "begin\n" COUNTED "end\n"
                "show\n"
                "  up 7/9 0 flaps 0 rekeys\n" WITHOUT WITHOUT WITHOUT WITHOUT WITHOUT
                "  site up -> down\n"
                "show\n"
                "  down 7/9 1 flaps 0 rekeys\n");
    /* Not busy: the IKE SA is there, and has it no more. */
    play_script(IS_UP "begin\nlist-sa IKE1{ }\nend\n"
                      "begin\nlist-sa IKE1{ }\nend\n"
                      "  site up -> down\n");
    play_script(IS_UP "begin\n"
                      "end whole\n"
                      "  site up -> down\n");
}

static void test_events_during_a_listing_win(void **state)
{
    (void)state;
    /* Ended, and the item that charon had written before comes behind. */
    play_script(IS_UP "begin\n" DOWN_1 "  site up -> down\n"
                      "list-sa IKE1{ children{ CHILD1{ } } }\n"
                      "end whole\n"
                      "begin\n"
                      "end whole\n"
                      "show\n"
                      "  down 0/0 1 flaps 0 rekeys\n");
    play_script(IS_UP "begin\n"
                      "ike-updown mllpgw-site{ uniqueid=1 state=DELETING }\n"
                      "  site up -> down\n"
                      "list-sa IKE1{ children{ CHILD1{ } } }\n"
                      "end whole\n");
    /* Came up behind the place where the listing was. */
    play_script(NOTHING "begin\n" UP_1 "  site down -> up\n"
                        "end whole\n"
                        "show\n"
                        "  up 0/0 0 flaps 0 rekeys\n");
}

static void test_losing_charon_is_unknown_not_down(void **state)
{
    (void)state;
    play_script(IS_UP "lost\n"
                      "  site up -> unknown\n"
                      "  two down -> unknown\n"
                      "show\n"
                      "  unknown 0/0 0 flaps 0 rekeys\n"
                      "begin\n"
                      "list-sa IKE1{ children{ CHILD1{ } } }\n"
                      "  site unknown -> up\n"
                      "end\n"
                      "begin\n"
                      "list-sa IKE1{ children{ CHILD1{ } } }\n"
                      "end\n"
                      "  two unknown -> down\n"
                      "show\n"
                      "  up 0/0 0 flaps 0 rekeys\n");
}

static void test_what_vanished_meanwhile_is_down(void **state)
{
    (void)state;
    play_script(IS_UP "lost\n"
                      "  site up -> unknown\n"
                      "  two down -> unknown\n"
                      "begin\n"
                      "end whole\n"
                      "  site unknown -> down\n"
                      "  two unknown -> down\n"
                      "show\n"
                      "  down 0/0 1 flaps 0 rekeys\n");
    /* The same where busy ones are passed over: it takes one more. */
    play_script(IS_UP "lost\n"
                      "  site up -> unknown\n"
                      "  two down -> unknown\n"
                      "begin\n"
                      "end\n"
                      "begin\n"
                      "end\n"
                      "  site unknown -> down\n"
                      "  two unknown -> down\n");
}

static void test_a_restarted_charon_counts_anew(void **state)
{
    (void)state;
    /* The old CHILD SA 1 is not the new CHILD SA 1, and nothing of it makes the tunnel up. */
    play_script(
        NOTHING
        "child-updown up=yes IKE1{ children{ CHILD1{ spi-in=a bytes-in=100 bytes-out=10 } } }\n"
        "  site down -> up\n"
        "ike-updown up=yes IKE1{ }\n"
        "ike-updown IKE1{ }\n"
        "  site up -> down\n"
        "child-updown up=yes IKE2{ children{ CHILD2{ spi-in=b } } }\n"
        "  site down -> up\n"
        "lost\n"
        "  site up -> unknown\n"
        "  two down -> unknown\n"
        "begin\n"
        "child-updown up=yes IKE1{ children{ CHILD1{ spi-in=c bytes-in=5 bytes-out=6 } } }\n"
        "  site unknown -> up\n"
        "child-updown IKE1{ children{ CHILD1{ spi-in=c } } }\n"
        "  site up -> down\n"
        "end\n"
        "show\n"
        "  down 105/16 2 flaps 0 rekeys\n");
}

static void test_what_ended_before_the_loss_may_begin_again(void **state)
{
    (void)state;
    /* Another charon: its IKE SA 1 is not the one that ended, though it is called the same. */
    play_script(IS_UP "ike-updown up=yes IKE1{ }\n"
                      "ike-updown IKE1{ }\n"
                      "  site up -> down\n"
                      "lost\n"
                      "  site down -> unknown\n"
                      "  two down -> unknown\n"
                      "begin\n"
                      "ike-updown up=yes IKE1{ }\n"
                      "end whole\n"
                      "  site unknown -> connecting\n"
                      "  two unknown -> down\n" UP_1 "  site connecting -> up\n");
}

/* --- the rest ----------------------------------------------------------------------------- */

static void test_alerts(void **state)
{
    (void)state;
    play_script(NOTHING "at 5\n"
                        "alert type=ts-mismatch ike-sa{ IKE1{ } }\n"
                        "why\n"
                        "  the subnets of both sides don't match at 5\n"
                        "at 6\n"
                        "alert type=retransmit-send ike-sa{ IKE1{ } }\n"
                        "alert type=peer-auth-failed ike-sa{ mllpgw-two{ uniqueid=9 } }\n"
                        "alert type=proposal-mismatch-ike\n"
                        "why\n"
                        "  the subnets of both sides don't match at 5\n");
}

static void test_addresses_change(void **state)
{
    struct tunnel_wanted wanted = {.name = "site"};
    struct play play = begin_play(&wanted);
    const struct tunnel *site = tunnels_find(play.tunnels, "site");

    (void)state;
    run_script(
        &play,
        "list-sa IKE1{ local-host=192.0.2.1 remote-host=192.0.2.2 }\n"
        "ike-update local-host=192.0.2.1 remote-host=198.51.100.7 IKE1{ remote-host=192.0.2.2 }\n");
    assert_string_equal(tunnel_shown_ike(site)->sa.remote_host, "198.51.100.7");
    assert_string_equal(tunnel_shown_ike(site)->sa.local_host, "192.0.2.1");
    tunnels_free(&play.tunnels);
}

static void test_another_configuration(void **state)
{
    static const char *const esp[] = {"aes256gcm16"};
    const struct tunnel_wanted first[] = {{.name = "site"}, {.name = "gone"}};
    const struct tunnel_wanted second[] = {
        {.name = "new"}, {.name = "site", .esp_proposals = esp, .esp_proposal_count = 1}};
    struct play play = {.tunnels = tunnels_new(NULL, NULL)};

    (void)state;
    assert_int_equal(tunnels_configure(play.tunnels, 0, first, 2), 0);
    run_script(
        &play,
        "at 10\n"
        "list-sa IKE1{ children{ CHILD1{ bytes-in=5 encr-alg=AES_GCM_16 encr-keysize=128 } } }\n");
    uint64_t version = tunnels_version(play.tunnels);
    assert_int_equal(tunnels_configure(play.tunnels, 20, second, 2), 0);
    assert_int_equal(tunnels_count(play.tunnels), 2);
    assert_string_equal(tunnels_at(play.tunnels, 0)->wanted->name, "new");
    assert_int_equal(tunnels_at(play.tunnels, 0)->state, TUNNEL_UNKNOWN);
    const struct tunnel *site = tunnels_at(play.tunnels, 1);
    assert_int_equal(site->state, TUNNEL_UP);
    assert_int_equal(site->since_ms, 10);
    assert_int_equal(site->bytes_in, 5);
    assert_int_equal(site->warnings, TUNNEL_WARNS_ESP_CIPHER); /* judged by the new proposals */
    assert_null(tunnels_find(play.tunnels, "gone"));
    assert_true(tunnels_version(play.tunnels) > version);
    assert_int_equal(tunnels_configure(play.tunnels, 30, NULL, 0), 0);
    assert_int_equal(tunnels_count(play.tunnels), 0);
    tunnels_free(&play.tunnels);
    tunnels_free(&play.tunnels);
}

static void test_versions(void **state)
{
    struct tunnel_wanted wanted = {.name = "site"};
    struct play play = begin_play(&wanted);
    uint64_t version = tunnels_version(play.tunnels);

    (void)state;
    run_script(&play, UP_1);
    assert_int_equal(tunnels_version(play.tunnels), ++version);
    run_script(&play, "list-sa IKE1{ children{ CHILD1{ bytes-in=5 } } }\n"); /* counters only */
    assert_int_equal(tunnels_version(play.tunnels), version);
    tunnels_alert(play.tunnels, 3, "site", "refused");
    tunnels_alert(play.tunnels, 3, "nobody", "refused");
    assert_int_equal(tunnels_version(play.tunnels), ++version);
    assert_string_equal(tunnels_find(play.tunnels, "site")->alert, "refused");
    assert_int_equal(tunnels_take(play.tunnels, 0, "list-sa", (struct vici_text){"\x02", 1}),
                     -EBADMSG);
    assert_int_equal(tunnels_version(play.tunnels), version);
    tunnels_free(&play.tunnels);
}

/* --- what charon really sent -------------------------------------------------------------- */

/* As the owner does it: the response behind items ends a listing. Other commands' responses lie
 * between, so that one without items counts only at the beginning, where nothing was listed yet. */
static void see(const struct vici_packet *packet, void *context)
{
    struct play *play = context;
    char name[64];

    play->now_ms += 100;
    if (packet->type == VICI_CMD_RESPONSE &&
        (play->listed || tunnels_at(play->tunnels, 0)->state == TUNNEL_UNKNOWN)) {
        play->listed = false;
        tunnels_end_listing(play->tunnels, play->now_ms, true);
        tunnels_begin_listing(play->tunnels);
    }
    if (packet->type != VICI_EVENT)
        return;
    play->listed = play->listed || vici_text_is(packet->name, "list-sa");
    snprintf(name, sizeof name, "%.*s", (int)packet->name.length, packet->name.data);
    assert_int_equal(tunnels_take(play->tunnels, play->now_ms, name, packet->message), 0);
}

static void replay_all(struct play *play, const char *version, const char *const *names)
{
    for (; *names != NULL; names++) {
        char path[64];
        snprintf(path, sizeof path, "%s-%s", version, *names);
        assert_true(vici_case_replay(path, see, play) > 0);
    }
}

static void test_recorded_life_of_a_tunnel(void **state)
{
    static const char *const versions[] = {"5.9.8", "6.0.1"};
    static const char *const first[] = {"start", "up", "rekey", NULL};
    static const char *const rest[] = {"dead-peer", "unknown", "wrong-psk", NULL};
    static const char *const esp[] = {"aes128gcm16-ecp256"};
    static const char *const ike[] = {"aes256gcm16-prfsha256-ecp256"};
    const struct selector local = parsed("10.10.0.0/24"), remote = parsed("10.20.0.0/24");
    const struct tunnel_wanted wanted = {.name = "site",
                                         .local = &local,
                                         .local_count = 1,
                                         .remote = &remote,
                                         .remote_count = 1,
                                         .ike_proposals = ike,
                                         .ike_proposal_count = 1,
                                         .esp_proposals = esp,
                                         .esp_proposal_count = 1};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct play play = {.tunnels = tunnels_new(on_changed, NULL)};
        const struct tunnel *site;

        current = &play;
        assert_int_equal(tunnels_configure(play.tunnels, 0, &wanted, 1), 0);
        site = tunnels_at(play.tunnels, 0);
        replay_all(&play, versions[i], first);
        assert_string_equal(play.log, "site unknown -> down\nsite down -> connecting\n"
                                      "site connecting -> up\n");
        assert_int_equal(site->flaps, 0);
        assert_int_equal(site->rekeys, 2);
        assert_int_equal(site->warnings, 0);
        assert_int_equal(site->packets_in, 5);
        assert_string_equal(tunnel_shown_ike(site)->sa.remote_id, "edge.example");
        play.used = 0;
        replay_all(&play, versions[i], rest);
        assert_string_equal(play.log, "site up -> down\n");
        assert_int_equal(site->flaps, 1);
        assert_string_equal(site->alert, "refused while being set up: key, identities or "
                                         "certificates don't match");
        current = NULL;
        tunnels_free(&play.tunnels);
    }
}

static void test_recorded_narrowing(void **state)
{
    const struct selector local = parsed("10.10.0.0/24");
    const struct tunnel_wanted wanted = {.name = "site", .local = &local, .local_count = 1};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct play play = {.tunnels = tunnels_new(NULL, NULL)};
        assert_int_equal(tunnels_configure(play.tunnels, 0, &wanted, 1), 0);
        vici_case_replay(i == 0 ? "5.9.8-narrowed" : "6.0.1-narrowed", see, &play);
        assert_int_equal(tunnels_at(play.tunnels, 0)->state, TUNNEL_UP);
        assert_int_equal(tunnels_at(play.tunnels, 0)->warnings, TUNNEL_WARNS_NARROWED);
        tunnels_free(&play.tunnels);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_up_and_down_by_events),
        cmocka_unit_test(test_only_up_yes_counts),
        cmocka_unit_test(test_an_ike_sa_alone_is_no_tunnel),
        cmocka_unit_test(test_states_that_carry_nothing),
        cmocka_unit_test(test_a_child_that_goes_for_good_is_told),
        cmocka_unit_test(test_a_child_that_comes_back_is_not),
        cmocka_unit_test(test_one_of_several_going_down_keeps_it_up),
        cmocka_unit_test(test_others_are_not_looked_at),
        cmocka_unit_test(test_connecting),
        cmocka_unit_test(test_an_ike_sa_without_a_child_sa_is_told_of),
        cmocka_unit_test(test_refused_while_being_set_up),
        cmocka_unit_test(test_an_attempt_that_nobody_answers),
        cmocka_unit_test(test_an_attempt_that_is_answered_once),
        cmocka_unit_test(test_an_attempt_that_was_cut_short),
        cmocka_unit_test(test_a_child_rekey_is_no_flap),
        cmocka_unit_test(test_the_predecessor_does_not_count),
        cmocka_unit_test(test_an_ike_rekey_moves_the_children),
        cmocka_unit_test(test_reauthentication_overlaps),
        cmocka_unit_test(test_unknown_until_listed),
        cmocka_unit_test(test_a_busy_ike_sa_is_not_gone),
        cmocka_unit_test(test_events_during_a_listing_win),
        cmocka_unit_test(test_losing_charon_is_unknown_not_down),
        cmocka_unit_test(test_what_vanished_meanwhile_is_down),
        cmocka_unit_test(test_a_restarted_charon_counts_anew),
        cmocka_unit_test(test_what_ended_before_the_loss_may_begin_again),
        cmocka_unit_test(test_alerts),
        cmocka_unit_test(test_addresses_change),
        cmocka_unit_test(test_another_configuration),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_recorded_life_of_a_tunnel),
        cmocka_unit_test(test_recorded_narrowing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
