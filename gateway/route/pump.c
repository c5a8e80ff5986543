#include "route/router.h"

/* The ring makes it fair: a lane that has sent goes behind those that wait. */
void route_pump(struct route *route)
{
    if (route->router->state != ROUTER_RUNNING)
        return;
    while (route->in_flight < (unsigned)route->config.parallel && !list_empty(&route->ready)) {
        struct lane *lane = LIST_ENTRY(route->ready.next, struct lane, in_ready);
        const struct spool_entry *entry = lane_next(lane);
        struct job *job;

        if (!target_may_send(route->target, entry->transient && !entry->wait))
            break;
        job = lane_take(lane);
        if (job == NULL) {
            router_starve(route->router);
            break;
        }
        list_remove(&lane->in_ready);
        list_append(&route->ready, &lane->in_ready);
        job_start(job);
    }
}

void target_pump(struct target *target)
{
    LIST_FOREACH_SAFE(node, following, &target->routes) {
        route_pump(LIST_ENTRY(node, struct route, in_target));
    }
}
