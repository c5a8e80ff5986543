/* Shared by gateway.c (making and taking down), start.c, call.c, reload.c, status.c, inquiry.c and
 * drain.c; nobody else includes it. */
#ifndef MLLPGW_INTERNAL_H
#define MLLPGW_INTERNAL_H

#include "admin/admin.h"
#include "egress/store.h"
#include "gateway.h"
#include "http/client.h"
#include "ingress/ingress.h"
#include "process.h"
#include "resolver.h"
#include "route/route.h"
#include "tunnels.h"

#include <pthread.h>

enum gateway_state {
    GATEWAY_STARTING,
    GATEWAY_SERVING,
    GATEWAY_DRAINING_INGRESS, /* connections end between messages */
    GATEWAY_DRAINING_ROUTES,  /* attempts in flight end */
    GATEWAY_STOPPED,
};

/* Fingerprints of files that are looked at without a reload. */
struct gateway_files {
    uint64_t crls;
    uint64_t certificates; /* and keys and CAs */
};

struct gateway {
    struct gateway_options options;
    struct process_user user;
    int lock_fd;
    atomic_int state;                      /* enum gateway_state */
    atomic_int_fast64_t drain_deadline_ms; /* how long a drain may take; from the configuration */
    struct metrics *metrics;
    struct limits *limits;
    struct sequences *sequences;
    struct offload *offload;
    struct spool *spool;
    struct ingress *ingress;
    struct loop *main_loop;
    struct loop *delivery;
    struct http_client *http;       /* delivery thread */
    struct router *router;          /* delivery thread */
    bool delivery_runs, admin_runs; /* their threads were started */
    struct admin *admin;
    struct offload *lookups;       /* the resolver's */
    struct resolver *resolver;     /* admin thread */
    struct tunnel_reader *tunnels; /* admin thread */
    /* Changed on the admin thread only (before it starts: main): */
    struct shared_config *shared;
    struct snapshot *snapshot;
    struct shared_config *routed; /* the one that the router points into */
    struct shared_config
        *started;               /* the first one: what needs a restart to change points into it */
    struct timer decide_again;  /* admin loop, every decide_again_s */
    struct timer look_at_files; /* admin loop */
    struct gateway_files files; /* those that snapshot was made from */
    uint64_t refused_certificates; /* those that could not be taken last, */
    int64_t try_again_ms;          /* and when they may be tried again */
    struct list_node inquiries; /* admin thread: requests for the status that wait for the spool */
    struct spool_look
        *spool_look; /* admin thread: what the spool was asked for them; NULL: nothing */
    /* main loop: */
    uv_signal_t sigterm, sigint, sighup;
    struct timer drain_deadline, watchdog;
    int64_t drain_ends_ms;
    int exit_status;
    int64_t started_wall_ms;
};

/* 0, or a negative errno with a sentence. Before there are threads. */
__attribute__((warn_unused_result)) int gateway_open_backend(const struct config *config,
                                                             struct spool_backend **ret_backend,
                                                             char ret_error[512]);

/* Runs call on the loop's thread and waits for it. Not from that thread. */
void gateway_call(struct loop *loop, void (*call)(void *context), void *context);
/* Runs call on the spool's thread, in a transaction of its own, and waits: for as long as a disk may
 * hang, so for start and end only. */
void gateway_call_spool(struct gateway *gateway,
                        void (*call)(struct spool *spool, struct spool_backend *backend,
                                     void *context),
                        void *context);
/* Likewise, for GATEWAY_SPOOL_WAIT_MS at most. On -ETIMEDOUT the context is no longer the caller's:
 * free_context gets it when the call has run after all, on the spool's thread. -ENOMEM. */
__attribute__((warn_unused_result)) int
gateway_ask_spool(struct gateway *gateway,
                  void (*call)(struct spool *spool, struct spool_backend *backend, void *context),
                  void *context, void (*free_context)(void *context));
#define GATEWAY_SPOOL_WAIT_MS (INT64_C(5) * 1000) /* it answers within one commit, mostly */

/* ---- reload.c: the admin thread ---- */
int gateway_reload(void *gateway, struct problems *problems, size_t *ret_changed);
/* The configuration in force with its files as they are now: checked as for a reload. 0, or a negative errno:
 * everything stays, and the log says why. */
int gateway_read_certificates_again(struct gateway *gateway);
void gateway_no_snapshot(const struct config *config, struct problems *problems, const char *error);
void gateway_log_problems(const struct problems *problems);
/* What a snapshot brings along: log settings, certificates' expiry, sequences. */
void gateway_settle_in(struct gateway *gateway, const struct snapshot *snapshot);
void gateway_load_sequences(struct gateway *gateway, struct shared_config *shared);

/* ---- renew.c: the admin thread ---- */
bool gateway_names_changed(void *gateway);
bool gateway_tunnels_changed(void *gateway);
void gateway_tunnels_heard(void *gateway, int64_t heard_ms);
/* What rules are made of besides the configuration; valid until the loop's next iteration. */
struct admission_known gateway_known(struct gateway *gateway);
struct gateway_files gateway_files(const struct config *config);
/* Starts the looks anew: at what time alone changes (decide_again_s), often at files. */
void gateway_plan_looks(struct gateway *gateway);
void gateway_renewal_worked(struct gateway *gateway, bool worked);

/* ---- queued.c: the admin thread ---- */
/* What is queued and config would do wrong by, as problems; returns how many: rows whose route isn't in it, and rows
 * whose route has another order than in_force (NULL: than they were queued with). */
size_t gateway_check_queued(struct gateway *gateway, const struct config *in_force,
                            const struct config *config, struct problems *problems,
                            enum problem_severity severity);

/* ---- inquiry.c: the admin thread ---- */
struct inquiry_answer { /* done takes over routes and keys */
    json_t *routes; /* as the status shows them; null where the delivery has not answered, and in
                           them, what is queued where the spool has not */
    json_t *keys;   /* null where the spool has not answered */
    const char *missing; /* a sentence, for as long as done runs; NULL: nothing is */
};
/* Asks the delivery and the spool for what only they know. done comes once and never from inside, after
 * two seconds at the latest. -ENOMEM: not at all. */
__attribute__((warn_unused_result)) int
gateway_inquire(struct gateway *gateway, struct admin_reply *reply,
                void (*done)(struct gateway *gateway, struct admin_reply *reply,
                             const struct inquiry_answer *answer));

/* ---- status.c: the admin thread ---- */
bool gateway_ready(void *gateway, char *ret_why, size_t size);
bool gateway_has_route(void *gateway, const char *route);
void gateway_status(void *gateway, struct admin_reply *reply);
void gateway_connections(void *gateway, struct admin_reply *reply);

/* ---- tunnel_status.c: the admin thread ---- */
/* False: a tunnel that must be up for readiness is not; why gets a line for each. */
bool gateway_tunnels_ready(const struct gateway *gateway, char *ret_why, size_t size);
/* A short line for each, for the status. */
json_t *gateway_tunnels_status(const struct gateway *gateway);
void gateway_tunnels(void *gateway, struct admin_reply *reply);

/* ---- drain.c: the main thread ---- */
/* From any thread. */
void gateway_drain(void *gateway);
void gateway_watch_signals(struct gateway *gateway);

#endif
