/* Calls across threads that the caller waits for: start, end and reload need them; the data path
 * never does. Where the gateway is serving, the wait for the spool has a limit. */
#include "internal.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

struct loop_call {
    struct mail mail;
    void (*call)(void *context);
    void *context;
    sem_t done;
};

static void run_loop_call(struct mail *mail)
{
    struct loop_call *call = LIST_ENTRY(mail, struct loop_call, mail);

    call->call(call->context);
    sem_post(&call->done);
}

static void wait_for(sem_t *done)
{
    while (sem_wait(done) != 0) {
        /* EINTR */
    }
    sem_destroy(done);
}

void gateway_call(struct loop *loop, void (*call)(void *context), void *context)
{
    struct loop_call made = {.mail = {.deliver = run_loop_call}, .call = call, .context = context};

    sem_init(&made.done, 0, 0);
    mailbox_post(loop_mailbox(loop), &made.mail);
    wait_for(&made.done);
}

struct waiting_call {
    struct spool_call call;
    struct mailbox mailbox;
    void (*run)(struct spool *spool, struct spool_backend *backend, void *context);
    void *context;
    sem_t done;
};

static void run_spool_call(struct spool_call *call, struct spool *spool,
                           struct spool_backend *backend)
{
    struct waiting_call *waiting = LIST_ENTRY(call, struct waiting_call, call);
    waiting->run(spool, backend, waiting->context);
}

static void spool_call_posted(struct mailbox *mailbox)
{
    sem_post(&LIST_ENTRY(mailbox, struct waiting_call, mailbox)->done);
}

static void spool_call_done(struct spool_call *call)
{
    (void)call; /* its mail is all that was waited for */
}

void gateway_call_spool(struct gateway *gateway,
                        void (*call)(struct spool *spool, struct spool_backend *backend,
                                     void *context),
                        void *context)
{
    struct waiting_call waiting = {
        .call = {.call = run_spool_call, .done = spool_call_done},
        .run = call,
        .context = context,
    };

    sem_init(&waiting.done, 0, 0);
    mailbox_init(&waiting.mailbox, spool_call_posted);
    waiting.call.reply_to = &waiting.mailbox;
    spool_call(gateway->spool, &waiting.call);
    wait_for(&waiting.done);
    mailbox_drain(&waiting.mailbox);
}

/* ---- with a limit ---- */

struct asking_call {
    struct spool_call call;
    void (*run)(struct spool *spool, struct spool_backend *backend, void *context);
    void *context;
    void (*free_context)(void *context);
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done, abandoned; /* whoever comes last frees it */
};

static void run_asking_call(struct spool_call *call, struct spool *spool,
                            struct spool_backend *backend)
{
    struct asking_call *asking = LIST_ENTRY(call, struct asking_call, call);

    asking->run(spool, backend, asking->context);
}

static void free_asking_call(struct asking_call *asking)
{
    pthread_cond_destroy(&asking->changed);
    pthread_mutex_destroy(&asking->lock);
    free(asking);
}

/* On the spool's thread. */
static void asking_call_done(struct spool_call *call)
{
    struct asking_call *asking = LIST_ENTRY(call, struct asking_call, call);
    bool abandoned;

    pthread_mutex_lock(&asking->lock);
    asking->done = true;
    abandoned = asking->abandoned;
    pthread_cond_signal(&asking->changed);
    pthread_mutex_unlock(&asking->lock);
    if (abandoned) {
        asking->free_context(asking->context);
        free_asking_call(asking);
    }
}

static int wait_for_asking_call(struct asking_call *asking)
{
    struct timespec until;
    int error = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(GATEWAY_SPOOL_WAIT_MS / 1000);
    pthread_mutex_lock(&asking->lock);
    while (!asking->done && error == 0) {
        error = pthread_cond_timedwait(&asking->changed, &asking->lock, &until);
    }
    asking->abandoned = !asking->done;
    error = asking->done ? 0 : -ETIMEDOUT;
    pthread_mutex_unlock(&asking->lock);
    if (error == 0) {
        free_asking_call(asking);
    }
    return error;
}

int gateway_ask_spool(struct gateway *gateway,
                      void (*call)(struct spool *spool, struct spool_backend *backend,
                                   void *context),
                      void *context, void (*free_context)(void *context))
{
    struct asking_call *asking = calloc(1, sizeof(*asking));
    pthread_condattr_t attributes;

    if (asking == NULL) {
        return -ENOMEM;
    }
    asking->call = (struct spool_call){.call = run_asking_call, .done = asking_call_done};
    asking->run = call;
    asking->context = context;
    asking->free_context = free_context;
    pthread_mutex_init(&asking->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&asking->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    spool_call(gateway->spool, &asking->call);
    return wait_for_asking_call(asking);
}
