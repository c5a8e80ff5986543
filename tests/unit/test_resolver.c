/* links: admission config loop base */
/* DNS names of peers: a change that could not be acted upon is told again. */
#include "resolver.c" /* the daemon's own, in no library */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct loop *loop;
static unsigned told, refuse;

static bool on_changed(void *context)
{
    (void)context;
    told++;
    if (refuse > 0) {
        refuse--;
        return false;
    }
    loop_stop(loop);
    return true;
}

static void a_change_that_was_not_taken_is_told_again(void **state)
{
    static char localhost[] = "localhost", name[] = "peer";
    char *addresses[] = {localhost};
    struct config_peer peer = {.name = name, .addresses = {.items = addresses, .count = 1}};
    struct config config = {.peers = &peer, .peer_count = 1};
    struct offload *offload = offload_new();
    struct resolver *resolver;
    size_t count = 0;

    (void)state;
    loop = loop_new("test");
    config.gateway.dns_refresh_s = 0; /* at once */
    config.gateway.dns_keep_s = 3600;
    refuse = 2;
    resolver = resolver_new(loop, offload, on_changed, NULL);
    resolver_use(resolver, &config);
    loop_run(loop);
    assert_int_equal(told, 3);
    const struct admission_name *names = resolver_names(resolver, &count);
    assert_int_equal(count, 1);
    assert_true(names[0].count > 0);
    resolver_free(&resolver);
    offload_free(&offload);
    mailbox_drain(loop_mailbox(loop));
    loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_that_was_not_taken_is_told_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
