#include "ingress/worker.h"

#include "base/log.h"
#include "ingress/worker_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SCRATCH_BYTES ((size_t)64 << 10)
#define ANSWER_SCRATCH_MAXIMUM ((size_t)8 << 20)

static struct worker *worker_of(struct connection_world *world)
{
    return (struct worker *)(void *)world;
}

/* ---- table of connections ---- */

struct served **worker_find(struct worker *worker, uint64_t id)
{
    struct served **place = &worker->buckets[(id / worker->settings.count) & (WORKER_BUCKETS - 1)];

    while (*place != NULL && (*place)->connection->id != id) {
        place = &(*place)->next;
    }
    return place;
}

static struct served *served_of(struct worker *worker, const struct connection *connection)
{
    return *worker_find(worker, connection->id);
}

/* ---- what connections ask of their world ---- */

static void on_answer(struct spool_put *put)
{
    struct worker *worker = put->context;
    struct served *served = *worker_find(worker, put->connection);

    worker->others = true;
    if (served != NULL) {
        connection_answer(served->connection, put);
    }
    spool_put_free(&put);
}

static void put_to_spool(struct connection_world *world, struct connection *connection,
                         struct spool_put *put)
{
    struct worker *worker = worker_of(world);

    (void)connection;
    put->reply_to = loop_mailbox(worker->loop);
    put->on_answer = on_answer;
    put->context = worker;
    spool_put(worker->spool, put);
}

static void on_ready(void *context, int events)
{
    struct served *served = context;
    struct connection *connection = served->connection;

    if (connection->state > CONNECTION_HANDSHAKE) {
        worker_of(connection->world)->others = true;
    }
    connection_ready(connection, events);
}

static void watch(struct connection_world *world, struct connection *connection, int events)
{
    struct worker *worker = worker_of(world);
    struct served *served = served_of(worker, connection);

    if (served == NULL) {
        return;
    }
    if (events < 0) {
        if (served->watched) {
            loop_watch_stop(&served->watch);
            served->watched = false;
        }
    } else if (served->watched) {
        loop_watch_set(&served->watch, events);
    } else if (loop_watch_start(worker->loop, &served->watch, connection->stream.fd, events,
                                on_ready, served) == 0) {
        served->watched = true;
    } else {
        connection_close(connection, REASON_OUT_OF_MEMORY);
    }
}

static void run_again(struct connection_world *world, struct connection *connection)
{
    struct worker *worker = worker_of(world);

    if (list_empty(&connection->in_turn)) {
        list_append(&worker->runnable, &connection->in_turn);
    }
    worker_wake_soon(worker);
}

static void queue_handshake(struct connection_world *world, struct connection *connection)
{
    struct worker *worker = worker_of(world);

    if (list_empty(&connection->in_turn)) {
        list_append(&worker->handshakes, &connection->in_turn);
    }
    worker_wake_soon(worker);
}

static void free_served(struct deferred *deferred)
{
    struct served *served = LIST_ENTRY(deferred, struct served, deferred);

    connection_free(served->connection);
    free(served);
}

static void tell_drained(struct worker *worker)
{
    void (*drained)(void *) = worker->drained;

    if (worker->connections == 0 && drained != NULL) {
        worker->drained = NULL;
        drained(worker->drained_context);
    }
}

static void release(struct connection_world *world, struct connection *connection)
{
    struct worker *worker = worker_of(world);
    struct served **place = worker_find(worker, connection->id);
    struct served *served = *place;

    if (served == NULL) {
        return;
    }
    *place = served->next;
    worker->connections--;
    served->deferred.run = free_served;
    loop_defer(worker->loop, &served->deferred);
    tell_drained(worker);
}

/* ---- life ---- */

static int zone_minutes_now(void)
{
    time_t now = time(NULL);
    struct tm local;

    return localtime_r(&now, &local) == NULL ? 0 : (int)(local.tm_gmtoff / 60);
}

static void every_minute(struct timer *timer)
{
    struct worker *worker = LIST_ENTRY(timer, struct worker, minute);

    worker->world.zone_minutes = zone_minutes_now(); /* daylight saving comes and goes */
    if (timers_start(loop_timers(worker->loop), &worker->minute,
                     loop_now_ms(worker->loop) + 60000) != 0) {
        LOG_EVENT(LOG_LEVEL_ERROR, "timer-failed", LOG_STRING("words", "memory is out"));
    }
}

static void init_world(struct worker *worker, struct snapshot *snapshot)
{
    struct connection_world *world = &worker->world;

    world->snapshot = snapshot_reference(snapshot);
    world->limits = worker->settings.limits;
    world->statistics = &worker->statistics;
    world->sequences = worker->settings.sequences;
    world->timers = loop_timers(worker->loop);
    world->clock = loop_clock(worker->loop);
    world->zone_minutes = zone_minutes_now();
    world->put = put_to_spool;
    world->watch = watch;
    world->run_again = run_again;
    world->queue_handshake = queue_handshake;
    world->release = release;
    list_init(&world->frames);
    list_init(&world->connections);
    list_init(&world->undecided);
    buffer_init(&world->answer_scratch, ANSWER_SCRATCH_MAXIMUM);
}

/* ---- what was told of tunnels ---- */

/* The thread that says what becomes of the tunnels may hang: what it said last ends in time all the same. */
static void plan_runs_out(struct worker *worker)
{
    int64_t due_ms = connection_world_due_ms(&worker->world);

    if (worker->stopped || due_ms == ADMISSION_FOREVER) {
        timers_stop(loop_timers(worker->loop), &worker->runs_out);
    } else if (timers_start(loop_timers(worker->loop), &worker->runs_out, due_ms) != 0) {
        LOG_EVENT(LOG_LEVEL_ERROR, "timer-failed", LOG_STRING("words", "memory is out"));
    }
}

static void run_out(struct timer *timer)
{
    struct worker *worker = LIST_ENTRY(timer, struct worker, runs_out);

    if (connection_world_run_out(&worker->world)) {
        worker_wake_soon(worker);
    }
    plan_runs_out(worker);
}

/* ---- life ---- */

struct worker *worker_new(const struct worker_settings *settings, struct snapshot *snapshot)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    char name[16];

    if (worker == NULL) {
        return NULL;
    }
    worker->settings = *settings;
    worker->last_id = settings->index + 1;
    snprintf(name, sizeof(name), "worker-%u", settings->index);
    worker->loop = loop_new(name);
    worker->world.scratch = malloc(SCRATCH_BYTES);
    worker->world.scratch_size = SCRATCH_BYTES;
    list_init(&worker->handshakes);
    list_init(&worker->runnable);
    statistics_init(&worker->statistics, settings->metrics);
    if (worker->loop == NULL || worker->world.scratch == NULL) {
        free(worker->world.scratch);
        loop_free(&worker->loop);
        free(worker);
        return NULL;
    }
    init_world(worker, snapshot);
    worker->minute.fire = every_minute;
    worker->runs_out.fire = run_out;
    worker->handshake.fire = worker_handshake_turn;
    uv_check_init(loop_uv(worker->loop), &worker->check);
    uv_idle_init(loop_uv(worker->loop), &worker->idle);
    worker->check.data = worker;
    return worker;
}

void worker_free(struct worker **pointer)
{
    struct worker *worker = *pointer;

    *pointer = NULL;
    if (worker == NULL) {
        return;
    }
    mailbox_drain(loop_mailbox(worker->loop)); /* late answers (their connections have gone), and
                                                  snapshots, which want the listeners */
    for (size_t i = 0; i < worker->listener_count; i++) {
        if (worker->listeners[i].fd >= 0) {
            close(worker->listeners[i].fd);
        }
        free(worker->listeners[i].name);
    }
    free(worker->listeners);
    loop_free(&worker->loop);
    statistics_free(&worker->statistics);
    snapshot_release(&worker->world.snapshot);
    buffer_free(&worker->world.answer_scratch);
    free(worker->world.scratch);
    free(worker);
}

int worker_add_listener(struct worker *worker, const char *listener, int fd)
{
    struct worker_listener *grown =
        realloc(worker->listeners, (worker->listener_count + 1) * sizeof(*grown));
    char *name = strdup(listener);

    if (grown != NULL) {
        worker->listeners = grown;
    }
    if (grown == NULL || name == NULL) {
        free(name);
        close(fd);
        return -ENOMEM;
    }
    grown[worker->listener_count++] = (struct worker_listener){
        .worker = worker,
        .name = name,
        .fd = fd,
        .index = snapshot_find_listener(worker->world.snapshot, listener),
        .retry = {.fire = worker_accept_again},
    };
    return 0;
}

static void on_start(void *context)
{
    struct worker *worker = context;

    worker->check_running = uv_check_start(&worker->check, worker_take_turns) == 0;
    every_minute(&worker->minute);
    worker_start_accepting(worker);
}

int worker_start(struct worker *worker, struct spool *spool)
{
    worker->spool = spool;
    return loop_start(worker->loop, on_start, worker);
}

struct stop_mail {
    struct mail mail;
    struct worker *worker;
};

static void on_stop(struct mail *mail)
{
    struct stop_mail *stop = LIST_ENTRY(mail, struct stop_mail, mail);
    struct worker *worker = stop->worker;

    worker_stop_accepting(worker);
    LIST_FOREACH_SAFE(node, next, &worker->world.connections) {
        connection_close(LIST_ENTRY(node, struct connection, in_world), REASON_SHUTDOWN);
    }
    worker->stopped = true;
    timers_stop(loop_timers(worker->loop), &worker->minute);
    timers_stop(loop_timers(worker->loop), &worker->handshake);
    timers_stop(loop_timers(worker->loop), &worker->runs_out);
    uv_close((uv_handle_t *)&worker->check, NULL);
    uv_close((uv_handle_t *)&worker->idle, NULL);
    loop_stop(worker->loop);
    free(stop);
}

void worker_stop(struct worker *worker)
{
    struct stop_mail *stop = malloc(sizeof(*stop));

    if (stop == NULL) {
        return; /* the process is about to end anyway, and ends without waiting for this thread */
    }
    stop->mail.deliver = on_stop;
    stop->worker = worker;
    mailbox_post(loop_mailbox(worker->loop), &stop->mail);
    loop_join(worker->loop);
}

struct mailbox *worker_mailbox(struct worker *worker)
{
    return loop_mailbox(worker->loop);
}

/* ---- on the worker's thread ---- */

void worker_heard(struct worker *worker, int64_t heard_ms)
{
    if (heard_ms > worker->world.heard_ms) {
        worker->world.heard_ms = heard_ms;
    }
    plan_runs_out(worker);
}

void worker_apply(struct worker *worker, struct snapshot *snapshot)
{
    connection_world_apply(&worker->world, snapshot);
    for (size_t i = 0; i < worker->listener_count; i++) {
        worker->listeners[i].index = snapshot_find_listener(snapshot, worker->listeners[i].name);
    }
    if (!list_empty(&worker->world.undecided)) { /* after worker_stop() nobody is, nor a loop */
        worker_wake_soon(worker);
    }
    plan_runs_out(worker);
}

void worker_drain(struct worker *worker, void (*done)(void *context), void *context)
{
    worker->world.draining = true;
    worker->drained = done;
    worker->drained_context = context;
    worker_stop_accepting(worker);
    LIST_FOREACH_SAFE(node, next, &worker->world.connections) {
        connection_drain(LIST_ENTRY(node, struct connection, in_world));
    }
    tell_drained(worker);
}

static void count_unsent(struct worker *worker, const struct spool_notice *notice)
{
    const struct snapshot *snapshot = worker->world.snapshot;
    int listener = snapshot_find_listener(snapshot, notice->message->listener);

    if (listener >= 0 && exchange_application_due(notice->message, &notice->verdict,
                                                  snapshot->listeners[listener].config)) {
        statistics_application_unsent(&worker->statistics, notice->message->listener,
                                      notice->message->peer);
    }
}

void worker_notice(struct worker *worker, struct spool_notice *notice)
{
    struct served *served = *worker_find(worker, notice->connection);

    if (served != NULL) {
        connection_notice(served->connection, notice);
        return;
    }
    count_unsent(worker, notice); /* the spool has kept the verdict, for a repeat */
    spool_notice_free(&notice);
}

static void describe(const struct connection *connection, struct ingress_connection *ret)
{
    const struct tls_session *tls = connection->stream.tls;
    const char *subject = tls == NULL ? NULL : tls_session_subject(tls);

    memset(ret, 0, sizeof(*ret));
    ret->id = connection->id;
    snprintf(ret->listener, sizeof(ret->listener), "%s", connection->config->name);
    snprintf(ret->peer, sizeof(ret->peer), "%s",
             connection->peer == NULL ? "" : connection->peer->name);
    address_text(&connection->source.any, ret->address);
    if (tls != NULL && connection->state > CONNECTION_HANDSHAKE) {
        snprintf(ret->tls, sizeof(ret->tls), "%s %s", tls_session_version(tls),
                 tls_session_cipher(tls));
    }
    snprintf(ret->subject, sizeof(ret->subject), "%s", subject == NULL ? "" : subject);
    ret->state = connection_state_name(connection->state);
    ret->opened_wall_ms = connection->opened_wall_ms;
    ret->last_message_wall_ms = connection->last_message_wall_ms;
    ret->messages = connection->messages;
    ret->refused = connection->refused;
}

int worker_census(struct worker *worker, struct ingress_census *census)
{
    size_t wanted = census->count + worker->connections;

    if (wanted > census->capacity) {
        struct ingress_connection *grown =
            realloc(census->connections, wanted * sizeof(*census->connections));
        if (grown == NULL) {
            return -ENOMEM;
        }
        census->connections = grown;
        census->capacity = wanted;
    }
    LIST_FOREACH_SAFE(node, next, &worker->world.connections) {
        describe(LIST_ENTRY(node, struct connection, in_world),
                 &census->connections[census->count++]);
    }
    return 0;
}
