/*
 * snapshot: everything that decides about connections and messages, made from one configuration:
 * immutable, shared by all workers, swapped whole at a reload.
 *
 * Ownership: reference-counted (atomic); it owns the configuration, the rules and the TLS servers.
 * Threads: read-only once made.
 */
#ifndef MLLPGW_INGRESS_SNAPSHOT_H
#define MLLPGW_INGRESS_SNAPSHOT_H

#include "admission/admission.h"
#include "config/config.h"
#include "spool/spool.h"
#include "tls/tls.h"

#include <stdatomic.h>

/* A configuration that several snapshots (DNS refreshes, CRL changes) and the routes share. */
struct shared_config {
    atomic_int references;
    struct config *config;
};
struct shared_config *shared_config_new(struct config *config); /* takes it over; NULL: memory */
struct shared_config *shared_config_reference(struct shared_config *shared);
void shared_config_release(struct shared_config **shared);

struct snapshot_listener {
    const struct config_listener *config;
    struct tls_server *tls; /* NULL: plain */
    const struct config_route **routes;
    size_t route_count;
    struct config_demand demand; /* of the stores that they lead to */
};

struct snapshot {
    atomic_int references;
    struct shared_config *shared;
    const struct config *config;
    struct admission_rules *rules;
    struct snapshot_listener *listeners; /* same order as the configuration's */
    size_t listener_count;
};

/* Loads the certificates. report: everything that is wrong with them. NULL with a sentence. */
struct snapshot *snapshot_new(struct shared_config *shared, const struct admission_known *known,
                              int64_t now_s, struct problems *problems, char ret_error[512]);
/* The same configuration with new addresses of names and with its CRLs read again; certificates, keys, client_ca
 * and peers' ca stay as they were validated, whatever lies in their files now: those come with a
 * reload. */
struct snapshot *snapshot_renew(const struct snapshot *in_force,
                                const struct admission_known *known, int64_t now_s,
                                struct problems *problems, char ret_error[512]);
/* The same configuration and all of its files as they are in force: only what is known besides is new.
 * Nothing but memory can be missing for it. */
struct snapshot *snapshot_with(const struct snapshot *in_force, const struct admission_known *known,
                               char ret_error[512]);
struct snapshot *snapshot_reference(struct snapshot *snapshot);
void snapshot_release(struct snapshot **snapshot);

/* Index of a listener by name, or -1. */
int snapshot_find_listener(const struct snapshot *snapshot, const char *name);

#endif
