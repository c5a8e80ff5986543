#include "ctl/check.h"

#include "base/text.h"
#include "certs/bundle.h"
#include "certs/identity.h"

#include <stdlib.h>
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
    const struct bundle_files files = {.certificate = store->certificate, .key = store->key};

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
    for (size_t i = 0; i < config->store_count; i++)
        check_store(&config->stores[i], now_s, problems);
}
