/* links: vpn config */
/* What is loaded into charon, in which order, what is left there and what is taken away. */
#include "support/keeper_script.h"

#include "vpn/load.h"

static void test_what_is_left_over_goes_first_and_only_that(void **state)
{
    (void)state;
    play_script("config a\n"
                "at 0\n" GREETING ACCEPTED "< keys[ by-hand mllpgw-gone mllpgw-a ]\n"
                "  > get-conns\n"
                "< conns[ by-hand mllpgw-gone mllpgw-a ]\n"
                "  > unload-conn name=mllpgw-gone\n"
                "< success=yes\n"
                "  > terminate ike=mllpgw-gone force=yes timeout=-1\n"
                "  info event=tunnel-unloaded tunnel=gone\n"
                "< success=no errmsg=nothing-to-terminate\n"
                "  > unload-shared id=mllpgw-gone\n"
                "  debug event=charon-answered-no name=mllpgw-gone reason=nothing-to-terminate\n"
                "< success=no errmsg=key-not-found\n"
                "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.1\n"
                "  debug event=charon-answered-no name=mllpgw-gone reason=key-not-found\n"
                "< success=yes\n"
                "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  info event=tunnel-loaded tunnel=a how=found\n");
}

static void test_certificates_one_by_one(void **state)
{
    (void)state;
    play_script("config cert\n"
                "at 0\n" GREETING ACCEPTED "< keys[ mllpgw-cert ]\n"
                "  > get-conns\n"
                "< conns[ mllpgw-cert ]\n"
                "  > unload-shared id=mllpgw-cert\n"
                "< success=yes\n"
                "  > load-key type=any data:7\n"
                "< success=yes id=12\n"
                "  > load-cert type=X509 flag=NONE data:2\n"
                "< success=yes\n"
                "  > load-cert type=X509 flag=NONE data:2\n"
                "< success=yes\n"
                "  > load-conn mllpgw-cert{ 192.0.2.5 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  info event=tunnel-loaded tunnel=cert how=found\n");
}

static void test_private_keys_go_when_nobody_has_them_and_only_ours(void **state)
{
    (void)state;
    play_script("config cert\n"
                "at 0\n" GREETING ACCEPTED "< keys[ ]\n"
                "  > get-conns\n"
                "< conns[ ]\n"
                "  > load-key type=any data:7\n"
                "< success=yes id=12\n"
                "  > load-cert type=X509 flag=NONE data:2\n"
                "< success=yes\n"
                "  > load-cert type=X509 flag=NONE data:2\n"
                "< success=yes\n"
                "  > load-conn mllpgw-cert{ 192.0.2.5 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  info event=tunnel-loaded tunnel=cert how=new\n"
                "config cert\n"
                "  > get-shared\n"
                "< keys[ ]\n"
                "  > get-conns\n"
                "< conns[ mllpgw-cert ]\n"
                "  > load-key type=any data:7\n"
                "< success=yes id=13\n"
                "  > load-cert type=X509 flag=NONE data:2\n"
                "< success=yes\n"
                "  > load-cert type=X509 flag=NONE data:2\n"
                "< success=yes\n"
                "  > load-conn mllpgw-cert{ 192.0.2.5 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  > unload-key id=12\n"
                "  debug event=tunnel-loaded tunnel=cert how=unchanged\n"
                "< success=yes\n"
                "config a\n"
                "  > get-shared\n"
                "< keys[ ]\n"
                "  > get-conns\n"
                "< conns[ mllpgw-cert ]\n"
                "  > unload-conn name=mllpgw-cert\n"
                "< success=yes\n"
                "  > terminate ike=mllpgw-cert force=yes timeout=-1\n"
                "  info event=tunnel-unloaded tunnel=cert\n"
                "< success=yes\n"
                "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.1\n"
                "< success=yes\n"
                "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  > unload-key id=13\n"
                "  info event=tunnel-loaded tunnel=a how=new\n"
                "< success=yes\n"
                "config cert\n"
                "  > get-shared\n"
                "< keys[ mllpgw-a ]\n"
                "  > get-conns\n"
                "< conns[ mllpgw-a ]\n"
                "  > unload-conn name=mllpgw-a\n"
                "< success=yes\n"
                "  > terminate ike=mllpgw-a force=yes timeout=-1\n"
                "  info event=tunnel-unloaded tunnel=a\n"
                "< success=yes\n"
                "  > unload-shared id=mllpgw-a\n"
                "< success=yes\n"
                "  > load-key type=any data:7\n"
                "< success=yes id=99\n"
                "  > load-cert type=X509 flag=NONE data:2\n"
                "< success=yes\n"
                "  > load-cert type=X509 flag=NONE data:2\n"
                "< success=yes\n"
                "  > load-conn mllpgw-cert{ 192.0.2.5 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  info event=tunnel-loaded tunnel=cert how=new\n"
                "config a\n"
                "  > get-shared\n"
                "< keys[ ]\n"
                "  > get-conns\n"
                "< conns[ mllpgw-cert ]\n"
                "  > unload-conn name=mllpgw-cert\n"
                "< success=yes\n"
                "  > terminate ike=mllpgw-cert force=yes timeout=-1\n"
                "  info event=tunnel-unloaded tunnel=cert\n"
                "< success=yes\n"
                "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.1\n"
                "< success=yes\n"
                "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  info event=tunnel-loaded tunnel=a how=new\n");
}

/* More keys than are remembered: one that was there before could be taken for ours. */
static void test_of_too_many_private_keys_none_is_ours(void **state)
{
    static char script[65536];
    size_t used = (size_t)snprintf(script, sizeof script,
                                   "config cert\n"
                                   "at 0\n" GREETING "< plugins[ charon vici ]\n"
                                   "  > register list-sa\n"
                                   "  > list-sas noblock=yes\n"
                                   "  > get-keys\n"
                                   "  info event=charon-connected version=5.9.8\n"
                                   "< confirm\n"
                                   "<\n"
                                   "< keys[");

    (void)state;
    for (unsigned i = 0; i < LOAD_NAMES_MAXIMUM + 1; i++)
        used += (size_t)snprintf(script + used, sizeof script - used, " %u", i);
    snprintf(script + used, sizeof script - used,
             " ]\n"
             "  > get-shared\n"
             "< keys[ ]\n"
             "  > get-conns\n"
             "< conns[ ]\n"
             "  > load-key type=any data:7\n"
             "< success=yes id=%u\n"
             "  > load-cert type=X509 flag=NONE data:2\n"
             "< success=yes\n"
             "  > load-cert type=X509 flag=NONE data:2\n"
             "< success=yes\n"
             "  > load-conn mllpgw-cert{ 192.0.2.5 aes256gcm16-prfsha384-ecp384\n"
             "< success=yes\n"
             "  info event=tunnel-loaded tunnel=cert how=new\n"
             "config\n"
             "  > get-shared\n"
             "< keys[ ]\n"
             "  > get-conns\n"
             "< conns[ mllpgw-cert ]\n"
             "  > unload-conn name=mllpgw-cert\n"
             "< success=yes\n"
             "  > terminate ike=mllpgw-cert force=yes timeout=-1\n"
             "  info event=tunnel-unloaded tunnel=cert\n"
             "< success=yes\n",
             LOAD_NAMES_MAXIMUM);
    play_script(script);
}

static void test_what_charon_refuses_is_told_once(void **state)
{
    (void)state;
    play_script(
        "config a b\n"
        "at 0\n" GREETING ACCEPTED "< keys[ ]\n"
        "  > get-conns\n"
        "< conns[ ]\n"
        "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.1\n"
        "< success=yes\n"
        "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"
        "< success=no errmsg=invalid-proposal\n"
        "  > load-shared id=mllpgw-b type=ike data:32 192.0.2.2\n"
        "  error event=tunnel-refused tunnel=a what=connection reason=invalid-proposal\n"
        "< success=yes\n"
        "  > load-conn mllpgw-b{ 192.0.2.2 aes256gcm16-prfsha384-ecp384\n"
        "< success=yes\n"
        "  info event=tunnel-loaded tunnel=b how=new\n"
        "state\n"
        "  connected 5.9.8, a unknown: connection: invalid-proposal, b unknown\n"
        "at 60000\n"
        "  > list-sas noblock=yes\n"
        "  > get-shared\n"
        "<\n"
        "< keys[ mllpgw-b ]\n"
        "  > get-conns\n"
        "< conns[ mllpgw-b ]\n"
        "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.1\n"
        "< success=yes\n"
        "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"
        "< success=no errmsg=invalid-proposal\n"
        "at 120000\n"
        "  > list-sas noblock=yes\n"
        "  > get-shared\n"
        "<\n"
        "  > initiate ike=mllpgw-b child=mllpgw-b timeout=-1\n"
        "  debug event=tunnel-start tunnel=b attempt=1\n"
        "< keys[ mllpgw-b ]\n"
        "  > get-conns\n"
        "< conns[ mllpgw-b ]\n"
        "  debug event=charon-answered-no name=initiate reason=\"charon does not say why\"\n"
        "< success=no errmsg=no-room\n"
        "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.1\n");
}

static void test_a_key_that_is_not_there_stops_nobody_else(void **state)
{
    (void)state;
    play_script(
        "config nokey a\n"
        "at 0\n" GREETING ACCEPTED "< keys[ ]\n"
        "  > get-conns\n"
        "< conns[ ]\n"
        "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.1\n"
        "  error event=tunnel-refused tunnel=nokey what=files reason=\"cannot read /nowhere/psk: No such file or directory\"\n"
        "< success=yes\n"
        "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"
        "< success=yes\n"
        "  info event=tunnel-loaded tunnel=a how=new\n"
        "state\n"
        "  connected 5.9.8, nokey unknown: files: cannot read /nowhere/psk: No such file or directory, a unknown\n");
}

static void test_another_configuration_while_loading(void **state)
{
    (void)state;
    play_script("config a b\n"
                "at 0\n" GREETING ACCEPTED "< keys[ ]\n"
                "  > get-conns\n"
                "< conns[ ]\n"
                "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.1\n"
                "config A\n"
                "< success=yes\n"
                "  > get-shared\n"
                "< keys[ mllpgw-a mllpgw-b ]\n"
                "  > get-conns\n"
                "< conns[ mllpgw-a mllpgw-b ]\n"
                "  > unload-conn name=mllpgw-b\n"
                "< success=yes\n"
                "  > terminate ike=mllpgw-b force=yes timeout=-1\n"
                "  info event=tunnel-unloaded tunnel=b\n"
                "< success=yes\n"
                "  > unload-shared id=mllpgw-b\n"
                "< success=yes\n"
                "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.9\n"
                "< success=yes\n"
                "  > load-conn mllpgw-a{ 192.0.2.9 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  info event=tunnel-loaded tunnel=a how=found\n"
                "config A\n"
                "  > get-shared\n"
                "< keys[ mllpgw-a ]\n"
                "  > get-conns\n"
                "< conns[ mllpgw-a ]\n"
                "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.9\n"
                "< success=yes\n"
                "  > load-conn mllpgw-a{ 192.0.2.9 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  debug event=tunnel-loaded tunnel=a how=unchanged\n"
                "config a\n"
                "  > get-shared\n"
                "< keys[ mllpgw-a ]\n"
                "  > get-conns\n"
                "< conns[ mllpgw-a ]\n"
                "  > unload-conn name=mllpgw-a\n"
                "< success=yes\n"
                "  > terminate ike=mllpgw-a force=yes timeout=-1\n"
                "< success=yes\n"
                "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.1\n"
                "< success=yes\n"
                "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  info event=tunnel-loaded tunnel=a how=changed\n");
}

static void test_what_vanished_is_loaded_again(void **state)
{
    (void)state;
    play_script(
        "config a b\n"
        "at 0\n" GREETING ACCEPTED "< keys[ ]\n"
        "  > get-conns\n"
        "< conns[ ]\n"
        "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.1\n"
        "< success=yes\n"
        "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"
        "< success=yes\n"
        "  > load-shared id=mllpgw-b type=ike data:32 192.0.2.2\n"
        "  info event=tunnel-loaded tunnel=a how=new\n"
        "< success=yes\n"
        "  > load-conn mllpgw-b{ 192.0.2.2 aes256gcm16-prfsha384-ecp384\n"
        "< success=yes\n"
        "  info event=tunnel-loaded tunnel=b how=new\n"
        "at 59999\n"
        "  > list-sas noblock=yes\n"
        "<\n"
        "at 60000\n"
        "  > get-shared\n"
        "< keys[ mllpgw-a ]\n"
        "  > get-conns\n"
        "< conns[ mllpgw-a ]\n"
        "  > load-shared id=mllpgw-b type=ike data:32 192.0.2.2\n"
        "< success=yes\n"
        "  > load-conn mllpgw-b{ 192.0.2.2 aes256gcm16-prfsha384-ecp384\n"
        "< success=yes\n"
        "  info event=tunnel-loaded tunnel=b how=new\n"
        "at 120000\n"
        "  > list-sas noblock=yes\n"
        "  > get-shared\n"
        "<\n"
        "  > initiate ike=mllpgw-a child=mllpgw-a timeout=-1\n"
        "  > initiate ike=mllpgw-b child=mllpgw-b timeout=-1\n"
        "  debug event=tunnel-start tunnel=a attempt=1\n"
        "  debug event=tunnel-start tunnel=b attempt=1\n"
        "< keys[ mllpgw-a mllpgw-b ]\n"
        "  > get-conns\n"
        "< conns[ mllpgw-a mllpgw-b ]\n"
        "  debug event=charon-answered-no name=initiate reason=\"charon does not say why\"\n"
        "< success=yes\n");
}

#define LOADED_A                                                                                   \
    "config a\n"                                                                                   \
    "at 0\n" GREETING ACCEPTED "< keys[ ]\n"                                                       \
    "  > get-conns\n"                                                                              \
    "< conns[ ]\n"                                                                                 \
    "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.1\n"                                     \
    "< success=yes\n"                                                                              \
    "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"                             \
    "< success=yes\n"                                                                              \
    "  info event=tunnel-loaded tunnel=a how=new\n"

/* A key alone, too: charon goes on with what was set up by the old one. */
static void test_what_changed_is_ended_and_set_up_anew(void **state)
{
    (void)state;
    play_script(LOADED_A "put psk another-key-of-some-length-0123\n"
                         "config a\n"
                         "  > get-shared\n"
                         "< keys[ mllpgw-a ]\n"
                         "  > get-conns\n"
                         "< conns[ mllpgw-a ]\n"
                         "  > unload-conn name=mllpgw-a\n"
                         "< success=yes\n"
                         "  > terminate ike=mllpgw-a force=yes timeout=-1\n"
                         "< success=no errmsg=nothing-to-terminate\n"
                         "  > load-shared id=mllpgw-a type=ike data:31 192.0.2.1\n"
                         "  debug event=charon-answered-no name=a reason=nothing-to-terminate\n"
                         "< success=yes\n"
                         "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"
                         "< success=yes\n"
                         "  info event=tunnel-loaded tunnel=a how=changed\n"
                         "config a\n"
                         "  > get-shared\n"
                         "< keys[ mllpgw-a ]\n"
                         "  > get-conns\n"
                         "< conns[ mllpgw-a ]\n"
                         "  > load-shared id=mllpgw-a type=ike data:31 192.0.2.1\n"
                         "< success=yes\n"
                         "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"
                         "< success=yes\n"
                         "  debug event=tunnel-loaded tunnel=a how=unchanged\n"
                         "put psk " KEY "\n");
}

static void test_what_changed_while_charon_was_away(void **state)
{
    (void)state;
    play_script(LOADED_A
                "broken\n"
                "  error event=charon-lost reason=\"it broke\"\n"
                "config A\n"
                "at 2000\n" GREETING ACCEPTED "< keys[ mllpgw-a ]\n"
                "  > get-conns\n"
                "< conns[ mllpgw-a ]\n"
                "  > unload-conn name=mllpgw-a\n"
                "< success=yes\n"
                "  > terminate ike=mllpgw-a force=yes timeout=-1\n"
                "< success=yes\n"
                "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.9\n"
                "< success=yes\n"
                "  > load-conn mllpgw-a{ 192.0.2.9 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  info event=tunnel-loaded tunnel=a how=changed\n"
                /* This one started again, too: there is nothing to unload. */
                "broken\n"
                "  error event=charon-lost reason=\"it broke\"\n"
                "config a\n"
                "at 4000\n" GREETING ACCEPTED "< keys[ ]\n"
                "  > get-conns\n"
                "< conns[ ]\n"
                "  > terminate ike=mllpgw-a force=yes timeout=-1\n"
                "< success=no\n"
                "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.1\n"
                "  debug event=charon-answered-no name=a reason=\"charon does not say why\"\n"
                "< success=yes\n"
                "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  info event=tunnel-loaded tunnel=a how=new\n");
}

/* The gateway, which has the new configuration already, must not take an SA from before for the tunnel that
 * it means. */
static void test_until_the_old_sas_are_ended_they_are_told_as_such(void **state)
{
    (void)state;
    play_script(
        LOADED_A
        "event child-updown up=yes mllpgw-a{ uniqueid=1 state=ESTABLISHED remote-host=192.0.2.1 "
        "child-sas{ x{ name=mllpgw-a uniqueid=1 state=INSTALLED } } }\n"
        "  info event=tunnel-up tunnel=a peer=192.0.2.1\n"
        "settings\n"
        "  a up: as wanted\n"
        "config A\n"
        "  > get-shared\n"
        "settings\n"
        "  a up: as before\n"
        "< keys[ mllpgw-a ]\n"
        "  > get-conns\n"
        "< conns[ mllpgw-a ]\n"
        "  > unload-conn name=mllpgw-a\n"
        "< success=yes\n"
        "  > terminate ike=mllpgw-a force=yes timeout=-1\n"
        "settings\n"
        "  a up: as before\n"
        "event ike-updown mllpgw-a{ uniqueid=1 state=DELETING remote-host=192.0.2.1 }\n"
        "  warning event=tunnel-down tunnel=a state=down reason=\"ended from this side\" flaps=1\n"
        "< success=yes\n"
        "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.9\n"
        "settings\n"
        "  a down: as wanted\n");
}

/* With files that can't be read nothing is ended: it goes on as it was, and is told so. */
static void test_what_cannot_be_read_stays_what_it_was(void **state)
{
    (void)state;
    play_script(
        LOADED_A
        "config gone\n"
        "  > get-shared\n"
        "< keys[ mllpgw-a ]\n"
        "  > get-conns\n"
        "< conns[ mllpgw-a ]\n"
        "  error event=tunnel-refused tunnel=a what=files reason=\"cannot read /nowhere/psk: No such file "
        "or directory\"\n"
        "settings\n"
        "  a unknown: as before\n");
}

/* charon may have taken it: nobody knows, and what it set up meanwhile is ended. */
static void test_a_connection_whose_answer_was_lost(void **state)
{
    (void)state;
    play_script(LOADED_A "config A\n"
                         "  > get-shared\n"
                         "< keys[ mllpgw-a ]\n"
                         "  > get-conns\n"
                         "< conns[ mllpgw-a ]\n"
                         "  > unload-conn name=mllpgw-a\n"
                         "< success=yes\n"
                         "  > terminate ike=mllpgw-a force=yes timeout=-1\n"
                         "< success=yes\n"
                         "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.9\n"
                         "< success=yes\n"
                         "  > load-conn mllpgw-a{ 192.0.2.9 aes256gcm16-prfsha384-ecp384\n"
                         "broken\n"
                         "  error event=charon-lost reason=\"it broke\"\n"
                         "config a\n"
                         "at 2000\n" GREETING ACCEPTED "< keys[ mllpgw-a ]\n"
                         "  > get-conns\n"
                         "< conns[ mllpgw-a ]\n"
                         "  > unload-conn name=mllpgw-a\n"
                         "< success=yes\n"
                         "  > terminate ike=mllpgw-a force=yes timeout=-1\n"
                         "< success=yes\n"
                         "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.1\n");
}

/* It is tried again; back to what was before is no change. */
static void test_a_change_that_charon_refuses(void **state)
{
    (void)state;
    play_script(LOADED_A
                "config A\n"
                "  > get-shared\n"
                "< keys[ mllpgw-a ]\n"
                "  > get-conns\n"
                "< conns[ mllpgw-a ]\n"
                "  > unload-conn name=mllpgw-a\n"
                "< success=yes\n"
                "  > terminate ike=mllpgw-a force=yes timeout=-1\n"
                "< success=yes\n"
                "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.9\n"
                "< success=yes\n"
                "  > load-conn mllpgw-a{ 192.0.2.9 aes256gcm16-prfsha384-ecp384\n"
                "< success=no errmsg=no-such-address\n"
                "  error event=tunnel-refused tunnel=a what=connection reason=no-such-address\n"
                "config a\n"
                "  > get-shared\n"
                "< keys[ mllpgw-a ]\n"
                "  > get-conns\n"
                "< conns[ ]\n"
                "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.1\n"
                "< success=yes\n"
                "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  info event=tunnel-loaded tunnel=a how=new\n");
}

/* Checked at the reload, gone when it is loaded: the tunnel stays as it was, and each look tries again. */
static void test_a_key_that_vanished_since_the_reload(void **state)
{
    (void)state;
    play_script(
        LOADED_A
        "put psk \n"
        "config a\n"
        "  > get-shared\n"
        "< keys[ mllpgw-a ]\n"
        "  > get-conns\n"
        "< conns[ mllpgw-a ]\n"
        "  error event=tunnel-refused tunnel=a what=files reason=\"/psk is empty: it should hold the secret in one line\"\n"
        "put psk another-key-of-some-length-0123\n"
        "at 60000\n"
        "  > list-sas noblock=yes\n"
        "  > get-shared\n"
        "<\n"
        "< keys[ mllpgw-a ]\n"
        "  > get-conns\n"
        "< conns[ mllpgw-a ]\n"
        "  > unload-conn name=mllpgw-a\n"
        "< success=yes\n"
        "  > terminate ike=mllpgw-a force=yes timeout=-1\n"
        "< success=yes\n"
        "  > load-shared id=mllpgw-a type=ike data:31 192.0.2.1\n"
        "< success=yes\n"
        "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"
        "< success=yes\n"
        "  info event=tunnel-loaded tunnel=a how=changed\n"
        "put psk " KEY "\n");
}

/* As an mllp-tunneld leaves them that was killed after it unloaded a connection and before it ended the SAs. */
static void test_sas_of_nobody_are_ended(void **state)
{
    (void)state;
    play_script(
        LOADED_A
        "at 1000\n"
        "  > list-sas noblock=yes\n"
        "item mllpgw-gone{ uniqueid=3 state=ESTABLISHED child-sas{ mllpgw-a-1{ name=mllpgw-a uniqueid=9 state=INSTALLED } } }\n"
        "item mllpgw-gone{ uniqueid=4 state=CONNECTING }\n"
        "item by-hand{ uniqueid=5 state=ESTABLISHED }\n"
        "item mllpgw-a{ uniqueid=6 state=ESTABLISHED child-sas{ x{ name=mllpgw-gone uniqueid=8 state=INSTALLED } } }\n"
        "<\n"
        "  > terminate ike=mllpgw-gone force=yes timeout=-1\n"
        "  info event=tunnel-leftover-ended tunnel=gone\n"
        "< success=yes\n"
        "at 2000\n"
        "  > list-sas noblock=yes\n"
        "item mllpgw-gone{ uniqueid=3 state=DELETING }\n"
        "item mllpgw-a{ uniqueid=6 state=ESTABLISHED }\n"
        "<\n");
}

#define LOAD_CERTIFICATE                                                                           \
    "  > load-key type=any data:7\n"                                                               \
    "< success=yes id=12\n"                                                                        \
    "  > load-cert type=X509 flag=NONE data:2\n"                                                   \
    "< success=yes\n"                                                                              \
    "  > load-cert type=X509 flag=NONE data:2\n"                                                   \
    "< success=yes\n"

static void test_crls_are_loaded_and_loaded_again(void **state)
{
    (void)state;
    play_script("copy extra/empty.crl crl\n"
                "config crl\n"
                "at 0\n" GREETING ACCEPTED "< keys[ ]\n"
                "  > get-conns\n"
                "< conns[ ]\n" LOAD_CERTIFICATE "  > load-cert type=X509_CRL flag=NONE data:large\n"
                "< success=yes\n"
                "  > flush-certs type=X509_CRL\n"
                "< success=yes\n"
                "  > load-conn mllpgw-crl{ 192.0.2.5 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  info event=tunnel-loaded tunnel=crl how=new\n"
                "at 60000\n"
                "  > list-sas noblock=yes\n"
                "  > get-shared\n"
                "<\n"
                "< keys[ ]\n"
                "  > get-conns\n"
                "< conns[ mllpgw-crl ]\n"
                /* Revokes one. */
                "copy ca.crl crl\n"
                "at 120000\n"
                "  > list-sas noblock=yes\n"
                "  > get-shared\n"
                "<\n"
                "  > initiate ike=mllpgw-crl child=mllpgw-crl timeout=-1\n"
                "  debug event=tunnel-start tunnel=crl attempt=1\n"
                "< keys[ ]\n"
                "  > get-conns\n"
                "< success=yes\n"
                "< conns[ mllpgw-crl ]\n"
                "  > load-cert type=X509_CRL flag=NONE data:large\n"
                "< success=yes\n"
                "  > flush-certs type=X509_CRL\n"
                "< success=yes\n"
                "  > terminate ike=mllpgw-crl force=yes timeout=-1\n"
                "  info event=tunnel-crl-loaded tunnel=crl revokes_more=yes\n"
                /* Whether it was ended is not known: again. */
                "broken\n"
                "  error event=charon-lost reason=\"it broke\"\n"
                "at 123000\n" GREETING ACCEPTED "< keys[ ]\n"
                "  > get-conns\n"
                "< conns[ mllpgw-crl ]\n"
                "  > unload-conn name=mllpgw-crl\n"
                "< success=yes\n"
                "  > terminate ike=mllpgw-crl force=yes timeout=-1\n"
                "< success=yes\n" LOAD_CERTIFICATE
                "  > load-cert type=X509_CRL flag=NONE data:large\n"
                "< success=yes\n"
                "  > flush-certs type=X509_CRL\n"
                "< success=yes\n"
                "  > load-conn mllpgw-crl{ 192.0.2.5 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  info event=tunnel-loaded tunnel=crl how=changed\n");
}

#define UP_CRL                                                                                     \
    "item mllpgw-crl{ uniqueid=1 state=ESTABLISHED child-sas{ c-1{ name=mllpgw-crl uniqueid=7 "    \
    "state=INSTALLED local-ts[ 10.24.0.0/24 ] remote-ts[ 10.14.0.0/24 ] } } }\n"
/* A minute, or a day: the listing, and all is there. */
#define LOOKED                                                                                     \
    "  > list-sas noblock=yes\n"                                                                   \
    "  > get-shared\n" UP_CRL "<\n"                                                                \
    "< keys[ ]\n"                                                                                  \
    "  > get-conns\n"                                                                              \
    "< conns[ mllpgw-crl ]\n"

static void test_what_runs_out_is_told_once_a_day(void **state)
{
    (void)state;
    play_script(
        "copy client1.pem chain\n"
        "copy ca.pem ca\n"
        "copy extra/empty.crl crl\n"
        "config crl\n"
        "wall 31 chain\n"
        "at 0\n" GREETING ACCEPTED "< keys[ ]\n"
        "  > get-conns\n"
        "< conns[ ]\n"
        "  > load-key type=any data:7\n"
        "< success=yes id=12\n"
        "  > load-cert type=X509_CRL flag=NONE data:large\n"
        "< success=yes\n"
        "  > flush-certs type=X509_CRL\n"
        "< success=yes\n"
        "  > load-conn mllpgw-crl{ 192.0.2.5 aes256gcm16-prfsha384-ecp384\n"
        "< success=yes\n"
        "  info event=tunnel-loaded tunnel=crl how=new\n"
        "at 1000\n"
        "  > list-sas noblock=yes\n" UP_CRL "  info event=tunnel-up tunnel=crl\n"
        "<\n"
        "at 60000\n" LOOKED "wall 29 chain\n"
        "at 120000\n"
        "  > list-sas noblock=yes\n"
        "  > get-shared\n"
        "  warning event=tunnel-warning tunnel=crl warning=\"our certificate (or one above it) is valid until UTC\"\n" UP_CRL
        "<\n"
        "< keys[ ]\n"
        "  > get-conns\n"
        "< conns[ mllpgw-crl ]\n"
        "at 180000\n" LOOKED "at 86400000\n"
        "  > list-sas noblock=yes\n"
        "  > get-shared\n"
        "  warning event=tunnel-warning tunnel=crl warning=\"our certificate (or one above it) is valid until UTC\"\n" UP_CRL
        "<\n"
        "< keys[ ]\n"
        "  > get-conns\n"
        "< conns[ mllpgw-crl ]\n"
        "at 86460000\n" LOOKED "copy extra/expired.crl crl\n"
        "at 86520000\n"
        "  > list-sas noblock=yes\n"
        "  > get-shared\n" UP_CRL "<\n"
        "< keys[ ]\n"
        "  > get-conns\n"
        "< conns[ mllpgw-crl ]\n"
        "  > load-cert type=X509_CRL flag=NONE data:large\n"
        "< success=yes\n"
        "  > flush-certs type=X509_CRL\n"
        "< success=yes\n"
        "  info event=tunnel-crl-loaded tunnel=crl revokes_more=no\n"
        "  warning event=tunnel-warning tunnel=crl warning=\"the revocation list is valid until UTC\"\n"
        /* A file that is no CRL: told once, and what charon has stays. */
        "put crl nothing\n"
        "at 86580000\n"
        "  > list-sas noblock=yes\n"
        "  > get-shared\n" UP_CRL "<\n"
        "< keys[ ]\n"
        "  > get-conns\n"
        "< conns[ mllpgw-crl ]\n"
        "  error event=tunnel-refused tunnel=crl what=\"revocation list\" reason=\"/crl: holds no X509 CRL (neither PEM nor DER)\"\n"
        "at 86640000\n" LOOKED "copy extra/empty.crl crl\n"
        "at 86700000\n"
        "  > list-sas noblock=yes\n"
        "  > get-shared\n" UP_CRL "<\n"
        "< keys[ ]\n"
        "  > get-conns\n"
        "< conns[ mllpgw-crl ]\n"
        "  > load-cert type=X509_CRL flag=NONE data:large\n"
        "< success=yes\n"
        "  > flush-certs type=X509_CRL\n"
        "< success=yes\n"
        "  info event=tunnel-crl-loaded tunnel=crl revokes_more=no\n"
        "  info event=tunnel-warning-over tunnel=crl warning=\"the revocation list is valid until UTC\"\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_left_over_goes_first_and_only_that),
        cmocka_unit_test(test_certificates_one_by_one),
        cmocka_unit_test(test_private_keys_go_when_nobody_has_them_and_only_ours),
        cmocka_unit_test(test_of_too_many_private_keys_none_is_ours),
        cmocka_unit_test(test_what_charon_refuses_is_told_once),
        cmocka_unit_test(test_a_key_that_is_not_there_stops_nobody_else),
        cmocka_unit_test(test_another_configuration_while_loading),
        cmocka_unit_test(test_what_vanished_is_loaded_again),
        cmocka_unit_test(test_what_changed_is_ended_and_set_up_anew),
        cmocka_unit_test(test_what_changed_while_charon_was_away),
        cmocka_unit_test(test_until_the_old_sas_are_ended_they_are_told_as_such),
        cmocka_unit_test(test_what_cannot_be_read_stays_what_it_was),
        cmocka_unit_test(test_a_connection_whose_answer_was_lost),
        cmocka_unit_test(test_a_change_that_charon_refuses),
        cmocka_unit_test(test_a_key_that_vanished_since_the_reload),
        cmocka_unit_test(test_sas_of_nobody_are_ended),
        cmocka_unit_test(test_crls_are_loaded_and_loaded_again),
        cmocka_unit_test(test_what_runs_out_is_told_once_a_day),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
