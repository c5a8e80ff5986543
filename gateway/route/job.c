#include "route/router.h"

#include <stdio.h>
#include <stdlib.h>

/* How often a held entry is written down while nothing about it has changed but the number of
 * attempts: the list of mllpctl stays about right, and an outage of an hour costs each message
 * that is being tried 60 small rows and those behind it none. What counts for maximum_attempts is
 * always written. */
#define JOB_WRITE_INTERVAL_MS 60000
/* Due times are wall-clock times from another run: a clock that was set back must not put a lane
 * to sleep. */
#define JOB_DUE_MAXIMUM_MS DECIDE_RETRY_AFTER_MAXIMUM_MS

#define JOB_OF(timer_pointer)                                                                      \
    ((struct job *)(void *)((char *)(timer_pointer)-offsetof(struct job, retry)))

static void job_on_retry(struct timer *timer)
{
    struct job *job = JOB_OF(timer);
    struct target *target = job->lane->route->target;

    job_wake(job);
    target_pump(target);
}

static struct job *job_take_spare(struct router *router)
{
    struct list_node *node = list_pop_front(&router->spare_jobs);
    struct job *job;

    if (node != NULL) {
        router->spare_count--;
        return LIST_ENTRY(node, struct job, node);
    }
    job = calloc(1, sizeof(*job));
    if (job == NULL)
        return NULL;
    job->retry.fire = job_on_retry;
    if (timers_start(router->context.timers, &job->retry, ROUTE_NEVER) != 0) {
        free(job);
        return NULL;
    }
    return job;
}

/* Whether the store may have the message, by attempts that this job doesn't know of. */
static bool job_is_in_doubt(const struct job *job)
{
    return job->entry->in_doubt ||
           doubts_has(&job->lane->route->target->doubts, job->entry->message->digest);
}

/* For the next one that holds the same message. Of a split batch whole parts are in doubt, too: it
 * begins anew. The entry has its last verdict. */
static void job_note_doubt(const struct job *job)
{
    struct doubts *doubts = &job->lane->route->target->doubts;
    const struct store_progress *progress = &job->progress;
    const uint8_t *id = job->entry->message->digest;

    if (job->entry->verdict.kind == VERDICT_ACCEPTED)
        doubts_remove(doubts, id);
    else if (progress->in_doubt || progress->part_in_doubt || progress->parts > 0)
        doubts_add(doubts, id);
}

struct job *job_new(struct lane *lane, struct spool_entry *entry)
{
    struct job *job = job_take_spare(lane->route->router);
    struct timer retry;

    if (job == NULL)
        return NULL;
    retry = job->retry;
    *job = (struct job){.lane = lane, .entry = entry, .retry = retry, .state = JOB_READY};
    job->progress.in_doubt = job_is_in_doubt(job);
    list_append(&lane->jobs[JOB_READY], &job->node);
    return job;
}

static void job_drop_progress(struct job *job)
{
    const struct store_progress *old = &job->progress;
    bool mine = !job->moved && (old->in_doubt || old->part_in_doubt || old->parts > 0);

    job->progress = (struct store_progress){.in_doubt = mine || job_is_in_doubt(job)};
    job->anew = job->moved = false;
}

void job_begin_anew(struct job *job)
{
    if (job->state == JOB_IN_FLIGHT)
        job->anew = true; /* the attempt writes into it until it ends */
    else
        job_drop_progress(job);
}

static void job_destroy(struct router *router, struct job *job)
{
    timers_stop(router->context.timers, &job->retry);
    free(job);
}

static void job_set_faulty(struct job *job, bool faulty)
{
    struct target *target = job->lane->route->target;

    if (job->faulty == faulty)
        return;
    job->faulty = faulty;
    target->faulty_jobs += faulty ? 1u : -1u;
    target_check_alarm(target);
}

void job_forget_store(struct job *job)
{
    struct target *target = job->lane->route->target;

    job_set_faulty(job, false);
    if (target->failed == job)
        target->failed = NULL;
    if (target->probe == job) {
        target->probe = NULL;
        target_probe_now(target);
    }
    if (job->state == JOB_IN_FLIGHT) {
        doubts_add(&target->doubts, job->entry->message->digest);
        job->anew = job->moved = true;
    } else {
        job_note_doubt(job);
        job->progress = (struct store_progress){.in_doubt = job->entry->in_doubt};
    }
    job->may_count = false;
    job->outage = 0;
    job->not_before_ms = 0;
}

void job_free(struct job *job)
{
    struct route *route = job->lane->route;
    struct router *router = route->router;

    list_remove(&job->node);
    job_set_faulty(job, false);
    if (route->target->failed == job)
        route->target->failed = NULL; /* the next message in this job is another one */
    if (job->failures >= 2) {
        route->troubled--;
        report_queueing(route);
    }
    if (router->spare_count >= ROUTE_SPARE_JOBS) {
        job_destroy(router, job);
        return;
    }
    router_move_timer(router, &job->retry, ROUTE_NEVER);
    list_prepend(&router->spare_jobs, &job->node);
    router->spare_count++;
}

void job_pool_free(struct router *router)
{
    LIST_FOREACH_SAFE(node, following, &router->spare_jobs) {
        job_destroy(router, LIST_ENTRY(node, struct job, node));
    }
    list_init(&router->spare_jobs);
    router->spare_count = 0;
}

void job_set_state(struct job *job, enum job_state state)
{
    list_remove(&job->node);
    job->state = state;
    list_append(&job->lane->jobs[state], &job->node);
}

static void job_back_off(struct job *job, int64_t due_ms)
{
    router_move_timer(job->lane->route->router, &job->retry, due_ms);
    job_set_state(job, JOB_BACKING_OFF);
}

/* Its time has come, or the store is back: then only what the store itself asked for holds. */
void job_wake(struct job *job)
{
    struct router *router = job->lane->route->router;

    if (job->state != JOB_BACKING_OFF)
        return;
    if (job->not_before_ms > router_now_ms(router)) {
        router_move_timer(router, &job->retry, job->not_before_ms);
        return;
    }
    router_move_timer(router, &job->retry, ROUTE_NEVER);
    job_set_state(job, JOB_READY);
    lane_refresh(job->lane);
}

/* Settles with the verdict that the entry carries. The lane may be gone afterwards. */
static void job_settle(struct job *job, enum decide_action action)
{
    struct lane *lane = job->lane;
    struct spool_entry *entry = job->entry;
    struct route *route = lane->route;

    job_note_doubt(job);
    job_free(job);
    entry->stop_lane = action == DECIDE_SETTLE_STOP;
    if (entry->stop_lane)
        lane_stop(lane);
    if (!entry->transient && entry->verdict.kind == VERDICT_REFUSED)
        report_dead_letter(route, entry);
    lane_refresh(lane);
    entry_settle(route, entry);
}

static void job_exhaust(struct job *job)
{
    struct verdict *verdict = &job->entry->verdict;
    char last[sizeof(verdict->reason)];

    memcpy(last, verdict->reason, sizeof(last));
    snprintf(verdict->reason, sizeof(verdict->reason), "%d attempts counted, the last: %.60s",
             job->entry->counted_attempts, last);
    verdict->kind = VERDICT_REFUSED;
    verdict->about_message = true;
    job_settle(job, decide_dead_letter(&job->lane->route->config));
}

/* false: the entry is settled, there is no further try. */
static bool job_count(struct job *job)
{
    struct route *route = job->lane->route;
    struct decide_counted counted =
        decide_count(&route->config, job->entry->counted_attempts, job->may_count,
                     route->target->accepted > job->accepted_seen);

    if (counted.counts) {
        job->entry->counted_attempts++;
        job->unwritten_count = true;
        job->may_count = false;
    }
    if (counted.exhausted)
        job_exhaust(job);
    return !counted.exhausted;
}

/* Stored entries that another run, or another holder, has put off. */
static bool job_is_put_off(struct job *job)
{
    struct router *router = job->lane->route->router;
    int64_t wait_ms = job->entry->due_wall_ms;

    if (job->failures > 0 || job->entry->transient || wait_ms == 0)
        return false;
    wait_ms -= router_wall_ms(router);
    job->entry->due_wall_ms = 0;
    if (wait_ms <= 0)
        return false;
    if (wait_ms > JOB_DUE_MAXIMUM_MS)
        wait_ms = JOB_DUE_MAXIMUM_MS;
    job_back_off(job, router_now_ms(router) + wait_ms);
    return true;
}

static void job_leave_flight(struct job *job)
{
    struct route *route = job->lane->route;

    job->attempt = NULL;
    if (job->anew)
        job_drop_progress(job);
    if (route->target->probe == job)
        route->target->probe = NULL;
    route->in_flight--;
    route->router->in_flight--;
    report_in_flight(route);
    instance_release_attempt(job->instance);
}

/* The spool counts an attempt for maximum_attempts when the verdict that it writes down is about the
 * message; here that is known only when something else has got through since (decide_count()). So
 * each count is told with the write that follows it, and no other write tells one. */
static void job_tell_count(struct job *job)
{
    job->entry->verdict.about_message = job->unwritten_count;
    job->unwritten_count = false;
}

/* keep: the entry stays here and the spool writes down how it stands. */
static void job_write_down(struct job *job, int64_t now_ms, int64_t wait_ms)
{
    struct router *router = job->lane->route->router;
    struct verdict *verdict = &job->entry->verdict;
    struct answer_bytes *answer;

    if (job->entry->transient)
        return;
    if (job->written_ms != 0 && !job->unwritten_count &&
        now_ms - job->written_ms < JOB_WRITE_INTERVAL_MS)
        return;
    job->written_ms = now_ms;
    job_tell_count(job);
    job->entry->retry_due_wall_ms = router_wall_ms(router) + wait_ms;
    job->entry->keep = true;
    /* The spool takes the answer; a dead letter that is made of this verdict needs it, too. */
    answer = answer_bytes_reference(verdict->answer);
    router->context.settle(router->context.spool, job->entry);
    answer_bytes_release(&verdict->answer);
    verdict->answer = answer;
    job->entry->keep = false;
}

static void job_hold(struct job *job, int64_t now_ms, const struct decide_output *decided)
{
    struct route *route = job->lane->route;

    if (++job->failures == 2)
        route->troubled++;
    job_set_faulty(job, decided->operator_fault);
    job->may_count = decided->may_count;
    job->accepted_seen = route->target->accepted;
    job->outage = route->target->state == TARGET_UP ? 0 : route->target->outage;
    if (job->entry->verdict.retry_after_ms > 0)
        job->not_before_ms = now_ms + decided->wait_ms;
    job_back_off(job, now_ms + decided->wait_ms);
    lane_refresh(job->lane);
    job_write_down(job, now_ms, decided->wait_ms);
}

static struct decide_output job_decide(struct job *job, bool was_probe, bool noted)
{
    struct route *route = job->lane->route;
    struct target *target = route->target;
    const struct verdict *verdict = &job->entry->verdict;
    struct decide_input input = {
        .verdict = verdict,
        .transient = job->entry->transient,
        .wait = job->entry->wait,
        .now_ms = router_now_ms(route->router),
        .deadline_ms = job->entry->deadline_ms,
        .failures = job->failures,
        .store_failures = target_count_failures(target, job, verdict),
        .probes = target->state == TARGET_UP ? 0 : target->probes + (was_probe ? 1 : 0),
        .random = router_random(route->router),
        .route = &route->config,
    };
    struct decide_output decided = decide(&input);

    if (noted)
        target_note(target, job, was_probe, verdict, &decided);
    return decided;
}

/* Entries that may not be held any longer (route revoked, drain) go back with what was learnt. */
static void job_settle_or_hold(struct job *job, const struct decide_output *decided)
{
    struct route *route = job->lane->route;
    struct router *router = route->router;
    bool retry = decided->action == DECIDE_RETRY;

    if (retry && route->state == ROUTE_OPEN && router->state == ROUTER_RUNNING) {
        job_hold(job, router_now_ms(router), decided);
        return;
    }
    if (retry) {
        job_tell_count(job);
        job->entry->retry_due_wall_ms = router_wall_ms(router) + decided->wait_ms;
    }
    job_settle(job, decided->action);
}

/* The attempt's verdict is in the entry. noted: it says something about the store, too. */
static void job_ended(struct job *job, bool noted)
{
    struct route *route = job->lane->route;
    struct target *target = route->target;
    bool was_probe = target->probe == job, current = job->instance == target->instance;
    bool was_up = target->state == TARGET_UP;
    struct decide_output decided;

    job_leave_flight(job);
    job->entry->attempts++;
    report_verdict(route, job->entry);
    decided = job_decide(job, was_probe, noted && current);
    job_settle_or_hold(job, &decided);
    report_queueing(route);
    if (was_up)
        route_pump(route); /* nothing has changed for the others */
    else
        target_pump(target);
    router_drain_check(route->router);
}

static void job_on_done(void *context, struct verdict *verdict)
{
    struct job *job = context;

    verdict_clear(&job->entry->verdict);
    job->entry->verdict = *verdict;
    verdict->answer = NULL; /* ours now */
    job_ended(job, true);
}

/* Nothing was sent, and it isn't the store's fault. */
static void job_out_of_memory(struct job *job)
{
    struct decide_output decided;

    job_leave_flight(job);
    verdict_clear(&job->entry->verdict);
    job->entry->verdict =
        (struct verdict){.kind = VERDICT_RETRY, .not_sent = true, .reason = "out of memory"};
    job->entry->attempts++;
    report_verdict(job->lane->route, job->entry);
    decided = job_decide(job, false, false);
    job_settle_or_hold(job, &decided);
}

static void job_send(struct job *job)
{
    struct route *route = job->lane->route;
    struct spool_entry *entry = job->entry;

    job_set_state(job, JOB_IN_FLIGHT);
    route->in_flight++;
    route->router->in_flight++;
    report_in_flight(route);
    job->instance = route->target->instance;
    job->instance->attempts++;
    target_begin_probe(route->target, job);
    lane_refresh(job->lane);
    /* No deadline for the store: at a transient entry's deadline the lane cancels, because what
     * becomes of it then is unknown, not a time-out. */
    job->attempt =
        store_deliver(job->instance->store, entry->message, &job->progress, 0, job_on_done, job);
    if (job->attempt == NULL)
        job_out_of_memory(job);
}

/* The lane may be gone afterwards. */
void job_start(struct job *job)
{
    struct lane *lane = job->lane;
    struct route *route = lane->route;

    if (job->entry->transient && job->entry->deadline_ms <= router_now_ms(route->router)) {
        job_expire(job);
        lane_refresh(lane);
    } else if (job_is_put_off(job)) {
        lane_refresh(lane);
    } else if (job_count(job)) {
        job_send(job);
    }
}

/* Nothing more is sent from here on; whether the message arrived is unknown. The lane stays. */
void job_cancel(struct job *job, const char *why)
{
    struct verdict *verdict = &job->entry->verdict;

    store_cancel(&job->attempt);
    verdict_clear(verdict);
    *verdict = (struct verdict){.kind = VERDICT_UNKNOWN};
    snprintf(verdict->reason, sizeof(verdict->reason), "%s", why);
    job_ended(job, true);
}

void job_expire(struct job *job)
{
    struct route *route = job->lane->route;
    struct spool_entry *entry = job->entry;

    job_note_doubt(job);
    entry_expire(route, entry);
    job_free(job);
}

/* Not in flight, or cancelled by the end of the program. */
void job_give_back(struct job *job, const char *why)
{
    struct lane *lane = job->lane;
    struct spool_entry *entry = job->entry;

    if (job->state == JOB_IN_FLIGHT) {
        store_cancel(&job->attempt);
        job_leave_flight(job);
        if (entry->transient) {
            verdict_clear(&entry->verdict);
            entry->verdict = (struct verdict){.kind = VERDICT_UNKNOWN};
        }
    }
    job_note_doubt(job);
    job_free(job);
    entry_give_back(lane->route->router, lane->route, entry, why);
}
