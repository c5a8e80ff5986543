/*
 * exchange: one frame's way from content to answer, without the waiting in between.
 *
 * exchange_judge() reads the header(s) and says what is to be done; exchange_answer() turns an
 * outcome into the frames that the sender asked for (MSH-15/16, the listener's settings), or into a
 * close where nothing may be sent. Both are pure apart from memory: time and ids are handed in.
 * Ownership: the exchange holds one reference of its message until exchange_clear().
 * Threads: the worker's own. Rules: semantics, Answers; facts/hl7.md.
 */
#ifndef MLLPGW_INGRESS_EXCHANGE_H
#define MLLPGW_INGRESS_EXCHANGE_H

#include "base/reason.h"
#include "config/config.h"
#include "hl7/ack.h"
#include "hl7/sequence.h"
#include "spool/spool.h"

enum exchange_action {
    EXCHANGE_PUT,    /* hand exchange->message to the spool */
    EXCHANGE_ANSWER, /* decided already (refused, or a sequence restart): answer it */
    EXCHANGE_IGNORE, /* an acknowledgment: neither delivered nor answered */
};

struct exchange_policy {
    const struct config_listener *listener;
    const struct config_peer *peer;
    const struct config_route *const *routes;
    size_t route_count;
    struct config_demand demand; /* what all of their stores take */
};

/* What came of it; filled in by judge (refusals), or from the spool's answer. */
struct exchange_result {
    enum ack_outcome outcome;
    enum reason reason; /* REASON_NONE when accepted */
    bool unavailable;   /* another try may cure it: on_unavailable, not on_refusal */
    bool repeated;
    bool not_put;         /* decided without the spool */
    int error;            /* table 0357 */
    const char *location; /* ERR-2, written with ^; NULL: none */
    bool has_offset;
    size_t offset;                 /* where in the frame the trouble is */
    const struct verdict *verdict; /* delivered mode, or an application acknowledgment made later */
    const struct verdict *kept;    /* a repeat's: what the store has said already; NULL: nothing */
    bool has_sequence;
    long sequence; /* MSA-4 */
};

struct exchange {
    struct message *message; /* NULL: none */
    struct batch batch;      /* spans point into the message */
    bool header_usable;      /* MSH-1 and MSH-2 at least: else a synthetic header answers */
    bool mixed;              /* an acknowledgment, and behind it other messages */
    struct exchange_result result;
    struct config_demand met; /* what the message was found to meet */
    bool sequence_set;        /* commit sequence_last with the message */
    long sequence_last;
};

/* Takes over body. sequence_last: the last number taken (SEQUENCE_NONE), where the listener uses
 * them. On -ENOMEM body is freed and nothing is held. */
__attribute__((warn_unused_result)) int
exchange_judge(struct exchange *exchange, const struct exchange_policy *policy, char *body,
               size_t length, uint64_t connection, int64_t wall_ms, long sequence_last,
               enum exchange_action *ret_action);
void exchange_clear(struct exchange *exchange);

/* Whether the stores will take it: UTF-8, or what can be converted to it, each message of a batch, and no
 * larger than they take after that. Judging has asked it; to be asked again before a message that had to
 * wait is put, since a reload may have come (cheap where the demand is still the same). False: result says
 * why. -ENOMEM. */
__attribute__((warn_unused_result)) int
exchange_meets(struct exchange *exchange, const struct config_demand *demand, bool *ret_meets);

/* The lane of the message on one route: "ROUTE/KEY", at most EXCHANGE_LANE_BYTES with the NUL. */
#define EXCHANGE_LANE_BYTES 256
void exchange_lane(const struct exchange *exchange, const struct config_route *route,
                   char ret_lane[EXCHANGE_LANE_BYTES]);
/* The order that a route had when this lane was named. */
enum config_order exchange_lane_order(const char *lane);

/* The spool's answer in this module's terms. */
enum ack_outcome exchange_outcome_of_verdict(const struct verdict *verdict);
void exchange_result_of_put(const struct spool_put *put, struct exchange_result *ret_result);

struct exchange_time {
    int64_t wall_ms;
    int zone_minutes;
};

struct exchange_sent {
    bool close; /* instead of, or after, an answer */
    enum reason close_reason;
    bool unknown_condition; /* MSH-15/16 outside table 0155: warn once per peer */
    enum ack_code codes[2]; /* what went into out */
    size_t count;
};

/* Appends the frames (and commit blocks) of the answer to out. scratch: cleared and used. */
__attribute__((warn_unused_result)) int
exchange_answer(const struct exchange *exchange, const struct exchange_policy *policy,
                const struct exchange_result *result, const struct exchange_time *time,
                struct buffer *scratch, struct buffer *out, struct exchange_sent *ret_sent);

/* Does the sender wait for an application acknowledgment made from this final verdict? Only with
 * application_acknowledgment = "store", in enhanced mode, and as MSH-16 says. */
bool exchange_application_due(const struct message *message, const struct verdict *verdict,
                              const struct config_listener *listener);

/* Gives up what that acknowledgment is not made from, since it may have to wait for long: puts a copy of
 * the first header, and what stands before it, in the place of a large message, and lets go of an answer
 * that is not passed on. Leaves the message as it is where memory is out. */
void exchange_application_shorten(struct message **message, struct verdict *verdict,
                                  const struct config_listener *listener);

/* That acknowledgment, a frame of its own; appends nothing when none is due. */
__attribute__((warn_unused_result)) int
exchange_application_answer(const struct message *message, const struct verdict *verdict,
                            const struct exchange_policy *policy, const struct exchange_time *time,
                            struct buffer *scratch, struct buffer *out,
                            struct exchange_sent *ret_sent);

#endif
