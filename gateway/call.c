/* Calls across threads that the caller waits for: start, reload and status need them; the data path
 * never does. */
#include "internal.h"

#include <semaphore.h>

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
