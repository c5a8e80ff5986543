/*
 * router: what the files of this folder share behind route.h; nobody outside includes it.
 *
 * Who owns what: the router owns routes, targets, lanes and jobs. A lane holds the entries that
 * were never tried (queue) and the jobs; a job is one entry under way: in flight, waiting for its
 * next try, or ready for it. An ordered lane has at most one job. A target is a store as routes see
 * it: up or down, and the instance (store_new()) that attempts run on; a reload puts a new instance
 * in its place, and the old one goes when its last attempt has ended.
 *
 * Work is O(1) an entry: lanes are found through a hash table, those that could send stand in
 * their route's ring (ready), and everything that happens pumps only what it can have changed.
 * Timers here are never stopped while their owner lives but parked at ROUTE_NEVER: a timer that is
 * in the heap can be moved without memory, so no deadline is ever lost for want of it.
 *
 * job.c     one entry's attempts          lane.c    order, readiness, deadlines
 * doubts.c  what a store may have
 * target.c  is the store up, probes       pump.c    who sends next
 * apply.c   routes and stores of a configuration; instance.c  stores made anew or kept
 * report.c  metrics and log lines         route.c   what the spool and the program call
 */
#ifndef MLLPGW_ROUTE_ROUTER_H
#define MLLPGW_ROUTE_ROUTER_H

#include "route/decide.h"
#include "route/doubts.h"
#include "route/route.h"

#define ROUTE_NEVER INT64_MAX
#define ROUTE_SPARE_JOBS 256

enum job_state {
    JOB_READY,       /* may go as soon as route and store let it */
    JOB_IN_FLIGHT,   /* an attempt is under way */
    JOB_BACKING_OFF, /* until its retry timer */
    JOB_STATES
};

struct job {
    struct list_node node; /* lane->jobs[state], or the router's spare ones */
    enum job_state state;
    struct lane *lane;
    struct spool_entry *entry;
    struct instance *instance; /* in flight: where */
    struct store_attempt *attempt;
    struct store_progress progress; /* the store's, over all attempts */
    struct timer retry;
    int failures;           /* in a row */
    int64_t not_before_ms;  /* what the store asked for (Retry-After) */
    int64_t written_ms;     /* when the spool last wrote down how it stands; 0: never */
    uint64_t outage;        /* of the target when it last failed; 0: it was up */
    uint64_t accepted_seen; /* target->accepted when it last failed */
    bool may_count;         /* the last attempt counts once something else gets through */
    bool unwritten_count;   /* counted_attempts has moved since written_ms */
    bool faulty;            /* the last verdict was an operator's fault */
    bool anew;              /* in flight to a store that was exchanged: its progress is of no use */
    bool moved;             /* anew: and what that store may have is not this target's to know */
};

enum lane_state {
    LANE_WAITING, /* nothing to send now */
    LANE_READY,   /* in its route's ring */
    LANE_STOPPED, /* by a dead letter, until it is replayed or discarded */
};

struct lane {
    struct lane *next_in_bucket;
    uint64_t hash;
    struct list_node in_route, in_ready;
    struct route *route;
    enum lane_state state;
    struct list_node queue; /* entries that were never tried, oldest first */
    struct list_node jobs[JOB_STATES];
    struct timer deadline; /* the earliest of the lane's transient entries */
    bool busy;             /* somebody is walking through it: not freed meanwhile */
    bool ordered; /* as its name says: what is queued keeps the order that it came in with */
    char name[];
};

enum route_state {
    ROUTE_OPEN,
    ROUTE_REVOKED, /* gives back what it has; the next entry opens it again */
    ROUTE_REMOVED, /* not in the configuration any more; goes with its last lane */
};

struct route_slots {
    struct metric *entries, *in_flight, *queueing, *operator_fault, *stopped;
    struct metric *dead_letters, *expired, *deliver, *attempts[VERDICT_UNKNOWN + 1];
};

struct route {
    struct list_node node, in_target;
    struct router *router;
    struct target *target;
    char *name;
    struct config_route config; /* numbers and enums; its strings are not kept */
    enum route_state state;
    struct list_node lanes, ready;
    unsigned lane_count, held, in_flight, stopped;
    unsigned impatient; /* held transient entries that don't want to wait */
    unsigned troubled;  /* jobs that have failed twice in a row */
    bool queueing;
    int64_t since_ms, since_wall_ms; /* of queueing */
    char why[sizeof(((struct verdict *)0)->reason)];
    struct route_slots slots;
};

enum target_state {
    TARGET_UP,
    TARGET_DOWN, /* one probe at a time */
};

/* A store that was made from settings; both live until its last attempt has ended. */
struct instance {
    struct list_node node; /* the router's retired ones */
    struct router *router;
    struct store *store;
    struct config_store *settings;
    uint64_t files; /* fingerprint of the files that the settings name */
    unsigned attempts;
    bool retired;
};

struct target {
    struct list_node node;
    struct router *router;
    char *name;
    struct instance *instance;
    struct list_node routes;
    bool removed; /* from the configuration; goes with its last route */
    enum target_state state;
    struct job *probe; /* in flight */
    struct timer probe_timer;
    int64_t probe_due_ms;
    int64_t early_due_ms; /* an impatient message may probe from here on */
    bool alarm;           /* an operator's fault; until something gets through and no job has one */
    int64_t alarm_since_ms;
    unsigned faulty_jobs;
    int failures;             /* in a row, over all lanes */
    const struct job *failed; /* the last that failed; compared only */
    int probes;               /* failed in this outage */
    uint64_t outage;          /* number of this outage, or of the last */
    uint64_t accepted;        /* messages that got through, ever */
    struct doubts doubts;     /* messages that it may have */
    char why[sizeof(((struct verdict *)0)->reason)];
};

enum router_state { ROUTER_RUNNING, ROUTER_DRAINING, ROUTER_DRAINED };

struct router {
    struct router_context context;
    enum router_state state;
    struct list_node routes, targets, retired;
    struct lane **buckets;
    size_t bucket_count, lane_count;
    uint64_t seed;
    struct list_node spare_jobs;
    unsigned spare_count, in_flight;
    struct list_node orphans; /* entries that wait for memory, oldest first */
    struct timer starved;     /* memory was out: look again */
    struct timer sweep;       /* frees retired instances and removed routes, outside callbacks */
    struct timer drain;
    void (*drain_done)(void *context);
    void *drain_context;
    uint64_t random_state;
};

/* route.c */
int64_t router_now_ms(const struct router *router);
int64_t router_wall_ms(const struct router *router);
uint64_t router_random(struct router *router);
void router_want_sweep(struct router *router);
void router_move_timer(struct router *router, struct timer *timer, int64_t due_ms);
void router_starve(struct router *router);
void router_drain_check(struct router *router);

/* lane.c */
struct lane *lane_find(struct router *router, const char *name);
struct lane *lane_new(struct route *route, const char *name);
void lane_add(struct lane *lane, struct spool_entry *entry);
void lane_stop(struct lane *lane);
void lane_resume(struct lane *lane);
/* Looks again whether the lane can send; an idle one is freed. The lane may be gone afterwards. */
void lane_refresh(struct lane *lane);
/* The entry that would be sent next; NULL when none can be. */
const struct spool_entry *lane_next(const struct lane *lane);
/* Its job; NULL when memory is out. */
struct job *lane_take(struct lane *lane);
/* Everything that isn't in flight; the lane may be gone afterwards. */
void lane_give_back(struct lane *lane, const char *why);
void lane_refuse_impatient(struct lane *lane);

/* job.c */
struct job *job_new(struct lane *lane, struct spool_entry *entry);
void job_set_state(struct job *job, enum job_state state);
void job_start(struct job *job);
void job_wake(struct job *job);
void job_cancel(struct job *job, const char *why);
void job_give_back(struct job *job, const char *why);
/* Its sender's deadline has passed. */
void job_expire(struct job *job);
/* Its route goes to another store: what the old one said is of no account. */
void job_forget_store(struct job *job);
/* Its store is made anew, perhaps for another place: of a split batch all parts go there. */
void job_begin_anew(struct job *job);
void job_free(struct job *job);
void job_pool_free(struct router *router);

/* entry.c: the last that is seen of an entry */
void entry_settle(struct route *route, struct spool_entry *entry);
void entry_give_back(struct router *router, struct route *route, struct spool_entry *entry,
                     const char *why);
void entry_expire(struct route *route, struct spool_entry *entry);

/* target.c */
struct target *target_new(struct router *router, const char *name);
void target_free(struct target *target);
bool target_may_send(const struct target *target, bool impatient);
void target_begin_probe(struct target *target, struct job *job);
/* How many failures in a row it would be with this one. */
int target_count_failures(const struct target *target, const struct job *job,
                          const struct verdict *verdict);
void target_note(struct target *target, struct job *job, bool was_probe,
                 const struct verdict *verdict, const struct decide_output *decided);
void target_forget_patience(struct target *target);
void target_probe_now(struct target *target);
void target_check_alarm(struct target *target);

/* pump.c */
void route_pump(struct route *route);
void target_pump(struct target *target);

/* instance.c */
struct instance *instance_new(struct router *router, const struct config_store *config,
                              char ret_error[512]);
bool instance_serves(const struct instance *instance, const struct config_store *config);
void instance_retire(struct instance *instance);
void instance_release_attempt(struct instance *instance);
void instance_free(struct instance *instance);

/* apply.c */
struct route *route_find(struct router *router, const char *name);
void route_give_back(struct route *route, const char *why);
void route_free(struct route *route);
/* Frees what is gone from the configuration and not in use any more. */
void router_sweep(struct router *router);

/* report.c */
void report_open(struct route *route);
void report_held(struct route *route);
void report_in_flight(struct route *route);
void report_stopped(struct route *route);
void report_verdict(struct route *route, const struct spool_entry *entry);
void report_dead_letter(struct route *route, const struct spool_entry *entry);
void report_queueing(struct route *route);
void report_alarm(struct target *target, const struct verdict *verdict);
void report_alarm_cleared(struct target *target);
void report_close(struct route *route);

#endif
