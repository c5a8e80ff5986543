/*
 * utf8_part: one message on its way to a store that takes only UTF-8, and CR at the end of a segment.
 *
 * Listeners have checked it when it came. What was queued for another store, or before a reload, may not
 * go there all the same: it is refused here, with a reason, and never changed otherwise than recode.h says.
 * Ownership: text points into the part, or into memory of its own.
 * Pure, but for memory (and iconv's tables). Threads: any.
 */
#ifndef MLLPGW_EGRESS_UTF8_PART_H
#define MLLPGW_EGRESS_UTF8_PART_H

#include "hl7/recode.h"
#include "spool/message.h"
#include "spool/verdict.h"

struct utf8_part {
    struct span text; /* what is sent */
    char *owned;      /* NULL: nothing had to be copied */
    /* stay behind utf8_part_release() */
    struct recode recode;
    char *control_id; /* MSH-10 as it is sent; NULL: as in the part */
    size_t control_id_length;
};

/* part: the message, or one of the batch that it is. False: it can't be sent, for the reason in
 * ret_verdict. maximum_bytes: of text. */
bool utf8_part_make(struct utf8_part *made, const struct message *message, struct span part,
                    int64_t maximum_bytes, struct verdict *ret_verdict);
/* The text has been used. */
void utf8_part_release(struct utf8_part *made);
/* All of it; leaves it empty. */
void utf8_part_free(struct utf8_part *made);

/* The store's HL7 answer becomes one in the sender's set. Where that is not possible it is kept as it is and
 * not passed on any more (answer_is_hl7): the gateway makes its own of the verdict's code. */
void utf8_part_answer(const struct utf8_part *made, struct span part, struct verdict *verdict);

#endif
