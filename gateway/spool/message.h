/*
 * message: one received frame's content on its way, immutable, reference-counted.
 *
 * Ownership: whoever holds a reference may read it on any thread; the last release frees it.
 * body is the sender's bytes, never changed. Names (peer, listener) are copies.
 * stable_id = the first 16 bytes of the keyed digest of peer, MSH-10 and bytes (semantics, Answers):
 * the same for a sender's repeat; it names the object at the store. The other 16 bytes have the
 * listener's name folded in: they identify the retransmission record. The same bytes that come in on
 * two listeners are two messages, which may go to two stores: calling the second one safe because of
 * the first would lose it.
 */
#ifndef MLLPGW_SPOOL_MESSAGE_H
#define MLLPGW_SPOOL_MESSAGE_H

#include "base/span.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define MESSAGE_STABLE_ID_BYTES 16

struct message {
    atomic_int references;    /* private */
    char *peer, *listener;    /* names from the configuration */
    struct span control_id;   /* MSH-10 (batch: the first, or BHS-11/FHS-11); into body */
    struct span message_type; /* MSH-9, into body */
    struct span facility;     /* MSH-4.1, into body */
    struct span body;
    bool batch; /* FHS/BHS envelope or several MSH */
    bool
        keep_verdict; /* stored: the sender is to hear the store's verdict, also if it asks again */
    /* What the settings said of peer and listener when it came: it is converted by these, whatever they
     * say once it is its turn. */
    uint8_t character_set;       /* enum charset of hl7/charset.h, for where MSH-18 says nothing */
    bool normalise_segment_ends; /* LF and CR LF may become CR */
    int64_t received_wall_ms;
    uint64_t connection; /* where an application acknowledgment made later belongs; 0: nowhere */
    uint8_t digest[32];  /* keyed digest of peer, MSH-10 and bytes; zeros until the spool made it */
};

/* Takes body (malloc'd, freed with the message) and copies the names; the spans are empty.
 * NULL when memory is out: body then stays the caller's. */
struct message *message_new(const char *peer, const char *listener, char *body, size_t length);
struct message *message_reference(struct message *message);
void message_release(struct message **message);

/* The half of a digest that identifies the retransmission record. */
static inline const uint8_t *message_record_id(const uint8_t digest[32])
{
    return digest + MESSAGE_STABLE_ID_BYTES;
}
/* For backends, once the digest of peer, MSH-10 and bytes is in place. */
void message_fold_listener(struct message *message);

#endif
