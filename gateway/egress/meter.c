#include "egress/meter.h"
#include "base/clock.h"

static const struct metric_family meter_requests = {
    .name = "mllpgw_store_requests_total",
    .help = "Requests to a store (files of a directory) by outcome.",
    .kind = METRIC_COUNTER,
    .labels = {"store", "outcome"},
};

static const struct metric_family meter_seconds = {
    .name = "mllpgw_store_seconds",
    .help = "Seconds that a store took for one request.",
    .kind = METRIC_HISTOGRAM,
    .labels = {"store"},
    .bounds = metrics_latency_bounds,
    .bound_count = sizeof(metrics_latency_bounds) / sizeof(metrics_latency_bounds[0]),
};

static const struct metric_family meter_connections = {
    .name = "mllpgw_store_connections_total",
    .help = "Connections opened to a store.",
    .kind = METRIC_COUNTER,
    .labels = {"store"},
};

static const struct metric_family meter_answers = {
    .name = "mllpgw_store_answers_total",
    .help = "Answers of a store by HTTP version.",
    .kind = METRIC_COUNTER,
    .labels = {"store", "http"},
};

void meter_init(struct meter *meter, struct metrics *metrics, const char *store, bool http)
{
    *meter = (struct meter){0};
    if (metrics == NULL)
        return;
    for (int kind = VERDICT_ACCEPTED; kind <= VERDICT_UNKNOWN; kind++)
        meter->outcomes[kind] =
            metrics_slot(metrics, &meter_requests,
                         (const char *[]){store, verdict_kind_text((enum verdict_kind)kind)});
    meter->seconds = metrics_slot(metrics, &meter_seconds, (const char *[]){store});
    if (!http)
        return;
    meter->connections = metrics_slot(metrics, &meter_connections, (const char *[]){store});
    meter->answers[1] = metrics_slot(metrics, &meter_answers, (const char *[]){store, "1"});
    meter->answers[2] = metrics_slot(metrics, &meter_answers, (const char *[]){store, "2"});
}

void meter_outcome(struct meter *meter, enum verdict_kind kind, int64_t started_ns)
{
    metric_add(meter->outcomes[kind], 1);
    metric_observe_ns(meter->seconds, clock_monotonic_ns() - started_ns);
}

void meter_http(struct meter *meter, const struct http_result *result)
{
    if (result->new_connections > 0)
        metric_add(meter->connections, result->new_connections);
    if (result->http_version > 0)
        metric_add(meter->answers[result->http_version], 1);
}
