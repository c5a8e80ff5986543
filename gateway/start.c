/* Starting: every thread, in the order in which they need each other. */
#include "base/log.h"
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void open_routes(struct gateway *gateway)
{
    const struct config *config = gateway->shared->config;
    struct spool_sink sink = {
        .mailbox = loop_mailbox(gateway->delivery),
        .on_entry = router_on_entry,
        .on_lane_resumed = router_on_lane_resumed,
        .on_route_revoked = router_on_route_revoked,
        .context = gateway->router,
    };

    spool_set_notice(gateway->spool, ingress_notice, gateway->ingress);
    spool_set_sink(gateway->spool, &sink);
    for (size_t i = 0; i < config->route_count; i++) {
        spool_route_open(gateway->spool, config->routes[i].name);
    }
}

/* ---- lanes that a dead letter stopped before this start ---- */

struct stopped_lanes {
    struct gateway *gateway;
    struct stopped_lane {
        char *route, *lane;
    } * items;
    size_t count;
};

static void note_stopped(void *context, const char *route, const char *lane,
                         const struct spool_lane_statistics *statistics)
{
    struct stopped_lanes *stopped = context;
    struct stopped_lane *grown;

    if (!statistics->stopped) {
        return;
    }
    grown = realloc(stopped->items, (stopped->count + 1) * sizeof(*grown));
    if (grown == NULL) {
        return; /* only a metric goes without: the spool itself holds the lane */
    }
    stopped->items = grown;
    grown[stopped->count] = (struct stopped_lane){strdup(route), strdup(lane)};
    stopped->count++;
}

static void find_stopped(struct spool *spool, struct spool_backend *backend, void *context)
{
    (void)spool;
    (void)!spool_backend_lanes(backend, note_stopped, context);
}

static void tell_router(void *context)
{
    struct stopped_lanes *stopped = context;

    for (size_t i = 0; i < stopped->count; i++) {
        struct stopped_lane *each = &stopped->items[i];
        if (each->route != NULL && each->lane != NULL) {
            router_on_lane_stopped(stopped->gateway->router, each->route, each->lane);
        }
        free(each->route);
        free(each->lane);
    }
    free(stopped->items);
}

static void tell_router_of_stopped_lanes(struct gateway *gateway)
{
    struct stopped_lanes stopped = {.gateway = gateway};

    gateway_call_spool(gateway, find_stopped, &stopped);
    gateway_call(gateway->delivery, tell_router, &stopped);
}

static void warn_of_queued(struct gateway *gateway)
{
    struct problems problems;

    problems_init(&problems);
    gateway_check_queued(gateway, NULL, gateway->shared->config, &problems, PROBLEM_WARNING);
    problems_print(&problems, stderr);
    problems_free(&problems);
}

static void start_tunnels(struct gateway *gateway)
{
    const struct tunnel_reader_owner owner = {gateway_tunnels_changed, gateway_tunnels_heard,
                                              gateway};

    gateway->tunnels = tunnel_reader_new(admin_loop(gateway->admin), gateway->metrics, &owner);
    if (gateway->tunnels != NULL) {
        tunnel_reader_use(gateway->tunnels, gateway->shared->config);
    } else {
        LOG_EVENT(LOG_LEVEL_ERROR, "no-tunnels",
                  LOG_STRING("words", "memory is out: no peer with a tunnel is admitted"));
    }
}

static void start_looking(void *context)
{
    struct gateway *gateway = context;

    /* Not the delivery's offload thread: messages would wait for name servers. */
    gateway->lookups = offload_new();
    if (gateway->lookups != NULL) {
        gateway->resolver = resolver_new(admin_loop(gateway->admin), gateway->lookups,
                                         gateway_names_changed, gateway);
    }
    if (gateway->resolver != NULL) {
        resolver_use(gateway->resolver, gateway->shared->config);
    } else {
        LOG_EVENT(LOG_LEVEL_ERROR, "no-look-ups",
                  LOG_STRING("words", "memory is out: names in peers' addresses admit nobody"));
    }
    start_tunnels(gateway);
    gateway_plan_looks(gateway);
}

static int start_threads(struct gateway *gateway)
{
    int error = loop_start(gateway->delivery, NULL, NULL);

    gateway->delivery_runs = error == 0;
    if (error == 0) {
        warn_of_queued(gateway);
        gateway_load_sequences(gateway, gateway->shared);
        open_routes(gateway);
        tell_router_of_stopped_lanes(gateway);
        error = admin_start(gateway->admin);
        gateway->admin_runs = error == 0;
    }
    if (error == 0) {
        gateway_call(admin_loop(gateway->admin), start_looking, gateway);
        error = ingress_start(gateway->ingress, gateway->spool);
    }
    return error;
}

/* The admin thread may be reloading by now: shared is its to change, started stays. */
static void say_started(const struct gateway *gateway)
{
    const struct config *config = gateway->started->config;

    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        LOG_EVENT(LOG_LEVEL_INFO, "listening", LOG_STRING("listener", listener->name),
                  LOG_STRING("address", listener->address), LOG_STRING("tls", listener->tls),
                  LOG_STRING("acknowledge", listener->acknowledge == CONFIG_ACKNOWLEDGE_STORED
                                                ? "stored"
                                                : "delivered"));
    }
    LOG_EVENT(LOG_LEVEL_INFO, "started", LOG_STRING("name", config->gateway.name),
              LOG_STRING("version", MLLPGW_VERSION), LOG_INTEGER("pid", getpid()),
              LOG_STRING("configuration", config->file));
}

int gateway_run(struct gateway *gateway)
{
    gateway_settle_in(gateway, gateway->snapshot);
    gateway_watch_signals(gateway);
    if (start_threads(gateway) != 0) {
        fprintf(stderr, "mllp-gateway: can't start its threads\n");
        return 1;
    }
    atomic_store(&gateway->state, GATEWAY_SERVING);
    say_started(gateway);
    process_notify("READY=1");
    loop_run(gateway->main_loop);
    return gateway->exit_status;
}
