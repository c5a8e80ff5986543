/*
 * statistics: what ingress counts, per listener and peer: the metric slots, looked up once.
 *
 * Threads: a struct statistics is one worker's; the slots behind it are shared and atomic.
 */
#ifndef MLLPGW_INGRESS_STATISTICS_H
#define MLLPGW_INGRESS_STATISTICS_H

#include "base/list.h"
#include "base/metrics.h"
#include "base/reason.h"
#include "hl7/ack.h"

/* One listener and peer. peer is "" before one is known. */
struct peer_statistics {
    struct list_node node;
    char *listener, *peer;
    struct metric *connections; /* gauge */
    struct metric *messages, *bytes, *repeated;
    struct metric *acknowledgments[ACK_CODE_UNKNOWN];
    struct metric *acknowledge_seconds;
    struct metric *refused[REASON_COUNT]; /* messages; filled in when first needed */
    struct metric *closed[REASON_COUNT];  /* connections */
    struct metric *abandoned_frames, *junk_bytes;
};

struct statistics {
    struct metrics *metrics;
    struct list_node peers;
};

void statistics_init(struct statistics *statistics, struct metrics *metrics);
void statistics_free(struct statistics *statistics);

/* NULL only when memory is out; everything below takes NULL. */
struct peer_statistics *statistics_find(struct statistics *statistics, const char *listener,
                                        const char *peer);
void statistics_connection_refused(struct statistics *statistics, const char *listener,
                                   enum reason reason);
void statistics_connection_closed(struct statistics *statistics, struct peer_statistics *peer,
                                  enum reason reason);
void statistics_message_refused(struct statistics *statistics, struct peer_statistics *peer,
                                enum reason reason);
/* An application acknowledgment made later found no connection to be sent on. */
void statistics_application_unsent(struct statistics *statistics, const char *listener,
                                   const char *peer);
void statistics_acknowledged(struct peer_statistics *peer, enum ack_code code);

#endif
