/* From an outcome to the frames that the sender asked for: the answering half of exchange.h. */
#include "base/id.h"
#include "hl7/mllp.h"
#include "ingress/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- answers ---- */

#define STORE_ANSWER_MAXIMUM                                                                       \
    ((size_t)1 << 20) /* a larger one is not passed on: ours stands for it */

#define SHORT_BYTES ((size_t)2 << 10) /* a message that is worth no copy of its beginning */

struct answering {
    const struct msh *header;
    struct span control_id; /* MSA-2 */
    const struct exchange_policy *policy;
    const struct exchange_result *result;
    const struct exchange_time *time;
    struct buffer *scratch, *out;
    struct exchange_sent *sent;
};

static bool is_passed_on(const struct verdict *verdict)
{
    return verdict->answer != NULL && verdict->answer_is_hl7 &&
           verdict->answer->length <= STORE_ANSWER_MAXIMUM;
}

/* The store's HL7 answer, of several the one that decides; or false: none, or too large to pass
 * anything on from. */
static bool read_store_answer(const struct answering *answering, struct span *ret_answer,
                              struct ack_reply *ret_reply)
{
    const struct verdict *verdict = answering->result->verdict;

    return verdict != NULL && is_passed_on(verdict) &&
           ack_read_heaviest(span_of(verdict->answer->data, verdict->answer->length), ret_answer,
                             ret_reply) == 0;
}

/* The store's own ERR segments, where they are written with the sender's delimiters. */
static struct span store_errors(const struct answering *answering)
{
    struct ack_reply reply;
    struct span answer;

    if (!read_store_answer(answering, &answer, &reply) ||
        reply.header.field != answering->header->field ||
        !span_equal(reply.header.encoding, answering->header->encoding)) {
        return span_of(NULL, 0);
    }
    return reply.errors;
}

static int build_own(const struct answering *answering, enum ack_code code)
{
    const struct exchange_result *result = answering->result;
    const struct config_listener *listener = answering->policy->listener;
    char id[ID_CONTROL_BYTES + 1], diagnostic[32];
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
        .raw_errors = store_errors(answering),
        .has_sequence = result->has_sequence,
        .sequence = result->sequence,
    };

    if (result->has_offset) {
        snprintf(diagnostic, sizeof(diagnostic), "byte %zu", result->offset);
        detail.diagnostic = diagnostic;
    }
    if (!ack_code_is_positive(code) && parameters.raw_errors.length == 0) {
        parameters.error = &detail;
    }
    id_make_control(id);
    return ack_build(answering->scratch, &parameters);
}

static bool holds_framing(struct span bytes)
{
    return memchr(bytes.data, MLLP_VT, bytes.length) != NULL ||
           memchr(bytes.data, MLLP_FS, bytes.length) != NULL;
}

static struct span answered_control_id(const struct answering *answering)
{
    return answering->control_id.data != NULL ? answering->control_id
                                              : answering->header->control_id;
}

/* The store's own acknowledgment goes through as it is, where it says what the sender asked for:
 * an application acknowledgment of this very message (a split batch has one of each message). A
 * repeat gets a new MSH-7 and MSH-10 (semantics, Retransmission), so there it is built anew around
 * the store's MSA-1 and ERR. */
static bool store_answer_fits(const struct answering *answering, enum ack_code code,
                              struct span *ret_answer)
{
    struct ack_reply reply;

    return !answering->result->repeated && !answering->result->has_sequence &&
           (code == ACK_AA || code == ACK_AE || code == ACK_AR) &&
           read_store_answer(answering, ret_answer, &reply) && reply.code == code &&
           span_equal(reply.control_id, answered_control_id(answering)) &&
           !holds_framing(*ret_answer);
}

static int append_frame(struct answering *answering, enum ack_code code)
{
    struct span answer;
    int error = 0;

    buffer_clear(answering->scratch);
    if (store_answer_fits(answering, code, &answer)) {
        error = buffer_append(answering->scratch, answer.data, answer.length);
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

static bool listener_is_enhanced(const struct config_listener *listener, const struct msh *header)
{
    switch (listener->acknowledgment) {
    case CONFIG_ACKNOWLEDGMENT_ORIGINAL:
        return false;
    case CONFIG_ACKNOWLEDGMENT_ENHANCED:
        return true;
    default:
        return msh_is_enhanced(header);
    }
}

static bool listener_answers_later(const struct config_listener *listener)
{
    return listener->acknowledge == CONFIG_ACKNOWLEDGE_STORED &&
           listener->application_acknowledgment == CONFIG_APPLICATION_STORE;
}

/* With "store" the application acknowledgment comes later, from the verdict; a message that was
 * answered without the spool has none to come. */
static bool application_comes_later(const struct answering *answering)
{
    const struct config_listener *listener = answering->policy->listener;

    return answering->result->outcome == ACK_OUTCOME_ACCEPTED && !answering->result->not_put &&
           listener_answers_later(listener) && listener_is_enhanced(listener, answering->header);
}

static void result_of_verdict(const struct verdict *verdict, struct exchange_result *ret_result)
{
    *ret_result = (struct exchange_result){
        .outcome = exchange_outcome_of_verdict(verdict),
        .verdict = verdict,
    };
    if (ret_result->outcome == ACK_OUTCOME_ACCEPTED) {
        return;
    }
    ret_result->reason = REASON_REFUSED_BY_STORE;
    ret_result->error = verdict->error_code != 0 ? verdict->error_code : ACK_ERROR_INTERNAL;
    ret_result->location = verdict->error_location[0] == '\0' ? NULL : verdict->error_location;
}

/* The sender asks again, and the store has spoken since: that acknowledgment, too, in a frame of its own.
 * The accept acknowledgment is in out already, so that MSH-15 counts as NE here. */
static int append_kept(struct answering *answering)
{
    struct msh header = *answering->header;
    struct exchange_result result;
    struct answering kept = *answering;
    struct ack_plan plan;

    result_of_verdict(answering->result->kept, &result);
    result.repeated = true;
    kept.result = &result;
    kept.header = &header;
    header.accept = MSH_CONDITION_NE;
    plan = ack_decide(&header, (enum ack_mode)answering->policy->listener->acknowledgment,
                      result.outcome, result.error);
    return plan.application ? append_frame(&kept, plan.application_code) : 0;
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
    if (error == 0 && plan.application && !application_comes_later(answering)) {
        error = append_frame(answering, plan.application_code);
    } else if (error == 0 && result->kept != NULL && application_comes_later(answering)) {
        error = append_kept(answering);
    }
    return error;
}

/* The header that an answer is built from: the message's own, with what keeps it from an answer
 * taken away; a made one when it is not usable. */
static void answer_to(struct answering *answering, const struct batch *batch, bool usable,
                      bool mixed, struct msh *ret_header)
{
    answering->header = ret_header;
    if (!usable) {
        ack_synthetic_header(ret_header);
        return;
    }
    *ret_header = batch->header;
    if (mixed) {
        ret_header->message_code = span_of(NULL, 0);
    }
    if (batch->header.control_id.length == 0) {
        answering->control_id = batch->control_id;
    }
}

int exchange_answer(const struct exchange *exchange, const struct exchange_policy *policy,
                    const struct exchange_result *result, const struct exchange_time *time,
                    struct buffer *scratch, struct buffer *out, struct exchange_sent *ret_sent)
{
    struct msh header;
    struct answering answering = {
        .policy = policy,
        .result = result,
        .time = time,
        .scratch = scratch,
        .out = out,
        .sent = ret_sent,
    };

    memset(ret_sent, 0, sizeof(*ret_sent));
    answer_to(&answering, &exchange->batch, exchange->header_usable, exchange->mixed, &header);
    return append_answers(&answering);
}

/* ---- application acknowledgments made later ---- */

/* What MSH-16 wants for this outcome. The accept acknowledgment has gone out already, so that
 * MSH-15 counts as NE here. */
static bool plan_later(struct answering *answering, struct span body, struct msh *ret_header,
                       enum ack_code *ret_code)
{
    const struct config_listener *listener = answering->policy->listener;
    struct batch batch;
    struct ack_plan plan;

    if (!listener_answers_later(listener) || batch_read(body, &batch, NULL) != MSH_OK ||
        !listener_is_enhanced(listener, &batch.header)) {
        return false;
    }
    answer_to(answering, &batch, true, true, ret_header);
    ret_header->accept = MSH_CONDITION_NE;
    plan = ack_decide(ret_header, (enum ack_mode)listener->acknowledgment,
                      answering->result->outcome, answering->result->error);
    *ret_code = plan.application_code;
    return plan.application;
}

bool exchange_application_due(const struct message *message, const struct verdict *verdict,
                              const struct config_listener *listener)
{
    struct exchange_policy policy = {.listener = listener};
    struct exchange_result result;
    struct answering answering = {.policy = &policy, .result = &result};
    struct msh header;
    enum ack_code code;

    result_of_verdict(verdict, &result);
    return plan_later(&answering, message->body, &header, &code);
}

static struct message *copy_beginning(const struct message *message, size_t length)
{
    char *body = malloc(length);
    struct message *copy = NULL;

    if (body != NULL) {
        memcpy(body, message->body.data, length);
        copy = message_new(message->peer, message->listener, body, length);
    }
    if (copy == NULL) {
        free(body);
    }
    return copy;
}

static void shorten(struct message **message, const struct verdict *verdict,
                    const struct config_listener *listener)
{
    struct span body = (*message)->body;
    struct message *copy;
    struct batch batch;
    size_t length;

    if (body.length <= SHORT_BYTES || batch_read(body, &batch, NULL) != MSH_OK ||
        !batch.has_header) {
        return;
    }
    length = (size_t)(batch.header.segment.data - body.data) + batch.header.segment.length + 1;
    if (length >= body.length) {
        return; /* one long header */
    }
    copy = copy_beginning(*message, length);
    if (copy == NULL) {
        return;
    }
    if (exchange_application_due(copy, verdict, listener)) {
        message_release(message);
        *message = copy;
    } else { /* it takes more of it to be read as a batch */
        message_release(&copy);
    }
}

void exchange_application_shorten(struct message **message, struct verdict *verdict,
                                  const struct config_listener *listener)
{
    if (!is_passed_on(verdict)) {
        answer_bytes_release(&verdict->answer);
    }
    shorten(message, verdict, listener);
}

int exchange_application_answer(const struct message *message, const struct verdict *verdict,
                                const struct exchange_policy *policy,
                                const struct exchange_time *time, struct buffer *scratch,
                                struct buffer *out, struct exchange_sent *ret_sent)
{
    struct exchange_result result;
    struct answering answering = {
        .policy = policy,
        .result = &result,
        .time = time,
        .scratch = scratch,
        .out = out,
        .sent = ret_sent,
    };
    struct msh header;
    enum ack_code code;

    memset(ret_sent, 0, sizeof(*ret_sent));
    result_of_verdict(verdict, &result);
    return plan_later(&answering, message->body, &header, &code) ? append_frame(&answering, code)
                                                                 : 0;
}
