#include "spool/spool_private.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* ---- waking and sleeping ---- */

#define CONTAINER(pointer, type, member)                                                           \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static void spool_wake(struct mailbox *mailbox)
{
    struct spool *spool = CONTAINER(mailbox, struct spool, mailbox);

    /* Pairs with spool_sleep(): either it sees the mail, or this sees that it sleeps. A thread that
     * is at work costs no system call. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&spool->sleeping, memory_order_relaxed) != 0 &&
        atomic_exchange_explicit(&spool->sleeping, 0, memory_order_acq_rel) != 0)
        sem_post(&spool->wake);
}

/* Sleeps until there is mail, at most for so many nanoseconds (negative: for ever). */
static void spool_sleep(struct spool *spool, int64_t nanoseconds)
{
    struct timespec until;

    atomic_store_explicit(&spool->sleeping, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (!mailbox_is_empty(&spool->mailbox)) {
        if (atomic_exchange_explicit(&spool->sleeping, 0, memory_order_acq_rel) == 0)
            sem_wait(&spool->wake); /* a post is on its way already */
        return;
    }
    int result;
    if (nanoseconds < 0) {
        do {
            result = sem_wait(&spool->wake);
        } while (result < 0 && errno == EINTR);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(nanoseconds / 1000000000);
    until.tv_nsec += (long)(nanoseconds % 1000000000);
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    do {
        result = sem_clockwait(&spool->wake, CLOCK_MONOTONIC, &until);
    } while (result < 0 && errno == EINTR);
    if (result < 0 && atomic_exchange_explicit(&spool->sleeping, 0, memory_order_acq_rel) == 0)
        sem_wait(&spool->wake); /* woken in the very moment in which time was up */
}

/* ---- requests that the caller waits for ---- */

struct spool_request {
    struct mail mail;
    struct spool *spool;
    void (*work)(struct spool *spool, const void *argument);
    const void *argument;
    sem_t done;
};

static void spool_request_deliver(struct mail *mail)
{
    struct spool_request *request = CONTAINER(mail, struct spool_request, mail);

    request->work(request->spool, request->argument);
    sem_post(&request->done);
}

static void spool_request(struct spool *spool,
                          void (*work)(struct spool *spool, const void *argument),
                          const void *argument)
{
    if (pthread_equal(pthread_self(), spool->thread)) {
        work(spool, argument);
        return;
    }
    struct spool_request request = {.spool = spool, .work = work, .argument = argument};
    request.mail.deliver = spool_request_deliver;
    sem_init(&request.done, 0, 0);
    mailbox_post(&spool->mailbox, &request.mail);
    while (sem_wait(&request.done) < 0 && errno == EINTR)
        continue;
    sem_destroy(&request.done);
}

/* ---- requests that nobody waits for ---- */

/* The caller's next puts and calls come behind it. */
struct spool_order {
    struct mail mail;
    struct spool *spool;
    void (*work)(struct spool *spool, const void *argument);
    max_align_t argument[];
};

static void spool_order_deliver(struct mail *mail)
{
    struct spool_order *order = CONTAINER(mail, struct spool_order, mail);

    order->work(order->spool, order->argument);
    free(order);
}

static void spool_order(struct spool *spool,
                        void (*work)(struct spool *spool, const void *argument),
                        const void *argument, size_t size)
{
    struct spool_order *order = malloc(sizeof *order + size);

    if (order == NULL) {
        spool_request(spool, work, argument);
        return;
    }
    order->mail.deliver = spool_order_deliver;
    order->spool = spool;
    order->work = work;
    memcpy(order->argument, argument, size);
    mailbox_post(&spool->mailbox, &order->mail);
}

/* ---- the thread ---- */

/* The group is worth waiting for as long as it is smaller than the last one: who sent then is likely
 * to send now. Alone on the gateway, a sender never waits. */
static void spool_wait_for_group(struct spool *spool)
{
    if (spool->settings.group_wait_us <= 0 || spool->stopping || spool->failure != 0 ||
        spool->intake_closed)
        return;
    int64_t until = clock_monotonic_ns() + (int64_t)spool->settings.group_wait_us * 1000;
    size_t wanted = (size_t)spool->settings.group_rows;
    if (spool->last_group < wanted)
        wanted = spool->last_group;
    while (spool->put_count < wanted && !spool->stopping) {
        int64_t left = until - clock_monotonic_ns();
        if (left <= 0)
            break;
        spool_sleep(spool, left);
        mailbox_drain(&spool->mailbox);
    }
}

static bool spool_has_work(const struct spool *spool)
{
    bool disk = spool->failure == 0 || spool->probe_due;

    return !list_empty(&spool->puts) || (disk && !list_empty(&spool->settlements)) ||
           ((spool->failure != 0 || spool->intake_closed) && spool->probe_due) ||
           !list_empty(&spool->calls);
}

static bool spool_purge_is_due(const struct spool *spool)
{
    return spool->purge_due && spool->failure == 0 && !spool->resting;
}

/* One round: mail, what is due, one group, the calls, one slice of the slow jobs. */
static void spool_round(struct spool *spool)
{
    timers_run(&spool->timers, spool_monotonic(spool));
    if (!list_empty(&spool->puts))
        spool_wait_for_group(spool);
    spool_group_run(spool);
    spool_calls_run(spool);
    spool_acts_run(spool);
    if (spool_purge_is_due(spool))
        spool_purge_slice(spool);
    spool_lanes_pump(spool);
    spool_publish(spool);
}

static void *spool_run(void *context)
{
    struct spool *spool = context;

    for (;;) {
        mailbox_drain(&spool->mailbox);
        spool_round(spool);
        if (spool_has_work(spool) || spool_acts_ready(spool) || !mailbox_is_empty(&spool->mailbox))
            continue;
        if (spool->stopping)
            break;
        if (spool_purge_is_due(spool))
            continue;
        int64_t wait_ms = timers_next_ms(&spool->timers, spool_monotonic(spool));
        if (wait_ms != 0)
            spool_sleep(spool, wait_ms < 0 ? -1 : wait_ms * 1000000);
    }
    return NULL;
}

/* ---- timers ---- */

static void spool_probe_fire(struct timer *timer)
{
    CONTAINER(timer, struct spool, probe)->probe_due = true;
}

static void spool_purge_fire(struct timer *timer)
{
    CONTAINER(timer, struct spool, purge)->purge_due = true;
}

static void spool_refresh_fire(struct timer *timer)
{
    spool_metrics_refresh(CONTAINER(timer, struct spool, refresh));
}

/* ---- life ---- */

static void spool_init(struct spool *spool, const struct spool_settings *settings)
{
    spool->settings = *settings;
    if (spool->settings.group_rows <= 0)
        spool->settings.group_rows = 64;
    mailbox_init(&spool->mailbox, spool_wake);
    sem_init(&spool->wake, 0, 0);
    atomic_init(&spool->sleeping, 0);
    pthread_mutex_init(&spool->statistics_lock, NULL);
    timers_init(&spool->timers, NULL);
    spool->probe.fire = spool_probe_fire;
    spool->purge.fire = spool_purge_fire;
    spool->refresh.fire = spool_refresh_fire;
    spool->purge_due = true;
    struct list_node *lists[] = {
        &spool->puts,     &spool->settlements, &spool->calls,  &spool->acts, &spool->committing,
        &spool->answered, &spool->born,        &spool->routes, &spool->pump, &spool->in_turn};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        list_init(lists[i]);
    for (size_t i = 0; i < SPOOL_BUCKETS; i++) {
        list_init(&spool->lanes[i]);
        list_init(&spool->under_way[i]);
    }
}

struct spool *spool_new(struct spool_backend *backend, const struct spool_settings *settings,
                        const struct clock *clock, struct metrics *metrics)
{
    struct spool *spool = calloc(1, sizeof *spool);

    if (spool == NULL) {
        LOG_EVENT(LOG_LEVEL_ERROR, "spool-not-started", LOG_STRING("reason", "memory is out"));
        return NULL;
    }
    spool_init(spool, settings);
    spool->backend = backend;
    spool->clock = clock;
    spool->started_ms = clock_monotonic_ms(clock);
    spool->metrics = metrics;
    spool_metrics_init(spool);
    spool_begin_intake(spool);
    spool_publish(spool);
    if (pthread_create(&spool->thread, NULL, spool_run, spool) != 0) {
        LOG_EVENT(LOG_LEVEL_ERROR, "spool-not-started", LOG_STRING("reason", "no thread"));
        timers_free(&spool->timers);
        sem_destroy(&spool->wake);
        pthread_mutex_destroy(&spool->statistics_lock);
        free(spool);
        return NULL;
    }
    pthread_setname_np(spool->thread, "spool");
    return spool;
}

static void spool_stop(struct spool *spool, const void *argument)
{
    (void)argument;
    spool->stopping = true;
    spool->probe_due = true; /* a disk that failed gets one more chance */
}

/* What could not be written down (the disk has failed to the end). */
static void spool_drop_settlements(struct spool *spool)
{
    struct list_node *node;

    while ((node = list_pop_front(&spool->settlements)) != NULL) {
        struct spool_holding *holding = LIST_ENTRY(node, struct spool_holding, node);
        if (holding->task == TASK_SETTLE)
            spool_holding_back(holding);
        spool_transient_recorded(holding);
        spool_holding_free(holding);
    }
}

void spool_free(struct spool **spool)
{
    if (spool == NULL || *spool == NULL)
        return;
    struct spool *mine = *spool;
    *spool = NULL;
    spool_request(mine, spool_stop, NULL);
    pthread_join(mine->thread, NULL);
    spool_drop_settlements(mine);
    spool_acts_cancel(mine);
    spool_lanes_free(mine);
    while (mine->sinks != NULL) {
        struct spool_sink_state *older = mine->sinks->older;
        free(mine->sinks);
        mine->sinks = older;
    }
    timers_free(&mine->timers);
    spool_backend_close(&mine->backend);
    sem_destroy(&mine->wake);
    pthread_mutex_destroy(&mine->statistics_lock);
    free(mine);
}

/* ---- puts ---- */

struct spool_put *spool_put_new(struct message *message, const struct spool_target *targets,
                                size_t count)
{
    struct spool_put *put = calloc(1, sizeof *put);
    size_t text = 0;

    for (size_t i = 0; i < count; i++)
        text += strlen(targets[i].route) + strlen(targets[i].lane) + 2;
    if (put != NULL)
        put->targets = malloc(count * sizeof *targets + text + 1); /* never of nothing */
    if (put == NULL || put->targets == NULL) {
        free(put);
        return NULL;
    }
    char *cursor = (char *)(put->targets + count);
    for (size_t i = 0; i < count; i++) {
        size_t route = strlen(targets[i].route) + 1, lane = strlen(targets[i].lane) + 1;
        put->targets[i].route = memcpy(cursor, targets[i].route, route);
        put->targets[i].lane = memcpy(cursor + route, targets[i].lane, lane);
        cursor += route + lane;
    }
    put->target_count = count;
    put->message = message;
    list_init(&put->node);
    list_init(&put->waiters);
    list_init(&put->in_under_way);
    return put;
}

void spool_put_free(struct spool_put **put)
{
    if (put == NULL || *put == NULL)
        return;
    struct spool_put *mine = *put;
    *put = NULL;
    message_release(&mine->message);
    verdict_clear(&mine->verdict);
    free(mine->sequence_key);
    free(mine->targets);
    free(mine);
}

static void spool_put_arrived(struct mail *mail)
{
    struct spool_put *put = CONTAINER(mail, struct spool_put, mail);

    list_append(&put->spool->puts, &put->node);
    put->spool->put_count++;
    put->spool->puts_arrived++;
}

void spool_put(struct spool *spool, struct spool_put *put)
{
    put->spool = spool;
    if (spool_backend_digest(spool->backend, put->message) < 0) {
        spool_put_answer(put, SPOOL_UNAVAILABLE, REASON_SPOOL_ERROR);
        return;
    }
    put->mail.deliver = spool_put_arrived;
    mailbox_post(&spool->mailbox, &put->mail);
}

/* ---- settlements ---- */

static void spool_holding_arrived(struct mail *mail)
{
    struct spool_entry *entry = CONTAINER(mail, struct spool_entry, mail);
    struct spool_holding *holding = (struct spool_holding *)entry;

    if (holding->task == TASK_NONE && entry->transient) {
        spool_transient_settled(holding);
        return;
    }
    if (holding->task == TASK_NONE) {
        holding->task = TASK_SETTLE;
        list_remove(&holding->node);
    }
    list_append(&holding->spool->settlements, &holding->node);
}

void spool_settle(struct spool *spool, struct spool_entry *entry)
{
    struct spool_holding *holding = (struct spool_holding *)entry;

    if (entry->keep) {
        /* The sink goes on with the entry; a note of its own carries what it says. Without memory
         * for it only the count of attempts suffers. */
        holding = entry->transient ? NULL : calloc(1, sizeof *holding);
        if (holding == NULL) {
            answer_bytes_release(&entry->verdict.answer);
            return;
        }
        holding->spool = spool;
        holding->task = TASK_NOTE;
        holding->entry.id = entry->id;
        holding->entry.verdict = entry->verdict;
        holding->entry.retry_due_wall_ms = entry->retry_due_wall_ms;
        list_init(&holding->node);
        entry->verdict.answer = NULL;
    }
    holding->entry.mail.deliver = spool_holding_arrived;
    mailbox_post(&spool->mailbox, &holding->entry.mail);
}

/* ---- sink, routes, notices, settings ---- */

static void spool_do_set_sink(struct spool *spool, const void *argument)
{
    const struct spool_sink *sink = argument;

    spool->sink = NULL;
    if (sink == NULL)
        return;
    struct spool_sink_state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        LOG_EVENT(LOG_LEVEL_ERROR, "spool-no-sink", LOG_STRING("reason", "memory is out"));
        return;
    }
    state->sink = *sink;
    state->older = spool->sinks;
    spool->sinks = spool->sink = state;
    spool_lanes_refresh(spool, NULL);
}

void spool_set_sink(struct spool *spool, const struct spool_sink *sink)
{
    spool_request(spool, spool_do_set_sink, sink);
}

static void spool_do_route_open(struct spool *spool, const void *argument)
{
    struct spool_route_state *route = spool_route_get(spool, argument);

    if (route == NULL)
        return;
    route->open = true;
    spool_route_load(spool, route);
}

void spool_route_open(struct spool *spool, const char *route)
{
    spool_order(spool, spool_do_route_open, route, strlen(route) + 1);
}

static void spool_do_route_close(struct spool *spool, const void *argument)
{
    struct spool_route_state *route = spool_route_get(spool, argument);

    if (route == NULL)
        return;
    route->open = false;
    spool_route_revoke(spool, route);
}

void spool_route_close(struct spool *spool, const char *route)
{
    spool_order(spool, spool_do_route_close, route, strlen(route) + 1);
}

struct spool_notice_setting {
    void (*on_notice)(void *context, struct spool_notice *notice);
    void *context;
};

static void spool_do_set_notice(struct spool *spool, const void *argument)
{
    const struct spool_notice_setting *setting = argument;

    spool->on_notice = setting->on_notice;
    spool->notice_context = setting->context;
}

void spool_set_notice(struct spool *spool,
                      void (*on_notice)(void *context, struct spool_notice *notice), void *context)
{
    const struct spool_notice_setting setting = {on_notice, context};

    spool_request(spool, spool_do_set_notice, &setting);
}

void spool_notice_free(struct spool_notice **notice)
{
    if (notice == NULL || *notice == NULL)
        return;
    message_release(&(*notice)->message);
    verdict_clear(&(*notice)->verdict);
    free(*notice);
    *notice = NULL;
}

static void spool_do_configure(struct spool *spool, const void *argument)
{
    spool_backend_configure(spool->backend, argument);
    spool->purge_due = true;
}

void spool_configure(struct spool *spool, const struct spool_backend_settings *settings)
{
    struct spool_backend_settings copy = *settings;

    copy.path = copy.key_file = NULL; /* the caller's, and not for a change */
    spool_order(spool, spool_do_configure, &copy, sizeof copy);
}

void spool_statistics(struct spool *spool, struct spool_statistics *ret_statistics)
{
    pthread_mutex_lock(&spool->statistics_lock);
    *ret_statistics = spool->statistics;
    pthread_mutex_unlock(&spool->statistics_lock);
}
