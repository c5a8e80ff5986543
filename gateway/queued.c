/* What is in the spool, held against a configuration that is about to hold. On the admin thread. */
#include "ingress/exchange.h"
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ORDERS (CONFIG_ORDER_NONE + 1)

struct queued_route {
    char *name;
    uint64_t rows;             /* queued and dead */
    uint64_t by_order[ORDERS]; /* queued, by the order that their lanes were named for */
};

/* On the heap: the spool's thread may come to it after the reload has given up. */
struct queued {
    struct queued_route *routes;
    size_t count;
};

static void queued_free(void *context)
{
    struct queued *queued = context;

    if (queued == NULL) {
        return;
    }
    for (size_t i = 0; i < queued->count; i++) {
        free(queued->routes[i].name);
    }
    free(queued->routes);
    free(queued);
}

static struct queued_route *queued_get(struct queued *queued, const char *name)
{
    struct queued_route *grown;

    for (size_t i = 0; i < queued->count; i++) {
        if (strcmp(queued->routes[i].name, name) == 0) {
            return &queued->routes[i];
        }
    }
    grown = realloc(queued->routes, (queued->count + 1) * sizeof(*grown));
    if (grown == NULL) {
        return NULL;
    }
    queued->routes = grown;
    grown[queued->count] = (struct queued_route){.name = strdup(name)};
    if (grown[queued->count].name == NULL) {
        return NULL;
    }
    return &grown[queued->count++];
}

static void look_at_lane(void *context, const char *name, const char *lane,
                         const struct spool_lane_statistics *statistics)
{
    struct queued_route *route = queued_get(context, name);

    if (route == NULL) {
        return;
    }
    route->rows += statistics->queued + statistics->dead;
    route->by_order[exchange_lane_order(lane)] += statistics->queued;
}

static void look_at_lanes(struct spool *spool, struct spool_backend *backend, void *context)
{
    (void)spool;
    if (spool_backend_lanes(backend, look_at_lane, context) < 0) {
        struct queued_route *unknown = queued_get(context, "(the spool can't be read)");
        if (unknown != NULL) {
            unknown->rows = 1;
        }
    }
}

static void complain_of_orphan(const struct queued_route *route, const struct config *config,
                               struct problems *problems, enum problem_severity severity)
{
    problems_add(problems, severity, (struct place){config->file, 0}, "routes",
                 "%llu messages of route \"%s\" are in the spool and no such route is "
                 "configured: mllpctl queue move %s TO, or mllpctl queue discard --route %s",
                 (unsigned long long)route->rows, route->name, route->name, route->name);
}

/* Lanes are named when a message comes: those that are queued keep theirs, and what comes next goes to
 * other lanes beside them. */
static bool complain_of_order(const struct queued_route *route, const struct config_route *wanted,
                              struct problems *problems, enum problem_severity severity)
{
    static const char *const words[ORDERS] = {"route", "peer", "facility", "none"};
    bool found = false;

    for (int order = 0; order < ORDERS; order++) {
        if (order == (int)wanted->order || route->by_order[order] == 0) {
            continue;
        }
        problems_add(problems, severity, wanted->place, "order",
                     "%llu messages of route \"%s\" are queued with order = \"%s\"; with \"%s\" "
                     "newer ones would overtake them: wait until its queue is empty (mllpctl "
                     "status)",
                     (unsigned long long)route->by_order[order], route->name, words[order],
                     words[wanted->order]);
        found = true;
    }
    return found;
}

static bool complain(const struct queued_route *route, const struct config *in_force,
                     const struct config *config, struct problems *problems,
                     enum problem_severity severity)
{
    const struct config_route *wanted = config_find_route(config, route->name);
    const struct config_route *now =
        in_force == NULL ? NULL : config_find_route(in_force, route->name);

    if (wanted == NULL && route->rows > 0) {
        complain_of_orphan(route, config, problems, severity);
        return true;
    }
    if (wanted == NULL || (now != NULL && now->order == wanted->order)) {
        return false;
    }
    return complain_of_order(route, wanted, problems, severity);
}

size_t gateway_check_queued(struct gateway *gateway, const struct config *in_force,
                            const struct config *config, struct problems *problems,
                            enum problem_severity severity)
{
    struct queued *queued = calloc(1, sizeof(*queued));
    int error =
        queued == NULL ? -ENOMEM : gateway_ask_spool(gateway, look_at_lanes, queued, queued_free);
    size_t found = 0;

    if (error != 0) {
        problems_add(problems, severity, (struct place){config->file, 0}, "spool",
                     "%s: whether it holds messages of routes that are not configured is not known",
                     error == -ETIMEDOUT ? "the spool has not answered (a disk that hangs?)"
                                         : "memory is out");
    }
    for (size_t i = 0; error == 0 && i < queued->count; i++) {
        found += complain(&queued->routes[i], in_force, config, problems, severity);
    }
    if (error != -ETIMEDOUT) {
        queued_free(queued);
    }
    return found;
}
