#include "ctl/check.h"

#include "base/text.h"
#include "certs/bundle.h"
#include "certs/identity.h"
#include "certs/names.h"
#include "certs/pem.h"
#include "certs/x509time.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define DAY_S INT64_C(86400)
#define CHECK_CRL_BYTES 65535 /* a value of VICI */

/* Where what a bundle says belongs. */
struct check_place {
    struct problems *problems;
    struct place place;
    char setting[160];
};

static void check_report(void *context, bool error, const char *file, const char *text)
{
    const struct check_place *at = context;

    problems_add(at->problems, error ? PROBLEM_ERROR : PROBLEM_WARNING, at->place, at->setting,
                 "%s: %s", file, text);
}

/* Expired ones are bundle_load()'s to report. */
static void check_expiry(struct check_place *at, const char *file, int64_t expires_s, int64_t now_s)
{
    char when[TEXT_SHORT_BYTES];
    int64_t left_s = expires_s - now_s;

    if (left_s < 0 || left_s >= CHECK_EXPIRES_DAYS * DAY_S)
        return;
    problems_add(at->problems, PROBLEM_WARNING, at->place, at->setting,
                 "%s: expires in %lld days, at %s", file, (long long)(left_s / DAY_S),
                 text_time(expires_s * 1000, when));
}

/* What can't be opened config_check_files() has told. */
static bool check_can_read(const char *file)
{
    return file == NULL || access(file, R_OK) == 0;
}

static void check_bundle(struct check_place *at, const struct bundle_files *wanted, int64_t now_s)
{
    struct bundle_files readable = *wanted, *files = &readable;

    if (files->certificate == NULL || files->key == NULL || !check_can_read(files->certificate) ||
        !check_can_read(files->key))
        return;
    /* A missing list hides nothing of what is wrong with the rest. */
    if (!check_can_read(files->ca))
        files->ca = NULL;
    if (files->ca == NULL || !check_can_read(files->crl)) {
        files->crl = NULL;
        files->crl_required = false;
    }
    struct bundle *bundle = bundle_load(files, now_s, check_report, at);

    if (bundle != NULL)
        check_expiry(at, files->certificate, bundle_expires_s(bundle), now_s);
    bundle_release(&bundle);
}

static void check_roots(struct check_place *at, const char *file)
{
    uint8_t(*digests)[32] = NULL;
    char error[256] = "";
    size_t count = 0;

    if (!check_can_read(file))
        return;
    if (identity_file_digests(file, &digests, &count, error) < 0)
        problems_add(at->problems, PROBLEM_ERROR, at->place, at->setting, "%s", error);
    free(digests);
}

static void check_tls(const struct config_tls *tls, int64_t now_s, struct problems *problems)
{
    struct check_place at = {.problems = problems, .place = tls->place};
    const struct bundle_files files = {
        .certificate = tls->certificate,
        .key = tls->key,
        .ca = tls->client_certificate == CONFIG_CLIENT_CERTIFICATE_OFF ? NULL : tls->client_ca,
        .crl = tls->crl,
        .crl_required = tls->crl_required,
        .profile = (enum bundle_profile)tls->profile,
    };

    snprintf(at.setting, sizeof at.setting, "tls.%s", tls->name);
    check_bundle(&at, &files, now_s);
}

static void check_store(const struct config_store *store, int64_t now_s, struct problems *problems)
{
    struct check_place at = {.problems = problems, .place = store->place};
    const struct bundle_files files = {
        .certificate = store->certificate, .key = store->key, .use = BUNDLE_OTHER};

    if (store->ca != NULL) {
        snprintf(at.setting, sizeof at.setting, "stores.%s.ca", store->name);
        check_roots(&at, store->ca);
    }
    if (store->certificate != NULL && store->key != NULL) {
        snprintf(at.setting, sizeof at.setting, "stores.%s.certificate", store->name);
        check_bundle(&at, &files, now_s);
    }
}

static void check_peer(const struct config_peer *peer, struct problems *problems)
{
    struct check_place at = {.problems = problems, .place = peer->place};

    if (peer->ca == NULL)
        return;
    snprintf(at.setting, sizeof at.setting, "peers.%s.ca", peer->name);
    check_roots(&at, peer->ca);
}

/* ---- tunnels ---- */

static bool check_has(char **names, size_t count, const char *wanted)
{
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(names[i], wanted) == 0)
            return true;
    return false;
}

/* charon falls back to the subject when local_id is not in its certificate: the other side, which
 * expects local_id, then refuses us. Addresses and subjects are left to it. */
static void check_local_id(struct check_place *at, const struct bundle *bundle,
                           const char *local_id)
{
    struct in6_addr address;
    bool is_address =
        inet_pton(AF_INET, local_id, &address) == 1 || inet_pton(AF_INET6, local_id, &address) == 1;
    struct identity *identity = identity_new(&bundle->trust->chain, NULL);

    if (identity != NULL && !is_address && strchr(local_id, '=') == NULL &&
        !check_has(identity->dns, identity->dns_count, local_id) &&
        !check_has(identity->email, identity->email_count, local_id))
        problems_add(at->problems, PROBLEM_ERROR, at->place, at->setting,
                     "the certificate has no subjectAltName \"%s\", which local_id says: the other "
                     "side will not know us",
                     local_id);
    identity_free(&identity);
}

static void check_tunnel_certificate(struct check_place *at, const struct config_tunnel *tunnel,
                                     int64_t now_s)
{
    const struct bundle_files files = {
        .certificate = tunnel->certificate, .key = tunnel->key, .use = BUNDLE_OTHER};

    if (!check_can_read(files.certificate) || !check_can_read(files.key))
        return;
    struct bundle *bundle = bundle_load(&files, now_s, check_report, at);

    if (bundle != NULL) {
        check_expiry(at, files.certificate, bundle_expires_s(bundle), now_s);
        if (tunnel->local_id != NULL)
            check_local_id(at, bundle, tunnel->local_id);
    }
    bundle_release(&bundle);
}

static void check_root_expiry(struct check_place *at, const char *file, int64_t now_s)
{
    mbedtls_x509_crt chain;

    mbedtls_x509_crt_init(&chain);
    if (check_can_read(file) && mbedtls_x509_crt_parse_file(&chain, file) == 0) {
        for (const mbedtls_x509_crt *each = &chain; each != NULL; each = each->next) {
            struct identity *identity = identity_new(each, NULL);
            if (identity != NULL && identity->not_after_s < now_s)
                problems_add(at->problems, PROBLEM_ERROR, at->place, at->setting,
                             "%s: has expired: %s", file, identity->subject);
            else if (identity != NULL)
                check_expiry(at, file, identity->not_after_s, now_s);
            identity_free(&identity);
        }
    }
    mbedtls_x509_crt_free(&chain);
}

struct check_crls {
    struct check_place *place;
    const struct config_tunnel *tunnel;
    mbedtls_x509_crt roots;
    int64_t now_s;
    bool of_root; /* one of them is of one of these */
};

static bool check_is_of_root(const mbedtls_x509_crt *roots, const mbedtls_x509_crl *crl)
{
    for (const mbedtls_x509_crt *at = roots; at != NULL && at->raw.len > 0; at = at->next)
        if (validity_crl_is_of(crl, at))
            return true;
    return false;
}

static void check_crl_dates(const struct check_crls *crls, const mbedtls_x509_crl *crl,
                            const char *issuer)
{
    const struct check_place *at = crls->place;
    char when[TEXT_SHORT_BYTES];
    int64_t end_s = x509time_s(&crl->next_update);

    if (crl->next_update.year > 0 && end_s < crls->now_s)
        problems_add(at->problems, crls->tunnel->crl_required ? PROBLEM_ERROR : PROBLEM_WARNING,
                     at->place, at->setting, "%s: the list of %s ran out at %s: fetch a new one%s",
                     crls->tunnel->crl, issuer, text_time(end_s * 1000, when),
                     crls->tunnel->crl_required ? "; until then nobody of that CA gets in" : "");
}

static int check_crl(void *context, size_t number, const unsigned char *der, size_t length)
{
    struct check_crls *crls = context;
    const struct check_place *at = crls->place;
    char issuer[NAMES_TEXT_MAX], why[VALIDITY_ERROR_MAX] = "memory is out";
    struct validity_revoked revoked = {0};
    mbedtls_x509_crl crl;
    int64_t end_s;

    mbedtls_x509_crl_init(&crl);
    if (validity_crl(der, length, &end_s, &revoked, why) != 0 ||
        mbedtls_x509_crl_parse_der(&crl, der, length) != 0) {
        problems_add(at->problems, PROBLEM_ERROR, at->place, at->setting,
                     "%s: list %zu cannot be read: %s", crls->tunnel->crl, number, why);
    } else {
        names_text(&crl.issuer, issuer, sizeof issuer);
        check_crl_dates(crls, &crl, issuer);
        crls->of_root = crls->of_root || check_is_of_root(&crls->roots, &crl);
    }
    if (length > CHECK_CRL_BYTES)
        problems_add(at->problems, PROBLEM_ERROR, at->place, at->setting,
                     "%s: list %zu has %zu bytes; more than %d don't go through charon's socket",
                     crls->tunnel->crl, number, length, CHECK_CRL_BYTES);
    mbedtls_x509_crl_free(&crl);
    validity_revoked_free(&revoked);
    return 0;
}

/* A list of an intermediate CA alone is as good as none for what the root issued. */
static void check_crls(struct check_place *at, const struct config_tunnel *tunnel, int64_t now_s)
{
    struct check_crls crls = {.place = at, .tunnel = tunnel, .now_s = now_s};
    struct pem_file file;
    char error[PEM_ERROR_MAX] = "";
    int result;

    if (!check_can_read(tunnel->crl) || !check_can_read(tunnel->remote_ca))
        return;
    mbedtls_x509_crt_init(&crls.roots);
    (void)!mbedtls_x509_crt_parse_file(&crls.roots, tunnel->remote_ca); /* check_roots() tells */
    result = pem_read(tunnel->crl, &file, error);
    if (result == 0) {
        result = pem_each(&file, "X509 CRL", check_crl, &crls, error);
        pem_free(&file);
    }
    if (result < 0)
        problems_add(at->problems, PROBLEM_ERROR, at->place, at->setting, "%s: %s", tunnel->crl,
                     error);
    else if (!crls.of_root)
        problems_add(at->problems, tunnel->crl_required ? PROBLEM_ERROR : PROBLEM_WARNING,
                     at->place, at->setting,
                     "%s: no list in it is of a CA in %s: whom that one revokes %s", tunnel->crl,
                     tunnel->remote_ca,
                     tunnel->crl_required ? "can't be known, and all are refused"
                                          : "is let in all the same");
    mbedtls_x509_crt_free(&crls.roots);
}

static void check_tunnel(const struct config_tunnel *tunnel, int64_t now_s,
                         struct problems *problems)
{
    struct check_place at = {.problems = problems, .place = tunnel->place};

    if (tunnel->remote_ca != NULL) {
        snprintf(at.setting, sizeof at.setting, "tunnels.%s.remote_ca", tunnel->name);
        check_roots(&at, tunnel->remote_ca);
        check_root_expiry(&at, tunnel->remote_ca, now_s);
        if (tunnel->crl != NULL) {
            snprintf(at.setting, sizeof at.setting, "tunnels.%s.crl", tunnel->name);
            check_crls(&at, tunnel, now_s);
        }
    }
    if (tunnel->certificate != NULL && tunnel->key != NULL) {
        snprintf(at.setting, sizeof at.setting, "tunnels.%s.certificate", tunnel->name);
        check_tunnel_certificate(&at, tunnel, now_s);
    }
}

/* ---- */

_Static_assert((int)CONFIG_TLS_BCP195 == (int)BUNDLE_BCP195 &&
                   (int)CONFIG_TLS_TLS13 == (int)BUNDLE_TLS13 &&
                   (int)CONFIG_TLS_NIST_800_52R2 == (int)BUNDLE_NIST_800_52R2,
               "config and certs number the profiles alike");

void check_certificates(const struct config *config, int64_t now_s, struct problems *problems)
{
    for (size_t i = 0; i < config->tls_count; i++)
        check_tls(&config->tls[i], now_s, problems);
    for (size_t i = 0; i < config->peer_count; i++)
        check_peer(&config->peers[i], problems);
    for (size_t i = 0; i < config->tunnel_count; i++)
        check_tunnel(&config->tunnels[i], now_s, problems);
    for (size_t i = 0; i < config->store_count; i++)
        check_store(&config->stores[i], now_s, problems);
}
