#include "ingress/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shared_config *shared_config_new(struct config *config)
{
    struct shared_config *shared = calloc(1, sizeof(*shared));

    if (shared != NULL) {
        atomic_init(&shared->references, 1);
        shared->config = config;
    }
    return shared;
}

struct shared_config *shared_config_reference(struct shared_config *shared)
{
    atomic_fetch_add(&shared->references, 1);
    return shared;
}

void shared_config_release(struct shared_config **pointer)
{
    struct shared_config *shared = *pointer;

    *pointer = NULL;
    if (shared == NULL || atomic_fetch_sub(&shared->references, 1) != 1) {
        return;
    }
    config_free(&shared->config);
    free(shared);
}

/* ---- certificates ---- */

struct report_context {
    struct problems *problems;
    const struct config_tls *tls;
};

static void report_certificate(void *context, bool error, const char *file, const char *text)
{
    struct report_context *report = context;
    char setting[128];

    snprintf(setting, sizeof(setting), "tls.%s", report->tls->name);
    problems_add(report->problems, error ? PROBLEM_ERROR : PROBLEM_WARNING, report->tls->place,
                 setting, "%s: %s", file, text);
}

/* in_force: renews that one's CRLs; NULL: reads all files. */
static struct tls_server *make_server(const struct config_tls *tls,
                                      const struct tls_server *in_force, int64_t now_s,
                                      struct problems *problems)
{
    struct report_context report = {problems, tls};
    bool asks = tls->client_certificate != CONFIG_CLIENT_CERTIFICATE_OFF;
    struct bundle_files files = {
        .certificate = tls->certificate,
        .key = tls->key,
        .ca = asks ? tls->client_ca : NULL,
        .crl = tls->crl,
        .crl_required = tls->crl_required,
        .profile = (enum bundle_profile)tls->profile,
    };
    struct bundle *bundle =
        in_force == NULL
            ? bundle_load(&files, now_s, report_certificate, &report)
            : bundle_renew(tls_server_bundle(in_force), &files, now_s, report_certificate, &report);
    struct tls_server *server;
    char error[256];

    if (bundle == NULL) {
        return NULL;
    }
    server = tls_server_new(bundle, (enum tls_client)tls->client_certificate, error);
    bundle_release(&bundle);
    if (server == NULL) {
        problems_add(problems, PROBLEM_ERROR, tls->place, tls->name, "%s", error);
    }
    return server;
}

/* Listeners with the same tls section share one server. */
static struct tls_server *find_server(const struct snapshot *snapshot, size_t before,
                                      const char *name)
{
    for (size_t i = 0; i < before; i++) {
        const struct snapshot_listener *listener = &snapshot->listeners[i];
        if (listener->tls != NULL && strcmp(listener->config->tls, name) == 0) {
            return tls_server_reference(listener->tls);
        }
    }
    return NULL;
}

/* How a snapshot is made out of one in force. */
struct making {
    const struct snapshot *in_force; /* NULL: everything is read */
    bool keep_crls;                  /* takes over its TLS servers as they are */
    int64_t now_s;
    struct problems *problems;
};

static struct tls_server *take_server(const struct snapshot *snapshot, const struct making *making,
                                      size_t index)
{
    const char *name = snapshot->listeners[index].config->tls;
    struct tls_server *in_force =
        making->in_force == NULL ? NULL : making->in_force->listeners[index].tls;
    struct tls_server *server;

    if (making->keep_crls) {
        return tls_server_reference(in_force);
    }
    server = find_server(snapshot, index, name);
    return server != NULL ? server
                          : make_server(config_find_tls(snapshot->config, name), in_force,
                                        making->now_s, making->problems);
}

static int make_listener(struct snapshot *snapshot, const struct making *making, size_t index)
{
    struct snapshot_listener *listener = &snapshot->listeners[index];
    const struct config *config = snapshot->config;

    listener->config = &config->listeners[index];
    listener->routes = calloc(config->route_count + 1, sizeof(*listener->routes));
    if (listener->routes == NULL) {
        return -1;
    }
    for (size_t i = 0; i < config->route_count; i++) {
        if (strcmp(config->routes[i].from, listener->config->name) == 0) {
            listener->routes[listener->route_count++] = &config->routes[i];
        }
    }
    listener->demand = config_listener_demand(config, listener->config);
    if (listener->config->tls == NULL) {
        return 0;
    }
    listener->tls = take_server(snapshot, making, index);
    return listener->tls == NULL ? -1 : 0;
}

static struct snapshot *make_snapshot(struct shared_config *shared, const struct making *making,
                                      const struct admission_known *known, char ret_error[512])
{
    struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

    snprintf(ret_error, 512, "out of memory");
    if (snapshot == NULL) {
        return NULL;
    }
    atomic_init(&snapshot->references, 1);
    snapshot->shared = shared_config_reference(shared);
    snapshot->config = shared->config;
    snapshot->listeners = calloc(shared->config->listener_count + 1, sizeof(*snapshot->listeners));
    if (snapshot->listeners == NULL) {
        goto fail;
    }
    for (size_t i = 0; i < shared->config->listener_count; i++) {
        snapshot->listener_count++;
        if (make_listener(snapshot, making, i) != 0) {
            snprintf(ret_error, 512, "the certificates of listener %s can't be used",
                     shared->config->listeners[i].name);
            goto fail;
        }
    }
    snapshot->rules = admission_rules_new(shared->config,
                                          making->in_force == NULL ? NULL : making->in_force->rules,
                                          known, ret_error);
    if (snapshot->rules == NULL) {
        goto fail;
    }
    return snapshot;
fail:
    snapshot_release(&snapshot);
    return NULL;
}

struct snapshot *snapshot_new(struct shared_config *shared, const struct admission_known *known,
                              int64_t now_s, struct problems *problems, char ret_error[512])
{
    const struct making making = {.now_s = now_s, .problems = problems};

    return make_snapshot(shared, &making, known, ret_error);
}

struct snapshot *snapshot_renew(const struct snapshot *in_force,
                                const struct admission_known *known, int64_t now_s,
                                struct problems *problems, char ret_error[512])
{
    const struct making making = {.in_force = in_force, .now_s = now_s, .problems = problems};

    return make_snapshot(in_force->shared, &making, known, ret_error);
}

struct snapshot *snapshot_with(const struct snapshot *in_force, const struct admission_known *known,
                               char ret_error[512])
{
    const struct making making = {.in_force = in_force, .keep_crls = true};

    return make_snapshot(in_force->shared, &making, known, ret_error);
}

struct snapshot *snapshot_reference(struct snapshot *snapshot)
{
    atomic_fetch_add(&snapshot->references, 1);
    return snapshot;
}

void snapshot_release(struct snapshot **pointer)
{
    struct snapshot *snapshot = *pointer;

    *pointer = NULL;
    if (snapshot == NULL || atomic_fetch_sub(&snapshot->references, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < snapshot->listener_count; i++) {
        tls_server_release(&snapshot->listeners[i].tls);
        free(snapshot->listeners[i].routes);
    }
    free(snapshot->listeners);
    admission_rules_release(&snapshot->rules);
    shared_config_release(&snapshot->shared);
    free(snapshot);
}

int snapshot_find_listener(const struct snapshot *snapshot, const char *name)
{
    for (size_t i = 0; i < snapshot->listener_count; i++) {
        if (strcmp(snapshot->listeners[i].config->name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}
