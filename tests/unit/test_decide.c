/* links: route egress http spool loop base config */
/* A line per rule of the semantics' "Order, retry, dead letters" and "Answers". */
#include "route/decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SETTLE DECIDE_SETTLE
#define STOP DECIDE_SETTLE_STOP
#define RETRY DECIDE_RETRY

/* The wait is drawn between these two: minimum 500, maximum 8000. */
#define ROUTE                                                                                      \
    .retry_minimum_ms = 500, .retry_maximum_ms = 8000, .operator_retry_ms = 60000, .parallel = 64

static const struct config_route goes_on = {ROUTE, .dead_letter = CONFIG_DEAD_LETTER_CONTINUE};
static const struct config_route stops = {ROUTE, .dead_letter = CONFIG_DEAD_LETTER_STOP};
static const struct config_route capped = {ROUTE, .maximum_attempts = 3};
static const struct config_route capped_stops = {ROUTE, .maximum_attempts = 3,
                                                 .dead_letter = CONFIG_DEAD_LETTER_STOP};

/* what the store said */
#define ACCEPTED .verdict = {.kind = VERDICT_ACCEPTED, .about_message = true, .status = 200}
#define REFUSED .verdict = {.kind = VERDICT_REFUSED, .about_message = true, .status = 400}
#define ABOUT(code) .verdict = {.kind = VERDICT_RETRY, .about_message = true, .status = (code)}
#define BUSY(code, after)                                                                          \
    .verdict = {.kind = VERDICT_RETRY, .status = (code), .retry_after_ms = (after)}
#define LOST .verdict = {.kind = VERDICT_RETRY}
#define NOT_SENT .verdict = {.kind = VERDICT_RETRY, .not_sent = true}
#define OPERATOR(code) .verdict = {.kind = VERDICT_OPERATOR, .status = (code)}
#define UNKNOWN .verdict = {.kind = VERDICT_UNKNOWN}
/* whom it was for */
#define STORED .transient = false
#define WAITS .transient = true, .wait = true, .deadline_ms = 1000
#define IMPATIENT .transient = true, .wait = false, .deadline_ms = 1000

struct rule {
    const char *name;
    struct verdict verdict;
    bool transient, wait;
    int64_t now_ms, deadline_ms;
    int failures, store_failures, probes;
    const struct config_route *route;
    struct {
        enum decide_action action;
        int64_t wait[2]; /* least and most; 0, 0: not looked at */
        int64_t probe[2];
        bool may_count, store_down, operator_fault;
    } want;
};

static const struct rule rules[] = {
    {"accepted: settled", ACCEPTED, STORED, .route = &goes_on, .want = {.action = SETTLE}},
    {"refused: dead letter, the lane goes on", REFUSED, STORED, .route = &goes_on,
     .want = {.action = SETTLE}},
    {"refused: dead letter, the lane stops", REFUSED, STORED, .route = &stops,
     .want = {.action = STOP}},
    {"retry: the first wait is between the minimum and twice that", LOST, STORED, .route = &goes_on,
     .store_failures = 1, .want = {.action = RETRY, .wait = {500, 1000}}},
    {"retry: the ceiling doubles", LOST, STORED, .route = &goes_on, .failures = 2,
     .store_failures = 1, .want = {.action = RETRY, .wait = {500, 4000}}},
    {"retry: never above the maximum", LOST, STORED, .route = &goes_on, .failures = 100,
     .store_failures = 1, .want = {.action = RETRY, .wait = {500, 8000}}},
    {"retry: the count may be absurd", LOST, STORED, .route = &goes_on, .failures = INT32_MAX - 1,
     .store_failures = 1, .want = {.action = RETRY, .wait = {500, 8000}}},
    {"Retry-After longer than the back-off is honoured", BUSY(503, 30000), STORED,
     .route = &goes_on,
     .want =
         {.action = RETRY, .wait = {30000, 30000}, .probe = {30000, 30000}, .store_down = true}},
    {"Retry-After shorter than the back-off isn't", BUSY(503, 1), STORED, .route = &goes_on,
     .want = {.action = RETRY, .wait = {500, 1000}, .probe = {500, 1000}, .store_down = true}},
    {"Retry-After is bounded by an hour", BUSY(429, 86400000), STORED, .route = &goes_on,
     .want = {.action = RETRY,
              .wait = {3600000, 3600000},
              .probe = {3600000, 3600000},
              .store_down = true}},
    {"429: the store is busy, the message doesn't count", BUSY(429, 0), STORED, .route = &capped,
     .want = {.action = RETRY, .wait = {500, 1000}, .store_down = true}},
    {"503: likewise", BUSY(503, 0), STORED, .route = &capped,
     .want = {.action = RETRY, .wait = {500, 1000}, .store_down = true}},
    {"connection refused: down at once, doesn't count", NOT_SENT, STORED, .route = &capped,
     .want = {.action = RETRY, .wait = {500, 1000}, .store_down = true}},
    {"one lost connection says little", LOST, STORED, .route = &capped, .store_failures = 1,
     .want = {.action = RETRY, .wait = {500, 1000}}},
    {"two in a row: down", LOST, STORED, .route = &capped, .store_failures = 2,
     .want = {.action = RETRY, .wait = {500, 1000}, .probe = {500, 1000}, .store_down = true}},
    {"500 for one message: its own trouble, may count", ABOUT(500), STORED, .route = &capped,
     .store_failures = 1, .want = {.action = RETRY, .wait = {500, 1000}, .may_count = true}},
    {"500 for two messages in a row: the store's trouble", ABOUT(500), STORED, .route = &capped,
     .store_failures = 2,
     .want = {.action = RETRY,
              .wait = {500, 1000},
              .probe = {500, 1000},
              .may_count = true,
              .store_down = true}},
    {"unreadable HL7 in a 200 is about the message", ABOUT(200), STORED, .route = &capped,
     .store_failures = 1, .want = {.action = RETRY, .wait = {500, 1000}, .may_count = true}},
    {"probes back off by the store's count, lanes by their own", NOT_SENT, STORED,
     .route = &goes_on, .failures = 0, .probes = 3,
     .want = {.action = RETRY, .wait = {500, 1000}, .probe = {500, 8000}, .store_down = true}},
    {"operator's fault: slow retry, alarm, doesn't count", OPERATOR(401), STORED, .route = &capped,
     .failures = 7, .probes = 1,
     .want = {.action = RETRY,
              .wait = {60000, 60000},
              .probe = {60000, 60000},
              .store_down = true,
              .operator_fault = true}},
    {"operator's fault: the store is probed soon the first time, by another lane", OPERATOR(401),
     STORED, .route = &goes_on, .probes = 0,
     .want = {.action = RETRY,
              .wait = {60000, 60000},
              .probe = {500, 1000},
              .store_down = true,
              .operator_fault = true}},
    {"operator's fault never makes a dead letter", OPERATOR(404), STORED, .route = &stops,
     .want = {.action = RETRY, .wait = {60000, 60000}, .store_down = true, .operator_fault = true}},
    {"unknown for a stored message: once more", UNKNOWN, STORED, .route = &capped,
     .store_failures = 1, .want = {.action = RETRY, .wait = {500, 1000}}},

    {"delivered: accepted is the answer", ACCEPTED, WAITS, .route = &goes_on,
     .want = {.action = SETTLE}},
    {"delivered: refused is the answer, no dead letter, the lane goes on", REFUSED, WAITS,
     .route = &stops, .want = {.action = SETTLE}},
    {"delivered, wait: tried again before the deadline", LOST, WAITS, .now_ms = 999,
     .route = &goes_on, .store_failures = 1, .want = {.action = RETRY, .wait = {500, 1000}}},
    {"delivered, wait: no further try at the deadline", LOST, WAITS, .now_ms = 1000,
     .route = &goes_on, .store_failures = 1, .want = {.action = SETTLE}},
    {"delivered, no wait: the first retryable verdict is the answer", NOT_SENT, IMPATIENT,
     .route = &goes_on, .want = {.action = SETTLE, .store_down = true}},
    {"delivered, no wait: so is an operator's fault", OPERATOR(403), IMPATIENT, .route = &goes_on,
     .want = {.action = SETTLE, .store_down = true, .operator_fault = true}},
    {"delivered: cancelled at the deadline stays unknown", UNKNOWN, WAITS, .now_ms = 1000,
     .route = &goes_on, .store_failures = 1, .want = {.action = SETTLE}},
    {"delivered: nothing counts", ABOUT(500), WAITS, .route = &capped, .store_failures = 1,
     .want = {.action = RETRY, .wait = {500, 1000}}},
};

static struct decide_output decide_rule(const struct rule *rule, uint64_t random)
{
    struct decide_input input = {
        .verdict = &rule->verdict,
        .transient = rule->transient,
        .wait = rule->wait,
        .now_ms = rule->now_ms,
        .deadline_ms = rule->deadline_ms,
        .failures = rule->failures,
        .store_failures = rule->store_failures,
        .probes = rule->probes,
        .random = random,
        .route = rule->route,
    };

    return decide(&input);
}

static void check_rule(const struct rule *rule)
{
    struct decide_output output = decide_rule(rule, 0);

    print_message("%s\n", rule->name);
    assert_int_equal(output.action, rule->want.action);
    assert_int_equal(output.may_count, rule->want.may_count);
    assert_int_equal(output.store_down, rule->want.store_down);
    assert_int_equal(output.operator_fault, rule->want.operator_fault);
}

/* Both bounds are kept and (nearly) reached over many draws. */
static void check_range(const struct rule *rule, const int64_t want[2], bool probe)
{
    int64_t least = INT64_MAX, most = 0;
    uint64_t random = 1;

    if (want[1] == 0)
        return;
    for (int i = 0; i < 20000; i++) {
        struct decide_output output;
        int64_t wait;

        random = random * 6364136223846793005u + 1442695040888963407u;
        output = decide_rule(rule, random ^ (random >> 31));
        wait = probe ? output.probe_wait_ms : output.wait_ms;
        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
    }
    assert_in_range(least, want[0], want[0] + (want[1] - want[0]) / 100);
    assert_in_range(most, want[1] - (want[1] - want[0]) / 100, want[1]);
}

static void each_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        check_rule(&rules[i]);
        check_range(&rules[i], rules[i].want.wait, false);
        check_range(&rules[i], rules[i].want.probe, true);
    }
}

struct cap {
    const char *name;
    const struct config_route *route;
    int counted;
    bool may_count, reachable, counts, exhausted;
};

static const struct cap caps[] = {
    {"without a cap nothing is exhausted", &goes_on, 1000000, true, true, true, false},
    {"an answer about the message counts once others get through", &capped, 0, true, true, true,
     false},
    {"not while nothing else gets through", &capped, 2, true, false, false, false},
    {"not what isn't about the message", &capped, 2, false, true, false, false},
    {"the last one", &capped, 2, true, true, true, true},
    {"a cap that was lowered", &capped, 7, true, true, true, true},
};

static void each_cap(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        struct decide_counted counted =
            decide_count(caps[i].route, caps[i].counted, caps[i].may_count, caps[i].reachable);

        print_message("%s\n", caps[i].name);
        assert_int_equal(counted.counts, caps[i].counts);
        assert_int_equal(counted.exhausted, caps[i].exhausted);
    }
    assert_int_equal(decide_dead_letter(&capped), DECIDE_SETTLE);
    assert_int_equal(decide_dead_letter(&capped_stops), DECIDE_SETTLE_STOP);
}

/* Settings that contradict themselves are a configuration error; they must not be a crash. */
static void a_minimum_above_the_maximum_is_used(void **state)
{
    const struct config_route odd = {.retry_minimum_ms = 9000, .retry_maximum_ms = 10};
    const struct rule rule = {"odd", LOST, STORED, .route = &odd};

    (void)state;
    assert_int_equal(decide_rule(&rule, UINT64_MAX).wait_ms, 9000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule),
        cmocka_unit_test(each_cap),
        cmocka_unit_test(a_minimum_above_the_maximum_is_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
