/*
 * sequence: the sequence number protocol (MSH-13 / MSA-4), one state a peer and listener.
 * HL7 2.9 chapter 2, 2.10.1: MSH-13 positive and +1 each; 0 = (re)start: the answer tells the last
 * number + 1 (-1 if none is known); -1 = resynchronise with the next one.
 * Pure: the caller keeps "last" (committed with the message). Threads: any.
 */
#ifndef MLLPGW_HL7_SEQUENCE_H
#define MLLPGW_HL7_SEQUENCE_H

#include "base/span.h"

#define SEQUENCE_NONE (-1L)

enum sequence_verdict {
    SEQUENCE_ABSENT,   /* MSH-13 empty: not in use for this message */
    SEQUENCE_NEXT,     /* take the message; *ret_last is the new state */
    SEQUENCE_RESTART,  /* 0: the state stays; answer AA with MSA-4 */
    SEQUENCE_RESYNC,   /* -1: take the message; state becomes unknown */
    SEQUENCE_REPEATED, /* the last number again: a repeat, answer as before */
    SEQUENCE_WRONG,    /* AE with MSA-4 = expected */
    SEQUENCE_INVALID,  /* not a number: AE 102 */
};

enum sequence_verdict sequence_check(struct span msh13, long last, long *ret_last,
                                     long *ret_expected);

#endif
