#include "route/router.h"

#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>

#define LANE_OF(timer_pointer)                                                                     \
    ((struct lane *)(void *)((char *)(timer_pointer)-offsetof(struct lane, deadline)))
#define ENTRY_OF(list_node_pointer) LIST_ENTRY(list_node_pointer, struct spool_entry, node)
#define JOB_OF(list_node_pointer) LIST_ENTRY(list_node_pointer, struct job, node)

/* Begun with a random number: lane names hold facilities, which senders choose. */
static uint64_t lane_hash(const struct router *router, const char *name)
{
    uint64_t hash = hash_text(router->seed ^ HASH_START, name);

    return hash ^ (hash >> 29);
}

struct lane *lane_find(struct router *router, const char *name)
{
    uint64_t hash = lane_hash(router, name);
    struct lane *lane = router->buckets[hash & (router->bucket_count - 1)];

    while (lane != NULL && (lane->hash != hash || strcmp(lane->name, name) != 0))
        lane = lane->next_in_bucket;
    return lane;
}

static void lane_table_grow(struct router *router)
{
    size_t count = router->bucket_count * 2;
    struct lane **buckets = calloc(count, sizeof(struct lane *));

    if (buckets == NULL)
        return; /* longer chains will do */
    for (size_t i = 0; i < router->bucket_count; i++) {
        struct lane *lane = router->buckets[i];

        while (lane != NULL) {
            struct lane *next = lane->next_in_bucket;

            lane->next_in_bucket = buckets[lane->hash & (count - 1)];
            buckets[lane->hash & (count - 1)] = lane;
            lane = next;
        }
    }
    free(router->buckets);
    router->buckets = buckets;
    router->bucket_count = count;
}

static void lane_table_add(struct router *router, struct lane *lane)
{
    struct lane **bucket;

    if (router->lane_count >= router->bucket_count)
        lane_table_grow(router);
    bucket = &router->buckets[lane->hash & (router->bucket_count - 1)];
    lane->next_in_bucket = *bucket;
    *bucket = lane;
    router->lane_count++;
}

static void lane_table_remove(struct router *router, struct lane *lane)
{
    struct lane **link = &router->buckets[lane->hash & (router->bucket_count - 1)];

    while (*link != lane)
        link = &(*link)->next_in_bucket;
    *link = lane->next_in_bucket;
    router->lane_count--;
}

static void lane_set_state(struct lane *lane, enum lane_state state)
{
    struct route *route = lane->route;

    if (lane->state == state)
        return;
    if (lane->state == LANE_STOPPED || state == LANE_STOPPED) {
        route->stopped += state == LANE_STOPPED ? 1u : -1u;
        report_stopped(route);
    }
    list_remove(&lane->in_ready);
    lane->state = state;
    if (state == LANE_READY)
        list_append(&route->ready, &lane->in_ready);
}

static void lane_expire_list(struct lane *lane, struct list_node *entries, int64_t now_ms,
                             int64_t *next_ms)
{
    LIST_FOREACH_SAFE(node, following, entries) {
        struct spool_entry *entry = ENTRY_OF(node);

        if (!entry->transient)
            continue;
        if (entry->deadline_ms <= now_ms) {
            list_remove(node);
            entry_expire(lane->route, entry);
        } else if (entry->deadline_ms < *next_ms) {
            *next_ms = entry->deadline_ms;
        }
    }
}

static void lane_expire_jobs(struct lane *lane, enum job_state state, int64_t now_ms,
                             int64_t *next_ms)
{
    LIST_FOREACH_SAFE(node, following, &lane->jobs[state]) {
        struct job *job = JOB_OF(node);

        if (!job->entry->transient)
            continue;
        if (job->entry->deadline_ms > now_ms) {
            if (job->entry->deadline_ms < *next_ms)
                *next_ms = job->entry->deadline_ms;
        } else if (state == JOB_IN_FLIGHT) {
            job_cancel(job, "cancelled at the answer deadline");
        } else {
            job_expire(job);
        }
    }
}

/* Senders are owed an answer at their deadline, wherever their message stands. One timer a lane:
 * deadlines pass rarely, and then what the lane holds is few. */
static void lane_on_deadline(struct timer *timer)
{
    struct lane *lane = LANE_OF(timer);
    struct route *route = lane->route;
    int64_t now_ms = router_now_ms(route->router), next_ms = ROUTE_NEVER;

    lane->busy = true;
    lane_expire_list(lane, &lane->queue, now_ms, &next_ms);
    for (int state = 0; state < JOB_STATES; state++)
        lane_expire_jobs(lane, (enum job_state)state, now_ms, &next_ms);
    router_move_timer(route->router, &lane->deadline, next_ms);
    lane->busy = false;
    lane_refresh(lane);
    target_pump(route->target);
    router_drain_check(route->router);
}

struct lane *lane_new(struct route *route, const char *name)
{
    size_t size = strlen(name) + 1;
    struct lane *lane = calloc(1, sizeof(*lane) + size);

    if (lane == NULL)
        return NULL;
    lane->deadline.fire = lane_on_deadline;
    if (timers_start(route->router->context.timers, &lane->deadline, ROUTE_NEVER) != 0) {
        free(lane);
        return NULL;
    }
    memcpy(lane->name, name, size);
    lane->hash = lane_hash(route->router, name);
    lane->ordered = !spool_lane_is_unordered(name);
    lane->route = route;
    list_init(&lane->queue);
    for (int state = 0; state < JOB_STATES; state++)
        list_init(&lane->jobs[state]);
    list_init(&lane->in_ready);
    list_append(&route->lanes, &lane->in_route);
    route->lane_count++;
    lane_table_add(route->router, lane);
    return lane;
}

static void lane_free(struct lane *lane)
{
    struct route *route = lane->route;

    lane_set_state(lane, LANE_WAITING);
    timers_stop(route->router->context.timers, &lane->deadline);
    lane_table_remove(route->router, lane);
    list_remove(&lane->in_route);
    route->lane_count--;
    free(lane);
    /* The route may be on the stack of whoever called: it goes with the next sweep. */
    if (route->state == ROUTE_REMOVED && route->lane_count == 0)
        router_want_sweep(route->router);
}

/* Nearly always at the end. One that was given back, and comes again, has its old place. */
static void lane_insert(struct lane *lane, struct spool_entry *entry)
{
    struct list_node *after = lane->queue.prev;

    while (after != &lane->queue && ENTRY_OF(after)->id > entry->id)
        after = after->prev;
    list_insert_between(after, after->next, &entry->node);
}

void lane_add(struct lane *lane, struct spool_entry *entry)
{
    if (entry->resumes_lane) {
        list_prepend(&lane->queue, &entry->node);
        lane_resume(lane);
    } else {
        lane_insert(lane, entry);
    }
    if (entry->transient && entry->deadline_ms < lane->deadline.due_ms)
        router_move_timer(lane->route->router, &lane->deadline, entry->deadline_ms);
}

void lane_stop(struct lane *lane)
{
    lane_set_state(lane, LANE_STOPPED);
}

void lane_resume(struct lane *lane)
{
    if (lane->state == LANE_STOPPED)
        lane_set_state(lane, LANE_WAITING);
}

static bool lane_is_ordered(const struct lane *lane)
{
    return lane->ordered;
}

static bool lane_can_send(const struct lane *lane)
{
    if (lane_is_ordered(lane) &&
        (!list_empty(&lane->jobs[JOB_IN_FLIGHT]) || !list_empty(&lane->jobs[JOB_BACKING_OFF])))
        return false;
    return !list_empty(&lane->jobs[JOB_READY]) || !list_empty(&lane->queue);
}

static bool lane_is_idle(const struct lane *lane)
{
    return list_empty(&lane->queue) && list_empty(&lane->jobs[JOB_READY]) &&
           list_empty(&lane->jobs[JOB_IN_FLIGHT]) && list_empty(&lane->jobs[JOB_BACKING_OFF]);
}

void lane_refresh(struct lane *lane)
{
    if (lane->state == LANE_STOPPED)
        return;
    lane_set_state(lane, lane_can_send(lane) ? LANE_READY : LANE_WAITING);
    if (lane_is_idle(lane) && !lane->busy)
        lane_free(lane);
}

const struct spool_entry *lane_next(const struct lane *lane)
{
    if (!list_empty(&lane->jobs[JOB_READY]))
        return JOB_OF(lane->jobs[JOB_READY].next)->entry;
    return list_empty(&lane->queue) ? NULL : ENTRY_OF(lane->queue.next);
}

struct job *lane_take(struct lane *lane)
{
    struct job *job;

    if (!list_empty(&lane->jobs[JOB_READY]))
        return JOB_OF(lane->jobs[JOB_READY].next);
    job = job_new(lane, ENTRY_OF(lane->queue.next));
    if (job != NULL)
        list_remove(&job->entry->node);
    return job;
}

void lane_give_back(struct lane *lane, const char *why)
{
    struct route *route = lane->route;
    struct list_node *node;

    /* In the lane's order, though the spool has its own. */
    for (int state = 0; state < JOB_STATES; state++) {
        LIST_FOREACH_SAFE(job, following, &lane->jobs[state]) {
            if (state != JOB_IN_FLIGHT)
                job_give_back(JOB_OF(job), why);
        }
    }
    while ((node = list_pop_front(&lane->queue)) != NULL)
        entry_give_back(route->router, route, ENTRY_OF(node), why);
    /* From now on the spool alone knows what is stopped: it may be moved or discarded there. */
    lane_resume(lane);
    lane_refresh(lane);
}

/* Those that don't want to wait are told at once that the store is down. One in flight is a probe
 * and hears for itself. */
void lane_refuse_impatient(struct lane *lane)
{
    struct route *route = lane->route;

    LIST_FOREACH_SAFE(node, following, &lane->queue) {
        struct spool_entry *entry = ENTRY_OF(node);

        if (!entry->transient || entry->wait)
            continue;
        list_remove(node);
        entry_give_back(route->router, route, entry, route->target->why);
    }
    lane_refresh(lane);
}
