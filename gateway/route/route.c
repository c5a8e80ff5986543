#include "route/router.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#define ROUTER_BUCKETS 64
#define ROUTER_STARVED_MS 1000

#define ROUTER_OF(timer_pointer, member)                                                           \
    ((struct router *)(void *)((char *)(timer_pointer)-offsetof(struct router, member)))
#define ROUTE_OF(list_node_pointer) LIST_ENTRY(list_node_pointer, struct route, node)
#define ENTRY_OF(list_node_pointer) LIST_ENTRY(list_node_pointer, struct spool_entry, node)

int64_t router_now_ms(const struct router *router)
{
    return clock_monotonic_ms(router->context.clock);
}

int64_t router_wall_ms(const struct router *router)
{
    return clock_wall_ms(router->context.clock);
}

/* splitmix64: it only has to keep lanes and gateways from moving in step. */
uint64_t router_random(struct router *router)
{
    uint64_t mixed;

    if (router->context.random != NULL)
        return router->context.random(router->context.random_context);
    router->random_state += 0x9e3779b97f4a7c15u;
    mixed = router->random_state;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

/* All timers of this folder were parked in the heap when their owner was made: moving can't fail. */
void router_move_timer(struct router *router, struct timer *timer, int64_t due_ms)
{
    if (timers_start(router->context.timers, timer, due_ms) != 0)
        abort();
}

void router_want_sweep(struct router *router)
{
    router_move_timer(router, &router->sweep, router_now_ms(router));
}

void router_starve(struct router *router)
{
    if (router->starved.due_ms == ROUTE_NEVER)
        router_move_timer(router, &router->starved, router_now_ms(router) + ROUTER_STARVED_MS);
}

static void router_on_sweep(struct timer *timer)
{
    struct router *router = ROUTER_OF(timer, sweep);

    router_move_timer(router, &router->sweep, ROUTE_NEVER);
    router_sweep(router);
}

/* false: memory is out, the entry is not taken. */
static bool router_place(struct route *route, struct spool_entry *entry)
{
    struct lane *lane = lane_find(route->router, entry->lane);

    if (lane == NULL)
        lane = lane_new(route, entry->lane);
    if (lane == NULL)
        return false;
    route->state = ROUTE_OPEN; /* the spool sends nothing for a route that it has closed */
    route->held++;
    if (entry->transient && !entry->wait)
        route->impatient++;
    lane_add(lane, entry);
    lane->busy = true;
    lane_refresh(lane);
    route_pump(route);
    lane->busy = false;
    if (route->impatient > 0 && route->target->state != TARGET_UP)
        lane_refuse_impatient(lane);
    else
        lane_refresh(lane);
    report_held(route);
    report_queueing(route);
    return true;
}

static void router_refuse(struct router *router, struct spool_entry *entry, const char *why)
{
    entry_give_back(router, NULL, entry, why);
}

/* Everything behind an entry for which there was no memory waits with it: order is never lost. */
static void router_retry_orphans(struct router *router)
{
    int64_t now_ms = router_now_ms(router);
    struct list_node *node;

    while ((node = list_pop_front(&router->orphans)) != NULL) {
        struct spool_entry *entry = ENTRY_OF(node);
        struct route *route = route_find(router, entry->route);

        if (route == NULL || route->state == ROUTE_REMOVED) {
            router_refuse(router, entry, "the route was removed from the configuration");
        } else if (entry->transient && entry->deadline_ms <= now_ms) {
            router_refuse(router, entry, "out of memory");
        } else if (!router_place(route, entry)) {
            list_prepend(&router->orphans, node);
            router_starve(router);
            return;
        }
    }
}

static void router_on_starved(struct timer *timer)
{
    struct router *router = ROUTER_OF(timer, starved);

    router_move_timer(router, &router->starved, ROUTE_NEVER);
    router_retry_orphans(router);
    LIST_FOREACH_SAFE(node, following, &router->routes) {
        route_pump(ROUTE_OF(node));
    }
}

void router_on_entry(void *context, struct spool_entry *entry)
{
    struct router *router = context;
    struct lane *lane;
    struct route *route;

    entry->verdict = (struct verdict){.kind = VERDICT_RETRY, .not_sent = true};
    list_init(&entry->node);
    if (router->state != ROUTER_RUNNING) {
        router_refuse(router, entry, "the gateway is shutting down");
        return;
    }
    lane = lane_find(router, entry->lane);
    route = lane != NULL ? lane->route : route_find(router, entry->route);
    if (route == NULL || route->state == ROUTE_REMOVED) {
        router_refuse(router, entry, "the route was removed from the configuration");
        return;
    }
    if (!list_empty(&router->orphans) || !router_place(route, entry)) {
        list_append(&router->orphans, &entry->node);
        router_starve(router);
    }
}

void router_on_lane_resumed(void *context, const char *name)
{
    struct lane *lane = lane_find(context, name);
    struct route *route;

    if (lane == NULL || lane->state != LANE_STOPPED)
        return;
    route = lane->route;
    lane_resume(lane);
    lane_refresh(lane);
    route_pump(route);
}

void router_on_lane_stopped(void *context, const char *route_name, const char *name)
{
    struct router *router = context;
    struct route *route = route_find(router, route_name);
    struct lane *lane = lane_find(router, name);

    if (route == NULL || route->state == ROUTE_REMOVED)
        return;
    if (lane == NULL)
        lane = lane_new(route, name);
    if (lane != NULL) /* else only a number in a metric is missing: the spool holds the lane */
        lane_stop(lane);
}

void router_on_route_revoked(void *context, const char *name)
{
    struct router *router = context;
    struct route *route = route_find(router, name);

    LIST_FOREACH_SAFE(node, following, &router->orphans) {
        struct spool_entry *entry = ENTRY_OF(node);

        if (strcmp(entry->route, name) == 0) {
            list_remove(node);
            router_refuse(router, entry, "the route was closed");
        }
    }
    if (route == NULL)
        return;
    if (route->state == ROUTE_OPEN)
        route->state = ROUTE_REVOKED;
    route_give_back(route, "the route was closed");
}

static void router_give_back_orphans(struct router *router, const char *why)
{
    struct list_node *node;

    while ((node = list_pop_front(&router->orphans)) != NULL)
        router_refuse(router, ENTRY_OF(node), why);
}

static void route_cancel_all(struct route *route, const char *why)
{
    LIST_FOREACH_SAFE(node, following, &route->lanes) {
        struct lane *lane = LIST_ENTRY(node, struct lane, in_route);

        LIST_FOREACH_SAFE(job, next, &lane->jobs[JOB_IN_FLIGHT]) {
            job_give_back(LIST_ENTRY(job, struct job, node), why);
        }
        lane_give_back(lane, why);
    }
}

static void router_cancel_all(struct router *router, const char *why)
{
    router_give_back_orphans(router, why);
    LIST_FOREACH_SAFE(node, following, &router->routes) {
        route_cancel_all(ROUTE_OF(node), why);
    }
}

static void router_on_drained(struct timer *timer)
{
    struct router *router = ROUTER_OF(timer, drain);

    router_move_timer(router, &router->drain, ROUTE_NEVER);
    router_cancel_all(router, "the gateway is shutting down");
    router->state = ROUTER_DRAINED;
    router->drain_done(router->drain_context);
}

void router_drain_check(struct router *router)
{
    if (router->state == ROUTER_DRAINING && router->in_flight == 0)
        router_move_timer(router, &router->drain, router_now_ms(router));
}

void router_drain(struct router *router, int64_t deadline_ms, void (*done)(void *context),
                  void *context)
{
    router->state = ROUTER_DRAINING;
    router->drain_done = done;
    router->drain_context = context;
    router_move_timer(router, &router->drain, deadline_ms);
    router_give_back_orphans(router, "the gateway is shutting down");
    LIST_FOREACH_SAFE(node, following, &router->routes) {
        route_give_back(ROUTE_OF(node), "the gateway is shutting down");
    }
    router_drain_check(router);
}

static int router_park_timers(struct router *router)
{
    struct timer *timers[] = {&router->starved, &router->sweep, &router->drain};

    router->starved.fire = router_on_starved;
    router->sweep.fire = router_on_sweep;
    router->drain.fire = router_on_drained;
    for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++) {
        if (timers_start(router->context.timers, timers[i], ROUTE_NEVER) != 0)
            return -ENOMEM;
    }
    return 0;
}

static void router_seed(struct router *router)
{
    uint64_t seeds[2] = {0, 0};

    if (getrandom(seeds, sizeof(seeds), 0) != (ssize_t)sizeof(seeds))
        seeds[0] = seeds[1] = (uint64_t)clock_monotonic_ns();
    router->seed = seeds[0];
    router->random_state = seeds[1];
}

struct router *router_new(const struct router_context *context)
{
    struct router *router = calloc(1, sizeof(*router));

    if (router == NULL)
        return NULL;
    router->context = *context;
    list_init(&router->routes);
    list_init(&router->targets);
    list_init(&router->retired);
    list_init(&router->spare_jobs);
    list_init(&router->orphans);
    router_seed(router);
    router->bucket_count = ROUTER_BUCKETS;
    router->buckets = calloc(router->bucket_count, sizeof(struct lane *));
    if (router->buckets == NULL || router_park_timers(router) != 0)
        router_free(&router);
    return router;
}

void router_free(struct router **router)
{
    struct router *old = *router;

    if (old == NULL)
        return;
    old->state = ROUTER_DRAINED; /* nothing is pumped any more */
    router_cancel_all(old, "the gateway is shutting down");
    LIST_FOREACH_SAFE(node, following, &old->routes) {
        ROUTE_OF(node)->state = ROUTE_REMOVED;
    }
    LIST_FOREACH_SAFE(node, following, &old->targets) {
        LIST_ENTRY(node, struct target, node)->removed = true;
    }
    router_sweep(old);
    job_pool_free(old);
    timers_stop(old->context.timers, &old->starved);
    timers_stop(old->context.timers, &old->sweep);
    timers_stop(old->context.timers, &old->drain);
    free(old->buckets);
    free(old);
    *router = NULL;
}

/* When the first of its messages may be tried, as far as they themselves are concerned. */
static int64_t route_earliest_ms(const struct route *route)
{
    int64_t earliest_ms = ROUTE_NEVER;

    LIST_FOREACH_SAFE(node, next, &route->lanes) {
        struct lane *lane = LIST_ENTRY(node, struct lane, in_route);

        if (lane->state == LANE_READY)
            return 0;
        LIST_FOREACH_SAFE(each, following, &lane->jobs[JOB_BACKING_OFF]) {
            const struct job *job = LIST_ENTRY(each, struct job, node);

            if (job->retry.due_ms < earliest_ms)
                earliest_ms = job->retry.due_ms;
        }
    }
    return earliest_ms;
}

static int64_t route_next_attempt_ms(const struct route *route)
{
    const struct target *target = route->target;
    int64_t now_ms = router_now_ms(route->router), next_ms;

    if (!route->queueing)
        return -1;
    if (route->in_flight > 0 || target->probe != NULL)
        return 0;
    next_ms = route_earliest_ms(route);
    if (target->state != TARGET_UP && target->probe_due_ms > next_ms)
        next_ms = target->probe_due_ms; /* all wait for one probe */
    if (next_ms == ROUTE_NEVER)
        return -1;
    return next_ms < now_ms ? 0 : next_ms - now_ms;
}

void router_status(struct router *router, void (*each)(void *context, const struct route_status *),
                   void *context)
{
    LIST_FOREACH_SAFE(node, following, &router->routes) {
        struct route *route = ROUTE_OF(node);
        struct route_status status = {
            .name = route->name,
            .store = route->target->name,
            .lanes = route->lane_count,
            .in_flight = route->in_flight,
            .waiting = route->held - route->in_flight,
            .queueing = route->queueing,
            .why = route->queueing ? route->why : "",
            .since_ms = route->queueing ? route->since_wall_ms : 0,
            .next_attempt_ms = route_next_attempt_ms(route),
            .operator_fault = route->target->alarm,
            .stopped_lanes = route->stopped,
        };

        each(context, &status);
    }
}
