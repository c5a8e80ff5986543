/* links: loop base */
#include "base/clock.h"
#include "loop/loop.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *loop;
static char events[64]; /* what happened, a letter each */
static size_t event_count;

static void happened(char letter)
{
    assert_true(event_count < sizeof(events) - 1);
    events[event_count++] = letter;
    events[event_count] = '\0';
}

static int setup(void **state)
{
    (void)state;
    event_count = 0;
    events[0] = '\0';
    loop = loop_new("test-loop");
    return loop == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(&loop);
    assert_null(loop);
    loop_free(&loop);
    return 0;
}

static void stop_on_fire(struct timer *timer)
{
    (void)timer;
    happened('T');
    loop_stop(loop);
}

static void a_timer_fires_when_it_is_due_and_not_before(void **state)
{
    struct timer timer = {.fire = stop_on_fire};
    int64_t before = clock_monotonic_ms(clock_system());

    (void)state;
    assert_int_equal(timers_start(loop_timers(loop), &timer, before + 30), 0);
    loop_run(loop);
    assert_true(clock_monotonic_ms(clock_system()) >= before + 30);
    assert_int_equal(clock_monotonic_ms(loop_clock(loop)), loop_now_ms(loop));
    assert_string_equal(events, "T");
}

static struct timer again;
static int rounds;

static void fire_again(struct timer *timer)
{
    if (++rounds == 1000)
        loop_stop(loop);
    else
        assert_int_equal(timers_start(loop_timers(loop), timer, loop_now_ms(loop)), 0);
}

static void zero_milliseconds_are_zero_milliseconds(void **state)
{
    int64_t before = clock_monotonic_ms(clock_system());

    (void)state;
    rounds = 0;
    again = (struct timer){.fire = fire_again};
    assert_int_equal(timers_start(loop_timers(loop), &again, 0), 0);
    loop_run(loop);
    /* 1000 waits of 1 ms would take at least 1000 ms. */
    assert_true(clock_monotonic_ms(clock_system()) - before < 900);
}

static void stop_after(struct mail *mail)
{
    (void)mail;
    happened('M');
    loop_stop(loop);
}

static void mail_from_before_the_start_is_delivered(void **state)
{
    struct mail mail = {.deliver = stop_after};

    (void)state;
    mailbox_post(loop_mailbox(loop), &mail);
    loop_run(loop);
    assert_string_equal(events, "M");
}

static struct deferred outer, inner;

static void run_inner(struct deferred *deferred)
{
    (void)deferred;
    happened('i');
}

static void run_outer(struct deferred *deferred)
{
    (void)deferred;
    happened('o');
    loop_defer(loop, &inner);
}

static void defer_and_stop(struct mail *mail)
{
    (void)mail;
    loop_defer(loop, &outer);
    happened('M');
    loop_stop(loop);
}

static void deferred_ones_run_after_the_callback(void **state)
{
    struct mail mail = {.deliver = defer_and_stop};

    (void)state;
    outer = (struct deferred){.run = run_outer};
    inner = (struct deferred){.run = run_inner};
    mailbox_post(loop_mailbox(loop), &mail);
    loop_run(loop);
    assert_string_equal(events, "Moi");
}

static void *deferred_memory;

static void free_deferred(struct deferred *deferred)
{
    free(deferred);
    deferred_memory = NULL;
}

static void deferred_ones_run_when_the_loop_is_freed(void **state)
{
    struct deferred *deferred = calloc(1, sizeof(*deferred));

    (void)state;
    deferred->run = free_deferred;
    deferred_memory = deferred;
    loop_defer(loop, deferred);
    loop_free(&loop);
    assert_null(deferred_memory);
}

static struct loop_watch watch;
static int pair[2];

static void open_pair(void)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
}

static void close_pair(void)
{
    close(pair[0]);
    close(pair[1]);
}

static void on_readable(void *context, int ready)
{
    char byte;

    assert_ptr_equal(context, pair);
    assert_true(ready & UV_READABLE);
    while (read(pair[0], &byte, 1) == 1)
        happened(byte);
    loop_watch_stop(&watch);
    loop_watch_stop(&watch);
    close_pair();
    loop_stop(loop);
}

static void a_watch_reports_what_it_was_set_to(void **state)
{
    (void)state;
    open_pair();
    /* Writable at once, but nobody asks for that until it is readable too. */
    assert_int_equal(loop_watch_start(loop, &watch, pair[0], 0, on_readable, pair), 0);
    loop_watch_set(&watch, UV_READABLE);
    loop_watch_set(&watch, UV_READABLE);
    assert_int_equal(write(pair[1], "r", 1), 1);
    loop_run(loop);
    assert_string_equal(events, "r");
}

static void on_changing(void *context, int ready)
{
    (void)context;
    happened(ready & UV_WRITABLE ? 'w' : 'r');
    if (ready & UV_WRITABLE) {
        loop_watch_set(&watch, UV_READABLE);
        shutdown(pair[1], SHUT_WR);
    } else {
        loop_watch_set(&watch, 0);
        loop_stop(loop);
    }
}

static void a_watch_can_change_its_events(void **state)
{
    (void)state;
    open_pair();
    assert_int_equal(loop_watch_start(loop, &watch, pair[0], UV_WRITABLE, on_changing, NULL), 0);
    loop_run(loop);
    assert_string_equal(events, "wr");
    loop_watch_stop(&watch);
    close_pair();
}

static void on_broken_pipe(void *context, int ready)
{
    (void)context;
    assert_int_not_equal(ready, 0);
    happened('e');
    if (event_count < 2)
        return; /* does nothing about it: must be told again, as epoll would */
    loop_watch_stop(&watch);
    loop_stop(loop);
}

/* The write end of a pipe without reader is EPOLLERR, which libuv reports as a status. */
static void an_error_is_reported_until_it_is_dealt_with(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(loop_watch_start(loop, &watch, ends[1], UV_WRITABLE, on_broken_pipe, NULL), 0);
    loop_run(loop);
    assert_string_equal(events, "ee");
    close(ends[1]);
}

static void watching_a_bad_descriptor_fails(void **state)
{
    (void)state;
    assert_true(loop_watch_start(loop, &watch, -1, UV_READABLE, on_readable, NULL) < 0);
}

static pthread_t started_on;
static char thread_name[16];
static sigset_t thread_signals;

static void on_start(void *context)
{
    assert_ptr_equal(context, events);
    started_on = pthread_self();
    pthread_getname_np(pthread_self(), thread_name, sizeof(thread_name));
    pthread_sigmask(SIG_BLOCK, NULL, &thread_signals);
    happened('S');
}

static void on_thread_mail(struct mail *mail)
{
    (void)mail;
    assert_true(pthread_equal(started_on, pthread_self()));
    pthread_getname_np(pthread_self(), thread_name, sizeof(thread_name));
    happened('M');
}

static void a_thread_has_a_name_and_blocks_signals(void **state)
{
    struct mail mail = {.deliver = on_thread_mail};

    (void)state;
    assert_int_equal(loop_start(loop, on_start, events), 0);
    /* Named by then: the post happens after loop_start() has returned. */
    mailbox_post(loop_mailbox(loop), &mail);
    loop_stop(loop);
    loop_join(loop);
    loop_join(loop);
    assert_string_equal(events, "SM");
    assert_string_equal(thread_name, "test-loop");
    assert_true(sigismember(&thread_signals, SIGTERM));
    assert_true(sigismember(&thread_signals, SIGPIPE));
    assert_false(sigismember(&thread_signals, SIGSEGV));
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &thread_signals), 0);
    assert_false(sigismember(&thread_signals, SIGTERM));
}

static void freeing_ends_the_thread(void **state)
{
    (void)state;
    assert_int_equal(loop_start(loop, NULL, NULL), 0);
    loop_free(&loop);
    assert_null(loop);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_timer_fires_when_it_is_due_and_not_before),
        TEST(zero_milliseconds_are_zero_milliseconds),
        TEST(mail_from_before_the_start_is_delivered),
        TEST(deferred_ones_run_after_the_callback),
        TEST(deferred_ones_run_when_the_loop_is_freed),
        TEST(a_watch_reports_what_it_was_set_to),
        TEST(a_watch_can_change_its_events),
        TEST(an_error_is_reported_until_it_is_dealt_with),
        TEST(watching_a_bad_descriptor_fails),
        TEST(a_thread_has_a_name_and_blocks_signals),
        TEST(freeing_ends_the_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
