/*
 * proof: what a tunnel proves itself with, read from its files: a pre-shared key, or certificates and
 * a private key. For as long as it takes to load them into charon: everything is wiped when freed.
 *
 * Errors: a negative errno, and one sentence that names the file and what to do; never a byte of it.
 * Threads: none of its own.
 */
#ifndef MLLPGW_VPN_PROOF_H
#define MLLPGW_VPN_PROOF_H

#include "certs/validity.h"
#include "config/config.h"
#include "vpn/octets.h"

#define PROOF_CERTIFICATES_MAXIMUM 16u /* in a chain, or roots, or CRLs */
#define PROOF_BYTES_MAXIMUM 65535u     /* of each: what a value of VICI holds */
#define PROOF_ERROR_BYTES 512

struct proof {
    struct octets psk;                               /* empty: by certificate */
    struct octets key;                               /* as in its file: PEM or DER */
    struct octets chain[PROOF_CERTIFICATES_MAXIMUM]; /* DER, the tunnel's own first */
    size_t chain_count;
    struct octets roots[PROOF_CERTIFICATES_MAXIMUM]; /* DER, of the other side */
    size_t root_count;
    struct octets crls[PROOF_CERTIFICATES_MAXIMUM]; /* DER, of those and their CAs */
    size_t crl_count;
    struct validity_revoked revoked; /* by them */
    /* When the first of each kind runs out, seconds since 1970; VALIDITY_UNKNOWN: none does. */
    int64_t chain_end_s, roots_end_s, crls_end_s;
};

/* *ret_proof is empty after an error; proof_free() is fine then, too. */
__attribute__((warn_unused_result)) int proof_read(const struct config_tunnel *tunnel,
                                                   struct proof *ret_proof,
                                                   char ret_error[PROOF_ERROR_BYTES]);
/* Only the CRLs. */
__attribute__((warn_unused_result)) int proof_read_crls(const struct config_tunnel *tunnel,
                                                        struct proof *ret_proof,
                                                        char ret_error[PROOF_ERROR_BYTES]);
void proof_free(struct proof *proof);

#endif
