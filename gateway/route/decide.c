#include "route/decide.h"

/* Full jitter: anything between the minimum and a ceiling that doubles with each failure, so that
 * lanes which failed together don't come back together. */
static int64_t decide_back_off(const struct config_route *route, int failures, uint32_t random)
{
    int64_t minimum = route->retry_minimum_ms, maximum = route->retry_maximum_ms, ceiling = minimum;

    for (int i = 0; i <= failures && ceiling < maximum; i++)
        ceiling = ceiling > maximum / 2 ? maximum : ceiling * 2;
    if (ceiling <= minimum)
        return minimum;
    return minimum + (int64_t)((uint64_t)random % (uint64_t)(ceiling - minimum + 1));
}

static int64_t decide_wait(const struct decide_input *input, bool slow, int failures,
                           uint32_t random)
{
    int64_t asked = input->verdict->retry_after_ms;
    int64_t wait =
        slow ? input->route->operator_retry_ms : decide_back_off(input->route, failures, random);

    if (asked > DECIDE_RETRY_AFTER_MAXIMUM_MS)
        asked = DECIDE_RETRY_AFTER_MAXIMUM_MS;
    return asked > wait ? asked : wait;
}

static bool decide_store_down(const struct decide_input *input)
{
    const struct verdict *verdict = input->verdict;

    if (verdict->kind == VERDICT_OPERATOR)
        return true;
    if (!verdict->about_message &&
        (verdict->not_sent || verdict->status == 429 || verdict->status == 503))
        return true;
    return input->store_failures >= DECIDE_DOWN_AFTER;
}

enum decide_action decide_dead_letter(const struct config_route *route)
{
    return route->dead_letter == CONFIG_DEAD_LETTER_STOP ? DECIDE_SETTLE_STOP : DECIDE_SETTLE;
}

static enum decide_action decide_retryable(const struct decide_input *input)
{
    if (!input->transient)
        return DECIDE_RETRY;
    /* The sender is waiting and keeps the responsibility: after its deadline, or where it doesn't
     * want to wait, the verdict is the answer. Unknown stays unknown. */
    if (!input->wait || input->now_ms >= input->deadline_ms ||
        input->verdict->kind == VERDICT_UNKNOWN)
        return DECIDE_SETTLE;
    return DECIDE_RETRY;
}

struct decide_output decide(const struct decide_input *input)
{
    const struct verdict *verdict = input->verdict;
    bool fault = verdict->kind == VERDICT_OPERATOR;

    switch (verdict->kind) {
    case VERDICT_ACCEPTED:
        return (struct decide_output){.action = DECIDE_SETTLE};
    case VERDICT_REFUSED:
        return (struct decide_output){
            .action = input->transient ? DECIDE_SETTLE : decide_dead_letter(input->route)};
    case VERDICT_RETRY:
    case VERDICT_OPERATOR:
    case VERDICT_UNKNOWN:
        break;
    }
    return (struct decide_output){
        .action = decide_retryable(input),
        .wait_ms = decide_wait(input, fault, input->failures, (uint32_t)input->random),
        /* Another lane looks soon whether it is more than one message that is forbidden. */
        .probe_wait_ms = decide_wait(input, fault && input->probes > 0, input->probes,
                                     (uint32_t)(input->random >> 32)),
        .may_count = !input->transient && verdict->kind == VERDICT_RETRY && verdict->about_message,
        .store_down = decide_store_down(input),
        .operator_fault = fault,
    };
}

struct decide_counted decide_count(const struct config_route *route, int counted_attempts,
                                   bool may_count, bool store_reachable)
{
    bool counts = may_count && store_reachable;

    return (struct decide_counted){
        .counts = counts,
        .exhausted = counts && route->maximum_attempts > 0 &&
                     counted_attempts + 1 >= route->maximum_attempts,
    };
}
