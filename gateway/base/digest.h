/*
 * digest: keyed digests (HMAC-SHA-512 through PSA, of which the first 256 bits).
 *
 * SHA-512 since mbedTLS has no SHA instructions: in plain C it takes 40 % less than SHA-256, and the
 * digest is the largest part of what a message of 64 KB costs.
 *
 * What identifies a message (retransmission record, stable id) is a keyed digest, so that a stolen
 * spool or a store's object name says nothing about content.
 * Threads: a key may be used from any thread once made. psa_crypto_init() has run before.
 */
#ifndef MLLPGW_BASE_DIGEST_H
#define MLLPGW_BASE_DIGEST_H

#include "base/span.h"

#include <stdint.h>

#define DIGEST_BYTES 32

struct digest_key;

/* key: 32 bytes, copied. NULL when memory or PSA refuse. */
struct digest_key *digest_key_new(const uint8_t key[32]);
void digest_key_free(struct digest_key **key);

/* The digest of the parts, each preceded by its length, so that parts can't run into one another.
 * 0 or -EIO. */
__attribute__((warn_unused_result)) int digest_compute(const struct digest_key *key,
                                                       const struct span *parts, size_t count,
                                                       uint8_t ret_digest[DIGEST_BYTES]);

/* Lower-case hexadecimal and a NUL: text needs 2 * bytes + 1. */
void digest_to_hex(const uint8_t *bytes, size_t count, char *ret_text);

#endif
