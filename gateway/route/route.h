/*
 * route: takes entries from the spool, delivers them, settles them.
 *
 * Everything here runs on the delivery thread. A lane is one queue with at most one attempt in
 * flight (order "none": many, and one message's trouble holds up no other); lanes run in parallel up
 * to the route's `parallel`. What a verdict means is decided by a pure function (decide.h).
 *
 *   accepted   settle, next
 *   refused    dead letter; the lane goes on or stops (dead_letter)
 *   retry      back-off with full jitter between retry_minimum_ms and retry_maximum_ms, doubled each
 *              time, reset after a success of the lane; Retry-After is honoured (bounded by an hour)
 *   operator   the message stays, the lane waits operator_retry_ms, an alarm line once, one when it clears
 *
 * A store that is down is probed by one lane at a time (the others wait for its success), so an
 * outage costs neither a request flood nor, with maximum_attempts, any dead letter: attempts made
 * while nothing else gets through to that store don't count (semantics: Order, retry, dead letters).
 * Transient entries (acknowledge = "delivered"): deadline_ms cancels the attempt before the answer
 * UNKNOWN leaves; without `wait` the first retryable verdict is the answer.
 * One log line when a route starts queueing (and why) and one when it clears.
 */
#ifndef MLLPGW_ROUTE_ROUTE_H
#define MLLPGW_ROUTE_ROUTE_H

#include "base/clock.h"
#include "base/metrics.h"
#include "config/config.h"
#include "egress/store.h"
#include "loop/loop.h"
#include "spool/spool.h"

struct router;

struct router_context {
    struct timers *timers;
    const struct clock *clock;
    struct metrics *metrics;
    /* What the router needs of the spool and the stores, as functions: tests put their own there. */
    void (*settle)(void *spool, struct spool_entry *entry);
    void *spool;
    struct store *(*store_new)(const struct config_store *config,
                               const struct store_context *context, char ret_error[512]);
    struct store_context store_context;
    uint64_t (*random)(void *context); /* jitter; NULL: the system's */
    void *random_context;
};

/* One a process. */
struct router *router_new(const struct router_context *context);
/* Gives every entry back unsettled; attempts are cancelled. */
void router_free(struct router **router);

/* Routes and stores of a configuration that is already validated. Stores whose settings did not
 * change keep their connections; entries of routes that are gone are given back. Bearer and
 * password files are read anew. 0, or -EINVAL with a sentence: the old ones go on.
 * The configuration outlives its use (the caller keeps a reference until the next apply). */
__attribute__((warn_unused_result)) int
router_apply(struct router *router, const struct config *config, char ret_error[512]);

/* The spool's sink, on the delivery thread. */
void router_on_entry(void *router, struct spool_entry *entry);
void router_on_lane_resumed(void *router, const char *lane);
void router_on_route_revoked(void *router, const char *route);
/* A lane that was stopped before this start (spool_backend_lanes() lists them): the spool sends
 * nothing of it, so the router must be told for its metrics and status. */
void router_on_lane_stopped(void *router, const char *route, const char *lane);

/* No new attempts; done() when those in flight have ended or at the deadline (then cancelled). */
void router_drain(struct router *router, int64_t deadline_ms, void (*done)(void *context),
                  void *context);

/* For status: calls each route, on the delivery thread. */
struct route_status {
    const char *name, *store;
    unsigned lanes, in_flight, waiting; /* entries held here */
    bool queueing;                      /* the store is not taking messages now */
    const char *why;                    /* the last verdict's reason; "" */
    int64_t since_ms;                   /* wall clock */
    int64_t next_attempt_ms;            /* from now; 0: under way or due; -1: nothing is put off */
    bool operator_fault;
    unsigned stopped_lanes;
};
void router_status(struct router *router, void (*each)(void *context, const struct route_status *),
                   void *context);

#endif
