#include "certs/verify.h"

#include "certs/names.h"
#include "certs/x509time.h"

#include <errno.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/rsa.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* --- profiles ----------------------------------------------------------------------------- */

enum {
    SHA2 = MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) | MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
           MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
    KEYS = MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSA) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSASSA_PSS) |
           MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECKEY) | MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECDSA),
    NIST_CURVES = MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1) |
                  MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP384R1) |
                  MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP521R1),
};

/* What the profiles differ in is TLS. Brainpool's curves are not built in. */
static const mbedtls_x509_crt_profile every = {SHA2, KEYS, NIST_CURVES, 2048};

const mbedtls_x509_crt_profile *verify_profile(enum bundle_profile profile)
{
    (void)profile;
    return &every;
}

static bool curve_allowed(const mbedtls_x509_crt_profile *profile, mbedtls_pk_context *key)
{
    mbedtls_ecp_group_id group = mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(*key));
    return (MBEDTLS_X509_ID_FLAG(group) & profile->allowed_curves) != 0;
}

bool verify_key_strong(enum bundle_profile profile, const mbedtls_x509_crt *certificate,
                       char ret_why[96])
{
    const mbedtls_x509_crt_profile *rules = verify_profile(profile);
    mbedtls_pk_context *key = (mbedtls_pk_context *)&certificate->pk; /* mbedTLS reads only */
    size_t bits = mbedtls_pk_get_bitlen(key);
    if (mbedtls_pk_can_do(key, MBEDTLS_PK_RSA)) {
        if (bits >= rules->rsa_min_bitlen)
            return true;
        snprintf(ret_why, 96, "an RSA key of %zu bits; at least %u are needed", bits,
                 (unsigned)rules->rsa_min_bitlen);
        return false;
    }
    if (mbedtls_pk_can_do(key, MBEDTLS_PK_ECKEY) && curve_allowed(rules, key))
        return true;
    snprintf(ret_why, 96, "a key of a kind that the profile doesn't allow");
    return false;
}

/* --- saying why --------------------------------------------------------------------------- */

static void refuse(struct verify *verify, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The first reason stays: the callback comes from the root down, so it is the most basic one. */
static void refuse(struct verify *verify, const char *format, ...)
{
    if (verify->reason[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(verify->reason, sizeof verify->reason, format, arguments);
    va_end(arguments);
}

static const struct {
    uint32_t flag;
    const char *words;
} explanations[] = {
    {MBEDTLS_X509_BADCERT_MISSING, "no certificate was sent"},
    {MBEDTLS_X509_BADCERT_SKIP_VERIFY, "the certificate was not checked"},
    {MBEDTLS_X509_BADCERT_REVOKED, "revoked"},
    {MBEDTLS_X509_BADCERT_NOT_TRUSTED, "signed by a CA that is not in client_ca"},
    {MBEDTLS_X509_BADCERT_EXPIRED, "expired"},
    {MBEDTLS_X509_BADCERT_FUTURE, "not valid yet"},
    {MBEDTLS_X509_BADCERT_CN_MISMATCH, "issued for another name"},
    {MBEDTLS_X509_BADCERT_EXT_KEY_USAGE, "its extended key usage doesn't allow this use"},
    {MBEDTLS_X509_BADCERT_KEY_USAGE, "its key usage doesn't allow digital signatures"},
    {MBEDTLS_X509_BADCERT_NS_CERT_TYPE, "its Netscape certificate type doesn't allow this use"},
    {MBEDTLS_X509_BADCERT_BAD_MD, "signed with a digest that is too weak (SHA-1?)"},
    {MBEDTLS_X509_BADCERT_BAD_PK, "a kind of key that the profile doesn't allow"},
    {MBEDTLS_X509_BADCERT_BAD_KEY, "a key that is too weak for the profile"},
    {MBEDTLS_X509_BADCRL_NOT_TRUSTED, "the CRL of its CA has a wrong signature"},
    {MBEDTLS_X509_BADCRL_EXPIRED, "the CRL of its CA has expired"},
    {MBEDTLS_X509_BADCRL_FUTURE, "the CRL of its CA is not valid yet"},
    {MBEDTLS_X509_BADCRL_BAD_MD, "the CRL of its CA is signed with a digest that is too weak"},
    {MBEDTLS_X509_BADCRL_BAD_PK, "the CRL of its CA is signed with a key that isn't allowed"},
    {MBEDTLS_X509_BADCRL_BAD_KEY, "the CRL of its CA is signed with a key that is too weak"},
};

static const char *words_for(uint32_t flags)
{
    for (size_t i = 0; i < sizeof explanations / sizeof explanations[0]; i++) {
        if (flags & explanations[i].flag)
            return explanations[i].words;
    }
    return "refused";
}

void verify_explain(struct verify *verify, uint32_t flags)
{
    if (flags != 0)
        refuse(verify, "%s", flags == UINT32_MAX ? "it can't be checked" : words_for(flags));
}

/* "expired 2026-01-01"; for an authority: "its CA \"O=...\" expired 2026-01-01". */
static void explain_certificate(struct verify *verify, const mbedtls_x509_crt *certificate,
                                int depth, uint32_t flags)
{
    char date[32], whose[72] = "", name[48];
    int64_t now_s = (int64_t)time(NULL);
    if (depth > 0 && (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) == 0) {
        names_text(&certificate->subject, name, sizeof name);
        snprintf(whose, sizeof whose, "its CA \"%s\": ", name);
    }
    if ((flags & (MBEDTLS_X509_BADCERT_REVOKED | MBEDTLS_X509_BADCERT_NOT_TRUSTED)) != 0) {
        refuse(verify, "%s%s", whose, words_for(flags));
    } else if ((flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0) {
        x509time_text(&certificate->valid_to, now_s, date);
        refuse(verify, "%sexpired %s", whose, date);
    } else if ((flags & MBEDTLS_X509_BADCERT_FUTURE) != 0) {
        x509time_text(&certificate->valid_from, now_s, date);
        refuse(verify, "%snot valid before %s", whose, date);
    } else if (flags != 0) {
        refuse(verify, "%s%s", whose, words_for(flags));
    }
}

/* --- CRLs --------------------------------------------------------------------------------- */

static bool same_bytes(const mbedtls_x509_buf *a, const mbedtls_x509_buf *b)
{
    return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

/* The state of the issuer's best CRL: NULL when one is there and current, else what is wrong. */
static const char *crl_problem(const struct bundle *bundle, const mbedtls_x509_crt *issuer)
{
    const char *problem = "no CRL of its CA is loaded, and crl_required is set";
    for (const mbedtls_x509_crl *crl = bundle->has_crls ? &bundle->crls : NULL; crl != NULL;
         crl = crl->next) {
        if (!same_bytes(&crl->issuer_raw, &issuer->subject_raw))
            continue;
        if (mbedtls_x509_time_is_future(&crl->this_update))
            problem = "the CRL of its CA is not valid yet, and crl_required is set";
        else if (mbedtls_x509_time_is_past(&crl->next_update))
            problem = "the CRL of its CA has expired, and crl_required is set";
        else
            return NULL;
    }
    return problem;
}

/* mbedTLS flags the dates of every CRL of an issuer, though a newer one may be beside the old one;
 * crl_problem() decides about dates instead. What a dated CRL revokes stays revoked. */
static void check_crl(struct verify *verify, uint32_t *flags)
{
    *flags &= ~(uint32_t)(MBEDTLS_X509_BADCRL_EXPIRED | MBEDTLS_X509_BADCRL_FUTURE);
    if (!verify->bundle->crl_required || verify->authority_count == 0)
        return; /* without an issuer it is a trust anchor: taking it out of client_ca revokes it */
    const char *problem =
        crl_problem(verify->bundle, verify->authorities[verify->authority_count - 1]);
    if (problem != NULL)
        refuse(verify, "%s", problem);
}

/* --- the callback ------------------------------------------------------------------------- */

static void check_usage(struct verify *verify, const mbedtls_x509_crt *leaf)
{
    if (mbedtls_x509_crt_check_key_usage(leaf, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) != 0)
        refuse(verify, "its key usage doesn't allow digital signatures");
    if (mbedtls_x509_crt_check_extended_key_usage(leaf, MBEDTLS_OID_CLIENT_AUTH,
                                                  MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH)) != 0)
        refuse(verify, "its extended key usage doesn't allow client authentication (clientAuth)");
}

/* RFC 5280 6.1.3: self-issued certificates between CAs are outside their own name's limits. */
static void check_constraints(struct verify *verify, const mbedtls_x509_crt *certificate, int depth)
{
    char why[96], name[48];
    if (depth > 0 && same_bytes(&certificate->subject_raw, &certificate->issuer_raw))
        return;
    for (size_t i = 0; i < verify->authority_count; i++) {
        if (names_constraints_allow(verify->authorities[i], certificate, why))
            continue;
        names_text(&verify->authorities[i]->subject, name, sizeof name);
        refuse(verify, "%s of the CA \"%s\"", why, name);
    }
}

int verify_callback(void *context, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    struct verify *verify = context;
    bool is_top = verify->authority_count == 0;
    if (is_top && (*flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED) == 0)
        verify->root = certificate;
    check_crl(verify, flags);
    explain_certificate(verify, certificate, depth, *flags);
    check_constraints(verify, certificate, depth);
    if (depth == 0)
        check_usage(verify, certificate);
    else if (verify->authority_count < VERIFY_CHAIN_MAX)
        verify->authorities[verify->authority_count++] = certificate;
    if (verify->reason[0] != '\0' && *flags == 0)
        *flags |= MBEDTLS_X509_BADCERT_OTHER;
    return 0;
}

int verify_callback_strict(void *context, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    const struct verify *verify = context;
    int result = verify_callback(context, certificate, depth, flags);
    return result == 0 && depth == 0 && verify->reason[0] != '\0' ? MBEDTLS_ERR_X509_FATAL_ERROR
                                                                  : result;
}

void verify_init(struct verify *verify, const struct bundle *bundle)
{
    *verify = (struct verify){.bundle = bundle};
}

static bool exponent_is_wide(const mbedtls_x509_crt *certificate)
{
    mbedtls_mpi exponent;
    bool wide = false;
    if (mbedtls_pk_get_type(&certificate->pk) != MBEDTLS_PK_RSA)
        return false;
    mbedtls_mpi_init(&exponent);
    /* Without memory for it: the check itself would fail as well. */
    wide = mbedtls_rsa_export(mbedtls_pk_rsa(certificate->pk), NULL, NULL, NULL, NULL, &exponent) !=
               0 ||
           mbedtls_mpi_bitlen(&exponent) > VERIFY_EXPONENT_BITS_MAX;
    mbedtls_mpi_free(&exponent);
    return wide;
}

int verify_bounds(struct verify *verify, const mbedtls_x509_crt *sent)
{
    unsigned count = 0;
    for (const mbedtls_x509_crt *at = sent; at != NULL; at = at->next) {
        count++;
        if (exponent_is_wide(at))
            refuse(verify, "an RSA key in its chain has an exponent of more than %d bits",
                   VERIFY_EXPONENT_BITS_MAX);
    }
    if (count > VERIFY_SENT_MAX)
        refuse(verify, "it came in a chain of %u certificates; at most %d are taken", count,
               VERIFY_SENT_MAX);
    return verify->reason[0] == '\0' ? 0 : -EACCES;
}

int verify_again(struct verify *verify, mbedtls_x509_crt *chain)
{
    /* mbedTLS's parameters lack const; it writes to none of them. */
    struct bundle *bundle = (struct bundle *)verify->bundle;
    uint32_t flags = 0;
    verify_init(verify, bundle);
    if (!bundle->trust->has_roots) {
        refuse(verify, "no CA for clients is configured any more");
        return -EACCES;
    }
    int result = mbedtls_x509_crt_verify_with_profile(
        chain, &bundle->trust->roots, bundle->has_crls ? &bundle->crls : NULL,
        verify_profile(bundle->profile), NULL, &flags, verify_callback, verify);
    if (result == 0 && verify->reason[0] == '\0')
        return 0;
    verify_explain(verify, flags);
    refuse(verify, "it can't be checked");
    return -EACCES;
}
