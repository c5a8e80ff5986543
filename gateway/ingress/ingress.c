#include "ingress/ingress.h"

#include "ingress/accept.h"
#include "ingress/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct ingress {
    struct worker **workers;
    unsigned worker_count;
    bool started;
    atomic_uint draining_workers;
    void (*drained)(void *context);
    void *drained_context;
};

/* ---- making ---- */

static int listen_all(struct worker *worker, const struct snapshot *snapshot, char ret_error[512])
{
    for (size_t i = 0; i < snapshot->listener_count; i++) {
        const struct config_listener *listener = snapshot->listeners[i].config;
        int fd = accept_listen(listener, ret_error);
        if (fd < 0) {
            return fd;
        }
        if (worker_add_listener(worker, listener->name, fd) != 0) {
            snprintf(ret_error, 512, "out of memory");
            return -ENOMEM;
        }
    }
    return 0;
}

static int probe_all(const struct snapshot *snapshot, char ret_error[512])
{
    int error = 0;

    for (size_t i = 0; i < snapshot->listener_count && error == 0; i++) {
        error = accept_probe(snapshot->listeners[i].config, ret_error);
    }
    return error;
}

static int add_worker(struct ingress *ingress, const struct ingress_settings *settings,
                      struct snapshot *snapshot, char ret_error[512])
{
    struct worker_settings worker_settings = {
        .index = ingress->worker_count,
        .count = settings->workers,
        .metrics = settings->metrics,
        .limits = settings->limits,
        .sequences = settings->sequences,
    };
    struct worker *worker = worker_new(&worker_settings, snapshot);

    if (worker == NULL) {
        snprintf(ret_error, 512, "out of memory or file descriptors");
        return -ENOMEM;
    }
    ingress->workers[ingress->worker_count++] = worker;
    return listen_all(worker, snapshot, ret_error);
}

struct ingress *ingress_new(const struct ingress_settings *settings, struct snapshot *snapshot,
                            char ret_error[512])
{
    struct ingress *ingress = calloc(1, sizeof(*ingress));

    if (ingress == NULL ||
        (ingress->workers = calloc(settings->workers, sizeof(*ingress->workers))) == NULL) {
        free(ingress);
        snprintf(ret_error, 512, "out of memory");
        return NULL;
    }
    if (probe_all(snapshot, ret_error) != 0) {
        ingress_free(&ingress);
        return NULL;
    }
    for (unsigned i = 0; i < settings->workers; i++) {
        if (add_worker(ingress, settings, snapshot, ret_error) != 0) {
            ingress_free(&ingress);
            return NULL;
        }
    }
    return ingress;
}

int ingress_start(struct ingress *ingress, struct spool *spool)
{
    ingress->started = true;
    for (unsigned i = 0; i < ingress->worker_count; i++) {
        int error = worker_start(ingress->workers[i], spool);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

void ingress_stop(struct ingress *ingress)
{
    for (unsigned i = 0; i < ingress->worker_count && ingress->started; i++) {
        worker_stop(ingress->workers[i]);
    }
    ingress->started = false;
}

void ingress_free(struct ingress **pointer)
{
    struct ingress *ingress = *pointer;

    *pointer = NULL;
    if (ingress == NULL) {
        return;
    }
    ingress_stop(ingress);
    for (unsigned i = 0; i < ingress->worker_count; i++) {
        worker_free(&ingress->workers[i]);
    }
    free(ingress->workers);
    free(ingress);
}

/* ---- applying a snapshot ---- */

/* Shared by the one who waits and the mails on their way: a worker may come to its mail long after
 * the wait was given up. */
struct apply_wait {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned pending;    /* workers with the old snapshot */
    unsigned references; /* the mails and who waits */
};

struct apply_mail {
    struct mail mail;
    struct worker *worker;
    struct snapshot *snapshot;
    struct apply_wait *wait; /* NULL: nobody waits */
};

static struct apply_wait *apply_wait_new(unsigned workers)
{
    struct apply_wait *wait = calloc(1, sizeof(*wait));
    pthread_condattr_t attributes;

    if (wait == NULL) {
        return NULL;
    }
    pthread_mutex_init(&wait->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&wait->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    wait->pending = workers;
    wait->references = workers + 1;
    return wait;
}

static void apply_wait_free(struct apply_wait *wait)
{
    pthread_cond_destroy(&wait->changed);
    pthread_mutex_destroy(&wait->lock);
    free(wait);
}

/* Gives up a reference; a worker's also says that the worker is done. */
static void apply_wait_release(struct apply_wait *wait, bool worker)
{
    bool last;

    pthread_mutex_lock(&wait->lock);
    if (worker && --wait->pending == 0) {
        pthread_cond_signal(&wait->changed);
    }
    last = --wait->references == 0;
    pthread_mutex_unlock(&wait->lock);
    if (last) {
        apply_wait_free(wait);
    }
}

static int apply_wait_for(struct apply_wait *wait, int64_t wait_ms)
{
    struct timespec until;
    int error = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    pthread_mutex_lock(&wait->lock);
    while (wait->pending > 0 && error == 0) {
        error = pthread_cond_timedwait(&wait->changed, &wait->lock, &until);
    }
    error = wait->pending > 0 ? -ETIMEDOUT : 0;
    pthread_mutex_unlock(&wait->lock);
    apply_wait_release(wait, false);
    return error;
}

static void on_apply(struct mail *mail)
{
    struct apply_mail *apply = LIST_ENTRY(mail, struct apply_mail, mail);

    worker_apply(apply->worker, apply->snapshot);
    if (apply->wait != NULL) {
        apply_wait_release(apply->wait, true);
    }
    free(apply);
}

static int apply(struct ingress *ingress, struct snapshot *snapshot, struct apply_wait *wait)
{
    struct apply_mail **mails = calloc(ingress->worker_count, sizeof(*mails));
    bool complete = mails != NULL;

    /* All or none: two workers with different rules would be worse than the old ones. */
    for (unsigned i = 0; complete && i < ingress->worker_count; i++) {
        mails[i] = malloc(sizeof(*mails[i]));
        complete = mails[i] != NULL;
    }
    for (unsigned i = 0; mails != NULL && i < ingress->worker_count; i++) {
        if (!complete) {
            free(mails[i]);
            continue;
        }
        *mails[i] = (struct apply_mail){.mail = {.deliver = on_apply},
                                        .worker = ingress->workers[i],
                                        .snapshot = snapshot_reference(snapshot),
                                        .wait = wait};
        mailbox_post(worker_mailbox(ingress->workers[i]), &mails[i]->mail);
    }
    free(mails);
    return complete ? 0 : -ENOMEM;
}

int ingress_apply(struct ingress *ingress, struct snapshot *snapshot)
{
    return apply(ingress, snapshot, NULL);
}

int ingress_apply_and_wait(struct ingress *ingress, struct snapshot *snapshot, int64_t wait_ms)
{
    struct apply_wait *wait = apply_wait_new(ingress->worker_count);

    if (wait == NULL) {
        return -ENOMEM;
    }
    if (apply(ingress, snapshot, wait) != 0) {
        apply_wait_free(wait);
        return -ENOMEM;
    }
    return apply_wait_for(wait, wait_ms);
}

struct heard_mail {
    struct mail mail;
    struct worker *worker;
    int64_t heard_ms;
};

static void on_heard(struct mail *mail)
{
    struct heard_mail *heard = LIST_ENTRY(mail, struct heard_mail, mail);

    worker_heard(heard->worker, heard->heard_ms);
    free(heard);
}

void ingress_heard(struct ingress *ingress, int64_t heard_ms)
{
    for (unsigned i = 0; i < ingress->worker_count; i++) {
        struct heard_mail *heard = malloc(sizeof(*heard));
        if (heard != NULL) {
            *heard = (struct heard_mail){{.deliver = on_heard}, ingress->workers[i], heard_ms};
            mailbox_post(worker_mailbox(ingress->workers[i]), &heard->mail);
        }
    }
}

/* ---- draining ---- */

struct drain_mail {
    struct mail mail;
    struct worker *worker;
    struct ingress *ingress;
};

static void worker_drained(void *context)
{
    struct ingress *ingress = context;

    if (atomic_fetch_sub(&ingress->draining_workers, 1) == 1) {
        ingress->drained(ingress->drained_context);
    }
}

static void on_drain(struct mail *mail)
{
    struct drain_mail *drain = LIST_ENTRY(mail, struct drain_mail, mail);

    worker_drain(drain->worker, worker_drained, drain->ingress);
    free(drain);
}

void ingress_drain(struct ingress *ingress, void (*done)(void *context), void *context)
{
    ingress->drained = done;
    ingress->drained_context = context;
    atomic_store(&ingress->draining_workers, ingress->worker_count);
    for (unsigned i = 0; i < ingress->worker_count; i++) {
        struct drain_mail *drain = malloc(sizeof(*drain));
        if (drain == NULL) {
            continue; /* done never comes: the drain's deadline ends it */
        }
        drain->mail.deliver = on_drain;
        drain->worker = ingress->workers[i];
        drain->ingress = ingress;
        mailbox_post(worker_mailbox(ingress->workers[i]), &drain->mail);
    }
}

/* ---- notices ---- */

struct notice_mail {
    struct mail mail;
    struct worker *worker;
    struct spool_notice *notice;
};

static void on_notice(struct mail *mail)
{
    struct notice_mail *posted = LIST_ENTRY(mail, struct notice_mail, mail);

    worker_notice(posted->worker, posted->notice);
    free(posted);
}

void ingress_notice(void *context, struct spool_notice *notice)
{
    struct ingress *ingress = context;
    struct notice_mail *mail = malloc(sizeof(*mail));

    if (mail == NULL) {
        spool_notice_free(&notice);
        return;
    }
    mail->mail.deliver = on_notice;
    mail->notice = notice;
    mail->worker = ingress->workers[(notice->connection - 1) % ingress->worker_count];
    mailbox_post(worker_mailbox(mail->worker), &mail->mail);
}

/* ---- census ---- */

struct ingress_census *ingress_census_new(void)
{
    return calloc(1, sizeof(struct ingress_census));
}

void ingress_census_free(struct ingress_census **pointer)
{
    struct ingress_census *census = *pointer;

    *pointer = NULL;
    if (census != NULL) {
        free(census->connections);
        free(census);
    }
}

static void census_done(struct mail *mail)
{
    struct ingress_census *census = LIST_ENTRY(mail, struct ingress_census, mail);
    census->done(census);
}

static void census_visit(struct mail *mail)
{
    struct ingress_census *census = LIST_ENTRY(mail, struct ingress_census, mail);
    struct ingress *ingress = census->ingress;
    int error = worker_census(ingress->workers[census->next_worker], census);

    census->next_worker++;
    if (error == 0 && census->next_worker < ingress->worker_count) {
        mailbox_post(worker_mailbox(ingress->workers[census->next_worker]), mail);
    } else {
        mail->deliver = census_done;
        mailbox_post(census->reply_to, mail);
    }
}

void ingress_census(struct ingress *ingress, struct ingress_census *census)
{
    census->ingress = ingress;
    census->next_worker = 0;
    census->mail.deliver = census_visit;
    mailbox_post(worker_mailbox(ingress->workers[0]), &census->mail);
}
