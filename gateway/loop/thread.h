/*
 * thread: how this program starts its threads.
 *
 * Signals are the main thread's business (sd_notify, reload, drain): every other thread blocks
 * those that can be sent from outside, so that a SIGTERM never interrupts a worker.
 */
#ifndef MLLPGW_LOOP_THREAD_H
#define MLLPGW_LOOP_THREAD_H

#include <pthread.h>

/* name: cut after 15 characters; ps -L and top -H show it. Negative errno. */
__attribute__((warn_unused_result)) int thread_start(const char *name, void *(*run)(void *context),
                                                     void *context, pthread_t *ret_thread);

#endif
