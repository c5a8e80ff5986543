#include "base/log.h"
#include "route/router.h"

#include <stdio.h>

static const struct metric_family report_entries = {
    .name = "mllpgw_route_entries",
    .help = "Messages that the route holds now, in flight or waiting; the rest is in the spool.",
    .kind = METRIC_GAUGE,
    .labels = {"route"},
};
static const struct metric_family report_in_flight_family = {
    .name = "mllpgw_route_in_flight",
    .help = "Attempts under way.",
    .kind = METRIC_GAUGE,
    .labels = {"route"},
};
static const struct metric_family report_queueing_family = {
    .name = "mllpgw_route_queueing",
    .help = "1 while messages wait because the store doesn't take them.",
    .kind = METRIC_GAUGE,
    .labels = {"route"},
};
static const struct metric_family report_operator_fault = {
    .name = "mllpgw_route_operator_fault",
    .help = "1 while the store refuses for a reason that only an operator can cure "
            "(credentials, URL, TLS).",
    .kind = METRIC_GAUGE,
    .labels = {"route"},
};
static const struct metric_family report_stopped_family = {
    .name = "mllpgw_route_lanes_stopped",
    .help = "Lanes that a dead letter has stopped.",
    .kind = METRIC_GAUGE,
    .labels = {"route"},
};
static const struct metric_family report_attempts = {
    .name = "mllpgw_route_attempts_total",
    .help = "Attempts to deliver, by what became of them.",
    .kind = METRIC_COUNTER,
    .labels = {"route", "verdict"},
};
static const struct metric_family report_dead_letters = {
    .name = "mllpgw_route_dead_letters_total",
    .help = "Messages that were put aside as dead letters.",
    .kind = METRIC_COUNTER,
    .labels = {"route"},
};
static const struct metric_family report_expired = {
    .name = "mllpgw_route_expired_total",
    .help = "Messages whose sender's deadline passed while they waited to be sent.",
    .kind = METRIC_COUNTER,
    .labels = {"route"},
};
static const struct metric_family report_deliver = {
    .name = "mllpgw_route_deliver_seconds",
    .help = "From a message's arrival to the store's acceptance.",
    .kind = METRIC_HISTOGRAM,
    .labels = {"route"},
    .bounds = metrics_latency_bounds,
    .bound_count = sizeof(metrics_latency_bounds) / sizeof(metrics_latency_bounds[0]),
};

static struct metric *report_slot(struct route *route, const struct metric_family *family)
{
    const char *values[] = {route->name};

    if (route->router->context.metrics == NULL)
        return NULL;
    return metrics_slot(route->router->context.metrics, family, values);
}

static struct metric *report_verdict_slot(struct route *route, enum verdict_kind kind)
{
    const char *values[] = {route->name, verdict_kind_text(kind)};

    if (route->router->context.metrics == NULL)
        return NULL;
    return metrics_slot(route->router->context.metrics, &report_attempts, values);
}

void report_open(struct route *route)
{
    struct route_slots *slots = &route->slots;

    slots->entries = report_slot(route, &report_entries);
    slots->in_flight = report_slot(route, &report_in_flight_family);
    slots->queueing = report_slot(route, &report_queueing_family);
    slots->operator_fault = report_slot(route, &report_operator_fault);
    slots->stopped = report_slot(route, &report_stopped_family);
    slots->dead_letters = report_slot(route, &report_dead_letters);
    slots->expired = report_slot(route, &report_expired);
    slots->deliver = report_slot(route, &report_deliver);
    for (int kind = 0; kind <= VERDICT_UNKNOWN; kind++)
        slots->attempts[kind] = report_verdict_slot(route, (enum verdict_kind)kind);
}

/* The slots stay in the registry: a route that is gone must not go on claiming something. */
void report_close(struct route *route)
{
    metric_set(route->slots.entries, 0);
    metric_set(route->slots.in_flight, 0);
    metric_set(route->slots.queueing, 0);
    metric_set(route->slots.operator_fault, 0);
    metric_set(route->slots.stopped, 0);
}

void report_held(struct route *route)
{
    metric_set(route->slots.entries, route->held);
}

void report_in_flight(struct route *route)
{
    metric_set(route->slots.in_flight, route->in_flight);
}

void report_stopped(struct route *route)
{
    metric_set(route->slots.stopped, route->stopped);
}

void report_verdict(struct route *route, const struct spool_entry *entry)
{
    enum verdict_kind kind = entry->verdict.kind;
    int64_t taken_ms;

    metric_add(route->slots.attempts[kind], 1);
    if (kind != VERDICT_ACCEPTED) {
        snprintf(route->why, sizeof(route->why), "%s", entry->verdict.reason);
        return;
    }
    taken_ms = router_wall_ms(route->router) - entry->message->received_wall_ms;
    metric_observe_ns(route->slots.deliver, taken_ms < 0 ? 0 : taken_ms * 1000000);
}

void report_dead_letter(struct route *route, const struct spool_entry *entry)
{
    const struct verdict *verdict = &entry->verdict;

    metric_add(route->slots.dead_letters, 1);
    LOG_EVENT(LOG_LEVEL_WARNING, "dead-letter", LOG_STRING("route", route->name),
              LOG_STRING("peer", entry->message->peer), LOG_CONTROL_ID(entry->message->control_id),
              LOG_INTEGER("entry", entry->id), LOG_INTEGER("status", verdict->status),
              LOG_STRING("code", verdict->code), LOG_INTEGER("error_code", verdict->error_code),
              LOG_STRING("error_location", verdict->error_location),
              LOG_STRING("reason", verdict->reason), LOG_INTEGER("attempts", entry->attempts),
              LOG_STRING("lane", entry->stop_lane ? "stopped" : "goes on"));
}

static void report_begin_queueing(struct route *route)
{
    const char *why = route->target->state == TARGET_UP ? route->why : route->target->why;

    route->since_ms = router_now_ms(route->router);
    route->since_wall_ms = router_wall_ms(route->router);
    if (why != route->why)
        snprintf(route->why, sizeof(route->why), "%s", why);
    LOG_EVENT(LOG_LEVEL_WARNING, "route-queueing", LOG_STRING("route", route->name),
              LOG_STRING("store", route->target->name), LOG_STRING("reason", route->why));
}

static void report_end_queueing(struct route *route)
{
    LOG_EVENT(LOG_LEVEL_INFO, "route-queueing-cleared", LOG_STRING("route", route->name),
              LOG_STRING("store", route->target->name),
              LOG_INTEGER("for_ms", router_now_ms(route->router) - route->since_ms));
    route->why[0] = '\0';
}

/* Begins when something is held that the store doesn't take; ends when nothing stands in the way,
 * not when nothing is left: senders that don't wait would make it flicker. */
void report_queueing(struct route *route)
{
    bool trouble = route->target->state != TARGET_UP || route->troubled > 0;
    bool queueing = trouble && (route->queueing || route->held > 0);

    metric_set(route->slots.operator_fault, route->target->alarm ? 1 : 0);
    if (queueing == route->queueing)
        return;
    route->queueing = queueing;
    metric_set(route->slots.queueing, queueing ? 1 : 0);
    if (queueing)
        report_begin_queueing(route);
    else
        report_end_queueing(route);
}

void report_alarm(struct target *target, const struct verdict *verdict)
{
    LOG_EVENT(LOG_LEVEL_ERROR, "store-operator-fault", LOG_STRING("store", target->name),
              LOG_INTEGER("status", verdict->status), LOG_STRING("reason", verdict->reason));
}

void report_alarm_cleared(struct target *target)
{
    LOG_EVENT(LOG_LEVEL_INFO, "store-operator-fault-cleared", LOG_STRING("store", target->name),
              LOG_INTEGER("for_ms", router_now_ms(target->router) - target->alarm_since_ms));
}
