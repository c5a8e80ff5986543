/*
 * offload: a thread for calls that may take for ever (DNS, file reads on slow disks).
 *
 * work runs on the offload thread, done afterwards through the mailbox given.
 * Threads: offload_submit() any.
 */
#ifndef MLLPGW_LOOP_OFFLOAD_H
#define MLLPGW_LOOP_OFFLOAD_H

#include "loop/mailbox.h"

#include <stdbool.h>

struct offload;

struct offload_job {
    struct mail mail; /* private */
    struct mailbox *reply_to;
    void (*work)(struct offload_job *job);
    void (*done)(struct offload_job *job);
    bool dropped; /* work never ran: the offload thread has ended */
};

struct offload *offload_new(void);
/* Waits for the job in hand. Jobs that have not begun get done with dropped set, on this thread:
 * whoever submitted them has let go by then, and done only frees. */
void offload_free(struct offload **offload);
void offload_submit(struct offload *offload, struct offload_job *job);

#endif
