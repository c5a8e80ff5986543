/*
 * mailbox: how one thread hands something to another.
 *
 * Many senders, one receiver. A struct mail is embedded in what is sent; posting allocates nothing
 * and can't fail. Mails from one sender arrive in the order in which they were posted; mails from
 * different senders in the order in which their posts happened (one atomic push).
 * Ownership passes to the receiver with the post. A mailbox outlives everyone who may post to it.
 * Threads: mailbox_post() any; mailbox_drain() only the receiver.
 */
#ifndef MLLPGW_LOOP_MAILBOX_H
#define MLLPGW_LOOP_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>

struct mail {
    struct mail *next;                  /* private */
    void (*deliver)(struct mail *mail); /* runs on the receiver's thread */
};

struct mailbox {
    _Atomic(struct mail *) head;           /* newest first; turned round by the receiver */
    void (*wake)(struct mailbox *mailbox); /* called when it was empty; any thread */
};

void mailbox_init(struct mailbox *mailbox, void (*wake)(struct mailbox *mailbox));
void mailbox_post(struct mailbox *mailbox, struct mail *mail);
/* Delivers what has come so far; returns how many. */
unsigned mailbox_drain(struct mailbox *mailbox);
bool mailbox_is_empty(const struct mailbox *mailbox);

#endif
