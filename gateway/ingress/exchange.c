#include "ingress/exchange.h"

#include "admission/admission.h"
#include "base/id.h"
#include "hl7/mllp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- judging a frame ---- */

static void refuse(struct exchange *exchange, enum ack_outcome outcome, enum reason reason,
                   int error, const char *location)
{
    exchange->result.outcome = outcome;
    exchange->result.reason = reason;
    exchange->result.error = error;
    exchange->result.location = location;
}

static enum reason reason_of_problem(enum msh_problem problem)
{
    switch (problem) {
    case MSH_NO_MESSAGE_TYPE:
        return REASON_MESSAGE_TYPE_MISSING;
    case MSH_CONTROL_ID_TOO_LONG:
        return REASON_CONTROL_ID_TOO_LONG;
    default:
        return REASON_MSH_UNREADABLE;
    }
}

struct batch_check {
    const struct config_peer *peer;
    size_t refused; /* index of the first message that is refused */
    enum msh_problem problem;
};

static int check_one(struct span message, size_t index, void *context)
{
    struct batch_check *check = context;
    struct msh msh;

    check->refused = index;
    check->problem = msh_read(message, &msh, NULL);
    if (check->problem != MSH_OK) {
        return 1;
    }
    return admission_facility_allowed(check->peer, msh.sending_application_id,
                                      msh.sending_facility_id)
               ? 0
               : 1;
}

/* Each header of a batch must be readable and from one of the peer's facilities. */
static bool headers_allowed(struct exchange *exchange, const struct exchange_policy *policy,
                            struct span content)
{
    struct batch_check check = {.peer = policy->peer, .problem = MSH_OK};
    const char *location;
    int error;

    if (batch_each(content, check_one, &check) == 0) {
        return true;
    }
    if (check.problem == MSH_OK) {
        refuse(exchange, ACK_OUTCOME_REJECT, REASON_FACILITY_NOT_LISTED, ACK_ERROR_TABLE_VALUE,
               "MSH^1^4");
        return false;
    }
    msh_problem_error(check.problem, &location, &error);
    refuse(exchange, ACK_OUTCOME_REJECT, reason_of_problem(check.problem), error, location);
    return false;
}

/* Sequence numbers: true when the message goes on to the spool. */
static bool sequence_allows(struct exchange *exchange, long last)
{
    long expected = 0;
    enum sequence_verdict verdict = sequence_check(exchange->batch.header.sequence_number, last,
                                                   &exchange->sequence_last, &expected);

    exchange->result.has_sequence = verdict != SEQUENCE_ABSENT;
    exchange->result.sequence = expected;
    exchange->sequence_set = verdict == SEQUENCE_NEXT || verdict == SEQUENCE_RESYNC;
    switch (verdict) {
    case SEQUENCE_RESTART:
        return false;
    case SEQUENCE_WRONG:
        refuse(exchange, ACK_OUTCOME_ERROR, REASON_SEQUENCE_NUMBER, ACK_ERROR_SEGMENT_SEQUENCE,
               "MSH^1^13");
        return false;
    case SEQUENCE_INVALID:
        refuse(exchange, ACK_OUTCOME_ERROR, REASON_SEQUENCE_NUMBER, ACK_ERROR_DATA_TYPE,
               "MSH^1^13");
        return false;
    default:
        return true;
    }
}

static bool control_id_suffices(struct exchange *exchange, const struct exchange_policy *policy)
{
    if (!policy->listener->control_id_required || exchange->batch.header.control_id.length > 0 ||
        exchange->batch.control_id.length > 0) {
        return true;
    }
    refuse(exchange, ACK_OUTCOME_REJECT, REASON_CONTROL_ID_REQUIRED, ACK_ERROR_REQUIRED_FIELD,
           "MSH^1^10");
    return false;
}

static struct span identifying_control_id(const struct batch *batch)
{
    return batch->header.control_id.length > 0 ? batch->header.control_id : batch->control_id;
}

static void describe_message(struct exchange *exchange, uint64_t connection, int64_t wall_ms)
{
    struct message *message = exchange->message;
    const struct batch *batch = &exchange->batch;

    message->control_id = identifying_control_id(batch);
    message->message_type = batch->header.message_type;
    message->facility = batch->header.sending_facility_id;
    message->batch = batch->envelope != MSH_ENVELOPE_NONE || batch->messages > 1;
    message->received_wall_ms = wall_ms;
    message->connection = connection;
}

static enum exchange_action judge_content(struct exchange *exchange,
                                          const struct exchange_policy *policy, struct span content,
                                          long sequence_last)
{
    enum msh_problem problem = batch_read(content, &exchange->batch, NULL);
    const char *location;
    int error;

    exchange->header_usable = exchange->batch.header.encoding.length > 0;
    if (problem != MSH_OK) {
        msh_problem_error(problem, &location, &error);
        refuse(exchange, ACK_OUTCOME_REJECT, reason_of_problem(problem), error, location);
        return EXCHANGE_ANSWER;
    }
    if (exchange->batch.envelope == MSH_ENVELOPE_NONE &&
        msh_is_acknowledgment(&exchange->batch.header)) {
        return EXCHANGE_IGNORE;
    }
    if (!headers_allowed(exchange, policy, content) || !control_id_suffices(exchange, policy)) {
        return EXCHANGE_ANSWER;
    }
    if (policy->listener->sequence_numbers && !sequence_allows(exchange, sequence_last)) {
        return EXCHANGE_ANSWER;
    }
    return EXCHANGE_PUT;
}

int exchange_judge(struct exchange *exchange, const struct exchange_policy *policy, char *body,
                   size_t length, uint64_t connection, int64_t wall_ms, long sequence_last,
                   enum exchange_action *ret_action)
{
    memset(exchange, 0, sizeof(*exchange));
    exchange->result.outcome = ACK_OUTCOME_ACCEPTED;
    exchange->message = message_new(policy->peer->name, policy->listener->name, body, length);
    if (exchange->message == NULL) {
        free(body);
        return -ENOMEM;
    }
    *ret_action = judge_content(exchange, policy, exchange->message->body, sequence_last);
    describe_message(exchange, connection, wall_ms);
    return 0;
}

void exchange_clear(struct exchange *exchange)
{
    message_release(&exchange->message);
    memset(exchange, 0, sizeof(*exchange));
}

/* ---- lanes ---- */

#define FACILITY_BYTES 96 /* of the lane's name; a longer one ends in a hash of the whole */

static uint64_t hash_bytes(struct span bytes)
{
    uint64_t hash = 14695981039346656037ULL;

    for (size_t i = 0; i < bytes.length; i++) {
        hash = (hash ^ (uint8_t)bytes.data[i]) * 1099511628211ULL;
    }
    return hash;
}

/* A facility is a sender's bytes: the lane's name keeps letters, digits and ".-", the rest as %XX. */
static void append_facility(char *lane, size_t used, struct span facility)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t limit = used + FACILITY_BYTES;

    for (size_t i = 0; i < facility.length; i++) {
        unsigned char c = (unsigned char)facility.data[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '.' || c == '-';
        if (used + 3 > limit) {
            snprintf(lane + used, 20, "~%016llx", (unsigned long long)hash_bytes(facility));
            return;
        }
        if (plain) {
            lane[used++] = (char)c;
        } else {
            lane[used++] = '%';
            lane[used++] = hex[c >> 4];
            lane[used++] = hex[c & 15];
        }
    }
    lane[used] = '\0';
}

void exchange_lane(const struct exchange *exchange, const struct config_route *route,
                   char ret_lane[EXCHANGE_LANE_BYTES])
{
    const struct message *message = exchange->message;
    int used;

    switch (route->order) {
    case CONFIG_ORDER_ROUTE:
        snprintf(ret_lane, EXCHANGE_LANE_BYTES, "%s/", route->name);
        break;
    case CONFIG_ORDER_PEER:
        snprintf(ret_lane, EXCHANGE_LANE_BYTES, "%s/%s", route->name, message->peer);
        break;
    case CONFIG_ORDER_FACILITY:
        used = snprintf(ret_lane, EXCHANGE_LANE_BYTES, "%.64s/%.64s^", route->name, message->peer);
        append_facility(ret_lane, (size_t)used, message->facility);
        break;
    case CONFIG_ORDER_NONE:
        snprintf(ret_lane, EXCHANGE_LANE_BYTES, "%s/*", route->name);
        break;
    }
}

/* ---- outcomes ---- */

static bool verdict_rejects(const struct verdict *verdict)
{
    /* Without an HL7 answer a definite refusal has nothing to say of the content: AR. */
    return verdict->code[0] == '\0' || verdict->code[1] == 'R';
}

void exchange_result_of_put(const struct spool_put *put, struct exchange_result *ret_result)
{
    ret_result->repeated = put->repeated;
    ret_result->verdict = put->delivered ? &put->verdict : NULL;
    ret_result->reason = put->reason;
    ret_result->error = ACK_ERROR_NONE;
    ret_result->location = NULL;
    ret_result->unavailable = false;
    switch (put->outcome) {
    case SPOOL_SAFE:
        ret_result->outcome = ACK_OUTCOME_ACCEPTED;
        ret_result->reason = REASON_NONE;
        break;
    case SPOOL_REFUSED:
        ret_result->outcome =
            verdict_rejects(&put->verdict) ? ACK_OUTCOME_REJECT : ACK_OUTCOME_ERROR;
        ret_result->reason = REASON_REFUSED_BY_STORE;
        ret_result->error =
            put->verdict.error_code != 0 ? put->verdict.error_code : ACK_ERROR_INTERNAL;
        break;
    case SPOOL_UNAVAILABLE:
    case SPOOL_UNKNOWN:
        ret_result->outcome = ACK_OUTCOME_ERROR;
        ret_result->unavailable = true;
        ret_result->error = ACK_ERROR_INTERNAL;
        break;
    }
}

/* ---- answers ---- */

struct answering {
    const struct msh *header;
    struct span control_id; /* MSA-2 */
    const struct exchange_policy *policy;
    const struct exchange_result *result;
    const struct exchange_time *time;
    struct buffer *scratch, *out;
    struct exchange_sent *sent;
};

/* The store's own ERR segments, when its answer is HL7. */
static struct span store_errors(const struct exchange_result *result)
{
    struct ack_reply reply;

    if (result->verdict == NULL || result->verdict->answer == NULL ||
        !result->verdict->answer_is_hl7 ||
        ack_read(span_of(result->verdict->answer->data, result->verdict->answer->length), &reply) !=
            0) {
        return span_of(NULL, 0);
    }
    return reply.errors;
}

static int build_own(const struct answering *answering, enum ack_code code)
{
    const struct exchange_result *result = answering->result;
    const struct config_listener *listener = answering->policy->listener;
    char id[ID_CONTROL_BYTES + 1];
    struct ack_error_detail detail = {
        .location = result->location,
        .code = result->error,
        .severity = 'E',
        .text = result->reason == REASON_NONE ? NULL : reason_words(result->reason),
    };
    struct ack_parameters parameters = {
        .code = code,
        .original = answering->header,
        .control_id_override = answering->control_id,
        .control_id = id,
        .wall_ms = answering->time->wall_ms,
        .zone_minutes = answering->time->zone_minutes,
        .application = listener->application,
        .facility = listener->facility,
        .raw_errors = store_errors(result),
        .has_sequence = result->has_sequence,
        .sequence = result->sequence,
    };

    if (!ack_code_is_positive(code) && parameters.raw_errors.length == 0) {
        parameters.error = &detail;
    }
    id_make_control(id);
    return ack_build(answering->scratch, &parameters);
}

/* The store's own acknowledgment goes through as it is, where it says what the sender asked for:
 * an application acknowledgment. A repeat gets a new MSH-7 and MSH-10 (semantics, Retransmission),
 * so there it is built anew around the store's MSA-1 and ERR. */
static bool store_answer_fits(const struct answering *answering, enum ack_code code)
{
    const struct verdict *verdict = answering->result->verdict;

    return verdict != NULL && verdict->answer != NULL && verdict->answer_is_hl7 &&
           !answering->result->repeated && verdict->code[0] == 'A' &&
           strcmp(verdict->code, ack_code_text(code)) == 0;
}

static int append_frame(struct answering *answering, enum ack_code code)
{
    const struct verdict *verdict = answering->result->verdict;
    int error = 0;

    buffer_clear(answering->scratch);
    if (store_answer_fits(answering, code)) {
        error = buffer_append(answering->scratch, verdict->answer->data, verdict->answer->length);
    } else {
        error = build_own(answering, code);
    }
    if (error == 0) {
        error = mllp_encode(answering->out, buffer_span(answering->scratch));
    }
    if (error == 0) {
        answering->sent->codes[answering->sent->count++] = code;
    }
    return error;
}

static void close_instead(struct exchange_sent *sent, enum reason reason)
{
    sent->close = true;
    sent->close_reason = reason;
}

/* Settings that put a close in the place of a negative answer. */
static bool closes_instead(const struct answering *answering)
{
    const struct exchange_result *result = answering->result;
    const struct config_listener *listener = answering->policy->listener;

    if (result->outcome == ACK_OUTCOME_ACCEPTED) {
        return false;
    }
    return result->unavailable ? listener->on_unavailable != CONFIG_ON_UNAVAILABLE_NACK
                               : listener->on_refusal == CONFIG_ON_REFUSAL_CLOSE;
}

static int append_commit(struct answering *answering)
{
    if (!answering->policy->listener->commit_blocks) {
        return 0;
    }
    return mllp_encode_commit(answering->out, !answering->result->unavailable);
}

/* With "store" the application acknowledgment comes later, from the verdict. */
static bool application_comes_later(const struct answering *answering)
{
    const struct config_listener *listener = answering->policy->listener;

    return answering->result->outcome == ACK_OUTCOME_ACCEPTED &&
           listener->acknowledge == CONFIG_ACKNOWLEDGE_STORED &&
           listener->application_acknowledgment == CONFIG_APPLICATION_STORE;
}

static bool is_enhanced(const struct answering *answering)
{
    switch (answering->policy->listener->acknowledgment) {
    case CONFIG_ACKNOWLEDGMENT_ORIGINAL:
        return false;
    case CONFIG_ACKNOWLEDGMENT_ENHANCED:
        return true;
    default:
        return msh_is_enhanced(answering->header);
    }
}

static int append_answers(struct answering *answering)
{
    const struct exchange_result *result = answering->result;
    struct ack_plan plan =
        ack_decide(answering->header, (enum ack_mode)answering->policy->listener->acknowledgment,
                   result->outcome, result->error);
    int error;

    answering->sent->unknown_condition = plan.unknown_condition;
    if (closes_instead(answering)) {
        close_instead(answering->sent, result->reason);
        return 0;
    }
    if (plan.silent_failure) {
        close_instead(answering->sent, REASON_NOTHING_MAY_BE_SENT);
        return 0;
    }
    error = append_commit(answering);
    /* A Release 2 sender that got a NAK sends the block again: an AE besides would be a second
     * answer to the same block. */
    if (error != 0 || (result->unavailable && answering->policy->listener->commit_blocks)) {
        return error;
    }
    if (plan.accept) {
        error = append_frame(answering, plan.accept_code);
    }
    if (error == 0 && plan.application &&
        !(application_comes_later(answering) && is_enhanced(answering))) {
        error = append_frame(answering, plan.application_code);
    }
    return error;
}

int exchange_answer(const struct exchange *exchange, const struct exchange_policy *policy,
                    const struct exchange_result *result, const struct exchange_time *time,
                    struct buffer *scratch, struct buffer *out, struct exchange_sent *ret_sent)
{
    struct msh synthetic;
    struct answering answering = {
        .header = &exchange->batch.header,
        .policy = policy,
        .result = result,
        .time = time,
        .scratch = scratch,
        .out = out,
        .sent = ret_sent,
    };

    memset(ret_sent, 0, sizeof(*ret_sent));
    if (!exchange->header_usable) {
        ack_synthetic_header(&synthetic);
        answering.header = &synthetic;
    } else if (exchange->batch.header.control_id.length == 0) {
        answering.control_id = exchange->batch.control_id;
    }
    return append_answers(&answering);
}

int exchange_application_answer(const struct message *message, const struct verdict *verdict,
                                const struct exchange_policy *policy,
                                const struct exchange_time *time, struct buffer *scratch,
                                struct buffer *out, struct exchange_sent *ret_sent)
{
    struct batch batch;
    bool accepted = verdict->kind == VERDICT_ACCEPTED;
    struct exchange_result result = {
        .outcome = accepted                   ? ACK_OUTCOME_ACCEPTED
                   : verdict_rejects(verdict) ? ACK_OUTCOME_REJECT
                                              : ACK_OUTCOME_ERROR,
        .reason = accepted ? REASON_NONE : REASON_REFUSED_BY_STORE,
        .error = accepted                   ? ACK_ERROR_NONE
                 : verdict->error_code != 0 ? verdict->error_code
                                            : ACK_ERROR_INTERNAL,
        .verdict = verdict,
    };
    struct answering answering = {
        .header = &batch.header,
        .policy = policy,
        .result = &result,
        .time = time,
        .scratch = scratch,
        .out = out,
        .sent = ret_sent,
    };
    struct ack_plan plan;

    memset(ret_sent, 0, sizeof(*ret_sent));
    if (batch_read(message->body, &batch, NULL) != MSH_OK || !is_enhanced(&answering)) {
        return 0;
    }
    if (batch.header.control_id.length == 0) {
        answering.control_id = batch.control_id;
    }
    /* The accept acknowledgment has gone out already: what is asked here is only whether MSH-16
     * wants an application acknowledgment for this outcome. */
    batch.header.accept = MSH_CONDITION_NE;
    plan = ack_decide(&batch.header, (enum ack_mode)policy->listener->acknowledgment,
                      result.outcome, result.error);
    return plan.application ? append_frame(&answering, plan.application_code) : 0;
}
