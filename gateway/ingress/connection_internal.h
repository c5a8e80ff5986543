/* Shared by connection.c (life), connection_read.c (bytes to messages) and connection_answer.c
 * (messages to answers); nobody else includes it. */
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
void connection_account(struct connection *connection);
/* Sees to it that the socket is watched for what the state needs. */
void connection_update_watch(struct connection *connection);
struct exchange_policy connection_policy(const struct connection *connection);

/* Reads and parses while the connection is open. */
void connection_run(struct connection *connection);
/* A frame's content is complete (taken over). */
void connection_message(struct connection *connection, char *content, size_t length);
/* The message's turn has come (messages_per_second). */
void connection_submit(struct connection *connection);
void connection_put_again(struct connection *connection);
void connection_frame_abandoned(struct connection *connection);
void connection_frame_too_large(struct connection *connection);
/* Sends what is in out; goes on to OPEN, WRITING, LINGER or CLOSED. */
void connection_flush(struct connection *connection);
void connection_send_notices(struct connection *connection);
void connection_linger(struct connection *connection);

#endif
