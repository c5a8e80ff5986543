/* What changes without a reload: revocation lists, certificates where watch_files says so, addresses of names,
 * tunnels, and what time alone changes. On the admin
 * thread. */
#include "base/file_stamp.h"
#include "base/log.h"
#include "internal.h"

#include <time.h>

#define LOOK_AT_FILES_MS (INT64_C(10) * 1000)
#define LOOK_AFTER_FAILURE_MS (INT64_C(60) * 1000)

static const struct metric_family renewal_family = {
    .name = "mllpgw_renewal_failed",
    .help =
        "1 while changed CRLs, certificates or names can't be taken over; the old ones stay in use.",
    .kind = METRIC_GAUGE,
};
void gateway_renewal_worked(struct gateway *gateway, bool worked)
{
    metric_set(metrics_slot(gateway->metrics, &renewal_family, NULL), worked ? 0 : 1);
}

struct gateway_files gateway_files(const struct config *config)
{
    struct gateway_files files = {0};

    for (size_t i = 0; i < config->tls_count; i++) {
        const struct config_tls *tls = &config->tls[i];
        files.crls = file_stamp_mix(files.crls, tls->crl);
        files.certificates = file_stamp_mix(files.certificates, tls->certificate);
        files.certificates = file_stamp_mix(files.certificates, tls->key);
        files.certificates = file_stamp_mix(files.certificates, tls->client_ca);
    }
    for (size_t i = 0; i < config->peer_count; i++) {
        files.certificates = file_stamp_mix(files.certificates, config->peers[i].ca);
    }
    return files;
}

/* ---- renewing ---- */

struct admission_known gateway_known(struct gateway *gateway)
{
    struct admission_known known = {0};

    if (gateway->resolver != NULL) {
        known.names = resolver_names(gateway->resolver, &known.name_count);
    }
    if (gateway->tunnels != NULL) {
        tunnel_view_known(tunnel_reader_view(gateway->tunnels), &known);
    }
    return known;
}

static struct snapshot *renewed_snapshot(struct gateway *gateway)
{
    struct admission_known known = gateway_known(gateway);
    struct problems problems;
    struct snapshot *snapshot;
    char error[512] = "";

    problems_init(&problems);
    snapshot = snapshot_renew(gateway->snapshot, &known, time(NULL), &problems, error);
    if (snapshot == NULL) {
        gateway_no_snapshot(gateway->shared->config, &problems, error);
    }
    gateway_log_problems(&problems);
    problems_free(&problems);
    if (snapshot != NULL && ingress_apply(gateway->ingress, snapshot) != 0) {
        snapshot_release(&snapshot);
    }
    return snapshot;
}

static bool renew_snapshot(struct gateway *gateway)
{
    uint64_t crls = gateway_files(gateway->shared->config).crls;
    struct snapshot *snapshot = renewed_snapshot(gateway);

    gateway_renewal_worked(gateway, snapshot != NULL);
    if (snapshot == NULL) {
        LOG_EVENT(LOG_LEVEL_ERROR, "renewal-failed",
                  LOG_STRING("consequence", "revocations and addresses stay as they were; tried "
                                            "again every minute"));
        return false;
    }
    snapshot_release(&gateway->snapshot);
    gateway->snapshot = snapshot;
    gateway->files.crls = crls;
    return true;
}

bool gateway_names_changed(void *context)
{
    return renew_snapshot(context);
}

/* No file is read for it: a tunnel that goes down may not wait for a CRL that can't be. */
bool gateway_tunnels_changed(void *context)
{
    struct gateway *gateway = context;
    struct admission_known known = gateway_known(gateway);
    char error[512] = "";
    struct snapshot *snapshot = snapshot_with(gateway->snapshot, &known, error);

    if (snapshot == NULL || ingress_apply(gateway->ingress, snapshot) != 0) {
        snapshot_release(&snapshot);
        LOG_EVENT(LOG_LEVEL_ERROR, "tunnels-not-applied",
                  LOG_STRING("words", snapshot == NULL && error[0] != '\0'
                                          ? error
                                          : "memory is out: tried again within a second"));
        return false;
    }
    snapshot_release(&gateway->snapshot);
    gateway->snapshot = snapshot;
    return true;
}

void gateway_tunnels_heard(void *context, int64_t heard_ms)
{
    struct gateway *gateway = context;

    ingress_heard(gateway->ingress, heard_ms);
}

/* ---- looks ---- */

static void plan(struct gateway *gateway, struct timer *timer, int64_t wait_ms)
{
    struct loop *loop = admin_loop(gateway->admin);

    if (timers_start(loop_timers(loop), timer, loop_now_ms(loop) + wait_ms) != 0) {
        LOG_EVENT(LOG_LEVEL_ERROR, "timer-failed", LOG_STRING("words", "memory is out"));
    }
}

static void decide_again(struct timer *timer)
{
    struct gateway *gateway = LIST_ENTRY(timer, struct gateway, decide_again);

    (void)!ingress_apply(gateway->ingress, gateway->snapshot);
    plan(gateway, timer, gateway->shared->config->gateway.decide_again_s * 1000);
}

/* Who is revoked must not wait for somebody to think of a reload. */
static bool look_at_crls(struct gateway *gateway, const struct gateway_files *seen)
{
    if (seen->crls == gateway->files.crls) {
        return true;
    }
    if (!renew_snapshot(gateway)) {
        return false;
    }
    LOG_EVENT(LOG_LEVEL_INFO, "crl-changed",
              LOG_STRING("words", "read again; open connections are decided again"));
    return true;
}

/* What was refused is not tried again at each look, but when it has changed again: a certificate and its
 * key come one after the other. */
static bool may_try(struct gateway *gateway, uint64_t certificates)
{
    int64_t now_ms = loop_now_ms(admin_loop(gateway->admin));

    if (certificates == gateway->refused_certificates && now_ms < gateway->try_again_ms) {
        return false;
    }
    gateway->refused_certificates = certificates;
    gateway->try_again_ms = now_ms + LOOK_AFTER_FAILURE_MS;
    return true;
}

static void look_at_certificates(struct gateway *gateway, const struct gateway_files *seen)
{
    if (!gateway->shared->config->gateway.watch_files ||
        seen->certificates == gateway->files.certificates ||
        !may_try(gateway, seen->certificates) || gateway_read_certificates_again(gateway) != 0) {
        return;
    }
    gateway->files = *seen;
    LOG_EVENT(LOG_LEVEL_INFO, "certificates-changed",
              LOG_STRING("words", "read again; open connections are decided again"));
}

static void look_at_files(struct timer *timer)
{
    struct gateway *gateway = LIST_ENTRY(timer, struct gateway, look_at_files);
    struct gateway_files seen = gateway_files(gateway->shared->config);

    look_at_certificates(gateway, &seen);
    plan(gateway, timer, look_at_crls(gateway, &seen) ? LOOK_AT_FILES_MS : LOOK_AFTER_FAILURE_MS);
}

void gateway_plan_looks(struct gateway *gateway)
{
    gateway->decide_again.fire = decide_again;
    gateway->look_at_files.fire = look_at_files;
    plan(gateway, &gateway->decide_again, gateway->shared->config->gateway.decide_again_s * 1000);
    plan(gateway, &gateway->look_at_files, LOOK_AT_FILES_MS);
}
