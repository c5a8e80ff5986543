#include "ingress/exchange.h"

#include "admission/admission.h"
#include "base/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_MAXIMUM                                                                             \
    ((size_t)1 << 20) /* of the header segment, which an answer echoes parts of */

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
    enum msh_problem problem;
};

static int check_one(struct span message, size_t index, void *context)
{
    struct batch_check *check = context;
    struct msh msh;

    (void)index;
    check->problem = msh_read(message, &msh, NULL);
    if (check->problem != MSH_OK) {
        return 1;
    }
    return admission_facility_allowed(check->peer, msh.sending_application_id,
                                      msh.sending_facility_id)
               ? 0
               : 1;
}

/* An envelope without a message still says whom it is from. */
static bool envelope_allowed(const struct exchange *exchange, const struct config_peer *peer)
{
    const struct batch *batch = &exchange->batch;

    return batch->messages > 0 ||
           admission_facility_allowed(peer, batch->header.sending_application_id,
                                      batch->header.sending_facility_id);
}

/* Each header of a batch must be readable and from one of the peer's facilities. */
static bool headers_allowed(struct exchange *exchange, const struct exchange_policy *policy,
                            struct span content)
{
    struct batch_check check = {.peer = policy->peer, .problem = MSH_OK};
    const char *location;
    int error;

    if (envelope_allowed(exchange, policy->peer) && batch_each(content, check_one, &check) == 0) {
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

/* Nothing but the header: what HL7 2.9 (2.10.1) has a restart be. */
static bool header_alone(const struct exchange *exchange, struct span content)
{
    const struct span segment = exchange->batch.header.segment;
    const char *at = segment.data + segment.length, *end = content.data + content.length;

    while (at < end && (*at == '\r' || *at == '\n')) {
        at++;
    }
    return exchange->batch.envelope == MSH_ENVELOPE_NONE && at == end;
}

/* Sequence numbers: true when the message goes on to the spool. */
static bool sequence_allows(struct exchange *exchange, struct span content, long last)
{
    long expected = 0;
    enum sequence_verdict verdict = sequence_check(exchange->batch.header.sequence_number, last,
                                                   &exchange->sequence_last, &expected);

    exchange->result.has_sequence = verdict != SEQUENCE_ABSENT;
    exchange->result.sequence = expected;
    exchange->sequence_set = verdict == SEQUENCE_NEXT || verdict == SEQUENCE_RESYNC;
    switch (verdict) {
    case SEQUENCE_RESTART:
        /* One that holds more is kept as well: its AA is taken for that. */
        return !header_alone(exchange, content);
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

static void describe_message(struct exchange *exchange, const struct exchange_policy *policy,
                             uint64_t connection, int64_t wall_ms)
{
    struct message *message = exchange->message;
    const struct batch *batch = &exchange->batch;

    message->control_id = identifying_control_id(batch);
    message->message_type = batch->header.message_type;
    message->facility = batch->header.sending_facility_id;
    message->character_set = (uint8_t)policy->peer->character_set;
    message->normalise_segment_ends = policy->listener->normalise_segment_ends;
    message->batch = batch->envelope != MSH_ENVELOPE_NONE || batch->messages > 1;
    message->received_wall_ms = wall_ms;
    message->connection = connection;
}

static int is_no_acknowledgment(struct span message, size_t index, void *context)
{
    struct msh msh;

    (void)index;
    (void)context;
    return msh_read(message, &msh, NULL) != MSH_OK || !msh_is_acknowledgment(&msh) ? 1 : 0;
}

/* An acknowledgment, or several in one frame. One among other messages is no reason to drop those. */
static bool only_acknowledgments(const struct batch *batch, struct span content)
{
    return batch->messages > 0 && msh_is_acknowledgment(&batch->header) &&
           batch_each(content, is_no_acknowledgment, NULL) == 0;
}

/* What is echoed must fit into an answer, or the message would be safe and its sender never know. */
static bool header_fits(struct exchange *exchange)
{
    struct batch *batch = &exchange->batch;

    if (batch->header.segment.length > HEADER_MAXIMUM) {
        exchange->header_usable = false;
        refuse(exchange, ACK_OUTCOME_REJECT, REASON_MSH_UNREADABLE, ACK_ERROR_SEGMENT_SEQUENCE,
               NULL);
        return false;
    }
    if (batch->control_id.length > MSH_CONTROL_ID_MAXIMUM) {
        batch->control_id = span_of(NULL, 0);
        refuse(exchange, ACK_OUTCOME_REJECT, REASON_CONTROL_ID_TOO_LONG, ACK_ERROR_DATA_TYPE,
               batch->envelope == MSH_ENVELOPE_FILE ? "FHS^1^11" : "BHS^1^11");
        return false;
    }
    return true;
}

static enum exchange_action judge_content(struct exchange *exchange,
                                          const struct exchange_policy *policy, struct span content)
{
    enum msh_problem problem = batch_read(content, &exchange->batch, NULL);
    const char *location;
    int error;

    exchange->header_usable = exchange->batch.header.encoding.length > 0;
    if (!header_fits(exchange)) {
        return EXCHANGE_ANSWER;
    }
    if (problem != MSH_OK) {
        msh_problem_error(problem, &location, &error);
        refuse(exchange, ACK_OUTCOME_REJECT, reason_of_problem(problem), error, location);
        return EXCHANGE_ANSWER;
    }
    if (only_acknowledgments(&exchange->batch, content)) {
        return EXCHANGE_IGNORE;
    }
    exchange->mixed = msh_is_acknowledgment(&exchange->batch.header);
    if (!headers_allowed(exchange, policy, content) || !control_id_suffices(exchange, policy)) {
        return EXCHANGE_ANSWER;
    }
    return EXCHANGE_PUT;
}

/* What takes all of the message to know, and then what takes it for the next one in order. */
static int judge_message(struct exchange *exchange, const struct exchange_policy *policy,
                         long sequence_last, enum exchange_action *ret_action)
{
    bool meets = false;
    int error = exchange_meets(exchange, &policy->demand, &meets);

    if (error != 0) {
        return error;
    }
    if (!meets || (policy->listener->sequence_numbers &&
                   !sequence_allows(exchange, exchange->message->body, sequence_last))) {
        *ret_action = EXCHANGE_ANSWER;
    }
    return 0;
}

static bool verdict_is_wanted(const struct message *message, const struct config_listener *listener)
{
    const struct verdict accepted = {.kind = VERDICT_ACCEPTED}, refused = {.kind = VERDICT_REFUSED};

    return exchange_application_due(message, &accepted, listener) ||
           exchange_application_due(message, &refused, listener);
}

int exchange_judge(struct exchange *exchange, const struct exchange_policy *policy, char *body,
                   size_t length, uint64_t connection, int64_t wall_ms, long sequence_last,
                   enum exchange_action *ret_action)
{
    int error = 0;

    memset(exchange, 0, sizeof(*exchange));
    exchange->result.outcome = ACK_OUTCOME_ACCEPTED;
    exchange->result.not_put = true;
    exchange->message = message_new(policy->peer->name, policy->listener->name, body, length);
    if (exchange->message == NULL) {
        free(body);
        return -ENOMEM;
    }
    *ret_action = judge_content(exchange, policy, exchange->message->body);
    describe_message(exchange, policy, connection, wall_ms);
    if (*ret_action == EXCHANGE_PUT) {
        error = judge_message(exchange, policy, sequence_last, ret_action);
    }
    if (error != 0) {
        exchange_clear(exchange);
        return error;
    }
    exchange->message->keep_verdict =
        *ret_action == EXCHANGE_PUT && verdict_is_wanted(exchange->message, policy->listener);
    return 0;
}

void exchange_clear(struct exchange *exchange)
{
    message_release(&exchange->message);
    memset(exchange, 0, sizeof(*exchange));
}

/* ---- lanes ---- */

#define FACILITY_BYTES 96 /* of the lane's name; a longer one ends in a hash of the whole */

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
            snprintf(lane + used, 20, "~%016" PRIx64,
                     hash_bytes(HASH_START, facility.data, facility.length));
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

/* Names of routes and peers hold neither a slash nor a caret. */
enum config_order exchange_lane_order(const char *lane)
{
    const char *key = strchr(lane, '/');

    if (key == NULL || key[1] == '\0') {
        return CONFIG_ORDER_ROUTE;
    }
    if (strcmp(key, "/*") == 0) {
        return CONFIG_ORDER_NONE;
    }
    return strchr(key, '^') != NULL ? CONFIG_ORDER_FACILITY : CONFIG_ORDER_PEER;
}

/* ---- outcomes ---- */

enum ack_outcome exchange_outcome_of_verdict(const struct verdict *verdict)
{
    if (verdict->kind == VERDICT_ACCEPTED) {
        return ACK_OUTCOME_ACCEPTED;
    }
    /* Without an HL7 answer a definite refusal has nothing to say of the content: AR. */
    return verdict->code[0] == '\0' || verdict->code[1] == 'R' ? ACK_OUTCOME_REJECT
                                                               : ACK_OUTCOME_ERROR;
}

void exchange_result_of_put(const struct spool_put *put, struct exchange_result *ret_result)
{
    ret_result->repeated = put->repeated;
    ret_result->not_put = false;
    ret_result->verdict = put->delivered ? &put->verdict : NULL;
    ret_result->kept =
        !put->delivered && put->repeated && put->verdict.code[0] != '\0' ? &put->verdict : NULL;
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
        ret_result->outcome = exchange_outcome_of_verdict(&put->verdict);
        if (ret_result->outcome == ACK_OUTCOME_ACCEPTED) { /* one of several targets refused */
            ret_result->outcome = ACK_OUTCOME_REJECT;
        }
        ret_result->reason = REASON_REFUSED_BY_STORE;
        ret_result->error =
            put->verdict.error_code != 0 ? put->verdict.error_code : ACK_ERROR_INTERNAL;
        if (put->verdict.error_location[0] != '\0') {
            ret_result->location = put->verdict.error_location;
        }
        break;
    case SPOOL_UNAVAILABLE:
    case SPOOL_UNKNOWN:
        if (put->reason == REASON_NONE) {
            ret_result->reason =
                put->outcome == SPOOL_UNKNOWN ? REASON_ANSWER_DEADLINE : REASON_STORE_UNAVAILABLE;
        }
        ret_result->outcome = ACK_OUTCOME_ERROR;
        ret_result->unavailable = true;
        ret_result->error = ACK_ERROR_INTERNAL;
        break;
    }
}
