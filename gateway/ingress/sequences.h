/*
 * sequences: the last sequence number (MSH-13) taken, by listener and peer.
 *
 * The table is what workers look at; the spool commits each number with its message and fills the
 * table at the start.
 * Threads: any (a lock, held for a look-up; only listeners with sequence_numbers come here).
 */
#ifndef MLLPGW_INGRESS_SEQUENCES_H
#define MLLPGW_INGRESS_SEQUENCES_H

struct sequences;

struct sequences *sequences_new(void);
void sequences_free(struct sequences **sequences);

/* "listener/peer": a string to free(); NULL when memory is out. */
char *sequences_key(const char *listener, const char *peer);
/* SEQUENCE_NONE when nothing is known. */
long sequences_get(struct sequences *sequences, const char *listener, const char *peer);
/* 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int
sequences_set(struct sequences *sequences, const char *listener, const char *peer, long last);

#endif
