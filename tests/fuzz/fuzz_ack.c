/* links: hl7 base */
/* Whatever header comes in, the answer is one readable message whose MSA-2 is MSH-10 byte for byte,
 * in one frame; and whatever answer comes in, the reader stays inside it. */
#include "hl7/ack.h"
#include "hl7/mllp.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAXIMUM (16u << 20)

static void check(bool good)
{
    if (!good)
        abort();
}

static bool lies_in(struct span inner, struct span outer)
{
    return inner.length == 0 ||
           (inner.data >= outer.data && inner.data + inner.length <= outer.data + outer.length);
}

static bool can_echo(struct span text)
{
    return text.length == 0 || (memchr(text.data, MLLP_FS, text.length) == NULL &&
                                memchr(text.data, MLLP_VT, text.length) == NULL);
}

static void check_plan(const struct msh *msh)
{
    for (int mode = ACK_MODE_MESSAGE; mode <= ACK_MODE_ENHANCED; mode++) {
        for (int outcome = ACK_OUTCOME_ACCEPTED; outcome <= ACK_OUTCOME_REJECT; outcome++) {
            struct ack_plan plan =
                ack_decide(msh, (enum ack_mode)mode, (enum ack_outcome)outcome, 207);
            bool positive = outcome == ACK_OUTCOME_ACCEPTED;
            check(!plan.accept || ack_code_is_positive(plan.accept_code) == positive);
            check(!plan.application || ack_code_is_positive(plan.application_code) == positive);
            check(!plan.silent_failure || (!plan.accept && !plan.application && !positive));
        }
    }
}

/* Framed, it comes out of the decoder as one message and nothing else. */
static void check_frame(struct span message)
{
    struct mllp_limits limits = {.maximum_content_bytes = MAXIMUM};
    struct mllp_decoder decoder;
    enum mllp_event event;
    struct buffer frame;
    size_t used, more;

    buffer_init(&frame, MAXIMUM);
    check(mllp_encode(&frame, message) == 0);
    mllp_decoder_init(&decoder, &limits);
    check(mllp_decoder_feed(&decoder, frame.data, frame.length, &used, &event) == 0);
    check(event == MLLP_OPENED);
    check(mllp_decoder_feed(&decoder, frame.data + used, frame.length - used, &more, &event) == 0);
    check(event == MLLP_MESSAGE && used + more == frame.length);
    check(span_equal(mllp_decoder_content(&decoder), message));
    mllp_decoder_free(&decoder);
    buffer_free(&frame);
}

static void check_built(const struct msh *msh, enum ack_code code, struct span errors)
{
    struct ack_error_detail detail = {"MSH^1^9^1^2", 101, 'E', "a|b^c~d\\e&f", "text\rMSA|AA|x"};
    struct ack_parameters parameters = {.code = code,
                                        .original = msh,
                                        .control_id = "ID1",
                                        .wall_ms = 1767268800000,
                                        .raw_errors = errors,
                                        .error = ack_code_is_positive(code) ? NULL : &detail};
    struct ack_reply reply;
    struct buffer out;

    buffer_init(&out, MAXIMUM);
    check(ack_build(&out, &parameters) == 0);
    check(ack_read(buffer_span(&out), &reply) == 0);
    check(reply.code == code);
    check(reply.header.accept == MSH_CONDITION_EMPTY);
    check(reply.header.application == MSH_CONDITION_EMPTY);
    if (can_echo(msh->control_id))
        check(span_equal(reply.control_id, msh->control_id));
    else
        check(reply.control_id.length == 0);
    if (reply.errors.length > 0 && parameters.error != NULL)
        check(reply.error_code == 101);
    check_frame(buffer_span(&out));
    buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span content = span_of(data, size), answer;
    struct ack_reply reply;
    struct msh msh;

    (void)msh_read(content, &msh, NULL);
    check_plan(&msh);
    for (int code = ACK_AA; code < ACK_CODE_UNKNOWN; code++)
        check_built(&msh, (enum ack_code)code, span_of(NULL, 0));

    if (ack_read_heaviest(content, &answer, &reply) == 0) {
        check(ack_code_weight(reply.code) > 0 && lies_in(answer, content));
        check(lies_in(reply.control_id, answer) && lies_in(reply.errors, answer));
    }
    if (ack_read(content, &reply) != 0)
        return 0;
    check(reply.code != ACK_CODE_UNKNOWN);
    check(lies_in(reply.control_id, content) && lies_in(reply.errors, content));
    check(lies_in(reply.error_location, reply.errors));
    check_built(&msh, ACK_AE, reply.errors); /* as a record's */
    return 0;
}
