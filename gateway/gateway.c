#include "gateway.h"

#include "base/log.h"
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- the configuration ---- */

static struct config *load_config(const struct gateway_options *options)
{
    struct problems problems;
    struct config *config;

    problems_init(&problems);
    config = config_load_to_look_at(options->config_file, options->directory, &problems);
    if (config != NULL) {
        config_check_files(config, &problems);
    }
    problems_print(&problems, stderr);
    if (problems.errors > 0) {
        config_free(&config);
    }
    problems_free(&problems);
    return config;
}

static struct snapshot *load_snapshot(struct shared_config *shared)
{
    struct problems problems;
    struct snapshot *snapshot;
    char error[512] = "";

    problems_init(&problems);
    snapshot = snapshot_new(shared, NULL, time(NULL), &problems, error);
    problems_print(&problems, stderr);
    if (snapshot == NULL && problems.errors == 0) {
        fprintf(stderr, "mllp-gateway: %s\n", error);
    }
    problems_free(&problems);
    return snapshot;
}

int gateway_check(const struct gateway_options *options)
{
    struct config *config = load_config(options);
    struct shared_config *shared = config == NULL ? NULL : shared_config_new(config);
    struct snapshot *snapshot = shared == NULL ? NULL : load_snapshot(shared);
    int result = snapshot == NULL ? -EINVAL : 0;

    snapshot_release(&snapshot);
    shared_config_release(&shared);
    return result;
}

/* ---- making the parts ---- */

static int make_basics(struct gateway *gateway)
{
    gateway->metrics = metrics_new();
    gateway->limits = limits_new();
    gateway->sequences = sequences_new();
    gateway->main_loop = loop_new("main");
    gateway->delivery = loop_new("delivery");
    return gateway->metrics == NULL || gateway->limits == NULL || gateway->sequences == NULL ||
                   gateway->main_loop == NULL || gateway->delivery == NULL
               ? -ENOMEM
               : 0;
}

int gateway_open_backend(const struct config *config, struct spool_backend **ret_backend,
                         char ret_error[512])
{
    struct spool_backend_settings settings = {
        .path = config->spool.path,
        .key_file = config->spool.key_file,
        .maximum_bytes = config->spool.maximum_bytes,
        .reserve_bytes = config->spool.reserve_bytes,
        .retain_ms = config->spool.retain_s * 1000,
        .window_ms = config->spool.retransmission_window_s * 1000,
    };
    int64_t now = clock_wall_ms(clock_system());

    return config->spool.type == CONFIG_SPOOL_SQLITE
               ? spool_sqlite_open(&settings, now, ret_backend, ret_error)
               : spool_memory_open(&settings, now, ret_backend, ret_error);
}

static int open_spool(struct gateway *gateway, char ret_error[512])
{
    const struct config *config = gateway->shared->config;
    struct spool_settings settings = {config->spool.group_rows, config->spool.group_wait_us};
    struct spool_backend *backend = NULL;
    int error = gateway_open_backend(config, &backend, ret_error);

    if (error != 0) {
        return error;
    }
    gateway->spool = spool_new(backend, &settings, clock_system(), gateway->metrics);
    if (gateway->spool == NULL) {
        snprintf(ret_error, 512, "out of memory");
        return -ENOMEM;
    }
    return 0;
}

static unsigned worker_count(const struct config *config)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (config->gateway.workers > 0) {
        return (unsigned)config->gateway.workers;
    }
    return cores < 1 ? 1 : (unsigned)cores;
}

static int make_ingress(struct gateway *gateway, char ret_error[512])
{
    struct ingress_settings settings = {
        .workers = worker_count(gateway->shared->config),
        .metrics = gateway->metrics,
        .limits = gateway->limits,
        .sequences = gateway->sequences,
    };

    gateway->ingress = ingress_new(&settings, gateway->snapshot, ret_error);
    return gateway->ingress == NULL ? -EINVAL : 0;
}

static int make_admin(struct gateway *gateway, char ret_error[512])
{
    const struct config *config = gateway->started->config;
    struct admin_gateway functions = {
        .context = gateway,
        .metrics = gateway->metrics,
        .spool = gateway->spool,
        .name = config->gateway.name,
        .version = MLLPGW_VERSION,
        .ready = gateway_ready,
        .reload = gateway_reload,
        .has_route = gateway_has_route,
        .drain = gateway_drain,
        .status = gateway_status,
        .connections = gateway_connections,
        .tunnels = gateway_tunnels,
    };
    struct admin_settings settings = {
        .http_address = config->admin.address,
        .control_socket = config->gateway.control_socket,
        .control_group = config->gateway.control_group,
        .operator_group = config->gateway.operator_group,
    };

    gateway->admin = admin_new(&functions, &settings, ret_error);
    return gateway->admin == NULL ? -EINVAL : 0;
}

static void settle_entry(void *spool, struct spool_entry *entry)
{
    spool_settle(spool, entry);
}

/* What can't be made is the store's to report, with every attempt. */
static void make_store_directories(const struct gateway *gateway)
{
    const struct config *config = gateway->shared->config;

    for (size_t i = 0; i < config->store_count; i++) {
        if (config->stores[i].type == CONFIG_STORE_DIRECTORY) {
            (void)!process_make_directory(config->stores[i].path, &gateway->user);
        }
    }
}

static int make_routes(struct gateway *gateway, char ret_error[512])
{
    struct router_context context = {
        .timers = loop_timers(gateway->delivery),
        .clock = loop_clock(gateway->delivery),
        .metrics = gateway->metrics,
        .settle = settle_entry,
        .spool = gateway->spool,
        .store_new = store_new,
    };

    make_store_directories(gateway);
    snprintf(ret_error, 512, "out of memory");
    gateway->offload = offload_new();
    gateway->http = http_client_new(gateway->delivery);
    if (gateway->offload == NULL || gateway->http == NULL) {
        return -ENOMEM;
    }
    context.store_context = (struct store_context){gateway->delivery, gateway->offload,
                                                   gateway->http, gateway->metrics};
    gateway->router = router_new(&context);
    if (gateway->router == NULL) {
        return -ENOMEM;
    }
    gateway->routed = shared_config_reference(gateway->shared);
    return router_apply(gateway->router, gateway->shared->config, ret_error);
}

/* The keys were read as whoever started us. A reload reads them as the user that we are now: find
 * out today, not in the night when a certificate is renewed. */
static int load_again_as_user(struct gateway *gateway)
{
    struct snapshot *snapshot = load_snapshot(gateway->shared);

    if (snapshot == NULL) {
        fprintf(stderr,
                "mllp-gateway: as user %s the files above can't be read: make them "
                "readable for it (group and mode 0640)\n",
                gateway->user.name);
        return -EACCES;
    }
    snapshot_release(&gateway->snapshot);
    gateway->snapshot = snapshot;
    return 0;
}

/* Everything that may need root comes before process_become(), everything else after it. */
static int open_as_root(struct gateway *gateway, char ret_error[512])
{
    const struct config_gateway *config = &gateway->shared->config->gateway;
    int error = process_find_user(config->user, config->group, &gateway->user, ret_error);

    if (error == 0) {
        error = process_lock_state(config->state_directory, &gateway->user, &gateway->lock_fd,
                                   ret_error);
    }
    return error;
}

static int become_user(struct gateway *gateway, char ret_error[512])
{
    int error = process_become(&gateway->user, ret_error);

    if (error == 0 && gateway->user.name != NULL) {
        ret_error[0] = '\0'; /* what is wrong has been printed already */
        error = load_again_as_user(gateway);
    }
    return error;
}

/* The spool's files are the user's, so they are made after the change. */
static int make_parts(struct gateway *gateway, char ret_error[512])
{
    int error = open_as_root(gateway, ret_error);

    if (error == 0) {
        error = make_ingress(gateway, ret_error);
    }
    if (error == 0) {
        error = become_user(gateway, ret_error);
    }
    if (error == 0) {
        error = open_spool(gateway, ret_error);
    }
    if (error == 0) {
        error = make_admin(gateway, ret_error);
    }
    if (error == 0) {
        error = make_routes(gateway, ret_error);
    }
    return error;
}

struct gateway *gateway_new(const struct gateway_options *options)
{
    struct gateway *gateway = calloc(1, sizeof(*gateway));
    struct config *config = load_config(options);
    char error[512] = "out of memory";

    if (gateway == NULL || config == NULL) {
        config_free(&config);
        free(gateway);
        return NULL;
    }
    gateway->options = *options;
    gateway->lock_fd = -1;
    list_init(&gateway->inquiries);
    gateway->started_wall_ms = clock_wall_ms(clock_system());
    gateway->shared = shared_config_new(config);
    gateway->started = gateway->shared == NULL ? NULL : shared_config_reference(gateway->shared);
    if (gateway->shared == NULL || tls_global_init() != 0 || http_global_init() != 0 ||
        make_basics(gateway) != 0) {
        fprintf(stderr, "mllp-gateway: %s\n", error);
        gateway_free(&gateway);
        return NULL;
    }
    gateway->files = gateway_files(gateway->shared->config);
    gateway->snapshot = load_snapshot(gateway->shared);
    if (gateway->snapshot == NULL || make_parts(gateway, error) != 0) {
        if (gateway->snapshot != NULL && error[0] != '\0') {
            fprintf(stderr, "mllp-gateway: %s\n", error);
        }
        gateway_free(&gateway);
        return NULL;
    }
    return gateway;
}

/* ---- taking down ---- */

static void free_delivery_parts(void *context)
{
    struct gateway *gateway = context;

    router_free(&gateway->router);
    http_client_free(&gateway->http);
}

static void stop_looking(void *context)
{
    struct gateway *gateway = context;

    timers_stop(loop_timers(admin_loop(gateway->admin)), &gateway->decide_again);
    timers_stop(loop_timers(admin_loop(gateway->admin)), &gateway->look_at_files);
    tunnel_reader_free(&gateway->tunnels);
    resolver_free(&gateway->resolver);
}

static void nothing(struct spool *spool, struct spool_backend *backend, void *context)
{
    (void)spool;
    (void)backend;
    (void)context;
}

/* Nobody may post to a mailbox that has gone: first those who ask end, then those who answer. */
void gateway_free(struct gateway **pointer)
{
    struct gateway *gateway = *pointer;

    if (gateway == NULL) {
        return;
    }
    if (gateway->admin_runs) {
        gateway_call(admin_loop(gateway->admin), stop_looking, gateway);
        loop_stop(admin_loop(gateway->admin));
        loop_join(admin_loop(gateway->admin));
    }
    if (gateway->ingress != NULL) {
        ingress_stop(gateway->ingress);
    }
    if (gateway->delivery_runs) {
        /* What was handed out before is in the mailbox in front of the next call; what is handed out
         * behind it (a lane's pause that ends just now) would find no router. */
        spool_set_sink(gateway->spool, NULL);
        gateway_call(gateway->delivery, free_delivery_parts, gateway);
        gateway_call_spool(gateway, nothing, NULL); /* what the router gave back has arrived */
        loop_stop(gateway->delivery);
        loop_join(gateway->delivery);
    } else {
        free_delivery_parts(gateway);
    }
    spool_free(&gateway->spool);
    offload_free(&gateway->offload);
    offload_free(&gateway->lookups);
    ingress_free(&gateway->ingress); /* whose workers may still have something for admin */
    admin_free(&gateway->admin);
    if (gateway->delivery != NULL) {
        mailbox_drain(loop_mailbox(gateway->delivery));
    }
    loop_free(&gateway->delivery);
    if (gateway->main_loop != NULL) {
        mailbox_drain(loop_mailbox(gateway->main_loop)); /* drained when nobody waited any more */
    }
    loop_free(&gateway->main_loop);
    snapshot_release(&gateway->snapshot);
    shared_config_release(&gateway->routed);
    shared_config_release(&gateway->started);
    shared_config_release(&gateway->shared);
    sequences_free(&gateway->sequences);
    limits_free(&gateway->limits);
    metrics_free(gateway->metrics);
    if (gateway->lock_fd >= 0) {
        close(gateway->lock_fd);
    }
    free(gateway);
    *pointer = NULL;
}
