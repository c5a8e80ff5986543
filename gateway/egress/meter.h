/*
 * meter: what every store counts, whatever its type.
 *
 * Threads: made on the delivery thread; counting from any. Labels are the store's name and words of
 * our own.
 */
#ifndef MLLPGW_EGRESS_METER_H
#define MLLPGW_EGRESS_METER_H

#include "base/metrics.h"
#include "http/client.h"
#include "spool/verdict.h"

struct meter {
    struct metric *outcomes[VERDICT_UNKNOWN + 1];
    struct metric *seconds;
    struct metric *connections;
    struct metric *answers[3]; /* by HTTP version; [0] is not used */
};

/* metrics may be NULL: then nothing is counted. http: the store has connections. */
void meter_init(struct meter *meter, struct metrics *metrics, const char *store, bool http);
/* A request (a file) has ended; started_ns by clock_monotonic_ns(). */
void meter_outcome(struct meter *meter, enum verdict_kind kind, int64_t started_ns);
void meter_http(struct meter *meter, const struct http_result *result);

#endif
