/*
 * decide: what a verdict means for its entry, its lane and its store. Pure; no clock, no I/O.
 * Each rule has a line in tests/unit/test_decide.c's table.
 *
 * Whether a store is down is judged over all lanes: at once where the verdict says so (connection
 * refused, 429, 503, an operator's fault), otherwise after DECIDE_DOWN_AFTER failures with nothing
 * accepted or refused in between; repeated answers about one and the same message are one failure,
 * so that a message which the store can't digest holds up its own lane only.
 */
#ifndef MLLPGW_ROUTE_DECIDE_H
#define MLLPGW_ROUTE_DECIDE_H

#include "config/config.h"
#include "spool/verdict.h"

#define DECIDE_DOWN_AFTER 2
#define DECIDE_RETRY_AFTER_MAXIMUM_MS 3600000 /* a store can't ask for more patience */

struct decide_input {
    const struct verdict *verdict;
    bool transient, wait;
    int64_t now_ms, deadline_ms; /* transient; monotonic */
    int failures;       /* of this message in a row, before this one: for its lane's back-off */
    int store_failures; /* of the store in a row over all lanes, with this one */
    int probes;         /* that failed since the store is down, with this one if it was one */
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
    int64_t wait_ms;       /* this message's next try, also where the action isn't RETRY */
    int64_t probe_wait_ms; /* the store's next probe, where it is down */
    bool may_count;        /* an answer about this message: see decide_count() */
    bool store_down;       /* others need not try now */
    bool operator_fault;
};

struct decide_output decide(const struct decide_input *input);

/*
 * Before each further try: did the last attempt count for maximum_attempts? Only when its answer
 * was about this message (may_count) and something else has got through to the store since
 * (store_reachable): before that nobody knows that it wasn't simply the store that was failing.
 * exhausted: no further try; settle as refused.
 */
struct decide_counted {
    bool counts; /* counted_attempts + 1 */
    bool exhausted;
};

struct decide_counted decide_count(const struct config_route *route, int counted_attempts,
                                   bool may_count, bool store_reachable);
/* DECIDE_SETTLE or DECIDE_SETTLE_STOP. */
enum decide_action decide_dead_letter(const struct config_route *route);

#endif
