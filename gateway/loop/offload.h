/*
 * offload: a thread for calls that may take for ever (DNS, file reads on slow disks).
 *
 * work runs on the offload thread, done afterwards through the mailbox given.
 * Threads: offload_submit() any.
 */
#ifndef MLLPGW_LOOP_OFFLOAD_H
#define MLLPGW_LOOP_OFFLOAD_H

#include "loop/mailbox.h"

struct offload;

struct offload_job {
    struct mail mail; /* private */
    struct mailbox *reply_to;
    void (*work)(struct offload_job *job);
    void (*done)(struct offload_job *job);
};

struct offload *offload_new(void);
/* Waits for the job in hand; jobs that have not begun are dropped without done. */
void offload_free(struct offload **offload);
void offload_submit(struct offload *offload, struct offload_job *job);

#endif
