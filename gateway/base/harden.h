/*
 * harden: memory that holds messages and keys is for this process alone.
 *
 * For every program that has either in memory: the daemon and mllpctl.
 * Threads: the main thread, first of all.
 */
#ifndef MLLPGW_BASE_HARDEN_H
#define MLLPGW_BASE_HARDEN_H

/* No core dumps, and not traceable by other processes of the same user. A change of user undoes the
 * second half: call it again then. */
void harden_memory(void);

#endif
