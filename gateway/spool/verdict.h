/*
 * verdict: what a store made of a message.
 *
 * The body of the store's answer is content (PHI): it is kept encrypted and shown only by
 * --body; status, codes and locations may be logged.
 * Threads: plain data; the answer is reference-counted.
 */
#ifndef MLLPGW_SPOOL_VERDICT_H
#define MLLPGW_SPOOL_VERDICT_H

#include "base/span.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define VERDICT_REASON_BYTES 160

enum verdict_kind {
    VERDICT_ACCEPTED,
    VERDICT_REFUSED,  /* another try would not cure it: dead letter */
    VERDICT_RETRY,    /* another try may */
    VERDICT_OPERATOR, /* the operator's fault (401, 403, 404, TLS): stays, alarm, slow retry */
    VERDICT_UNKNOWN,  /* cancelled at its deadline: may or may not have arrived */
};

struct answer_bytes {
    atomic_int references; /* private */
    size_t length;
    char data[];
};
struct answer_bytes *answer_bytes_new(struct span data);
struct answer_bytes *answer_bytes_reference(struct answer_bytes *bytes);
void answer_bytes_release(struct answer_bytes **bytes);

struct verdict {
    enum verdict_kind kind;
    bool about_message; /* the answer is about this very message: it counts for maximum_attempts */
    bool not_sent;      /* for certain nothing reached the store (connection refused, DNS, TLS) */
    int status;         /* HTTP status; 0: none */
    char code[3];       /* the store's MSA-1; "" when no HL7 came */
    int error_code;     /* ERR-3.1; 0: none */
    char error_location[32]; /* ERR-2, printable ASCII only */
    char reason
        [VERDICT_REASON_BYTES]; /* ours, for logs and mllpctl: "HTTP 503", "connection refused"; no content */
    int64_t retry_after_ms;      /* 0: the store didn't say */
    struct answer_bytes *answer; /* the store's HL7 answer (ER7, without framing), or an error body;
                                    NULL: none. answer_is_hl7 says which. One reference. */
    bool answer_is_hl7;          /* and about this message: another's is kept, never passed on */
};

const char *verdict_kind_text(enum verdict_kind kind); /* "accepted" */
void verdict_clear(struct verdict *verdict);           /* releases the answer */

#endif
