/*
 * seal: AES-256-GCM with keys that are derived from the spool's key file, through PSA.
 *
 * A derived key is used by one start of one spool (an epoch) and numbers what it seals: the nonce is
 * four zero bytes and a 64-bit counter from 1 on, never used twice with the same key. A key made for
 * reading seals nothing: its counter's place is not known.
 *   sealed = counter (8 bytes, big endian), ciphertext, tag (16 bytes)
 * The associated data says where the sealed bytes belong, so that they can't be put elsewhere.
 * Threads: a key may be opened with from any thread, sealed with from one. psa_crypto_init() has run.
 * Errors: -EIO when PSA refuses; -EBADMSG when the bytes, the key or the place is wrong.
 */
#ifndef MLLPGW_SPOOL_SEAL_H
#define MLLPGW_SPOOL_SEAL_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

#define SEAL_SALT_BYTES 32
#define SEAL_OVERHEAD 24 /* bytes that sealing adds */

struct seal_key {
    uint32_t id; /* PSA's; 0: none */
    uint64_t counter;
    bool may_seal;
};

/* HKDF-SHA-256 of master with the salt; purpose keeps keys for different things apart. may_seal only
 * for a fresh salt. */
__attribute__((warn_unused_result)) int seal_key_derive(const uint8_t master[32],
                                                        const uint8_t salt[SEAL_SALT_BYTES],
                                                        const char *purpose, bool may_seal,
                                                        struct seal_key *ret_key);
/* Wipes it; again and again is fine. */
void seal_key_destroy(struct seal_key *key);

/* Appends the sealed bytes. */
__attribute__((warn_unused_result)) int seal_close(struct seal_key *key, struct span place,
                                                   struct span plain, struct buffer *sealed);
/* Writes sealed.length - SEAL_OVERHEAD bytes. */
__attribute__((warn_unused_result)) int seal_open(const struct seal_key *key, struct span place,
                                                  struct span sealed, char *ret_plain);

__attribute__((warn_unused_result)) int seal_random(uint8_t *bytes, size_t count);

#endif
