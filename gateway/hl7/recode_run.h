/*
 * recode_run: the machine behind recode.h: goes over bytes and counts, or writes, what they become.
 * Private to hl7/.
 */
#ifndef MLLPGW_HL7_RECODE_RUN_H
#define MLLPGW_HL7_RECODE_RUN_H

#include "hl7/recode.h"

struct recode_run {
    char *out;       /* NULL: only count */
    size_t length;   /* counted, or written */
    const char *bad; /* where it stopped */
    /* private */
    void *conversion; /* iconv_t; NULL: bytes stay as they are */
    bool decodes;     /* to UTF-8 */
    bool whole;       /* ASCII is not to be stepped over: it means something to the conversion */
    bool flushes;     /* what it has kept back is due at a piece's end */
    bool escapes;
    char separator; /* it may not be a part of a character here; 0: anything may */
};

/* Opens a conversion between that set and UTF-8. */
enum recode_problem recode_run_open(struct recode_run *run, enum charset set, bool decodes);
void recode_run_close(struct recode_run *run);

void recode_run_emit(struct recode_run *run, struct span bytes);
enum recode_problem recode_run_piece(struct recode_run *run, struct span piece);
/* The message from MSH on. */
enum recode_problem recode_run_message(struct recode_run *run, const struct recode *recode,
                                       struct span message);

/* The first line end with an LF in it that ends a segment: it has a CR as well, ends the message, or
 * a segment follows. Between escape sequences any does: what is around it is seen only when they are gone.
 * text begins at a line end, or behind one. */
bool recode_next_end(const struct recode *recode, struct span text, struct span *ret_end);

#endif
