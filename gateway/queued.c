/* What is in the spool, held against a configuration that is about to hold. On the admin thread. */
#include "ingress/exchange.h"
#include "internal.h"

#include <stdlib.h>
#include <string.h>

struct queued_route {
    char *name;
    uint64_t rows;           /* queued and dead */
    uint64_t overtaken;      /* queued in lanes of another order than the route has now */
    enum config_order order; /* of those */
};

struct queued {
    const struct config *config;
    struct queued_route *routes;
    size_t count;
};

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
    struct queued *queued = context;
    const struct config_route *config = config_find_route(queued->config, name);
    struct queued_route *route = queued_get(queued, name);

    if (route == NULL) {
        return;
    }
    route->rows += statistics->queued + statistics->dead;
    if (config != NULL && config->order != exchange_lane_order(lane)) {
        route->overtaken += statistics->queued;
        route->order = exchange_lane_order(lane);
    }
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

static void complain_of_orphan(const struct queued *queued, const struct queued_route *route,
                               struct problems *problems, enum problem_severity severity)
{
    struct place place = {queued->config->file, 0};

    problems_add(problems, severity, place, "routes",
                 "%llu messages of route \"%s\" are in the spool and no such route is "
                 "configured: mllpctl queue move %s TO, or mllpctl queue discard --route %s",
                 (unsigned long long)route->rows, route->name, route->name, route->name);
}

/* Lanes are named when a message comes: those that are queued keep theirs, and what comes next goes to other
 * lanes beside them. */
static void complain_of_order(const struct queued_route *route, const struct config_route *wanted,
                              struct problems *problems, enum problem_severity severity)
{
    static const char *const words[] = {"route", "peer", "facility", "none"};

    problems_add(problems, severity, wanted->place, "order",
                 "%llu messages of route \"%s\" are queued with order = \"%s\"; with \"%s\" newer "
                 "ones would overtake them: wait until its queue is empty (mllpctl status)",
                 (unsigned long long)route->overtaken, route->name, words[route->order],
                 words[wanted->order]);
}

size_t gateway_check_queued(struct gateway *gateway, const struct config *in_force,
                            const struct config *config, struct problems *problems,
                            enum problem_severity severity)
{
    struct queued queued = {.config = config};
    size_t found = 0;

    gateway_call_spool(gateway, look_at_lanes, &queued);
    for (size_t i = 0; i < queued.count; i++) {
        const struct queued_route *route = &queued.routes[i];
        const struct config_route *wanted = config_find_route(config, route->name);
        const struct config_route *now =
            in_force == NULL ? NULL : config_find_route(in_force, route->name);

        if (wanted == NULL && route->rows > 0) {
            complain_of_orphan(&queued, route, problems, severity);
            found++;
        } else if (wanted != NULL && route->overtaken > 0 &&
                   (now == NULL || now->order != wanted->order)) {
            complain_of_order(route, wanted, problems, severity);
            found++;
        }
        free(queued.routes[i].name);
    }
    free(queued.routes);
    return found;
}
