#include "loop/loop.h"
#include "base/clock.h"
#include "loop/thread.h"

#include <stdio.h>
#include <stdlib.h>

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t alarm;
    uv_prepare_t before_wait;
    uv_check_t after_wait;
    struct mailbox mailbox;
    struct timers timers;
    bool alarm_stale; /* the earliest deadline moved since the alarm was set */
    struct list_node deferred;
    struct clock clock;
    char name[16];
    pthread_t thread;
    bool started;
    void (*start)(void *context);
    void *start_context;
    atomic_bool stopping;
};

#define LOOP_OF(pointer, member)                                                                   \
    ((struct loop *)(void *)((char *)(pointer)-offsetof(struct loop, member)))

static void loop_run_deferred(struct loop *loop)
{
    struct list_node *node;

    while ((node = list_pop_front(&loop->deferred)) != NULL) {
        struct deferred *deferred = LIST_ENTRY(node, struct deferred, node);

        deferred->run(deferred);
    }
}

static void loop_on_wake(uv_async_t *wake)
{
    struct loop *loop = LOOP_OF(wake, wake);

    mailbox_drain(&loop->mailbox);
    if (atomic_load_explicit(&loop->stopping, memory_order_acquire))
        uv_stop(&loop->uv);
}

static void loop_on_alarm(uv_timer_t *alarm)
{
    struct loop *loop = LOOP_OF(alarm, alarm);

    loop->alarm_stale = true;
    timers_run(&loop->timers, loop_now_ms(loop));
}

/* However many deadlines move in an iteration, libuv's timer is set once, just before the wait.
 * Nothing may be rounded up here: libcurl asks for 0 ms and means it. */
static void loop_set_alarm(struct loop *loop)
{
    int64_t next_ms = timers_next_ms(&loop->timers, loop_now_ms(loop));

    loop->alarm_stale = false;
    if (next_ms < 0)
        uv_timer_stop(&loop->alarm);
    else
        uv_timer_start(&loop->alarm, loop_on_alarm, (uint64_t)next_ms, 0);
}

/* The deferred ones run on both sides of the wait: those that a timer left would otherwise live
 * through a wait that may be long. */
static void loop_on_before_wait(uv_prepare_t *before_wait)
{
    struct loop *loop = LOOP_OF(before_wait, before_wait);

    loop_run_deferred(loop);
    if (loop->alarm_stale)
        loop_set_alarm(loop);
}

static void loop_on_after_wait(uv_check_t *after_wait)
{
    loop_run_deferred(LOOP_OF(after_wait, after_wait));
}

static void loop_on_post(struct mailbox *mailbox)
{
    uv_async_send(&LOOP_OF(mailbox, mailbox)->wake);
}

static void loop_on_timers_changed(struct timers *timers)
{
    LOOP_OF(timers, timers)->alarm_stale = true;
}

static int64_t loop_clock_monotonic(const struct clock *clock)
{
    return loop_now_ms(
        (const struct loop *)(const void *)((const char *)clock - offsetof(struct loop, clock)));
}

static int64_t loop_clock_wall(const struct clock *clock)
{
    (void)clock;
    return clock_wall_ms(clock_system());
}

static int loop_init_handles(struct loop *loop)
{
    int result = uv_loop_init(&loop->uv);

    if (result != 0)
        return result;
    result = uv_async_init(&loop->uv, &loop->wake, loop_on_wake);
    if (result != 0) {
        (void)uv_loop_close(&loop->uv);
        return result;
    }
    uv_timer_init(&loop->uv, &loop->alarm);
    uv_prepare_init(&loop->uv, &loop->before_wait);
    uv_check_init(&loop->uv, &loop->after_wait);
    uv_prepare_start(&loop->before_wait, loop_on_before_wait);
    uv_check_start(&loop->after_wait, loop_on_after_wait);
    return 0;
}

struct loop *loop_new(const char *name)
{
    struct loop *loop = calloc(1, sizeof(*loop));

    if (loop == NULL)
        return NULL;
    if (loop_init_handles(loop) != 0) {
        free(loop);
        return NULL;
    }
    mailbox_init(&loop->mailbox, loop_on_post);
    timers_init(&loop->timers, loop_on_timers_changed);
    list_init(&loop->deferred);
    loop->clock = (struct clock){loop_clock_monotonic, loop_clock_wall};
    snprintf(loop->name, sizeof(loop->name), "%s", name);
    return loop;
}

static void loop_close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void loop_free(struct loop **loop)
{
    struct loop *old = *loop;

    if (old == NULL)
        return;
    if (old->started) {
        loop_stop(old);
        loop_join(old);
    }
    uv_prepare_stop(&old->before_wait);
    uv_check_stop(&old->after_wait);
    uv_walk(&old->uv, loop_close_handle, NULL);
    uv_run(&old->uv, UV_RUN_DEFAULT); /* only the close callbacks are left */
    loop_run_deferred(old);
    (void)uv_loop_close(&old->uv);
    timers_free(&old->timers);
    free(old);
    *loop = NULL;
}

static void *loop_thread(void *context)
{
    struct loop *loop = context;

    uv_update_time(&loop->uv);
    if (loop->start != NULL)
        loop->start(loop->start_context);
    loop_run(loop);
    return NULL;
}

int loop_start(struct loop *loop, void (*start)(void *context), void *context)
{
    int result;

    loop->start = start;
    loop->start_context = context;
    result = thread_start(loop->name, loop_thread, loop, &loop->thread);
    if (result == 0)
        loop->started = true;
    return result;
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop_run_deferred(loop);
    atomic_store_explicit(&loop->stopping, false, memory_order_relaxed);
}

void loop_stop(struct loop *loop)
{
    atomic_store_explicit(&loop->stopping, true, memory_order_release);
    uv_async_send(&loop->wake);
}

void loop_join(struct loop *loop)
{
    if (!loop->started)
        return;
    pthread_join(loop->thread, NULL);
    loop->started = false;
}

uv_loop_t *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

struct mailbox *loop_mailbox(struct loop *loop)
{
    return &loop->mailbox;
}

struct timers *loop_timers(struct loop *loop)
{
    return &loop->timers;
}

int64_t loop_now_ms(const struct loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

void loop_refresh(struct loop *loop)
{
    uv_update_time(&loop->uv);
}

const struct clock *loop_clock(const struct loop *loop)
{
    return &loop->clock;
}

void loop_defer(struct loop *loop, struct deferred *deferred)
{
    list_append(&loop->deferred, &deferred->node);
}
