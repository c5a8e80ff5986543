/*
 * batch: FHS/BHS envelopes, and frames with several MSH headers.
 *
 *   [FHS] { [BHS] { MSH ... } [BTS] } [FTS]
 *
 * Walks the messages of a frame without copying. A frame that starts with MSH and has just one MSH
 * is a batch of one without envelope. A segment is a header only at the start of a segment (behind
 * CR, LF or the content's start).
 * Pure. Threads: any. Source: HL7 2.9 chapter 2, 2.10.3 (batch protocol), 2.14.1/2 (BHS, FHS).
 */
#ifndef MLLPGW_HL7_BATCH_H
#define MLLPGW_HL7_BATCH_H

#include "hl7/msh.h"

struct batch {
    enum msh_envelope envelope;
    size_t messages;         /* number of MSH */
    struct span control_id;  /* FHS-11 or BHS-11; empty without an envelope */
    struct msh header;       /* the first MSH; for an envelope without MSH: fields 1-7 of BHS/FHS
                                in the places of MSH so that an answer can be built */
    bool has_header;         /* header is a real MSH */
    long declared;           /* BTS-1, or -1 when there is none */
};

/* Looks over the whole frame. The problem is the first MSH's, or the envelope's. */
enum msh_problem batch_read(struct span content, struct batch *ret_batch, size_t *ret_offset);

/* Calls each(message, index) for every message in order; stops and returns its value when not 0.
 * message runs from "MSH" up to the next header or trailer segment, its last CR included. */
int batch_each(struct span content, int (*each)(struct span message, size_t index, void *context),
               void *context);

#endif
