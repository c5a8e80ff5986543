/*
 * verify: the decisions about a client's chain that mbedTLS leaves to its caller.
 *
 * mbedTLS checks signatures, validity, path length and (where one is loaded) CRLs. Here besides:
 *  - a missing or expired CRL for a CA of the chain refuses when the bundle says crl_required
 *    (mbedTLS passes a missing one in silence). Where it isn't required, an expired CRL still
 *    revokes what it lists and refuses nothing else;
 *  - name constraints in any CA of the chain: what is understood and met passes (permitted/excluded
 *    dNSName, rfc822Name, URI host, iPAddress, directoryName prefix), everything else refuses
 *    (mbedTLS ignores non-critical ones);
 *  - extended key usage clientAuth (or anyExtendedKeyUsage) and key usage digitalSignature of the
 *    leaf, where it carries these extensions (RFC 5280: without one every use is allowed);
 *  - key sizes and signature algorithms of the profile.
 * The same code decides again for open connections after a CRL change: verify_again().
 * Threads: no shared state; the bundle is read-only. Sources: RFC 5280 4.2.1.3, 4.2.1.10, 4.2.1.12.
 */
#ifndef MLLPGW_CERTS_VERIFY_H
#define MLLPGW_CERTS_VERIFY_H

#include "certs/bundle.h"

enum {
    VERIFY_CHAIN_MAX = MBEDTLS_X509_MAX_INTERMEDIATE_CA + 2,
    VERIFY_SENT_MAX = 8,          /* certificates that a client may send: its own and others */
    VERIFY_EXPONENT_BITS_MAX = 64 /* of RSA keys in them; 17 are usual */
};

/* State of one verification: hand it to mbedtls_ssl_set_verify() with verify_callback. */
struct verify {
    const struct bundle *bundle;
    char reason[160]; /* "revoked", "not valid before 2026-11-22", ...; empty while all is well */
    const mbedtls_x509_crt *root; /* the trust anchor, when the chain reached one */
    /* private: the authorities above the certificate that comes next, the root first */
    const mbedtls_x509_crt *authorities[VERIFY_CHAIN_MAX];
    size_t authority_count;
};

void verify_init(struct verify *verify, const struct bundle *bundle);
int verify_callback(void *verify, mbedtls_x509_crt *certificate, int depth, uint32_t *flags);
/* Non-zero (fatal) once the leaf is refused: TLS would go on with a refused certificate where none
 * is required. */
int verify_callback_strict(void *verify, mbedtls_x509_crt *certificate, int depth, uint32_t *flags);
/* mbedTLS's flags in words, into reason (when it is still empty). */
void verify_explain(struct verify *verify, uint32_t flags);

/* May what a client sent (leaf first) be checked at all? Each certificate in it may cost a signature for
 * each other one, before anybody knows who the client is, and a wide exponent makes RSA's slow. 0, or
 * -EACCES with verify->reason. Costs nothing itself. */
__attribute__((warn_unused_result)) int verify_bounds(struct verify *verify,
                                                      const mbedtls_x509_crt *sent);

/* Decides a chain (leaf first) anew against a bundle: 0, or -EACCES with verify->reason. */
__attribute__((warn_unused_result)) int verify_again(struct verify *verify,
                                                     mbedtls_x509_crt *chain);

/* Is the certificate's own key and, unless it is a root's, its signature fit for the profile?
 * Else why, in ret_why. */
bool verify_key_strong(enum bundle_profile profile, const mbedtls_x509_crt *certificate,
                       char ret_why[96]);

/* The mbedTLS certificate profile (key sizes, digests) of a bundle's profile. Static. */
const mbedtls_x509_crt_profile *verify_profile(enum bundle_profile profile);

#endif
