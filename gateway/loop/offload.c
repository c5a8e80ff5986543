#include "loop/offload.h"
#include "loop/thread.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

struct offload {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct offload_job *first, *last; /* through mail.next */
    bool ending;
};

static struct offload_job *offload_job_of(struct mail *mail)
{
    return (struct offload_job *)(void *)((char *)mail - offsetof(struct offload_job, mail));
}

static void offload_deliver(struct mail *mail)
{
    struct offload_job *job = offload_job_of(mail);

    job->done(job);
}

/* Waits for a job; NULL when the thread is to end. */
static struct offload_job *offload_next(struct offload *offload)
{
    struct offload_job *job = NULL;

    pthread_mutex_lock(&offload->mutex);
    while (offload->first == NULL && !offload->ending)
        pthread_cond_wait(&offload->changed, &offload->mutex);
    if (!offload->ending) {
        job = offload->first;
        offload->first = job->mail.next == NULL ? NULL : offload_job_of(job->mail.next);
    }
    pthread_mutex_unlock(&offload->mutex);
    return job;
}

static void *offload_run(void *context)
{
    struct offload *offload = context;
    struct offload_job *job;

    while ((job = offload_next(offload)) != NULL) {
        job->work(job);
        job->mail.deliver = offload_deliver;
        mailbox_post(job->reply_to, &job->mail);
    }
    return NULL;
}

struct offload *offload_new(void)
{
    struct offload *offload = calloc(1, sizeof(*offload));

    if (offload == NULL)
        return NULL;
    pthread_mutex_init(&offload->mutex, NULL);
    pthread_cond_init(&offload->changed, NULL);
    if (thread_start("offload", offload_run, offload, &offload->thread) != 0) {
        pthread_cond_destroy(&offload->changed);
        pthread_mutex_destroy(&offload->mutex);
        free(offload);
        return NULL;
    }
    return offload;
}

void offload_free(struct offload **offload)
{
    struct offload *old = *offload;

    if (old == NULL)
        return;
    pthread_mutex_lock(&old->mutex);
    old->ending = true;
    pthread_cond_signal(&old->changed);
    pthread_mutex_unlock(&old->mutex);
    pthread_join(old->thread, NULL);
    while (old->first != NULL) {
        struct offload_job *job = old->first;

        old->first = job->mail.next == NULL ? NULL : offload_job_of(job->mail.next);
        job->dropped = true;
        job->done(job);
    }
    pthread_cond_destroy(&old->changed);
    pthread_mutex_destroy(&old->mutex);
    free(old);
    *offload = NULL;
}

void offload_submit(struct offload *offload, struct offload_job *job)
{
    job->mail.next = NULL;
    pthread_mutex_lock(&offload->mutex);
    if (offload->first == NULL)
        offload->first = job;
    else
        offload->last->mail.next = &job->mail;
    offload->last = job;
    pthread_cond_signal(&offload->changed);
    pthread_mutex_unlock(&offload->mutex);
}
