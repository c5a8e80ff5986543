/*
 * Lanes: what of each is at the sink, what waits on disk, and when more is handed out.
 *
 * A lane is caught up when nothing of it waits on disk (waiting_rows is 0): then a new row is born
 * leased and goes to the sink from memory, right behind its commit. Otherwise it follows from disk.
 */
#include "spool/spool_private.h"

#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

/* ---- routes ---- */

struct spool_route_state *spool_route_get(struct spool *spool, const char *name)
{
    LIST_FOREACH_SAFE(node, next, &spool->routes) {
        struct spool_route_state *route = LIST_ENTRY(node, struct spool_route_state, node);
        if (strcmp(route->name, name) == 0)
            return route;
    }
    struct spool_route_state *route = calloc(1, sizeof *route);
    if (route != NULL)
        route->name = strdup(name);
    if (route == NULL || route->name == NULL) {
        free(route);
        LOG_EVENT(LOG_LEVEL_ERROR, "spool-out-of-memory", LOG_STRING("route", name));
        return NULL;
    }
    list_append(&spool->routes, &route->node);
    spool_metrics_route(spool, route);
    return route;
}

struct sink_mail {
    struct mail mail;
    const struct spool_sink_state *sink;
    bool resumed; /* a lane; else a route was revoked */
    char name[];
};

static void sink_mail_deliver(struct mail *mail)
{
    struct sink_mail *mine = (struct sink_mail *)mail;
    const struct spool_sink *sink = &mine->sink->sink;

    if (mine->resumed)
        sink->on_lane_resumed(sink->context, mine->name);
    else
        sink->on_route_revoked(sink->context, mine->name);
    free(mine);
}

static void sink_tell(struct spool *spool, bool resumed, const char *name)
{
    size_t length = strlen(name) + 1;

    if (spool->sink == NULL)
        return;
    struct sink_mail *mail = malloc(sizeof *mail + length);
    if (mail == NULL) {
        LOG_EVENT(LOG_LEVEL_ERROR, "spool-out-of-memory", LOG_STRING("name", name));
        return;
    }
    mail->mail.deliver = sink_mail_deliver;
    mail->sink = spool->sink;
    mail->resumed = resumed;
    memcpy(mail->name, name, length);
    mailbox_post(spool->sink->sink.mailbox, &mail->mail);
}

void spool_lane_tell_resumed(struct spool *spool, const struct spool_lane *lane)
{
    sink_tell(spool, true, lane->name);
}

/* A sender that doesn't want to wait hears at once that nothing flows. */
static void lane_give_up_impatient(struct spool_lane *lane)
{
    LIST_FOREACH_SAFE(node, next, &lane->transients) {
        struct spool_holding *holding = LIST_ENTRY(node, struct spool_holding, node);
        if (!holding->entry.wait)
            spool_transient_give_up(holding, REASON_STORE_UNAVAILABLE);
    }
}

/* What is in flight at the sink may come back to be tried again, also when the route has been opened
 * meanwhile. What follows it must not be out by then. */
static void lane_recall(struct spool_lane *lane)
{
    if (lane->out_count > 0 && !lane->unordered)
        lane->recalled = true;
}

void spool_route_revoke(struct spool *spool, struct spool_route_state *route)
{
    sink_tell(spool, false, route->name);
    for (size_t i = 0; i < SPOOL_BUCKETS; i++) {
        LIST_FOREACH_SAFE(node, next, &spool->lanes[i]) {
            struct spool_lane *lane = LIST_ENTRY(node, struct spool_lane, in_bucket);
            if (lane->route != route)
                continue;
            lane_recall(lane);
            if (!route->open)
                lane_give_up_impatient(lane);
        }
    }
}

struct route_load {
    struct spool *spool;
    const struct spool_route_state *route;
};

static void route_load_lane(void *context, const char *route, const char *name,
                            const struct spool_lane_statistics *statistics)
{
    const struct route_load *load = context;

    if (strcmp(route, load->route->name) == 0 && statistics->queued > 0 &&
        spool_lane_get(load->spool, route, name) == NULL)
        LOG_EVENT(LOG_LEVEL_ERROR, "spool-out-of-memory", LOG_STRING("lane", name));
}

/* What waits on disk for a route gets its lanes. */
void spool_route_load(struct spool *spool, struct spool_route_state *route)
{
    struct route_load load = {spool, route};

    if (spool_backend_lanes(spool->backend, route_load_lane, &load) < 0)
        LOG_EVENT(LOG_LEVEL_ERROR, "spool-unreadable", LOG_STRING("route", route->name));
    spool_lanes_refresh(spool, route);
}

/* ---- lanes ---- */

static size_t lane_bucket(const char *name)
{
    uint64_t hash = hash_text(HASH_START, name);

    return (size_t)((hash >> 32) ^ hash) % SPOOL_BUCKETS;
}

static void lane_hold_fire(struct timer *timer)
{
    struct spool_lane *lane =
        (struct spool_lane *)(void *)((char *)timer - offsetof(struct spool_lane, hold));

    spool_lane_wants_pump(lane->spool, lane);
}

void spool_lane_hold(struct spool_lane *lane)
{
    if (timers_start(&lane->spool->timers, &lane->hold,
                     spool_monotonic(lane->spool) + SPOOL_HOLD_MS) < 0)
        LOG_EVENT(LOG_LEVEL_ERROR, "spool-out-of-memory", LOG_STRING("lane", lane->name));
}

static struct spool_lane *lane_new(struct spool *spool, struct spool_route_state *route,
                                   const char *name)
{
    struct spool_lane *lane = calloc(1, sizeof *lane);

    if (lane == NULL || (lane->name = strdup(name)) == NULL) {
        free(lane);
        return NULL;
    }
    lane->spool = spool;
    lane->route = route;
    lane->unordered = spool_lane_is_unordered(name);
    lane->hold.fire = lane_hold_fire;
    list_init(&lane->in_pump);
    list_init(&lane->out);
    list_init(&lane->transients);
    list_append(&spool->lanes[lane_bucket(name)], &lane->in_bucket);
    spool_lane_refresh(spool, lane);
    return lane;
}

struct spool_lane *spool_lane_get(struct spool *spool, const char *route, const char *lane)
{
    struct list_node *bucket = &spool->lanes[lane_bucket(lane)];

    LIST_FOREACH_SAFE(node, next, bucket) {
        struct spool_lane *each = LIST_ENTRY(node, struct spool_lane, in_bucket);
        if (strcmp(each->name, lane) == 0)
            return each;
    }
    struct spool_route_state *state = spool_route_get(spool, route);
    return state == NULL ? NULL : lane_new(spool, state, lane);
}

static void lane_free(struct spool *spool, struct spool_lane *lane)
{
    timers_stop(&spool->timers, &lane->hold);
    list_remove(&lane->in_bucket);
    list_remove(&lane->in_pump);
    free(lane->name);
    free(lane);
}

void spool_lane_count_rows(struct spool *spool, struct spool_lane *lane)
{
    struct spool_lane_statistics statistics;

    if (spool_backend_lane_statistics(spool->backend, lane->name, &statistics) < 0)
        return;
    lane->stopped = statistics.stopped;
    lane->waiting_rows =
        statistics.queued > lane->out_stored ? statistics.queued - lane->out_stored : 0;
}

void spool_lane_refresh(struct spool *spool, struct spool_lane *lane)
{
    spool_lane_count_rows(spool, lane);
    spool_lane_wants_pump(spool, lane);
}

void spool_lanes_refresh(struct spool *spool, const struct spool_route_state *route)
{
    for (size_t i = 0; i < SPOOL_BUCKETS; i++) {
        LIST_FOREACH_SAFE(node, next, &spool->lanes[i]) {
            struct spool_lane *lane = LIST_ENTRY(node, struct spool_lane, in_bucket);
            if (route == NULL || lane->route == route)
                spool_lane_refresh(spool, lane);
        }
    }
}

void spool_lanes_trim(struct spool *spool)
{
    for (size_t i = 0; i < SPOOL_BUCKETS; i++) {
        LIST_FOREACH_SAFE(node, next, &spool->lanes[i]) {
            struct spool_lane *lane = LIST_ENTRY(node, struct spool_lane, in_bucket);
            if (lane->out_count == 0 && lane->waiting_rows == 0 && lane->resume_id == 0 &&
                list_empty(&lane->transients) && !timer_is_running(&lane->hold))
                lane_free(spool, lane);
        }
    }
}

static void holdings_free(struct list_node *holdings)
{
    struct list_node *node;

    while ((node = list_pop_front(holdings)) != NULL) {
        struct spool_holding *holding = LIST_ENTRY(node, struct spool_holding, node);
        if (holding->put != NULL)
            spool_transient_give_up(holding, REASON_SHUTDOWN);
        else
            spool_holding_free(holding);
    }
}

void spool_lanes_free(struct spool *spool)
{
    struct list_node *node;

    for (size_t i = 0; i < SPOOL_BUCKETS; i++) {
        while (!list_empty(&spool->lanes[i])) {
            struct spool_lane *lane =
                LIST_ENTRY(spool->lanes[i].next, struct spool_lane, in_bucket);
            holdings_free(&lane->transients);
            holdings_free(&lane->out);
            lane_free(spool, lane);
        }
    }
    while ((node = list_pop_front(&spool->routes)) != NULL) {
        struct spool_route_state *route = LIST_ENTRY(node, struct spool_route_state, node);
        free(route->name);
        free(route);
    }
}
