#include "route/router.h"

#include <stdio.h>
#include <stdlib.h>

#define TARGET_OF(timer_pointer)                                                                   \
    ((struct target *)(void *)((char *)(timer_pointer)-offsetof(struct target, probe_timer)))
#define ROUTE_OF(list_node_pointer) LIST_ENTRY(list_node_pointer, struct route, in_target)

static void target_on_probe_due(struct timer *timer)
{
    struct target *target = TARGET_OF(timer);

    router_move_timer(target->router, &target->probe_timer, ROUTE_NEVER);
    target_pump(target);
}

struct target *target_new(struct router *router, const char *name)
{
    struct target *target = calloc(1, sizeof(*target));

    if (target == NULL)
        return NULL;
    list_init(&target->node);
    list_init(&target->routes);
    doubts_init(&target->doubts);
    target->router = router;
    target->probe_timer.fire = target_on_probe_due;
    target->name = strdup(name);
    if (target->name == NULL ||
        timers_start(router->context.timers, &target->probe_timer, ROUTE_NEVER) != 0) {
        free(target->name);
        free(target);
        return NULL;
    }
    return target;
}

void target_free(struct target *target)
{
    timers_stop(target->router->context.timers, &target->probe_timer);
    list_remove(&target->node);
    if (target->instance != NULL)
        instance_retire(target->instance);
    doubts_free(&target->doubts);
    free(target->name);
    free(target);
}

bool target_may_send(const struct target *target, bool impatient)
{
    int64_t now_ms;

    if (target->state == TARGET_UP)
        return true;
    if (target->probe != NULL)
        return false;
    now_ms = router_now_ms(target->router);
    /* Nobody may be left to probe but those that don't wait: they find out for themselves, at
     * the pace of the shortest back-off. */
    return now_ms >= target->probe_due_ms || (impatient && now_ms >= target->early_due_ms);
}

void target_begin_probe(struct target *target, struct job *job)
{
    struct route *route = job->lane->route;

    if (target->state == TARGET_UP)
        return;
    target->probe = job;
    router_move_timer(target->router, &target->probe_timer, ROUTE_NEVER);
    list_remove(&route->in_target); /* the next probe is another route's turn */
    list_append(&target->routes, &route->in_target);
}

int target_count_failures(const struct target *target, const struct job *job,
                          const struct verdict *verdict)
{
    if (verdict->about_message && target->failed == job)
        return target->failures;
    return target->failures + 1;
}

static void target_report(struct target *target)
{
    LIST_FOREACH_SAFE(node, following, &target->routes) {
        report_queueing(ROUTE_OF(node));
    }
}

static void target_refuse_impatient(struct target *target)
{
    LIST_FOREACH_SAFE(node, following, &target->routes) {
        struct route *route = ROUTE_OF(node);

        if (route->impatient == 0)
            continue;
        LIST_FOREACH_SAFE(lane, next, &route->lanes) {
            lane_refuse_impatient(LIST_ENTRY(lane, struct lane, in_route));
        }
    }
}

static void target_wake_lane(struct target *target, struct lane *lane)
{
    LIST_FOREACH_SAFE(node, following, &lane->jobs[JOB_BACKING_OFF]) {
        struct job *job = LIST_ENTRY(node, struct job, node);

        if (job->outage == target->outage)
            job_wake(job);
    }
}

/* The lanes that failed in this outage need not sit out their back-offs. */
static void target_wake_lanes(struct target *target)
{
    LIST_FOREACH_SAFE(node, following, &target->routes) {
        struct route *route = ROUTE_OF(node);

        LIST_FOREACH_SAFE(lane, next, &route->lanes) {
            target_wake_lane(target, LIST_ENTRY(lane, struct lane, in_route));
        }
    }
}

static void target_raise_alarm(struct target *target, const struct verdict *verdict)
{
    if (target->alarm)
        return;
    target->alarm = true;
    target->alarm_since_ms = router_now_ms(target->router);
    report_alarm(target, verdict);
}

/* One message that the store forbids, while all others get through, is one alarm, not one with
 * each of its attempts. */
void target_check_alarm(struct target *target)
{
    if (!target->alarm || target->state != TARGET_UP || target->faulty_jobs > 0)
        return;
    target->alarm = false;
    report_alarm_cleared(target);
    target_report(target);
}

static void target_up(struct target *target)
{
    target->failures = 0;
    target->failed = NULL;
    if (target->state == TARGET_UP)
        return;
    target->state = TARGET_UP;
    router_move_timer(target->router, &target->probe_timer, ROUTE_NEVER);
    target_check_alarm(target);
    /* Where the very first probe gets through, it wasn't an outage but perhaps one message that
     * always fails: it must not be woken by each success of the others. */
    if (target->probes > 0)
        target_wake_lanes(target);
    target_report(target);
}

static void target_schedule_probe(struct target *target, const struct job *job,
                                  const struct verdict *verdict,
                                  const struct decide_output *decided)
{
    int64_t now_ms = router_now_ms(target->router);
    bool patience = decided->operator_fault || verdict->retry_after_ms > 0;

    target->probe_due_ms = now_ms + decided->probe_wait_ms;
    target->early_due_ms =
        patience ? target->probe_due_ms : now_ms + job->lane->route->config.retry_minimum_ms;
    router_move_timer(target->router, &target->probe_timer, target->probe_due_ms);
}

static void target_down(struct target *target, bool was_probe)
{
    if (target->state == TARGET_UP) {
        target->state = TARGET_DOWN;
        target->outage++;
        target->probes = 0;
    } else if (was_probe) {
        target->probes++;
    }
}

static void target_failed(struct target *target, struct job *job, bool was_probe,
                          const struct verdict *verdict, const struct decide_output *decided)
{
    bool was_up = target->state == TARGET_UP;

    target->failures = target_count_failures(target, job, verdict);
    target->failed = job;
    if (was_up && !decided->store_down)
        return;
    snprintf(target->why, sizeof(target->why), "%s", verdict->reason);
    target_down(target, was_probe);
    if (was_up || was_probe)
        target_schedule_probe(target, job, verdict, decided);
    if (decided->operator_fault)
        target_raise_alarm(target, verdict);
    target_report(target);
    target_refuse_impatient(target);
}

void target_note(struct target *target, struct job *job, bool was_probe,
                 const struct verdict *verdict, const struct decide_output *decided)
{
    if (verdict->kind == VERDICT_ACCEPTED)
        target->accepted++;
    if (verdict->kind == VERDICT_ACCEPTED || verdict->kind == VERDICT_REFUSED)
        target_up(target);
    else
        target_failed(target, job, was_probe, verdict, decided);
}

static void lane_forget_patience(struct lane *lane)
{
    LIST_FOREACH_SAFE(node, following, &lane->jobs[JOB_BACKING_OFF]) {
        struct job *job = LIST_ENTRY(node, struct job, node);

        if (job->not_before_ms > 0) {
            job->not_before_ms = 0;
            job_wake(job);
        }
    }
}

/* How long the store wanted to be left alone was about how things were before. */
void target_forget_patience(struct target *target)
{
    LIST_FOREACH_SAFE(node, following, &target->routes) {
        struct route *route = ROUTE_OF(node);

        LIST_FOREACH_SAFE(lane, next, &route->lanes) {
            lane_forget_patience(LIST_ENTRY(lane, struct lane, in_route));
        }
    }
}

/* Somebody has just changed something: see at once whether it has helped. */
void target_probe_now(struct target *target)
{
    if (target->state == TARGET_UP)
        return;
    target->probe_due_ms = router_now_ms(target->router);
    target->early_due_ms = target->probe_due_ms;
    target_wake_lanes(target);
}
