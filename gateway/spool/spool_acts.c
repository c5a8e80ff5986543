/*
 * Between the groups: calls of other threads, an operator's acts, moves in slices, purge in slices.
 */
#include "spool/spool_private.h"

#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- calls ---- */

static void call_arrived(struct mail *mail)
{
    struct spool_call *call =
        (struct spool_call *)(void *)((char *)mail - offsetof(struct spool_call, mail));

    call->behind_puts = call->spool->puts_arrived;
    list_append(&call->spool->calls, &call->node);
}

void spool_call(struct spool *spool, struct spool_call *call)
{
    call->spool = spool;
    call->mail.deliver = call_arrived;
    mailbox_post(&spool->mailbox, &call->mail);
}

static void call_deliver_done(struct mail *mail)
{
    struct spool_call *call =
        (struct spool_call *)(void *)((char *)mail - offsetof(struct spool_call, mail));

    call->done(call);
}

static void call_is_done(struct spool_call *call)
{
    if (call->done == NULL)
        return;
    if (call->reply_to == NULL) {
        call->done(call);
        return;
    }
    call->mail.deliver = call_deliver_done;
    mailbox_post(call->reply_to, &call->mail);
}

/* What a call did to lanes shows once it is committed or rolled back. */
static void calls_refresh_touched(struct spool *spool)
{
    for (size_t i = 0; i < SPOOL_BUCKETS; i++) {
        LIST_FOREACH_SAFE(node, next, &spool->lanes[i]) {
            struct spool_lane *lane = LIST_ENTRY(node, struct spool_lane, in_bucket);
            bool stopped = lane->stopped;
            if (!lane->touched)
                continue;
            lane->touched = false;
            spool_lane_refresh(spool, lane);
            if (lane->stopped)
                lane->resume_id = 0;
            else if (stopped && lane->resume_id == 0)
                spool_lane_tell_resumed(spool, lane);
        }
    }
}

static int call_work(struct spool *spool, void *context)
{
    struct spool_call *call = context;

    call->result = 0;
    call->call(call, spool, spool->backend);
    return call->result;
}

static void call_run(struct spool *spool, struct spool_call *call)
{
    call->result = spool_transaction(spool, call_work, call);
    calls_refresh_touched(spool);
}

/* More puts than a group holds may have come before a call: who asks whether a route has rows must
 * not get the answer before they are written. */
static bool call_is_due(const struct spool *spool, const struct spool_call *call)
{
    return spool->puts_arrived - spool->put_count >= call->behind_puts;
}

void spool_calls_run(struct spool *spool)
{
    LIST_FOREACH_SAFE(node, next, &spool->calls) {
        struct spool_call *call = LIST_ENTRY(node, struct spool_call, node);
        if (!call_is_due(spool, call))
            return;
        list_remove(&call->node);
        call_run(spool, call);
        call_is_done(call);
    }
}

/* ---- an operator's acts ---- */

struct lane_of_row {
    struct spool *spool;
    uint64_t id;
    struct spool_lane *lane;
    bool found;
};

static void find_lane_of_row(void *context, const struct spool_row *row)
{
    struct lane_of_row *search = context;

    if (row->id != search->id)
        return;
    search->found = true;
    search->lane = spool_lane_get(search->spool, row->route, row->lane);
}

static int lane_of_row(struct spool *spool, uint64_t id, struct spool_lane **ret_lane)
{
    const struct spool_filter filter = {.after_id = id - 1, .limit = 1};
    struct lane_of_row search = {spool, id, NULL, false};
    uint64_t next = 0;

    if (id == 0)
        return -ENOENT;
    int result = spool_backend_list(spool->backend, &filter, find_lane_of_row, &search, &next);
    if (result < 0)
        return result;
    if (!search.found)
        return -ENOENT;
    if (search.lane == NULL)
        return -ENOMEM;
    *ret_lane = search.lane;
    return 0;
}

int spool_replay(struct spool *spool, uint64_t id, bool out_of_order, uint64_t *ret_id)
{
    struct spool_lane *lane;
    uint64_t new_id;

    int result = lane_of_row(spool, id, &lane);
    if (result == 0)
        result = spool_backend_replay(spool->backend, id, out_of_order, spool_wall(spool), &new_id);
    if (result < 0)
        return result;
    if (new_id == id)
        lane->resume_id = id;
    lane->touched = true;
    *ret_id = new_id;
    return 0;
}

int spool_discard(struct spool *spool, uint64_t id)
{
    struct spool_lane *lane;

    int result = lane_of_row(spool, id, &lane);
    if (result == 0)
        result = spool_backend_discard(spool->backend, id, spool_wall(spool));
    if (result == 0)
        lane->touched = true;
    return result;
}

/* ---- acts that want a route without entries out ---- */

static void act_free(struct spool_act *act)
{
    free(act->from_name);
    free(act->to_name);
    free(act);
}

static void act_revoke(struct spool *spool, struct spool_route_state *route)
{
    if (route == NULL)
        return;
    route->revoked++;
    if (route->out > 0)
        spool_route_revoke(spool, route);
}

static void act_allow(struct spool *spool, struct spool_route_state *route)
{
    if (route == NULL)
        return;
    route->revoked--;
    spool_route_load(spool, route);
}

static void act_end(struct spool_act *act, int result)
{
    struct spool *spool = act->spool;

    list_remove(&act->node);
    if (act->waiting) {
        act_allow(spool, act->from);
        act_allow(spool, act->to);
    }
    act->call->result = result;
    call_is_done(act->call);
    act_free(act);
}

static void act_arrived(struct mail *mail)
{
    struct spool_act *act =
        (struct spool_act *)(void *)((char *)mail - offsetof(struct spool_act, mail));
    struct spool *spool = act->spool;

    list_append(&spool->acts, &act->node);
    act->from = spool_route_get(spool, act->from_name);
    act->to = act->to_name == NULL ? NULL : spool_route_get(spool, act->to_name);
    if (act->from == NULL || (act->to_name != NULL && act->to == NULL)) {
        act_end(act, -ENOMEM);
        return;
    }
    if (act->from == act->to) {
        act_end(act, -EINVAL);
        return;
    }
    act->waiting = true;
    act_revoke(spool, act->from);
    act_revoke(spool, act->to);
}

static void act_post(struct spool *spool, struct spool_call *call, const char *from, const char *to)
{
    struct spool_act *act = calloc(1, sizeof *act);

    if (act != NULL) {
        act->from_name = strdup(from);
        act->to_name = to == NULL ? NULL : strdup(to);
    }
    if (act == NULL || act->from_name == NULL || (to != NULL && act->to_name == NULL)) {
        if (act != NULL)
            act_free(act);
        call->result = -ENOMEM;
        call_is_done(call);
        return;
    }
    act->spool = spool;
    act->call = call;
    list_init(&act->node);
    act->mail.deliver = act_arrived;
    mailbox_post(&spool->mailbox, &act->mail);
}

void spool_move(struct spool *spool, struct spool_call *call, const char *from, const char *to)
{
    act_post(spool, call, from, to);
}

void spool_call_revoked(struct spool *spool, struct spool_call *call, const char *route)
{
    act_post(spool, call, route, NULL);
}

/* One after the other, in order of arrival. */
bool spool_acts_ready(const struct spool *spool)
{
    const struct spool_act *act = LIST_ENTRY(spool->acts.next, struct spool_act, node);

    return !list_empty(&spool->acts) && spool->failure == 0 && !spool->resting &&
           act->from->out == 0 && (act->to == NULL || act->to->out == 0);
}

static int act_move_slice(struct spool *spool, void *context)
{
    struct spool_act *act = context;
    uint64_t moved;
    bool done;

    int result = spool_backend_move_slice(spool->backend, act->from_name, act->to_name,
                                          spool->intake_closed ? SPOOL_ROWS_FULL : SPOOL_MOVE_ROWS,
                                          &moved, &done);
    if (result < 0)
        return result;
    act->moved += moved;
    return done ? 1 : 0;
}

void spool_acts_run(struct spool *spool)
{
    if (!spool_acts_ready(spool))
        return;
    struct spool_act *act = LIST_ENTRY(spool->acts.next, struct spool_act, node);
    if (act->to_name == NULL) {
        call_run(spool, act->call);
        act_end(act, act->call->result);
        return;
    }
    uint64_t before = act->moved;
    int result = spool_transaction(spool, act_move_slice, act);
    if (result == 0)
        return; /* further slices follow, other groups in between */
    if (result > 0) {
        act_end(act, act->moved > INT_MAX ? INT_MAX : (int)act->moved);
        return;
    }
    act->moved = before;
    if (result == -EIO || result == -ENOSPC) {
        /* A move that has begun is finished, be it after a restart: it goes on when the disk does. */
        spool_trouble(spool, result);
        return;
    }
    act_end(act, result);
}

void spool_acts_cancel(struct spool *spool)
{
    while (!list_empty(&spool->acts))
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): act_end() takes it off the list first. */
        act_end(LIST_ENTRY(spool->acts.next, struct spool_act, node), -ECANCELED);
}

/* ---- purge ---- */

static int purge_work(struct spool *spool, void *context)
{
    (void)context;
    return spool_backend_purge(spool->backend, spool_wall(spool),
                               spool->intake_closed ? SPOOL_ROWS_FULL : SPOOL_PURGE_ROWS);
}

void spool_purge_slice(struct spool *spool)
{
    int result = spool_transaction(spool, purge_work, NULL);

    if (result > 0)
        return; /* there may be more: another slice behind the next group */
    if (result < 0 && spool_error_is_the_lanes(result))
        LOG_EVENT(LOG_LEVEL_ERROR, "spool-purge-failed", LOG_STRING("reason", strerror(-result)),
                  LOG_STRING("consequence", "what is past its time stays for now"));
    else if (result < 0)
        spool_trouble(spool, result);
    else
        spool_keep_room(spool);
    spool_lanes_trim(spool);
    spool->purge_due = false;
    if (timers_start(&spool->timers, &spool->purge, spool_monotonic(spool) + SPOOL_PURGE_MS) < 0)
        spool->purge_due = true;
}
