#include "ctl/check.h"

#include "base/text.h"
#include "certs/bundle.h"
#include "certs/identity.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define DAY_S INT64_C(86400)

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

static void check_tunnel(const struct config_tunnel *tunnel, int64_t now_s,
                         struct problems *problems)
{
    struct check_place at = {.problems = problems, .place = tunnel->place};

    if (tunnel->remote_ca != NULL) {
        snprintf(at.setting, sizeof at.setting, "tunnels.%s.remote_ca", tunnel->name);
        check_roots(&at, tunnel->remote_ca);
        check_root_expiry(&at, tunnel->remote_ca, now_s);
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
