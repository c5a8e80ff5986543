/*
 * Lanes: what of each is at the sink, what waits on disk, and when more is handed out.
 *
 * A lane is caught up when nothing of it waits on disk (waiting_rows is 0): then a new row is born
 * leased and goes to the sink from memory, right behind its commit. Otherwise it follows from disk.
 */
#include "spool/spool_private.h"

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

void spool_route_revoke(struct spool *spool, struct spool_route_state *route)
{
    sink_tell(spool, false, route->name);
    for (size_t i = 0; i < SPOOL_BUCKETS; i++) {
        LIST_FOREACH_SAFE(node, next, &spool->lanes[i]) {
            struct spool_lane *lane = LIST_ENTRY(node, struct spool_lane, in_bucket);
            if (lane->route == route && !route->open)
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
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
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

static void lane_count_rows(struct spool *spool, struct spool_lane *lane)
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
    lane_count_rows(spool, lane);
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

/* ---- the window ---- */

bool spool_lane_flows(const struct spool *spool, const struct spool_lane *lane)
{
    return spool->sink != NULL && lane->route->open && lane->route->revoked == 0 &&
           !lane->stopped && !timer_is_running(&lane->hold);
}

static unsigned lane_window(const struct spool_lane *lane)
{
    return lane->unordered ? SPOOL_LANE_WINDOW_UNORDERED : SPOOL_LANE_WINDOW;
}

/* Bytes that may still go out; the first entry always may. */
static int64_t lane_room_bytes(const struct spool *spool, const struct spool_lane *lane)
{
    int64_t of_lane = SPOOL_LANE_WINDOW_BYTES - lane->out_bytes;
    int64_t of_all = SPOOL_AHEAD_BYTES - spool->ahead_bytes;

    if (lane->out_count == 0)
        return SPOOL_LANE_WINDOW_BYTES;
    return of_lane < of_all ? of_lane : of_all;
}

bool spool_lane_has_room(const struct spool *spool, const struct spool_lane *lane, int64_t bytes)
{
    if (lane->out_count == 0)
        return true;
    return lane->out_count < lane_window(lane) && bytes <= lane_room_bytes(spool, lane);
}

/* Reading from disk waits until half of the window is free, so that it reads many rows at once. */
static bool lane_is_low(const struct spool_lane *lane)
{
    return lane->out_count <= lane_window(lane) / 2 &&
           (lane->out_count == 0 || lane->out_bytes <= SPOOL_LANE_WINDOW_BYTES / 2);
}

/* ---- holdings ---- */

struct spool_holding *spool_holding_new(struct spool *spool, struct spool_lane *lane,
                                        struct message *message, uint64_t id)
{
    struct spool_holding *holding = calloc(1, sizeof *holding);

    if (holding == NULL)
        return NULL;
    holding->spool = spool;
    holding->lane = lane;
    holding->entry.id = id;
    holding->entry.route = lane->route->name;
    holding->entry.lane = lane->name;
    holding->entry.message = message_reference(message);
    list_init(&holding->entry.node);
    list_init(&holding->node);
    return holding;
}

void spool_holding_free(struct spool_holding *holding)
{
    if (holding == NULL)
        return;
    list_remove(&holding->node);
    timers_stop(&holding->spool->timers, &holding->deadline);
    message_release(&holding->entry.message);
    verdict_clear(&holding->entry.verdict);
    free(holding->sequence_key);
    free(holding);
}

void spool_holding_out(struct spool_holding *holding)
{
    struct spool_lane *lane = holding->lane;
    int64_t bytes = (int64_t)holding->entry.message->body.length;

    holding->ahead = lane->out_count > 0;
    if (holding->ahead)
        holding->spool->ahead_bytes += bytes;
    lane->out_count++;
    lane->out_bytes += bytes;
    lane->route->out++;
    if (!holding->entry.transient)
        lane->out_stored++;
}

void spool_holding_back(struct spool_holding *holding)
{
    struct spool_lane *lane = holding->lane;
    int64_t bytes = (int64_t)holding->entry.message->body.length;

    list_remove(&holding->node);
    if (holding->ahead)
        holding->spool->ahead_bytes -= bytes;
    lane->out_count--;
    lane->out_bytes -= bytes;
    lane->route->out--;
    if (!holding->entry.transient)
        lane->out_stored--;
}

static void holding_deliver(struct mail *mail)
{
    struct spool_entry *entry =
        (struct spool_entry *)(void *)((char *)mail - offsetof(struct spool_entry, mail));
    const struct spool_sink *sink = &((struct spool_holding *)entry)->sink->sink;

    sink->on_entry(sink->context, entry);
}

void spool_holding_push(struct spool_holding *holding)
{
    struct spool *spool = holding->spool;

    list_append(&holding->lane->out, &holding->node);
    holding->sink = spool->sink;
    holding->entry.mail.deliver = holding_deliver;
    mailbox_post(spool->sink->sink.mailbox, &holding->entry.mail);
}

/* ---- handing out ---- */

void spool_lane_wants_pump(struct spool *spool, struct spool_lane *lane)
{
    if (list_empty(&lane->in_pump))
        list_append(&spool->pump, &lane->in_pump);
}

static void lane_take_row(void *context, struct spool_row *row, struct message *message)
{
    struct spool_lane *lane = context;
    struct spool_holding *holding = spool_holding_new(lane->spool, lane, message, row->id);

    if (holding == NULL) {
        spool_backend_release(lane->spool->backend, row->id);
        spool_lane_hold(lane);
    } else {
        holding->entry.attempts = row->attempts;
        holding->entry.counted_attempts = row->counted_attempts;
        holding->entry.due_wall_ms = row->due_ms;
        holding->entry.resumes_lane = row->id == lane->resume_id;
        if (holding->entry.resumes_lane)
            lane->resume_id = 0;
        lane->waiting_rows--;
        spool_holding_out(holding);
        spool_holding_push(holding);
    }
    message_release(&message);
    spool_row_clear(row);
}

/* The replayed head is not there to say it (damaged, or discarded meanwhile): the sink, which has
 * stopped the lane, must hear all the same that it goes on. */
static void lane_resume_without_head(struct spool *spool, struct spool_lane *lane)
{
    if (lane->resume_id == 0)
        return;
    lane->resume_id = 0;
    spool_lane_tell_resumed(spool, lane);
}

/* Hands out rows that wait on disk, those before the first waiting transient. How many, or an error. */
static int lane_pump_rows(struct spool *spool, struct spool_lane *lane)
{
    uint64_t below = UINT64_MAX;
    unsigned limit = lane_window(lane) - lane->out_count;
    int64_t bytes = lane_room_bytes(spool, lane);

    if (spool->failure != 0)
        return 0;
    if (lane->waiting_rows == 0) {
        lane_resume_without_head(spool, lane);
        return 0;
    }
    if (!list_empty(&lane->transients))
        below = LIST_ENTRY(lane->transients.next, struct spool_holding, node)->entry.id;
    if (lane->resume_id != 0) { /* the window may be full of what waits behind it */
        below = lane->resume_id + 1;
        limit = 1;
        bytes = INT64_MAX;
    } else if (!lane_is_low(lane) || bytes <= 0) {
        return 0;
    }
    int result = spool_backend_lease_below(spool->backend, lane->name, below, limit, bytes,
                                           spool_wall(spool), lane_take_row, lane);
    if (result == 0)
        lane_resume_without_head(spool, lane);
    return result;
}

static bool lane_pump_transient(struct spool *spool, struct spool_lane *lane)
{
    if (list_empty(&lane->transients))
        return false;
    struct spool_holding *holding = LIST_ENTRY(lane->transients.next, struct spool_holding, node);
    if (!spool_lane_has_room(spool, lane, (int64_t)holding->entry.message->body.length))
        return false;
    list_remove(&holding->node);
    timers_stop(&spool->timers, &holding->deadline);
    spool_holding_out(holding);
    spool_holding_push(holding);
    return true;
}

static int lane_pump(struct spool *spool, struct spool_lane *lane)
{
    while (spool_lane_flows(spool, lane)) {
        bool rows_may_wait = lane->waiting_rows > 0;
        int rows = lane_pump_rows(spool, lane);
        if (rows < 0)
            return rows;
        if (rows > 0)
            continue;
        /* No row came: either none is due before the transient, or the window is not low. Only in the
         * first case may the transient go. */
        if (rows_may_wait &&
            (!lane_is_low(lane) || lane_room_bytes(spool, lane) <= 0 || spool->failure != 0))
            break;
        if (lane_pump_transient(spool, lane))
            continue;
        if (rows_may_wait && list_empty(&lane->transients))
            lane_count_rows(spool, lane); /* some were damaged, and are dead letters now */
        break;
    }
    return 0;
}

static int lanes_pump_all(struct spool *spool, void *context)
{
    struct list_node *node;

    (void)context;
    while ((node = list_pop_front(&spool->pump)) != NULL) {
        struct spool_lane *lane = LIST_ENTRY(node, struct spool_lane, in_pump);
        int result = lane_pump(spool, lane);
        if (result < 0) {
            spool_lane_wants_pump(spool, lane);
            return result;
        }
    }
    return 0;
}

/* The transaction is for rows that turn out to be damaged and become dead letters. */
void spool_lanes_pump(struct spool *spool)
{
    if (list_empty(&spool->pump) || spool->sink == NULL)
        return;
    if (spool->failure != 0) {
        /* What waits on disk stays on the list; what is only in memory may go on. */
        LIST_FOREACH_SAFE(node, next, &spool->pump) {
            struct spool_lane *lane = LIST_ENTRY(node, struct spool_lane, in_pump);
            if (lane_pump(spool, lane) == 0 && lane->waiting_rows == 0)
                list_remove(&lane->in_pump);
        }
        return;
    }
    int result = spool_transaction(spool, lanes_pump_all, NULL);
    if (result < 0 && spool->failure == 0)
        spool_fail(spool, result);
}
