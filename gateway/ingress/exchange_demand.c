/* What the stores behind a listener take: the half of exchange.h's judging that looks at every byte. */
#include "hl7/recode.h"
#include "ingress/exchange.h"

#include <errno.h>

struct demand_check {
    const struct config_demand *demand;
    struct recode_rules rules;
    const char *frame;
    enum recode_problem problem;
    bool too_large;
    size_t offset; /* in the frame */
};

static int check_message(struct span message, size_t index, void *context)
{
    struct demand_check *check = context;
    struct recode recode = {.length = message.length};

    (void)index;
    check->offset = 0;
    if (check->demand->utf8) {
        check->problem = recode_plan(message, &check->rules, &recode, &check->offset);
    }
    check->offset += (size_t)(message.data - check->frame);
    check->too_large = check->problem == RECODE_OK && check->demand->maximum_message_bytes > 0 &&
                       (int64_t)recode.length > check->demand->maximum_message_bytes;
    return check->problem != RECODE_OK || check->too_large ? 1 : 0;
}

static const struct {
    enum reason reason;
    int error;
    const char *location;
} demand_refusals[] = {
    [RECODE_SET_UNKNOWN] = {REASON_CHARACTER_SET_UNKNOWN, ACK_ERROR_DATA_TYPE, "MSH^1^18"},
    [RECODE_SET_UNSUPPORTED] = {REASON_CHARACTER_SET_UNSUPPORTED, ACK_ERROR_TABLE_VALUE,
                                "MSH^1^18"},
    [RECODE_NOT_IN_SET] = {REASON_CHARACTER_SET_BROKEN, ACK_ERROR_DATA_TYPE, "MSH^1^18"},
    [RECODE_SEGMENT_ENDS] = {REASON_SEGMENT_ENDS, ACK_ERROR_SEGMENT_SEQUENCE, NULL},
    [RECODE_HEADER] = {REASON_MSH_UNREADABLE, ACK_ERROR_DATA_TYPE, "MSH^1"},
    [RECODE_NOT_HERE] = {REASON_CHARACTER_SET_UNSUPPORTED, ACK_ERROR_INTERNAL, "MSH^1^18"},
};

static void refuse_for(struct exchange_result *result, const struct demand_check *check)
{
    if (check->too_large) { /* as a frame that is larger than the listener's */
        result->outcome = ACK_OUTCOME_REJECT;
        result->reason = REASON_TOO_LARGE_FOR_STORE;
        result->error = ACK_ERROR_INTERNAL;
        return;
    }
    result->outcome = ACK_OUTCOME_ERROR;
    result->reason = demand_refusals[check->problem].reason;
    result->error = demand_refusals[check->problem].error;
    result->location = demand_refusals[check->problem].location;
    result->unavailable = check->problem == RECODE_NOT_HERE; /* the operator's to cure */
    result->has_offset = true;
    result->offset = check->offset;
}

int exchange_meets(struct exchange *exchange, const struct config_demand *demand, bool *ret_meets)
{
    const struct message *message = exchange->message;
    struct demand_check check = {
        .demand = demand,
        .rules = {(enum charset)message->character_set, message->normalise_segment_ends},
        .frame = message->body.data,
    };

    *ret_meets = true;
    if (demand->utf8 == exchange->met.utf8 &&
        demand->maximum_message_bytes == exchange->met.maximum_message_bytes) {
        return 0;
    }
    /* An envelope without a message goes out as it is. */
    if (!message->batch || exchange->batch.messages == 0) {
        (void)check_message(message->body, 0, &check);
    } else {
        (void)batch_each(message->body, check_message, &check);
    }
    if (check.problem == RECODE_OUT_OF_MEMORY) {
        return -ENOMEM;
    }
    *ret_meets = check.problem == RECODE_OK && !check.too_large;
    if (*ret_meets) {
        exchange->met = *demand;
    } else {
        refuse_for(&exchange->result, &check);
    }
    return 0;
}
