/*
 * batch: FHS/BHS envelopes, and frames with several MSH headers.
 *
 *   [FHS] { [BHS] { MSH ... } [BTS] } [FTS]
 *
 * Walks the messages of a frame without copying. A frame that starts with MSH and has just one MSH
 * is a batch of one without envelope. A header is looked for only at the start of a segment (behind
 * CR, LF or the content's start), and "MSH" there is one when it is followed by the first header's
 * separator or reads as a header by itself: "MSH6 positive" in a text that holds line feeds is not.
 * Pure. Threads: any. Source: HL7 2.9 chapter 2, 2.10.3 (batch protocol), 2.14.1/2 (BHS, FHS).
 */
#ifndef MLLPGW_HL7_BATCH_H
#define MLLPGW_HL7_BATCH_H

#include "hl7/msh.h"

struct batch {
    enum msh_envelope envelope;
    size_t messages;        /* number of MSH */
    struct span control_id; /* BHS-11, or FHS-11 without one; empty without an envelope */
    struct msh header;      /* the first MSH; for an envelope without MSH: fields 1-7 of BHS/FHS
                                in the places of MSH so that an answer can be built */
    bool has_header;        /* header is a real MSH */
    long declared;          /* sum of BTS-1; -1 when there is none, or one that is not a number */
};

/* Looks over the whole frame. The problem is the envelope's, or else the first that any MSH has (a
 * batch is taken or refused as one). An envelope without MSH is MSH_OK with messages == 0.
 * ret_offset may be NULL; it is untouched on MSH_OK. */
enum msh_problem batch_read(struct span content, struct batch *ret_batch, size_t *ret_offset);

/* Calls each(message, index) for every message in order; stops and returns its value when not 0.
 * message runs from "MSH" up to the next header or trailer segment, its last CR included. (A frame
 * with one message and no envelope is delivered whole, with what may stand before MSH.) */
int batch_each(struct span content, int (*each)(struct span message, size_t index, void *context),
               void *context);

#endif
