/* routes: from a listener to a store, and none left over. */
#include "config/internal.h"

#include <string.h>

static void check_ends(const struct subject *subject, const struct config_route *route)
{
    const struct config *config = subject->config;
    if (route->from && !config_find_listener(config, route->from)) {
        unknown_reference(subject, "from", WHOLE, "listeners", route->from);
    }
    if (route->to && !config_find_store(config, route->to)) {
        unknown_reference(subject, "to", WHOLE, "stores", route->to);
    }
    for (const struct config_route *r = config->routes; r < route; r++) {
        if (route->from && route->to && r->from && r->to && strcmp(r->from, route->from) == 0 &&
            strcmp(r->to, route->to) == 0) {
            complain(subject, PROBLEM_ERROR, NULL, WHOLE,
                     "goes from %s to %s like route %s: each message would be delivered twice",
                     route->from, route->to, r->name ? r->name : "?");
        }
    }
    if (route->retry_minimum_ms > route->retry_maximum_ms) {
        complain(subject, PROBLEM_ERROR, "retry_minimum_ms", WHOLE,
                 "is more than retry_maximum_ms (%lld)", (long long)route->retry_maximum_ms);
    }
}

static void check_listener(const struct subject *subject, const struct config_listener *listener)
{
    size_t routes = 0;
    for (size_t i = 0; i < subject->config->route_count; i++) {
        const char *from = subject->config->routes[i].from;
        routes += from && listener->name && strcmp(from, listener->name) == 0;
    }
    if (routes == 0) {
        complain(subject, PROBLEM_ERROR, NULL, WHOLE,
                 "no route begins here: its messages would go nowhere");
    }
    if (routes > 1 && listener->acknowledge == CONFIG_ACKNOWLEDGE_DELIVERED) {
        complain(subject, PROBLEM_ERROR, "acknowledge", WHOLE,
                 "\"delivered\" passes one store's answer on, but %zu routes begin here: keep one, "
                 "or use \"stored\"",
                 routes);
    }
}

void check_routes(const struct config *config, struct problems *problems)
{
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        check_ends(&(struct subject){config, problems, config_section("routes"), route}, route);
    }
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        check_listener(&(struct subject){config, problems, config_section("listeners"), listener},
                       listener);
    }
}
