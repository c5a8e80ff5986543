/*
 * parts: what a message becomes on its way to a store: itself, or each message of a batch.
 *
 * Ownership: spans point into the message's body. Pure, but for memory. Threads: any.
 */
#ifndef MLLPGW_EGRESS_PARTS_H
#define MLLPGW_EGRESS_PARTS_H

#include "config/config.h"
#include "spool/message.h"

struct parts {
    struct span *items;
    size_t count; /* at least 1 */
    bool split;
};

/* Hexadecimal stable id, "-", an index, NUL. */
#define PARTS_ID_BYTES (2 * MESSAGE_STABLE_ID_BYTES + 1 + 20 + 1)

/* A batch without a single message is one part. -ENOMEM. */
__attribute__((warn_unused_result)) int
parts_make(const struct message *message, enum config_batch batch, struct parts *ret_parts);
void parts_free(struct parts *parts);

/* The object's name at the store: the message's stable id, with the index from 1 behind a hyphen
 * when a batch was split. */
void parts_stable_id(const struct parts *parts, const struct message *message, size_t index,
                     char ret_id[PARTS_ID_BYTES]);

#endif
