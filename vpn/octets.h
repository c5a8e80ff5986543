/*
 * octets: bytes that may hold a secret: a buffer that grows up to a stated maximum and wipes every
 * byte that it gives back, drops or leaves behind when it grows.
 *
 * Ownership: whoever holds the struct owns the memory; octets_free() leaves an empty buffer of the
 * same maximum. Threads: none of its own; one thread at a time.
 * Errors: -EMSGSIZE when the maximum would be passed (the content stays as it was), -ENOMEM.
 */
#ifndef MLLPGW_VPN_OCTETS_H
#define MLLPGW_VPN_OCTETS_H

#include <stddef.h>
#include <stdint.h>

struct octets {
    uint8_t *data;
    size_t length;   /* bytes in use */
    size_t capacity; /* bytes allocated */
    size_t maximum;  /* bytes that length may never pass */
};

void octets_init(struct octets *octets, size_t maximum);
void octets_free(struct octets *octets);
/* Wipes the content and keeps the memory. */
void octets_clear(struct octets *octets);

__attribute__((warn_unused_result)) int octets_append(struct octets *octets, const void *data,
                                                      size_t length);
/* Removes bytes from the front. */
void octets_consume(struct octets *octets, size_t length);

#endif
