/*
 * decide: what a verdict means for its entry and its lane. Pure; no clock, no I/O.
 * Each rule has a line in tests/unit/test_decide.c's table.
 */
#ifndef MLLPGW_ROUTE_DECIDE_H
#define MLLPGW_ROUTE_DECIDE_H

#include "config/config.h"
#include "spool/verdict.h"

struct decide_input {
    const struct verdict *verdict;
    bool transient, wait;
    int64_t now_ms, deadline_ms; /* transient; monotonic */
    int counted_attempts;        /* before this one */
    int failures;                /* of this lane in a row, before this one: for the back-off */
    bool store_reachable;        /* something else got through to this store since this entry's first failure */
    uint64_t random;
    const struct config_route *route;
};

enum decide_action {
    DECIDE_SETTLE,      /* hand back with the verdict as it is; lane goes on */
    DECIDE_SETTLE_STOP, /* dead letter; the lane stops */
    DECIDE_RETRY,       /* hold, try again after wait_ms */
};

struct decide_output {
    enum decide_action action;
    int64_t wait_ms;
    bool counts;       /* counted_attempts + 1 */
    bool exhausted;    /* maximum_attempts reached: settle as REFUSED with this reason */
    bool store_down;   /* others need not try now */
};

struct decide_output decide(const struct decide_input *input);

#endif
