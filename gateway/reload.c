/* Reload: validate everything, then swap, or keep the old and say why. On the admin thread. */
#include "base/clock.h"
#include "base/log.h"
#include "internal.h"

#include "hl7/sequence.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define WORKERS_WAIT_MS (INT64_C(10) * 1000) /* a worker comes to its mail within milliseconds */

static const struct metric_family expiry_family = {
    .name = "mllpgw_certificate_expires_timestamp_seconds",
    .help = "When the first certificate of a listener's chain runs out, seconds since 1970.",
    .kind = METRIC_GAUGE,
    .labels = {"listener"},
};
static const struct metric_family reload_family = {
    .name = "mllpgw_reloads_total",
    .help = "Reloads, by result.",
    .kind = METRIC_COUNTER,
    .labels = {"result"},
};
static const struct metric_family build_family = {
    .name = "mllpgw_build_info",
    .help = "Always 1; the version is the label.",
    .kind = METRIC_GAUGE,
    .labels = {"version"},
};

void gateway_settle_in(struct gateway *gateway, const struct snapshot *snapshot)
{
    const struct config_gateway *config = &snapshot->config->gateway;
    const char *version = MLLPGW_VERSION;

    atomic_store(&gateway->drain_deadline_ms, config->drain_deadline_ms);
    log_configure((enum log_level)config->log_level, (enum log_format)config->log_format);
    metric_set(metrics_slot(gateway->metrics, &build_family, &version), 1);
    gateway_renewal_worked(gateway, true);
    for (size_t i = 0; i < snapshot->listener_count; i++) {
        const struct snapshot_listener *listener = &snapshot->listeners[i];
        if (listener->tls != NULL) {
            const char *name = listener->config->name;
            metric_set(metrics_slot(gateway->metrics, &expiry_family, &name),
                       bundle_expires_s(tls_server_bundle(listener->tls)));
        }
    }
}

/* ---- sequence numbers ---- */

/* On the heap, as struct route_rows. */
struct sequence_load {
    struct gateway *gateway;
    struct shared_config *shared;
};

static void free_sequence_load(void *context)
{
    struct sequence_load *load = context;

    shared_config_release(&load->shared);
    free(load);
}

static void load_sequence(struct gateway *gateway, struct spool_backend *backend,
                          const char *listener, const char *peer)
{
    char *key = sequences_key(listener, peer);
    long last = SEQUENCE_NONE;

    if (key == NULL || spool_backend_sequence_get(backend, key, &last) != 0 ||
        sequences_set(gateway->sequences, listener, peer, last) != 0) {
        LOG_EVENT(LOG_LEVEL_ERROR, "sequence-not-read", LOG_STRING("listener", listener),
                  LOG_STRING("peer", peer));
    }
    free(key);
}

static void load_sequences(struct spool *spool, struct spool_backend *backend, void *context)
{
    struct sequence_load *load = context;
    const struct config *config = load->shared->config;

    (void)spool;
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        for (size_t p = 0; listener->sequence_numbers && p < listener->peers.count; p++) {
            load_sequence(load->gateway, backend, listener->name, listener->peers.items[p]);
        }
    }
}

static bool wants_sequences(const struct config *config)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        if (config->listeners[i].sequence_numbers) {
            return true;
        }
    }
    return false;
}

/* What the spool is asked too late it does before it commits anything that comes later. */
void gateway_load_sequences(struct gateway *gateway, struct shared_config *shared)
{
    struct sequence_load *load;
    int error = -ENOMEM;

    if (!wants_sequences(shared->config)) {
        return;
    }
    load = malloc(sizeof(*load));
    if (load != NULL) {
        *load = (struct sequence_load){gateway, shared_config_reference(shared)};
        error = gateway_ask_spool(gateway, load_sequences, load, free_sequence_load);
    }
    if (error != 0) {
        LOG_EVENT(LOG_LEVEL_ERROR, "sequences-not-read",
                  LOG_STRING("words", error == -ETIMEDOUT ? "the spool has not answered yet"
                                                          : "memory is out"));
    }
    if (load != NULL && error != -ETIMEDOUT) {
        free_sequence_load(load);
    }
}

/* ---- the reload ---- */

struct route_swap {
    struct gateway *gateway;
    const struct config *config;
    char error[512];
    int result;
};

static void apply_routes(void *context)
{
    struct route_swap *swap = context;
    swap->result = router_apply(swap->gateway->router, swap->config, swap->error);
}

static struct config *validate(struct gateway *gateway, struct problems *problems,
                               size_t *ret_changed)
{
    struct config *wanted =
        config_load(gateway->options.config_file, gateway->options.directory, problems);

    if (wanted == NULL) {
        return NULL;
    }
    config_check_files(wanted, problems);
    (void)!config_diff(gateway->shared->config, wanted, problems, ret_changed);
    gateway_check_queued(gateway, gateway->shared->config, wanted, problems, PROBLEM_ERROR);
    if (problems->errors > 0) {
        config_free(&wanted);
    }
    return wanted;
}

/* A sentence is no problem yet where the parts have said what is wrong. */
void gateway_no_snapshot(const struct config *config, struct problems *problems, const char *error)
{
    if (problems->errors == 0) {
        problems_add(problems, PROBLEM_ERROR, (struct place){config->file, 0}, NULL, "%s", error);
    }
}

/* Of the tunnels as they will be. False: memory is out. */
static bool know_tunnels(struct gateway *gateway, const struct config *wanted,
                         struct admission_known *known)
{
    const struct tunnel_view *view =
        gateway->tunnels == NULL ? NULL : tunnel_reader_prepare(gateway->tunnels, wanted);

    if (view != NULL) {
        tunnel_view_known(view, known);
    }
    return view != NULL || gateway->tunnels == NULL;
}

static struct snapshot *make_snapshot(struct gateway *gateway, struct shared_config *shared,
                                      struct problems *problems)
{
    struct admission_known known = gateway_known(gateway);
    char error[512] = "memory is out";
    struct snapshot *snapshot = NULL;

    if (know_tunnels(gateway, shared->config, &known)) {
        snapshot = snapshot_new(shared, &known, time(NULL), problems, error);
    }
    if (snapshot == NULL) {
        gateway_no_snapshot(shared->config, problems, error);
    }
    return snapshot;
}

static void open_routes(struct gateway *gateway, const struct config *wanted)
{
    for (size_t i = 0; i < wanted->route_count; i++) {
        spool_route_open(gateway->spool, wanted->routes[i].name);
    }
}

static void close_routes(struct gateway *gateway, const struct config *old,
                         const struct config *wanted)
{
    for (size_t i = 0; i < old->route_count; i++) {
        if (config_find_route(wanted, old->routes[i].name) == NULL) {
            spool_route_close(gateway->spool, old->routes[i].name);
        }
    }
}

/* Removed routes are looked at when nobody can put anything for them any more. What came since the
 * look before the swap is not lost, but for an operator to move. */
static void end_routes(struct gateway *gateway, int applied, const struct config *wanted,
                       struct problems *problems)
{
    size_t first;

    if (applied == -ETIMEDOUT) {
        problems_add(problems, PROBLEM_WARNING, (struct place){wanted->file, 0}, "listeners",
                     "a worker has not taken over the new settings yet: look for messages of "
                     "removed routes with mllpctl queue");
    }
    first = problems->count;
    gateway_check_queued(gateway, wanted, wanted, problems, PROBLEM_WARNING);
    /* Once more, as an error: the log may leave out a warning that comes after many. */
    for (size_t i = first; i < problems->count; i++) {
        LOG_EVENT(LOG_LEVEL_ERROR, "messages-without-route",
                  LOG_STRING("words", problems->items[i].text));
    }
    close_routes(gateway, gateway->shared->config, wanted);
}

static void configure_spool(struct gateway *gateway, const struct config *config)
{
    struct spool_backend_settings settings = {
        .path = config->spool.path,
        .key_file = config->spool.key_file,
        .maximum_bytes = config->spool.maximum_bytes,
        .retain_ms = config->spool.retain_s * 1000,
        .window_ms = config->spool.retransmission_window_s * 1000,
    };
    spool_configure(gateway->spool, &settings);
}

/* Nothing below may fail but the first two: from then on the new configuration holds. */
static int swap(struct gateway *gateway, struct shared_config *shared, struct snapshot *snapshot,
                struct problems *problems)
{
    struct route_swap routes = {.gateway = gateway, .config = shared->config};
    struct place place = {shared->config->file, 0};
    int applied;

    gateway_call(gateway->delivery, apply_routes, &routes);
    if (routes.result != 0) {
        problems_add(problems, PROBLEM_ERROR, place, "stores", "%s", routes.error);
        return routes.result;
    }
    open_routes(gateway, shared->config);
    shared_config_release(&gateway->routed);
    gateway->routed = shared_config_reference(shared);
    applied = ingress_apply_and_wait(gateway->ingress, snapshot, WORKERS_WAIT_MS);
    if (applied == -ENOMEM) {
        problems_add(problems, PROBLEM_ERROR, place, "listeners",
                     "memory is out: the listeners keep the old settings; reload again");
        return -ENOMEM;
    }
    end_routes(gateway, applied, shared->config, problems);
    configure_spool(gateway, shared->config);
    gateway_load_sequences(gateway, shared);
    shared_config_release(&gateway->shared);
    gateway->shared = shared_config_reference(shared);
    snapshot_release(&gateway->snapshot);
    gateway->snapshot = snapshot_reference(snapshot);
    gateway_settle_in(gateway, snapshot);
    if (gateway->tunnels != NULL) { /* first: nobody may renew the rules by the old ones' state */
        tunnel_reader_use(gateway->tunnels, shared->config);
    }
    if (gateway->resolver != NULL) {
        resolver_use(gateway->resolver, shared->config);
    }
    return 0;
}

static int validate_and_swap(struct gateway *gateway, struct problems *problems,
                             size_t *ret_changed)
{
    struct config *wanted = validate(gateway, problems, ret_changed);
    struct shared_config *shared = wanted == NULL ? NULL : shared_config_new(wanted);
    struct snapshot *snapshot = NULL;
    struct gateway_files files = {0};
    int error = -EINVAL;

    if (wanted != NULL && shared == NULL) {
        config_free(&wanted);
    }
    if (shared != NULL) {
        files = gateway_files(shared->config);
        snapshot = make_snapshot(gateway, shared, problems);
    }
    if (snapshot != NULL) {
        error = swap(gateway, shared, snapshot, problems);
    }
    if (error == 0) {
        gateway->files = files;
        gateway_plan_looks(gateway); /* all has just been decided; and the pace may have changed */
    } else if (gateway->tunnels != NULL) {
        tunnel_reader_forget(gateway->tunnels);
    }
    snapshot_release(&snapshot);
    shared_config_release(&shared);
    return error;
}

void gateway_log_problems(const struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *problem = &problems->items[i];
        LOG_EVENT(problem->severity == PROBLEM_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
                  "configuration-problem", LOG_STRING("file", problem->file),
                  LOG_INTEGER("line", problem->line), LOG_STRING("setting", problem->setting),
                  LOG_STRING("words", problem->text));
    }
}

static struct snapshot *snapshot_of_files(struct gateway *gateway, struct problems *problems)
{
    struct snapshot *snapshot = NULL;

    config_check_files(gateway->shared->config, problems);
    if (problems->errors == 0) {
        snapshot = make_snapshot(gateway, gateway->shared, problems);
    }
    if (snapshot != NULL && ingress_apply(gateway->ingress, snapshot) != 0) {
        snapshot_release(&snapshot);
    }
    return snapshot;
}

int gateway_read_certificates_again(struct gateway *gateway)
{
    struct problems problems;
    struct snapshot *snapshot;

    problems_init(&problems);
    snapshot = snapshot_of_files(gateway, &problems);
    gateway_log_problems(&problems);
    problems_free(&problems);
    gateway_renewal_worked(gateway, snapshot != NULL);
    if (snapshot == NULL) {
        LOG_EVENT(LOG_LEVEL_ERROR, "certificates-not-taken",
                  LOG_STRING("words", "the old ones stay in use; tried again every minute"));
        return -EINVAL;
    }
    snapshot_release(&gateway->snapshot);
    gateway->snapshot = snapshot;
    gateway_settle_in(gateway, snapshot);
    return 0;
}

/* systemd's Type=notify-reload tells by the time which reload this is the answer to. */
static void notify_reloading(void)
{
    char state[64];

    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
             (long long)(clock_monotonic_ns() / 1000));
    process_notify(state);
}

int gateway_reload(void *context, struct problems *problems, size_t *ret_changed)
{
    struct gateway *gateway = context;
    const char *result;
    int error;

    notify_reloading();
    error = validate_and_swap(gateway, problems, ret_changed);
    result = error == 0 ? "done" : "refused";
    gateway_log_problems(problems);
    metric_add(metrics_slot(gateway->metrics, &reload_family, &result), 1);
    LOG_EVENT(error == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "reload", LOG_STRING("result", result),
              LOG_INTEGER("changed", *ret_changed),
              LOG_STRING("words", error == 0 ? NULL : "the old configuration stays in use"));
    process_notify("READY=1");
    return error;
}
