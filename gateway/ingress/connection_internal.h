/* Shared by connection.c (life), connection_decide.c (deciding again), connection_open.c (accept to OPEN), connection_read.c (bytes to
 * messages), connection_answer.c (messages to answers) and connection_write.c (answers to bytes);
 * nobody else includes it. */
#ifndef MLLPGW_INGRESS_CONNECTION_INTERNAL_H
#define MLLPGW_INGRESS_CONNECTION_INTERNAL_H

#include "ingress/connection.h"

#define CONNECTION_NEVER INT64_MAX

static inline int64_t connection_now(const struct connection *connection)
{
    return clock_monotonic_ms(connection->world->clock);
}

void connection_set_state(struct connection *connection, enum connection_state state);
/* Starts the timer for the state's deadline, where it isn't running early enough already. */
void connection_arm(struct connection *connection);
void connection_timer_fired(struct timer *timer);
void connection_account(struct connection *connection);
/* Sees to it that the socket is watched for what the state needs. */
void connection_update_watch(struct connection *connection);
struct exchange_policy connection_policy(const struct connection *connection);
/* Frame limits of listener and peer; from the next frame on. */
void connection_use_limits(struct connection *connection);
/* Decides again where that is due and has not been done: in front of everything that asks what the
 * snapshot says. False: it is closed. */
bool connection_catch_up(struct connection *connection);
/* At once where no answer is owed. */
void connection_close_when_answered(struct connection *connection, enum reason reason);
/* Plain or TLS as the snapshot wants it, and the certificate still good by it. */
bool connection_transport_fits(const struct connection *connection, const struct snapshot *snapshot,
                               int listener);

void connection_read_proxy(struct connection *connection);
/* The deadline of PROXY or HANDSHAKE has passed. */
void connection_opening_timeout(struct connection *connection);

/* Looks at bytes before they are parsed; may close. */
void connection_note_bytes(struct connection *connection, struct span bytes);
/* Reads and parses while the connection is open. */
void connection_run(struct connection *connection);
/* The same behind an answer: works on what was read already, but reads nothing. */
void connection_run_answered(struct connection *connection);
/* A frame's content is complete (taken over). */
void connection_message(struct connection *connection, char *content, size_t length);
/* The message's turn has come (messages_per_second). */
void connection_submit(struct connection *connection);
/* The answer's deadline has passed: the message counts as refused, and the close is the answer. */
void connection_give_up(struct connection *connection, enum reason reason);
void connection_put_again(struct connection *connection);
void connection_frame_abandoned(struct connection *connection);
void connection_frame_too_large(struct connection *connection);
struct exchange_time connection_answer_time(const struct connection *connection);
void connection_count_answer(struct connection *connection, const struct exchange_sent *sent);
/* Sends what is in out; goes on to OPEN, WRITING, LINGER or CLOSED. */
void connection_flush(struct connection *connection);
void connection_send_notices(struct connection *connection);
/* Counts all that wait as never sent. */
void connection_drop_notices(struct connection *connection);
void connection_linger(struct connection *connection);

#endif
