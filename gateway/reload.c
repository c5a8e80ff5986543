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

#define DECIDE_AGAIN_MS (INT64_C(3600) * 1000)
#define LOOK_AT_CRLS_MS (INT64_C(10) * 1000)
#define LOOK_AFTER_FAILURE_MS (INT64_C(60) * 1000)
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
    for (size_t i = 0; i < snapshot->listener_count; i++) {
        const struct snapshot_listener *listener = &snapshot->listeners[i];
        if (listener->tls != NULL) {
            const char *name = listener->config->name;
            metric_set(metrics_slot(gateway->metrics, &expiry_family, &name),
                       bundle_expires_s(tls_server_bundle(listener->tls)));
        }
    }
}

/* ---- revocation lists ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    return hash ^ (hash >> 32);
}

/* What tells that a CRL's file is another one. A file that isn't there counts as such. */
uint64_t gateway_crls(const struct config *config)
{
    uint64_t hash = 1;

    for (size_t i = 0; i < config->tls_count; i++) {
        struct stat status;
        if (config->tls[i].crl == NULL || stat(config->tls[i].crl, &status) != 0) {
            hash = mix(hash, i);
            continue;
        }
        hash = mix(hash, (uint64_t)status.st_dev);
        hash = mix(hash, (uint64_t)status.st_ino);
        hash = mix(hash, (uint64_t)status.st_size);
        hash = mix(hash, (uint64_t)status.st_mtim.tv_sec);
        hash = mix(hash, (uint64_t)status.st_mtim.tv_nsec);
    }
    return hash;
}

/* ---- rows that nobody would deliver ---- */

/* On the heap: the spool's thread may come to it after the reload has given up. */
struct route_rows {
    struct route_row {
        char *route;
        uint64_t rows;
    } * items;
    size_t count;
};

static void free_rows(void *context)
{
    struct route_rows *all = context;

    for (size_t i = 0; i < all->count; i++) {
        free(all->items[i].route);
    }
    free(all->items);
    free(all);
}

static void count_rows(struct route_rows *all, const char *route, uint64_t rows)
{
    struct route_row *grown;

    for (size_t i = 0; i < all->count; i++) {
        if (strcmp(all->items[i].route, route) == 0) {
            all->items[i].rows += rows;
            return;
        }
    }
    grown = realloc(all->items, (all->count + 1) * sizeof(*grown));
    if (grown == NULL) {
        return;
    }
    all->items = grown;
    grown[all->count].route = strdup(route);
    grown[all->count].rows = rows;
    all->count += grown[all->count].route != NULL;
}

static void look_at_lane(void *context, const char *route, const char *lane,
                         const struct spool_lane_statistics *statistics)
{
    uint64_t rows = statistics->queued + statistics->dead;

    (void)lane;
    if (rows > 0) {
        count_rows(context, route, rows);
    }
}

static void look_at_lanes(struct spool *spool, struct spool_backend *backend, void *context)
{
    (void)spool;
    if (spool_backend_lanes(backend, look_at_lane, context) < 0) {
        count_rows(context, "(the spool can't be read)", 1);
    }
}

static size_t report_orphans(const struct route_rows *all, const struct config *config,
                             struct problems *problems, enum problem_severity severity)
{
    size_t orphans = 0;

    for (size_t i = 0; i < all->count; i++) {
        const char *route = all->items[i].route;
        if (config_find_route(config, route) != NULL) {
            continue;
        }
        problems_add(problems, severity, (struct place){config->file, 0}, "routes",
                     "%llu messages of route \"%s\" are in the spool and no such route is "
                     "configured: mllpctl queue move %s TO, or mllpctl queue discard --route %s",
                     (unsigned long long)all->items[i].rows, route, route, route);
        orphans++;
    }
    return orphans;
}

size_t gateway_find_orphans(struct gateway *gateway, const struct config *config,
                            struct problems *problems, enum problem_severity severity)
{
    struct route_rows *all = calloc(1, sizeof(*all));
    int error = all == NULL ? -ENOMEM : gateway_ask_spool(gateway, look_at_lanes, all, free_rows);
    size_t orphans = 0;

    if (error != 0) {
        problems_add(problems, severity, (struct place){config->file, 0}, "spool",
                     "%s: whether it holds messages of routes that are not configured is not known",
                     error == -ETIMEDOUT ? "the spool has not answered (a disk that hangs?)"
                                         : "memory is out");
    } else {
        orphans = report_orphans(all, config, problems, severity);
    }
    if (all != NULL && error != -ETIMEDOUT) {
        free_rows(all);
    }
    return orphans;
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
    gateway_find_orphans(gateway, wanted, problems, PROBLEM_ERROR);
    if (problems->errors > 0) {
        config_free(&wanted);
    }
    return wanted;
}

/* shared NULL: the configuration in force, with the CRLs and names as they are now. */
static struct snapshot *make_snapshot(struct gateway *gateway, struct shared_config *shared,
                                      struct problems *problems)
{
    size_t count = 0;
    const struct admission_name *names =
        gateway->resolver == NULL ? NULL : resolver_names(gateway->resolver, &count);
    const struct config *config = (shared == NULL ? gateway->shared : shared)->config;
    char error[512] = "";
    struct snapshot *snapshot =
        shared == NULL
            ? snapshot_renew(gateway->snapshot, names, count, time(NULL), problems, error)
            : snapshot_new(shared, names, count, time(NULL), problems, error);

    if (snapshot == NULL && problems->errors == 0) {
        problems_add(problems, PROBLEM_ERROR, (struct place){config->file, 0}, NULL, "%s", error);
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
    gateway_find_orphans(gateway, wanted, problems, PROBLEM_WARNING);
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
    uint64_t crls = 0;
    int error = -EINVAL;

    if (wanted != NULL && shared == NULL) {
        config_free(&wanted);
    }
    if (shared != NULL) {
        crls = gateway_crls(shared->config);
        snapshot = make_snapshot(gateway, shared, problems);
    }
    if (snapshot != NULL) {
        error = swap(gateway, shared, snapshot, problems);
    }
    if (error == 0) {
        gateway->crls = crls;
    }
    snapshot_release(&snapshot);
    shared_config_release(&shared);
    return error;
}

static void log_problems(const struct problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *problem = &problems->items[i];
        LOG_EVENT(problem->severity == PROBLEM_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
                  "configuration-problem", LOG_STRING("file", problem->file),
                  LOG_INTEGER("line", problem->line), LOG_STRING("setting", problem->setting),
                  LOG_STRING("words", problem->text));
    }
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
    log_problems(problems);
    metric_add(metrics_slot(gateway->metrics, &reload_family, &result), 1);
    LOG_EVENT(error == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "reload", LOG_STRING("result", result),
              LOG_INTEGER("changed", *ret_changed),
              LOG_STRING("words", error == 0 ? NULL : "the old configuration stays in use"));
    process_notify("READY=1");
    return error;
}

/* ---- DNS, CRLs, and the hourly look ---- */

static bool renew_snapshot(struct gateway *gateway)
{
    uint64_t crls = gateway_crls(gateway->shared->config);
    struct problems problems;
    struct snapshot *snapshot;

    problems_init(&problems);
    snapshot = make_snapshot(gateway, NULL, &problems);
    log_problems(&problems);
    problems_free(&problems);
    if (snapshot == NULL || ingress_apply(gateway->ingress, snapshot) != 0) {
        snapshot_release(&snapshot);
        return false; /* said in the problems; tried again soon */
    }
    snapshot_release(&gateway->snapshot);
    gateway->snapshot = snapshot;
    gateway->crls = crls;
    return true;
}

bool gateway_names_changed(void *context)
{
    return renew_snapshot(context);
}

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
    plan(gateway, timer, DECIDE_AGAIN_MS);
}

/* Who is revoked must not wait for somebody to think of a reload. */
static void look_at_crls(struct timer *timer)
{
    struct gateway *gateway = LIST_ENTRY(timer, struct gateway, look_at_crls);

    bool changed = gateway_crls(gateway->shared->config) != gateway->crls;
    bool renewed = changed && renew_snapshot(gateway);

    if (renewed) {
        LOG_EVENT(LOG_LEVEL_INFO, "crl-changed",
                  LOG_STRING("words", "read again; open connections are decided again"));
    }
    plan(gateway, timer, changed && !renewed ? LOOK_AFTER_FAILURE_MS : LOOK_AT_CRLS_MS);
}

void gateway_plan_looks(struct gateway *gateway)
{
    gateway->decide_again.fire = decide_again;
    gateway->look_at_crls.fire = look_at_crls;
    plan(gateway, &gateway->decide_again, DECIDE_AGAIN_MS);
    plan(gateway, &gateway->look_at_crls, LOOK_AT_CRLS_MS);
}
