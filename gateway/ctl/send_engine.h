/*
 * send_engine: sends the messages of a source over some connections and measures the answers.
 *
 * One thread, epoll, non-blocking. A connection has at most `window` messages on the way (1: the next
 * one leaves when the answer has come, as MLLP means it). An answer belongs to the oldest message
 * on the way whose MSH-10 is, byte for byte, its MSA-2. Latency runs from the write of the frame to
 * its last answer.
 * A message without an answer by timeout_ms, or whose connection went away, is sent again at most
 * `resend` times with the same bytes, as a real sender does; then it counts as unanswered.
 * Ownership: the engine borrows source and TLS context.
 */
#ifndef MLLPGW_CTL_SEND_ENGINE_H
#define MLLPGW_CTL_SEND_ENGINE_H

#include "ctl/send_histogram.h"
#include "ctl/send_source.h"
#include "hl7/ack.h"
#include "tls/tls.h"

#include <stdio.h>
#include <sys/socket.h>

struct send_settings {
    struct sockaddr_storage address;
    socklen_t address_length;
    const char *target;             /* HOST:PORT, for what is said */
    struct tls_client_context *tls; /* NULL: plain */
    int64_t count;                  /* how often the whole source is sent */
    int connections, window;
    double rate; /* messages a second, all connections together; 0: as fast as they are answered */
    int64_t timeout_ms;
    int resend;
    bool wait;    /* go on trying to connect for timeout_ms, even when refused at first */
    bool new_ids; /* each message gets an MSH-10 of its own */
    bool progress;
    FILE *show; /* where acknowledgments are written, readable; NULL: nowhere */
};

struct send_totals {
    int64_t wanted; /* messages to send in all */
    int64_t sent;   /* first sendings */
    int64_t resent; /* the same again */
    int64_t positive, negative;
    int64_t unanswered;
    int64_t not_expected; /* sent, and no answer is due (NE/NE, or an acknowledgment itself) */
    int64_t unmatched;    /* answers whose MSA-2 is none of ours, or that can't be read */
    int64_t codes[ACK_CODE_UNKNOWN + 1]; /* answers by MSA-1 */
    int64_t commits, commit_refusals;    /* MLLP Release 2 blocks */
    int64_t bytes_sent, bytes_received;
    int64_t connects, lost; /* lost: closed by the other side, or broken, before the end */
    struct send_histogram latency;
    int64_t elapsed_ns;
    char problem[256]; /* the last trouble, in words; "" when there was none */
};

/* 0: everything was tried, see the totals. -ECONNREFUSED: no connection was ever made;
 * -ECANCELED: *stop was set; other negative errno: out of memory or descriptors. */
__attribute__((warn_unused_result)) int send_engine_run(const struct send_settings *settings,
                                                        const struct send_source *source,
                                                        const volatile int *stop,
                                                        struct send_totals *ret_totals);

#endif
