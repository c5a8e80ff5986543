/* links: admission config loop base */
/* wrap: getaddrinfo offload_submit loop_now_ms */
/* DNS names of peers: a change that could not be acted upon is told again; answers end to count in time,
 * whatever the look-ups do. */
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
    if (loop != NULL) {
        loop_stop(loop);
    }
    return true;
}

/* ---- look-ups and time in the test's hand ---- */

static bool by_hand;
static int64_t now_ms;
static struct offload_job *submitted; /* the look-up under way */
static const char *address;           /* what DNS says; NULL: it fails */

int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_found);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_found);
void __real_offload_submit(struct offload *offload, struct offload_job *job);
void __wrap_offload_submit(struct offload *offload, struct offload_job *job);
int64_t __real_loop_now_ms(const struct loop *asked);
int64_t __wrap_loop_now_ms(const struct loop *asked);

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret_found)
{
    struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};

    if (!by_hand) {
        return __real_getaddrinfo(node, service, hints, ret_found);
    }
    assert_string_equal(node, "peer.example");
    return address == NULL ? EAI_AGAIN : __real_getaddrinfo(address, NULL, &numeric, ret_found);
}

void __wrap_offload_submit(struct offload *offload, struct offload_job *job)
{
    if (!by_hand) {
        __real_offload_submit(offload, job);
        return;
    }
    assert_null(submitted);
    submitted = job;
}

int64_t __wrap_loop_now_ms(const struct loop *asked)
{
    return by_hand ? now_ms : __real_loop_now_ms(asked);
}

#define REFRESH_S 60
#define KEEP_S 3600

struct names_case {
    struct loop *loop;
    struct resolver *resolver;
    struct config_peer peer;
    struct config config;
    char *addresses[1];
};

static void names_case_begin(struct names_case *each, int64_t refresh_s, int64_t keep_s)
{
    static char name[] = "peer", host[] = "peer.example";

    by_hand = true;
    now_ms = 1000000;
    told = refuse = 0;
    loop = NULL;
    *each = (struct names_case){.loop = loop_new("test"), .addresses = {host}};
    each->peer =
        (struct config_peer){.name = name, .addresses = {.items = each->addresses, .count = 1}};
    each->config = (struct config){.peers = &each->peer, .peer_count = 1};
    each->config.gateway.dns_refresh_s = refresh_s;
    each->config.gateway.dns_keep_s = keep_s;
    each->resolver = resolver_new(each->loop, NULL, on_changed, NULL);
    resolver_use(each->resolver, &each->config);
}

static void names_case_end(struct names_case *each)
{
    resolver_free(&each->resolver);
    if (submitted != NULL) {
        submitted->done(submitted);
    }
    submitted = NULL;
    loop_free(&each->loop);
    by_hand = false;
}

/* The look-up under way comes back with what DNS says. */
static void answers(const char *says)
{
    struct offload_job *job = submitted;

    assert_non_null(job);
    submitted = NULL;
    address = says;
    job->work(job);
    job->done(job);
}

static void at(struct names_case *each, int64_t seconds)
{
    now_ms = 1000000 + seconds * 1000;
    timers_run(loop_timers(each->loop), now_ms);
}

static size_t admitted(struct names_case *each)
{
    size_t count = 0;
    const struct admission_name *names = resolver_names(each->resolver, &count);

    assert_int_equal(count, 1);
    return names[0].count;
}

static void kept_while_dns_fails_then_nobody_then_again(void **state)
{
    struct names_case each;

    (void)state;
    names_case_begin(&each, REFRESH_S, KEEP_S);
    answers("192.0.2.1");
    assert_int_equal(admitted(&each), 1);
    assert_int_equal(told, 1);
    for (int64_t s = REFRESH_S; s < KEEP_S; s += REFRESH_S) {
        at(&each, s);
        answers(NULL);
        assert_int_equal(admitted(&each), 1);
    }
    assert_int_equal(told, 1);
    at(&each, KEEP_S);
    assert_int_equal(admitted(&each), 0);
    assert_int_equal(told, 2);
    answers(NULL);
    assert_int_equal(told, 2);
    at(&each, KEEP_S + REFRESH_S);
    answers("192.0.2.1");
    assert_int_equal(admitted(&each), 1);
    assert_int_equal(told, 3);
    names_case_end(&each);
}

static void a_look_up_that_hangs_keeps_nothing_alive(void **state)
{
    struct names_case each;

    (void)state;
    names_case_begin(&each, REFRESH_S, KEEP_S);
    answers("192.0.2.1");
    at(&each, REFRESH_S);
    assert_non_null(submitted); /* and does not come back */
    at(&each, KEEP_S - 1);
    assert_int_equal(admitted(&each), 1);
    at(&each, KEEP_S);
    assert_int_equal(admitted(&each), 0);
    assert_int_equal(told, 2);
    answers("192.0.2.1");
    assert_int_equal(admitted(&each), 1);
    assert_int_equal(told, 3);
    names_case_end(&each);
}

static void not_kept_until_a_rare_look_up(void **state)
{
    struct names_case each;

    (void)state;
    names_case_begin(&each, 86400, KEEP_S);
    answers("192.0.2.1");
    at(&each, KEEP_S);
    assert_null(submitted);
    assert_int_equal(admitted(&each), 0);
    assert_int_equal(told, 2);
    names_case_end(&each);
}

/* Each good answer counts anew; a shorter dns_keep_s counts for the answer that is there. */
static void renewed_and_shortened(void **state)
{
    struct names_case each;

    (void)state;
    names_case_begin(&each, REFRESH_S, KEEP_S);
    answers("192.0.2.1");
    at(&each, REFRESH_S);
    answers("192.0.2.1");
    assert_int_equal(told, 1);
    at(&each, 2 * REFRESH_S);
    at(&each, KEEP_S);
    assert_int_equal(admitted(&each), 1);
    each.config.gateway.dns_keep_s = 2 * KEEP_S;
    resolver_use(each.resolver, &each.config);
    at(&each, REFRESH_S + KEEP_S);
    assert_int_equal(admitted(&each), 1);
    each.config.gateway.dns_keep_s = KEEP_S;
    resolver_use(each.resolver, &each.config);
    at(&each, REFRESH_S + KEEP_S);
    assert_int_equal(admitted(&each), 0);
    names_case_end(&each);
}

static void an_expiry_that_was_not_taken_is_told_again(void **state)
{
    struct names_case each;

    (void)state;
    names_case_begin(&each, 86400, KEEP_S);
    answers("192.0.2.1");
    refuse = 2;
    at(&each, KEEP_S);
    assert_int_equal(told, 2);
    at(&each, KEEP_S + 10);
    assert_int_equal(told, 3);
    at(&each, KEEP_S + 20);
    assert_int_equal(told, 4);
    at(&each, KEEP_S + 30);
    assert_int_equal(told, 4);
    names_case_end(&each);
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
        cmocka_unit_test(kept_while_dns_fails_then_nobody_then_again),
        cmocka_unit_test(a_look_up_that_hangs_keeps_nothing_alive),
        cmocka_unit_test(not_kept_until_a_rare_look_up),
        cmocka_unit_test(renewed_and_shortened),
        cmocka_unit_test(an_expiry_that_was_not_taken_is_told_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
