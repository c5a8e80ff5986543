/*
 * google_verdict: what an answer of Google's Cloud Healthcare API to messages:ingest says about the
 * message that was sent.
 *
 * Source: REST v1, projects.locations.datasets.hl7V2Stores.messages/ingest; AIP-193 (errors).
 *
 *   200 {"hl7Ack"}            the ACK decides (hl7_answer.h)
 *   200 {"message"}, {}       accepted, and there is no answer of the store's
 *   200, other JSON           the operator's fault: somebody else answers there
 *   error with "hl7Nack"      refused, and the NACK is the answer; but by status where that names trouble
 *                             which isn't the message's (401, 403, 404, 408, 429, 499, 502, 503, 504 ...)
 *   ALREADY_EXISTS            the store has these very bytes. After an attempt of unknown outcome that
 *                             was ours: accepted (a NACK beside it is not passed on). Else refused
 *                             (the store's rejectDuplicateMessage)
 *   FAILED_PRECONDITION       the operator's fault: it is about the store's state, not the message
 *   the rest                  by status, as for the http store (http_verdict.h); 499 is a retry
 *   unreadable                JSON, base64 or HL7 in a 2xx: retry; in an error: by status
 *
 * For 401, 403 and 404 the reason says in our words what to look at; names are the configuration's.
 * Google's own words are content: kept as the answer (64 KiB of them), never in a reason.
 * Pure, but for memory. Threads: any.
 */
#ifndef MLLPGW_EGRESS_GOOGLE_VERDICT_H
#define MLLPGW_EGRESS_GOOGLE_VERDICT_H

#include "egress/http_verdict.h"

struct google_question {
    struct http_question http;
    const struct config_store *store; /* for its names */
    const char *quota_project;        /* that the request carried; NULL: none */
    bool in_doubt;                    /* an earlier attempt may have brought the message there */
};

/* The verdict owns a reference to its answer. Its reason never holds content. */
void google_verdict_make(const struct google_question *question, const struct http_result *result,
                         struct verdict *ret_verdict);

#endif
