/*
 * validity: until when a certificate or a CRL holds, and what CRLs revoke, from DER; for what is handed
 * on to somebody else (charon) and only watched here.
 *
 * Ownership: validity_revoked_free(). Threads: no shared state.
 */
#ifndef MLLPGW_CERTS_VALIDITY_H
#define MLLPGW_CERTS_VALIDITY_H

#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VALIDITY_UNKNOWN INT64_C(-1)
#define VALIDITY_SOON_DAYS 30 /* so long before a certificate's end it is warned of */
enum { VALIDITY_ERROR_MAX = 128 };

/* The end of a certificate's validity, seconds since 1970; VALIDITY_UNKNOWN: it can't be read. */
int64_t validity_certificate_end_s(const unsigned char *der, size_t length);

/* What several CRLs revoke: a digest for each issuer and serial number. */
struct validity_revoked {
    uint64_t *items;
    size_t count;
};

/* When a CRL runs out (VALIDITY_UNKNOWN: it doesn't say), and adds what it revokes. 0; -EBADMSG with why,
 * -ENOMEM: nothing was added. One without authorityKeyIdentifier is -EBADMSG, too: RFC 5280 5.2.1 demands
 * it, and charon looks for a CA's CRL by nothing else, so that it would count for nothing in silence. */
__attribute__((warn_unused_result)) int validity_crl(const unsigned char *der, size_t length,
                                                     int64_t *ret_end_s,
                                                     struct validity_revoked *revoked,
                                                     char ret_why[VALIDITY_ERROR_MAX]);
/* Is it a CRL of this CA, by name and key? */
bool validity_crl_is_of(const mbedtls_x509_crl *crl, const mbedtls_x509_crt *authority);
/* Is something revoked now that was not before? Sorts both. */
bool validity_revokes_more(struct validity_revoked *before, struct validity_revoked *now);
void validity_revoked_free(struct validity_revoked *revoked);

#endif
