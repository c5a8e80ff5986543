/*
 * Routes and stores of a new configuration: everything that can fail happens first and touches
 * nothing that is running; then all is swapped, which can't fail.
 */
#include "route/router.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUTE_OF(list_node_pointer) LIST_ENTRY(list_node_pointer, struct route, node)
#define TARGET_OF(list_node_pointer) LIST_ENTRY(list_node_pointer, struct target, node)

struct plan {
    struct plan_store {
        struct target *target;     /* running or fresh */
        struct instance *instance; /* NULL: the running one goes on */
        bool fresh;
    } * stores;
    struct plan_route {
        struct route *route;
        bool fresh;
    } * routes;
};

struct route *route_find(struct router *router, const char *name)
{
    LIST_FOREACH_SAFE(node, following, &router->routes) {
        if (strcmp(ROUTE_OF(node)->name, name) == 0)
            return ROUTE_OF(node);
    }
    return NULL;
}

static struct target *target_find(struct router *router, const char *name)
{
    LIST_FOREACH_SAFE(node, following, &router->targets) {
        if (strcmp(TARGET_OF(node)->name, name) == 0)
            return TARGET_OF(node);
    }
    return NULL;
}

static struct route *route_new(struct router *router, const char *name)
{
    struct route *route = calloc(1, sizeof(*route));

    if (route == NULL)
        return NULL;
    route->name = strdup(name);
    if (route->name == NULL) {
        free(route);
        return NULL;
    }
    route->router = router;
    list_init(&route->node);
    list_init(&route->in_target);
    list_init(&route->lanes);
    list_init(&route->ready);
    return route;
}

void route_free(struct route *route)
{
    if (route == NULL)
        return;
    list_remove(&route->node);
    list_remove(&route->in_target);
    free(route->name);
    free(route);
}

void route_give_back(struct route *route, const char *why)
{
    LIST_FOREACH_SAFE(node, following, &route->lanes) {
        lane_give_back(LIST_ENTRY(node, struct lane, in_route), why);
    }
}

static int plan_store(struct router *router, const struct config_store *config,
                      struct plan_store *store, char ret_error[512])
{
    char why[512];

    store->target = target_find(router, config->name);
    if (store->target != NULL && instance_serves(store->target->instance, config))
        return 0;
    if (store->target == NULL) {
        store->target = target_new(router, config->name);
        store->fresh = true;
    }
    if (store->target == NULL) {
        snprintf(ret_error, 512, "out of memory");
        return -EINVAL;
    }
    store->instance = instance_new(router, config, why);
    if (store->instance == NULL) {
        snprintf(ret_error, 512, "store \"%s\": %.400s", config->name, why);
        return -EINVAL;
    }
    return 0;
}

static int plan_route(struct router *router, const struct config *all,
                      const struct config_route *config, struct plan_route *route,
                      char ret_error[512])
{
    if (config_find_store(all, config->to) == NULL) {
        snprintf(ret_error, 512, "route \"%s\": there is no store \"%s\"", config->name,
                 config->to);
        return -EINVAL;
    }
    route->route = route_find(router, config->name);
    if (route->route != NULL)
        return 0;
    route->route = route_new(router, config->name);
    route->fresh = true;
    if (route->route == NULL) {
        snprintf(ret_error, 512, "out of memory");
        return -EINVAL;
    }
    return 0;
}

static int plan_make(struct router *router, const struct config *config, struct plan *plan,
                     char ret_error[512])
{
    int result = 0;

    plan->stores = calloc(config->store_count + 1, sizeof(*plan->stores));
    plan->routes = calloc(config->route_count + 1, sizeof(*plan->routes));
    if (plan->stores == NULL || plan->routes == NULL) {
        snprintf(ret_error, 512, "out of memory");
        return -EINVAL;
    }
    for (size_t i = 0; i < config->store_count && result == 0; i++)
        result = plan_store(router, &config->stores[i], &plan->stores[i], ret_error);
    for (size_t i = 0; i < config->route_count && result == 0; i++)
        result = plan_route(router, config, &config->routes[i], &plan->routes[i], ret_error);
    return result;
}

static void plan_undo(const struct config *config, struct plan *plan)
{
    for (size_t i = 0; plan->stores != NULL && i < config->store_count; i++) {
        instance_free(plan->stores[i].instance);
        if (plan->stores[i].fresh && plan->stores[i].target != NULL)
            target_free(plan->stores[i].target);
    }
    for (size_t i = 0; plan->routes != NULL && i < config->route_count; i++) {
        if (plan->routes[i].fresh)
            route_free(plan->routes[i].route);
    }
}

/* Whatever is not in the new configuration has this mark afterwards. */
static void router_mark_removed(struct router *router)
{
    LIST_FOREACH_SAFE(node, following, &router->targets) {
        TARGET_OF(node)->removed = true;
    }
    LIST_FOREACH_SAFE(node, following, &router->routes) {
        ROUTE_OF(node)->state = ROUTE_REMOVED;
    }
}

static void route_each_job(struct route *route, void (*each)(struct job *job))
{
    LIST_FOREACH_SAFE(node, following, &route->lanes) {
        struct lane *lane = LIST_ENTRY(node, struct lane, in_route);

        for (int state = 0; state < JOB_STATES; state++) {
            LIST_FOREACH_SAFE(job, next, &lane->jobs[state]) {
                each(LIST_ENTRY(job, struct job, node));
            }
        }
    }
}

static void target_begin_anew(struct target *target)
{
    LIST_FOREACH_SAFE(node, following, &target->routes) {
        route_each_job(LIST_ENTRY(node, struct route, in_target), job_begin_anew);
    }
}

static void target_install(struct router *router, struct plan_store *store)
{
    struct target *target = store->target;

    target->removed = false;
    if (store->fresh)
        list_append(&router->targets, &target->node);
    if (store->instance == NULL)
        return;
    if (target->instance != NULL)
        instance_retire(target->instance);
    target->instance = store->instance;
    target_begin_anew(target);
}

static void route_configure(struct route *route, const struct config_route *config)
{
    route->config = *config;
    /* Nothing may point into a configuration that the next reload frees. */
    route->config.place = (struct place){0};
    route->config.name = route->config.from = route->config.to = NULL;
}

static void route_wake(struct route *route)
{
    LIST_FOREACH_SAFE(node, following, &route->lanes) {
        struct lane *lane = LIST_ENTRY(node, struct lane, in_route);

        LIST_FOREACH_SAFE(job, next, &lane->jobs[JOB_BACKING_OFF]) {
            job_wake(LIST_ENTRY(job, struct job, node));
        }
    }
}

/* Those that were waiting for the old store go to the new one at once. */
static void route_set_target(struct route *route, struct target *target)
{
    if (route->target == target)
        return;
    if (route->target != NULL)
        route_each_job(route, job_forget_store);
    list_remove(&route->in_target);
    route->target = target;
    list_append(&target->routes, &route->in_target);
    route_wake(route);
}

static void route_install(struct router *router, struct plan_route *planned,
                          const struct config_route *config)
{
    struct route *route = planned->route;

    route_configure(route, config);
    route->state = ROUTE_OPEN;
    route_set_target(route, target_find(router, config->to));
    if (!planned->fresh)
        return;
    list_append(&router->routes, &route->node);
    report_open(route);
}

/* The order or the number in parallel may be another one now. */
static void router_look_again(struct router *router)
{
    LIST_FOREACH_SAFE(node, following, &router->routes) {
        struct route *route = ROUTE_OF(node);

        LIST_FOREACH_SAFE(lane, next, &route->lanes) {
            lane_refresh(LIST_ENTRY(lane, struct lane, in_route));
        }
        if (route->state == ROUTE_REMOVED)
            route_give_back(route, "the route was removed from the configuration");
        else
            report_queueing(route);
    }
    LIST_FOREACH_SAFE(node, following, &router->targets) {
        target_forget_patience(TARGET_OF(node));
        target_probe_now(TARGET_OF(node));
        target_pump(TARGET_OF(node));
    }
}

static void plan_commit(struct router *router, const struct config *config, struct plan *plan)
{
    router_mark_removed(router);
    for (size_t i = 0; i < config->store_count; i++)
        target_install(router, &plan->stores[i]);
    for (size_t i = 0; i < config->route_count; i++)
        route_install(router, &plan->routes[i], &config->routes[i]);
    router_look_again(router);
    router_want_sweep(router);
}

int router_apply(struct router *router, const struct config *config, char ret_error[512])
{
    struct plan plan = {0};
    int result = plan_make(router, config, &plan, ret_error);

    if (result == 0)
        plan_commit(router, config, &plan);
    else
        plan_undo(config, &plan);
    free(plan.stores);
    free(plan.routes);
    return result;
}

void router_sweep(struct router *router)
{
    LIST_FOREACH_SAFE(node, following, &router->routes) {
        struct route *route = ROUTE_OF(node);

        if (route->state == ROUTE_REMOVED && route->lane_count == 0) {
            report_close(route);
            route_free(route);
        }
    }
    LIST_FOREACH_SAFE(node, following, &router->targets) {
        if (TARGET_OF(node)->removed && list_empty(&TARGET_OF(node)->routes))
            target_free(TARGET_OF(node));
    }
    LIST_FOREACH_SAFE(node, following, &router->retired) {
        struct instance *instance = LIST_ENTRY(node, struct instance, node);

        if (instance->attempts == 0)
            instance_free(instance);
    }
}
