/*
 * bundle: what one TLS listener presents and trusts: chain, key, roots, CRLs; an immutable snapshot.
 *
 * Loading reports everything that is wrong, by file: unreadable PEM, a key that isn't the
 * certificate's, a chain out of order, a chain too large for our Certificate message
 * (MBEDTLS_SSL_OUT_CONTENT_LEN: both sizes are named), weak keys for the profile, name constraints
 * that can't be honoured in our own CA files, an expired CRL where CRLs are required.
 * Ownership: reference-counted (atomic): sessions hold one while they live.
 * Threads: read-only once loaded.
 */
#ifndef MLLPGW_CERTS_BUNDLE_H
#define MLLPGW_CERTS_BUNDLE_H

#include <mbedtls/pk.h>
#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>
#include <stdbool.h>
#include <stdint.h>

enum bundle_profile { BUNDLE_BCP195, BUNDLE_TLS13, BUNDLE_NIST_800_52R2 };

/* What our own certificate is for: a listener's must please TLS clients and fit our Certificate
 * message; a tunnel's or a store's client certificate need not. */
enum bundle_use { BUNDLE_LISTENER, BUNDLE_OTHER };

struct bundle_files {
    const char *certificate, *key;
    const char *ca;  /* NULL: no client certificates are asked for */
    const char *crl; /* NULL: none */
    bool crl_required;
    enum bundle_profile profile;
    enum bundle_use use;
};

/* What a renewal of the CRLs leaves as it is; shared by the bundles before and after it. */
struct bundle_trust {
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    mbedtls_x509_crt roots;
    bool has_roots;
    int references; /* private, atomic */
};

struct bundle {
    struct bundle_trust *trust;
    mbedtls_x509_crl crls;
    bool has_crls, crl_required;
    enum bundle_profile profile;
    int references; /* private, atomic */
};

/* What to say of a file; severity as in config/problems.h is the caller's business. */
typedef void bundle_report(void *context, bool error, const char *file, const char *text);

/* NULL when there was an error. now_s: wall clock, seconds (validity and CRL dates). */
struct bundle *bundle_load(const struct bundle_files *files, int64_t now_s, bundle_report *report,
                           void *context);
/* The bundle in force with its CRLs read again, and nothing else: no certificate, key or root that
 * nobody has validated comes in with a CRL, and no certificate of our own that has run out meanwhile keeps
 * a CRL out; nor does another CA's CRL that has run out, where CRLs are required: that CA's clients are refused
 * one by one. files: what in_force was loaded from. NULL when there was an error. */
struct bundle *bundle_renew(const struct bundle *in_force, const struct bundle_files *files,
                            int64_t now_s, bundle_report *report, void *context);
struct bundle *bundle_reference(struct bundle *bundle);
void bundle_release(struct bundle **bundle);

/* Earliest end of validity over the chain, seconds since 1970; for metrics and check. */
int64_t bundle_expires_s(const struct bundle *bundle);

#endif
