/*
 * Entries on their way to the sink: the window, and when more of a lane is handed out.
 */
#include "spool/spool_private.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the window ---- */

bool spool_lane_flows(const struct spool *spool, const struct spool_lane *lane)
{
    return spool->sink != NULL && lane->route->open && lane->route->revoked == 0 &&
           !lane->stopped && !lane->recalled && !timer_is_running(&lane->hold);
}

static unsigned lane_window(const struct spool_lane *lane)
{
    return lane->unordered ? SPOOL_LANE_WINDOW_UNORDERED : SPOOL_LANE_WINDOW;
}

/* Bytes that may still go out behind the first entry, which is not asked about its size. */
static int64_t lane_room_bytes(const struct spool *spool, const struct spool_lane *lane)
{
    int64_t of_lane = SPOOL_LANE_WINDOW_BYTES - lane->out_bytes;
    int64_t of_all = SPOOL_AHEAD_BYTES - spool->ahead_bytes;

    return of_lane < of_all ? of_lane : of_all;
}

/* Whether a lane with nothing out may have its first entry out. */
static bool first_may_go(const struct spool *spool, const struct spool_lane *lane)
{
    return spool->first_bytes < SPOOL_FIRST_BYTES || lane->route->firsts == 0;
}

bool spool_lane_has_room(const struct spool *spool, const struct spool_lane *lane, int64_t bytes)
{
    if (lane->out_count == 0) /* not before those whose turn it is */
        return first_may_go(spool, lane) &&
               (list_empty(&spool->in_turn) || lane->route->firsts == 0);
    return lane->out_count < lane_window(lane) && bytes <= lane_room_bytes(spool, lane);
}

/* Reading from disk waits until half of the window is free, so that it reads many rows at once. */
static bool lane_is_low(const struct spool_lane *lane)
{
    return lane->out_count <= lane_window(lane) / 2 &&
           (lane->out_count == 0 || lane->out_bytes <= SPOOL_LANE_WINDOW_BYTES / 2);
}

static bool lane_may_read(const struct spool *spool, const struct spool_lane *lane)
{
    return lane->out_count == 0 || (lane_is_low(lane) && lane_room_bytes(spool, lane) > 0);
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
    if (holding->ahead) {
        holding->spool->ahead_bytes += bytes;
    } else {
        holding->spool->first_bytes += bytes;
        lane->route->firsts++;
    }
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
    if (holding->ahead) {
        holding->spool->ahead_bytes -= bytes;
    } else {
        holding->spool->first_bytes -= bytes;
        holding->spool->first_is_back = true;
        lane->route->firsts--;
    }
    lane->out_count--;
    if (lane->out_count == 0)
        lane->recalled = false;
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
        holding->entry.in_doubt = row->connection == 0;
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
    } else if (!lane_may_read(spool, lane)) {
        return 0;
    }
    int result = spool_backend_lease_below(spool->backend, lane->name, below, limit, bytes,
                                           spool_wall(spool), lane_take_row, lane);
    if (result == 0)
        lane_resume_without_head(spool, lane);
    if (result > 0)
        lane->unreadable = false;
    return result;
}

static bool lane_pump_transient(struct spool *spool, struct spool_lane *lane)
{
    if (list_empty(&lane->transients))
        return false;
    struct spool_holding *holding = LIST_ENTRY(lane->transients.next, struct spool_holding, node);
    if (lane->out_count > 0 &&
        !spool_lane_has_room(spool, lane, (int64_t)holding->entry.message->body.length))
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
        if (rows_may_wait && (!lane_may_read(spool, lane) || spool->failure != 0))
            break;
        if (lane_pump_transient(spool, lane))
            continue;
        if (rows_may_wait && list_empty(&lane->transients))
            spool_lane_count_rows(spool, lane); /* some were damaged, and are dead letters now */
        break;
    }
    return 0;
}

/* true: the lane waits for its turn, at the end of those that do. Something of its own route is out,
 * and gives the next turn when it comes back. */
static bool lane_waits_in_turn(struct spool *spool, struct spool_lane *lane)
{
    bool has_some = lane->waiting_rows > 0 || !list_empty(&lane->transients);

    if (lane->out_count > 0 || !has_some || !spool_lane_flows(spool, lane) ||
        first_may_go(spool, lane))
        return false;
    list_remove(&lane->in_pump);
    list_append(&spool->in_turn, &lane->in_pump);
    return true;
}

/* Those that wait longest go first, and before all that came meanwhile. */
static void lanes_give_turns(struct spool *spool)
{
    if (!spool->first_is_back)
        return;
    spool->first_is_back = false;
    while (!list_empty(&spool->in_turn)) {
        struct list_node *last = spool->in_turn.prev;
        list_remove(last);
        list_prepend(&spool->pump, last);
    }
}

static int lanes_pump_all(struct spool *spool, void *context)
{
    struct spool_lane **ret_failed = context;
    struct list_node *node;

    while ((node = list_pop_front(&spool->pump)) != NULL) {
        struct spool_lane *lane = LIST_ENTRY(node, struct spool_lane, in_pump);
        if (lane_waits_in_turn(spool, lane))
            continue;
        int result = lane_pump(spool, lane);
        if (result < 0) {
            spool_lane_wants_pump(spool, lane);
            *ret_failed = lane;
            return result;
        }
    }
    return 0;
}

/* Pages of the database that only this lane needs: the others, and what comes in, know nothing of
 * it. Tried again, in case an operator has mended it. */
static void lane_is_unreadable(struct spool_lane *lane, int error)
{
    if (!lane->unreadable)
        LOG_EVENT(LOG_LEVEL_ERROR, "spool-lane-unreadable", LOG_STRING("lane", lane->name),
                  LOG_STRING("reason", strerror(-error)),
                  LOG_STRING("consequence", "what of it is on disk waits; all other lanes go on"));
    lane->unreadable = true;
    spool_lane_hold(lane);
}

/* The transaction is for rows that turn out to be damaged and become dead letters. */
void spool_lanes_pump(struct spool *spool)
{
    lanes_give_turns(spool);
    if (list_empty(&spool->pump) || spool->sink == NULL)
        return;
    if (spool->failure != 0) {
        /* What waits on disk stays on the list; what is only in memory may go on. */
        LIST_FOREACH_SAFE(node, next, &spool->pump) {
            struct spool_lane *lane = LIST_ENTRY(node, struct spool_lane, in_pump);
            if (!lane_waits_in_turn(spool, lane) && lane_pump(spool, lane) == 0 &&
                lane->waiting_rows == 0)
                list_remove(&lane->in_pump);
        }
        return;
    }
    bool again = spool->intake_closed;
    struct spool_lane *failed = NULL;
    int result = spool_transaction(spool, lanes_pump_all, &failed);
    if (result >= 0)
        return;
    if (failed != NULL && spool_error_is_the_lanes(result))
        lane_is_unreadable(failed, result);
    else
        spool_trouble(spool, result);
    if (result == -ENOSPC) /* tried once more with the next round, at the latest with the probe */
        spool_backend_make_room(spool->backend, again);
    spool_lanes_refresh(spool, NULL); /* dead letters of the others are queued again */
}
