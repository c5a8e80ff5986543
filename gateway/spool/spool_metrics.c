#include "spool/spool_private.h"

/* Rows in one commit; a histogram's bounds are "seconds" to the registry, here they are rows. */
static const double row_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};
static const double commit_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                       0.025,  0.05,    0.1,    0.25,  0.5,    1,     5};

static const struct metric_family family_commits = {.name = "mllpgw_spool_commits_total",
                                                    .help = "Transactions made durable.",
                                                    .kind = METRIC_COUNTER};
static const struct metric_family family_rows = {
    .name = "mllpgw_spool_rows_total", .help = "Rows written or settled.", .kind = METRIC_COUNTER};
static const struct metric_family family_commit_seconds = {
    .name = "mllpgw_spool_commit_seconds",
    .help = "Time that a commit took, the disk's flush included.",
    .kind = METRIC_HISTOGRAM,
    .bounds = commit_bounds,
    .bound_count = sizeof commit_bounds / sizeof commit_bounds[0]};
static const struct metric_family family_group_rows = {
    .name = "mllpgw_spool_rows_per_commit",
    .help = "Rows written or settled by one commit.",
    .kind = METRIC_HISTOGRAM,
    .bounds = row_bounds,
    .bound_count = sizeof row_bounds / sizeof row_bounds[0]};
static const struct metric_family family_retransmissions = {
    .name = "mllpgw_spool_retransmissions_total",
    .help = "Messages answered as repeats of one that was safe or under way.",
    .kind = METRIC_COUNTER};
static const struct metric_family family_failures = {.name = "mllpgw_spool_failures_total",
                                                     .help = "Transactions that failed.",
                                                     .kind = METRIC_COUNTER};
static const struct metric_family family_full = {
    .name = "mllpgw_spool_full",
    .help = "1 while messages are not taken because maximum_bytes is reached or the disk is full.",
    .kind = METRIC_GAUGE};
static const struct metric_family family_failed = {
    .name = "mllpgw_spool_failed",
    .help = "1 while nothing can be written: no message is taken, none is handed out.",
    .kind = METRIC_GAUGE};
static const struct metric_family family_bytes = {.name = "mllpgw_spool_bytes",
                                                  .help = "What maximum_bytes is compared with.",
                                                  .kind = METRIC_GAUGE};
static const struct metric_family family_kept = {
    .name = "mllpgw_spool_kept",
    .help = "Delivered messages that are kept for retain_s.",
    .kind = METRIC_GAUGE};
static const struct metric_family family_records = {
    .name = "mllpgw_spool_records",
    .help = "Records by which retransmissions are recognised.",
    .kind = METRIC_GAUGE};
static const struct metric_family family_queued = {.name = "mllpgw_spool_queued",
                                                   .help = "Messages not yet delivered.",
                                                   .kind = METRIC_GAUGE,
                                                   .labels = {"route"}};
static const struct metric_family family_dead = {.name = "mllpgw_spool_dead",
                                                 .help = "Dead letters.",
                                                 .kind = METRIC_GAUGE,
                                                 .labels = {"route"}};
static const struct metric_family family_queued_bytes = {.name = "mllpgw_spool_queued_bytes",
                                                         .help =
                                                             "Bytes of messages not yet delivered.",
                                                         .kind = METRIC_GAUGE,
                                                         .labels = {"route"}};
static const struct metric_family family_oldest = {
    .name = "mllpgw_spool_oldest_seconds",
    .help = "Age of the oldest message not yet delivered.",
    .kind = METRIC_GAUGE,
    .labels = {"route"}};

void spool_metrics_init(struct spool *spool)
{
    struct spool_counters *counters = &spool->counters;
    struct metrics *metrics = spool->metrics;

    if (metrics == NULL)
        return;
    counters->commits = metrics_slot(metrics, &family_commits, NULL);
    counters->rows = metrics_slot(metrics, &family_rows, NULL);
    counters->commit_seconds = metrics_slot(metrics, &family_commit_seconds, NULL);
    counters->group_rows = metrics_slot(metrics, &family_group_rows, NULL);
    counters->retransmissions = metrics_slot(metrics, &family_retransmissions, NULL);
    counters->failures = metrics_slot(metrics, &family_failures, NULL);
    counters->full = metrics_slot(metrics, &family_full, NULL);
    counters->failed = metrics_slot(metrics, &family_failed, NULL);
    counters->bytes = metrics_slot(metrics, &family_bytes, NULL);
    counters->kept = metrics_slot(metrics, &family_kept, NULL);
    counters->records = metrics_slot(metrics, &family_records, NULL);
}

void spool_metrics_route(struct spool *spool, struct spool_route_state *route)
{
    const char *const values[] = {route->name};

    if (spool->metrics == NULL)
        return;
    route->queued_slot = metrics_slot(spool->metrics, &family_queued, values);
    route->dead_slot = metrics_slot(spool->metrics, &family_dead, values);
    route->bytes_slot = metrics_slot(spool->metrics, &family_queued_bytes, values);
    route->oldest_slot = metrics_slot(spool->metrics, &family_oldest, values);
}

void spool_metrics_commit(struct spool *spool, size_t rows, int64_t nanoseconds)
{
    metric_add(spool->counters.commits, 1);
    metric_add(spool->counters.rows, (int64_t)rows);
    metric_observe_ns(spool->counters.commit_seconds, nanoseconds);
    metric_observe_ns(spool->counters.group_rows, (int64_t)rows * 1000000000);
}

static bool totals_equal(const struct spool_totals *a, const struct spool_totals *b)
{
    return a->queued == b->queued && a->dead == b->dead && a->kept == b->kept &&
           a->records == b->records && a->bytes == b->bytes;
}

void spool_publish(struct spool *spool)
{
    struct spool_statistics now = {.full = spool->full || spool->intake_closed,
                                   .failed = spool->failure != 0};
    const struct spool_statistics *before = &spool->statistics;

    spool_backend_totals(spool->backend, &now.totals);
    if (now.totals.queued == 0 && now.full == before->full && now.failed == before->failed &&
        totals_equal(&now.totals, &before->totals))
        return;
    pthread_mutex_lock(&spool->statistics_lock);
    spool->statistics = now;
    pthread_mutex_unlock(&spool->statistics_lock);
    metric_set(spool->counters.full, now.full);
    metric_set(spool->counters.failed, now.failed);
    metric_set(spool->counters.bytes, now.totals.bytes);
    metric_set(spool->counters.kept, (int64_t)now.totals.kept);
    metric_set(spool->counters.records, (int64_t)now.totals.records);
    if (!timer_is_running(&spool->refresh) &&
        timers_start(&spool->timers, &spool->refresh, spool_monotonic(spool) + SPOOL_REFRESH_MS) <
            0)
        return; /* tried again with the next round */
}

struct refresh {
    struct spool *spool;
    size_t lanes;
};

static void refresh_lane(void *context, const char *route_name, const char *lane,
                         const struct spool_lane_statistics *statistics)
{
    struct refresh *refresh = context;
    struct spool_route_state *route = spool_route_get(refresh->spool, route_name);

    (void)lane;
    if (route == NULL)
        return;
    refresh->lanes++;
    route->queued += (int64_t)statistics->queued;
    route->dead += (int64_t)statistics->dead;
    route->queued_bytes += statistics->queued_bytes;
    if (statistics->oldest_ms != 0 &&
        (route->oldest_ms == 0 || statistics->oldest_ms < route->oldest_ms))
        route->oldest_ms = statistics->oldest_ms;
}

/* While anything is queued its age grows: this then goes on by itself (spool_publish), the more
 * slowly the more lanes there are to look at. */
void spool_metrics_refresh(struct spool *spool)
{
    struct refresh refresh = {spool, 0};
    int64_t now_ms = spool_wall(spool);

    LIST_FOREACH_SAFE(node, next, &spool->routes) {
        struct spool_route_state *route = LIST_ENTRY(node, struct spool_route_state, node);
        route->queued = route->dead = route->queued_bytes = route->oldest_ms = 0;
    }
    if (spool_backend_lanes(spool->backend, refresh_lane, &refresh) < 0)
        return;
    LIST_FOREACH_SAFE(node, next, &spool->routes) {
        struct spool_route_state *route = LIST_ENTRY(node, struct spool_route_state, node);
        int64_t age_ms = route->oldest_ms == 0 ? 0 : now_ms - route->oldest_ms;
        metric_set(route->queued_slot, route->queued);
        metric_set(route->dead_slot, route->dead);
        metric_set(route->bytes_slot, route->queued_bytes);
        metric_set(route->oldest_slot, age_ms > 0 ? age_ms / 1000 : 0);
    }
    if (refresh.lanes > 512 &&
        timers_start(&spool->timers, &spool->refresh,
                     spool_monotonic(spool) + INT64_C(10) * SPOOL_REFRESH_MS) < 0)
        return;
}
