/*
 * http_verdict: what an HTTP result says about the message that was sent. The rules of
 * semantics (Order, retry, dead letters), one function each way.
 *
 *   accepted  2xx without HL7, however large; MSA-1 AA or CA whose MSA-2 is ours
 *   refused   MSA-1 AE, AR, CE or CR in a 2xx; 400, 413, 415, 422
 *   operator  401, 403, 404, 405, 407, other 4xx, 3xx; TLS (nginx's 400 about a client certificate
 *             too); the proxy's own 3xx and 4xx; HL7 in a 2xx that is larger than maximum_answer_bytes
 *   retry     transport errors, 408, 409 (the same key is being worked on), 421, 425, 429, 5xx;
 *             HL7 that cannot be read; another message's MSA-2
 * "HL7" is a body that starts with MSH, BHS or FHS (MLLP framing around it is forgiven), or any
 * body with an HL7 content type. It may hold several answers, enveloped or not: one negative answer
 * refuses the message, whatever stands before it, and each MSA-2 must be ours. The store's setting `verdicts` goes before all rules for a status.
 * Pure, but for memory. Threads: any.
 */
#ifndef MLLPGW_EGRESS_HTTP_VERDICT_H
#define MLLPGW_EGRESS_HTTP_VERDICT_H

#include "config/config.h"
#include "egress/hl7_answer.h"
#include "http/client.h"

struct http_question {
    const struct config_status_verdict *overrides;
    size_t override_count;
    struct hl7_sent sent;
};

/* The verdict owns a reference to its answer. Its reason never holds content. */
void http_verdict_make(const struct http_question *question, const struct http_result *result,
                       struct verdict *ret_verdict);

/* What every store behind HTTPS begins with: the verdict by failure and status alone. True: there is an
 * answer, whose body may say more. */
bool http_verdict_begin(const struct http_result *result, struct verdict *ret_verdict);
/* And ends with: the override for its status, and whether it is about the message. */
void http_verdict_end(const struct http_question *question, struct verdict *verdict);
/* Of an answer that is not the operator's to cure: it is about the server, its load, the way to it. */
bool http_verdict_says_nothing_about_message(int status);
/* A 2xx whose HL7 was cut off. */
void http_verdict_of_cut_answer(struct verdict *verdict);

/* For operators' failures that are not about a request to the store: a token that could not be had. */
enum verdict_kind http_verdict_of_token(enum http_failure failure, int status);

#endif
