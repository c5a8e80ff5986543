#include "certs/bundle.h"

#include "certs/names.h"
#include "certs/pem.h"
#include "certs/verify.h"
#include "certs/x509time.h"

#include <errno.h>
#include <mbedtls/error.h>
#include <mbedtls/oid.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/ssl.h>
#include <psa/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOON_S = 30 * 86400 };

/* One load: where the problems go, and of which file they are. */
struct load {
    struct bundle *bundle;
    const struct bundle_files *files;
    int64_t now_s;
    bundle_report *report;
    void *context;
    const char *file;
    bool renewing; /* dates are no errors: what has run out meanwhile keeps nothing newer out */
    bool failed;
};

static void say(struct load *load, bool error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct load *load, bool error, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    load->failed = load->failed || error;
    if (load->report != NULL)
        load->report(load->context, error, load->file, text);
}

/* "certificate 2 (CN=...)" */
static const char *which(const mbedtls_x509_crt *certificate, size_t number, char text[160])
{
    char name[120];
    names_text(&certificate->subject, name, sizeof name);
    snprintf(text, 160, "certificate %zu (%s)", number, name);
    return text;
}

/* Hands each block of a file to a parser; says what is wrong with the file. */
static bool read_blocks(struct load *load, const char *path, const char *name,
                        pem_each_callback *each)
{
    struct pem_file file;
    char error[PEM_ERROR_MAX];
    load->file = path;
    int result = pem_read(path, &file, error);
    if (result == 0) {
        result = pem_each(&file, name, each, load, error);
        pem_free(&file);
    }
    if (result < 0)
        say(load, true, "%s", error);
    return result == 0;
}

/* --- dates and keys of a certificate ------------------------------------------------------ */

static void check_dates(struct load *load, const mbedtls_x509_crt *certificate, size_t number,
                        bool error)
{
    char name[160], date[32];
    int64_t left_s = x509time_s(&certificate->valid_to) - load->now_s;
    which(certificate, number, name);
    x509time_text(&certificate->valid_to, load->now_s, date);
    if (left_s < 0)
        say(load, error, "%s expired %s: renew it", name, date);
    else if (left_s < SOON_S)
        say(load, false, "%s expires %s", name, date);
    if (x509time_s(&certificate->valid_from) > load->now_s) {
        x509time_text(&certificate->valid_from, load->now_s, date);
        say(load, error, "%s is not valid before %s", name, date);
    }
}

static void check_strength(struct load *load, const mbedtls_x509_crt *certificate, size_t number)
{
    char name[160], why[96];
    if (!verify_key_strong(load->files->profile, certificate, why))
        say(load, true, "%s has %s", which(certificate, number, name), why);
}

/* --- our own chain and key ---------------------------------------------------------------- */

static int add_chain(void *context, size_t number, const unsigned char *der, size_t length)
{
    struct load *load = context;
    char why[128];
    int result = names_parse_root(&load->bundle->trust->chain, der, length);
    if (result == 0)
        return 0;
    pem_mbedtls_error(result, why, sizeof why);
    say(load, true, "certificate %zu cannot be read: %s", number, why);
    return 0; /* the rest may be wrong as well */
}

static bool signed_by(const mbedtls_x509_crt *child, const mbedtls_x509_crt *parent)
{
    return child->issuer_raw.len == parent->subject_raw.len &&
           memcmp(child->issuer_raw.p, parent->subject_raw.p, child->issuer_raw.len) == 0;
}

/* TLS 1.3's Certificate message: 3 + 2 bytes around each, 8 for its own header and lists. */
static void check_size(struct load *load, size_t count, size_t der_bytes)
{
    size_t message = der_bytes + 5 * count + 8;
    if (message > MBEDTLS_SSL_OUT_CONTENT_LEN)
        say(load, true,
            "the chain of %zu certificates needs a Certificate message of %zu bytes; at most %d "
            "fit: leave the root out, or use shorter certificates (ECDSA)",
            count, message, MBEDTLS_SSL_OUT_CONTENT_LEN);
}

static void check_server_leaf(struct load *load, const mbedtls_x509_crt *leaf)
{
    if (mbedtls_x509_crt_check_extended_key_usage(leaf, MBEDTLS_OID_SERVER_AUTH,
                                                  MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)) != 0)
        say(load, false, "its extended key usage lacks serverAuth: most clients will refuse it");
    if (!mbedtls_x509_crt_has_ext_type(leaf, MBEDTLS_X509_EXT_SUBJECT_ALT_NAME))
        say(load, false, "it has no subjectAltName: clients that check names will refuse it");
}

static void check_chain(struct load *load)
{
    char name[160];
    size_t number = 0, bytes = 0;
    for (const mbedtls_x509_crt *at = &load->bundle->trust->chain; at != NULL; at = at->next) {
        bytes += at->raw.len;
        check_dates(load, at, ++number, true);
        check_strength(load, at, number);
        if (at->next != NULL && !signed_by(at, at->next))
            say(load, true,
                "%s is not issued by the certificate behind it: the order is the server's own, "
                "then each one's issuer",
                which(at, number, name));
    }
    if (load->files->use == BUNDLE_LISTENER) {
        check_size(load, number, bytes);
        check_server_leaf(load, &load->bundle->trust->chain);
    }
}

static void explain_key(struct load *load, const struct pem_file *file, int result)
{
    char why[128];
    if (result == MBEDTLS_ERR_PK_PASSWORD_REQUIRED || result == MBEDTLS_ERR_PK_PASSWORD_MISMATCH) {
        say(load, true,
            "is encrypted; a daemon has nobody to ask: openssl pkey -in FILE -out NEWFILE");
        return;
    }
    if (!file->is_der && strstr((const char *)file->data, "PRIVATE KEY-----") == NULL) {
        say(load, true, "holds no PRIVATE KEY");
        return;
    }
    pem_mbedtls_error(result, why, sizeof why);
    say(load, true, "the key cannot be read: %s", why);
}

static bool load_key(struct load *load)
{
    struct pem_file file;
    char error[PEM_ERROR_MAX];
    load->file = load->files->key;
    if (pem_read(load->files->key, &file, error) < 0) {
        say(load, true, "%s", error);
        return false;
    }
    /* mbedTLS takes the NUL behind PEM as part of it, and none behind DER. */
    int result = mbedtls_pk_parse_key(&load->bundle->trust->key, file.data,
                                      file.length + (file.is_der ? 0 : 1), NULL, 0,
                                      mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    if (result != 0)
        explain_key(load, &file, result);
    pem_free(&file);
    return result == 0;
}

static void load_own(struct load *load)
{
    bool chain = read_blocks(load, load->files->certificate, "CERTIFICATE", add_chain) &&
                 load->bundle->trust->chain.raw.p != NULL;
    if (chain)
        check_chain(load);
    bool key = load_key(load);
    if (chain && key &&
        mbedtls_pk_check_pair(&load->bundle->trust->chain.pk, &load->bundle->trust->key,
                              mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE) != 0)
        say(load, true, "is not the key of the first certificate in %s", load->files->certificate);
}

/* --- roots -------------------------------------------------------------------------------- */

static int add_root(void *context, size_t number, const unsigned char *der, size_t length)
{
    struct load *load = context;
    char why[128];
    int result = names_parse_root(&load->bundle->trust->roots, der, length);
    if (result == 0)
        return 0;
    pem_mbedtls_error(result, why, sizeof why);
    say(load, true, "certificate %zu cannot be read: %s", number, why);
    return 0;
}

static void check_root(struct load *load, const mbedtls_x509_crt *root, size_t number)
{
    char name[160], why[96];
    which(root, number, name);
    /* A warning: the roots beside it may be good, and its own clients are refused by name. */
    check_dates(load, root, number, false);
    check_strength(load, root, number);
    if (!names_constraints_understood(root, why))
        say(load, true, "%s has %s", name, why);
    if (mbedtls_x509_crt_get_ca_istrue(root) == 1)
        return;
    if (signed_by(root, root))
        say(load, false, "%s is no CA: it is trusted for itself alone", name);
    else
        say(load, false, "%s is no CA, so it makes nobody trusted: put its issuer here", name);
}

static void load_roots(struct load *load)
{
    if (!read_blocks(load, load->files->ca, "CERTIFICATE", add_root) ||
        load->bundle->trust->roots.raw.p == NULL)
        return;
    load->bundle->trust->has_roots = true;
    size_t number = 0;
    for (const mbedtls_x509_crt *at = &load->bundle->trust->roots; at != NULL; at = at->next)
        check_root(load, at, ++number);
}

/* --- CRLs --------------------------------------------------------------------------------- */

static int add_crl(void *context, size_t number, const unsigned char *der, size_t length)
{
    struct load *load = context;
    char why[128];
    int result = mbedtls_x509_crl_parse_der(&load->bundle->crls, der, length);
    if (result == 0)
        return 0;
    pem_mbedtls_error(result, why, sizeof why);
    say(load, true, "CRL %zu cannot be read: %s", number, why);
    return 0;
}

static bool issuer_known(const struct load *load, const mbedtls_x509_crl *crl)
{
    for (const mbedtls_x509_crt *at = load->bundle->trust->has_roots ? &load->bundle->trust->roots
                                                                     : NULL;
         at != NULL; at = at->next) {
        if (at->subject_raw.len == crl->issuer_raw.len &&
            memcmp(at->subject_raw.p, crl->issuer_raw.p, crl->issuer_raw.len) == 0)
            return true;
    }
    return false;
}

static void check_crl(struct load *load, const mbedtls_x509_crl *crl, size_t number)
{
    char issuer[120], date[32];
    names_text(&crl->issuer, issuer, sizeof issuer);
    if (!issuer_known(load, crl))
        say(load, false, "CRL %zu is of %s, which is not in %s (right for an intermediate CA)",
            number, issuer, load->files->ca == NULL ? "client_ca" : load->files->ca);
    if (x509time_s(&crl->next_update) < load->now_s) {
        x509time_text(&crl->next_update, load->now_s, date);
        say(load, load->files->crl_required && !load->renewing,
            "CRL %zu (%s) expired %s: fetch a new one", number, issuer, date);
    }
}

static void load_crls(struct load *load)
{
    if (!read_blocks(load, load->files->crl, "X509 CRL", add_crl) ||
        load->bundle->crls.raw.p == NULL)
        return;
    load->bundle->has_crls = true;
    size_t number = 0;
    for (const mbedtls_x509_crl *at = &load->bundle->crls; at != NULL; at = at->next)
        check_crl(load, at, ++number);
}

/* --- the bundle --------------------------------------------------------------------------- */

static struct bundle_trust *trust_new(void)
{
    struct bundle_trust *trust = calloc(1, sizeof *trust);
    if (trust == NULL)
        return NULL;
    mbedtls_x509_crt_init(&trust->chain);
    mbedtls_pk_init(&trust->key);
    mbedtls_x509_crt_init(&trust->roots);
    trust->references = 1;
    return trust;
}

static void trust_release(struct bundle_trust *trust)
{
    if (trust == NULL || __atomic_sub_fetch(&trust->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    mbedtls_x509_crt_free(&trust->chain);
    mbedtls_pk_free(&trust->key); /* wipes it */
    mbedtls_x509_crt_free(&trust->roots);
    free(trust);
}

/* Takes over trust. */
static struct bundle *bundle_new(const struct bundle_files *files, struct bundle_trust *trust)
{
    struct bundle *bundle = trust == NULL ? NULL : calloc(1, sizeof *bundle);
    if (bundle == NULL) {
        trust_release(trust);
        return NULL;
    }
    bundle->trust = trust;
    mbedtls_x509_crl_init(&bundle->crls);
    bundle->crl_required = files->crl_required;
    bundle->profile = files->profile;
    bundle->references = 1;
    return bundle;
}

struct bundle *bundle_load(const struct bundle_files *files, int64_t now_s, bundle_report *report,
                           void *context)
{
    struct load load = {.files = files,
                        .now_s = now_s,
                        .report = report,
                        .context = context,
                        .file = files->certificate};
    load.bundle = psa_crypto_init() == PSA_SUCCESS ? bundle_new(files, trust_new()) : NULL;
    if (load.bundle == NULL) {
        say(&load, true, "memory is out");
        return NULL;
    }
    load_own(&load);
    if (files->ca != NULL)
        load_roots(&load);
    if (files->crl != NULL)
        load_crls(&load);
    load.file = files->certificate;
    if (files->crl_required && (files->crl == NULL || files->ca == NULL))
        say(&load, true, "CRLs are required, but no %s is named",
            files->crl == NULL ? "CRL file" : "CA for clients");
    if (load.failed)
        bundle_release(&load.bundle);
    return load.bundle;
}

struct bundle *bundle_renew(const struct bundle *in_force, const struct bundle_files *files,
                            int64_t now_s, bundle_report *report, void *context)
{
    struct load load = {.files = files,
                        .now_s = now_s,
                        .report = report,
                        .context = context,
                        .file = files->crl,
                        .renewing = true};
    __atomic_add_fetch(&in_force->trust->references, 1, __ATOMIC_RELAXED);
    load.bundle = bundle_new(files, in_force->trust);
    if (load.bundle == NULL) {
        say(&load, true, "memory is out");
        return NULL;
    }
    if (files->crl != NULL)
        load_crls(&load);
    if (load.failed)
        bundle_release(&load.bundle);
    return load.bundle;
}

struct bundle *bundle_reference(struct bundle *bundle)
{
    __atomic_add_fetch(&bundle->references, 1, __ATOMIC_RELAXED);
    return bundle;
}

void bundle_release(struct bundle **bundle)
{
    struct bundle *gone = *bundle;
    *bundle = NULL;
    if (gone == NULL || __atomic_sub_fetch(&gone->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    trust_release(gone->trust);
    mbedtls_x509_crl_free(&gone->crls);
    free(gone);
}

int64_t bundle_expires_s(const struct bundle *bundle)
{
    int64_t earliest_s = INT64_MAX;
    for (const mbedtls_x509_crt *at = &bundle->trust->chain; at != NULL && at->raw.p != NULL;
         at = at->next) {
        int64_t expires_s = x509time_s(&at->valid_to);
        earliest_s = expires_s < earliest_s ? expires_s : earliest_s;
    }
    return earliest_s;
}
