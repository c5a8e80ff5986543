/*
 * share: the part of a worker's time that handshakes may have.
 *
 * A handshake's step takes from microseconds to a tenth of a second (a client's chain decides), before
 * anybody knows who the client is. One step an iteration is fair by number only; by this one it is fair
 * by time: what a step took is owed to everybody else before the next one.
 * Pure. Threads: one worker's.
 */
#ifndef MLLPGW_INGRESS_SHARE_H
#define MLLPGW_INGRESS_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#define SHARE_USUAL_NS (INT64_C(5) * 1000 * 1000) /* a step with usual keys and chains takes less */

struct share {
    int64_t owed_ns, since_ns;
};

/* A step has been taken, from began to ended (monotonic). */
void share_charge(struct share *share, int64_t began_ns, int64_t ended_ns);
/* How long until the next step: 0, now. others: somebody else had something to do since the last look. When
 * nobody had, a usual step owes nothing; a long one does all the same, or whoever comes next would find
 * the worker in the one behind it. */
int64_t share_wait_ns(const struct share *share, int64_t now_ns, bool others);

#endif
