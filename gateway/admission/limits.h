/*
 * limits: counts that hold over all workers: connections per listener, peer and address, messages
 * per second per peer, bytes of frames in flight.
 *
 * Names of listeners and peers get their slot when first seen; counts survive reloads.
 * Threads: any (atomics; the address table has a lock of its own, held for a hash look-up).
 */
#ifndef MLLPGW_ADMISSION_LIMITS_H
#define MLLPGW_ADMISSION_LIMITS_H

#include "base/reason.h"

#include <stdbool.h>
#include <stdint.h>

struct limits;

struct limits *limits_new(void);
void limits_free(struct limits **limits);

/* Takes a place for a new connection from this address on this listener: REASON_NONE, or which
 * limit refused (nothing is taken then). */
enum reason limits_enter_address(struct limits *limits, const char *listener, int listener_maximum,
                                 const uint8_t address[16], int address_maximum);
void limits_leave_address(struct limits *limits, const char *listener, const uint8_t address[16]);
enum reason limits_enter_peer(struct limits *limits, const char *peer, int peer_maximum);
void limits_leave_peer(struct limits *limits, const char *peer);

int limits_listener_connections(struct limits *limits, const char *listener);
int limits_peer_connections(struct limits *limits, const char *peer);

/* Messages per second: 0 when one may be taken now (it is), else milliseconds to wait. A second's
 * worth may come at once (GCRA). per_second 0: no limit. */
int64_t limits_message_wait_ms(struct limits *limits, const char *peer, int per_second,
                               int64_t now_ms);

/* True once for each peer, over all workers and connections: for what is said only once. */
bool limits_first_warning(struct limits *limits, const char *peer);

/* Bytes held by frames in flight. add returns false when the maximum is passed (the bytes are
 * counted all the same: the caller pauses reading until limits_buffered_ok()). */
bool limits_buffered_add(struct limits *limits, int64_t bytes, int64_t maximum);
bool limits_buffered_ok(struct limits *limits, int64_t maximum);
int64_t limits_buffered_bytes(struct limits *limits);

#endif
