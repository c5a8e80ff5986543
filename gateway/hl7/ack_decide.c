/* Codes, their words, and which answers are due: the deciding part of ack.h. */
#include "hl7/ack.h"

const char *ack_code_text(enum ack_code code)
{
    static const char *const texts[] = {"AA", "AE", "AR", "CA", "CE", "CR", "??"};

    return texts[(unsigned)code <= ACK_CODE_UNKNOWN ? code : ACK_CODE_UNKNOWN];
}

bool ack_code_is_positive(enum ack_code code)
{
    return code == ACK_AA || code == ACK_CA;
}

const char *ack_error_words(int code)
{
    switch (code) {
    case 0:
        return "Message accepted";
    case ACK_ERROR_SEGMENT_SEQUENCE:
        return "Segment sequence error";
    case ACK_ERROR_REQUIRED_FIELD:
        return "Required field missing";
    case ACK_ERROR_DATA_TYPE:
        return "Data type error";
    case ACK_ERROR_TABLE_VALUE:
        return "Table value not found";
    case ACK_ERROR_MESSAGE_TYPE:
        return "Unsupported message type";
    case ACK_ERROR_EVENT:
        return "Unsupported event code";
    case ACK_ERROR_PROCESSING_ID:
        return "Unsupported processing id";
    case ACK_ERROR_VERSION:
        return "Unsupported version id";
    case ACK_ERROR_UNKNOWN_KEY:
        return "Unknown key identifier";
    case ACK_ERROR_DUPLICATE_KEY:
        return "Duplicate key identifier";
    case ACK_ERROR_RECORD_LOCKED:
        return "Application record locked";
    case ACK_ERROR_INTERNAL:
        return "Application internal error";
    default:
        return "";
    }
}

static bool ack_condition_holds(enum msh_condition condition, bool positive)
{
    switch (condition) {
    case MSH_CONDITION_AL:
    case MSH_CONDITION_OTHER:
        return true;
    case MSH_CONDITION_ER:
        return !positive;
    case MSH_CONDITION_SU:
        return positive;
    case MSH_CONDITION_EMPTY: /* the other one is valued: counts as NE */
    case MSH_CONDITION_NE:
        return false;
    }
    return false;
}

static enum ack_code ack_application_code(enum ack_outcome outcome)
{
    switch (outcome) {
    case ACK_OUTCOME_ACCEPTED:
        return ACK_AA;
    case ACK_OUTCOME_ERROR:
        return ACK_AE;
    case ACK_OUTCOME_REJECT:
        return ACK_AR;
    }
    return ACK_AR;
}

static enum ack_code ack_accept_code(enum ack_outcome outcome, int error)
{
    if (outcome == ACK_OUTCOME_ACCEPTED)
        return ACK_CA;
    if (outcome == ACK_OUTCOME_REJECT && error >= ACK_ERROR_MESSAGE_TYPE &&
        error <= ACK_ERROR_VERSION)
        return ACK_CR;
    return ACK_CE;
}

struct ack_plan ack_decide(const struct msh *msh, enum ack_mode mode, enum ack_outcome outcome,
                           int error)
{
    struct ack_plan plan = {.accept_code = ack_accept_code(outcome, error),
                            .application_code = ack_application_code(outcome)};
    bool positive = outcome == ACK_OUTCOME_ACCEPTED;

    if (msh_is_acknowledgment(msh))
        return plan; /* never acknowledged, whatever became of it */
    if (mode == ACK_MODE_ORIGINAL || (mode == ACK_MODE_MESSAGE && !msh_is_enhanced(msh))) {
        plan.application = true;
        return plan;
    }
    if (!msh_is_enhanced(msh)) {
        plan.accept = true;
        return plan;
    }
    plan.unknown_condition =
        msh->accept == MSH_CONDITION_OTHER || msh->application == MSH_CONDITION_OTHER;
    plan.accept = ack_condition_holds(msh->accept, positive);
    /* A negative accept acknowledgment ends the exchange. */
    plan.application =
        ack_condition_holds(msh->application, positive) && (positive || !plan.accept);
    plan.silent_failure = !positive && !plan.accept && !plan.application;
    return plan;
}
