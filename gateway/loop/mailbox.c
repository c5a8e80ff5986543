#include "loop/mailbox.h"

#include <stddef.h>

void mailbox_init(struct mailbox *mailbox, void (*wake)(struct mailbox *mailbox))
{
    atomic_init(&mailbox->head, NULL);
    mailbox->wake = wake;
}

void mailbox_post(struct mailbox *mailbox, struct mail *mail)
{
    struct mail *head = atomic_load_explicit(&mailbox->head, memory_order_relaxed);

    do {
        mail->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&mailbox->head, &head, mail,
                                                    memory_order_release, memory_order_relaxed));
    /* From here on the mail is the receiver's and may be gone already. Whoever found the mailbox
     * empty wakes; all who come before the drain ride along without a system call. */
    if (head == NULL && mailbox->wake != NULL)
        mailbox->wake(mailbox);
}

static struct mail *mailbox_oldest_first(struct mail *newest)
{
    struct mail *oldest = NULL;

    while (newest != NULL) {
        struct mail *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

unsigned mailbox_drain(struct mailbox *mailbox)
{
    struct mail *mail =
        mailbox_oldest_first(atomic_exchange_explicit(&mailbox->head, NULL, memory_order_acquire));
    unsigned count = 0;

    while (mail != NULL) {
        struct mail *next = mail->next; /* deliver() may free the mail or post it on */

        mail->deliver(mail);
        mail = next;
        count++;
    }
    return count;
}

bool mailbox_is_empty(const struct mailbox *mailbox)
{
    return atomic_load_explicit(&mailbox->head, memory_order_relaxed) == NULL;
}
