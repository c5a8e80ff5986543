/*
 * hl7_answer: what the HL7 in a store's answer says about the message that was sent.
 *
 * It may hold several answers, enveloped or not: one negative answer refuses the message, whatever
 * stands before it, and each MSA-2 must be ours. Answers that cannot be read, or are another
 * message's, decide nothing: another try may bring a better one.
 * Pure, but for memory. Threads: any.
 */
#ifndef MLLPGW_EGRESS_HL7_ANSWER_H
#define MLLPGW_EGRESS_HL7_ANSWER_H

#include "base/span.h"
#include "spool/verdict.h"

struct hl7_sent {
    struct span bytes;      /* the message, or the whole batch */
    struct span control_id; /* its MSH-10; of a batch the first (any of it and BHS-11 are ours) */
};

/* content without framing; verdict->status is there already, for words. Fills in kind (accepted, refused or
 * retry), reason, and, where it could be read, code, error_code and error_location. answer_is_hl7: it is about
 * what was sent, and may be passed on. */
void hl7_answer_judge(const struct hl7_sent *sent, struct span content, struct verdict *verdict);

#endif
