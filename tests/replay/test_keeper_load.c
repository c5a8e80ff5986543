/* links: vpn config */
/* What is loaded into charon, in which order, what is left there and what is taken away. */
#include "support/keeper_script.h"

static void test_what_is_left_over_goes_first_and_only_that(void **state)
{
    (void)state;
    play_script("config a\n"
                "at 0\n" GREETING ACCEPTED "< keys[ by-hand mllpgw-gone mllpgw-a ]\n"
                "  > get-conns\n"
                "< conns[ by-hand mllpgw-gone mllpgw-a ]\n"
                "  > unload-conn name=mllpgw-gone\n"
                "< success=yes\n"
                "  > terminate ike=mllpgw-gone timeout=-1\n"
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
                "  > terminate ike=mllpgw-cert timeout=-1\n"
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
                "  > terminate ike=mllpgw-a timeout=-1\n"
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
                "  > terminate ike=mllpgw-cert timeout=-1\n"
                "  info event=tunnel-unloaded tunnel=cert\n"
                "< success=yes\n"
                "  > load-shared id=mllpgw-a type=ike data:32 192.0.2.1\n"
                "< success=yes\n"
                "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"
                "< success=yes\n"
                "  info event=tunnel-loaded tunnel=a how=new\n");
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
        "  error event=tunnel-refused tunnel=nokey what=\"pre-shared key\" reason=\"cannot read /nowhere/psk: No such file or directory\"\n"
        "< success=yes\n"
        "  > load-conn mllpgw-a{ 192.0.2.1 aes256gcm16-prfsha384-ecp384\n"
        "< success=yes\n"
        "  info event=tunnel-loaded tunnel=a how=new\n"
        "state\n"
        "  connected 5.9.8, nokey unknown: pre-shared key: cannot read /nowhere/psk: No such file or directory, a unknown\n");
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
                "  > terminate ike=mllpgw-b timeout=-1\n"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_left_over_goes_first_and_only_that),
        cmocka_unit_test(test_certificates_one_by_one),
        cmocka_unit_test(test_private_keys_go_when_nobody_has_them_and_only_ours),
        cmocka_unit_test(test_what_charon_refuses_is_told_once),
        cmocka_unit_test(test_a_key_that_is_not_there_stops_nobody_else),
        cmocka_unit_test(test_another_configuration_while_loading),
        cmocka_unit_test(test_what_vanished_is_loaded_again),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
