/*
 * doubts: which messages a store may have although nobody knows: their last attempt ended without an
 * answer, and who held them has let go (a sender's deadline, a dead letter, a route that closed).
 *
 * They may come again, under the same stable id: as a sender's repeat, by a replay. A store that then
 * says "I have it already" has it from us. Kept in memory, the latest DOUBTS_MAXIMUM: a restart is in
 * doubt about everything anyway (spool_entry.in_doubt).
 * Threads: the delivery thread.
 */
#ifndef MLLPGW_ROUTE_DOUBTS_H
#define MLLPGW_ROUTE_DOUBTS_H

#include "base/list.h"
#include "spool/message.h"

#define DOUBTS_MAXIMUM ((size_t)16384)
#define DOUBTS_BUCKETS ((size_t)1024)

struct doubts {
    struct list_node order;    /* oldest first */
    struct list_node *buckets; /* NULL: there has never been one */
    size_t count;
};

void doubts_init(struct doubts *doubts);
void doubts_free(struct doubts *doubts);

/* id: the first MESSAGE_STABLE_ID_BYTES of a message's digest. Without memory it is forgotten: then
 * "I have it already" is a refusal, which loses nothing. */
void doubts_add(struct doubts *doubts, const uint8_t *id);
void doubts_remove(struct doubts *doubts, const uint8_t *id);
bool doubts_has(const struct doubts *doubts, const uint8_t *id);

#endif
