/* Signals, and the way down: connections end between messages, attempts in flight end, then the
 * process does. All on the main loop. */
#include "base/log.h"
#include "internal.h"

#include <signal.h>
#include <stdlib.h>

#define ROUTES_AT_LEAST_MS 1000 /* attempts in flight get so long even after a long ingress drain */

static int64_t now_ms(const struct gateway *gateway)
{
    return loop_now_ms(gateway->main_loop);
}

static void stop(struct gateway *gateway, const char *why)
{
    if (atomic_load(&gateway->state) == GATEWAY_STOPPED) {
        return;
    }
    atomic_store(&gateway->state, GATEWAY_STOPPED);
    LOG_EVENT(LOG_LEVEL_INFO, "stopped", LOG_STRING("why", why));
    loop_stop(gateway->main_loop);
}

static void set_deadline(struct gateway *gateway, int64_t due_ms)
{
    if (timers_start(loop_timers(gateway->main_loop), &gateway->drain_deadline, due_ms) != 0) {
        stop(gateway, "memory is out");
    }
}

/* ---- second half: routes ---- */

struct main_mail {
    struct mail mail;
    struct gateway *gateway;
    void (*run)(struct gateway *gateway);
};

static void run_main_mail(struct mail *mail)
{
    struct main_mail *posted = LIST_ENTRY(mail, struct main_mail, mail);
    struct gateway *gateway = posted->gateway;
    void (*run)(struct gateway *) = posted->run;

    free(posted);
    run(gateway);
}

static void post_to_main(struct gateway *gateway, void (*run)(struct gateway *gateway))
{
    struct main_mail *mail = malloc(sizeof(*mail));

    if (mail == NULL) {
        return; /* the drain's deadline goes on without it */
    }
    *mail = (struct main_mail){{.deliver = run_main_mail}, gateway, run};
    mailbox_post(loop_mailbox(gateway->main_loop), &mail->mail);
}

static void routes_are_drained(struct gateway *gateway)
{
    stop(gateway, "drained");
}

static void router_drained(void *context)
{
    post_to_main(context, routes_are_drained);
}

static void drain_router(void *context)
{
    struct gateway *gateway = context;

    router_drain(gateway->router, gateway->drain_ends_ms, router_drained, gateway);
}

static void drain_routes(struct gateway *gateway)
{
    int64_t least = now_ms(gateway) + ROUTES_AT_LEAST_MS;

    if (atomic_load(&gateway->state) != GATEWAY_DRAINING_INGRESS) {
        return;
    }
    atomic_store(&gateway->state, GATEWAY_DRAINING_ROUTES);
    if (gateway->drain_ends_ms < least) {
        gateway->drain_ends_ms = least;
    }
    gateway_call(gateway->delivery, drain_router, gateway);
    set_deadline(gateway, gateway->drain_ends_ms + ROUTES_AT_LEAST_MS);
}

/* ---- first half: connections ---- */

static void ingress_drained(void *context)
{
    post_to_main(context, drain_routes);
}

static void deadline_passed(struct timer *timer)
{
    struct gateway *gateway = LIST_ENTRY(timer, struct gateway, drain_deadline);

    if (atomic_load(&gateway->state) == GATEWAY_DRAINING_INGRESS) {
        LOG_EVENT(LOG_LEVEL_WARNING, "drain-deadline",
                  LOG_STRING("words", "connections that still owe an answer are closed"));
        ingress_stop(gateway->ingress);
        drain_routes(gateway);
    } else {
        stop(gateway, "drain deadline");
    }
}

static void start_drain(struct gateway *gateway)
{
    int64_t deadline = atomic_load(&gateway->drain_deadline_ms);

    if (atomic_load(&gateway->state) != GATEWAY_SERVING) {
        return;
    }
    atomic_store(&gateway->state, GATEWAY_DRAINING_INGRESS);
    process_notify("STOPPING=1");
    LOG_EVENT(LOG_LEVEL_INFO, "draining", LOG_INTEGER("deadline_ms", deadline));
    gateway->drain_ends_ms = now_ms(gateway) + deadline;
    gateway->drain_deadline.fire = deadline_passed;
    set_deadline(gateway, gateway->drain_ends_ms);
    ingress_drain(gateway->ingress, ingress_drained, gateway);
}

void gateway_drain(void *gateway)
{
    post_to_main(gateway, start_drain);
}

/* ---- signals ---- */

static void on_stop_signal(uv_signal_t *signal_handle, int number)
{
    struct gateway *gateway = signal_handle->data;

    if (atomic_load(&gateway->state) == GATEWAY_SERVING) {
        start_drain(gateway);
    } else {
        LOG_EVENT(LOG_LEVEL_WARNING, "second-signal", LOG_INTEGER("signal", number));
        stop(gateway, "second signal");
    }
}

static void reload_on_admin(void *context)
{
    struct gateway *gateway = context;
    struct problems problems;
    size_t changed = 0;

    problems_init(&problems);
    (void)!gateway_reload(gateway, &problems, &changed);
    problems_free(&problems);
}

struct reload_mail {
    struct mail mail;
    struct gateway *gateway;
};

static void on_reload_mail(struct mail *mail)
{
    struct reload_mail *reload = LIST_ENTRY(mail, struct reload_mail, mail);

    reload_on_admin(reload->gateway);
    free(reload);
}

static void on_reload_signal(uv_signal_t *signal_handle, int number)
{
    struct gateway *gateway = signal_handle->data;
    struct reload_mail *reload = malloc(sizeof(*reload));

    (void)number;
    if (reload != NULL) {
        *reload = (struct reload_mail){{.deliver = on_reload_mail}, gateway};
        mailbox_post(loop_mailbox(admin_loop(gateway->admin)), &reload->mail);
    }
}

static void watch_signal(struct gateway *gateway, uv_signal_t *handle, int number,
                         uv_signal_cb callback)
{
    uv_signal_init(loop_uv(gateway->main_loop), handle);
    handle->data = gateway;
    uv_signal_start(handle, callback, number);
}

static void feed_watchdog(struct timer *timer)
{
    struct gateway *gateway = LIST_ENTRY(timer, struct gateway, watchdog);

    process_notify("WATCHDOG=1");
    if (timers_start(loop_timers(gateway->main_loop), timer,
                     now_ms(gateway) + process_watchdog_ms()) != 0) {
        stop(gateway, "memory is out");
    }
}

void gateway_watch_signals(struct gateway *gateway)
{
    watch_signal(gateway, &gateway->sigterm, SIGTERM, on_stop_signal);
    watch_signal(gateway, &gateway->sigint, SIGINT, on_stop_signal);
    watch_signal(gateway, &gateway->sighup, SIGHUP, on_reload_signal);
    gateway->watchdog.fire = feed_watchdog;
    if (process_watchdog_ms() > 0) {
        feed_watchdog(&gateway->watchdog);
    }
}
